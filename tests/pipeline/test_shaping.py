"""Answers of platforms are cut to a size that a model can read, and what is left out is said."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.mcp.terms import Params
from gateway.pipeline.shaping import DEEPEST, LONGEST, SHOWN, TOO_DEEP, shaped
from gateway.records import Mode, Server
from tests.builders import ALL, AMY, Door, text_of
from tests.fakes import FakeConnector, tool

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6) | st.just("ä" * 3_000),
    lambda inner: st.lists(inner, max_size=60) | st.dictionaries(st.text(max_size=4), inner, max_size=5),
    max_leaves=120,
)


def answered(value: object, *notes: str) -> Params:
    """As an action of a platform answers."""
    content = [{"type": "text", "text": each} for each in (json.dumps(value), *notes)]
    return {"content": content, **({"structuredContent": value} if isinstance(value, dict) else {})}


def told(result: Params) -> Any:
    return json.loads(result["content"][0]["text"])


def nested(levels: int) -> Any:
    return {"in": nested(levels - 1)} if levels else "ground"


@pytest.mark.parametrize("count", [0, 1, SHOWN - 1])
def test_a_list_of_fewer_than_25_is_shown_whole(count: int):
    result = answered(list(range(count)), "there is more")
    assert shaped(result) is result


@pytest.mark.parametrize("count", [25, 26, 50])
def test_of_25_to_50_items_the_first_25_are_shown_and_it_is_said_how_many_there_are(count: int):
    cut = shaped(answered(list(range(count)), "there is more"), ["page", "state"])
    assert told(cut)["data"] == list(range(25))
    about = told(cut)["metadata"]
    hint = about.pop("paginationHint")
    assert about == {"originalCount": count, "displayedCount": 25, "truncated": count > 25}
    assert (f"the first 25 of {count}" in hint and "`page`, `state`" in hint) == (count > 25)
    assert cut["content"][1:] == [{"type": "text", "text": "there is more"}]


@pytest.mark.parametrize("count", [51, 1_000])
def test_of_more_than_50_items_two_are_shown_with_advice_how_to_ask_for_less(count: int):
    cut = told(shaped(answered([{"id": each} for each in range(count)]), ["query"]))
    assert cut.keys() == {
        "needsRefinement",
        "message",
        "guidance",
        "suggestions",
        "searchInstructions",
        "samples",
    }
    assert cut["needsRefinement"] is True
    assert cut["samples"] == [{"id": 0}, {"id": 1}]
    assert str(count) in cut["message"]
    assert cut["suggestions"] == ["narrow it with `query`"]
    assert told(shaped(answered([0] * count)))["suggestions"], "an action without arguments gets advice, too"


def test_the_longest_list_in_an_object_counts_and_all_beside_it_stays():
    value = {"ok": True, "page": {"next": "abc", "items": list(range(30)), "tags": list(range(26))}}
    cut = told(shaped(answered(value)))
    assert cut["data"] == {"ok": True, "page": {"next": "abc", "items": list(range(25)), "tags": list(range(26))}}
    assert cut["metadata"]["list"] == "page.items"


def test_a_list_within_a_list_is_no_answer_of_many_items():
    result = answered([{"lines": list(range(60))}])
    assert shaped(result) is result


@pytest.mark.parametrize("letter", ["a", "ä", "€", "😀"])
def test_a_text_of_more_than_5_kb_is_cut_between_two_letters(letter: str):
    size = len(letter.encode())
    fits, longer = letter * (LONGEST // size), letter * (LONGEST // size + 1)
    assert shaped(whole := answered({"body": fits})) is whole
    assert told(shaped(answered({"body": longer}))) == {"body": fits + "…"}


def test_what_stands_deeper_than_ten_levels_is_left_out_and_said():
    assert shaped(whole := answered(nested(DEEPEST))) is whole
    value = told(shaped(answered(nested(DEEPEST + 1))))
    for _ in range(DEEPEST):
        value = value["in"]
    assert value == TOO_DEEP
    assert shaped(empty := answered([[[[[[[[[[[]]]]]]]]]]])) is empty, "nothing is left out of what is empty"


def test_a_list_that_is_too_deep_to_be_shown_is_not_counted():
    value: Any = list(range(60))
    for _ in range(DEEPEST):
        value = {"in": value}
    assert "metadata" not in told(shaped(answered(value)))


def test_a_text_that_is_no_json_is_cut_alike():
    plain = {"content": [{"type": "text", "text": "[1, 2" + "x" * LONGEST}]}
    assert shaped(plain) == {"content": [{"type": "text", "text": "[1, 2" + "x" * (LONGEST - 5) + "…"}]}
    short = {"content": [{"type": "text", "text": "HTTP 204: done"}]}
    assert shaped(short) is short


def test_a_failure_is_told_as_it_is():
    failed = {**answered(list(range(60))), "isError": True}
    assert shaped(failed) is failed
    assert shaped(nothing := {"content": []}) is nothing
    assert shaped(image := {"content": [{"type": "image", "data": "x" * 9_000}]}) is image


def deepest(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(deepest, inner), default=0) if isinstance(value, dict | list) and value else 0


def texts(value: object) -> list[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value] if isinstance(value, str) else [text for each in inner for text in texts(each)]


@given(JSON)
def test_whatever_is_answered_text_and_structure_agree_and_no_limit_is_broken(value: object):
    before = answered(value)
    kept = json.dumps(before)
    cut = shaped(before)
    answer = told(cut)
    assert json.dumps(before) == kept, "what was answered is not changed"
    assert cut.get("structuredContent", answer) == answer
    assert ("structuredContent" in cut) == isinstance(answer, dict)
    assert deepest(answer) <= DEEPEST + 1, "a wrapper, and ten levels"
    assert all(len(each.encode()) <= LONGEST + 3 for each in texts(answer))
    assert not isinstance(answer, list) or len(answer) < SHOWN


# -- on servers

ISSUES = FakeConnector("hub", [tool("issues", "read", platform="1")], answer=lambda _: answered(list(range(40))))
WIKI = FakeConnector("wiki", [tool("pages", "read")], answer=lambda _: answered(list(range(40))))
SERVER = Server(id="s-1", owner=f"user:{AMY}", name="S", mode=Mode.DIRECT, shaping=True)


async def test_only_a_server_that_wants_it_shapes_and_only_what_a_platform_answers():
    door = Door(ALL, [ISSUES, WIKI])
    door.offer(SERVER, replace(SERVER, id="s-2", shaping=False), replace(SERVER, id="s-3", mode=Mode.CONNECTIVITY))
    assert told(await door.use(AMY, "hub__issues", domain="s-1"))["metadata"]["originalCount"] == 40
    meta = {"connectorId": "hub", "actionId": "issues", "parameters": {}}
    assert told(await door.use(AMY, "execute_action", domain="s-3", **meta))["metadata"]["originalCount"] == 40
    for tool_, domain in (("wiki__pages", "s-1"), ("hub__issues", "s-2"), ("hub__issues", "main")):
        assert told(await door.use(AMY, tool_, domain=domain)) == list(range(40))


async def test_what_a_platform_refuses_reaches_the_client_whole():
    failing = FakeConnector("hub", [tool("issues", "read", platform="1")])
    failing.answer = lambda _: {"content": [{"type": "text", "text": "x" * 9_000}], "isError": True}
    door = Door(ALL, [failing])
    door.offer(SERVER)
    assert text_of(await door.use(AMY, "hub__issues", domain="s-1")) == "x" * 9_000
