"""Denies that take a part of what some allow gives.

A deny for everybody is a limit by design; told are those for somebody, because there two rows say different things
about the same people: about somebody who is known, by the links of the files, under the subjects of both. Examples
are shown, not counted.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from gateway.analysis.lint.cover import (
    Over,
    covers,
    crowds_over,
    further_covered,
    is_concrete,
    is_gateway,
    patterns_over,
)
from gateway.analysis.lint.findings import Code, Finding, named, row_text, told
from gateway.analysis.lint.graph import Graph
from gateway.analysis.lint.ground import Ground
from gateway.analysis.lint.meaning import Meanings
from gateway.policy.model import act_match
from gateway.policy.rows import rule_sentences
from gateway.policy.terms import Effect, Rule

_EXAMPLES: Final = 3


def overlaps(ground: Ground, meanings: Meanings) -> Iterator[Finding]:
    """One finding for each deny that meets allows in part, where neither covers the other."""
    denies = [rule for rule in ground.of(Effect.DENY) if not rule.subject.endswith("*")]
    allows = _Allows(ground.of(Effect.ALLOW))
    people = _People(ground.graph)
    for done, deny in enumerate(denies, start=1):
        told(ground.progress, "denies against allows", done, len(denies))
        over = Over.of(deny, ground.graph)
        met = (
            (allow, shared)
            for allow in allows.meeting(people.beside(deny.subject, deny.domain), deny.object)
            if (shared := _shared(allow, deny)) is not None
            and not _carved(allow, deny, over)
            and not _covered(allow, deny, shared, ground.graph)
            and people.meet(allow.subject, deny.subject, shared.domain)
            and not rule_sentences((shared.subject, "*", "*", shared.object, shared.action, "", Effect.DENY.value))
            and not meanings.spared(allow.when, deny.when)
        )
        if found := sorted(islice(met, _EXAMPLES), key=lambda each: ground.order[each[0].place]):
            yield _finding(deny, found)


def _finding(deny: Rule, met: list[tuple[Rule, Rule]]) -> Finding:
    shared = met[0][1]
    sentence = (
        f"{row_text(deny)} takes a part of what {named(allow.place for allow, _ in met)} gives: for example "
        f"`{shared.subject}` may not `{shared.action}` `{shared.object}` in `{shared.domain}` of `{shared.owner}`"
        f"{' unless the condition is false' if deny.when else ''}; see that this is meant"
    )
    return Finding(Code.OVERLAP, deny.place, sentence, tuple(allow.place for allow, _ in met))


def _carved(allow: Rule, deny: Rule, over: Over) -> bool:
    """Whether a deny lies wholly within an allow: an exception from it, as denies are for."""
    wide = replace(allow, action=deny.action, effect=Effect.DENY, expires=None)
    return covers(wide, deny, over) and not (allow.object == "*" and is_gateway(deny.object))


def _covered(allow: Rule, deny: Rule, shared: Rule, graph: Graph) -> bool:
    """Whether a deny takes all that an allow gives; what is cheap to see comes first."""
    if (shared.domain, shared.object) != (allow.domain, allow.object):
        return False
    return further_covered(allow, deny) and covers(deny, allow, Over.of(allow, graph))


def _shared(allow: Rule, deny: Rule) -> Rule | None:
    """The row of the questions that both match, whoever asks; ``None`` when there are none."""
    domain = _narrower(allow.domain, deny.domain)
    owner = _narrower(allow.owner, deny.owner)
    action = allow.action if deny.action == "*" else deny.action
    if domain is None or owner is None or not act_match(action, allow.action, Effect.ALLOW):
        return None
    object = max(allow.object, deny.object, key=lambda each: (each != "*", len(each)))
    if allow.object == "*" and is_gateway(object):
        return None
    return replace(allow, subject=deny.subject, domain=domain, owner=owner, object=object, action=action)


def _narrower(one: str, other: str) -> str | None:
    if other in (one, "*"):
        return one
    return other if one == "*" else None


class _Allows:
    """The allows by subject, each sorted by object, to find those that a deny may meet."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by: dict[str, list[Rule]] = {}
        for rule in sorted(rules, key=attrgetter("object")):
            self._by.setdefault(rule.subject, []).append(rule)

    def meeting(self, subjects: Iterable[str], object: str) -> Iterator[Rule]:
        """The allows of ``subjects`` whose objects have something in common with ``object``."""
        wider = [each for each in patterns_over(object) if each != object]
        for subject in subjects:
            if rules := self._by.get(subject):
                yield from (rule for pattern in wider for rule in _exact(rules, pattern))
                yield from _below(rules, object.removesuffix("*")) if object.endswith("*") else _exact(rules, object)


def _below(rules: list[Rule], begin: str) -> Iterator[Rule]:
    for at in range(bisect_left(rules, begin, key=attrgetter("object")), len(rules)):
        if not rules[at].object.startswith(begin):
            return
        yield rules[at]


def _exact(rules: list[Rule], object: str) -> Iterator[Rule]:
    for rule in _below(rules, object):
        if rule.object != object:
            return
        yield rule


class _People:
    """Which names may belong to one and the same subject."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def beside(self, name: str, domain: str) -> Iterator[str]:
        """Every name that a subject known as ``name`` may have in ``domain``, the nearest first; where that is ``*``,
        also names that he has in different domains.
        """
        graph = self._graph.merged if domain == "*" else self._graph
        seen: set[str] = set()
        for found in self._beside(name, domain, graph):
            fresh = [each for each in found if each not in seen]
            seen.update(fresh)
            yield from fresh

    @staticmethod
    def _beside(name: str, domain: str, graph: Graph) -> Iterator[Iterable[str]]:
        yield graph.ever(name, domain)
        yield crowds_over(name) if is_concrete(name) else ("*", "user:*")
        for member in graph.turned.ever(name, domain):
            yield crowds_over(member)
            yield graph.ever(member, domain)

    def meet(self, name: str, other: str, domain: str) -> bool:
        """Whether somebody is known under both names in ``domain`` (``*``: in every domain); ``name`` is one of those
        beside ``other``.
        """
        if name == other or name.endswith("*"):
            return True
        members = self._graph.turned.ever
        return not members(name, domain).keys().isdisjoint(members(other, domain).keys())
