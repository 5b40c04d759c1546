"""Which rows can match a question: a superset of those that do, found without looking at the others.

Casbin's matcher judges what is found here; what is not found is never judged. So each lookup follows from one
part of the matcher, as ``model.SUPERSET`` declares. This file knows no Casbin and decides nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import attrgetter
from typing import Any, Final, TypeAlias

from msgspec import Struct

from gateway.policy.conditions import Condition
from gateway.policy.model import ADMINISTRATION, USE, domains_for, is_odd, is_subject, patterns_for
from gateway.policy.shelves import FEW, Shelf, Slices, packed, put, reshelved
from gateway.policy.terms import Effect, Rule

_SUBJECT: Final = attrgetter("rule.domain", "rule.subject")
_OBJECT: Final = attrgetter("rule.effect.value", "rule.object")


class Row(Struct, frozen=True, gc=False):
    """A rule with its condition. ``order`` is its place among the rows of its layer: the number of a row of the
    files, the key of a grant.
    """

    rule: Rule
    condition: Condition
    order: int | str

    def lives(self, now: int | None) -> bool:
        """Whether it has not expired; where the time is unknown, an expiring allow has and a deny has not."""
        expires = self.rule.expires
        if expires is None:
            return True
        return self.rule.effect is Effect.DENY if now is None else now < expires


ByObject: TypeAlias = dict[str, tuple[Row, ...]]

Found: TypeAlias = tuple[Row, ...] | ByObject
"""The rows of one subject in one domain: few of them, or many by their objects."""

JOINED: Final = 64
"""So many rows of one who asks are put by their objects for him: more would cost memory for everybody remembered."""


class Patterns(Struct, frozen=True):
    """What has to be looked up for an object: the ``longest`` beginning that is followed by a ``*``, and the lengths of
    the ``odd`` ones, which end anywhere (no file and no grant holds such a one). It never grows less.
    """

    longest: int = 0
    odd: frozenset[int] = frozenset()

    def and_of(self, row: Row) -> "Patterns":
        pattern = row.rule.object
        if pattern[-1:] != "*" or (len(pattern) <= self.longest and not is_odd(pattern)):
            return self
        odd = self.odd | {len(pattern) - 1} if is_odd(pattern) else self.odd
        return Patterns(max(self.longest, len(pattern) - 1), odd)

    def of(self, object: str) -> list[str]:
        """The objects of all rows that can match ``object``."""
        return patterns_for(object, self.longest, self.odd)


class Index(Struct, frozen=True):
    """``subjects`` are the rows by domain and subject, ``objects`` those by effect and object, ``loans`` (by domain and
    subject) the allows to use what somebody named lends; never changed once built.
    """

    subjects: Shelf[Found]
    objects: Shelf[tuple[Row, ...]]
    patterns: Patterns = Patterns()
    loans: Shelf[tuple[Row, ...]] = {}

    def changed(self, added: Sequence[Row], removed: Sequence[Row]) -> "Index":
        """The index with and without these rows."""
        return Index(
            reshelved(self.subjects, _SUBJECT, _packed, added=added, removed=removed, unpack=rows_in),
            reshelved(self.objects, _OBJECT, tuple, added=added, removed=removed),
            reduce(Patterns.and_of, added, self.patterns),
            reshelved(self.loans, _SUBJECT, tuple, added=_loans(added), removed=_loans(removed)),
        )

    def lent(self, names: frozenset[str], domain: str) -> Iterator[Row]:
        """The loans to whoever is known under ``names`` in ``domain``."""
        for each in domains_for(domain):
            there = self.loans.get(each, {})
            for name in names:
                yield from there.get(name, ())

    def of(self, names: frozenset[str], domain: str) -> list[Found]:
        """All rows of whoever is known under ``names`` in ``domain``, each once."""
        there = [rows for each in domains_for(domain) if (rows := self.subjects.get(each))]
        found = [rows[name] for rows in there for name in names if name in rows]
        few = [row for rows in found if type(rows) is tuple for row in rows]
        if not few or len(few) > JOINED:
            return found
        return [_joined(few), *[rows for rows in found if type(rows) is dict]]

    def find(self, found: Iterable[Found], object: str) -> list[Row]:
        """Every row of ``found`` that could match ``object``."""
        rows: list[Row] = []
        patterns = self.patterns.of(object)
        for each in found:
            if isinstance(each, dict):
                for pattern in patterns:
                    if pattern in each:
                        rows += each[pattern]
            else:
                for row in each:
                    if row.rule.object in patterns:
                        rows.append(row)
        return rows

    def about(self, object: str) -> list[Row]:
        """Every allow whose object is ``object`` or a pattern that covers it."""
        rows = self.objects.get(Effect.ALLOW.value, {})
        return [row for pattern in self.patterns.of(object) for row in rows.get(pattern, ())]

    def of_object(self, object: str) -> list[Row]:
        """Every row whose object is literally ``object``."""
        return [row for there in self.objects.values() for row in there.get(object, ())]

    def of_subject(self, name: str) -> Iterator[Row]:
        """Every row whose subject is literally ``name``."""
        return (row for there in self.subjects.values() for row in rows_in(there.get(name, ())))


class Filling:
    """An index that is being filled, row by row, in their order."""

    def __init__(self) -> None:
        self._subjects: dict[str, dict[str, Any]] = {}
        self._objects: dict[str, dict[str, Any]] = {}
        self._loans: dict[str, dict[str, Any]] = {}
        self._patterns = Patterns()

    def add(self, row: Row) -> None:
        put(self._subjects, _SUBJECT(row), row)
        put(self._objects, _OBJECT(row), row)
        if is_loan(row.rule):
            put(self._loans, _SUBJECT(row), row)
        self._patterns = self._patterns.and_of(row)

    def filled(self) -> Slices[Index]:
        subjects: Shelf[Found] = yield from packed(self._subjects, _packed)
        objects: Shelf[tuple[Row, ...]] = yield from packed(self._objects, tuple)
        loans: Shelf[tuple[Row, ...]] = yield from packed(self._loans, tuple)
        return Index(subjects, objects, self._patterns, loans)


def rows_in(found: Found) -> Iterator[Row]:
    """Each row of one subject in one domain."""
    if isinstance(found, dict):
        for rows in found.values():
            yield from rows
    else:
        yield from found


def _packed(rows: Sequence[Row]) -> Found:
    if len(rows) <= FEW:
        return tuple(rows)
    objects: dict[str, list[Row]] = {}
    for row in rows:
        objects.setdefault(row.rule.object, []).append(row)
    return {each: tuple(alike) for each, alike in objects.items()}


def _joined(few: Iterable[Row]) -> ByObject:
    """Rows by their objects, as fast as that goes for few."""
    objects: ByObject = {}
    for row in few:
        object = row.rule.object
        objects[object] = (*objects[object], row) if object in objects else (row,)
    return objects


def is_loan(rule: Rule) -> bool:
    """Whether it lets others use what somebody named lends."""
    return rule.effect is Effect.ALLOW and rule.action in USE and is_subject(rule.owner)


def is_administration(rule: Rule) -> bool:
    """Whether it is about something else than to use what there is: to administer it, to share it."""
    return rule.action in (*ADMINISTRATION, "share") or (rule.action == "*" and rule.effect is Effect.DENY)


def lets_in(rule: Rule) -> bool:
    """Whether it lets somebody do there what servers are for."""
    return rule.effect is Effect.ALLOW and rule.action in (*USE, "connect")


def shuts_out(rule: Rule) -> bool:
    """Whether it forbids whoever it is for all use of everything, always."""
    everything = rule.object == "*" and rule.owner == "*" and not rule.when.strip()
    return rule.effect is Effect.DENY and everything and rule.action in ("*", USE[0])


def covers(rule: Rule, connector: str) -> bool:
    """Whether it may be about something of ``connector``."""
    return rule.object == "*" or rule.object.startswith(f"{connector}/")


def _loans(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if is_loan(row.rule)]
