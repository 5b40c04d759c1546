"""The legs by the shipped definitions, against platforms that other people emulate."""

import asyncio
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.base import Secret
from connectors.oauth.flow import begin, returned
from connectors.oauth.terms import Client, Failure, OAuthFailed, Tokens
from tests.platforms.counterparts import CALLBACK
from tests.platforms.rig import DEFINITIONS, platform
from tests.platforms.visiting import Person

SERVICES = {"github": "github", "slack": "slack", "gmail": "google", "microsoft": "microsoft", "linear": "linear"}


def reached(platforms, connector):
    """The platform as an operator would have set it up, who we are there, and somebody who has an account."""
    known = platforms[SERVICES[connector]]
    at = {old: new for old, new in known.at.items() if begins(DEFINITIONS[connector], old)}
    client = Client(known.client_id, Secret(known.client_secret), CALLBACK + connector)
    found = platform(connector, at, known.host, client_id=client.id, client_secret=known.client_secret)
    return found, client, Person(known.users[0])


def begins(definition, beginning):
    oauth = definition.auth.oauth
    urls = (oauth.authorize_url, oauth.token_url, oauth.revoke_url, definition.api.base_url, definition.identity.url)
    return any(url.startswith(beginning) for url in urls)


async def connected(legs, platform, client, person):
    begun = begin(platform, client, state="s-1", inputs={})
    back = await asyncio.to_thread(person.agrees, begun.url)
    code = returned(platform, parse_qsl(urlsplit(back).query), inputs={})
    return code, begun.verifier, await legs.exchange(platform, client, code, begun.verifier, {})


@pytest.mark.parametrize("connector", SERVICES)
async def test_an_account_of_a_platform_is_connected_and_a_code_is_good_once(legs, platforms, connector):
    platform, client, person = reached(platforms, connector)
    code, verifier, tokens = await connected(legs, platform, client, person)
    assert tokens.access.reveal()
    with pytest.raises(OAuthFailed) as caught:
        await legs.exchange(platform, client, code, verifier, {})
    assert caught.value.kind is Failure.INVALID_GRANT
    assert platform.definition.title in caught.value.sentence


async def test_slack_gives_the_token_of_the_person(legs, platforms):
    _, _, tokens = await connected(legs, *reached(platforms, "slack"))
    assert tokens.access.reveal().startswith("xoxp-")
    assert tokens.kept["team.id"].startswith("T")


@pytest.mark.parametrize("connector", ["gmail", "microsoft", "linear"])
async def test_tokens_are_renewed_and_what_is_no_token_is_refused(legs, platforms, connector):
    platform, client, person = reached(platforms, connector)
    _, _, tokens = await connected(legs, platform, client, person)
    renewed = await legs.renew(platform, client, tokens, {})
    assert renewed.access.reveal() != tokens.access.reveal()
    assert renewed.refresh is not None
    with pytest.raises(OAuthFailed) as caught:
        await legs.renew(platform, client, Tokens(tokens.access, Secret("no-such-token")), {})
    assert caught.value.kind is Failure.INVALID_GRANT


@pytest.mark.parametrize("connector", ["gmail", "linear"])
async def test_a_platform_forgets_when_it_is_told_to(legs, platforms, connector):
    platform, client, person = reached(platforms, connector)
    _, _, tokens = await connected(legs, platform, client, person)
    assert await legs.revoke(platform, client, tokens, {}) is True
    with pytest.raises(OAuthFailed) as caught:
        await legs.renew(platform, client, tokens, {})
    assert caught.value.kind is Failure.INVALID_GRANT
