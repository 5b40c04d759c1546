"""The other workers: who they are, how requests reach them, and how theirs reach us."""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.follower import now_ms
from gateway.identity import KeyRing
from gateway.pipeline.request_state import Tickets
from gateway.records import Worker
from gateway.sealing import Seal
from gateway.store.base import Store
from gateway.web.asgi import App
from gateway.web.elsewhere import ALONE, Others
from gateway.workers.envelopes import Exchanges
from gateway.workers.handing import Handing
from gateway.workers.names import Names, new_name
from gateway.workers.places import Post
from gateway.workers.relay import Relay
from gateway.workers.roster import Roster
from gateway.workers.taking import Taking

FINISH_S: Final = 10.0
"""How long what others handed over may take to end, once we are told to stop."""


class Company:
    """The others, and this worker among them; ``post`` is ``None`` for one that has none."""

    def __init__(self, post: Post | None, store: Store, ring: KeyRing) -> None:
        self._post = post
        name = new_name("alone", 0) if post is None else post.name
        self.names = Names(Seal(ring.keys("worker-names")), name)
        self.tickets = Tickets(Seal(ring.keys("request-state")), at=name)
        self._exchanges = Exchanges(ring.keys("handover"))
        self.roster: Roster | None = None
        self.others: Others = ALONE
        if post is not None:
            me = Worker(id=name, node=post.node, socket=str(post.socket), address=post.address)
            self.roster = Roster(store.workers, me)
            handing = Handing(self._exchanges, post.node, clock=now_ms)
            self.others = Relay(self.names, self.roster, handing, self.tickets.keeper)
        self._taking: Taking | None = None
        self._servers: list[asyncio.Server] = []

    async def start(self, app: App, *, max_body: int, clock: Callable[[], int] = now_ms) -> None:
        """Take in from now on what others hand over to ``app``, and tell them that we are here."""
        if self._post is None or self.roster is None:
            return
        self._taking = taking = Taking(
            self._exchanges, self._post.name, app, max_body=max_body, socket_of=self._socket_of, clock=clock
        )
        self._servers = [await asyncio.start_unix_server(taking.near, self._post.socket)]
        if self._post.afar is not None:
            self._servers.append(await asyncio.start_server(taking.far, sock=self._post.afar))
        await self.roster.beat()

    async def run(self) -> None:
        """Keep up the roster."""
        if self.roster is not None:
            await self.roster.run()

    async def close(self) -> None:
        """Answer what others have handed over, and take nothing more in."""
        for server in self._servers:
            server.close()
        if self._taking is not None:
            await self._taking.finish(FINISH_S)
        if self.roster is not None:
            await self.roster.close()
        if self._post is not None:
            self._post.socket.unlink(missing_ok=True)

    async def _socket_of(self, name: str) -> str:
        worker = None if self.roster is None else await self.roster.sought(name)
        return worker.socket if worker is not None and self._post is not None and worker.node == self._post.node else ""
