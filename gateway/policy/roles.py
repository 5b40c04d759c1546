"""Under which names a subject is known: itself, its groups, the roles of all of them, the crowds it belongs to.

The closure has the depth of Casbin's own role manager; links of the domain asked about and of ``*`` count.
This file knows links and names only, no rows. A ``Roles`` never changes; what it remembers is bounded.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from gateway.policy.terms import Context, Link

HOPS: Final = 9
"""Links from a name to its farthest role, as in Casbin's default role manager."""

REMEMBERED: Final = 20_000

NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Names:
    """The names under which an allow and a deny find a subject. They differ only where something is unknown:
    then ``allow`` holds what is certain and ``deny`` what is possible.
    """

    allow: frozenset[str]
    deny: frozenset[str]


def moment(context: Context) -> int | None:
    """When the question is asked, in ms since the epoch; ``None`` when nobody said."""
    now = context.env.get("now")
    return now if type(now) is int else None


class Roles:
    """Who has which role, from the links of a policy; ``groups`` are all groups that it speaks of.

    What is remembered refers to the links and not back to the ``Roles``: a snapshot that is dropped is gone at
    once, without the garbage collector (which a server may freeze).
    """

    def __init__(self, links: Iterable[Link], groups: frozenset[str] = NOBODY) -> None:
        self._links = _Links(links)
        self._groups = groups | self._links.groups
        closure = lru_cache(REMEMBERED)(self._links.closure)
        self._known_as = lru_cache(REMEMBERED)(partial(_known_as, closure))

    def names(self, subject: str, domain: str, groups: frozenset[str] | None, now: int | None) -> Names:
        """Where the time is unknown, an expiring role counts for denies; where groups are, any group may be his."""
        early, late = self._links.eras(now)
        allow = self._known_as(subject, domain, NOBODY if groups is None else groups, late)
        if groups is not None and early == late:
            return Names(allow, allow)
        return Names(allow, allow | self._known_as(subject, domain, self._groups if groups is None else groups, early))

    def path(self, names: Iterable[str], target: str, domain: str, now: int | None) -> tuple[str, ...]:
        """A shortest way from one of ``names`` to ``target``, both included; empty when there is none."""
        _, era = self._links.eras(now)
        paths: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
        front = list(paths)
        for _ in range(HOPS):
            if target in paths:
                break
            steps = [(name, role) for name in front for role in self._links.after(name, domain, era)]
            front = []
            for name, role in steps:
                if role not in paths:
                    paths[role] = (*paths[name], role)
                    front.append(role)
        return paths.get(target, ())


class _Links:
    """The links as a graph. An era is the number of a span of time between two expiries: within one, none changes."""

    def __init__(self, links: Iterable[Link]) -> None:
        self._out: dict[tuple[str, str], list[tuple[str, int | None]]] = {}
        expiries: set[int] = set()
        for link in links:
            self._out.setdefault((link.member, link.domain), []).append((link.role, link.expires))
            if link.expires is not None:
                expiries.add(link.expires)
        self._expiries = sorted(expiries)
        self.groups = frozenset(member for member, _ in self._out if member.startswith("group:"))

    def eras(self, now: int | None) -> tuple[int, int]:
        """The first and the last era that it may be: the same one when the time is known."""
        if now is None:
            return 0, len(self._expiries)
        return (bisect_right(self._expiries, now),) * 2

    def after(self, name: str, domain: str, era: int) -> Iterator[str]:
        """The roles one link away."""
        for each in dict.fromkeys((domain, "*")):
            for role, expires in self._out.get((name, each), ()):
                if expires is None or bisect_right(self._expiries, expires) > era:
                    yield role

    def closure(self, name: str, domain: str, era: int) -> frozenset[str]:
        """``name`` and the roles that it reaches."""
        seen = {name}
        front = [name]
        for _ in range(HOPS):
            found = {role for each in front for role in self.after(each, domain, era)} - seen
            if not found:
                break
            seen |= found
            front = list(found)
        return frozenset(seen)


def _known_as(
    closure: Callable[[str, str, int], frozenset[str]], subject: str, domain: str, groups: frozenset[str], era: int
) -> frozenset[str]:
    closures = (closure(group, domain, era) for group in groups if group.startswith("group:"))
    return closure(subject, domain, era).union(_crowds(subject), *closures)


def _crowds(subject: str) -> tuple[str, ...]:
    """The patterns that cover a subject: ``*``, all of its root (built-in rows), all users, all of one server."""
    root, _, rest = subject.partition(":")
    server, slash, _ = rest.partition("/")
    return ("*", f"{root}:*", f"end:{server}/*") if root == "end" and slash else ("*", f"{root}:*")
