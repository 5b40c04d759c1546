"""Which arguments headers repeat, and as which text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from connectors.repeating import places, repeated

TEXT = {"type": "string"}


def header(name, type="string"):
    return {"type": type, "x-mcp-header": name}


def test_annotated_properties_are_repeated_wherever_they_stand():
    inner = {"type": "object", "properties": {"zone": header("Zone"), "plain": TEXT}}
    schema = {
        "properties": {
            "region": header("Region"),
            "n": header("N", "integer"),
            "deep": inner,
            "b": header("B", "boolean"),
        }
    }
    where = places(schema)
    assert where == {("region",): "Region", ("n",): "N", ("deep", "zone"): "Zone", ("b",): "B"}
    arguments = {"region": "Zürich", "n": 5, "deep": {"zone": ""}, "b": True, "other": "x"}
    assert repeated(where, arguments) == {"Region": "Zürich", "N": "5", "Zone": "", "B": "true"}


def test_what_is_absent_or_no_plain_value_is_not_repeated():
    where = places({"properties": {name: header(name) for name in "abcd"}})
    assert repeated(where, {"a": None, "b": [1], "c": {"x": 1}}) == {}
    assert repeated(where, None) == {}
    assert repeated(places({"properties": {"a": {"properties": {"b": header("B")}}}}), {"a": "text"}) == {}


def test_an_annotation_that_no_header_can_carry_is_ignored():
    bad = ["", "a b", "a\r\nX-Evil", "ü", "x" * 65, "a:b", 5, None, ["a"]]
    schema = {"properties": {str(n): header(name) for n, name in enumerate(bad)}}
    assert places(schema) == {}
    assert places({"properties": {"a": header("A", "number"), "b": header("B", "object")}}) == {}
    assert places({"x-mcp-header": "Root", "type": "string"}) == {}


def test_two_that_would_share_a_header_are_both_left_out():
    assert places({"properties": {"a": header("Same"), "b": header("sAME"), "c": header("C")}}) == {("c",): "C"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "properties", "x-mcp-header", "a", "string"]), each, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON, JSON)
def test_any_schema_and_arguments_give_texts_under_names_that_are_tokens(schema, arguments):
    texts = repeated(places(schema), arguments)
    assert all(re.fullmatch(r"[!-~]{1,64}", name) and isinstance(text, str) for name, text in texts.items())
