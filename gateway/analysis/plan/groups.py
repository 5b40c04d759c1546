"""A plan as people read it: changed cells of the same kind and of the same people are one group.

Values and their arithmetic; how they are found stands in ``planning.py``, how they are told in ``text.py``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

from gateway.analysis.rights import Right
from gateway.analysis.wording import in_order
from gateway.policy.meaning import Difference
from gateway.policy.model import is_subject
from gateway.policy.terms import Link, Rule

Cell: TypeAlias = tuple[str, str]
"""An object and an action."""


class Kind(StrEnum):
    """In the order of importance: what may be done now and could not, what may be done that is other than before,
    what could not be found out, what may not be done any more.
    """

    WIDENED = "widened"
    CHANGED = "changed"
    UNDECIDED = "undecided"
    NARROWED = "narrowed"

    @classmethod
    def of(cls, difference: Difference) -> "Kind":
        if not difference.decided:
            return cls.UNDECIDED
        if difference.widened is not None and difference.narrowed is not None:
            return cls.CHANGED
        return cls.NARROWED if difference.widened is None else cls.WIDENED

    @property
    def widens(self) -> bool:
        """Whether somebody may (or might) do what he could not."""
        return self is not Kind.NARROWED


_ORDER = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Move:
    """Cells of one domain and owner whose right went from ``old`` to ``new`` for all ``parties``; ``through`` are the
    names by which the changed rows find them, ``because`` the rows and links that changed.
    """

    domain: str
    owner: str
    cells: tuple[Cell, ...]
    parties: frozenset[str]
    old: Right
    new: Right
    difference: Difference
    through: frozenset[str]
    because: tuple[Rule | Link, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The same change for the same parties: ``cells`` are told by domain. ``owner`` is ``self``, ``system``, a
    subject, or ``*`` for whoever is not named.
    """

    kind: Kind
    parties: frozenset[str]
    owner: str
    old: Right
    new: Right
    difference: Difference
    cells: Mapping[str, tuple[Cell, ...]]
    through: frozenset[str]
    because: tuple[Rule | Link, ...]

    @property
    def size(self) -> int:
        """How many cells it changes, those of strangers counted once for each kind of stranger."""
        return len(self.parties) * sum(map(len, self.cells.values()))

    @property
    def known(self) -> list[str]:
        """The known subjects among the parties."""
        return sorted(filter(is_subject, self.parties))

    @property
    def strangers(self) -> list[str]:
        return sorted(name for name in self.parties if not is_subject(name))


@dataclass(frozen=True)
class Plan:
    """What changes between the versions ``old`` and ``new``; the most important group comes first. ``notes`` are
    sentences about what is no right: limits, and rows that concern nothing known.
    """

    old: str
    new: str
    groups: tuple[Group, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def cells(self) -> Mapping[Kind, int]:
        """How many cells changed in each way."""
        return {kind: sum(group.size for group in self.groups if group.kind is kind) for kind in Kind}

    @property
    def widened(self) -> int:
        """The cells in which somebody may, or might, do what he could not."""
        return sum(count for kind, count in self.cells.items() if kind.widens)

    @property
    def narrowed(self) -> int:
        """The cells in which somebody may only do less."""
        return self.cells[Kind.NARROWED]

    @cached_property
    def users(self) -> frozenset[str]:
        """The known subjects for whom something changes."""
        return frozenset(name for group in self.groups for name in group.known)

    @cached_property
    def users_widened(self) -> frozenset[str]:
        """The parties, strangers too, who may do what they could not."""
        return frozenset(name for group in self.groups if group.kind.widens for name in group.parties)


@dataclass(slots=True)
class _Gathered:
    """Moves on their way to be one group."""

    difference: Difference
    through: set[str] = field(default_factory=set)
    because: dict[int, Rule | Link] = field(default_factory=dict)
    parties: set[str] = field(default_factory=set)
    cells: dict[str, list[Cell]] = field(default_factory=dict)

    def take(self, through: Iterable[str], because: Iterable[Rule | Link]) -> None:
        self.through.update(through)
        self.because.update((id(row), row) for row in because)


def grouped(moves: Iterable[Move]) -> tuple[Group, ...]:
    """The moves as groups, the most important first."""
    alike: dict[tuple[str, str, tuple[Cell, ...], Right, Right, Kind], _Gathered] = {}
    for move in moves:
        kind = Kind.of(move.difference)
        key = (move.domain, move.owner, move.cells, move.old, move.new, kind)
        same = alike.setdefault(key, _Gathered(move.difference))
        same.take(move.through, move.because)
        same.parties |= move.parties
    groups: dict[tuple[str, Right, Right, Kind, frozenset[str]], _Gathered] = {}
    for (domain, owner, cells, old, new, kind), same in alike.items():
        whole = groups.setdefault((owner, old, new, kind, frozenset(same.parties)), _Gathered(same.difference))
        whole.take(same.through, same.because.values())
        whole.cells.setdefault(domain, []).extend(cells)
    return tuple(sorted((_group(key, gathered) for key, gathered in groups.items()), key=_importance))


def _group(key: tuple[str, Right, Right, Kind, frozenset[str]], gathered: _Gathered) -> Group:
    owner, old, new, kind, parties = key
    return Group(
        kind=kind,
        parties=parties,
        owner=owner,
        old=old,
        new=new,
        difference=gathered.difference,
        cells={domain: tuple(sorted(cells)) for domain, cells in sorted(gathered.cells.items())},
        through=frozenset(gathered.through),
        because=tuple(sorted(gathered.because.values(), key=in_order)),
    )


def _importance(group: Group) -> tuple[object, ...]:
    return _ORDER.index(group.kind), -group.size, sorted(group.parties)[:1], group.owner, list(group.cells.items())
