"""An OpenID provider that an operator trusts to say who somebody is: its endpoints and its keys, kept for a while.

This file knows no account and no browser; what a token proves is judged in ``id_token.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec

from connectors.addresses import PUBLIC_ONLY, Exceptions
from connectors.base import Secret
from connectors.egress import Egress, EgressError, Limits
from connectors.oauth.id_token import Expected, Proven, proven, signed_by_known, told_of
from connectors.oauth.signed import Key, NotProven, read_keys
from gateway.errors import UpstreamFailed
from gateway.policy.terms import Json

WELL_KNOWN: Final = "/.well-known/openid-configuration"
LIMITS: Final = Limits(connect=5.0, idle=10.0, total=15.0, max_bytes=256 * 1024)
KEPT_MS: Final = 3_600_000
AGAIN_MS: Final = 30_000
"""So long nobody asks for keys again, however many tokens come with a key that nobody knows."""


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """What a provider says of itself (OpenID Connect Discovery §3), as far as we need it."""

    issuer: str
    authorize_url: str
    token_url: str
    keys_url: str
    userinfo_url: str = ""
    posts_secret: bool = False
    promises_iss: bool = False


def read_provider(body: bytes, issuer: str) -> OpenIdProvider:
    """The provider ``issuer`` by its document. Raises ``ValueError``: not readable, another issuer, no endpoints."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("its metadata is not JSON") from None
    if not isinstance(said, dict) or said.get("issuer") != issuer:
        raise ValueError("its metadata is that of another issuer; compare `issuer` to the letter")
    methods = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return OpenIdProvider(
        issuer=issuer,
        authorize_url=_url(said, "authorization_endpoint", issuer),
        token_url=_url(said, "token_endpoint", issuer),
        keys_url=_url(said, "jwks_uri", issuer),
        userinfo_url=_url(said, "userinfo_endpoint", issuer) if "userinfo_endpoint" in said else "",
        posts_secret=isinstance(methods, list) and "client_secret_basic" not in methods,
        promises_iss=said.get("authorization_response_iss_parameter_supported") is True,
    )


class OpenId:
    """``clock`` tells ms since the epoch; ``allow`` lists exceptions to the address guard."""

    def __init__(
        self, egress: Egress, issuer: str, *, clock: Callable[[], int], allow: Exceptions = PUBLIC_ONLY
    ) -> None:
        self._egress, self._issuer, self._allow, self._clock = egress, issuer, allow, clock
        self._provider: OpenIdProvider | None = None
        self._provided_at = 0
        self._keys: tuple[Key, ...] = ()
        self._keys_at = 0

    async def provider(self) -> OpenIdProvider:
        """Where the provider is asked. Raises ``UpstreamFailed``."""
        if self._provider is None or self._clock() - self._provided_at > KEPT_MS:
            body = await self._get(self._issuer.rstrip("/") + WELL_KNOWN)
            try:
                self._provider = read_provider(body, self._issuer)
            except ValueError as error:
                raise UpstreamFailed(f"the sign-in provider cannot be used: {error}") from None
            self._provided_at = self._clock()
        return self._provider

    async def whose(self, token: str, access: Secret, *, client_id: str, nonce: str) -> Proven:
        """Whom an ID token proves; where it does not tell his address, the provider is asked for it with the access
        token that came with it. Raises ``NotProven``, ``UpstreamFailed``.
        """
        keys = await self._keys_for(token)
        found = proven(token, keys, Expected(self._issuer, client_id, nonce, self._clock() // 1000))
        if found.email:
            return found
        if not (url := (await self.provider()).userinfo_url):
            raise NotProven("the provider does not tell an e-mail address")
        return told_of(await self._get(url, Authorization=f"Bearer {access.reveal()}"), found.subject)

    async def _keys_for(self, token: str) -> Sequence[Key]:
        """The keys kept, or those of now where none of them can have signed the token."""
        age = self._clock() - self._keys_at
        if not self._keys or age > KEPT_MS or (age > AGAIN_MS and not signed_by_known(token, self._keys)):
            provider = await self.provider()
            self._keys, self._keys_at = read_keys(await self._get(provider.keys_url)), self._clock()
        return self._keys

    async def _get(self, url: str, **more: str) -> bytes:
        headers = {"Accept": "application/json", **more}
        try:
            async with self._egress.request("GET", url, headers=headers, limits=LIMITS, allow=self._allow) as answer:
                if answer.status != 200:
                    raise UpstreamFailed(f"the sign-in provider answered HTTP {answer.status}")
                return await answer.read()
        except EgressError as error:
            raise UpstreamFailed("the sign-in provider cannot be reached", detail=str(error)) from None


def _url(said: Mapping[str, Json], name: str, issuer: str) -> str:
    """An endpoint; plain http only where the issuer itself is, and nothing that could be taken for a template."""
    url = said.get(name)
    if not isinstance(url, str) or len(url) > 2048 or any(each in url for each in "{}# \\"):
        raise ValueError(f"its metadata has no `{name}` that can be used")
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.scheme not in ("https", urlsplit(issuer).scheme):
        raise ValueError(f"its metadata has no `{name}` that can be used")
    return url


__all__ = ["NotProven", "OpenId", "OpenIdProvider", "Proven", "read_provider"]
