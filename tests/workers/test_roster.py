"""Who lives is told by records that go up, as each worker sees them with its own clock."""

import pytest

from gateway.records import Worker
from gateway.store.base import Unavailable
from gateway.store.sqlite import SqliteStore
from gateway.workers.roster import ANEW_S, DEAD_S, LEFT_S, Roster


class Times:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(tmp_path):
    opened = SqliteStore(tmp_path / "x.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Times:
    return Times()


def roster(store, clock, name: str) -> Roster:
    return Roster(store.workers, Worker(id=name, node="n", socket=f"/{name}"), clock=clock)


async def test_workers_hear_of_each_other_and_of_an_end(store, clock):
    one, two = roster(store, clock, "one"), roster(store, clock, "two")
    await one.beat()
    await two.beat()
    assert two.living("one").socket == "/one"
    assert one.living("two") is None
    clock.now += ANEW_S + 0.1
    assert (await one.sought("two")).socket == "/two"
    await two.close()
    await one.beat()
    assert one.living("two") is None


async def test_who_is_silent_for_long_is_taken_for_dead_and_then_removed(store, clock):
    one, two = roster(store, clock, "one"), roster(store, clock, "two")
    await two.beat()
    await one.beat()
    clock.now += DEAD_S - 0.1
    await one.beat()
    assert one.living("two")
    clock.now += 0.2
    await one.beat()
    assert one.living("two") is None
    assert await store.workers.get("two")
    clock.now += LEFT_S
    await one.beat()
    assert await store.workers.get("two") is None
    await two.beat()  # it was only stalled
    await one.beat()
    assert one.living("two")


async def test_nobody_is_taken_for_dead_because_the_store_is_away(store, clock, monkeypatch):
    one, two = roster(store, clock, "one"), roster(store, clock, "two")
    await two.beat()
    await one.beat()

    async def away(*_):
        raise Unavailable

    monkeypatch.setattr(store.workers, "page", away)
    clock.now += 10 * DEAD_S
    assert await one.sought("two")
    assert await one.sought("three") is None


async def test_names_that_nobody_knows_cost_the_store_one_look_in_a_while(store, clock, monkeypatch):
    one, looks = roster(store, clock, "one"), []
    await one.beat()
    page = store.workers.page

    async def counted(*words):
        looks.append(words)
        return await page(*words)

    monkeypatch.setattr(store.workers, "page", counted)
    clock.now += ANEW_S + 0.1
    assert [await one.sought(f"nobody-{number}") for number in range(100)] == [None] * 100
    assert len(looks) == 1
