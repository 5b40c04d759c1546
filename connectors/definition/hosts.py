"""Which host a URL names, and whether it is one of those that may see a credential. Pure; nothing is resolved here."""

import re
from collections.abc import Iterable
from typing import Final

from yarl import URL

from connectors.addresses import is_name, literal

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_AUTHORITY: Final = re.compile(r"https?://([^/?#]*)")
_PORT: Final = re.compile(r":[0-9]{1,5}$")


def host_of(url: str) -> str:
    """What a URL, or the template of one, has for a host, in lower case, without brackets and port; ``""``: none."""
    found = _AUTHORITY.match(url)
    return "" if found is None else _PORT.sub("", found[1]).strip("[]").lower()


def covers(allowed: Iterable[str], host: str) -> bool:
    """Whether ``host`` is one of ``allowed``, or lies below one that begins with ``*.``."""
    return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in allowed)


def is_allowed(entry: str) -> bool:
    """Whether ``entry`` can stand among allowed hosts: a host, or ``*.`` before one of at least two labels."""
    name = entry.removeprefix("*.")
    try:
        address = literal(name)
    except ValueError:
        return False
    if entry != name:
        return address is None and is_name(name) and "." in name.strip(".")
    return address is not None or is_name(name)


def checked(url: str, allowed: Iterable[str]) -> str:
    """``url``, when it is an absolute one of http or https, without a user, and its host is among ``allowed``.

    Raises ``ValueError`` with a sentence that holds at most the host. Whether the address may be reached, and without
    TLS, is judged by the egress.
    """
    try:
        read = URL(url)
        host = (read.host or "").lower()
    except ValueError:
        raise ValueError("a URL was filled with what makes none of it") from None
    # another reader may find another host where there is a user, a control character or a backslash
    if re.search(r"[\x00-\x20\x7f\\]", url) or not host or host != host_of(url):
        raise ValueError("a URL was filled with what makes none of it")
    if not covers(allowed, host):
        raise ValueError(f"`{host}` is not among the allowed hosts")
    return url
