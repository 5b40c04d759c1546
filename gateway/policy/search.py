"""The search for values that reach a goal, walking the places that the goal asks about.

It gives up a branch as soon as its goal is out of reach, and the whole question beyond its budget; up to that
the answer is exact in both directions, because a place tries a value of every region that its literals can tell
apart. This file knows no rows and no policies.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any, Final, TypeAlias

from gateway.policy.condition_nodes import IT, Cidr, Path
from gateway.policy.condition_values import Absent, Affix, Compare, Op
from gateway.policy.goals import ADDRESS, AllOf, Goal, Literal, all_of
from gateway.policy.places import BeyondCapError, Budget, Choice, Place

MAX_PLACES: Final = 100
"""Places that one question may touch: the depth of the search."""

_Met: TypeAlias = Callable[[int], bool]
"""Whether a goal is reached when the literals of a mask are satisfied."""


def values(goal: Goal, roots: Mapping[str, Place], budget: Budget) -> dict[str, Any] | None:
    """Values of the roots that reach ``goal``, holding only fields that it takes; ``None`` when none do.

    The roots are made for this one question. Raises ``BeyondCapError`` when the budget is spent, and when only an
    address could help that must be in some network *and* be spelled in some way.
    """
    if isinstance(goal, bool):
        return {} if goal else None
    search = _Search(goal, roots, budget, MAX_PLACES)
    found = search.found(tuple(place for root in roots.values() for place in root.opened()))
    if found is None:
        if _asks_for_spelling([each for each in search.bits if each.path == ADDRESS]):
            raise BeyondCapError
        return None
    touched: dict[Path, Any] = {path[:1]: {} for path in found}
    return {path[0]: value for path, value in _assembled(touched | found).items() if len(path) == 1}


class _Search:
    """One goal over the trees of places below some roots."""

    def __init__(self, goal: Goal, roots: Mapping[str, Place], budget: Budget, room: int) -> None:
        self.budget = budget
        self.room = room
        self.roots = roots
        self.bits: dict[Literal, int] = {}
        self.met = self._measured(goal)
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
        place = self.roots[literal.path[0]]
        place.bits |= bit
        for key in literal.path[1:]:
            place = place.member(key)
            self.room -= place.bits == 0
            place.bits |= bit
        place.literals.append((bit, literal))
        if self.room < 0:
            raise BeyondCapError

    def found(self, pending: tuple[Place, ...]) -> dict[Path, Any] | None:
        """Values for the pending places and those that they open, such that the goal is met, or ``None``."""
        return self._search(pending, 0, (1 << len(self.bits)) - 1)

    def _search(self, pending: tuple[Place, ...], mask: int, undecided: int) -> dict[Path, Any] | None:
        """``mask`` are the literals satisfied so far, ``undecided`` those of the pending places. Places are left out
        once the goal is met.
        """
        if not pending or not self.met(mask | undecided):
            return None
        place, rest = pending[0], pending[1:]
        later = undecided & ~place.bits
        for choice in self._choices(place, mask | later):
            self.budget.spend(points=1)
            taken: dict[Path, Any] = {place.path: {} if choice.opened else choice.value}
            if self.met(mask | choice.mask):
                return taken
            opened = sum(each.bits for each in choice.opened)
            found = self._search((*choice.opened, *rest), mask | choice.mask, later | opened)
            if found is not None:
                return taken | found
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
        element = Place((IT,), shape)
        search = _Search(goal, {IT: element}, self.budget, self.room - 1)
        found = search.found((element,))
        return Absent.MISSING if found is None else _assembled(found)[element.path]


def _asks_for_spelling(literals: list[Literal]) -> bool:
    """Whether texts that are compared by network are compared by their order or ends as well."""
    predicates = [literal.predicate for literal in literals]
    ordered = (isinstance(each, Compare) and each.op not in (Op.EQUAL, Op.OTHER) for each in predicates)
    ends = (isinstance(each, Affix) for each in predicates)
    return any(isinstance(each, Cidr) for each in predicates) and (any(ordered) or any(ends))


def _all_met(parts: list[_Met]) -> _Met:
    return lambda mask: all(part(mask) for part in parts)


def _any_met(parts: list[_Met]) -> _Met:
    return lambda mask: any(part(mask) for part in parts)


def _assembled(found: dict[Path, Any]) -> dict[Path, Any]:
    """The values with each put into the one above it; objects come before what stands in them."""
    for path, value in found.items():
        if len(path) > 1 and not isinstance(value, Absent):
            found[path[:-1]][path[-1]] = value
    return found
