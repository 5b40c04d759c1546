"""Answers to reads are remembered for whoever may read them again, and for nobody else."""

import asyncio
from collections.abc import Callable
from dataclasses import replace as changed
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from connectors.base import Event
from gateway.mcp.terms import Era, Params
from gateway.pipeline.remembering import Memory
from gateway.policy.terms import SYSTEM
from gateway.records import Mode, Restrictions, Server
from tests.builders import ALL, AMY, BOB, Door, call, refused, text_of
from tests.fakes import FakeConnector, Sent, tool

LIVES = 60
SERVER = Server(id="s-1", owner=f"user:{AMY}", name="S", mode=Mode.DIRECT, public=True, cache_s=LIVES, rev=1)
LENT = f"p, user:*, *, user:{AMY}, *, write, , allow\np, user:*, *, system, *, write, , allow"


def counting() -> Callable[[Sent], Params]:
    """An answer that is another one each time."""
    count = 0

    def answer(_: Sent) -> Params:
        nonlocal count
        count += 1
        return {"content": [{"type": "text", "text": f"answer {count}"}]}

    return answer


def hub(**more: Any) -> FakeConnector:
    offered = [tool("look", "read", platform="1"), tool("list", "read", platform="1"), tool("send", platform="1")]
    return FakeConnector("hub", offered, **{"answer": counting(), **more})


def door_of(*connectors: FakeConnector, rows: str = ALL, **server: Any) -> Door:
    door = Door(rows, connectors)
    door.offer(replace(SERVER, **server))
    return door


async def look(door: Door, email: str = AMY, *, domain: str = "s-1", name: str = "hub__look", **arguments: Any) -> str:
    return text_of(await door.use(email, name, domain=domain, **arguments))


async def test_a_read_is_answered_from_memory_until_its_time_has_passed():
    door = door_of(hub())
    assert await look(door) == "answer 1"
    assert await look(door) == "answer 1"
    assert [each.cached for each in door.entries] == [False, True], "each call leaves its entry"
    assert door.last.allowed is True
    assert door.last.object == "hub/look"
    door.now += LIVES * 1000
    assert await look(door) == "answer 2"
    assert door.last.cached is False


async def test_a_clock_that_was_set_back_keeps_nothing_alive():
    door = door_of(hub())
    await look(door)
    door.now -= LIVES * 1000
    assert await look(door) == "answer 2"


async def test_nothing_is_remembered_where_nobody_said_so():
    door = door_of(hub(), cache_s=0)
    for domain in ("s-1", "main"):
        assert await look(door, domain=domain) != await look(door, domain=domain)


async def test_what_a_server_behind_us_answers_is_never_remembered():
    door = door_of(FakeConnector("hub", [tool("look", "read")], answer=counting()))
    assert await look(door) != await look(door)


async def test_nothing_of_it_is_told_to_anybody_else():
    door = door_of(hub(answer=lambda sent: {"content": [{"type": "text", "text": sent.principal}]}))
    assert await look(door, AMY) == f"user:{AMY}"
    assert await look(door, BOB) == f"user:{BOB}"
    assert door.last.cached is False


async def test_who_share_one_account_still_read_each_for_himself():
    connector = hub(lenders=(None, SYSTEM), personal=True)
    door = door_of(connector, rows=f"{ALL}\n{LENT}")
    door.connect(connector, SYSTEM, "c1")
    assert [await look(door, each) for each in (AMY, BOB, AMY)] == ["answer 1", "answer 2", "answer 1"]
    assert {each.owner for each in door.entries} == {SYSTEM}


async def test_each_server_remembers_for_itself():
    door = door_of(hub())
    door.offer(replace(SERVER, id="s-2"))
    assert await look(door) != await look(door, domain="s-2")


async def test_other_arguments_are_another_question_and_their_order_is_none():
    door = door_of(hub())
    assert await look(door, a=1, b=2) == await look(door, b=2, a=1) == "answer 1"
    told = [await look(door, **args) for args in ({}, {"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"})]
    assert len({*told}) == 5
    assert await look(door, name="hub__list") == "answer 7", "nor is another action"


async def test_each_connection_has_answers_of_its_own():
    connector = hub(personal=True)
    door = door_of(connector)
    one, two = (door.connect(connector, AMY, id, label=id) for id in ("c1", "c22"))
    told = []
    for id in (one, two, one, two):
        asked = call("tools/call", domain="s-1", name="hub__look", arguments={})
        told.append(text_of(await door.handle(AMY, changed(asked, credential=id))))
    assert told == ["answer 1", "answer 2", "answer 1", "answer 2"]


async def test_what_was_read_before_an_account_was_connected_anew_counts_no_more():
    connector = hub(personal=True)
    door = door_of(connector)
    id = door.connect(connector, AMY, "c1")
    assert await look(door) == "answer 1"
    known = door.follower.current.connections
    door._swap(connections=known.changed([replace(known.get(id), connected_at=7)]))
    assert await look(door) == "answer 2"


async def test_another_description_of_the_platform_makes_everything_new():
    connector = hub()
    door = door_of(connector)
    assert await look(door) == "answer 1"
    connector.offered = [tool("look", "read", platform="2")]
    connector.change(Event.TOOLS)
    assert await look(door) == "answer 2"


async def test_the_policy_is_asked_before_memory_is():
    door = door_of(hub())
    await look(door)
    door.apply("")
    said = await refused(door, AMY, call("tools/call", domain="s-1", name="hub__look", arguments={}))
    assert said.kind == "unknown"


async def test_a_server_that_was_changed_asks_again():
    door = door_of(hub())
    await look(door)
    door.offer(replace(SERVER, rev=2, restrictions=Restrictions()))
    assert await look(door) == "answer 2"


async def test_a_limit_counts_what_is_answered_from_memory():
    door = Door(ALL, [hub()], limits="[[class]]\nname = 'default'\ncalls = 2\nwindow_s = 60\n")
    door.offer(SERVER)
    assert await look(door) == await look(door)
    said = await refused(door, AMY, call("tools/call", domain="s-1", name="hub__look", arguments={}))
    assert said.kind == "limited"


async def test_a_failure_is_not_remembered():
    count = counting()
    door = door_of(hub(answer=lambda sent: {**count(sent), "isError": True}))
    assert await look(door) == "answer 1"
    assert await look(door) == "answer 2"


async def test_a_write_makes_forgotten_what_was_read_with_the_same_account_on_whatever_server():
    connector = hub(lenders=(None, SYSTEM), personal=True)
    door = door_of(connector, rows=f"{ALL}\n{LENT}")
    door.connect(connector, AMY, "c1")
    door.connect(connector, BOB, "c22")
    assert [await look(door, each) for each in (AMY, BOB)] == ["answer 1", "answer 2"]
    await look(door, AMY, domain="main", name="hub__send")
    assert await look(door, BOB) == "answer 2", "his account was not written with"
    assert await look(door, AMY) == "answer 4"


async def test_where_no_account_is_needed_whoever_writes_makes_everything_forgotten():
    door = door_of(hub())
    await look(door, BOB)
    await look(door, AMY, name="hub__send")
    assert await look(door, BOB) == "answer 3"


@pytest.mark.parametrize("writes_first", [True, False])
async def test_what_was_read_beside_a_write_is_not_remembered(writes_first: bool):
    gates = {"look": asyncio.Event(), "send": asyncio.Event()}
    count = counting()

    async def answer(sent: Sent) -> Params:
        if (gate := gates.get(sent.params["name"])) is not None:
            await gate.wait()
        return count(sent)

    connector = hub(answer=answer)
    door = door_of(connector)
    names = ("hub__send", "hub__look") if writes_first else ("hub__look", "hub__send")
    first, second = (asyncio.create_task(look(door, name=name)) for name in names)
    async with asyncio.timeout(5):
        while len(connector.sent) < 2:
            await asyncio.sleep(0)
    order = ("look", "send") if writes_first else ("send", "look")
    for name in order:
        gates[name].set()
        await (first if name in names[0] else second)
    told = await look(door)
    assert told == "answer 3"
    assert door.last.cached is False


async def test_a_write_that_failed_may_have_been_done():
    def answer(sent: Sent) -> Params:
        if sent.params["name"] == "send":
            raise ConnectionResetError
        return count(sent)

    count = counting()
    door = door_of(hub(answer=answer))
    await look(door)
    await refused(door, AMY, call("tools/call", domain="s-1", name="hub__send", arguments={}))
    assert await look(door) == "answer 2"


async def test_a_client_of_either_era_is_answered_as_it_reads():
    door = door_of(hub())
    await look(door)
    modern = await door.handle(AMY, call("tools/call", era=Era.MODERN, domain="s-1", name="hub__look", arguments={}))
    assert text_of(modern) == "answer 1"
    assert modern["resultType"] == "complete"


async def test_a_request_that_brings_a_state_is_read_by_whoever_gave_it():
    door = door_of(hub())
    await look(door)
    again = call(
        "tools/call", era=Era.MODERN, domain="s-1", name="hub__look", arguments={}, requestState="x", inputResponses={}
    )
    assert (await refused(door, AMY, again)).kind == "malformed"


# -- the memory itself

NAMES, PLACES = st.sampled_from("abcde"), st.sampled_from("pq")


class Remembers(RuleBasedStateMachine):
    """A memory of three answers, and of so many bytes as two long ones have, beside a list of all that was kept."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory(most=3, most_bytes=100, most_each=60)
        self.now = 1_000
        self.kept: list[tuple[tuple[str, str], Params, int, int]] = []

    @rule(name=NAMES, place=PLACES, length=st.integers(0, 70), lives=st.integers(1, 20))
    def keep(self, name: str, place: str, length: int, lives: int) -> None:
        answer = {"text": "x" * length}
        self.memory.keep((name, place), (place,), answer, at=self.now, lives=lives)
        if length + 11 <= 60:
            self.kept = [each for each in self.kept if each[0] != (name, place)]
            self.kept.append(((name, place), answer, self.now, lives))

    @rule(name=NAMES, place=PLACES)
    def find(self, name: str, place: str) -> None:
        found = self.memory.find((name, place), self.now)
        counting = [each for each in self.kept if each[0] == (name, place) and abs(self.now - each[2]) < each[3]]
        assert found is None or [found] == [each[1] for each in counting]
        if counting and self.kept[-1] is counting[0]:
            assert found == counting[0][1], "what was kept last is there"
        if found is not None:
            found["text"] = "changed"

    @rule(place=PLACES)
    def write(self, place: str) -> None:
        with self.memory.reading((place,)) as reading, self.memory.writing((place,)):
            pass
        assert reading.spoiled
        self.kept = [each for each in self.kept if each[0][1] != place]

    @rule(ms=st.integers(-5, 10))
    def wait(self, ms: int) -> None:
        self.now += ms

    @invariant()
    def bounded(self) -> None:
        assert len(self.memory) <= 3
        assert 0 <= self.memory.bytes <= 100
        assert len(self.memory) or not self.memory.bytes


TestRemembers = Remembers.TestCase
TestRemembers.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
