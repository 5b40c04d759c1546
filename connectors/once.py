"""Work that one task does and any number wait for. Knows nothing of what the work is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gateway.errors import UpstreamFailed

T = TypeVar("T")


class Once(Generic[T]):
    """Calling it starts ``work``, or joins the run under way. A waiter that is cancelled leaves the others
    and the work alone; ``cancel`` ends the work, and its waiters then get ``UpstreamFailed``.
    """

    def __init__(self, work: Callable[[], Awaitable[T]], *, cancelled: str) -> None:
        self._work = work
        self._cancelled = cancelled
        self._task: asyncio.Task[T] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None

    async def __call__(self) -> T:
        work = self.start()
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if work.cancelled():
                raise UpstreamFailed(self._cancelled) from None
            raise

    def start(self) -> asyncio.Task[T]:
        """Start it without waiting; a fault that nobody waits for is not reported twice."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._work())
            self._task.add_done_callback(self._done)
        return self._task

    async def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _done(self, task: asyncio.Task[T]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()
