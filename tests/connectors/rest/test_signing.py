"""The credential stands on a request, goes to allowed hosts alone, and nothing takes its place."""

import base64
import json
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Credential, Secret
from connectors.definition.terms import Input, Style
from connectors.rest.redacting import without
from connectors.rest.request import Draft, drafted
from connectors.rest.signing import signed, whole
from tests.connectors.rest.building import TOKEN, action, body, credential, platform, query

SIGNS = st.characters(codec="utf-8", exclude_categories=["Cc"])
GET = Draft("GET", "/things", (("a", "1"),))


def test_the_credential_stands_in_the_header_that_the_definition_says():
    sent = signed(GET, platform("https://127.0.0.1/api"), credential())
    assert sent.url == "https://127.0.0.1/api/things?a=1"
    assert sent.headers == {"Accept": "application/json", "Authorization": f"Bearer {TOKEN}"}
    assert sent.hidden == (TOKEN,)


def test_the_credential_may_stand_in_the_query_and_no_argument_takes_its_place():
    place = platform("https://127.0.0.1/api", auth={}, auth_query={"key": "{access_token}"})
    draft = replace(GET, query=(("key", "mine"), ("a", "1")))
    assert signed(draft, place, credential("t o&k")).url == "https://127.0.0.1/api/things?a=1&key=t%20o%26k"


def test_no_argument_of_free_names_takes_the_place_of_the_credential():
    one = action("GET", "/x", query("query", style=Style.EXPLODE))
    place = platform("https://127.0.0.1/api", one, auth={}, auth_query={"api key": "{access_token}"})
    draft = drafted(one, {"query": {"api key": "mine", "q": "1"}})
    assert signed(draft, place, credential("tok")).url == "https://127.0.0.1/api/x?q=1&api%20key=tok"


def test_user_and_password_are_written_as_basic_authentication():
    place = platform("https://127.0.0.1", auth={}, basic=("{mail}/token", "{access_token}"))
    sent = signed(GET, place, credential(mail="ann@example.com"))
    basic = base64.b64encode(f"ann@example.com/token:{TOKEN}".encode()).decode()
    assert sent.headers["Authorization"] == f"Basic {basic}"
    assert sent.hidden == (TOKEN, basic)
    with pytest.raises(ValueError, match="holds no `:`"):
        signed(GET, place, credential(mail="a:b"))


def test_no_other_header_takes_the_place_of_the_credential_whatever_its_case():
    place = platform("https://127.0.0.1", headers={"AUTHORIZATION": "x", "X-Team": "{team}", "X-None": "{none}"})
    place = replace(place, definition=replace(place.definition, inputs=(Input("none", "", "^$", optional=True),)))
    draft = replace(
        GET, headers={"authorization": "mine", "X-team": "theirs"}, body=b"{}", content_type="application/json"
    )
    assert signed(draft, place, credential(team="t1")).headers == {
        "Accept": "application/json",
        "X-team": "theirs",
        "Content-Type": "application/json",
        "Authorization": f"Bearer {TOKEN}",
    }


@pytest.mark.parametrize("base", ["https://evil.example", "https://127.0.0.1@evil.example", "{host}", "{host}/x"])
def test_the_credential_never_leaves_the_allowed_hosts(base):
    for value in ("https://evil.example", "https://127.0.0.1.evil.example", "https://a@127.0.0.1"):
        with pytest.raises(ValueError) as caught:
            signed(GET, platform(base), credential(host=value))
        assert TOKEN not in str(caught.value)


def test_what_is_missing_is_told_by_its_name():
    with pytest.raises(ValueError, match="there is no value for `instance_url`"):
        signed(GET, platform("{instance_url}"), credential())
    with pytest.raises(ValueError, match="there is no value for `access_token`"):
        signed(GET, platform("https://127.0.0.1"), Credential("c1"))


def test_a_further_page_is_asked_for_on_the_same_origin_with_the_credential():
    place = platform("https://127.0.0.1:8443/api", auth={}, auth_query={"key": "{access_token}"})
    url = "https://127.0.0.1:8443/other?page=2&key=old&q=a%20b"
    sent = signed(replace(GET, query=()), place, credential("tok"), url=url)
    assert sent.url == "https://127.0.0.1:8443/other?page=2&q=a%20b&key=tok"
    assert signed(GET, platform("https://127.0.0.1"), credential(), url="/next?x=1").url == "https://127.0.0.1/next?x=1"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "http://127.0.0.1:8443/",
        "https://127.0.0.1/",
        "https://127.0.0.1:8443@evil.example/",
        "//evil.example/x",
        "https:\\\\evil.example",
    ],
)
def test_a_further_page_on_another_origin_is_refused(url):
    with pytest.raises(ValueError):
        signed(GET, platform("https://127.0.0.1:8443/api"), credential(), url=url)


def test_a_url_of_the_definition_is_signed_like_any_other():
    sent = whole(
        "https://127.0.0.1/{team}/me", platform("https://127.0.0.1/api"), credential(team="t 1"), Draft("POST", "")
    )
    assert (sent.method, sent.url) == ("POST", "https://127.0.0.1/t%201/me")
    assert sent.headers["Authorization"] == f"Bearer {TOKEN}"
    with pytest.raises(ValueError, match="allowed hosts"):
        whole("https://evil.example/me", platform("https://127.0.0.1/api"), credential(), Draft("GET", ""))


def test_a_signed_request_prints_nothing():
    one = action("POST", "/x", body("a"), query("b"))
    sent = signed(drafted(one, {"a": "canary", "b": "canary"}), platform("https://127.0.0.1"), credential())
    assert "canary" not in f"{sent!r} {sent}"


@given(st.text(SIGNS, min_size=6, max_size=30), st.binary(max_size=20), st.binary(max_size=20))
def test_a_secret_is_gone_from_an_answer_however_it_is_written(secret, before, after):
    for spelled in (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret).replace("/", "\\/")[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
    ):
        found = without([secret], before + spelled.encode() + after)
        assert b"***" in found


@given(st.text(SIGNS, min_size=6, max_size=12), st.lists(st.sampled_from(range(4)), min_size=12, max_size=12))
def test_a_secret_is_gone_whatever_some_of_its_signs_are_written_as(secret, how):
    ways = (
        str,
        quote,
        lambda sign: json.dumps(sign)[1:-1],
        lambda sign: "".join(f"\\u{int.from_bytes(unit):04X}" for unit in _units(sign)),
    )
    spelled = "".join(ways[which](sign) for sign, which in zip(secret, how, strict=False))
    assert without([secret], b"<" + spelled.encode() + b">") == b"<***>"


def _units(sign: str) -> list[bytes]:
    units = sign.encode("utf-16-be")
    return [units[:2], units[2:]] if len(units) > 2 else [units]


def test_what_is_too_short_to_be_a_secret_is_left():
    assert without(["", "a", "12345"], b"a12345") == b"a12345"
    assert without([Secret("123456").reveal()], b"x123456y") == b"x***y"
