"""Who a policy is asked about: the known subjects, and a stranger for everybody who is not known.

A stranger stands for all that no row names: every other user, end user and server, and whoever is given a role or
comes with a group tomorrow. This file knows names only, no rows and no links.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from gateway.analysis.inventory import Inventory
from gateway.policy.engine import FRESH, Policy
from gateway.policy.model import is_subject
from gateway.policy.roles import NOBODY
from gateway.policy.terms import Subject

_EMPTY: Final = Policy.build(None, (), "")


@dataclass(frozen=True, slots=True)
class Party:
    """One subject, or a stranger: then ``name`` is that of the crowd (``user:*``, ``end:SERVER/*``), the role or the
    group that he is new in. ``starts`` are the names whose roles he has, ``crowds`` the patterns that cover him;
    ``groups`` are ``None`` where they are unknown.
    """

    name: str
    starts: frozenset[str]
    crowds: frozenset[str]
    groups: frozenset[str] | None = NOBODY

    @classmethod
    def of(cls, subject: Subject) -> "Party":
        """The party of a subject; a crowd, a role or a group as the name gives the stranger."""
        name, groups = subject.name, subject.groups or NOBODY
        if name.startswith(("role:", "group:")):
            return cls(name, frozenset((name,)), _crowds(f"user:{FRESH}"))
        root, _, rest = name.partition(":")
        server, slash, _ = rest.partition("/")
        crowds = _crowds(f"end:{server}/{FRESH}" if root == "end" and slash else f"{root}:{FRESH}")
        if name.endswith("*"):
            return cls(name, NOBODY, crowds)
        starts = {name, *(group for group in groups if group.startswith("group:"))}
        return cls(name, frozenset(starts), crowds, subject.groups)


class Parties(Mapping[str, Party]):
    """Every party by its name: the subjects of an inventory, whoever the policies name, and the strangers."""

    def __init__(self, inventory: Inventory, policies: Iterable[Policy]) -> None:
        subjects = {subject.name: subject for subject in inventory.subjects}
        names = {name for policy in policies for name in _named(policy)} - subjects.keys() - {"*"}
        strangers = {"user:*", "end:*", "server:*"}
        ends = (name.partition("/") for name in names | subjects.keys() if name.startswith("end:"))
        strangers |= {f"{server}/*" for server, slash, _ in ends if slash}
        named = (Subject(name) for name in sorted(names | strangers))
        self._parties = {subject.name: Party.of(subject) for subject in (*subjects.values(), *named)}

    def __getitem__(self, name: str) -> Party:
        return self._parties[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parties)

    def __len__(self) -> int:
        return len(self._parties)

    @cached_property
    def by_crowds(self) -> Mapping[frozenset[str], frozenset[str]]:
        """The names of those whom the same crowds cover."""
        found: dict[frozenset[str], set[str]] = {}
        for name, party in self._parties.items():
            found.setdefault(party.crowds, set()).add(name)
        return {crowds: frozenset(names) for crowds, names in found.items()}

    @cached_property
    def crowds(self) -> Mapping[str, frozenset[str]]:
        """The crowds that cover each."""
        return {name: party.crowds for name, party in self._parties.items()}

    @cached_property
    def in_group(self) -> Mapping[str, tuple[str, ...]]:
        """The known subjects of each group."""
        found: dict[str, list[str]] = {}
        for name, party in self._parties.items():
            for group in party.groups or ():
                found.setdefault(group, []).append(name)
        return {group: tuple(names) for group, names in found.items()}

    @cached_property
    def of_unknown_groups(self) -> tuple[str, ...]:
        return tuple(name for name, party in self._parties.items() if party.groups is None)


def _named(policy: Policy) -> set[str]:
    subjects, owners = ({getattr(rule, column) for rule in policy.rules} for column in ("subject", "owner"))
    members, roles = ({getattr(link, column) for link in policy.links} for column in ("member", "role"))
    return subjects | members | roles | set(filter(is_subject, owners))


@lru_cache(1_000)
def _crowds(name: str) -> frozenset[str]:
    """The patterns that cover ``name``, which no row holds."""
    return _EMPTY.known_as(name, "", 0) - {name}
