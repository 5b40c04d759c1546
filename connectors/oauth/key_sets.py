"""The keys that an issuer publishes (RFC 7517), fetched when they are needed and kept for a while.

Where they stand is said by whoever trusts the issuer: their own address, or the issuer's, whose metadata then says
where. Many requests at once are one fetch; nobody can make us fetch more often by sending tokens. This file knows no
claims and no account.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from connectors.addresses import PUBLIC_ONLY, Exceptions
from connectors.egress import Egress, EgressError, Limits
from connectors.oauth.metadata import server_places
from connectors.oauth.signed import Key, NotProven, candidates, header_of, json_object, read_keys
from gateway.errors import Unavailable

LIMITS: Final = Limits(connect=5.0, idle=5.0, total=10.0, max_bytes=256 * 1024)
FRESH_MS: Final = 600_000
"""So long nobody looks whether the keys changed, unless a token comes that none of them can have signed."""

KEPT_MS: Final = 3_600_000
"""So long they serve while they cannot be fetched anew."""

AGAIN_MS: Final = 60_000
"""So long nobody asks again, whatever comes, and however the last time went."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the keys of an issuer are: at ``url``, or (``""``) where the metadata of ``issuer`` says."""

    issuer: str
    url: str = ""
    allow: Exceptions = PUBLIC_ONLY


class KeySet:
    """``clock`` tells ms since the epoch."""

    def __init__(self, egress: Egress, where: Whereabouts, clock: Callable[[], int]) -> None:
        self._egress, self._where, self._clock = egress, where, clock
        self._keys: tuple[Key, ...] = ()
        self._body = b""
        self._fetched_at = self._tried_at = -KEPT_MS
        self._fetching: asyncio.Task[None] | None = None

    async def keys(self) -> tuple[Key, ...]:
        """The keys that count now; the very same tuple as long as they stay the same. Raises ``Unavailable`` where
        there are none to be had.
        """
        if self._age(self._fetched_at) > FRESH_MS:
            await self._refreshed()
        if not self._keys or self._age(self._fetched_at) > KEPT_MS:
            raise Unavailable("the keys of the issuer of this token cannot be had now; try again later")
        return self._keys

    async def keys_for(self, token: str, algorithms: Collection[str]) -> tuple[Key, ...]:
        """The same, those of now where none of them can have signed ``token``. Raises ``NotProven`` too: it cannot be
        read.
        """
        header = header_of(token)
        if not candidates(header, await self.keys(), algorithms):
            await self._refreshed()
        return self._keys

    async def _refreshed(self) -> None:
        """Returns once they were fetched, unless that was tried a moment ago. Who leaves meanwhile stops nothing."""
        if self._fetching is None and self._age(self._tried_at) > AGAIN_MS:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._refresh(), name="keys")
        if self._fetching is not None:
            await asyncio.shield(self._fetching)

    def _age(self, moment: int) -> int:
        """On either side of now: a clock that was set back must not keep old keys alive."""
        return abs(self._clock() - moment)

    async def _refresh(self) -> None:
        """Fetch; what fails leaves what there is."""
        try:
            body = await self._get(self._where.url or await self._discovered())
            if body != self._body:
                self._keys, self._body = read_keys(body), body
            self._fetched_at = self._clock()
        except (EgressError, NotProven) as no:
            log.warning("the keys of `%s` were not fetched: %s", self._where.issuer, no)
        finally:
            self._fetching = None

    async def _discovered(self) -> str:
        """What the issuer's metadata says (RFC 8414 §3, OpenID Connect Discovery §4). Raises ``NotProven``."""
        for place in server_places(self._where.issuer):
            try:
                said = json_object(await self._get(place))
            except (EgressError, NotProven):
                continue
            if said is not None and said.get("issuer") == self._where.issuer:
                return _address(said.get("jwks_uri"), self._where.issuer)
        raise NotProven("it publishes no metadata under its own name")

    async def _get(self, url: str) -> bytes:
        asked = self._egress.request(
            "GET", url, headers={"Accept": "application/json"}, limits=LIMITS, allow=self._where.allow
        )
        async with asked as answer:
            if answer.status != 200:
                raise NotProven(f"it answers HTTP {answer.status}")
            return await answer.read()


def _address(url: object, issuer: str) -> str:
    """Plain http only where the issuer itself is. Raises ``NotProven``."""
    if isinstance(url, str) and len(url) <= 2048 and url.startswith(("https://", f"{urlsplit(issuer).scheme}://")):
        return url
    raise NotProven("its metadata names no place of its keys")
