"""The one way out, against raw servers: what it never does twice, streams, cancelling, closing."""

import asyncio
import traceback

import pytest

from connectors.addresses import PUBLIC_ONLY
from connectors.egress import Fault, Limits
from connectors.outgoing import destination
from tests.connectors.raw_http import LOCAL, ask, failure, plain, raw, until

# --- what it never does twice


async def test_connections_are_kept_and_used_again(serve, egress):
    server = await serve(plain())
    for _ in range(5):
        await ask(egress, server.url, method="POST", body=b"x")
    assert server.connections == 1


async def test_a_kept_connection_that_the_server_closed_is_not_used_again(serve, egress):
    server = await serve(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", close=True))
    for _ in range(3):
        assert await ask(egress, server.url, method="POST", body=b"x") == (200, b"ok")
        await until(lambda: not any(_alive(pool) for pool in egress._pools.values()))
    assert [heard.connection for heard in server.heard] == [1, 2, 3]


def _alive(pool) -> bool:
    return any(kept.is_connected() for kind in pool.connector._conns.values() for kept, _ in kind)


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
async def test_a_request_that_was_written_is_never_sent_again(method, serve, egress):
    """A kept connection closed after our bytes went out: the server may have acted on them."""

    async def reply(heard, writer):
        if len(server.heard) == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.close()

    server = await serve(reply)
    body = b"x" if method in {"POST", "PUT"} else None
    await ask(egress, server.url, method=method, body=body)
    error = await failure(egress, server.url, method=method, body=body)
    assert (error.kind, error.sent) == (Fault.LOST, True)
    assert [heard.connection for heard in server.heard] == [1, 1]


async def test_a_kept_connection_that_closes_before_a_byte_is_written_is_replaced(serve, egress):
    """The close arrives between taking the connection and writing: nothing was sent, so it is tried again."""
    server = await serve(plain())
    await ask(egress, server.url, method="POST", body=b"1")
    (pool,) = egress._pools.values()
    ((kept, _),) = next(iter(pool.connector._conns.values()))
    asking = asyncio.create_task(ask(egress, server.url, method="POST", body=b"2"))
    await until(lambda: not pool.connector._conns)  # the request has taken the kept connection
    kept.transport.close()
    assert await asking == (200, b"ok")
    assert [(heard.connection, heard.body) for heard in server.heard] == [(1, b"1"), (2, b"2")]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_a_server_says_unasked_answers_no_later_request(method, serve, egress):
    """Response smuggling: an extra answer that waits on a kept connection must reach nobody."""
    spoken = asyncio.Event()

    async def reply(heard, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue")
        if heard.connection == 1:
            await spoken.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse")

    server = await serve(reply)
    assert await ask(egress, server.url) == (200, b"true")
    (pool,) = egress._pools.values()
    ((kept, _),) = next(iter(pool.connector._conns.values()))
    spoken.set()
    await until(lambda: kept.should_close)
    body = b"x" if method == "POST" else None
    assert await ask(egress, server.url, method=method, body=body) == (200, b"true")
    assert [heard.connection for heard in server.heard] == [1, 2]


async def test_two_answers_at_once_spoil_the_connection(serve, egress):
    twice = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrueHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse"
    server = await serve(raw(twice))
    for _ in range(2):
        assert await ask(egress, server.url) == (200, b"true")
    assert [heard.connection for heard in server.heard] == [1, 2]


# --- streams, cancelling, closing


async def test_a_stream_is_given_on_as_it_comes(serve, egress):
    more = asyncio.Event()

    async def reply(heard, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        writer.write(b"first")
        await more.wait()
        writer.write(b"second")
        writer.close()

    server = await serve(reply)
    got = []
    async with asyncio.timeout(5), egress.request("GET", server.url, allow=LOCAL) as answer:
        async for chunk in answer.chunks():
            got.append(chunk)
            more.set()
    assert b"".join(got) == b"firstsecond"
    assert len(got) == 2


async def test_leaving_a_stream_closes_its_connection(serve, egress):
    async def reply(heard, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")

    server = await serve(reply)
    async with egress.request("GET", server.url, allow=LOCAL) as answer:
        assert answer.status == 200
    async with asyncio.timeout(5):
        await server.hung_up.wait()


async def test_cancelling_a_request_closes_its_connection(serve, egress):
    server = await serve(raw(b""))
    asking = asyncio.create_task(ask(egress, server.url, method="POST", body=b"x"))
    await server.until(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(5):
        await server.hung_up.wait()
    assert egress._turns[False]._lanes == {}


async def test_closing_fails_what_is_under_way_and_refuses_what_comes_after(serve, egress):
    server = await serve(raw(b""))
    asking = asyncio.create_task(failure(egress, server.url, method="POST", body=b"x"))
    await server.until(1)
    await egress.close()
    async with asyncio.timeout(5):
        error = await asking
    assert (error.kind, error.sent) == (Fault.LOST, True)
    assert (await failure(egress, server.url)).kind is Fault.CLOSED


async def test_no_error_text_shows_a_path_a_query_or_a_header(serve, egress):
    server = await serve(raw(b"nonsense", close=True))
    secret = "s3cret"
    urls = [f"{server.url}/{secret}?key={secret}", f"http://127.0.0.1:1/{secret}", f"https://u:{secret}@h.test/", secret,
            f"https://10.0.0.1/{secret}", f"https://127.1/{secret}"]  # fmt: skip
    for url in urls:
        for headers in ({"Authorization": secret}, {"X-Key": secret + "\r\n"}):
            error = await failure(egress, url, headers=headers)
            assert secret not in "".join(traceback.format_exception(error)) + repr(error)


def test_a_destination_keeps_path_and_query_and_loses_the_fragment():
    found = destination("https://Server.Test/a%2Fb/?q=%26&r=1+2#part", PUBLIC_ONLY)
    assert str(found.url) == "https://server.test/a%2Fb/?q=%26&r=1+2"
    assert found.where == "server.test:443"


async def test_a_request_that_was_heard_counts_as_sent_when_its_time_runs_out(serve, egress):
    async def silent(heard, writer):
        return

    server = await serve(silent)
    for method, body in (("POST", b"x"), ("GET", None)):
        error = await failure(egress, server.url, method=method, body=body, limits=Limits(total=0.3))
        assert (error.kind, error.sent) == (Fault.TIMEOUT, True)
    assert len(server.heard) == 2
