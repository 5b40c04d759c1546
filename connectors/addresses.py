"""Which addresses an outgoing connection may reach, and the exceptions that an operator lists.

Pure: values in, values out. This file knows no socket, no resolver and no clock. The rule is
positive: an address is public only inside the space given out for global unicast and outside every
special block of the IANA registries (RFC 6890, RFC 8190). ``ipaddress.is_global`` alone does not do:
Python 3.11 calls 192.0.0.192, 64:ff9b::a9fe:a9fe, 2002:7f00:1::, 224.0.0.1 and ff02::1 global.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


class Reach(StrEnum):
    """What kind of place an address is; only ``PUBLIC`` may be reached without an exception."""

    PUBLIC = "public"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    LINK_LOCAL = "link-local"
    SHARED = "carrier-grade NAT"
    MULTICAST = "multicast"
    UNSPECIFIED = "unspecified"
    DOCUMENTATION = "documentation"
    BENCHMARKING = "benchmarking"
    TRANSLATED = "IPv4 inside IPv6"
    RESERVED = "reserved"


INSIDE: Final = frozenset({Reach.LOOPBACK, Reach.PRIVATE, Reach.SHARED})
"""Where the name of a listed host may lead. Link-local (cloud metadata) and the rest must be listed as addresses."""

_V4: Final = tuple(
    (IPv4Network(block), reach)
    for block, reach in (
        ("0.0.0.0/32", Reach.UNSPECIFIED),
        ("0.0.0.0/8", Reach.RESERVED),
        ("10.0.0.0/8", Reach.PRIVATE),
        ("100.64.0.0/10", Reach.SHARED),
        ("127.0.0.0/8", Reach.LOOPBACK),
        ("169.254.0.0/16", Reach.LINK_LOCAL),
        ("172.16.0.0/12", Reach.PRIVATE),
        ("192.0.0.0/24", Reach.RESERVED),
        ("192.0.2.0/24", Reach.DOCUMENTATION),
        ("192.88.99.0/24", Reach.TRANSLATED),
        ("192.168.0.0/16", Reach.PRIVATE),
        ("198.18.0.0/15", Reach.BENCHMARKING),
        ("198.51.100.0/24", Reach.DOCUMENTATION),
        ("203.0.113.0/24", Reach.DOCUMENTATION),
        ("224.0.0.0/4", Reach.MULTICAST),
        ("240.0.0.0/4", Reach.RESERVED),
    )
)

_V6: Final = tuple(
    (IPv6Network(block), reach)
    for block, reach in (
        ("::/128", Reach.UNSPECIFIED),
        ("::1/128", Reach.LOOPBACK),
        ("::/96", Reach.TRANSLATED),  # IPv4-compatible, RFC 4291 §2.5.5.1
        ("::ffff:0:0/96", Reach.TRANSLATED),  # IPv4-mapped
        ("::ffff:0:0:0/96", Reach.TRANSLATED),  # IPv4-translated, RFC 2765
        ("64:ff9b::/96", Reach.TRANSLATED),  # NAT64, RFC 6052
        ("64:ff9b:1::/48", Reach.TRANSLATED),  # local NAT64, RFC 8215
        ("2001::/32", Reach.TRANSLATED),  # Teredo
        ("2001:2::/48", Reach.BENCHMARKING),
        ("2001::/23", Reach.RESERVED),  # IETF protocol assignments
        ("2001:db8::/32", Reach.DOCUMENTATION),
        ("2002::/16", Reach.TRANSLATED),  # 6to4
        ("3fff::/20", Reach.DOCUMENTATION),
        ("fc00::/7", Reach.PRIVATE),
        ("fe80::/10", Reach.LINK_LOCAL),
        ("fec0::/10", Reach.PRIVATE),  # site-local, RFC 3879
        ("ff00::/8", Reach.MULTICAST),
    )
)

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214 §6.1: the interface identifier before an IPv4 address


@lru_cache(maxsize=4096)
def reach(address: Address) -> Reach:
    """The kind of place that ``address`` is; for an IPv6 address that carries an IPv4 one, at best that one's."""
    if isinstance(address, IPv4Address):
        return next((kind for block, kind in _V4 if address in block), Reach.PUBLIC)
    special = next((kind for block, kind in _V6 if address in block), None)
    if special is not None:
        return special
    if address not in _GLOBAL_UNICAST or address.scope_id is not None:
        return Reach.RESERVED
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return reach(IPv4Address(int(address) & 0xFFFFFFFF))
    return Reach.PUBLIC


def literal(host: str) -> Address | None:
    """The address that ``host`` writes out, ``None`` for a name.

    Raises ``ValueError`` for a host that some resolver would read as an address although it is not a
    canonical one (``2130706433``, ``0x7f.1``, ``127.1``, ``0177.0.0.1``): as in the URL standard, whatever
    ends in a number is an address or nothing.
    """
    try:
        return ip_address(host)
    except ValueError:
        if ":" in host or _ends_in_a_number(host):
            raise ValueError(f"`{host}` is not a plain IP address") from None
        return None


def _ends_in_a_number(host: str) -> bool:
    last = host.rstrip(".").rpartition(".")[2].lower()
    return last.isdecimal() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:]))


@dataclass(frozen=True, slots=True)
class _HostException:
    host: str
    port: int | None


@dataclass(frozen=True, slots=True)
class _BlockException:
    block: Network
    port: int | None


@dataclass(frozen=True, slots=True)
class Exceptions:
    """What an operator lists as reachable although it is not public.

    A listed host name may lead to loopback, private and shared addresses only; everything else must
    be listed as an address or a block.
    """

    hosts: frozenset[_HostException] = frozenset()
    blocks: frozenset[_BlockException] = frozenset()

    def lists(self, host: str, port: int) -> bool:
        """Whether the host itself, as a URL writes it, is listed; then plain ``http`` is acceptable too."""
        address = literal(host)
        return self._names(host, port) if address is None else self._covers(address, port)

    def allows(self, address: Address, *, host: str, port: int) -> bool:
        """Whether a connection for ``host`` may go to ``address``."""
        kind = reach(address)
        if kind is Reach.PUBLIC or self._covers(address, port):
            return True
        return kind in INSIDE and self._names(host, port)

    def _names(self, host: str, port: int) -> bool:
        name = _plain(host)
        return _HostException(name, port) in self.hosts or _HostException(name, None) in self.hosts

    def _covers(self, address: Address, port: int) -> bool:
        return any(entry.port in (None, port) and address in entry.block for entry in self.blocks)


PUBLIC_ONLY: Final = Exceptions()


def parse(entries: Iterable[str]) -> Exceptions | list[str]:
    """The exceptions that ``entries`` list (``host``, ``host:port``, an address, ``address:port``,
    ``[v6]:port``, a block such as ``10.0.0.0/8``), or one sentence for each entry that is none.
    """
    parsed, problems = [], []
    for entry in entries:
        try:
            parsed.append(_entry(entry))
        except ValueError:
            problems.append(f"`{entry}` is not a host, `host:port`, an IP address or a block such as `10.0.0.0/8`")
    if problems:
        return problems
    return Exceptions(
        hosts=frozenset(entry for entry in parsed if isinstance(entry, _HostException)),
        blocks=frozenset(entry for entry in parsed if isinstance(entry, _BlockException)),
    )


def _entry(text: str) -> _HostException | _BlockException:
    if "/" in text:
        return _BlockException(ip_network(text), None)
    host, port = _split(text)
    address = literal(host)
    if address is not None:
        return _BlockException(ip_network(address), port)
    if not is_name(host):
        raise ValueError(text)
    return _HostException(_plain(host), port)


def _split(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or ":" not in host:
            raise ValueError(text)
        return host, _port(rest[1:]) if rest else None
    if text.count(":") != 1:  # a name, or an IPv6 address without a port
        return text, None
    host, _, port = text.partition(":")
    return host, _port(port)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise ValueError(text)
    return int(text)


def is_name(host: str) -> bool:
    """Whether ``host`` has the form of a host name (RFC 1123 §2.1; underscores, which exist, included)."""
    name = _plain(host)
    return len(name) <= 253 and all(_is_label(label) for label in name.split("."))


def _is_label(label: str) -> bool:
    letters = label.replace("-", "").replace("_", "")
    return 0 < len(label) < 64 and letters.isascii() and letters.isalnum()


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")
