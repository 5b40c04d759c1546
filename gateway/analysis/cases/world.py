"""Whom and what a policy's own tests are about: the made subjects and tools, those that are known, and fresh ones.

A role or group in a test stands for somebody new who has just that, a pattern for what is known below it and one
name that nobody foresaw. This file builds questions and asks none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from gateway.analysis.cases.results import Failure
from gateway.analysis.cases.terms import Cases, Facts, Question, is_used
from gateway.analysis.cases.words import row_words
from gateway.analysis.inventory import Inventory, Thing, unclassified
from gateway.analysis.parties import Parties, Party
from gateway.analysis.reach import Reach
from gateway.policy.engine import FRESH, Policy
from gateway.policy.floor import ROWS
from gateway.policy.model import USE, is_subject
from gateway.policy.possible import residual
from gateway.policy.rows import RESERVED, THINGS
from gateway.policy.terms import MAIN, SYSTEM, Access, Chain, Context, Effect, Link, Place, Rule, Subject

LENDING: Final = (*USE, "connect")
"""What is also asked of whoever lends."""

_NOBODY: Final = ("", "self", SYSTEM)
_MADE: Final = Place("tests")


def with_rows(policy: Policy, rows: Sequence[Rule | Link]) -> Policy:
    """The same policy and grants, and ``rows`` beside them."""
    if not rows:
        return policy
    bundle = policy.bundle
    rules, links = (len(ROWS) + len(bundle.rules), len(bundle.links)) if bundle else (0, 0)
    return policy.with_grants((*policy.rules[rules:], *policy.links[links:], *rows), policy.version)


@dataclass(frozen=True)
class World:
    """``declared`` is the policy with the made subjects, ``policy`` has beside them somebody new in each role that is
    asked about; ``now`` is the time of the run, in ms since the epoch.
    """

    policy: Policy
    cases: Cases
    inventory: Inventory
    now: int
    declared: Policy
    _reaches: dict[int, Reach] = field(default_factory=dict)
    _things: dict[str, dict[str, Thing]] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: Policy, cases: Cases, inventory: Inventory, now: int) -> "World":
        made = [Link(each.name, role, domain, each.place) for each in cases.subjects for role, domain in each.roles]
        named = {name for case in cases.cases for name in case.subjects} | {what.subject for what in cases.what}
        if cases.who:
            named |= {rule.subject for rule in policy.rules} | {link.role for link in (*policy.links, *made)}
            named |= {link.member for link in policy.links}
        fresh = [Link(_fresh(role), role, "*", _MADE) for role in sorted(named) if role.startswith("role:")]
        declared = with_rows(policy, made)
        return cls(with_rows(declared, fresh), cases, inventory, now, declared)

    @cached_property
    def known(self) -> Mapping[str, Subject]:
        """The known subjects, and those made for the tests."""
        made = (Subject(each.name, each.groups, each.claims) for each in self.cases.subjects)
        return {each.name: each for each in (*self.inventory.subjects, *made)}

    @cached_property
    def parties(self) -> Parties:
        """Everybody who counts in an exact list."""
        return Parties(Inventory(tuple(self.known.values()), self.inventory.things), (self.declared,))

    def party(self, name: str) -> Party:
        return self.parties.get(name) or Party.of(self.subject(name) if is_subject(name) else Subject(name))

    def reach(self, now: int | None) -> Reach:
        """Whom the rows reach at ``now``, or at the time of the run."""
        at = self.now if now is None else now
        if at not in self._reaches:
            self._reaches[at] = Reach(self.declared, self.parties, at)
        return self._reaches[at]

    def covered(self, names: Iterable[str], domain: str, now: int | None) -> frozenset[str]:
        """The parties that are one of ``names``, or covered by one, in ``domain``."""
        reach, found = self.reach(now), set[str]()
        for name in names:
            if name.endswith("*"):
                found |= {each for each, party in self.parties.items() if name in party.crowds}
            else:
                found |= reach.members(name, domain, Effect.ALLOW).keys() & self.parties.keys()
        return frozenset(found)

    def subject(self, name: str) -> Subject:
        """Whoever ``name`` stands for."""
        if name.startswith("group:"):
            return Subject(_fresh(name), frozenset((name,)))
        return self.known.get(name) or Subject(_fresh(name))

    def things(self, object: str, domain: str) -> tuple[Thing, ...]:
        """What ``object`` stands for: itself, or all that is known below a pattern and one thing that is not."""
        known = self._known_things(domain)
        if not object.endswith("*"):
            return (known.get(object) or unclassified(object),)
        if object == "gateway/*":
            return tuple(unclassified(f"gateway/{each}") for each in THINGS)
        below = (thing for name, thing in known.items() if name.startswith(object[:-1]))
        return (*below, unclassified(object[:-1] + FRESH if object != "*" else f"{FRESH}/{FRESH}"))

    def offered(self, domain: str) -> tuple[Thing, ...]:
        """What is known to be usable in ``domain``."""
        return tuple(self._known_things(domain).values())

    def known_thing(self, object: str, domain: str) -> Thing | None:
        return self._known_things(domain).get(object)

    def chain(self, question: Question, thing: Thing, owner: str, facts: Facts) -> Chain:
        """The accesses that must all be allowed: the caller's, and for a loan the lender's, for himself."""
        subject = self.subject(question.subject)
        action = question.action or thing.action
        whose = subject.name if owner == "self" else owner
        now = self.now if facts.now is None else facts.now
        context = Context(
            args=question.args,
            claims=subject.claims if facts.claims is None else facts.claims,
            groups=subject.groups,
            tool=replace(thing.tool, via=facts.via),
            client=facts.client,
            env={"now": now, "offset": 0, "address": facts.address},
            connection=facts.connection,
            owner_roles=None if action in LENDING else self._roles(whose, now),
        )
        asked = Access(subject.name, question.domain, whose, thing.object, action, context)
        if action not in LENDING or whose in (subject.name, SYSTEM):
            return (asked,)
        # who is absent brings no claims, and his groups are unknown
        lender = Context(args=question.args, groups=None, tool=context.tool, env=context.env)
        return asked, Access(whose, MAIN, whose, thing.object, action, lender)

    def strange(self, names: Iterable[str], objects: Iterable[str]) -> list[Failure]:
        """One for each name and object that neither the policy nor the tests nor the inventory know: with a wrong
        letter a test could not fail.
        """
        sentences = [
            f"nobody knows `{name}`; declare it under `subjects`, or write `user:*` for a stranger"
            for name in names
            if name not in _NOBODY and not name.endswith("*") and name not in self._names
        ] + [
            f"nobody knows `{object}`; declare it under `tools`, with its level"
            for object in objects
            if object != "*" and not self._is_known(object)
        ]
        return [Failure(why=sentence) for sentence in sentences]

    def speaking(self, access: Access) -> Iterator[Rule]:
        """The rules that count for ``access``, or for some call of it where the arguments are unknown."""
        for rule in self.policy.matching(access):
            condition, context = self.policy.condition(rule.when), access.context
            if context.args is None:
                counts = residual(condition, context, rule.effect) is not False
            else:
                counts = condition.holds(context) if rule.effect is Effect.ALLOW else condition.bites(context)
            if counts:
                yield rule

    def through(self, chain: Chain, effect: Effect) -> str:
        """The rows of one effect that count for a chain, for people; ``""`` when there is none."""
        rules = (rule for access in chain for rule in self.speaking(access) if rule.effect is effect)
        rows = ", ".join(dict.fromkeys(map(row_words, rules)))
        return rows and f"through {rows}"

    def _is_known(self, object: str) -> bool:
        head = object.partition("/")[0]
        if head in RESERVED:
            return True
        return object in self._objects if is_used(object) else head in self._connectors

    @cached_property
    def _names(self) -> frozenset[str]:
        groups = (group for subject in self.known.values() for group in subject.groups or ())
        links = (name for link in self.declared.links for name in (link.member, link.role))
        rules = (name for rule in self.declared.rules for name in (rule.subject, rule.owner))
        return frozenset((*self.known, *groups, *links, *rules))

    @cached_property
    def _objects(self) -> frozenset[str]:
        offered = (thing.object for things in self.inventory.things.values() for thing in things)
        made = (thing.object for thing in self.cases.things)
        return frozenset((*offered, *made, *(rule.object for rule in self.policy.rules)))

    @cached_property
    def _connectors(self) -> frozenset[str]:
        return frozenset(object.partition("/")[0] for object in self._objects)

    def _known_things(self, domain: str) -> Mapping[str, Thing]:
        if domain not in self._things:
            things = (*self.inventory.things.get(domain, ()), *self.cases.things)
            self._things[domain] = {each.object: each for each in things}
        return self._things[domain]

    def _roles(self, owner: str, now: int) -> tuple[str, ...]:
        if owner == SYSTEM:
            return ()
        return tuple(sorted(self.policy.roles_of(owner, MAIN, now, self.subject(owner).groups)))


def _fresh(name: str) -> str:
    """Somebody whom no row foresees, new in a role, a group or a crowd; a subject is himself."""
    if name.startswith(("role:", "group:")) or name == "*":
        return f"user:{FRESH}{name.removesuffix('*')}"
    return name[:-1] + FRESH if name.endswith("*") else name
