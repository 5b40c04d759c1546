"""What is remembered of one question: the rows whose columns match, and what their conditions leave to be asked.

All of it is a function of the snapshot and the columns of the question, so that it lives and dies with the
snapshot; the context (but for time and groups, which are part of the question) is asked each time. This file
knows no Casbin, no index and no roles.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

from gateway.policy.condition_nodes import And, Check, Node, Not, Or
from gateway.policy.condition_values import Kleene
from gateway.policy.goals import ARGS
from gateway.policy.index import Row
from gateway.policy.mapping import ArgumentMapping
from gateway.policy.possible import Demand, Residual, residual
from gateway.policy.terms import Context, Effect, Reason, Rule

MOODS: Final = 64
"""How many states of everything but the arguments are remembered for one question, and mappings of the arguments."""

Verdict: TypeAlias = tuple[Reason, Rule | None]
Mood: TypeAlias = tuple[Kleene | ArgumentMapping, ...]
Same: TypeAlias = Callable[[Demand], Demand]
"""Gives the one object for all that are equal, so that whoever looks by it compares no trees."""


class Answer(Struct, gc=False):
    """``rows`` stand in Casbin's order: the denies in that of the files, then the allows in the reverse one. Only
    ``denies`` and ``allows`` are left to be asked; if none of them counts, ``settled`` is the verdict. ``judged``
    tells that Casbin was asked once.
    """

    rows: tuple[Row, ...]
    denies: tuple[Row, ...]
    allows: tuple[Row, ...]
    settled: Verdict
    judged: bool = False
    _rules: tuple[Rule, ...] | None = None
    _unsettled: "Unsettled | None" = None

    @classmethod
    def over(cls, rows: Sequence[Row], *, judged: bool = False) -> "Answer":
        """``rows`` stand in Casbin's order. What comes behind a row without a condition is never asked."""
        denies: list[Row] = []
        allows: list[Row] = []
        settled: Verdict = (Reason.NO_RULE, None)
        for row in rows:
            rule = row.rule
            if rule.effect is not Effect.DENY:
                break
            if not rule.when:
                return cls(tuple(rows), tuple(denies), (), (Reason.DENIED, rule), judged)
            denies.append(row)
        for row in reversed(rows):
            rule = row.rule
            if rule.effect is Effect.DENY:
                break
            if not rule.when:
                settled = (Reason.ALLOWED, rule)
                break
            allows.append(row)
        return cls(tuple(rows), tuple(denies), tuple(allows), settled, judged)

    @property
    def rules(self) -> tuple[Rule, ...]:
        if self._rules is None:
            self._rules = tuple([row.rule for row in self.rows])
        return self._rules

    @property
    def in_files_order(self) -> list[Row]:
        """The rows as people read them: the denies, then the allows."""
        denies, allows = _parted(self.rows)
        return [*denies, *allows]

    def verdict(self, context: Context) -> Verdict:
        for row in self.denies:
            if row.condition.bites(context):
                return Reason.DENIED, row.rule
        for row in self.allows:
            if row.condition.holds(context):
                return Reason.ALLOWED, row.rule
        return self.settled

    def demand(self, context: Context, same: Same) -> Demand | None:
        """What is still asked of the arguments, as ``same`` has it; ``None`` when no arguments help."""
        if context.args is not None:
            return _known(demand_of(self.rows, context), same)
        if self._unsettled is None:
            self._unsettled = Unsettled.over(self.rows)
        return self._unsettled.demand(context, same)


class Unsettled(Struct, gc=False):
    """The conditions of some rows as a listing asks them: what they leave to the arguments depends on the context
    through the mapping and the outcomes of ``outer`` alone, the parts that read something else.
    """

    rows: tuple[Row, ...]
    outer: tuple[Any, ...]
    known: dict[Mood, Demand | None]

    @classmethod
    def over(cls, rows: Sequence[Row]) -> "Unsettled":
        parts = dict.fromkeys(part for row in rows for part in _outer(row.condition.node))
        return cls(tuple(rows), tuple(part.judge for part in parts), {})

    def demand(self, context: Context, same: Same) -> Demand | None:
        mood: Mood = tuple([judge(context) for judge in self.outer])
        if context.mapping is not None:
            mood = (*mood, context.mapping)
        try:
            return self.known[mood]
        except KeyError:
            found = _known(demand_of(self.rows, context), same)
        if len(self.known) < MOODS:
            self.known[mood] = found
        return found


def _known(found: Demand | None, same: Same) -> Demand | None:
    return None if found is None else same(found)


def in_files_order(layers: Iterable[Sequence[Row]]) -> list[Row]:
    """The rows of all layers, those of the files first, each layer in its order."""
    return [row for layer in layers for row in (sorted(layer, key=_order) if len(layer) > 1 else layer)]


def in_casbins_order(layers: Iterable[Sequence[Row]]) -> list[Row]:
    """The denies in the order of the files, then the allows in the reverse one: Casbin names the first deny or the
    last allow that matched, and so the first of the files in both cases.
    """
    rows = in_files_order(layers)
    if len(rows) < 2:
        return rows
    denies = [row for row in rows if row.rule.effect is Effect.DENY]
    return denies + [row for row in reversed(rows) if row.rule.effect is not Effect.DENY]


def demand_of(rows: Iterable[Row], context: Context) -> Demand | None:
    left: dict[Effect, list[Residual]] = {Effect.ALLOW: [], Effect.DENY: []}
    free = False
    for row in rows:
        outcome = _left(row, context)
        if outcome is True and row.rule.effect is Effect.DENY:
            return None
        if outcome is True:
            free = True
        elif outcome is not False:
            left[row.rule.effect].append(outcome)
    allows, denies = (tuple(dict.fromkeys(left[effect])) for effect in (Effect.ALLOW, Effect.DENY))
    return Demand(allows, denies, free) if free or allows else None


def _left(row: Row, context: Context) -> bool | Residual:
    """Whether a row counts, as far as that can be said without the arguments if they are unknown."""
    if context.args is None:
        return residual(row.condition, context, row.rule.effect)
    return row.condition.bites(context) if row.rule.effect is Effect.DENY else row.condition.holds(context)


def _parted(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """The denies and the allows, both in the order of the files; ``rows`` stand in Casbin's."""
    denies = sum([row.rule.effect is Effect.DENY for row in rows])
    return rows[:denies], rows[denies:][::-1]


def _outer(node: Node) -> Iterator[Node]:
    """The parts of a condition that ask something else than the arguments."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _outer(part)
        case Not(part):
            yield from _outer(part)
        case Check(path):
            if path[0] != ARGS:
                yield node
        case _:
            yield node


def _order(row: Row) -> Any:
    return row.order
