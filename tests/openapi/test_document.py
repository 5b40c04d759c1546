"""Reading a document, and where its references lead."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.openapi.document import Document, DocumentError, Version, read_document
from tests.openapi.making import compiled, document


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('{"openapi": "3.0.3"}', Version.V30),
        ('\ufeff\n {"openapi": "3.1.0"}', Version.V31),
        ('{"swagger": "2.0"}', Version.V2),
        ("openapi: 3.1.0\n", Version.V31),
        ("swagger: 2.0", Version.V2),
        ("swagger: '2.0'", Version.V2),
    ],
)
def test_json_and_yaml_of_each_version_are_read(text, version):
    assert read_document(text).version is version


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "this is not an OpenAPI document: it is no mapping"),
        ("", "the file is empty"),
        ('{"openapi": "4.0.0"}', "its version (`openapi` or `swagger`) is none of `2.0`, `3.0`, `3.1`"),
        ('{"openapi": "3.05"}', "its version (`openapi` or `swagger`) is none of `2.0`, `3.0`, `3.1`"),
        ("{}", "its version (`openapi` or `swagger`) is none of `2.0`, `3.0`, `3.1`"),
        ('{"openapi": ', "this is not JSON: "),
        ("openapi: 3.0.0\nx: &a 1\n", "line 2: `&a` names a value for repetition"),
        ("a: 1\na: 2", "line 2: `a` stands twice in one mapping"),
        ("[" * 300, "line 1: nested deeper than 200"),
        ('{"a":' * 100_000, ""),
    ],
)
def test_what_is_no_document_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(DocumentError) as refused:
        read_document(text)
    assert str(refused.value).startswith(sentence)


def test_yaml_means_what_yaml_1_2_says():
    text = "openapi: 3.0.0\na: no\nb: 2020-01-01\nc: 0o17\nd: true\ne: ~\nf: 1.5\ng: 012\nh: 'true'\ni:\n"
    root = read_document(text).root
    assert {key: root[key] for key in "abcdefghi"} == {
        "a": "no",
        "b": "2020-01-01",
        "c": "0o17",
        "d": True,
        "e": None,
        "f": 1.5,
        "g": "012",
        "h": "true",
        "i": None,
    }


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda body: body.decode("latin-1")))
def test_any_text_is_a_document_or_refused(text: str):
    with suppress(DocumentError):
        assert isinstance(read_document(text), Document)


EXTERNAL = ["other.yaml#/a", "https://evil.example/x.json", "./x.json", "file:///etc/passwd", "x", "#a", ""]


@pytest.mark.parametrize("reference", EXTERNAL)
def test_a_reference_to_another_document_refuses_the_operation_that_needs_it(reference):
    paths = {
        "/bad": {"get": {"operationId": "bad", "parameters": [{"$ref": reference}]}},
        "/deep": {"get": {"operationId": "deep", "parameters": [{"name": "x", "in": "query", "schema": {"items": {"$ref": reference}}}]}},
        "/good": {"get": {"operationId": "good"}},
    }  # fmt: skip
    definition, report = compiled(document(paths))
    assert [each.id for each in definition.actions] == ["good"]
    assert [operation for operation, _ in report.refused] == ["GET /bad", "GET /deep"]
    assert all(
        why == f"refers to `{reference}`, which is another document; put all of them into one first"
        for _, why in report.refused
    )


@pytest.mark.parametrize("reference", ["#/components/x", "#/paths/0", "#/servers/1", "#/servers/x", "#/info/title/x"])
def test_a_reference_to_nothing_refuses_the_operation_too(reference):
    good = {"get": {"operationId": "good"}}
    shown = document({"/a": {"get": {"parameters": [{"$ref": reference}]}}, "/b": good})
    _, report = compiled(shown)
    assert report.refused == (("GET /a", f"refers to `{reference}`, which is not there"),)


def test_references_are_pointers_with_their_escapes():
    shown = {"openapi": "3.0.0", "a/b": {"c~d": [{"%": {"found": 1}}]}, "x": {"$ref": "#/a~1b/c~0d/0/%25"}}
    read = read_document(json.dumps(shown))
    assert read.resolved({"$ref": "#/x"}) == {"found": 1}


def test_references_in_a_circle_end():
    read = read_document('{"openapi": "3.0.0", "a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}}')
    with pytest.raises(DocumentError, match="leads through too many references"):
        read.resolved({"$ref": "#/a"})
