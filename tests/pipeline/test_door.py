"""The one door: who passes, what reaches a connector, and what is told to whom."""

import asyncio
import json
from typing import Any

import pytest

from connectors.base import Change, Event, Unasked
from gateway.errors import (
    Denied,
    InvalidArguments,
    NotConnected,
    Refusal,
    Unauthenticated,
    Unavailable,
    Unknown,
)
from gateway.mcp.terms import Call, Era, Kind, Notification, Params, Request, Step
from gateway.policy.terms import MAIN, SYSTEM, Reason
from tests.builders import (
    ALL,
    AMY,
    BOB,
    HELP_ONLY,
    LEGACY_VERSION,
    ORIGIN,
    Door,
    call,
    refused,
    text_of,
)
from tests.fakes import FakeConnector, Sent, prompt, raising, resource, slack, template, tool

# -- the decision


async def test_an_allowed_call_reaches_the_connector_under_its_own_name():
    door = Door(ALL, [chat := slack()])
    result = await door.use(AMY, "slack__send", channel="#help", text="hi")
    assert text_of(result) == f"user:{AMY} tools/call send"
    assert chat.opened == [(f"user:{AMY}", f"user:{AMY}")]
    assert [(sent.method, sent.params) for sent in chat.sent] == [
        ("tools/call", {"name": "send", "arguments": {"channel": "#help", "text": "hi"}})
    ]


async def test_what_is_forwarded_is_the_parsed_value_that_was_judged_with_unknown_fields_unharmed():
    door = Door(HELP_ONLY, [chat := slack()])
    arguments = {"channel": "#help", "x-unknown": [1, {"y": None}]}
    await door.ask(AMY, "tools/call", name="slack__send", arguments=arguments, _meta={"vendor/key": 1}, later="kept")
    assert chat.sent[0].params["arguments"] is arguments
    assert chat.sent[0].params["_meta"] == {"vendor/key": 1}
    assert chat.sent[0].params["later"] == "kept"


@pytest.mark.parametrize("channel", ["#general", None, 7, ["#help"]])
async def test_a_denied_call_never_opens_a_connection_nor_reaches_the_server(channel: Any):
    door = Door(HELP_ONLY, [chat := slack()])
    result = await door.use(AMY, "slack__send", channel=channel)
    assert result["isError"] is True
    assert chat.opened == []
    assert chat.sent == []
    assert (door.last.outcome, door.last.allowed) == ("denied", False)


async def test_an_empty_policy_shows_nothing_and_lets_nothing_through():
    door = Door("", [chat := slack()])
    assert await door.tools(AMY) == []
    assert isinstance(await refused(door, AMY, call("tools/call", name="slack__read")), Unknown)
    assert chat.opened == []


async def test_a_call_that_is_judged_by_one_policy_is_judged_by_it_to_the_end():
    door = Door(HELP_ONLY, [chat := slack(gate=asyncio.Event())])
    running = asyncio.create_task(door.use(AMY, "slack__send", channel="#help"))
    await asyncio.sleep(0)
    door.apply("")
    chat.gate.set()
    await running
    assert door.last.policy == "1.0"
    assert isinstance(await refused(door, AMY, call("tools/call", name="slack__send")), Unknown)
    assert door.last.policy == "2.0"


# -- arguments


async def test_arguments_that_break_the_schema_are_told_as_a_result_and_not_sent():
    door = Door(ALL, [chat := slack()])
    result = await door.use(AMY, "slack__send", channel=7)
    assert result["isError"] is True
    assert "channel" in text_of(result)
    assert chat.opened == []
    assert door.last.outcome == "invalid_arguments"


async def test_an_argument_that_differs_from_the_schema_only_in_case_is_not_sent():
    door = Door(
        "p, user:*, main, self, slack/send, write, not has(args.channel) or args.channel == '#help', allow",
        [chat := slack()],
    )
    result = await door.use(AMY, "slack__send", Channel="#general")
    assert result["isError"] is True
    assert chat.sent == []


async def test_a_denial_is_told_before_the_schema():
    door = Door(HELP_ONLY, [slack()])
    await door.use(AMY, "slack__send", channel=7)
    assert door.last.outcome == "denied"


@pytest.mark.parametrize("arguments", [None, [], "x", 1])
async def test_arguments_that_are_no_object_are_refused_wherever_they_come_from(arguments: Any):
    door = Door(ALL, [chat := slack()])
    message = Request(1, "tools/call", {"name": "slack__send", "arguments": arguments})
    asked = Call(message, Step.USE, Era.LEGACY, LEGACY_VERSION, MAIN, "mcp", Kind.TOOL, "slack__send")
    assert (await door.handle(AMY, asked))["isError"] is True
    assert chat.sent == []


# -- denied, hidden, unknown


def shape(refusal: Refusal, target: str) -> tuple[Any, ...]:
    return (
        type(refusal),
        refusal.text.replace(target, "?"),
        refusal.code,
        refusal.status,
        json.dumps(refusal.data).replace(target, "?"),
    )


@pytest.mark.parametrize("era", list(Era))
@pytest.mark.parametrize(
    ("method", "key", "hidden", "missing", "more"),
    [
        ("tools/call", "name", "slack__purge", "slack__burst", {"arguments": {"broken": 1}}),
        ("tools/call", "name", "slack__strict", "slack__strike", {"arguments": {"n": "no number"}}),
        ("prompts/get", "name", "slack__greet", "slack__great", {}),
        ("resources/read", "uri", "chat://secret", "chat://nobody", {}),
        ("resources/read", "uri", "log://2026", "lag://2026", {}),
    ],
)
async def test_what_one_may_never_use_answers_exactly_like_what_does_not_exist(
    *, era, method, key, hidden, missing, more
):
    strict = tool("strict", schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    offered = [
        tool("purge", destructive=True),
        strict,
        prompt("greet"),
        resource("chat://secret"),
        template("log://{day}"),
    ]
    other = FakeConnector("other", [tool("t")])
    limits = "[[object]]\nmatch = 'slack/*'\ncalls = 1\nwindow_s = 60\n"
    door = Door(
        "p, user:*, main, self, other/*, write, , allow",
        [chat := FakeConnector("slack", offered), other],
        limits=limits,
    )
    for _ in range(3):  # nor does a limit on the hidden object tell of it
        told = [await refused(door, AMY, call(method, era=era, **{key: name}, **more)) for name in (hidden, missing)]
        assert shape(told[0], hidden) == shape(told[1], missing)
        assert told[0].code == (-32002 if method == "resources/read" and era is Era.LEGACY else -32602)
    assert chat.opened == []
    assert {entry.outcome for entry in door.entries} == {"unknown"}


async def test_the_entry_tells_hidden_from_unknown_even_if_the_client_cannot():
    door = Door("p, user:*, *, self, slack/*, write, , allow\np, *, *, *, *, write, tool.destructive, deny", [slack()])
    await refused(door, AMY, call("tools/call", name="slack__purge"))
    assert (door.last.object, door.last.allowed, door.last.rule) == ("slack/purge", False, "policies/rules.csv:2")
    await refused(door, AMY, call("tools/call", name="slack__nothing"))
    assert (door.last.object, door.last.allowed, door.last.rule) == ("slack__nothing", None, "")


async def test_only_those_who_may_inspect_the_policy_learn_which_row_refused_them():
    rows = f"{HELP_ONLY}\np, *, *, *, slack/send, write, args.channel == '#all', deny\np, user:{BOB}, main, system, gateway/policy, inspect, , allow"
    door = Door(rows, [slack()])
    plain, told = [text_of(await door.use(email, "slack__send", channel="#all")) for email in (AMY, BOB)]
    assert plain == f"denied by policy (reference {door.entries[-2].id})"
    assert "`policies/rules.csv:2`" in told
    assert door.last.id in told
    no_rule = text_of(await door.use(BOB, "slack__send", channel="#other"))
    assert "no rule allows it" in no_rule
    assert "rules.csv" not in no_rule


async def test_a_denied_prompt_is_an_error_with_a_reference():
    rows = "p, user:*, main, self, slack/prompt:greet, read, args.to == 'bob', allow"
    door = Door(rows, [chat := FakeConnector("slack", [prompt("greet", "to")])])
    denied = await refused(door, AMY, call("prompts/get", name="slack__greet", arguments={"to": "eve"}))
    assert isinstance(denied, Denied)
    assert denied.data == {"reference": door.last.id}
    await door.ask(AMY, "prompts/get", name="slack__greet", arguments={"to": "bob"})
    assert [sent.params for sent in chat.sent] == [{"name": "greet", "arguments": {"to": "bob"}}]
    wrong = await refused(door, AMY, call("prompts/get", name="slack__greet", arguments={"to": "bob", "n": 7}))
    assert isinstance(wrong, InvalidArguments)


# -- whose connection


@pytest.mark.parametrize(
    ("rows", "owner"),
    [
        ("p, user:*, main, self, c/t, write, , allow", f"user:{AMY}"),
        ("p, user:*, main, self, c/t, write, , allow\np, user:*, main, system, c/t, write, , allow", f"user:{AMY}"),
        ("p, user:*, main, system, c/t, write, , allow", SYSTEM),
        ("p, user:*, main, self, c/t, write, args.n == 9, allow\np, user:*, main, system, c/t, write, , allow", SYSTEM),
    ],
)
async def test_the_first_owner_for_whom_some_call_could_be_allowed_serves(rows: str, owner: str):
    never_nine = tool("t", schema={"type": "object", "properties": {"n": {"enum": [1, 2]}}})
    door = Door(rows, [connector := FakeConnector("c", [never_nine], lenders=("", SYSTEM))])
    await door.use(AMY, "c__t", n=1)
    assert connector.opened == [(f"user:{AMY}", owner)]
    assert door.last.owner == owner


async def test_a_missing_connection_is_told_as_a_result():
    connector = FakeConnector("c", [tool("t")], lenders=())
    connector.answer = raising(NotConnected("connect your account first"))
    door = Door(ALL, [connector])
    assert "connect your account first" in text_of(await door.use(AMY, "c__t"))
    assert door.last.outcome == "not_connected"


async def test_what_the_server_says_meanwhile_reaches_the_client_as_far_as_his_era_allows():
    progress = Notification("notifications/progress", {"progressToken": "p", "progress": 1})
    line = Notification("notifications/message", {"level": "info", "data": "x"})

    def talkative(sent: Sent) -> Params:
        sent.caller.tell(progress)
        sent.caller.tell(line)
        return {"content": []}

    door = Door(ALL, [slack(answer=talkative)])
    await door.use(AMY, "slack__read")
    assert door.heard == [progress, line]
    await door.ask(AMY, "tools/call", era=Era.MODERN, name="slack__read")
    assert door.heard[2:] == [progress]


# -- people


async def test_two_people_on_one_door_run_as_themselves_and_get_their_own_answers():
    turn = asyncio.Event()

    async def slowly(sent: Sent) -> Params:
        await turn.wait()
        return {"content": [{"type": "text", "text": sent.principal + sent.params["arguments"]["n"]}]}

    door = Door(ALL, [FakeConnector("c", [tool("t")], answer=slowly)])
    wanted = [(email, str(number)) for number in range(20) for email in (AMY, BOB)]
    running = [asyncio.create_task(door.use(email, "c__t", n=number)) for email, number in wanted]
    await asyncio.sleep(0)
    turn.set()
    answers = [text_of(result) for result in await asyncio.gather(*running)]
    assert answers == [f"user:{email}{number}" for email, number in wanted]
    assert sorted(entry.subject for entry in door.entries) == sorted(f"user:{email}" for email, _ in wanted)


async def test_identify_tells_nothing_offered_from_a_bad_key_and_proves_a_good_one():
    door = Door()
    amy = door.person(AMY)
    assert door.pipeline.identify(door.keys[AMY]) == amy
    for offered, text in ((None, "Missing apiKey"), ("ost_other", "Invalid apiKey")):
        with pytest.raises(Unauthenticated, match=text):
            door.pipeline.identify(offered)


async def test_a_dismissed_person_is_refused_on_the_very_next_call():
    door = Door(ALL, [chat := slack()])
    amy = door.person(AMY)
    door.dismiss(AMY)
    for asked in (
        call("tools/call", name="slack__read"),
        call("ping"),
        call("initialize", protocolVersion="2025-11-25"),
    ):
        with pytest.raises(Unauthenticated):
            await door.pipeline.handle(asked, amy, ORIGIN, Unasked(door.heard.append))
        assert door.last.outcome == "unauthenticated"
    assert chat.opened == []


async def test_a_door_that_lost_touch_with_the_store_refuses_everybody():
    door = Door(ALL, [chat := slack()])
    amy = door.person(AMY)
    door.now += 61_000
    with pytest.raises(Unavailable):
        await door.pipeline.handle(call("ping"), amy, ORIGIN, Unasked(door.heard.append))
    assert (door.last.outcome, door.last.reason) == ("unavailable", Reason.STALE_POLICY)
    with pytest.raises(Unavailable):
        door.pipeline.identify(door.keys[AMY])
    assert await door.pipeline.changes(Change("slack", Event.TOOLS), amy, MAIN) == []
    assert chat.opened == []
