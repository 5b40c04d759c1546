"""MCP servers that users offer, and who may come in there: frozen records, no behaviour."""

from enum import StrEnum

import msgspec


class Mode(StrEnum):
    """What the tools of a server are: the eight meta tools, each permitted action, or those of one upstream under
    their own names.
    """

    CONNECTIVITY = "connectivity"
    DIRECT = "direct"
    UPSTREAM = "upstream"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token that proves ``server:ID``; ``id`` is its keyed hash, ``secret_id`` names the secret it was keyed with,
    ``prefix`` is so much of it as may be shown.
    """

    id: str
    secret_id: str
    prefix: str
    created_at: int
    expires_at: int | None = None


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs tokens of a server's end users, and how: with a key of ``jwks_url``, or with the secret that is
    ``sealed``. Whoever signs proves end users of this one server, and nobody else.
    """

    id: str
    issuer: str
    algorithm: str
    jwks_url: str = ""
    sealed: bytes = b""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Names that alone are let in (``allow``), or that are kept out."""

    allow: bool
    names: tuple[str, ...] = ()


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """Of one connector these actions, or all (``*``)."""

    connector: str
    actions: tuple[str, ...] = ("*",)


class Restrictions(msgspec.Struct, frozen=True, kw_only=True):
    """What of a server is left; ``None`` says nothing about it."""

    connectors: Listing | None = None
    actions: Listing | None = None
    users: Listing | None = None
    permissions: tuple[Permission, ...] | None = None


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """An MCP server that ``owner`` (a ``user:``) offers: a loan of what he may himself. ``id`` is its domain in the
    policy. ``upstream`` is the one of ``Mode.UPSTREAM``; ``redirects`` are where browsers may go back to; ``confirms``
    says that the backend of its owner confirms each connection of an end user. Responses are shaped where ``shaping``
    is set, and those of reads are remembered for ``cache_s`` seconds. ``by`` changed it last.
    """

    id: str
    owner: str
    name: str
    description: str = ""
    instructions: str = ""
    mode: Mode = Mode.CONNECTIVITY
    upstream: str = ""
    public: bool = False
    tokens: tuple[Token, ...] = ()
    signers: tuple[Signer, ...] = ()
    redirects: tuple[str, ...] = ()
    restrictions: Restrictions = Restrictions()
    shaping: bool = False
    cache_s: int = 0
    by: str = ""
    created_at: int = 0
    updated_at: int = 0
    rev: int = 0
