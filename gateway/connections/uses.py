"""When connections were used last, written rarely and in the background: no call waits for it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from msgspec import structs

from gateway.connections.amending import amended
from gateway.connections.latest import Latest
from gateway.records import Connected
from gateway.store.base import Records, Unavailable

NOTED_EVERY_MS: Final = 3_600_000

log = logging.getLogger(__name__)


class Uses:
    """Writes ``used_at`` of connections, of each at most once an hour."""

    def __init__(self, records: Records[Connected], latest: Latest, *, clock: Callable[[], int]) -> None:
        self._records, self._latest, self._clock = records, latest, clock
        self._writing: dict[str, asyncio.Task[None]] = {}

    def note(self, record: Connected) -> None:
        """The connection is used now."""
        if self._old(record) and record.id not in self._writing:
            task = self._writing[record.id] = asyncio.create_task(self._write(record), name="use")
            task.add_done_callback(lambda _: self._writing.pop(record.id))

    async def close(self) -> None:
        """End what is being written: it is not worth waiting for."""
        tasks = [*self._writing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _old(self, record: Connected) -> bool:
        return self._clock() - record.used_at >= NOTED_EVERY_MS

    def _noted(self, stored: Connected) -> Connected | None:
        return structs.replace(stored, used_at=self._clock()) if self._old(stored) else None

    async def _write(self, record: Connected) -> None:
        try:
            noted = await amended(self._records, record, self._noted)
        except Unavailable as down:
            log.warning("the use of connection `%s` could not be noted: %s", record.id, down)
            return
        if noted is not None:
            self._latest.wrote(noted)
