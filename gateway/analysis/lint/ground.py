"""What lint looks at: the living rows of a policy, its roles as a graph, and its conditions, each read once.

This file finds no faults.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gateway.analysis.inventory import Inventory
from gateway.analysis.lint.findings import Progress, silent
from gateway.analysis.lint.graph import Graph
from gateway.analysis.wording import reading_order
from gateway.policy.bundle import Bundle
from gateway.policy.conditions import Condition, parse
from gateway.policy.terms import Effect, Link, Place, Rule


@dataclass(frozen=True)
class Ground:
    """``given`` are the rows made at run time (``None``: nobody looked), ``now`` is in ms since the epoch."""

    bundle: Bundle
    given: tuple[Rule | Link, ...] | None
    inventory: Inventory | None
    now: int
    progress: Progress = field(default=silent)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The living rules of the files."""
        return tuple(rule for rule in self.bundle.rules if self.lives(rule))

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The living links of the files."""
        return tuple(link for link in self.bundle.links if self.lives(link))

    @cached_property
    def made(self) -> tuple[Rule | Link, ...]:
        """The living rows made at run time."""
        return tuple(row for row in self.given or () if self.lives(row))

    @cached_property
    def graph(self) -> Graph:
        """The roles of the files alone, which do not come and go."""
        return Graph(self.links)

    @cached_property
    def whole_graph(self) -> Graph:
        """The roles of the files and those given at run time."""
        made = tuple(row for row in self.made if isinstance(row, Link))
        return Graph((*self.links, *made)) if made else self.graph

    @cached_property
    def conditions(self) -> Mapping[str, Condition]:
        """Every condition of the files by its text, and the one that is always true."""
        return {text: parse(text) for text in dict.fromkeys(("", *(rule.when for rule in self.bundle.rules)))}

    @cached_property
    def order(self) -> Mapping[Place, int]:
        """The rows of the files by their places, in the order in which people read them."""
        places = {rule.place for rule in self.bundle.rules} | {link.place for link in self.bundle.links}
        return {place: at for at, place in enumerate(sorted(places, key=reading_order))}

    def file(self, name: str) -> Place:
        """Where a file of the policy stands that holds no rows."""
        folder = next((place.file.rpartition("/")[0] for place in self.order), "")
        return Place(f"{folder}/{name}" if folder else name)

    def lives(self, row: Rule | Link) -> bool:
        return row.expires is None or self.now < row.expires

    def of(self, effect: Effect) -> Iterable[Rule]:
        return (rule for rule in self.rules if rule.effect is effect)
