"""What the store keeps about people, keys, grants, policies and pins: frozen records, no behaviour.

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


class CaseCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How the policy's own tests ended when it came into force; ``covered`` of its ``rows`` were reached by one."""

    passed: int
    failed: int
    covered: int
    rows: int


class RightsChange(msgspec.Struct, frozen=True, kw_only=True):
    """How far rights changed when it came into force: how many were ``widened`` and ``narrowed``, of how many users."""

    widened: int
    narrowed: int
    users: int


class PolicyHead(msgspec.Struct, frozen=True, kw_only=True):
    """Which bundle decides: ``version`` counts the moves of the head from 1.

    ``commit`` is that of the folder it was read from (``-dirty`` behind it when the folder differed), ``signature``
    what an operator's key says of ``bundle``; ``tests`` and ``plan`` are ``None`` where nobody looked.
    """

    version: int
    bundle: str
    author: str
    at: int
    why: str = ""
    commit: str = ""
    tests: CaseCounts | None = None
    plan: RightsChange | None = None
    signature: str = ""


class ShadowHead(msgspec.Struct, frozen=True, kw_only=True):
    """Which bundle is asked beside the one that decides, without any effect (``""``: none); ``mark`` counts how often
    that was set.
    """

    mark: int = 0
    bundle: str = ""
    author: str = ""
    at: int = 0
    why: str = ""


class Approved(msgspec.Struct, frozen=True, array_like=True):
    """The definition of one tool that may be shown and called, by its digest; ``by`` whom, and when."""

    digest: str
    at: int
    by: str


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """Another definition that a server gave a tool last, and when that was first seen."""

    digest: str
    at: int


class Pins(msgspec.Struct, frozen=True, kw_only=True):
    """What is approved of one upstream (``id``), by the names of its tools, and what waits for approval.

    ``definitions`` holds the definitions of all these digests, packed.
    """

    id: str
    tools: dict[str, Approved] = {}
    waiting: dict[str, Waiting] = {}
    definitions: bytes = b""
    rev: int = 0
