"""What the door shows: exactly what may be used, and what a server says of itself."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import UpstreamError
from gateway.catalogue import Server
from gateway.errors import (
    InvalidArguments,
    Unknown,
)
from gateway.mcp.terms import Era, Params
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


async def test_a_list_is_one_page_in_the_order_of_the_servers_and_shows_public_names():
    first = FakeConnector("b", [tool("z", title="Z", vendor={"x": 1}), tool("a")])
    door = Door(ALL, [first, FakeConnector("a", [tool("m")])])
    result = await door.ask(AMY, "tools/list")
    assert [each["name"] for each in result["tools"]] == ["b__z", "b__a", "a__m"]
    assert result["tools"][0] == {"name": "b__z", "inputSchema": {"type": "object"}, "title": "Z", "vendor": {"x": 1}}
    assert "nextCursor" not in result
    assert await door.ask(AMY, "tools/list", cursor="") == result


async def test_a_cursor_that_was_never_given_is_refused():
    door = Door(ALL, [slack()])
    invalid = await refused(door, AMY, call("tools/list", cursor="page-2"))
    assert (type(invalid), invalid.code) == (InvalidArguments, -32602)


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
    assert (result["resultType"], result["cacheScope"]) == ("complete", "private")
    denied = await Door(HELP_ONLY, [slack()]).ask(AMY, "tools/call", era=Era.MODERN, name="slack__send", arguments={})
    assert (denied["isError"], denied["resultType"]) == (True, "complete")


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
