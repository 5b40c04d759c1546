"""The embedded store: one private file, crash-safe, for the processes of one host (never on a network share).

What belongs here is the meaning of each method in SQL. A change takes its ticket in its own
transaction, so tickets have no gaps and appear in order.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Generic

from msgspec import structs

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
from gateway.store import whole
from gateway.store.base import (
    KEEP_REMOVED_MS,
    AuditTrail,
    Bundles,
    Changes,
    Conflict,
    Heads,
    NotFound,
    Records,
    Unavailable,
)
from gateway.store.kinds import (
    CHECKPOINTS,
    CONNECTIONS,
    END_USERS,
    ENTRY,
    FLOWS,
    GRANTS,
    HEAD,
    KEYS,
    MAILED_CODES,
    PINS,
    PROMPTS,
    REGISTRATIONS,
    SERVERS,
    SHADOW,
    SIGN_INS,
    TALLIES,
    TEXTS,
    TOOLS,
    USERS,
    WORKERS,
    R,
    at_least_one,
    changes,
    content_hash,
    following,
    known,
    missing,
)
from gateway.store.sqlite_file import prepare
from gateway.store.sqlite_threads import T, Threads, Work
from gateway.store.sqlite_whole import Contents, unfinished

PURGE_AT_ONCE = 500  # entries, so that a large purge lets other writes in between

_AUDIT_ROWS = "INSERT OR IGNORE INTO audit (id, at, subject, body) VALUES (?, ?, ?, ?)"
_PURGE = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? ORDER BY at LIMIT ?)"
_SCANS = {  # (of one subject, newest first)
    (False, False): "SELECT body FROM audit WHERE id > :after ORDER BY id LIMIT :limit",
    (True, False): "SELECT body FROM audit WHERE subject = :subject AND id > :after ORDER BY id LIMIT :limit",
    (False, True): "SELECT body FROM audit WHERE id < :after ORDER BY id DESC LIMIT :limit",
    (True, True): "SELECT body FROM audit WHERE subject = :subject AND id < :after ORDER BY id DESC LIMIT :limit",
}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def _numbers_within_64_bits() -> Iterator[None]:
    try:
        yield
    except OverflowError:
        raise ValueError("a number is too large: keep it within 64 bits") from None


class SqliteStore:
    """A ``Store`` in one file, ``filling`` when it is to be opened although a move into it did not end."""

    def __init__(self, path: Path, *, filling: bool = False, now_ms: Callable[[], int] = _now_ms) -> None:
        self._path = path
        self._filling = filling
        self.now_ms = now_ms
        self._threads: Threads | None = None
        self.users: Records[User] = _Records(self, USERS)
        self.keys: Records[ApiKey] = _Records(self, KEYS)
        self.grants: Records[Grant] = _Records(self, GRANTS)
        self.pins: Records[Pins] = _Records(self, PINS)
        self.connections: Records[Connected] = _Records(self, CONNECTIONS)
        self.tools: Records[CustomTool] = _Records(self, TOOLS)
        self.prompts: Records[CustomPrompt] = _Records(self, PROMPTS)
        self.servers: Records[Server] = _Records(self, SERVERS)
        self.end_users: Records[EndUser] = _Records(self, END_USERS)
        self.flows: Records[Flow] = _Records(self, FLOWS)
        self.sign_ins: Records[SignIn] = _Records(self, SIGN_INS)
        self.mailed_codes: Records[MailedCode] = _Records(self, MAILED_CODES)
        self.registrations: Records[Registration] = _Records(self, REGISTRATIONS)
        self.tallies: Records[Tally] = _Records(self, TALLIES)
        self.workers: Records[Worker] = _Records(self, WORKERS)
        self.checkpoints: Records[Checkpoint] = _Records(self, CHECKPOINTS)
        self.bundles: Bundles = _Bundles(self)
        self.audit: AuditTrail = _AuditTrail(self)
        self.contents: whole.Contents = Contents(self.read, self.write)

    def __repr__(self) -> str:
        return f"SqliteStore({str(self._path)!r})"

    async def open(self) -> None:
        if self._threads is None:
            async with AsyncExitStack() as undo:
                self._threads = await asyncio.to_thread(lambda: Threads(prepare(self._path)))
                undo.push_async_callback(self.close)
                if not self._filling:  # what is being moved stays as it is
                    await self._bring_up()
                undo.pop_all()

    async def _bring_up(self) -> None:
        if await self.read(unfinished):
            raise ValueError(f"{self._path}: {whole.UNFINISHED}")
        forget_before = self.now_ms() - KEEP_REMOVED_MS
        await self.write(lambda connection: _forget_removed(connection, forget_before))

    async def close(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.close)

    async def heads(self) -> Heads:
        return await self.read(_heads)

    async def changes(self, after: int) -> Changes:
        return await self.read(lambda connection: _changes(connection, after))

    async def read(self, work: Work[T]) -> T:
        with _numbers_within_64_bits():
            return await self._running().read(work)

    async def write(self, work: Work[T]) -> T:
        with _numbers_within_64_bits():
            return await self._running().write(work)

    def _running(self) -> Threads:
        if self._threads is None:
            raise Unavailable("the store is not open")
        return self._threads


class _Records(Generic[R]):
    """Records of one kind."""

    def __init__(self, store: SqliteStore, kind: str) -> None:
        self._store = store
        self._kind = kind
        self._text = TEXTS[kind]

    async def get(self, id: str) -> R | None:
        key = (self._kind, known(id))
        row = await self._store.read(lambda connection: _live(connection, key))
        return None if row is None else self._text.decode(row[1])

    async def add(self, record: R) -> R:
        key = (self._kind, known(record.id))

        def work(connection: sqlite3.Connection) -> R:
            if _live(connection, key):
                raise Conflict(f"{self._kind}: `{record.id}` exists already")
            (last,) = connection.execute("SELECT last FROM tickets").fetchone()
            stored = structs.replace(record, rev=last + 1)  # tickets rise faster than any ``rev``
            _keep(connection, key, rev=stored.rev, body=self._text.encode(stored))
            return stored

        return await self._store.write(work)

    async def replace(self, record: R) -> R:
        stored = structs.replace(record, rev=record.rev + 1)
        key, body = (self._kind, known(record.id)), self._text.encode(stored)

        def work(connection: sqlite3.Connection) -> None:
            row = _live(connection, key)
            if row is None:
                raise missing(*key)
            if row[0] != record.rev:
                raise Conflict(f"{self._kind}: `{record.id}` was changed meanwhile: read it again")
            _keep(connection, key, rev=stored.rev, body=body)

        await self._store.write(work)
        return stored

    async def remove(self, id: str) -> None:
        key, now = (self._kind, known(id)), self._store.now_ms()

        def work(connection: sqlite3.Connection) -> None:
            if _live(connection, key) is None:
                raise missing(*key)
            _keep(connection, key, rev=0, body=None, removed_at=now)

        await self._store.write(work)

    async def page(self, after: str = "", limit: int = 100) -> Sequence[R]:
        bounds = (self._kind, after, at_least_one(limit))
        sql = "SELECT body FROM records WHERE kind = ? AND id > ? AND body IS NOT NULL ORDER BY id LIMIT ?"
        rows = await self._store.read(lambda connection: connection.execute(sql, bounds).fetchall())
        return [self._text.decode(body) for (body,) in rows]


class _Bundles:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def head(self) -> PolicyHead | None:
        latest = await self.history(1)
        return latest[0] if latest else None

    async def put(self, bundle: str, body: bytes) -> None:
        if await asyncio.to_thread(content_hash, body) != bundle:
            raise ValueError(f"`{bundle}` is not the hash of this bundle")

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO bundles (id, body) VALUES (?, ?)", (bundle, body))

        await self._store.write(work)

    async def get(self, bundle: str) -> bytes:
        def work(connection: sqlite3.Connection) -> bytes:
            row = connection.execute("SELECT body FROM bundles WHERE id = ?", (bundle,)).fetchone()
            if row is None or content_hash(row[0]) != bundle:
                raise NotFound(f"bundle `{bundle}` is absent or damaged: apply the policy again")
            return bytes(row[0])

        return await self._store.read(work)

    async def move_head(self, expected: int, head: PolicyHead) -> None:
        row = (following(head, expected).version, HEAD.encode(head))

        def work(connection: sqlite3.Connection) -> None:
            current = _heads(connection).policy
            if current != expected:
                raise Conflict(f"the policy is at version {current}, not at {expected}: plan again")
            _refuse_unknown(connection, head.bundle)
            connection.execute("INSERT INTO heads (version, body) VALUES (?, ?)", row)

        await self._store.write(work)

    async def history(self, limit: int = 50) -> Sequence[PolicyHead]:
        bounds = (at_least_one(limit),)
        sql = "SELECT body FROM heads ORDER BY version DESC LIMIT ?"
        rows = await self._store.read(lambda connection: connection.execute(sql, bounds).fetchall())
        return [HEAD.decode(body) for (body,) in rows]

    async def shadow(self) -> ShadowHead | None:
        row = await self._store.read(lambda c: c.execute("SELECT mark, body FROM shadow").fetchone())
        return None if row is None else structs.replace(SHADOW.decode(row[1]), mark=row[0])

    async def set_shadow(self, shadow: ShadowHead) -> ShadowHead:
        body = SHADOW.encode(shadow)

        def work(connection: sqlite3.Connection) -> int:
            _refuse_unknown(connection, shadow.bundle)
            mark = _heads(connection).shadow + 1
            connection.execute("DELETE FROM shadow")
            connection.execute("INSERT INTO shadow (mark, body) VALUES (?, ?)", (mark, body))
            return mark

        return structs.replace(shadow, mark=await self._store.write(work))


class _AuditTrail:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        rows = [(known(entry.id), entry.at, entry.subject, ENTRY.encode(entry)) for entry in entries]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(_AUDIT_ROWS, rows)

        if rows:
            await self._store.write(work)

    async def scan(
        self, after: str = "", limit: int = 100, *, subject: str = "", newest: bool = False
    ) -> Sequence[AuditEntry]:
        start = after or b"" if newest else after  # SQLite sorts every text before every blob
        bounds = {"after": start, "limit": at_least_one(limit), "subject": subject}
        sql = _SCANS[bool(subject), newest]
        rows = await self._store.read(lambda connection: connection.execute(sql, bounds).fetchall())
        return [ENTRY.decode(body) for (body,) in rows]

    async def purge(self, before: int) -> int:
        purged = 0
        while True:
            done = await self._store.write(lambda c: c.execute(_PURGE, (before, PURGE_AT_ONCE)).rowcount)
            purged += done
            if done < PURGE_AT_ONCE:
                return purged


def _live(connection: sqlite3.Connection, key: tuple[str, str]) -> tuple[int, str] | None:
    """``rev`` and body of a record that was not removed."""
    sql = "SELECT rev, body FROM records WHERE kind = ? AND id = ? AND body IS NOT NULL"
    row: tuple[int, str] | None = connection.execute(sql, key).fetchone()
    return row


def _keep(
    connection: sqlite3.Connection, key: tuple[str, str], *, rev: int, body: str | None, removed_at: int = 0
) -> None:
    """Write the record, or what is left of a removed one, under the next ticket."""
    connection.execute("UPDATE tickets SET last = last + 1")
    connection.execute(
        """INSERT OR REPLACE INTO records (kind, id, rev, ticket, removed_at, body)
           VALUES (?, ?, ?, (SELECT last FROM tickets), ?, ?)""",
        (*key, rev, removed_at, body),
    )


def _refuse_unknown(connection: sqlite3.Connection, bundle: str) -> None:
    if bundle and connection.execute("SELECT 1 FROM bundles WHERE id = ?", (bundle,)).fetchone() is None:
        raise NotFound(f"there is no bundle `{bundle}`: put it first")


def _heads(connection: sqlite3.Connection) -> Heads:
    sql = """SELECT coalesce((SELECT max(version) FROM heads), 0), last,
             coalesce((SELECT max(mark) FROM shadow), 0) FROM tickets"""
    policy, last, shadow = connection.execute(sql).fetchone()
    return Heads(policy=policy, changes=last, shadow=shadow)


def _changes(connection: sqlite3.Connection, after: int) -> Changes:
    last, purged = connection.execute("SELECT last, purged FROM tickets").fetchone()
    whole = after <= 0 or after < purged or after > last
    sql = "SELECT kind, id, body FROM records WHERE ticket > ? ORDER BY ticket"
    rows = connection.execute(sql, (0 if whole else after,))
    return changes(rows, seq=last, whole=whole)


def _forget_removed(connection: sqlite3.Connection, before: int) -> None:
    """Drop what is left of records removed long ago; who asks from further back gets everything."""
    old = "FROM records WHERE body IS NULL AND removed_at < ?"
    (ticket,) = connection.execute(f"SELECT max(ticket) {old}", (before,)).fetchone()
    if ticket is not None:
        connection.execute("UPDATE tickets SET purged = max(purged, ?)", (ticket,))
        connection.execute(f"DELETE {old}", (before,))
