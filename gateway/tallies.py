"""What processes tell each other of how often was called: through the store, off the way of calls.

Each process has one record, under an id that it makes up at its start, with the counts that are filled more than a
tenth; it is written only when they changed. So a caller is told everywhere of what he did elsewhere after two rounds
at most, and what a process counted outlives it. This file judges no call; how counts add up is said by
``policy/limits.py``.
"""

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Final

from msgspec.structs import replace

from gateway.pipeline.buckets import Buckets, Spread
from gateway.policy.limits import Tale, Window, heard
from gateway.records import Tally
from gateway.store.base import Conflict, NotFound, Records, Unavailable

MOST: Final = 3000
"""So many counts one process tells of at most, those that changed last: a record has its bounds."""

GOOD_ROUNDS: Final = 5
"""For so many rounds what was heard is held to be all there is."""

LEFT_MS: Final = 60_000
"""How long after its end a record stays; its process may only have nothing to tell."""

PAGE: Final = 50

log = logging.getLogger(__name__)


class Tallies:
    """``round_s`` is from one exchange to the next; ``clock`` tells ms since the epoch."""

    def __init__(
        self,
        records: Records[Tally],
        buckets: Buckets,
        *,
        round_s: float,
        clock: Callable[[], int],
    ) -> None:
        self._records, self._buckets, self._clock, self._round_s = records, buckets, clock, round_s
        self._id = secrets.token_hex(8)
        self._rev = 0
        self._told: dict[str, Spread] = {}
        self._turn = 0
        self._revs: Mapping[str, int] | None = None
        self._elsewhere: Mapping[str, Window] = {}
        self._answers = True

    async def run(self) -> None:
        """Exchange, round after round, as long as the process lives."""
        while True:
            await asyncio.sleep(self._round_s)
            with suppress(Unavailable):
                await self.exchange()

    async def close(self) -> None:
        """Tell for the last time: whoever is started next hears it."""
        with suppress(Unavailable):
            await self.exchange()

    async def exchange(self) -> None:
        """Tell the others, and hear them. Raises ``Unavailable``."""
        now = self._clock()
        try:
            await self._tell(now)
            await self._hear(now)
        except Unavailable:
            if self._answers:
                log.warning("counts of rate limits cannot be exchanged: the store does not answer")
            self._answers = False
            raise
        self._answers = True

    async def _tell(self, now: int) -> None:
        turn = self._buckets.turn
        changed = {each.name: each for each in self._buckets.changed(self._turn, now)}
        former = (each for each in self._told.values() if each.name not in changed)
        live = [each for each in (*former, *reversed(changed.values())) if each.tale and each.until > now][-MOST:]
        if live != list(self._told.values()):
            await self._write({each.name: each.tale for each in live}, max((each.until for each in live), default=now))
        self._told, self._turn = {each.name: each for each in live}, turn

    async def _write(self, counts: Mapping[str, Tale], until: int) -> None:
        """Put the record there, whatever became of the one before: others remove it when it ended."""
        record = Tally(id=self._id, until=until, counts=dict(counts), rev=self._rev)
        try:
            stored = await (self._records.replace(record) if self._rev else self._records.add(record))
        except (Conflict, NotFound):
            there = await self._records.get(self._id)
            self._rev = 0 if there is None else there.rev
            record = replace(record, rev=self._rev)
            stored = await (self._records.replace(record) if self._rev else self._records.add(record))
        self._rev = stored.rev

    async def _hear(self, now: int) -> None:
        others = [each for each in await self._all() if each.id != self._id]
        for left in [each for each in others if each.until + LEFT_MS < now]:
            with suppress(NotFound):
                await self._records.remove(left.id)
        revs = {each.id: each.rev for each in others}
        if revs != self._revs:
            self._revs, self._elsewhere = revs, _together(others, now)
        good_until = now + round(GOOD_ROUNDS * self._round_s * 1000)
        self._buckets.hear(self._elsewhere, good_until=good_until)

    async def _all(self) -> Sequence[Tally]:
        found: list[Tally] = []
        while page := await self._records.page(found[-1].id if found else "", PAGE):
            found += page
            if len(page) < PAGE:
                break
        return found


def _together(records: Sequence[Tally], now: int) -> Mapping[str, Window]:
    """By name, what all of ``records`` tell."""
    tales: dict[str, list[Tale]] = defaultdict(list)
    for name, tale in chain.from_iterable(each.counts.items() for each in records if each.until > now):
        tales[name].append(tale)
    return {name: heard(each, now) for name, each in tales.items()}
