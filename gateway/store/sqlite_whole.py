"""The embedded store row by row, for moves. A table that is not named in ``TABLES`` is not moved."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.store.base import Conflict, NotFound
from gateway.store.kinds import ENTRY, content_hash
from gateway.store.sqlite_threads import T, Work
from gateway.store.whole import AUDIT, BUNDLES, HEADS, MARKS, PAGE, RECORDS, SHADOW, Row, holds_something, version_key

MOVING: Final = "moving"
"""The table that has a row while the store is unfinished."""

_MARKED = "SELECT 1 FROM moving"
_MARK = "INSERT INTO moving VALUES (1)"
_UNMARK = "DELETE FROM moving"


@dataclass(frozen=True, slots=True)
class Table:
    """How the rows of one part stand in one table. ``select`` takes ``bounds(after)`` and a limit."""

    name: str
    select: str
    bounds: Callable[[str], tuple[Any, ...]]
    row: Callable[..., Row]
    write: tuple[str, ...]
    """Statements, each with the values of one row, by name."""
    values: Callable[[Row], dict[str, Any]]


def _record(kind: str, id: str, rev: int, ticket: int, removed_at: int, body: str | None) -> Row:
    return Row(part=RECORDS, key=f"{kind}/{id}", text=body, numbers=(rev, ticket, removed_at))


def _record_values(row: Row) -> dict[str, Any]:
    kind, _, id = row.key.partition("/")
    rev, ticket, removed_at = row.numbers
    return {"kind": kind, "id": id, "rev": rev, "ticket": ticket, "removed_at": removed_at, "body": row.text}


def _bundle(id: str, body: bytes) -> Row:
    if content_hash(body) != id:
        raise NotFound(f"bundle `{id}` is damaged: apply the policy again, or restore the store from a backup")
    return Row(part=BUNDLES, key=id, data=body)


def _entry_values(row: Row) -> dict[str, Any]:
    entry = ENTRY.decode(row.text or "")
    return {"id": row.key, "at": entry.at, "subject": entry.subject, "body": row.text}


TABLES: Final = {
    RECORDS: Table(
        "records",
        """SELECT kind, id, rev, ticket, removed_at, body FROM records WHERE (kind, id) > (?, ?)
           ORDER BY kind, id LIMIT ?""",
        lambda after: after.partition("/")[::2],
        _record,
        (
            """INSERT OR REPLACE INTO records (kind, id, rev, ticket, removed_at, body)
               VALUES (:kind, :id, :rev, :ticket, :removed_at, :body)""",
        ),
        _record_values,
    ),
    HEADS: Table(
        "heads",
        "SELECT version, body FROM heads WHERE version > ? ORDER BY version LIMIT ?",
        lambda after: (int(after or 0),),
        lambda version, body: Row(part=HEADS, key=version_key(version), text=body),
        ("INSERT OR REPLACE INTO heads (version, body) VALUES (:version, :body)",),
        lambda row: {"version": int(row.key), "body": row.text},
    ),
    SHADOW: Table(
        "shadow",
        "SELECT mark, body FROM shadow WHERE ? < 'shadow' LIMIT ?",
        lambda after: (after,),
        lambda mark, body: Row(part=SHADOW, key="shadow", text=body, numbers=(mark,)),
        ("DELETE FROM shadow WHERE mark <> :mark", "INSERT OR REPLACE INTO shadow (mark, body) VALUES (:mark, :body)"),
        lambda row: {"mark": row.numbers[0], "body": row.text},
    ),
    BUNDLES: Table(
        "bundles",
        "SELECT id, body FROM bundles WHERE id > ? ORDER BY id LIMIT ?",
        lambda after: (after,),
        _bundle,
        ("INSERT OR REPLACE INTO bundles (id, body) VALUES (:id, :body)",),
        lambda row: {"id": row.key, "body": row.data},
    ),
    AUDIT: Table(
        "audit",
        "SELECT id, body FROM audit WHERE id > ? ORDER BY id LIMIT ?",
        lambda after: (after,),
        lambda key, body: Row(part=AUDIT, key=key, text=body),
        ("INSERT OR REPLACE INTO audit (id, at, subject, body) VALUES (:id, :at, :subject, :body)",),
        _entry_values,
    ),
    MARKS: Table(
        "tickets",
        "SELECT last, purged FROM tickets WHERE ? < 'marks' LIMIT ?",
        lambda after: (after,),
        lambda last, purged: Row(part=MARKS, key="marks", numbers=(last, purged)),
        ("UPDATE tickets SET last = :last, purged = :purged",),
        lambda row: dict(zip(("last", "purged"), row.numbers, strict=True)),
    ),
}


class Reading(Protocol):
    def __call__(self, work: Work[T]) -> Awaitable[T]: ...


class Contents:
    """``gateway.store.whole.Contents`` over the threads of one file."""

    def __init__(self, read: Reading, write: Reading) -> None:
        self._read = read
        self._write = write

    async def walk(self, part: str, after: str = "", limit: int = PAGE) -> Sequence[Row]:
        table = TABLES[part]
        bounds = (*table.bounds(after), limit)
        rows = await self._read(lambda connection: connection.execute(table.select, bounds).fetchall())
        return [table.row(*row) for row in rows]

    async def load(self, part: str, rows: Sequence[Row]) -> None:
        table = TABLES[part]
        values = [table.values(row) for row in rows]

        def work(connection: sqlite3.Connection) -> None:
            if not unfinished(connection):
                raise Conflict("the store is in use: only an unfinished one is written row by row")
            for each in values:
                for statement in table.write:
                    connection.execute(statement, each)

        await self._write(work)

    async def begin(self) -> None:
        if not await self._read(unfinished):
            if await holds_something(self):
                raise Conflict("the store holds something already: name an empty one")
            await self._write(lambda connection: connection.execute(_MARK).rowcount)

    async def end(self) -> None:
        await self._write(lambda connection: connection.execute(_UNMARK).rowcount)


def unfinished(connection: sqlite3.Connection) -> bool:
    """Whether a move into this file was begun and did not end."""
    return connection.execute(_MARKED).fetchone() is not None
