"""``RestConnector``: the connector for one platform that a definition describes.

It knows whose connection serves whom and what is offered; it must not know the policy, nor who may ask.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from connectors.base import (
    NOTHING_ASKED,
    Caller,
    Catalogue,
    Change,
    Connection,
    Credentials,
    Event,
    UpstreamError,
)
from connectors.definition.platform import Platform
from connectors.definition.terms import Action, AuthKind, Risk
from connectors.egress import Egress
from connectors.outgoing import EgressError
from connectors.rest.breaker import Breaker
from connectors.rest.exchange import Exchange
from connectors.rest.run import Means, Run
from connectors.rest.tools import catalogue_of
from connectors.turns import Turns
from gateway.errors import NotConnected, UpstreamFailed
from gateway.mcp.terms import Era, Params
from gateway.policy.terms import SYSTEM

METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602

GRACE: Final = 1.0
"""Seconds beyond its time after which a call is ended from outside: its own request ends before, and says more."""


class RestConnector:
    """One platform as ``Connector``. ``clock`` gives milliseconds since the epoch, ``sleep`` takes seconds."""

    def __init__(
        self,
        platform: Platform,
        *,
        egress: Egress,
        credentials: Credentials,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._egress, self._credentials = egress, credentials
        self._clock, self._sleep = clock, sleep
        self._exchange = Exchange(platform.id, egress, Breaker(), clock)
        self._listeners: list[Callable[[Change], None]] = []
        self._running: set[asyncio.Timeout] = set()
        self._closed = False
        self._take(platform)

    @property
    def id(self) -> str:
        return self.platform.id

    def replace(self, platform: Platform) -> None:
        """Serve by ``platform`` (of the same id) from now on; calls under way end as they began."""
        if platform.id != self.id:
            raise ValueError(f"`{platform.id}` is another platform than `{self.id}`")
        old = self._catalogue
        self._take(platform)
        if self._catalogue != old:
            for listener in self._listeners:
                listener(Change(self.id, Event.TOOLS))

    def owners(self, subject: str) -> tuple[str, ...]:
        """He himself, and the operator where he has set a credential."""
        if self._is_open or not self._credentials.ids(SYSTEM):
            return (subject,)
        return (subject, SYSTEM)

    async def catalogue(self, principal: str, capabilities: Params = NOTHING_ASKED) -> Catalogue:  # noqa: ARG002
        return self._catalogue

    def holds(self, owner: str) -> bool:
        return self._is_open or bool(self._credentials.ids(owner))

    def owner(self, credential: str) -> str:
        return "" if self._is_open else self._credentials.owner(credential)

    async def open(
        self,
        principal: str,
        owner: str,
        capabilities: Params = NOTHING_ASKED,  # noqa: ARG002 (a platform asks nothing)
        *,
        credential: str = "",
    ) -> Connection:
        """A connection on which nothing is opened before a call's arguments became a request. Raises ``NotConnected``
        for a credential that is not ``owner``'s.
        """
        if credential and self.owner(credential) != owner:
            raise NotConnected(f"`{self.id}` has no such connection", connector=self.id, owner=owner)
        return _Connection(self, principal, owner, credential)

    def watch(self, listener: Callable[[Change], None]) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        """Calls under way fail with ``UpstreamFailed``."""
        self._closed = True
        for scope in self._running:
            if not scope.expired():
                scope.reschedule(0)

    async def run(self, name: str, params: Params, *, principal: str, owner: str, id: str) -> Params:
        """The result of one ``tools/call`` of ``principal``, within the time that the definition gives. Raises
        ``UpstreamError``, ``InvalidArguments``, ``NotConnected``, ``UpstreamFailed``.
        """
        platform, action, shares, turns = self.platform, self._actions.get(name), self._shares, self._turns
        if action is None:
            raise UpstreamError(INVALID_PARAMS, f"`{self.id}` has no action of that name")
        args = params.get("arguments") or {}
        if not isinstance(args, dict):
            raise UpstreamError(INVALID_PARAMS, "`arguments` is not an object")
        self._refuse_if_closed()
        seconds = platform.definition.api.timeout_s
        means = Means(platform, self._exchange, self._credentials, self._clock, self._sleep)
        deadline = asyncio.get_running_loop().time() + seconds
        call = Run(means, action, owner=owner, id=id, deadline=deadline)
        try:
            async with self._bounded(deadline + GRACE), self._turn(shares, principal), self._turn(turns, self.id):
                return await call(args)
        except TimeoutError:
            self._refuse_if_closed()
            doubt = "" if action.risk is Risk.READ else "; whether it was done is not known"
            raise UpstreamFailed(f"`{self.id}` took longer than {seconds:.0f} s{doubt}") from None

    @property
    def _is_open(self) -> bool:
        """Whether no credential is needed."""
        return self.platform.definition.auth.kind is AuthKind.NONE

    def _take(self, platform: Platform) -> None:
        self.platform = platform
        self._catalogue = catalogue_of(platform)
        self._actions: dict[str, Action] = {action.id: action for action in platform.definition.actions}
        at_once = platform.definition.api.concurrency
        self._turns, self._shares = Turns(at_once), Turns(max(1, at_once // 2))  # nobody has all of them to himself

    @asynccontextmanager
    async def _bounded(self, deadline: float) -> AsyncIterator[None]:
        """Raises ``TimeoutError`` at the deadline, and as soon as this is closed."""
        async with asyncio.timeout_at(deadline) as scope:
            self._running.add(scope)
            try:
                yield
            finally:
                self._running.discard(scope)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise UpstreamFailed(f"`{self.id}` is being closed")

    @asynccontextmanager
    async def _turn(self, turns: Turns, whose: str) -> AsyncIterator[None]:
        try:
            await turns.take(whose, self.platform.definition.api.timeout_s)
        except EgressError:
            raise UpstreamFailed(f"`{self.id}` is busy with other calls; try again") from None
        try:
            yield
        finally:
            turns.give_back(whose)


class _Connection:
    """One owner's way in, for whoever calls."""

    def __init__(self, connector: RestConnector, principal: str, owner: str, credential: str) -> None:
        self._connector, self._principal = connector, principal
        self._owner, self._credential = owner, credential

    @property
    def era(self) -> Era:
        return Era.LEGACY

    async def send(self, method: str, params: Params, caller: Caller) -> Params:  # noqa: ARG002 (nothing is said meanwhile)
        """Raises as ``RestConnector.run`` does."""
        name = params.get("name")
        if method != "tools/call" or not isinstance(name, str):
            raise UpstreamError(METHOD_NOT_FOUND, f"`{self._connector.id}` only has tools")
        run, principal = self._connector.run, self._principal
        return await run(name, params, principal=principal, owner=self._owner, id=self._credential)
