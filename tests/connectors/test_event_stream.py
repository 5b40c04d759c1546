"""The client's side of HTTP+SSE: against raw servers that misbehave as told, and against a real one."""

import asyncio
import json

import pytest

from connectors.base import Secret, UpstreamSpec
from connectors.egress import Egress
from connectors.event_stream import EventStream
from connectors.outgoing import same_origin
from connectors.transport import HttpAnswer, TransportLost
from gateway.errors import NotConnected
from gateway.mcp.terms import Notification, Request, Response
from tests.connectors.raw_http import NOTE, TLS

PING = Request(7, "ping", {})
PONG = b'{"jsonrpc":"2.0","id":7,"result":{}}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted"
ENDPOINT = b"event: endpoint\ndata: /messages?session=s1\n\n"


class Stream:
    """A server with one stream; what is posted is answered by ``post`` and, if it says so, on the stream."""

    def __init__(
        self, *, first: bytes = ENDPOINT, head: bytes = HEAD, post: bytes = ACCEPTED, says: bytes = b""
    ) -> None:
        self.first, self.head, self.post, self.says = first, head, post, says
        self.stream: asyncio.StreamWriter | None = None

    async def __call__(self, heard, writer):
        if heard.method == "GET":
            self.stream = writer
            writer.write(self.head + self.first)
        else:
            writer.write(self.post)
            if self.says and self.stream is not None:
                self.stream.write(self.says)


def spec(url: str, **more) -> UpstreamSpec:
    return UpstreamSpec(id="sample", transport="sse", url=url, private_hosts=("127.0.0.0/8",), **more)


@pytest.fixture
async def made(serve, egress):
    """``await made(stream)``: a raw server and a transport to it, not yet started."""
    transports = []

    async def make(stream: Stream, **more):
        server = await serve(stream)
        transports.append(EventStream(spec(server.url + "/sse", **more), egress))
        return server, transports[-1]

    yield make
    for transport in transports:
        await transport.close()


async def test_messages_are_posted_where_the_stream_says_and_answered_on_it(made, ear):
    server, transport = await made(
        Stream(says=b"event: message\ndata: " + PONG + b"\n\n"), headers={"Authorization": Secret("Bearer own")}
    )
    await transport.start(ear.receive, ear.lost)
    await transport.send(PING, version="2024-11-05")
    assert await ear.answer(7) == Response(7, result={})
    opening, posted = server.heard
    assert (opening.method, opening.target, opening.header("accept")) == ("GET", "/sse", "text/event-stream")
    assert (posted.method, posted.target) == ("POST", "/messages?session=s1")
    assert json.loads(posted.body) == {"jsonrpc": "2.0", "id": 7, "method": "ping"}
    assert {each.header("authorization") for each in server.heard} == {"Bearer own"}
    names = {name.lower() for name, _ in posted.headers}
    assert names == {
        "host",
        "user-agent",
        "accept",
        "content-type",
        "content-length",
        "mcp-protocol-version",
        "authorization",
    }


BASE = "http://127.0.0.1:9001/sse"


@pytest.mark.parametrize("address", ["/m?s=1", "m?s=1", "http://127.0.0.1:9001/m?s=1", "//127.0.0.1:9001/m?s=1"])
def test_an_address_of_the_same_origin_is_followed(address):
    assert same_origin(BASE, address) == "http://127.0.0.1:9001/m?s=1"


FOREIGN = [
    "http://evil.test/m", "//evil.test/m", "http://127.0.0.1:9002/m", "https://127.0.0.1:9001/m", "http://127.0.0.1/m",
    "http://127.0.0.1:9001@evil.test/m", "http://evil.test@127.0.0.1:9001/m", "http://u:p@127.0.0.1:9001/m", "file:///m",
    "javascript:alert(1)", "http://[", "/m\r\nX: y", "/a b", "\\\\evil.test/m", "http:\\\\evil.test", "http://localhost:9001/m",
]  # fmt: skip


@pytest.mark.parametrize("address", FOREIGN)
def test_an_address_of_another_origin_is_refused(address):
    with pytest.raises(ValueError, match=r".+"):
        same_origin(BASE, address)


@pytest.mark.parametrize("address", ["http://evil.test/m", "//evil.test/m", "http://127.0.0.1:1/m", "http://["])
async def test_nothing_is_posted_to_another_origin(address, made, ear):
    server, transport = await made(Stream(first=b"event: endpoint\ndata: " + address.encode() + b"\n\n"))
    with pytest.raises(TransportLost, match="does not lie where the stream does"):
        await transport.start(ear.receive, ear.lost)
    assert [heard.method for heard in server.heard] == ["GET"]


async def test_the_address_cannot_be_changed_later(made, ear):
    server, transport = await made(Stream(first=ENDPOINT + b"event: endpoint\ndata: /elsewhere\n\n"))
    await transport.start(ear.receive, ear.lost)
    await transport.send(PING)
    assert server.heard[1].target == "/messages?session=s1"


GARBAGE = {
    "html": (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b"<html>"),
    "no label": (b"HTTP/1.1 200 OK\r\n\r\n", ENDPOINT),
    "201": (HEAD.replace(b"200 OK", b"201 Created"), ENDPOINT),
    "redirect": (b"HTTP/1.1 307 X\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", b""),
    "garbage before the address": (HEAD, b"data: {\n\n" + ENDPOINT),
    "batch before the address": (HEAD, b"data: [" + PONG + b"]\n\n" + ENDPOINT),
    "an empty address that is no text": (HEAD, b"event: endpoint\ndata: \xff\n\n"),
}


@pytest.mark.parametrize("case", GARBAGE)
async def test_a_stream_that_is_none_fails_the_start(case, made, ear):
    head, first = GARBAGE[case]
    _, transport = await made(Stream(head=head, first=first))
    async with asyncio.timeout(5):
        with pytest.raises(TransportLost):
            await transport.start(ear.receive, ear.lost)
    assert (ear.messages, ear.losses) == ([], [])
    with pytest.raises(TransportLost, match="not open") as caught:
        await transport.send(PING)
    assert not caught.value.sent


async def test_an_error_status_fails_the_start_as_what_it_is(made, ear):
    _, transport = await made(Stream(head=b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", first=b""))
    with pytest.raises(HttpAnswer) as caught:
        await transport.start(ear.receive, ear.lost)
    assert caught.value.status == 401


async def test_a_start_without_an_account_fails_as_what_it_is(ear):
    class Nobodys:
        def request(self, *given, **named):
            raise NotConnected("connect an account first")

    transport = EventStream(spec("https://up.test/sse"), Nobodys())
    async with asyncio.timeout(5):
        with pytest.raises(NotConnected):
            await transport.start(ear.receive, ear.lost)
    assert ear.losses == []


async def test_a_stream_that_names_no_address_is_given_up(made, ear):
    server, transport = await made(Stream(first=b": hello\n\n"), start_timeout=0.1)
    with pytest.raises(TransportLost, match="in time"):
        await transport.start(ear.receive, ear.lost)
    async with asyncio.timeout(5):
        await server.hung_up.wait()
    assert ear.losses == []


async def test_cancelling_the_start_closes_the_stream(made, ear):
    server, transport = await made(Stream(first=b""))
    starting = asyncio.create_task(transport.start(ear.receive, ear.lost))
    await server.until(1)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    async with asyncio.timeout(5):
        await server.hung_up.wait()


@pytest.mark.parametrize("says", [b"data: {\n\n", b"data: [" + PONG + b"]\n\n", b"data: " + b"x" * 17 * 2**20])
async def test_garbage_on_the_open_stream_ends_it_and_everybody_is_told_once(says, made, ear):
    server, transport = await made(Stream(says=says))
    await transport.start(ear.receive, ear.lost)
    await transport.send(PING)
    await ear.until(lambda ear: bool(ear.losses))
    async with asyncio.timeout(5):
        await server.hung_up.wait()
    await transport.close()
    assert len(ear.losses) == 1
    assert isinstance(ear.losses[0], TransportLost)
    assert ear.messages == []


async def test_a_stream_that_ends_is_told(made, ear):
    stream = Stream()
    _, transport = await made(stream)
    await transport.start(ear.receive, ear.lost)
    stream.stream.close()
    await ear.until(lambda ear: bool(ear.losses))
    assert ear.losses[0].sent
    with pytest.raises(TransportLost):
        await transport.send(PING)


async def test_a_stream_that_ends_before_it_named_an_address_had_nothing_sent(made, ear):
    _, transport = await made(
        Stream(head=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/event-stream\r\n\r\n", first=b"")
    )
    with pytest.raises(TransportLost, match="ended the stream") as caught:
        await transport.start(ear.receive, ear.lost)
    assert not caught.value.sent
    assert ear.losses == []


async def test_the_stream_takes_no_turn_of_a_message_and_has_no_bound_of_its_own(serve, ear):
    notes = b"".join(b"data: " + NOTE.replace(b'"x"', b'"%s"' % (b"x" * 2**20)) + b"\n\n" for _ in range(17))
    server = await serve(Stream(says=notes))
    egress = Egress(tls=TLS, per_host=1)
    bounds = []
    ask = egress.request
    egress.request = lambda *given, limits, **more: bounds.append(limits) or ask(*given, limits=limits, **more)
    transport = EventStream(spec(server.url + "/sse"), egress)
    await transport.start(ear.receive, ear.lost)
    await transport.send(PING)
    await ear.until(lambda ear: len(ear.messages) == 17)
    assert (bounds[0].idle, bounds[0].total) == (None, None)
    await transport.close()
    await egress.close()


async def test_a_post_that_is_not_answered_is_given_up(made, ear):
    _, transport = await made(Stream(post=b"HTTP/1.1 "), timeout=0.1)
    await transport.start(ear.receive, ear.lost)
    async with asyncio.timeout(5):
        with pytest.raises(TransportLost) as caught:
            await transport.send(PING)
    assert caught.value.sent
    assert ear.losses == []


async def test_closing_ends_the_stream_and_says_so(made, ear):
    server, transport = await made(Stream())
    await transport.start(ear.receive, ear.lost)
    await transport.close()
    await transport.close()
    assert ear.losses == [None]
    async with asyncio.timeout(5):
        await server.hung_up.wait()


async def test_an_error_status_of_a_post_is_told(made, ear):
    error = b'{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no"}}'
    head = b"HTTP/1.1 404 Gone\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(error)
    _, transport = await made(Stream(post=head + error))
    await transport.start(ear.receive, ear.lost)
    with pytest.raises(HttpAnswer) as caught:
        await transport.send(PING)
    assert (caught.value.status, caught.value.message) == (404, Response(7, error={"code": -1, "message": "no"}))


async def test_nothing_is_taken_from_the_answer_to_a_post(made, ear):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(PONG)
    _, transport = await made(Stream(post=head + PONG))
    await transport.start(ear.receive, ear.lost)
    await transport.send(PING)
    assert ear.messages == []


async def test_a_conversation_with_the_python_sdk(everything, egress, ear):
    transport = EventStream(spec(f"http://127.0.0.1:{everything['sse']}/sse"), egress)
    await transport.start(ear.receive, ear.lost)
    client = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    await transport.send(Request(1, "initialize", client))
    assert (await ear.answer(1)).result["protocolVersion"] == "2024-11-05"
    await transport.send(Notification("notifications/initialized"), version="2024-11-05")
    await transport.send(Request(2, "tools/list"), version="2024-11-05")
    assert (await ear.answer(2)).result["tools"][0]["name"] == "echo"
    call = Request(3, "tools/call", {"name": "slow", "arguments": {"steps": 2}, "_meta": {"progressToken": 3}})
    await transport.send(call, version="2024-11-05")
    assert (await ear.answer(3)).result["content"][0]["text"] == "2"
    assert [m.params["progress"] for m in ear.messages if isinstance(m, Notification)] == [1, 2]
    await transport.listen()
    await transport.close()
    assert ear.losses == [None]
