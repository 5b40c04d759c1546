"""Handing a request to the worker that holds what it is about, and its answer back to the client, as it comes."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from gateway.errors import Unavailable
from gateway.records import Worker
from gateway.workers.envelopes import Exchange, Exchanges, Forged, Handed, Said
from gateway.workers.frames import Broken, framed, read_frame

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONNECT_S: Final = 3.0
SILENCE_S: Final = 15.0
"""How long a worker may be silent; one that lives says something more often."""

PART: Final = 64 * 1024 * 1024
"""Bytes of one part of an answer at most."""


class Dead(Exception):
    """No such worker is there any more."""


class Handing:
    """From worker ``me`` to others. ``clock`` tells ms since the epoch."""

    def __init__(self, exchanges: Exchanges, node: str, *, clock: Callable[[], int]) -> None:
        self._exchanges, self._node, self._clock = exchanges, node, clock

    async def hand(self, worker: Worker, handed: Handed, send: Send, gone: Callable[[], Awaitable[None]]) -> None:
        """Let ``worker`` answer a request over ``send``; returns early when its client has ``gone``. Raises ``Dead``,
        and ``Unavailable`` where it is not known what became of the request; both only before the answer has begun.
        """
        reader, writer = await self._connected(worker)
        exchange, preamble = self._exchanges.begin(worker.id, self._clock())
        answering = asyncio.create_task(_asked(reader, writer, exchange, preamble, handed, send))
        leaving = asyncio.ensure_future(gone())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            writer.close()

    async def _connected(self, worker: Worker) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(CONNECT_S):
                if worker.node == self._node:
                    return await asyncio.open_unix_connection(worker.socket)
                host, _, port = worker.address.rpartition(":")
                if not host:
                    raise Dead
                return await asyncio.open_connection(host.strip("[]"), int(port))
        except (ConnectionRefusedError, FileNotFoundError):
            raise Dead from None
        except (OSError, TimeoutError):
            raise _silent() from None


async def _asked(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    exchange: Exchange,
    preamble: bytes,
    handed: Handed,
    send: Send,
) -> None:
    begun = False
    try:
        async with asyncio.timeout(SILENCE_S):
            writer.write(framed(preamble) + framed(exchange.request.close(handed)))
            await writer.drain()
        while (said := await _next(reader, exchange)).more or said.status:
            begun = begun or bool(said.status)
            await _told(said, send)
        await _told(said, send)
    except (Broken, Forged, TimeoutError, OSError):
        if not begun:  # an answer that has begun ends as it is: whoever serves it closes the connection
            raise _silent() from None


async def _next(reader: asyncio.StreamReader, exchange: Exchange) -> Said:
    async with asyncio.timeout(SILENCE_S):
        said = exchange.answer.open_answer(await read_frame(reader, PART))
    if not said.here:
        raise Dead
    return said


async def _told(said: Said, send: Send) -> None:
    if said.status:
        await send({"type": "http.response.start", "status": said.status, "headers": list(said.headers)})
    elif said.body or not said.more:
        await send({"type": "http.response.body", "body": said.body, "more_body": said.more})


def _silent() -> Unavailable:
    return Unavailable("the worker that holds this does not answer; try again")
