"""Several workers under one parent: each is started, replaced when it dies, and renewed one after the other on SIGHUP.

The parent holds every listening socket and accepts nothing itself. So what waits in the queue of a worker that has
gone is still there for the one that takes its place, and no connection is lost by a restart.
"""

import asyncio
import logging
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from gateway.cli.output import Failure
from gateway.cli.running import GRACE_S

STARTS_S: Final = 60.0
ENDS_S: Final = GRACE_S + 25
"""How long a worker may take to listen, and to end once it was told to."""

AGAIN_S: Final = 0.2
LONGEST_S: Final = 5.0
STEADY_S: Final = 10.0
"""Before a worker that died is replaced: longer each time, until one has lived for ``STEADY_S``."""

log = logging.getLogger(__name__)

Start = Callable[[int], Awaitable[tuple[Process, Awaitable[bool]]]]
"""Starts a worker at an index; then tells whether it came to listen, or ended before."""


class Crew:
    """``count`` workers, each at an index of its own."""

    def __init__(self, start: Start, count: int) -> None:
        self._start = start
        self._count = count
        self._living: dict[int, Process] = {}
        self._tending: set[asyncio.Task[None]] = set()
        self._told = asyncio.Event()
        self._renewing = asyncio.Lock()

    async def run(self) -> None:
        """Keep the workers up until SIGTERM or SIGINT. Raises ``Failure`` when one does not come up at the start."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._renew)
        try:
            begun = await asyncio.gather(*(self._begun(index) for index in range(self._count)))
            if not all(begun) and not self._told.is_set():
                raise Failure("a worker did not start; what it said stands above")
            await self._told.wait()
        finally:
            await self._ended()

    async def _begun(self, index: int) -> bool:
        """Put a new worker at ``index``, once it listens; whether it came to that. The one before stays there until
        then, and is not ended here.
        """
        process, listens = await self._start(index)
        try:
            async with asyncio.timeout(STARTS_S):
                up = await listens
        except TimeoutError:
            up = False
        if not up or self._told.is_set():
            await _end(process)
            return False
        self._living[index] = process
        self._background(self._tend(index, process))
        return True

    async def _tend(self, index: int, process: Process) -> None:
        """Replace a worker that dies without having been told to end."""
        since, pause = time.monotonic(), AGAIN_S
        code = await process.wait()
        while not self._told.is_set() and self._living.get(index) is process:
            log.error("worker %d ended by itself (%d); another one is started", index, code)
            if time.monotonic() - since < STEADY_S:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_S)
            async with self._renewing:
                if self._told.is_set() or self._living.get(index) is not process or await self._begun(index):
                    return

    def _renew(self) -> None:
        self._background(self._renewed())

    async def _renewed(self) -> None:
        """One worker after the other: a new one listens before the old one is told to end."""
        async with self._renewing:
            for index in range(self._count):
                old = self._living.get(index)
                if self._told.is_set():
                    return
                if not await self._begun(index):
                    log.error("the restart ends here: worker %d does not start anew, and the old one stays", index)
                    return
                if old is not None:
                    await _end(old)
            log.info("every worker has been renewed")

    def _stop(self) -> None:
        if self._told.is_set():
            for process in self._living.values():
                with suppress(ProcessLookupError):
                    process.kill()
        self._told.set()

    async def _ended(self) -> None:
        self._told.set()
        await asyncio.gather(*(_end(process) for process in self._living.values()))
        for task in self._tending:
            task.cancel()
        await asyncio.gather(*self._tending, return_exceptions=True)

    def _background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tending.add(task)
        task.add_done_callback(self._tending.discard)


async def _end(process: Process) -> None:
    """Tell a worker to end, and see that it does."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(ENDS_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
