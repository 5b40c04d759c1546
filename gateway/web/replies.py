"""How an answer is written: one JSON body, or an event stream from the first word said on the way."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Self

from gateway.mcp import events
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import Message, Notification
from gateway.sessions import Stream, StreamClosed
from gateway.web.asgi import JSON, NO_STORE, STREAM, Header, Incoming, Send, answer, end_tasks

SILENCE_S: Final = 15.0
"""After this long without a word a running call becomes a stream, so that proxies keep it open."""

UNREAD: Final = 1_000
KEEPALIVE: Final = b": keepalive\n\n"


class Reply:
    """The answer to one POST: ``say`` what comes on the way, then ``finish`` with the answer itself. Used as a
    context, so that whatever else happens nothing is written afterwards.
    """

    def __init__(
        self, send: Send, headers: Iterable[Header] = (), *, gone: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """``gone`` returns when the client has left; what is then still said in a stream is not written."""
        self._send = send
        self._headers = tuple(headers)
        self._gone = gone
        self._watch: asyncio.Task[None] | None = None
        self._unheard = False
        self._waiting: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self._finished = False
        self._writer: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(SILENCE_S, self._open)

    def say(self, notification: Notification) -> None:
        """Send a notification; what a slow client has not read of ``UNREAD`` is dropped, never the answer."""
        if len(self._waiting) < UNREAD:
            self._waiting.append(_event(encode(notification)))
        self._open()

    async def finish(self, body: bytes, status: int = 200, headers: Iterable[Header] = ()) -> None:
        """Write the answer; in an open stream it is the last event, and ``status`` is already gone."""
        self._timer.cancel()
        if self._writer is None:
            content = (JSON,) if body else ()
            await answer(self._send, status, body, (*content, NO_STORE, *self._headers, *headers))
            return
        if body:
            self._waiting.append(_event(body))
        self._finished = True
        self._ready.set()
        await self._writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._timer.cancel()
        await end_tasks(self._writer, self._watch)

    def _open(self) -> None:
        self._timer.cancel()
        self._ready.set()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
            self._watch = asyncio.create_task(self._fall_silent(self._gone)) if self._gone else None

    async def _fall_silent(self, gone: Callable[[], Awaitable[None]]) -> None:
        await gone()
        self._unheard = True

    async def _write(self) -> None:
        await self._put({"type": "http.response.start", "status": 200, "headers": [*STREAM, *self._headers]})
        while self._waiting or not self._finished:
            if self._waiting:
                await self._part(self._waiting.popleft())
                continue
            self._ready.clear()
            if not await _within(SILENCE_S, self._ready.wait()):
                await self._part(KEEPALIVE)
        await self._put({"type": "http.response.body", "body": b""})

    async def _part(self, data: bytes) -> None:
        await self._put({"type": "http.response.body", "body": data, "more_body": True})

    async def _put(self, event: dict[str, object]) -> None:
        if not self._unheard:
            await self._send(event)


async def pour(
    stream: Stream,
    incoming: Incoming,
    send: Send,
    *,
    first: bytes = b"",
    last: Callable[[], Message | None] = lambda: None,
    keepalive: float,
    headers: Iterable[Header] = (),
) -> None:
    """Write a stream to its client until either side ends it; a comment line every ``keepalive`` seconds."""
    await send({"type": "http.response.start", "status": 200, "headers": [*STREAM, *headers]})
    await send({"type": "http.response.body", "body": first or KEEPALIVE, "more_body": True})
    watch = asyncio.create_task(_close_when_gone(stream, incoming))
    try:
        while True:
            for data in [_event(message) for message in await stream.take(keepalive)] or [KEEPALIVE]:
                await send({"type": "http.response.body", "body": data, "more_body": True})
    except StreamClosed:
        closing = last()
        await send({"type": "http.response.body", "body": b"" if closing is None else _event(encode(closing))})
    finally:
        await end_tasks(watch)


def _event(message: bytes) -> bytes:
    return events.encode_event(message, event="message")


async def _close_when_gone(stream: Stream, incoming: Incoming) -> None:
    await incoming.gone()
    stream.close()


async def _within(seconds: float, waiting: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await waiting
    except TimeoutError:
        return False
    return True
