"""What somebody says a server shall be: the words of the API, of a file for the command line, and of no record.

Only shapes and sizes stand here. What the words mean is read in ``reading.py`` and ``restrictions.py``.
"""

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from gateway.records import Mode

MOST_NAMES: Final = 1_000
"""Entries of one list."""
MOST_DAYS: Final = 365
DAYS: Final = 90
"""For how long a token counts unless something else is said."""
MOST_GRACE_S: Final = 7 * 24 * 60 * 60
LEAST_SECRET: Final = 32
"""Bytes of a secret that signs (RFC 7518 §3.2: as many as the hash has)."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]
User = Annotated[str, Meta(min_length=1, max_length=10_000)]
Names = Annotated[tuple[Name, ...], Meta(max_length=MOST_NAMES)]
Users = Annotated[tuple[User, ...], Meta(max_length=MOST_NAMES)]
Uri = Annotated[str, Meta(min_length=1, max_length=2_000)]


class ListMode(StrEnum):
    """Whether a list names what alone is let in, or what is kept out."""

    ALLOW = "allowlist"
    BLOCK = "blocklist"


class SigningAlgorithm(StrEnum):
    """RFC 7518 §3.1 and RFC 8037: what a signer can be fixed to."""

    HS256 = "HS256"
    RS256 = "RS256"
    PS256 = "PS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


class ServerConnectors(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Connectors by their ids."""

    mode: ListMode
    allowed_ids: Names | None = None
    blocked_ids: Names | None = None


class ServerActions(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """``NAME`` or ``CONNECTOR:NAME``, where one ``*`` may begin or end the name."""

    mode: ListMode
    allowed_actions: Names | None = None
    blocked_actions: Names | None = None


class ServerUsers(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """End users as the server knows them, and accounts by their e-mail addresses."""

    mode: ListMode
    allowed_ids: Users | None = None
    blocked_ids: Users | None = None


class ServerPermission(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Of one connector these actions, or all where none are named."""

    connector: Name
    actions: Names | None = None


class ServerRestrictions(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Everything that is said here has to let something through; what is left out says nothing."""

    connectors: ServerConnectors | None = None
    actions: ServerActions | None = None
    users: ServerUsers | None = None
    permissions: Annotated[tuple[ServerPermission, ...], Meta(max_length=MOST_NAMES)] | None = None


class ServerSigner(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Who signs tokens of the server's end users: with a key of ``jwksUrl``, or with ``secret``. ``id`` names one that
    is there and stays; its secret is never shown again.
    """

    issuer: Annotated[str, Meta(min_length=1, max_length=500)]
    algorithm: SigningAlgorithm
    jwks_url: Annotated[str, Meta(max_length=2_000)] = ""
    secret: Annotated[str, Meta(max_length=1_000)] = ""
    id: Annotated[str, Meta(max_length=100)] = ""

    def __repr__(self) -> str:
        return f"ServerSigner({self.issuer!r}, {self.algorithm.value!r}, ***)"


class ServerWanted(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """The whole of a server. ``mode`` ``upstream`` offers the tools of ``upstream`` under their own names."""

    name: Annotated[str, Meta(max_length=100)] = ""
    description: Annotated[str, Meta(max_length=2_000)] = ""
    instructions: Annotated[str, Meta(max_length=20_000)] = ""
    mode: Mode = Mode.CONNECTIVITY
    upstream: Annotated[str, Meta(max_length=200)] = ""
    is_public: bool = False
    restrictions: ServerRestrictions | None = None
    redirect_uris: Annotated[tuple[Uri, ...], Meta(max_length=20)] = ()
    jwt: Annotated[tuple[ServerSigner, ...], Meta(max_length=10)] = ()
    shaping: bool = False
    cache_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 0


class ServerWish(ServerWanted, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A server that is to be made. Its token counts for so many days; ``null`` or 0: until it is revoked."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    token_expires_in_days: Annotated[int, Meta(ge=0, le=MOST_DAYS)] | None = DAYS


class ServerRenewal(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """The former tokens go on counting for ``graceSeconds``. Without ``tokenExpiresInDays`` the new one counts for as
    many days as the former one did; ``null`` or 0: until it is revoked.
    """

    grace_seconds: Annotated[int, Meta(ge=0, le=MOST_GRACE_S)] = 0
    token_expires_in_days: Annotated[int, Meta(ge=0, le=MOST_DAYS)] | msgspec.UnsetType | None = msgspec.UNSET
