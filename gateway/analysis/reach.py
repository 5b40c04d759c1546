"""One policy ordered for questions about many: who stands below a name, and which rows concern a thing.

A role or row that ends gives its rights *until* then, in ms since the epoch, so that one look holds for now and
for all that follows. Rows are found as the engine's index finds them. This file judges no condition.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from operator import attrgetter
from typing import Final, TypeAlias, TypeVar

from gateway.analysis.parties import Parties, Party
from gateway.policy.engine import Policy
from gateway.policy.model import ELSEWHERE, act_match, obj_match
from gateway.policy.roles import HOPS
from gateway.policy.terms import MAIN, Effect, Link, Rule

T = TypeVar("T", Rule, Link)

FOREVER: Final = 1 << 62

Lasting: TypeAlias = Mapping[str, int]
"""Names, and until when each is reached."""

_Spot: TypeAlias = tuple[list[Rule], frozenset[str]]
_Steps: TypeAlias = Mapping[str, list[tuple[str, int]]]
"""What stands one link further than a name, and until when."""


class Reach:
    """What of ``policy`` lives at ``now``, and whom of ``parties`` it reaches. Never changed; a domain is put in order
    when it is first asked about.
    """

    def __init__(self, policy: Policy, parties: Parties, now: int) -> None:
        self.policy = policy
        self.parties = parties
        self.rules = [rule for rule in policy.rules if rule.expires is None or now < rule.expires]
        self.links = [link for link in policy.links if link.expires is None or now < link.expires]
        self.objects = frozenset({rule.object for rule in self.rules})
        self._lengths = tuple({len(object) - 1 for object in self.objects if object.endswith("*")})
        self._patterns: dict[str, tuple[str, ...]] = {}
        self._rows: dict[tuple[str, str], Mapping[str, list[Rule]]] = {}
        self._graphs: dict[tuple[str, str], _Steps] = {}
        self._spots: dict[tuple[str, str, str], _Spot] = {}
        self._names: dict[tuple[Party, str, bool], Lasting] = {}
        self._below: dict[tuple[str, str], Lasting] = {}
        self._members: dict[tuple[str, str, bool], Lasting] = {}

    @cached_property
    def _rules_of(self) -> Mapping[str, list[Rule]]:
        return _by(self.rules, "domain")

    @cached_property
    def _links_of(self) -> Mapping[str, list[Link]]:
        return _by(self.links, "domain")

    def _rules_by(self, domain: str, column: str) -> Mapping[str, list[Rule]]:
        if (domain, column) not in self._rows:
            self._rows[domain, column] = _by(self._rules_of.get(domain, ()), column)
        return self._rows[domain, column]

    def _steps(self, domain: str, start: str, end: str) -> _Steps:
        """From one end of each link of a domain to the other."""
        if (domain, start) not in self._graphs:
            found: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
            ends = attrgetter(start, end, "expires")
            for here, there, expires in map(ends, self._links_of.get(domain, ())):
                found[here].append((there, FOREVER if expires is None else expires))
            self._graphs[domain, start] = dict(found)
        return self._graphs[domain, start]

    def _upward(self, domain: str) -> list[_Steps]:
        return [self._steps(each, "member", "role") for each in dict.fromkeys((domain, "*"))]

    def _downward(self, domain: str) -> list[_Steps]:
        return [self._steps(each, "role", "member") for each in dict.fromkeys((domain, "*"))]

    @cached_property
    def lent(self) -> Mapping[str, list[Rule]]:
        """The rules about what a named subject owns, by that owner."""
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            if rule.owner not in ("self", "system", "*"):
                found.setdefault(rule.owner, []).append(rule)
        return found

    @cached_property
    def groups(self) -> frozenset[str]:
        """Every group that the policy speaks of."""
        named = {rule.subject for rule in self.policy.rules} | {link.member for link in self.policy.links}
        return frozenset(name for name in named if name.startswith("group:"))

    def rows(self, domain: str, object: str, action: str, names: AbstractSet[str] | None = None) -> list[Rule]:
        """The rules whose domain, object and action match, whoever owns it; of the subjects ``names`` alone, or of
        whomever.
        """
        spots = (self._spot(each, object, action) for each in domains_of(domain))
        return [rule for rules, _ in spots for rule in rules if names is None or rule.subject in names]

    def owners(self, domain: str, object: str, action: str) -> Iterator[str]:
        """The owners that these rules speak of."""
        for each in domains_of(domain):
            yield from self._spot(each, object, action)[1]

    def _spot(self, where: str, object: str, action: str) -> _Spot:
        """The rules of one domain of rows with these columns, and their owners."""
        key = (where, object, action)
        if key not in self._spots:
            there = self._rules_by(where, "object")
            found = [rule for pattern in self._fitting(object) for rule in there.get(pattern, ())]
            rules = [
                rule
                for rule in found
                if act_match(action, rule.action, rule.effect) and obj_match(object, rule.object, rule.effect)
            ]
            self._spots[key] = rules, frozenset([rule.owner for rule in rules])
        return self._spots[key]

    def rows_of(self, names: Iterable[str], domain: str) -> Iterator[Rule]:
        """The rules of ``names`` in ``domain``."""
        there = [self._rules_by(each, "subject") for each in domains_of(domain)]
        return (rule for name in names for rules in there for rule in rules.get(name, ()))

    def names(self, party: Party, domain: str, effect: Effect) -> Lasting:
        """The names under which a row of this effect finds ``party``; unknown groups count for denies alone."""
        unknown = party.groups is None and effect is Effect.DENY
        key = (party, domain, unknown)
        if key not in self._names:
            starts = party.starts | self.groups if unknown else party.starts
            hops = HOPS if _is_no_role(party.name) else HOPS - 1  # being new in a role takes one
            found = _spread(starts, self._upward(domain), hops)
            self._names[key] = found | dict.fromkeys(party.crowds, FOREVER)
        return self._names[key]

    def above(self, role: str, domain: str) -> Lasting:
        """``role`` and the roles that it has."""
        return _spread((role,), self._upward(domain), HOPS)

    def members(self, name: str, domain: str, effect: Effect) -> Lasting:
        """The parties that a row of ``name`` (no crowd) and this effect finds in ``domain``."""
        key = (name, domain, effect is Effect.DENY)
        if key not in self._members:
            self._members[key] = self._with_groups(self._found_below(name, domain), effect)
        return self._members[key]

    def _with_groups(self, below: Lasting, effect: Effect) -> Lasting:
        """Beside what stands below, those who come with a group that does."""
        groups = [each for each in below if each.startswith("group:")]
        if not groups:
            return below
        found = dict(below)
        for group in groups:
            unknown = self.parties.of_unknown_groups if effect is Effect.DENY else ()
            for party in (*self.parties.in_group.get(group, ()), *unknown):
                found[party] = max(found.get(party, 0), below[group])
        return found

    def _found_below(self, name: str, domain: str) -> Lasting:
        """Most of a domain's answers are those of ``*``, and then they are the same value."""
        if _is_no_role(name):
            return {name: FOREVER}
        everywhere = self._kept_below(name, "*")
        if self._steps(domain, "role", "member").keys().isdisjoint(everywhere):
            return everywhere
        return self._kept_below(name, domain)

    def _kept_below(self, name: str, domain: str) -> Lasting:
        if (name, domain) not in self._below:
            there = self._downward(domain)
            self._below[name, domain] = _spread((name,), there, HOPS, far=_is_no_role)  # being new in a role takes one
        return self._below[name, domain]

    def _fitting(self, object: str) -> tuple[str, ...]:
        """The objects of rows that cover ``object``."""
        if (known := self._patterns.get(object)) is None:
            patterns = {object, *(object[:length] + "*" for length in self._lengths if length <= len(object))}
            known = self._patterns[object] = tuple(sorted(patterns & self.objects))
        return known


def _by(rows: Iterable[T], column: str) -> Mapping[str, list[T]]:
    of = attrgetter(column)
    found: defaultdict[str, list[T]] = defaultdict(list)
    for row in rows:
        found[of(row)].append(row)
    return dict(found)


def domains_of(domain: str) -> tuple[str, ...]:
    """The domains of rows that speak of ``domain``."""
    return (domain, "*") if domain == MAIN else (domain, "*", ELSEWHERE)


def _is_no_role(name: str) -> bool:
    return not name.startswith("role:")


def _spread(
    starts: Iterable[str], there: Sequence[_Steps], hops: int, far: Callable[[str], bool] = lambda _: True
) -> dict[str, int]:
    """What is reached within so many hops, each by the way that lasts longest; by all of them only what is ``far``."""
    best = dict.fromkeys(starts, FOREVER)
    front = dict(best)
    for hop in range(1, hops + 1):
        further: dict[str, int] = {}
        links = ((front[name], steps[name]) for steps in there for name in front.keys() & steps.keys())
        for until, onward in links:
            for other, ends in onward:
                lasting = min(ends, until)
                if lasting > best.get(other, 0) and lasting > further.get(other, 0) and (hop < hops or far(other)):
                    further[other] = lasting
        if not further:
            break
        best.update(further)
        front = further
    return best
