"""How an answer is written: one JSON body, or an event stream from the first word said on the way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Final, Self

from gateway.mcp import events
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import Message, Notification
from gateway.pipeline import Aside
from gateway.pipeline.buckets import Reading, seconds
from gateway.sessions import Event, Stream, StreamClosed
from gateway.web.asgi import JSON, PRIVATE, STREAM, Header, Incoming, Send, answer, end_tasks

SILENCE_S: Final = 15.0
"""After this long without a word a running call becomes a stream, so that proxies keep it open."""

PRIMED_S: Final = 1.0
"""The same where the client can take a stream up again, so that it can soon."""

RETRY_MS: Final = 1_000
"""How long a client should wait before it takes a stream up again."""

KEEPALIVE: Final = b": keepalive\n\n"

CACHED: Final = (b"x-cache-hit", b"true")

Headers = Callable[[], Iterable[Header]]
"""The headers that are known when an answer begins."""


def beside(aside: Aside) -> tuple[Header, ...]:
    """The headers that tell what is said beside an answer."""
    rate = () if aside.reading is None else rate_headers(aside.reading)
    return (CACHED, *rate) if aside.cached else rate


def rate_headers(reading: Reading) -> tuple[Header, ...]:
    """How it stands with a limit (draft-ietf-httpapi-ratelimit-headers-10): after ``t`` seconds a call more passes."""
    policy, name = _policy(reading.name, reading.limit.calls, seconds(reading.limit.window_ms))
    return policy, (b"ratelimit", b"%b;r=%d;t=%d" % (name, reading.left, seconds(reading.frees_ms)))


@lru_cache(maxsize=256)
def _policy(name: str, calls: int, within_s: int) -> tuple[Header, bytes]:
    quoted = f'"{name}"'.encode()
    return (b"ratelimit-policy", b"%b;q=%d;w=%d" % (quoted, calls, within_s)), quoted


class Reply:
    """The answer to one POST: ``say`` or ``push`` what comes on the way, then ``finish`` with the answer itself. Used
    as a context, so that whatever else happens nothing is written afterwards.
    """

    def __init__(
        self,
        send: Send,
        headers: Headers = tuple,
        *,
        stream: Callable[[], Stream],
        primed: bool = False,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``stream`` makes the stream, if there is to be one; ``primed`` begins it with an event that only says how it
        can be taken up again. ``gone`` returns when the client has left; the stream may then go on without it.
        """
        self._send = send
        self._headers = headers
        self._make = stream
        self._primed = primed
        self._gone = gone
        self._finished = False
        self._stream: Stream | None = None
        self._writer: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(PRIMED_S if primed else SILENCE_S, self._open)

    def say(self, notification: Notification) -> None:
        """Send a notification; a client that is far behind in reading is spared it."""
        if not self._finished:
            self._open().say(notification)

    def push(self, message: Message) -> None:
        """Send what must not be lost."""
        if not self._finished:
            self._open().push(message)

    @property
    def behind(self) -> bool:
        """Whether the client is far behind in reading."""
        return self._stream is not None and self._stream.behind

    async def finish(self, body: bytes, status: int = 200, headers: Iterable[Header] = ()) -> None:
        """Write the answer; in an open stream it is the last event, and ``status`` is already gone."""
        self._end()
        if self._stream is None or self._writer is None:
            content = (JSON,) if body else ()
            await answer(self._send, status, body, (*content, *PRIVATE, *self._headers(), *headers))
            return
        if body:
            self._stream.put(body)
        self._stream.close()
        await self._writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end()
        if self._stream is not None:
            self._stream.close()
        await end_tasks(self._writer, self._watch)

    def _end(self) -> None:
        self._timer.cancel()
        self._finished = True

    def _open(self) -> Stream:
        self._timer.cancel()
        if self._stream is None:
            stream = self._stream = self._make()
            connection = stream.connect()
            first = priming(stream) if self._primed else b""
            writing = write(
                stream, connection, self._send, first=first, keepalive=SILENCE_S, headers=tuple(self._headers())
            )
            self._writer = asyncio.create_task(writing)
            self._watch = asyncio.create_task(_leave_when(self._gone, stream, connection)) if self._gone else None
        return self._stream


async def pour(
    stream: Stream,
    incoming: Incoming,
    send: Send,
    *,
    after: int | None = None,
    first: bytes = KEEPALIVE,
    last: Callable[[], Message | None] = lambda: None,
    keepalive: float,
    headers: Iterable[Header] = (),
) -> None:
    """Write a stream to its client, from the event numbered ``after`` on, until either side ends it or it goes on over
    another connection; a comment line every ``keepalive`` seconds. Raises ``Malformed`` when ``after`` is not known.
    """
    connection = stream.connect(after)
    stream.address = incoming.address
    watch = asyncio.create_task(_leave_when(incoming.gone, stream, connection))
    try:
        await write(stream, connection, send, first=first, last=last, keepalive=keepalive, headers=headers)
    finally:
        stream.leave(connection)
        await end_tasks(watch)


async def write(
    stream: Stream,
    connection: int,
    send: Send,
    *,
    first: bytes,
    last: Callable[[], Message | None] = lambda: None,
    keepalive: float,
    headers: Iterable[Header],
) -> None:
    """Write what comes over one connection of a stream, until it comes no more."""
    await send({"type": "http.response.start", "status": 200, "headers": [*STREAM, *headers]})
    if first:
        await send({"type": "http.response.body", "body": first, "more_body": True})
    try:
        while True:
            for data in [_encoded(event) for event in await stream.take(keepalive, connection)] or [KEEPALIVE]:
                await send({"type": "http.response.body", "body": data, "more_body": True})
    except StreamClosed:
        closing = last()
        data = b"" if closing is None else _encoded(Event("", encode(closing)))
        await send({"type": "http.response.body", "body": data})


def priming(stream: Stream) -> bytes:
    """An event without data, by which a client knows how to take the stream up again (MCP 2025-11-25, transports)."""
    return events.encode_event(b"", id=stream.id_of(0), retry_ms=RETRY_MS)


def _encoded(event: Event) -> bytes:
    return events.encode_event(event.data, event="message", id=event.id)


async def _leave_when(gone: Callable[[], Awaitable[None]], stream: Stream, connection: int) -> None:
    await gone()
    stream.leave(connection)
