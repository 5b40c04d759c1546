"""What the tests of the way out share: raw servers, what they heard, what they answer, and who listens."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from connectors.addresses import Exceptions, parse
from connectors.base import UpstreamSpec
from connectors.egress import EgressError
from gateway.mcp.terms import Message, Request, Response

TLS = ssl.create_default_context()
"""Loading the machine's certificates takes long; one context serves all."""

LOCAL = parse(["127.0.0.0/8", "server.test", "turns.test"])
assert isinstance(LOCAL, Exceptions)


@dataclass
class Heard:
    """One request as it came over the wire; ``connection`` counts the connections of its server from 1."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class RawServer:
    port: int
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has closed a connection."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def until(self, count: int) -> Heard:
        """The request number ``count``, waited for."""
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(self.heard) >= count)
        return self.heard[count - 1]


Reply = Callable[[Heard, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[..., Awaitable[RawServer]]


async def listening(connected, context: ssl.SSLContext | None) -> tuple[asyncio.Server, int]:
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            return await asyncio.start_server(connected, "127.0.0.1", port, ssl=context), port
        except OSError:
            continue


async def heard_from(reader: asyncio.StreamReader, connection: int) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = [(line.partition(":")[0], line.partition(":")[2].strip()) for line in head[1:] if line]
    heard = Heard(method, target, headers, b"", connection)
    heard.body = await reader.readexactly(int(heard.header("content-length") or 0))
    return heard


@dataclass(frozen=True)
class Certificates:
    server: ssl.SSLContext
    client: ssl.SSLContext


class Ear:
    """What a transport gave us."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.losses: list[Exception | None] = []
        self._changed = asyncio.Event()

    def receive(self, message: Message) -> None:
        self.messages.append(message)
        self._changed.set()

    def lost(self, why: Exception | None) -> None:
        self.losses.append(why)
        self._changed.set()

    async def until(self, done: Callable[["Ear"], bool]) -> None:
        async with asyncio.timeout(10):
            while not done(self):
                self._changed.clear()
                await self._changed.wait()

    async def answer(self, id: int) -> Response:
        def found(ear: Ear) -> list[Response]:
            return [each for each in ear.messages if isinstance(each, Response) and each.id == id]

        await self.until(lambda ear: bool(found(ear)))
        return found(self)[0]


class Names:
    """A resolver whose answers a test sets; the last answer is repeated."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host, port):
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise OSError("no such host")
        return answer


async def until(true) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)


def plain(body: bytes = b"ok", *, status: str = "200 OK", headers: str = ""):
    async def reply(heard, writer):
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)

    return reply


def raw(answer: bytes, *, close: bool = False):
    async def reply(heard, writer):
        writer.write(answer)
        if close:
            writer.close()

    return reply


async def ask(egress, url, *, method="GET", allow=LOCAL, **more):
    async with egress.request(method, url, allow=allow, **more) as answer:
        return answer.status, await answer.read()


async def failure(egress, url, **more) -> EgressError:
    with pytest.raises(EgressError) as caught:
        await ask(egress, url, **more)
    return caught.value


PING = Request(7, "ping", {})
PONG = b'{"jsonrpc":"2.0","id":7,"result":{}}'
NOTE = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"x"}}'
INITIALIZE = Request(
    1,
    "initialize",
    {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
)
WELCOME = b'{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}'


def http_spec(url: str, **more) -> UpstreamSpec:
    return UpstreamSpec(id="sample", transport="http", url=url, private_hosts=("127.0.0.0/8",), **more)


def answer(body: bytes, *, status: str = "200 OK", kind: str | None = "application/json", headers: str = "") -> bytes:
    label = f"Content-Type: {kind}\r\n" if kind is not None else ""
    return f"HTTP/1.1 {status}\r\n{label}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def replies(*answers: bytes):
    """One answer per request, the last one repeated; a stream without a length ends with its connection."""
    left = list(answers)

    async def reply(heard, writer):
        written = left.pop(0) if len(left) > 1 else left[0]
        writer.write(written)
        if b"Content-Length" not in written:
            writer.close()

    return reply


def stream(*events: bytes, kind: str = "text/event-stream") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + b"".join(events)


def event(data: bytes, *, id: str = "", name: str = "") -> bytes:
    lines = [f"id: {id}".encode()] if id else []
    lines += [f"event: {name}".encode()] if name else []
    return b"\n".join([*lines, b"data: " + data]) + b"\n\n"
