"""Long work beside a running event loop."""

import asyncio
import gc
import weakref
from itertools import pairwise

import pytest

from gateway import pacing
from gateway.pacing import Breath, clear_away_in_slices, paced
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.terms import Effect, Link, Place, Rule
from tests.policy.builders import MODEL

ROWS = 2_000


def bundle() -> Bundle:
    rules = tuple(
        Rule(f"user:u{n}@example.com", "main", "self", f"a/t{n % 7}", "read", "", Effect.ALLOW, Place("rules.csv", n))
        for n in range(ROWS)
    )
    links = tuple(Link(f"user:u{n}@example.com", f"role:r{n % 9}", "*", Place("roles.csv", n)) for n in range(ROWS))
    return Bundle(MODEL, rules, links)


async def until(condition, within=5.0):
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)


def test_paced_work_gives_its_result_and_leaves_the_others_their_turn(monkeypatch):
    paused = []
    monkeypatch.setattr(pacing, "SLICE_S", 0.0)
    monkeypatch.setattr(pacing.time, "sleep", paused.append)

    def work():
        for _ in range(5):
            yield
        return "done"

    assert paced(work()) == "done"
    assert paused == [pacing.PAUSE_S] * 5


def test_paced_work_that_fails_fails():
    def work():
        yield
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        paced(work())


async def test_what_a_dropped_policy_held_is_cleared_away_while_the_loop_goes_on(monkeypatch):
    cleared = []
    let_go = pacing.taken_apart

    def counted(contents):
        for each in let_go(contents):
            cleared.append(len(contents))
            yield each
        cleared.append(None)

    monkeypatch.setattr(pacing, "taken_apart", counted)
    monkeypatch.setattr(pacing, "SLICE_S", 0.0)
    policy = Policy.build(bundle(), (), "1.0")
    clear_away_in_slices(policy)
    later = policy.changed({"1": Link("user:a@example.com", "role:r", "*", Place("grant:1"))}, (), "1.1")
    del policy
    await asyncio.sleep(0)
    assert cleared == [], "a later snapshot needs it"
    contents = later.files.contents
    gc.disable()
    try:
        del later
        await until(lambda: cleared and cleared[-1] is None)
    finally:
        gc.enable()
    assert len(cleared) > ROWS / 256
    assert not any(contents), "the maps are empty"


async def test_a_policy_without_a_bundle_is_cleared_away_too():
    policy = Policy.build(None, (), "0.0")
    clear_away_in_slices(policy)
    gone = weakref.ref(policy.files)
    del policy
    assert gone() is None
    await asyncio.sleep(0)


def test_a_policy_that_outlives_the_loop_goes_at_once():
    async def started():
        policy = Policy.build(bundle(), (), "1.0")
        clear_away_in_slices(policy)
        return policy

    policy = asyncio.run(started())
    gone = weakref.ref(policy.files)
    del policy
    assert gone() is None


async def test_a_policy_may_be_dropped_in_another_thread():
    policy = Policy.build(bundle(), (), "1.0")
    clear_away_in_slices(policy)
    contents = policy.files.contents
    holder = [policy]
    del policy
    await asyncio.to_thread(holder.clear)
    await until(lambda: not any(contents))


async def test_work_on_the_loop_gives_its_result_and_lets_the_others_on_after_each_slice(monkeypatch):
    monkeypatch.setattr(pacing, "SLICE_S", 0.0)
    done = []

    async def others():
        while True:
            done.append("other")
            await asyncio.sleep(0)

    def work(name):
        for _ in range(4):
            done.append(name)
            yield
        return name

    breath, other = Breath(), asyncio.create_task(others())
    assert await asyncio.gather(*(breath.work(work(name)) for name in "abc")) == ["a", "b", "c"]
    other.cancel()
    assert sorted(each for each in done if each != "other") == sorted("abc" * 4)
    assert all("other" in pair for pair in pairwise(done[done.index("a") :]))


async def test_work_that_is_soon_done_does_not_pause(monkeypatch):
    monkeypatch.setattr(pacing, "SLICE_S", 60.0)
    monkeypatch.setattr(pacing.asyncio, "sleep", None)
    assert await Breath().work(iter_of("done")) == "done"


def iter_of(result):
    yield
    return result
