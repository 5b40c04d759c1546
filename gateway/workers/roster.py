"""Which workers live and where they are reached: one record each, in the store, kept up by its worker.

Whether one lives is told by its record's going up, as seen from here: no two clocks are compared. Nothing on the way
of a call looks into the store, but for a name that was never heard of.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from gateway.records import Worker
from gateway.store.base import Conflict, NotFound, Records, Unavailable

BEAT_S: Final = 2.0
DEAD_S: Final = 10.0
"""A worker whose record has not gone up for so long is taken for dead."""

LEFT_S: Final = 60.0
"""After so long its record is removed."""

ANEW_S: Final = 0.5
"""How often the store is asked at most about names that nobody here has heard of."""

PAGE: Final = 50


class Roster:
    """``me`` is told to the others as long as ``run`` runs; ``clock`` tells seconds that only go up."""

    def __init__(self, records: Records[Worker], me: Worker, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._records, self.me, self._clock = records, me, clock
        self._known: dict[str, tuple[Worker, float]] = {}
        self._heard_at = float("-inf")
        self._hearing = asyncio.Lock()

    async def run(self) -> None:
        """Tell and hear, again and again, as long as the process lives."""
        while True:
            await asyncio.sleep(BEAT_S)
            with suppress(Unavailable):
                await self.beat()

    async def beat(self) -> None:
        """Tell that we live, and hear who else does. Raises ``Unavailable``."""
        await self._tell()
        await self._hear()

    async def close(self) -> None:
        """Tell that we are gone."""
        with suppress(Unavailable, NotFound):
            await self._records.remove(self.me.id)

    def living(self, name: str) -> Worker | None:
        """The worker of that name, if it lived when the store was last heard."""
        worker, since = self._known.get(name, (None, 0.0))
        return worker if self._heard_at - since <= DEAD_S else None

    async def sought(self, name: str) -> Worker | None:
        """The same, after a look into the store for one who is not known yet."""
        if name not in self._known and self._clock() - self._heard_at > ANEW_S:
            with suppress(Unavailable):
                await self._hear()
        return self.living(name)

    async def _tell(self) -> None:
        """Put our record there, whatever became of the one before: who is stalled for long is removed by others."""
        try:
            self.me = await (self._records.replace(self.me) if self.me.rev else self._records.add(self.me))
        except (Conflict, NotFound):
            there = await self._records.get(self.me.id)
            self.me = replace(self.me, rev=0 if there is None else there.rev)
            self.me = await (self._records.replace(self.me) if self.me.rev else self._records.add(self.me))

    async def _hear(self) -> None:
        async with self._hearing:
            there = {each.id: each for each in await self._all()}
            now = self._clock()
            known = self._known
            self._known = {
                id: (each, known[id][1] if id in known and known[id][0].rev == each.rev else now)
                for id, each in there.items()
            }
            self._heard_at = now
            for left in [id for id, (_, since) in self._known.items() if now - since > LEFT_S]:
                with suppress(NotFound):
                    await self._records.remove(left)

    async def _all(self) -> Sequence[Worker]:
        found: list[Worker] = []
        while page := await self._records.page(found[-1].id if found else "", PAGE):
            found += page
            if len(page) < PAGE:
                break
        return found
