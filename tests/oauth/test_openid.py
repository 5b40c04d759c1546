"""The operator's provider: what it says of itself, its keys as they change, and what it tells when it is asked."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from connectors.base import Secret
from connectors.oauth.openid import AGAIN_MS, KEPT_MS, NotProven, OpenId, read_provider
from gateway.errors import UpstreamFailed
from tests.connectors.raw_http import LOCAL, answer
from tests.oauth.quirks import NOW

ISSUER = "https://login.example.com"
SAID = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": "https://keys.example.com/jwks",
}


def read(**changed):
    said = {name: value for name, value in {**SAID, **changed}.items() if value is not ...}
    return read_provider(json.dumps(said).encode(), ISSUER)


def test_a_provider_is_what_it_says():
    found = read(userinfo_endpoint=f"{ISSUER}/me", authorization_response_iss_parameter_supported=True)
    assert (found.authorize_url, found.keys_url) == (SAID["authorization_endpoint"], SAID["jwks_uri"])
    assert (found.userinfo_url, found.promises_iss, found.posts_secret) == (f"{ISSUER}/me", True, False)
    assert read(token_endpoint_auth_methods_supported=["client_secret_post"]).posts_secret
    assert not read(token_endpoint_auth_methods_supported=["client_secret_post", "client_secret_basic"]).posts_secret


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": f"{ISSUER}/"}, {"issuer": "https://evil.example.com"}, {"issuer": ...},
        {"token_endpoint": ...}, {"token_endpoint": 5}, {"token_endpoint": ""},
        {"token_endpoint": "http://login.example.com/token"}, {"token_endpoint": "ftp://login.example.com"},
        {"authorization_endpoint": "javascript:alert(1)"}, {"authorization_endpoint": "https://a@login.example.com/"},
        {"authorization_endpoint": f"{ISSUER}/{{client_id}}"}, {"authorization_endpoint": f"{ISSUER}/#x"},
        {"jwks_uri": "//keys.example.com"}, {"jwks_uri": f"{ISSUER}/a b"}, {"jwks_uri": "https://" + "x" * 3000},
        {"userinfo_endpoint": "file:///etc/passwd"}, {"userinfo_endpoint": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_provider_that_says_something_unusable_is_not_used(changed):
    with pytest.raises(ValueError, match="metadata"):
        read(**changed)


@given(st.one_of(st.binary(max_size=40), st.sampled_from([b"null", b"[]", b"[" * 9999, b'"x"'])))
def test_any_bytes_are_no_provider(body):
    with pytest.raises(ValueError):
        read_provider(body, ISSUER)


# -- over the wire


class Provider:
    """Answers for one issuer; ``keys`` are those it publishes now, ``me`` what it tells of whoever asks."""

    def __init__(self):
        self.now, self.asked, self.me, self.status = NOW, [], {}, "200 OK"
        self.turn()

    def turn(self):
        """From now on it signs with another key, and publishes that alone."""
        self.key = ECKey.generate_key("P-256", {"kid": f"k{len(self.asked)}"})

    async def reply(self, heard, writer):
        self.asked.append(heard.target)
        told = {
            "/.well-known/openid-configuration": self.document,
            "/keys": {"keys": [self.key.as_dict(private=False)]},
            "/me": self.me if heard.header("authorization") == "Bearer at-1" else {},
        }[heard.target]
        writer.write(answer(json.dumps(told).encode(), kind="application/json", status=self.status))

    @property
    def document(self):
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        ends["userinfo_endpoint"] = "me"
        return {"issuer": self.url, **{name: f"{self.url}/{path}" for name, path in ends.items()}}

    def token(self, **changed):
        claims = {
            "iss": self.url, "aud": "gateway", "sub": "1", "exp": self.now // 1000 + 60, "iat": self.now // 1000,
            "nonce": "n", "email": "ann@example.com", "email_verified": True,
        }  # fmt: skip
        told = {name: value for name, value in {**claims, **changed}.items() if value is not ...}
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, told, self.key)


@pytest.fixture
async def provider(serve):
    provider = Provider()
    provider.url = (await serve(provider.reply)).url
    return provider


@pytest.fixture
def openid(provider, egress):
    return OpenId(egress, provider.url, clock=lambda: provider.now, allow=LOCAL)


async def email(openid, token):
    return (await openid.whose(token, Secret("at-1"), client_id="gateway", nonce="n")).email


async def test_its_document_and_its_keys_are_fetched_once_an_hour(provider, openid):
    for _ in range(3):
        assert await email(openid, provider.token()) == "ann@example.com"
    assert provider.asked == ["/.well-known/openid-configuration", "/keys"]
    provider.now += KEPT_MS + 1
    await email(openid, provider.token())
    assert provider.asked.count("/keys") == 2


async def test_a_new_key_is_found_and_unknown_ones_do_not_make_us_ask_without_end(provider, openid):
    await email(openid, provider.token())
    provider.now += AGAIN_MS + 1
    provider.turn()
    assert await email(openid, provider.token()) == "ann@example.com"
    stranger = Provider()
    stranger.url, stranger.now = provider.url, provider.now
    stranger.key = ECKey.generate_key("P-256", {"kid": "of nobody"})
    before = len(provider.asked)
    for _ in range(5):
        with pytest.raises(NotProven):
            await email(openid, stranger.token())
    assert len(provider.asked) == before
    provider.now += AGAIN_MS + 1
    for _ in range(5):
        with pytest.raises(NotProven):
            await email(openid, stranger.token())
    assert len(provider.asked) == before + 1


async def test_an_address_that_the_token_leaves_out_is_asked_for(provider, openid):
    token = provider.token(email=..., email_verified=...)
    provider.me = {"sub": "1", "email": "ann@example.com", "email_verified": True}
    assert await email(openid, token) == "ann@example.com"
    for other in ({"sub": "2"}, {"email_verified": False}, {"email": ""}):
        provider.me = {"sub": "1", "email": "ann@example.com", "email_verified": True, **other}
        with pytest.raises(NotProven):
            await email(openid, token)


async def test_a_provider_that_does_not_answer_is_no_mistake_of_ours(provider, openid, egress):
    provider.status = "500 Oops"
    with pytest.raises(UpstreamFailed, match="HTTP 500"):
        await openid.provider()
    provider.status = "200 OK"
    with pytest.raises(UpstreamFailed, match="another issuer"):
        await OpenId(egress, f"{provider.url}/", clock=lambda: NOW, allow=LOCAL).provider()
    with pytest.raises(UpstreamFailed, match="cannot be reached"):
        await OpenId(egress, provider.url, clock=lambda: NOW).provider()
