"""What a change means for one subject: of a server behind us, or of the policy. Nothing, where he sees nothing of
it. Pure.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from connectors.base import Change, Connector, Event
from gateway.catalogue.views import Offer, View
from gateway.mcp.terms import Kind, Notification
from gateway.pipeline.judge import Judge
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
    """The same subject before two policies, at the same moment."""

    before: Judge
    after: Judge

    def lenders(self, connectors: Iterable[Connector]) -> frozenset[str]:
        """Those on whose connections, beside his own, something of ``connectors`` could be used before or after."""
        return frozenset(
            account.owner
            for connector in connectors
            for judge in (self.before, self.after)
            for account in judge.accounts(connector)
        ) - {self.after.subject.name, SYSTEM}

    def differ(self, offer: Offer) -> bool:
        return self.before.visible(offer) != self.after.visible(offer)

    def take_away(self, offer: Offer) -> bool:
        return self.before.visible(offer) and not self.after.visible(offer)


def updated(change: Change, judge: Judge, view: View) -> list[Notification]:
    """For those who may read the resource, if it is the one that they know under this URI."""
    offer = view.find(Kind.RESOURCE, change.uri)
    told = offer is not None and offer.connector.id == change.connector and judge.visible(offer)
    return [Notification(UPDATED, {"uri": change.uri})] if told else []


def list_changed(change: Change, judge: Judge, views: Iterable[View]) -> Slices[list[Notification]]:
    """For those who see something of the list in one of ``views``: as it was, as it is. In slices of one item each."""
    method, kinds = CHANGED[change.event]
    offers = (offer for view in views for kind in kinds for offer in _listed(view, kind))
    for offer in offers:
        yield
        if offer.connector.id == change.connector and judge.visible(offer):
            return [Notification(method)]
    return []


def turned(judges: Judges, touched: Touched, view: View, followed: Collection[str]) -> Slices[News]:
    """For those who see more or less than before; ``followed`` are the resources whose updates are told so far. In
    slices of one item each.
    """
    told: list[Notification] = []
    for method, kinds in CHANGED.values():
        for offer in (offer for kind in kinds for offer in _listed(view, kind) if touched.covers(offer.object)):
            yield
            if judges.differ(offer):
                told.append(Notification(method))
                break
    lost: list[str] = []
    for uri in followed:
        yield
        read = view.find(Kind.RESOURCE, uri)
        if read is not None and judges.take_away(read):
            lost.append(uri)
    return News(tuple(told), frozenset(lost))


def _listed(view: View, kind: Kind) -> Iterable[Offer]:
    """What a list of this kind depends on: what stands in it, and what its meta tools are there for."""
    return (*view.listed[kind], *view.behind.values()) if kind is Kind.TOOL and view.behind else view.listed[kind]
