"""What a plan tells beside rights: limits that change, and changed rows that concern nothing known."""

from collections.abc import Iterable, Iterator

from gateway.analysis.wording import in_order
from gateway.policy.engine import Policy
from gateway.policy.limits import DEFAULT, Limit, Limits
from gateway.policy.terms import Rule


def notes(old: Policy, new: Policy, untouched: Iterable[Rule]) -> Iterator[str]:
    """One sentence for each; ``untouched`` are the rules that differ and concern nothing."""
    before, after = _limits(old.limits), _limits(new.limits)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"limit {name}: {_told(before.get(name))} before, {_told(after.get(name))} now"
    for rule in sorted(untouched, key=in_order):
        yield f"{rule.place}: `{rule.action}` of `{rule.object}` in `{rule.domain}` concerns nothing that is known here"


def _limits(limits: Limits) -> dict[str, list[Limit]]:
    """The limits under a name that people understand."""
    found = {f"of the class `{DEFAULT}`": [limits.default]}
    for each in limits.classes:
        found[f"of the class `{each.name}`"] = [each.limit]
    for limit in limits.objects:
        whose = f" for the class `{limit.klass}`" if limit.klass else ""
        found.setdefault(f"on `{limit.match}`{whose}", []).append(limit.limit)
    return found


def _told(limits: list[Limit] | None) -> str:
    return " and ".join(f"{limit.calls} calls in {limit.window_ms / 1000:g} s" for limit in limits or ()) or "none"
