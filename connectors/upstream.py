"""``Upstream``: the connector for one MCP server behind us, as an operator's file describes it.

It knows whose line serves whom, and which requests may go on any line of his; it must not know the policy, nor who
may ask. Nothing is opened before it is needed, so a dead server costs nobody anything but the calls to it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from connectors.base import (
    NOTHING_ASKED,
    Caller,
    Catalogue,
    Change,
    Connection,
    Credentials,
    Event,
    Sharing,
    UpstreamError,
    UpstreamSpec,
)
from connectors.egress import Egress, Outward
from connectors.event_stream import EventStream
from connectors.http_messages import exceptions_of
from connectors.keyed import Keyed
from connectors.line import Eras, Frame, Line, Pace
from connectors.lines import Lines
from connectors.stdio import StdioTransport
from connectors.streamable_http import StreamableHttp
from connectors.transport import Transport
from gateway.errors import NotConnected, UpstreamFailed
from gateway.mcp.questions import relayable
from gateway.mcp.terms import Era, Notification, Params
from gateway.policy.terms import SYSTEM

MAX_SESSIONS: Final = 1_000
"""Sessions over HTTP that one upstream may have at a time; processes are counted by ``max_processes``."""

ANYWHERE: Final = frozenset({"completion/complete", "resources/subscribe", "resources/unsubscribe"})
"""Requests that any session of a principal can serve; tasks, and whatever servers keep, are of one session."""

ENOUGH: Final = -32603
"""JSON-RPC: internal error; what a server gets for a question that nobody can be asked now."""

QUESTIONED: Final = 32
"""Questions of one upstream that may be with the clients of one principal: each holds a call, and a call holds a turn
that others need.
"""

SEPARATOR: Final = "\0"
"""Between a principal, the owner of the connection that he uses, and its id: each has lines of its own."""


def _unheard() -> None:
    """Nobody wants to know of refusals."""


class Upstream:
    """One server as ``Connector``; ``egress`` is its way out, ``client`` what we say of ourselves (name, version).
    Where users bring credentials of their own, ``credentials`` has them, and ``doubt`` is called when one is refused.
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
        credentials: Credentials | None = None,
        doubt: Callable[[], None] = _unheard,
    ) -> None:
        exceptions_of(spec)
        self._spec = spec
        self._egress = egress
        self._credentials = credentials
        self._doubt = doubt
        # HTTP with an event stream of its own is the transport of 2024-11-05, so it proves the era
        era = Era.LEGACY if spec.transport == "sse" else spec.era
        self._eras = Eras(known=era, pinned=era is not None)
        most = spec.max_processes if spec.transport == "stdio" else MAX_SESSIONS
        self._lines = Lines(spec.id, self._new_line, most)
        self._frame = Frame(
            spec=spec,
            client=client,
            transport=self._transport if transport is None else (lambda _: transport()),
            eras=self._eras,
            pace=pace or Pace(),
            room=self._lines.make_room,
            tell=self._tell,
        )
        self._listeners: list[Callable[[Change], None]] = []
        self._closed = False
        self._questioned: Counter[str] = Counter()
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def id(self) -> str:
        return self._spec.id

    @property
    def era(self) -> Era:
        """The era last proven."""
        return self._eras.known or Era.LEGACY

    def owners(self, subject: str) -> tuple[str, ...]:
        return (SYSTEM,) if self._spec.owned_by_system else (subject,)

    async def catalogue(self, principal: str, capabilities: Params = NOTHING_ASKED) -> Catalogue:
        """What the server lists for ``principal``. Raises ``UpstreamFailed``, ``NotConnected``."""
        return await self._any_line(self._by_himself(principal), capabilities).catalogue()

    def holds(self, owner: str) -> bool:
        return self._credentials is None or bool(self._credentials.ids(owner))

    def owner(self, credential: str) -> str:
        return "" if self._credentials is None else self._credentials.owner(credential)

    async def open(
        self, principal: str, owner: str, capabilities: Params = NOTHING_ASKED, *, credential: str = ""
    ) -> Connection:
        """Raises ``UpstreamFailed``; ``NotConnected`` when ``owner`` has no connection to it."""
        if self._credentials is None and owner not in self.owners(principal):
            raise NotConnected(f"`{owner}` has no connection to `{self._spec.id}`")
        user = self._user(principal, owner, credential)
        key, declares = self._key(user, capabilities)
        line = self._lines.find(key, declares)
        if line is None and (self._eras.known is None or not self._lines.of(key)):
            line = self._any_line(user, capabilities)
        if line is not None and not self._lines.crowded_out(line):
            await line.open()  # else what is sent finds out whether it needs a line of its own
        return _Connection(self, user, capabilities)

    def watch(self, listener: Callable[[Change], None]) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        """End every session and child; they end side by side, in bounded time."""
        self._closed = True
        lines = list(self._lines)
        self._lines.clear()
        await asyncio.gather(*(line.close() for line in lines), *self._leaving)

    def leave(self, connections: Collection[str]) -> None:
        """End the sessions on connections that ended or may be another account's now; where one still serves, what was
        sent on it comes to its end.
        """
        for line in self._lines.remove(lambda user: _connection_of(user) in connections):
            serves = self.owner(_connection_of(line.principal)) != ""
            task = asyncio.get_running_loop().create_task(line.close(at_once=not serves))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def line(self, principal: str, capabilities: Params = NOTHING_ASKED) -> Line:
        """The line that serves clients of ``principal`` who can be asked for ``capabilities``; sessions are shared
        only where the operator says so. In the modern era each request says for itself what can be asked.
        """
        if self._eras.known is Era.MODERN:
            return self._any_line(principal, capabilities)
        self._refuse_if_closed()
        key, declares = self._key(principal, capabilities)
        return self._lines.stand_in(self._lines.find(key, declares) or self._lines.add(key, declares))

    def line_for(self, method: str, params: Params, principal: str, capabilities: Params) -> Line:
        """The line for one request: what brings no question and is of no session goes where one is, rather than open
        another.
        """
        if method not in ANYWHERE:
            return self.line(principal, capabilities)
        key, _ = self._key(principal, capabilities)
        of_resource = (line for line in self._lines.of(key) if line.has_subscribed(params.get("uri")))
        return next(of_resource, None) or self._any_line(principal, capabilities)

    def counted(self, principal: str, caller: Caller) -> Caller:
        """The caller, who is asked only while fewer than ``QUESTIONED`` questions are with ``principal``."""
        return _Counted(caller, principal, self._questioned)

    def _any_line(self, principal: str, capabilities: Params) -> Line:
        """The line of ``principal`` that was used last, of those with a session if there are any; else his first."""
        self._refuse_if_closed()
        key, declares = self._key(principal, capabilities)
        lines = self._lines.of(key)
        placed = (line for line in lines if line.placed)
        return next(placed, None) or next(iter(lines), None) or self._lines.add(key, declares)

    def _key(self, principal: str, capabilities: Params) -> tuple[str, Params]:
        """Whose line it is, and what its callers can be asked for: nothing, where questions would come on one stream
        for several principals.
        """
        shared = self._spec.sharing is Sharing.ALL
        told_apart = not shared or self._spec.transport == "http"
        return "" if shared else principal, relayable(capabilities) if told_apart else NOTHING_ASKED

    def _by_himself(self, principal: str) -> str:
        """``principal`` as the user of the first of his own connections."""
        first = next(iter(self._credentials.ids(principal)), "") if self._credentials is not None else ""
        return self._user(principal, principal, first)

    def _user(self, principal: str, owner: str, credential: str) -> str:
        """By whom lines are kept: where users bring credentials, a principal on one connection of one owner."""
        if self._credentials is None:
            return principal
        ids = self._credentials.ids(owner)
        return SEPARATOR.join((principal, owner, credential or (ids[0] if len(ids) == 1 else "")))

    def _transport(self, user: str) -> Transport:
        return transport_of(self._spec, self._outward(user))

    def _outward(self, user: str) -> Outward:
        if self._credentials is None or self._spec.personal is None:
            return self._egress
        _, owner, id = user.split(SEPARATOR)
        return Keyed(
            self._egress,
            self._credentials,
            self._spec.personal,
            connector=self._spec.id,
            owner=owner,
            id=id,
            doubt=self._doubt,
        )

    def _new_line(self, principal: str, declares: Params, kept: Catalogue | None) -> Line:
        return Line(principal, self._frame, declares, kept)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise UpstreamFailed(f"upstream `{self._spec.id}` is being closed")

    def _tell(self, principal: str, event: Event, uri: str) -> None:
        change = Change(connector=self._spec.id, event=event, principal=principal.partition(SEPARATOR)[0], uri=uri)
        for listener in self._listeners:
            listener(change)


def _connection_of(user: str) -> str:
    return user.rpartition(SEPARATOR)[2]


@dataclass(frozen=True, slots=True)
class _Counted:
    caller: Caller
    principal: str
    questioned: Counter[str]

    @property
    def capabilities(self) -> Params:
        return self.caller.capabilities

    def tell(self, notification: Notification) -> None:
        self.caller.tell(notification)

    async def ask(self, method: str, params: Params) -> Params:
        if self.questioned[self.principal] >= QUESTIONED:
            raise UpstreamError(ENOUGH, "the user of this client has enough questions to answer")
        self.questioned[self.principal] += 1
        try:
            return await self.caller.ask(method, params)
        finally:
            self.questioned[self.principal] -= 1
            if not self.questioned[self.principal]:
                del self.questioned[self.principal]


class _Connection:
    """One principal's way in; it finds the line anew each time, so it survives a stopped session."""

    def __init__(self, upstream: Upstream, principal: str, capabilities: Params) -> None:
        self._upstream = upstream
        self._principal = principal
        self._capabilities = capabilities

    @property
    def era(self) -> Era:
        return self._upstream.era

    async def send(self, method: str, params: Params, caller: Caller) -> Params:
        """Raises ``UpstreamError``, ``UpstreamFailed``."""
        line = self._upstream.line_for(method, params, self._principal, self._capabilities)
        return await line.request(method, params, self._upstream.counted(self._principal, caller))


def transport_of(spec: UpstreamSpec, egress: Outward) -> Transport:
    """A new transport of the kind that ``spec`` names."""
    if spec.transport == "stdio":
        return StdioTransport(spec.command, env=spec.env, cwd=spec.cwd)
    if spec.transport == "sse":
        return EventStream(spec, egress)
    return StreamableHttp(spec, egress)
