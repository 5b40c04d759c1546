"""What stands against a grant before it is written: who makes it, and what must never be.

A grant that takes something away is never refused for what the policy's tests say, and nothing here ever stands
against removing one. Whoever writes grants asks here and tells the maker.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from gateway.analysis.cases import broken_by, read_cases, touched_by
from gateway.analysis.inventory import Inventory
from gateway.identity import Identities
from gateway.manage.asking import Asker, now_of
from gateway.policy.engine import Policy
from gateway.policy.guard import grant_problem
from gateway.policy.terms import Effect, Json, Link, Rule, Subject

NO_GRANTS: Final[Mapping[str, Rule | Link]] = MappingProxyType({})

_BESIDE: Final = "\x00"
"""What the key of a grant begins with that is not written yet; no id of a grant does."""


def refusal(asker: Asker, *grants: Rule | Link) -> str:
    """Why ``asker`` may not write ``grants``, none of which is part of his policy yet, as a sentence for him; ``""``
    when nothing stands against them: neither his own rights, nor what they would allow all together. Costs the same
    however many accounts there are, unless what must never be is concerned.
    """
    his = (grant_problem(asker.policy, asker.subject, each, asker.env) for each in grants)
    return next(filter(None, his), "") or next(filter(None, _breaking(asker, grants)), "")


def _breaking(asker: Asker, grants: Sequence[Rule | Link]) -> Iterator[str]:
    """What stands against each, beside those before it."""
    people, now = partial(_everybody, asker.identities), now_of(asker)
    for place, grant in enumerate(grants):
        before = {f"{_BESIDE}{at}": each for at, each in enumerate(grants[:place])}
        yield _broken(asker.policy, grant, people, now, beside=before)


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
    return _broken(policy, grant, lambda: people, now)


def _broken(
    policy: Policy,
    grant: Rule | Link,
    people: Callable[[], Inventory],
    now: int,
    beside: Mapping[str, Rule | Link] = NO_GRANTS,
) -> str:
    if policy.bundle is None or (isinstance(grant, Rule) and grant.effect is Effect.DENY):
        return ""
    cases = read_cases(policy.bundle.cases)
    if isinstance(cases, list):
        return f"the policy's own tests cannot be read, so that nobody knows what must never be: {cases[0]}"
    if not touched_by(cases, grant):
        return ""
    under = policy.changed(beside, (), policy.version) if beside else policy
    broken = broken_by(under, cases, people(), grant, now=now)
    return f"it would allow what must never be: {broken[0].question} {broken[0].why}" if broken else ""


def _everybody(identities: Identities) -> Inventory:
    return Inventory(tuple(Subject(f"user:{id}") for id in identities.users))
