"""Arguments against a tool's schema: named problems, no echoes, nothing fetched, nothing endless."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mcp.schema import MAX_PROBLEMS, MAX_SENTENCE, Arguments
from gateway.mcp.schema_weight import TooHeavy, Weight, weigh

SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "minimum": 3},
        "mode": {"enum": ["a", "b"]},
        "code": {"type": "string", "pattern": "^a(?=b)"},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "fixed": {"const": 5},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "nested": {"type": "object", "properties": {"deepName": {"type": "string"}}, "required": ["deepName"]},
    },
    "required": ["count"],
    "additionalProperties": False,
}


def alternatives(turns: int) -> dict:
    """2**turns ways to the same leaf, in a schema of that many lines."""
    parts = {"a0": {"type": "string"}}
    for turn in range(turns):
        parts[f"a{turn + 1}"] = {"anyOf": [{"$ref": f"#/$defs/a{turn}"}, {"$ref": f"#/$defs/a{turn}"}]}
    return {"properties": {"x": {"$ref": f"#/$defs/a{turns}"}}, "$defs": parts}


RECURSIVE = {
    "properties": {"x": {"$ref": "#/$defs/node"}},
    "$defs": {
        "node": {
            "oneOf": [
                {"type": "object", "properties": {"in": {"$ref": "#/$defs/node"}}, "required": ["in", "y"]},
                {"type": "object", "properties": {"in": {"$ref": "#/$defs/node"}}, "required": ["in", "z"]},
                {"type": "integer"},
            ]
        }
    },
}


def nested(levels: int):
    value = "leaf"
    for _ in range(levels):
        value = {"in": value}
    return {"x": value}


@pytest.mark.parametrize(
    ("args", "problems"),
    [
        ({"count": 3, "mode": "a", "tags": ["x"], "either": None, "nested": {"deepName": ""}}, []),
        ({}, ["`count`: is missing"]),
        ({"count": 1}, ["`count`: the value is less than the minimum of 3"]),
        ({"count": "3"}, ['`count`: the value is not of type "integer"']),
        ({"count": 3, "mode": "c"}, ['`mode`: the value is not one of "a" or "b"']),
        ({"count": 3, "code": "ac"}, ['`code`: the value does not match "^a(?=b)"']),
        ({"count": 3, "tags": ["x", 1]}, ['`tags[1]`: the value is not of type "string"']),
        ({"count": 3, "nested": {}}, ["`nested.deepName`: is missing"]),
        ({"count": 3, "other": 1, "more": 2}, ["`more`: is not known; `other`: is not known"]),
        ({"Count": 3}, ["`Count`: must be written `count`"]),
        ({"count": 3, "COUNT": 3}, ["`COUNT`: must be written `count`"]),
        ({"count": 3, "nested": {"deepname": ""}}, ["`nested.deepname`: must be written `nested.deepName`"]),
    ],
)
def test_problems_name_the_argument(args, problems):
    assert [sorted(each.split("; ")) for each in Arguments(SCHEMA).problems(args)] == [
        sorted(each.split("; ")) for each in problems
    ]


def test_no_value_is_repeated():
    secret = "hunter2"
    args = {
        "count": secret,
        "mode": secret,
        "code": secret,
        "tags": [secret, secret],
        "fixed": secret,
        "either": [secret],
        "nested": secret,
    }
    for name, value in args.items():
        [problem] = Arguments(SCHEMA).problems({"count": 3, name: value})
        assert secret not in problem
        assert problem.startswith(f"`{name}`")


def test_problems_are_few_and_short():
    schema = {"additionalProperties": {"const": "x" * 500}}
    problems = Arguments(schema).problems({f"k{number}" * 40: 1 for number in range(20)})
    assert len(problems) == MAX_PROBLEMS
    assert all(len(problem) <= MAX_SENTENCE for problem in problems)
    cases = Arguments({"properties": {f"k{number}": {} for number in range(20)}})
    assert len(cases.problems({f"K{number}": 1 for number in range(20)})) == MAX_PROBLEMS


def test_without_a_schema_everything_fits():
    for schema in (None, True, {}, {"properties": {}}):
        assert Arguments(schema).problems({"x": 1}) == []


def test_the_declared_spelling_of_two_properties_is_no_problem():
    arguments = Arguments({"properties": {"a": {}, "A": {}}})
    assert arguments.problems({"a": 1, "A": 1}) == []


def test_below_a_declared_object_may_stand_something_else():
    assert Arguments({"properties": {"a": {"properties": {"b": {}}}}}).problems({"a": ["B"]}) == []


@pytest.mark.parametrize(
    ("schema", "args", "fits"),
    [
        (
            {
                "$schema": "http://json-schema.org/draft-04/schema#",
                "properties": {"x": {"minimum": 1, "exclusiveMinimum": True}},
            },
            {"x": 1},
            False,
        ),
        (
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "properties": {"x": {"items": [{"type": "string"}]}},
            },
            {"x": [1]},
            False,
        ),
        ({"properties": {"x": {"prefixItems": [{"type": "string"}]}}}, {"x": [1]}, False),
        ({"properties": {"x": {"items": {"type": "string"}, "prefixItems": [{}]}}}, {"x": [1, "a"]}, True),
        ({"properties": {"x": {"$ref": "#/$defs/a~1b%25"}}, "$defs": {"a/b%": {"type": "string"}}}, {"x": 1}, False),
        ({"properties": {"x": {"$ref": "#/allOf/1"}}, "allOf": [True, {"minimum": 5}]}, {"x": 1}, False),
        ({"$id": "https://example.com/s", "properties": {"x": {"type": "string"}}}, {"x": 1}, False),
    ],
)
def test_the_draft_is_the_declared_one_or_2020_12(schema, args, fits):
    arguments = Arguments(schema)
    assert arguments.unchecked == ""
    assert (arguments.problems(args) == []) is fits


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (5, "not a JSON schema"),
        ("{}", "not a JSON schema"),
        ([], "not a JSON schema"),
        ({"type": "int"}, "not a valid schema (`type`"),
        ({"properties": {"a": {"required": True}}}, "`properties.a.required`"),
        ({"pattern": "("}, "`pattern`"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "meta-schema"),
        ({"$ref": "https://example.com/x"}, "outside"),
        ({"$ref": "file:///etc/passwd"}, "outside"),
        ({"$ref": "other.json"}, "outside"),
        ({"$ref": "#anchor", "$defs": {"a": {"$anchor": "anchor"}}}, "outside"),
        ({"$ref": "#/$defs/x"}, "does not have"),
        ({"$ref": "#/allOf/7", "allOf": []}, "does not have"),
        ({"$ref": "#"}, "refers to itself"),
        ({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "refers to itself"),
        ({"$dynamicRef": "#x"}, "dynamic"),
        ({"properties": {"x": {"$id": "https://example.com/x"}}}, "id of their own"),
        ({"description": "x" * 300_000}, "too large"),
        ({"title": "\ud800"}, "surrogates"),
        (alternatives(60), "too many alternatives"),
    ],
)
def test_a_schema_that_cannot_be_checked_says_why_and_fails_closed(schema, why):
    arguments = Arguments(schema)
    assert why in arguments.unchecked
    [problem] = arguments.problems({})
    assert problem.startswith("the tool's schema cannot be checked: ")
    assert arguments.unchecked in problem


def test_a_schema_deeper_than_any_message_is_not_checked():
    deep: dict = {}
    for _ in range(5000):
        deep = {"not": deep}
    assert Arguments(deep).unchecked
    with pytest.raises(TooHeavy, match="deeply"):
        weigh(deep)


@pytest.mark.parametrize(("schema", "args"), [(alternatives(11), {"x": 1}), (RECURSIVE, nested(9))])
def test_when_a_list_of_problems_costs_too_much_it_is_left_out(schema, args):
    began = time.perf_counter()
    assert Arguments(schema).problems(args) == ["the arguments do not fit the tool's schema"]
    assert time.perf_counter() - began < 5


def test_arguments_that_would_cost_too_much_are_refused():
    began = time.perf_counter()
    [problem] = Arguments(RECURSIVE).problems(nested(60))
    assert "nest too deeply" in problem
    assert Arguments(RECURSIVE).problems(nested(2)) != []
    assert Arguments(RECURSIVE).problems({"x": {"in": 1, "y": 1}}) == []
    assert time.perf_counter() - began < 5


def test_a_pattern_cannot_run_away():
    began = time.perf_counter()
    [problem] = Arguments({"properties": {"x": {"pattern": "^(a|a)*(?=b)$"}}}).problems({"x": "a" * 60})
    assert problem.startswith("`x`: ")
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("schema", "weight"),
    [
        (True, Weight(1)),
        ({"type": "string", "enum": [{"$ref": "x"}], "$defs": {"a": {}}}, Weight(1)),
        ({"properties": {"a": {}, "$ref": {}}, "required": ["a"]}, Weight(3)),
        (
            {"anyOf": [{}, {}], "allOf": [{}], "if": {}, "then": True, "dependencies": {"a": ["b"], "c": {}}},
            Weight(8, 2),
        ),
        ({"anyOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}, Weight(6, 4)),
        ({"allOf": [{}], "unevaluatedItems": False}, Weight(4)),
        ({"properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}}, Weight(3, 0, 2)),
    ],
)
def test_the_weight_of_a_schema(schema, weight):
    assert weigh(schema) == weight


def test_each_turn_of_a_loop_multiplies_the_ways():
    assert [Weight(1).ways(depth) for depth in (0, 5)] == [1, 1]
    assert [Weight(1, 0, 1).ways(depth) for depth in (0, 5)] == [1, 6]
    assert [Weight(1, 0, 3).ways(depth) for depth in (0, 1, 2)] == [1, 4, 13]


keywords = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "anyOf",
        "$ref",
        "not",
        "required",
        "enum",
        "pattern",
        "$defs",
        "a",
        "$id",
        "unevaluatedProperties",
    ]
)
words = st.sampled_from(["string", "object", "#", "#/$defs/a", "#/properties/a", "a", "(", "https://example.com/"])
schemas = st.recursive(
    st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keywords, inner, max_size=4),
    max_leaves=15,
)
args_of = st.dictionaries(st.sampled_from(["a", "A", "b"]), schemas, max_size=3)


@given(schemas, args_of)
def test_any_schema_and_any_arguments_give_sentences(schema, args):
    before = json.dumps([schema, args])
    problems = Arguments(schema).problems(args)
    assert all(isinstance(problem, str) and problem for problem in problems)
    assert json.dumps([schema, args]) == before
