"""Event-stream framing: messages to server-sent events and back (WHATWG HTML, section 9.2).

It takes and gives bytes; what stands in an event's data, and when to send one, it does not know.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

KEEPALIVE: Final = b":\n\n"
"""A comment: keeps proxies from closing a quiet stream and is no event."""

MAX_EVENT: Final = 16 * 1024 * 1024
"""Bytes that one event, or one line, may have unless the reader says otherwise."""

_BOM: Final = b"\xef\xbb\xbf"
_LINE_ENDS: Final = (b"\n", b"\r")
_MAX_RETRY_DIGITS: Final = 9


class EventTooLong(ValueError):
    """The stream sent an event longer than the reader accepts; nothing further can be read from it."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event. ``data`` is as sent, its lines joined by a newline; ``id`` is the last id seen on the stream."""

    data: bytes
    event: str = "message"
    id: str = ""


def encode_event(data: bytes, *, event: str = "", id: str = "", retry_ms: int | None = None) -> bytes:
    """``data`` as one event. Raises ``ValueError`` when ``event`` or ``id`` would break the framing."""
    lines = [b"data: " + line for line in _lines(data)]
    if event:
        lines.insert(0, b"event: " + _field(event))
    if id:
        lines.insert(0, b"id: " + _field(id))
    if retry_ms is not None:
        lines.insert(0, b"retry: %d" % retry_ms)
    return b"\n".join(lines) + b"\n\n"


class EventParser:
    """Bytes in, in any pieces; whole events out. Holds at most ``max_event`` bytes of an unfinished one.

    ``last_id`` is what a reconnecting reader sends as ``Last-Event-ID``; ``retry_ms`` is how long it
    waits before that, when the server said so.
    """

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self.last_id = ""
        self.retry_ms: int | None = None
        self._max = max_event
        self._tail = bytearray()
        self._skip_newline = False
        self._first_line = True
        self._id = ""
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that ``chunk`` completes. Raises ``EventTooLong``."""
        events = [event for line in self._complete_lines(chunk) if (event := self._take(line)) is not None]
        if len(self._tail) + self._size > self._max:
            raise EventTooLong(f"an event of the stream is longer than {self._max} bytes")
        return events

    def _complete_lines(self, chunk: bytes) -> Iterator[bytes]:
        if not chunk:
            return
        if self._skip_newline:
            chunk = chunk.removeprefix(b"\n")
            self._skip_newline = False
        for piece in chunk.splitlines(keepends=True):
            if not piece.endswith(_LINE_ENDS):
                self._tail += piece
                return
            line = bytes(self._tail) + piece.rstrip(b"\r\n")
            self._tail.clear()
            yield line
        # A line end cut between its two characters must not become two line ends.
        self._skip_newline = chunk.endswith(b"\r")

    def _take(self, line: bytes) -> ServerEvent | None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        self._set(name, value.removeprefix(b" "))
        return None

    def _set(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            self._size += len(value) + 1
            if self._size > self._max:
                raise EventTooLong(f"an event of the stream is longer than {self._max} bytes")
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
            self.retry_ms = int(value)

    def _dispatch(self) -> ServerEvent | None:
        self.last_id = self._id
        data, event = self._data, self._event
        self._data, self._event, self._size = [], "", 0
        if not data:
            return None
        return ServerEvent(data=b"\n".join(data), event=event or "message", id=self._id)


def _lines(data: bytes) -> list[bytes]:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")


def _field(text: str) -> bytes:
    if any(sign in text for sign in "\r\n\0"):
        raise ValueError("an event's name and id must not hold a line end or NUL")
    return text.encode()
