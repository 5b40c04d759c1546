"""Bodies in the codings that platforms want."""

import base64
import email
import json
from email.policy import HTTP
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.definition.terms import Coding, Style
from connectors.rest.request import drafted
from gateway.errors import InvalidArguments
from tests.connectors.rest.building import action, body

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
FILE = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
NAMED = {"type": "object", "properties": {"filename": {}, "type": {}, "data": FILE}}


def form(*parameters, coding=Coding.FORM, body_=None, **args):
    draft = drafted(action("POST", "/x", *parameters, coding=coding, body=body_ or {}), args)
    assert draft.content_type == "application/x-www-form-urlencoded"
    return parse_qsl((draft.body or b"").decode(), keep_blank_values=True)


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_a_form_holds_texts_and_lists(text, members):
    pairs = form(body("a", wire="a.b"), body("c"), body("d", style=Style.BRACKETS), a=text, c=members, d=members)
    assert pairs == [("a.b", text), *(("c", each) for each in members), *(("d[]", each) for each in members)]


def test_a_form_writes_numbers_truth_values_nothing_and_objects():
    assert form(
        body("a"), body("b"), body("c"), body("d"), body("e"), a=1.0, b=True, c=None, d={"x": [1]}, e=[{"y": 2}]
    ) == [
        ("a", "1"),
        ("b", "true"),
        ("c", ""),
        ("d", '{"x":[1]}'),
        ("e", '[{"y":2}]'),
    ]
    assert form(body("a", style=Style.COMMA), a=["x", "y"]) == [("a", "x,y")]
    with pytest.raises(InvalidArguments, match="no member may hold a comma"):
        form(body("a", style=Style.COMMA), a=["x,y"])


def test_constants_of_a_form_are_not_overridden():
    assert form(body("a"), body_={"kind": "fixed"}, a=1) == [("a", "1"), ("kind", "fixed")]


def test_a_nested_form_is_written_in_brackets():
    pairs = form(
        *(body("card", wire="source.card"), body("items"), body("none")),
        coding=Coding.NESTED_FORM,
        body_={"source": {"object": "card"}},
        card={"number": "4242", "tags": ["a", "b"]},
        items=[{"price": "p1", "n": 1}, {"price": "p2"}],
        none=[],
    )
    assert pairs == [
        ("source[card][number]", "4242"),
        ("source[card][tags][0]", "a"),
        ("source[card][tags][1]", "b"),
        ("source[object]", "card"),
        ("items[0][price]", "p1"),
        ("items[0][n]", "1"),
        ("items[1][price]", "p2"),
    ]


def test_a_form_of_very_many_fields_is_refused():
    for coding in (Coding.FORM, Coding.NESTED_FORM):
        with pytest.raises(InvalidArguments, match="more than 10000 fields"):
            form(body("a"), coding=coding, a=["x"] * 10_001)


def parts(*parameters, **args):
    draft = drafted(action("POST", "/x", *parameters, coding=Coding.MULTIPART), args)
    message = email.message_from_bytes(
        b"Content-Type: " + draft.content_type.encode() + b"\r\n\r\n" + (draft.body or b""), policy=HTTP
    )
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type() if "content-type" in part else "",
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


@given(st.binary(max_size=60))
def test_a_file_arrives_byte_by_byte(content):
    data = base64.b64encode(content).decode()
    named = {"filename": "cat.png", "type": "image/png", "data": data}
    found = parts(body("plain", FILE), body("named", NAMED), plain=data, named=named)
    assert found == [("plain", "plain", "image/png", content), ("named", "cat.png", "image/png", content)]


def test_other_parts_are_texts_and_json():
    assert parts(body("a"), body("b"), body("c"), a="x", b=["1", "2"], c={"d": 1}) == [
        ("a", None, "", b"x"),
        ("b", None, "", b"1"),
        ("b", None, "", b"2"),
        ("c", None, "application/json", b'{"d":1}'),
    ]


@pytest.mark.parametrize(
    "value",
    [
        {"filename": 'a"\r\nX: y', "data": ""},
        {"filename": "", "data": ""},
        {"filename": "x" * 256, "data": ""},
        {"filename": "a", "type": "image/png\r\nX: y", "data": ""},
        {"filename": "a", "type": "nonsense", "data": ""},
        {"filename": "a", "data": "no base64!"},
        {"filename": "a", "data": 1},
        {"filename": "a"},
    ],
)
def test_a_file_whose_head_would_break_is_refused(value):
    with pytest.raises(InvalidArguments, match=r"^`file"):
        parts(body("file", NAMED), file=value)


def test_quotes_in_a_file_s_name_do_not_end_it():
    assert parts(body("f", NAMED), f={"filename": 'a";b="c', "data": ""})[0][1] == "a%22;b=%22c"


@given(st.binary(max_size=40))
def test_the_line_between_parts_stands_in_none_of_them(content):
    args = {"a": base64.b64encode(content).decode()}
    first = drafted(action("POST", "/x", body("a", FILE), coding=Coding.MULTIPART), args)
    again = drafted(action("POST", "/x", body("a", FILE), coding=Coding.MULTIPART), args)
    boundary = first.content_type.partition("boundary=")[2].encode()
    assert boundary not in content
    assert first.body == again.body


def test_a_raw_body_is_the_argument_itself():
    text = action("PUT", "/x", body("content"), coding=Coding.RAW, whole_body="content")
    draft = drafted(text, {"content": "a,ä\n"})
    assert (draft.body, draft.content_type) == ("a,ä\n".encode(), "text/plain; charset=utf-8")
    file = action("PUT", "/x", body("content", FILE), coding=Coding.RAW, whole_body="content")
    assert drafted(file, {"content": "AAE="}).body == b"\x00\x01"
    assert drafted(file, {"content": "AAE="}).content_type == "application/octet-stream"
    named = action("PUT", "/x", body("content"), coding=Coding.RAW, whole_body="content", content_type="text/csv")
    assert drafted(named, {"content": "x"}).content_type == "text/csv"
    for one, value in ((text, {"a": 1}), (file, "no base64!"), (text, None)):
        with pytest.raises(InvalidArguments, match="`content`: must be a text"):
            drafted(one, {"content": value})


def test_a_mail_is_put_where_the_action_says():
    one = action("POST", "/x", body("to"), body("subject"), body("thread", wire="message.threadId"), mail="message.raw")
    draft = drafted(one, {"to": ["ann@example.com"], "subject": "Hi", "thread": "t1"})
    sent = json.loads(draft.body or b"")
    assert sent["message"]["threadId"] == "t1"
    assert b"ann@example.com" in base64.urlsafe_b64decode(sent["message"]["raw"] + "==")
    assert set(sent) == {"message"}
