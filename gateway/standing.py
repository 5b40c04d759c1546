"""The grants as a process follows them: which rows there are, which of them live, and when the next one ends.

One change costs what it touches, however many grants there are. This file knows no store and no policy; time comes in
as an argument, and may go backwards, because clocks are set.
"""

from bisect import bisect_right, insort
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.policy.terms import Link, Rule

Row = Rule | Link

NEVER: Final = 1 << 62
"""Later than everything, in ms since the epoch."""

_LAST: Final = "\U0010ffff"
"""Sorts behind every id."""


@dataclass(frozen=True, slots=True)
class Step:
    """What changes for the policy: the rows ``put`` and the ids ``drop``; ``turned`` are all rows that came or went."""

    put: Mapping[str, Row]
    drop: frozenset[str]
    turned: tuple[Row, ...]


class Standing:
    """All grants whose rows could be read, by their ids, as of the moment that was settled last."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._living: set[str] = set()
        self._ends: list[tuple[int, str]] = []
        self._at = 0

    def step(self, rows: Mapping[str, Row], gone: Collection[str], now: int) -> Step:
        """What it would mean for the policy to take ``rows`` in and ``gone`` out at ``now`` (ms since the epoch);
        nothing is changed.
        """
        touched = rows.keys() | gone
        passed = {id for id in self._between(self._at, now) if id not in touched}
        revived = {id: self.rows[id] for id in self._between(now, self._at) if id not in touched}
        living = {id: row for id, row in rows.items() if _lives(row, now)}
        fresh = {id: row for id, row in living.items() if id not in self._living or self.rows[id] != row}
        put = {**{id: row for id, row in revived.items() if id not in self._living}, **fresh}
        drop = frozenset(id for id in (passed | touched) - living.keys() if id in self._living)
        left = (self.rows[id] for id in (*drop, *(id for id in fresh if id in self._living)))
        return Step(put, drop, (*put.values(), *left))

    def settle(self, step: Step, rows: Mapping[str, Row], gone: Collection[str], now: int) -> None:
        """Make it so; ``step`` is what it means for the policy."""
        for id in (*gone, *rows):
            self._forget(id)
        for id, row in rows.items():
            self.rows[id] = row
            if row.expires is not None:
                insort(self._ends, (row.expires, id))
        self._living.difference_update(step.drop)
        self._living.update(step.put)
        self._at = now

    def next_end(self, now: int) -> int:
        """When the next grant ends after ``now``, ``NEVER`` if none does."""
        place = bisect_right(self._ends, (now, _LAST))
        return self._ends[place][0] if place < len(self._ends) else NEVER

    def _forget(self, id: str) -> None:
        row = self.rows.pop(id, None)
        if row is not None and row.expires is not None:
            place = bisect_right(self._ends, (row.expires, id)) - 1
            del self._ends[place]

    def _between(self, after: int, until: int) -> Iterator[str]:
        """The ids of those that end after one moment and not after the other."""
        first, last = (bisect_right(self._ends, (moment, _LAST)) for moment in (after, until))
        return (id for _, id in self._ends[first:last])


def _lives(row: Row, now: int) -> bool:
    return row.expires is None or now < row.expires
