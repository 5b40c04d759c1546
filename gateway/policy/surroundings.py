"""``env`` as a place: the moment, which ``hours``, ``env.now`` and ``env.offset`` judge together, and the address.

A context tells ``now`` and ``offset`` as whole numbers, ``address`` as a text, and nothing else. Addresses of one
network are alike to conditions, and so are the minutes of a day between the ends of windows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil, floor
from typing import Any, Final

from gateway.policy.condition_nodes import Hours
from gateway.policy.condition_values import descend
from gateway.policy.goals import ENV
from gateway.policy.narrowing import Shape
from gateway.policy.places import Place
from gateway.policy.regions import number_points

_MINUTE_MS: Final = 60_000
_DAY: Final = 1_440
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"now": {"type": "integer"}, "offset": {"type": "integer"}, "address": {"type": "string"}},
    "required": ["now", "offset", "address"],
    "additionalProperties": False,
}
SHAPE: Final = Shape(_SCHEMA, _SCHEMA)


@dataclass(slots=True, eq=False)
class Env(Place):
    """The root ``env``."""

    def member(self, key: str) -> Place:
        if key in ("now", "offset"):
            return self.below.setdefault("now", Clock(self.path, None))
        return Place.member(self, key)


@dataclass(slots=True, eq=False)
class Clock(Place):
    """``now`` and ``offset`` as one value."""

    def member(self, key: str) -> Place:  # noqa: ARG002 (a number has no members)
        return self

    def _closed(self) -> Iterator[Any]:
        """A moment of every region of each, in every part of the day that it can meet."""
        predicates = {
            key: [each.predicate for _, each in self.literals if each.path[1] == key] for key in ("now", "offset")
        }
        windows = [each.predicate for _, each in self.literals if isinstance(each.predicate, Hours)]
        parts = sorted({end % _DAY for window in windows for end in (window.start, window.end)})
        nows = _intervals(number_points(predicates["now"]), day=_DAY * _MINUTE_MS)
        for now, offset in product(nows, _intervals(number_points(predicates["offset"]), day=_DAY)):
            yield from _moments(now, offset, parts)

    def _mask_here(self, value: Any) -> int:
        """The literals that a moment satisfies; hours ask of both parts of it."""
        return sum(
            bit
            for bit, each in self.literals
            if each.judge(value if isinstance(each.predicate, Hours) else descend(value, each.path[1:]))
            in each.outcomes
        )


def env() -> Env:
    """The root ``env`` of one question."""
    return Env((ENV,), SHAPE)


def _intervals(points: Iterable[float], *, day: int) -> list[tuple[int, int]]:
    """All whole numbers, cut at the points: the first and last of each interval; of an open one, two days."""
    begins = sorted({begin for point in points for begin in (ceil(point), floor(point) + 1)})
    if not begins:
        return [(0, 2 * day)]
    inner = [(low, high - 1) for low, high in pairwise(begins)]
    return [(begins[0] - 2 * day, begins[0] - 1), *inner, (begins[-1], begins[-1] + 2 * day)]


def _moments(now: tuple[int, int], offset: tuple[int, int], parts: list[int]) -> Iterator[dict[str, int]]:
    """The first moment of both intervals, and the first in each part of the day that begins later in them; where the
    intervals are shorter than that, one that lies outside.
    """
    first, last = (each // _MINUTE_MS for each in now)
    near = min(max(0, offset[0]), offset[1])
    begin = first + offset[0]
    for minute in (begin, *(begin + (part - begin) % _DAY for part in parts)):
        utc = min(max(minute - near, first), last)
        yield {"now": max(utc * _MINUTE_MS, now[0]), "offset": minute - utc}
