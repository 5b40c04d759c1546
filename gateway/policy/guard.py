"""Who may give what to whom, and that somebody keeps the keys of the policy itself.

Columns cannot say these rules, so those who write grants and apply bundles ask here. Pure functions; this
file reads no store and changes no policy.
"""

from collections.abc import Mapping
from typing import Final

from gateway.policy.engine import FRESH, Policy
from gateway.policy.terms import MAIN, SYSTEM, Access, Context, Effect, Json, Link, Rule, Subject

POLICY: Final = "gateway/policy"

_AT_LAST: Final = 2**62
"""Later than every expiry, in ms since the epoch."""


def grant_problem(policy: Policy, maker: Subject, grant: Rule | Link, env: Mapping[str, Json]) -> str:
    """Why ``maker`` may not write ``grant`` at all, as a sentence; ``""`` when nothing stands against it here.

    Nobody gives a role that he does not hold himself, there and for as long, unless he manages the policy;
    nobody writes a rule with another subject as its owner. Whether he may write grants is a decision of its own.
    """
    if isinstance(grant, Rule):
        if grant.owner in ("self", SYSTEM, "*", maker.name):
            return ""
        return f"only `{grant.owner}` can write a grant about what belongs to `{grant.owner}`"
    until = None if grant.expires is None else grant.expires - 1
    if grant.role.removeprefix("role:") in policy.roles_of(maker.name, grant.domain, until, maker.groups):
        return ""
    context = Context(claims=maker.claims, groups=maker.groups, env=env)
    if policy.decide((Access(maker.name, MAIN, SYSTEM, POLICY, "manage", context),)).allowed:
        return ""
    return f"`{maker.name}` does not have `{grant.role}` in `{grant.domain}` for as long, and so cannot give it"


def managers(policy: Policy, now: int) -> frozenset[str]:
    """The users named in the policy who manage it at ``now`` (ms) and for good; ``user:*`` stands for every user.

    What is unknown of someone absent counts for him: a condition is taken as met on an allow, as not met on a deny.
    """
    named = {rule.subject for rule in policy.rules} | {link.member for link in policy.links}
    users = {name: name for name in named if name.startswith("user:")} | {"user:*": f"user:{FRESH}"}
    return frozenset(
        user for user, name in users.items() if all(_manages(policy, name, each) for each in (now, _AT_LAST))
    )


def problem_of_apply(policy: Policy, now: int) -> str:
    """Why ``policy`` must not come into force: nobody could change it any more. ``""`` when somebody can."""
    if managers(policy, now):
        return ""
    return (
        f"no `user:` would manage `{POLICY}` for good; keep a rule such as "
        f"`p, role:security, main, system, {POLICY}, manage, , allow`, and give somebody the role without an expiry"
    )


def _manages(policy: Policy, user: str, now: int) -> bool:
    rules = policy.matching(Access(user, MAIN, SYSTEM, POLICY, "manage", Context(env={"now": now})))
    return any(rule.effect is Effect.ALLOW for rule in rules) and not any(
        rule.effect is Effect.DENY and not rule.when for rule in rules
    )
