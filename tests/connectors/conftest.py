"""Servers on 127.0.0.1 and ports below 32768: small raw ones that do exactly what a test says, and a real one."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.egress import Egress
from connectors.streamable_http import StreamableHttp
from tests.connectors.raw_http import (
    TLS,
    Certificates,
    Ear,
    Names,
    RawServer,
    Reply,
    Serve,
    heard_from,
    http_spec,
    listening,
)
from tests.upstreams.starting import all_served


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """``await serve(reply, tls=context)``: a server that lets ``reply`` write the answer to each request."""
    servers: list[asyncio.Server] = []
    open_writers: set[asyncio.StreamWriter] = set()

    async def start(reply: Reply, *, tls: ssl.SSLContext | None = None) -> RawServer:
        raw = RawServer(0)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            raw.connections += 1
            number = raw.connections
            open_writers.add(writer)
            try:
                while not writer.is_closing():
                    heard = await heard_from(reader, number)
                    async with raw.changed:
                        raw.heard.append(heard)
                        raw.changed.notify_all()
                    await reply(heard, writer)
            except (OSError, EOFError):
                raw.hung_up.set()
            finally:
                open_writers.discard(writer)
                writer.close()

        server, raw.port = await listening(connected, tls)
        servers.append(server)
        return raw

    yield start
    for server in servers:
        server.close()
    for writer in list(open_writers):
        writer.transport.abort()
    for server in servers:
        await server.wait_closed()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(others, timeout=5) if others else None


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A server certificate for ``server.test`` and a client context that trusts it."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("server.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "server.pem", folder / "server.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, secret)
    return Certificates(server, ssl.create_default_context(cafile=str(pem)))


@pytest.fixture(scope="session")
def everything() -> Iterator[dict[str, int]]:
    """The port of each kind of server on the Python SDK, all in one process."""
    offers = {
        "http-both": ("http", "auto"),
        "http-legacy": ("http", "legacy"),
        "http-modern": ("http", "modern"),
        "http-json": ("http", "legacy", "json"),
        "http-both-json": ("http", "auto", "json"),
        "sse": ("sse", "auto"),
    }
    with all_served(offers) as ports:
        yield ports


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    """A way out for tests that do not judge names: every name leads to this machine."""

    out = Egress(resolver=Names(["127.0.0.1"]), tls=TLS)
    yield out
    await out.close()


@pytest.fixture
async def opened(serve, egress, ear):
    """``await opened(reply)``: a raw server and a started transport to it."""

    async def open_one(reply, **more):
        server = await serve(reply)
        transport = StreamableHttp(http_spec(server.url + "/mcp", **more), egress)
        await transport.start(ear.receive, ear.lost)
        return server, transport

    return open_one
