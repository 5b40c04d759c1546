"""What stands against a grant before it is written: who makes it, and what must never be.

A grant that takes something away is never refused for what the policy's tests say, and nothing here ever stands
against removing one. Whoever writes grants asks here and tells the maker.
"""

from collections.abc import Mapping

from gateway.analysis.cases import broken_by, read_cases
from gateway.analysis.inventory import Inventory
from gateway.policy.engine import Policy
from gateway.policy.guard import grant_problem
from gateway.policy.terms import Effect, Json, Link, Rule, Subject


def grant_refusal(
    policy: Policy, maker: Subject, grant: Rule | Link, *, env: Mapping[str, Json], people: Inventory, now: int
) -> str:
    """Why ``maker`` may not write ``grant``, which is not part of ``policy`` yet, as a sentence for him; ``""`` when
    nothing stands against it. ``people`` are those who have an account, ``now`` is in ms since the epoch.
    """
    return grant_problem(policy, maker, grant, env) or never_broken(policy, grant, people, now)


def never_broken(policy: Policy, grant: Rule | Link, people: Inventory, now: int) -> str:
    """Which ``never`` of the policy's own tests ``grant`` would break, as a sentence; ``""`` for none. What is broken
    already is not its fault.
    """
    if policy.bundle is None or (isinstance(grant, Rule) and grant.effect is Effect.DENY):
        return ""
    cases = read_cases(policy.bundle.cases)
    if isinstance(cases, list):
        return f"the policy's own tests cannot be read, so that nobody knows what must never be: {cases[0]}"
    broken = broken_by(policy, cases, people, grant, now=now)
    return f"it would allow what must never be: {broken[0].question} {broken[0].why}" if broken else ""
