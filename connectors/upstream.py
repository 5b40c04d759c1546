"""``Upstream``: the connector for one MCP server behind us, as an operator's file describes it.

It knows whose line serves whom and how many there may be; it must not know the policy, nor who may ask.
Nothing is opened before it is needed, so a dead server costs nobody anything but the calls to it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from connectors.base import Caller, Catalogue, Change, Connection, Event, Sharing, UpstreamSpec
from connectors.egress import Egress
from connectors.event_stream import EventStream
from connectors.http_messages import exceptions_of
from connectors.line import Eras, Frame, Line, Pace
from connectors.stdio import StdioTransport
from connectors.streamable_http import StreamableHttp
from connectors.transport import Transport
from gateway.errors import NotConnected, UpstreamFailed
from gateway.mcp.terms import Era, Params
from gateway.policy.terms import SYSTEM

_LOG = logging.getLogger(__name__)

MAX_SESSIONS: Final = 1_000
"""Sessions over HTTP that one upstream may have at a time; processes are counted by ``max_processes``."""

MAX_LINES: Final = 10_000
"""Principals whose catalogue is remembered."""


class Upstream:
    """One server as ``Connector``; ``egress`` is its way out, ``client`` what we say of ourselves (name, version).
    Raises ``ValueError`` when ``spec`` cannot be read.
    """

    def __init__(
        self,
        spec: UpstreamSpec,
        egress: Egress,
        *,
        client: Params,
        pace: Pace | None = None,
        transport: Callable[[], Transport] | None = None,
    ) -> None:
        exceptions_of(spec)
        self._spec = spec
        # HTTP with an event stream of its own is the transport of 2024-11-05, so it proves the era
        era = Era.LEGACY if spec.transport == "sse" else spec.era
        self._frame = Frame(
            spec=spec,
            client=client,
            transport=transport or (lambda: transport_of(spec, egress)),
            eras=Eras(known=era, pinned=era is not None),
            pace=pace or Pace(),
            room=self._make_room,
            tell=self._tell,
        )
        self._lines: dict[str, Line] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self._closed = False

    @property
    def id(self) -> str:
        return self._spec.id

    def owners(self, subject: str) -> tuple[str, ...]:
        return (SYSTEM,) if self._spec.owned_by_system else (subject,)

    async def catalogue(self, principal: str) -> Catalogue:
        """What the server lists for ``principal``. Raises ``UpstreamFailed``."""
        return await self.line(principal).catalogue()

    async def open(self, principal: str, owner: str) -> Connection:
        """Raises ``UpstreamFailed``; ``NotConnected`` when ``owner`` has no connection to it."""
        if owner not in self.owners(principal):
            raise NotConnected(f"`{owner}` has no connection to `{self._spec.id}`")
        await self.line(principal).open()
        return _Connection(self, principal)

    def watch(self, listener: Callable[[Change], None]) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        """End every session and child; they end side by side, in bounded time."""
        self._closed = True
        lines, self._lines = list(self._lines.values()), {}
        await asyncio.gather(*(line.close() for line in lines))

    def line(self, principal: str) -> Line:
        """The line that serves ``principal``; sessions are shared only where the operator says so."""
        if self._closed:
            raise UpstreamFailed(f"upstream `{self._spec.id}` is being closed")
        key = "" if self._spec.sharing is Sharing.ALL else principal
        line = self._lines.get(key)
        if line is None:
            self._forget_one()
            line = self._lines[key] = Line(key, self._frame)
        return line

    def _forget_one(self) -> None:
        if len(self._lines) >= MAX_LINES:
            asleep = [key for key, line in self._lines.items() if line.asleep]
            if not asleep:
                raise UpstreamFailed(f"upstream `{self._spec.id}` serves as many principals as it can; try again later")
            del self._lines[min(asleep, key=lambda key: self._lines[key].used)]

    async def _make_room(self, line: Line) -> None:
        """A place for ``line``, if need be that of the idlest other, whose session ends. Raises ``UpstreamFailed``."""
        most = self._spec.max_processes if self._spec.transport == "stdio" else MAX_SESSIONS
        placed = [other for other in self._lines.values() if other.placed]
        idle = [other for other in placed if other.idle]
        if len(placed) >= most and not idle:
            raise UpstreamFailed(f"all {most} sessions of upstream `{self._spec.id}` are busy; try again later")
        line.placed = True
        if len(placed) >= most:
            idlest = min(idle, key=lambda other: other.used)
            _LOG.info("upstream `%s`: an idle session ends to make room for another", self._spec.id)
            idlest.placed = False
            await idlest.stop()

    def _tell(self, principal: str, event: Event, uri: str) -> None:
        change = Change(connector=self._spec.id, event=event, principal=principal, uri=uri)
        for listener in self._listeners:
            listener(change)


class _Connection:
    """One principal's way in; it finds the line anew each time, so it survives a stopped session."""

    def __init__(self, upstream: Upstream, principal: str) -> None:
        self._upstream = upstream
        self._principal = principal

    @property
    def era(self) -> Era:
        return self._upstream.line(self._principal).era

    async def send(self, method: str, params: Params, caller: Caller) -> Params:
        """Raises ``UpstreamError``, ``UpstreamFailed``."""
        return await self._upstream.line(self._principal).request(method, params, caller)


def transport_of(spec: UpstreamSpec, egress: Egress) -> Transport:
    """A new transport of the kind that ``spec`` names."""
    if spec.transport == "stdio":
        return StdioTransport(spec.command, env=spec.env, cwd=spec.cwd)
    if spec.transport == "sse":
        return EventStream(spec, egress)
    return StreamableHttp(spec, egress)
