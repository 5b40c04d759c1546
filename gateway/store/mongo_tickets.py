"""Change tickets in MongoDB: how a reader knows that nothing it has not seen lies behind it.

A writer takes a ticket from one counter (``last``), then writes it into the record together with the
change. Taking and writing are two steps, so ticket 8 can appear before ticket 7, and a ticket may never
appear (its writer failed) or be gone (its record changed again). A reader therefore goes on only

1. from its own position through tickets it found, as long as none is missing in between, or
2. to ``settled``: a mark in the database up to which nobody waits for missing tickets any more.

Any reader moves ``settled`` to a value of ``last`` that it saw ``SETTLE_AFTER`` seconds ago on its own steady
clock, while writers give up within ``WRITE_WITHIN``. That alone would trust clocks and networks, so there is
a second half: a writer looks at ``settled`` *after* its change is in the database. When the mark lies below its
ticket, every reader that reads a higher mark later also finds the change, because it reads the mark
before the records. When it does not, readers may have gone past: the writer moves the record to a new ticket
and looks again. So no acknowledged change is ever missed, however long a process or network stalled. (Left is
a change whose writer died or gave up, its caller told ``Unavailable``, and that the network delivered
more than ``SETTLE_AFTER`` seconds after the ticket: it is seen with the next change or whole reading of that record.)

What a reader cannot go past yet it reads again at every poll: the records changed since the first gap, for
``SETTLE_AFTER`` seconds at most. This file knows the document of marks, not the records.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pymongo import ReturnDocument

from gateway.store.base import Unavailable
from gateway.store.mongo_client import Document, Wire

SETTLE_AFTER = 30.0  # seconds; well above WRITE_WITHIN, so that writers seldom have to move their record
STATE = "state"
MARKS = "ostiary"  # the id of the one document that holds the schema and these numbers

_OBSERVATIONS = 32  # at most, kept within SETTLE_AFTER


@dataclass(frozen=True, slots=True)
class Marks:
    """``last`` ticket given, ``settled`` as told above, ``purged``: removals up to it may be forgotten; and how often
    the shadow was set, which stands here so that one read tells of both.
    """

    last: int
    settled: int
    purged: int
    shadow: int = 0


class Tickets:
    """The tickets of one database, as this process sees them."""

    def __init__(self, wire: Wire, *, clock: Callable[[], float], settle_after: float) -> None:
        self._wire = wire
        self._ages = _Ages(clock, settle_after)

    async def take(self) -> int:
        """A ticket that nobody else has."""
        marks = await self._wire.collection(STATE).find_one_and_update(
            {"_id": MARKS}, {"$inc": {"last": 1}}, return_document=ReturnDocument.AFTER
        )
        return _marks(marks).last

    async def read(self) -> Marks:
        marks = _marks(await self._wire.collection(STATE).find_one({"_id": MARKS}))
        self._ages.note(marks.last)
        return marks

    async def passed(self, ticket: int) -> bool:
        """Whether readers may have gone past the ticket without seeing it."""
        return (await self.read()).settled >= ticket

    async def settle(self, marks: Marks) -> None:
        """Move ``settled`` as far as this process has watched long enough."""
        aged = self._ages.aged()
        if aged > marks.settled:
            await self._wire.collection(STATE).update_one(
                {"_id": MARKS, "settled": marks.settled}, {"$set": {"settled": aged}}
            )

    async def forget(self, marks: Marks, ticket: int) -> bool:
        """Declare removals up to the ticket forgotten; false when another process moved the mark."""
        guard = {"_id": MARKS, "purged": marks.purged}
        return bool((await self._wire.collection(STATE).update_one(guard, {"$set": {"purged": ticket}})).matched_count)


def unbroken_from(start: int, found: Iterable[int]) -> int:
    """The last ticket of those found that follows ``start`` without a gap; ``start`` when there is none."""
    for ticket in sorted(found):
        if ticket > start + 1:
            break
        start = max(start, ticket)
    return start


class _Ages:
    """When this process first saw which ticket."""

    def __init__(self, clock: Callable[[], float], settle_after: float) -> None:
        self._clock = clock
        self._settle_after = settle_after
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, last: int) -> None:
        now = self._clock()
        if self._seen and last < self._seen[-1][1]:
            self._seen.clear()  # the database was put back to an earlier state
        since, seen = self._seen[-1] if self._seen else (-math.inf, -1)
        if last > seen and now - since > self._settle_after / _OBSERVATIONS:
            self._seen.append((now, last))

    def aged(self) -> int:
        """The highest ticket first seen long enough ago; 0 when there is none."""
        now = self._clock()
        while len(self._seen) > 1 and now - self._seen[1][0] > self._settle_after:
            self._seen.popleft()
        return self._seen[0][1] if self._seen and now - self._seen[0][0] > self._settle_after else 0


def _marks(document: Document | None) -> Marks:
    if document is None:
        raise Unavailable("the database lost its state: restore it from a backup")
    return Marks(document["last"], document["settled"], document["purged"], document.get("shadow", 0))
