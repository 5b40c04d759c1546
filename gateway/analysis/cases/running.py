"""Run a policy's own tests: every case, every exact list, everything that must never be, and which rows spoke.

Pure: the time of the run comes in, and the same inputs give the same results. How questions are built stands in
``world.py``, exact lists in ``lists.py``, what must never be in ``never.py``.
"""

from collections.abc import Iterator
from typing import Final

from gateway.analysis.cases.lists import what_result, who_result
from gateway.analysis.cases.never import never_results
from gateway.analysis.cases.results import Coverage, Failure, Kind, Result, Results
from gateway.analysis.cases.terms import Case, Cases
from gateway.analysis.cases.words import named, question_words, row_words
from gateway.analysis.cases.world import World
from gateway.analysis.inventory import Inventory
from gateway.policy.engine import Policy
from gateway.policy.terms import Access, Chain, Effect, Json, Rule

EXPLAINED: Final = 10
"""Unexpected denials of a run for which the nearest row is looked for: that means reading every row."""


def run(policy: Policy, cases: Cases, inventory: Inventory, *, now: int) -> Results:
    """What came of ``cases`` under ``policy``, with its grants; ``now`` is the time of the run in ms since the epoch,
    for whatever does not say another.
    """
    world = World.of(policy, cases, inventory, now)
    every = _Cases(world)
    results = [
        *(every.result(case) for case in cases.cases),
        *(who_result(world, who) for who in cases.who),
        *(what_result(world, what) for what in cases.what),
        *(never_results(world)),
    ]
    return Results(tuple(results), every.coverage())


class _Cases:
    """The cases of one run, and the rows that spoke in them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._policy = world.policy
        self._spoke: set[Rule] = set()
        self._explained = 0

    def result(self, case: Case) -> Result:
        if strange := self._world.strange((*case.subjects, case.owner), case.objects):
            return Result.of(Kind.CASE, case.place, case.title, asked=0, failures=strange)
        outcomes = list(self._outcomes(case))
        return Result.of(Kind.CASE, case.place, case.title, asked=len(outcomes), failures=filter(None, outcomes))

    def coverage(self) -> Coverage:
        """Of the rules of the files; those built in and those of grants are not theirs to test."""
        rules = self._policy.bundle.rules if self._policy.bundle else ()
        spoke = {rule.place for rule in self._spoke}
        return Coverage(
            tuple(rule for rule in rules if rule.place in spoke),
            tuple(rule for rule in rules if rule.place not in spoke),
        )

    def _outcomes(self, case: Case) -> Iterator[Failure | None]:
        """For each question the failure, if it is one."""
        for question in case.questions():
            for thing in self._world.things(question.object, question.domain):
                chain = self._world.chain(question, thing, case.owner, case.facts)
                self._listen(chain)
                got = self._listed(case, chain, thing.schema) if case.expect.listing else self._decided(case, chain)
                yield got and Failure(question_words(question.subject, chain[0]), *got)

    def _decided(self, case: Case, chain: Chain) -> tuple[str, str, str] | None:
        """What was expected, what came, and why; ``None`` when it came as expected."""
        decision = self._policy.decide(chain)
        expected = f"{case.expect} by `{case.by}`" if case.by else case.expect.value
        got = "allow" if decision.allowed else "deny"
        why = f"by {row_words(decision.rule)}" if decision.rule else ""
        if decision.allowed is not case.expect.wanted:
            asked = decision.access or chain[0]
            return expected, got, why or self._nearest(asked, chain)
        if case.by and not (decision.rule and _is_row(decision.rule, case.by)):
            return expected, got, why or "by no row at all"
        return None

    def _listed(self, case: Case, chain: Chain, schema: Json) -> tuple[str, str, str] | None:
        possible = self._policy.possible(chain, schema)
        if possible is case.expect.wanted:
            return None
        why = self._world.through(chain, Effect.ALLOW if possible else Effect.DENY)
        return case.expect.value, "listed" if possible else "hidden", why or self._nearest(chain[0], chain)

    def _nearest(self, access: Access, chain: Chain) -> str:
        """Why no row allowed it."""
        self._explained += 1
        whose = "" if access is chain[0] else f" for the lender `{access.subject}`"
        if self._explained > EXPLAINED:
            return f"no row allows it{whose}"
        nearest = self._policy.explain(access).nearest
        if nearest is None:
            return f"no row allows it{whose}"
        return f"no row allows it{whose}; nearest {row_words(nearest.rule)}: {named(nearest.sentence)}"

    def _listen(self, chain: Chain) -> None:
        for access in chain:
            self._spoke.update(self._world.speaking(access))


def _is_row(rule: Rule, name: str) -> bool:
    """Whether ``name`` is the id of a rule, its place, or the end of its place (``rules.csv:14``)."""
    return name in (rule.id, str(rule.place)) or str(rule.place).endswith(f"/{name}")
