"""Rows beside each other: those that could be removed, because another row says all that they say or a deny takes
all that they give, and those that are too many.

Found by lookup; no row is compared with every other one. This file knows what columns cover, and asks what
conditions mean.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.analysis.lint.cover import Over, Rows, patterns_over
from gateway.analysis.lint.findings import Code, Finding, named, row_text, told
from gateway.analysis.lint.ground import Ground
from gateway.analysis.lint.meaning import Meanings
from gateway.policy.floor import ROWS
from gateway.policy.terms import Effect, Rule

MANY: Final = 100
"""Rows of one subject looked at for one question, from which on it is worth a note."""

_COMPARED: Final = 50
"""Rows with which the condition of one row is compared by meaning."""


def covered_rows(ground: Ground, meanings: Meanings) -> Iterator[Finding]:
    """Rows that could be removed without changing any answer, even all of them at once."""
    gone: set[int] = set()
    denies = Rows((*ROWS, *ground.of(Effect.DENY)))
    allows = Rows(ground.of(Effect.ALLOW))
    total = len(ground.rules)
    for done, rule in enumerate(reversed(ground.rules), start=1):
        told(ground.progress, "rows against each other", done, total)
        over = Over.of(rule, ground.graph)
        found = _always_denied(rule, denies.covering(rule, over), meanings) if rule.effect is Effect.ALLOW else None
        if found is None:
            same = denies if rule.effect is Effect.DENY else allows
            found = _redundant(rule, (by for by in same.covering(rule, over) if id(by) not in gone), meanings)
        if found is not None:
            gone.add(id(rule))
            yield found


def _always_denied(rule: Rule, denies: Iterable[Rule], meanings: Meanings) -> Finding | None:
    over = list(denies)
    plain = next((deny for deny in over if not deny.when), None)
    by = [plain] if plain else _jointly(rule, over[:_COMPARED], meanings)
    if not by:
        return None
    sentence = (
        f"{row_text(rule)} gives nothing: {named(deny.place for deny in by)} "
        f"{'denies' if len(by) == 1 else 'deny'} every question that it allows; remove it, or narrow the deny"
    )
    return Finding(Code.ALWAYS_DENIED, rule.place, sentence, tuple(deny.place for deny in by))


def _jointly(rule: Rule, denies: list[Rule], meanings: Meanings) -> list[Rule]:
    """One deny that bites whenever the condition of ``rule`` holds, or all of them when only together they do."""
    for deny in denies:
        if meanings.shut(rule.when, (deny.when,)):
            return [deny]
    return denies if len(denies) > 1 and meanings.shut(rule.when, [deny.when for deny in denies]) else []


def _redundant(rule: Rule, over: Iterable[Rule], meanings: Meanings) -> Finding | None:
    conditional = 0
    for by in over:
        if by is rule:
            continue
        if by.when and not meanings.same(rule.when, by.when):
            conditional += 1
            if conditional > _COMPARED or not meanings.within(rule.when, by.when, rule.effect):
                continue
        return _redundant_finding(rule, by)
    return None


def _redundant_finding(rule: Rule, by: Rule) -> Finding:
    alike = _columns(rule) == _columns(by)
    says, one = ("says the same as", "one of them") if alike else ("says nothing that is not said by", "it")
    sentence = f"{row_text(rule)} {says} `{by.place}`, {row_text(by)}; remove {one}"
    return Finding(Code.REDUNDANT_ROW, rule.place, sentence, (by.place,))


def _columns(rule: Rule) -> tuple[object, ...]:
    return rule.subject, rule.domain, rule.owner, rule.object, rule.action, rule.when, rule.expires


def crowded_rows(ground: Ground) -> Iterator[Finding]:
    """Subjects of whom one question looks at very many rows."""
    buckets: dict[tuple[str, str], list[Rule]] = {}
    for rule in (*ground.rules, *(row for row in ground.made if isinstance(row, Rule))):
        buckets.setdefault((rule.subject, rule.domain), []).append(rule)
    for (subject, domain), rules in buckets.items():
        if len(rules) >= MANY:
            yield from _crowded(subject, domain, rules)


def _crowded(subject: str, domain: str, rules: list[Rule]) -> Iterator[Finding]:
    by_object: dict[str, list[Rule]] = {}
    for rule in rules:
        by_object.setdefault(rule.object, []).append(rule)
    looked_at = {each: sum(len(by_object.get(over, ())) for over in patterns_over(each)) for each in by_object}
    object, most = max(looked_at.items(), key=lambda each: each[1])
    if most >= MANY:
        sentence = (
            f"`{subject}` has {most} rows in `{domain}` that are looked at for a question about `{object}`, some "
            f"microseconds each; join them by a pattern or by `in [...]`"
        )
        yield Finding(Code.MANY_ROWS, by_object[object][0].place, sentence)
