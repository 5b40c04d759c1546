"""What is handed out once and comes back once: the link, the state, the code; and the cookie of a browser.

Each reads ``FLOWID.SECRET``: the first part finds the record, the second is kept as a keyed hash alone. This file knows
no store.
"""

import hmac
import re
import secrets
from enum import StrEnum
from typing import Final

from gateway.identity import KeyRing

_SLIP: Final = re.compile(r"([0-9a-f]{24})\.[A-Za-z0-9_-]{43}")
_LONGEST: Final = 200


class Use(StrEnum):
    """What it is for: one that was handed out for one use is nothing for another."""

    LINK = "link"
    STATE = "state"
    CODE = "code"
    BROWSER = "browser"


class Slips:
    """Makes and knows them, under keys of ``ring`` that are made for this alone."""

    __slots__ = ("_keys",)

    def __init__(self, ring: KeyRing) -> None:
        self._keys = ring.keys("flow")

    def hash(self, use: Use, text: str) -> str:
        """What is kept instead of ``text``."""
        return _hash(self._keys[0], use, text)

    def fits(self, use: Use, text: str, kept: str) -> bool:
        """Whether ``kept`` was made of ``text``; never when there is nothing of either."""
        if not kept or not text or len(text) > _LONGEST:
            return False
        return any(hmac.compare_digest(_hash(key, use, text), kept) for key in self._keys)

    def __repr__(self) -> str:
        return "Slips(***)"


def new_id() -> str:
    """The id of a flow or a connection: 24 hexadecimal digits."""
    return secrets.token_hex(12)


def new_slip(flow_id: str) -> str:
    """A slip of 256 random bits for that flow."""
    return f"{flow_id}.{secrets.token_urlsafe(32)}"


def flow_of(slip: str) -> str:
    """The flow that a slip speaks of, ``""`` for what is none; proves nothing."""
    found = _SLIP.fullmatch(slip)
    return "" if found is None else found[1]


def _hash(key: bytes, use: Use, text: str) -> str:
    return hmac.digest(key, f"{use}\0{text}".encode("utf-8", "surrogatepass"), "sha256").hex()
