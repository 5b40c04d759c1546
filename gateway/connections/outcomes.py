"""What becomes of a connection after an attempt to renew it: kept, put off, or given up.

Each outcome gives the lease back and is stored by compare-and-set. This file asks no platform.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from msgspec import structs

from connectors.oauth.terms import OAuthFailed, Tokens
from gateway.connections.amending import Change, amended
from gateway.connections.latest import Latest
from gateway.connections.material import ACCESS, REFRESH, Material, context_of_connection, of_tokens, pack
from gateway.connections.reasons import Broken
from gateway.records import Connected, Status
from gateway.store.base import Records, Unavailable
from gateway.vault import Vault

AGAIN_S: Final = 0.1
AGAIN_AT_MOST_S: Final = 2.0

log = logging.getLogger(__name__)


def unleased(record: Connected) -> Connected:
    """Nobody renews it, and nothing failed."""
    return structs.replace(record, leased_by="", leased_until=0, attempts=0, retry_at=0)


class Outcomes:
    """``changed`` hears of every connection that has to be made anew, and of every such one that serves again."""

    def __init__(
        self,
        records: Records[Connected],
        latest: Latest,
        vault: Vault,
        *,
        clock: Callable[[], int],
        changed: Callable[[Connected], None],
    ) -> None:
        self._records, self._latest, self._vault = records, latest, vault
        self._clock, self._changed = clock, changed

    async def keep(self, leased: Connected, material: Material, given: Tokens) -> Connected | None:
        """The connection with what was ``given``, stored however long that takes; ``None`` where it has another one
        by now, or is gone.
        """
        typed = {name: each for name, each in material.secrets.items() if name not in (ACCESS, REFRESH)}
        fresh = self._vault.seal(pack(of_tokens(given, typed)), context_of_connection(leased))
        now, former = self._clock(), [leased.status]

        def keep(stored: Connected) -> Connected | None:
            if stored.updated_at != leased.updated_at:
                return None
            former.append(stored.status)
            return structs.replace(
                unleased(stored),
                sealed=fresh,
                status=Status.ACTIVE,
                reason="",
                scopes=stored.scopes if given.scopes is None else given.scopes,
                renewable=given.refresh is not None,
                expires_at=given.expires_at,
                updated_at=now,
            )

        kept = await self._stored(leased, keep)
        if kept is not None:
            self._latest.wrote(kept)
            if former[-1] is not Status.ACTIVE:
                self._changed(kept)
        return kept

    async def put_off(self, leased: Connected, pause: int, failed: OAuthFailed) -> Connected:
        """The connection that nobody tries to renew for ``pause`` ms."""
        log.warning(
            "connection `%s` to %s could not be renewed, tried again in %d seconds: %s %s",
            *(leased.id, leased.connector, pause // 1000, failed.sentence, failed.detail),
        )
        retry_at = self._clock() + pause

        def put_off(stored: Connected) -> Connected | None:
            if stored.leased_by != leased.leased_by:
                return None
            return structs.replace(unleased(stored), attempts=stored.attempts + 1, retry_at=retry_at)

        try:
            record = await amended(self._records, leased, put_off)
        except Unavailable:  # the lease keeps everybody else off for a while as well
            record = None
        if record is None:
            return leased
        self._latest.wrote(record)
        return record

    async def give_up(self, record: Connected, reason: Broken) -> None:
        """Mark it as one that has to be made anew, unless it was meanwhile; a later call will, if the store is down."""

        def mark(stored: Connected) -> Connected | None:
            if stored.status is not Status.ACTIVE or stored.updated_at != record.updated_at:
                return None
            return structs.replace(unleased(stored), status=Status.NEEDS_REAUTH, reason=reason)

        log.warning("connection `%s` to %s has to be made anew: %s", record.id, record.connector, reason)
        try:
            marked = await amended(self._records, record, mark)
        except Unavailable:
            return
        if marked is not None:
            self._latest.wrote(marked)
            self._changed(marked)

    async def _stored(self, record: Connected, change: Change) -> Connected | None:
        """Store it, however long the store does not answer: what is not stored is lost for good."""
        pause = AGAIN_S
        while True:
            try:
                return await amended(self._records, record, change)
            except Unavailable as down:
                log.error("connection `%s` was renewed and cannot be stored yet: %s", record.id, down)  # noqa: TRY400
                await asyncio.sleep(pause)
                pause = min(2 * pause, AGAIN_AT_MOST_S)
