"""What the matcher of ``model.conf`` calls, as functions for plain Casbin: any of its enforcers can ask a snapshot.

They say what the engine says, one row at a time and without an index. This file knows no Casbin.
"""

from collections.abc import Callable
from typing import Final

from gateway.policy.engine import Policy
from gateway.policy.model import act_match, dom_match, is_subject, obj_match, own_match
from gateway.policy.roles import moment
from gateway.policy.terms import Context, Effect

_BEFORE_EVERY_EXPIRY: Final = 0


def matcher_functions(policy: Policy) -> dict[str, Callable[..., bool]]:
    """The functions of the matcher by their names, to be registered with an enforcer (``add_function``) that holds the
    rows of ``policy``.
    """
    named = (*(rule.subject for rule in policy.rules), *(link.member for link in policy.links))
    groups = frozenset(name for name in named if name.startswith("group:"))

    def sub_match(subject: str, domain: str, context: Context, row: str, effect: str) -> bool:
        if not is_subject(subject):
            return False
        now, known = moment(context), context.groups
        if effect == Effect.DENY:  # what is unknown counts for a deny, and against an allow
            now = _BEFORE_EVERY_EXPIRY if now is None else now
            known = groups if known is None else known
        return row in policy.known_as(subject, domain, now, known or frozenset())

    def cond(when: str, context: Context, effect: str) -> bool:
        condition = policy.condition(when)
        return condition.bites(context) if effect == Effect.DENY else condition.holds(context)

    return {
        "subMatch": sub_match,
        "domMatch": dom_match,
        "ownMatch": own_match,
        "objMatch": obj_match,
        "actMatch": act_match,
        "cond": cond,
    }
