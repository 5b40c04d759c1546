"""Grants, and what the store keeps about policies: frozen records, no behaviour."""

import msgspec


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
