"""The client's side of streamable HTTP, against raw servers: what is sent and what is taken."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.inbound import decode_header_value

from connectors.base import Secret, UpstreamSpec
from connectors.egress import Egress
from connectors.http_messages import header_text, media_type
from connectors.streamable_http import StreamableHttp
from connectors.transport import HttpAnswer, TransportBusy, TransportLost
from gateway.mcp.terms import Notification, Request, Response
from tests.connectors.raw_http import (
    INITIALIZE,
    NOTE,
    PING,
    PONG,
    TLS,
    WELCOME,
    answer,
    event,
    http_spec,
    replies,
    stream,
)

# --- what is sent


async def test_a_message_is_posted_with_both_media_types(opened, ear):
    server, transport = await opened(replies(answer(PONG)))
    await transport.send(PING, version="2025-06-18")
    heard = server.heard[0]
    assert (heard.method, heard.target) == ("POST", "/mcp")
    assert heard.header("accept") == "application/json, text/event-stream"
    assert heard.header("content-type") == "application/json"
    assert heard.header("mcp-protocol-version") == "2025-06-18"
    assert json.loads(heard.body) == {"jsonrpc": "2.0", "id": 7, "method": "ping"}
    assert ear.messages == [Response(7, result={})]


async def test_only_the_operators_headers_and_the_protocols_are_sent(opened):
    server, transport = await opened(
        replies(answer(PONG)),
        headers={"Authorization": Secret("Bearer own"), "accept": Secret("text/html"), "MCP-Session-Id": Secret("x")},
    )
    await transport.send(PING)
    names = [name.lower() for name, _ in server.heard[0].headers]
    assert sorted(names) == sorted(["host", "user-agent", "accept", "content-type", "content-length", "authorization"])
    assert server.heard[0].header("authorization") == "Bearer own"
    assert server.heard[0].header("accept") == "application/json, text/event-stream"


async def test_the_session_of_the_initialize_answer_goes_with_everything_after(opened):
    server, transport = await opened(
        replies(
            answer(WELCOME, headers="Mcp-Session-Id: abc-1\r\n"),
            answer(b"", status="202 Accepted", kind=None),
            answer(PONG, headers="Mcp-Session-Id: other\r\n"),
        )
    )
    await transport.send(INITIALIZE)
    await transport.send(Notification("notifications/initialized"), version="2025-11-25")
    await transport.send(PING, version="2025-11-25")
    await transport.close()
    assert [heard.header("mcp-session-id") for heard in server.heard] == [None, "abc-1", "abc-1", "abc-1"]
    assert [heard.header("mcp-protocol-version") for heard in server.heard] == [None] + ["2025-11-25"] * 3
    assert server.heard[3].method == "DELETE"


async def test_a_new_initialize_forgets_the_old_session(opened):
    welcome = answer(WELCOME, headers="Mcp-Session-Id: one\r\n")
    server, transport = await opened(
        replies(welcome, answer(b"gone", status="404 Not Found", kind="text/plain"), welcome)
    )
    await transport.send(INITIALIZE)
    with pytest.raises(HttpAnswer) as caught:
        await transport.send(PING)
    assert (caught.value.status, caught.value.message) == (404, None)
    await transport.send(INITIALIZE)
    assert server.heard[2].header("mcp-session-id") is None


async def test_a_session_id_that_no_header_can_carry_is_refused(opened):
    _, transport = await opened(replies(answer(WELCOME, headers="Mcp-Session-Id: a b\r\n")))
    with pytest.raises(TransportLost, match="session id"):
        await transport.send(INITIALIZE)


async def test_the_modern_era_repeats_method_and_name_and_has_no_session(opened):
    server, transport = await opened(
        replies(answer(WELCOME, headers="Mcp-Session-Id: abc\r\n"), answer(PONG), answer(PONG), answer(PONG))
    )
    await transport.send(INITIALIZE)
    call = Request(7, "tools/call", {"name": "grüße"})
    await transport.send(call, version="2026-07-28", modern=True, name="grüße")
    await transport.send(call, version="2026-07-28", modern=True, name="plain_name")
    await transport.send(Request(7, "tools/list"), version="2026-07-28", modern=True)
    _, odd, plain, unnamed = server.heard
    assert odd.header("mcp-method") == "tools/call"
    assert odd.header("mcp-name") == "=?base64?Z3LDvMOfZQ==?="
    assert plain.header("mcp-name") == "plain_name"
    assert unnamed.header("mcp-name") is None
    assert {heard.header("mcp-session-id") for heard in server.heard} == {None}
    assert {heard.header("mcp-protocol-version") for heard in server.heard[1:]} == {"2026-07-28"}


@given(st.text() | st.from_regex(r"=\?base64\?.*\?=", fullmatch=True))
def test_any_name_survives_the_header(name):
    text = header_text(name)
    assert text.isascii()
    assert text.isprintable()
    assert text == text.strip()
    assert decode_header_value(text) == name


async def test_an_answer_to_the_server_names_no_method(opened):
    server, transport = await opened(replies(answer(b"", status="202 Accepted", kind=None)))
    await transport.send(Response("s1", result={}), version="2026-07-28", modern=True)
    assert server.heard[0].header("mcp-method") is None
    assert json.loads(server.heard[0].body) == {"jsonrpc": "2.0", "id": "s1", "result": {}}


# --- what is taken


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
async def test_a_json_body_is_one_message(kind, opened, ear):
    _, transport = await opened(replies(answer(PONG, kind=kind)))
    await transport.send(PING)
    assert ear.messages == [Response(7, result={})]


@pytest.mark.parametrize("kind", ["text/event-stream", "Text/Event-Stream; charset=utf-8"])
async def test_a_stream_is_given_on_message_by_message(kind, opened, ear):
    _, transport = await opened(replies(stream(event(NOTE), b": comment\n\n", event(PONG, name="message"), kind=kind)))
    await transport.send(PING)
    assert ear.messages == [Notification("notifications/message", {"data": "x"}), Response(7, result={})]


async def test_a_stream_cut_anywhere_reads_the_same(opened, ear):
    text = '{"jsonrpc":"2.0","id":7,"result":{"text":"grün ✓ 🦊"}}'.encode()

    async def reply(heard, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in b"\xef\xbb\xbf: hello\r\n\r\nid: 1\r\ndata: " + text + b"\r\n\r\n":
            writer.write(b"1\r\n" + bytes([byte]) + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    server, transport = await opened(reply)
    await transport.send(PING)
    await transport.send(PING)
    assert ear.messages == [Response(7, result={"text": "grün ✓ 🦊"})] * 2
    assert server.connections == 1


async def test_what_comes_early_on_a_stream_is_given_early(opened, ear):
    more = asyncio.Event()

    async def reply(heard, writer):
        writer.write(stream(event(NOTE)))
        await more.wait()
        writer.write(event(PONG))
        writer.close()

    _, transport = await opened(reply)
    sending = asyncio.create_task(transport.send(PING))
    await ear.until(lambda ear: len(ear.messages) == 1)
    assert not sending.done()
    more.set()
    await sending
    assert len(ear.messages) == 2


@pytest.mark.parametrize("status", ["200 OK", "202 Accepted", "204 No Content"])
async def test_a_notification_is_accepted_without_a_body(status, opened, ear):
    _, transport = await opened(replies(answer(b"", status=status, kind=None)))
    await transport.send(Notification("notifications/initialized"))
    assert ear.messages == []


async def test_nothing_is_taken_from_the_body_that_answers_a_notification(opened, ear):
    _, transport = await opened(replies(answer(PONG)))
    await transport.send(Notification("notifications/initialized"))
    assert ear.messages == []


async def test_an_error_without_an_id_answers_the_request_of_its_exchange(opened, ear):
    error = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}'
    _, transport = await opened(replies(answer(error)))
    await transport.send(PING)
    assert ear.messages == [Response(7, error={"code": -32600, "message": "no"})]


ERROR = b'{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"message":"no","data":{"supported":[]}}}'


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "429 Slow", "500 Oops", "599 X"]
)
async def test_an_error_status_is_told_with_its_json_rpc_body(status, opened, ear):
    _, transport = await opened(replies(answer(ERROR, status=status)))
    with pytest.raises(HttpAnswer) as caught:
        await transport.send(PING)
    assert caught.value.status == int(status[:3])
    assert caught.value.message == Response(7, error={"code": -32022, "message": "no", "data": {"supported": []}})
    assert ear.messages == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>no</html>", "text/html"), (b"<html>no</html>", "application/json"), (ERROR, "text/plain"), (ERROR, None),
        (PONG, "application/json"), (b"", "application/json"), (b"[" + ERROR + b"]", "application/json"),
        (b'{"error":"invalid_token"}', "application/json"), (b"x" * 2_000_000, "application/json"),
    ],
)  # fmt: skip
async def test_an_error_status_without_a_json_rpc_error_is_told_without_one(body, kind, opened):
    _, transport = await opened(replies(answer(body, status="400 Bad Request", kind=kind)))
    with pytest.raises(HttpAnswer) as caught:
        await transport.send(PING)
    assert (caught.value.status, caught.value.message) == (400, None)


GARBAGE = {
    "html page": answer(b"<html>welcome to the hotel</html>", kind="text/html"),
    "html labelled as json": answer(b"<html></html>"),
    "html labelled as a stream": answer(b"<html></html>", kind="text/event-stream"),
    "no label": answer(PONG, kind=None),
    "empty label": answer(PONG, kind=""),
    "wrong label": answer(PONG, kind="text/plain"),
    "near label": answer(PONG, kind="application/jsonp"),
    "two labels": answer(PONG, kind="application/json, text/html"),
    "foreign charset": answer(PONG, kind="application/json; charset=utf-16"),
    "201": answer(PONG, status="201 Created"),
    "202 to a request": answer(b"", status="202 Accepted", kind=None),
    "206": answer(PONG, status="206 Partial Content"),
    "204": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "empty": answer(b""),
    "BOM": answer(b"\xef\xbb\xbf" + PONG),
    "utf-16": answer(PONG.decode().encode("utf-16")),
    "batch": answer(b"[" + PONG + b"]"),
    "empty batch": answer(b"[]"),
    "two documents": answer(PONG + PONG),
    "keys in the wrong case": answer(b'{"jsonrpc":"2.0","id":7,"Result":{}}'),
    "a key twice": answer(b'{"jsonrpc":"2.0","id":7,"result":{"a":1,"a":2}}'),
    "wrong version": answer(b'{"jsonrpc":"1.0","id":7,"result":{}}'),
    "another id": answer(b'{"jsonrpc":"2.0","id":8,"result":{}}'),
    "the id as text": answer(b'{"jsonrpc":"2.0","id":"7","result":{}}'),
    "no id": answer(b'{"jsonrpc":"2.0","id":null,"result":{}}'),
    "a request": answer(b'{"jsonrpc":"2.0","id":7,"method":"ping"}'),
    "deep": answer(b'{"jsonrpc":"2.0","id":7,"result":{"a":' + b"[" * 500 + b"]" * 500 + b"}}"),
    "short body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + PONG[:-1],
    "stream without an answer": stream(event(NOTE)),
    "stream of garbage": stream(event(b"{")),
    "stream with a batch": stream(event(b"[" + PONG + b"]")),
    "stream that answers another": stream(event(b'{"jsonrpc":"2.0","id":8,"result":{}}')),
    "stream with an unfinished event": stream(b"data: " + PONG + b"\n"),
    "stream with another event": stream(event(PONG, name="other")),
    "empty stream": stream(),
    "redirect": answer(b"", status="307 Temporary Redirect", headers="Location: https://evil.test/\r\n"),
    "not http": b"SSH-2.0-x\r\n",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("case", GARBAGE)
async def test_what_is_no_answer_is_told_as_lost_and_taken_by_nobody(case, opened, ear):
    server, transport = await opened(replies(GARBAGE[case]))
    async with asyncio.timeout(5):
        with pytest.raises(TransportLost) as caught:
            await transport.send(PING)
    assert caught.value.sent
    assert all(isinstance(each, Notification) for each in ear.messages)
    assert len(server.heard) == 1


@given(st.binary(max_size=200))
def test_any_bytes_make_a_media_type_or_none(label):
    assert media_type({"Content-Type": label.decode("latin-1")}) is not None


async def test_a_body_beyond_the_bound_is_not_read(opened):
    _, transport = await opened(
        replies(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n" + b"[" * 17 * 2**20
        )
    )
    with pytest.raises(TransportLost, match="exceeds"):
        await transport.send(PING)


async def test_an_event_beyond_the_bound_is_not_read(opened):
    async def reply(heard, writer):
        writer.write(stream(b"data: "))
        while True:
            writer.write(b"x" * 2**20)
            await writer.drain()

    server, transport = await opened(reply)
    with pytest.raises(TransportLost, match="longer than"):
        await transport.send(PING)
    async with asyncio.timeout(5):
        await server.hung_up.wait()


async def test_a_silent_server_is_given_up(opened, monkeypatch):
    monkeypatch.setattr("connectors.streamable_http.MARGIN", 0.0)
    _, transport = await opened(replies(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"), timeout=0.1)
    async with asyncio.timeout(5):
        with pytest.raises(TransportLost) as caught:
            await transport.send(PING)
    assert caught.value.sent


async def test_who_waits_for_the_answer_loses_patience_before_the_transport_does(opened):
    server, transport = await opened(replies(answer(PONG)[:-1]), timeout=0.01)
    sending = asyncio.create_task(transport.send(PING))
    await server.until(1)
    done, _ = await asyncio.wait([sending], timeout=0.1)
    assert not done
    sending.cancel()
    await asyncio.wait([sending])


async def test_a_server_that_is_not_there_was_sent_nothing(egress, ear):
    transport = StreamableHttp(http_spec("http://127.0.0.1:1/mcp"), egress)
    await transport.start(ear.receive, ear.lost)
    with pytest.raises(TransportLost) as caught:
        await transport.send(PING)
    assert not caught.value.sent


async def test_a_message_for_which_there_is_no_turn_is_told_as_busy(serve, ear):
    async def silent(heard, writer):
        pass

    server = await serve(silent)
    egress = Egress(tls=TLS, per_host=1)
    transport = StreamableHttp(http_spec(server.url + "/mcp", start_timeout=0.05), egress)
    first = asyncio.create_task(transport.send(PING))
    await server.until(1)
    with pytest.raises(TransportBusy) as caught:
        await transport.send(PING)
    assert not caught.value.sent
    await egress.close()
    with pytest.raises(TransportLost):
        await first


async def test_the_answer_to_a_question_gets_through_while_calls_that_wait_for_it_take_all_turns(serve, ear):
    async def reply(heard, writer):
        if b"result" in heard.body or b"cancelled" in heard.body:
            writer.write(answer(b"", status="202 Accepted", kind=None))

    server = await serve(reply)
    egress = Egress(tls=TLS, per_host=1)
    transport = StreamableHttp(http_spec(server.url + "/mcp", start_timeout=0.05), egress)
    first = asyncio.create_task(transport.send(PING))
    await server.until(1)
    await transport.send(Response("q", {"action": "decline"}))
    await transport.send(Notification("notifications/cancelled", {"requestId": 1}))
    assert len(server.heard) == 3
    await egress.close()
    with pytest.raises(TransportLost):
        await first


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read", "tasks/result"])
@pytest.mark.parametrize(("modern", "silent"), [(False, True), (True, False)])
async def test_only_a_legacy_server_may_be_silent_while_its_question_is_with_the_client(
    method, modern, silent, opened, monkeypatch
):
    monkeypatch.setattr("connectors.streamable_http.MARGIN", 0.0)

    async def silence(heard, writer):
        writer.write(stream(event(NOTE)))

    _, transport = await opened(silence, timeout=0.05)
    sending = asyncio.create_task(transport.send(Request(7, method), modern=modern))
    done, _ = await asyncio.wait([sending], timeout=0.3)
    assert (not done) is silent
    sending.cancel()
    await asyncio.wait([sending])


async def test_an_inner_address_that_is_not_listed_is_not_reached(serve, egress, ear):
    server = await serve(replies(answer(PONG)))
    transport = StreamableHttp(
        UpstreamSpec(id="x", transport="http", url=server.url.replace("http:", "https:")), egress
    )
    with pytest.raises(TransportLost, match="not public"):
        await transport.send(PING)
    assert server.connections == 0


def test_unreadable_exceptions_are_refused_with_their_place(egress):
    with pytest.raises(ValueError, match=r"upstream `x`: `private_hosts`: `10\.0\.0\.1/8`"):
        StreamableHttp(UpstreamSpec(id="x", transport="http", private_hosts=("10.0.0.1/8",)), egress)


async def test_cancelling_a_call_closes_its_stream(opened):
    async def reply(heard, writer):
        writer.write(stream(event(NOTE)))

    server, transport = await opened(reply)
    sending = asyncio.create_task(transport.send(PING, version="2026-07-28", modern=True))
    await server.until(1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    async with asyncio.timeout(5):
        await server.hung_up.wait()


@pytest.mark.parametrize("more", [event(b"{"), event(NOTE), event(b'{"jsonrpc":"2.0","id":8,"result":{}}'), b"data: x"])
async def test_what_comes_or_breaks_after_the_answer_does_not_matter(more, opened, ear):
    server, transport = await opened(replies(stream(event(PONG, id="1"), more)))
    async with asyncio.timeout(5):
        await transport.send(PING)
    assert [each for each in ear.messages if isinstance(each, Response)] == [Response(7, result={})]
    assert len(server.heard) == 1


async def test_a_stream_that_is_cut_says_why(opened):
    cut = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n: hi\n\r\n"
    _, transport = await opened(replies(cut))
    with pytest.raises(TransportLost, match="the connection was lost"):
        await transport.send(PING)


async def test_standing_streams_take_no_turn_of_a_call_and_may_be_silent_for_long(serve, ear, monkeypatch):
    monkeypatch.setattr("connectors.streamable_http.MARGIN", 0.0)

    async def reply(heard, writer):
        standing = heard.method == "GET" or b"subscriptions/listen" in heard.body
        writer.write(stream(event(NOTE)) if standing else answer(PONG))

    server = await serve(reply)
    egress = Egress(tls=TLS, per_host=1)
    transport = StreamableHttp(http_spec(server.url + "/mcp", timeout=0.1), egress)
    await transport.start(ear.receive, ear.lost)
    standing = [
        asyncio.create_task(transport.listen()),
        asyncio.create_task(transport.send(Request(9, "subscriptions/listen"), version="2026-07-28", modern=True)),
    ]
    await ear.until(lambda ear: len(ear.messages) == 2)
    await transport.send(PING)
    done, _ = await asyncio.wait(standing, timeout=0.2)
    assert not done
    assert len(server.heard) == 3
    for task in standing:
        task.cancel()
    await asyncio.wait(standing)
    await egress.close()
