"""The composition root: settings in, one ASGI application out. Builds everything, decides nothing.

``Gateway.start`` opens the store and waits for nothing behind us: upstreams are reached when somebody
asks, or by a warm-up in the background.
"""

import asyncio
import logging
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from connectors.base import Connector, Sharing
from connectors.egress import Egress
from connectors.inviting import Inviting
from gateway.assembly.accounts import accounts
from gateway.assembly.administration import administration
from gateway.assembly.company import Company
from gateway.assembly.front import front
from gateway.assembly.offered import Offered, known_names
from gateway.assembly.proven import protected, proven
from gateway.assembly.rules import rulebook
from gateway.assembly.servers import connectors_of, ourselves, servers_of
from gateway.assembly.watched import Watched
from gateway.audit.checkpoints import USE, Checkpoints, Signer
from gateway.audit.masking import keyed_hash
from gateway.audit.purging import purge
from gateway.audit.trail import Audit
from gateway.catalogue import Directory
from gateway.connections.resealing import refuse_missing_keys
from gateway.folder_mode import FolderMode
from gateway.follower import POLL_MONGO_S, POLL_SQLITE_S, Follower, now_ms
from gateway.manage.servers import Counter
from gateway.mcp.cursors import Bounds
from gateway.pinning import Pinning
from gateway.pipeline import Pipeline
from gateway.pipeline.bridge import Bridge
from gateway.pipeline.buckets import Buckets
from gateway.pipeline.knocks import Knocks, Rates
from gateway.pipeline.parking import Parking
from gateway.pipeline.sentinel import Sentinel
from gateway.pipeline.tasks import Tasks
from gateway.policy.terms import Subject
from gateway.sessions import Sessions
from gateway.settings import Mode, Settings, Unsure
from gateway.store.opening import open_store
from gateway.streams import Announcer
from gateway.tallies import Tallies
from gateway.web.about_us import about_us
from gateway.web.api.audit import AuditApi
from gateway.web.api.connections import ConnectionsApi
from gateway.web.api.connectors import ConnectorsApi
from gateway.web.api.end_users import EndUsersApi
from gateway.web.api.keys import KeysApi
from gateway.web.api.openapi import documented
from gateway.web.api.policy import PolicyApi
from gateway.web.api.routes import Described, mounted
from gateway.web.api.servers import ServersApi
from gateway.web.api.shares import SharesApi
from gateway.web.api.users import UsersApi
from gateway.web.asgi import App, end_tasks
from gateway.web.hosts import Hosts
from gateway.web.mcp import Endpoint, Rules
from gateway.web.meta import Routes, pages
from gateway.web.operations import Operations
from gateway.web.plane import Plane
from gateway.web.sse import SseEndpoint
from gateway.workers.places import Post

HOUSEKEEPING_S: Final = 1.0
AGAIN_S: Final = 1.0
SWEEP_S: Final = 60.0
DAY_S: Final = 24 * 60 * 60

log = logging.getLogger(__name__)


class Gateway:
    """One gateway process. ``asgi`` serves between ``start`` and ``stop``."""

    def __init__(self, settings: Settings, post: Post | None = None) -> None:
        """``post`` is this worker's place among several."""
        self.settings = settings
        self.ring = settings.key_ring()
        self.store = open_store(settings.store.target.reveal(), database=settings.store.database)
        self._poll_s = POLL_SQLITE_S if settings.store.uri is None else POLL_MONGO_S
        self._files = ExitStack()
        self._signer = Signer(self.ring.derived(USE))
        self._audit = Audit(
            self.store.audit,
            stream=self._audit_stream(),
            checkpoints=Checkpoints(self.store.checkpoints, self._signer, now_ms),
            refusing=settings.audit.on_failure == "refuse",
            clock=now_ms,
        )
        self._folder = FolderMode(settings.policy_folder, self.store, clock=now_ms, record=self._audit.record)
        self.follower = Follower(
            self.store,
            self.ring,
            poll_s=self._poll_s,
            folder=self._folder if settings.mode is Mode.DEVELOPMENT else None,
            trusted=settings.trusted_keys,
            stale_after_ms=settings.stale_after_s * 1000,
        )
        self._egress = Egress()
        self._pinning = Pinning(self.store, record=self._audit.record, clock=now_ms)
        self._accounts = accounts(
            settings, store=self.store, ring=self.ring, follower=self.follower, egress=self._egress
        )
        self._upstreams = connectors_of(
            settings,
            self._egress,
            pinning=self._pinning,
            credentials_of=self._accounts.of_upstream,
            doubt=self._accounts.upstreams.doubt,
        )
        self._administration = administration(
            settings,
            store=self.store,
            ring=self.ring,
            follower=self.follower,
            egress=self._egress,
            taken=[each.id for each in (*self._upstreams, *self._accounts.connectors)],
        )
        ours: tuple[Connector, ...] = (*self._accounts.connectors, *self._administration.packages)
        servers = servers_of(settings, [each.id for each in ours])
        offered = Offered(lambda: self.follower.current.servers, servers[0].connectors)
        self._directory = Directory(servers, [*self._upstreams, *ours], offered=offered)
        self._buckets = Buckets(demand_news=settings.limits.unsure is Unsure.REFUSE)
        self._tallies = Tallies(self.store.tallies, self._buckets, round_s=self._poll_s, clock=now_ms)
        self._company = Company(post, self.store, self.ring)
        self._sessions = Sessions(self._released, mint=self._company.names.mint)
        self._parking = Parking()
        self._sentinel = Sentinel(settings.check_one_in, self.follower.decide_plainly)
        self._watched = Watched(settings, self.follower, self._audit, self._sessions)
        self._pipeline = self._piped()
        linked = self._accounts.linked
        self._operations = Operations(self._pipeline, linked.linking, linked.listing, linked.lending)
        self._front = front(
            settings,
            store=self.store,
            follower=self.follower,
            ring=self.ring,
            operations=self._operations,
            platform_of=self._accounts.platform_of,
            egress=self._egress,
            legs=self._accounts.legs,
        )
        self._announcer = Announcer(self._pipeline, self._sessions)
        self._directory.watch(self._announcer.changed)
        self.follower.on_swap(lambda _: self._end_dead())
        self.follower.on_swap(self._accounts.noticed([each for each in self._upstreams if isinstance(each, Inviting)]))
        self.follower.on_swap(self._announcer.swapped)
        self.follower.on_turn(self._announcer.turned)
        self.follower.on_look(self._pinning.look)
        self._protected = protected(settings)
        self.asgi: App = self._plane()
        self._tasks: list[asyncio.Task[None]] = []
        self._releases: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the store and take in what it holds. Raises ``Unavailable``, ``ValueError``."""
        asyncio.get_running_loop().set_exception_handler(tell_fault)
        await self.store.open()
        await self.follower.catch_up()
        await self._tallies.exchange()
        await refuse_missing_keys(self.store, self._accounts.vault)
        self._audit.start()
        self._tasks = [
            asyncio.create_task(lasting("follower", self.follower.run)),
            asyncio.create_task(lasting("tallies", self._tallies.run)),
            asyncio.create_task(lasting("roster", self._company.run)),
            asyncio.create_task(lasting("announcer", self._announcer.run)),
            asyncio.create_task(lasting("sentinel", self._sentinel.run)),
            asyncio.create_task(lasting("housekeeping", self._keep_house)),
            asyncio.create_task(lasting("purging", self._purge)),
            *(asyncio.create_task(lasting(name, work)) for name, work in self._accounts.work.items()),
            asyncio.create_task(lasting("sweeping", self._sweep)),
            asyncio.create_task(self._warm_up(), name="warm-up"),
        ]
        await self._company.start(self.asgi, max_body=self.settings.max_body_bytes)

    async def end_streams(self) -> None:
        """End every stream, so that a server that stops accepting can finish; calls in flight are answered first."""
        await self._sessions.finish()

    async def stop(self) -> None:
        """End children and sessions behind us, write the last audit entries, close the store."""
        await self._company.close()
        await self._sessions.close()
        await self._parking.close()
        await self._pipeline.close()
        await self._front.desk.close()
        await self._accounts.close()
        for task in (*self._tasks, *self._releases):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._releases, return_exceptions=True)
        await self._tallies.close()
        await self._directory.close()
        behind = (*self._upstreams, *self._accounts.connectors, *self._administration.packages)
        await asyncio.gather(*(each.close() for each in behind), return_exceptions=True)
        await self._egress.close()
        self._pinning.stop()
        await self._audit.stop()
        await self.store.close()
        self._files.close()

    def _piped(self) -> Pipeline:
        settings = self.settings
        return Pipeline(
            self.follower,
            self._directory,
            self._audit,
            hashed=keyed_hash(self.ring.derive(self.ring.current, "audit")),
            bridge=Bridge(self._company.tickets, self._parking),
            tasks=Tasks(mint=self._company.names.mint),
            server_info=ourselves(settings),
            stale_after=settings.stale_after_s,
            linker=self._accounts.linked.linker,
            bounds=Bounds(items=settings.page_items),
            buckets=self._buckets,
            knocks=Knocks(Rates(settings.limits.failures, settings.limits.visits)),
            shadow=self.follower.shadow,
            sentinel=self._sentinel,
            passed=self._watched.metrics.passed,
            builtins=self._administration.builtins,
            targets=self._administration.targets,
            proofs=proven(
                settings,
                store=self.store,
                ring=self.ring,
                vault=self._accounts.vault,
                follower=self.follower,
                egress=self._egress,
                audit=self._audit,
            ),
        )

    def _plane(self) -> Plane:
        settings = self.settings
        rules = Rules(
            accept_query_key=settings.accept_key_in_query,
            max_body=settings.max_body_bytes,
            keepalive=settings.keepalive_s,
        )
        hosts = Hosts.of(
            bind=settings.bind,
            public_url=settings.public_url,
            hosts=settings.allowed_hosts,
            origins=settings.allowed_origins,
        )
        return Plane(
            mcp=Endpoint(self._pipeline, self._sessions, rules, now_ms, self._company.others),
            sse=SseEndpoint(self._pipeline, self._sessions, rules, now_ms, self._admits, self._company.others),
            pages=cast("App", pages(self._watched, *self._blueprints())),
            hosts=hosts,
            trusted_proxies=settings.trusted_proxies,
            pipeline=self._pipeline,
            protected=self._protected,
        )

    def _blueprints(self) -> tuple[Routes, ...]:
        about = about_us(self._accounts.upstreams.document)
        routes = self._api()
        return (
            *self._front.blueprints,
            mounted(self._pipeline, routes, accept_query=self.settings.accept_key_in_query),
            documented(routes, version("ostiary")),
            about,
            self._protected.blueprint(),
        )

    def _counter(self) -> Counter:
        """Where users make servers."""
        known = known_names(self._directory, [each.id for each in self._upstreams])
        return Counter(self._administration.office, self._accounts.vault, known)

    def _api(self) -> tuple[Described, ...]:
        """Every route of the management API."""
        office = self._administration.office
        return (
            *ConnectionsApi(self._operations).routes(),
            *ConnectorsApi(self._operations).routes(),
            *SharesApi(office, self._operations).routes(),
            *PolicyApi(self._pipeline, rulebook(self.settings, office, self._directory, self._folder)).routes(),
            *AuditApi(self._pipeline, office, now_ms).routes(),
            *ServersApi(self._counter(), self._pipeline, self.settings.public_url).routes(),
            *KeysApi(office, self._pipeline).routes(),
            *UsersApi(office, self._pipeline).routes(),
            *EndUsersApi(office, self._pipeline).routes(),
        )

    def _audit_stream(self) -> BinaryIO | None:
        place = self.settings.audit.jsonl
        if not place:
            return None
        if place == "stdout":
            return sys.stdout.buffer
        path = Path(place)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        return self._files.enter_context(path.open("ab"))

    def _still_valid(self, subject: Subject) -> bool:
        return self.follower.current.still_valid(subject, now_ms())

    def _admits(self, subject: Subject, domain: str) -> bool:
        return self._directory.serves(domain) and self.follower.current.admits(subject, domain, now_ms())

    def _end_dead(self) -> None:
        self._sessions.end_where(lambda *where: not self._admits(*where), spared=self._pipeline.acts)
        self._parking.end_where(lambda subject: not self._still_valid(subject))

    def _released(self, subject: Subject, domain: str, uris: list[str]) -> None:
        task = asyncio.create_task(self._pipeline.release(subject, domain, uris), name="release")
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def _keep_house(self) -> None:
        """End what is idle, and what was opened while its credential was being taken away."""
        while True:
            self._sessions.expire(now_ms())
            self._end_dead()
            await asyncio.sleep(HOUSEKEEPING_S)

    async def _sweep(self) -> None:
        """End what nobody finished: flows, and sign-ins of people who have gone."""
        while True:
            await self._accounts.linked.sweep()
            await self._front.desk.sweep()
            await asyncio.sleep(SWEEP_S)

    async def _purge(self) -> None:
        """Forget audit entries beyond their retention, once a day."""
        while days := self.settings.audit.retention_days:
            before = now_ms() - days * DAY_S * 1000
            await purge(self.store.audit, self.store.checkpoints, self._signer, before)
            await asyncio.sleep(DAY_S)

    async def _warm_up(self) -> None:
        """Reach the shared upstreams before the first client does; a failure is told when it matters."""
        both = zip(self._upstreams, self.settings.upstreams, strict=True)
        shared = [upstream for upstream, spec in both if spec.sharing is Sharing.ALL]
        await asyncio.gather(*(upstream.catalogue("") for upstream in shared), return_exceptions=True)


def tell_fault(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log what nobody caught by its kinds and places alone: the words of an exception of the web server can hold
    the bytes that a client sent, and so his key.
    """
    fault = context.get("exception")
    log.error("%s%s", context["message"], "" if fault is None else "".join(_kinds(fault)))


def _kinds(fault: BaseException) -> Iterator[str]:
    """What went wrong where, without the words of it, and what it consists of."""
    places = traceback.extract_tb(fault.__traceback__)[-1:]
    yield f"\n  {type(fault).__qualname__}" + "".join(
        f" at {each.name}, {each.filename}:{each.lineno}" for each in places
    )
    for part in fault.exceptions if isinstance(fault, BaseExceptionGroup) else ():
        yield from _kinds(part)


async def lasting(name: str, work: Callable[[], Awaitable[None]], *, again: float = AGAIN_S) -> None:
    """Do ``work`` until it is done. A fault in it is told aloud, and it is begun again after ``again`` seconds:
    nothing that runs in the background may end unnoticed.
    """
    while True:
        task = asyncio.ensure_future(work())
        try:
            await asyncio.wait({task})
        finally:
            await end_tasks(task)
        if task.cancelled() or (fault := task.exception()) is None:
            return
        log.critical("%s ended in a fault and is begun again", name, exc_info=fault)
        await asyncio.sleep(again)
