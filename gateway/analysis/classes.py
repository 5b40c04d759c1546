"""Whom the rows of a question tell apart: parties that reach the same rows are one class, judged once.

A question may be asked of several policies side by side (the *sides*); then a class is the same to all of them.
This file knows rows and names; what their conditions mean is another's affair.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from gateway.analysis.cells import OTHERS, SELF
from gateway.analysis.parties import Parties, Party
from gateway.analysis.reach import FOREVER, Reach
from gateway.policy.terms import MAIN, Effect, Rule

Found: TypeAlias = tuple[tuple[Rule, int], ...]
"""Rules that find somebody, and until when (ms since the epoch, or ``FOREVER``)."""

_Name: TypeAlias = tuple[str, bool]
"""Whom a row is for, and whether it denies."""
_Key: TypeAlias = tuple[int, _Name, int]
"""Which rows of which side find somebody, and until when."""
_Keys: TypeAlias = tuple[_Key, ...]


@dataclass(frozen=True, slots=True)
class Class:
    """The parties whom each side's rules find alike."""

    parties: frozenset[str]
    sides: tuple[Found, ...]


def about(rules: Sequence[Rule], owner: str) -> list[Rule]:
    """The rules that speak of what ``owner`` owns; for ``self``, of what belongs to whoever asks."""
    return [rule for rule in rules if rule.owner in (owner, OTHERS)]


def finding(reach: Reach, party: Party, domain: str, rules: Sequence[Rule]) -> Found:
    """Those of ``rules`` that find one party."""
    names = {effect: reach.names(party, domain, effect) for effect in Effect}
    both = ((rule, names[rule.effect].get(rule.subject)) for rule in rules)
    return tuple((rule, until) for rule, until in both if until is not None)


def lending(reach: Reach, owner: str, object: str, action: str) -> Found:
    """The rules that let a lender do it himself, in ``main``; he is absent, so that his groups are unknown."""
    if owner not in reach.parties:
        return ()
    absent = replace(reach.parties[owner], starts=frozenset((owner,)), groups=None)
    rules = reach.rows(MAIN, object, action, reach.names(absent, MAIN, Effect.DENY).keys())
    return finding(reach, absent, MAIN, [rule for rule in rules if rule.owner in (SELF, OTHERS, owner)])


def classes(
    reaches: Sequence[Reach],
    domain: str,
    owner: str,
    sides: Sequence[Sequence[Rule]],
    *,
    within: AbstractSet[str] | None = None,
) -> Iterator[Class]:
    """The classes of everybody (or of ``within``) whom some allow finds, for what ``owner`` owns.

    Who is named as an owner is a class by himself: what is his by name is his own.
    """
    alone = {rule.owner for rules in sides for rule in rules} & reaches[0].parties.keys() if owner == SELF else {owner}
    yield from _Partition(reaches, domain, [about(rules, owner) for rules in sides], within, alone).classes()
    if owner != SELF:
        return
    for name in sorted(alone if within is None else alone & within):
        party = reaches[0].parties[name]
        his = [[rule for rule in rules if rule.owner in (SELF, OTHERS, name)] for rules in sides]
        found = tuple(finding(reach, party, domain, rules) for reach, rules in zip(reaches, his, strict=True))
        yield Class(frozenset((name,)), found)


def is_crowd(subject: str) -> bool:
    """Whether a row's subject is a pattern and not a name."""
    return subject.endswith("*")


@dataclass(frozen=True)
class _Partition:
    """Everybody (or those ``within``), ``without`` some, cut into classes by the rules of each side."""

    reaches: Sequence[Reach]
    domain: str
    sides: Sequence[Sequence[Rule]]
    within: AbstractSet[str] | None
    without: AbstractSet[str]

    def classes(self) -> Iterator[Class]:
        keys = self._keys_of_each(self.within) if self.within is not None and self._few else self._keys()
        named: dict[tuple[frozenset[str], _Keys], list[str]] = {}
        crowds_of = self.parties.crowds
        for name, reached in keys.items():
            named.setdefault((crowds_of[name], tuple(reached)), []).append(name)
        for (crowds, key), names in named.items():
            yield self._class(frozenset(names), crowds, key)
        for crowds, covered in self.parties.by_crowds.items() if self._open else ():
            rest = (covered if self.within is None else covered & self.within) - keys.keys() - self.without
            if rest:
                yield self._class(rest, crowds, ())

    @property
    def parties(self) -> Parties:
        return self.reaches[0].parties

    @cached_property
    def _rules(self) -> list[dict[_Name, list[Rule]]]:
        """The rules of each side by whom they find, and to what effect."""
        found: list[dict[_Name, list[Rule]]] = [{} for _ in self.sides]
        for rules, by_name in zip(self.sides, found, strict=True):
            for rule in rules:
                by_name.setdefault((rule.subject, rule.effect is Effect.DENY), []).append(rule)
        return found

    @cached_property
    def _names(self) -> list[list[_Name]]:
        """The keys of ``_rules`` that are no crowds."""
        return [[name for name in by_name if not is_crowd(name[0])] for by_name in self._rules]

    @cached_property
    def _open(self) -> bool:
        """Whether an allow finds others than those below some name."""
        names = (name for by_name in self._rules for name in by_name)
        return any(is_crowd(subject) and not denies for subject, denies in names)

    @property
    def _few(self) -> bool:
        """Whether it is quicker to look at each of those within than to look below each name."""
        return self.within is not None and len(self.within) <= sum(map(len, self._names))

    def _keys_of_each(self, pool: AbstractSet[str]) -> dict[str, list[_Key]]:
        """For each of ``pool``: which rows find him."""
        keys: dict[str, list[_Key]] = {}
        for name in pool - self.without:
            party = self.parties[name]
            for at, (reach, names) in enumerate(zip(self.reaches, self._names, strict=True)):
                known = [reach.names(party, self.domain, effect) for effect in (Effect.ALLOW, Effect.DENY)]
                for each in names:
                    if (until := known[each[1]].get(each[0])) is not None:
                        keys.setdefault(name, []).append((at, each, until))
        return keys

    def _keys(self) -> dict[str, list[_Key]]:
        """The same for everybody whom an allow can find: the denies of nobody else are looked at."""
        keys: dict[str, list[_Key]] = {}
        for effect in (Effect.ALLOW, Effect.DENY):
            anybody = self._open or effect is Effect.ALLOW
            for at, (reach, names) in enumerate(zip(self.reaches, self._names, strict=True)):
                for each in (each for each in names if each[1] is (effect is Effect.DENY)):
                    members = reach.members(each[0], self.domain, effect)
                    pool = self.within if anybody else keys.keys()
                    for name in members if pool is None else members.keys() & pool:
                        if name not in self.without:
                            keys.setdefault(name, []).append((at, each, members[name]))
        return keys

    def _class(self, names: frozenset[str], crowds: frozenset[str], key: _Keys) -> Class:
        return Class(names, tuple(tuple(self._found(at, crowds, key)) for at in range(len(self.sides))))

    def _found(self, at: int, crowds: frozenset[str], key: _Keys) -> Iterator[tuple[Rule, int]]:
        there = self._rules[at]
        for crowd in crowds:
            for denies in (False, True):
                yield from ((rule, FOREVER) for rule in there.get((crowd, denies), ()))
        for side, name, until in key:
            if side == at:
                yield from ((rule, until) for rule in there[name])
