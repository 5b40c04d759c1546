"""Which rows of a policy ask what does not fit the tools they are about.

A row names one thing, or all below a pattern. What does not fit any of those that the row can count for is a
problem; what fits some and not others is a note, because a pattern is often wider than its condition. This file
knows no schema: what fits one tool stands in ``policy/misfits.py``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.analysis.inventory import Inventory, Thing
from gateway.analysis.severity import Severity
from gateway.policy.conditions import Condition, parse
from gateway.policy.misfits import Kind, Misfit, concerns, misfits
from gateway.policy.model import act_match, dom_match, obj_match
from gateway.policy.rows import RESERVED
from gateway.policy.terms import Effect, Place, Problem, Rule

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many rows are done, and out of how many."""

SHOWN: Final = 3
"""Tools named in one sentence."""

_WARNINGS: Final = frozenset((Kind.ALWAYS_THERE, Kind.NEVER_FALSE, Kind.ALWAYS_FALSE))
_WHOLE: Final = frozenset((Kind.NEVER_TRUE, Kind.NEVER_FALSE, Kind.ALWAYS_FALSE))


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a policy that people should know; only an ``error`` makes it invalid."""

    severity: Severity
    problem: Problem


def unfitting(
    rules: Iterable[Rule], inventory: Inventory, progress: Progress = lambda _done, _all: None
) -> Iterator[Remark]:
    """What the conditions of ``rules`` ask that does not fit the things of ``inventory``, row by row."""
    fitting = _Fitting(inventory)
    conditional = [rule for rule in rules if rule.when]
    for done, rule in enumerate(conditional):
        progress(done, len(conditional))
        for severity, sentence in fitting.of(rule):
            yield Remark(severity, Problem(rule.place, sentence))


def unknown_connectors(rules: Iterable[Rule], known: Iterable[str]) -> Iterator[Remark]:
    """A note for each connector that rows name and nobody knows, at its first row."""
    first: dict[str, Place] = {}
    for rule in rules:
        first.setdefault(rule.object.partition("/")[0], rule.place)
    for name in sorted(first.keys() - {"*", *RESERVED, *known}):
        sentence = f"no upstream is called `{name}`; until one is, rows about `{name}` do nothing"
        yield Remark(Severity.NOTE, Problem(first[name], sentence))


class _Fitting:
    """The things of an inventory, with what was found about them so far."""

    def __init__(self, inventory: Inventory) -> None:
        self._offers = [(domain, thing) for domain, things in inventory.things.items() for thing in things]
        self._by_object: dict[str, list[tuple[str, Thing]]] = {}
        for domain, thing in self._offers:
            self._by_object.setdefault(thing.object, []).append((domain, thing))
        self._covered: dict[tuple[str, ...], list[Thing]] = {}
        self._told: dict[tuple[str, ...], list[tuple[Severity, str]]] = {}
        self._misfits: dict[tuple[str, Effect, int], list[Misfit]] = {}

    def of(self, rule: Rule) -> list[tuple[Severity, str]]:
        """How bad each thing is that does not fit in a row with a condition, and a sentence about it."""
        key = (rule.object, rule.domain, rule.action, rule.effect, rule.when)
        if key not in self._told:
            self._told[key] = list(self._sentences(rule, parse(rule.when)))
        return self._told[key]

    def _about(self, rule: Rule) -> list[Thing]:
        """The things whose use a row is about, those that several servers offer once."""
        key = (rule.object, rule.domain, rule.action, rule.effect)
        if key not in self._covered:
            offers = self._offers if _is_pattern(rule) else self._by_object.get(rule.object, [])
            self._covered[key] = _distinct(thing for domain, thing in offers if _is_about(rule, domain, thing))
        return self._covered[key]

    def _sentences(self, rule: Rule, condition: Condition) -> Iterator[tuple[Severity, str]]:
        things = self._about(rule)
        if _is_pattern(rule):
            things = [thing for thing in things if concerns(condition, thing.tool, rule.effect)]
        found = [(thing, each) for thing in things for each in self._of_thing(rule, condition, thing)]
        groups: dict[tuple[Kind, int], list[tuple[Thing, Misfit]]] = {}
        for thing, misfit in found:
            groups.setdefault((misfit.kind, misfit.column), []).append((thing, misfit))
        for (kind, column), held in groups.items():
            lacking = groups.get((Kind.UNKNOWN_FIELD, column), []) if kind is not Kind.UNKNOWN_FIELD else []
            severity = Severity.WARNING if kind in _WARNINGS else Severity.ERROR
            if len(held) + len(lacking) < len(things):
                severity = Severity.NOTE
            if severity is not Severity.NOTE or kind not in _WHOLE:
                where = _names([thing.object for thing, _ in held], len(things), rule.object)
                yield severity, f"condition `{rule.when}` for {where}: {held[0][1]}"

    def _of_thing(self, rule: Rule, condition: Condition, thing: Thing) -> list[Misfit]:
        key = rule.when, rule.effect, id(thing)
        if key not in self._misfits:
            self._misfits[key] = misfits(condition, thing.tool, thing.schema, rule.effect)
        return self._misfits[key]


def _is_pattern(rule: Rule) -> bool:
    return rule.object.endswith("*")


def _is_about(rule: Rule, domain: str, thing: Thing) -> bool:
    return (
        dom_match(domain, rule.domain)
        and obj_match(thing.object, rule.object, rule.effect)
        and act_match(thing.action, rule.action, rule.effect)
    )


def _distinct(things: Iterable[Thing]) -> list[Thing]:
    found: dict[str, list[Thing]] = {}
    for thing in things:
        same = found.setdefault(thing.object, [])
        same += [] if thing in same else [thing]
    return [thing for same in found.values() for thing in same]


def _names(objects: Sequence[str], of: int, pattern: str) -> str:
    """Some of the things, and how many of those that the row is about."""
    if of == 1:
        return f"`{objects[0]}`"
    more = f" and {len(objects) - SHOWN} more" if len(objects) > SHOWN else ""
    return ", ".join(f"`{each}`" for each in objects[:SHOWN]) + f"{more} ({len(objects)} of {of} things of `{pattern}`)"
