"""The limit step: who has called how often, per subject and server, and per limited object.

This file counts in this process only; what may be called how often is said by ``policy/limits.py``, and who is
of which class by the policy.
"""

from typing import Final, TypeAlias

from gateway.errors import Limited
from gateway.policy.limits import Limit, Window, take

KEPT: Final = 100_000
"""Counts kept at most; of more than that, those that were idle the longest are forgotten."""

LIMITED: Final = "Rate limit exceeded"

Key: TypeAlias = tuple[str, ...]


class Buckets:
    """The counts of every caller that still matter: bounded in time by their windows, in size by ``KEPT``."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._windows: dict[Key, tuple[Window, int]] = {}

    def take(self, key: Key, limit: Limit, now_ms: int) -> None:
        """Count one call; raises ``Limited``, and then counts nothing."""
        window, _ = self._windows.pop(key, (_EMPTY, 0))
        window, wait_ms = take(window, limit, now_ms)
        self._windows[key] = window, now_ms + limit.window_ms
        self._forget(now_ms)
        if wait_ms:
            raise Limited(LIMITED, retry_after=-(-wait_ms // 1000))

    def _forget(self, now_ms: int) -> None:
        """Drop up to two of the longest idle, so that each call pays for what it adds and a little more."""
        for _ in range(2):
            key = next(iter(self._windows))
            if len(self._windows) <= self._kept and self._windows[key][1] > now_ms:
                return
            del self._windows[key]

    def __len__(self) -> int:
        return len(self._windows)


_EMPTY: Final = Window()
