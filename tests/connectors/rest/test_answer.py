"""What a platform answers becomes a result: nothing is cut in silence, and failures are told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.definition.terms import Api, Equals, Shown
from connectors.rest.answer import LONGEST_MESSAGE, Heard, failed, failure, holds, read, result
from tests.connectors.rest.building import action

JSON_TYPE = {"content-type": "application/json; charset=utf-8"}
GET = action()
API = Api("https://x", ("x",))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), inner, max_size=4)
    ),
    max_leaves=15,
)


def answered(value, status=200, **headers):
    return Heard(status, {**JSON_TYPE, **headers}, json.dumps(value).encode())


def texts(shown):
    return [each["text"] for each in shown["content"]]


def shown(value, **more):
    return result(read(answered(value)), action(shown=Shown(**more)))


@given(JSON)
def test_json_is_told_as_it_is_and_as_structure_where_it_is_an_object(value):
    found = shown(value)
    assert json.loads(texts(found)[0]) == value
    assert found.get("structuredContent", "none") == (value if isinstance(value, dict) else "none")
    assert "isError" not in found


def test_only_the_part_that_the_action_shows_is_told():
    assert json.loads(texts(shown({"data": {"items": [1]}}, pick="data.items"))[0]) == [1]
    assert shown({"data": {"a": 1}}, pick="data")["structuredContent"] == {"a": 1}
    assert texts(shown({"data": 1}, pick="other")) == ["null"]


@given(JSON, st.integers(1, 60))
def test_what_is_cut_says_so_and_is_json_or_told_not_to_be(value, most):
    whole = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    found = shown(value, max_bytes=most)
    told = texts(found)
    assert len(told[0].encode()) <= most
    if len(whole.encode()) <= most:
        assert len(told) == 1
    elif "members" in told[1] or "only the first" in told[1]:
        kept = json.loads(told[0])
        assert kept == value[: len(kept)]
        assert f"{len(kept)} of {len(value)}" in told[1]
        assert "structuredContent" not in found
    else:
        assert f"cut after {most} of {len(whole.encode())} bytes" in told[1]
        assert "structuredContent" not in found


def test_a_list_loses_whole_members_and_keeps_as_many_as_fit():
    told = texts(shown(["aaaa", "bbbb", "cccc"], max_bytes=16))
    assert json.loads(told[0]) == ["aaaa", "bbbb"]
    assert told[1] == "only the first 2 of 3 are shown, because of their size; ask for less at a time"


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        (Heard(204), "HTTP 204: done; there is nothing more to say"),
        (Heard(200, JSON_TYPE, b" \n"), "HTTP 200: done; there is nothing more to say"),
        (Heard(200, {"content-type": "text/csv"}, b"a,b"), "a,b"),
        (Heard(200, {"content-type": "text/plain; charset=ISO-8859-1"}, b"\xe9"), "é"),
        (Heard(200, {"content-type": "application/atom+xml"}, b"<a/>"), "<a/>"),
        (Heard(200, {"content-type": "image/png"}, b"\x89PNG"), "HTTP 200: 4 bytes of `image/png`"),
        (Heard(200, {"content-type": "text/plain"}, b"a\0b"), "HTTP 200: 3 bytes of `text/plain`"),
        (Heard(200, {"content-type": "text/plain"}, b"\xff"), "HTTP 200: 1 bytes of `text/plain`"),
        (Heard(200, {"content-type": "x`\x01/y"}, b"\xff"), "HTTP 200: 1 bytes of `x/y`"),
        (Heard(200, {}, b"\xff"), "HTTP 200: 1 bytes of `an unnamed type`"),
        (Heard(200, JSON_TYPE, b"{broken"), "{broken"),
        (Heard(200, {"content-type": "text/html"}, b"<p>"), "<p>"),
    ],
)
def test_what_is_no_json_is_told_as_text_or_as_size_and_type(heard, told):
    assert texts(result(read(heard), GET)) == [told]


def test_json_under_another_name_is_json():
    for type in ("text/plain", "", "application/vnd.desk+json", "text/html"):
        assert read(Heard(200, {"content-type": type}, b'{"a":1}')).value == {"a": 1}


def test_a_long_text_is_cut_at_a_character_and_says_so():
    heard = Heard(200, {"content-type": "text/plain"}, "é".encode() * 10)
    told = texts(result(read(heard), action(shown=Shown(max_bytes=5))))
    assert told == ["éé", "this was cut after 5 of 20 bytes, so it is not complete; ask for less at a time"]


@pytest.mark.parametrize(
    ("heard", "api", "why"),
    [
        (answered({"message": "no"}, 404), API, "no"),
        (answered({"error": {"message": "deep"}}, 400), API, "deep"),
        (answered({"error": "e", "error_description": "described"}, 400), API, "described"),
        (answered({"errors": [{"message": "first"}]}, 422), API, "first"),
        (answered({"errors": ["plain"]}, 422), API, "plain"),
        (answered({"why": {"code": 7}}, 500), Api("", (), error_path="why"), '{"code":7}'),
        (answered({"why": 7}, 500), Api("", (), error_path="why.code"), '{"why":7}'),
        (Heard(502, {"content-type": "text/html"}, b"<h1>Bad"), API, "<h1>Bad"),
        (Heard(500), API, "HTTP 500: done; there is nothing more to say"),
        (answered({"ok": False, "error": "not_found"}), Api("", (), error_when=Equals("ok", False)), "not_found"),
        (answered({"ok": True}), Api("", (), error_when=Equals("ok", False)), ""),
        (answered({"data": None, "errors": [{"message": "m"}]}), Api("", (), error_when=Equals("data")), "m"),
        (Heard(204), Api("", (), error_when=Equals("data")), ""),
        (answered({"a": 1}), API, ""),
    ],
)
def test_a_failure_is_known_by_status_or_by_what_the_answer_says(heard, api, why):
    assert failure(heard, read(heard), GET, api) == why


def test_the_action_s_own_condition_counts_before_the_api_s():
    api = Api("", (), error_when=Equals("ok", False))
    one = action(error_when=Equals("errors", present=True))
    heard = answered({"ok": False, "errors": []})
    assert failure(heard, read(heard), one, api) == ""
    heard = answered({"ok": True, "errors": ["x"]})
    assert failure(heard, read(heard), one, api) == "x"


@pytest.mark.parametrize(
    ("condition", "value", "met"),
    [
        (Equals("a", True), {"a": True}, True),
        (Equals("a", True), {"a": 1}, False),
        (Equals("a", 1), {"a": True}, False),
        (Equals("a", 0), {"a": False}, False),
        (Equals("a", None), {}, True),
        (Equals("a", None), {"a": 0}, False),
        (Equals("a", present=True), {"a": 0}, True),
        (Equals("a", present=True), {"a": [0]}, True),
        *((Equals("a", present=True), {"a": empty}, False) for empty in (None, False, "", [], {})),
        (Equals("a", present=True), {}, False),
    ],
)
def test_a_condition_tells_truth_from_one_and_missing_from_empty(condition, value, met):
    assert holds(condition, value) is met


def test_a_failure_tells_status_and_message_in_one_bounded_line():
    told = failed("`desk`", 404, "no\r\nsuch\x1b[31m" + "x" * 5000, "a note")
    assert told["isError"] is True
    assert texts(told)[1] == "a note"
    line = texts(told)[0]
    assert line.startswith("`desk` answered HTTP 404: no  such [31mxxx")
    assert line.isprintable()
    assert len(line) < LONGEST_MESSAGE + 50


@given(
    st.binary(max_size=60),
    st.sampled_from(["application/json", "text/plain", "", "image/png", "x"]),
    st.sampled_from([200, 404]),
)
def test_any_bytes_give_a_result(body, type, status):
    heard = Heard(status, {"content-type": type}, body)
    document = read(heard)
    assert isinstance(failure(heard, document, GET, API), str)
    assert texts(result(document, GET))
