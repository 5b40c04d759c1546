"""What is said on a stream comes once and in order, whatever happens to its connections."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import Notification
from gateway.policy.terms import Subject
from gateway.sessions import Stream, StreamClosed
from gateway.sessions.memory import ENDED, KEPT_BYTES, Memory
from gateway.sessions.streams import REMEMBERED, UNREAD, UNREAD_BYTES

ANN = Subject("user:ann@example.com")


def said(number: int, size: int = 0) -> Notification:
    return Notification("notifications/x", {"n": number, "pad": "x" * size} if size else {"n": number})


def plain() -> Stream:
    return Stream(ANN, "main", lambda message: message)


def kept(memory: Memory | None = None) -> Stream:
    return (memory or Memory()).keep(plain())


def number_of(id: str) -> int:
    return int(id.rpartition("-")[2])


async def numbers(stream: Stream, connection: int | None = None) -> list[int]:
    return [number_of(event.id) for event in await stream.take(0.001, connection)]


@given(st.lists(st.one_of(st.just("push"), st.just("take"), st.just("leave"), st.integers(0, 30)), max_size=60))
async def test_whoever_resumes_gets_exactly_what_came_after_the_event_that_he_names(steps: list[str | int]):
    stream, pushed, read, connection = kept(), 0, 0, 0
    connection = stream.connect()
    for step in steps:
        if step == "push":
            pushed += 1
            stream.push(said(pushed))
        elif step == "take" and stream.connected and pushed > read:
            assert await numbers(stream, connection) == list(range(read + 1, pushed + 1))
            read = pushed
        elif step == "leave":
            stream.leave(connection)
            assert not stream.connected
        elif isinstance(step, int) and step > pushed:
            with pytest.raises(Malformed):
                stream.connect(step)
        elif isinstance(step, int):
            connection, read = stream.connect(step), step
    stream.close()
    connection = stream.connect(0)
    if pushed:
        assert await numbers(stream, connection) == list(range(1, pushed + 1))
    with pytest.raises(StreamClosed):
        await stream.take(1, connection)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400_000), st.booleans()), max_size=60))
async def test_a_session_never_keeps_more_than_it_may_of_what_was_read(steps: list[tuple[int, int, bool]]):
    memory = Memory()
    streams = [kept(memory) for _ in range(4)]
    for index, size, ends in steps:
        stream = streams[index]
        stream.push(said(1, size))
        await stream.take(0.001)
        if ends:
            stream.close()
            streams[index] = kept(memory)
    streams[0].push(said(2))
    assert memory._size == sum(stream.kept for stream in memory._streams.values()) <= KEPT_BYTES


async def test_what_nobody_has_read_yet_is_not_forgotten_while_its_stream_is_under_way():
    memory = Memory()
    unread, other = kept(memory), kept(memory)
    unread.push(said(1, KEPT_BYTES))
    for number in range(10):
        other.push(said(number, KEPT_BYTES // 4))
        await other.take(1)
    assert await numbers(unread, unread.connect(0)) == [1]


async def test_what_has_ended_is_forgotten_before_what_goes_on():
    memory = Memory()
    going, ended = kept(memory), kept(memory)
    for stream in (going, ended):
        stream.push(said(1))
        await stream.take(1)
    ended.close()
    going.push(said(2, KEPT_BYTES - 100))
    assert memory.find(going.id_of(1)) == (going, 1)
    with pytest.raises(Malformed):
        memory.find(ended.id_of(1))


async def test_only_so_many_streams_that_have_ended_are_remembered():
    memory = Memory()
    streams = [kept(memory) for _ in range(3 * ENDED)]
    connected = streams[0]
    connection = connected.connect()
    for stream in streams:
        stream.push(said(1))
        stream.close()
    newest = kept(memory)
    assert len(memory._streams) == ENDED + 2
    assert memory.find(streams[-1].id_of(1))[0] is streams[-1]
    assert memory.find(newest.id_of(0))[0] is newest
    assert await numbers(connected, connection) == [1]  # a reader is not cut short
    with pytest.raises(Malformed):
        memory.find(streams[1].id_of(1))
    connected.leave(connection)
    memory.forget_ended()
    assert list(memory._streams.values()) == [newest]
    assert memory._size == 0


async def test_one_stream_remembers_a_bounded_number_of_messages():
    stream = kept()
    for number in range(3 * REMEMBERED):
        stream.push(said(number))
        await stream.take(1)
    with pytest.raises(Malformed):
        stream.connect(2 * REMEMBERED - 1)
    stream.connect(2 * REMEMBERED)
    assert len(await numbers(stream)) == REMEMBERED


async def test_a_stream_that_nobody_remembers_keeps_nothing_and_ends_with_its_connection():
    stream = plain()
    connection = stream.connect()
    stream.push(said(1))
    assert [event.id for event in await stream.take(1, connection)] == [""]
    assert stream.kept == 0
    stream.leave(connection)
    stream.push(said(2))
    with pytest.raises(StreamClosed):
        await stream.take(1)


async def test_a_connection_that_was_taken_over_gets_nothing_more_and_ends_nothing():
    stream = kept()
    first = stream.connect()
    waiting = asyncio.create_task(stream.take(5, first))
    await asyncio.sleep(0)
    second = stream.connect()
    stream.push(said(1))
    with pytest.raises(StreamClosed):
        await waiting
    stream.leave(first)
    assert stream.connected
    assert await numbers(stream, second) == [1]
    with pytest.raises(StreamClosed):
        await stream.take(5, first)


async def test_news_that_wait_already_are_not_told_twice_but_after_they_were_read():
    stream = kept()
    for _ in range(3):
        stream.offer(said(1))
        stream.offer(said(2))
    assert await numbers(stream) == [1, 2]
    stream.offer(said(1))
    assert await numbers(stream) == [3]


async def test_news_that_nobody_asked_for_are_not_told():
    stream = Stream(ANN, "main")
    stream.offer(said(1))
    assert await stream.take(0.001) == []


async def test_a_reader_that_is_far_behind_is_spared_what_may_be_left_out():
    many, large = plain(), plain()
    for number in range(2 * UNREAD):
        many.say(said(number))
    assert many.behind
    many.push(said(7))
    assert (await many.take(1))[-1].data == encode(said(7))
    assert not many.behind
    large.say(said(1, UNREAD_BYTES))
    large.say(said(2))
    assert len(await large.take(1)) == 1


async def test_who_is_away_is_spared_words_once_his_session_keeps_enough_but_never_an_answer():
    memory = Memory()
    stream = kept(memory)
    stream.say(said(1))
    for _ in range(KEPT_BYTES // 800_000 + 1):
        kept(memory).push(said(0, 800_000))
    stream.say(said(2))
    stream.push(said(3))
    connection = stream.connect()
    stream.say(said(4))
    assert [json.loads(event.data)["params"]["n"] for event in await stream.take(1, connection)] == [1, 3, 4]
