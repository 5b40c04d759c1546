"""What stands against a grant before it is written: who makes it, and what must never be.

A grant that takes something away is never refused for what the policy's tests say, and nothing here ever stands
against removing one. Whoever writes grants asks here and tells the maker.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from gateway.analysis.cases import Cases, broken_by, read_cases, touched_by
from gateway.analysis.inventory import Inventory
from gateway.identity import Identities
from gateway.manage.asking import Asker, now_of
from gateway.policy.engine import Policy
from gateway.policy.guard import grant_problem
from gateway.policy.terms import Effect, Json, Link, Problem, Rule, Subject

NO_GRANTS: Final[Mapping[str, Rule | Link]] = MappingProxyType({})

_BESIDE: Final = "\x00"
"""What the key of a grant begins with that is not written yet; no id of a grant does."""


def refusal(asker: Asker, *grants: Rule | Link, replacing: Collection[str] = ()) -> str:
    """Why ``asker`` may not write ``grants``, none of which is part of his policy yet, as a sentence for him; ``""``
    when nothing stands against them: neither his own rights, nor what they would allow all together. ``replacing``
    are the ids of grants that go when these come. Costs the same however many accounts there are, unless what must
    never be is concerned.
    """
    his = (grant_problem(asker.policy, asker.subject, each, asker.env) for each in grants)
    return next(filter(None, his), "") or next(filter(None, _breaking(asker, grants, replacing)), "")


def _breaking(asker: Asker, grants: Sequence[Rule | Link], replacing: Collection[str]) -> Iterator[str]:
    """What stands against each, beside those before it; what takes something away counts as there from the first."""
    court = _Court.of(asker.policy, partial(_everybody, asker.identities), now_of(asker))
    policy = asker.policy.changed(NO_GRANTS, replacing, asker.policy.version) if replacing else asker.policy
    beside: dict[str, Rule | Link] = {}
    for place, grant in enumerate(sorted(grants, key=_opens)):
        yield court.broken(policy, grant, beside=beside)
        beside[f"{_BESIDE}{place}"] = grant


def _opens(grant: Rule | Link) -> bool:
    return isinstance(grant, Link) or grant.effect is not Effect.DENY


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
    return _Court.of(policy, lambda: people, now).broken(policy, grant)


@dataclass(frozen=True, slots=True)
class _Court:
    """What must never be, read once for as many grants as are asked about."""

    cases: Cases | list[Problem]
    people: Callable[[], Inventory]
    now: int

    @classmethod
    def of(cls, policy: Policy, people: Callable[[], Inventory], now: int) -> "_Court":
        return cls(Cases() if policy.bundle is None else read_cases(policy.bundle.cases), people, now)

    def broken(self, policy: Policy, grant: Rule | Link, beside: Mapping[str, Rule | Link] = NO_GRANTS) -> str:
        """Why ``policy`` with those ``beside`` must not have ``grant`` too."""
        if isinstance(grant, Rule) and grant.effect is Effect.DENY:
            return ""
        if isinstance(self.cases, list):
            return f"the policy's own tests cannot be read, so that nobody knows what must never be: {self.cases[0]}"
        if not touched_by(self.cases, grant):
            return ""
        under = policy.changed(beside, (), policy.version) if beside else policy
        broken = broken_by(under, self.cases, self.people(), grant, now=self.now)
        return f"it would allow what must never be: {broken[0].question} {broken[0].why}" if broken else ""


def _everybody(identities: Identities) -> Inventory:
    return Inventory(tuple(Subject(f"user:{id}") for id in identities.users))
