"""The configuration of an ``http`` handler: what is taken, and each thing that is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.definition.terms import Coding
from connectors.http_calls.plan import LONGEST_URL, MOST_FIELDS, HttpPlan, host_of, read_plan

URL = "https://api.example.com/v1"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def plan(**config):
    found = read_plan({"url": URL, **config})
    assert isinstance(found, HttpPlan), found
    return found


def test_a_url_becomes_fixed_steps_and_gaps_and_its_query_parameters():
    found = plan(url="HTTPS://API.Example.com/v1/a%20b/{{id}}:x/?q={{ q }}&n=a%26b+c&empty=", query={"m": 1})
    assert (found.origin, found.host, found.method) == ("https://api.example.com", "api.example.com", "GET")
    assert found.steps == ("v1", "a%20b", None, "")
    assert found.templates == {
        "method": "GET",
        "path": "/v1/a b/{{id}}:x/",
        "query": {"q": "{{ q }}", "n": "a&b c", "empty": "", "m": 1},
        "headers": {},
    }


@pytest.mark.parametrize(
    ("url", "origin", "host"),
    [
        ("https://a.example:443", "https://a.example", "a.example"),
        ("https://a.example:8443/", "https://a.example:8443", "a.example:8443"),
        ("http://a.example/", "http://a.example", "a.example:80"),
        ("https://[2606:4700:0:0::1111]:8443/", "https://[2606:4700::1111]:8443", "[2606:4700::1111]:8443"),
        ("https://93.184.215.14/", "https://93.184.215.14", "93.184.215.14"),
    ],
)
def test_a_host_has_one_spelling_and_plain_http_never_looks_like_https(url, origin, host):
    found = plan(url=url)
    assert (found.origin, found.host) == (origin, host)
    assert (found.steps, found.templates["path"]) == (("",), "/")
    assert host_of(host) == host


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "url: is to be an `https` URL"),
        ({"url": 1}, "url: is to be an `https` URL"),
        ({"url": "ftp://a.example/"}, "url: is to be an `https` URL"),
        ({"url": "//a.example/"}, "url: is to be an `https` URL"),
        ({"url": URL + "#part"}, "url: is to be an `https` URL"),
        ({"url": URL + "a" * LONGEST_URL}, "url: is to be an `https` URL"),
        ({"url": "https://{{host}}/"}, "url: `{{host}}` is not a host"),
        ({"url": "https://api.{{x}}.com/"}, "url: `api.{{x}}.com` is not a host"),
        ({"url": "https://a.example:{{port}}/"}, "url: `a.example:{{port}}` is not a host"),
        ({"url": "{{scheme}}://a.example/"}, "url: is to be an `https` URL"),
        ({"url": "https://a.example:0/"}, "url: `0` is not a port"),
        ({"url": "https://a.example:99999/"}, "url: `99999` is not a port"),
        ({"url": "https://ann:canary@a.example/"}, "url: `…` is not a host"),
        ({"url": "https://a.example./"}, "url: `a.example.` is not a host"),
        ({"url": "https://2130706433/"}, "url: `2130706433` is not a plain IP address"),
        ({"url": "https://0x7f.1/"}, "url: `0x7f.1` is not a plain IP address"),
        ({"url": "https://a.example\\.evil.example/"}, "url: `a.example\\.evil.example` is not a host"),
        ({"url": "https://ä.example/"}, "url: `ä.example` is not a host"),
        ({"url": URL + "/../b"}, "url: a step of its path is empty"),
        ({"url": URL + "//b"}, "url: a step of its path is empty"),
        ({"url": URL + "/%2e%2E/b"}, "url: a step of its path is empty"),
        ({"url": URL + "/..;{{x}}/b"}, "url: a step of its path is empty"),
        ({"url": URL + "/a%2Fb"}, "url: holds an escaped slash"),
        ({"url": URL + "/a%5Cb"}, "url: holds an escaped slash"),
        ({"url": URL + "/a b"}, "url: holds what no URL does"),
        ({"url": URL + "/a%b"}, "url: holds what no URL does"),
        ({"url": URL + "/{{a/b}}"}, "url: holds what no URL does"),
        ({"url": URL + "/%ff"}, "url: holds an escape of what is no text"),
        ({"url": URL + "?a=%0d%0aX"}, "url: holds an escape of what is no text"),
        ({"url": URL + "?{{name}}=1"}, "query: holds a name that cannot be one"),
        ({"url": URL + "?a=1", "query": {"a": 2}}, "query.a: stands there twice"),
        ({"url": URL, "query": {"": 2}}, "query: holds a name that cannot be one"),
        ({"url": URL, "query": []}, "query: is to be an object"),
        ({"url": URL, "query": {str(at): at for at in range(MOST_FIELDS + 1)}}, "query: is to be an object of at most"),
        ({"url": URL, "uri": URL}, "uri: is not known"),
        ({"url": URL, "method": "TRACE"}, "method: is to be one of `GET`"),
        ({"url": URL, "method": "{{method}}"}, "method: is to be one of `GET`"),
        ({"url": URL, "body": {}}, "body: a `GET` request has none"),
        ({"url": URL, "headers": {"X": "1", "x": "2"}}, "headers.x: stands there twice"),
        ({"url": URL, "headers": {"X": "1", "x": "{{secret.A}}"}}, "headers.x: stands there twice"),
        ({"url": URL, "headers": {"Host": "b.example"}}, "headers.Host: is not a header that a tool can set"),
        ({"url": URL, "headers": {"content-length": "1"}}, "headers.content-length: is not a header"),
        ({"url": URL, "headers": {"a b": "1"}}, "headers.a b: is not a header"),
        ({"url": URL, "headers": {"X": 1}}, "headers.X: is to be a text"),
        ({"url": URL, "headers": {"{{x}}": "1"}}, "headers: holds a name that cannot be one"),
        ({"url": URL, "headers": {"Content-Type": "{{x}}"}}, "headers.Content-Type: is to be one fixed media type"),
        (
            {"url": URL, "headers": {"content-type": "{{secret.A}}"}},
            "headers.content-type: is to be one fixed media type",
        ),
        ({"url": URL, "headers": {"Content-Type": "multipart/form-data"}}, "headers.Content-Type: is to be one fixed"),
        ({"url": URL, "headers": {"Content-Type": "a/b\r\nX: 1"}}, "headers.Content-Type: is to be one fixed"),
        ({"url": URL, "headers": {"X": "{{secret.A}} {{x}}"}}, "headers.X: no argument may stand beside a secret"),
        ({"url": URL + "?a={{x}}{{secret.A}}"}, "query.a: no argument may stand beside a secret"),
        ({"url": URL, "headers": {"X": "{{secret.a b}}"}}, "headers.X: `a b` is no name of a secret"),
    ],
)
def test_what_cannot_be_sent_as_it_is_meant_is_refused_with_its_place(config, sentence):
    found = read_plan(config)
    assert isinstance(found, list)
    assert any(each.startswith(f"handler.config.{sentence}") for each in found), found
    assert not any("canary" in each for each in found)


def test_every_fault_is_told_at_once():
    found = read_plan({"url": "https://{{h}}/", "method": "X", "headers": {"Host": "x"}, "more": 1})
    assert isinstance(found, list)
    assert len(found) == 4


def test_secrets_stand_beside_fixed_text_in_headers_and_parameters_alone():
    found = plan(
        url=URL + "?key={{secret.QUERY}}", headers={"Authorization": "Bearer {{ secret.TOKEN }}", "X-Both": "{{x}}"}
    )
    assert found.keys == {"Authorization": "Bearer {{ secret.TOKEN }}"}
    assert found.key_query == {"key": "{{secret.QUERY}}"}
    assert sorted(found.secrets) == ["QUERY", "TOKEN"]
    assert found.templates["headers"] == {"X-Both": "{{x}}"}
    assert found.templates["query"] == {}
    assert "secret" not in str(found.templates)


@pytest.mark.parametrize(
    ("type", "coding"),
    [
        ("application/json", Coding.JSON),
        ("application/vnd.api+json; charset=utf-8", Coding.JSON),
        ("application/x-www-form-urlencoded", Coding.FORM),
        ("text/plain", Coding.RAW),
        ("application/xml", Coding.RAW),
    ],
)
def test_the_media_type_says_how_a_body_is_written(type, coding):
    found = plan(method="post", headers={"content-type": type}, body="{{x}}")
    assert (found.coding, found.content_type, found.templates["headers"]) == (coding, type, {})


@given(
    st.dictionaries(
        st.sampled_from(["method", "url", "query", "headers", "body", "x"]),
        JSON
        | st.sampled_from([URL, "GET", "POST", "https://{{a}}/", URL + "/{{a}}?b={{secret.C}}", "https://[::1"])
        | st.builds(lambda tail: URL + tail, st.text("/{}%.;?#&=a2f\\", max_size=12)),
    )
)
def test_any_configuration_is_a_plan_or_sentences_with_places(config):
    found = read_plan(config)
    if isinstance(found, HttpPlan):
        assert found.origin.startswith(("https://", "http://"))
        assert "{" not in found.origin + found.host
        assert found.templates["method"] == found.method
    else:
        assert found
        assert all(each.startswith("handler.config.") for each in found)
