"""What connections need although nobody calls: renewal before a platform forgets them, and the truth about their state.

Looks at all of them now and then. This file renews nothing itself.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

from connectors.definition.platform import Platform
from gateway.connections.due import Wanted, ended
from gateway.connections.latest import Latest
from gateway.connections.reasons import Broken
from gateway.connections.renewing import Renewing
from gateway.connections.wallet import PlatformOf
from gateway.errors import NotConnected, Refusal
from gateway.records import Connected, Status
from gateway.store.base import Unavailable

EVERY_S: Final = 600.0
DAY_MS: Final = 24 * 3_600_000

log = logging.getLogger(__name__)


class Tending:
    """Renews what lies unused for half as long as its platform allows, and marks what ended for good."""

    def __init__(
        self,
        latest: Latest,
        renewing: Renewing,
        platform_of: PlatformOf,
        *,
        clock: Callable[[], int],
    ) -> None:
        self._latest, self._renewing, self._platform_of, self._clock = latest, renewing, platform_of, clock

    async def run(self) -> None:
        """Look after all connections until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S * random.uniform(0.75, 1))  # noqa: S311 (so that nodes do not look in step)
            await self.look()

    async def look(self) -> None:
        """Look after all connections once. A platform that fails is left alone until the next look."""
        active = [each for each in self._latest.all() if each.status is Status.ACTIVE]
        for record in active:
            if not record.renewable and ended(record, self._clock()):
                await self._renewing.give_up(record, Broken.EXPIRED)
        for connector in sorted({each.connector for each in active if each.renewable}):
            try:
                platform = await self._platform_of(connector)
                await self._keep_alive(platform, [each for each in active if each.connector == connector])
            except (Refusal, Unavailable) as failed:
                log.warning("connections to %s could not be kept alive: %s", connector, failed)

    async def _keep_alive(self, platform: Platform, records: list[Connected]) -> None:
        oauth = platform.definition.auth.oauth
        if oauth is None or oauth.renewal.idle_days is None:
            return
        before = self._clock() - oauth.renewal.idle_days * DAY_MS // 2
        for record in records:
            if record.renewable and record.updated_at < before:
                try:
                    await self._renewing.renewed(record, Wanted(platform, changed_before=before))
                except NotConnected:
                    continue  # it is marked, and those that it concerns are told
