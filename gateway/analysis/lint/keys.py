"""Who can change the policy itself, and by which way: every path to `gateway/policy` `manage`.

Told always, because whoever has this right has every other one. This file judges no conditions; it tells them.
"""

from collections.abc import Iterable, Iterator

from gateway.analysis.lint.cover import crowds_over
from gateway.analysis.lint.findings import Code, Finding, row_text
from gateway.analysis.lint.graph import Graph
from gateway.analysis.lint.ground import Ground
from gateway.policy.floor import ROWS
from gateway.policy.guard import POLICY
from gateway.policy.model import act_match, dom_match, obj_match, own_match
from gateway.policy.terms import MAIN, SYSTEM, Effect, Rule

_ACTION = "manage"


def paths_to_policy(ground: Ground) -> Iterator[Finding]:
    """One finding for each subject or group that a row lets manage the policy, or one for a row that finds nobody."""
    rules = (*ROWS, *ground.rules, *(row for row in ground.made if isinstance(row, Rule)))
    rows = [rule for rule in rules if _concerns(rule)]
    denies = [rule for rule in rows if rule.effect is Effect.DENY]
    for rule in rows:
        if rule.effect is Effect.ALLOW:
            members = list(_members(ground.whole_graph, rule.subject))
            for member in members:
                yield from _path(ground.whole_graph, member, rule, denies)
            if not members:
                sentence = f"{row_text(rule)} lets `{rule.subject}` change the policy, which is given to nobody here"
                yield Finding(Code.PATH_TO_POLICY, rule.place, sentence)


def _concerns(rule: Rule) -> bool:
    """Whether a row speaks of managing the policy, in the one place where that can be done."""
    return (
        dom_match(MAIN, rule.domain)
        and own_match(SYSTEM, "", rule.owner)
        and obj_match(POLICY, rule.object, rule.effect)
        and act_match(_ACTION, rule.action, rule.effect)
    )


def _members(graph: Graph, subject: str) -> Iterator[str]:
    """Those known as ``subject`` in `main` who can be asked about: users, groups, crowds."""
    for name in graph.turned.ever(subject, MAIN):
        if name == "*" or name.startswith(("user:", "group:")):
            yield name


def _path(graph: Graph, member: str, rule: Rule, denies: Iterable[Rule]) -> Iterator[Finding]:
    names = {*graph.ever(member, MAIN), *crowds_over(member)}
    against = [deny for deny in denies if deny.subject in names]
    if any(not deny.when for deny in against):
        return
    way = graph.way(member, rule.subject, MAIN)
    steps = " → ".join(f"`{name}`" for name in (member, *(link.role for link in way)))
    sentence = f"{steps} can change the policy, by {row_text(rule)}"
    sentence += "".join(f", unless `{deny.place}` denies it" for deny in against)
    places = (*(link.place for link in way), *(deny.place for deny in against))
    yield Finding(Code.PATH_TO_POLICY, rule.place, sentence, places)
