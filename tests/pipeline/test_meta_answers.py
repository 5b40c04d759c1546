"""What the meta tools tell of an action, made of a schema that somebody else wrote."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Item
from gateway.catalogue.views import Offer
from gateway.mcp.schema import Arguments
from gateway.mcp.terms import Kind
from gateway.pipeline.meta_answers import details, sample, words
from gateway.policy.terms import Json, Tool
from tests.fakes import FakeConnector

CHANNEL = {"type": "string", "enum": ["#a", "#b"], "description": "Where to."}
SCHEMA = {
    "type": "object",
    "required": ["channel", "to", "meta"],
    "properties": {
        "channel": CHANNEL,
        "to": {"type": "array", "items": {"type": "string"}},
        "meta": {"type": "object", "required": ["n"], "properties": {"n": {"type": ["integer", "null"]}, "m": {}}},
        "silent": {"type": "boolean", "default": False},
    },
}


def offer_of(schema: Json, **more: Any) -> Offer:
    item = Item("c", Kind.TOOL, "x", {"name": "x", "inputSchema": schema, **more}, "write", Tool("c", "x"))
    return Offer(FakeConnector("c"), item, "c/x", "c/x")


def test_the_parameters_are_told_with_a_sample_of_those_that_are_required():
    told = details(offer_of(SCHEMA, description="d" * 1_000))
    assert [each["name"] for each in told["required"]] == ["channel", "to", "meta"]
    assert told["required"][0] == {"name": "channel", **CHANNEL}
    assert told["optional"] == [{"name": "silent", "type": "boolean", "default": False}]
    assert told["sample"] == {"channel": "#a", "to": ["text"], "meta": {"n": 1}}
    assert len(told["description"]) == 1_000, "nothing is cut here"
    assert not Arguments(SCHEMA).problems(told["sample"])


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 7, "default": 8}, 7),
        ({"default": 8, "examples": [9]}, 8),
        ({"examples": [9], "enum": [10]}, 9),
        ({"examples": [], "enum": [10]}, 10),
        ({"type": "number"}, 1),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": []}, None),
        ({"type": {}}, None),
        ({"properties": {"a": {}}, "required": ["a", 1]}, {"a": None}),
        ({"type": "object"}, {}),
        ({"$ref": "#/$defs/x"}, None),
        (True, None),
    ],
)
def test_a_sample_is_such_as_the_schema_describes(schema: Json, value: Json):
    assert sample(schema) == value


def test_a_schema_that_never_ends_has_a_sample_that_does():
    endless: dict[str, Any] = {"type": "array"}
    endless["items"] = endless
    assert sample(endless) == [[[[None]]]]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "properties", "required", "items", "enum", "const", "x"]), inner)
    ),
)


@given(ANY)
def test_no_schema_of_a_foreign_server_is_too_strange_to_be_told(schema: Json):
    assert details(offer_of(schema))["connectorId"] == "c"


def test_words_are_the_same_in_singular_and_plural_and_in_any_case():
    assert words("List Issues, of_repos!") == words("issue list repo OF")
    assert words("is gas bus") == {"is", "gas", "bus"}
