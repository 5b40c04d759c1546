"""What one session can tell again: the streams that it remembers, and the ids of their events.

An event's id says which session, which stream and which event. Bounded: what was read long ago is forgotten first.
"""

import secrets
from typing import Final

from gateway.errors import Malformed
from gateway.sessions.streams import Stream

KEPT_BYTES: Final = 4 * 1024 * 1024
"""What one session remembers; only what nobody has read yet of streams under way may go beyond."""

ENDED: Final = 64
"""Streams that have ended and are still remembered."""


class Memory:
    """The streams of one session by number, oldest first."""

    def __init__(self) -> None:
        self._tag = secrets.token_hex(6)
        self._streams: dict[int, Stream] = {}
        self._size = 0
        self._numbers = 0

    def keep(self, stream: Stream) -> Stream:
        """Remember what will be said on ``stream``."""
        for number in self._ended()[:-ENDED]:
            self._drop(number)
        self._numbers += 1
        self._streams[self._numbers] = stream
        stream.remember(self, f"{self._tag}-{self._numbers}")
        return stream

    def find(self, event: str) -> tuple[Stream, int]:
        """The stream of an event, and the event's number. Raises ``Malformed`` for what is not of this session."""
        tag, *numbers = event.split("-")
        if tag == self._tag and len(numbers) == 2 and all(map(_is_number, numbers)):
            stream = self._streams.get(int(numbers[0]))
            if stream is not None:
                return stream, int(numbers[1])
        raise Malformed("Last-Event-ID: this session does not know that event, or does not any more")

    def forget_ended(self) -> None:
        for number in self._ended():
            self._drop(number)

    @property
    def full(self) -> bool:
        return self._size >= KEPT_BYTES

    def grown(self, by: int) -> None:
        self._size += by
        while self._size > KEPT_BYTES and self._forget():
            pass

    def _forget(self) -> bool:
        """Let go of the oldest that may go: what has ended, else what was read."""
        if ended := self._ended():
            self._drop(ended[0])
            return True
        freed = next((freed for stream in self._streams.values() if (freed := stream.forget())), 0)
        self._size -= freed
        return freed > 0

    def _ended(self) -> list[int]:
        return [number for number, stream in self._streams.items() if stream.closed and not stream.connected]

    def _drop(self, number: int) -> None:
        self._size -= self._streams.pop(number).kept


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 12
