"""A turn: one policy takes the place of another. Which rows came or went with it, and whom and what they can concern.

A row concerns only whoever is known, before or after, under the name that it is written for; and only what its
object covers. So a grant costs nothing to those whom it does not name. This file decides nothing.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final, TypeAlias

from gateway.policy.engine import Policy
from gateway.policy.model import ADMINISTRATION, act_match, dom_match, is_subject, obj_match
from gateway.policy.shelves import SLICE, Slices
from gateway.policy.terms import Effect, Link, Rule, Subject

Row: TypeAlias = Rule | Link

LISTED: Final = ("read", "write", *ADMINISTRATION, "share")
"""The actions by which things are seen: to use them, and to administer them by tools of our own."""

MANY: Final = 100
"""Where more objects are touched, everything counts as touched: to look is as cheap then."""


@dataclass(frozen=True, slots=True)
class Turn:
    """``grants`` are the rows of the grants that came or went; what the files say may differ as well."""

    before: Policy
    after: Policy
    grants: tuple[Row, ...] = ()

    def then(self, later: "Turn") -> "Turn":
        """Both turns as one."""
        return Turn(self.before, later.after, self.grants + later.grants)

    def compared(self) -> "Slices[Difference]":
        """What is different afterwards, in slices."""
        rows = list(self.grants)
        old, new = self.before.bundle, self.after.bundle
        if old is not new:
            rows += yield from _differing(old.rules if old else (), new.rules if new else (), _rule)
            rows += yield from _differing(old.links if old else (), new.links if new else (), _link)
        return Difference(self.before, self.after, tuple(rows), (yield from _by_domain(rows)))


@dataclass(frozen=True, slots=True)
class Touched:
    """Whose answers can have changed: those about what ``objects`` cover, or about ``everything``."""

    objects: frozenset[str] = frozenset()
    everything: bool = False

    def __bool__(self) -> bool:
        return self.everything or bool(self.objects)

    def __or__(self, other: "Touched") -> "Touched":
        return Touched(self.objects | other.objects, self.everything or other.everything)

    def covers(self, object: str) -> bool:
        """Whether the answer about ``object`` can have changed, or about what begins with it."""
        return self.everything or any(
            obj_match(object, each, Effect.DENY) or each.startswith(object) for each in self.objects
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What rows of one domain touch, by whom they are for; ``named`` when all are for subjects."""

    touched: Mapping[str, Touched]
    named: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Two policies, and the ``rows`` that only one of them has; ``held`` are those by which things are seen, by their
    domains.
    """

    before: Policy
    after: Policy
    rows: tuple[Row, ...]
    held: Mapping[str, Held]

    def touches(self, subject: Subject, domain: str, now: int) -> Touched:
        """What may be seen otherwise now by ``subject`` in ``domain``. ``now`` is ms since the epoch."""
        there = [held for each, held in self.held.items() if dom_match(domain, each)]
        if all(held.named for held in there):
            names = frozenset((subject.name,))
        elif subject.groups is None:  # he may be in any
            return Touched(everything=True)
        else:  # who had a role before is known under what the link was for that gave it
            names = self.after.known_as(subject.name, domain, now, subject.groups)
        found = (held.touched[name] for held in there for name in names if name in held.touched)
        return reduce(or_, found, Touched())


def _by_domain(rows: Iterable[Row]) -> "Slices[Mapping[str, Held]]":
    objects: dict[str, dict[str, set[str]]] = {}
    for number, row in enumerate(rows):
        if isinstance(row, Link):  # a role may give anything
            objects.setdefault(row.domain, {}).setdefault(row.member, set()).add("*")
        elif any(act_match(each, row.action, row.effect) for each in LISTED):
            objects.setdefault(row.domain, {}).setdefault(row.subject, set()).add(row.object)
        if number % SLICE == 0:
            yield
    return {
        domain: Held({name: _touched(each) for name, each in held.items()}, all(map(is_subject, held)))
        for domain, held in objects.items()
    }


def _touched(objects: AbstractSet[str]) -> Touched:
    everything = "*" in objects or len(objects) > MANY
    return Touched(frozenset(() if everything else objects), everything)


def _rule(rule: Rule) -> Hashable:
    """What a rule says, wherever it stands."""
    return (
        *(rule.subject, rule.domain, rule.owner, rule.object),
        *(rule.action, rule.when, rule.effect, rule.expires),
    )


def _link(link: Link) -> Hashable:
    return link.member, link.role, link.domain, link.expires


def _differing(old: Iterable[Row], new: Iterable[Row], said: Callable[..., Hashable]) -> "Slices[list[Row]]":
    """The rows that say what no row of the other side says. What is compared is let go of at once, since to let go of
    everything at the end would take long.
    """
    before, after = (yield from _by(old, said)), (yield from _by(new, said))
    gone: list[Row] = []
    while before:
        text, row = before.popitem()
        if after.pop(text, None) is None:
            gone.append(row)
        if len(before) % SLICE == 0:
            yield
    return [*gone, *after.values()]


def _by(rows: Iterable[Row], said: Callable[..., Hashable]) -> "Slices[dict[Hashable, Row]]":
    found: dict[Hashable, Row] = {}
    for number, row in enumerate(rows):
        found[said(row)] = row
        if number % SLICE == 0:
            yield
    return found
