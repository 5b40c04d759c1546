"""What single values of the settings may be: each function gives the value that a text means, or raises ``ValueError``
with a sentence for whoever wrote it.
"""

import ipaddress
import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

DEFAULT_BIND: Final = "127.0.0.1:4001"

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?")
_SECRET_ID: Final = re.compile(r"[a-z0-9-]{1,32}")
_DATABASE: Final = re.compile(r"[a-z0-9_]{1,60}")
_HOST: Final = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def bind(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if bare != "localhost":
        try:
            ipaddress.ip_address(bare)
        except ValueError:
            raise ValueError(f"`{text}` is not an IP address and a port such as `{DEFAULT_BIND}`") from None
        if (":" in bare) != (bare != host):
            raise ValueError(f"`{text}`: an IPv6 address, and only that, stands in brackets: `[::1]:4001`")
    return bare, port_of(port)


def internal(text: str) -> str:
    bind(text)
    return text


def reached(text: str) -> str:
    host, _, port = text.rpartition(":")
    if _HOST.fullmatch(host) is None or ":" in host.partition("]")[2]:
        raise ValueError(f"`{text}` is not a host and a port such as `10.0.0.5:4101`")
    port_of(port)
    return text


def port_of(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65_536):
        raise ValueError(f"`{text}` is not a port between 1 and 65535")
    return int(text)


def origin(text: str) -> str:
    """``scheme://host[:port]`` in lower case, without a slash at the end."""
    plain = text.lower().removesuffix("/")
    scheme, _, rest = plain.partition("://")
    if scheme not in ("http", "https") or _HOST.fullmatch(rest) is None or not urlsplit(plain).hostname:
        raise ValueError(f"`{text}` is not an address such as `https://mcp.example.com` (no path, no user name)")
    return plain


def host(text: str) -> str:
    if _HOST.fullmatch(text.lower()) is None:
        raise ValueError(f"`{text}` is not a `host` or `host:port`")
    return text.lower()


def network(text: str) -> IPv4Network | IPv6Network:
    network = ipaddress.ip_network(text)
    if network.prefixlen == 0:
        raise ValueError(f"`{text}` trusts everybody; name the addresses of your proxies")
    return network


def name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not a name of up to 64 letters, digits, spaces and `._-`")
    return text


def on_failure(text: str) -> str:
    if text not in ("refuse", "continue"):
        raise ValueError(f"`{text}` is not one of `refuse`, `continue`")
    return text


def path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("is not a path")
    return text


def database_file(text: str) -> str:
    if "://" in text:
        raise ValueError("is a file; for MongoDB set MONGODB_URI")
    if Path(text).name in ("", "..") or Path(text).suffix == ".secret":
        raise ValueError(f"`{text}` is not the path of a database file, such as `var/ostiary.db`")
    return path(text)


def secret_id(text: str) -> str:
    if _SECRET_ID.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not an id of a to z, 0 to 9 and hyphens")
    return text


def database(text: str) -> str:
    if _DATABASE.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not a database name of a to z, 0 to 9 and `_`")
    return text
