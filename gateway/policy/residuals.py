"""What a row leaves to be asked of the arguments of a listing, whoever's arguments they are.

The arguments of one access may be made of those of another by a mapping. Then whatever is asked of them is asked of
what they are made of, so that all accesses of a chain ask about the same arguments. This file knows how to leave
over, not how to search.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.policy.condition_nodes import Each
from gateway.policy.condition_values import Absent, Present
from gateway.policy.conditions import Condition
from gateway.policy.goals import ARGS, ELEMENT, MADE, AllOf, AnyOf, Goal, Literal, Want, all_of, any_of, goal_of
from gateway.policy.mapping import ArgumentMapping, Made, Template, Whole
from gateway.policy.terms import Context, Effect

_LISTED: Final = frozenset((ARGS,))
"""What a listing leaves open."""

_Found: TypeAlias = "Template | Absent"


@dataclass(frozen=True, slots=True)
class Residual:
    """What arguments must reach for an allow to count, or for a deny to stay off. Equal ones are equal values."""

    goal: Literal | AllOf | AnyOf


def residual(condition: Condition, ctx: Context, effect: Effect) -> bool | Residual:
    """Whether the row counts when everything but the arguments is known (those of ``ctx`` are not looked at).

    For an allow ``True`` means that it counts whatever the arguments are, for a deny that it bites whatever
    they are, even because something else is unknown; ``False`` is the opposite.
    """
    goal = goal_of(condition.node, Want.TRUE if effect is Effect.ALLOW else Want.FALSE, _LISTED, ctx)
    if ctx.mapping is not None:
        goal = translated(goal, ctx.mapping)
    if isinstance(goal, bool):
        return goal is (effect is Effect.ALLOW)
    return Residual(goal)


def translated(goal: Goal, mapping: ArgumentMapping) -> Goal:
    """The same goal, asked of the arguments from which ``mapping`` makes those that ``goal`` asks about.

    It is the same exactly, but for texts that are made of several: such a text counts as independent of the arguments
    that stand in it, and as anything that begins and ends as it does. So it may be more than can be reached, never
    less.
    """
    names = {name: Whole(name) for name in mapping.passed}
    return _asked_of({**names, **mapping.tree}, goal)


def _asked_of(template: Template, goal: Goal) -> Goal:
    """A goal about the value that ``template`` makes."""
    match goal:
        case bool():
            return goal
        case Literal():
            return _asked(template, goal)
        case AllOf(parts):
            return all_of(_asked_of(template, part) for part in parts)
        case AnyOf(parts):
            return any_of(_asked_of(template, part) for part in parts)


def _asked(template: Template, literal: Literal) -> Goal:
    found: _Found = template
    for at, key in enumerate(literal.path[1:], 1):
        match found:
            case Whole(name):
                return Literal((ARGS, name, *literal.path[at:]), literal.predicate, literal.want)
            case dict():
                found = found.get(key, Absent.MISSING)
            case Absent():
                pass
            case _:
                found = Absent.UNKNOWN
    return _met(found, literal)


def _met(found: _Found, literal: Literal) -> Goal:
    """Whether what was found is as ``literal`` wants it."""
    predicate, want = literal.predicate, literal.want
    match found:
        case Whole(name):
            return Literal((ARGS, name), predicate, want)
        case Made(source):
            return Literal((MADE, source), predicate, want)
        case list() if isinstance(predicate, Each):
            every = predicate.every is want.upward
            goals = (_of_element(each, goal_of(predicate.body, want, ELEMENT), every=every) for each in found)
            return all_of(goals) if every else any_of(goals)
        case _:
            return literal.judge(found) in literal.outcomes


def _of_element(template: Template, goal: Goal, *, every: bool) -> Goal:
    """A goal about an element of a list, which is not there where the argument that it is is absent."""
    asked = _asked_of(template, goal)
    if not isinstance(template, Whole):
        return asked
    there = Literal((ARGS, template.name), Present(), Want.FALSE if every else Want.TRUE)
    return any_of((there, asked)) if every else all_of((there, asked))
