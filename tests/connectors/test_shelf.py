"""The remembered catalogue: served at once, read again behind the reader's back, told when it differs."""

import asyncio
from dataclasses import replace

import pytest

from connectors.base import Catalogue, Event, Item
from connectors.once import Once
from connectors.shelf import Shelf
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Kind
from gateway.policy.terms import Tool


def catalogue(*names):
    tools = tuple(Item("up", Kind.TOOL, name, {"name": name}, "read", Tool()) for name in names)
    return Catalogue(items={Kind.TOOL: tools})


class Reader:
    """Gives one catalogue after the other, or fails; ``hold`` keeps it reading."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.reads = 0
        self.told = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, old):
        self.reads += 1
        await self.go.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def shelf(self, **given):
        return Shelf(self, **({"name": "up", "tell": self.told.append, "retry": None} | given))


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_it_is_read_once_and_remembered():
    reader = Reader(catalogue("a"))
    shelf = reader.shelf()
    first = await shelf.get()
    assert all(each is first for each in await asyncio.gather(*(shelf.get() for _ in range(9))))
    assert reader.reads == 1
    assert reader.told == []


async def test_the_old_one_is_served_while_the_new_one_is_read():
    old, new = catalogue("a"), catalogue("b")
    reader = Reader(old, new)
    shelf = reader.shelf()
    await shelf.get()
    reader.go.clear()
    shelf.refresh()
    assert await shelf.get() is old
    reader.go.set()
    await until(lambda: reader.told)
    assert await shelf.get() is new
    assert reader.told == [Event.TOOLS]


async def test_a_reading_that_brings_nothing_new_tells_nobody():
    reader = Reader(catalogue("a"))
    shelf = reader.shelf()
    await shelf.get()
    shelf.refresh()
    await until(lambda: reader.reads == 2)
    await shelf.get()
    assert reader.told == []


async def test_an_old_list_is_read_again_without_being_announced():
    reader = Reader(catalogue("a"), catalogue("b"))
    shelf = reader.shelf(stale_after=0.0)
    assert await shelf.get() == catalogue("a")
    await asyncio.sleep(0.001)
    assert await shelf.get() == catalogue("a")
    await until(lambda: reader.told == [Event.TOOLS])


@pytest.mark.parametrize(
    ("ttl", "age", "reads"),
    [
        (0.0, 4.0, 1),
        (0.0, 6.0, 2),
        (60.0, 50.0, 1),
        (60.0, 70.0, 2),
        (9_000.0, 290.0, 1),
        (9_000.0, 310.0, 2),
        (None, 290.0, 1),
    ],
)
async def test_a_list_is_kept_as_long_as_the_server_says_within_bounds(ttl, age, reads):
    reader = Reader(replace(catalogue("a"), ttl=ttl))
    shelf = reader.shelf()
    await shelf.get()
    shelf._read_at -= age
    await shelf.get()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert reader.reads == reads


async def test_a_shelf_that_begins_with_a_catalogue_shows_it_and_tells_how_its_own_differs():
    reader = Reader(catalogue("b"))
    shelf = reader.shelf(kept=catalogue("a"))
    assert await shelf.get() == catalogue("a")
    assert reader.reads == 0
    shelf.reopened()
    await until(lambda: reader.told == [Event.TOOLS])
    assert await shelf.get() == catalogue("b")


async def test_a_change_announced_while_it_is_read_is_not_missed_and_many_cost_one_reading():
    reader = Reader(catalogue("a"), catalogue("b"), catalogue("c"))
    shelf = reader.shelf()
    await shelf.get()
    reader.go.clear()
    shelf.refresh()
    await until(lambda: reader.reads == 2)
    for _ in range(100):
        shelf.refresh()
    reader.go.set()
    await until(lambda: shelf.kept == catalogue("c"))
    assert reader.reads == 3


async def test_a_failed_reading_keeps_the_old_list():
    reader = Reader(catalogue("a"), UpstreamFailed("down"))
    shelf = reader.shelf()
    await shelf.get()
    shelf.refresh()
    await until(lambda: reader.reads == 2)
    await asyncio.sleep(0)
    assert await shelf.get() == catalogue("a")
    assert reader.told == []


async def test_a_change_announced_while_a_reading_fails_is_not_missed():
    reader = Reader(catalogue("a"), UpstreamFailed("down"), catalogue("b"))
    shelf = reader.shelf()
    await shelf.get()
    reader.go.clear()
    shelf.refresh()
    await until(lambda: reader.reads == 2)
    shelf.refresh()
    reader.go.set()
    await until(lambda: shelf.kept == catalogue("b"))


async def test_a_failed_reading_is_tried_again_when_wanted_although_the_old_list_serves():
    reader = Reader(catalogue("a"), UpstreamFailed("down"), UpstreamFailed("down"), catalogue("b"))
    shelf = reader.shelf(retry=0.001)
    await shelf.get()
    shelf.refresh()
    await until(lambda: reader.told == [Event.TOOLS])
    assert await shelf.get() == catalogue("b")


async def test_a_session_that_opens_while_a_list_is_read_is_listed_too():
    reader = Reader(catalogue("a"), catalogue("a"), catalogue("b"))
    shelf = reader.shelf()
    shelf.reopened()
    assert await shelf.get() == catalogue("a")
    reader.go.clear()
    shelf.refresh()
    await until(lambda: reader.reads == 2)
    shelf.reopened()
    reader.go.set()
    await until(lambda: shelf.kept == catalogue("b"))
    assert reader.reads == 3


async def test_a_first_failure_is_not_remembered_and_what_comes_later_is_told():
    reader = Reader(UpstreamFailed("down"), catalogue("a"))
    shelf = reader.shelf()
    with pytest.raises(UpstreamFailed, match="down"):
        await shelf.get()
    assert await shelf.get() == catalogue("a")
    assert reader.told == [Event.TOOLS]


async def test_a_first_failure_is_tried_again_in_the_background_when_wanted():
    reader = Reader(UpstreamFailed("down"), UpstreamFailed("down"), catalogue("a"))
    shelf = reader.shelf(retry=0.001)
    with pytest.raises(UpstreamFailed):
        await shelf.get()
    await until(lambda: reader.told == [Event.TOOLS])


async def test_closing_ends_the_reading_and_every_wait():
    reader = Reader(catalogue("a"))
    shelf = reader.shelf(retry=0.001)
    reader.go.clear()
    waiting = asyncio.create_task(shelf.get())
    await until(lambda: reader.reads)
    await shelf.close()
    with pytest.raises(UpstreamFailed, match="is being closed"):
        await waiting
    await asyncio.sleep(0.01)
    assert reader.reads == 1


async def test_work_is_done_once_for_all_who_wait_and_a_waiter_who_leaves_does_not_end_it():
    runs, go = [], asyncio.Event()

    async def work():
        runs.append(1)
        await go.wait()
        return len(runs)

    once = Once(work, cancelled="ended")
    first, second = asyncio.create_task(once()), asyncio.create_task(once())
    await until(lambda: runs)
    first.cancel()
    go.set()
    assert await second == 1
    assert first.cancelled()
    assert not once.running
    assert await once() == 2


@pytest.mark.parametrize("steps", [0, 1, 5])
async def test_who_waits_for_work_that_is_ended_is_told_so_however_early(steps):
    once = Once(asyncio.Event().wait, cancelled="ended")
    waiting = asyncio.create_task(once())
    await asyncio.sleep(0)
    for _ in range(steps):
        await asyncio.sleep(0)
    await once.cancel()
    with pytest.raises(UpstreamFailed, match="ended"):
        await waiting
