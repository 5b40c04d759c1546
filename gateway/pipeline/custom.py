"""What users made, as one subject finds it on one server: under which names, and calling what.

Candidates are what he made himself, what those made who lend him some of it, and what the operator made. The policy
judges them as it judges all else; here it is only asked who lends what. Records and policy are those of one snapshot.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import Final, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from connectors.base import Item
from gateway.catalogue.views import Offer, Target, View
from gateway.custom import prompts, tools
from gateway.custom.known import Made
from gateway.custom.names import CUSTOM, RESERVED, prompt_object, tool_object
from gateway.mcp.names import HASHES, is_plain, suffixed
from gateway.mcp.terms import Kind
from gateway.pipeline.judge import Judge
from gateway.pipeline.rendering import Rendering
from gateway.policy.model import obj_match
from gateway.policy.terms import SYSTEM, Access, Context, Effect, Tool
from gateway.records import CustomPrompt, CustomTool

KEPT: Final = 2_000
"""Offers remembered at most for one view."""

BEGINNINGS: Final = {Kind.TOOL: tool_object(""), Kind.PROMPT: prompt_object("")}
"""What users make, and what its objects begin with; names follow as they are."""

Record: TypeAlias = CustomTool | CustomPrompt


class Targets(Protocol):
    """Whoever knows what the tools call that users made."""

    def find(self, tool: CustomTool, view: View) -> Target | None:
        """What ``tool`` calls, for whom a server offers ``view``; ``None`` where that cannot be called. Always the same
        for the same tool and view.
        """


class _Nothing:
    def find(self, tool: CustomTool, view: View) -> Target | None:  # noqa: ARG002 (whatever it is)
        return None


NO_TARGETS: Final = _Nothing()
"""Where tools that users made call nothing."""


class CustomCatalogue:
    """Makes offers of records, and remembers them as long as the view in which their targets stand."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._known: WeakKeyDictionary[View, dict[tuple[Kind, str, str], tuple[Record, Offer | None]]] = (
            WeakKeyDictionary()
        )

    def offers(self, judge: Judge, view: View) -> "CustomOffers":
        """What there is of it for whom ``judge`` judges."""
        return CustomOffers(judge, view, self)

    def offer(self, record: Record, view: View, name: str) -> Offer | None:
        """``record`` under the public ``name``; ``None`` for a tool that cannot be called now."""
        known = self._known.setdefault(view, {})
        kind = Kind.TOOL if isinstance(record, CustomTool) else Kind.PROMPT
        former, offer = known.get((kind, record.id, name), (None, None))
        if former is not record:
            if len(known) >= KEPT:
                known.clear()
            offer = self._made(record, view, name)
            known[kind, record.id, name] = record, offer
        return offer

    def _made(self, record: Record, view: View, name: str) -> Offer | None:
        place = len(view.sources)
        if isinstance(record, CustomPrompt):
            return _prompt(record, name, place)
        target = self._targets.find(record, view)
        return None if target is None else _tool(record, target, name, place)


@dataclass(frozen=True)
class CustomOffers:
    """What one subject could have of what users made; whether he may is for ``judge`` to say."""

    judge: Judge
    view: View
    made: CustomCatalogue

    def listed(self, kind: Kind) -> tuple[Offer, ...]:
        """All there is of a kind, sorted by position, which is behind all else."""
        return tuple(sorted(self._offers(kind, self._families(kind)), key=attrgetter("position")))

    def find(self, kind: Kind, name: str) -> Offer | None:
        """What clients call ``name``."""
        # what has a suffix holds but a part of its own name, maybe
        families = [self._family(kind, name)] if is_plain(name) else self._families(kind)
        return next((offer for offer in self._offers(kind, families) if offer.name == name), None)

    def marked(self, mark: str) -> Offer | None:
        """The tool that has that mark, whatever it is called by now."""
        return next((offer for offer in self.listed(Kind.TOOL) if offer.mark == mark), None)

    def _families(self, kind: Kind) -> Iterable[Sequence[Record]]:
        """What he could have, those of one name together."""
        found: dict[str, dict[str, Record]] = {}
        for record in self._candidates(kind):
            found.setdefault(record.name, {})[record.id] = record
        return map(self._in_order, map(dict.values, found.values()))

    def _family(self, kind: Kind, name: str) -> Sequence[Record]:
        """Those of one name."""
        if kind not in BEGINNINGS:
            return ()
        object = BEGINNINGS[kind] + name
        lenders = (owner for owner, rows in self._lent.items() if any(_speaks(row, object) for row in rows))
        operators = (SYSTEM,) if self._gives(object) else ()
        owners = (self.judge.subject.name, *operators, *lenders)
        return self._in_order(each for owner in owners if (each := self._made(kind).get(owner, name)) is not None)

    def _candidates(self, kind: Kind) -> Iterator[Record]:
        if kind not in BEGINNINGS:
            return
        made, beginning = self._made(kind), BEGINNINGS[kind]
        yield from made.of(self.judge.subject.name)
        yield from (each for each in made.of(SYSTEM) if self._gives(beginning + each.name))
        for owner, rows in self._lent.items():
            for row in rows:
                if row.endswith("*"):
                    yield from (each for each in made.of(owner) if _speaks(row, beginning + each.name))
                elif (record := made.get(owner, row.removeprefix(beginning))) is not None:
                    yield record

    def _in_order(self, records: Iterable[Record]) -> Sequence[Record]:
        """As they have a right to their name: his own, then the one made first."""
        mine = self.judge.subject.name
        return sorted(records, key=lambda each: (each.owner != mine, each.created_at, each.owner))

    @cached_property
    def _lent(self) -> Mapping[str, Sequence[str]]:
        """By lender the objects of rows that lend him something."""
        judge = self.judge
        return judge.policy.lent(judge.subject, judge.domain, CUSTOM, judge.now)

    def _gives(self, object: str) -> bool:
        """Whether some row lets him use what the operator made; what is not for him takes no name either."""
        judge = self.judge
        who = Context(groups=judge.subject.groups, claims=judge.subject.claims, env=judge.env)
        rows = judge.policy.matching(Access(judge.subject.name, judge.domain, SYSTEM, object, "read", who))
        return any(row.effect is Effect.ALLOW for row in rows)

    def _made(self, kind: Kind) -> Made[CustomTool] | Made[CustomPrompt]:
        return self.judge.custom.tools if kind is Kind.TOOL else self.judge.custom.prompts

    def _offers(self, kind: Kind, families: Iterable[Sequence[Record]]) -> Iterator[Offer]:
        """No two with the same public name. Who has a right to a name keeps it even when what he made cannot be called
        now: clients would take another's for his.
        """
        given: set[str] = set()
        for family in families:
            for record in family:
                names = _names(record)
                free = (name for name in names if name not in given and (kind, name) not in self.view.by_name)
                given.add(public := next(free, ""))
                if public and (offer := self.made.offer(record, self.view, public)) is not None:
                    yield offer


def _speaks(row: str, object: str) -> bool:
    """Whether an allow with the object ``row`` is about ``object``."""
    return obj_match(object, row, Effect.ALLOW)


def _names(record: Record) -> Iterator[str]:
    """By what clients could call it: as it is called, or with so much of a hash as tells it from others."""
    if record.name not in RESERVED:
        yield record.name
    yield from (suffixed((record.owner, record.name), record.name, digits) for digits in HASHES)


def _tool(record: CustomTool, target: Target, name: str, place: int) -> Offer:
    """A tool of a user: no more harmless than what it calls, whatever he says of it."""
    called, object = target.offer.item, tool_object(record.name)
    known = called.facts
    definition = tools.definition(
        record,
        name,
        reads=called.level == "read",
        destructive=known.destructive,
        open_world=known.open_world,
    )
    if "execution" in called.definition:
        definition = {**definition, "execution": called.definition["execution"]}
    facts = replace(known, connector=CUSTOM, name=record.name)
    item = Item(CUSTOM, Kind.TOOL, record.name, definition, called.level, facts)
    through = replace(called, facts=replace(known, via=object))
    offer = replace(target.offer, item=through)
    return Offer(target.offer.connector, item, name, object, place, record, replace(target, offer=offer))


def _prompt(record: CustomPrompt, name: str, place: int) -> Offer:
    facts = Tool(CUSTOM, record.name, Kind.PROMPT.value, destructive=False, open_world=False)
    item = Item(CUSTOM, Kind.PROMPT, record.name, prompts.definition(record, name), "read", facts)
    return Offer(Rendering(record), item, name, prompt_object(record.name), place, record)
