"""The database file: made private, recognised as ours, opened.

What belongs here is what happens before the first record; this file knows no kinds of records.
"""

import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

from gateway.store.base import Unavailable

APPLICATION = 0x4F535449
SCHEMA = 1
PATIENCE = 5.0  # seconds to wait for another process that writes

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_ADDED = {
    "shadow": "CREATE TABLE IF NOT EXISTS shadow (mark INTEGER PRIMARY KEY, body TEXT NOT NULL)",
    "moving": "CREATE TABLE IF NOT EXISTS moving (unfinished INTEGER NOT NULL)",
}
"""Tables that a file of this schema may lack, because it was made before they were known."""
_TABLES = (
    """CREATE TABLE records (kind TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL, ticket INTEGER NOT NULL,
       removed_at INTEGER NOT NULL DEFAULT 0, body TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX records_ticket ON records (ticket)",
    "CREATE TABLE tickets (last INTEGER NOT NULL, purged INTEGER NOT NULL)",
    "INSERT INTO tickets VALUES (0, 0)",
    "CREATE TABLE bundles (id TEXT PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE heads (version INTEGER PRIMARY KEY, body TEXT NOT NULL)",
    """CREATE TABLE audit (id TEXT PRIMARY KEY, at INTEGER NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL)
       WITHOUT ROWID""",
    "CREATE INDEX audit_at ON audit (at)",
    "CREATE INDEX audit_subject ON audit (subject, id)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {SCHEMA}",
)


def prepare(path: Path) -> Path:
    """The real path of a private database file with our schema, made when absent.

    ``ValueError`` when others can write the file or its folder, when it holds something else or comes from
    a newer version of this program; ``Unavailable`` when the system refuses.
    """
    try:
        path = path.resolve()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _claim(path)
        _bring_up(path)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be opened: {error.strerror}") from None
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise _foreign(path) from None
        raise unavailable(error) from None
    return path


def connect(path: Path) -> sqlite3.Connection:
    """A connection that commits when told to and may be closed by another thread."""
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def unavailable(error: sqlite3.Error) -> Unavailable:
    """What the caller may read of a database error: its name."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return Unavailable(f"the database file did not take the work ({name})")


def _foreign(path: Path) -> ValueError:
    return ValueError(f"{path}: is not a database of this program: name another file")


def _claim(path: Path) -> None:
    """Make the file ours alone. SQLite gives ``-wal`` and ``-shm`` the mode of the file."""
    _refuse_shared(path.parent)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise ValueError(f"{path}: is not a file: name a file") from None
    for part in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        if part.exists():
            _refuse_shared(part)
            part.chmod(0o600)


def _refuse_shared(path: Path) -> None:
    status = path.stat()
    if status.st_mode & _OTHERS_WRITE:
        raise ValueError(f"{path}: others can write it: run `chmod go-w` on it")
    if os.geteuid() not in (0, status.st_uid) and status.st_uid != 0:
        raise ValueError(f"{path}: belongs to another user: choose a place of your own")


def _bring_up(path: Path) -> None:
    """Write the schema unless it is there. Several processes may do so at once: one writes, the others wait."""
    with closing(connect(path)) as connection:
        if _is_empty(connection, path):
            _write_schema(connection, path)
        _add_tables(connection)


def _write_schema(connection: sqlite3.Connection, path: Path) -> None:
    _switch_to_wal(connection)
    connection.execute("BEGIN IMMEDIATE")
    if _is_empty(connection, path):
        for statement in _TABLES:
            connection.execute(statement)
    connection.execute("COMMIT")


def _add_tables(connection: sqlite3.Connection) -> None:
    """An older program reads the file as before."""
    known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for name, statement in _ADDED.items():
        if name not in known:
            connection.execute(statement)


def _is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file holds nothing yet; ``ValueError`` when it holds what we cannot use."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, schema, tables) == (0, 0, 0):
        return True
    if application != APPLICATION or schema < 1:
        raise _foreign(path)
    if schema > SCHEMA:
        raise ValueError(f"{path}: has schema {schema}, newer than {SCHEMA}: run the newer version of this program")
    return False


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """The switch fails at once while another process makes it too, whatever the busy timeout."""
    patient_until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in _BUSY or time.monotonic() > patient_until:
                raise
        time.sleep(0.01)
