"""Canaries: whatever goes wrong, no secret of a leg is printed, logged or told."""

import logging
import traceback
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest

from connectors.base import Secret
from connectors.definition.terms import ClientAuth, Revocation, TokenAnswer
from connectors.oauth.flow import begin, returned
from connectors.oauth.legs import Legs
from connectors.oauth.terms import Client, Code, OAuthFailed, Tokens
from tests.oauth.quirks import LOCAL, NOW, platform_of

CANARY = {
    name: f"c-{name}-7+/=&% {name[::-1]}"  # too short to be taken for a token
    for name in ("code", "verifier", "secret", "access", "refresh", "state", "new")
}
CLIENT = Client("gateway", Secret(CANARY["secret"]), "https://ostiary.example/oauth/callback/main/sample")
CODE = Code(Secret(CANARY["code"]))
VERIFIER = Secret(CANARY["verifier"])
TOKENS = Tokens(Secret(CANARY["access"]), Secret(CANARY["refresh"]), kept={"id_token": CANARY["new"]})


def clean(text):
    for secret in CANARY.values():
        for written in (secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]):
            assert written not in text


def told(error):
    return "\n".join((*traceback.format_exception(error), repr(error), str(error), error.sentence, error.detail))


ANSWERS = {
    "everything back in words": ("400 Bad", {"error": "{all}", "error_description": "{all}"}),
    "everything back as tokens": ("200 OK", {"access_token": "\n{all}", "refresh_token": "{all}", "id": "{all}"}),
    "everything back in an object": ("403 No", {"error": {"message": "{all}", "code": "{all}"}}),
    "everything back as a page": ("200 OK", "{all}"),
    "an outage": ("500 Oops", "{all}"),
    "a redirect": ("302 There", ""),
}


@pytest.mark.parametrize("how", ClientAuth)
@pytest.mark.parametrize("case", ANSWERS)
async def test_no_failure_tells_a_secret(legs, quirks, caplog, case, how):
    caplog.set_level(logging.DEBUG)
    status, body = ANSWERS[case]

    def filled(value, sent):
        if isinstance(value, dict):
            return {name: filled(each, sent) for name, each in value.items()}
        return value.replace("{all}", " ".join(CANARY[name] for name in sent))

    platform = quirks.platform(client_auth=how, revocation=Revocation.RFC7009, revoke_url=f"{quirks.url}/forget")
    for sent, leg, given in (
        (("code", "verifier", "secret"), legs.exchange, (CODE, VERIFIER)),
        (("refresh", "secret"), legs.renew, (TOKENS,)),
    ):
        quirks.says(filled(body, sent), status=status, headers="Location: https://other.example/?t=1\r\n")
        with pytest.raises(OAuthFailed) as caught:
            await leg(platform, CLIENT, *given, {})
        clean(told(caught.value))
    await legs.revoke(platform, CLIENT, TOKENS, {})
    assert len(quirks.heard) == 4
    clean(caplog.text)


async def test_what_goes_well_is_not_logged_either(legs, quirks, caplog):
    caplog.set_level(logging.DEBUG)
    quirks.says({"access_token": CANARY["new"], "refresh_token": CANARY["refresh"], "id_token": CANARY["new"]})
    platform = quirks.platform(
        answer=TokenAnswer(keep=("id_token",)), revocation=Revocation.BEARER, revoke_url=f"{quirks.url}/forget"
    )
    tokens = await legs.exchange(platform, CLIENT, CODE, VERIFIER, {})
    await legs.renew(platform, CLIENT, tokens, {})
    await legs.revoke(platform, CLIENT, tokens, {})
    started = begin(platform, CLIENT, state=CANARY["state"], inputs={})
    code = returned(platform, [("code", CANARY["code"]), ("state", CANARY["state"])], inputs={})
    assert "HTTP Request: POST" in caplog.text  # the library does log what it asks
    clean(caplog.text)
    clean(f"{tokens!r}{TOKENS!r}{CLIENT!r}{CODE!r}{code!r}{started!r}{platform!r}{legs!r}{tokens}{started}{[code]}")


@pytest.mark.parametrize(
    "broken",
    [
        {"token_headers": {"X": "gärten"}},
        {"token_url": "https://evil.example/"},
        {"token_url": "http://127.0.0.1:1/"},
        {"token_params": {"x": "\ud800"}},
    ],
)
async def test_a_request_that_cannot_be_sent_is_not_quoted(legs, quirks, caplog, broken):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(OAuthFailed) as caught:
        await legs.exchange(quirks.platform(**broken), CLIENT, CODE, VERIFIER, {})
    clean(told(caught.value) + caplog.text)


async def test_a_secret_of_half_a_character_is_not_quoted(legs, quirks):
    client = replace(CLIENT, secret=Secret(CANARY["secret"] + "\ud800"))
    for how in ClientAuth:
        platform = quirks.platform(client_auth=how)
        try:
            await legs.exchange(platform, client, CODE, VERIFIER, {})
        except OAuthFailed as error:
            clean(told(error))


def test_a_callback_that_fails_does_not_quote_what_the_browser_brought():
    platform = platform_of(issuer="https://id.sample.example")
    for query in (
        [("code", CANARY["code"]), ("state", CANARY["state"]), ("iss", CANARY["new"])],
        [("code", CANARY["code"]), ("code", CANARY["code"])],
        [("error", CANARY["state"]), ("error_description", CANARY["code"]), ("iss", "https://id.sample.example")],
    ):
        with pytest.raises(OAuthFailed) as caught:
            returned(platform, query, inputs={})
        clean(told(caught.value))


async def test_a_name_that_does_not_resolve_is_not_told_with_its_query(egress):
    platform = platform_of(token_url=f"https://id.sample.example/t?key={quote_plus(CANARY['new'])}")
    unlisted = replace(platform, exceptions=type(LOCAL)())
    with pytest.raises(OAuthFailed) as caught:
        await Legs(egress, lambda: NOW).exchange(unlisted, CLIENT, CODE, VERIFIER, {})
    clean(told(caught.value))
