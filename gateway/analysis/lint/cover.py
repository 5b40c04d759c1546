"""When one row says all that another one says, as far as their columns go; conditions are left to the callers.

What is found holds for every question, also about subjects, servers and tools that nobody has named yet: it follows
from the matching functions of the model alone. This file finds no faults and judges no conditions.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.analysis.lint.graph import Graph
from gateway.policy.model import ELSEWHERE, LADDERS, act_match
from gateway.policy.terms import MAIN, Effect, Rule

_CONCRETE: Final = ("user:", "end:", "server:")


@dataclass(frozen=True, slots=True)
class Over:
    """Where the rows stand that may cover a rule: the names, domains and patterns that hold all that it names."""

    subjects: tuple[str, ...]
    domains: tuple[str, ...]
    patterns: tuple[str, ...]

    @classmethod
    def of(cls, rule: Rule, graph: Graph) -> "Over":
        names = graph.reach(rule.subject, rule.domain, rule.expires).items()
        sure = (name for name, hops in names if graph.fits(rule.subject, hops))
        return cls((*sure, *crowds_over(rule.subject)), domains_over(rule.domain), patterns_over(rule.object))


class Rows:
    """Rules of one effect, to be looked up by subject, domain and object."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rows: dict[tuple[str, str], dict[str, list[Rule]]] = {}
        for rule in rules:
            self._rows.setdefault((rule.subject, rule.domain), {}).setdefault(rule.object, []).append(rule)

    def covering(self, rule: Rule, over: Over) -> Iterator[Rule]:
        """The rows whose columns match every question that those of ``rule`` match, for as long; itself, too.

        ``over`` is that of the rule.
        """
        for subject in over.subjects:
            for domain in over.domains:
                if by_object := self._rows.get((subject, domain)):
                    for pattern in over.patterns:
                        yield from (by for by in by_object.get(pattern, ()) if further_covered(rule, by))


def covers(by: Rule, rule: Rule, over: Over) -> bool:
    """Whether the columns of ``by`` match every question that those of ``rule`` match, for as long."""
    return (
        by.subject in over.subjects
        and by.domain in over.domains
        and by.object in over.patterns
        and further_covered(rule, by)
    )


def further_covered(rule: Rule, by: Rule) -> bool:
    """The columns that are not looked up."""
    return (
        lasts(by, rule)
        and owner_covered(rule, by)
        and action_covered(rule, by)
        and (by.object != "*" or by.effect is Effect.DENY or not is_gateway(rule.object))
    )


def lasts(by: Rule, rule: Rule) -> bool:
    """Whether ``by`` lives as long as ``rule`` does."""
    return by.expires is None or (rule.expires is not None and by.expires >= rule.expires)


def is_concrete(subject: str) -> bool:
    """Whether it names one subject and not a crowd, a role or a group."""
    return subject.startswith(_CONCRETE) and not subject.endswith("*")


def is_gateway(object: str) -> bool:
    return object.startswith("gateway/")


def crowds_over(subject: str) -> tuple[str, ...]:
    """The crowds to which everybody belongs whom ``subject`` names, but for itself."""
    root, _, rest = subject.partition(":")
    if f"{root}:" not in _CONCRETE:
        return () if subject == "*" else ("*",)
    server, slash, _ = rest.partition("/")
    crowds = ("*", f"{root}:*", f"end:{server}/*") if root == "end" and slash else ("*", f"{root}:*")
    return tuple(crowd for crowd in crowds if crowd != subject)


def domains_over(domain: str) -> tuple[str, ...]:
    if domain == "*":
        return ("*",)
    return (domain, "*") if domain in (MAIN, ELSEWHERE) else (domain, "*", ELSEWHERE)


def patterns_over(object: str) -> tuple[str, ...]:
    """``object`` itself and every pattern that covers it."""
    begin = object.removesuffix("*")
    ends = [at for at, sign in enumerate(begin, start=1) if sign in "/:"]
    return tuple(dict.fromkeys((object, *(begin[:at] + "*" for at in ends), "*")))


def owner_covered(rule: Rule, by: Rule) -> bool:
    if by.owner in ("*", rule.owner):
        return True
    if not is_concrete(rule.subject):
        return False
    return rule.subject in (rule.owner, by.owner) and "self" in (rule.owner, by.owner)


def action_covered(rule: Rule, by: Rule) -> bool:
    """Whether ``by`` matches every action that ``rule`` matches."""
    if rule.effect is Effect.ALLOW:
        hardest = rule.action if by.effect is Effect.ALLOW else lowest_step(rule.action)
        return act_match(hardest, by.action, by.effect)
    return by.action == "*" or act_match(rule.action, by.action, by.effect)


def lowest_step(action: str) -> str:
    return next((ladder[0] for ladder in LADDERS if action in ladder), action)
