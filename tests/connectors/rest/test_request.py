"""Arguments become a request, and every one of them stays in its place."""

import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from connectors.definition.terms import Coding, Style
from connectors.rest.request import drafted
from connectors.rest.signing import signed
from gateway.errors import InvalidArguments
from tests.connectors.rest.building import action, body, credential, header, path, platform, query

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
SCALARS = st.booleans() | st.integers(-(2**53), 2**53) | TEXTS
JSON = st.recursive(
    st.none() | SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def url_of(what, args, **more) -> URL:
    """The URL as it goes out: the egress reads it by the same library."""
    return URL(signed(drafted(what, args), platform("http://127.0.0.1/api", what, **more), credential()).url)


def refused(what, **args) -> str:
    with pytest.raises(InvalidArguments) as caught:
        drafted(what, args)
    return str(caught.value)


# -- path


@given(TEXTS)
def test_a_path_argument_is_one_step_of_the_path_or_refused(value):
    one = action("GET", "/people/{who}/tickets", path("who"))
    try:
        url = url_of(one, {"who": value})
    except InvalidArguments:
        assert any(each < " " or "\x7f" <= each <= "\x9f" for each in value) or any(
            step.partition(";")[0] in ("", ".", "..") for step in value.replace("\\", "/").split("/")
        )
        return
    assert url.parts == ("/", "api", "people", value, "tickets")
    assert not url.raw_query_string


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_a_deep_path_argument_is_as_many_steps_as_it_has(steps):
    one = action("GET", "/files/{path*}", path("path"))
    try:
        url = url_of(one, {"path": "/".join(steps)})
    except InvalidArguments:
        return
    assert list(url.parts[3:]) == "/".join(steps).split("/")


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "../x", "a/../b", "..\\x", "a/", "/a", "..;/x", ".;x", "a\r\nHost: evil", "a\nb", "a\0", "\x85", None, {}, {"a": 1}],
)  # fmt: skip
def test_a_path_argument_that_leads_elsewhere_is_refused_and_not_repeated(value):
    told = refused(action("GET", "/people/{who}", path("who")), who=value)
    assert told.startswith("`who`: ")
    assert "evil" not in told


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a b", "a%20b"),
        ("%2f..%2f", "%252f..%252f"),
        ("%2e%2e", "%252e%252e"),
        ("a?b#c", "a%3Fb%23c"),
        ("..x", "..x"),
        ("é", "%C3%A9"),
        (7, "7"),
        (1.0, "1"),
        (True, "true"),
        (["a", "b c"], "a%2Cb%20c"),
    ],
)
def test_a_path_argument_is_percent_encoded(value, written):
    assert drafted(action("GET", "/people/{who}", path("who")), {"who": value}).path == f"/people/{written}"


def test_a_path_argument_cannot_be_left_out_and_none_is_made_up():
    one = action("GET", "/people/{who}", path("who"))
    assert refused(one) == "`who`: is missing"
    assert refused(one, who="x", other=1) == "`other`: is not known"


# -- query


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), SCALARS), st.lists(TEXTS, max_size=4))
def test_what_arrives_of_the_query_is_what_was_given(scalars, members):
    one = action(
        "GET",
        "/x",
        query("a"),
        query("b", wire="b[x]"),
        query("c"),
        query("list"),
        query("bracket", style=Style.BRACKETS),
    )
    url = url_of(one, {**scalars, "list": members, "bracket": members})
    text = {True: "true", False: "false"}
    names = {"a": "a", "b": "b[x]", "c": "c"}
    expected = [
        (names[name], text[value] if isinstance(value, bool) else str(value)) for name, value in scalars.items()
    ]
    expected += [("list", each) for each in members] + [("bracket[]", each) for each in members]
    assert parse_qsl(url.raw_query_string, keep_blank_values=True) == expected


@given(st.lists(TEXTS, max_size=4))
def test_members_between_commas_stay_apart(members):
    one = action("GET", "/x", query("list", style=Style.COMMA))
    if any("," in each for each in members):
        assert "no member may hold a comma" in refused(one, list=members)
    else:
        pairs = parse_qsl(url_of(one, {"list": members}).raw_query_string, keep_blank_values=True)
        assert pairs == ([("list", ",".join(members))] if members else [])


def test_an_object_in_the_query_is_written_in_brackets_where_the_action_says_so():
    one = action("GET", "/x", query("filter", style=Style.BRACKETS), query("plain"))
    assert drafted(one, {"filter": {"a": 1, "b": {"c": [True]}}}).query == (
        ("filter[a]", "1"),
        ("filter[b][c][]", "true"),
    )
    assert "must not be an object" in refused(one, plain={"a": 1})
    assert "must be a text, a number or a truth value" in refused(one, plain=[[1]])


def test_null_is_left_out_of_a_query():
    assert drafted(action("GET", "/x", query("a")), {"a": None}).query == ()


def test_what_is_hidden_is_always_sent_and_never_taken():
    one = action("GET", "/x", query("version", hidden=True, default="2"), query("v", wire="v"))
    assert drafted(one, {}).query == (("version", "2"),)
    assert refused(one, version="3") == "`version`: is not known"


# -- headers


@given(TEXTS)
def test_a_header_argument_is_one_line_of_plain_text_or_refused(value):
    one = action("GET", "/x", header("trace", wire="X-Trace"))
    try:
        headers = drafted(one, {"trace": value}).headers
    except InvalidArguments:
        assert not all(" " <= each <= "~" for each in value)
        return
    assert headers == {"X-Trace": value}
    assert all(" " <= each <= "~" for each in value)


def test_headers_of_the_action_count_before_arguments():
    one = action("POST", "/x", header("a", wire="X-A"), headers={"X-A": "fixed"}, idempotency_header="Idem")
    assert drafted(one, {"a": "mine"}, key="k1").headers == {"X-A": "fixed", "Idem": "k1"}
    assert drafted(one, {"a": None}).headers == {"X-A": "fixed"}


# -- JSON bodies


@given(JSON, JSON)
def test_a_json_body_holds_the_values_where_their_wires_say(title, more):
    one = action(
        "POST", "/x", body("title", wire="variables.input.title"), body("dotted.name"), body("escaped", wire="a\\.b"),
        body={"query": "mutation", "variables": {"input": {"kind": "t"}}},
    )  # fmt: skip
    draft = drafted(one, {"title": title, "dotted.name": more, "escaped": 1})
    assert draft.content_type == "application/json"
    assert json.loads(draft.body or b"") == {
        "query": "mutation",
        "variables": {"input": {"title": title, "kind": "t"}},
        "dotted.name": more,
        "a.b": 1,
    }


@given(JSON)
def test_nothing_overrides_a_constant_or_what_is_hidden(value):
    one = action(
        "POST", "/x", body("variables"), body("limit", wire="variables.limit", hidden=True, default=5),
        body={"query": "fixed", "variables": {"team": "ours"}},
    )  # fmt: skip
    sent = json.loads(drafted(one, {"variables": value}).body or b"")
    assert sent["query"] == "fixed"
    assert sent["variables"]["team"] == "ours"
    assert sent["variables"]["limit"] == 5
    if isinstance(value, dict):
        assert sent["variables"] == {**value, "team": "ours", "limit": 5}


def test_the_given_arguments_and_the_definition_are_left_as_they_are():
    args = {"variables": {"a": {"b": 1}}}
    one = action(
        "POST", "/x", body("variables"), body("h", wire="variables.a.c", hidden=True, default=2), body={"k": {"l": 1}}
    )
    drafted(one, args)
    assert args == {"variables": {"a": {"b": 1}}}
    assert one.body == {"k": {"l": 1}}


@given(JSON)
def test_an_argument_may_be_the_whole_body(value):
    one = action("POST", "/x", body("items"), whole_body="items")
    assert json.loads(drafted(one, {"items": value}).body or b"") == value
    assert drafted(one, {}).body is None


def test_there_is_a_body_exactly_when_the_action_can_have_one():
    assert drafted(action("POST", "/x"), {}).body is None
    assert drafted(action("POST", "/x", body("a")), {}).body == b"{}"
    assert drafted(action("POST", "/x", body={"a": 1}), {}).body == b'{"a":1}'
    assert drafted(action("POST", "/x", query("a")), {"a": 1}).body is None


def test_half_a_character_is_refused_wherever_it_stands():
    for place in (query("a"), header("a"), body("a")):
        for coding in (Coding.JSON, Coding.FORM, Coding.NESTED_FORM, Coding.MULTIPART):
            assert refused(action("POST", "/x", place, coding=coding), a="\ud800")
    assert refused(action("POST", "/x", body("a"), coding=Coding.RAW, whole_body="a"), a="\ud800")
    assert refused(action("POST", "/{a}", path("a")), a="\ud800")


# -- paging


@pytest.mark.parametrize(
    ("what", "name", "query_", "sent"),
    [
        (action("GET", "/x"), "cursor", (("cursor", "c"),), None),
        (action("GET", "/x", query("after", wire="cursor")), "cursor", (("cursor", "c"),), None),
        (action("GET", "/x", query("after", wire="cursor")), "after", (("cursor", "c"),), None),
        (action("POST", "/x"), "variables.after", (), {"variables": {"after": "c"}}),
        (action("POST", "/x", query("cursor")), "cursor", (("cursor", "c"),), None),
    ],
)
def test_a_parameter_of_paging_goes_where_the_action_has_it(what, name, query_, sent):
    draft = drafted(what, {}, {name: "c"})
    assert draft.query == query_
    assert draft.body == (None if sent is None else json.dumps(sent, separators=(",", ":")).encode())


def test_a_parameter_of_paging_counts_before_the_argument():
    one = action("GET", "/x", query("after", wire="cursor"))
    assert drafted(one, {"after": "first"}, {"cursor": "next"}).query == (("cursor", "next"),)


@given(JSON, st.sampled_from(list(Coding)))
def test_any_arguments_make_a_request_or_a_refusal(value, coding):
    one = action(
        "POST", "/{p}", path("p"), query("q"), header("h"), body("b", {"contentEncoding": "base64"}), coding=coding
    )
    for args in ({"p": "x", "b": value}, {"p": value}, {"p": "x", "q": value}, {"p": "x", "h": value}):
        try:
            draft = drafted(one, args)
        except InvalidArguments:
            continue
        assert draft.path.startswith("/")
        assert draft.path.isascii()
        assert all("\n" not in each and "\r" not in each for pair in draft.headers.items() for each in pair)


def test_a_draft_prints_nothing_of_what_it_holds():
    assert "canary" not in repr(drafted(action("POST", "/x", body("a")), {"a": "canary"}))
