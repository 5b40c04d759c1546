"""The legs against a certified authorization server: PKCE, Basic, rotation, reuse, issuers, revocation."""

import asyncio
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.base import Secret
from connectors.definition.terms import ClientAuth, Pkce, Revocation, TokenAnswer
from connectors.oauth.flow import begin, returned
from connectors.oauth.terms import Client, Code, Failure, OAuthFailed
from tests.oauth.quirks import platform_of
from tests.platforms.counterparts import CALLBACK, authorities
from tests.platforms.seeds import CLIENTS
from tests.platforms.visiting import Person

HOWS = {
    "basic": ClientAuth.BASIC_RFC6749,
    "post": ClientAuth.POST,
    "public": ClientAuth.NONE,
    "machine": ClientAuth.BASIC_RFC6749,
}


def client_of(name):
    known = CLIENTS[name]
    return Client(known.id, Secret(known.secret) if known.secret else None, f"{CALLBACK}oidc")


def platform_at(authority, **oauth):
    given = {
        "authorize_url": authority.authorize_url,
        "token_url": authority.token_url,
        "issuer": authority.issuer,
        "client_auth": ClientAuth.BASIC_RFC6749,
        "revoke_url": authority.revoke_url,
        "revocation": Revocation.RFC7009,
        "scopes_asked": ("openid", "offline_access"),
        "authorize_params": {"prompt": "consent"},
        "answer": TokenAnswer(keep=("id_token",)),
    }
    return platform_of(authority.issuer, **(given | oauth))


async def brought(url, *, agree=True):
    """What the browser of somebody who agrees brings back."""
    person = Person("ann@example.com")
    back = await asyncio.to_thread(person.agrees if agree else person.refuses, url)
    return parse_qsl(urlsplit(back).query, keep_blank_values=True)


async def walked(platform, client):
    """A code with its verifier, as a flow would have them."""
    begun = begin(platform, client, state="s-1", inputs={})
    return returned(platform, await brought(begun.url), inputs={}), begun.verifier


async def connected(legs, platform, client):
    code, verifier = await walked(platform, client)
    return await legs.exchange(platform, client, code, verifier, {})


async def refused(answering):
    with pytest.raises(OAuthFailed) as caught:
        await answering
    return caught.value.kind


@pytest.mark.parametrize("name", ["basic", "post", "public"])
async def test_an_account_is_connected_renewed_and_ended(legs, authority, name):
    platform, client = platform_at(authority, client_auth=HOWS[name]), client_of(name)
    tokens = await connected(legs, platform, client)
    assert set(tokens.scopes) == {"openid", "offline_access"}
    assert tokens.kept["id_token"].count(".") == 2
    renewed = await legs.renew(platform, client, tokens, {})
    assert renewed.access.reveal() != tokens.access.reveal()
    assert renewed.refresh.reveal() != tokens.refresh.reveal()
    assert await legs.revoke(platform, client, renewed, {}) is True
    assert await refused(legs.renew(platform, client, renewed, {})) is Failure.INVALID_GRANT


async def test_a_secret_with_special_characters_is_taken_only_when_it_is_encoded(legs, authority):
    raw = platform_at(authority, client_auth=ClientAuth.BASIC)
    code, verifier = await walked(raw, client_of("basic"))
    with pytest.raises(OAuthFailed) as caught:
        await legs.exchange(raw, client_of("basic"), code, verifier, {})
    assert "authorization header are not properly encoded" in caught.value.detail
    encoded = platform_at(authority)
    assert (await legs.exchange(encoded, client_of("basic"), code, verifier, {})).access.reveal()


async def test_a_wrong_secret_is_the_operators_business(legs, authority):
    platform, client = platform_at(authority), replace(client_of("basic"), secret=Secret("another"))
    code, verifier = await walked(platform, client)
    assert await refused(legs.exchange(platform, client, code, verifier, {})) is Failure.INVALID_CLIENT


async def test_another_verifier_gets_nothing(legs, authority):
    platform, client = platform_at(authority), client_of("basic")
    code, _ = await walked(platform, client)
    assert await refused(legs.exchange(platform, client, code, Secret("x" * 64), {})) is Failure.INVALID_GRANT


async def test_a_code_is_good_for_one_try_and_its_second_ends_what_came_of_the_first(legs, authority):
    platform, client = platform_at(authority), client_of("basic")
    code, verifier = await walked(platform, client)
    tokens = await legs.exchange(platform, client, code, verifier, {})
    assert await refused(legs.exchange(platform, client, code, verifier, {})) is Failure.INVALID_GRANT
    assert await refused(legs.renew(platform, client, tokens, {})) is Failure.INVALID_GRANT


async def test_a_rotated_token_that_comes_again_kills_the_whole_family(legs, authority):
    platform, client = platform_at(authority), client_of("basic")
    first = await connected(legs, platform, client)
    second = await legs.renew(platform, client, first, {})
    before = authority.counts().get("forgot a family", 0)
    assert await refused(legs.renew(platform, client, first, {})) is Failure.INVALID_GRANT
    assert authority.counts()["forgot a family"] > before
    assert await refused(legs.renew(platform, client, second, {})) is Failure.INVALID_GRANT


async def test_without_pkce_the_authority_sends_the_browser_back_with_nothing(authority):
    platform = platform_at(authority, pkce=Pkce.OFF)
    begun = begin(platform, client_of("basic"), state="s-1", inputs={})
    with pytest.raises(OAuthFailed) as caught:
        returned(platform, await brought(begun.url), inputs={})
    assert caught.value.kind is Failure.PROVIDER_ERROR


async def test_who_refuses_is_told_so(authority):
    platform = platform_at(authority)
    begun = begin(platform, client_of("basic"), state="s-1", inputs={})
    with pytest.raises(OAuthFailed) as caught:
        returned(platform, await brought(begun.url, agree=False), inputs={})
    assert caught.value.kind is Failure.ACCESS_DENIED


async def test_a_code_of_one_issuer_is_not_taken_for_one_of_another(authority):
    platform = platform_at(authority)
    query = await brought(begin(platform, client_of("basic"), state="s-1", inputs={}).url)
    assert ("iss", authority.issuer) in query
    with pytest.raises(OAuthFailed) as caught:
        returned(platform_at(authority, issuer="https://other.example"), query, inputs={})
    assert caught.value.kind is Failure.WRONG_ISSUER
    with pytest.raises(OAuthFailed) as caught:
        returned(platform, [pair for pair in query if pair[0] != "iss"], inputs={})
    assert caught.value.kind is Failure.WRONG_ISSUER
    assert isinstance(returned(platform, query, inputs={}), Code)


async def test_an_outage_is_no_refusal(legs, authority):
    platform, client = platform_at(authority), client_of("basic")
    tokens = await connected(legs, platform, client)
    with authority.trouble("/token", 500):
        assert await refused(legs.renew(platform, client, tokens, {})) is Failure.UNAVAILABLE
    assert (await legs.renew(platform, client, tokens, {})).access.reveal()


async def test_a_machine_gets_tokens_of_its_own(legs, authority):
    platform = platform_at(authority, scopes_asked=(), client_auth=HOWS["machine"])
    tokens = await legs.client_credentials(platform, client_of("machine"), {})
    assert tokens.access.reveal()
    assert tokens.refresh is None


async def test_a_token_is_for_the_resource_it_was_asked_for(legs):
    resource = "https://mcp.example/mcp"
    with authorities(resources=[resource]) as authority:
        asked = ("openid", "offline_access", "tools:read")
        platform = platform_at(authority, resource=resource, scopes_asked=asked)
        tokens = await connected(legs, platform, client_of("basic"))
        assert tokens.scopes == ("tools:read",)
        assert (await legs.renew(platform, client_of("basic"), tokens, {})).scopes == ("tools:read",)
        other = replace(platform, resource="https://other.example/")
        begun = begin(other, client_of("basic"), state="s-1", inputs={})
        with pytest.raises(OAuthFailed) as caught:
            returned(other, await brought(begun.url), inputs={})
        assert caught.value.kind is Failure.INVALID_SCOPE
