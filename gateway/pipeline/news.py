"""What a change means for one subject: of a server behind us, of the policy, of what users made or what he hides.
Nothing, where his lists are as before. Pure.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from connectors.base import Change, Connector, Event
from gateway.catalogue.views import Offer, View
from gateway.custom.names import CUSTOM
from gateway.mcp.terms import Kind, Notification, Params
from gateway.pipeline.judge import Judge
from gateway.pipeline.meta_definitions import TOOLS
from gateway.pipeline.shown import Item, Shown, id_of
from gateway.policy.shelves import Slices
from gateway.policy.terms import SYSTEM
from gateway.policy.turn import Touched

CHANGED: Final[Mapping[Event, tuple[str, tuple[Kind, ...]]]] = {
    Event.TOOLS: ("notifications/tools/list_changed", (Kind.TOOL,)),
    Event.PROMPTS: ("notifications/prompts/list_changed", (Kind.PROMPT,)),
    Event.RESOURCES: ("notifications/resources/list_changed", (Kind.RESOURCE, Kind.TEMPLATE)),
}
UPDATED: Final = "notifications/resources/updated"


@dataclass(frozen=True, slots=True)
class News:
    """What is told, and of which resources nothing more will be: he may not read them any longer."""

    told: tuple[Notification, ...] = ()
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Judges:
    """The same subject before and after, at the same moment: two policies, and what users had made and have."""

    before: Judge
    after: Judge

    def lenders(self, connectors: Iterable[Connector], *, custom: bool) -> frozenset[str]:
        """Those on whose connections, beside his own, something of ``connectors`` could be used before or after;
        where there is any (``custom``), those too whose tools and prompts could be.
        """
        both = (self.before, self.after)
        owners = {each.owner for connector in connectors for judge in both for each in judge.accounts(connector)}
        if custom:
            owners.update(*(each.policy.lenders(each.subject, each.domain, CUSTOM, each.now) for each in both))
        return frozenset(owners) - {self.after.subject.name, SYSTEM}

    def made_otherwise(self, owners: Iterable[str]) -> bool:
        """Whether one of ``owners`` had made something else than he has."""
        before, after = self.before.custom, self.after.custom
        if before is after:
            return False
        return any(
            before.tools.of(owner) != after.tools.of(owner) or before.prompts.of(owner) != after.prompts.of(owner)
            for owner in owners
        )


@dataclass(frozen=True, slots=True)
class Sights:
    """What he saw and sees; ``touched`` are the objects about which answers can have changed."""

    before: Shown
    after: Shown
    touched: Touched

    @property
    def moved(self) -> AbstractSet[str]:
        """The ids of the tools that he hides from now on, or no longer."""
        return self.before.hidden ^ self.after.hidden

    def concerned(self, kind: Kind) -> Iterator[Item]:
        """What could be seen otherwise, but for what users made."""
        moved = self.moved
        for offer in _listed(self.after.view, kind):
            if self.touched.covers(offer.object) or (moved and id_of(offer) in moved):
                yield offer
        if kind is Kind.TOOL:
            yield from self.after.builtins
            yield from (each for each in TOOLS.values() if self.after.view.behind and id_of(each) in moved)

    def made_otherwise(self, kind: Kind) -> bool:
        """Whether what users made could be seen otherwise."""
        if self.moved or self.before.judge.custom is not self.after.judge.custom:
            return True
        offers = (*self.before.made(kind), *self.after.made(kind))
        return any(self.touched.covers(object) for offer in offers for object in offer.objects)

    def differ(self, item: Item) -> bool:
        return self.before(item) != self.after(item)


def updated(change: Change, judge: Judge, view: View) -> list[Notification]:
    """For those who may read the resource, if it is the one that they know under this URI."""
    offer = view.find(Kind.RESOURCE, change.uri)
    told = offer is not None and offer.connector.id == change.connector and judge.visible(offer)
    return [Notification(UPDATED, {"uri": change.uri})] if told else []


def list_changed(change: Change, shown: Iterable[Shown]) -> Slices[list[Notification]]:
    """For those whose list has something of the connector in it, directly or behind what users made: as it was, as it
    is. In slices of one item each.
    """
    method, kinds = CHANGED[change.event]
    for each in shown:
        for offer in (offer for kind in kinds for offer in (*_listed(each.view, kind), *each.made(kind))):
            yield
            if offer.connector.id == change.connector and each(offer):
                return [Notification(method)]
    return []


def turned(sights: Sights, followed: Collection[str]) -> Slices[News]:
    """For those who see more, less or something else than before; ``followed`` are the resources whose updates are told
    so far. In slices of one item each.
    """
    told: list[Notification] = []
    for method, kinds in CHANGED.values():
        if (yield from _otherwise(sights, kinds)):
            told.append(Notification(method))
    lost: list[str] = []
    for uri in followed:
        yield
        read = sights.after.view.find(Kind.RESOURCE, uri)
        if read is not None and sights.before.sees(read) and not sights.after.sees(read):
            lost.append(uri)
    return News(tuple(told), frozenset(lost))


def _otherwise(sights: Sights, kinds: Iterable[Kind]) -> Slices[bool]:
    """Whether a list is another one than before."""
    for kind in kinds:
        for item in sights.concerned(kind):
            yield
            if sights.differ(item):
                return True
        if sights.made_otherwise(kind):
            before = yield from _made(sights.before, kind)
            after = yield from _made(sights.after, kind)
            if before != after:
                return True
    return False


def _made(shown: Shown, kind: Kind) -> Slices[dict[str, Params]]:
    """What his list has of what users made, by public names."""
    found: dict[str, Params] = {}
    for offer in shown.made(kind):
        yield
        if shown(offer):
            found[offer.name] = offer.definition
    return found


def _listed(view: View, kind: Kind) -> Iterable[Offer]:
    """What a list of this kind depends on: what stands in it, and what its meta tools are there for."""
    return (*view.listed[kind], *view.behind.values()) if kind is Kind.TOOL and view.behind else view.listed[kind]
