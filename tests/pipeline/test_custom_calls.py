"""What a call of a user's tool is asked for, what goes out for it and on whose account, and what is put on record."""

from dataclasses import replace

import msgspec
import pytest

from connectors.base import UpstreamError
from gateway.analysis.replay.hidden import Asking
from gateway.analysis.replay.recorded import recorded
from gateway.audit import AuditEntry
from gateway.audit.masking import hashed_value, keyed_hash
from gateway.audit.question import key_mark
from gateway.errors import Limited, Unknown
from gateway.mcp.terms import Notification
from gateway.policy.terms import SYSTEM
from tests.builders import AMY, BOB, Door, call, policy, refused, text_of
from tests.fakes import FakeConnector, FakeLinker, raising, tool
from tests.pipeline.making import owner_of, schema, wrapper
from tests.pipeline.test_custom import EVE, MINE, SLACK, door_of, lent, slack

KEY = keyed_hash(b"k" * 32)
DIGESTS = {key_mark(KEY): lambda value: hashed_value(value, KEY)}
BASE = f"p, user:{BOB}, main, user:{AMY}, slack/send, write, tool.via == 'custom/post', allow"
AMYS = f"p, user:{AMY}, main, self, slack/*, write, , allow"
CONNECT = "p, user:*, main, self, *, connect, , allow"
BOBS = f"p, user:{BOB}, main, self, slack/*, write, , allow"


def personal(*items, **more) -> FakeConnector:
    return slack(*items, personal=True, lenders=("", SYSTEM), **more)


def arguments(connector: FakeConnector):
    return connector.sent[-1].params["arguments"]


# -- what goes out


async def test_what_goes_out_is_what_was_judged():
    connector = slack(tool("send", schema=schema("text", "channel", body={"type": "object"})))
    door = door_of(MINE, SLACK, connectors=[connector])
    made = {"channel": "#help", "body": {"to": ["{{who}}", "all"], "note": "for {{who}}"}}
    door.make(wrapper(takes=schema("text", "who"), args=made))
    await door.use(AMY, "post", text="hi", who="{{text}}")
    (sent,) = connector.sent
    assert (sent.params["name"], sent.principal, sent.owner) == ("send", owner_of(AMY), owner_of(AMY))
    filled = {"text": "hi", "channel": "#help", "body": {"to": ["{{text}}", "all"], "note": "for {{text}}"}}
    assert sent.params["arguments"] == filled
    assert door.last.asked.calls.object == "slack/send"


async def test_a_fixed_argument_cannot_be_given():
    connector = slack()
    door = door_of(MINE, SLACK, connectors=[connector])
    door.make(
        wrapper(args={"channel": "#help"}),
        wrapper("wide", args={"channel": "#help"}, takes=schema("text", "channel")),
    )
    assert "channel" in text_of(await door.use(AMY, "post", text="hi", channel="#all"))
    assert connector.sent == []
    await door.use(AMY, "wide", text="hi", channel="#all")
    assert arguments(connector) == {"channel": "#help", "text": "hi"}


async def test_arguments_must_fit_the_tool_and_what_it_makes_of_them_its_target():
    connector = slack(tool("send", schema=schema(channel={"enum": ["#a", "#b"]})))
    door = door_of(MINE, SLACK, connectors=[connector])
    door.make(wrapper(takes=schema("to"), args={"channel": "{{to}}"}))
    assert "`to`" in text_of(await door.use(AMY, "post", to=7))
    wrong = text_of(await door.use(AMY, "post", to="#c"))
    assert wrong.startswith("`slack/send`, which this tool calls: `channel`: ")
    assert connector.sent == []
    await door.use(AMY, "post", to="#b")
    assert arguments(connector) == {"channel": "#b"}


async def test_conditions_of_the_target_are_asked_of_what_it_gets():
    connector = slack()
    door = door_of(
        MINE, f"{SLACK}\np, *, *, *, slack/send, write, args.channel != '#help', deny", connectors=[connector]
    )
    door.make(wrapper(takes=schema("to", "channel"), args={"channel": "#{{to}}"}))
    denied = await door.use(AMY, "post", to="all", channel="#help")
    assert denied["isError"]
    assert "denied by policy" in text_of(denied)
    assert (door.last.allowed, door.last.rule) == (False, "policies/rules.csv:3")
    assert connector.sent == []
    await door.use(AMY, "post", to="help", channel="#all")
    assert arguments(connector) == {"channel": "#help"}


async def test_what_its_server_says_meanwhile_and_in_the_end_comes_back():
    def answer(sent):
        sent.caller.tell(Notification("notifications/progress", {"progressToken": 1, "progress": 1}))
        return {"content": [{"type": "text", "text": "no"}], "isError": True}

    connector = slack(answer=answer)
    door = door_of(MINE, SLACK, connectors=[connector])
    door.make(wrapper())
    asked = call("tools/call", name="post", arguments={"text": "x"}, _meta={"progressToken": 1})
    result = await door.handle(AMY, asked)
    assert (result["isError"], door.last.outcome) == (True, "tool_error")
    assert [each.method for each in door.heard] == ["notifications/progress"]
    connector.answer = raising(UpstreamError(-32000, "broken"))
    with pytest.raises(UpstreamError):
        await door.use(AMY, "post", text="x")


# -- on whose account


async def test_the_callers_own_account_serves_before_the_makers_and_that_before_the_operators():
    connector = personal()
    rows = (MINE, SLACK, lent(), BASE, SLACK.replace("self", "system"))
    door = door_of(*rows, connectors=[connector])
    door.make(wrapper())
    door.connect(connector, SYSTEM, "operators")
    used = []
    for email in ("", AMY, BOB):
        if email:
            door.connect(connector, email, f"of-{email}")
        await door.use(BOB, "post", text="x")
        used.append((connector.opened[-1], connector.named[-1], door.last.connection))
    assert used == [
        ((owner_of(BOB), SYSTEM), "operators", "operators"),
        ((owner_of(BOB), owner_of(AMY)), f"of-{AMY}", f"of-{AMY}"),
        ((owner_of(BOB), owner_of(BOB)), f"of-{BOB}", f"of-{BOB}"),
    ]
    assert {each.owner for each in door.entries} == {owner_of(AMY)}, "whose tool it is, not whose account"


async def test_the_makers_account_serves_only_by_a_row_for_this_very_tool_and_only_while_he_may_himself():
    connector = personal()
    asked = call("tools/call", name="post", arguments={"text": "x"})
    door = door_of(lent(), BASE, AMYS, MINE, connectors=[connector])
    door.make(wrapper())
    door.connect(connector, AMY, "amys")
    assert await door.tools(BOB) == ["post"]
    await door.handle(BOB, asked)
    assert connector.opened == [(owner_of(BOB), owner_of(AMY))]
    asked_for = door.last.asked
    assert asked_for.lenders == asked_for.calls.lenders == (owner_of(AMY),)
    without = {
        "the share": (BASE, AMYS, MINE),
        "the row for the target": (lent(), AMYS, MINE),
        "the maker's own right to the target": (lent(), BASE, MINE),
        "the maker's own right to the tool": (lent(), BASE, AMYS),
    }
    for missing, rows in without.items():
        door.apply("\n".join(rows))
        assert "post" not in await door.tools(BOB), missing
        assert isinstance(await refused(door, BOB, asked), Unknown), missing
    assert len(connector.opened) == 1


async def test_a_borrower_who_makes_a_tool_of_the_same_name_gains_nothing_by_the_row_for_it():
    """The row names `custom/post`, and his is called so too; but with it only he himself and the operator serve."""
    connector = personal()
    door = door_of(lent(), BASE, AMYS, MINE, connectors=[connector])
    door.make(wrapper(args={"channel": "#help"}), wrapper(maker=BOB, takes=schema("text", "channel")))
    door.connect(connector, AMY, "amys")
    names = await door.tools(BOB)
    assert len(names) == 1
    assert names[0].startswith("post--"), "his own is nothing that he may call, and keeps its name"
    asked = call("tools/call", name="post", arguments={"text": "x", "channel": "#all"})
    for each in (asked, replace(asked, credential="amys")):
        assert isinstance(await refused(door, BOB, each), Unknown)
    assert connector.opened == []
    await door.use(BOB, names[0], text="x")
    assert arguments(connector) == {"text": "x", "channel": "#help"}


async def test_somebody_elses_tool_of_the_same_name_gains_nothing_by_the_row_either():
    connector = personal()
    rows = (lent(), lent(of=EVE), BASE, AMYS, MINE, SLACK.replace("user:*", f"user:{EVE}"))
    door = door_of(*rows, connectors=[connector])
    door.make(wrapper(args={"channel": "#help"}, made=2), wrapper(maker=EVE, made=1))
    door.connect(connector, AMY, "amys")
    door.connect(connector, EVE, "eves")
    assert isinstance(await refused(door, BOB, call("tools/call", name="post", arguments={"text": "x"})), Unknown)
    (name,) = await door.tools(BOB)
    await door.use(BOB, name, text="x")
    assert connector.opened == [(owner_of(BOB), owner_of(AMY))]
    assert arguments(connector) == {"text": "x", "channel": "#help"}


async def test_other_lenders_of_the_target_do_not_serve_a_tool():
    connector = personal()
    loan = f"p, user:{BOB}, main, user:{EVE}, slack/*, write, , allow"
    door = door_of(MINE, SLACK, loan, connectors=[connector])
    door.make(wrapper(maker=BOB))
    door.connect(connector, EVE, "eves")
    await door.use(BOB, "slack__send", text="x")
    assert connector.opened == [(owner_of(BOB), owner_of(EVE))]
    assert "slack" in text_of(await door.use(BOB, "post", text="x"))
    assert (len(connector.sent), door.last.outcome) == (1, "not_connected")
    named = replace(call("tools/call", name="post", arguments={"text": "x"}), credential="eves")
    assert (await refused(door, BOB, named)).text.startswith("unknown connection")


async def test_an_account_can_be_named_of_those_that_serve():
    connector = personal()
    door = door_of(MINE, SLACK, lent(), BASE, connectors=[connector])
    door.make(wrapper())
    for owner, id in ((AMY, "amys"), (BOB, "one"), (BOB, "another")):
        door.connect(connector, owner, id)
    asked = call("tools/call", name="post", arguments={"text": "x"})
    assert "name one as" in text_of(await door.handle(BOB, asked))
    for id in ("amys", "another"):
        await door.handle(BOB, replace(asked, credential=id))
        assert (connector.named[-1], door.last.connection) == (id, id)


async def test_who_lacks_an_account_is_invited_to_connect_his_own_and_never_anothers():
    connector, linker = personal(), FakeLinker()
    door = door_of(MINE, SLACK, CONNECT, connectors=[connector], linker=linker)
    door.make(wrapper())
    assert "https://gate.example.com/connect/" in text_of(await door.use(AMY, "post", text="x"))
    assert [each["owner"] for each in linker.links] == [owner_of(AMY)]
    connector.lapsed = frozenset({"amys"})
    door.connect(connector, AMY, "amys")
    door.apply(f"{lent()}\n{BASE}\n{AMYS}\n{MINE}\n{CONNECT}")
    refusal = await door.use(BOB, "post", text="x")
    assert "cannot be connected here" in text_of(refusal)
    assert len(linker.links) == 1


async def test_an_upstream_without_accounts_is_used_by_its_caller_for_himself():
    connector = slack()
    door = door_of(lent(), BASE, AMYS, MINE, connectors=[connector])
    door.make(wrapper())
    assert await door.tools(BOB) == []
    door.apply(f"{lent()}\n{AMYS}\n{BOBS}\n{MINE}")
    await door.use(BOB, "post", text="x")
    assert connector.opened == [(owner_of(BOB), owner_of(BOB))]


async def test_an_account_of_a_stranger_that_a_connector_speaks_of_does_not_serve():
    connector = slack(lenders=(owner_of(EVE),))
    loan = f"p, user:*, main, {owner_of(EVE)}, slack/*, write, , allow"
    door = door_of(MINE, loan, f"p, {owner_of(EVE)}, main, self, slack/*, write, , allow", connectors=[connector])
    door.make(wrapper())
    assert await door.tools(AMY) == ["slack__send"]
    assert isinstance(await refused(door, AMY, call("tools/call", name="post", arguments={})), Unknown)


# -- how often

LIMITS = "[[object]]\nmatch = 'slack/send'\ncalls = 2\nwindow_s = 60\n"


async def test_the_limit_of_what_it_calls_counts_and_so_does_its_own():
    connector = slack()
    door = door_of(MINE, SLACK, connectors=[connector], limits=LIMITS)
    door.make(wrapper())
    await door.use(AMY, "post", text="x")
    await door.use(AMY, "slack__send", text="x")
    assert isinstance(await refused(door, AMY, call("tools/call", name="post", arguments={"text": "x"})), Limited)
    assert len(connector.sent) == 2
    own = door_of(MINE, SLACK, limits=LIMITS.replace("slack/send", "custom/post"))
    own.make(wrapper())
    for _ in range(2):
        await own.use(AMY, "post", text="x")
    assert isinstance(await refused(own, AMY, call("tools/call", name="post", arguments={"text": "x"})), Limited)
    await own.use(AMY, "slack__send", text="x")


async def test_a_limit_that_is_about_both_counts_a_call_once():
    door = door_of(MINE, SLACK, limits=LIMITS.replace("slack/send", "*"))
    door.make(wrapper())
    for _ in range(2):
        await door.use(AMY, "post", text="x")
    assert isinstance(await refused(door, AMY, call("tools/call", name="post", arguments={"text": "x"})), Limited)


# -- on record


async def test_the_entry_tells_of_the_tool_and_of_what_it_calls_and_hides_what_no_condition_reads():
    connector = personal()
    rows = (lent(), BASE, AMYS, MINE, "p, *, *, *, slack/send, write, args.channel == '#no', deny")
    door = door_of(*rows, connectors=[connector])
    door.make(wrapper(args={"channel": "#help", "text": "psst {{text}}"}))
    door.connect(connector, AMY, "amys")
    await door.use(BOB, "post", text="hush")
    entry, calls = door.last, door.last.asked.calls
    assert (entry.subject, entry.owner, entry.object) == (owner_of(BOB), owner_of(AMY), "custom/post")
    assert (entry.connection, entry.action, entry.allowed) == ("amys", "write", True)
    assert (entry.asked.tool.connector, entry.asked.tool.name, entry.asked.tool.via) == ("custom", "post", "")
    assert (calls.object, calls.owner, calls.action) == ("slack/send", owner_of(AMY), "write")
    assert (calls.tool.connector, calls.tool.name, calls.tool.via) == ("slack", "send", "custom/post")
    assert calls.arguments == {"/channel": '"#help"'}
    assert (list(calls.hashed), calls.kinds) == (["/text"], "t")
    assert (list(entry.hashed), entry.asked.key) == (["/text"], key_mark(KEY))
    assert "psst" not in str(entry)
    assert "hush" not in str(entry)


REPLAYED = (
    (lent(), BASE, AMYS, MINE),
    (lent(), BASE, AMYS),
    (lent(), BASE, MINE),
    (lent(), AMYS, MINE),
    (BASE, AMYS, MINE),
    (lent(), BASE, AMYS, MINE, "p, *, *, *, slack/send, write, args.channel == '#help', deny"),
    (lent(), BASE, AMYS, MINE, "p, *, *, *, slack/send, write, args.text == 'psst hush', deny"),
    (lent(), BASE, AMYS, MINE, "p, *, *, *, slack/send, write, args.text == 'hush', deny"),
    (lent(), BASE, AMYS, MINE, "p, *, *, *, custom/post, write, args.text == 'hush', deny"),
    (lent(), BASE, AMYS, MINE, "p, *, *, *, custom/*, write, connection.id == 'amys', deny"),
    (lent(), BASE, AMYS, MINE, f"p, user:{AMY}, *, *, *, write, tool.via == 'custom/post', deny"),
)


@pytest.mark.parametrize("rows", REPLAYED, ids=range(len(REPLAYED)))
async def test_another_policy_answers_the_recorded_question_as_it_would_have_answered_the_call(rows):
    connector = personal()
    door = door_of(*REPLAYED[0], connectors=[connector])
    door.make(wrapper(args={"channel": "#help", "text": "psst {{text}}"}))
    door.connect(connector, AMY, "amys")
    await door.use(BOB, "post", text="hush")
    kept = msgspec.json.decode(msgspec.json.encode(door.last), type=AuditEntry)
    answer = Asking(policy("\n".join(rows)), DIGESTS).answer(recorded(kept, kept.asked))
    door.apply("\n".join(rows))
    assert answer.allowed is await _called(door, connector)


async def _called(door: Door, connector: FakeConnector) -> bool:
    before = len(connector.sent)
    try:
        await door.use(BOB, "post", text="hush")
    except Unknown:
        return False
    return len(connector.sent) > before


async def test_a_hidden_argument_of_the_target_keeps_an_answer_open():
    door = door_of(MINE, SLACK)
    door.make(wrapper(takes=schema("note"), args={"text": "psst {{note}}"}))
    await door.use(AMY, "post", note="hush")
    asked = recorded(door.last, door.last.asked)
    rows = (MINE, SLACK, "p, *, *, *, slack/send, write, starts(args.text, 'ps'), deny")
    answer = Asking(policy("\n".join(rows)), DIGESTS).answer(asked)
    assert (answer.allowed, answer.hidden) == (None, ("args.text",))
