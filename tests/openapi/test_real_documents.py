"""Documents that others wrote: the small ones here, all that there are in ``make openapi``."""

from pathlib import Path

import pytest

from connectors.definition.reading import read_definition
from connectors.definition.terms import Coding, Place
from connectors.openapi.access import Access
from connectors.openapi.compiling import Wanted, compile_document
from connectors.openapi.document import DocumentError, read_document
from connectors.openapi.operations import operations

PACKAGES = Path(__file__).parent / "node_modules"
EXAMPLES = sorted((PACKAGES / "@readme" / "oas-examples").glob("*/*/*.*"))
FIGMA = PACKAGES / "@figma" / "rest-api-spec" / "openapi" / "openapi.yaml"


def compiled(path: Path, *include: str, auth: str = "bearer"):
    text = path.read_text(encoding="utf-8")
    written, report = compile_document(
        text, Wanted("shop", include or ("*",), Access.of(auth), "https://api.example.com")
    )
    return read_definition(written, path.name), report


def test_the_examples_are_there():
    assert len(EXAMPLES) > 100
    assert {path.suffix for path in EXAMPLES} == {".json", ".yaml"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_an_example_becomes_a_definition_or_is_refused_in_a_sentence(path):
    try:
        definition, report = compiled(path)
    except DocumentError as refused:
        assert len(str(refused)) > 10  # noqa: PT017 (either is fine)
        return
    assert len(definition.actions) + len(report.refused) <= report.of
    assert len({each.id for each in definition.actions}) == len(report.compiled)


def test_few_examples_are_refused_as_a_whole():
    refused = []
    for path in EXAMPLES:
        try:
            compiled(path)
        except DocumentError as why:
            refused.append(f"{path.name}: {why}")
    assert len(refused) < len(EXAMPLES) / 5, refused


@pytest.mark.parametrize("name", ["petstore", "callbacks", "star-trek"])
def test_json_and_yaml_of_one_document_become_the_same(name):
    folder = PACKAGES / "@readme" / "oas-examples" / "3.0"
    one, _ = compiled(folder / "json" / f"{name}.json")
    other, _ = compiled(folder / "yaml" / f"{name}.yaml")
    assert one == other


def test_a_pet_store_is_what_one_would_write():
    definition, report = compiled(
        PACKAGES / "@readme" / "oas-examples" / "3.0" / "json" / "petstore.json", "tag:pet", auth="header:api_key"
    )
    found = {each.id: each for each in definition.actions}
    assert set(found) == {
        *("add_pet", "update_pet", "find_pets_by_status", "find_pets_by_tags", "get_pet_by_id"),
        *("update_pet_with_form", "delete_pet", "upload_file"),
    }
    assert found["upload_file"].coding is Coding.MULTIPART
    assert found["update_pet_with_form"].coding is Coding.FORM
    (status,) = found["find_pets_by_status"].parameters
    assert status.schema["items"] == {"type": "string", "enum": ["available", "pending", "sold"]}
    assert [(each.name, each.place) for each in found["delete_pet"].parameters] == [("petId", Place.PATH)]
    assert {done.id for done in report.compiled if done.stripped} == {"delete_pet"}


def test_a_whole_official_document_of_3_1_becomes_actions():
    definition, report = compiled(FIGMA)
    assert report.of == len(definition.actions) + len(report.refused) + _deprecated(FIGMA)
    assert len(definition.actions) > 40
    assert all(each.title and each.description for each in definition.actions)
    post = next(each for each in definition.actions if each.id == "post_comment")
    assert {each.name for each in post.parameters if each.required} == {"file_key", "message"}


def _deprecated(path: Path) -> int:
    return sum(each.deprecated for each in operations(read_document(path.read_text())))
