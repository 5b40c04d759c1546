"""A wire with faults of our choosing: TCP from the store's client to a database, through here.

It knows nothing of what it passes on but byte strings that a command holds.
"""

import asyncio
import contextlib
from enum import Enum

from tests.secantus import free_port


class Cut(Enum):
    """Where a connection breaks: before the database hears of the command named, or before its answer is heard."""

    REQUEST = "request"
    ANSWER = "answer"


class Proxy:
    """Passes bytes on to a server. When ``armed``, it breaks one connection at the next command named."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self._passing = asyncio.Event()
        self._passing.set()
        self._down = False
        self.armed = b""
        self.at = Cut.ANSWER
        self.delay = 0.0  # seconds that each answer comes late
        self.instead = (b"", b"")  # what answers say, and what they say instead
        self.cuts = 0
        self.port = 0

    async def serve(self) -> asyncio.Server:
        self.port = free_port()
        return await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)

    def drop(self) -> None:
        """From now on nothing arrives, and nobody is told."""
        self._passing.clear()

    def down(self) -> None:
        """From now on all connections are ended, old ones and new ones."""
        self._down = True
        self.cut()

    def calm(self) -> None:
        """From now on all is well; what was dropped arrives late."""
        self.armed, self.delay, self._down = b"", 0.0, False
        self._passing.set()

    def cut(self) -> None:
        """End all connections there are."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        self._writers += [writer, back]
        if self._down:
            self.cut()
        swallowing = asyncio.Event()
        answers = asyncio.create_task(self._answers(there, writer, swallowing))
        with contextlib.suppress(ConnectionError):
            await self._requests(reader, back, swallowing)
        back.close()
        await answers

    async def _requests(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, swallowing: asyncio.Event
    ) -> None:
        while data := await reader.read(65_536):
            await self._passing.wait()
            if self.armed and self.armed in data:
                self.armed = b""
                swallowing.set()
                if self.at is Cut.REQUEST:
                    self.cuts += 1
                    return
            back.write(data)
            await back.drain()

    async def _answers(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, swallowing: asyncio.Event
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await there.read(65_536):
                if swallowing.is_set():
                    self.cuts += 1
                    break
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._passing.wait()
                writer.write(data.replace(*self.instead) if self.instead[0] else data)
                await writer.drain()
        writer.close()
