"""What operations are called, and which are chosen."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.openapi.document import DocumentError, read_document
from connectors.openapi.operations import LONGEST_ID, chosen, operations
from tests.openapi.making import document


def all_of(paths):
    return operations(read_document(json.dumps(document(paths))))


def ids(paths):
    return {str(each): each.id for each in all_of(paths)}


@pytest.mark.parametrize(
    ("said", "id"),
    [
        ("issues/list-for-repo", "issues_list_for_repo"),
        ("getPetById", "get_pet_by_id"),
        ("GetHTTPResponse", "get_http_response"),
        ("chat.postMessage", "chat_post_message"),
        ("__x__", "x"),
        ("Ünïcode", "n_code"),
        ("列表", "get"),
    ],
)
def test_a_name_is_made_of_what_the_document_calls_an_operation(said, id):
    assert ids({"/a": {"get": {"operationId": said}}}) == {"GET /a": id}


def test_without_a_name_it_is_made_of_method_and_path():
    assert ids({"/repos/{owner}/issues": {"get": {}}}) == {"GET /repos/{owner}/issues": "get_repos_owner_issues"}


def test_two_of_one_name_are_told_apart_whichever_comes_first():
    one, two = {"get": {"operationId": "list"}}, {"get": {"operationId": "list"}}
    first = ids({"/a": one, "/b": two})
    assert first == ids({"/b": two, "/a": one})
    assert len(set(first.values())) == 2
    assert all(re.fullmatch(r"list_[0-9a-f]{8}", id) for id in first.values())


names = st.text("abAB01_/-. {}ü", max_size=70)


@given(
    st.dictionaries(names.map("/".__add__), st.dictionaries(st.sampled_from(["get", "post", "put"]), names), max_size=8)
)
def test_no_two_have_one_name_and_every_name_can_be_used(shown):
    paths = {path: {method: {"operationId": said} for method, said in each.items()} for path, each in shown.items()}
    found = all_of(paths)
    assert len({each.id for each in found}) == len(found) == sum(map(len, paths.values()))
    for each in found:
        assert re.fullmatch(r"[a-z0-9](?:_?[a-z0-9])*", each.id)
        assert len(each.id) <= LONGEST_ID


SHOP = {
    "/pets": {
        "get": {"operationId": "pets/list", "tags": ["pets"]},
        "post": {"operationId": "pets/add", "tags": ["pets", "write"]},
    },
    "/pets/{id}": {"get": {"operationId": "pets/get"}, "delete": {"operationId": "pets/drop", "deprecated": True}},
    "/users[1]": {"get": {"operationId": "users.list?"}},
}


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["*"], ["pets/list", "pets/add", "pets/get", "users.list?"]),
        (["pets/*"], ["pets/list", "pets/add", "pets/get"]),
        (["pets_add"], ["pets/add"]),
        (["pets/drop"], ["pets/drop"]),
        (["pets_drop", "pets/list"], ["pets/list", "pets/drop"]),
        (["/pets"], ["pets/list", "pets/add"]),
        (["POST /pets*"], ["pets/add"]),
        (["get /pets/*"], ["pets/get"]),
        (["tag:pets"], ["pets/list", "pets/add"]),
        (["tag:w*"], ["pets/add"]),
        (["/users[1]"], ["users.list?"]),
        (["users.list?"], ["users.list?"]),
    ],
)
def test_patterns_choose_by_name_path_and_tag_and_what_is_deprecated_only_by_its_full_name(patterns, found):
    assert [each.said for each in chosen(all_of(SHOP), patterns)] == found


@pytest.mark.parametrize("pattern", ["pets", "PETS/list", "users.list", "/users1", "tag:nothing", "DELETE /pets/*", ""])
def test_a_pattern_that_names_nothing_is_a_slip(pattern):
    with pytest.raises(DocumentError, match=re.escape(f"`{pattern}` names no operation")):
        chosen(all_of(SHOP), ["pets/list", pattern])


def test_choosing_more_renames_nothing():
    everything = {each.said: each.id for each in chosen(all_of(SHOP), ["*"])}
    assert {each.said: each.id for each in chosen(all_of(SHOP), ["pets/list"])}.items() <= everything.items()
