"""What connections need although nobody calls."""

import asyncio

import pytest

from gateway.connections import tending
from gateway.errors import UpstreamFailed
from gateway.records import Status
from tests.connections.renewal import ADA, HOUR, NOON, Node, connection, failing, platform, tokens, until

DAY = 24 * HOUR
A, B, C = "a" * 24, "b" * 24, "c" * 24


@pytest.fixture
def idle(store, legs, clock):
    """A node whose platform forgets whom it has not seen for sixty days."""
    return Node(store, legs, clock, {"slack": platform(idle_days=60), "github": platform("github")})


def endless(**more):
    return connection(given=tokens(expires_at=None), **more)


async def test_what_lies_unused_for_half_as_long_as_the_platform_allows_is_renewed(idle, legs, clock):
    await idle.put(endless())
    clock.now = NOON + 30 * DAY
    await idle.tending.look()
    assert legs.asked == 0
    clock.now += 1
    await idle.tending.look()
    await idle.tending.look()
    assert legs.asked == 1
    assert (await idle.stored()).updated_at == clock.now


async def test_two_nodes_that_look_at_once_renew_once(nodes, legs, clock):
    for node in nodes:
        node.platforms["slack"] = platform(idle_days=60)
    await nodes[0].put(endless())
    for node in nodes:
        await node.look()
    clock.now = NOON + 31 * DAY
    await asyncio.gather(*(node.tending.look() for node in nodes))
    assert (legs.asked, legs.dead) == (1, False)


async def test_a_platform_that_forgets_nobody_is_asked_nothing(idle, legs, clock):
    await idle.put(endless(connector="github"))
    clock.now = NOON + 1_000 * DAY
    await idle.tending.look()
    assert legs.asked == 0


async def test_an_access_that_ended_for_good_is_marked_although_nobody_calls(idle, clock):
    await idle.put(connection(given=tokens(refresh=None)))
    await idle.put(connection(B))
    clock.now = NOON + HOUR
    await idle.tending.look()
    await idle.tending.look()
    assert (await idle.stored()).reason == "expired"
    assert (await idle.stored(B)).status is Status.ACTIVE
    assert [each.id for each in idle.told] == [A]


async def test_one_that_is_refused_does_not_keep_the_others_from_being_renewed(idle, legs, clock):
    for id in (A, B, C):
        await idle.put(endless(id=id, owner=f"{ADA}{id}"))
    clock.now = NOON + 31 * DAY
    legs.dead = True
    await idle.tending.look()
    assert legs.asked == 3
    assert {(await idle.stored(id)).status for id in (A, B, C)} == {Status.NEEDS_REAUTH}


async def test_a_platform_in_trouble_is_left_alone_until_the_next_look(idle, legs, clock, caplog):
    for id in (A, B, C):
        await idle.put(connection(id=id, given=tokens(expires_at=NOON + 31 * DAY)))
    clock.now = NOON + 31 * DAY
    legs.faults = [failing()] * 9
    await idle.tending.look()
    assert legs.asked == 1
    assert "could not be kept alive" in caplog.text


async def test_a_platform_that_is_not_to_be_had_does_not_keep_others_waiting(idle, legs, clock):
    await idle.put(endless(connector="absent"))
    await idle.put(endless(id=B))
    whole = idle.platform_of

    async def platform_of(id):
        if id == "absent":
            raise UpstreamFailed("it does not answer")
        return await whole(id)

    idle.tending._platform_of = platform_of
    clock.now = NOON + 31 * DAY
    await idle.tending.look()
    assert legs.asked == 1


async def test_a_store_that_is_down_ends_no_look(idle, legs, clock):
    await idle.put(endless())
    clock.now = NOON + 31 * DAY
    idle.records.down = True
    await idle.tending.look()
    assert legs.asked == 0


async def test_it_looks_again_and_again(idle, legs, clock, monkeypatch):
    monkeypatch.setattr(tending, "EVERY_S", 0.001)
    await idle.put(endless())
    task = asyncio.create_task(idle.tending.run())
    for _ in range(2):
        clock.now += 31 * DAY
        asked = legs.asked
        await until(lambda asked=asked: legs.asked > asked)
    task.cancel()
    await asyncio.wait({task})
