"""Who can do one thing, and what one subject can do: exact, with conditions shown as conditions.

Both answer for ``now`` and on: what ends says until when. Everybody who reaches the same rows is told once. This
file finds rights; ``rights.py`` says what they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.analysis.cells import SELF, Cells, Point
from gateway.analysis.classes import Found, about, classes, finding, lending
from gateway.analysis.inventory import Inventory
from gateway.analysis.parties import Parties
from gateway.analysis.reach import Reach
from gateway.analysis.rights import Right, Rights
from gateway.analysis.wording import in_order
from gateway.policy.engine import Policy
from gateway.policy.terms import SYSTEM, Effect, Rule


@dataclass(frozen=True, slots=True)
class Holder:
    """``parties`` who have the same ``right`` through the same ``rules``: known subjects, and strangers by the name of
    their crowd, role or group.
    """

    parties: frozenset[str]
    right: Right
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Ability:
    """What somebody can do with one object in one domain, for what ``owner`` owns."""

    domain: str
    object: str
    action: str
    owner: str
    right: Right
    rules: tuple[Rule, ...]


class Who:
    """``policy`` at ``now`` (ms since the epoch) over an inventory, made ready for questions."""

    def __init__(self, policy: Policy, inventory: Inventory, now: int) -> None:
        self._parties = Parties(inventory, (policy,))
        self._reach = Reach(policy, self._parties, now)
        self._cells = Cells.of(inventory, (policy,))
        self._rights = Rights()

    @property
    def domains(self) -> Sequence[str]:
        """The servers that are known, ``main`` first."""
        return self._cells.domains

    def knows(self, name: str) -> bool:
        """Whether ``name`` is an account, is named by the policy, or is a crowd."""
        return name in self._parties

    def can(self, object: str, action: str, *, domain: str, owner: str = SELF) -> list[Holder]:
        """Everybody of whom some call could be allowed; ``owner`` is ``self``, ``system``, a subject, or ``*`` for
        somebody whom no row names.
        """
        point = self._cells.point(domain, object, action)
        rules = self._reach.rows(domain, point.asked, point.action)
        lender = self._lender(point, owner)
        found: dict[tuple[Right, frozenset[int]], tuple[set[str], dict[int, Rule]]] = {}
        for each in classes((self._reach,), domain, owner, (about(rules, owner) if owner != SELF else rules,)):
            right = self._right(point, each.sides[0], lender)
            if right is not None:
                named = _named(each.sides[0], lender)
                found.setdefault((right, frozenset(named)), (set(), named))[0].update(each.parties)
        holders = (
            Holder(frozenset(parties), right, _in_order(named)) for (right, _), (parties, named) in found.items()
        )
        return sorted(holders, key=lambda holder: (-len(holder.parties), sorted(holder.parties)))

    def may(self, name: str, *, domain: str) -> list[Ability]:
        """Everything of which ``name`` could do some call in ``domain``. Raises ``KeyError`` unless he is known."""
        party, found = self._parties[name], []
        names = self._reach.names(party, domain, Effect.DENY).keys()
        for point in self._points(name, domain):
            rules = self._reach.rows(domain, point.asked, point.action, names)
            for owner in point.owners(self._reach.owners(domain, point.asked, point.action)):
                owned = [each for each in rules if each.owner in (owner, "*") or (owner, each.owner) == (SELF, name)]
                if owner == name or all(each.effect is Effect.DENY for each in owned):
                    continue  # what is his by name is his own
                spoke, lender = finding(self._reach, party, domain, owned), self._lender(point, owner)
                if (right := self._right(point, spoke, lender)) is not None:
                    rules_of = _in_order(_named(spoke, lender))
                    found.append(Ability(domain, point.object, point.action, owner, right, rules_of))
        return sorted(found, key=lambda each: (each.object, each.action, each.owner != SELF, each.owner))

    def _points(self, name: str, domain: str) -> Iterable[Point]:
        """The points that an allow for ``name`` touches."""
        names = self._reach.names(self._parties[name], domain, Effect.ALLOW)
        points = self._cells.points(domain)
        rows = (rule for rule in self._reach.rows_of(names, domain) if rule.effect is Effect.ALLOW)
        return dict.fromkeys(point for rule in rows for point in points.of(rule))

    def _lender(self, point: Point, owner: str) -> Found | None:
        """The rows that find the lender himself; ``None`` where nobody lends."""
        if not point.lends or owner in (SELF, SYSTEM, "*"):
            return None
        return lending(self._reach, owner, point.asked, point.action)

    def _right(self, point: Point, spoke: Found, lender: Found | None) -> Right | None:
        right = self._rights.of(spoke, point.tool, lender)
        return right if self._rights.possible(right, point.tool, point.schema) else None


def _named(*found: Found | None) -> dict[int, Rule]:
    """The rules, each once, by what tells them apart faster than their words."""
    return {id(rule): rule for each in found for rule, _ in each or ()}


def _in_order(rules: Mapping[int, Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(rules.values(), key=in_order))
