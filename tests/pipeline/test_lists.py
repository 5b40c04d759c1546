"""What the door shows: exactly what may be used, and what a server says of itself."""

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Event, UpstreamError
from gateway.catalogue import Server
from gateway.errors import (
    InvalidArguments,
    Unknown,
)
from gateway.mcp.cursors import Bounds
from gateway.mcp.terms import Era, Params
from gateway.pipeline.judge import Judge
from gateway.policy.terms import SYSTEM
from tests.builders import (
    ALL,
    AMY,
    BOB,
    HELP_ONLY,
    SERVER_INFO,
    Door,
    call,
    refused,
)
from tests.fakes import FakeConnector, prompt, raising, resource, slack, template, tool

# -- lists


CONDITIONS = [
    "", "args.n == 1", "args.n > 0", "args.word == 'a'", "args.n == 1 and args.word == 'b'", "not args.n == 2",
    "args.n > 5", "args.word in ['a', 'b']", "tool.destructive", "has(args.free)", "claims.amr == 'mfa'",
    "hours(env.now, '08:00', '18:00')", "args.n == 0 or args.word == 'b'", "tool.name == 't'",
]  # fmt: skip
SCHEMA: Params = {
    "type": "object",
    "properties": {"n": {"enum": [0, 1, 2]}, "word": {"enum": ["a", "b"]}},
    "required": ["n", "word"],
    "additionalProperties": False,
}
UNIVERSE = [{"n": n, "word": word} for n, word in itertools.product([0, 1, 2], ["a", "b"])]
ROWS = st.builds(
    lambda sub, dom, own, obj, act, when, eft: (
        f"p, {sub}, {dom}, {'self' if eft == 'allow' and own == '*' else own}, {obj}, {act}, {when}, {eft}"
    ),
    st.sampled_from(["user:*", f"user:{AMY}", "role:staff", f"user:{BOB}", "*"]),
    st.sampled_from(["*", "main", "main", "side"]),
    st.sampled_from(["self", "*", "system"]),
    st.sampled_from(["c/t", "c/t", "c/*", "c/other", "*"]),
    st.sampled_from(["read", "write", "write"]),
    st.sampled_from(CONDITIONS),
    st.sampled_from(["allow", "allow", "deny"]),
)


@given(
    rows=st.lists(ROWS, min_size=1, max_size=5),
    level=st.sampled_from(["read", "write"]),
    destructive=st.booleans(),
    lenders=st.sampled_from([None, (SYSTEM,), ("", SYSTEM)]),
)
def test_a_tool_is_listed_exactly_when_some_call_of_it_reaches_the_server(rows, level, destructive, lenders):
    async def compare() -> None:
        offered = [tool("t", level, destructive=destructive, schema=SCHEMA)]
        connector = FakeConnector("c", offered, lenders=lenders)
        text = "\n".join((*rows, f"g, user:{AMY}, role:staff, *"))
        door = Door(text, [connector], limits="[[class]]\nname = 'default'\ncalls = 1000\nwindow_s = 60\n")
        listed = "c__t" in await door.tools(AMY)
        for arguments in UNIVERSE:
            try:
                await door.use(AMY, "c__t", **arguments)
            except Unknown:
                assert not listed
        assert listed == bool(connector.sent)
        assert len(door.entries) == 1 + len(UNIVERSE)

    asyncio.run(compare())


async def test_a_list_has_the_order_of_the_servers_then_of_names_and_shows_public_names():
    first = FakeConnector("b", [tool("z", title="Z", vendor={"x": 1}), tool("a")])
    door = Door(ALL, [first, FakeConnector("a", [tool("m")])])
    result = await door.ask(AMY, "tools/list")
    assert [each["name"] for each in result["tools"]] == ["b__a", "b__z", "a__m"]
    assert result["tools"][1] == {"name": "b__z", "inputSchema": {"type": "object"}, "title": "Z", "vendor": {"x": 1}}
    assert "nextCursor" not in result
    assert await door.ask(AMY, "tools/list", cursor="") == result
    first.offered = [*reversed(first.offered)]
    first.change(Event.TOOLS)
    assert await door.ask(AMY, "tools/list") == result


async def listed(door: Door, method: str, key: str, *, email: str = AMY, era: Era = Era.LEGACY) -> list[list[str]]:
    """The names on each page of a list."""
    pages: list[list[str]] = []
    cursor: Params = {}
    while True:
        result = await door.ask(email, method, era=era, **cursor)
        pages.append([each[key] for each in next(each for each in result.values() if isinstance(each, list))])
        if "nextCursor" not in result:
            return pages
        cursor = {"cursor": result["nextCursor"]}


@pytest.mark.parametrize("era", Era)
async def test_every_kind_of_list_comes_in_pages_that_hold_each_visible_item_once(era: Era):
    offered = [
        *(tool(f"t{n}") for n in range(7)),
        *(prompt(f"p{n}") for n in range(7)),
        *(resource(f"a://{n}") for n in range(7)),
        *(template(f"b{n}://{{x}}") for n in range(7)),
    ]
    rows = f"{ALL}\np, *, *, *, c/t3, write, , deny\np, *, *, *, c/prompt:p6, read, , deny"
    door = Door(rows, [FakeConnector("c", offered)], bounds=Bounds(items=3))
    assert await listed(door, "tools/list", "name", era=era) == [
        ["c__t0", "c__t1", "c__t2"],
        ["c__t4", "c__t5", "c__t6"],
    ]
    assert [len(each) for each in await listed(door, "prompts/list", "name", era=era)] == [3, 3]
    assert [len(each) for each in await listed(door, "resources/list", "uri", era=era)] == [3, 3, 1]
    assert [len(each) for each in await listed(door, "resources/templates/list", "uriTemplate", era=era)] == [3, 3, 1]


async def test_a_page_is_bounded_in_bytes_too():
    offered = [tool(name, description="x" * 400) for name in "abc"]
    door = Door(ALL, [FakeConnector("c", offered)], bounds=Bounds(bytes=1_000))
    assert await listed(door, "tools/list", "name") == [["c__a", "c__b"], ["c__c"]]


async def test_what_comes_and_goes_between_two_pages_neither_hides_nor_repeats_the_others():
    c = FakeConnector("c", [tool(name) for name in "bdfh"])
    door = Door(ALL, [c], bounds=Bounds(items=2))
    first = await door.ask(AMY, "tools/list")
    c.offered = [tool(name) for name in "acfgh"]
    c.change(Event.TOOLS)
    second = await door.ask(AMY, "tools/list", cursor=first["nextCursor"])
    assert [each["name"] for each in (*first["tools"], *second["tools"])] == ["c__b", "c__d", "c__f", "c__g"]
    third = await door.ask(AMY, "tools/list", cursor=second["nextCursor"])
    assert [each["name"] for each in third["tools"]] == ["c__h"]


async def test_only_the_items_of_a_page_are_judged(monkeypatch: pytest.MonkeyPatch):
    door = Door(ALL, [FakeConnector("c", [tool(f"t{n:04}") for n in range(1_000)])], bounds=Bounds(items=10))
    judged: list[str] = []
    monkeypatch.setattr(Judge, "visible", lambda _, offer: judged.append(offer.name) is None)
    first = await door.ask(AMY, "tools/list")
    await door.ask(AMY, "tools/list", cursor=first["nextCursor"])
    assert judged == [f"c__t{n:04}" for n in (*range(11), *range(10, 21))]


async def test_a_cursor_is_good_for_one_list_of_one_account_on_one_server():
    offered = [tool("a"), tool("b"), prompt("a"), prompt("b")]
    side = Server("side", ("c",))
    door = Door(ALL, [FakeConnector("c", offered)], servers=[side], bounds=Bounds(items=1))
    cursor = (await door.ask(AMY, "tools/list"))["nextCursor"]
    assert [each["name"] for each in (await door.ask(AMY, "tools/list", cursor=cursor))["tools"]] == ["c__b"]
    for email, asked in (
        (BOB, call("tools/list", cursor=cursor)),
        (AMY, call("prompts/list", cursor=cursor)),
        (AMY, call("tools/list", cursor=cursor, domain="side")),
        (AMY, call("tools/list", cursor="page-2")),
        (AMY, call("tools/list", cursor=cursor, era=Era.MODERN, domain="side")),
    ):
        invalid = await refused(door, email, asked)
        assert (type(invalid), invalid.code) == (InvalidArguments, -32602)
        assert invalid.text.startswith("`cursor`: ")
    more = Door(ALL, [FakeConnector("c", offered), FakeConnector("d")], bounds=Bounds(items=1))
    assert isinstance(await refused(more, AMY, call("tools/list", cursor=cursor)), InvalidArguments)


async def test_prompts_resources_and_templates_are_listed_as_far_as_they_may_be_used():
    offered = [
        prompt("p1"),
        prompt("p2"),
        resource("a://1"),
        resource("b://1"),
        template("a://{x}"),
        template("b://{x}"),
        template("c://x/{y}"),
    ]
    rows = """
p, user:*, main, self, c/prompt:p1, read, , allow
p, user:*, main, self, c/resource:a://*, read, , allow
p, user:*, main, self, c/resource:c://x/7, read, , allow
"""
    door = Door(rows, [FakeConnector("c", offered)])
    assert [each["name"] for each in (await door.ask(AMY, "prompts/list"))["prompts"]] == ["c__p1"]
    assert [each["uri"] for each in (await door.ask(AMY, "resources/list"))["resources"]] == ["a://1"]
    listed = (await door.ask(AMY, "resources/templates/list"))["resourceTemplates"]
    assert [each["uriTemplate"] for each in listed] == ["a://{x}", "c://x/{y}"]


@pytest.mark.parametrize(("kind", "listed"), [("resource", ["a://{x}"]), ("template", [])])
async def test_a_template_is_asked_about_as_the_resources_that_it_stands_for(kind: str, listed: list[str]):
    rows = f"p, user:*, main, self, c/resource:*, read, tool.kind == '{kind}', allow"
    door = Door(rows, [FakeConnector("c", [template("a://{x}")])])
    found = (await door.ask(AMY, "resources/templates/list"))["resourceTemplates"]
    assert [each["uriTemplate"] for each in found] == listed


async def test_a_resource_is_read_by_uri_by_template_and_by_the_only_connector():
    offered = [resource("a://1"), template("t://{x}")]
    door = Door("p, user:*, main, self, c/resource:*, read, , allow", [only := FakeConnector("c", offered)])
    for uri in ("a://1", "t://42", "free://7"):
        await door.ask(AMY, "resources/read", uri=uri)
    assert [sent.params["uri"] for sent in only.sent] == ["a://1", "t://42", "free://7"]
    assert [entry.object for entry in door.entries] == [f"c/resource:{uri}" for uri in ("a://1", "t://42", "free://7")]


async def test_a_resource_is_judged_without_arguments_whatever_a_client_adds():
    rows = "p, user:*, main, self, c/resource:*, read, args.n == 1, allow"
    door = Door(rows, [connector := FakeConnector("c", [resource("a://1")])])
    assert isinstance(await refused(door, AMY, call("resources/read", uri="a://1", arguments={"n": 1})), Unknown)
    assert (await door.ask(AMY, "resources/list"))["resources"] == []
    assert connector.opened == []


@pytest.mark.parametrize(("era", "code"), [(Era.LEGACY, -32002), (Era.MODERN, -32602)])
async def test_an_error_of_the_server_is_told_in_the_words_of_the_clients_era(era: Era, code: int):
    gone = raising(UpstreamError(-32002, "gone", {"vendor": 1}))
    door = Door(
        "p, user:*, main, self, c/resource:*, read, , allow", [FakeConnector("c", [resource("a://1")], answer=gone)]
    )
    with pytest.raises(UpstreamError, match="gone") as told:
        await door.ask(AMY, "resources/read", era=era, uri="a://1")
    assert told.value.code == code
    assert door.last.outcome == "upstream_error"


async def test_the_modern_era_gets_its_envelope():
    door = Door(ALL, [slack()])
    result = await door.ask(AMY, "tools/list", era=Era.MODERN)
    assert (result["resultType"], result["cacheScope"], result["ttlMs"]) == ("complete", "private", 0)
    denied = await Door(HELP_ONLY, [slack()]).ask(AMY, "tools/call", era=Era.MODERN, name="slack__send", arguments={})
    assert (denied["isError"], denied["resultType"]) == (True, "complete")


@pytest.mark.parametrize(("said", "told"), [(60_000, 60_000), (-1, 0), ("9", 0), (None, 0)])
async def test_a_resource_may_be_kept_as_its_server_says_and_what_the_gateway_says_not_at_all(said: Any, told: int):
    answer = {"contents": [], "ttlMs": said, "cacheScope": "public"}
    connector = FakeConnector("c", [resource("a://1"), prompt("p")], answer=lambda _: answer)
    door = Door(ALL, [connector], bounds=Bounds(items=1))
    read = await door.ask(AMY, "resources/read", era=Era.MODERN, uri="a://1")
    assert (read["ttlMs"], read["cacheScope"]) == (told, "private")
    for method in ("server/discover", "prompts/list", "resources/list", "resources/templates/list"):
        own = await door.ask(AMY, method, era=Era.MODERN)
        assert (own["ttlMs"], own["cacheScope"]) == (0, "private")


# -- openings


async def test_initialize_agrees_on_a_version_and_says_what_the_server_can_do():
    connector = FakeConnector("c", capabilities={"tools": {}}, instructions="theirs")
    door = Door("", [connector], servers=[Server("side", ("c",), instructions="ours")])
    result = await door.ask(AMY, "initialize", protocolVersion="2025-06-18")
    assert result["protocolVersion"] == "2025-06-18"
    assert result["capabilities"] == {"tools": {"listChanged": True}}
    assert (result["serverInfo"], result["instructions"]) == (SERVER_INFO, "theirs")
    side = await door.ask(AMY, "initialize", protocolVersion="2025-06-18", domain="side")
    assert side["instructions"] == "ours"


async def test_discover_answers_the_modern_era():
    door = Door("", [slack(), FakeConnector("other")])
    result = await door.ask(AMY, "server/discover", era=Era.MODERN)
    assert "2026-07-28" in result["supportedVersions"]
    assert result["capabilities"]["resources"] == {"listChanged": True, "subscribe": True}
    assert "instructions" not in result


async def test_ping_and_log_level_are_answered_here():
    door = Door("", [chat := slack()])
    assert await door.ask(AMY, "ping") == {}
    assert await door.ask(AMY, "logging/setLevel", level="info") == {}
    assert chat.asked == 0


# -- completion


async def test_completion_is_for_those_who_see_the_prompt_or_template():
    rows = "p, user:*, main, self, c/prompt:p1, read, args.to == 'bob', allow\np, user:*, main, self, c/resource:a://*, read, , allow"
    offered = [prompt("p1", "to"), prompt("p2"), template("a://{x}"), template("b://{x}")]
    door = Door(rows, [connector := FakeConnector("c", offered, answer=lambda _: {"completion": {"values": ["bob"]}})])
    argument = {"name": "to", "value": "b"}
    for ref in ({"type": "ref/prompt", "name": "c__p1"}, {"type": "ref/resource", "uri": "a://{x}"}):
        assert (await door.ask(AMY, "completion/complete", ref=ref, argument=argument))["completion"]["values"] == [
            "bob"
        ]
    assert [sent.params["ref"] for sent in connector.sent] == [
        {"type": "ref/prompt", "name": "p1"},
        {"type": "ref/resource", "uri": "a://{x}"},
    ]
    assert door.last.object == "c/resource:a://"
    for ref in ({"type": "ref/prompt", "name": "c__p2"}, {"type": "ref/resource", "uri": "b://{x}"}):
        assert isinstance(await refused(door, AMY, call("completion/complete", ref=ref, argument=argument)), Unknown)
    assert len(connector.sent) == 2


@pytest.mark.parametrize("era", Era)
async def test_completion_passes_what_is_known_and_is_for_those_who_could_use_it_so(era: Era):
    rows = """
p, user:*, main, self, c/prompt:p, read, args.team == 'red', allow
p, user:*, main, self, c/resource:a://red/*, read, , allow
"""
    offered = [prompt("p", "team", "doc"), template("a://{team}/{doc}"), template("a://{+team}/{doc}")]
    door = Door(rows, [connector := FakeConnector("c", offered, answer=lambda _: {"completion": {"values": []}})])
    argument = {"name": "doc", "value": "d"}
    refs = (
        {"type": "ref/prompt", "name": "c__p"},
        {"type": "ref/resource", "uri": "a://{team}/{doc}"},
    )
    for ref in refs:
        for known in ({}, {"team": "red"}, {"other": "x", "team": "red"}):
            await door.ask(
                AMY, "completion/complete", era=era, ref=ref, argument=argument, context={"arguments": known}
            )
            assert connector.sent[-1].params["context"] == {"arguments": known}
            assert connector.sent[-1].params["argument"] == argument
        asked = len(connector.sent)
        for known in ({"team": "blue"}, {"team": "red/../blue"}, {"team": ".."}, {"team": "{team}"}):
            question = call("completion/complete", era=era, ref=ref, argument=argument, context={"arguments": known})
            assert isinstance(await refused(door, AMY, question), Unknown)
        assert len(connector.sent) == asked
    # what is put in otherwise than as it stands is not known
    ref = {"type": "ref/resource", "uri": "a://{+team}/{doc}"}
    await door.ask(
        AMY, "completion/complete", era=era, ref=ref, argument=argument, context={"arguments": {"team": "x"}}
    )
    assert connector.sent[-1].params["ref"] == ref


@pytest.mark.parametrize("context", [5, [], {"arguments": []}, {"arguments": {"team": 5}}, {"arguments": None}])
async def test_a_context_that_is_none_is_refused_alike_for_what_is_there_and_what_is_not(context: Any):
    door = Door(ALL, [FakeConnector("c", [prompt("p", "team")])])
    for name in ("c__p", "c__q"):
        ref, argument = {"type": "ref/prompt", "name": name}, {"name": "team", "value": ""}
        invalid = await refused(door, AMY, call("completion/complete", ref=ref, argument=argument, context=context))
        assert (type(invalid), invalid.text) == (InvalidArguments, "`context.arguments`: must be an object of texts")
