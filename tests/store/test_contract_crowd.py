"""What both stores promise when many come at once, wherever their clocks stand, and after a restart."""

import asyncio
import hashlib
import time

import pytest
from msgspec import structs

from gateway.audit import AuditEntry
from gateway.records import PolicyHead, User
from gateway.store.base import Conflict
from gateway.store.whole import PARTS
from tests.moving.contents import everything

TASKS = 50


async def test_fifty_tasks_that_do_everything_at_once_do_not_disturb_each_other(opened):
    stores = [await opened(), await opened()]

    async def work(task: int) -> int:
        store = stores[task % 2]
        user = await store.users.add(User(id=f"{task:02}"))
        await store.users.replace(structs.replace(user, name=f"{task}"))
        await store.audit.append([AuditEntry(id=f"{task:02}-{number}", at=task) for number in range(3)])
        body = f"policy {task}".encode()
        bundle = hashlib.sha256(body).hexdigest()
        await store.bundles.put(bundle, body)
        assert await store.bundles.get(bundle) == body
        with pytest.raises(Conflict):
            await stores[(task + 1) % 2].users.replace(user)
        try:
            version = (await store.heads()).policy
            await store.bundles.move_head(version, PolicyHead(version=version + 1, bundle=bundle, author="a", at=0))
        except Conflict:
            return 0
        return 1

    moved = sum(await asyncio.gather(*(work(task) for task in range(TASKS))))
    for store in stores:
        assert [(user.id, user.name) for user in await store.users.page()] == [
            (f"{n:02}", f"{n}") for n in range(TASKS)
        ]
        assert len(await store.audit.scan(limit=1_000)) == 3 * TASKS
        assert [head.version for head in await store.bundles.history(100)] == list(range(moved, 0, -1))
    assert moved > 0


async def test_all_of_a_store_is_there_after_a_restart(opened):
    first = await opened()
    await everything(first)
    before = {part: await first.contents.walk(part, limit=1_000) for part in PARTS}
    await first.close()
    second = await opened()
    assert {part: await second.contents.walk(part, limit=1_000) for part in PARTS} == before
    assert all(before.values())


@pytest.fixture
def clocks(monkeypatch):
    """Puts this process into a time zone."""

    def put(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield put
    monkeypatch.undo()
    time.tzset()


async def test_times_mean_the_same_wherever_they_are_read(opened, clocks):
    at = 1_793_498_400_000  # in an hour that the clocks of Auckland and Los Angeles tell differently
    clocks("Pacific/Auckland")
    first = await opened()
    await first.users.add(User(id="a", created_at=at))
    await first.audit.append([AuditEntry(id="1", at=at - 1), AuditEntry(id="2", at=at)])
    clocks("America/Los_Angeles")
    second = await opened()
    assert (await second.users.get("a")).created_at == at
    assert await second.audit.purge(at) == 1
    assert [entry.at for entry in await second.audit.scan()] == [at]
