"""The operator's own credentials: fixed ones from the settings, and tokens that a platform gives to the client itself.

Nothing of these is stored: tokens are fetched when they are needed and kept in memory. This file knows no user.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from connectors.base import Credential, Secret
from connectors.definition.platform import Platform
from connectors.definition.terms import AuthKind
from connectors.oauth.terms import Client, OAuthFailed, Tokens
from gateway.connections.material import ACCESS, credential, inputs_of, of_tokens
from gateway.connections.renewing import client_of
from gateway.errors import UpstreamFailed

PAUSE_MS: Final = 30_000
"""How long a platform is left alone after it failed, and how long a refused token must have been held."""


class Granter(Protocol):
    """The leg of OAuth by which a client gets tokens of its own. Raises ``OAuthFailed``."""

    async def client_credentials(self, platform: Platform, client: Client, inputs: Mapping[str, str]) -> Tokens: ...


@dataclass(frozen=True, slots=True, repr=False)
class _Held:
    """What ``platform``, as it was set then, gave or said at ``at`` (ms since the epoch)."""

    platform: Platform
    at: int
    answer: Tokens | OAuthFailed

    def worn(self, now: int, refused: str) -> bool:
        """Whether to ask again, also when the platform refused the access token ``refused``."""
        if isinstance(self.answer, OAuthFailed) or self.answer.access.reveal() == refused:
            return self.at + PAUSE_MS <= now
        if self.answer.expires_at is None:
            return False
        oauth = self.platform.definition.auth.oauth
        margin = 0 if oauth is None else oauth.renewal.margin_s * 1000
        return self.answer.expires_at - min(margin, (self.answer.expires_at - self.at) // 2) <= now


class Own:
    """``fixed`` are the operator's credentials by connector. Their connections have ids of the form ``system-ID``."""

    def __init__(self, fixed: Mapping[str, Mapping[str, Secret]], legs: Granter, *, clock: Callable[[], int]) -> None:
        self._fixed = {connector: each for connector, each in fixed.items() if each}
        self._legs, self._clock = legs, clock
        self._held: dict[str, _Held] = {}
        self._fetching: dict[str, asyncio.Lock] = {}

    def id(self, platform: Platform) -> str:
        """The id of the operator's own connection, ``""`` where there is none."""
        granted = platform.definition.auth.kind is AuthKind.CLIENT_CREDENTIALS and platform.client_secret is not None
        return f"system-{platform.id}" if granted or platform.id in self._fixed else ""

    async def open(self, platform: Platform) -> Credential:
        """What it puts on a request. Raises ``UpstreamFailed``."""
        fixed = self._fixed.get(platform.id)
        if fixed is not None:
            return Credential(self.id(platform), fixed, inputs_of(platform, {}))
        return self._granted(platform, await self._tokens(platform))

    async def renew(self, platform: Platform, used: Credential) -> Credential | None:
        """Another one after ``used`` was refused; ``None`` where it is new or fixed. Raises ``UpstreamFailed``."""
        if platform.id in self._fixed:
            return None
        renewed = self._granted(platform, await self._tokens(platform, refused=_access(used)))
        return None if _access(renewed) == _access(used) else renewed

    def _granted(self, platform: Platform, tokens: Tokens) -> Credential:
        return credential(of_tokens(tokens), self.id(platform), inputs_of(platform, {}))

    async def _tokens(self, platform: Platform, refused: str = "") -> Tokens:
        """Those held, or new ones; asked for once, however many want them."""
        async with self._fetching.setdefault(platform.id, asyncio.Lock()):
            held = self._held.get(platform.id)
            if held is None or held.platform != platform or held.worn(self._clock(), refused):
                held = self._held[platform.id] = _Held(platform, self._clock(), await self._asked(platform))
        if isinstance(held.answer, OAuthFailed):
            text = f"{platform.definition.title} gives this gateway no access: {held.answer.sentence}"
            raise UpstreamFailed(text, detail=held.answer.detail)
        return held.answer

    async def _asked(self, platform: Platform) -> Tokens | OAuthFailed:
        try:
            return await self._legs.client_credentials(platform, client_of(platform), inputs_of(platform, {}))
        except OAuthFailed as failed:
            return failed


def _access(credential: Credential) -> str:
    secret = credential.secrets.get(ACCESS)
    return "" if secret is None else secret.reveal()
