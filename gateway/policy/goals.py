"""What is left of a condition once something about the context is known: a goal that the rest may reach.

A goal is two-valued and monotone: fields whose predicate must have one of two or three outcomes, joined by
"all of" and "any of". A condition judges true, false or unknown, so that there are four things to want of it.
An allow counts when its condition *is true*, a deny stays off when its condition *is false*; that a row does
not count, or does bite, is wanted where two policies are compared. This file knows how to leave over, not how
to search.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from gateway.policy.condition_nodes import IT, And, Check, Cidr, Hours, Node, Not, Or, Path, Predicate
from gateway.policy.condition_values import Kleene

ARGS: Final = "args"
MADE: Final = "made"
"""The root of texts that a mapping makes of arguments; no condition can name it."""
ENV: Final = "env"
NOW: Final = (ENV, "now")
ADDRESS: Final = (ENV, "address")
ELEMENT: Final = frozenset((IT,))


class Want(StrEnum):
    """What a condition is to judge: one outcome, or any but one."""

    TRUE = "true"
    FALSE = "false"
    NOT_TRUE = "not true"
    NOT_FALSE = "not false"

    @property
    def outcomes(self) -> frozenset[Kleene]:
        return _OUTCOMES[self]

    @property
    def negated(self) -> "Want":
        """What is to be wanted of a condition for its ``not`` to be as wanted."""
        return _NEGATED[self]

    @property
    def upward(self) -> bool:
        """Whether the wanted outcomes are the upper ones of false < unknown < true."""
        return True in _OUTCOMES[self]


_OUTCOMES: Final[Mapping[Want, frozenset[Kleene]]] = {
    Want.TRUE: frozenset((True,)),
    Want.FALSE: frozenset((False,)),
    Want.NOT_TRUE: frozenset((False, None)),
    Want.NOT_FALSE: frozenset((True, None)),
}
_NEGATED: Final = {
    Want.TRUE: Want.FALSE,
    Want.FALSE: Want.TRUE,
    Want.NOT_TRUE: Want.NOT_FALSE,
    Want.NOT_FALSE: Want.NOT_TRUE,
}


@dataclass(frozen=True, slots=True)
class Literal:
    """The predicate on this field must have one of ``outcomes``; ``judge`` takes the field's value, or for
    ``Hours`` the whole of ``env``.
    """

    path: Path
    predicate: Predicate | Hours | Cidr
    want: Want
    outcomes: frozenset[Kleene] = field(init=False, compare=False, repr=False)
    judge: Callable[[Any], Kleene] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcomes", self.want.outcomes)
        object.__setattr__(self, "judge", _judge_of(self.predicate))


def _judge_of(predicate: Predicate | Hours | Cidr) -> Callable[[Any], Kleene]:
    match predicate:
        case Hours() as hours:
            return hours.during
        case Cidr() as cidr:
            return cidr.covers
        case _:
            return predicate.judge


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple["Goal", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple["Goal", ...]


Goal: TypeAlias = bool | Literal | AllOf | AnyOf


def goal_of(node: Node, want: Want, free: frozenset[str], ctx: Any = None) -> Goal:
    """What must be so for a node to judge as wanted; fields below the roots ``free`` are left open, for all
    others ``ctx`` is asked.
    """
    match node:
        case And(parts) | Or(parts):
            goals = (goal_of(part, want, free, ctx) for part in parts)
            return all_of(goals) if isinstance(node, And) is want.upward else any_of(goals)
        case Not(part):
            return goal_of(part, want.negated, free, ctx)
        case Check(path, predicate) if path[0] in free:
            return Literal(path, predicate, want)
        case Hours() if ENV in free:
            return Literal(NOW, node, want)
        case Cidr() if ENV in free:
            return Literal(ADDRESS, node, want)
        case _:
            return node.judge(ctx) in want.outcomes


def all_of(goals: Iterable[Goal]) -> Goal:
    """The goal of reaching all of them, flat and without repetition."""
    return _joined(goals, AllOf, decisive=False)


def any_of(goals: Iterable[Goal]) -> Goal:
    """The goal of reaching one of them, flat and without repetition."""
    return _joined(goals, AnyOf, decisive=True)


def _joined(goals: Iterable[Goal], kind: type[AllOf] | type[AnyOf], *, decisive: bool) -> Goal:
    flat: dict[Goal, None] = {}
    for goal in goals:
        if goal is decisive:
            return decisive
        if isinstance(goal, kind):
            flat.update(dict.fromkeys(goal.parts))
        elif not isinstance(goal, bool):
            flat[goal] = None
    if len(flat) == 1:
        return next(iter(flat))
    return kind(tuple(flat)) if flat else not decisive
