"""Tokens that let in on a server: how one is made, which is the newest, and how long former ones go on counting."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import structs

from connectors.base import Secret
from gateway.identity import KeyRing
from gateway.records import Token

DAY_MS: Final = 24 * 60 * 60 * 1000
PREFIX: Final = "mcp_token_"

_SHOWN: Final = len(PREFIX) + 2


def new_token(ring: KeyRing, now: int, days: int | None) -> tuple[Secret, Token]:
    """A token of 256 random bits that counts for so many ``days`` (``None``: until it is revoked), and what is kept of
    it. ``now`` is ms since the epoch.
    """
    text = PREFIX + secrets.token_urlsafe(32)
    kept = Token(
        id=ring.hash(text),
        secret_id=ring.current,
        prefix=text[:_SHOWN],
        created_at=now,
        expires_at=now + days * DAY_MS if days else None,
    )
    return Secret(text), kept


def newest(tokens: Sequence[Token]) -> Token | None:
    """The one that was made last."""
    return max(tokens, key=lambda each: each.created_at, default=None)


def graced(tokens: Iterable[Token], now: int, until: int) -> Iterator[Token]:
    """Those that still count at ``now``, until then (ms since the epoch) at the latest."""
    for each in tokens:
        ends = until if each.expires_at is None else min(until, each.expires_at)
        if ends > now:
            yield structs.replace(each, expires_at=ends)
