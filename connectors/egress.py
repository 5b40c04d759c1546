"""The one way out: every outgoing HTTP byte of the product passes here.

Each request starts from empty headers, goes only to an address that was judged (``addresses``) and is
the very one connected to, follows no redirect, reads no proxy or netrc settings, keeps no cookie, and
is bounded in time, size and number. Nothing is sent twice: only a request of which no byte was written
is tried again. This file knows no MCP, no OAuth and no policy.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Final, Protocol

import aiohttp
from yarl import URL

from connectors.addresses import PUBLIC_ONLY, Exceptions
from connectors.egress_wire import (
    CountedRequest,
    PinnedResolver,
    Resolver,
    SystemResolver,
    fault_of,
    keepalive_socket,
    never_twice,
    too_large,
)
from connectors.outgoing import EgressError, Fault, checked_headers, destination
from connectors.turns import Turns

__all__ = ["Answer", "Egress", "EgressError", "Fault", "Limits", "Outward", "Resolver", "SystemResolver"]

KEPT_ALIVE: Final = 4.0
"""Seconds; below the 5 after which common servers hang up, so that it is we who close an idle connection."""

_STREAMED_ABOVE: Final = 2**20
_UNTOUCHED: Final = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})
_DECODED: Final = frozenset({"", "identity", "gzip", "deflate"})
_HEADER_LINE: Final = 8190
_HEADER_COUNT: Final = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one exchange: times in seconds (``None`` = unbounded), sizes in bytes after decompression.

    ``idle`` is the longest silence of the server; ``standing`` marks a stream that stays open for long,
    which is counted apart so that streams never keep calls waiting.
    """

    connect: float = 10.0
    idle: float | None = 60.0
    total: float | None = None
    max_bytes: int | None = 16 * 2**20
    standing: bool = False


STANDARD: Final = Limits()


class Answer:
    """What the server answered; its body is read once, as it comes."""

    __slots__ = ("_limit", "_response", "_where", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, where: str, limit: int | None) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response, self._where, self._limit = response, where, limit

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, decompressed, piece by piece. Raises ``EgressError``: too large, lost, timeout, garbled."""
        return _Chunks(self._response.content, self._where, self._limit)

    async def read(self, at_most: int | None = None) -> bytes:
        """The whole body, of at most so many bytes and never more than the limits allow. Raises as ``chunks`` does."""
        bounds = [bound for bound in (at_most, self._limit) if bound is not None]
        return b"".join(
            [chunk async for chunk in _Chunks(self._response.content, self._where, min(bounds, default=None))]
        )


class _Chunks:
    """Not a generator: one that is left half-way is closed some time later, and its connection with it."""

    __slots__ = ("_content", "_limit", "_read", "_where")

    def __init__(self, content: aiohttp.StreamReader, where: str, limit: int | None) -> None:
        self._content, self._where, self._limit = content, where, limit
        self._read = 0

    def __aiter__(self) -> "_Chunks":
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise fault_of(error, self._where, sent=True) from None
        if not chunk:
            raise StopAsyncIteration
        self._read += len(chunk)
        if self._limit is not None and self._read > self._limit:
            raise too_large(self._where, self._limit)
        return chunk


class Outward(Protocol):
    """Whatever requests are made by: the egress itself, or what puts a credential on them before."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limits: Limits = STANDARD,
        allow: Exceptions = PUBLIC_ONLY,
    ) -> AbstractAsyncContextManager[Answer]: ...


class Egress:
    """Opens connections outward and keeps them for a while; one for the process, closed with it.

    ``per_host`` and ``standing_per_host`` bound the exchanges and the standing streams at one time to
    one host and port. ``tls`` is shared by all connections and must verify.
    """

    def __init__(
        self,
        *,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        user_agent: str = "ostiary",
        per_host: int = 256,
        standing_per_host: int = 1024,
    ) -> None:
        self._resolver = resolver or SystemResolver()
        self._tls = tls or _trusting_the_system()
        if self._tls.verify_mode is not ssl.CERT_REQUIRED or not self._tls.check_hostname:
            raise ValueError("the TLS context does not verify servers")
        self._user_agent = user_agent
        self._turns = {False: Turns(per_host), True: Turns(standing_per_host)}
        self._pools: dict[Exceptions, aiohttp.ClientSession] = {}
        self._closed = False

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limits: Limits = STANDARD,
        allow: Exceptions = PUBLIC_ONLY,
    ) -> AsyncIterator[Answer]:
        """One exchange; leaving it ends the answer's stream.

        ``allow`` lists what may be reached although it is not public. Entering raises ``EgressError``, also
        when the server redirects; every other status is an answer.
        """
        to = destination(url, allow)
        asked = _Asked(method, to.url, checked_headers(headers or {}, to.where), body, limits)
        turns = self._turns[limits.standing]
        await turns.take(to.where, limits.connect)
        try:
            response = await self._send(asked, to.where, allow)
            try:
                yield _acceptable(response, to.where, limits.max_bytes)
            finally:
                response.release()  # a body that was not read to its end closes the connection
        finally:
            turns.give_back(to.where)

    async def close(self) -> None:
        """Close every connection; exchanges under way fail as lost."""
        self._closed = True
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    async def _send(self, asked: "_Asked", where: str, allow: Exceptions) -> aiohttp.ClientResponse:
        """The answer's head. A request of which nothing was written is tried once more, on another connection."""
        try:
            return await asked.send(self._pool(allow), where)
        except EgressError as error:
            if error.kind is not Fault.LOST or error.sent:
                raise
        return await asked.send(self._pool(allow), where)

    def _pool(self, allow: Exceptions) -> aiohttp.ClientSession:
        """Connections are shared only between requests with the same exceptions: a kept one was judged by them."""
        if self._closed:
            raise EgressError(Fault.CLOSED, "egress", "no request can be sent any more", sent=False)
        pool = self._pools.get(allow)
        if pool is None:
            pool = self._pools[allow] = self._open_pool(allow)
        return pool

    def _open_pool(self, allow: Exceptions) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls,
                resolver=PinnedResolver(self._resolver, allow),
                limit=0,  # `Turns` counts
                keepalive_timeout=KEPT_ALIVE,
                socket_factory=keepalive_socket,
            ),
            headers={"User-Agent": self._user_agent},
            skip_auto_headers=_UNTOUCHED,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            request_class=CountedRequest,
            middlewares=(never_twice,),
            max_line_size=_HEADER_LINE,
            max_field_size=_HEADER_LINE,
            max_headers=_HEADER_COUNT,
        )


@dataclass(frozen=True, slots=True, repr=False)
class _Asked:
    """One checked request; it prints nothing, for it may hold credentials."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None
    limits: Limits

    async def send(self, pool: aiohttp.ClientSession, where: str) -> aiohttp.ClientResponse:
        body, limits = self.body, self.limits
        try:
            return await pool.request(
                self.method,
                self.url,
                headers=self.headers,
                data=BytesIO(body) if body and len(body) > _STREAMED_ABOVE else body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=limits.total, connect=limits.connect, sock_connect=limits.connect, sock_read=limits.idle
                ),
            )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # arises before there is a connection; whatever goes wrong on one was named by `never_twice`
            raise fault_of(error, where, sent=False) from None


def _trusting_the_system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _acceptable(response: aiohttp.ClientResponse, where: str, limit: int | None) -> Answer:
    status = response.status
    if status < 200:
        raise EgressError(Fault.GARBLED, where, f"the server answered HTTP {status}, as nobody asked it to", sent=True)
    if 300 <= status < 400 and status != 304:
        target = _redirect_host(response.headers.get("Location", ""))
        raise EgressError(Fault.REDIRECT, where, f"the server redirects to `{target}`; set that address", sent=True)
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _DECODED:
        raise EgressError(Fault.GARBLED, where, "the answer is compressed in a way nobody asked for", sent=True)
    return Answer(response, where, limit)


def _redirect_host(location: str) -> str:
    try:
        return URL(location).raw_host or "itself"
    except ValueError:
        return "an unreadable place"
