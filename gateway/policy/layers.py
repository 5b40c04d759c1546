"""One of the two layers of a snapshot: what the files say, or what was granted at run time.

A layer never changes: the next one shares all that stayed, so that one grant more costs as much as it touches.
This file knows rows and links, and neither Casbin nor questions.
"""

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from gateway.policy.conditions import Condition, ConditionError, parse
from gateway.policy.index import Filling, Index, Row, rows_in
from gateway.policy.model import is_subject
from gateway.policy.roles import MEMBER, Links
from gateway.policy.shards import Shards
from gateway.policy.shelves import SLICE, Slices, packed, put, reshelved
from gateway.policy.terms import Link, Problem, Rule

Tally: TypeAlias = dict[Any, int]
"""How often something occurs; what does not is absent."""

ALWAYS: Final = parse("")


class BadPolicy(ValueError):
    """A policy that cannot be built; ``problems`` says why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@dataclass(slots=True)
class Facts:
    """What a layer says as a whole: the groups that it names, the texts of its conditions, the
    fields that they read (``args.lines.price``; none with a dot in a key), and the places of what makes a rate class
    depend on more than who asks and where. Not changed once the layer is built.
    """

    groups: Tally = field(default_factory=dict)
    conditions: Tally = field(default_factory=dict)
    paths: Tally = field(default_factory=dict)
    varying: Tally = field(default_factory=dict)

    def copy(self) -> "Facts":
        return Facts(self.groups.copy(), self.conditions.copy(), self.paths.copy(), self.varying.copy())

    def count(self, item: Row | Link, step: int) -> None:
        """Take in an item (``step`` 1) or leave it out (-1)."""
        rule = item.rule if isinstance(item, Row) else item
        name = rule.subject if isinstance(rule, Rule) else rule.member
        if name.startswith("group:"):
            _bump(self.groups, name, step)
        if _may_vary(rule):
            _bump(self.varying, rule.place, step)
        if isinstance(item, Row) and item.rule.when:
            self._count_condition(item, step)

    def _count_condition(self, row: Row, step: int) -> None:
        _bump(self.conditions, row.rule.when, step)
        for path in row.condition.fields:
            if not any("." in key for key in path):
                _bump(self.paths, ".".join(path), step)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Layer:
    """Rows and links; those of grants stand in ``entries`` too, by their keys, and ``named`` has the keys of those that
    are for a name or about what he owns. ``ends`` are the moments at which something expires, sorted.
    """

    index: Index = field(default_factory=lambda: Index({}, {}))
    links: Links = field(default_factory=dict)
    conditions: Mapping[str, Condition] = field(default_factory=lambda: {"": ALWAYS})
    facts: Facts = field(default_factory=Facts)
    entries: Shards[Row | Link] = field(default_factory=Shards)
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ends: Sequence[int] = ()

    @classmethod
    def building(cls, rules: Iterable[Rule], links: Iterable[Link], problems: list[Problem]) -> "Slices[Layer]":
        """The layer of ``rules`` in their order. A condition that does not compile is put to ``problems``."""
        conditions = {"": ALWAYS}
        facts, index = Facts(), Filling()
        ends: list[int] = []
        for order, rule in enumerate(rules):
            compiled = len(conditions)
            if (condition := _condition(rule, conditions, problems)) is not None:
                row = Row(rule, condition, order)
                index.add(row)
                facts.count(row, 1)
                ends += _end(rule)
            if order % SLICE == 0 or len(conditions) > compiled:
                yield
        given: dict[str, dict[str, Any]] = {}
        for at, link in enumerate(links):
            put(given, MEMBER(link), link)
            facts.count(link, 1)
            ends += _end(link)
            if at % SLICE == 0:
                yield
        shelf: Links = yield from packed(given, tuple)
        return cls((yield from index.filled()), shelf, conditions, facts, ends=sorted(ends))

    def changed(self, fresh: Mapping[str, Rule | Link], drop: Iterable[str]) -> "Layer":
        """The layer with these entries instead of those of the same keys, and without those of ``drop``.

        Raises ``BadPolicy`` when a condition does not compile.
        """
        problems: list[Problem] = []
        conditions = dict(self.conditions)
        gone = dict.fromkeys((*fresh, *drop))
        added = {key: _entry(key, item, conditions, problems) for key, item in fresh.items()}
        if problems:
            raise BadPolicy(problems)
        without = {key: self.entries[key] for key in gone if key in self.entries}
        more, less = added.values(), without.values()
        facts = self.facts.copy()
        for item in less:
            facts.count(item, -1)
        for item in more:
            facts.count(item, 1)
        for item in less:
            if isinstance(item, Row) and item.rule.when and item.rule.when not in facts.conditions:
                conditions.pop(item.rule.when, None)
        return Layer(
            self.index.changed(_rows(more), _rows(less)),
            reshelved(self.links, MEMBER, tuple, added=_links(more), removed=_links(less)),
            conditions,
            facts,
            self.entries.changed(added, gone),
            _named(self.named, added, without),
            _ends(self.ends, more, less),
        )

    @property
    def rows(self) -> list[Row]:
        """All rows, in their order."""
        found = (row for rows in self.index.subjects.values() for each in rows.values() for row in rows_in(each))
        return sorted(found, key=lambda row: row.order)

    @property
    def contents(self) -> list[Any]:
        """What a layer that nobody has any more is taken apart from."""
        index = self.index
        return [*self.links.values(), *index.loans.values(), *index.objects.values(), *index.subjects.values()]


def _entry(key: str, item: Rule | Link, conditions: dict[str, Condition], problems: list[Problem]) -> Row | Link:
    if isinstance(item, Link):
        return item
    return Row(item, _condition(item, conditions, problems) or ALWAYS, key)


def _condition(rule: Rule, conditions: dict[str, Condition], problems: list[Problem]) -> Condition | None:
    if (known := conditions.get(rule.when)) is not None:
        return known
    try:
        return conditions.setdefault(rule.when, parse(rule.when))
    except ConditionError as error:
        problems.append(Problem(rule.place, f"condition `{rule.when}`: {error.sentence}"))
        return None


def _end(rule: Rule | Link) -> tuple[int, ...]:
    return () if rule.expires is None else (rule.expires,)


def _ends(ends: Sequence[int], more: Iterable[Row | Link], less: Iterable[Row | Link]) -> Sequence[int]:
    """The moments at which something ends, each as often as something does, sorted."""
    changed = list(ends)
    for item in less:
        for end in _end(item.rule if isinstance(item, Row) else item):
            del changed[bisect_left(changed, end)]
    for item in more:
        for end in _end(item.rule if isinstance(item, Row) else item):
            insort(changed, end)
    return changed


def _rows(items: Iterable[Row | Link]) -> list[Row]:
    return [item for item in items if isinstance(item, Row)]


def _links(items: Iterable[Row | Link]) -> list[Link]:
    return [item for item in items if isinstance(item, Link)]


def _named(
    named: Mapping[str, tuple[str, ...]], added: Mapping[str, Row | Link], removed: Mapping[str, Row | Link]
) -> Mapping[str, tuple[str, ...]]:
    """The keys by their names, with and without these entries."""
    more: dict[str, list[str]] = {name: [] for item in removed.values() for name in _names(item)}
    for key, item in added.items():
        for name in _names(item):
            more.setdefault(name, []).append(key)
    fresh = dict(named)
    for name, keys in more.items():
        fresh[name] = (*(key for key in fresh.get(name, ()) if key not in removed), *keys)
        if not fresh[name]:
            del fresh[name]
    return fresh


def _names(item: Row | Link) -> set[str]:
    """Whom an entry is for, and whose things it is about if that is somebody named."""
    if isinstance(item, Link):
        return {item.member}
    return {item.rule.subject, item.rule.owner} if is_subject(item.rule.owner) else {item.rule.subject}


def _bump(tally: Tally, what: Hashable, step: int) -> None:
    found = tally.get(what, 0) + step
    if found:
        tally[what] = found
    else:
        del tally[what]


def _may_vary(rule: Rule | Link) -> bool:
    """Whether a rate class that it gives or takes may depend on more than who asks and where."""
    if isinstance(rule, Link):
        return rule.expires is not None
    rates = rule.action.startswith("rate:") or (rule.action == "*" and rule.object == "*")
    return rates and (rule.when != "" or rule.expires is not None)
