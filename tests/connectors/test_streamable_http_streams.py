"""The client's side of streamable HTTP: streams that go on after a break, the end, and a real server."""

import asyncio

import pytest

from connectors.streamable_http import StreamableHttp, _Track
from connectors.transport import HttpAnswer, TransportLost
from gateway.errors import NotConnected
from gateway.mcp.events import EventParser
from gateway.mcp.terms import CAPABILITIES_KEY, CLIENT_INFO_KEY, VERSION_KEY, Notification, Request, Response
from tests.connectors.raw_http import INITIALIZE, NOTE, PING, PONG, WELCOME, answer, event, http_spec, replies, stream

# --- going on where a stream broke off


async def test_a_legacy_stream_that_breaks_off_goes_on_by_get(opened, ear):
    server, transport = await opened(
        replies(
            answer(WELCOME, headers="Mcp-Session-Id: s\r\n"),
            stream(b"id: p1\nretry: 1\ndata: \n\n"),
            stream(event(NOTE, id="p2")),
            stream(event(PONG, id="p3")),
        )
    )
    await transport.send(INITIALIZE)
    await transport.send(PING, version="2025-11-25")
    first, second = server.heard[2:]
    assert [(each.method, each.header("last-event-id")) for each in (first, second)] == [("GET", "p1"), ("GET", "p2")]
    assert first.header("accept") == "text/event-stream"
    assert first.header("mcp-session-id") == "s"
    assert first.header("mcp-protocol-version") == "2025-11-25"
    assert ear.messages[1:] == [Notification("notifications/message", {"data": "x"}), Response(7, result={})]


async def test_a_broken_stream_is_not_gone_on_with_at_once(opened, monkeypatch):
    heard = []
    monkeypatch.setattr(_Track, "pause", lambda track: heard.append(len(server.heard)) or 0)
    server, transport = await opened(
        replies(stream(event(NOTE, id="1")), stream(event(NOTE, id="2")), stream(event(PONG)))
    )
    await transport.send(PING, version="2025-11-25")
    assert heard == [1, 2]


async def test_a_stream_that_cannot_be_resumed_is_lost(opened):
    _, transport = await opened(replies(stream(b"id: 1\nretry: 1\ndata: \n\n"), answer(b"", status="405 No")))
    with pytest.raises(TransportLost, match="cannot be resumed") as caught:
        await transport.send(PING)
    assert caught.value.sent


async def test_a_modern_stream_is_never_resumed(opened):
    server, transport = await opened(replies(stream(event(NOTE, id="1")), stream(event(PONG))))
    with pytest.raises(TransportLost):
        await transport.send(PING, version="2026-07-28", modern=True)
    assert len(server.heard) == 1


async def test_listening_goes_on_after_every_break_with_the_last_id(opened, ear):
    server, transport = await opened(
        replies(
            stream(b"retry: 1\n", event(NOTE, id="a"), event(NOTE)),
            answer(b"", status="503 Later", kind=None),
            stream(event(NOTE, id="b")),
            answer(b"", status="405 Enough", kind=None),
        )
    )
    await transport.listen()
    assert [heard.header("last-event-id") for heard in server.heard] == [None, "a", "a", "b"]
    assert {heard.method for heard in server.heard} == {"GET"}
    assert len(ear.messages) == 3


async def test_a_response_on_the_listening_stream_is_nobodys(opened, ear):
    _, transport = await opened(replies(stream(event(PONG), event(NOTE)), answer(b"", status="405 Enough", kind=None)))
    await transport.listen()
    assert ear.messages == [Notification("notifications/message", {"data": "x"})]


async def test_listening_returns_at_once_where_the_server_has_no_stream(opened):
    server, transport = await opened(replies(answer(b"", status="405 Method Not Allowed", kind=None)))
    await transport.listen()
    assert len(server.heard) == 1


async def test_listening_on_a_forgotten_session_is_told(opened):
    _, transport = await opened(replies(answer(b"", status="404 Not Found", kind=None)))
    with pytest.raises(HttpAnswer) as caught:
        await transport.listen()
    assert caught.value.status == 404


@pytest.mark.parametrize(
    "garbage",
    [
        answer(b"<html></html>", kind="text/html"),
        answer(PONG),
        answer(event(NOTE), kind="text/event-stream", status="201 Created"),
        stream(event(NOTE), kind="text/plain"),
        stream(event(b"{")),
        stream(event(b"[" + NOTE + b"]")),
    ],
)
async def test_listening_to_garbage_is_lost(garbage, opened):
    _, transport = await opened(replies(garbage))
    with pytest.raises(TransportLost):
        await transport.listen()


async def test_listening_is_given_up_when_the_stream_does_not_open_again(opened, monkeypatch):
    monkeypatch.setattr("connectors.streamable_http.FIRST_PAUSE", 0.001)
    server, transport = await opened(replies(answer(b"", status="503 Later", kind=None)))
    with pytest.raises(TransportLost, match="HTTP 503"):
        await transport.listen()
    assert len(server.heard) == 6


async def test_streams_that_open_and_end_are_no_reason_to_give_up(opened, monkeypatch):
    monkeypatch.setattr("connectors.streamable_http.FIRST_PAUSE", 0.0001)
    server, transport = await opened(replies(*[stream()] * 8, answer(b"", status="405 Enough", kind=None)))
    await transport.listen()
    assert len(server.heard) == 9


def test_the_pauses_grow_as_long_as_nothing_is_heard_and_are_never_shorter_than_the_server_says():
    track = _Track()
    pauses = []
    for track.fruitless in range(1, 12):
        pauses.append(track.pause())
    assert pauses == [min(30.0, 0.1 * 2**n) for n in range(1, 12)]
    parser = EventParser()
    parser.feed(b"retry: 5000\n\n")
    track.heard(parser)
    assert track.pause() == 5.0
    parser.feed(b"retry: 999999999\n\n")
    track.heard(parser)
    assert track.pause() == 30.0


async def test_an_attempt_that_brings_nothing_makes_the_next_pause_longer_and_a_word_makes_it_short(
    opened, monkeypatch
):
    fruitless = []
    monkeypatch.setattr(_Track, "pause", lambda track: fruitless.append(track.fruitless) or 0)
    more = stream(event(NOTE)), stream(), answer(b"", status="405 Enough", kind=None)
    _, transport = await opened(replies(stream(), answer(b"", status="503 Later", kind=None), *more))
    await transport.listen()
    assert fruitless == [1, 2, 0, 1]


async def test_an_id_that_no_header_can_carry_is_not_sent_back(opened):
    server, transport = await opened(
        replies(stream(event(NOTE, id="ü\x01")), answer(b"", status="405 Enough", kind=None))
    )
    await transport.listen()
    assert server.heard[1].header("last-event-id") is None


# --- the end


async def test_closing_twice_ends_the_session_once(opened):
    server, transport = await opened(replies(answer(WELCOME, headers="Mcp-Session-Id: s\r\n"), answer(b"")))
    await transport.send(INITIALIZE)
    await transport.close()
    await transport.close()
    assert [heard.method for heard in server.heard] == ["POST", "DELETE"]


async def test_closing_without_a_session_says_nothing(opened):
    server, transport = await opened(replies(answer(PONG)))
    await transport.send(PING)
    await transport.close()
    assert len(server.heard) == 1


async def test_closing_where_the_account_is_gone_says_nothing(serve, egress, ear):
    class Lapsed:
        def request(self, method, *given, **named):
            if method == "DELETE":
                raise NotConnected("ended")
            return egress.request(method, *given, **named)

    server = await serve(replies(answer(WELCOME, headers="Mcp-Session-Id: s\r\n")))
    transport = StreamableHttp(http_spec(server.url + "/mcp"), Lapsed())
    await transport.start(ear.receive, ear.lost)
    await transport.send(INITIALIZE)
    await transport.close()
    assert [heard.method for heard in server.heard] == ["POST"]


async def test_closing_takes_bounded_time_and_never_fails(opened, monkeypatch):
    monkeypatch.setattr("connectors.streamable_http.GOODBYE", 0.05)
    _, transport = await opened(replies(answer(WELCOME, headers="Mcp-Session-Id: s\r\n"), b"HTTP/1.1 "))
    await transport.send(INITIALIZE)
    async with asyncio.timeout(2):
        await transport.close()


# --- a real server


@pytest.mark.parametrize("way", ["http-both", "http-json"])
async def test_a_legacy_conversation_with_the_python_sdk(way, everything, egress, ear):
    transport = StreamableHttp(http_spec(f"http://127.0.0.1:{everything[way]}/mcp"), egress)
    await transport.start(ear.receive, ear.lost)
    await transport.send(INITIALIZE)
    welcome = await ear.answer(1)
    assert welcome.result["serverInfo"]["name"] == "everything"
    version = welcome.result["protocolVersion"]
    await transport.send(Notification("notifications/initialized"), version=version)
    await transport.send(Request(2, "tools/list"), version=version)
    assert (await ear.answer(2)).result["tools"][0]["name"] == "echo"
    call = Request(3, "tools/call", {"name": "slow", "arguments": {"steps": 3}, "_meta": {"progressToken": 3}})
    await transport.send(call, version=version)
    assert (await ear.answer(3)).result["content"][0]["text"] == "3"
    if way == "http-both":
        progress = [m.params["progress"] for m in ear.messages if isinstance(m, Notification)]
        assert progress == [1, 2, 3]
    listening = asyncio.create_task(transport.listen())
    await transport.close()
    with pytest.raises((HttpAnswer, TransportLost)):
        async with asyncio.timeout(10):
            await listening
    with pytest.raises(HttpAnswer):
        await transport.send(Request(5, "ping"), version=version)


@pytest.mark.parametrize("way", ["http-both", "http-both-json"])
async def test_a_modern_call_to_the_python_sdk(way, everything, egress, ear):
    transport = StreamableHttp(http_spec(f"http://127.0.0.1:{everything[way]}/mcp"), egress)
    await transport.start(ear.receive, ear.lost)
    meta = {VERSION_KEY: "2026-07-28", CLIENT_INFO_KEY: {"name": "t", "version": "1"}, CAPABILITIES_KEY: {}}

    async def ask(id, method, routed="", **params):
        await transport.send(
            Request(id, method, {**params, "_meta": meta}), version="2026-07-28", modern=True, name=routed
        )
        return await ear.answer(id)

    assert "2026-07-28" in (await ask(1, "server/discover")).result["supportedVersions"]
    assert len((await ask(2, "tools/list")).result["tools"]) == 8
    called = await ask(3, "tools/call", "structured", name="structured", arguments={"text": "a"})
    assert called.result["structuredContent"] == {"text": "a"}
    with pytest.raises(HttpAnswer) as caught:
        await transport.send(
            Request(4, "tools/call", {"name": "structured", "_meta": meta}),
            version="2026-07-28",
            modern=True,
            name="other",
        )
    assert caught.value.status == 400
    assert caught.value.message.error["code"] == -32020
