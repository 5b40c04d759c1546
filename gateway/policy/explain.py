"""Why a question got its answer: every row that spoke, and for a no the row that came nearest to a yes.

Pure functions over rows and roles; this file decides nothing, and knows neither Casbin nor the index.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.policy.index import Row
from gateway.policy.model import act_match, dom_match, obj_match, one_ladder, own_match
from gateway.policy.roles import Roles, moment
from gateway.policy.terms import Access, Decision, Effect, Reason, Rule

_PARTS: Final = ("subject", "domain", "owner", "action", "expires", "condition")


@dataclass(frozen=True, slots=True)
class Spoke:
    """A rule whose columns all match. ``outcome`` is that of its condition (``None``: it could not be judged),
    ``applies`` whether it counts after that; ``path`` leads from the subject or a group to the rule's subject.
    """

    rule: Rule
    outcome: bool | None
    applies: bool
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """An allow that did not come to pass: the first ``part`` that failed (``subject``, ``domain``, ``owner``,
    ``action``, ``expires`` or ``condition``), and a sentence about it.
    """

    rule: Rule
    part: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Explanation:
    decision: Decision
    spoke: tuple[Spoke, ...]
    nearest: Miss | None = None


def explain(
    access: Access, decision: Decision, *, matching: Iterable[Row], allows: Iterable[Row], roles: Roles
) -> Explanation:
    """``matching`` are the rows whose columns match, denies first, ``allows`` all that are about the object."""
    spoke = tuple(_spoke(access, row, roles) for row in matching)
    if decision.allowed or decision.reason is Reason.DENIED:
        return Explanation(decision, spoke)
    return Explanation(decision, spoke, _nearest(access, allows, roles))


def _spoke(access: Access, row: Row, roles: Roles) -> Spoke:
    context = access.context
    applies = row.condition.bites(context) if row.rule.effect is Effect.DENY else row.condition.holds(context)
    path = roles.path((access.subject, *sorted(context.groups or ())), row.rule.subject, access.domain, moment(context))
    return Spoke(row.rule, row.condition.judge(context), applies, path)


def _nearest(access: Access, allows: Iterable[Row], roles: Roles) -> Miss | None:
    """Of the allows that speak of the object and the ladder, the one most of whose parts match; of equals, the one
    that fails latest.
    """
    best: Miss | None = None
    most = (-1, -1)
    for row in allows:
        rule = row.rule
        if not obj_match(access.object, rule.object, rule.effect):
            continue
        failed = _failed(access, row, roles) if one_ladder(access.action, rule.action) else []
        near = (len(_PARTS) - len(failed), _PARTS.index(failed[0][0])) if failed else most
        if near > most:
            best, most = Miss(rule, *failed[0]), near
    return best


def _failed(access: Access, row: Row, roles: Roles) -> list[tuple[str, str]]:
    """The parts of an allow that fail, as (part, sentence)."""
    rule, context, now = row.rule, access.context, moment(access.context)
    names = roles.names(access.subject, access.domain, context.groups, now).allow
    outcomes = {
        "subject": (rule.subject in names, f"`{access.subject}` is not `{rule.subject}` in `{access.domain}`"),
        "domain": (dom_match(access.domain, rule.domain), f"the rule is for the domain `{rule.domain}`"),
        "owner": (own_match(access.owner, access.subject, rule.owner), f"the rule is for what `{rule.owner}` owns"),
        "action": (act_match(access.action, rule.action, rule.effect), f"the rule allows `{rule.action}` only"),
        "expires": (row.lives(now), "the rule has expired"),
        "condition": (row.condition.holds(context), f"the condition `{rule.when}` is not met"),
    }
    return [(part, outcomes[part][1]) for part in _PARTS if not outcomes[part][0]]
