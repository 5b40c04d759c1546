"""Which questions there are about the things of an inventory: the cells of the great table of rights.

A point is one object and action; with a domain, a subject and an owner it is a cell. Asked are the use of every
thing at its level, sharing it, connecting to it, administration, custom tools, hosts, rate classes and acting for
others. Where names are open-ended (``custom/``, a resource template), a point whose object ends in ``*`` stands for
any name below that no row foresees. This file knows no subjects and decides nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.analysis.inventory import Inventory, Thing
from gateway.policy.engine import FRESH, Policy
from gateway.policy.model import ADMINISTRATION, USE, act_match, obj_match
from gateway.policy.rows import THINGS
from gateway.policy.terms import MAIN, SYSTEM, Json, Rule, Tool

SELF: Final = "self"
OTHERS: Final = "*"
"""As the owner of a cell: somebody whom no row names."""

_LAST: Final = "\U0010ffff"
_OPEN: Final = {"custom/": (*USE, "share"), "http/": USE}


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One question, but for who asks where, and whose it is. ``object`` is as people read it; ``lends`` says that a
    named owner is asked as well, for himself in ``main``; ``administers`` that it may be about what others own.
    """

    object: str
    action: str
    tool: Tool = field(default_factory=Tool)
    schema: Json = None
    lends: bool = False
    administers: bool = False

    @property
    def asked(self) -> str:
        """The object as the policy is asked about it."""
        return self.object[:-1] + FRESH if self.object.endswith("*") and self.object != "*" else self.object

    def owners(self, named: Iterable[str]) -> list[str]:
        """Whose it may be: one's own, the operator's, that of each owner whom rows name, and anybody else's."""
        if self.action.startswith("rate:"):
            return [SELF]
        others = sorted(set(named) - {SELF, SYSTEM, OTHERS})
        return [SELF, SYSTEM, *others, *((OTHERS,) if self.administers else ())]


class Points:
    """The points of one domain; of two that ask the same the first one stays."""

    def __init__(self, points: Iterable[Point]) -> None:
        self._at: dict[str, dict[str, Point]] = {}
        for point in points:
            self._at.setdefault(point.asked, {}).setdefault(point.action, point)
        self._order = sorted(self._at)

    def __iter__(self) -> Iterator[Point]:
        return (point for points in self._at.values() for point in points.values())

    def get(self, object: str, action: str) -> Point | None:
        return self._at.get(object, {}).get(action)

    def of(self, rule: Rule) -> Iterator[Point]:
        """Those that ``rule`` matches in object and action."""
        for object in self._covered(rule.object):
            if obj_match(object, rule.object, rule.effect):
                for action, point in self._at[object].items():
                    if act_match(action, rule.action, rule.effect):
                        yield point

    def _covered(self, pattern: str) -> Sequence[str]:
        if not pattern.endswith("*"):
            return (pattern,) if pattern in self._at else ()
        prefix = pattern[:-1]
        first = bisect_left(self._order, prefix)
        return self._order[first : bisect_left(self._order, prefix + _LAST, lo=first)]


class Cells:
    """The points of every domain of an inventory; ``objects`` are those that rows name, ``rates`` the rate classes."""

    def __init__(self, inventory: Inventory, objects: Iterable[str], rates: Iterable[str]) -> None:
        self.domains = tuple(dict.fromkeys((MAIN, *inventory.things)))
        self._inventory = inventory
        self._named = sorted(objects)
        self._rates = tuple(rates)
        self._points: dict[tuple[int, bool], Points] = {}

    @classmethod
    def of(cls, inventory: Inventory, policies: Iterable[Policy]) -> "Cells":
        """The cells that tell these policies apart."""
        both = tuple(policies)
        named = {(rule.object, rule.action) for policy in both for rule in policy.rules}
        rates = {f"rate:{each.name}" for policy in both for each in policy.limits.classes}
        rates |= {action for _, action in named if action.startswith("rate:")}
        return cls(inventory, {object for object, _ in named}, sorted(rates))

    def points(self, domain: str) -> Points:
        """Those of a domain; servers that offer the same things have the same."""
        things = self._inventory.things.get(domain, ())
        key = id(things), domain == MAIN
        if key not in self._points:
            self._points[key] = Points(self._made(things, main=domain == MAIN))
        return self._points[key]

    def point(self, domain: str, object: str, action: str) -> Point:
        """The point of a question, whether anything of that name is known or not."""
        known = self.points(domain).get(object, action)
        return known or Point(object, action, facts_of(object), lends=_lends(action))

    def _made(self, things: Sequence[Thing], *, main: bool) -> Iterator[Point]:
        for thing in sorted(things, key=_is_template):  # what is listed has facts of its own
            yield from self._of_thing(thing)
        for connector in dict.fromkeys(map(_connector, things)):
            yield Point(connector, "connect", facts_of(connector), lends=True)
        for prefix, actions in _OPEN.items():
            for object in self._below(prefix):
                for action in actions:
                    yield Point(object, action, facts_of(object), lends=_lends(action))
        yield from (Point("*", rate) for rate in self._rates)
        if main:
            yield from self._administration()

    def _of_thing(self, thing: Thing) -> Iterator[Point]:
        tool = replace(thing.tool, kind="resource") if _is_template(thing) else thing.tool
        for object in (thing.object, *(self._below(thing.object) if _is_template(thing) else ())):
            yield Point(object, thing.action, tool, thing.schema, lends=True)
            yield Point(object, "share", tool)

    def _administration(self) -> Iterator[Point]:
        things = (f"gateway/{thing}" for thing in THINGS)
        for object in (*things, *self._below("custom/")):
            yield from (_administering(object, action) for action in ADMINISTRATION)
        yield _administering("gateway/end-users", "act-as")
        for connector in dict.fromkeys(_connector(each) for many in self._inventory.things.values() for each in many):
            yield from (_administering(connector, action) for action in ("inspect", "revoke"))

    def _below(self, prefix: str) -> Iterator[str]:
        """The names that begin with ``prefix``: those that rows tell apart, and any other."""
        first = bisect_left(self._named, prefix)
        further = self._named[first : bisect_left(self._named, prefix + _LAST, lo=first)]
        yield from dict.fromkeys((f"{prefix}*", *further))


def facts_of(object: str) -> Tool:
    """What conditions may ask of something that no inventory knows: the worst, but for administration."""
    connector, _, name = object.partition("/")
    ours = connector == "gateway"
    return Tool(connector, name, destructive=not ours, open_world=not ours)


def _administering(object: str, action: str) -> Point:
    return Point(object, action, facts_of(object), administers=True)


def _is_template(thing: Thing) -> bool:
    return thing.tool.kind == "template"


def _lends(action: str) -> bool:
    return action in (*USE, "connect")


def _connector(thing: Thing) -> str:
    return thing.object.partition("/")[0]
