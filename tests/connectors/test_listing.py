"""Foreign lists become items: nothing harmless is lost, nothing doubtful is shown, every list ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Catalogue, Event, UpstreamSpec
from connectors.conversation import Terms
from connectors.listing import MAX_ITEMS, MAX_PAGES, changed, classify, read_catalogue
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Era, Kind
from gateway.policy.terms import Tool
from tests.connectors.scripted import Scripted, error, talking

SCHEMA = {"type": "object"}
ALL = {"tools": {}, "prompts": {}, "resources": {}}
EMPTY = {
    "tools/list": {"tools": []},
    "prompts/list": {"prompts": []},
    "resources/list": {"resources": []},
    "resources/templates/list": {"resourceTemplates": []},
}


async def catalogue(answers, *, capabilities=ALL, old=None, era=Era.LEGACY, **spec):
    transport = Scripted(EMPTY | answers)
    talk = await talking(transport, Terms(era, "2025-11-25", capabilities, "hello"))
    read = await read_catalogue(talk, UpstreamSpec(**({"id": "up", "transport": "stdio"} | spec)), old)
    return read, [message.method for message in transport.sent]


def tools(*entries):
    return {"tools/list": {"tools": list(entries)}}


def names(found, kind=Kind.TOOL):
    return [item.name for item in found.items[kind]]


async def test_a_definition_is_kept_as_it_came():
    entry = {"name": "a", "inputSchema": {"x-deep": {"$ref": "#/y"}}, "x-vendor": [1, {"k": None}], "_meta": {"v/x": 1}}
    found, _ = await catalogue(tools(entry))
    assert found.items[Kind.TOOL][0].definition == entry
    assert found.instructions == "hello"
    assert found.capabilities == ALL


async def test_only_what_the_capabilities_offer_is_asked_for():
    found, sent = await catalogue({}, capabilities={"resources": {"subscribe": True}, "tools": None, "x": {}})
    assert sent == ["resources/list", "resources/templates/list"]
    assert found.items == dict.fromkeys(Kind, ())


async def test_each_kind_is_named_by_its_own_key():
    found, _ = await catalogue(
        {
            "prompts/list": {"prompts": [{"name": "p"}]},
            "resources/list": {"resources": [{"uri": "a://b", "name": "r"}]},
            "resources/templates/list": {"resourceTemplates": [{"uriTemplate": "a://{x}", "name": "t"}]},
        },
        tags=("blue",),
        open_world=False,
    )
    assert (names(found, Kind.PROMPT), names(found, Kind.RESOURCE)) == (["p"], ["a://b"])
    assert names(found, Kind.TEMPLATE) == ["a://{x}"]
    for kind, name in ((Kind.PROMPT, "p"), (Kind.RESOURCE, "a://b"), (Kind.TEMPLATE, "a://{x}")):
        (item,) = found.items[kind]
        assert item.level == "read"
        assert item.facts == Tool("up", name, kind.value, destructive=False, open_world=False, tags=("blue",))


@pytest.mark.parametrize(
    "entry",
    [
        None,
        7,
        "a",
        [],
        {},
        {"name": None, "inputSchema": SCHEMA},
        {"name": "", "inputSchema": SCHEMA},
        {"Name": "a", "inputSchema": SCHEMA},
        {"name": "x" * 5_000, "inputSchema": SCHEMA},
        {"name": "shapeless"},
        {"name": "shapeless", "inputSchema": "object"},
        {"name": "good", "inputSchema": SCHEMA, "description": "not the first of this name"},
    ],
)
async def test_an_entry_that_cannot_be_named_without_doubt_is_dropped(entry):
    good = {"name": "good", "inputSchema": SCHEMA}
    found, _ = await catalogue(tools(good, entry, {"name": "also", "inputSchema": SCHEMA}))
    assert names(found) == ["good", "also"]
    assert found.items[Kind.TOOL][0].definition == good


async def test_a_resource_without_an_address_or_a_name_is_dropped():
    entries = [{"name": "r"}, {"uri": "a://b"}, {"uri": 5, "name": "r"}, {"uri": "a://c", "name": "r"}]
    found, _ = await catalogue({"resources/list": {"resources": entries}})
    assert names(found, Kind.RESOURCE) == ["a://c"]


@pytest.mark.parametrize("result", [{}, {"tools": None}, {"tools": {"name": "a"}}, {"Tools": []}, {"tools": "abc"}])
async def test_a_list_that_is_no_list_shows_nothing(result):
    found, _ = await catalogue({"tools/list": result})
    assert names(found) == []


async def test_every_page_is_read():
    def page(request):
        start = int(request.params.get("cursor", 0))
        entries = [{"name": f"t{n}", "inputSchema": SCHEMA} for n in range(start, start + 2)]
        return {"tools": entries} | ({"nextCursor": str(start + 2)} if start < 6 else {})

    found, sent = await catalogue({"tools/list": page})
    assert names(found) == [f"t{n}" for n in range(8)]
    assert sent.count("tools/list") == 4


@pytest.mark.parametrize(
    ("hints", "ttl"),
    [
        ({}, None),
        ({"tools/list": 90_000}, 90.0),
        ({"tools/list": 90_000, "prompts/list": 1_500, "resources/list": 60_000}, 1.5),
        ({"tools/list": 0}, 0.0),
        *(({"tools/list": wrong}, None) for wrong in (-1, True, "1000", 1.5, None, [])),
    ],
)
async def test_a_modern_server_says_for_how_long_its_lists_hold(hints, ttl):
    answers = {method: EMPTY[method] | {"ttlMs": hint} for method, hint in hints.items()}
    found, _ = await catalogue(answers, era=Era.MODERN)
    assert found.ttl == ttl
    legacy, _ = await catalogue(answers)
    assert legacy.ttl is None


async def test_a_list_that_never_ends_is_cut():
    numbers = iter(range(10**9))

    def page(request):
        return {"tools": [], "nextCursor": str(next(numbers))}

    _, sent = await catalogue({"tools/list": page})
    assert sent.count("tools/list") == MAX_PAGES

    def fat(request):
        entries = [{"name": f"t{next(numbers)}", "inputSchema": SCHEMA} for _ in range(4_000)]
        return {"tools": entries, "nextCursor": str(next(numbers))}

    found, _ = await catalogue({"tools/list": fat})
    assert len(names(found)) == MAX_ITEMS

    _, sent = await catalogue({"tools/list": {"tools": [], "nextCursor": "again"}})
    assert sent.count("tools/list") == 2


async def test_a_list_that_the_server_does_not_know_is_empty():
    found, _ = await catalogue(dict.fromkeys(EMPTY, error(-32601)))
    assert found.items == dict.fromkeys(Kind, ())


async def test_a_list_that_fails_stays_as_it_was():
    old, _ = await catalogue(tools({"name": "a", "inputSchema": SCHEMA}))
    found, _ = await catalogue({"tools/list": error(-32603)}, old=old)
    assert names(found) == ["a"]


async def test_tools_that_could_never_be_listed_are_a_failure_and_not_an_empty_list():
    with pytest.raises(UpstreamFailed, match="could not list its tools"):
        await catalogue({"tools/list": error(-32603)})
    found, _ = await catalogue({"prompts/list": error(-32603)})
    assert names(found, Kind.PROMPT) == []


async def test_a_tool_that_nobody_classified_is_the_worst_case():
    hints = {"readOnlyHint": True, "destructiveHint": False, "openWorldHint": False}
    found, _ = await catalogue(tools({"name": "a", "inputSchema": SCHEMA, "annotations": hints}))
    (item,) = found.items[Kind.TOOL]
    assert item.level == "write"
    assert item.facts == Tool("up", "a", "tool", destructive=True, open_world=True)


@pytest.mark.parametrize(
    ("hints", "level", "destructive", "open_world"),
    [
        ({"readOnlyHint": True}, "read", False, True),
        ({"readOnlyHint": "yes"}, "write", True, True),
        ({"destructiveHint": False}, "write", False, True),
        ({"readOnlyHint": False, "destructiveHint": True}, "write", True, True),
        ({"openWorldHint": False}, "write", True, False),
        ("readOnlyHint", "write", True, True),
        (None, "write", True, True),
    ],
)
async def test_trusted_hints_speak_for_tools_that_nobody_classified(hints, level, destructive, open_world):
    entry = {"name": "a", "inputSchema": SCHEMA, "annotations": hints}
    found, _ = await catalogue(tools(entry), trust_hints=True)
    (item,) = found.items[Kind.TOOL]
    assert (item.level, item.facts.destructive, item.facts.open_world) == (level, destructive, open_world)


def test_the_operators_word_comes_before_the_hint():
    assert classify("a", {"a": "destructive"}, {"readOnlyHint": True}) == ("write", True)
    assert classify("a", {"a*": "write"}, {"readOnlyHint": True}) == ("write", False)


def test_an_exact_name_comes_before_a_pattern_and_a_longer_pattern_before_a_shorter():
    words = {"*": "read", "get_*": "write", "get_secret*": "destructive", "get_secret_name": "read"}
    assert classify("list", words, None) == ("read", False)
    assert classify("get_time", words, None) == ("write", False)
    assert classify("get_secret", words, None) == ("write", True)
    assert classify("get_secret_name", words, None) == ("read", False)
    assert classify("x", {"get_*": "read"}, None) == ("write", True)


@given(
    st.text(max_size=8), st.dictionaries(st.text(max_size=6), st.sampled_from(["read", "write", "destructive", "?"]))
)
def test_classifying_never_fails_and_only_a_word_of_the_operator_makes_a_tool_harmless(name, words):
    level, destructive = classify(name, words, None)
    if not destructive:
        assert any(word == name or (word.endswith("*") and name.startswith(word[:-1])) for word in words)
    assert level in ("read", "write")


async def test_what_changed_is_told_by_list():
    old, _ = await catalogue(tools({"name": "a", "inputSchema": SCHEMA}))
    new, _ = await catalogue({"resources/templates/list": {"resourceTemplates": [{"uriTemplate": "a", "name": "t"}]}})
    assert changed(old, new) == [Event.RESOURCES, Event.TOOLS]
    assert changed(old, old) == []
    assert changed(Catalogue(items={}), old) == [Event.TOOLS]


async def test_a_tool_whose_header_declarations_are_invalid_is_not_shown_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
):
    good = {"type": "string", "x-mcp-header": "Region"}
    entries = [
        {"name": "good", "inputSchema": {"type": "object", "properties": {"region": good}}},
        {"name": "twice", "inputSchema": {"type": "object", "properties": {"a": good, "b": good}}},
        {"name": "\x1b[2J", "inputSchema": {"type": "object", "anyOf": [{"properties": {"a": good}}]}},
        {"name": "last", "inputSchema": SCHEMA},
    ]
    found, _ = await catalogue(tools(*entries))
    assert names(found) == ["good", "last"]
    assert "upstream `up`: the tool `twice` is not shown: `x-mcp-header` at " in caplog.text
    assert "`x-mcp-header` stands where no argument is named by `properties` alone" in caplog.text
    assert "\x1b" not in caplog.text
