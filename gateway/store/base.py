"""The store as the product sees it: domain-shaped, no filter language, two implementations.

Promised: one record is changed atomically; what was acknowledged survives a crash; a record's
``rev`` is checked on every replacement. Not promised: anything across two records.
All calls raise ``Unavailable`` when the database cannot answer in time, and ``ValueError`` for what
no store can hold: an empty id, a ``limit`` below 1, text that is not Unicode, a record above ``MAX_RECORD``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.audit import AuditEntry
from gateway.records import (
    ApiKey,
    Checkpoint,
    Connected,
    CustomPrompt,
    CustomTool,
    EndUser,
    Flow,
    Grant,
    MailedCode,
    Pins,
    PolicyHead,
    Registration,
    Server,
    ShadowHead,
    SignIn,
    Tally,
    User,
    Worker,
)
from gateway.store.whole import Contents

T = TypeVar("T")

MAX_RECORD = 1_000_000  # bytes of one encoded record or audit entry
KEEP_REMOVED_MS = 7 * 24 * 3_600_000  # how long ``changes`` can name what was removed


class Conflict(Exception):
    """The record exists already, or has another ``rev`` than the one given."""


class NotFound(Exception):
    """There is no such record."""


class Unavailable(Exception):
    """The database did not answer, or not in time; nothing is known about the outcome."""


@dataclass(frozen=True, slots=True)
class Heads:
    """What a poll costs: the version of the policy head (0 = none), the last change ticket, and how often the
    shadow was set.
    """

    policy: int
    changes: int
    shadow: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """Every user, key, grant, connection, server, tool and prompt of a user, and upstream's pins changed after a
    ticket, and possibly some that did not.

    ``seq`` is safe to go on from: nothing up to it can appear later. It may lag behind
    ``Heads.changes`` for a while; the same records are then told again.
    A removed record is named in ``removed`` as (``users`` | ``keys`` | ``grants`` | ``pins`` | ``connections`` |
    ``tools`` | ``prompts`` | ``servers``, id).
    ``whole`` says that these are all the records there are: drop every other one. That is so for
    ``changes(0)``, after too long an absence for ``removed``, and when the database was put back to an
    earlier state (``seq`` is then below the ticket asked for).
    """

    seq: int
    users: tuple[User, ...] = ()
    keys: tuple[ApiKey, ...] = ()
    grants: tuple[Grant, ...] = ()
    pins: tuple[Pins, ...] = ()
    connections: tuple[Connected, ...] = ()
    tools: tuple[CustomTool, ...] = ()
    prompts: tuple[CustomPrompt, ...] = ()
    servers: tuple[Server, ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    whole: bool = False


class Records(Protocol[T]):
    """Records of one kind, by id."""

    async def get(self, id: str) -> T | None: ...

    async def add(self, record: T) -> T:
        """Store a new record and return it with its first ``rev``, which no earlier record of this id had;
        ``Conflict`` when the id exists.
        """

    async def replace(self, record: T) -> T:
        """Store over the record whose ``rev`` is the given one and return it with the next ``rev``;
        ``Conflict`` when it changed meanwhile, ``NotFound`` when it is gone.
        """

    async def remove(self, id: str) -> None:
        """Remove the record; ``NotFound`` when it is gone."""

    async def page(self, after: str = "", limit: int = 100) -> Sequence[T]:
        """Up to ``limit`` records with ids greater than ``after``, in order of id (by code point)."""


class Bundles(Protocol):
    """Policy bundles, immutable and addressed by the SHA-256 of their bytes, and the head."""

    async def head(self) -> PolicyHead | None: ...

    async def put(self, bundle: str, body: bytes) -> None:
        """Keep a bundle under its content hash (hex), ``ValueError`` when it is another's hash;
        putting it again changes nothing, but mends a damaged one.
        """

    async def get(self, bundle: str) -> bytes:
        """The bytes of a bundle, verified against its hash; ``NotFound`` when absent or damaged."""

    async def move_head(self, expected: int, head: PolicyHead) -> None:
        """Make ``head`` (whose version is ``expected + 1``, else ``ValueError``) current; ``Conflict`` when
        the current version is another than ``expected`` (0 = no head yet), ``NotFound`` when the bundle
        was not put before.
        """

    async def history(self, limit: int = 50) -> Sequence[PolicyHead]:
        """The latest heads, newest first."""

    async def shadow(self) -> ShadowHead | None:
        """What is asked beside the policy in force; ``None`` when that was never set."""

    async def set_shadow(self, shadow: ShadowHead) -> ShadowHead:
        """Keep it in place of the former one, whatever that was, and return it with its ``mark``;
        ``NotFound`` when its bundle was not put before.
        """


class AuditTrail(Protocol):
    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Keep entries; one that is there already (same id) is left as it is."""

    async def scan(
        self, after: str = "", limit: int = 100, *, subject: str = "", newest: bool = False
    ) -> Sequence[AuditEntry]:
        """Entries in order of id (which is the order of time), after an id; newest first when asked:
        ``after`` is then the id that the page before ended with, and older entries follow.
        """

    async def purge(self, before: int) -> int:
        """Remove entries older than a time (ms since the epoch); returns how many."""


class Store(Protocol):
    users: Records[User]
    keys: Records[ApiKey]
    grants: Records[Grant]
    pins: Records[Pins]
    connections: Records[Connected]
    tools: Records[CustomTool]
    prompts: Records[CustomPrompt]
    servers: Records[Server]
    end_users: Records[EndUser]
    flows: Records[Flow]
    sign_ins: Records[SignIn]
    mailed_codes: Records[MailedCode]
    registrations: Records[Registration]
    tallies: Records[Tally]
    workers: Records[Worker]
    checkpoints: Records[Checkpoint]
    bundles: Bundles
    audit: AuditTrail
    contents: Contents

    async def open(self) -> None:
        """Connect and bring the schema up to date; ``Unavailable``, or ``ValueError`` on a foreign or newer schema, and
        on a store into which a move was begun that did not end (unless it was made to be filled).
        """

    async def close(self) -> None:
        """End what runs and let go of the database; every later call is ``Unavailable``."""

    async def heads(self) -> Heads:
        """One cheap read that tells whether anything changed."""

    async def changes(self, after: int) -> Changes:
        """What changed after the ticket ``after`` (0 = everything)."""
