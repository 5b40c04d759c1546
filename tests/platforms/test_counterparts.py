"""The counterparts themselves: that they stand where the other tests look for them."""

import base64
import hashlib
import json
import socket
import urllib.parse
import urllib.request

import pytest

from tests.platforms import seeds
from tests.platforms.counterparts import CALLBACK
from tests.platforms.visiting import Person

VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


def asked(url, client_id, connector, **more):
    given = {
        "client_id": client_id,
        "redirect_uri": CALLBACK + connector,
        "response_type": "code",
        "state": "s",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }
    return f"{url}?{urllib.parse.urlencode(given)}"


def posted(url, fields):
    body = urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(url, body, {"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


PATHS = {
    "github": ("/login/oauth/authorize", "/login/oauth/access_token", "github"),
    "slack": ("/oauth/v2/authorize", "/api/oauth.v2.access", "slack"),
    "google": ("/o/oauth2/v2/auth", "/oauth2/token", "gmail"),
    "microsoft": ("/oauth2/v2.0/authorize", "/oauth2/v2.0/token", "microsoft"),
    "linear": ("/oauth/authorize", "/oauth/token", "linear"),
}


@pytest.mark.parametrize("service", PATHS)
def test_a_person_who_agrees_comes_back_with_a_code_that_gives_a_token(platforms, service):
    known = platforms[service]
    authorize, token, connector = PATHS[service]
    back = Person(known.users[0]).agrees(asked(known.url + authorize, known.client_id, connector, scope="read"))
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))
    assert back.startswith(CALLBACK + connector)
    assert query["state"] == "s"
    fields = {
        "grant_type": "authorization_code",
        "code": query["code"],
        "redirect_uri": CALLBACK + connector,
        "client_id": known.client_id,
        "client_secret": known.client_secret,
        "code_verifier": VERIFIER,
    }
    assert posted(known.url + token, fields)["access_token"]


def test_the_authority_gives_tokens_to_who_agrees_and_an_error_for_who_does_not(authority):
    client = seeds.CLIENTS["post"]
    url = asked(authority.authorize_url, client.id, "oidc", scope="openid email")
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(Person("ann@example.com").agrees(url)).query))
    assert back["iss"] == authority.issuer
    before = authority.counts().get("granted authorization_code", 0)
    fields = {
        "grant_type": "authorization_code",
        "code": back["code"],
        "redirect_uri": CALLBACK + "oidc",
        "client_id": client.id,
        "client_secret": client.secret,
        "code_verifier": VERIFIER,
    }
    tokens = posted(authority.token_url, fields)
    assert tokens["refresh_token"]
    assert authority.counts()["granted authorization_code"] == before + 1
    no = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(Person("bob@example.com").refuses(url)).query))
    assert no["error"] == "access_denied"


def test_trouble_lasts_as_long_as_it_is_asked_for(authority):
    with authority.trouble("/token", 503), pytest.raises(urllib.error.HTTPError) as caught:
        posted(authority.token_url, {})
    caught.value.close()
    assert caught.value.code == 503
    with pytest.raises(urllib.error.HTTPError) as after:
        posted(authority.token_url, {})
    after.value.close()
    assert after.value.code == 400


def test_nobody_else_on_the_network_reaches_them(platforms, authority):
    for host in (*(each.host for each in platforms.services.values()), authority.host):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.2", int(host.partition(":")[2]))) != 0
            assert int(host.partition(":")[2]) < 32768
