"""Whatever a document says: it is refused in a sentence, or gives a definition that is accepted and keeps every law."""

import json
import re
import string

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.definition.reading import read_definition
from connectors.definition.terms import Place, Risk
from connectors.openapi.access import Access
from connectors.openapi.compiling import Wanted, compile_document
from connectors.openapi.document import DocumentError
from gateway.mcp.schema import Arguments

RISKS = {"GET": Risk.READ, "DELETE": Risk.DESTRUCTIVE}
REFERENCES = [
    "#/components/schemas/A",
    "#/components/schemas/B",
    "#/components/schemas/A/properties/x",
    "#/nothing",
    "#/components/parameters/P",
]

names = st.sampled_from(["id", "a.b", "x[]", "$f", "token", "é", "A", "x", "Authorization", "", "a" * 80, "0", "__"])
junk = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(string.printable, max_size=12)
    | st.just([])
    | st.just({})
)
types = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null", "file", "any"])


def schema_of(inner):
    return st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, max_size=3) | junk,
            "properties": st.dictionaries(names, inner, max_size=3) | junk,
            "items": inner,
            "required": st.lists(names, max_size=3) | junk,
            "enum": st.lists(junk, max_size=3),
            "anyOf": st.lists(inner, max_size=3) | junk,
            "oneOf": st.lists(inner, max_size=2),
            "allOf": st.lists(inner, max_size=3) | junk,
            "additionalProperties": inner,
            "nullable": st.booleans() | junk,
            "readOnly": st.booleans(),
            "minimum": junk,
            "exclusiveMinimum": junk,
            "maxLength": junk,
            "format": junk,
            "description": st.text(max_size=20) | junk,
            "default": junk,
        },
    )


references = st.sampled_from(REFERENCES).map(lambda to: {"$ref": to})
schemas = st.recursive(references | st.just({"type": "string"}) | junk, schema_of, max_leaves=12)
parameters = st.fixed_dictionaries(
    {"name": names | junk, "in": st.sampled_from(["path", "query", "header", "cookie", "body", "formData", "x"])},
    optional={
        "required": st.booleans() | junk,
        "schema": schemas,
        "type": types,
        "items": schemas,
        "style": st.sampled_from(["form", "deepObject", "matrix", "simple"]) | junk,
        "explode": st.booleans(),
        "description": st.text(max_size=20) | junk,
        "collectionFormat": st.sampled_from(["multi", "csv", "ssv"]) | junk,
    },
)  # fmt: skip
media = st.sampled_from(
    ["application/json", "multipart/form-data", "application/x-www-form-urlencoded", "text/plain", "*/*", "x"]
)
operations = st.fixed_dictionaries(
    {},
    optional={
        "operationId": names | st.text(max_size=8) | junk,
        "summary": st.text(max_size=20) | junk,
        "description": st.text(max_size=20) | junk,
        "parameters": st.lists(parameters | references | junk, max_size=4) | junk,
        "requestBody": st.fixed_dictionaries({"content": st.dictionaries(media, st.fixed_dictionaries({"schema": schemas}) | junk, max_size=2) | junk}) | references | junk,
        "deprecated": st.just(False),
        "servers": st.lists(st.fixed_dictionaries({"url": st.text(max_size=5)}), max_size=1) | junk,
        "consumes": st.lists(media, max_size=2) | junk,
    },
)  # fmt: skip
paths = st.sampled_from(["/a", "/a/{id}", "/a/{x[]}/{id}", "/a/{a.b}:go", "/é", "/{}", "/a?b", "/a b", "/a/{id"])
documents = st.fixed_dictionaries(
    {"paths": st.dictionaries(paths, st.dictionaries(st.sampled_from(["get", "post", "delete", "parameters"]), operations | junk, max_size=3) | junk, max_size=3) | junk},
    optional={
        "info": st.fixed_dictionaries({"title": st.text(max_size=20) | junk}) | junk,
        "components": st.fixed_dictionaries({"schemas": st.dictionaries(st.sampled_from("AB"), schemas, max_size=2), "parameters": st.fixed_dictionaries({"P": parameters})}) | junk,
        "externalDocs": st.fixed_dictionaries({"url": st.text(max_size=20)}) | junk,
        "consumes": junk,
    },
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(documents, st.sampled_from([{"openapi": "3.0.0"}, {"openapi": "3.1.0"}, {"swagger": "2.0"}]))
def test_any_document_gives_a_definition_that_keeps_the_laws_or_a_sentence(shown, version):
    text = json.dumps({**version, **shown})
    try:
        written, report = compile_document(text, Wanted("shop", ("*",), Access(), "https://api.example.com"))
    except DocumentError as refused:
        assert str(refused)  # noqa: PT017 (either is fine)
        return
    definition = read_definition(written, "shop.yaml")
    assert len(definition.actions) == len(report.compiled)
    for action in definition.actions:
        assert action.risk is RISKS.get(action.method, Risk.WRITE)
        arguments = {each.name: each.schema for each in action.parameters}
        assert len(arguments) == len(action.parameters)
        assert all(re.fullmatch(r"[A-Za-z0-9_]{1,64}", name) for name in arguments)
        assert Arguments({"properties": arguments, "$defs": action.defs}).unchecked == ""
        wires = {(each.wire or each.name).lower() for each in action.parameters if each.place is not Place.BODY}
        assert not wires & {"authorization", "token"} or "token" in action.path


@given(documents)
def test_the_same_document_gives_the_same_text(shown):
    text = json.dumps({"openapi": "3.0.0", **shown})
    wanted = Wanted("shop", ("*",), Access(), "https://api.example.com")
    try:
        first, _ = compile_document(text, wanted)
    except DocumentError:
        return
    assert compile_document(text, wanted)[0] == first
