"""The pages as a browser meets them: a real port, real sign-ins in a real store, and flows over a platform that is
played by ``tests.connections.world`` or by a counterpart.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from msgspec import structs

from gateway.connections.linking import Linking
from gateway.connections.listing import Listing
from gateway.connections.terms import Started
from gateway.lending import Lending
from gateway.sealing import Seal
from gateway.servers.known import Servers
from gateway.sessions import Sessions
from gateway.settings import ConnectionSettings
from gateway.signing_in.desk import Desk
from gateway.store.base import Store
from gateway.web.hosts import Hosts
from gateway.web.mcp import Endpoint, Rules
from gateway.web.meta import pages
from gateway.web.operations import Operations
from gateway.web.pages.connect import Connecting
from gateway.web.pages.connections import Owned
from gateway.web.pages.cookies import Cookies
from gateway.web.pages.forms import Forms
from gateway.web.pages.shell import Shell
from gateway.web.pages.sign_in import SigningIn
from gateway.web.plane import Plane
from gateway.web.sse import SseEndpoint
from tests.builders import RING, Door
from tests.connections.world import S1, World
from tests.upstreams.starting import free_port

ANN, BEN = "ann@example.com", "ben@example.com"
CONNECTS = """
p, user:*, main, self, *, connect, , allow
p, *, *, self, *, revoke, , allow
"""


@dataclass
class Site:
    """``world`` plays the platforms, ``door`` decides; people are those of the door. With ``tls`` it speaks https."""

    store: Store
    world: World
    door: Door = field(default_factory=lambda: Door(CONNECTS))
    name: str = "Acme tools"
    port: int = field(default_factory=free_port)
    tls: tuple[str, str] | None = None
    means: dict[str, Any] = field(default_factory=dict)
    post: Any = None
    openid: Any = None

    def __post_init__(self) -> None:
        self.world.now = self.door.now
        settings = ConnectionSettings(self.world.binding, (self.back,))
        self.world.servers = Servers({S1.id: structs.replace(S1, redirects=(self.back,))})
        self.linking = Linking(self.world.means(**{"public_url": self.url, "settings": settings, **self.means}))
        self.desk = Desk(
            self.store,
            self.door.follower,
            RING,
            stale_after=60,
            clock=lambda: self.door.now,
            post=self.post,
            openid=self.openid,
        )
        cookies = Cookies(secure=self.tls is not None)
        self.shell = Shell(self.name, cookies, Forms(RING.keys("form")), self.desk, self.door.pipeline)
        listing = Listing(self.store, lambda: self.world.known, lambda: self.world.platforms, lambda: self.door.now)
        platform_of = self.means.get("platform_of", self.world.platform_of)
        lending = Lending(
            self.store,
            lambda: self.world.platforms,
            lambda: self.door.follower.current,
            self.world.catch_up,
            lambda: self.door.now,
        )
        self.operations = Operations(self.door.pipeline, self.linking, listing, lending)
        parts = (
            SigningIn(self.shell),
            Connecting(self.shell, self.operations, platform_of, Seal(RING.keys("ended-flow"))),
            Owned(self.shell, self.operations, lambda: self.door.now),
        )
        self.app = pages(lambda: None, self.shell.style(), *(part.blueprint() for part in parts), self.shell.lost())

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def back(self) -> str:
        """An address of the host application: another origin, which answers."""
        return f"http://localhost:{self.port}/status"

    def key(self, email: str) -> str:
        self.door.person(email)
        return self.door.keys[email]

    async def link(self, email: str = ANN, connector: str = "acme", **options: Any) -> Started:
        self.door.person(email)
        return await self.linking.start(f"user:{email}", connector, **options)

    @property
    def plane(self) -> Plane:
        rules = Rules(accept_query_key=False, max_body=1_000_000, keepalive=30.0)
        shared = (self.door.pipeline, Sessions(), rules, lambda: self.door.now)
        return Plane(
            mcp=Endpoint(*shared),
            sse=SseEndpoint(*shared, lambda *_: True),
            pages=self.app,  # type: ignore[arg-type]
            hosts=Hosts.of(bind=f"127.0.0.1:{self.port}", public_url=self.url),
            trusted_proxies=(),
            pipeline=self.door.pipeline,
        )


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[Site]:
    """The site on its port, until the end of the test."""
    config, ending = Config(), asyncio.Event()
    config.bind = [f"127.0.0.1:{site.port}"]
    config.graceful_timeout, config.shutdown_timeout = 0.5, 2.0
    config.accesslog = config.errorlog = None
    if site.tls is not None:
        config.certfile, config.keyfile = site.tls
    task = asyncio.create_task(serve(site.plane, config, shutdown_trigger=ending.wait))  # type: ignore[arg-type]
    try:
        await _listening(site.port)
        yield site
    finally:
        ending.set()
        await site.desk.close()
        await site.linking.close()
        await asyncio.wait_for(task, 10)


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                await writer.wait_closed()
                return
