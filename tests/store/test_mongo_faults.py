"""The production store when the database dies, or the network cuts an answer off."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from gateway.audit import AuditEntry
from gateway.records import PolicyHead, User
from gateway.store.base import Unavailable
from gateway.store.mongo import MongoStore
from tests.secantus import Secantus
from tests.store.proxy import Proxy


@pytest.fixture
def own_server() -> Iterator[Secantus]:
    server = Secantus()
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def proxy(secantus: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(urlsplit(secantus).port or 0)
    async with await proxy.serve() as server:
        yield proxy
        server.close()
        proxy.cut()


@pytest.fixture
async def store(proxy: Proxy) -> AsyncIterator[MongoStore]:
    store = MongoStore(f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true", database=f"f_{secrets.token_hex(6)}")
    await store.open()
    yield store
    await store.close()


async def test_what_was_acknowledged_survives_a_kill_of_the_database(own_server):
    store = MongoStore(f"{own_server.uri}&timeoutMS=2000", database="kill")
    await store.open()
    done: dict[str, list[str]] = {"user": [], "entry": [], "head": []}

    async def users(task: int) -> None:
        for number in range(1_000):
            await store.users.add(User(id=f"{task}-{number}"))
            done["user"].append(f"{task}-{number}")
            await store.audit.append([AuditEntry(id=f"{task}-{number}", at=number)])
            done["entry"].append(f"{task}-{number}")

    async def policies() -> None:
        for version in range(1, 1_000):
            body = f"{version}".encode() * 300_000
            bundle = hashlib.sha256(body).hexdigest()
            await store.bundles.put(bundle, body)
            await store.bundles.move_head(version - 1, PolicyHead(version=version, bundle=bundle, author="a", at=0))
            done["head"].append(str(version))

    working = [asyncio.create_task(work) for work in (policies(), *(users(task) for task in range(4)))]
    async with asyncio.timeout(30):
        while len(done["user"]) < 20 or len(done["head"]) < 2:
            await asyncio.sleep(0.01)
    await asyncio.to_thread(own_server.kill)
    outcomes = await asyncio.gather(*working, return_exceptions=True)
    assert {type(each) for each in outcomes} == {Unavailable}
    await asyncio.to_thread(own_server.start)
    changes = await store.changes(0)
    assert set(done["user"]) <= {user.id for user in changes.users}
    assert set(done["entry"]) <= {entry.id for entry in await store.audit.scan(limit=10_000)}
    versions = [head.version for head in await store.bundles.history(limit=1_000)]
    assert versions == list(range(len(versions), 0, -1))
    assert len(versions) >= len(done["head"])
    assert await store.bundles.get((await store.bundles.head()).bundle)
    await store.close()


@pytest.mark.parametrize("command", [b"documents\x00", b"findAndModify"])
async def test_an_answer_cut_off_does_not_add_twice(store, proxy, command):
    proxy.armed = command
    added = await store.users.add(User(id="a"))
    assert proxy.cuts == 1
    assert list(await store.users.page()) == [added]


async def test_an_answer_cut_off_does_not_replace_twice_or_call_it_a_conflict(store, proxy):
    first = await store.users.add(User(id="a"))
    proxy.armed = b"updates\x00"
    second = await store.users.replace(first)
    assert proxy.cuts == 1
    assert second.rev == 2
    assert await store.users.get("a") == second


async def test_an_answer_cut_off_does_not_make_a_removal_fail(store, proxy):
    await store.users.add(User(id="a"))
    proxy.armed = b"updates\x00"
    await store.users.remove("a")
    assert proxy.cuts == 1
    assert await store.users.get("a") is None
    proxy.armed = b"updates\x00"
    assert (await store.users.add(User(id="a", name="back"))).name == "back"
    assert proxy.cuts == 2


async def test_an_answer_cut_off_does_not_move_the_head_twice(store, proxy):
    bundle = hashlib.sha256(b"policy").hexdigest()
    await store.bundles.put(bundle, b"policy")
    proxy.armed = b"documents\x00"
    await store.bundles.move_head(0, PolicyHead(version=1, bundle=bundle, author="a", at=0))
    assert proxy.cuts == 1
    assert (await store.heads()).policy == 1


async def test_an_answer_cut_off_leaves_each_audit_entry_once(store, proxy):
    entries = [AuditEntry(id=f"{number:03}", at=number) for number in range(50)]
    proxy.armed = b"documents\x00"
    await store.audit.append(entries)
    assert proxy.cuts == 1
    assert list(await store.audit.scan()) == entries


async def test_a_poll_survives_an_answer_cut_off(store, proxy):
    user = await store.users.add(User(id="a"))
    for _ in range(2):
        proxy.armed = b"find"
        assert (await store.changes(0)).users == (user,)
    assert proxy.cuts == 2


@pytest.mark.parametrize("single", [True, False])
async def test_a_single_server_is_warned_about(proxy, caplog, single):
    proxy.instead = (b"setName", b"otherNm") if single else (b"", b"")
    store = MongoStore(f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true", database=f"f_{secrets.token_hex(6)}")
    await store.open()
    await store.close()
    assert ("MongoDB is a single server: run a replica set" in caplog.text) == single
