"""A context, or a part of it, as a tree of places that goals ask about, and the values worth trying at each.

Every literal of a goal is one bit; a value is as good as the set of literals it satisfies, its *mask*. Goals
are monotone, so a value whose mask lies within another's is never needed. This file knows the values of one
place; which go together is the search's affair.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from gateway.policy.condition_nodes import Each, Path
from gateway.policy.condition_values import Absent, descend
from gateway.policy.goals import ELEMENT, Goal, Literal, goal_of
from gateway.policy.narrowing import Shape
from gateway.policy.regions import scalars

JUDGEMENTS: Final = 200_000
"""How often one question may judge a literal: some tenths of a second."""


class BeyondCapError(Exception):
    """The question takes more than it may."""


@dataclass(slots=True)
class Budget:
    """What one question may still take."""

    points: int
    judgements: int = JUDGEMENTS

    def spend(self, *, points: int = 0, judgements: int = 0) -> None:
        self.points -= points
        self.judgements -= judgements
        if self.points < 0 or self.judgements < 0:
            raise BeyondCapError


@dataclass(frozen=True, slots=True)
class Choice:
    """A value for a place, the literals it satisfies, and the places that it opens when it is an object."""

    value: Any
    mask: int
    opened: tuple["Place", ...] = ()


@dataclass(frozen=True, slots=True)
class Quantified:
    """A literal that asks for all elements of a list to reach a goal, or for some element to."""

    bit: int
    every: bool
    goal: Goal


@dataclass(slots=True, eq=False)
class Place:
    """Where a value may stand; ``shape`` is ``None`` where the schema lets nothing stand, ``missing`` what is found
    where nothing does.
    """

    path: Path
    shape: Shape | None
    required: bool = True
    missing: Absent = Absent.MISSING
    literals: list[tuple[int, Literal]] = field(default_factory=list)
    below: dict[str, "Place"] = field(default_factory=dict)
    bits: int = 0
    """Those of the literals here and below."""
    tried: list[Choice] | None = None
    elements: dict[Goal, Any] = field(default_factory=dict)
    """List elements already looked for, by the goal they had to reach."""

    def member(self, key: str) -> "Place":
        if key not in self.below:
            shape = None if self.shape is None else self.shape.below(key)
            required = self.shape is not None and self.shape.requires(key)
            self.below[key] = Place((*self.path, key), shape, required, self.missing)
        return self.below[key]

    def opened(self) -> tuple["Place", ...]:
        return tuple(self.below.values())

    def choices(self, budget: Budget) -> list[Choice]:
        """Every choice worth trying but lists with elements; the best come first."""
        if self.tried is None:
            missing = () if self.required else (self.missing,)
            self.tried = _undominated(self._judged(chain(missing, self._closed()), budget))
            if self.below and self.free_for({}):
                self.tried.append(Choice({}, self._mask_here({}), self.opened()))
        return self.tried

    def _judged(self, values: Iterable[Any], budget: Budget) -> Iterator[Choice]:
        literals = self.bits.bit_count()
        for value in values:
            budget.spend(judgements=literals)
            yield Choice(value, self.mask(value))

    def _closed(self) -> Iterator[Any]:
        """The values that open no further place, admitted by the schema."""
        if self.shape is None:
            return
        listed = self.shape.listed()
        if listed is not None:
            yield from filter(self.shape.admits, listed)
            return
        predicates = [literal.predicate for _, literal in self.literals]
        yield from filter(self.shape.admits, scalars(predicates, self.shape.bounds()))
        if not self.below and self.free_for({}):
            yield {}
        if self.free_for([]):
            yield []

    def free_for(self, value: list[Any] | dict[str, Any]) -> bool:
        """Whether a list or an object may be made up here."""
        return self.shape is not None and self.shape.listed() is None and self.shape.admits(value)

    def quantified(self) -> Iterator[Quantified]:
        for bit, literal in self.literals:
            if isinstance(literal.predicate, Each):
                goal = goal_of(literal.predicate.body, literal.want, ELEMENT)
                yield Quantified(bit, literal.predicate.every is literal.want.upward, goal)

    def mask_of_list(self) -> int:
        """The literals that any list satisfies, whatever its elements."""
        return self.mask([]) & ~sum(each.bit for each in self.quantified())

    def mask(self, value: object) -> int:
        """The literals here and below that a value satisfies."""
        members = (place.mask(descend(value, (key,))) for key, place in self.below.items())
        return self._mask_here(value) + sum(members)

    def _mask_here(self, value: object) -> int:
        return sum(bit for bit, literal in self.literals if literal.judge(value) in literal.outcomes)


def _undominated(choices: Iterable[Choice]) -> list[Choice]:
    """The first choice of each mask that lies within no other mask, those with most literals first."""
    first: dict[int, Choice] = {}
    for choice in choices:
        first.setdefault(choice.mask, choice)
    best: list[Choice] = []
    for choice in sorted(first.values(), key=lambda choice: -choice.mask.bit_count()):
        if not any(choice.mask & ~other.mask == 0 for other in best):
            best.append(choice)
    return best
