"""Which rows can match a question: a superset of those that do, found without looking at the others.

Casbin's matcher judges what is found here; what is not found is never judged. So each lookup follows from one
part of the matcher: the subject under one of its names, the domain equal, ``*`` or elsewhere, the object equal,
covered by a pattern, or ``*``. This file knows no Casbin and decides nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from gateway.policy.conditions import Condition, ConditionError, parse
from gateway.policy.model import ELSEWHERE
from gateway.policy.terms import MAIN, Effect, Problem, Rule

_OBJECT: Final = attrgetter("object")


@dataclass(frozen=True, slots=True)
class Row:
    """A rule as Casbin sees it (``values``), with its condition, and its rank: first the denies in the order of the
    files, then the allows in the reverse one, because Casbin names the first deny or the last allow that matched.
    """

    values: tuple[str, ...]
    rule: Rule
    condition: Condition
    rank: tuple[int, int]

    @classmethod
    def of(cls, rule: Rule, condition: Condition, order: int) -> "Row":
        values = (rule.subject, rule.domain, rule.owner, rule.object, rule.action, rule.when, rule.effect.value)
        return cls(values, rule, condition, (0, order) if rule.effect is Effect.DENY else (1, -order))

    def lives(self, now: int | None) -> bool:
        """Whether it has not expired; where the time is unknown, an expiring allow has and a deny has not."""
        if self.rule.expires is None:
            return True
        return self.rule.effect is Effect.DENY if now is None else now < self.rule.expires


def rows_of(rules: Iterable[Rule], first: int, problems: list[Problem]) -> list[Row]:
    """The rows of ``rules``, counted from ``first``; a condition that does not compile is put to ``problems``."""
    compiled: dict[str, Condition] = {}
    rows = []
    for order, rule in enumerate(rules, start=first):
        try:
            condition = compiled.get(rule.when) or compiled.setdefault(rule.when, parse(rule.when))
        except ConditionError as error:
            problems.append(Problem(rule.place, f"condition `{rule.when}`: {error.sentence}"))
            continue
        rows.append(Row.of(rule, condition, order))
    return rows


@dataclass(slots=True)
class _Bucket:
    """The rows of one subject in one domain, by their objects."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    lengths: set[int] = field(default_factory=set)

    def add(self, row: Row) -> None:
        self.rows.setdefault(row.rule.object, []).append(row)
        if row.rule.object.endswith("*"):
            self.lengths.add(len(row.rule.object) - 1)

    def find(self, object: str) -> Iterator[Row]:
        yield from self.rows.get(object, ())
        for length in self.lengths:
            pattern = object[:length] + "*"
            # an object that ends in `*` is its own pattern, and was looked up above
            if length <= len(object) and pattern != object:
                yield from self.rows.get(pattern, ())


class Index:
    """Rows by subject, domain and object; never changed once built. ``rates_vary`` tells that the answer to a
    question about a rate class may depend on more than who asks and where.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = tuple(rows)
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        for row in self.rows:
            self._buckets.setdefault((row.rule.subject, row.rule.domain), _Bucket()).add(row)
        self._allows = sorted((row.rule for row in self.rows if row.rule.effect is Effect.ALLOW), key=_OBJECT)
        self.conditions = {row.rule.when: row.condition for row in self.rows}
        self.groups = frozenset(row.rule.subject for row in self.rows if row.rule.subject.startswith("group:"))
        self.rates_vary = any(_may_vary(row.rule) for row in self.rows)

    def find(self, names: Iterable[str], domain: str, object: str) -> Iterator[Row]:
        """Every row that could match ``object`` in ``domain`` for whoever is known under ``names``, each once."""
        domains = dict.fromkeys((domain, "*") if domain == MAIN else (domain, "*", ELSEWHERE))
        for name in names:
            for each in domains:
                if bucket := self._buckets.get((name, each)):
                    yield from bucket.find(object)

    def allows_below(self, prefix: str) -> Iterator[Rule]:
        """The allows whose objects or patterns begin with ``prefix`` and go on."""
        for at in range(bisect_left(self._allows, prefix, key=_OBJECT), len(self._allows)):
            rule = self._allows[at]
            if not rule.object.startswith(prefix):
                break
            if rule.object.rstrip("*") != prefix:
                yield rule


def _may_vary(rule: Rule) -> bool:
    rates = rule.action.startswith("rate:") or (rule.action == "*" and rule.object == "*")
    return rates and (rule.when != "" or rule.expires is not None)
