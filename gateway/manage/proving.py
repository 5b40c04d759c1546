"""What a bundle would be if it came into force now: with the grants that live, held against its own tests, and
compared with the policy in force.

Nothing is changed here and nothing is stored; who refuses what for it is decided by the callers.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from gateway.analysis.cases import Cases, Result, Results, read_cases, run
from gateway.analysis.inventory import Inventory
from gateway.analysis.named import named
from gateway.analysis.plan import plan
from gateway.manage.users import ADMIN_ROLES, EVERYWHERE
from gateway.policy.bundle import Bundle
from gateway.policy.engine import BadPolicy, Policy, grant_rows
from gateway.policy.guard import problem_of_apply
from gateway.policy.terms import Link, Place, Problem, Rule, Subject
from gateway.records import CaseCounts, Grant, RightsChange
from gateway.servers.rows import all_grants
from gateway.store.base import Changes

FIRST_ACCOUNT: Final = tuple(
    Link("user:first-account", f"role:{role}", EVERYWHERE, Place("first start")) for role in ADMIN_ROLES
)
"""What the first start will give, for a policy that is applied before it."""

CULPRITS: Final = 5
"""Grants that are named for one case, and cases for which they are looked for."""


PLAN_S: Final = 10.0
"""How long the change of rights is looked for; without it the history tells less, and nothing else."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found. ``lock_out`` is a sentence when nobody could change the policy any more; ``failed`` are cases
    that the bundle itself gets wrong, ``by_grants`` those that only grants make wrong, with the grants that do.
    ``counts`` are ``None`` when there are no cases, or none that can be read.
    """

    lock_out: str
    counts: CaseCounts | None = None
    failed: tuple[Problem, ...] = ()
    by_grants: tuple[Problem, ...] = ()


def prove(bundle: Bundle, people: Changes, now: int) -> Proof:
    """Hold ``bundle`` against the accounts and grants that there are. Raises ``BadPolicy`` when it cannot be built."""
    rows = living(all_grants(people), now)
    policy = Policy.build(bundle, rows, "")
    lasting = policy if people.users else policy.with_grants(FIRST_ACCOUNT, "")
    lock_out = problem_of_apply(lasting, now)
    cases = read_cases(bundle.cases)
    if isinstance(cases, list):
        return Proof(lock_out, failed=tuple(cases))
    if not cases.size:
        return Proof(lock_out)
    trial = _Trial(policy, known(people), rows, now)
    results = trial.results(rows, cases)
    alone = {result.place for result in trial.results((), _only(cases, results.failed)).failed}
    return Proof(
        lock_out,
        _counts(results),
        tuple(_problem(result) for result in results.failed if result.place in alone),
        tuple(trial.accused(cases, [result for result in results.failed if result.place not in alone])),
    )


def change(
    old: Bundle | None, new: Bundle, people: Changes, now: int, patience_s: float = PLAN_S
) -> RightsChange | None:
    """How far the rights of the known people to what rows name change from one bundle to the other, with the same
    grants; ``None`` when that is not found out in time. Raises ``BadPolicy`` when one of them cannot be built.
    """
    rows, until = living(all_grants(people), now), time.monotonic() + patience_s

    def in_time(_done: int, _of: int) -> None:
        if time.monotonic() > until:
            raise TimeoutError

    policies = Policy.build(old, rows, ""), Policy.build(new, rows, "")
    try:
        found = plan(*policies, named(policies, known(people).subjects), now, in_time)
    except TimeoutError:
        return None
    return RightsChange(widened=found.widened, narrowed=found.narrowed, users=len(found.users))


def known(people: Changes) -> Inventory:
    """Everybody who has an account; what there is to use is not asked for here, because upstreams may be away."""
    return Inventory(tuple(Subject(f"user:{user.id}") for user in people.users))


def living(grants: Iterable[Grant], now: int) -> list[Rule | Link]:
    """The rows of the grants that have not ended."""
    return rows_of(grant for grant in grants if grant.expires_at is None or now < grant.expires_at)


def rows_of(grants: Iterable[Grant]) -> list[Rule | Link]:
    """The rows of grants, in the order in which nodes have them; one that cannot be read gives nothing to anybody."""
    rows = []
    for grant in sorted(grants, key=lambda grant: grant.id):
        with suppress(BadPolicy):
            rows.append(grant_rows(grant))
    return rows


@dataclass(frozen=True, slots=True)
class _Trial:
    """One policy, run with more or fewer of its grants."""

    policy: Policy
    inventory: Inventory
    rows: Sequence[Rule | Link]
    now: int

    def results(self, rows: Sequence[Rule | Link], cases: Cases) -> Results:
        if not cases.size:
            return Results()
        policy = self.policy if rows is self.rows else self.policy.with_grants(rows, "")
        return run(policy, cases, self.inventory, now=self.now)

    def accused(self, cases: Cases, broken: Sequence[Result]) -> Iterator[Problem]:
        """For each case that grants alone break, which ones do."""
        for index, result in enumerate(broken):
            names = self._culprits(_only(cases, [result])) if index < CULPRITS else []
            blame = "; ".join(map(_withdrawal, names)) or "only grants make it fail"
            yield _problem(result, blame)

    def _culprits(self, cases: Cases) -> list[Rule | Link]:
        """Grants without which ``cases`` would pass, up to ``CULPRITS``."""
        found: list[Rule | Link] = []
        left = list(self.rows)
        while len(found) < CULPRITS and (culprit := self._first(left, cases)) is not None:
            found.append(culprit)
            left.remove(culprit)
        return found

    def _first(self, rows: Sequence[Rule | Link], cases: Cases) -> Rule | Link | None:
        """A grant that, added to those before it, makes ``cases`` fail; ``None`` when they pass with all."""
        if self.results(rows, cases).passed:
            return None
        passing, failing = 0, len(rows)
        while failing - passing > 1:
            middle = (passing + failing) // 2
            if self.results(rows[:middle], cases).passed:
                passing = middle
            else:
                failing = middle
        return rows[passing]


def _only(cases: Cases, results: Sequence[Result]) -> Cases:
    """Those of ``cases`` that ``results`` tell of, with all that they may name."""
    places = {result.place for result in results}
    return replace(
        cases,
        cases=tuple(each for each in cases.cases if each.place in places),
        who=tuple(each for each in cases.who if each.place in places),
        what=tuple(each for each in cases.what if each.place in places),
        never=tuple(each for each in cases.never if each.place in places),
    )


def _counts(results: Results) -> CaseCounts:
    failed, covered = len(results.failed), len(results.coverage.spoke)
    return CaseCounts(
        passed=len(results.results) - failed,
        failed=failed,
        covered=covered,
        rows=covered + len(results.coverage.silent),
    )


def _problem(result: Result, blame: str = "") -> Problem:
    more = f" and {result.failed - 1} more" if result.failed > 1 else ""
    told = f"{result.failures[0]!s}{more}" if result.failures else "it fails"
    return Problem(result.place, f"test `{result.name}`: {told}" + (f"; {blame}" if blame else ""))


def _withdrawal(grant: Rule | Link) -> str:
    """Which grant it is, and how it is taken back."""
    if isinstance(grant, Link) and grant.member.startswith("user:"):
        words = f"{grant.member.removeprefix('user:')} {grant.role.removeprefix('role:')}"
        domain = "" if grant.domain == EVERYWHERE else f" --domain {grant.domain}"
        return f"`{grant.place}` makes it fail; `ostiary users withdraw-role {words}{domain}` takes it back"
    return f"`{grant.place}` makes it fail; withdraw it"
