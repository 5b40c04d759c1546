"""What stands between a form and whoever would send it in another's name, and where a page may lead next. Pure.

Host and Origin are checked before (``gateway/web/hosts.py``). This file knows no page and no cookie by name.
"""

import hmac
import re
from collections.abc import Sequence
from typing import Final

HOME: Final = "/connections"

_NEXT: Final = re.compile(r"/connect/[0-9a-f]{24}\.[A-Za-z0-9_-]{16,100}")


class Forms:
    """``keys`` are of 32 bytes each: the first makes tokens, all are accepted."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def token(self, seed: str) -> str:
        """What a form has to bring back that is shown to the browser whose cookie has the value ``seed``."""
        return _token(self._keys[0], seed)

    def accepts(self, seed: str, brought: str) -> bool:
        """Whether a form that brought that back was shown to this browser; never without a ``seed``."""
        told = brought.encode("utf-8", "replace")
        return bool(seed) and any(hmac.compare_digest(_token(key, seed).encode(), told) for key in self._keys)


def place(wanted: str) -> str:
    """``wanted`` where it is one of our own pages that a sign-in may lead to, else the list of connections: nobody is
    sent anywhere else, however it is written.
    """
    return wanted if _NEXT.fullmatch(wanted) else HOME


def _token(key: bytes, seed: str) -> str:
    return hmac.digest(key, seed.encode("utf-8", "replace"), "sha256").hex()
