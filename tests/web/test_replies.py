"""Signs of life: what is written while there is nothing to say."""

import asyncio

import pytest

from gateway.mcp.terms import Notification, Response
from gateway.policy.terms import Subject
from gateway.sessions import Stream
from gateway.web import replies
from gateway.web.asgi import Incoming
from gateway.web.replies import KEEPALIVE, Reply, pour
from tests.web.plane import Exchange, until


def exchange() -> tuple[Exchange, Incoming]:
    client = Exchange()
    client.reads.set()
    return client, Incoming("GET", "/sse", b"", (), "203.0.113.7", client.incoming.get)


def stream() -> Stream:
    return Stream(Subject("user:amy@example.com"), "main", lambda message: message)


async def test_a_silent_stream_gives_signs_of_life_until_it_ends():
    client, incoming = exchange()
    words = stream()
    pouring = asyncio.create_task(pour(words, incoming, client.send, first=b"first", keepalive=0.001))
    await until(lambda: client.text.count(KEEPALIVE.decode()) >= 3)
    words.push(Notification("notifications/x"))
    words.close()
    await pouring
    assert client.text.startswith("first")
    assert "notifications/x" in client.text
    assert client.ended


async def test_a_stream_ends_when_its_client_leaves():
    client, incoming = exchange()
    words = stream()
    pouring = asyncio.create_task(
        pour(words, incoming, client.send, keepalive=30, last=lambda: Response("L", result={"bye": 1}))
    )
    client.leave()
    await asyncio.wait_for(pouring, 10)
    assert '"bye":1' in client.text


async def test_a_long_silent_call_becomes_a_stream_that_stays_alive_and_ends_with_the_answer(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(replies, "SILENCE_S", 0.001)
    client, _ = exchange()
    async with Reply(client.send, stream=stream) as reply:
        await until(lambda: KEEPALIVE.decode() in client.text)
        await reply.finish(b'{"id":1}')
    assert client.headers["content-type"] == "text/event-stream"
    assert client.told == {"id": 1}
    assert client.ended


async def test_a_quick_call_is_answered_as_plain_json():
    client, _ = exchange()
    async with Reply(client.send, stream=stream) as reply:
        await reply.finish(b'{"id":1}', 200)
    assert client.headers["content-type"] == "application/json"
    assert client.told == {"id": 1}
