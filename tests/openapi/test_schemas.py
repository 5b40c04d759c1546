"""Schemas as arguments need them."""

import pytest

from gateway.mcp.schema import Arguments
from tests.openapi.making import action, action_of, body, document, older, schemas


def schema(node, version="3.0.3", **components):
    """What becomes of a member of a JSON body."""
    made, _ = action(body({"properties": {"x": node}}), components={"schemas": components}, openapi=version)
    return schemas(made)["x"]


@pytest.mark.parametrize(
    ("node", "found"),
    [
        ({"type": "string", "example": "x", "xml": {}, "x-y": 1, "deprecated": True}, {"type": "string"}),
        ({"type": "string", "pattern": "(a+)+$"}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "format": "weird"}, {"type": "string"}),
        ({"type": "integer", "minimum": 1, "maximum": 9, "minLength": "x"}, {"type": "integer", "minimum": 1, "maximum": 9}),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 1}),
        ({"type": "number", "exclusiveMaximum": 5}, {"type": "number", "exclusiveMaximum": 5}),
        ({"type": "number", "exclusiveMaximum": False, "maximum": 5}, {"type": "number", "maximum": 5}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": "string", "enum": ["a", 1]}, {"enum": ["a", 1]}),
        ({"type": "integer", "enum": [1, True]}, {"enum": [1, True]}),
        ({"enum": [[1]]}, {}),
        ({"enum": list(range(200))}, {}),
        ({"enum": []}, {}),
        ({"type": "any"}, {}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "array", "items": [{}, {}]}, {"type": "array", "items": {}}),
        ({"items": {"type": "string"}}, {"type": "array", "items": {"type": "string"}}),
        ({"type": "array", "uniqueItems": True, "minItems": 1}, {"type": "array", "uniqueItems": True, "minItems": 1}),
        ({"type": "array", "minItems": -1, "maxItems": True}, {"type": "array"}),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"oneOf": [{"type": "string"}, {}]}, {}),
        ({"allOf": [{"type": "string"}, {}]}, {"allOf": [{"type": "string"}]}),
        ({"not": {}, "if": {}, "patternProperties": {"(a+)+$": {}}, "$id": "x", "$dynamicRef": "#a"}, {}),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "object", "additionalProperties": {"type": "string"}}),
        ({"type": "object", "additionalProperties": True}, {"type": "object"}),
        ({"properties": {"a": {}}, "required": ["a", "b", 3]}, {"type": "object", "properties": {"a": {}}, "required": ["a"]}),
        ({"properties": {"a": {"readOnly": True}, "b": 3, "c": {}}, "required": ["a"]}, {"type": "object", "properties": {"c": {}}}),
        ({"title": "What it is"}, {"description": "What it is"}),
        ({"type": "file"}, {"type": "string"}),
        ("x", {}),
    ],
)  # fmt: skip
def test_a_schema_keeps_what_helps_and_narrows_no_more_than_the_platform_does(node, found):
    assert schema(node) == found


def test_nullable_means_nothing_any_more_in_3_1():
    assert schema({"type": "string", "nullable": True}, "3.1.0") == {"type": "string"}
    assert schema({"type": "string", "const": "a"}, "3.1.0") == {"type": "string", "const": "a"}


def test_what_others_refer_to_stands_once_and_may_refer_to_itself():
    tree = {
        "type": "object",
        "properties": {
            "name": {"$ref": "#/components/schemas/Name"},
            "below": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
        },
    }
    shown = document(
        {
            "/x": {
                "post": body(
                    {
                        "properties": {
                            "a": {"$ref": "#/components/schemas/Tree"},
                            "b": {"$ref": "#/components/schemas/Tree"},
                        }
                    }
                )
            }
        },
        components={"schemas": {"Tree": tree, "Name": {"type": "string", "maxLength": 9}}},
    )
    made, done = action_of(shown)
    assert schemas(made) == {"a": {"$ref": "#/$defs/Tree"}, "b": {"$ref": "#/$defs/Tree"}}
    assert made.defs == {
        "Tree": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 9},
                "below": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
            },
        }
    }
    assert not done.cut


def test_two_definitions_of_one_last_name_are_told_apart():
    shown = document(
        {
            "/x": {
                "post": body(
                    {
                        "properties": {
                            "a": {"$ref": "#/components/schemas/X-Y"},
                            "b": {"$ref": "#/components/schemas/X.Y"},
                        }
                    }
                )
            }
        },
        components={"schemas": {"X-Y": {"properties": {"one": {}}}, "X.Y": {"properties": {"two": {}}}}},
    )
    made, _ = action_of(shown)
    names = [schemas(made)[each]["$ref"].removeprefix("#/$defs/") for each in "ab"]
    assert [list(made.defs[name]["properties"]) for name in names] == [["one"], ["two"]]


@pytest.mark.parametrize(
    "components",
    [
        {"A": {"anyOf": [{"$ref": "#/components/schemas/A"}, {"type": "string"}]}},
        {"A": {"allOf": [{"$ref": "#/components/schemas/B"}]}, "B": {"oneOf": [{"$ref": "#/components/schemas/A"}]}},
        {
            f"{c}": {"anyOf": [{"properties": {"x": {"$ref": f"#/components/schemas/{d}"}}} for d in "ABCDEFGH"]}
            for c in "ABCDEFGH"
        },
    ],
)
def test_what_would_keep_a_validator_busy_is_cut(components):
    node = {"$ref": "#/components/schemas/A"}
    shown = document({"/x": {"post": body({"properties": {"x": node}})}}, components={"schemas": components})
    made, done = action_of(shown)  # the reader of definitions refuses what is too heavy
    assert done.cut
    assert Arguments({"properties": schemas(made), "$defs": made.defs}).unchecked == ""


def test_references_of_references_are_followed():
    node = {"$ref": "#/components/schemas/A"}
    found = schema(node, A={"$ref": "#/components/schemas/B"}, B={"type": "integer"})
    assert found == {"type": "integer"}


def test_definitions_of_an_older_document_are_found_too():
    shown = older(
        {
            "/x": {
                "post": {
                    "parameters": [
                        {"in": "body", "name": "b", "schema": {"properties": {"x": {"$ref": "#/definitions/A"}}}}
                    ]
                }
            }
        },
        definitions={"A": {"properties": {"y": {"type": "string", "x-nullable": True}}}},
    )
    made, _ = action_of(shown)
    assert made.defs == {"A": {"type": "object", "properties": {"y": {"type": ["string", "null"]}}}}
