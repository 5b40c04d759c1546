"""What somebody may do with something: nothing, everything, or what some conditions permit.

A right is a chain of clauses (``meaning.py``): none at all is *no*, one without conditions is *yes*. What is known
of the thing and of a lender who is absent is settled here, and an end in time becomes a part of the condition, so
that rights compare by what they mean. This file knows no subjects and no index.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeAlias

from gateway.analysis.cells import Point
from gateway.analysis.classes import Found
from gateway.analysis.reach import FOREVER
from gateway.policy.condition_nodes import Always, And, Check, Node, Not, Or, Path, conjunction, disjunction
from gateway.policy.condition_values import Compare, Op, constant
from gateway.policy.conditions import Condition, parse
from gateway.policy.meaning import Clauses, Difference, difference, permits_some
from gateway.policy.terms import Context, Effect, Json, Rule, Tool

Right: TypeAlias = tuple[Clauses, ...]

ALWAYS: Final = parse("")
NO: Final[Right] = ()
YES: Final[Right] = (Clauses(frozenset((ALWAYS,))),)

_HIS: Final = ("claims", "client", "connection", "owner")
"""What nobody knows of somebody absent."""


class Rights:
    """Makes rights of rows, and compares them; equal questions are answered once."""

    def __init__(self) -> None:
        self._conditions: dict[tuple[str, Effect, int, Tool, bool], Condition | None] = {}
        self._asked: dict[str, frozenset[Path]] = {}
        self._differences: dict[tuple[Right, Right, int], Difference] = {}
        self._possible: dict[tuple[Right, int], bool | None] = {}

    def of(self, found: Found, tool: Tool, lender: Found | None = None) -> Right:
        """The right that these rows give; with a lender, as far as he has it himself."""
        own = self._clauses(found, tool, absent=False)
        if own is None or lender is None:
            return NO if own is None else (own,)
        lent = self._clauses(lender, tool, absent=True)
        if lent is None:
            return NO
        chain = tuple(each for each in dict.fromkeys((own, lent)) if each != YES[0])
        return chain or YES

    def difference(self, old: Right, new: Right, tool: Tool, schema: Json) -> Difference:
        """How far ``new`` permits more or less than ``old``, with a witness."""
        if old == new:
            return Difference()
        if (old, new) in ((NO, YES), (YES, NO)):
            return Difference(widened={}) if new else Difference(narrowed={})
        key = (old, new, _asked((*old, *new), schema))
        if key not in self._differences:
            self._differences[key] = difference(old, new, tool=tool, schema=schema)
        return self._differences[key]

    def asked_of(self, point: Point, rules: Iterable[Rule]) -> object:
        """What of a point counts where these rules speak: points that are equal in it have the same rights."""
        texts = {rule.when for rule in rules if rule.when}
        fields = {path for text in texts for path in self._fields(text)}
        facts = tuple(getattr(point.tool, path[1]) for path in sorted(fields) if path[0] == "tool")
        return facts, id(point.schema) if any(path[0] == "args" for path in fields) else 0

    def possible(self, right: Right, tool: Tool, schema: Json) -> bool:
        """Whether some call is permitted; true as well where that cannot be found out."""
        if right in (NO, YES):
            return right == YES
        key = (right, _asked(right, schema))
        if key not in self._possible:
            self._possible[key] = permits_some(right, tool=tool, schema=schema)
        return self._possible[key] is not False

    def _fields(self, when: str) -> frozenset[Path]:
        if when not in self._asked:
            self._asked[when] = parse(when).fields
        return self._asked[when]

    def _clauses(self, found: Found, tool: Tool, *, absent: bool) -> Clauses | None:
        allows: set[Condition] = set()
        denies: set[Condition] = set()
        free = False
        for rule, reached in found:
            until = reached if rule.expires is None else min(reached, rule.expires)
            condition = self._condition(rule.when, rule.effect, until, tool, absent)
            if condition is ALWAYS and rule.effect is Effect.DENY:
                return None
            if condition is ALWAYS:
                free = True
            elif condition is not None:
                (denies if rule.effect is Effect.DENY else allows).add(condition)
        if free and not denies:
            return YES[0]
        return Clauses(frozenset((ALWAYS,) if free else allows), frozenset(denies)) if free or allows else None

    def _condition(self, when: str, effect: Effect, until: int, tool: Tool, absent: bool) -> Condition | None:
        """The condition of a row as far as it is open; ``None`` when the row never counts."""
        if not when and until == FOREVER:
            return ALWAYS
        key = (when, effect, until, tool, absent)
        if key not in self._conditions:
            self._conditions[key] = _settled(parse(when), effect, until, tool, absent=absent)
        return self._conditions[key]


def told(right: Right) -> str:
    """A right for people: ``no``, ``yes``, or what it takes."""
    if right in (NO, YES):
        return "yes" if right else "no"
    return "; and the lender: ".join(map(_told, right))


def _told(clauses: Clauses) -> str:
    allows = sorted(each.text for each in clauses.allows if each != ALWAYS)
    denies = sorted(each.text for each in clauses.denies)
    given = " or ".join(f"({each})" if len(allows) > 1 else each for each in allows)
    taken = " or ".join(f"({each})" if len(denies) > 1 else each for each in denies)
    return " ".join(part for part in (given and f"if {given}", taken and f"unless {taken}") if part) or "yes"


def _settled(condition: Condition, effect: Effect, until: int, tool: Tool, *, absent: bool) -> Condition | None:
    node = _fixed(condition.node, tool)
    if absent:
        node = _known(node, True) if effect is Effect.ALLOW else _not(_known(node, False))
    if node == Always(False):
        return None
    text = condition.text if node == condition.node else str(node)
    if until == FOREVER:
        return ALWAYS if node == Always(True) else Condition(node, text)
    ends = Check(("env", "now"), Compare(Op.BELOW, constant(until)))
    day = datetime.fromtimestamp(until / 1000, UTC).isoformat(sep=" ", timespec="minutes").removesuffix("+00:00")
    text = f"until {day}" if node == Always(True) else f"{text}, until {day}"
    return Condition(ends if node == Always(True) else conjunction([ends, node]), text)


def _fixed(node: Node, tool: Tool) -> Node:
    """The node with what it asks of the tool answered."""
    match node:
        case Check(path) if path[0] == "tool":
            answer = node.judge(Context(tool=tool))
            return node if answer is None else Always(answer)
        case Not(part):
            return _not(_fixed(part, tool))
        case And(parts):
            return _all([_fixed(part, tool) for part in parts])
        case Or(parts):
            return _any([_fixed(part, tool) for part in parts])
    return node


def _known(node: Node, wanted: bool) -> Node:
    """A node that is true exactly when ``node`` judges ``wanted`` of somebody of whom nothing is known."""
    match node:
        case Not(part):
            return _known(part, not wanted)
        case And(parts) | Or(parts):
            join = _all if isinstance(node, And) is wanted else _any
            return join([_known(part, wanted) for part in parts])
        case Check(path) if path[0] in _HIS:
            return Always(node.judge(Context()) is wanted)
        case Always(value):
            return Always(value is wanted)
    return node if wanted else Not(node)


def _not(node: Node) -> Node:
    return Always(not node.value) if isinstance(node, Always) else node.part if isinstance(node, Not) else Not(node)


def _joined(parts: list[Node], *, decisive: bool) -> Node:
    if Always(decisive) in parts:
        return Always(decisive)
    open: list[Node] = [part for part in parts if not isinstance(part, Always)]
    if not open:
        return Always(not decisive)
    return disjunction(open) if decisive else conjunction(open)


_all = partial(_joined, decisive=False)
_any = partial(_joined, decisive=True)


def _asked(clauses: Iterable[Clauses], schema: Json) -> int:
    """Which schema counts, if any does. Of the tool nothing is open: what is left of it is unknown for all."""
    fields = (path for each in clauses for condition in (*each.allows, *each.denies) for path in condition.fields)
    return id(schema) if any(path[0] == "args" for path in fields) else 0
