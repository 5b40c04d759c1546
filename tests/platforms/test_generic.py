"""The definitions for platforms that nobody has described: OAuth 2 and OpenID Connect against a certified provider, a
key against a small server, and nothing against addresses that are not public.
"""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.addresses import PUBLIC_ONLY
from connectors.base import Secret
from connectors.definition.fixing import fixed_inputs
from connectors.definition.patterns import fits
from connectors.oauth.flow import begin, returned
from connectors.oauth.terms import Failure, OAuthFailed
from gateway.errors import InvalidArguments, UpstreamFailed
from tests.platforms import seeds
from tests.platforms.rig import DEFINITIONS, Rig, platform
from tests.platforms.small import Reply
from tests.platforms.visiting import Person

ANN = Person("ann@example.com")
BASIC = seeds.CLIENTS["basic"]


@pytest.fixture
def made(authority, egress):
    """``made("oidc")``: that definition in front of the provider, which also has the only API there."""

    def made(connector, **more):
        urls = {"authorize_url": authority.authorize_url, "token_url": authority.token_url, "api_url": authority.issuer}
        named = {"issuer": authority.issuer, "userinfo_url": authority.userinfo_url} if connector == "oidc" else {}
        client = {"client_id": BASIC.id, "client_secret": BASIC.secret}
        return Rig(platform(connector, {}, authority.host, **client, inputs={**urls, **named}, **more), egress)

    return made


@pytest.mark.parametrize("connector", ["oauth2", "oidc"])
def test_whoever_connects_never_says_where_the_clients_secret_goes(connector):
    assert fixed_inputs(DEFINITIONS[connector]) >= {"authorize_url", "token_url"}


async def test_oidc_connects_names_the_account_and_rotates(made):
    rig = made("oidc")
    account = await rig.connect(ANN)
    assert (account.id, account.label) == ("ann@example.com", "ann@example.com")
    first = rig.tokens
    assert await rig.call("get", path="me") == {
        "sub": "ann@example.com",
        "email": "ann@example.com",
        "email_verified": True,
    }
    await rig.refresh()
    rig.tokens = first
    with pytest.raises(OAuthFailed) as failed:
        await rig.refresh()
    assert failed.value.kind is Failure.INVALID_GRANT


def test_oidc_believes_no_other_issuer(made):
    rig = made("oidc")
    for said in ("https://evil.example", f"{rig.inputs['issuer']}/", ""):
        with pytest.raises(OAuthFailed) as failed:
            returned(rig.platform, [("code", "c"), ("state", "s"), ("iss", said)], inputs=rig.inputs)
        assert failed.value.kind is Failure.WRONG_ISSUER
    with pytest.raises(OAuthFailed):
        returned(rig.platform, [("code", "c"), ("state", "s")], inputs=rig.inputs)


async def test_an_expired_token_is_renewed_once_for_a_call(made):
    rig = made("oidc")
    await rig.connect(ANN)
    rig.tokens = replace(rig.tokens, access=Secret("forged"))
    assert (await rig.call("get", path="me"))["sub"] == "ann@example.com"
    assert rig.renewed == 1


async def test_oauth2_connects_without_asking_who_it_is(made):
    rig = made("oauth2", scopes=("openid", "offline_access"))
    assert (await rig.connect(ANN)).id == ""
    assert (await rig.call("get", path="me"))["sub"] == "ann@example.com"


async def test_who_says_no_is_not_connected(made):
    rig = made("oidc")
    begun = begin(rig.platform, rig.client, state="s" * 20, inputs=rig.inputs)
    back = Person("bob@example.com").refuses(begun.url)
    with pytest.raises(OAuthFailed) as failed:
        returned(rig.platform, parse_qsl(urlsplit(back).query), inputs=rig.inputs)
    assert failed.value.kind is Failure.ACCESS_DENIED


# -- a key


def keyed(small, egress, **inputs):
    given = {"api_url": f"{small.url}/v1", **inputs}
    rig = Rig(platform("api-key", {}, small.host, inputs=given), egress)
    rig.typed = {"api_key": Secret("key-of-a-test")}
    return rig


async def test_a_key_stands_behind_the_word_that_was_chosen(small, egress):
    small.says("GET /v1/items/a b", {"id": 1})
    rig = keyed(small, egress, scheme="Token")
    assert await rig.call("get", path="items/a b", query={"sort": "-id", "tags": ["x", "y&z"], "deep": True}) == {
        "id": 1
    }
    assert small.heard[-1].headers["Authorization"] == "Token key-of-a-test"
    assert small.heard[-1].query == {"sort": "-id", "tags": "x", "deep": "true"}
    small.says("POST /v1/items", {"id": 2})
    await keyed(small, egress).call("post", path="items", body={"a": [1]})
    assert small.heard[-1].json == {"a": [1]}
    assert small.heard[-1].headers["Authorization"] == "Bearer key-of-a-test"
    small.says("DELETE /v1/items/2", Reply(status=204))
    assert "204" in await rig.call("delete", path="items/2")


@pytest.mark.parametrize("path", ["../admin", "a/../../b", "a//b", "/a", "a/./b", "", "a\\..\\b", "a/..;x/b"])
async def test_a_path_stays_below_where_the_api_begins(small, egress, path):
    with pytest.raises(InvalidArguments):
        await keyed(small, egress).result("get", path=path)
    assert small.heard == []


async def test_a_path_brings_no_query_and_no_other_host(small, egress):
    small.says("GET /v1/a?b#c@evil.example", {"id": 1})
    assert await keyed(small, egress).call("get", path="a?b#c@evil.example") == {"id": 1}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9",
        "https://127.0.0.1",
        "https://10.0.0.1/v1",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://2130706433/",
        "http://example.com/",
    ],
)
async def test_addresses_that_are_not_public_are_never_reached(small, egress, url):
    known = keyed(small, egress, api_url=url)
    rig = Rig(replace(known.platform, exceptions=PUBLIC_ONLY), egress, typed=known.typed)
    with pytest.raises(UpstreamFailed) as failed:
        await rig.result("get", path="a")
    assert "key-of-a-test" not in str(failed.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com",
        "example.com",
        "https://a@b.example",
        "https://x.example/?q",
        "https://x.example/#f",
        "https://x example",
    ],
)
def test_what_is_no_plain_address_is_not_taken(url):
    pattern = next(each.pattern for each in DEFINITIONS["api-key"].inputs if each.name == "api_url")
    assert not fits(pattern, url)
    assert fits(pattern, "https://api.example.com/v1")
