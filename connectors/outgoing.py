"""What an outgoing request may look like, and how its failure is told.

Pure: the rules about URLs and headers that need no socket. Where a connection may go is judged with
``addresses``; sending is the business of ``egress``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from yarl import URL

from connectors.addresses import Exceptions, is_name, literal


class Fault(StrEnum):
    """What went wrong on the way out; closed, so that callers and metrics may tell by it."""

    BAD_REQUEST = "bad_request"
    REFUSED_ADDRESS = "refused_address"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    LOST = "lost"
    REDIRECT = "redirect"
    GARBLED = "garbled"
    BUSY = "busy"
    CLOSED = "closed"


class EgressError(Exception):
    """An exchange that failed. The text names host and port, never a path, a query, a header or a credential.

    ``sent`` tells whether the server may have read the request: only when it is false may a request
    that changes something be sent again.
    """

    def __init__(self, kind: Fault, where: str, sentence: str, *, sent: bool) -> None:
        super().__init__(f"{where}: {sentence}")
        self.kind = kind
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that may be asked, and its host and port for texts."""

    url: URL
    where: str


_NEVER: Final = re.compile(r"[\x00-\x20\x7f\\]")
"""What no URL holds unescaped, and what one reader drops where another reads a slash."""
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_CONNECTION_ONLY: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that speak about one connection or frame the message (RFC 9110 §7.6.1): ours to write, nobody else's."""


def destination(text: str, allow: Exceptions) -> Destination:
    """Where a request for ``text`` may go; names are judged when they are resolved.

    Raises ``EgressError``: not an absolute http(s) URL, credentials in it, an address that is not public,
    or plain http to a host that is not listed.
    """
    url = _absolute(text)
    return Destination(url, _judged(url.scheme, url.raw_host or "", url.port or 0, allow))


@lru_cache(maxsize=1024)  # of hosts, never of paths and queries, which may hold credentials
def _judged(scheme: str, host: str, port: int, allow: Exceptions) -> str:
    """Host and port as texts name them, once they are found acceptable."""
    where = _written(host, port)
    try:
        address = literal(host)
    except ValueError as error:
        raise EgressError(Fault.REFUSED_ADDRESS, where, str(error), sent=False) from None
    if address is None and not is_name(host):
        raise EgressError(Fault.BAD_REQUEST, where, "this is not a host name", sent=False)
    if address is not None and not allow.allows(address, host=host, port=port):
        raise EgressError(Fault.REFUSED_ADDRESS, where, "the address is not public; list it to allow it", sent=False)
    if scheme == "http" and not allow.lists(host, port):
        raise EgressError(Fault.BAD_REQUEST, where, "use https; plain http is for listed hosts only", sent=False)
    return where


def _absolute(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if _NEVER.search(text) or url.scheme not in ("http", "https") or not url.raw_host or not url.port:
        raise EgressError(Fault.BAD_REQUEST, "egress", "this is not an absolute http or https URL", sent=False)
    if url.raw_user is not None or url.raw_password is not None:
        raise EgressError(Fault.BAD_REQUEST, place(url), "a URL must not carry credentials", sent=False)
    return url.with_fragment(None)


def same_origin(base: str, reference: str) -> str:
    """``reference`` as seen from ``base``. Raises ``ValueError`` when it leaves the origin of ``base`` (RFC 6454)."""
    here = URL(base)
    there = here.join(URL(reference))
    if _NEVER.search(reference) or there.origin() != here.origin() or there.raw_user is not None:
        raise ValueError(f"this does not lie on {place(here)}")
    return str(there)


def place(url: URL) -> str:
    """Host and port, as error texts name them."""
    return _written(url.raw_host or "", url.port or 0)


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def checked_headers(headers: Mapping[str, str], where: str) -> dict[str, str]:
    """A copy of ``headers``. Raises ``EgressError`` for what could break the framing or belongs to the connection."""
    checked: dict[str, str] = {}
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise EgressError(Fault.BAD_REQUEST, where, f"header {name!a} is not plain ASCII text", sent=False)
        if name.lower() in _CONNECTION_ONLY:
            raise EgressError(Fault.BAD_REQUEST, where, f"header `{name}` is not for callers to set", sent=False)
        checked[name] = value
    return checked
