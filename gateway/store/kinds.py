"""The kinds of records and their text form: what both stores share and neither database sees through.

This file must not know any database. A record is kept as one JSON text: foreign keys (dots, ``$``)
never become names in a database, and a field added later needs no migration.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

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
from gateway.store.base import MAX_RECORD, Changes, NotFound, Unavailable

R = TypeVar(
    "R",
    User,
    ApiKey,
    Grant,
    Pins,
    Connected,
    CustomTool,
    CustomPrompt,
    Server,
    EndUser,
    Flow,
    SignIn,
    MailedCode,
    Registration,
    Tally,
    Worker,
    Checkpoint,
)
S = TypeVar("S", bound=msgspec.Struct)

_encoder = msgspec.json.Encoder()


class Text(Generic[S]):
    """One struct type as JSON text. ``UnicodeError`` (a ``ValueError``) for text that is not Unicode."""

    def __init__(self, type: type[S]) -> None:
        self._decoder = msgspec.json.Decoder(type)

    def encode(self, value: S) -> str:
        body = _encoder.encode(value)
        if len(body) > MAX_RECORD:
            raise ValueError(f"the record is {len(body)} bytes long: keep it below {MAX_RECORD}")
        return body.decode()

    def decode(self, body: str) -> S:
        """The value; ``Unavailable`` when the database holds something else than what was put there."""
        try:
            return self._decoder.decode(body)
        except msgspec.MsgspecError:
            raise Unavailable("the database holds a damaged record: restore it from a backup") from None


USERS, KEYS, GRANTS, PINS, CONNECTIONS = "users", "keys", "grants", "pins", "connections"
TOOLS, PROMPTS, SERVERS = "tools", "prompts", "servers"
END_USERS, TALLIES = "end_users", "tallies"
WORKERS, CHECKPOINTS = "workers", "checkpoints"
FLOWS, SIGN_INS, MAILED_CODES, REGISTRATIONS = "flows", "sign_ins", "mailed_codes", "registrations"
TEXTS: dict[str, Text[Any]] = {
    USERS: Text(User),
    KEYS: Text(ApiKey),
    GRANTS: Text(Grant),
    PINS: Text(Pins),
    CONNECTIONS: Text(Connected),
    TOOLS: Text(CustomTool),
    PROMPTS: Text(CustomPrompt),
    SERVERS: Text(Server),
    END_USERS: Text(EndUser),
    FLOWS: Text(Flow),
    SIGN_INS: Text(SignIn),
    MAILED_CODES: Text(MailedCode),
    REGISTRATIONS: Text(Registration),
    TALLIES: Text(Tally),
    WORKERS: Text(Worker),
    CHECKPOINTS: Text(Checkpoint),
}
FOLLOWED = (USERS, KEYS, GRANTS, PINS, CONNECTIONS, TOOLS, PROMPTS, SERVERS)
"""What every process holds in memory; the others are read when they are needed."""

HEAD = Text(PolicyHead)
SHADOW = Text(ShadowHead)
ENTRY = Text(AuditEntry)


def known(id: str) -> str:
    """The id; ``ValueError`` when it is empty or not Unicode."""
    if not id:
        raise ValueError("the id is empty: give the record an id")
    id.encode()
    return id


def at_least_one(limit: int) -> int:
    """The limit; ``ValueError`` below 1 (to databases, 0 or less means no limit at all)."""
    if limit < 1:
        raise ValueError(f"`limit` is {limit}: ask for 1 or more")
    return limit


def missing(kind: str, id: str) -> NotFound:
    return NotFound(f"{kind}: there is no `{id}`")


def following(head: PolicyHead, expected: int) -> PolicyHead:
    """The head; ``ValueError`` when its version is not the one after ``expected``."""
    if expected < 0 or head.version != expected + 1:
        raise ValueError(f"version {head.version} does not follow {expected}: number the head {expected + 1}")
    return head


def content_hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def changes(rows: Iterable[tuple[str, str, str | None]], *, seq: int, whole: bool) -> Changes:
    """The changes that rows of (kind, id, body or nothing for a removed record) tell of."""
    live: dict[str, list[Any]] = {kind: [] for kind in FOLLOWED}
    removed = []
    for kind, id, body in rows:
        if kind not in live:
            continue
        if body is None:
            removed.append((kind, id))
        else:
            live[kind].append(TEXTS[kind].decode(body))
    return Changes(
        seq=seq,
        users=tuple(live[USERS]),
        keys=tuple(live[KEYS]),
        grants=tuple(live[GRANTS]),
        pins=tuple(live[PINS]),
        connections=tuple(live[CONNECTIONS]),
        tools=tuple(live[TOOLS]),
        prompts=tuple(live[PROMPTS]),
        servers=tuple(live[SERVERS]),
        removed=() if whole else tuple(removed),
        whole=whole,
    )
