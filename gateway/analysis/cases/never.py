"""What must never be allowed: not to anybody known, not to a stranger, with no arguments, claims, time or address.

Every call is allowed by some row, so it is enough to look where an allow and the rule overlap: at the narrower of
both objects (a pattern stands for a name that nobody foresaw), at what is known below, and at whom the row reaches.
Time counts from that of the run on. This file finds the questions; ``analysis/rights.py`` answers them.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import cache, cached_property, partial
from typing import Final, NamedTuple

from gateway.analysis.cases.facts import variants
from gateway.analysis.cases.results import Failure, Kind, Result
from gateway.analysis.cases.terms import ANYWHERE, Never
from gateway.analysis.cases.words import row_words, some_names, witness_words, words_of
from gateway.analysis.cases.world import LENDING, World
from gateway.analysis.cells import OTHERS, SELF
from gateway.analysis.classes import Class, Found, classes, lending
from gateway.analysis.inventory import Thing, unclassified
from gateway.analysis.reach import Reach
from gateway.analysis.rights import NO, Rights
from gateway.policy.engine import FRESH
from gateway.policy.model import ADMINISTRATION, act_match, dom_match, is_subject, obj_match
from gateway.policy.terms import MAIN, SYSTEM, Effect, Rule, Tool

_ADMINISTERING: Final = (*ADMINISTRATION, "act-as")
_FEW: Final = 1_000
"""People whose names are looked up one by one, which saves looking at everybody's rows."""


class Point(NamedTuple):
    """A question, but for who asks and whose it is; the object as the policy is asked about it."""

    domain: str
    object: str
    action: str

    def owners(self, rules: Iterable[Rule]) -> Iterable[str]:
        """Whose it may be: one's own, the operator's, each owner that rows name, and for administration anybody's."""
        if self.action.startswith("rate:"):
            return (SELF,)
        named = {rule.owner for rule in rules if rule.effect is Effect.ALLOW} - {SELF, SYSTEM, OTHERS}
        return SELF, SYSTEM, *sorted(named), *((OTHERS,) if self.action in _ADMINISTERING else ())


def never_results(world: World) -> Iterator[Result]:
    """What came of each thing that must never be."""
    court = Court(world)
    for never in world.cases.never:
        points = court.points(never)
        failures = world.strange((*never.subjects, never.owner), never.objects) or court.breaches(never, points)
        yield Result.of(Kind.NEVER, never.place, never.title, asked=len(points), failures=failures)


class Court:
    """Judges what must never be, under one policy from one time on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rights = Rights()

    @cached_property
    def _reach(self) -> Reach:
        return self._world.reach(None)

    def breaches(
        self, never: Never, points: Iterable[Point], within: AbstractSet[str] | None = None
    ) -> Iterator[Failure]:
        """The calls that are allowed all the same at ``points``, to anybody or to those ``within``."""
        whom = cache(partial(self._concerned, never.subjects, within))
        for point in points:
            people, names = whom(point.domain)
            rules = self._reach.rows(*point)
            told = rules if names is None else [rule for rule in rules if rule.subject in names]
            if any(rule.effect is Effect.ALLOW for rule in told):
                yield from self._breaches(never, point, told, people)

    # -- where to look

    def points(self, never: Never) -> tuple[Point, ...]:
        """Where rows allow something that the rule is about, to whomever."""
        overlaps = (
            (rule, object, action)
            for pattern in never.objects
            for rule in self._near(pattern)
            for action in never.actions
            if act_match(action, rule.action, rule.effect) and (object := narrower(pattern, rule.object))
        )
        points = (
            Point(domain, each, action)
            for rule, object, action in overlaps
            for domain in self._domains(never, rule)
            for each in self._objects(object, action, domain)
        )
        return tuple(dict.fromkeys(points))

    def _near(self, pattern: str) -> Iterable[Rule]:
        """The allows that could overlap ``pattern``."""
        head = pattern.partition("/")[0]
        if head == "*":
            return (rule for rules in self._allows.values() for rule in rules)
        return (*self._allows.get(head, ()), *self._allows.get("*", ()))

    @cached_property
    def _allows(self) -> dict[str, list[Rule]]:
        """The allows by the connectors of their objects."""
        found: dict[str, list[Rule]] = {}
        for rule in self._reach.rules:
            if rule.effect is Effect.ALLOW:
                found.setdefault(rule.object.partition("/")[0], []).append(rule)
        return found

    def _domains(self, never: Never, rule: Rule) -> Iterable[str]:
        """Where the row counts. Of one that counts everywhere: in ``main``, wherever somebody is given a role, and on a
        server that nobody foresaw.
        """
        if ANYWHERE not in never.domains:
            return (domain for domain in never.domains if dom_match(domain, rule.domain))
        return self._everywhere if rule.domain == ANYWHERE else (rule.domain,)

    @cached_property
    def _everywhere(self) -> tuple[str, ...]:
        return MAIN, *sorted({link.domain for link in self._reach.links} - {ANYWHERE, MAIN}), FRESH

    def _objects(self, object: str, action: str, domain: str) -> Iterator[str]:
        """What is asked about for an object or pattern: one name that nobody foresaw. What is known below is allowed no
        more than that, unless conditions tell things apart by their names.
        """
        if not object.endswith("*") or action.startswith("rate:"):
            yield object
            return
        below = object[:-1] or ("" if action in ("connect", *_ADMINISTERING) else f"{FRESH}/")
        yield f"{below}{FRESH}"
        if self._by_name and action not in ("connect", *_ADMINISTERING):
            yield from (thing.object for thing in self._world.offered(domain) if thing.object.startswith(object[:-1]))

    @cached_property
    def _by_name(self) -> bool:
        texts = {rule.when for rule in self._reach.rules}
        return any(("tool", "name") in self._world.policy.condition(text).fields for text in texts)

    def _concerned(
        self, subjects: tuple[str, ...], within: AbstractSet[str] | None, domain: str
    ) -> tuple[AbstractSet[str] | None, AbstractSet[str] | None]:
        """Whom of ``within`` the subjects cover, and by which names rows find them; ``None`` for everybody and all."""
        covered = None if "*" in subjects else self._world.covered(subjects, domain, None)
        people = covered if within is None else within if covered is None else covered & within
        if people is None or len(people) > _FEW:
            return people, None
        parties = [self._world.parties[name] for name in people]
        return people, {name for party in parties for name in self._reach.names(party, domain, Effect.DENY)}

    # -- judging

    def _breaches(
        self, never: Never, point: Point, rules: list[Rule], within: AbstractSet[str] | None
    ) -> Iterator[Failure]:
        thing = self._world.known_thing(point.object, point.domain)
        for owner in point.owners(rules) if never.owner == ANYWHERE else (never.owner,):
            lender = self._lender(point, owner)
            for each in classes([self._reach], point.domain, owner, [rules], within=within):
                conditions = [rule.when for rule, _ in (*each.sides[0], *(lender or ()))]
                kinds = variants(
                    (thing or unclassified(point.object)).tool,
                    map(self._world.policy.condition, dict.fromkeys(conditions)),
                    classified=thing is not None,
                )
                if failure := self._breach(point, owner, each, lender, thing, kinds):
                    yield failure

    def _lender(self, point: Point, owner: str) -> Found | None:
        if point.action not in LENDING or not is_subject(owner):
            return None
        return lending(self._reach, owner, point.object, point.action)

    def _breach(
        self, point: Point, owner: str, each: Class, lender: Found | None, thing: Thing | None, kinds: Iterable[Tool]
    ) -> Failure | None:
        schema = thing.schema if thing else None
        for tool in kinds:
            right = self._rights.of(each.sides[0], tool, lender)
            if self._rights.possible(right, tool, schema):
                shown = self._rights.difference(NO, right, tool, schema).widened
                allows = (row_words(rule) for rule, _ in each.sides[0] if rule.effect is Effect.ALLOW)
                return Failure(
                    words_of(some_names(each.parties), point.action, point.object, point.domain, owner),
                    "never",
                    "some call is allowed",
                    f"through {', '.join(dict.fromkeys(allows))}{witness_words(shown, tool)}",
                )
        return None


def narrower(pattern: str, row: str) -> str:
    """What of ``pattern`` an allow's ``row`` covers, as an object or a pattern; ``""`` for nothing."""
    if obj_match(row, pattern, Effect.DENY):  # as a deny covers: all of it, administration included
        return row
    return pattern if obj_match(pattern, row, Effect.ALLOW) else ""
