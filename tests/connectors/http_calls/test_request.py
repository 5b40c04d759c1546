"""Filled arguments become a request that says exactly what was judged, whatever they hold."""

from urllib.parse import parse_qsl, unquote

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from yarl import URL

from connectors.http_calls.plan import HttpPlan, read_plan
from connectors.http_calls.request import drafted_by, input_schema
from gateway.errors import InvalidArguments
from gateway.mcp.schema import Arguments
from gateway.policy.mapping import ArgumentMapping, read_mapping

ORIGIN = "https://api.example.com"
NASTY = st.text(st.sampled_from("ab./\\;:%?#&=+ @\r\n\0ä\ud800{}2eF"), max_size=8) | st.text(max_size=8)
SCALARS = NASTY | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)


def made(config, args):
    """The plan, the arguments as they are judged, and the request."""
    plan = read_plan({"url": ORIGIN, **config})
    assert isinstance(plan, HttpPlan), plan
    mapping = read_mapping(plan.templates, args.keys())
    assert isinstance(mapping, ArgumentMapping), mapping
    judged = mapping.filled(args)
    assert not Arguments(input_schema(plan)).problems(judged)
    return plan, judged, drafted_by(plan, judged)


@given(NASTY, NASTY)
@example("..", "")
@example("a", "%2e%2e")
@example("b/../..", "c")
@example("x", ".")
@example("a;b", "c")
def test_an_argument_stays_inside_of_its_step_of_the_path(x, y):
    try:
        _, judged, draft = made({"url": ORIGIN + "/v1/{{x}}/mid:dle/a{{y}}b"}, {"x": x, "y": y})
    except InvalidArguments:
        odd = "/\\;" + "".join(map(chr, range(32))) + "".join(map(chr, range(0x7F, 0xA0))) + "\ud800"
        assert x in ("", ".", "..") or {*odd} & {*x, *y}
        return
    sent = URL(ORIGIN + draft.path)  # as the egress reads it, and sends it
    assert sent.host == "api.example.com"
    assert not sent.raw_query_string + sent.raw_fragment
    steps = [unquote(each) for each in sent.raw_path.split("/")]
    assert steps == ["", "v1", x, "mid:dle", f"a{y}b"]
    assert judged["path"] == "/".join(steps)


@pytest.mark.parametrize("x", ["", ".", "..", "a/b", "a\\b", "..;a", "a;b", "a\nb", "\ud800"])
def test_an_argument_that_would_lead_elsewhere_is_refused(x):
    with pytest.raises(InvalidArguments, match=r"^`path`: "):
        made({"url": ORIGIN + "/v1/{{x}}/end"}, {"x": x})


def test_a_gap_that_is_written_percent_encoded_is_filled_where_it_is_judged():
    _, judged, draft = made({"url": ORIGIN + "/%7B%7Bx%7D%7D/b"}, {"x": "a c"})
    assert (judged["path"], draft.path) == ("/a c/b", "/a%20c/b")


def test_the_method_is_that_of_the_plan_whatever_is_handed_over():
    plan, judged, _ = made({"method": "POST"}, {})
    assert drafted_by(plan, {**judged, "method": "DELETE"}).method == "POST"


@given(st.dictionaries(st.sampled_from("xyz"), SCALARS | st.lists(SCALARS, max_size=3)))
def test_parameters_carry_what_was_judged_and_no_more(args):
    assume(all("\ud800" not in str(each) for each in args.values()))
    try:
        _, judged, draft = made({"query": {"fix": "1&2", **{each: f"{{{{{each}}}}}" for each in args}}}, args)
    except InvalidArguments:
        assume(False)
    sent = URL(ORIGIN + draft.path + "?" + "&".join(f"{name}={value}" for name, value in draft.query))
    pairs = parse_qsl(sent.raw_query_string, keep_blank_values=True)
    told = []
    for name, value in judged["query"].items():
        told += [(name, each) for each in (value if isinstance(value, list) else [value])]
    assert [name for name, _ in pairs] == [name for name, _ in told]
    for (_, text), (_, value) in zip(pairs, told, strict=True):
        same = text == value if isinstance(value, str) else float(msgspec.json.decode(text)) == float(value)
        assert same, (text, value)


def test_a_parameter_that_is_absent_is_not_sent():
    plan = read_plan({"url": ORIGIN + "?a={{x}}&b={{y}}"})
    assert isinstance(plan, HttpPlan)
    mapping = read_mapping(plan.templates, "xy")
    assert isinstance(mapping, ArgumentMapping)
    assert drafted_by(plan, mapping.filled({"y": "1"})).query == (("b", "1"),)


def test_an_object_is_no_parameter():
    with pytest.raises(InvalidArguments, match=r"^`query\.a`: must not be an object"):
        made({"query": {"a": "{{x}}"}}, {"x": {"b": 1}})


@given(NASTY)
def test_a_header_holds_one_line_of_plain_text(x):
    config = {"headers": {"X-It": "v={{x}}"}}
    if not (x.isascii() and (x + " ").isprintable()):
        with pytest.raises(InvalidArguments, match=r"^`headers\.X-It`: "):
            made(config, {"x": x})
        return
    _, judged, draft = made(config, {"x": x})
    assert draft.headers == judged["headers"] == {"X-It": f"v={x}"}


@given(st.recursive(SCALARS | st.none(), lambda inner: st.lists(inner) | st.dictionaries(NASTY, inner), max_leaves=6))
def test_a_body_is_the_judged_value_as_json(x):
    try:
        _, judged, draft = made({"method": "POST", "body": {"fixed": [1], "x": "{{x}}"}}, {"x": x})
    except InvalidArguments:
        assert "\\ud800" in repr(x)  # half of a character
        return
    assert draft.content_type == "application/json"
    assert msgspec.json.decode(draft.body or b"") == judged["body"]


def test_a_form_and_a_text_are_written_as_their_type_says():
    form = {"method": "POST", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    _, _, draft = made({**form, "body": {"a": "{{x}}", "b": [1, 2]}}, {"x": "1&b=3"})
    assert draft.body == b"a=1%26b%3D3&b=1&b=2"
    text = {"method": "PUT", "headers": {"Content-Type": "text/plain"}}
    _, _, draft = made({**text, "body": "say {{x}}"}, {"x": "ä"})
    assert (draft.method, draft.body, draft.content_type) == ("PUT", "say ä".encode(), "text/plain")
    with pytest.raises(InvalidArguments, match=r"^`body`: must be a text"):
        made({**text, "body": "{{x}}"}, {"x": 1})
    with pytest.raises(InvalidArguments, match=r"^`body`: must be an object"):
        made({**form, "body": "{{x}}"}, {"x": [1]})


def test_a_body_that_no_argument_fills_is_not_sent():
    plan = read_plan({"url": ORIGIN, "method": "DELETE", "body": "{{x}}"})
    assert isinstance(plan, HttpPlan)
    mapping = read_mapping(plan.templates, "x")
    assert isinstance(mapping, ArgumentMapping)
    assert drafted_by(plan, mapping.filled({})).body is None


def test_the_schema_of_a_request_knows_nothing_but_its_parts():
    plan = read_plan({"url": ORIGIN})
    assert isinstance(plan, HttpPlan)
    fine = {"method": "GET", "path": "/", "query": {}, "headers": {}}
    check = Arguments(input_schema(plan))
    assert not check.problems(fine)
    for wrong in ({**fine, "method": "POST"}, {**fine, "body": 1}, {**fine, "host": "b.example"}, {}):
        assert check.problems(wrong)
