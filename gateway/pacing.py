"""Long work beside a running event loop: cut into slices, so that no call waits for more than one of them.

A large policy is built in a thread, which would hold the interpreter for milliseconds at a time, and its remains are
cleared away on the loop, since freeing a hundred thousand rows at once stops everything, in whichever thread it
happens. This file knows no store and decides nothing.
"""

import asyncio
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, TypeVar

from gateway.policy.engine import Policy
from gateway.policy.shelves import Slices, taken_apart

SLICE_S: Final = 0.001
PAUSE_S: Final = 0.0005

T = TypeVar("T")


def paced(work: Slices[T]) -> T:
    """The result of ``work``, done in this thread; about every millisecond the other threads have their turn."""
    until = time.perf_counter() + SLICE_S
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result
        if time.perf_counter() > until:
            time.sleep(PAUSE_S)
            until = time.perf_counter() + SLICE_S


def clear_away_in_slices(policy: Policy) -> None:
    """See to it that what ``policy`` and its successors hold of their bundle is freed in slices on the running loop,
    once the last of them was dropped.
    """
    contents: list[Any] = policy.files.contents
    if policy.bundle is not None:
        contents = [policy.bundle.links, policy.bundle.rules, *contents]
    ending = weakref.finalize(policy.files, _dropped, asyncio.get_running_loop(), contents)
    ending.atexit = False


def _dropped(loop: asyncio.AbstractEventLoop, contents: list[Any]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(_clear, loop, taken_apart(contents))


def _clear(loop: asyncio.AbstractEventLoop, work: Iterable[None]) -> None:
    until = time.perf_counter() + SLICE_S
    for _ in work:
        if time.perf_counter() > until:
            loop.call_later(PAUSE_S, _clear, loop, work)
            return


class Breath:
    """Lets a running event loop do other work, whenever this one took a millisecond of it; several tasks that breathe
    together take no more than one.
    """

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE_S
        self._pausing = asyncio.Lock()

    async def __call__(self) -> None:
        """To be awaited between two steps."""
        if time.perf_counter() > self._until:
            async with self._pausing:
                await asyncio.sleep(PAUSE_S)
                self._until = time.perf_counter() + SLICE_S

    async def work(self, work: Slices[T]) -> T:
        """The result of ``work``, done on the running loop."""
        while True:
            await self()
            try:
                next(work)
            except StopIteration as done:
                result: T = done.value
                return result
