"""How many calls may wait for their clients, and for how long."""

import asyncio
import gc
import time
from dataclasses import replace

import pytest

from connectors.base import NOT_ASKED, Caller, UpstreamError
from gateway.errors import Limited, UpstreamFailed
from gateway.identity import Identities
from gateway.mcp.terms import Era, Params, Request
from gateway.pipeline.judge import Judge
from gateway.pipeline.parking import QUESTIONS_BYTES, Parked, Parking
from gateway.pipeline.passage import Passage
from gateway.pipeline.way import Way
from gateway.policy.terms import Subject
from tests.builders import ALL, NOON, ORIGIN, RING, Door, call
from tests.fakes import Client

AMY, BOB = Subject("user:amy"), Subject("user:bob")


async def sleep(_: Caller) -> Params:
    await asyncio.Event().wait()
    return {}


def way_of(door: Door, capabilities: Params) -> Way:
    """A request of Amy's under way, whose client can be asked for ``capabilities``."""
    asked = call("tools/call", era=Era.MODERN, name="slack__send", arguments={})
    assert isinstance(asked.message, Request)
    snapshot = door.follower.current
    judge = Judge(snapshot.policy, AMY, "main", {})
    passage = Passage("1", NOON, ORIGIN, "main", "tools/call")
    return Way(asked, asked.message, AMY, Client(capabilities), judge, passage, Identities(RING))


async def ended(parked: Parked) -> None:
    async with asyncio.timeout(5):
        await parked.gone()


async def test_nobody_waits_longer_than_the_given_time():
    parking = Parking(lives_s=0.01)
    parking.park("a", parked := Parked(AMY, sleep))
    await ended(parked)
    assert len(parking) == 0
    assert parking.take("a") is None


async def test_who_was_taken_is_not_ended_by_time():
    parking = Parking(lives_s=0.01)
    parking.park("a", first := Parked(AMY, sleep))
    assert parking.take("a") is first
    parking.park("b", second := Parked(AMY, sleep))
    await ended(second)
    first.end()
    await ended(first)


async def test_one_subject_cannot_take_the_places_of_all():
    parking = Parking(per_subject=2, most=3)
    parked = [Parked(each, sleep) for each in (AMY, AMY, AMY, BOB, BOB)]
    parking.park("0", parked[0])
    parking.park("1", parked[1])
    with pytest.raises(Limited):
        parking.park("2", parked[2])
    parking.park("3", parked[3])
    with pytest.raises(Limited):
        parking.park("4", parked[4])
    parking.take("0")
    parking.park("4", parked[4])
    for each in parked:
        each.end()
        await ended(each)
    await parking.close()


async def test_an_answer_to_a_question_that_is_just_being_withdrawn_is_ignored():
    asked: list[asyncio.Task[Params]] = []

    async def ask(caller: Caller) -> Params:
        asked.append(asyncio.create_task(caller.ask("roots/list", {})))
        await asyncio.wait(asked)
        return {"withdrawn": asked[0].cancelled()}

    door = Door(ALL)
    way = way_of(door, {"roots": {}})
    parked = Parked(AMY, ask)
    assert await parked.wait(way) is None
    (key,) = parked.questions
    asked[0].cancel()
    parked.answer({key: {"roots": []}})
    assert await parked.wait(way) == {"withdrawn": True}


async def test_a_question_that_was_withdrawn_is_not_asked_any_more():
    async def ask(caller: Caller) -> Params:
        first = asyncio.create_task(caller.ask("roots/list", {}))
        await asyncio.sleep(0)
        first.cancel()
        return await caller.ask("sampling/createMessage", {})

    parked = Parked(AMY, ask)
    way = way_of(Door(ALL), {"roots": {}, "sampling": {}})
    assert await parked.wait(way) is None
    assert [each.method for each in parked.questions.values()] == ["sampling/createMessage"]
    parked.end()
    await ended(parked)


async def test_the_questions_of_one_call_are_bounded_in_size_together_while_they_wait():
    large = {"messages": ["x" * (QUESTIONS_BYTES // 3)]}

    async def ask(caller: Caller) -> Params:
        told = await asyncio.gather(
            *(caller.ask("sampling/createMessage", large) for _ in range(3)), return_exceptions=True
        )
        await caller.ask("sampling/createMessage", large)
        return {"refused": [each.code for each in told if isinstance(each, UpstreamError)]}

    parked = Parked(AMY, ask)
    way = way_of(Door(ALL), {"sampling": {}})
    for waiting in (2, 1):
        assert await parked.wait(way) is None
        assert len(parked.questions) == waiting
        parked.answer({key: {} for key in parked.questions})
    assert await parked.wait(way) == {"refused": [NOT_ASKED]}


async def test_a_call_that_is_cancelled_behind_us_has_failed_and_does_not_cancel_who_waits_for_it():
    async def end(_: Caller) -> Params:
        raise asyncio.CancelledError

    with pytest.raises(UpstreamFailed, match="ended before it was answered"):
        await Parked(AMY, end).wait(way_of(Door(ALL), {}))


async def test_a_call_that_fails_while_nobody_waits_for_it_raises_no_alarm():
    alarms: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: alarms.append(context))

    async def fail(_: Caller) -> Params:
        raise UpstreamFailed("it died")

    await ended(Parked(AMY, fail))
    gc.collect()
    await asyncio.sleep(0)
    assert alarms == []


async def test_a_call_belongs_to_the_credential_that_came_back_for_it():
    parked = Parked(AMY, sleep)
    newer = Subject("user:amy", credential="newer")
    waiting = asyncio.create_task(parked.wait(replace(way_of(Door(ALL), {}), subject=newer)))
    await asyncio.sleep(0)
    assert parked.subject is newer
    waiting.cancel()
    await ended(parked)


def test_a_request_knows_what_time_it_is_however_long_it_takes():
    passage = Passage("1", NOON, ORIGIN, "main", "tools/call", began=time.perf_counter() - 60)
    assert NOON + 60_000 <= passage.now < NOON + 120_000


async def test_a_call_declares_what_the_client_that_waits_for_it_declares():
    parked = Parked(AMY, sleep)
    assert parked.capabilities == {}
    parked.end()
    await ended(parked)
