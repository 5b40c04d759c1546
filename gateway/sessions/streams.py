"""One event stream: messages on their way to one client, over one connection at a time.

A connection may break off while its stream goes on (MCP 2025-11-25, transports): what was said on a stream that
its session remembers can be had again. This file knows no HTTP and does not know what is said.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from gateway.errors import Malformed
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import Message, Notification
from gateway.policy.terms import Subject

WAITING: Final = 1_000
WAITING_BYTES: Final = 16 * 1024 * 1024
"""How far a reader may fall behind before its stream ends."""

UNREAD: Final = 500
UNREAD_BYTES: Final = 1024 * 1024
"""How far a reader may fall behind before it is spared what may be left out."""

REMEMBERED: Final = 1_000
"""Messages of one stream that are kept once they were read."""


class StreamClosed(Exception):
    """Nothing more comes over this connection: the stream has ended, or goes on over another one."""


class Remembering(Protocol):
    """The memory that a stream belongs to (``memory.py``)."""

    @property
    def full(self) -> bool:
        """Whether as much is kept as there is room for."""

    def grown(self, by: int) -> None:
        """Hear that so many bytes more (or fewer) are kept; may make the stream forget some."""


@dataclass(frozen=True, slots=True)
class Event:
    """``id`` is ``""`` where nothing is remembered."""

    id: str
    data: bytes


class Stream:
    """Messages, encoded, in order. ``name`` is what event ids begin with, ``""`` for a stream that nobody remembers;
    ``judged`` is the version of the policy that judged what it answers, if that is one, ``address`` the one from which
    its client last connected.
    """

    __slots__ = (
        *("_connections", "_current", "_events", "_first", "_memory", "_ready", "_taken", "_waiting"),
        *("address", "closed", "domain", "judged", "name", "subject", "subscribed", "wanted"),
    )

    def __init__(
        self,
        subject: Subject,
        domain: str,
        wanted: Callable[[Message], Message | None] = lambda _: None,
        subscribed: Collection[str] = (),
        *,
        judged: str = "",
    ) -> None:
        """``wanted`` gives the form in which news interest the reader, ``None`` for what does not."""
        self.subject = subject
        self.domain = domain
        self.wanted = wanted
        self.subscribed = subscribed
        self.judged = judged
        self.address = ""
        self.name = ""
        self.closed = False
        self._memory: Remembering | None = None
        self._events: deque[bytes] = deque()  # those numbered from ``_first`` on
        self._first = 1
        self._taken = 0  # the number of the last that was taken
        self._waiting = 0  # bytes that were not
        self._connections = 0
        self._current = 0  # the connection that reads, 0 while none does
        self._ready = asyncio.Event()

    # -- what is said

    def push(self, message: Message) -> None:
        """Say what must not be lost. A reader ``WAITING`` messages or ``WAITING_BYTES`` behind is cut off."""
        self.put(encode(message))

    def put(self, data: bytes) -> None:
        """``push`` for what is encoded already."""
        if self.closed:
            return
        self._events.append(data)
        self._waiting += len(data)
        unread = self._last - self._taken
        behind = unread > 1 and self._waiting > WAITING_BYTES  # one message, however large, can be sent
        if behind or unread > WAITING:
            self.close()
        self._ready.set()
        if self._memory is not None:
            self._memory.grown(len(data))

    def say(self, notification: Notification) -> None:
        """Say what may be left out: it is, while the reader is far behind, or away and enough is kept for him."""
        full = self._memory is not None and self._memory.full and not self.connected
        if not (self.behind or full):
            self.push(notification)

    def offer(self, news: Message) -> None:
        """Push ``news`` in the form this stream's reader asked for, if it asked for it; once, until it is read."""
        if (fitting := self.wanted(news)) is None:
            return
        data = encode(fitting)
        if data not in islice(self._events, self._taken + 1 - self._first, None):
            self.put(data)

    def close(self) -> None:
        """End it. What waits can still be taken."""
        self.closed = True
        self._ready.set()

    @property
    def behind(self) -> bool:
        """Whether so much waits for its reader that more should not be added."""
        return self._last - self._taken > UNREAD or self._waiting > UNREAD_BYTES

    # -- who reads

    def connect(self, after: int | None = None) -> int:
        """A number for a new connection, which takes over from any other; it reads what comes after the event
        numbered ``after``, or else what waits. Raises ``Malformed`` when that is not known any more.
        """
        if after is not None:
            self._rewind(after)
        self._connections += 1
        self._current = self._connections
        self._ready.set()
        return self._current

    def leave(self, connection: int) -> None:
        """Take note that a connection has broken off. A stream that nobody remembers ends with it."""
        if connection == self._current:
            self._current = 0
            if self._memory is None:
                self.close()
            self._ready.set()

    @property
    def connected(self) -> bool:
        return self._current != 0

    async def take(self, wait: float, connection: int | None = None) -> list[Event]:
        """What has come in, after at most ``wait`` seconds (then an empty list). Raises ``StreamClosed``."""
        if self._last == self._taken and not self.closed and connection in (None, self._current):
            self._ready.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._ready.wait()
            except TimeoutError:
                return []
        if connection not in (None, self._current) or (self.closed and self._last == self._taken):
            raise StreamClosed
        return self._give()

    def id_of(self, number: int) -> str:
        """The id of an event; number 0 stands for the beginning."""
        return f"{self.name}-{number}" if self.name else ""

    def _give(self) -> list[Event]:
        begin, end = self._taken + 1, self._last + 1
        waiting = islice(self._events, begin - self._first, None)
        given = [Event(self.id_of(number), data) for number, data in zip(range(begin, end), waiting, strict=True)]
        self._taken, self._waiting = end - 1, 0
        if self._memory is None:
            self._events.clear()
            self._first = end
        elif (surplus := self._taken - self._first + 1 - REMEMBERED) > 0:
            self._memory.grown(-sum(self.forget() for _ in range(surplus)))
        return given

    @property
    def _last(self) -> int:
        return self._first + len(self._events) - 1

    # -- what is remembered

    def remember(self, memory: Remembering, name: str) -> None:
        """From now on keep what was taken, until ``forget``."""
        self._memory, self.name = memory, name

    @property
    def kept(self) -> int:
        """Bytes."""
        return sum(map(len, self._events))

    def forget(self) -> int:
        """Let go of the oldest message that was taken; how many bytes that were, 0 when there is none."""
        if self._first > self._taken:
            return 0
        self._first += 1
        return len(self._events.popleft())

    def _rewind(self, after: int) -> None:
        if not self._first - 1 <= after <= self._last:
            raise Malformed("Last-Event-ID: what came after that event is not kept any more")
        self._taken = after
        self._waiting = sum(map(len, islice(self._events, after + 1 - self._first, None)))
