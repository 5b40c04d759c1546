"""Signing in through the operator's provider: an independent one, and what one that cheats would try."""

import asyncio
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.addresses import Exceptions, parse
from connectors.base import Secret
from connectors.egress import Egress
from connectors.oauth.legs import Legs
from connectors.oauth.openid import OpenId
from gateway.errors import UpstreamFailed
from gateway.follower import now_ms
from gateway.sealing import Seal
from gateway.settings.terms import OidcSettings
from gateway.signing_in.openid import CALLBACK, LASTS_MS, NotSignedIn, OpenIdSignIn
from tests.platforms.counterparts import authorities
from tests.platforms.seeds import CLIENTS
from tests.platforms.visiting import Person

OURS = "http://127.0.0.1:8080"
NEXT = "/connections"


class Clock:
    ahead = 0

    def __call__(self):
        return now_ms() + self.ahead


@pytest.fixture(scope="module")
def provider():
    with authorities(redirects=[OURS + CALLBACK]) as running:
        yield running


@pytest.fixture
async def egress():
    egress = Egress()
    yield egress
    await egress.close()


def sign_in_at(provider, egress, clock=None, *, client="basic", keys=(b"k" * 32,)):
    allow, clock, known = parse([provider.host]), clock or Clock(), CLIENTS[client]
    assert isinstance(allow, Exceptions)
    settings = OidcSettings(provider.issuer, known.id, Secret(known.secret) if known.secret else None, "Example")
    openid = OpenId(egress, provider.issuer, clock=clock, allow=allow)
    legs, seal = Legs(egress, clock), Seal(keys)
    return OpenIdSignIn(settings, openid, legs, seal, public_url=OURS, clock=clock, allow=allow)


async def brought(url, who="Ann@Example.com", *, agree=True):
    person = Person(who)
    back = await asyncio.to_thread(person.agrees if agree else person.refuses, url)
    return parse_qsl(urlsplit(back).query, keep_blank_values=True)


@pytest.mark.parametrize("client", ["basic", "public"])
async def test_whoever_signs_in_there_is_who_he_is_here(provider, egress, client):
    sign_in = sign_in_at(provider, egress, client=client)
    leaving = await sign_in.leave(NEXT)
    asked = parse_qs(urlsplit(leaving.url).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [OURS + CALLBACK]
    assert set(asked["scope"][0].split()) == {"openid", "email"}
    assert asked["nonce"][0]
    query = await brought(leaving.url)
    assert sign_in.attempt_of(query) == leaving.id
    found = await sign_in.come_back(query, leaving.keeps.reveal())
    assert (found.email, found.next) == ("ann@example.com", NEXT)


async def test_an_address_that_nobody_verified_proves_nothing(provider, egress):
    sign_in = sign_in_at(provider, egress)
    leaving = await sign_in.leave(NEXT)
    with pytest.raises(NotSignedIn, match="verified the e-mail address"):
        await sign_in.come_back(await brought(leaving.url, "unverified@example.com"), leaving.keeps.reveal())


async def test_an_address_that_only_looks_like_anothers_does_not_sign_in_as_him(provider, egress):
    sign_in = sign_in_at(provider, egress)
    leaving = await sign_in.leave(NEXT)
    with pytest.raises(NotSignedIn, match="no e-mail address that can be used"):
        await sign_in.come_back(await brought(leaving.url, "\N{KELVIN SIGN}ate@example.com"), leaving.keeps.reveal())


async def test_who_refuses_there_is_not_signed_in_here(provider, egress):
    sign_in = sign_in_at(provider, egress)
    leaving = await sign_in.leave(NEXT)
    with pytest.raises(NotSignedIn, match="told not to"):
        await sign_in.come_back(await brought(leaving.url, agree=False), leaving.keeps.reveal())


async def test_what_another_browser_brings_signs_nobody_in(provider, egress):
    """Signing somebody in as somebody else (login CSRF): the code is Mallory's, the cookie is Bob's, or there is none."""
    sign_in = sign_in_at(provider, egress)
    mallory, bob = await sign_in.leave(NEXT), await sign_in.leave(NEXT)
    query = await brought(mallory.url, "mallory@example.com")
    for kept in (bob.keeps.reveal(), "", "x" * 300, mallory.keeps.reveal()[:-1]):
        with pytest.raises(NotSignedIn, match="begun in this browser"):
            await sign_in.come_back(query, kept)
    other = sign_in_at(provider, egress, keys=(b"j" * 32,))
    with pytest.raises(NotSignedIn):
        await other.come_back(query, mallory.keeps.reveal())


async def test_a_code_and_an_attempt_are_good_once_and_for_ten_minutes(provider, egress):
    clock = Clock()
    sign_in = sign_in_at(provider, egress, clock)
    leaving = await sign_in.leave(NEXT)
    query = await brought(leaving.url)
    await sign_in.come_back(query, leaving.keeps.reveal())
    with pytest.raises((NotSignedIn, UpstreamFailed)):
        await sign_in.come_back(query, leaving.keeps.reveal())
    leaving = await sign_in.leave(NEXT)
    query = await brought(leaving.url)
    clock.ahead = LASTS_MS
    with pytest.raises(NotSignedIn, match="ten minutes"):
        await sign_in.come_back(query, leaving.keeps.reveal())


async def test_a_code_of_another_attempt_does_not_carry_over(provider, egress):
    """The code of one attempt with the state of another: the verifier and the nonce are the other's."""
    sign_in = sign_in_at(provider, egress)
    one, two = await sign_in.leave(NEXT), await sign_in.leave(NEXT)
    first, second = dict(await brought(one.url)), dict(await brought(two.url))
    mixed = [*{**second, "code": first["code"]}.items()]
    with pytest.raises((NotSignedIn, UpstreamFailed)):
        await sign_in.come_back(mixed, two.keeps.reveal())


async def test_a_callback_with_doubles_or_of_another_issuer_is_refused(provider, egress):
    sign_in = sign_in_at(provider, egress)
    for change in (
        lambda query: [*query, *[pair for pair in query if pair[0] == "state"]],
        lambda query: [*query, *[pair for pair in query if pair[0] == "code"]],
        lambda query: [pair for pair in query if pair[0] != "state"],
        lambda query: [pair for pair in query if pair[0] != "iss"],
        lambda query: [pair if pair[0] != "iss" else ("iss", "https://evil.example.com") for pair in query],
    ):
        leaving = await sign_in.leave(NEXT)
        query = await brought(leaving.url)
        with pytest.raises((NotSignedIn, UpstreamFailed)):
            await sign_in.come_back(change(query), leaving.keeps.reveal())


async def test_nothing_of_an_attempt_is_printed(provider, egress):
    sign_in = sign_in_at(provider, egress)
    leaving = await sign_in.leave(NEXT)
    state = parse_qs(urlsplit(leaving.url).query)["state"][0]
    assert state not in repr(leaving)
    assert leaving.keeps.reveal() not in repr(leaving)
    query = await brought(leaving.url)
    await sign_in.come_back(query, leaving.keeps.reveal())
    with pytest.raises((NotSignedIn, UpstreamFailed)) as no:
        await sign_in.come_back(query, leaving.keeps.reveal())
    told = f"{no.value} {no.value.detail}"
    assert not any(value in told for _, value in query if len(value) > 8 and "http" not in value)


@given(st.lists(st.tuples(st.sampled_from(["state", "code", "error"]), st.text(max_size=60)), max_size=4))
def test_an_attempt_is_found_by_a_plain_id_or_not_at_all(query):
    found = OpenIdSignIn.attempt_of(query)
    assert found == "" or (len(found) == 16 and found.isascii() and found.isalnum())
