"""Whether one grant would allow what must never be: asked before it is written, so it is quick.

Only the people whom it can concern are looked at, with the rows that find them: whoever gets it, who borrows from him
and from whom he borrows. A grant to a role, a group or a crowd concerns everybody. This file only chooses the rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from gateway.analysis.cases.never import Court, narrower
from gateway.analysis.cases.results import Failure
from gateway.analysis.cases.terms import Cases, Never
from gateway.analysis.cases.world import World, with_rows
from gateway.analysis.inventory import Inventory
from gateway.policy.engine import Policy
from gateway.policy.floor import ROWS
from gateway.policy.model import act_match, is_subject
from gateway.policy.terms import Effect, Link, Rule, Subject

PEOPLE: Final = 50
"""People looked at one by one; where more are concerned, everybody is."""


def broken_by(
    policy: Policy, cases: Cases, inventory: Inventory, grant: Rule | Link, *, now: int
) -> tuple[Failure, ...]:
    """What ``grant``, which is not yet part of ``policy``, would allow although it must never be. A grant that denies
    breaks nothing, and what is broken already is not its fault. ``now`` is in ms since the epoch.
    """
    touched = touched_by(cases, grant)
    if not touched:
        return ()
    asked = replace(cases, cases=(), who=(), what=(), never=touched)
    excerpt = _Excerpt(policy, inventory, grant, touched)
    if excerpt.people:
        policy, inventory, asked = excerpt.policy(), excerpt.inventory(), replace(asked, subjects=())
    before = _breaches(policy, asked, inventory, now, excerpt.people)
    after = _breaches(with_rows(policy, (grant,)), asked, inventory, now, excerpt.people)
    return tuple(failure for failure in after if failure not in before)


def touched_by(cases: Cases, grant: Rule | Link) -> tuple[Never, ...]:
    """What must never be of which ``grant`` could allow something."""
    return tuple(never for never in cases.never if _touches(never, grant))


def _touches(never: Never, grant: Rule | Link) -> bool:
    """Whether the grant could allow something of it; a role may give anything."""
    if isinstance(grant, Link):
        return True
    return grant.effect is Effect.ALLOW and any(
        act_match(action, grant.action, grant.effect) and narrower(pattern, grant.object)
        for action in never.actions
        for pattern in never.objects
    )


def _breaches(
    policy: Policy, cases: Cases, inventory: Inventory, now: int, people: frozenset[str]
) -> tuple[Failure, ...]:
    court = Court(World.of(policy, cases, inventory, now))
    return tuple(
        failure for never in cases.never for failure in court.breaches(never, court.points(never), people or None)
    )


class _Excerpt:
    """The part of a policy that concerns the one who gets a grant; ``people`` are empty when that is everybody."""

    def __init__(self, policy: Policy, inventory: Inventory, grant: Rule | Link, touched: Iterable[Never]) -> None:
        self._bundle = policy.bundle
        self._version = policy.version
        heads = ("*", *(pattern.partition("/")[0] for never in touched for pattern in never.objects))
        rules = policy.rules[len(ROWS) :] if policy.bundle else ()
        self._all = rules if "*" in heads[1:] else [rule for rule in rules if rule.object.startswith(heads)]
        links: dict[str, list[Link]] = {}
        for link in policy.links:
            links.setdefault(link.member, []).append(link)
        self._above = partial(_above, links)
        self._known = {subject.name: subject for subject in inventory.subjects}
        self._things = inventory.things
        name = grant.subject if isinstance(grant, Rule) else grant.member
        self._parties = {name}
        self._roles = {grant.role} if isinstance(grant, Link) else set()
        borrowers = {rule.subject for rule in self._all if rule.owner == name and rule.effect is Effect.ALLOW}
        alone = all(map(is_subject, (name, *borrowers))) and len(borrowers) <= PEOPLE
        self.people = frozenset((name, *borrowers)) if alone else frozenset()
        if alone:
            lenders = {rule.owner for rule in (*self._rules(), grant) if isinstance(rule, Rule)}
            self._parties |= borrowers | set(filter(is_subject, lenders))

    def policy(self) -> Policy:
        links, rules = tuple(self._above(self._names())), tuple(self._rules())
        bundle = self._bundle and replace(self._bundle, rules=rules, links=links)
        return Policy.build(bundle, (), self._version)

    def inventory(self) -> Inventory:
        return Inventory(tuple(self._known.get(name, Subject(name)) for name in sorted(self._parties)), self._things)

    def _rules(self) -> Iterator[Rule]:
        """What finds any of the parties."""
        names = self._names()
        names |= {link.role for link in self._above(names)}
        return (rule for rule in self._all if rule.subject in names or rule.subject[-1:] == "*")

    def _names(self) -> set[str]:
        """The parties, their groups, and the role that is given."""
        known = [self._known[name] for name in self._parties if name in self._known]
        return {*self._parties, *self._roles, *(group for subject in known for group in subject.groups or ())}


def _above(links: Mapping[str, Sequence[Link]], names: Iterable[str]) -> list[Link]:
    """The links that lead up from ``names``, whatever their domains."""
    found: list[Link] = []
    seen, front = set(names), set(names)
    while front:
        steps = [link for name in front for link in links.get(name, ())]
        found += steps
        front = {link.role for link in steps} - seen
        seen |= front
    return found
