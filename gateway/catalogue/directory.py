"""Where things are: the servers of this gateway, the connectors of each, and what they offer to whom.

The directory asks the connectors, remembers the merged views until a connector says that something
changed, and never lets one dead server behind us delay the others for longer than its patience. It knows
no policy.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from connectors.base import NOTHING_ASKED, Catalogue, Change, Connector, Event, UpstreamError
from gateway.catalogue.views import Source, View, merge
from gateway.errors import Refusal, Unknown
from gateway.mcp.names import META_NAMES
from gateway.mcp.terms import Params

PATIENCE_S: Final = 5.0
"""How long the first list waits for a connector that does not answer; its items follow when it does."""

GLANCE_S: Final = 0.3
"""How long an opening client waits for those not heard yet: its first answer comes soon after our start."""

AGAIN_S: Final = 5.0
"""How long a connector that failed is left alone before it is asked again."""

KEPT: Final = 10_000
"""Views, and catalogues, remembered at most; the oldest go first."""

ROUNDS: Final = 3
"""How often a catalogue is asked for again because it changed while it was being read."""

K = TypeVar("K")
T = TypeVar("T")

_NO_VIEWS: Final[dict[str, View]] = {}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """An MCP server that this gateway offers. ``prefixed`` tools are called ``connector__tool``; those of the
    connectors ``meta`` are reached through the meta tools alone. ``custom``: what users made is offered as well.
    """

    id: str
    connectors: tuple[str, ...]
    prefixed: bool = True
    instructions: str = ""
    meta: frozenset[str] = frozenset()
    custom: bool = False


@dataclass(slots=True)
class _Known:
    """What a connector last said to one principal; ``fresh`` until it changes, ``failed_at`` when it last failed."""

    catalogue: Catalogue | None = None
    fresh: bool = False
    failed_at: float | None = None


class Directory:
    """The servers, and for each and each principal the merged view; warm ones are remembered.

    ``offered`` knows further servers by their domains, as they are now. It watches every connector: who wants to hear
    of changes when the old views are already forgotten uses ``watch`` here. ``clock`` counts seconds.
    """

    def __init__(
        self,
        servers: Iterable[Server],
        connectors: Iterable[Connector],
        *,
        offered: Callable[[str], Server | None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE_S,
    ) -> None:
        self._connectors: Mapping[str, Connector] = {connector.id: connector for connector in connectors}
        self._servers: Mapping[str, Server] = {server.id: server for server in servers}
        self._offered = offered
        self._clock = clock
        self._patience = patience
        self._known: Mapping[str, dict[str, _Known]] = {id: {} for id in self._connectors}
        self._views: dict[Server, dict[str, View]] = {}
        self._former: dict[Server, dict[str, View]] = {}
        self._shared: WeakValueDictionary[tuple[object, ...], View] = WeakValueDictionary()
        self._asking: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._hanging: set[str] = set()
        self._changes = dict.fromkeys(self._connectors, 0)
        self._listeners: list[Callable[[Change], None]] = []
        for connector in self._connectors.values():
            connector.watch(self._changed)

    def server(self, domain: str) -> Server:
        """The server of a domain; raises ``Unknown`` (404)."""
        if (server := self._servers.get(domain) or self._offered(domain)) is None:
            raise Unknown("there is no such server", code=-32600, status=404)
        return server

    def serves(self, domain: str) -> bool:
        """Whether there is a server of this domain."""
        return domain in self._servers or self._offered(domain) is not None

    def instructions(self, domain: str, view: View) -> str:
        """The operator's words for a server, or those of its only connector."""
        said = [catalogue.instructions for _, catalogue in view.sources if catalogue is not None]
        return self.server(domain).instructions or (said[0] if len(view.sources) == len(said) == 1 else "")

    async def view(self, domain: str, principal: str, capabilities: Params = NOTHING_ASKED) -> View:
        """What a server offers to ``principal``; does not wait when it is remembered. ``capabilities`` is what his
        client can be asked for, as a server behind us that is first met for it will learn. Raises ``Unknown``.
        """
        server = self.server(domain)
        view = self._views.get(server, _NO_VIEWS).get(principal)
        if view is None:
            return await self._look(server, principal, capabilities)
        if view.missing:
            self._ask_again(view.missing, principal)
        return view

    async def glance(self, domain: str, principal: str, capabilities: Params = NOTHING_ASKED) -> View:
        """As ``view``, for who only wants to know what a server is like: waits ``GLANCE_S`` for those not heard yet,
        who then go on in the background. Raises ``Unknown``.
        """
        server = self.server(domain)
        if principal in self._views.get(server, _NO_VIEWS):
            return await self.view(domain, principal, capabilities)
        known = [(id, self._of(id, principal)) for id in server.connectors]
        news = [id for id, each in known if not each.fresh and each.failed_at is None]
        unheard = [self._ask(id, principal, capabilities) for id in news]
        if unheard:
            await asyncio.wait(unheard, timeout=GLANCE_S)
        view = self._merged(server, principal)
        if all(self._of(id, principal).failed_at is not None for id in view.missing):
            self._remember(self._views, server, principal, view)
        return view

    def connectors(self, domain: str) -> tuple[Connector, ...]:
        """Those behind a server, in their order. Raises ``Unknown``."""
        return tuple(self._connectors[id] for id in self.server(domain).connectors)

    def former(self, domain: str, principal: str) -> View | None:
        """The view that a change made obsolete last, for telling whom the change concerns."""
        return self._former.get(self.server(domain), _NO_VIEWS).get(principal)

    def watch(self, listener: Callable[[Change], None]) -> None:
        """Call ``listener`` for every change from now on, when the next ``view`` will show it."""
        self._listeners.append(listener)

    async def close(self) -> None:
        """Stop asking; the connectors themselves are closed by who made them."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    # -- looking

    async def _look(self, server: Server, principal: str, capabilities: Params) -> View:
        unknown = [id for id in server.connectors if not self._of(id, principal).fresh]
        asked = {id: self._ask(id, principal, capabilities) for id in unknown}
        if patiently := [task for id, task in asked.items() if id not in self._hanging]:
            await asyncio.wait(patiently, timeout=self._patience)
        self._hanging.update(id for id, task in asked.items() if not task.done())
        view = self._merged(server, principal)
        if all((id, principal) in self._asking or self._of(id, principal).failed_at is not None for id in view.missing):
            self._remember(self._views, server, principal, view)
        return view

    def _merged(self, server: Server, principal: str) -> View:
        """The view of what is known now; principals to whom the connectors say the same share one."""
        known = [(id, self._of(id, principal)) for id in server.connectors]
        missing = frozenset(id for id, each in known if not each.fresh)
        same = (server, missing, *(id(each.catalogue) for _, each in known))
        if (view := self._shared.get(same)) is None:
            sources: list[Source] = [(self._connectors[id], each.catalogue) for id, each in known]
            view = self._shared[same] = merge(
                sources,
                prefixed=server.prefixed,
                missing=missing,
                meta=server.meta,
                reserved=META_NAMES if server.meta else frozenset(),
                custom=server.custom,
            )
        return view

    def _of(self, id: str, principal: str) -> _Known:
        known = self._known[id].get(principal)
        return _keep(self._known[id], principal, _Known()) if known is None else known

    # -- asking

    def _ask(self, id: str, principal: str, capabilities: Params = NOTHING_ASKED) -> asyncio.Task[None]:
        """The one task that asks a connector for a principal's catalogue."""
        task = self._asking.get((id, principal))
        if task is None:
            task = asyncio.get_running_loop().create_task(
                self._hear(id, principal, capabilities), name=f"catalogue of {id}"
            )
            self._asking[id, principal] = task
            task.add_done_callback(lambda done: self._heard(id, principal, done))
        return task

    def _ask_again(self, missing: Iterable[str], principal: str) -> None:
        for id in missing:
            failed_at = self._of(id, principal).failed_at
            if failed_at is not None and self._clock() - failed_at >= AGAIN_S:
                self._ask(id, principal)

    async def _hear(self, id: str, principal: str, capabilities: Params) -> None:
        for _ in range(ROUNDS):
            changes = self._changes[id]
            catalogue = await self._connectors[id].catalogue(principal, capabilities)
            if changes == self._changes[id]:
                break
        known = self._of(id, principal)
        known.catalogue, known.fresh, known.failed_at = catalogue, changes == self._changes[id], None

    def _heard(self, id: str, principal: str, task: asyncio.Task[None]) -> None:
        self._asking.pop((id, principal))
        self._hanging.discard(id)
        if task.cancelled():
            return
        if (failure := task.exception()) is not None:
            expected = isinstance(failure, Refusal | UpstreamError)
            log.warning("%s does not say what it offers: %s", id, failure, exc_info=None if expected else failure)
            self._of(id, principal).failed_at = self._clock()
        elif self._forget(id, principal):
            for event in (Event.TOOLS, Event.PROMPTS, Event.RESOURCES):
                self._announce(Change(id, event, principal))

    # -- changes

    def _changed(self, change: Change) -> None:
        if change.event is not Event.UPDATED:
            self._changes[change.connector] += 1
            for principal, known in self._known[change.connector].items():
                if change.principal in ("", principal):
                    known.fresh, known.failed_at = False, None
            self._forget(change.connector, change.principal)
        self._announce(change)

    def _forget(self, id: str, principal: str) -> bool:
        """Forget the views in which a connector's items stand; whether there was any."""
        forgotten = False
        for server in [each for each in self._views if id in each.connectors]:
            views = self._views[server]
            if views and not principal:
                forgotten = True
                former = self._former.get(server, _NO_VIEWS) | views
                self._views[server], self._former[server] = {}, former if len(former) <= KEPT else views
            elif principal in views:
                forgotten = True
                self._remember(self._former, server, principal, views.pop(principal))
        return forgotten

    def _remember(self, of: dict[Server, dict[str, View]], server: Server, principal: str, view: View) -> None:
        _keep(of[server] if server in of else _keep(of, server, {}), principal, view)

    def _announce(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)


def _keep(kept: dict[K, T], key: K, value: T) -> T:
    """Put ``value`` last, and let the first go when there are too many."""
    kept[key] = value
    if len(kept) > KEPT:
        del kept[next(iter(kept))]
    return value
