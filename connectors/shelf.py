"""The remembered catalogue of one line: read once, served at once, refreshed behind the reader's back.

It knows when to read again and whom to tell of differences; it must not know how a catalogue is read.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from connectors.base import Catalogue, Event
from connectors.listing import changed
from connectors.once import Once
from gateway.errors import UpstreamFailed

_LOG = logging.getLogger(__name__)

STALE_AFTER: Final = 300.0
"""Seconds after which a list is read again although the server announced no change, and said that it holds longer."""

HOLDS: Final = 5.0
"""Seconds for which a list is not read again, however short a time the server says that it holds."""

PAUSE: Final = 0.2
"""Seconds between two readings, so that a server which announces changes without end costs little."""


class Shelf:
    """``read`` gets the old catalogue and gives the new one; ``tell`` hears which lists changed.

    With ``retry`` (seconds), a catalogue that could not be read is tried again in the background until it
    can be. ``kept`` is a catalogue to begin with, until the own one was read.
    """

    def __init__(
        self,
        read: Callable[[Catalogue | None], Awaitable[Catalogue]],
        *,
        name: str,
        tell: Callable[[Event], None],
        retry: float | None,
        stale_after: float = STALE_AFTER,
        kept: Catalogue | None = None,
    ) -> None:
        self._read = read
        self._name = name
        self._tell = tell
        self._retry = retry
        self._stale_after = stale_after
        self.kept = kept
        self._read_at = asyncio.get_running_loop().time()
        self._awaited = False
        self._dirty = False
        self._reading = Once(self._refresh, cancelled=f"upstream `{name}` is being closed")
        self._timer: asyncio.TimerHandle | None = None

    @property
    def reading(self) -> bool:
        return self._reading.running

    async def get(self) -> Catalogue:
        """The remembered catalogue, or the first one. Raises ``UpstreamFailed``."""
        if self.kept is None:
            return await self._reading()
        self.freshen()
        return self.kept

    def freshen(self) -> None:
        """Read again in the background what was read long ago: to be called at every use."""
        if self.kept is None:
            return
        said = self._stale_after if self.kept.ttl is None else max(HOLDS, self.kept.ttl)
        if asyncio.get_running_loop().time() - self._read_at > min(said, self._stale_after):
            self.refresh()

    def refresh(self) -> None:
        """Read again in the background; the old catalogue serves until then."""
        if self._reading.running:
            self._dirty = True
        else:
            self._reading.start()

    def reopened(self) -> None:
        """A new session may list other things than the one before it."""
        if self.kept is not None:
            self.refresh()

    async def close(self) -> None:
        self._later(None)
        await self._reading.cancel()
        self._later(None)

    async def _refresh(self) -> Catalogue:
        self._dirty = False
        self._read_at = asyncio.get_running_loop().time()
        try:
            new = await self._read(self.kept)
        except UpstreamFailed as failure:
            _LOG.info("upstream `%s` could not be listed: %s (%s)", self._name, failure.text, failure.detail)
            self._awaited = self._awaited or self.kept is None
            self._later(PAUSE if self._dirty else self._retry)
            raise
        old, self.kept = self.kept, new
        if old is not None or self._awaited:
            for event in changed(old or Catalogue(items={}), new):
                self._tell(event)
        self._later(PAUSE if self._dirty else None)
        return new

    def _later(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.refresh)
