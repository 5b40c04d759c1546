"""News for open streams: each gets its own, and one that cannot be told does not silence the others."""

import asyncio
import logging

import pytest

from connectors.base import Change, Event
from gateway.errors import Unknown
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import Notification
from gateway.policy.terms import Subject
from gateway.sessions import Sessions, Stream
from gateway.streams import Announcer

NEWS = Notification("notifications/tools/list_changed")


class Pipeline:
    """Tells the same to everybody, but fails for those whose name says so."""

    async def changes(self, change: Change, subject: Subject, domain: str) -> list[Notification]:
        if subject.name == "user:broken":
            raise RuntimeError("a mistake")
        if subject.name == "user:unknown":
            raise Unknown("there is no such server")
        return [NEWS, NEWS]


async def test_a_stream_that_cannot_be_told_does_not_silence_the_others_nor_what_comes_later(
    caplog: pytest.LogCaptureFixture,
):
    sessions = Sessions()
    announcer = Announcer(Pipeline(), sessions)
    streams = [
        Stream(Subject(f"user:{name}"), "main", lambda message: message) for name in ("broken", "unknown", "ann")
    ]
    for each in streams:
        sessions.attach(each)
    running = asyncio.create_task(announcer.run())
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            announcer.changed(Change("c", Event.TOOLS))
            announcer.changed(Change("c", Event.TOOLS))
            assert await streams[-1].take(5) == [encode(NEWS)]
    assert "a mistake" in caplog.text
    assert not running.done()
    running.cancel()
