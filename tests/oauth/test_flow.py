"""The two ends of an authorization: where the browser goes, and what it brings back."""

import base64
import hashlib
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.definition.terms import Api, Input, Pkce, Scopes
from connectors.oauth.flow import begin, returned
from connectors.oauth.terms import Failure, OAuthFailed
from tests.oauth.quirks import CLIENT, definition_of, platform_of, tried

STATE = "flow.state-secret"


def asked(url):
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    said = dict(pairs)
    assert len(said) == len(pairs)
    return said


def begun(platform, *, inputs=None, state=STATE, scopes=()):
    return begin(platform, CLIENT, state=state, inputs=inputs or {}, scopes=scopes)


def refused(call, *given, **named):
    with pytest.raises(OAuthFailed) as caught:
        call(*given, **named)
    return caught.value


def test_the_url_says_who_asks_for_what_and_holds_a_challenge():
    started = begun(platform_of(scopes_asked=("read", "write")))
    assert started.url.startswith("https://id.sample.example/authorize?")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(started.verifier.reveal().encode()).digest()).decode()
    assert asked(started.url) == {
        "response_type": "code",
        "client_id": "gate way",
        "redirect_uri": CLIENT.redirect_uri,
        "state": STATE,
        "scope": "read write",
        "code_challenge": challenge.rstrip("="),
        "code_challenge_method": "S256",
    }
    assert 43 <= len(started.verifier.reveal()) <= 128  # RFC 7636 §4.1


def test_two_tabs_share_nothing():
    one, other = (begun(platform_of(), state=state) for state in ("one", "other"))
    assert one.verifier.reveal() != other.verifier.reveal()
    assert (asked(one.url)["state"], asked(other.url)["state"]) == ("one", "other")


def test_pkce_is_off_only_where_the_definition_says_so():
    started = begun(platform_of(pkce=Pkce.OFF))
    assert started.verifier is None
    assert "code_challenge" not in asked(started.url)


def test_scopes_are_asked_for_in_the_platforms_own_words():
    platform = platform_of(
        scopes_asked=("a", "b"),
        scopes=Scopes(separator=",", param="permissions", also={"user_scope": ("c", "d"), "none": ()}),
        authorize_params={"prompt": "consent", "nonce": "n", "response_mode": "query"},
        resource="https://mcp.example/",
    )
    said = asked(begun(platform).url)
    assert (said["permissions"], said["user_scope"], said["prompt"], said["resource"]) == (
        *("a,b", "c,d", "consent"),
        "https://mcp.example/",
    )
    assert (said["nonce"], said["response_mode"]) == ("n", "query")
    assert not {"scope", "none"} & said.keys()
    assert asked(begun(platform, scopes=("x",)).url)["permissions"] == "x"


def test_no_scopes_are_not_asked_for_as_an_empty_word():
    assert "scope" not in asked(begun(platform_of()).url)


def test_a_scope_that_cannot_be_written_is_refused():
    assert refused(begun, platform_of(), scopes=("\ud800",)).kind is Failure.MISCONFIGURED


def test_a_query_that_the_definition_has_stays():
    said = asked(begun(platform_of(authorize_url="https://id.sample.example/authorize?owner=user&x=")).url)
    assert (said["owner"], said["x"]) == ("user", "")


@pytest.mark.parametrize(
    "name",
    [
        "state",
        "client_id",
        "redirect_uri",
        "response_type",
        "code_challenge",
        "code_challenge_method",
        "scope",
        "resource",
    ],
)
@pytest.mark.parametrize("place", ["params", "url"])
def test_a_definition_cannot_say_twice_what_is_ours_to_say(name, place):
    url = "https://id.sample.example/authorize"
    where = {"authorize_params": {name: "x"}} if place == "params" else {"authorize_url": f"{url}?{name}=x"}
    platform = platform_of(scopes_asked=("a",), resource="https://mcp.example/", **where)
    assert refused(begun, platform).kind is Failure.MISCONFIGURED


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/authorize",
        "https://id.sample.example@evil.example/authorize",
        "https://evil.example\\@id.sample.example/",
        "//id.sample.example/authorize",
        "javascript://id.sample.example/%0aalert(1)",
        "https://id.sample.example/authorize#here",
        "",
    ],
)
def test_a_browser_is_sent_only_to_the_platform(url):
    assert refused(begun, platform_of(authorize_url=url)).kind is Failure.MISCONFIGURED


def with_inputs(**oauth):
    known = definition_of("https://{subdomain}.sample.example", **oauth)
    inputs = (
        Input("subdomain", "Workspace", "^[a-z]{1,20}$"),
        Input("region", "Region", "^[a-z]{2}$", default="eu"),
        Input("key", "Key", "^.{1,20}$", secret=True, optional=True),
    )
    return replace(known, api=Api("https://{subdomain}.sample.example", ("*.sample.example",)), inputs=inputs)


def test_a_place_is_filled_with_what_was_typed_presumed_and_fixed():
    known = with_inputs(authorize_url="https://{subdomain}.sample.example/{region}/authorize")
    platform = platform_of(definition=known)
    assert begun(platform, inputs={"subdomain": "garden"}).url.startswith("https://garden.sample.example/eu/authorize?")
    fixed = platform_of(definition=known, inputs={"region": "us"})
    started = begun(fixed, inputs={"subdomain": "garden", "region": "xx"})
    assert started.url.startswith("https://garden.sample.example/us/authorize?")
    assert refused(begun, platform).kind is Failure.MISCONFIGURED


@pytest.mark.parametrize(
    "typed", ["evil.example/", "evil.example#", "a@evil.example", "evil.example\\", "a:b@c", "", "a b"]
)
def test_what_a_person_types_never_leads_elsewhere(typed):
    platform = platform_of(definition=with_inputs())
    said = refused(begun, platform, inputs={"subdomain": typed})
    assert said.kind is Failure.MISCONFIGURED
    assert "evil" not in said.sentence


def test_no_person_says_where_our_secret_goes():
    known = definition_of("{site}")
    known = replace(known, api=Api("{site}", ("{site}",)), inputs=(Input("site", "Site", "^https://[a-z.]{1,60}$"),))
    typed = {"site": "https://evil.example"}
    said = refused(begun, platform_of(definition=known), inputs=typed)
    assert (said.kind, said.detail) == (Failure.MISCONFIGURED, "there is no value for `site`")
    fixed = platform_of(definition=known, inputs={"site": "https://id.sample.example"})
    assert begun(fixed, inputs=typed).url.startswith("https://id.sample.example/authorize?")


def test_a_secret_that_was_typed_never_stands_in_a_url():
    known = with_inputs(authorize_url="https://{subdomain}.sample.example/{key}")
    said = refused(begun, platform_of(definition=known), inputs={"subdomain": "garden", "key": "hush-hush"})
    assert said.kind is Failure.MISCONFIGURED
    assert "hush" not in said.detail


def test_a_platform_without_oauth_has_no_legs():
    known = definition_of()
    plain = replace(known, auth=replace(known.auth, oauth=None))
    assert refused(begun, platform_of(definition=plain)).kind is Failure.MISCONFIGURED
    assert refused(back, platform_of(definition=plain), [("code", "c")]).kind is Failure.MISCONFIGURED


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@given(texts.filter(bool), st.dictionaries(texts, texts, max_size=4), st.lists(texts.filter(bool), max_size=3))
def test_the_url_is_whole_or_there_is_none(state, params, scopes):
    platform = platform_of(authorize_params=params, scopes_asked=tuple(scopes))
    started = tried(begun, platform, state=state)
    if isinstance(started, OAuthFailed):
        assert started.kind is Failure.MISCONFIGURED
        return
    said = asked(started.url)
    assert urlsplit(started.url)[:3] == ("https", "id.sample.example", "/authorize")
    assert said["state"] == state
    assert (said["client_id"], said["redirect_uri"]) == (CLIENT.id, CLIENT.redirect_uri)
    assert said["code_challenge_method"] == "S256"
    assert not params or params.items() <= said.items()


# ── coming back ──────────────────────────────────────────────────────────────────────────────────────────────────────

ISSUER = "https://id.sample.example"


def back(platform, query, **inputs):
    return returned(platform, query, inputs=inputs)


def test_a_code_comes_back_with_what_the_definition_keeps():
    code = back(
        platform_of(callback_keep=("realmId", "gone", "empty", "odd")),
        [("code", "c-1"), ("state", STATE), ("realmId", "42"), ("other", "x"), ("empty", ""), ("odd", "a\nb")],
    )
    assert code.value.reveal() == "c-1"
    assert code.kept == {"realmId": "42"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([], Failure.BAD_CALLBACK),
        ([("code", "")], Failure.BAD_CALLBACK),
        ([("code", "a"), ("code", "a")], Failure.BAD_CALLBACK),
        ([("code", "a"), ("state", "s"), ("state", "t")], Failure.BAD_CALLBACK),
        ([("code", "a"), ("iss", ISSUER), ("iss", ISSUER)], Failure.BAD_CALLBACK),
        ([("code", "a\r\nb")], Failure.BAD_CALLBACK),
        ([("code", "a" * 5000)], Failure.BAD_CALLBACK),
        ([("code", "a"), *((f"x{number}", "") for number in range(100))], Failure.BAD_CALLBACK),
        ([("error", "access_denied")], Failure.ACCESS_DENIED),
        ([("error", "access_denied"), ("code", "a")], Failure.ACCESS_DENIED),
        ([("error", "")], Failure.PROVIDER_ERROR),
        ([("error", "invalid_scope"), ("error_description", "<script>")], Failure.INVALID_SCOPE),
        ([("error", "temporarily_unavailable")], Failure.UNAVAILABLE),
        ([("error", "<script>alert(1)</script>")], Failure.PROVIDER_ERROR),
    ],
)
def test_what_is_no_code_ends_the_flow_with_a_reason(query, expected):
    said = refused(back, platform_of(), query)
    assert said.kind is expected
    assert "<" not in said.sentence + said.detail


SOUND = [("code", "c-1"), ("state", STATE), ("iss", ISSUER)]


def test_the_issuer_must_be_the_one_of_the_definition_to_the_letter():
    assert back(platform_of(issuer=ISSUER), SOUND).value.reveal() == "c-1"
    for issuer in (
        f"{ISSUER}/",
        ISSUER.upper(),
        "https://id.sample.example:443",
        "https://evil.example",
        "",
        f" {ISSUER}",
    ):
        said = refused(back, platform_of(issuer=ISSUER), [*SOUND[:2], ("iss", issuer)])
        assert said.kind is Failure.WRONG_ISSUER


def test_an_issuer_that_was_promised_must_be_there():
    assert refused(back, platform_of(issuer=ISSUER), SOUND[:2]).kind is Failure.WRONG_ISSUER
    unpromised = platform_of(issuer=ISSUER, iss_promised=False)
    assert back(unpromised, SOUND[:2]).value.reveal() == "c-1"
    assert refused(back, unpromised, [*SOUND[:2], ("iss", "https://evil.example")]).kind is Failure.WRONG_ISSUER


def test_an_issuer_is_checked_on_refusals_too():
    query = [("error", "access_denied"), ("state", STATE)]
    assert refused(back, platform_of(issuer=ISSUER), query).kind is Failure.WRONG_ISSUER
    said = refused(back, platform_of(issuer=ISSUER), [*query, ("iss", "https://evil.example")])
    assert said.kind is Failure.WRONG_ISSUER
    assert "evil" not in said.sentence + said.detail
    assert refused(back, platform_of(issuer=ISSUER), [*query, ("iss", ISSUER)]).kind is Failure.ACCESS_DENIED


def test_an_issuer_may_be_that_of_a_persons_own_workspace():
    platform = platform_of(definition=with_inputs(issuer="https://{subdomain}.sample.example"))
    sound = [("code", "c"), ("iss", "https://garden.sample.example")]
    assert back(platform, sound, subdomain="garden").value.reveal() == "c"
    assert refused(back, platform, sound, subdomain="meadow").kind is Failure.WRONG_ISSUER
    assert refused(back, platform, sound).kind is Failure.MISCONFIGURED


names = st.sampled_from(["code", "state", "iss", "error", "error_description", "realmId"])


@given(st.lists(st.tuples(names, texts | st.just(ISSUER)), max_size=6), st.booleans())
def test_whatever_a_browser_brings_is_a_code_or_a_failure(query, promised):
    platform = platform_of(issuer=ISSUER, iss_promised=promised, callback_keep=("realmId",))
    said = dict(query)
    code = tried(back, platform, query)
    if isinstance(code, OAuthFailed):
        told = code.sentence + code.detail
        assert all(value not in told for value in said.values() if not value.isascii())
        return
    assert len(said) == len(query)
    assert "error" not in said
    assert said.get("iss", ISSUER) == ISSUER
    assert "iss" in said or not promised
    assert code.value.reveal() == said["code"]
    assert code.kept in ({}, {"realmId": said.get("realmId")})
