"""What an author writes, as tools: with their facts, or every fault."""

from types import SimpleNamespace

import pytest

from connectors.packages.package import RESERVED, read_package
from gateway.policy.terms import Tool
from tests.connectors.packages.building import FORECAST, author, echo, package


def with_(**more):
    return {**FORECAST, **more}


def test_a_package_offers_its_tools_as_they_are_written():
    (item,) = package().items
    assert item.definition == FORECAST
    assert (item.connector, item.name, item.level) == ("weather", "forecast", "read")


@pytest.mark.parametrize(
    ("hints", "level", "destructive", "open_world"),
    [
        ({}, "write", True, True),
        ({"readOnlyHint": True}, "read", False, True),
        ({"readOnlyHint": True, "destructiveHint": True}, "read", False, True),
        ({"readOnlyHint": "true"}, "write", True, True),
        ({"destructiveHint": False, "openWorldHint": False}, "write", False, False),
        ({"destructiveHint": None, "openWorldHint": 0}, "write", True, True),
    ],
)
def test_what_a_tool_does_not_say_counts_as_the_worst_case(hints, level, destructive, open_world):
    (item,) = package(echo, with_(annotations=hints)).items
    assert item.level == level
    assert item.facts == Tool("weather", "forecast", destructive=destructive, open_world=open_world)


def test_what_is_told_besides_the_arguments_is_not_shown():
    made = package(echo, with_(handler={"type": "weather", "config": {"action": "tell", "unit": "C"}}), with_(name="b"))
    assert made.config == {"forecast": {"action": "tell", "unit": "C"}, "b": {"action": "b"}}
    assert [set(each.definition) & {"handler"} for each in made.items] == [set(), set()]


async def start():
    pass


def plain(args, context, config, progress):
    pass


DEEP: list = []
DEEP.append(DEEP)


@pytest.mark.parametrize(
    ("candidate", "sentence"),
    [
        (SimpleNamespace(), "`name` is to be"),
        (author(name="Weather"), "`name` is to be"),
        (author(name="a--b"), "`name` is to be"),
        (author(name="a" * 33), "`name` is to be"),
        *((author(name=each), "`name` is to be") for each in RESERVED),
        (author(plain), "`handle` is to be an `async` function"),
        (author(None), "`handle` is to be an `async` function"),
        (author(start=lambda: None), "`start` is to be an `async` function"),
        (author(stop=plain), "`stop` is to be an `async` function"),
        (SimpleNamespace(name="weather", handle=echo), "`tools` is to be a list"),
        (SimpleNamespace(name="weather", handle=echo, tools=[]), "`tools` is to be a list"),
        (SimpleNamespace(name="weather", handle=echo, tools="abc"), "`tools` is to be a list"),
        (author(echo, "forecast"), "tools[0] is to be an object"),
        (author(echo, FORECAST, FORECAST), "two of its `tools` have one name"),
        (author(echo, with_(name="")), "tools[0].name is to be a text"),
        (author(echo, with_(name="a" * 129)), "tools[0].name is to be a text"),
        (author(echo, FORECAST, with_(name=1)), "tools[1].name is to be a text"),
        (author(echo, {"name": "a"}), "tools[0].inputSchema is to be a JSON schema"),
        (author(echo, with_(inputSchema={"type": 1})), "tools[0].inputSchema cannot be checked"),
        (author(echo, with_(annotations=[])), "tools[0].annotations is to be an object"),
        (author(echo, with_(handler="x")), "tools[0].handler is to be an object"),
        (author(echo, with_(description=1)), "tools[0].description is to be a text"),
        (author(echo, with_(rolesPermitted=["user"])), "tools[0].rolesPermitted is not known; who may call"),
        (author(echo, with_(inputSchemas={})), "tools[0].inputSchemas is not known; did you mean `inputSchema`?"),
        (author(echo, with_(annotations={"x": object()})), "tools[0] holds what is no JSON"),
        (author(echo, with_(annotations={"x": DEEP})), "tools[0] holds what is no JSON"),
    ],
)
def test_what_is_no_package_is_told_why(candidate, sentence):
    found = read_package(candidate)
    assert isinstance(found, list)
    assert any(each.startswith(sentence) for each in found), found
