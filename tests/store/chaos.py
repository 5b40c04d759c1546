"""Writers that keep books of what was acknowledged, and the faults that they are exposed to."""

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

from msgspec import structs

from gateway.audit import AuditEntry
from gateway.records import PolicyHead, User
from gateway.store.base import Conflict, Unavailable
from gateway.store.mongo import MongoStore
from tests.secantus import Secantus
from tests.store.proxy import Cut, Proxy

PATIENCE = 2.0  # seconds: `timeoutMS` of the clients here
BOUND = (
    3 * PATIENCE + 3
)  # what no call may exceed, on a loaded machine: the write, and what it reads to understand a refusal


class Ledger:
    """One store, and what it acknowledged. Every call is timed; the only failure that is allowed is ``Unavailable``."""

    def __init__(self, store: MongoStore, seed: int) -> None:
        self.store = store
        self.chance = random.Random(seed)
        self.users: set[str] = set()
        self.entries: set[str] = set()
        self.heads: set[int] = set()
        self.increments = self.open_increments = 0
        self.refused = self.done = 0
        self.slowest = 0.0

    async def _timed(self, work: Awaitable[object]) -> bool:
        """Whether it was acknowledged."""
        began = time.monotonic()
        try:
            await work
        except Unavailable:
            self.refused += 1
            return False
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        self.done += 1
        return True

    async def add(self, id: str) -> None:
        if await self._timed(self.store.users.add(User(id=id))):
            self.users.add(id)

    async def read(self) -> None:
        await self._timed(self.store.changes(0))

    async def record(self, id: str) -> None:
        if await self._timed(self.store.audit.append([AuditEntry(id=f"{id}-{n}", at=n) for n in range(3)])):
            self.entries |= {f"{id}-{n}" for n in range(3)}

    async def increment(self) -> None:
        """By compare-and-set; whoever got no answer may have done it."""

        async def work() -> None:
            known = await self.store.users.get("counter")
            self.open_increments += 1
            try:
                await self.store.users.replace(structs.replace(known, created_at=known.created_at + 1))
            except Conflict:
                self.open_increments -= 1
                return
            self.open_increments -= 1
            self.increments += 1

        await self._timed(work())

    async def publish(self) -> None:
        async def work() -> None:
            version = (await self.store.heads()).policy + 1
            body = f"policy {version}".encode() * 1_000
            bundle = hashlib.sha256(body).hexdigest()
            await self.store.bundles.put(bundle, body)
            move = PolicyHead(version=version, bundle=bundle, author="a", at=0)
            try:
                await self.store.bundles.move_head(version - 1, move)
            except Conflict:
                return
            self.heads.add(version)

        await self._timed(work())

    async def check(self) -> None:
        """All that was acknowledged is there, once; nothing is there that nobody asked for."""
        present = await self.store.users.page(limit=100_000)
        assert self.users <= {user.id for user in present}
        counter = next(user for user in present if user.id == "counter").created_at
        assert self.increments <= counter <= self.increments + self.open_increments
        assert self.entries <= {entry.id for entry in await self.store.audit.scan(limit=100_000)}
        versions = [head.version for head in await self.store.bundles.history(limit=100_000)]
        assert versions == list(range(len(versions), 0, -1))
        assert self.heads <= set(versions)
        for head in await self.store.bundles.history(limit=100):
            assert await self.store.bundles.get(head.bundle)
        assert {user.id for user in (await self.store.changes(0)).users} == {user.id for user in present}


@asynccontextmanager
async def proxied(port: int) -> AsyncIterator[tuple[Proxy, Callable[[str], Awaitable[MongoStore]]]]:
    """A proxy in front of a database, and what opens a store through it."""
    proxy, stores = Proxy(port), []

    async def open_one(database: str) -> MongoStore:
        uri = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true&timeoutMS={int(PATIENCE * 1000)}"
        store = MongoStore(uri, database=database)
        stores.append(store)
        await store.open()
        return store

    async with await proxy.serve() as server:
        try:
            yield proxy, open_one
        finally:
            proxy.calm()
            for store in stores:
                await store.close()
            server.close()
            proxy.cut()


async def written_until(ledger: Ledger, faults: Awaitable[None]) -> None:
    """Writers of all kinds at once, for as long as the faults last."""
    await ledger.store.users.add(User(id="counter"))
    over = asyncio.Event()

    async def one(what: str, id: str) -> None:
        if what == "a":
            await ledger.add(id)
        elif what == "r":
            await ledger.record(id)
        else:
            await (ledger.increment() if what == "i" else ledger.publish())

    async def writer(task: int) -> None:
        chance = random.Random(f"{ledger.chance.random()}/{task}")
        for number in count():
            if over.is_set():
                return
            await one(chance.choice("arip"), f"{task}-{number}")

    writers = [asyncio.create_task(writer(task)) for task in range(6)]
    try:
        await faults
    finally:
        over.set()
        await asyncio.gather(*writers)


async def more(ledger: Ledger, calls: int) -> None:
    """Wait until so many calls have ended, well or badly."""
    wanted = ledger.done + ledger.refused + calls
    async with asyncio.timeout(30):
        while ledger.done + ledger.refused < wanted:
            await asyncio.sleep(0.01)


async def cut_and_delayed(proxy: Proxy, ledger: Ledger, seed: int, *, faults: int) -> None:
    """So many faults, one after the other, chosen by the seed."""
    chance = random.Random(seed)
    for _ in range(faults):
        fault = chance.choice(["request", "answer", "answer", "delay", "drop", "down"])
        if fault in ("request", "answer"):
            proxy.at = Cut(fault)
            proxy.armed = chance.choice([b"findAndModify", b"documents\x00", b"updates\x00"])
        elif fault == "delay":
            proxy.delay = chance.uniform(0.01, 0.2)
        elif fault == "drop":
            proxy.drop()
        else:
            proxy.down()
        await more(ledger, 12)
        proxy.calm()
        await more(ledger, 6)


async def killed(server: Secantus, ledger: Ledger, *, times: int) -> None:
    for _ in range(times):
        await more(ledger, 30)
        await asyncio.to_thread(server.kill)
        await more(ledger, 6)
        await asyncio.to_thread(server.start)
        await more(ledger, 12)


async def settled(ledger: Ledger, proxy: Proxy) -> None:
    """All is well again without anybody opening anything anew, nothing hung, and the books are right."""
    proxy.calm()
    async with asyncio.timeout(30):
        done = ledger.done
        while ledger.done == done:
            await ledger.add(f"after-{ledger.refused}")
    if not await ledger.store.users.get("counter"):
        await ledger.store.users.add(User(id="counter"))
    await ledger.check()
    assert ledger.slowest < BOUND
