"""Under which names a subject is known: itself, its groups, the roles of all of them, the crowds it belongs to.

The closure has the depth of Casbin's own role manager; links of the domain asked about and of ``*`` count.
This file knows links and names only, no rows. A ``Roles`` never changes; what it remembers is bounded.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, TypeAlias

from msgspec import Struct

from gateway.policy.shelves import Shelf
from gateway.policy.terms import Context, Link

HOPS: Final = 9
"""Links from a name to its farthest role, as in Casbin's default role manager."""

REMEMBERED: Final = 100

NOBODY: Final[frozenset[str]] = frozenset()

Links: TypeAlias = Shelf[tuple[Link, ...]]
"""By domain and member."""

MEMBER: Final = attrgetter("domain", "member")
"""The words under which a link stands."""


class Names(Struct, frozen=True, gc=False):
    """The names under which an allow and a deny find a subject. They differ only where something is unknown:
    then ``allow`` holds what is certain and ``deny`` what is possible, which is more.
    """

    allow: frozenset[str]
    deny: frozenset[str]


def moment(context: Context) -> int | None:
    """When the question is asked, in ms since the epoch; ``None`` when nobody said."""
    now = context.env.get("now")
    return now if type(now) is int else None


class Eras:
    """Time cut at every expiry: within one era, no row and no role comes to its end. Each of ``ends`` is sorted."""

    UNKNOWN: Final = -1

    def __init__(self, *ends: Sequence[int]) -> None:
        self._ends = [each for each in ends if each]
        self._latest: tuple[float, float, int] = (math.inf, -math.inf, 0)

    def of(self, context: Context) -> int:
        """The number of the era in which the question is asked, as ``at``."""
        return self.at(moment(context)) if self._ends else 0

    def at(self, now: int | None) -> int:
        """The number of the era of ``now``, ``UNKNOWN`` when that is unknown and makes a difference."""
        if not self._ends:
            return 0
        if now is None:
            return self.UNKNOWN
        first, end, number = self._latest  # nearly every question is of the era of the one before
        return number if first <= now < end else self._found(now)

    def _found(self, now: int) -> int:
        places = [(ends, bisect_right(ends, now)) for ends in self._ends]
        first = max(ends[place - 1] if place else -math.inf for ends, place in places)
        end = min(ends[place] if place < len(ends) else math.inf for ends, place in places)
        self._latest = first, end, sum(place for _, place in places)
        return self._latest[2]


class Roles:
    """Who has which role, from the links of a policy; ``groups`` are all groups that it speaks of."""

    def __init__(self, links: tuple[Links, ...], groups: Iterable[str], eras: Eras) -> None:
        self._links = links
        self._groups = groups
        self._eras = eras
        self._of_groups: dict[tuple[str, int], frozenset[str]] = {}

    def names(self, subject: str, domain: str, groups: frozenset[str] | None, now: int | None) -> Names:
        """Where the time is unknown, an expiring role counts for denies; where groups are, any group may be his."""
        known = (subject, *[group for group in groups if group.startswith("group:")]) if groups else (subject,)
        certain = self._closure(known, domain, now, expiring=False).union(_crowds(subject))
        if groups is not None and now is not None:
            return Names(certain, certain)
        possible = certain | self._closure(known, domain, now, expiring=True)
        if groups is None:
            possible |= self._any_group(domain, now)
        return Names(certain, certain if possible == certain else possible)

    def path(self, names: Iterable[str], target: str, domain: str, now: int | None) -> tuple[str, ...]:
        """A shortest way from one of ``names`` to ``target``, both included; empty when there is none."""
        there = self._there(domain)
        paths: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
        front = list(paths)
        for _ in range(HOPS):
            if target in paths:
                break
            links = [link for name in front for given in there for link in given.get(name, ())]
            steps = [(link.member, link.role) for link in links if _lives(link, now, expiring=False)]
            front = []
            for name, role in steps:
                if role not in paths:
                    paths[role] = (*paths[name], role)
                    front.append(role)
        return paths.get(target, ())

    def _there(self, domain: str) -> list[Mapping[str, tuple[Link, ...]]]:
        domains = dict.fromkeys((domain, "*"))
        return [found for links in self._links for each in domains if (found := links.get(each))]

    def _closure(self, names: Iterable[str], domain: str, now: int | None, *, expiring: bool) -> frozenset[str]:
        """``names`` and the roles that they reach; those of ``expiring`` links too where the time is unknown."""
        there = self._there(domain)
        front = seen = set(names)
        for _ in range(HOPS):
            links = [link for given in there for name in given.keys() & front for link in given[name]]
            front = {link.role for link in links if link.expires is None or _lives(link, now, expiring=expiring)} - seen
            if not front:
                break
            seen = seen | front
        return frozenset(seen)

    def _any_group(self, domain: str, now: int | None) -> frozenset[str]:
        """All groups and the roles that they reach. There may be many, and the same is asked for everybody absent."""
        key = domain, self._eras.at(now)
        if key not in self._of_groups:
            if len(self._of_groups) >= REMEMBERED:
                self._of_groups.clear()
            self._of_groups[key] = self._closure(self._groups, domain, now, expiring=True)
        return self._of_groups[key]


def _lives(link: Link, now: int | None, *, expiring: bool) -> bool:
    return link.expires is None or (expiring if now is None else now < link.expires)


def _crowds(subject: str) -> tuple[str, ...]:
    """The patterns that cover a subject: ``*``, all of its root (built-in rows), all users, all of one server."""
    root, _, rest = subject.partition(":")
    server, slash, _ = rest.partition("/")
    return ("*", f"{root}:*", f"end:{server}/*") if root == "end" and slash else ("*", f"{root}:*")
