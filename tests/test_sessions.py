"""Sessions and streams: bound, bounded, ended."""

import asyncio

import pytest

from gateway.errors import Limited, Unknown
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import Notification, Request
from gateway.policy.terms import Subject
from gateway.sessions import (
    IDLE_MS,
    PER_SERVER,
    PER_SUBJECT,
    SUBSCRIBED,
    WAITING,
    WAITING_BYTES,
    Sessions,
    Stream,
    StreamClosed,
)

ANN, BOB = Subject("user:ann@example.com"), Subject("user:bob@example.com")


def stream(subject: Subject = ANN) -> Stream:
    return Stream(subject, "main", lambda message: message)


async def taken(stream: Stream, wait: float = 1) -> list[bytes]:
    return [event.data for event in await stream.take(wait)]


def said(number: int) -> Notification:
    return Notification("notifications/x", {"n": number})


def line(number: int) -> bytes:
    return encode(said(number))


def test_a_session_is_found_by_its_own_subject_on_its_own_domain_and_transport_only():
    sessions = Sessions()
    session = sessions.open(ANN, "main", "mcp", 0)
    assert sessions.find(session.id, ANN, transport="mcp", domain="main", now=1) is session
    for subject, transport, domain in [(BOB, "mcp", "main"), (ANN, "sse", "main"), (ANN, "mcp", "other")]:
        with pytest.raises(Unknown) as caught:
            sessions.find(session.id, subject, transport=transport, domain=domain, now=1)
        assert caught.value.status == 404


def test_a_foreign_and_a_missing_session_are_told_alike():
    sessions = Sessions()
    session = sessions.open(ANN, "main", "mcp", 0)
    told = []
    for id, subject in [(session.id, BOB), ("never", BOB)]:
        with pytest.raises(Unknown) as caught:
            sessions.find(id, subject, transport="mcp", now=0)
        told.append((caught.value.text, caught.value.code, caught.value.status, caught.value.data))
    assert told[0] == told[1]


def test_session_ids_are_long_and_never_repeat():
    sessions = Sessions()
    ids = {sessions.open(ANN, "main", "mcp", n).id for n in range(500)}
    assert len(ids) == 500
    assert min(map(len, ids)) >= 43


def test_beyond_the_cap_the_idlest_session_of_that_subject_ends():
    sessions = Sessions()
    other = sessions.open(BOB, "main", "mcp", 0)
    opened = [sessions.open(ANN, "main", "mcp", n) for n in range(PER_SUBJECT)]
    sessions.find(opened[0].id, ANN, transport="mcp", now=10_000)
    sessions.open(ANN, "main", "mcp", 10_001)
    sessions.find(opened[0].id, ANN, transport="mcp", now=10_002)
    sessions.find(other.id, BOB, transport="mcp", now=10_002)
    with pytest.raises(Unknown):
        sessions.find(opened[1].id, ANN, transport="mcp", now=10_002)


def test_an_idle_session_expires_unless_its_stream_is_open():
    sessions = Sessions()
    idle, busy = sessions.open(ANN, "main", "mcp", 0), sessions.open(ANN, "main", "mcp", 0)
    busy.stream = stream()
    sessions.attach(busy.stream)
    connection = busy.stream.connect()
    sessions.expire(IDLE_MS + 1)
    assert len(sessions) == 1
    assert sessions.find(busy.id, ANN, transport="mcp", now=0) is busy
    busy.stream.leave(connection)
    sessions.expire(2 * IDLE_MS + 2)
    assert len(sessions) == 0
    assert idle.stream is None


async def test_what_is_pushed_is_taken_in_order_and_closing_comes_last():
    open_stream = stream()
    for n in range(3):
        open_stream.push(said(n))
    open_stream.close()
    open_stream.push(said(99))
    assert await taken(open_stream, 1) == [line(0), line(1), line(2)]
    with pytest.raises(StreamClosed):
        await open_stream.take(1)


async def test_taking_waits_for_a_push_and_gives_nothing_after_the_wait():
    open_stream = stream()
    assert await taken(open_stream, 0.001) == []
    taking = asyncio.create_task(open_stream.take(5))
    await asyncio.sleep(0)
    open_stream.push(said(1))
    assert [event.data for event in await taking] == [line(1)]


async def test_a_reader_that_falls_behind_is_cut_off():
    open_stream = stream()
    for n in range(WAITING + 10):
        open_stream.push(said(n))
    assert len(await taken(open_stream)) == WAITING + 1
    with pytest.raises(StreamClosed):
        await open_stream.take(1)


async def test_a_dead_credential_ends_its_sessions_streams_and_running_calls_and_nobody_elses():
    sessions = Sessions()
    mine, other = sessions.open(ANN, "main", "mcp", 0), sessions.open(BOB, "main", "mcp", 0)
    mine.stream, other.stream = stream(ANN), stream(BOB)
    sessions.attach(mine.stream)
    sessions.attach(other.stream)
    loose = stream(ANN)
    sessions.attach(loose)
    waiting = asyncio.create_task(asyncio.Event().wait())
    mine.running[1] = waiting
    await asyncio.sleep(0)
    sessions.end_where(lambda subject, _: subject.name == ANN.name)
    for ended in (mine.stream, loose):
        with pytest.raises(StreamClosed):
            await ended.take(1)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert sessions.find(other.id, BOB, transport="mcp", now=0) is other
    assert list(sessions.streams()) == [other.stream]


async def test_a_session_still_hears_the_end_of_what_is_spared_and_ends_then():
    sessions = Sessions()
    session = sessions.open(ANN, "main", "sse", 0)
    session.stream, loose = stream(), stream()
    for each in (session.stream, loose):
        sessions.attach(each)
    spared, other = (asyncio.create_task(asyncio.Event().wait()) for _ in range(2))
    session.running = {1: spared, 2: other}
    await asyncio.sleep(0)
    for _ in range(2):
        sessions.end_where(lambda *_: True, spared=lambda task: task is spared)
        await asyncio.wait({other})
    assert other.cancelled()
    assert not spared.cancelling()
    assert list(sessions.streams()) == [session.stream]
    session.stream.push(said(1))
    assert await taken(session.stream) == [line(1)]
    del session.running[1], session.running[2]
    sessions.end_where(lambda *_: True, spared=lambda task: task is spared)
    assert list(sessions.streams()) == []
    with pytest.raises(Unknown):
        sessions.find(session.id, ANN, transport="sse", now=0)
    spared.cancel()


def test_cancelling_an_unknown_request_does_nothing():
    session = Sessions().open(ANN, "main", "mcp", 0)
    for request_id in (1, "x", None, {}, []):
        session.cancel(request_id)
    assert not session.cancelled


def test_every_subscription_is_given_back_once():
    told: list[tuple[str, str, list[str]]] = []
    sessions = Sessions(lambda subject, domain, uris: told.append((subject.name, domain, uris)))
    session = sessions.open(ANN, "main", "mcp", 0)
    for method, uri in [
        ("subscribe", "a"),
        ("subscribe", "a"),
        ("subscribe", "b"),
        ("unsubscribe", "c"),
        ("unsubscribe", "b"),
    ]:
        sessions.succeeded(session, Request(1, f"resources/{method}", {"uri": uri}))
    assert told == [(ANN.name, "main", ["a"]), (ANN.name, "main", ["b"])]
    sessions.end(session)
    sessions.end(session)
    assert told[2:] == [(ANN.name, "main", ["a"])]
    loose = Stream(BOB, "other", lambda message: message, frozenset({"d"}))
    sessions.attach(loose)
    sessions.detach(loose)
    sessions.detach(loose)
    assert told[3:] == [(BOB.name, "other", ["d"])]


def test_a_session_keeps_of_what_its_client_declared_only_what_can_be_relayed():
    session = Sessions().open(ANN, "main", "mcp", 0)
    declared = {"roots": {"listChanged": True}, "elicitation": {"url": {}}, "experimental": {"x": "y" * 1000}}
    session.opened({"capabilities": declared}, {"protocolVersion": "2025-11-25"})
    assert session.capabilities == {"roots": {}, "elicitation": {"url": {}}}


def test_a_session_remembers_the_level_that_its_client_set():
    sessions = Sessions()
    session = sessions.open(ANN, "main", "mcp", 0)
    sessions.succeeded(session, Request(1, "logging/setLevel", {"level": "error"}))
    assert session.log_level == "error"


async def test_finishing_answers_what_an_event_stream_still_owes_before_it_ends():
    sessions = Sessions()
    session = sessions.open(ANN, "main", "sse", 0)
    session.stream, other = stream(), stream(BOB)
    sessions.attach(session.stream)
    sessions.attach(other)
    release = asyncio.Event()

    async def work() -> None:
        await release.wait()
        assert session.stream is not None
        session.stream.push(said(7))

    session.running[1] = asyncio.create_task(work())
    finishing = asyncio.create_task(sessions.finish())
    with pytest.raises(StreamClosed):
        await other.take(5)
    release.set()
    await finishing
    assert await taken(session.stream, 1) == [line(7)]


async def test_a_reader_that_falls_far_behind_in_bytes_is_cut_off_but_one_large_message_passes():
    open_stream = stream()
    large = Notification("notifications/x", {"text": "x" * (WAITING_BYTES + 1)})
    open_stream.push(large)
    assert await taken(open_stream, 1) == [encode(large)]
    open_stream.push(large)
    open_stream.push(said(1))
    open_stream.push(said(2))
    assert await taken(open_stream, 1) == [encode(large), line(1)]
    with pytest.raises(StreamClosed):
        await open_stream.take(1)


async def test_beyond_the_cap_the_oldest_stream_of_that_subject_ends():
    sessions = Sessions()
    other = stream(BOB)
    sessions.attach(other)
    opened = [stream() for _ in range(PER_SUBJECT + 1)]
    for each in opened:
        sessions.attach(each)
    assert list(sessions.streams()) == [other, *opened[1:]]
    with pytest.raises(StreamClosed):
        await opened[0].take(1)


def test_one_session_follows_a_bounded_number_of_resources():
    sessions = Sessions()
    session = sessions.open(ANN, "main", "mcp", 0)
    session.subscribed.update(map(str, range(SUBSCRIBED)))
    with pytest.raises(Limited):
        session.enter(Request(1, "resources/subscribe", {"uri": "new"}), task=None)
    session.enter(Request(2, "resources/unsubscribe", {"uri": "1"}), task=None)


async def test_a_stream_that_opens_while_all_end_ends_too():
    sessions = Sessions()
    await sessions.finish()
    late = stream()
    sessions.attach(late)
    with pytest.raises(StreamClosed):
        await late.take(1)


async def test_closing_waits_until_what_ran_has_ended():
    sessions = Sessions()
    session = sessions.open(ANN, "main", "sse", 0)
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            ended.append("on record")

    session.running[1] = asyncio.create_task(work())
    await asyncio.sleep(0)
    await sessions.close()
    assert ended == ["on record"]


def test_who_makes_up_end_users_holds_no_more_than_a_server_may_and_ends_nobody_elses():
    sessions = Sessions()
    others = [Subject("end:desk/ann"), ANN, Subject("server:shop")]
    kept = [sessions.open(each, "desk", "mcp", 0) for each in others]
    made = [sessions.open(Subject(f"end:shop/{number}"), "shop", "mcp", 1 + number) for number in range(PER_SERVER)]
    assert len(sessions) == PER_SERVER + len(others)
    newest = sessions.open(Subject("end:shop/one-more"), "shop", "mcp", 9999)
    assert len(sessions) == PER_SERVER + len(others)
    for each in (*kept, made[1], newest):
        assert sessions.find(each.id, each.subject, transport="mcp", now=10_000) is each
    with pytest.raises(Unknown):
        sessions.find(made[0].id, made[0].subject, transport="mcp", now=10_000)


def test_streams_of_end_users_are_bounded_for_each_server_too():
    sessions = Sessions()
    other = stream(Subject("end:desk/ann"))
    sessions.attach(other)
    made = [stream(Subject(f"end:shop/{number}")) for number in range(PER_SERVER + 1)]
    for each in made:
        sessions.attach(each)
    assert [each.closed for each in (other, made[0], made[1], made[-1])] == [False, True, False, False]
