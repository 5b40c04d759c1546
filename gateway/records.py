"""What the store keeps about people, keys and grants: frozen records, no behaviour.

``rev`` is the number that compare-and-set checks (0 = never stored); ``at`` values and expiries
are milliseconds since the epoch. Nothing here holds a readable secret.
"""

import msgspec


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the gateway; ``id`` is the e-mail address, lower case and NFC."""

    id: str
    name: str = ""
    created_at: int = 0
    rev: int = 0


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that proves ``user``; ``id`` is the keyed hash, ``secret_id`` names the secret it was keyed with."""

    id: str
    secret_id: str
    user: str
    prefix: str
    name: str = ""
    created_at: int = 0
    expires_at: int | None = None
    rev: int = 0


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A row made at run time: ``row`` is a ``p`` row (7 fields) or a ``g`` row (3 fields), without its type."""

    id: str
    kind: str
    row: tuple[str, ...]
    made_by: str
    created_at: int = 0
    expires_at: int | None = None
    note: str = ""
    rev: int = 0


class PolicyHead(msgspec.Struct, frozen=True, kw_only=True):
    """Which bundle decides: ``version`` counts the moves of the head from 1."""

    version: int
    bundle: str
    author: str
    at: int
    why: str = ""
