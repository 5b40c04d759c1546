"""What an open stream passes on: everything announced to a legacy client, the asked-for part to a modern one. Pure."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from gateway.mcp.terms import Message, Notification, Params, Response
from gateway.policy.terms import Json

SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"
UPDATED: Final = "notifications/resources/updated"
LISTS: Final = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}


def subscribed_by(uris: Collection[str]) -> Callable[[Message], Message | None]:
    """For a legacy stream: every list change, and updates of the resources in ``uris`` (read live)."""

    def wanted(message: Message) -> Message | None:
        foreign = isinstance(message, Notification) and message.method == UPDATED
        return None if foreign and _uri(message) not in uris else message

    return wanted


def asked_by(request_id: str | int, honoured: Mapping[str, Json]) -> Callable[[Message], Message | None]:
    """For ``subscriptions/listen``: the kinds that were honoured, each tagged with the request's id
    (MCP 2026-07-28, subscriptions).
    """
    uris = honoured.get("resourceSubscriptions")

    def wanted(message: Message) -> Message | None:
        if not isinstance(message, Notification):
            return None
        if message.method == UPDATED:
            fits = isinstance(uris, list) and _uri(message) in uris
        else:
            fits = honoured.get(LISTS.get(message.method, "")) is True
        return _tagged(message, request_id) if fits else None

    return wanted


def acknowledge(request_id: str | int, honoured: Params) -> Message:
    """The first message of a listen stream: what of the wish will be served."""
    return _tagged(Notification("notifications/subscriptions/acknowledged", {"notifications": honoured}), request_id)


def farewell(request_id: str | int) -> Message:
    """The result that ends a listen stream from our side."""
    return Response(request_id, result={"resultType": "complete", "_meta": {SUBSCRIPTION: request_id}})


def _tagged(message: Notification, request_id: str | int) -> Notification:
    meta = message.params.get("_meta")
    tag: dict[str, Json] = {**(meta if isinstance(meta, dict) else {}), SUBSCRIPTION: request_id}
    return Notification(message.method, {**message.params, "_meta": tag})


def _uri(message: Message) -> str:
    uri = message.params.get("uri") if isinstance(message, Notification) else None
    return uri if isinstance(uri, str) else ""
