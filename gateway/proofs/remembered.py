"""What was proven already: a token is checked once, and then known again until it ends, or what it rests on changes.

Tokens themselves are not kept. This file knows no claims.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gateway.policy.terms import Subject

T = TypeVar("T")

MOST: Final = 4096
"""Beyond so many, those that came longest ago are checked anew when they come again."""


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """``grounds`` is what the proof rests on: whoever asks compares it with what counts now."""

    subject: Subject
    grounds: T


class Remembered(Generic[T]):
    """By token and place."""

    __slots__ = ("_known", "_most")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[tuple[bytes, str], Known[T]] = {}

    def find(self, token: str, place: str, now: int) -> Known[T] | None:
        """What is known of a token that still holds at ``now`` (ms since the epoch)."""
        key = _key(token, place)
        if (known := self._known.pop(key, None)) is None:
            return None
        if known.subject.expires_at is not None and now >= known.subject.expires_at:
            return None
        self._known[key] = known
        return known

    def keep(self, token: str, place: str, known: Known[T]) -> None:
        while len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[_key(token, place)] = known

    def __len__(self) -> int:
        return len(self._known)


def _key(token: str, place: str) -> tuple[bytes, str]:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest(), place
