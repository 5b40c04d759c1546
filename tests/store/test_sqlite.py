"""The embedded store: its file, its threads, other processes, and sudden death."""

import asyncio
import hashlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from gateway.audit import AuditEntry
from gateway.records import User
from gateway.store.base import Conflict, NotFound, Unavailable
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite_file import prepare
from gateway.store.sqlite_threads import Threads

WRITING = Path(__file__).with_name("writing.py")
ROOT = WRITING.parent.parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "ostiary.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def child(path: Path, mode: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, str(WRITING), str(path), mode], stdout=-1, text=True, env=environment)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_every_file_is_private_whatever_the_umask(open_umask, path, store):
    await store.users.add(User(id="a"))
    files = {each.name: mode_of(each) for each in path.parent.iterdir()}
    assert files == {"ostiary.db": 0o600, "ostiary.db-wal": 0o600, "ostiary.db-shm": 0o600}
    assert mode_of(path.parent) == 0o700


async def test_a_file_that_others_could_read_is_made_private(path):
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)
    store = SqliteStore(path)
    await store.open()
    await store.close()
    assert mode_of(path) == 0o600


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
async def test_a_file_that_others_can_write_is_refused(path, mode, end):
    path.parent.mkdir(mode=0o700)
    part = path.with_name(path.name + end)
    part.touch()
    part.chmod(mode)
    with pytest.raises(ValueError, match="others can write it"):
        await SqliteStore(path).open()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
async def test_a_folder_that_others_can_write_is_refused(path, mode):
    path.parent.mkdir()
    path.parent.chmod(mode)
    with pytest.raises(ValueError, match="others can write it"):
        await SqliteStore(path).open()
    assert list(path.parent.iterdir()) == []


async def test_a_link_is_judged_by_the_place_it_leads_to(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (tmp_path / "link.db").symlink_to(shared / "real.db")
    with pytest.raises(ValueError, match="others can write it"):
        await SqliteStore(tmp_path / "link.db").open()


@pytest.mark.parametrize(
    "script", ["CREATE TABLE records (id)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"]
)
async def test_another_programs_database_is_refused_and_left_alone(path, script):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(script)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not a database of this program"):
        await SqliteStore(path).open()
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path):
    path.parent.mkdir()
    path.write_text("a letter to a friend, long enough to look like something" * 100)
    with pytest.raises(ValueError, match="not a database of this program"):
        await SqliteStore(path).open()
    assert path.read_text().startswith("a letter")


async def test_a_folder_in_place_of_the_file_is_refused(path):
    path.mkdir(parents=True)
    with pytest.raises(ValueError, match="is not a file"):
        await SqliteStore(path).open()


async def test_a_newer_schema_is_refused(path):
    prepare(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(ValueError, match="has schema 2, newer than 1"):
        await SqliteStore(path).open()


async def test_a_place_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be opened"):
        await SqliteStore(tmp_path / "file" / "ostiary.db").open()


async def test_a_bundle_whose_bytes_changed_on_the_disk_is_not_given_out_until_it_is_put_again(path, store):
    bundle = hashlib.sha256(b"policy").hexdigest()
    await store.bundles.put(bundle, b"policy")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE bundles SET body = ?", (b"p, *, *, allow",))
    with pytest.raises(NotFound, match="absent or damaged"):
        await store.bundles.get(bundle)
    await store.bundles.put(bundle, b"policy")
    assert await store.bundles.get(bundle) == b"policy"


async def test_a_damaged_record_is_an_error_and_not_an_absence(path, store):
    await store.users.add(User(id="a"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE records SET body = '{}'")
    for attempt in (store.users.get("a"), store.users.page(), store.changes(0)):
        with pytest.raises(Unavailable, match="damaged record"):
            await attempt


async def test_several_processes_may_start_and_write_at_once(path):
    children = [child(path, "some") for _ in range(2)]
    assert [process.wait(60) for process in children] == [0, 0]
    for process in children:
        process.communicate()
    store = SqliteStore(path)
    await store.open()
    changes = await store.changes(0)
    assert (len(changes.users), changes.seq) == (40, 40)
    await store.close()


async def test_a_change_by_another_process_shows_in_the_heads(path, store):
    before = await store.heads()
    process = child(path, "some")
    process.communicate(timeout=60)
    assert (await store.heads()).changes == before.changes + 20
    assert len((await store.changes(before.changes)).users) == 20


async def test_two_stores_in_one_process_wait_for_each_other(path, store):
    other = SqliteStore(path)
    await other.open()
    await asyncio.gather(*((store, other)[number % 2].users.add(User(id=str(number))) for number in range(100)))
    assert (await other.heads()).changes == 100
    await other.close()


@pytest.mark.parametrize("lines", [1, 200])
async def test_what_was_acknowledged_survives_a_kill(path, lines):
    process = child(path, "forever")
    said = [process.stdout.readline().split() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate(timeout=60)
    said += [line.split() for line in rest.splitlines()]
    acknowledged = {kind: [word for said_kind, word in said if said_kind == kind] for kind in ("user", "entry", "head")}
    store = SqliteStore(path)
    await store.open()
    changes = await store.changes(0)
    assert set(acknowledged["user"]) <= {user.id for user in changes.users}
    assert changes.seq == len(changes.users), "tickets have a gap"
    assert set(acknowledged["entry"]) <= {entry.id for entry in await store.audit.scan(limit=100_000)}
    versions = [head.version for head in await store.bundles.history(limit=100_000)]
    assert versions == list(range(len(versions), 0, -1))
    assert len(versions) >= max(map(int, acknowledged["head"]), default=0)
    if head := await store.bundles.head():
        assert await store.bundles.get(head.bundle)
    await store.close()


def test_a_full_disk_refuses_and_loses_nothing(path):
    process = child(path, "full_disk")
    out, _ = process.communicate(timeout=60)
    kept, present, tickets = map(int, out.split())
    assert kept > 3
    assert present == tickets == kept + 1


async def test_writes_that_wait_share_a_transaction_and_keep_their_own_outcome(path, store):
    await store.users.add(User(id="1"))
    outcomes = await asyncio.gather(*(store.users.add(User(id=str(n))) for n in (1, 2, 3, 2)), return_exceptions=True)
    assert [type(each) for each in outcomes] == [Conflict, User, User, Conflict]
    assert (await store.heads()).changes == 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_nobody_waits_for_a_writer_that_died_of_a_bug(path):
    threads = Threads(prepare(path))

    def bug(connection: sqlite3.Connection) -> None:
        raise KeyError("a bug")

    with pytest.raises(Unavailable):
        await asyncio.wait_for(threads.write(bug), 10)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(threads.write(lambda connection: None), 10)
    await asyncio.to_thread(threads.close)


async def test_closing_finishes_what_waits(path, store):
    writes = [asyncio.create_task(store.users.add(User(id=str(number)))) for number in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    await store.open()
    assert len(await store.users.page()) == 50


async def test_a_start_that_fails_half_way_leaves_the_store_closed(path, store, monkeypatch):
    monkeypatch.setattr("gateway.store.sqlite_file.PATIENCE", 0.05)
    late = SqliteStore(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="SQLITE_BUSY"):
            await late.open()
        with pytest.raises(Unavailable, match="not open"):
            await late.heads()
    await late.open()
    assert (await late.heads()).changes == 0
    await late.close()


async def test_a_locked_database_is_unavailable_in_time_and_then_works_again(path, store, monkeypatch):
    await store.users.add(User(id="before"))
    await store.close()
    monkeypatch.setattr("gateway.store.sqlite_file.PATIENCE", 0.05)
    await store.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="SQLITE_BUSY"):
            await store.users.add(User(id="a"))
        assert (await store.users.get("before")).id == "before"
        other.execute("ROLLBACK")
    await store.users.add(User(id="a"))
    await store.audit.append([AuditEntry(id="a", at=1)])


def everywhere(store: SqliteStore, pragma: str) -> None:
    """What the writing connection of a store is told."""
    store._threads._writer._connection.execute(pragma)


@pytest.mark.parametrize(
    ("broken", "mended", "name"),
    [
        ("PRAGMA query_only = ON", "PRAGMA query_only = OFF", "SQLITE_READONLY"),
        ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", "SQLITE_FULL"),
    ],
)
async def test_a_file_that_takes_no_more_refuses_writes_alone_and_goes_on_once_it_does(store, broken, mended, name):
    user = await store.users.add(User(id="before"))
    everywhere(store, broken)
    attempts = (
        lambda: store.users.add(User(id="a", name="x" * 100_000)),
        lambda: store.users.replace(msgspec.structs.replace(user, name="x" * 100_000)),
        lambda: store.audit.append([AuditEntry(id=f"{number}", at=1, error="x" * 1_000) for number in range(100)]),
        lambda: store.bundles.put(hashlib.sha256(b"x" * 100_000).hexdigest(), b"x" * 100_000),
    )
    for attempt in attempts:
        with pytest.raises(Unavailable, match=name):
            await attempt()
        assert await store.users.page() == [user]
    everywhere(store, mended)
    assert list(await store.audit.scan()) == []
    assert (await store.heads()).changes == 1
    await store.users.add(User(id="after"))
    assert (await store.changes(0)).seq == 2
