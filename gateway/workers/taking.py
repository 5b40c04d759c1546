"""Taking requests in that other workers hand over, and answering them as if their clients had come here.

Nothing of such a request is trusted but its client's address: who sends it is proven here once more. What comes from
another host may be for any worker of this node; what comes over a socket of this node goes no further.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

from gateway.workers.envelopes import Exchange, Exchanges, Forged, Handed, Once, Said
from gateway.workers.frames import Broken, framed, read_frame

Event: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[None]
]

HANDED: Final = "ostiary.handed"
"""Stands in the scope of a request that was handed over; no server puts it there."""

PREAMBLE: Final = 1024
BESIDE_BODY: Final = 1024 * 1024
"""Bytes of a preamble, and of a request without its body, at most."""

ARRIVES_S: Final = 10.0
SIGN_S: Final = 4.0
CHUNK: Final = 65_536

log = logging.getLogger(__name__)


class Taking:
    """``socket_of`` gives the path of the socket of a worker of this node, ``""`` for none; ``clock`` tells ms since
    the epoch.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        me: str,
        app: App,
        *,
        max_body: int,
        socket_of: Callable[[str], Awaitable[str]],
        clock: Callable[[], int],
    ) -> None:
        self._exchanges, self._me, self._app = exchanges, me, app
        self._most = max_body + BESIDE_BODY
        self._socket_of, self._clock = socket_of, clock
        self._once = Once()
        self._open: set[asyncio.Task[object]] = set()

    async def near(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection that came over the socket of this worker."""
        await self._serve(reader, writer, far=False)

    async def far(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection that came over the address of this node."""
        await self._serve(reader, writer, far=True)

    async def finish(self, within: float) -> None:
        """Return when everything that was taken in is answered, or after ``within`` seconds."""
        if self._open:
            await asyncio.wait(self._open, timeout=within)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, far: bool) -> None:
        if (task := asyncio.current_task()) is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            await self._taken(reader, writer, far=far)
        except (Broken, Forged, OSError, TimeoutError):
            log.info("a connection to the internal address was refused or broke off")
        finally:
            writer.close()

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, far: bool) -> None:
        async with asyncio.timeout(ARRIVES_S):
            sealed = await read_frame(reader, PREAMBLE)
            exchange = self._exchanges.taken(sealed, self._clock())
        if exchange.preamble.to != self._me:
            path = await self._socket_of(exchange.preamble.to) if far else ""
            await _passed_on(path, sealed, reader, writer, exchange)
            return
        self._once.take(exchange.preamble, self._clock())
        async with asyncio.timeout(ARRIVES_S):
            handed = exchange.request.open_request(await read_frame(reader, self._most))
        await _Answer(reader, writer, exchange).give(self._app, handed)


class _Answer:
    """One answer on its way back. A client that has left is noticed by the connection's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange) -> None:
        self._reader, self._writer, self._exchange = reader, writer, exchange
        self._body: bytes | None = None
        self._speaking = asyncio.Lock()

    async def give(self, app: App, handed: Handed) -> None:
        self._body = handed.body
        alive = asyncio.create_task(self._signs())
        try:
            await app(_scope(handed), self._receive, self._send)
        finally:
            alive.cancel()
            await asyncio.gather(alive, return_exceptions=True)

    async def _receive(self) -> Event:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        with suppress(OSError):
            await self._reader.read(1)  # the other side says nothing more: whatever comes is the end
        return {"type": "http.disconnect"}

    async def _send(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            await self._say(
                Said(event["status"], tuple((bytes(name), bytes(value)) for name, value in event["headers"]))
            )
        else:
            await self._say(Said(body=bytes(event.get("body", b"")), more=event.get("more_body", False)))

    async def _say(self, said: Said) -> None:
        """Nothing can be told to who has gone; that he has, ``_receive`` tells."""
        with suppress(OSError):
            async with self._speaking:
                self._writer.write(framed(self._exchange.answer.close(said)))
                await self._writer.drain()

    async def _signs(self) -> None:
        while True:
            await asyncio.sleep(SIGN_S)
            await self._say(Said())


def _scope(handed: Handed) -> MutableMapping[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": handed.method,
        "path": handed.path,
        "raw_path": handed.path.encode(),
        "query_string": handed.query,
        "root_path": "",
        "headers": list(handed.headers),
        "client": (handed.address, 0),
        "server": None,
        "extensions": {},
        HANDED: True,
    }


async def _passed_on(
    path: str, sealed: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange
) -> None:
    """Give everything to the worker at ``path`` as it is, and everything back; say so where there is none."""
    try:
        behind, before = await asyncio.open_unix_connection(path)
    except OSError:
        writer.write(framed(exchange.answer.close(Said(here=False))))
        await writer.drain()
        return
    try:
        before.write(framed(sealed))
        both = [asyncio.create_task(_poured(reader, before)), asyncio.create_task(_poured(behind, writer))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    finally:
        before.close()


async def _poured(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(CHUNK):
            sink.write(chunk)
            await sink.drain()
