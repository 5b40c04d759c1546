"""An inventory of what policies name themselves, for when nobody can be asked what there is to use.

Every object that a row names counts as something that is read and something that is written, a pattern as any name
below it; on every server that a row names. What nobody classified counts as harmless here: rows about what destroys
something are about something else. This file asks no policy.
"""

from collections.abc import Iterable
from typing import Final

from gateway.analysis.inventory import Inventory, Thing, tool_of
from gateway.policy.engine import Policy
from gateway.policy.model import USE
from gateway.policy.rows import RESERVED
from gateway.policy.terms import MAIN, Subject

_EVERYWHERE: Final = "*"


def named(policies: Iterable[Policy], subjects: Iterable[Subject]) -> Inventory:
    """``subjects``, and what the rows of ``policies`` name."""
    both = tuple(policies)
    objects = {rule.object for policy in both for rule in policy.rules if rule.action in (*USE, "*", "share")}
    harmless = {each: tool_of(each, destructive=False, open_world=False) for each in sorted(filter(_is_thing, objects))}
    things = tuple(Thing(each, action, tool) for each, tool in harmless.items() for action in USE)
    domains = {row.domain for policy in both for rows in (policy.rules, policy.links) for row in rows}
    servers = sorted(domain for domain in domains if domain != _EVERYWHERE and not domain.startswith("!"))
    return Inventory(tuple(subjects), dict.fromkeys((MAIN, *servers), things))


def _is_thing(object: str) -> bool:
    """Whether it is (some) thing of a connector; what is ours is asked about in any case."""
    connector, slash, _ = object.partition("/")
    return bool(slash) and connector not in RESERVED
