"""The audit recorder: takes one entry per call without waiting, and keeps every one of them.

Here belong the ids of entries, the queue and its one writer. What an entry says is decided in
``pipeline`` and ``masking.py``; this file knows no call and no policy.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import BinaryIO, Final

import msgspec

from gateway.audit import AuditEntry
from gateway.audit.chain import Chain
from gateway.audit.checkpoints import Checkpoints, new_chain
from gateway.store.base import AuditTrail, Unavailable

BATCH: Final = 100
LINGER_S: Final = 0.02
"""How long a lone entry waits for company, so that few calls cost few commits."""

PAUSES_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Between attempts while the store is down; the last one repeats, from there on aloud."""

CHECKPOINT_S: Final = 60.0
"""So long entries stay without a checkpoint that vouches for them, at most."""

ALARM_S: Final = 60.0

log = logging.getLogger(__name__)


def first_id(at: int) -> str:
    """An id that sorts before those of all entries from ``at`` (ms since the epoch) on, and after all earlier ones."""
    return f"{at << 16:016x}"


class EntryIds:
    """Ids of 32 hexadecimal digits: milliseconds, a count within them, and 64 bits that are this process's own.

    So they sort by time, never repeat in one process even when the clock steps back, and do not
    meet those of another process.
    """

    def __init__(self) -> None:
        self._process = os.urandom(8).hex()
        self._last = 0

    def next(self, now_ms: int) -> str:
        self._last = max(now_ms << 16, self._last + 1)
        return f"{self._last:016x}{self._process}"


class Audit:
    """Entries on their way to the store, and as JSON lines to ``stream`` when one is given.

    ``record`` never waits; the writer is a task of its own, so that the cancellation of a request
    loses nothing. While the store is down entries are kept, up to ``most``; then the recorder is
    ``full`` and who asks before acting can fail closed. Entries that come even so are kept up to
    twice that, and counted in ``lost`` beyond; an entry tells of them once the store is back. Without ``refusing`` the
    recorder is never full. Entries get their place in the chain of this process as they are written, and
    ``checkpoints`` vouches for it. ``clock`` tells ms since the epoch.
    """

    def __init__(
        self,
        trail: AuditTrail,
        *,
        stream: BinaryIO | None = None,
        most: int = 10_000,
        pauses: Sequence[float] = PAUSES_S,
        checkpoints: Checkpoints | None = None,
        refusing: bool = True,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._trail = trail
        self._pauses = pauses
        self._stream = stream
        self._most = most
        self._waiting: deque[AuditEntry] = deque()
        self._arrived = asyncio.Event()
        self._pressing = asyncio.Event()
        self._stopping = False
        self._writer: asyncio.Task[None] | None = None
        self._encoder = msgspec.json.Encoder()
        self._ids = EntryIds()
        self.lost = 0
        self._untold = 0
        self._alarmed = -ALARM_S
        self._refusing = refusing
        self._clock = clock
        self._checkpoints = checkpoints
        self._chain = new_chain()
        self._vouched = -1
        self._vouched_at = 0.0

    def new_id(self, now_ms: int) -> str:
        return self._ids.next(now_ms)

    @property
    def full(self) -> bool:
        """Whether nothing should be begun that must be recorded: no room, not started, stopped, or broken."""
        return self._refusing and self._unable

    @property
    def _unable(self) -> bool:
        return len(self._waiting) >= self._most or self._writer is None or self._writer.done()

    @property
    def waiting(self) -> int:
        """How many entries are not in the store yet."""
        return len(self._waiting)

    def record(self, entry: AuditEntry) -> None:
        """Take an entry; it will be written in its turn."""
        if len(self._waiting) >= 2 * self._most:
            self._lose()
            return
        self._waiting.append(entry)
        self._arrived.set()
        if len(self._waiting) >= BATCH:
            self._pressing.set()

    def _lose(self) -> None:
        self.lost += 1
        self._untold += 1
        if time.monotonic() - self._alarmed >= ALARM_S:
            self._alarmed = time.monotonic()
            log.critical("audit: %d entries are lost: the store does not take them, check the database", self.lost)

    def _own_up(self) -> None:
        """Put on record how many entries were lost since the last time."""
        lost, self._untold = self._untold, 0
        at = self._clock()
        told = AuditEntry(
            id=self.new_id(at),
            at=at,
            subject="gateway",
            transport="gateway",
            method="audit.lost",
            outcome="failed",
            arguments={"/entries": str(lost)},
        )
        self._waiting.append(told)
        self._arrived.set()

    def start(self) -> None:
        """Begin to write; to be called once, on the running loop."""
        self._writer = asyncio.get_running_loop().create_task(self._write(), name="audit")
        self._writer.add_done_callback(_report)

    async def stop(self, within: float = 10.0) -> int:
        """Write what waits, for at most ``within`` seconds; returns how many entries could not be written."""
        self._stopping = True
        self._arrived.set()
        self._pressing.set()
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=within)
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        if lost := self.lost + len(self._waiting):
            log.error("audit: %d entries could not be written", lost)
        return lost

    async def _write(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._company()
            batch = [self._chain.add(entry) for entry in islice(self._waiting, BATCH)]
            if batch:
                await self._keep(batch)
                await self._say(batch)
                for _ in batch:
                    self._waiting.popleft()
                if self._untold:
                    self._own_up()
            await self._vouch()
        await self._vouch(last=True)

    async def _company(self) -> None:
        """Wait for an entry, then a moment for others, unless a batch is full or the end has come."""
        due = CHECKPOINT_S if self._checkpoints and self._vouched != self._chain.number else None
        try:
            async with asyncio.timeout(due):
                await self._arrived.wait()
        except TimeoutError:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._pressing.wait()
        if len(self._waiting) <= BATCH and not self._stopping:
            self._arrived.clear()
            self._pressing.clear()

    async def _keep(self, batch: list[AuditEntry]) -> None:
        failures = 0
        while True:
            try:
                await self._begin()
                await self._trail.append(batch)
            except Unavailable as down:
                failures += 1
                if failures == len(self._pauses):
                    log.warning("audit: the store does not answer, %d entries wait: %s", len(self._waiting), down)
                await asyncio.sleep(self._pauses[min(failures, len(self._pauses)) - 1])
            else:
                return

    async def _begin(self) -> None:
        """Have the chain vouched for before its first entry: one that nobody vouches for is not ours."""
        if self._checkpoints is not None and self._vouched < 0:
            await self._checkpoints.vouch(Chain(self._chain.id))
            self._vouched, self._vouched_at = 0, time.monotonic()

    async def _vouch(self, *, last: bool = False) -> None:
        """A checkpoint that cannot be written is left to the next time: the entries themselves are kept."""
        due = last or time.monotonic() - self._vouched_at >= CHECKPOINT_S
        if self._checkpoints is None or not due or self._vouched in (-1, self._chain.number):
            return
        try:
            await self._checkpoints.vouch(self._chain)
        except Unavailable as down:
            log.warning("audit: a checkpoint could not be written: %s", down)
        else:
            self._vouched = self._chain.number
        self._vouched_at = time.monotonic()

    async def _say(self, batch: list[AuditEntry]) -> None:
        """Write the batch as JSON lines. A stream that breaks is given up, aloud: the store is the record."""
        if self._stream is None:
            return
        lines = b"".join(self._encoder.encode(entry) + b"\n" for entry in batch)
        try:
            await asyncio.to_thread(_pour, self._stream, lines)
        except (OSError, ValueError) as broken:
            log.error("audit: the stream of JSON lines is broken and given up: %s", broken)  # noqa: TRY400
            self._stream = None


def _pour(stream: BinaryIO, lines: bytes) -> None:
    stream.write(lines)
    stream.flush()


def _report(writer: asyncio.Task[None]) -> None:
    if not writer.cancelled() and (fault := writer.exception()) is not None:
        log.critical("audit: the writer has stopped, so every call is refused from now on", exc_info=fault)
