"""Every step is taken once, whoever brings it twice at the same moment, to whichever node: over both stores."""

import asyncio
import re

import pytest

from gateway.connections.flows import STEP_MS
from gateway.connections.sweeping import KEEP_MS, sweep
from gateway.connections.terms import FlowRefused, Why
from gateway.errors import Unknown
from gateway.records import Stage
from tests.connections.world import ALICE, BACK, Provider, World

AT_ONCE = 5


@pytest.fixture
async def worlds(opened):
    """Three nodes with a store of their own each, on one database, and one platform."""
    provider = Provider()
    return [World(store=await opened(), provider=provider) for _ in range(3)]


async def raced(*steps):
    """What came of all of them at once: results, and the reasons of refusals."""
    ends = await asyncio.gather(*steps, return_exceptions=True)
    strange = [each for each in ends if isinstance(each, BaseException) and not isinstance(each, FlowRefused)]
    assert not strange, strange
    refused = [each for each in ends if isinstance(each, FlowRefused)]
    return [each for each in ends if not isinstance(each, BaseException)], refused


async def test_of_many_who_click_the_same_link_one_goes_on(worlds):
    _, token = await worlds[0].link()
    gone, refused = await raced(*(world.click(token) for world in worlds for _ in range(AT_ONCE)))
    assert len(gone) == 1
    assert {each.why for each in refused} == {Why.USED}


async def test_of_many_who_bring_the_same_answer_one_connects(worlds):
    _, token = await worlds[0].link()
    query = worlds[0].provider.agrees(await worlds[1].click(token), "ann")
    ended, refused = await raced(*(world.back(query) for world in worlds for _ in range(AT_ONCE)))
    assert [each.flow.stage for each in ended] == [Stage.DONE]
    assert {each.why for each in refused} == {Why.USED}
    assert worlds[0].provider.exchanged == 1
    assert len(await worlds[2].connections()) == 1


async def test_of_many_who_confirm_one_does_and_if_somebody_else_is_first_nothing_is_connected(worlds):
    for first in ("end:s1/u", "end:s1/other"):
        _, token = await worlds[0].link("end:s1/u", back=BACK)
        query = worlds[0].provider.agrees(await worlds[0].click(token, signed_in="", browser="his"), "ann")
        ended = await worlds[0].back(query, signed_in="", browser="his")
        code = re.search(r"code=([^&]+)", ended.next).group(1)
        owners = [first, *(["end:s1/u", "end:s1/other"] * 3)]
        before = len(await worlds[0].connections())
        done, refused = await raced(
            *(worlds[n % 3].linking.confirm(code, owner=owner) for n, owner in enumerate(owners))
        )
        assert len(done) <= 1
        assert len(done) + len(refused) == len(owners)
        flow = await worlds[1].store.flows.get(ended.flow.id)
        made = len(await worlds[0].connections()) - before
        assert flow.stage is (Stage.DONE if done else Stage.DISCARDED)
        assert made <= len(done)  # the same account may have been connected before
        assert {each.why for each in refused} <= {Why.USED, Why.OTHER_PERSON}


async def test_of_two_opposite_decisions_one_counts(worlds):
    for world in worlds:
        await world.catch_up()
    first = (await worlds[0].connect("ann")).flow.result
    for turn in range(4):
        account = (await worlds[0].store.connections.get(first)).account
        ended = await worlds[0].connect(f"another{turn}", reconnects=first)
        assert ended.flow.stage is Stage.ASKING
        done, refused = await raced(
            worlds[1].linking.settle(ended.flow.id, keep=bool(turn % 2), owner=ALICE),
            worlds[2].linking.settle(ended.flow.id, keep=not turn % 2, owner=ALICE),
        )
        assert (len(done), len(refused)) == (1, 1)
        now = (await worlds[0].store.connections.get(first)).account
        assert now == (f"another{turn}" if done[0].stage is Stage.DONE else account)


async def test_a_late_flow_expires_once_and_what_it_held_is_given_back_once(worlds):
    _, token = await worlds[0].link("end:s1/u", back=BACK)
    query = worlds[0].provider.agrees(await worlds[0].click(token, signed_in="", browser="his"), "ann")
    pending = (await worlds[0].back(query, signed_in="", browser="his")).flow
    created, _ = await worlds[0].link()
    for world in worlds:
        world.now += STEP_MS - 1
    assert await sweep(worlds[0].means()) == 0
    for world in worlds:
        world.now += 1
    assert sum(await asyncio.gather(*(sweep(world.means()) for world in worlds))) == 2
    assert worlds[0].provider.forgotten == ["ann"]
    for id in (pending.id, created.id):
        flow = await worlds[1].store.flows.get(id)
        assert (flow.stage, flow.reason, flow.sealed, flow.link, flow.code) == (
            Stage.EXPIRED, Why.EXPIRED, b"", "", "",
        )  # fmt: skip


async def test_a_flow_that_ended_is_told_of_for_a_day_and_then_forgotten(worlds):
    flow = (await worlds[0].connect()).flow
    for world in worlds:
        world.now = flow.expires_at + KEEP_MS - 1
    await sweep(worlds[0].means())
    assert (await worlds[1].linking.flow(flow.id, owner=ALICE)).stage is Stage.DONE
    worlds[1].now += 1
    await asyncio.gather(sweep(worlds[1].means()), sweep(worlds[1].means()))
    with pytest.raises(Unknown):
        await worlds[0].linking.flow(flow.id, owner=ALICE)
    assert len(await worlds[0].connections()) == 1, "what came of it stays"


async def test_a_confirmation_and_the_end_of_its_time_never_both_count(worlds):
    """A node that was stopped between taking a code and keeping the account leaves it to the sweep."""
    world = worlds[0]
    _, token = await world.link("end:s1/u", back=BACK)
    query = world.provider.agrees(await world.click(token, signed_in="", browser="his"), "ann")
    ended = await world.back(query, signed_in="", browser="his")
    code = re.search(r"code=([^&]+)", ended.next).group(1)

    async def stopped(*_):
        raise asyncio.CancelledError

    replace, world.store.connections.add = world.store.connections.add, stopped
    with pytest.raises(asyncio.CancelledError):
        await world.linking.confirm(code, owner="end:s1/u")
    world.store.connections.add = replace
    with pytest.raises(FlowRefused):
        await worlds[1].linking.confirm(code, owner="end:s1/u")
    worlds[1].now += STEP_MS
    assert await sweep(worlds[1].means()) == 1
    assert world.provider.forgotten == ["ann"]
    assert await world.connections() == []
