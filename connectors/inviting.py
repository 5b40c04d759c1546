"""A connector to which users bring accounts of their own: one tool more, by which a client finds out how to connect.

Who has no account there yet is offered that tool alone, for the server itself tells nothing to strangers. This file
knows no OAuth: whoever answers a ``NotConnected`` knows where to send the user.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from connectors.base import (
    NOTHING_ASKED,
    Caller,
    Catalogue,
    Change,
    Connection,
    Connector,
    Credentials,
    Event,
    Item,
)
from gateway.errors import NotConnected
from gateway.mcp.terms import Era, Kind, Params
from gateway.policy.terms import Tool

INVITATION: Final = "connect_account"
"""The tool's name; a tool of the server's own that is called so is hidden by it."""


class Inviting:
    """``connector`` as ``Connector``, with the invitation. ``leave`` ends what runs on connections of those ids."""

    def __init__(
        self, connector: Connector, credentials: Credentials, *, leave: Callable[[Collection[str]], None]
    ) -> None:
        self._connector = connector
        self._leave = leave
        self._credentials = credentials
        self._item = _invitation(connector.id)
        self._listeners: list[Callable[[Change], None]] = []

    @property
    def id(self) -> str:
        return self._connector.id

    def owners(self, subject: str) -> tuple[str, ...]:
        return self._connector.owners(subject)

    def holds(self, owner: str) -> bool:
        return self._connector.holds(owner)

    def owner(self, credential: str) -> str:
        return self._connector.owner(credential)

    async def catalogue(self, principal: str, capabilities: Params = NOTHING_ASKED) -> Catalogue:
        """Raises ``UpstreamFailed``. The invitation stands alone, too, where the account does not serve any more."""
        alone = Catalogue({Kind.TOOL: (self._item,)}, {"tools": {}})
        if not self._credentials.ids(principal):
            return alone
        try:
            offered = await self._connector.catalogue(principal, capabilities)
        except NotConnected:
            return alone
        tools = (each for each in offered.items.get(Kind.TOOL, ()) if each.name != INVITATION)
        items = {**offered.items, Kind.TOOL: (self._item, *tools)}
        return Catalogue(items, offered.capabilities, offered.instructions, offered.ttl)

    async def open(
        self, principal: str, owner: str, capabilities: Params = NOTHING_ASKED, *, credential: str = ""
    ) -> Connection:
        """Raises ``NotConnected``, ``UpstreamFailed``."""
        await self._credentials.open(owner, credential)
        inside = await self._connector.open(principal, owner, capabilities, credential=credential)
        return _Open(inside, self.id)

    def watch(self, listener: Callable[[Change], None]) -> None:
        self._listeners.append(listener)
        self._connector.watch(listener)

    def turned(self, owner: str, connections: Collection[str]) -> None:
        """What is offered to ``owner`` may be something else now: these connections of his changed."""
        self._leave(connections)
        for event in (Event.TOOLS, Event.PROMPTS, Event.RESOURCES):
            for listener in self._listeners:
                listener(Change(self.id, event, owner))

    async def close(self) -> None:
        await self._connector.close()


@dataclass(frozen=True, slots=True)
class _Open:
    inside: Connection
    connector: str

    @property
    def era(self) -> Era:
        return self.inside.era

    async def send(self, method: str, params: Params, caller: Caller) -> Params:
        """Raises ``UpstreamError``, ``UpstreamFailed``, ``NotConnected``."""
        if method != "tools/call" or params.get("name") != INVITATION:
            return await self.inside.send(method, params, caller)
        await self.inside.send("tools/list", {}, caller)  # the server itself says whether the account serves
        text = f"an account is connected to `{self.connector}`; its tools are listed now"
        said: Params = {"content": [{"type": "text", "text": text}]}
        return {"resultType": "complete", **said} if self.era is Era.MODERN else said


def _invitation(connector: str) -> Item:
    definition: Params = {
        "name": INVITATION,
        "title": f"Connect an account to {connector}",
        "description": f"Connects an account of the user to `{connector}`, or says that one is connected. "
        "Call it when the user wants to use it and no other tool of it is listed.",
        "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }
    facts = Tool(connector=connector, name=INVITATION, destructive=False, open_world=False)
    return Item(connector, Kind.TOOL, INVITATION, definition, "read", facts)
