"""What platforms send and libraries stumble over, from a real server to the tokens that come of it."""

import asyncio
import base64
import json
from dataclasses import replace
from urllib.parse import unquote_plus

import pytest

from connectors.base import Secret
from connectors.definition.terms import ClientAuth, Coding, Equals, Expiry, Pkce, Renewal, Revocation, TokenAnswer
from connectors.oauth.legs import Legs
from connectors.oauth.terms import Code, Failure, OAuthFailed, Tokens
from tests.oauth.quirks import CLIENT, GOOD, NOW, SECRET, with_secret

CODE = Code(Secret("code-1"), {"realmId": "r-1"})
VERIFIER = Secret("v" * 64)
OLD = Tokens(Secret("at-0"), Secret("rt-0"), NOW, ("a", "b"), {"instance_url": "https://one.example", "team.id": "T1"})


async def exchanged(legs, quirks, client=CLIENT, **oauth):
    return await legs.exchange(quirks.platform(**oauth), client, CODE, VERIFIER, {})


async def failure(answering) -> OAuthFailed:
    with pytest.raises(OAuthFailed) as caught:
        await answering
    return caught.value


async def test_a_code_becomes_tokens(legs, quirks):
    tokens = await exchanged(legs, quirks)
    assert tokens.access.reveal() == "at-1"
    assert tokens.refresh.reveal() == "rt-1"
    assert tokens.expires_at == NOW + 3_600_000
    assert tokens.scopes == ("a", "b")
    assert tokens.kept == {"realmId": "r-1"}
    assert quirks.form == {
        "grant_type": "authorization_code",
        "code": "code-1",
        "code_verifier": "v" * 64,
        "redirect_uri": CLIENT.redirect_uri,
    }


async def test_a_request_says_no_more_than_it_must(legs, quirks):
    await exchanged(legs, quirks)
    names = {name.lower() for name, _ in quirks.heard[0].headers}
    assert names == {"host", "content-length", "content-type", "accept", "authorization", "user-agent"}
    assert quirks.heard[0].header("user-agent") == "ostiary"
    assert quirks.heard[0].header("content-type") == "application/x-www-form-urlencoded"


REFUSALS = {
    "a message": ("400 Bad Request", "application/json", {"message": "no such verifier"}, Failure.PROVIDER_ERROR),
    "problem+json": (
        "400 Bad Request",
        "application/problem+json",
        {"type": "about:blank", "title": "Bad", "detail": "wrong verifier"},
        Failure.PROVIDER_ERROR,
    ),
    "a token in a refusal": ("401 Unauthorized", "application/json", GOOD, Failure.INVALID_CLIENT),
    "another word for it": (
        "200 OK",
        "application/json",
        {"error": "bad_verification_code", "error_description": "The code is incorrect or expired."},
        Failure.INVALID_GRANT,
    ),
    "an error that is an object": (
        "400 Bad Request",
        "application/json",
        {"error": {"type": "invalid_grant", "message": "Code was used", "code": 100}},
        Failure.INVALID_GRANT,
    ),
    "an error in a form": (
        "200 OK",
        "application/x-www-form-urlencoded",
        b"error=invalid_client",
        Failure.INVALID_CLIENT,
    ),
    "no words": ("403 Forbidden", "text/html", b"<html>no</html>", Failure.PROVIDER_ERROR),
    "a gateway's page": ("502 Bad Gateway", "text/html", b"<html>no</html>", Failure.UNAVAILABLE),
    "an outage that names a grant": ("500 Oops", "application/json", {"error": "invalid_grant"}, Failure.UNAVAILABLE),
    "nothing": ("200 OK", "application/json", b"", Failure.BAD_ANSWER),
    "a page": ("200 OK", "text/html", b"<html>hello=world</html>", Failure.BAD_ANSWER),
    "a list": ("200 OK", "application/json", [GOOD], Failure.BAD_ANSWER),
    "half of it": ("200 OK", "application/json", b'{"access_token": "at-1"', Failure.BAD_ANSWER),
    "another name": ("200 OK", "application/json", {"accessToken": "at-1"}, Failure.BAD_ANSWER),
    "an empty token": ("200 OK", "application/json", {"access_token": ""}, Failure.BAD_ANSWER),
    "a token that is none": ("200 OK", "application/json", {"access_token": {"value": "x"}}, Failure.BAD_ANSWER),
    "a token with a line's end": ("200 OK", "application/json", {"access_token": "a\r\nb: c"}, Failure.BAD_ANSWER),
    "a token said twice": ("200 OK", "text/plain", b"access_token=a&access_token=b", Failure.BAD_ANSWER),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_what_is_no_token_is_never_taken_for_one(legs, quirks, case):
    status, kind, body, expected = REFUSALS[case]
    quirks.says(body, status=status, kind=kind)
    assert (await failure(exchanged(legs, quirks))).kind is expected


@pytest.mark.parametrize("kind", ["bot", "user", "Token", "BearerToken", None, ["bearer"]])
async def test_the_type_of_a_token_does_not_matter(legs, quirks, kind):
    quirks.says({**GOOD, "token_type": kind})
    assert (await exchanged(legs, quirks)).access.reveal() == "at-1"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded; charset=utf-8", "text/plain", "text/html"])
async def test_an_answer_may_be_a_form(legs, quirks, kind):
    quirks.says(b"access_token=at%2B1&scope=repo%2Cread%3Auser&token_type=bearer&expires_in=60&x=", kind=kind)
    tokens = await exchanged(legs, quirks)
    assert (tokens.access.reveal(), tokens.scopes, tokens.expires_at) == ("at+1", ("repo", "read:user"), NOW + 60_000)


async def test_tokens_may_stand_deep_inside(legs, quirks):
    quirks.says(
        {
            "ok": True,
            "access_token": "xoxb-bot",
            "token_type": "bot",
            "scope": "chat:write",
            "team": {"id": "T1", "name": "Garden"},
            "authed_user": {"access_token": "xoxp-user", "scope": "search:read", "expires_in": 43200},
        }
    )
    tokens = await exchanged(
        legs,
        quirks,
        answer=TokenAnswer(
            ok_when=Equals("ok", True),
            access=("authed_user.access_token", "access_token"),
            refresh=("authed_user.refresh_token", "refresh_token"),
            scope=("authed_user.scope", "scope"),
            keep=("team.id", "bot_user_id"),
            expires=Expiry(("authed_user.expires_in", "expires_in")),
        ),
    )
    assert tokens.access.reveal() == "xoxp-user"
    assert tokens.scopes == ("search:read",)
    assert tokens.refresh is None
    assert tokens.expires_at == NOW + 43_200_000
    assert tokens.kept == {"realmId": "r-1", "team.id": "T1"}


@pytest.mark.parametrize("ok", [False, None, 1, "true"])
async def test_a_200_that_is_not_ok_is_a_refusal(legs, quirks, ok):
    quirks.says({**GOOD, "ok": ok})
    said = await failure(exchanged(legs, quirks, answer=TokenAnswer(ok_when=Equals("ok", True))))
    assert said.kind is Failure.PROVIDER_ERROR


@pytest.mark.parametrize(
    ("unit", "value", "seconds"),
    [
        ("s", "3600.0", 3600),
        ("s", " 60 ", 60),
        ("s", "never", 7),
        ("s", [3600], 7),
        ("s", True, 7),
        ("s", 0, 7),
        ("s", -5, 7),
        ("s", "1e400", 7),
        ("s", None, 7),
        ("ms", 3_600_000, 3600),
        ("at", NOW // 1000 + 90, 90),
        ("at", NOW + 90_000, 90),
        ("at", str(NOW + 90_000), 90),
        ("at", "2027-01-15T08:01:30Z", 90),
        ("at", "2027-01-15T08:01:30", 90),
        ("at", "2027-01-15T09:01:30.000+01:00", 90),
        ("at", "soon", 7),
        ("at", NOW // 1000 - 5, 7),
    ],
)
async def test_whatever_says_how_long_a_token_holds_is_read_or_left_aside(legs, quirks, unit, value, seconds):
    quirks.says({"access_token": "at-1", "expires": value})
    tokens = await exchanged(legs, quirks, answer=TokenAnswer(expires=Expiry(("expires",), unit, 7)))
    assert tokens.expires_at == NOW + seconds * 1000


async def test_a_token_of_which_nothing_is_said_holds_for_nobody_knows_how_long(legs, quirks):
    quirks.says({"access_token": "at-1"})
    tokens = await exchanged(legs, quirks)
    assert (tokens.expires_at, tokens.scopes, tokens.refresh) == (None, None, None)


async def test_a_token_never_holds_for_more_than_ten_years(legs, quirks):
    quirks.says({**GOOD, "expires_in": 10**15})
    assert (await exchanged(legs, quirks)).expires_at < NOW + 11 * 366 * 86_400_000


@pytest.mark.parametrize("refresh", ["", None])
async def test_a_renewal_that_gives_no_refresh_token_keeps_the_old_one(legs, quirks, refresh):
    quirks.says({"access_token": "at-2", "refresh_token": refresh})
    tokens = await legs.renew(quirks.platform(), CLIENT, OLD, {})
    assert (tokens.access.reveal(), tokens.refresh.reveal()) == ("at-2", "rt-0")


async def test_a_renewal_keeps_what_is_known_of_the_account(legs, quirks):
    quirks.says({"access_token": "at-2", "refresh_token": "rt-2", "team": {"id": "T2"}})
    tokens = await legs.renew(quirks.platform(answer=TokenAnswer(keep=("instance_url", "team.id"))), CLIENT, OLD, {})
    assert tokens.refresh.reveal() == "rt-2"
    assert tokens.scopes == ("a", "b")
    assert tokens.expires_at is None
    assert tokens.kept == {"instance_url": "https://one.example", "team.id": "T2"}


async def test_a_renewal_says_scopes_only_where_they_are_needed(legs, quirks):
    await legs.renew(quirks.platform(scopes_asked=("x",)), CLIENT, OLD, {})
    assert quirks.form == {"grant_type": "refresh_token", "refresh_token": "rt-0"}
    await legs.renew(quirks.platform(scopes_asked=("x",), renewal=Renewal(needs_scope=True)), CLIENT, OLD, {})
    assert quirks.form == {"grant_type": "refresh_token", "refresh_token": "rt-0", "scope": "a b"}


async def test_a_renewal_goes_where_the_definition_says(legs, quirks):
    await legs.renew(quirks.platform(refresh_url=f"{quirks.url}/again"), CLIENT, OLD, {})
    assert (quirks.heard[0].method, quirks.heard[0].target) == ("POST", "/again")


async def test_without_a_refresh_token_nobody_is_asked(legs, quirks):
    said = await failure(legs.renew(quirks.platform(), CLIENT, replace(OLD, refresh=None), {}))
    assert said.kind is Failure.INVALID_GRANT
    assert not quirks.heard


DEAD = {
    "the standard's word": ("400 Bad Request", {"error": "invalid_grant"}),
    "slack": ("200 OK", {"ok": False, "error": "invalid_refresh_token"}),
    "github": ("200 OK", {"error": "bad_refresh_token", "error_description": "The refresh token is incorrect."}),
    "atlassian": ("403 Forbidden", {"error": "unauthorized_client", "error_description": "refresh_token is invalid"}),
    "hubspot": ("400 Bad Request", {"status": "BAD_REFRESH_TOKEN", "message": "missing or unknown refresh token"}),
    "microsoft": ("400 Bad Request", {"error": "interaction_required", "error_codes": [50076]}),
    "in words alone": ("400 Bad Request", {"message": "The refresh token has expired"}),
}


@pytest.mark.parametrize("case", DEAD)
async def test_a_dead_refresh_token_is_told_by_whatever_words(legs, quirks, case):
    status, body = DEAD[case]
    quirks.says(body, status=status)
    said = await failure(legs.renew(quirks.platform(), CLIENT, OLD, {}))
    assert said.kind is Failure.INVALID_GRANT


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected", "wait"),
    [
        ("429 Slow", {"error": "invalid_grant"}, "Retry-After: 30\r\n", Failure.UNAVAILABLE, 30),
        ("200 OK", {"ok": False, "error": "ratelimited"}, "Retry-After: 7\r\n", Failure.UNAVAILABLE, 7),
        ("503 No", b"", "Retry-After: Fri, 15 Jan 2027 08:01:00 GMT\r\n", Failure.UNAVAILABLE, 60),
        ("503 No", b"", "Retry-After: later\r\n", Failure.UNAVAILABLE, None),
        ("503 No", b"", "Retry-After: 999999999\r\n", Failure.UNAVAILABLE, 86_400),
        ("400 Bad", {"error": "temporarily_unavailable"}, "", Failure.UNAVAILABLE, None),
        ("401 No", {"error": "invalid_client"}, "", Failure.INVALID_CLIENT, None),
        ("400 Bad", {"error": "invalid_scope"}, "", Failure.INVALID_SCOPE, None),
    ],
)
async def test_a_refused_renewal_says_what_to_do(legs, quirks, status, body, headers, expected, wait):
    quirks.says(body, status=status, headers=headers)
    said = await failure(legs.renew(quirks.platform(), CLIENT, OLD, {}))
    assert (said.kind, said.retry_after) == (expected, wait)


def credentials(quirks):
    return base64.b64decode(quirks.heard[-1].header("authorization").removeprefix("Basic ")).decode()


async def test_basic_sends_id_and_secret_as_they_are_or_encoded(legs, quirks):
    await exchanged(legs, quirks, client_auth=ClientAuth.BASIC)
    assert credentials(quirks) == f"gate way:{SECRET}"
    await exchanged(legs, quirks, client_auth=ClientAuth.BASIC_RFC6749)
    assert credentials(quirks) == "gate+way:gw-secret-%2B%2F%3D%26e%3A+%25"
    assert [unquote_plus(each) for each in credentials(quirks).split(":")] == ["gate way", SECRET]


@pytest.mark.parametrize("how", [ClientAuth.BASIC, ClientAuth.BASIC_RFC6749, ClientAuth.POST])
async def test_a_secret_may_hold_any_letters(legs, quirks, how):
    await exchanged(legs, quirks, client=with_secret("gärten-日本"), client_auth=how)
    sent = quirks.form["client_secret"] if how is ClientAuth.POST else unquote_plus(credentials(quirks)).split(":")[1]
    assert sent == "gärten-日本"


async def test_a_client_in_the_body_is_in_the_body_alone(legs, quirks):
    await exchanged(legs, quirks, client_auth=ClientAuth.POST)
    assert (quirks.form["client_id"], quirks.form["client_secret"]) == ("gate way", SECRET)
    assert quirks.heard[0].header("authorization") is None


async def test_a_public_client_sends_no_secret_although_there_is_one(legs, quirks):
    await exchanged(legs, quirks, client_auth=ClientAuth.NONE)
    assert quirks.form["client_id"] == "gate way"
    assert "client_secret" not in quirks.form
    assert quirks.heard[0].header("authorization") is None


@pytest.mark.parametrize("how", [ClientAuth.BASIC, ClientAuth.BASIC_RFC6749, ClientAuth.POST])
async def test_without_the_secret_that_is_needed_nobody_is_asked(legs, quirks, how):
    said = await failure(exchanged(legs, quirks, client=with_secret(None), client_auth=how))
    assert (said.kind, said.detail) == (Failure.MISCONFIGURED, "the client secret is missing")
    assert not quirks.heard


async def test_a_token_request_may_be_json(legs, quirks):
    await exchanged(legs, quirks, token_body=Coding.JSON, token_headers={"Notion-Version": "2025-09-03"})
    heard = quirks.heard[0]
    assert heard.header("content-type") == "application/json"
    assert heard.header("notion-version") == "2025-09-03"
    assert json.loads(heard.body) == {
        "grant_type": "authorization_code",
        "code": "code-1",
        "code_verifier": "v" * 64,
        "redirect_uri": CLIENT.redirect_uri,
    }


async def test_headers_of_the_definition_replace_ours(legs, quirks):
    await exchanged(legs, quirks, token_headers={"accept": "application/vnd.x+json"})
    assert [value for name, value in quirks.heard[0].headers if name.lower() == "accept"] == ["application/vnd.x+json"]


@pytest.mark.parametrize("name", ["timeout", "headers", "method", "state", "url", "auth", "body", "verify"])
async def test_a_parameter_of_a_platform_may_have_any_name(legs, quirks, name):
    await exchanged(legs, quirks, token_params={name: "5"})
    assert quirks.form[name] == "5"


async def test_a_resource_is_named_in_every_token_request(legs, quirks):
    platform = quirks.platform(resource="https://mcp.example/mcp")
    await legs.exchange(platform, CLIENT, CODE, VERIFIER, {})
    await legs.renew(platform, CLIENT, OLD, {})
    await legs.client_credentials(platform, CLIENT, {})
    sent = [dict(pair.split("=") for pair in heard.body.decode().split("&")) for heard in quirks.heard]
    assert [each["resource"] for each in sent] == ["https%3A%2F%2Fmcp.example%2Fmcp"] * 3


async def test_client_credentials_ask_for_the_scopes_of_the_platform(legs, quirks):
    tokens = await legs.client_credentials(quirks.platform(scopes_asked=("x", "y")), CLIENT, {})
    assert quirks.form == {"grant_type": "client_credentials", "scope": "x y"}
    assert tokens.access.reveal() == "at-1"


async def test_a_code_is_not_sent_without_its_verifier(legs, quirks):
    said = await failure(legs.exchange(quirks.platform(), CLIENT, CODE, None, {}))
    assert said.kind is Failure.MISCONFIGURED
    assert not quirks.heard
    await legs.exchange(quirks.platform(pkce=Pkce.OFF), CLIENT, CODE, None, {})
    assert "code_verifier" not in quirks.form


async def test_a_redirect_is_not_followed_and_its_target_not_told_to_people(legs, quirks):
    quirks.says(b"", status="307 Elsewhere", headers="Location: https://evil.example/token\r\n")
    said = await failure(exchanged(legs, quirks))
    assert said.kind is Failure.MISCONFIGURED
    assert "evil" not in said.sentence
    assert len(quirks.heard) == 1


async def test_an_answer_without_end_is_not_read_to_its_end(legs, quirks):
    quirks.says({**GOOD, "more": "x" * 2**20})
    assert (await failure(exchanged(legs, quirks))).kind is Failure.BAD_ANSWER


async def test_nobody_waits_for_ever(egress, serve, quirks):
    given_up = asyncio.Event()

    async def silent(heard, writer):
        await given_up.wait()

    quirks.server = await serve(silent)
    async with asyncio.timeout(2):
        said = await failure(exchanged(Legs(egress, lambda: NOW, within_s=0.2), quirks))
    given_up.set()
    assert (said.kind, said.detail) == (Failure.UNAVAILABLE, "no answer within 0.2 s")


async def test_whoever_is_not_there_is_unavailable(legs, quirks):
    gone = quirks.platform(token_url="http://127.0.0.1:1/token")
    assert (await failure(legs.exchange(gone, CLIENT, CODE, VERIFIER, {}))).kind is Failure.UNAVAILABLE


@pytest.mark.parametrize("url", ["https://evil.example/token", "http://169.254.169.254/token", "ftp://127.0.0.1/", ""])
async def test_a_code_goes_only_to_the_hosts_of_the_platform(legs, quirks, url):
    said = await failure(legs.exchange(quirks.platform(token_url=url), CLIENT, CODE, VERIFIER, {}))
    assert said.kind is Failure.MISCONFIGURED


async def test_a_private_address_that_no_operator_listed_is_refused(legs, quirks):
    unlisted = replace(quirks.platform(), exceptions=type(quirks.platform().exceptions)())
    said = await failure(legs.exchange(unlisted, CLIENT, CODE, VERIFIER, {}))
    assert said.kind is Failure.MISCONFIGURED
    assert not quirks.heard


@pytest.mark.parametrize("header", ["Host", "Content-Length", "Transfer-Encoding"])
async def test_the_framing_of_a_request_is_not_the_definitions(legs, quirks, header):
    await exchanged(legs, quirks, token_headers={header: "7"})
    heard = quirks.heard[0]
    assert heard.header("host") == f"127.0.0.1:{quirks.server.port}"
    assert heard.header("content-length") == str(len(heard.body))
    assert heard.header("transfer-encoding") is None


@pytest.mark.parametrize("headers", [{"X Y": "x"}, {"X": "a\r\nb: c"}, {"X": "g\xe4rten"}, {"Connection": "close"}])
async def test_a_header_that_cannot_be_sent_is_a_fault_of_the_definition(legs, quirks, headers):
    said = await failure(exchanged(legs, quirks, token_headers=headers))
    assert said.kind is Failure.MISCONFIGURED
    assert not quirks.heard


REVOCATIONS = {
    Revocation.RFC7009: [
        ("POST", "token=rt-0&token_type_hint=refresh_token"),
        ("POST", "token=at-0&token_type_hint=access_token"),
    ],
    Revocation.BEARER: [("POST", "")],
    Revocation.DELETE: [("DELETE", '{"access_token":"at-0"}')],
    Revocation.DELETE_BEARER: [("DELETE", "")],
    Revocation.NONE: [],
}


@pytest.mark.parametrize("how", Revocation)
async def test_a_platform_is_told_to_forget_in_its_own_way(legs, quirks, how):
    quirks.says(b"", kind=None)
    platform = quirks.platform(revocation=how, revoke_url=f"{quirks.url}/apps/{{client_id}}/grant")
    assert await legs.revoke(platform, CLIENT, OLD, {}) is (how is not Revocation.NONE)
    assert [(heard.method, heard.body.decode()) for heard in quirks.heard] == REVOCATIONS[how]
    for heard in quirks.heard:
        bearer = how in (Revocation.BEARER, Revocation.DELETE_BEARER)
        assert heard.header("authorization").startswith("Bearer at-0" if bearer else "Basic ")
        assert heard.target == "/apps/gate%20way/grant"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("503 No", b""),
        ("401 No", b""),
        ("400 Bad", {"error": "unsupported_token_type"}),
        ("200 OK", {"error": "not_authed"}),
    ],
)
async def test_what_was_not_forgotten_is_not_said_to_be(legs, quirks, status, body):
    quirks.says(body, status=status)
    for how in (Revocation.RFC7009, Revocation.BEARER):
        platform = quirks.platform(revocation=how, revoke_url=f"{quirks.url}/forget")
        assert await legs.revoke(platform, CLIENT, OLD, {}) is False


async def test_an_empty_answer_is_as_good_as_one_that_is_ok(legs, quirks):
    answer = TokenAnswer(ok_when=Equals("ok", True))
    platform = quirks.platform(revocation=Revocation.BEARER, revoke_url=f"{quirks.url}/forget", answer=answer)
    for body, forgotten in ((b"", True), ({"ok": True}, True), ({"ok": False}, False), ({}, False)):
        quirks.says(body)
        assert await legs.revoke(platform, CLIENT, OLD, {}) is forgotten


async def test_revoking_never_fails(legs, quirks):
    for url in ("", "https://evil.example/", "http://127.0.0.1:1/"):
        for how in Revocation:
            platform = quirks.platform(revocation=how, revoke_url=url)
            assert await legs.revoke(platform, CLIENT, OLD, {}) is False
    nowhere = quirks.platform(revocation=Revocation.DELETE, revoke_url=f"{quirks.url}/forget")
    assert await legs.revoke(nowhere, with_secret(None), OLD, {}) is False
    assert not quirks.heard


async def test_the_refresh_token_forgotten_counts_although_the_other_is_unknown_by_then(legs, quirks):
    quirks.says(b"")
    quirks.written.append(quirks.written[0].replace(b"200 OK", b"400 Bad"))
    platform = quirks.platform(revocation=Revocation.RFC7009, revoke_url=f"{quirks.url}/forget")
    assert await legs.revoke(platform, CLIENT, OLD, {}) is True
    assert len(quirks.heard) == 2


async def test_a_refresh_token_that_lives_on_is_not_made_good_by_the_other(legs, quirks):
    quirks.says(b"", status="400 Bad")
    quirks.written.append(quirks.written[0].replace(b"400 Bad", b"200 OK"))
    platform = quirks.platform(revocation=Revocation.RFC7009, revoke_url=f"{quirks.url}/forget")
    assert await legs.revoke(platform, CLIENT, OLD, {}) is False
    assert len(quirks.heard) == 2


async def test_many_legs_at_once_do_not_meet(legs, quirks):
    async def one(number):
        tokens = replace(OLD, refresh=Secret(f"rt-{number}"))
        return await legs.renew(quirks.platform(), CLIENT, tokens, {})

    await asyncio.gather(*map(one, range(20)))
    sent = {heard.body.decode() for heard in quirks.heard}
    assert sent == {f"grant_type=refresh_token&refresh_token=rt-{number}" for number in range(20)}
