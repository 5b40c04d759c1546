"""The exact change of effective rights from one policy to another, before anybody applies it.

Only rows and links that differ can change a cell, so only the points that they touch are asked about; whoever
reaches the same rows is one class and judged once. Grants are part of both policies. The change holds from ``now``
on: rows that have ended do not count, those that will end give their rights until then.
This file finds changes; how they are grouped and told stands in ``groups.py`` and ``text.py``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property, partial
from operator import attrgetter
from typing import Final, TypeAlias, TypeVar

from gateway.analysis.cells import OTHERS, SELF, Cells, Point
from gateway.analysis.classes import Class, Found, about, classes, is_crowd, lending
from gateway.analysis.inventory import Inventory
from gateway.analysis.parties import Parties
from gateway.analysis.plan.groups import Move, Plan, grouped
from gateway.analysis.plan.notes import notes
from gateway.analysis.reach import Reach, domains_of
from gateway.analysis.rights import Rights
from gateway.analysis.wording import in_order
from gateway.policy.engine import Policy
from gateway.policy.model import act_match, dom_match, obj_match
from gateway.policy.terms import MAIN, SYSTEM, Effect, Link, Rule

T = TypeVar("T", Rule, Link)
Each = TypeVar("Each")

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many of how many servers are done."""

Tick: TypeAlias = Callable[[], None]
"""Is called now and then during long work, which it may end by raising."""

_Hit: TypeAlias = dict[str, set[str]]
"""Below which names anything can change at a point, by the owners of the rows that touch it."""

_FEW: Final = 8
"""So many parties have few names, and most rows can be left aside for them."""

_TICKING: Final = 256
"""After how many items there is a tick."""

_EVERYBODY: Final = "*"
_COLUMNS: Final = attrgetter("subject", "domain", "owner", "object", "action", "when", "effect", "expires")
_ENDS: Final = attrgetter("member", "role", "domain", "expires")


def silent(_done: int, _of: int) -> None:
    """The progress of work that nobody watches."""


def plan(old: Policy, new: Policy, inventory: Inventory, now: int, progress: Progress = silent) -> Plan:
    """What ``new`` lets whom do that ``old`` does not, and the other way round; ``now`` is in ms since the epoch.

    Exact for the subjects, groups and things of ``inventory`` and of the policies, and for strangers: see
    ``analysis/parties.py`` and ``analysis/cells.py``. Conditions compare by meaning; what takes too long to find out
    is *undecided*.
    """
    parties = Parties(inventory, (old, new))
    planning = _Planning(Reach(old, parties, now), Reach(new, parties, now), Cells.of(inventory, (old, new)))
    moves = list(planning.moves(progress))
    return Plan(old.version, new.version, grouped(moves), tuple(notes(old, new, planning.untouched())))


@dataclass(frozen=True, slots=True)
class _Question:
    """Points of one domain and owner about which the two policies say the same; ``within`` are the names through
    which something may have changed, and ``lender`` is whose own rights count, too.
    """

    owner: str
    sides: tuple[list[Rule], list[Rule]]
    lenders: tuple[Found | None, Found | None]
    within: frozenset[str]
    points: list[Point]


class _Planning:
    """Two policies over the same parties and cells."""

    def __init__(self, old: Reach, new: Reach, cells: Cells) -> None:
        self.sides = (old, new)
        self.parties = old.parties
        self.cells = cells
        self.rights = Rights()
        removed, added = _differing(old.rules, new.rules, _COLUMNS)
        self.rules = (*removed, *added)
        self.links = _differing(old.links, new.links, _ENDS)
        self._changed = frozenset(map(id, self.rules))
        self._names: dict[tuple[frozenset[str], str], tuple[AbstractSet[str] | None, ...]] = {}
        self._touched: set[int] = set()

    def moves(self, progress: Progress) -> Iterator[Move]:
        """The changed cells, class by class."""
        for done, domain in enumerate(self.cells.domains):
            tick = partial(progress, done, len(self.cells.domains))
            tick()
            for question in self._questions(domain, self._hits(domain, tick), tick):
                tick()
                yield from self._judged(domain, question)
        progress(len(self.cells.domains), len(self.cells.domains))

    def untouched(self) -> Iterator[Rule]:
        """The changed rules that concern nothing that is known."""
        return (rule for rule in self.rules if id(rule) not in self._touched)

    # -- which points may have changed, and for whom

    def _hits(self, domain: str, tick: Tick) -> dict[Point, _Hit]:
        """The points that a changed row, role or lender touches."""
        hits: dict[Point, _Hit] = {}
        for rule, names in _ticking(self._differing(domain), tick):
            for point in self.cells.points(domain).of(rule):
                hits.setdefault(point, {}).setdefault(rule.owner, set()).update(names)
                self._touched.add(id(rule))
        lent = (each for where in domains_of(domain) for each in self._lent.get(where, ()))
        for rule, differing in _ticking(lent, tick):
            for point in self.cells.points(domain).of(rule):
                if point.lends and any(_concerns(each, point) for each in differing):
                    hits.setdefault(point, {}).setdefault(rule.owner, set()).add(_EVERYBODY)
        return hits

    def _differing(self, domain: str) -> Iterator[tuple[Rule, Iterable[str]]]:
        """The rules of ``domain`` that find others than before, and the names below which these are."""
        for rule in self.rules:
            if dom_match(domain, rule.domain):
                yield rule, (rule.subject,)
        for reach, links in zip(self.sides, self.links, strict=True):
            members: dict[str, set[str]] = {}
            for link in links:
                if link.domain in (domain, "*"):
                    for role in reach.above(link.role, domain):
                        members.setdefault(role, set()).add(link.member)
            for rule in reach.rows_of(members, domain) if members else ():
                yield rule, members[rule.subject]

    @cached_property
    def _lent(self) -> Mapping[str, list[tuple[Rule, list[Rule]]]]:
        """The rules about what a lender owns whose own rights may have changed, by domain; with each the rules in
        ``main`` that may find its lender in one of the policies alone.
        """
        lenders = {lender for reach in self.sides for lender in reach.lent}
        of_lender: dict[str, list[Rule]] = {}
        for rule, names in self._differing(MAIN) if lenders else ():
            for lender in lenders & self._below(names, MAIN):
                of_lender.setdefault(lender, []).append(rule)
        found: dict[str, list[tuple[Rule, list[Rule]]]] = {}
        for reach in self.sides:
            for lender, differing in of_lender.items():
                for rule in reach.lent.get(lender, ()):
                    found.setdefault(rule.domain, []).append((rule, differing))
        return found

    def _below(self, names: Iterable[str], domain: str) -> AbstractSet[str]:
        """Everybody whom rows of ``names`` find, now or then."""
        if any(map(is_crowd, names)):
            return self.parties.keys()
        found: set[str] = set()
        for reach in self.sides:
            for name in names:
                found |= reach.members(name, domain, Effect.DENY).keys()
        return found

    # -- judging

    def _questions(self, domain: str, hits: Mapping[Point, _Hit], tick: Tick) -> Iterable[_Question]:
        """The points that were hit, those together of which the rows say the same."""
        questions: dict[object, _Question] = {}
        for point, hit in hits.items():
            named = (owner for reach in self.sides for owner in reach.owners(domain, point.asked, point.action))
            for owner in point.owners(named):
                tick()
                if within := frozenset(_within(hit, owner)):
                    question = self._question(domain, point, owner, within)
                    lent = (rule for lender in question.lenders for rule, _ in lender or ())
                    facts = self.rights.asked_of(point, (*question.sides[0], *question.sides[1], *lent))
                    same = (owner, within, *map(_same, (*question.sides, *question.lenders)), facts)
                    questions.setdefault(same, question).points.append(point)
        return questions.values()

    def _question(self, domain: str, point: Point, owner: str, within: frozenset[str]) -> _Question:
        sides, lenders = [], []
        for reach, names in zip(self.sides, self._names_within(within, domain), strict=True):
            rules = reach.rows(domain, point.asked, point.action, names)
            sides.append(rules if owner == SELF else about(rules, owner))
            lenders.append(self._lender(reach, point, owner))
        return _Question(owner, (sides[0], sides[1]), (lenders[0], lenders[1]), within, [])

    def _names_within(self, within: frozenset[str], domain: str) -> tuple[AbstractSet[str] | None, ...]:
        """The names by which rows find anybody within, on each side; ``None`` when these are too many to tell."""
        key = within, domain
        if key not in self._names:
            parties = self._below(within, domain)
            few = len(parties) <= _FEW
            self._names[key] = tuple(self._all_names(reach, parties, domain) if few else None for reach in self.sides)
        return self._names[key]

    def _all_names(self, reach: Reach, parties: Iterable[str], domain: str) -> AbstractSet[str]:
        known = (self.parties[party] for party in parties)
        return frozenset(name for party in known for effect in Effect for name in reach.names(party, domain, effect))

    def _lender(self, reach: Reach, point: Point, owner: str) -> Found | None:
        if not point.lends or owner in (SELF, SYSTEM, OTHERS):
            return None
        return lending(reach, owner, point.asked, point.action)

    def _judged(self, domain: str, question: _Question) -> Iterator[Move]:
        point = question.points[0]
        within = None if any(map(is_crowd, question.within)) else self._below(question.within, domain)
        for each in classes(self.sides, domain, question.owner, question.sides, within=within):
            both = zip(each.sides, question.lenders, strict=True)
            old, new = (self.rights.of(found, point.tool, lender) for found, lender in both)
            if difference := self.rights.difference(old, new, point.tool, point.schema):
                through = _through(each)
                yield Move(
                    domain=domain,
                    owner=question.owner,
                    cells=tuple((each.object, each.action) for each in question.points),
                    parties=each.parties,
                    old=old,
                    new=new,
                    difference=difference,
                    through=frozenset(through or (question.owner,)),
                    because=(*self._rules_of(each, question), *self._links_of(each, domain, through)),
                )

    def _rules_of(self, each: Class, question: _Question) -> Iterator[Rule]:
        """The changed rules that had a say."""
        found = (rule for side in (*each.sides, *question.lenders) for rule, _ in side or ())
        return (rule for rule in found if id(rule) in self._changed)

    def _links_of(self, each: Class, domain: str, through: frozenset[str]) -> Iterator[Link]:
        """The changed links that lead from somebody of a class to a name through which rows find him."""
        for reach, links in zip(self.sides, self.links, strict=True):
            for link in links:
                if link.domain not in (domain, "*") or through.isdisjoint(reach.above(link.role, domain)):
                    continue
                if not each.parties.isdisjoint(reach.members(link.member, domain, Effect.DENY)):
                    yield link


def _ticking(items: Iterable[Each], tick: Tick) -> Iterator[Each]:
    """The items, with a tick now and then."""
    for number, item in enumerate(items):
        if number % _TICKING == 0:
            tick()
        yield item


def _within(hit: _Hit, owner: str) -> Iterator[str]:
    """The names of a hit that count for what ``owner`` owns; what is a named subject's is his own."""
    for whose, names in hit.items():
        if whose in (owner, OTHERS) or (owner == SELF and whose != SYSTEM):
            yield from names


def _same(rules: Sequence[Rule] | Found | None) -> tuple[object, ...]:
    """What tells rows apart quickly: both policies keep theirs as long as the plan is made."""
    return tuple(id(each) if isinstance(each, Rule) else (id(each[0]), each[1]) for each in rules or ())


def _through(each: Class) -> frozenset[str]:
    """The names by which the rows of one side alone find a class."""
    old, new = ({(*_COLUMNS(rule), until) for rule, until in side} for side in each.sides)
    return frozenset(str(columns[0]) for columns in old ^ new)


def _differing(old: Iterable[T], new: Iterable[T], key: Callable[[T], object]) -> tuple[list[T], list[T]]:
    """What only ``old`` has, and what only ``new`` has; most are the same to their places, and need no look."""
    before, after = set(old), set(new)
    removed, added = ({key(each): each for each in side} for side in (before - after, after - before))
    gone, come = removed.keys() - added, added.keys() - removed
    return sorted(map(removed.__getitem__, gone), key=in_order), sorted(map(added.__getitem__, come), key=in_order)


def _concerns(rule: Rule, point: Point) -> bool:
    return obj_match(point.asked, rule.object, rule.effect) and act_match(point.action, rule.action, rule.effect)
