"""Findings about rows that speak of nothing there is: no such server, connector, tool, prompt or resource.

What a gateway makes by itself (`custom/`, `http/`, `gateway/`) comes and goes or is always there, and what a resource
template stands for has no end: both are left out.
This file knows the inventory and no conditions.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from gateway.analysis.inventory import Inventory
from gateway.analysis.lint.findings import Code, Finding, row_text
from gateway.analysis.lint.ground import Ground
from gateway.policy.rows import RESERVED
from gateway.policy.rules import LIMITS_FILE
from gateway.policy.terms import Link, Rule

_RESOURCE: Final = "/resource:"


def things(ground: Ground) -> Iterator[Finding]:
    """Rows, links and limits that match nothing in the inventory; nothing without one."""
    if ground.inventory is None:
        return
    offered = _Offered(ground.inventory)
    rows: tuple[Rule | Link, ...] = (*ground.rules, *ground.links)
    for row in rows:
        if row.domain != "*" and row.domain not in offered.domains:
            known = ", ".join(f"`{each}`" for each in offered.domains)
            sentence = f"{row_text(row)} is for the server `{row.domain}`, which is not there; the servers are {known}"
            yield Finding(Code.SERVER_UNKNOWN, row.place, sentence)
        elif isinstance(row, Rule) and (found := offered.fault(row.object, row.domain)):
            code, why = found
            yield Finding(code, row.place, f"{row_text(row)} {why}; correct or remove it")
    for limit in ground.bundle.limits.objects:
        if found := offered.fault(limit.match, "*"):
            sentence = f"the limit for `{limit.match}` {found[1]}; correct or remove it"
            yield Finding(Code.LIMIT_UNKNOWN, ground.file(LIMITS_FILE), sentence)


class _Offered:
    """What there is in each domain, and in all of them together (``*``)."""

    def __init__(self, inventory: Inventory) -> None:
        self.domains = tuple(sorted(inventory.things))
        each = {domain: {thing.object for thing in things} for domain, things in inventory.things.items()}
        everywhere = {object for objects in each.values() for object in objects}
        self._objects = {domain: sorted(objects) for domain, objects in {**each, "*": everywhere}.items()}
        self._faults: dict[tuple[str, str], tuple[Code, str] | None] = {}

    def fault(self, object: str, domain: str) -> tuple[Code, str] | None:
        """What ``object`` misses in ``domain``, or ``None``."""
        key = object, domain
        if key not in self._faults:
            self._faults[key] = self._fault(object, domain)
        return self._faults[key]

    def _fault(self, object: str, domain: str) -> tuple[Code, str] | None:
        head, slash, _ = object.partition("/")
        if object == "*" or head in RESERVED or _RESOURCE in object:
            return None
        where = "" if domain == "*" else f" in `{domain}`"
        objects = self._objects[domain]
        if not _begins(objects, f"{head}/"):
            return Code.CONNECTOR_UNKNOWN, f"speaks of the connector `{head}`, which offers nothing{where}"
        if not slash or (_begins(objects, object[:-1]) if object.endswith("*") else _is_one(objects, object)):
            return None
        return Code.OBJECT_UNKNOWN, f"speaks of `{object}`, which matches nothing that is offered{where}"


def _begins(objects: Sequence[str], begin: str) -> bool:
    at = bisect_left(objects, begin)
    return at < len(objects) and objects[at].startswith(begin)


def _is_one(objects: Sequence[str], object: str) -> bool:
    at = bisect_left(objects, object)
    return at < len(objects) and objects[at] == object
