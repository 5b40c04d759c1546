"""Could some call be allowed? The joint decision procedure behind every listing.

Conditions compare fields with constants only, so one value for each region of each field is enough (see
``regions`` and ``places``). The search walks the fields and gives up a branch as soon as its goal is out of
reach. The answer is exact in both directions, up to a cap on the points tried. This file knows no rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, TypeAlias

from gateway.policy.condition_nodes import Path
from gateway.policy.condition_values import Absent
from gateway.policy.goals import AllOf, Goal, Literal, Residual, all_of, any_of, residual
from gateway.policy.narrowing import Shape, shape_of
from gateway.policy.places import BeyondCapError, Budget, Choice, Place
from gateway.policy.terms import Json

__all__ = ["CAP", "BeyondCapError", "Demand", "Residual", "example", "possible", "residual"]

CAP: Final = 2_000
MAX_PLACES: Final = 100
"""Places that one question may touch: the depth of the search."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one access leaves over: an allow must count (unless one already does: ``open``) and no deny may."""

    allows: tuple[Residual, ...] = ()
    denies: tuple[Residual, ...] = ()
    open: bool = False


def possible(demands: Sequence[Demand], schema: Json = None, cap: int = CAP) -> bool | None:
    """Whether some arguments meet every demand; ``None`` when that takes more than ``cap`` points to try."""
    try:
        return example(demands, schema, cap) is not None
    except BeyondCapError:
        return None


def example(demands: Sequence[Demand], schema: Json = None, cap: int = CAP) -> dict[str, Json] | None:
    """Arguments that meet every demand, holding only fields that conditions read; ``None`` when there are none.

    ``schema`` is the tool's inputSchema. Raises ``BeyondCapError`` after ``cap`` points.
    """
    goal = all_of(goal for demand in demands for goal in _goals(demand))
    if isinstance(goal, bool):
        return {} if goal else None
    problem = _Problem(goal, shape_of(schema), Budget(cap), MAX_PLACES)
    found = problem.search(problem.top.opened(), 0, problem.top.bits)
    return None if found is None else _assembled({(): {}, **found})


def _goals(demand: Demand) -> Iterator[Goal]:
    yield from (deny.goal for deny in demand.denies)
    if not demand.open:
        yield any_of(allow.goal for allow in demand.allows)


_Met: TypeAlias = Callable[[int], bool]
"""Whether a goal is reached when the literals of a mask are satisfied."""


class _Problem:
    """One goal over one tree of places: the arguments, or the element of a list."""

    def __init__(self, goal: Goal, shape: Shape, budget: Budget, room: int) -> None:
        self.budget = budget
        self.room = room
        self.bits: dict[Literal, int] = {}
        self.met = self._measured(goal)
        self.top = Place((), shape, required=True)
        for literal, bit in self.bits.items():
            self._put(literal, bit)

    def _measured(self, goal: Goal) -> _Met:
        if isinstance(goal, bool):
            return lambda _mask: goal
        if isinstance(goal, Literal):
            bit = self.bits.setdefault(goal, 1 << len(self.bits))
            return lambda mask: mask & bit != 0
        parts = [self._measured(part) for part in goal.parts]
        return _all_met(parts) if isinstance(goal, AllOf) else _any_met(parts)

    def _put(self, literal: Literal, bit: int) -> None:
        place = self.top
        place.bits |= bit
        for key in literal.path[1:]:
            self.room -= key not in place.below
            place = place.member(key)
            place.bits |= bit
        place.literals.append((bit, literal))
        if self.room < 0:
            raise BeyondCapError

    def search(self, pending: tuple[Place, ...], mask: int, undecided: int) -> dict[Path, Any] | None:
        """Values for the pending places and those that they open, such that the goal is met, or ``None``.

        ``mask`` are the literals satisfied so far, ``undecided`` those of the pending places.
        """
        if not self.met(mask | undecided):
            return None
        if not pending:
            return {}
        place, rest = pending[0], pending[1:]
        later = undecided & ~place.bits
        for choice in self._choices(place, mask | later):
            self.budget.spend(points=1)
            opened = sum(each.bits for each in choice.opened)
            found = self.search((*choice.opened, *rest), mask | choice.mask, later | opened)
            if found is not None:
                return {place.path: {} if choice.opened else choice.value, **found}
        return None

    def _choices(self, place: Place, others: int) -> Iterator[Choice]:
        yield from place.choices(self.budget)
        if place.free_for([]) and not all(each.every for each in place.quantified()):
            yield from self._lists(place, others)

    def _lists(self, place: Place, others: int) -> Iterator[Choice]:
        """A list for every set of "all elements" literals, with one element for each "some element" literal
        that can be satisfied beside them; the empty one is a plain choice. ``others`` are the literals that
        other places may still satisfy.
        """
        quantified = list(place.quantified())
        alls = [each for each in quantified if each.every]
        somes = [each for each in quantified if not each.every]
        reach = others | place.mask_of_list() | sum(each.bit for each in somes)
        for size in range(len(alls), -1, -1):
            for kept in combinations(alls, size):
                self.budget.spend(points=1)
                mask = sum(each.bit for each in kept)
                if not self.met(reach | mask):
                    continue
                found = {some.bit: self._element(place, [some.goal, *(each.goal for each in kept)]) for some in somes}
                elements = {bit: element for bit, element in found.items() if element is not Absent.MISSING}
                if elements:
                    yield Choice([*elements.values()], place.mask_of_list() | mask | sum(elements))

    def _element(self, place: Place, goals: list[Goal]) -> Any:
        """An element that reaches all goals, or ``MISSING``."""
        goal = all_of(goals)
        if goal not in place.elements:
            place.elements[goal] = self._found_element(place, goal)
        return place.elements[goal]

    def _found_element(self, place: Place, goal: Goal) -> Any:
        shape = None if place.shape is None else place.shape.element()
        if shape is None:
            return Absent.MISSING
        problem = _Problem(goal, shape, self.budget, self.room - 1)
        found = problem.search((problem.top,), 0, problem.top.bits)
        return Absent.MISSING if found is None else _assembled(found)


def _all_met(parts: list[_Met]) -> _Met:
    return lambda mask: all(part(mask) for part in parts)


def _any_met(parts: list[_Met]) -> _Met:
    return lambda mask: any(part(mask) for part in parts)


def _assembled(values: dict[Path, Any]) -> Any:
    """The value of which ``values`` are the parts, objects before what stands in them."""
    for path, value in values.items():
        if path and value is not Absent.MISSING:
            descended: Any = values[path[:-1]]
            descended[path[-1]] = value
    return values[()]
