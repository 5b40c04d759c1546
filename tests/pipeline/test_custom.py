"""Which tools and prompts of users stand in a list, and under which names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import QUIET, UpstreamError
from gateway.catalogue import Server
from gateway.catalogue.views import merge
from gateway.custom.known import Custom, Made
from gateway.errors import Unknown
from gateway.mcp.cursors import Bounds
from gateway.mcp.terms import Era, Kind
from gateway.pipeline.custom import KEPT, CustomCatalogue
from gateway.pipeline.judge import Judge
from gateway.pipeline.rendering import Rendering
from gateway.policy.terms import MAIN, SYSTEM, Subject
from tests.builders import AMY, BOB, NOON, Door, call, policy, refused, text_of
from tests.fakes import FakeConnector, tool
from tests.pipeline.making import http_tool, letter, owner_of, schema, targets, wrapper

EVE = "eve@example.com"
MINE = "p, user:*, main, self, custom/*, write, , allow"
SLACK = "p, user:*, main, self, slack/*, write, , allow"
OPERATORS = "p, user:*, main, system, custom/*, write, , allow"


def lent(name: str = "post", to: str = BOB, *, of: str = AMY, when: str = "") -> str:
    return f"p, user:{to}, main, user:{of}, custom/{name}, write, {when}, allow"


def slack(*items, **more) -> FakeConnector:
    return FakeConnector("slack", items or [tool("send", schema=schema("text", "channel"))], **more)


def door_of(*rows: str, connectors=None, **more) -> Door:
    return Door(
        "\n".join(rows), [slack()] if connectors is None else connectors, targets=targets(), custom=True, **more
    )


async def definition(door: Door, email: str, name: str, method: str = "tools/list"):
    (found,) = [each for each in next(iter((await door.ask(email, method)).values())) if each["name"] == name]
    return found


# -- who sees what


async def test_a_tool_is_listed_for_its_maker_and_for_whom_he_lends_it_to_and_for_nobody_else():
    door = door_of(MINE, SLACK, lent())
    door.make(wrapper())
    assert await door.tools(AMY) == ["slack__send", "post"]
    assert await door.tools(BOB) == ["slack__send", "post"]
    assert await door.tools(EVE) == ["slack__send"]
    assert isinstance(await refused(door, EVE, call("tools/call", name="post", arguments={})), Unknown)


async def test_what_the_operator_made_is_there_for_whomever_the_policy_lets_use_it():
    door = door_of(SLACK, OPERATORS.replace("user:*", f"user:{BOB}"))
    door.make(wrapper(maker=SYSTEM))
    assert await door.tools(BOB) == ["slack__send", "post"]
    assert await door.tools(AMY) == ["slack__send"]


async def test_wrapping_a_tool_that_one_may_not_call_shows_nothing_and_calls_nothing():
    connector = slack()
    door = door_of(MINE, lent(), connectors=[connector])
    door.make(wrapper())
    for email in (AMY, BOB):
        assert await door.tools(email) == []
        assert isinstance(await refused(door, email, call("tools/call", name="post", arguments={"text": "x"})), Unknown)
    assert connector.sent == []


async def test_a_borrowers_right_to_the_tool_is_worth_nothing_when_its_maker_may_not_use_it():
    door = door_of(SLACK, lent())
    door.make(wrapper())
    assert await door.tools(BOB) == ["slack__send"]


async def test_a_tool_whose_target_is_not_to_be_had_is_not_there():
    door = door_of(MINE, SLACK)
    door.make(wrapper(calls="slack/delete"), wrapper("other", calls="teams/send"))
    assert await door.tools(AMY) == ["slack__send"]


async def test_a_tool_may_call_what_stands_behind_the_meta_tools():
    door = door_of(MINE, SLACK, meta=frozenset({"slack"}))
    door.make(wrapper())
    assert "post" in await door.tools(AMY)
    assert text_of(await door.use(AMY, "post", text="x")) == f"user:{AMY} tools/call send"


async def test_a_fixed_argument_that_the_policy_denies_keeps_a_tool_out_of_the_list():
    rows = (MINE, "p, user:*, main, self, slack/send, write, args.channel == '#help', allow")
    door = door_of(*rows)
    door.make(
        wrapper("help", args={"channel": "#help"}),
        wrapper("all", args={"channel": "#all"}),
        wrapper("any", takes=schema("text", "to"), args={"channel": "#{{to}}"}),
        wrapper("some", takes=schema("text", "to"), args={"channel": "@{{to}}"}),
        wrapper("one", takes=schema("text", to={"enum": ["#help", "#staff"]}), args={"channel": "{{to}}"}),
        wrapper("two", takes=schema("text", to={"enum": ["#all", "#staff"]}), args={"channel": "{{to}}"}),
        wrapper("none"),
    )
    assert await door.tools(AMY) == ["slack__send", "any", "help", "one"]


async def test_conditions_on_the_tool_itself_ask_of_its_own_arguments():
    rows = ("p, user:*, main, self, custom/post, write, args.text == 'hi', allow", SLACK)
    door = door_of(*rows)
    door.make(wrapper(args={"text": "{{text}}!"}))
    assert await door.tools(AMY) == ["slack__send", "post"]
    assert "isError" not in await door.use(AMY, "post", text="hi")
    assert "denied by policy" in text_of(await door.use(AMY, "post", text="hi!"))


async def test_what_the_target_takes_keeps_a_tool_out_of_the_list_too():
    strict = tool("send", schema=schema(channel={"enum": ["#a"]}))
    door = door_of(
        MINE,
        "p, user:*, main, self, slack/send, write, args.channel == '#b', allow",
        connectors=[slack(strict)],
    )
    door.make(wrapper(takes=schema("channel")))
    assert await door.tools(AMY) == []


async def test_conditions_see_the_tool_as_no_more_harmless_than_what_it_calls():
    items = [tool("send", schema=schema("text"), destructive=True, tags=("loud",)), tool("look", "read")]
    rows = (MINE, SLACK, "p, *, *, *, custom/*, write, tool.destructive, deny")
    door = door_of(*rows, connectors=[slack(*items)])
    door.make(wrapper(), wrapper("look", calls="slack/look", takes=schema()))
    assert await door.tools(AMY) == ["slack__look", "slack__send", "look"]
    door.apply(f"{MINE}\n{SLACK}\np, *, *, *, custom/*, read, some(tool.tags, it == 'loud'), deny")
    assert await door.tools(AMY) == ["slack__look", "slack__send", "look"]
    door.apply(f"{MINE.replace('write', 'read')}\n{SLACK}")
    assert await door.tools(AMY) == ["slack__look", "slack__send", "look"], "its level is that of what it calls"


async def test_rows_can_let_a_target_be_called_through_one_tool_alone():
    door = door_of(MINE, "p, user:*, main, self, slack/send, write, tool.via == 'custom/post', allow")
    door.make(wrapper(), wrapper("other"))
    assert await door.tools(AMY) == ["post"]
    assert "isError" not in await door.use(AMY, "post", text="x")
    assert isinstance(await refused(door, AMY, call("tools/call", name="slack__send", arguments={})), Unknown)


async def test_a_request_to_a_host_is_judged_as_that_host():
    door = door_of(MINE, "p, user:*, main, self, http/api.example.com, read, , allow", connectors=[])
    door.make(
        http_tool("look", method="GET", url="https://api.example.com/{{q}}"),
        http_tool("tell", method="POST", url="https://api.example.com/{{q}}"),
        http_tool("elsewhere", method="GET", url="https://example.org/{{q}}"),
    )
    assert await door.tools(AMY) == ["look"]


# -- what a list shows


async def test_the_list_tells_of_the_tool_what_its_maker_says_and_of_its_danger_what_is_known():
    items = [tool("send", schema=schema("text"), destructive=True, execution={"taskSupport": "optional"})]
    door = door_of(MINE, SLACK, connectors=[slack(*items)])
    door.make(wrapper(title="Post", description="Posts.", annotations={"readOnlyHint": True, "destructiveHint": False}))
    shown = await definition(door, AMY, "post")
    assert (shown["title"], shown["description"], shown["inputSchema"]) == ("Post", "Posts.", schema("text"))
    assert (shown["annotations"]["readOnlyHint"], shown["annotations"]["destructiveHint"]) == (False, True)
    assert shown["execution"] == {"taskSupport": "optional"}


async def test_a_server_offers_what_users_made_only_where_it_says_so():
    rows = (MINE.replace("main", "*"), SLACK.replace("main", "*"))
    servers = [Server("desk", ("slack",)), Server("open", ("slack",), custom=True), Server("bare", (), custom=True)]
    door = door_of(*rows, servers=servers)
    door.make(wrapper())
    assert await door.tools(AMY, domain="desk") == ["slack__send"]
    assert await door.tools(AMY, domain="open") == ["slack__send", "post"]
    assert await door.tools(AMY, domain="bare") == [], "what it calls is to be had there as well"
    told = await door.ask(AMY, "initialize", domain="bare", protocolVersion="2025-11-25", capabilities={})
    assert told["capabilities"] == {"tools": {"listChanged": True}, "prompts": {"listChanged": True}}


async def test_what_users_made_comes_last_in_a_list_and_its_pages():
    door = door_of(MINE, SLACK, lent("a", AMY, of=BOB), bounds=Bounds(items=1))
    door.make(wrapper("b"), wrapper("a"), wrapper("a", BOB))
    found, cursor = [], {}
    for _ in range(10):
        page = await door.ask(AMY, "tools/list", **cursor)
        found += [each["name"] for each in page["tools"]]
        if "nextCursor" not in page:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert found[0] == "slack__send"
    assert found[3] == "b"
    assert len(set(found)) == 4


# -- names


async def test_of_several_of_one_name_ones_own_is_called_so_then_the_one_made_first():
    door = door_of(MINE, SLACK, OPERATORS, lent(to=BOB), lent(to=BOB, of=EVE))
    door.make(wrapper(maker=AMY, made=5), wrapper(maker=EVE, made=4), wrapper(maker=SYSTEM, made=9))
    assert (await definition(door, BOB, "post"))["name"] == "post"
    names = [name for name in await door.tools(BOB) if name.startswith("post")]
    assert len(names) == 3
    await door.use(BOB, "post", text="x")
    assert door.last.owner == owner_of(EVE)
    door.make(wrapper(maker=BOB, made=10))
    await door.use(BOB, "post", text="x")
    assert door.last.owner == owner_of(BOB)
    owners = set()
    for name in await door.tools(BOB):
        if name.startswith("post--"):
            await door.use(BOB, name, text="x")
            owners.add(door.last.owner)
    assert owners == {owner_of(EVE), owner_of(AMY), SYSTEM}


async def test_who_has_a_right_to_a_name_keeps_it_when_what_he_made_cannot_be_called():
    """A client goes on to call `post`: that must not become another's tool because a server is away."""
    door = door_of(MINE, SLACK, lent())
    door.make(wrapper(maker=BOB, calls="gone/send"), wrapper(maker=AMY))
    assert "post" not in await door.tools(BOB)
    assert isinstance(await refused(door, BOB, call("tools/call", name="post", arguments={"text": "x"})), Unknown)


async def test_what_nobody_lends_takes_no_name_from_what_somebody_does():
    door = door_of(MINE, SLACK, lent(of=AMY), lent("else", of=EVE), lent("prompt:*", of=EVE))
    door.make(wrapper(maker=EVE, made=1), wrapper("else", EVE), wrapper(maker=AMY, made=2))
    assert await door.tools(BOB) == ["slack__send", "else", "post"]
    await door.use(BOB, "post", text="x")
    assert door.last.owner == owner_of(AMY)


async def test_on_a_server_of_bare_names_a_users_tool_takes_none_of_them():
    servers = [Server("one", ("slack",), prefixed=False, custom=True)]
    connector = slack(tool("post"), tool("send", schema=schema("text")))
    door = door_of(MINE.replace("main", "*"), SLACK.replace("main", "*"), connectors=[connector], servers=servers)
    door.make(wrapper())
    first, second, mine = await door.tools(AMY, domain="one")
    assert (first, second) == ("post", "send")
    assert mine.startswith("post--")
    await door.use(AMY, "post", domain="one")
    assert connector.sent[-1].params["name"] == "post"
    await door.use(AMY, mine, domain="one", text="x")
    assert connector.sent[-1].params["name"] == "send"


async def test_a_name_that_a_tool_of_the_gateway_has_is_nobodys():
    door = door_of(MINE, SLACK)
    door.make(wrapper("execute_action"), wrapper("list-users"))
    names = await door.tools(AMY)
    assert not {"execute_action", "list-users"} & set(names)
    assert len(names) == 3


# -- prompts


async def test_a_prompt_is_filled_in_for_its_maker_and_for_whom_he_lends_it_to():
    door = door_of(MINE.replace("write", "read"), lent("prompt:greet").replace("write", "read"), connectors=[])
    door.make(letter())
    for email in (AMY, BOB):
        (shown,) = (await door.ask(email, "prompts/list"))["prompts"]
        assert shown == {"name": "greet", "arguments": [{"name": "who", "required": True}]}
        got = await door.ask(email, "prompts/get", name="greet", arguments={"who": "Ada"})
        assert got["messages"] == [{"role": "user", "content": {"type": "text", "text": "Dear Ada"}}]
        assert (door.last.object, door.last.owner) == ("custom/prompt:greet", owner_of(AMY))
    assert (await door.ask(EVE, "prompts/list"))["prompts"] == []
    assert isinstance(await refused(door, EVE, call("prompts/get", name="greet", arguments={"who": "x"})), Unknown)


async def test_a_lent_prompt_is_no_more_than_its_maker_has():
    door = door_of(lent("prompt:greet"), connectors=[])
    door.make(letter())
    assert (await door.ask(BOB, "prompts/list"))["prompts"] == []


async def test_a_prompt_is_got_in_the_modern_era_too_and_completion_proposes_nothing():
    door = door_of(MINE, connectors=[])
    door.make(letter())
    got = await door.ask(AMY, "prompts/get", era=Era.MODERN, name="greet", arguments={"who": "Ada"})
    assert got["messages"][0]["content"]["text"] == "Dear Ada"
    proposed = await door.ask(
        AMY,
        "completion/complete",
        ref={"type": "ref/prompt", "name": "greet"},
        argument={"name": "who", "value": "A"},
    )
    assert proposed == {"completion": {"values": [], "total": 0, "hasMore": False}}


@pytest.mark.parametrize("arguments", [{}, {"who": 1}, {"who": "Ada", "else": "x"}])
async def test_a_prompt_takes_its_own_arguments_and_no_others(arguments):
    door = door_of(MINE, connectors=[])
    door.make(letter())
    assert (await refused(door, AMY, call("prompts/get", name="greet", arguments=arguments))).code == -32602


async def test_what_answers_for_a_prompt_needs_no_account_and_knows_no_other_request():
    answers = Rendering(letter())
    assert (answers.owners(owner_of(BOB)), answers.owner("x"), answers.holds("")) == ((owner_of(AMY),), "", True)
    assert (await answers.catalogue("x")).items == {}
    answers.watch(lambda _: None)
    with pytest.raises(UpstreamError):
        await (await answers.open("x", "y")).send("tools/call", {}, QUIET)
    await answers.close()


# -- what is remembered


def view_of(connector: FakeConnector):
    return merge([(connector, connector._catalogue(connector.offered))], prefixed=True, custom=True)


def test_an_offer_is_made_once_for_one_view_and_anew_for_another_record_or_view():
    known, record, view = CustomCatalogue(targets()), wrapper(), view_of(slack())
    offer = known.offer(record, view, "post")
    assert known.offer(record, view, "post") is offer
    assert known.offer(wrapper(rev=2), view, "post") is not offer
    assert known.offer(record, view_of(slack()), "post") is not offer
    for number in range(KEPT):
        known.offer(record, view, f"post{number}")
    assert len(known._known[view]) <= KEPT
    assert known.offer(record, view, "post").name == "post"


def test_a_tool_that_does_something_else_has_another_mark():
    known, view = CustomCatalogue(targets()), view_of(slack())

    def mark(record) -> str:
        return known.offer(record, view, record.name).mark

    same = mark(wrapper())
    assert mark(wrapper(description="other words", rev=2)) == same
    others = [
        wrapper(args={"channel": "#x"}),
        wrapper(takes=schema("text", "channel")),
        wrapper(made=2),
        wrapper(maker=BOB),
        wrapper("other"),
    ]
    assert len({same, *map(mark, others)}) == 1 + len(others)


NAMES = st.sampled_from(("a", "b", "a" * 60, "a" * 59 + "b"))
MAKERS = st.sampled_from((AMY, BOB, EVE, SYSTEM))


@given(st.lists(st.tuples(NAMES, MAKERS, st.integers(1, 3)), max_size=12, unique_by=lambda each: each[:2]))
def test_public_names_are_unique_and_found_again_and_positions_sorted(made):
    rows = (OPERATORS, lent("*", AMY, of=BOB), *(lent(name, AMY, of=EVE) for name in ("a", "a" * 60)))
    records = [wrapper(name, maker, made=at) for name, maker, at in made]
    judge = Judge(
        policy("\n".join(rows)), Subject(owner_of(AMY)), MAIN, {"now": NOON}, custom=Custom(Made().changed(records))
    )
    offers = CustomCatalogue(targets()).offers(judge, view_of(slack()))
    listed = offers.listed(Kind.TOOL)
    expected = [each for each in records if each.owner != owner_of(EVE) or each.name in ("a", "a" * 60)]
    assert {offer.made.id for offer in listed} == {each.id for each in expected}
    assert len({offer.name for offer in listed}) == len(listed)
    assert [offer.position for offer in listed] == sorted({offer.position for offer in listed})
    assert all(offers.find(Kind.TOOL, offer.name) is offer for offer in listed)
    assert offers.find(Kind.PROMPT, "a") is None
    assert offers.find(Kind.TOOL, "c") is None
    assert {offer.name for offer in listed if offer.name == offer.made.name} == {each.name for each in expected}


async def test_a_name_tells_nobody_of_what_the_operator_has_and_he_may_not_use():
    door = door_of(MINE, SLACK, lent())
    door.make(wrapper(maker=AMY, made=2))
    assert await door.tools(BOB) == ["slack__send", "post"]
    door.make(wrapper(maker=SYSTEM, made=1))
    assert await door.tools(BOB) == ["slack__send", "post"]
