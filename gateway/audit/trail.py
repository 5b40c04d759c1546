"""The audit recorder: takes one entry per call without waiting, and keeps every one of them.

Here belong the ids of entries, the queue and its one writer. What an entry says is decided in
``pipeline`` and ``masking.py``; this file knows no call and no policy.
"""

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import BinaryIO, Final

import msgspec

from gateway.audit import AuditEntry
from gateway.store.base import AuditTrail, Unavailable

BATCH: Final = 100
LINGER_S: Final = 0.02
"""How long a lone entry waits for company, so that few calls cost few commits."""

PAUSES_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Between attempts while the store is down; the last one repeats, from there on aloud."""

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
    twice that, and counted in ``lost`` beyond.
    """

    def __init__(
        self,
        trail: AuditTrail,
        *,
        stream: BinaryIO | None = None,
        most: int = 10_000,
        pauses: Sequence[float] = PAUSES_S,
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

    def new_id(self, now_ms: int) -> str:
        return self._ids.next(now_ms)

    @property
    def full(self) -> bool:
        """Whether nothing should be begun that must be recorded: no room, not started, stopped, or broken."""
        return len(self._waiting) >= self._most or self._writer is None or self._writer.done()

    def record(self, entry: AuditEntry) -> None:
        """Take an entry; it will be written in its turn."""
        if len(self._waiting) >= 2 * self._most:
            self.lost += 1
            return
        self._waiting.append(entry)
        self._arrived.set()
        if len(self._waiting) >= BATCH:
            self._pressing.set()

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
            batch = list(islice(self._waiting, BATCH))
            if batch:
                await self._keep(batch)
                await self._say(batch)
                for _ in batch:
                    self._waiting.popleft()

    async def _company(self) -> None:
        """Wait for an entry, then a moment for others, unless a batch is full or the end has come."""
        await self._arrived.wait()
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
                await self._trail.append(batch)
            except Unavailable as down:
                failures += 1
                if failures == len(self._pauses):
                    log.warning("audit: the store does not answer, %d entries wait: %s", len(self._waiting), down)
                await asyncio.sleep(self._pauses[min(failures, len(self._pauses)) - 1])
            else:
                return

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
