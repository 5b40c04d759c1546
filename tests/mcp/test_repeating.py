"""Which arguments headers repeat, as which text, and which headers do not say what the body says."""

import base64
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mcp.repeating import disagreement, fault, places, repeated

TEXT = {"type": "string"}


def header(name, type="string", **more):
    return {"type": type, "x-mcp-header": name, **more}


def schema(**properties):
    return {"type": "object", "properties": properties}


def test_annotated_properties_are_repeated_wherever_they_stand():
    inner = schema(zone=header("Zone"), plain=TEXT)
    where = places(schema(region=header("Region"), n=header("N", "integer"), deep=inner, b=header("B", "boolean")))
    assert where == {("region",): "Region", ("n",): "N", ("deep", "zone"): "Zone", ("b",): "B"}
    arguments = {"region": "Zürich", "n": 5, "deep": {"zone": ""}, "b": True, "other": "x"}
    assert repeated(where, arguments) == {"Region": "Zürich", "N": "5", "Zone": "", "B": "true"}
    assert repeated(where, {"n": 42.0, "b": False}) == {"N": "42", "B": "false"}


def test_what_is_absent_or_no_plain_value_is_not_repeated():
    where = places(schema(**{name: header(name) for name in "abcd"}))
    assert repeated(where, {"a": None, "b": [1], "c": {"x": 1}, "d": 4.5}) == {}
    assert repeated(where, None) == {}
    assert repeated(places(schema(a=schema(b=header("B")))), {"a": "text"}) == {}


# -- declarations that a client has to refuse


@pytest.mark.parametrize("name", ["", "a b", "a\r\nX-Evil", "ü", "x" * 257, "a:b", 5, None, ["a"], True])
def test_a_name_that_no_header_can_have_spoils_the_tool(name):
    spoilt = schema(good=header("Good"), bad=header(name))
    assert fault(spoilt) == "`x-mcp-header` at `bad` is not a name of 1 to 256 characters that a header can have"
    assert places(spoilt) == {}


@pytest.mark.parametrize("type", ["number", "object", "array", "null", None, ["string"], ["string", "null"], {}])
def test_only_texts_integers_and_booleans_are_repeated(type):
    assert "whose type is not one of `string`, `integer`, `boolean`" in fault(schema(a=header("A", type)))
    assert places(schema(a=header("A", type))) == {}


def test_two_that_would_share_a_header_spoil_the_tool():
    assert "is used twice" in fault(schema(a=header("Same"), b=schema(c=header("sAME"))))


A = header("A")
ELSEWHERE = [
    A,
    {"type": "array", "items": A},
    {"prefixItems": [TEXT, A]},
    {"properties": {"a": {"items": {"properties": {"b": A}}}}},
    {"anyOf": [schema(a=A)]},
    {"properties": {"a": {"allOf": [A]}}},
    {"properties": {"a": {"oneOf": [TEXT, A]}}},
    {"not": A},
    {"if": schema(a=A), "then": True},
    {"then": schema(a=A)},
    {"else": schema(a=A)},
    {"$defs": {"a": A}, "properties": {"a": {"$ref": "#/$defs/a"}}},
    {"definitions": {"a": A}},
    {"patternProperties": {"^a": A}},
    {"additionalProperties": A},
    {"propertyNames": A},
    {"dependentSchemas": {"a": schema(b=A)}},
    {"dependencies": {"a": ["b"], "b": schema(c=A)}},
    {"contains": A},
    {"contentSchema": A},
    {"unevaluatedItems": A},
    {"unevaluatedProperties": A},
    {"additionalItems": A},
]


@pytest.mark.parametrize("spoilt", ELSEWHERE, ids=str)
def test_an_annotation_that_more_than_properties_leads_to_spoils_the_tool(spoilt):
    assert fault(spoilt) == "`x-mcp-header` stands where no argument is named by `properties` alone"
    assert places(spoilt) == {}


@pytest.mark.parametrize(
    "sound",
    [
        None,
        True,
        [],
        schema(a={"default": {"x-mcp-header": 5}, "enum": [{"x-mcp-header": ""}], "const": A, "examples": [A]}),
        schema(**{"x-mcp-header": TEXT}),
        schema(properties=TEXT, items=TEXT),
        schema(properties=schema(items=header("Deep"))),
    ],
    ids=str,
)
def test_what_is_data_or_a_name_is_no_annotation(sound):
    assert fault(sound) == ""


def test_a_very_deep_schema_is_read_to_its_end():
    deep = header("Deep")
    for _ in range(5_000):
        deep = schema(a=deep)
    assert fault(deep) == ""
    assert len(places(deep)) == 1


# -- what a call says twice

WHERE = places(schema(region=header("Region"), n=header("N", "integer"), b=header("B", "boolean")))


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({}, {}),
        ({"region": "eu"}, {"region": "eu"}),
        ({"region": "eu"}, {"region": " eu\t"}),
        ({"region": "Zürich"}, {"region": "=?base64?WsO8cmljaA==?="}),
        ({"region": "eu"}, {"region": "=?base64?ZXU=?="}),
        ({"region": ""}, {"region": ""}),
        ({"region": None}, {}),
        ({"region": ["eu"]}, {}),
        ({"n": 42}, {"n": "42"}),
        ({"n": 42}, {"n": "42.0"}),
        ({"n": 42.0}, {"n": "42"}),
        ({"n": -7}, {"n": "-7"}),
        ({"n": 2**60 + 1}, {"n": str(2**60 + 1)}),
        ({"b": True}, {"b": "true"}),
        ({"b": False, "n": 0}, {"b": "false", "n": "0"}),
        ({"region": "eu", "other": 1}, {"region": "eu", "other": "7", "unknown": "\u00fc"}),
    ],
)
def test_headers_that_say_what_the_arguments_say_agree(arguments, headers):
    assert disagreement(WHERE, arguments, headers) == ""


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "eu"}, {}),
        ({"region": "eu"}, {"region": "us"}),
        ({"region": "eu"}, {"region": "EU"}),
        ({"region": "eu"}, {"region": "eu, eu"}),
        ({"region": "eu"}, {"region": "=?base64?ZXU?="}),
        ({"region": "eu"}, {"region": "=?base64?ZX!!U=?="}),
        ({"region": "eu"}, {"region": "=?base64?ZXU=?"}),
        ({"region": "Zürich"}, {"region": "Zürich"}),
        ({"region": "a\x01"}, {"region": "a\x01"}),
        ({"n": 42}, {"n": "43"}),
        ({"n": 42}, {"n": "42.5"}),
        ({"n": 42}, {"n": "0x2a"}),
        ({"n": 42}, {"n": "4_2"}),
        ({"n": 42}, {"n": "٤٢"}),
        ({"n": 1}, {"n": "true"}),
        ({"n": 1}, {"n": "1" * 100}),
        ({"n": 4.5}, {"n": "4"}),
        ({"b": True}, {"b": "1"}),
        ({"b": True}, {"b": "True"}),
    ],
)
def test_headers_that_do_not_say_what_the_arguments_say_are_told(arguments, headers):
    told = disagreement(WHERE, arguments, headers)
    assert re.fullmatch(r"Mcp-Param-(Region|N|B): (must be given once, as in the arguments|repeats no argument)", told)


@pytest.mark.parametrize("arguments", [{}, {"region": None}, {"region": ["eu"]}, {"region": {}}, None, "eu"])
def test_a_header_for_an_argument_that_is_not_there_is_told(arguments):
    assert disagreement(WHERE, arguments, {"region": "eu"}) == "Mcp-Param-Region: repeats no argument"


PLAIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "region": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=10) | PLAIN,
        "n": st.none() | st.integers() | st.integers(-9, 9).map(float),
        "b": st.none() | st.booleans(),
    },
)


def sent(text):
    """As a client writes it."""
    plain = re.fullmatch(r"[ -~]*", text) and text == text.strip() and not re.fullmatch(r"=\?base64\?.*\?=", text)
    return text if plain else f"=?base64?{base64.b64encode(text.encode()).decode()}?="


@given(VALUES)
@example({"region": "=?base64?literal?="})
@example({"region": " padded "})
def test_what_we_repeat_to_a_server_is_what_we_demand_of_a_client(arguments):
    headers = {token.lower(): sent(text) for token, text in repeated(WHERE, arguments).items()}
    if abs(arguments.get("n") or 0) < 10**32:
        assert disagreement(WHERE, arguments, headers) == ""
    for token, said in headers.items():
        assert disagreement(WHERE, arguments, {**headers, token: f"{said}x"}) != ""
        assert disagreement(WHERE, arguments, {name: text for name, text in headers.items() if name != token}) != ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "x-mcp-header", "a", "string", "items", "allOf"]), each, max_size=4
        )
    ),
    max_leaves=20,
)


@given(JSON, JSON)
def test_any_schema_and_arguments_give_texts_under_names_that_are_tokens(any_schema, arguments):
    where = places(any_schema)
    texts = repeated(where, arguments)
    assert all(re.fullmatch(r"[!-~]{1,256}", name) and isinstance(text, str) for name, text in texts.items())
    assert not (where and fault(any_schema))
    assert isinstance(disagreement(where, arguments, {"a": "b"}), str)
