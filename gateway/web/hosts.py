"""Which Host and Origin may speak to us, and whose address a request has. Pure.

A page in a victim's browser can send requests to a server on his machine or network; the Host and
Origin headers give it away (DNS rebinding; MCP 2025-11-25, transports, security warning).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from gateway.errors import Refusal

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


class ForeignHost(Refusal):
    code, status, kind = -32600, 421, "foreign_host"


class ForeignOrigin(Refusal):
    code, status, kind = -32600, 403, "foreign_origin"


@dataclass(frozen=True, slots=True)
class Hosts:
    """``hosts`` are ``host`` or ``host:port`` in lower case; ``origins`` are ``scheme://host[:port]``."""

    hosts: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def of(cls, *, bind: str, public_url: str, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> "Hosts":
        """The names under which ``bind`` and ``public_url`` are reached, and those that the operator adds."""
        host, _, port = bind.rpartition(":")
        names = {f"{name}:{port}" for name in (*LOOPBACK_NAMES, host)} if _is_loopback(host) else {bind.lower()}
        public = urlsplit(public_url)
        if public.netloc:
            names.add(public.netloc.lower())
        names.update(each.lower() for each in hosts)
        pages = {f"http://{name}" for name in names if _is_loopback(name.rpartition(":")[0])}
        if public.netloc:
            pages.add(f"{public.scheme}://{public.netloc}".lower())
        pages.update(each.lower().rstrip("/") for each in origins)
        return cls(frozenset(names), frozenset(pages))

    def check(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Raises ``ForeignHost`` (421) or ``ForeignOrigin`` (403); exactly one Host is demanded."""
        found = [value.decode("latin-1").lower() for name, value in headers if name.lower() == b"host"]
        if len(found) != 1 or found[0] not in self.hosts:
            raise ForeignHost("this server does not answer to that Host header")
        for name, value in headers:
            if name.lower() == b"origin" and value.decode("latin-1").lower() not in self.origins:
                raise ForeignOrigin("that Origin may not use this server")


def _is_loopback(host: str) -> bool:
    if host.lower() in LOOPBACK_NAMES:
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def client_address(
    peer: str, headers: Sequence[tuple[bytes, bytes]], trusted: Sequence[IPv4Network | IPv6Network]
) -> str:
    """The nearest address that no trusted proxy vouches for; forwarded headers count from trusted proxies only."""
    if not trusted or not _trusted(peer, trusted):
        return peer
    chain = [
        hop.strip()
        for name, value in headers
        if name.lower() == b"x-forwarded-for"
        for hop in value.decode("latin-1").split(",")
    ]
    for hop in reversed(chain):
        if not _is_address(hop):
            return peer
        if not _trusted(hop, trusted):
            return hop
        peer = hop
    return peer


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _trusted(address: str, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in trusted)
