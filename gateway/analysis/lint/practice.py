"""Findings about single rows: what has expired, and what good practice writes differently.

This file looks at columns and notes only.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from gateway.analysis.lint.findings import Code, Finding, row_text
from gateway.analysis.lint.ground import Ground
from gateway.policy.limits import DEFAULT
from gateway.policy.rules import LIMITS_FILE
from gateway.policy.terms import Effect, Link, Rule


def practice(ground: Ground) -> Iterator[Finding]:
    """What each row of the files says about itself."""
    rows: tuple[Rule | Link, ...] = (*ground.bundle.rules, *ground.bundle.links)
    for row in rows:
        if not ground.lives(row):
            yield Finding(Code.EXPIRED, row.place, _expired(row))
    for rule in ground.rules:
        yield from _deny(rule) if rule.effect is Effect.DENY else _allow(rule)
    yield from _classes(ground)


def _expired(row: Rule | Link) -> str:
    day = datetime.fromtimestamp((row.expires or 0) / 1000, UTC).date().isoformat()
    return f"{row_text(row)} is off since {day}; remove it, or give it another `@expires`"


def _allow(rule: Rule) -> Iterator[Finding]:
    if rule.expires is None and (reason := _broad(rule)):
        sentence = (
            f"{row_text(rule)} {reason}, and without an end; name the objects or people that are meant, or write "
            f"`# @expires` above it"
        )
        yield Finding(Code.BROAD_ALLOW, rule.place, sentence)


def _broad(rule: Rule) -> str:
    """Why an allow gives more than people see at a glance. What somebody manages of his own is his own affair."""
    if rule.object == "*" and rule.action in ("write", "manage", "share"):
        return f"allows `{rule.action}` of everything"
    crowd = rule.subject.endswith("*")
    if crowd and (rule.action in ("write", "share") or (rule.action in ("manage", "act-as") and rule.owner != "self")):
        return f"allows everybody in `{rule.subject}` to `{rule.action}`"
    return ""


def _deny(rule: Rule) -> Iterator[Finding]:
    if not rule.id:
        sentence = f"{row_text(rule)} has no name by which refusals can tell it; write `# @id NAME` above it"
        yield Finding(Code.DENY_WITHOUT_ID, rule.place, sentence)
    if rule.domain != "*":
        sentence = f"{row_text(rule)} denies in `{rule.domain}` only, and no other server; write `*` as its domain"
        yield Finding(Code.DENY_IN_ONE_DOMAIN, rule.place, sentence)
    if rule.owner == "self":
        sentence = (
            f"{row_text(rule)} denies on one's own connection only, and not on a lent one or the operator's; write `*` "
            f"as its owner"
        )
        yield Finding(Code.DENY_OF_SELF, rule.place, sentence)


def _classes(ground: Ground) -> Iterator[Finding]:
    rules = (row for row in (*ground.rules, *ground.made) if isinstance(row, Rule))
    allowed = {rule.action for rule in rules if rule.effect is Effect.ALLOW}
    for each in ground.bundle.limits.classes:
        if f"rate:{each.name}" not in allowed and each.name != DEFAULT:
            sentence = f"no row allows `rate:{each.name}`, so nobody has the class `{each.name}`; give it, or remove it"
            yield Finding(Code.CLASS_UNUSED, ground.file(LIMITS_FILE), sentence)
