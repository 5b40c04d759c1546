"""Roles as a graph: who reaches which role in which domain, over how many links.

Links of the domain asked about and of ``*`` count, at most ``HOPS`` of them in a row, as when the policy decides.
This file knows links and names only.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

from msgspec.structs import replace

from gateway.policy.roles import HOPS
from gateway.policy.terms import Link

_FOR_GOOD: Final = 2**62
"""Later than every expiry, in ms since the epoch."""


class Graph:
    """The links given, which are taken to live now. What was asked once is remembered."""

    def __init__(self, links: Iterable[Link]) -> None:
        self.links = tuple(links)
        self._out: dict[tuple[str, str], list[Link]] = {}
        self._reached: dict[tuple[str, str, int], Mapping[str, int]] = {}
        self._from: dict[str, list[Link]] = {}
        for link in self.links:
            self._out.setdefault((link.member, link.domain), []).append(link)
            self._from.setdefault(link.member, []).append(link)

    def after(self, name: str, domain: str) -> Sequence[Link]:
        """The links by which ``name`` has roles in ``domain``."""
        here = self._out.get((name, domain), ())
        everywhere = self._out.get((name, "*"), ()) if domain != "*" else ()
        return [*here, *everywhere] if here and everywhere else here or everywhere

    def links_of(self, name: str) -> Iterable[Link]:
        """The links by which ``name`` has roles in any domain."""
        return self._from.get(name, ())

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """``*`` first, then the domains that links name, in their order."""
        return tuple(dict.fromkeys(("*", *(link.domain for link in self.links))))

    @cached_property
    def turned(self) -> "Graph":
        """The same graph with every link the other way round."""
        return Graph(replace(link, member=link.role, role=link.member) for link in self.links)

    @cached_property
    def merged(self) -> "Graph":
        """The same graph as if every link held in every domain."""
        return Graph(replace(link, domain="*") for link in self.links)

    def way(self, name: str, role: str, domain: str, besides: Link | None = None) -> list[Link]:
        """The links of a shortest way from ``name`` to ``role``, however long; none when there is none."""
        back: dict[str, Link] = {}
        front = [name]
        while front and role not in back:
            steps = [link for each in front for link in self.after(each, domain) if link is not besides]
            front = []
            for link in steps:
                if link.role not in back:
                    back[link.role] = link
                    front.append(link.role)
        links = [back[role]] if role in back else []
        while links and links[0].member != name:
            links.insert(0, back[links[0].member])
        return links

    def reach(self, name: str, domain: str, until: int | None = None) -> Mapping[str, int]:
        """``name`` and every role that it has in ``domain`` as long as ``until`` (``None``: for good), each with
        the number of links to it.
        """
        if (name, domain) not in self._out and (name, "*") not in self._out:
            return {name: 0}
        key = name, domain, _FOR_GOOD if until is None else until
        if (known := self._reached.get(key)) is None:
            known = self._reached[key] = self._spread(name, domain, key[2])
        return known

    def _spread(self, name: str, domain: str, until: int) -> dict[str, int]:
        out = self._out
        domains = (domain,) if domain == "*" else (domain, "*")
        found = {name: 0}
        front = [name]
        for distance in range(1, HOPS + 1):
            behind = []
            for each in front:
                for one in domains:
                    for link in out.get((each, one), ()):
                        if link.role not in found and _lasts(link, until):
                            found[link.role] = distance
                            behind.append(link.role)
            if not behind:
                break
            front = behind
        return found

    def ever(self, name: str, domain: str) -> Mapping[str, int]:
        """As ``reach``, with the roles that will expire."""
        return self.reach(name, domain, 0)

    def has_besides(self, link: Link, left_out: Callable[[Link], bool]) -> int | None:
        """The number of links over which a link's member has its role for as long without that link and those
        left out; ``None`` when he has it by that link only.
        """
        until = _FOR_GOOD if link.expires is None else link.expires
        return distances(
            link.member,
            lambda each: self.after(each, link.domain),
            lambda each: each is not link and _lasts(each, until) and not left_out(each),
        ).get(link.role)

    @cached_property
    def height(self) -> Mapping[str, int]:
        """For each name a bound on the number of links that lead up to it in any domain, ``HOPS + 1`` at most.

        Every role may be given to somebody at run time, so that one link leads up to it at least.
        """
        pairs = {(link.member, link.role) for link in self.links}
        pairs |= {("", name) for pair in pairs for name in pair if name.startswith("role:")}
        return _levels(pairs)

    @cached_property
    def depth(self) -> Mapping[str, int]:
        """For each name a bound on the number of links that lead on from it in any domain."""
        return _levels({(link.role, link.member) for link in self.links})

    def fits(self, name: str, hops: int, role: str = "") -> bool:
        """Whether everybody who reaches ``name`` surely reaches what lies ``hops`` links behind it (and all that
        ``role``, which lies there, gives), too.
        """
        if hops == 0:
            return True
        return self.height.get(name, 0) + hops + (self.depth.get(role, 0) if role else 0) <= HOPS


def distances(
    name: str, after: Callable[[str], Iterable[Link]], lasts: Callable[[Link], bool], hops: int = HOPS
) -> dict[str, int]:
    """What is reached from ``name`` within ``hops`` links, and over how many."""
    found = {name: 0}
    front = [name]
    for distance in range(1, hops + 1):
        behind = []
        for each in front:
            for link in after(each):
                if link.role not in found and lasts(link):
                    found[link.role] = distance
                    behind.append(link.role)
        if not behind:
            break
        front = behind
    return found


def _levels(pairs: Iterable[tuple[str, str]]) -> Mapping[str, int]:
    """For each second name the length of the longest way that ends there, ``HOPS + 1`` at most."""
    ways = list(pairs)
    levels: dict[str, int] = {}
    front = {start for start, _ in ways}
    for level in range(1, HOPS + 2):
        ways = [(start, end) for start, end in ways if start in front]
        front = {end for _, end in ways}
        levels.update(dict.fromkeys(front, level))
    return levels


def _lasts(link: Link, until: int) -> bool:
    return link.expires is None or link.expires >= until
