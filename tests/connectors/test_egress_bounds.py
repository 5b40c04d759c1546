"""The one way out, against raw servers: what it bounds, and how it tells what came back."""

import asyncio
import gzip
import zlib

import pytest

from connectors.egress import Egress, EgressError, Fault, Limits
from tests.connectors.raw_http import LOCAL, TLS, ask, failure, plain, raw


async def test_a_body_beyond_the_bound_is_cut_off_while_it_is_read(serve, egress):
    async def reply(heard, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()

    server = await serve(reply)
    error = await failure(egress, server.url, limits=Limits(max_bytes=100_000))
    assert error.kind is Fault.TOO_LARGE
    async with asyncio.timeout(5):
        await server.hung_up.wait()


async def test_a_body_exactly_at_the_bound_passes(serve, egress):
    server = await serve(plain(b"x" * 1000))
    assert await ask(egress, server.url, limits=Limits(max_bytes=1000)) == (200, b"x" * 1000)


async def test_a_compressed_body_is_bounded_by_what_it_unfolds_to(serve, egress):
    bomb = gzip.compress(bytes(50 * 2**20))
    server = await serve(plain(bomb, headers="Content-Encoding: gzip\r\n"))
    pieces = []

    async def unfold():
        async with egress.request("GET", server.url, allow=LOCAL, limits=Limits(max_bytes=2**20)) as answer:
            async for chunk in answer.chunks():
                pieces.append(len(chunk))

    with pytest.raises(EgressError) as caught:
        await unfold()
    assert caught.value.kind is Fault.TOO_LARGE
    assert 0 < sum(pieces) <= 2**20


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress)]
)
async def test_a_compressed_body_is_read_as_what_it_means(coding, pack, serve, egress):
    server = await serve(plain(pack(b"hello"), headers=f"Content-Encoding: {coding}\r\n"))
    assert await ask(egress, server.url) == (200, b"hello")


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "unheard-of"])
async def test_a_compression_nobody_asked_for_is_refused(coding, serve, egress):
    server = await serve(plain(b"x", headers=f"Content-Encoding: {coding}\r\n"))
    assert (await failure(egress, server.url)).kind is Fault.GARBLED


async def test_broken_compression_is_told_as_such(serve, egress):
    server = await serve(plain(b"not gzip at all", headers="Content-Encoding: gzip\r\n"))
    assert (await failure(egress, server.url)).kind is Fault.GARBLED


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 1_000 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 " + b"a" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_the_head_of_an_answer_is_bounded(answer, serve, egress):
    server = await serve(raw(answer))
    assert (await failure(egress, server.url)).kind is Fault.GARBLED


@pytest.mark.parametrize(
    "answer",
    [
        b"this is not http\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_garbage_is_an_error_and_never_a_hang(answer, serve, egress):
    server = await serve(raw(answer, close=True))
    async with asyncio.timeout(5):
        error = await failure(egress, server.url)
    assert error.kind in {Fault.GARBLED, Fault.LOST}


async def test_a_body_that_ends_early_is_lost(serve, egress):
    server = await serve(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", close=True))
    error = await failure(egress, server.url)
    assert (error.kind, error.sent) == (Fault.LOST, True)


async def test_a_silent_server_is_given_up_after_the_idle_time(serve, egress):
    server = await serve(raw(b""))
    error = await failure(egress, server.url, method="POST", body=b"x", limits=Limits(idle=0.05))
    assert (error.kind, error.sent) == (Fault.TIMEOUT, True)
    assert len(server.heard) == 1


async def test_a_body_that_stalls_is_given_up_after_the_idle_time(serve, egress):
    server = await serve(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
    error = await failure(egress, server.url, limits=Limits(idle=0.05))
    assert (error.kind, error.sent) == (Fault.TIMEOUT, True)


async def test_a_server_that_dribbles_is_given_up_after_the_total_time(serve, egress):
    async def reply(heard, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.01)

    server = await serve(reply)
    async with asyncio.timeout(5):
        error = await failure(egress, server.url, limits=Limits(idle=5, total=0.1))
    assert (error.kind, error.sent) == (Fault.TIMEOUT, True)


async def test_a_total_time_that_ends_before_the_head_may_have_been_sent(serve, egress):
    server = await serve(raw(b""))
    error = await failure(egress, server.url, limits=Limits(idle=5, total=0.1))
    assert (error.kind, error.sent) == (Fault.TIMEOUT, True)


@pytest.mark.parametrize("limits", [Limits(connect=0.05), Limits(total=0.05)])
async def test_a_resolver_that_hangs_is_given_up_and_nothing_was_sent(limits):
    class Never:
        async def resolve(self, host, port):
            await asyncio.Event().wait()

    out = Egress(resolver=Never(), tls=TLS)
    error = await failure(out, "https://slow.test/", limits=limits)
    await out.close()
    assert (error.kind, error.sent) == (Fault.TIMEOUT, False)


async def test_a_port_where_nobody_listens_is_told_as_such(serve, egress):
    error = await failure(egress, "http://127.0.0.1:1/", method="POST", body=b"x")
    assert (error.kind, error.sent) == (Fault.CONNECT, False)
    assert str(error) == "127.0.0.1:1: no connection: connection refused"


async def test_no_more_than_the_bound_are_under_way_to_one_host(serve):
    release = asyncio.Event()

    async def reply(heard, writer):
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server = await serve(reply)
    out = Egress(per_host=2, tls=TLS)
    first = [asyncio.create_task(ask(out, server.url)) for _ in range(2)]
    await server.until(2)
    error = await failure(out, server.url, limits=Limits(connect=0.05))
    assert (error.kind, error.sent) == (Fault.BUSY, False)
    third = asyncio.create_task(ask(out, server.url))
    standing = asyncio.create_task(ask(out, server.url, limits=Limits(standing=True)))
    assert (await server.until(3)).connection == 3  # the standing stream is counted apart
    release.set()
    assert {status for status, _ in await asyncio.gather(*first, third, standing)} == {200}
    assert len(server.heard) == 4
    assert out._turns[False]._lanes == out._turns[True]._lanes == {}
    await out.close()
