"""Conditions compared by what they mean: may one policy permit a call that another does not?

Everything a condition can ask of a context is left open, but for the facts of a given tool: arguments (as its
schema admits), claims, client, connection, the moment and the address, the roles of the owner. Conditions compare
fields with constants, so that the search behind every listing decides; beyond ``cap`` points nothing is decided
(``None``). A context tells ``env.now``, ``env.offset`` and ``env.address`` always, and arguments are an object.

This file knows no rows, no subjects and no policies: whoever asks has found the rows whose columns match.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Final, TypeAlias

from gateway.policy.condition_values import Absent
from gateway.policy.conditions import Condition
from gateway.policy.goals import ARGS, ENV, Goal, Want, all_of, any_of, goal_of
from gateway.policy.narrowing import ANY, Shape, shape_of
from gateway.policy.places import BeyondCapError, Budget, Place
from gateway.policy.possible import CAP
from gateway.policy.search import values
from gateway.policy.surroundings import env
from gateway.policy.terms import Context, Json, Tool

__all__ = [
    "Clauses",
    "Difference",
    "Want",
    "Witness",
    "always",
    "can_judge",
    "context_of",
    "difference",
    "disjoint",
    "implied",
    "never",
    "permits",
    "permits_some",
    "satisfiable",
]

Witness: TypeAlias = Mapping[str, Json]
"""The part of a context that shows something: its roots (``args``, ``claims``, ``env``, ``owner`` …), each with the
fields that conditions ask about. ``context_of`` makes it whole.
"""

_OPEN: Final = frozenset(("args", "claims", "client", "connection", ENV, "owner"))
_TEXT: Final[dict[str, Json]] = {"type": "string"}
_FLAG: Final[dict[str, Json]] = {"type": "boolean"}
_TEXTS: Final[dict[str, Json]] = {"type": "array", "items": _TEXT}
_FACTS: Final[dict[str, Json]] = {
    "connector": _TEXT,
    "name": _TEXT,
    "kind": _TEXT,
    "via": _TEXT,
    "destructive": _FLAG,
    "open_world": _FLAG,
    "tags": _TEXTS,
}
TOOL: Final = Shape({"type": "object", "properties": _FACTS, "required": list(_FACTS)}, None)
OWNER: Final = Shape({"type": "object", "properties": {"roles": _TEXTS}}, None)
_ANY_TOOL: Final = Tool()
"""A tool that nobody classified."""


@dataclass(frozen=True, slots=True)
class Clauses:
    """The conditions of the rows that concern one access: some allow must be true and every deny false.

    A row without a condition is ``parse("")``.
    """

    allows: frozenset[Condition] = frozenset()
    denies: frozenset[Condition] = frozenset()


Chain: TypeAlias = tuple[Clauses, ...]
"""Clauses that must all permit; none at all permit nothing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``widened`` is permitted by the new chain only, ``narrowed`` by the old one only. Where ``decided`` is false,
    a ``None`` may mean that nothing was found within the cap.
    """

    widened: Witness | None = None
    narrowed: Witness | None = None
    decided: bool = True

    def __bool__(self) -> bool:
        """Whether the two may permit different things."""
        return not self.decided or self.widened is not None or self.narrowed is not None


@dataclass(frozen=True, slots=True)
class _World:
    """What is fixed in one question; ``tool`` is ``None`` where its facts are open too."""

    tool: Tool | None
    schema: Json
    cap: int
    fixed: Context = field(init=False)
    free: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fixed", Context(tool=self.tool or Tool()))
        object.__setattr__(self, "free", _OPEN if self.tool else _OPEN | {"tool"})

    def goal(self, condition: Condition, want: Want) -> Goal:
        return goal_of(condition.node, want, self.free, self.fixed)

    def goals(self, conditions: frozenset[Condition], want: Want) -> Iterator[Goal]:
        """The goals of all, in an order that is the same every time."""
        return (self.goal(each, want) for each in sorted(conditions, key=attrgetter("text")))

    def permitting(self, chain: Chain) -> Goal:
        """The goal that every clause permits."""
        return all_of(
            part
            for clauses in chain
            for part in (
                any_of(self.goals(clauses.allows, Want.TRUE)),
                *self.goals(clauses.denies, Want.FALSE),
            )
        )

    def reach(self, goal: Goal, budget: Budget) -> Witness | None:
        """A context that reaches the goal. Raises ``BeyondCapError``."""
        return values(goal, self._roots(), budget)

    def _roots(self) -> dict[str, Place]:
        roots = {name: Place((name,), ANY) for name in ("claims", "client", "connection")}
        roots[ARGS] = Place((ARGS,), shape_of(self.schema))
        roots["owner"] = Place(("owner",), OWNER, missing=Absent.UNKNOWN)
        roots["tool"] = Place(("tool",), TOOL)
        return {**roots, ENV: env()}

    def gained(self, old: Chain, new: Chain) -> Witness | None:
        """What the new chain permits and the old one does not. Raises ``BeyondCapError``."""
        budget = Budget(self.cap)
        for goal in self._gains(old, new):
            found = self.reach(goal, budget)
            if found is not None:
                return self._proved(found, old, new)
        return None

    def _gains(self, old: Chain, new: Chain) -> Iterator[Goal]:
        """The ways to be permitted by the new chain and not by the old one. What both have in common cannot be
        wanted to be so and otherwise, and is left out where it would be.
        """
        if not new:
            return
        if not old:
            yield self.permitting(new)
        common = frozenset[Condition]().union(*(clauses.denies for clauses in new))
        for clauses in old:
            yield all_of(self._without_allow(clauses, new))
            bites = any_of(self.goals(clauses.denies - common, Want.NOT_FALSE))
            yield bites and all_of((bites, self.permitting(new)))

    def _without_allow(self, clauses: Clauses, new: Chain) -> Iterator[Goal]:
        """The parts of the goal that no allow of ``clauses`` counts and all of ``new`` permit."""
        for each in new:
            yield any_of(self.goals(each.allows - clauses.allows, Want.TRUE))
        yield from self.goals(clauses.allows, Want.NOT_TRUE)
        for each in new:
            yield from self.goals(each.denies, Want.FALSE)

    def _proved(self, found: Witness, old: Chain, new: Chain) -> Witness:
        ctx = context_of(found, self.tool)
        if permits(old, ctx) or not permits(new, ctx):
            raise BeyondCapError
        return found


def difference(
    old: Chain, new: Chain, *, tool: Tool | None = _ANY_TOOL, schema: Json = None, cap: int = CAP
) -> Difference:
    """What the new chain permits and the old one does not, and the other way round, each shown by a witness that
    was judged on both sides. ``schema`` is the inputSchema of the tool; ``tool`` is ``None`` when it may be any.
    """
    if old == new:
        return Difference()
    world = _World(tool, schema, cap)
    widened, surely = _settled(lambda: world.gained(old, new))
    narrowed, surely_not = _settled(lambda: world.gained(new, old))
    return Difference(widened, narrowed, surely and surely_not)


def implied(
    a: Clauses, b: Clauses, *, tool: Tool | None = _ANY_TOOL, schema: Json = None, cap: int = CAP
) -> bool | None:
    """Whether ``b`` permits whatever ``a`` permits."""
    found, decided = _settled(lambda: _World(tool, schema, cap).gained((b,), (a,)))
    return found is None if decided else None


def permits_some(chain: Chain, *, tool: Tool | None = _ANY_TOOL, schema: Json = None, cap: int = CAP) -> bool | None:
    """Whether some context is permitted by every clause."""
    found, decided = _settled(lambda: _World(tool, schema, cap).gained((), chain))
    return found is not None if decided else None


def can_judge(
    condition: Condition, want: Want, *, tool: Tool | None = _ANY_TOOL, schema: Json = None, cap: int = CAP
) -> bool | None:
    """Whether some context makes the condition judge as wanted."""
    world = _World(tool, schema, cap)
    found, decided = _settled(lambda: world.reach(world.goal(condition, want), Budget(cap)))
    return found is not None if decided else None


def satisfiable(
    condition: Condition, *, tool: Tool | None = _ANY_TOOL, schema: Json = None, cap: int = CAP
) -> bool | None:
    """Whether the condition can be true, so that an allow with it can count."""
    return can_judge(condition, Want.TRUE, tool=tool, schema=schema, cap=cap)


def never(condition: Condition, *, tool: Tool | None = _ANY_TOOL, schema: Json = None, cap: int = CAP) -> bool | None:
    """Whether the condition is true in no context; a deny with it may still bite, on what is unknown."""
    return _negated(can_judge(condition, Want.TRUE, tool=tool, schema=schema, cap=cap))


def always(condition: Condition, *, tool: Tool | None = _ANY_TOOL, schema: Json = None, cap: int = CAP) -> bool | None:
    """Whether the condition is true in every context."""
    return _negated(can_judge(condition, Want.NOT_TRUE, tool=tool, schema=schema, cap=cap))


def disjoint(
    a: Condition, b: Condition, *, tool: Tool | None = _ANY_TOOL, schema: Json = None, cap: int = CAP
) -> bool | None:
    """Whether no context makes both conditions true."""
    both = (Clauses(frozenset((a,))), Clauses(frozenset((b,))))
    return _negated(permits_some(both, tool=tool, schema=schema, cap=cap))


def permits(chain: Chain, ctx: Context) -> bool:
    """Whether every clause permits this context, by judging its conditions."""
    return bool(chain) and all(
        any(allow.holds(ctx) for allow in clauses.allows) and not any(deny.bites(ctx) for deny in clauses.denies)
        for clauses in chain
    )


def context_of(witness: Witness, tool: Tool | None = _ANY_TOOL) -> Context:
    """The context that a witness is the asked part of; ``tool`` is the one of the question."""
    roots: dict[str, Any] = dict(witness)
    facts, roles = roots.pop("tool", {}), roots.pop("owner", {}).get("roles")
    made = replace(Tool(), **{**facts, "tags": tuple(facts.get("tags", ()))})
    return Context(**roots, tool=tool or made, owner_roles=None if roles is None else tuple(roles))


def _negated(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _settled(search: Callable[[], Witness | None]) -> tuple[Witness | None, bool]:
    """What a search finds, and whether it came to its end."""
    try:
        return search(), True
    except BeyondCapError:
        return None, False
