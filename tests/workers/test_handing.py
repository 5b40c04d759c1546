"""A request that is handed over is answered by its worker as it comes; what is forged, said again or looped is not."""

import asyncio
from typing import Self

import pytest

from gateway.errors import Unavailable
from gateway.records import Worker
from gateway.workers import handing, taking
from gateway.workers.envelopes import Exchanges, Handed
from gateway.workers.frames import framed
from gateway.workers.handing import Dead, Handing
from gateway.workers.taking import HANDED, Taking

NOON = 1_800_000_000_000
KEYS = [b"k" * 32]
REQUEST = Handed("POST", "/mcp/x", b"a=b", ((b"x-apikey", b"ost_x"),), "203.0.113.7", b"body")


class Site:
    """One node: a worker ``here`` that serves ``app``, its socket, and the address of the node."""

    def __init__(self, folder, app) -> None:
        self.path, self.app, self.asked = str(folder / "here.sock"), app, []
        self.here = Worker(id="here", node="n", socket=self.path)
        self.exchanges = Exchanges(KEYS)

    async def __aenter__(self) -> Self:
        async def socket_of(name: str) -> str:
            self.asked.append(name)
            return self.path if name == "here" else ""

        self.taking = Taking(Exchanges(KEYS), "here", self.app, max_body=1000, socket_of=socket_of, clock=lambda: NOON)
        beside = Taking(Exchanges(KEYS), "beside", self.app, max_body=1000, socket_of=socket_of, clock=lambda: NOON)
        self.near = await asyncio.start_unix_server(self.taking.near, self.path)
        self.far = await asyncio.start_server(beside.far, "127.0.0.1", 0)
        self.port = self.far.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.near.close()
        self.far.close()
        await self.taking.finish(5)

    def away(self, name: str = "here") -> Worker:
        return Worker(id=name, node="other", socket="", address=f"127.0.0.1:{self.port}")

    async def said(self, data: bytes, *, far: bool = False) -> bytes:
        """All that comes back for ``data``."""
        opened = asyncio.open_connection("127.0.0.1", self.port) if far else asyncio.open_unix_connection(self.path)
        reader, writer = await opened
        writer.write(data)
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


async def stay() -> None:
    await asyncio.Event().wait()


async def hand(worker: Worker, request: Handed = REQUEST, gone=stay) -> list[dict]:
    told: list[dict] = []

    async def send(event) -> None:
        told.append(event)

    await Handing(Exchanges(KEYS), "n", clock=lambda: NOON).hand(worker, request, send, gone)
    return told


async def plain(scope, receive, send) -> None:
    """Tells what came."""
    event = await receive()
    told = [scope["method"], scope["path"], scope["query_string"], scope["headers"], scope["client"], scope[HANDED]]
    await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": repr(told).encode() + event["body"], "more_body": True})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize("far", [False, True])
async def test_a_request_comes_through_whole_and_so_does_its_answer(tmp_path, far: bool):
    async with Site(tmp_path, plain) as site:
        start, body, end = await hand(site.away() if far else site.here)
    assert start == {"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]}
    wanted = ["POST", "/mcp/x", b"a=b", [(b"x-apikey", b"ost_x")], ("203.0.113.7", 0), True]
    assert body["body"] == repr(wanted).encode() + b"body"
    assert end == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize("far", [False, True])
async def test_a_client_that_leaves_is_missed_where_its_request_is_served(tmp_path, far: bool):
    begun, missed = asyncio.Event(), asyncio.Event()

    async def waiting(_scope, receive, send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        assert (await receive())["type"] == "http.disconnect"
        missed.set()

    async with Site(tmp_path, waiting) as site, asyncio.timeout(10):
        await hand(site.away() if far else site.here, gone=begun.wait)
        await missed.wait()


async def test_a_worker_that_is_not_there_is_dead_and_one_that_is_silent_may_live(tmp_path, monkeypatch):
    async with Site(tmp_path, plain) as site:
        with pytest.raises(Dead):
            await hand(site.away("gone"))
        with pytest.raises(Dead):
            await hand(Worker(id="here", node="n", socket=str(tmp_path / "none.sock")))
        with pytest.raises(Dead):
            await hand(Worker(id="here", node="elsewhere", socket=site.path))
    monkeypatch.setattr(handing, "SILENCE_S", 0.1)

    async def mute(*_: object) -> None:
        await asyncio.Event().wait()

    async with Site(tmp_path, mute) as site:
        with pytest.raises(Unavailable):
            await hand(site.here)


async def test_a_worker_that_thinks_long_says_that_it_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(handing, "SILENCE_S", 0.4)
    monkeypatch.setattr(taking, "SIGN_S", 0.05)

    async def slow(scope, receive, send) -> None:
        await asyncio.sleep(1)
        await plain(scope, receive, send)

    async with Site(tmp_path, slow) as site:
        assert (await hand(site.here))[0]["status"] == 201


async def test_an_answer_that_breaks_off_is_not_made_whole(tmp_path):
    async def broken(_scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async with Site(tmp_path, broken) as site:
        told = await hand(site.here)
    assert [each.get("more_body") for each in told] == [None, True]


# -- what an attacker tries


def whole(exchanges: Exchanges, to: str = "here", now: int = NOON) -> bytes:
    exchange, preamble = exchanges.begin(to, now)
    return framed(preamble) + framed(exchange.request.close(REQUEST))


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        framed(b""),
        framed(b"x" * 100),
        framed(b"x" * 2000),
        b"\xff\xff\xff\xff",
        whole(Exchanges([b"z" * 32])),
        whole(Exchanges(KEYS), now=NOON - 60_000),
    ],
    ids=["http", "empty", "garbage", "too long", "endless", "another gateway", "an old one"],
)
async def test_what_none_of_us_says_is_answered_by_nothing(tmp_path, data: bytes, far: bool):
    async with Site(tmp_path, plain) as site:
        assert await site.said(data, far=far) == b""


async def test_a_handover_that_is_said_again_is_answered_once(tmp_path):
    async with Site(tmp_path, plain) as site:
        data = whole(site.exchanges)
        assert await site.said(data)
        assert await site.said(data) == b""
        assert await site.said(data, far=True) == b""


async def test_what_came_from_this_node_goes_no_further(tmp_path):
    async with Site(tmp_path, plain) as site:
        with pytest.raises(Dead):
            await hand(Worker(id="beside", node="n", socket=site.path))
        assert site.asked == []


async def test_a_request_without_its_preamble_and_one_that_is_too_large_are_refused(tmp_path):
    async with Site(tmp_path, plain) as site:
        exchange, preamble = site.exchanges.begin("here", NOON)
        assert await site.said(framed(exchange.request.close(REQUEST))) == b""
        assert await site.said(framed(preamble) + (2**31).to_bytes(4, "big")) == b""
