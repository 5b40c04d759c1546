"""Signing in through the operator's own OpenID provider: code with PKCE, a nonce, and an ID token that is verified.

What has to be known again when the browser comes back travels sealed in a cookie of that very browser, one for each
attempt. This file knows no page, no store and no account.
"""

import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import msgspec

from connectors.addresses import PUBLIC_ONLY, Exceptions
from connectors.base import Secret
from connectors.definition.hosts import host_of
from connectors.definition.platform import Platform
from connectors.definition.terms import Api, Auth, AuthKind, ClientAuth, Definition, OAuth, Scopes, TokenAnswer
from connectors.oauth.flow import begin, returned
from connectors.oauth.legs import Legs
from connectors.oauth.openid import NotProven, OpenId, OpenIdProvider
from connectors.oauth.terms import Client, Failure, OAuthFailed, Tokens
from gateway.errors import Refusal, UpstreamFailed
from gateway.identity import vouched_email
from gateway.sealing import Seal
from gateway.settings.terms import OidcSettings

CALLBACK: Final = "/sign-in/oidc/callback"
LASTS_MS: Final = 10 * 60_000
USE: Final = "sign-in-openid"
"""What the key is made for that seals attempts."""

_KEPT: Final = "id_token"


class NotSignedIn(Refusal):
    """Who he is was not proven."""

    code, status, kind = -31009, 403, "not_signed_in"


class _Attempt(msgspec.Struct, frozen=True, array_like=True):
    state: str
    verifier: str
    nonce: str
    next: str
    ends: int


@dataclass(frozen=True, slots=True)
class Leaving:
    """Where the browser goes, and what it keeps meanwhile as the cookie of the attempt ``id``."""

    id: str
    url: str = field(repr=False)
    keeps: Secret


@dataclass(frozen=True, slots=True)
class Returned:
    """The address that the provider vouches for, and the page that was wanted."""

    email: str
    next: str


class OpenIdSignIn:
    """``clock`` tells ms since the epoch; ``public_url`` is where our own pages stand."""

    def __init__(
        self,
        settings: OidcSettings,
        openid: OpenId,
        legs: Legs,
        seal: Seal,
        *,
        public_url: str,
        clock: Callable[[], int],
        allow: Exceptions = PUBLIC_ONLY,
    ) -> None:
        self._settings, self._openid, self._legs, self._seal = settings, openid, legs, seal
        self._client = Client(settings.client_id, settings.client_secret, public_url.rstrip("/") + CALLBACK)
        self._allow, self._clock = allow, clock

    @property
    def name(self) -> str:
        """What people call the provider."""
        return self._settings.name or urlsplit(self._settings.issuer).hostname or self._settings.issuer

    async def leave(self, next: str) -> Leaving:
        """The way to the provider. Raises ``UpstreamFailed``."""
        provider = await self._openid.provider()
        id, nonce = secrets.token_hex(8), secrets.token_urlsafe(32)
        state = f"{id}.{secrets.token_urlsafe(32)}"
        try:
            begun = begin(self._platform(provider, nonce), self._client, state=state, inputs={})
        except OAuthFailed as failed:
            raise UpstreamFailed(failed.sentence, detail=failed.detail) from None
        verifier = begun.verifier.reveal() if begun.verifier is not None else ""
        attempt = _Attempt(state, verifier, nonce, next, self._clock() + LASTS_MS)
        return Leaving(id, begun.url, Secret(self._seal.close(msgspec.json.encode(attempt))))

    @staticmethod
    def attempt_of(query: Sequence[tuple[str, str]]) -> str:
        """The id of the attempt that a callback speaks of, ``""`` if none: to find its cookie by; proves nothing."""
        id = next((value for name, value in query if name == "state"), "").partition(".")[0]
        return id if len(id) == 16 and all(each in "0123456789abcdef" for each in id) else ""

    async def come_back(self, query: Sequence[tuple[str, str]], kept: str) -> Returned:
        """Whom the provider vouches for. ``kept`` is the attempt's cookie. Raises ``NotSignedIn``,
        ``UpstreamFailed``.
        """
        attempt = self._attempt(kept)
        states = [value for name, value in query if name == "state"]
        if len(states) != 1 or not hmac.compare_digest(states[0].encode(), attempt.state.encode()):
            raise NotSignedIn("this sign-in was not begun in this browser, or twice; sign in again")
        platform = self._platform(await self._openid.provider(), attempt.nonce)
        tokens = await self._exchange(platform, query, attempt)
        try:
            found = await self._openid.whose(
                tokens.kept.get(_KEPT, ""), tokens.access, client_id=self._settings.client_id, nonce=attempt.nonce
            )
            return Returned(vouched_email(found.email), attempt.next)
        except NotProven as no:
            raise NotSignedIn(f"{self.name} did not prove who you are: {no}; ask the operator") from None
        except ValueError:
            raise NotSignedIn(f"{self.name} gives no e-mail address that can be used; ask the operator") from None

    async def _exchange(self, platform: Platform, query: Sequence[tuple[str, str]], attempt: _Attempt) -> Tokens:
        try:
            code = returned(platform, query, inputs={})
            return await self._legs.exchange(platform, self._client, code, Secret(attempt.verifier), {})
        except OAuthFailed as failed:
            if failed.kind is Failure.ACCESS_DENIED:
                raise NotSignedIn(f"{self.name} was told not to sign you in") from None
            raise UpstreamFailed(failed.sentence, detail=failed.detail) from None

    def _attempt(self, kept: str) -> _Attempt:
        opened = self._seal.open(kept)
        if opened is None:
            raise NotSignedIn("this sign-in was not begun in this browser; sign in again")
        attempt = msgspec.json.decode(opened, type=_Attempt)
        if self._clock() >= attempt.ends:
            raise NotSignedIn("this took longer than ten minutes; sign in again")
        return attempt

    def _platform(self, provider: OpenIdProvider, nonce: str) -> Platform:
        """The provider in the words of the OAuth legs, with the nonce of one attempt."""
        oauth = OAuth(
            authorize_url=provider.authorize_url,
            token_url=provider.token_url,
            issuer=provider.issuer,
            iss_promised=provider.promises_iss,
            client_auth=self._client_auth(provider),
            scopes=Scopes(default=("openid", "email")),
            authorize_params={"nonce": nonce},
            answer=TokenAnswer(keep=(_KEPT,)),
        )
        hosts = _hosts(provider)
        definition = Definition(
            id="sign-in", title=self.name, auth=Auth(AuthKind.OAUTH2, oauth), api=Api(provider.issuer, hosts)
        )
        return Platform(
            id="sign-in",
            definition=definition,
            client_id=self._client.id,
            client_secret=self._client.secret,
            scopes=oauth.scopes.default,
            exceptions=self._allow,
        )

    def _client_auth(self, provider: OpenIdProvider) -> ClientAuth:
        if self._client.secret is None:
            return ClientAuth.NONE
        return ClientAuth.POST if provider.posts_secret else ClientAuth.BASIC_RFC6749


def _hosts(provider: OpenIdProvider) -> tuple[str, ...]:
    return tuple(dict.fromkeys(host_of(url) for url in (provider.issuer, provider.authorize_url, provider.token_url)))
