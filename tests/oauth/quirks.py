"""A token endpoint that answers what a test says, as badly as platforms do, and remembers what it was asked."""

import json
from dataclasses import replace
from urllib.parse import parse_qsl

from connectors.addresses import Exceptions, parse
from connectors.base import Secret
from connectors.definition.hosts import host_of
from connectors.definition.platform import Platform
from connectors.definition.terms import Api, Auth, AuthKind, Definition, OAuth
from connectors.oauth.terms import Client, OAuthFailed
from tests.connectors.raw_http import Heard, RawServer, answer

NOW = 1_800_000_000_000
"""The time of every test, in ms."""

SECRET = "gw-secret-+/=&e: %"
CLIENT = Client("gate way", Secret(SECRET), "https://ostiary.example/oauth/callback/main/sample")

GOOD = {"access_token": "at-1", "token_type": "Bearer", "refresh_token": "rt-1", "expires_in": 3600, "scope": "a b"}

LOCAL = parse(["127.0.0.0/8"])
assert isinstance(LOCAL, Exceptions)


def definition_of(url: str = "https://id.sample.example", **oauth) -> Definition:
    legs = OAuth(**{"authorize_url": f"{url}/authorize", "token_url": f"{url}/token", **oauth})
    return Definition("sample", "Sample", Auth(AuthKind.OAUTH2, legs), Api(url, (host_of(url),)))


def platform_of(url: str = "https://id.sample.example", *, definition=None, **oauth) -> Platform:
    given = {each: oauth.pop(each) for each in ("scopes_asked", "inputs", "resource") if each in oauth}
    known = definition or definition_of(url, **oauth)
    scopes = given.pop("scopes_asked", ())
    return Platform("sample", known, CLIENT.id, CLIENT.secret, scopes=scopes, exceptions=LOCAL, **given)


class Quirks:
    """Answers ``says`` to whatever it is asked; ``platform(...)`` is the platform that has its endpoints here."""

    def __init__(self) -> None:
        self.server: RawServer | None = None
        self.written: list[bytes] = [answer(json.dumps(GOOD).encode())]

    def says(self, body, *, status="200 OK", kind="application/json", headers=""):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.written = [answer(text, status=status, kind=kind, headers=headers)]

    async def reply(self, heard, writer):
        writer.write(self.written.pop(0) if len(self.written) > 1 else self.written[0])

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def heard(self) -> list[Heard]:
        return self.server.heard

    @property
    def form(self) -> dict[str, str]:
        """The fields of the last request."""
        return dict(parse_qsl(self.heard[-1].body.decode(), keep_blank_values=True, strict_parsing=True))

    def platform(self, **more) -> Platform:
        return platform_of(self.url, **more)


def tried(call, *given, **named):
    """What comes of it, the failure included."""
    try:
        return call(*given, **named)
    except OAuthFailed as failure:
        return failure


def with_secret(secret: str | None) -> Client:
    return replace(CLIENT, secret=None if secret is None else Secret(secret))
