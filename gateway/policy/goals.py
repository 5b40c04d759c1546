"""What is left of a condition once everything but ``args`` is known: a goal that some arguments may reach.

A goal is two-valued and monotone: fields that must judge true or must judge false, joined by "all of" and
"any of". An unknown reaches no goal, so both effects stay closed on it: an allow's goal is that its condition
is *true*, a deny's that its condition is *false*. This file knows how to leave over, not how to search.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gateway.policy.condition_nodes import IT, And, Check, Node, Not, Or, Path, Predicate
from gateway.policy.conditions import Condition
from gateway.policy.terms import Context, Effect

ARGS: Final = "args"


@dataclass(frozen=True, slots=True)
class Literal:
    """The predicate on this field must judge ``wanted``."""

    path: Path
    predicate: Predicate
    wanted: bool


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple["Goal", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple["Goal", ...]


Goal: TypeAlias = bool | Literal | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Residual:
    """What arguments must reach for an allow to count, or for a deny to stay off. Equal ones are equal values."""

    goal: Literal | AllOf | AnyOf


def residual(condition: Condition, ctx: Context, effect: Effect) -> bool | Residual:
    """Whether the row counts when everything but the arguments is known (those of ``ctx`` are not looked at).

    For an allow ``True`` means that it counts whatever the arguments are, for a deny that it bites whatever
    they are, even because something else is unknown; ``False`` is the opposite.
    """
    goal = goal_of(condition.node, effect is Effect.ALLOW, ctx)
    if isinstance(goal, bool):
        return goal is (effect is Effect.ALLOW)
    return Residual(goal)


def goal_of(node: Node, wanted: bool, ctx: Any = None) -> Goal:
    """What must be so for a node to judge ``wanted``."""
    match node:
        case Check(path, predicate) if path[0] in (ARGS, IT):
            return Literal(path, predicate, wanted)
        case And(parts) | Or(parts):
            goals = (goal_of(part, wanted, ctx) for part in parts)
            return all_of(goals) if isinstance(node, And) is wanted else any_of(goals)
        case Not(part):
            return goal_of(part, not wanted, ctx)
        case _:
            return node.judge(ctx) is wanted


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
