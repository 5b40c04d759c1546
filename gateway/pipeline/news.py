"""What a change behind us means for one subject: nothing, where he may see nothing of it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from connectors.base import Change, Event
from gateway.catalogue.views import View
from gateway.mcp.terms import Kind, Notification
from gateway.pipeline.judge import Judge

CHANGED: Final[Mapping[Event, tuple[str, tuple[Kind, ...]]]] = {
    Event.TOOLS: ("notifications/tools/list_changed", (Kind.TOOL,)),
    Event.PROMPTS: ("notifications/prompts/list_changed", (Kind.PROMPT,)),
    Event.RESOURCES: ("notifications/resources/list_changed", (Kind.RESOURCE, Kind.TEMPLATE)),
}
UPDATED: Final = "notifications/resources/updated"


def updated(change: Change, judge: Judge, view: View) -> list[Notification]:
    """For those who may read the resource, if it is the one that they know under this URI."""
    offer = view.find(Kind.RESOURCE, change.uri)
    told = offer is not None and offer.connector.id == change.connector and judge.visible(offer)
    return [Notification(UPDATED, {"uri": change.uri})] if told else []


def list_changed(change: Change, judge: Judge, views: Iterable[View]) -> list[Notification]:
    """For those who see something of the list in one of ``views``: as it was, as it is."""
    method, kinds = CHANGED[change.event]
    offers = (offer for view in views for kind in kinds for offer in view.listed[kind])
    told = any(offer.connector.id == change.connector and judge.visible(offer) for offer in offers)
    return [Notification(method)] if told else []
