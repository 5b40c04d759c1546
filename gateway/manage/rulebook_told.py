"""Answers about the policy as JSON for programs: the same on the command line and over the management API.

Knows values only.
"""

from gateway.analysis.plan import Plan
from gateway.analysis.plan.text import plain
from gateway.analysis.rights import told
from gateway.analysis.who import Ability, Holder
from gateway.analysis.wording import row_text
from gateway.policy.explain import Explanation
from gateway.policy.model import is_subject
from gateway.policy.rows import as_written
from gateway.policy.terms import Json, Rule


def plan_told(plan: Plan) -> dict[str, Json]:
    """The whole plan: every name and every cell."""
    return plain(plan)


def explanation_told(explanation: Explanation) -> dict[str, Json]:
    """The decision, every row that had a word in it, and for a no the row that came nearest to a yes."""
    decision, nearest = explanation.decision, explanation.nearest
    return {
        "allowed": decision.allowed,
        "reason": decision.reason.value,
        "policy": decision.version,
        "rule": None if decision.rule is None else rule_text(decision.rule),
        "spoke": [
            {
                "rule": rule_text(spoke.rule),
                "applies": spoke.applies,
                "condition": spoke.outcome,
                "through": list(spoke.path),
            }
            for spoke in explanation.spoke
        ],
        "nearest": None
        if nearest is None
        else {"rule": rule_text(nearest.rule), "part": nearest.part, "why": nearest.sentence},
    }


def holder_told(holder: Holder) -> dict[str, Json]:
    """Who has a right, and by which rows."""
    names = sorted(holder.parties)
    return {
        "users": [name for name in names if is_subject(name)],
        "others": [name for name in names if not is_subject(name)],
        "may": told(holder.right),
        "rows": [row_text(rule) for rule in holder.rules],
    }


def ability_told(ability: Ability) -> dict[str, Json]:
    """What somebody may do, and by which rows."""
    return {
        "domain": ability.domain,
        "object": ability.object,
        "action": ability.action,
        "owner": ability.owner,
        "may": told(ability.right),
        "rows": [row_text(rule) for rule in ability.rules],
    }


def rule_text(rule: Rule) -> str:
    """A rule for people: its place and the row as files write it."""
    return f"{rule.place}: `{as_written(rule)}`"
