"""What processes tell each other of how often was called: nobody gets much more than his limit out of several."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.errors import Limited
from gateway.errors import Unavailable as Unsure
from gateway.pipeline.buckets import Buckets
from gateway.policy.limits import TENTH, Limit
from gateway.records import Tally
from gateway.store.base import Conflict, NotFound, Unavailable
from gateway.tallies import GOOD_ROUNDS, LEFT_MS, MOST, Tallies
from tests.builders import ALL, AMY, BOB, Door, call, refused
from tests.fakes import slack

KEY = ("user:amy@example.com", "main")
TEN = Limit(calls=10, window_ms=60_000)


@dataclass
class Shelf:
    """Records in memory; ``down`` answers nothing."""

    kept: dict[str, Tally] = field(default_factory=dict)
    writes: int = 0
    down: bool = False

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("down")

    async def get(self, id: str) -> Tally | None:
        self._answer()
        return self.kept.get(id)

    async def add(self, record: Tally) -> Tally:
        return await self._put(record, None)

    async def replace(self, record: Tally) -> Tally:
        if record.id not in self.kept:
            raise NotFound(record.id)
        return await self._put(record, record.rev)

    async def remove(self, id: str) -> None:
        self._answer()
        del self.kept[id]

    async def page(self, after: str = "", limit: int = 100) -> Sequence[Tally]:
        self._answer()
        return sorted((each for each in self.kept.values() if each.id > after), key=lambda each: each.id)[:limit]

    async def _put(self, record: Tally, rev: int | None) -> Tally:
        self._answer()
        there = self.kept.get(record.id)
        if (None if there is None else there.rev) != rev:
            raise Conflict(record.id)
        self.writes += 1
        self.kept[record.id] = replace(record, rev=self.writes)
        return self.kept[record.id]


@dataclass
class Fleet:
    """Several processes on one shelf."""

    shelf: Shelf = field(default_factory=Shelf)
    now: int = 1_000_000

    def node(self, *, demand_news: bool = False) -> tuple[Buckets, Tallies]:
        buckets = Buckets(demand_news=demand_news)
        return buckets, Tallies(self.shelf, buckets, round_s=1, clock=lambda: self.now)


def passes(buckets: Buckets, now: int, limit: Limit = TEN, key: tuple[str, ...] = KEY) -> bool:
    try:
        buckets.take(key, limit, now)
    except Limited:
        return False
    return True


async def test_what_one_process_counted_is_taken_from_the_limit_of_all():
    fleet = Fleet()
    (one, tells), (other, hears) = fleet.node(), fleet.node()
    assert [passes(one, fleet.now) for _ in range(7)] == [True] * 7
    await tells.exchange()
    await hears.exchange()
    assert [passes(other, fleet.now) for _ in range(4)] == [True, True, True, False]
    assert passes(other, fleet.now, key=("user:bob@example.com", "main")), "nobody else is touched"
    fleet.now += 60_000
    assert passes(other, fleet.now), "and it leaves the window there as it does here"


async def test_what_was_counted_outlives_its_process():
    fleet = Fleet()
    buckets, tallies = fleet.node()
    for _ in range(10):
        passes(buckets, fleet.now)
    await tallies.close()
    anew, tallies = fleet.node()
    await tallies.exchange()
    assert not passes(anew, fleet.now)


async def test_nothing_is_written_while_nothing_has_to_be_told_and_nobody_can_read_who_called():
    fleet = Fleet()
    buckets, tallies = fleet.node()
    passes(buckets, fleet.now)
    await tallies.exchange()
    assert fleet.shelf.writes == 0, "one of ten is not over a tenth"
    passes(buckets, fleet.now)
    for _ in range(3):
        await tallies.exchange()
    assert fleet.shelf.writes == 1
    assert "amy" not in repr(fleet.shelf.kept)
    fleet.now += 60_000
    await tallies.exchange()
    assert [each.counts for each in fleet.shelf.kept.values()] == [{}]


async def test_the_record_of_a_process_that_has_gone_is_removed_and_that_of_one_that_lives_comes_back():
    fleet = Fleet()
    (one, idle), (_, other) = fleet.node(), fleet.node()
    passes(one, fleet.now)
    passes(one, fleet.now)
    await idle.exchange()
    fleet.now += 60_000 + LEFT_MS + 1
    await other.exchange()
    assert not fleet.shelf.kept
    passes(one, fleet.now)
    passes(one, fleet.now)
    await idle.exchange()
    assert [len(each.counts) for each in fleet.shelf.kept.values()] == [1]


async def test_a_write_of_which_nobody_knows_what_became_of_it_does_no_harm():
    fleet = Fleet()
    buckets, tallies = fleet.node()
    for lost in (True, False):
        passes(buckets, fleet.now)
        passes(buckets, fleet.now)
        await tallies.exchange()
        if lost:  # it was done, and nobody heard so
            (record,) = fleet.shelf.kept.values()
            await fleet.shelf.replace(record)
    (record,) = fleet.shelf.kept.values()
    assert [calls for _, calls in next(iter(record.counts.values()))] == [4]


async def test_a_record_holds_so_many_counts_at_most_those_that_changed_last():
    fleet, limit = Fleet(), Limit(calls=1, window_ms=60_000)
    (one, tells), (other, hears) = fleet.node(), fleet.node()
    for n in range(MOST + 1):
        passes(one, fleet.now, limit, (str(n),))
    await tells.exchange()
    passes(one, fleet.now, limit, ("late",))
    await tells.exchange()
    await hears.exchange()
    assert [passes(other, fleet.now, limit, (key,)) for key in ("0", "1", "2", "late")] == [True, True, False, False]


async def test_without_news_for_some_rounds_calls_go_on_or_are_refused_as_the_operator_wants():
    fleet = Fleet()
    (lenient, hears), (strict, demands) = fleet.node(), fleet.node(demand_news=True)
    with pytest.raises(Unsure):
        passes(strict, fleet.now)
    for each in (hears, demands):
        await each.exchange()
    fleet.shelf.down = True
    for _ in range(GOOD_ROUNDS):
        assert passes(lenient, fleet.now)
        assert passes(strict, fleet.now)
        fleet.now += 1_000
        for each in (hears, demands):
            with pytest.raises(Unavailable):
                await each.exchange()
    assert passes(lenient, fleet.now)
    with pytest.raises(Unsure):
        passes(strict, fleet.now)
    fleet.shelf.down = False
    await demands.exchange()
    assert passes(strict, fleet.now)


async def test_a_store_that_does_not_answer_is_complained_of_once_and_asked_again(caplog):
    fleet = Fleet()
    buckets, tallies = Buckets(), None
    tallies = Tallies(fleet.shelf, buckets, round_s=0.001, clock=lambda: fleet.now)
    fleet.shelf.down = True
    running = asyncio.create_task(tallies.run())
    async with asyncio.timeout(10):
        while not caplog.messages:
            await asyncio.sleep(0.001)
        fleet.shelf.down = False
        for _ in range(2):
            passes(buckets, fleet.now)
        while not fleet.shelf.writes:
            await asyncio.sleep(0.001)
    running.cancel()
    assert len(caplog.messages) == 1


@given(
    st.integers(2, 3),
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 500)), min_size=1, max_size=120),
)
def test_several_processes_give_no_more_than_the_limit_a_tenth_each_and_what_they_could_not_yet_tell(
    nodes, calls, steps
):
    """In any window; ``2`` rounds are what it takes at most until all have heard of a call."""
    asyncio.run(_never_much_more(nodes, Limit(calls, 5_000), steps))


async def _never_much_more(nodes: int, limit: Limit, steps: list[tuple[int, int]]) -> None:
    fleet = Fleet()
    processes = [fleet.node() for _ in range(nodes)]
    passed: list[tuple[int, int]] = []
    due = [fleet.now + 1_000 * (number + 1) // nodes for number in range(nodes)]
    for who, gap in steps:
        until = fleet.now + gap
        while min(due) <= until:
            number = due.index(min(due))
            fleet.now = due[number]
            await processes[number][1].exchange()
            due[number] += 1_000
        fleet.now = until
        if passes(processes[who % nodes][0], fleet.now, limit):
            passed.append((who % nodes, fleet.now))
            mine, at = passed[-1]
            live = [each for each in passed if each[1] > at - limit.window_ms]
            news = [each for each in live if each[0] != mine and each[1] > at - 2_000]
            assert len(live) <= limit.calls + len(news) + (nodes - 1) * (limit.calls // TENTH)


async def test_two_doors_on_one_store_give_together_hardly_more_than_one(store):
    limits = "[[class]]\nname = 'default'\ncalls = 20\nwindow_s = 60\n"
    buckets = [Buckets(), Buckets()]
    doors = [Door(ALL, [slack()], limits=limits, buckets=each) for each in buckets]
    tallies = [Tallies(store.tallies, each, round_s=1, clock=lambda: doors[0].now) for each in buckets]
    through = 0
    for _round in range(30):
        for door in doors:
            for _ in range(3):
                through += not isinstance(await _tried(door), Limited)
        for each in tallies:
            await each.exchange()
        for door in doors:
            door.now += 1_000
    assert 20 <= through <= 20 + 2 + 2 * 3, "the limit, a tenth that is not told, and what came within two rounds"
    assert isinstance(await refused(doors[1], AMY, call("tools/list")), Limited)
    await doors[1].tools(BOB)


async def _tried(door: Door) -> object:
    try:
        return await door.tools(AMY)
    except Limited as limited:
        return limited
