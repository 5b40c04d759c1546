"""A platform on this machine that answers as a test says, and connectors to it."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from connectors.base import QUIET
from connectors.rest.connector import RestConnector
from gateway.mcp.terms import Params
from tests.connectors.raw_http import Heard
from tests.connectors.rest.building import ANN, Wallet, platform

Answers = Callable[[Heard], tuple[int, Any] | tuple[int, Any, dict[str, str]]]


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000
        self.waits: list[float] = []

    def __call__(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += int(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(serve, egress, clock):
    """``await desk(answers, action, …)``: the server, a connector to it, and the credentials that it uses. ``answers``
    says status, body (bytes, or JSON) and headers for each request heard.
    """

    async def start(answers: Answers, *actions, wallet: Wallet | None = None, **more):
        async def reply(heard, writer):
            status, body, *headers = answers(heard)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            told = {"Content-Type": "application/json", **(headers[0] if headers else {})}
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in told.items())
            writer.write(head.encode() + b"\r\n" + content)

        server = await serve(reply)
        wallet = wallet or Wallet()
        place = platform(f"http://127.0.0.1:{server.port}/api", *actions, **more)
        connector = RestConnector(place, egress=egress, credentials=wallet, clock=clock, sleep=clock.sleep)
        return server, connector, wallet

    return start


Call = Callable[..., Awaitable[Params]]


@pytest.fixture
def call() -> Call:
    """``await call(connector, a=1)``: the result of its action ``do`` for Ann."""

    async def one(connector, action: str = "do", owner: str = ANN, id: str = "", **args: Any) -> Params:
        connection = await connector.open(owner, owner, credential=id)
        return await connection.send("tools/call", {"name": action, "arguments": args}, QUIET)

    return one
