"""What the egress asks of aiohttp: pinned addresses, no second sending, failures in our own words.

It belongs to ``egress`` alone. It knows one connection and one request; which requests may go out, and
how many, it does not know.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter, ResolveResult
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.connector import AddrInfoType, Connection
from aiohttp.http_exceptions import ContentEncodingError

from connectors.addresses import Exceptions
from connectors.outgoing import EgressError, Fault, place

_PROBES: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 3}


class Resolver(Protocol):
    """Turns a host name into addresses, written out."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Raises ``OSError`` when there are none."""


class SystemResolver:
    """The resolver of the operating system."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [str(entry[4][0]) for entry in found]


def too_large(where: str, limit: int) -> EgressError:
    return EgressError(Fault.TOO_LARGE, where, f"the answer exceeds {limit} bytes", sent=True)


def keepalive_socket(address: AddrInfoType) -> socket.socket:
    """A socket that notices, within minutes, when the other side of a silent stream is gone."""
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in _PROBES.items():
        if option := getattr(socket, name, None):  # named otherwise, or missing, outside Linux
            made.setsockopt(socket.IPPROTO_TCP, option, seconds)
    return made


class PinnedResolver(AbstractResolver):
    """Resolves, judges every address, and hands over the judged addresses themselves: what was judged is
    what is connected to. One address that is refused spoils the whole answer.
    """

    def __init__(self, resolver: Resolver, allow: Exceptions) -> None:
        self._resolver, self._allow = resolver, allow

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002  aiohttp's signature
    ) -> list[ResolveResult]:
        where = f"{host}:{port}"
        try:
            written = await self._resolver.resolve(host, port)
        except (OSError, UnicodeError):
            raise EgressError(Fault.DNS, where, "the host name does not resolve", sent=False) from None
        if not written:
            raise EgressError(Fault.DNS, where, "the host name has no address", sent=False)
        return [self._judged(address, host, port, where) for address in dict.fromkeys(written)]

    def _judged(self, written: str, host: str, port: int, where: str) -> ResolveResult:
        refused = EgressError(Fault.REFUSED_ADDRESS, where, f"the name leads to `{written}`", sent=False)
        try:
            address = ip_address(written)
        except ValueError:
            raise refused from None
        if not self._allow.allows(address, host=host, port=port):
            raise refused
        return ResolveResult(
            hostname=host,
            host=str(address),
            port=port,
            family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
            proto=socket.IPPROTO_TCP,
            flags=socket.AI_NUMERICHOST,
        )

    async def close(self) -> None:
        """Nothing to close: the resolver belongs to whoever passed it in."""


class CountedRequest(aiohttp.ClientRequest):
    """A request that knows whether a byte of it was written."""

    sent = False

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if conn.protocol is None or conn.protocol.should_close:
            # a kept connection on which the server spoke unasked: what it said must not answer this request
            raise aiohttp.ClientConnectionResetError("the kept connection is no longer usable")
        self.sent = not self.body  # without a body the head is written at once, with one by `write_bytes`
        return await super().send(conn)

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        self.sent = writer.transport is not None and not writer.transport.is_closing()
        await super().write_bytes(writer, conn, content_length)


async def never_twice(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """Name the failure before aiohttp sees it, which would send idempotent requests a second time."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise fault_of(error, place(request.url), sent=isinstance(request, CountedRequest) and request.sent) from None


def fault_of(error: Exception, where: str, *, sent: bool) -> EgressError:
    """What went wrong, in words that hold nothing of the request. To be raised ``from None``: the texts of
    aiohttp quote whole URLs.
    """
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as why):
            fault, sentence = Fault.TLS, f"the server's certificate is not valid: {why.verify_message}"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            fault, sentence = Fault.TLS, "no secure connection could be agreed on"
        case aiohttp.ClientConnectorError():
            fault, sentence = Fault.CONNECT, f"no connection: {os.strerror(error.errno or errno.ECONNREFUSED).lower()}"
        case TimeoutError():
            fault, sentence = Fault.TIMEOUT, "the server took too long"
        case aiohttp.ClientResponseError():
            fault, sentence = Fault.GARBLED, "the answer is not HTTP as agreed"
        case aiohttp.ClientPayloadError() if isinstance(error.__cause__, ContentEncodingError):
            fault, sentence = Fault.GARBLED, "the answer's compression is broken"
        case aiohttp.InvalidURL() | ValueError():
            fault, sentence = Fault.BAD_REQUEST, "the request cannot be written as HTTP"
        case _:
            fault, sentence = Fault.LOST, "the connection was lost"
    return EgressError(fault, where, sentence, sent=sent)
