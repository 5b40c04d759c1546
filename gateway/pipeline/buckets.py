"""The limit step: who has called how often, per subject and server, and per limited object.

This file counts in this process, beside what it is told that others counted; what may be called how often is said by
``policy/limits.py``, and who is of which class by the policy. It knows no store: ``gateway/tallies.py``
exchanges counts.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple, TypeAlias

from gateway.errors import Limited, Unavailable
from gateway.policy.limits import EMPTY, Limit, Taken, Tale, Window, take, told

KEPT: Final = 100_000
"""Counts kept at most; of more than that, those that were idle the longest are forgotten."""

LIMITED: Final = "Rate limit exceeded"
UNSURE: Final = "how often you have called cannot be told now; try again later"

SERVER: Final = "server"
OBJECT: Final = "object"
"""What clients hear these limits called: that of all who call one server, and that of one object."""

LONGEST: Final = 256
"""Characters of a name by which anybody is counted; whoever signs for a server chooses those of its end users."""

Key: TypeAlias = tuple[str, ...]

Claim: TypeAlias = tuple[str, Key, Limit]
"""What a call takes from: a count, its limit, and what clients hear this limit called."""


class Reading(NamedTuple):
    """How it stands with the tightest limit of a call: ``left`` more would pass now, and after ``frees_ms`` one more.
    ``wait_ms`` is 0, unless the call was refused.
    """

    name: str
    limit: Limit
    left: int
    frees_ms: int
    wait_ms: int = 0


class Spread(NamedTuple):
    """A count as other processes are told of it, until it no longer matters (ms since the epoch)."""

    name: str
    tale: Tale
    until: int


class _Count:
    __slots__ = ("limit", "name", "turn", "until", "window")

    def __init__(self, window: Window, limit: Limit, until: int, turn: int) -> None:
        self.window, self.limit, self.until, self.turn = window, limit, until, turn
        self.name = ""


class Buckets:
    """The counts of every caller that still matter: bounded in time by their windows, in size by ``kept``. With
    ``demand_news`` nothing passes while it is unknown what others counted.
    """

    def __init__(self, kept: int = KEPT, *, demand_news: bool = False) -> None:
        self._kept = kept
        self._counts: dict[Key, _Count] = {}
        self._elsewhere: Mapping[str, Window] = {}
        self._demand_news = demand_news
        self._good_until = 0
        self.turn = 0
        """How many calls have been counted; it only grows."""

    def take(self, key: Key, limit: Limit, now_ms: int) -> None:
        """Count one call; raises ``Limited``, and then counts nothing."""
        check(self.take_all((("", key, limit),), now_ms))

    def take_all(self, claims: Iterable[Claim], now_ms: int) -> Reading:
        """Count one call in each of ``claims``, or in none where one of them refuses it. Raises ``Unavailable``."""
        if self._demand_news and now_ms >= self._good_until:
            raise Unavailable(UNSURE)
        taken = [(claim, self._taken(claim, now_ms)) for claim in claims]
        refused = [_reading(claim, each) for claim, each in taken if each.wait_ms]
        if refused:
            return max(refused, key=lambda each: each.wait_ms)
        for (_, key, limit), each in taken:
            self._put(key, each.window, limit, now_ms)
        return min((_reading(claim, each) for claim, each in taken), key=lambda each: each.left)

    def look(self, key: Key, limit: Limit, now_ms: int) -> Reading:
        """How it stands with one count; a call would be refused where ``wait_ms`` is not 0."""
        claim = ("", key, limit)
        return _reading(claim, self._taken(claim, now_ms))

    def changed(self, since: int, now_ms: int) -> Iterator[Spread]:
        """The counts that were taken from after turn ``since``, the latest first; those of which others need not hear
        have an empty tale.
        """
        for key, count in reversed(self._counts.items()):
            if count.turn <= since:
                return
            count.name = count.name or name_of(key)
            yield Spread(count.name, told(count.window, count.limit, now_ms), count.until)

    def hear(self, elsewhere: Mapping[str, Window], *, good_until: int) -> None:
        """Go by what others counted, by name, from now on; it is known to be so until ``good_until`` (ms)."""
        self._elsewhere, self._good_until = elsewhere, good_until

    def _taken(self, claim: Claim, now_ms: int) -> Taken:
        _, key, limit = claim
        count = self._counts.get(key)
        window = EMPTY if count is None else count.window
        if not self._elsewhere:
            return take(window, limit, now_ms)
        name = name_of(key) if count is None else (count.name or name_of(key))
        if count is not None:
            count.name = name
        return take(window, limit, now_ms, self._elsewhere.get(name, EMPTY))

    def _put(self, key: Key, window: Window, limit: Limit, now_ms: int) -> None:
        self.turn += 1
        count = self._counts.pop(key, None)
        if count is None:
            count = _Count(window, limit, now_ms + limit.window_ms, self.turn)
        else:
            count.window, count.limit, count.until, count.turn = window, limit, now_ms + limit.window_ms, self.turn
        self._counts[key] = count
        self._forget(now_ms)

    def _forget(self, now_ms: int) -> None:
        """Drop up to two of the longest idle, so that each call pays for what it adds and a little more."""
        for _ in range(2):
            key = next(iter(self._counts))
            if len(self._counts) <= self._kept and self._counts[key].until > now_ms:
                return
            del self._counts[key]

    def __len__(self) -> int:
        return len(self._counts)


def check(reading: Reading) -> None:
    """Raises ``Limited`` for what was refused."""
    if reading.wait_ms:
        raise Limited(LIMITED, retry_after=seconds(reading.wait_ms))


def seconds(ms: int) -> int:
    """Whole seconds, never too few."""
    return -(-ms // 1000)


def caller(name: str) -> str:
    """By what the subject ``name`` is counted: his name, as long as it is short."""
    return name if len(name) <= LONGEST else name_of((name,))


def name_of(key: Key) -> str:
    """How a count is called between processes: nobody reads there who called."""
    return blake2b(repr(key).encode("utf-8", "backslashreplace"), digest_size=12).hexdigest()


def _reading(claim: Claim, taken: Taken) -> Reading:
    name, _, limit = claim
    return Reading(name, limit, taken.left, taken.frees_ms, taken.wait_ms)
