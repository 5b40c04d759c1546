"""The legs that go to the platform itself: exchange, renewal, client credentials, revocation.

Nothing is stored and nothing is tried twice here: a code and a rotating token are good for one try, and whether there
is another is for their keeper to say.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from connectors.base import Secret
from connectors.definition.platform import Platform
from connectors.definition.terms import OAuth, Pkce, Revocation, TokenAnswer
from connectors.egress import Egress
from connectors.oauth.answer import Reply, check, decoded, merged, tokens_of
from connectors.oauth.failures import Leg, failed
from connectors.oauth.places import endpoint, misconfigured, oauth_of
from connectors.oauth.protocol import Protocol
from connectors.oauth.terms import Client, Code, Failure, OAuthFailed, Tokens

WITHIN_S: Final = 20.0
"""Seconds that one request of a leg lasts at most."""

_GRANTS: Final = {
    Leg.CODE: "authorization_code",
    Leg.RENEWAL: "refresh_token",
    Leg.CLIENT: "client_credentials",
}
_SECRETS: Final = ("code", "code_verifier", "refresh_token")


class Legs:
    """``clock`` tells the time in ms since the epoch. Each request lasts at most ``within_s`` seconds. ``inputs`` are
    what the person typed.
    """

    def __init__(self, egress: Egress, clock: Callable[[], int], *, within_s: float = WITHIN_S) -> None:
        self._egress, self._clock, self._within_s = egress, clock, within_s

    async def exchange(
        self, platform: Platform, client: Client, code: Code, verifier: Secret | None, inputs: Mapping[str, str]
    ) -> Tokens:
        """What ``code`` is worth (RFC 6749 §4.1.3), with what the callback kept. Raises ``OAuthFailed``."""
        fields = {"redirect_uri": client.redirect_uri, "code": code.value.reveal()}
        if verifier is not None:
            fields["code_verifier"] = verifier.reveal()
        elif oauth_of(platform).pkce is Pkce.REQUIRED:
            raise misconfigured(platform, "the PKCE verifier is missing")
        tokens = await self._tokens(Leg.CODE, platform, client, inputs, fields)
        return replace(tokens, kept={**code.kept, **tokens.kept})

    async def renew(self, platform: Platform, client: Client, tokens: Tokens, inputs: Mapping[str, str]) -> Tokens:
        """``tokens`` made anew (RFC 6749 §6), keeping what the platform does not say again. Raises ``OAuthFailed``."""
        if tokens.refresh is None:
            raise failed(platform.definition.title, Failure.INVALID_GRANT, "there is no refresh token")
        fields = {"refresh_token": tokens.refresh.reveal()}
        oauth = oauth_of(platform)
        if oauth.renewal.needs_scope:
            fields["scope"] = oauth.scopes.separator.join(tokens.scopes or platform.scopes)
        return merged(tokens, await self._tokens(Leg.RENEWAL, platform, client, inputs, fields))

    async def client_credentials(self, platform: Platform, client: Client, inputs: Mapping[str, str]) -> Tokens:
        """Tokens of our own (RFC 6749 §4.4). Raises ``OAuthFailed``."""
        fields = {"scope": oauth_of(platform).scopes.separator.join(platform.scopes)}
        return await self._tokens(Leg.CLIENT, platform, client, inputs, fields)

    async def revoke(self, platform: Platform, client: Client, tokens: Tokens, inputs: Mapping[str, str]) -> bool:
        """Whether the platform says that it forgot ``tokens``; never raises ``OAuthFailed``, for whoever disconnects
        is done with it either way. Where tokens are revoked one by one, the one that makes others counts.
        """
        try:
            oauth = oauth_of(platform)
            asking = self._protocol(platform, client)
            url = endpoint(platform, client, oauth.revoke_url, inputs)
        except OAuthFailed:
            return False
        told = [await self._forgot(platform, oauth, reply) for reply in _revocations(asking, oauth, url, tokens)]
        return bool(told) and told[0]

    async def _tokens(
        self, leg: Leg, platform: Platform, client: Client, inputs: Mapping[str, str], fields: Mapping[str, str]
    ) -> Tokens:
        oauth = oauth_of(platform)
        template = oauth.refresh_url if leg is Leg.RENEWAL and oauth.refresh_url else oauth.token_url
        url = endpoint(platform, client, template, inputs)
        now = self._clock()  # of before, so that a token is at worst thought to end too early
        asked = {**fields, "resource": platform.resource}
        reply = await self._protocol(platform, client).grant(url, _GRANTS[leg], asked)
        hidden = [fields[name] for name in _SECRETS if name in fields]
        if client.secret is not None:
            hidden.append(client.secret.reveal())
        return tokens_of(reply, platform.definition, oauth, leg, now=now, hidden=hidden)

    def _protocol(self, platform: Platform, client: Client) -> Protocol:
        return Protocol(self._egress, platform, client, self._within_s)

    async def _forgot(self, platform: Platform, oauth: OAuth, answering: Awaitable[Reply]) -> bool:
        try:
            reply = await answering
            how = oauth.answer if reply.body else TokenAnswer()  # nothing at all says yes (RFC 7009 §2.2)
            check(reply, decoded(reply), platform.definition, how, Leg.CLIENT, now=self._clock())
        except OAuthFailed:
            return False
        return True


def _revocations(asking: Protocol, oauth: OAuth, url: str, tokens: Tokens) -> Iterator[Awaitable[Reply]]:
    """The requests that make a platform forget ``tokens``, in their order, each made when it is its turn."""
    access = tokens.access.reveal()
    match oauth.revocation:
        case Revocation.RFC7009:
            if tokens.refresh is not None:
                yield asking.revoke(url, tokens.refresh.reveal(), "refresh_token")
            yield asking.revoke(url, access, "access_token")
        case Revocation.BEARER:
            yield asking.ask("POST", url, bearer=access)
        case Revocation.DELETE_BEARER:
            yield asking.ask("DELETE", url, bearer=access)
        case Revocation.DELETE:
            yield asking.ask("DELETE", url, body={"access_token": access})
        case Revocation.NONE:
            return
