"""Whole stores moved: everything comes out as it went in, nothing is forgotten, and what is half done opens nowhere."""

import secrets
import sqlite3
import subprocess
import sys
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings

import gateway.records as kinds_of_records
from gateway.manage.policies import policy_in_force
from gateway.manage.proving import living
from gateway.moving.copying import copy
from gateway.moving.sums import sums_of
from gateway.policy.engine import Policy
from gateway.records import User
from gateway.servers.rows import all_grants
from gateway.store.base import AuditTrail, Bundles, Conflict, NotFound, Records, Store
from gateway.store.kinds import TEXTS
from gateway.store.mongo import MongoStore
from gateway.store.mongo_whole import COLLECTIONS
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite_whole import MOVING, TABLES
from gateway.store.whole import AUDIT, BUNDLES, HEADS, MARKS, PARTS, RECORDS, SHADOW, Contents
from tests.moving.contents import SAMPLES, everything, fill, plans, questions
from tests.policy.builders import NOW


def quiet(done: int, step: str) -> None:
    """Nobody watches."""


async def contents_of(store: Store) -> dict[str, list]:
    return {part: list(await store.contents.walk(part, limit=100_000)) for part in PARTS}


async def decisions(store: Store) -> list[bool]:
    found = await policy_in_force(store)
    people = await store.changes(0)
    rows = living(all_grants(people), NOW)
    policy = Policy.build(found and found.bundle, rows, "1")
    return [policy.decide((each,)).allowed for each in questions()]


class Places:
    """Stores that a test opens; all are closed at its end."""

    def __init__(self, folder: Path, uri: str, stack: AsyncExitStack) -> None:
        self._folder, self._uri, self._stack = folder, uri, stack

    async def sqlite(self, name: str = "", *, filling: bool = False) -> Store:
        return await self._open(SqliteStore(self._folder / f"{name or secrets.token_hex(6)}.db", filling=filling))

    async def mongo(self, name: str = "", *, filling: bool = False) -> Store:
        return await self._open(MongoStore(self._uri, database=f"v_{name or secrets.token_hex(6)}", filling=filling))

    async def _open(self, store: Store) -> Store:
        await store.open()
        self._stack.push_async_callback(store.close)
        return store


@pytest.fixture
async def places(tmp_path, secantus):
    async with AsyncExitStack() as stack:
        yield Places(tmp_path, secantus, stack)


# -- equal


@settings(max_examples=8)
@given(plan=plans())
async def test_a_copy_there_and_back_is_equal_and_decides_the_same(plan, secantus, tmp_path_factory):
    async with AsyncExitStack() as stack:
        places = Places(tmp_path_factory.mktemp("moves"), secantus, stack)
        first = await places.sqlite()
        await fill(first, plan)
        second, third = await places.mongo(filling=True), await places.sqlite(filling=True)
        await copy(first.contents, second.contents, quiet)
        await copy(second.contents, third.contents, quiet)
        assert await contents_of(first) == await contents_of(second) == await contents_of(third)
        assert await decisions(first) == await decisions(second) == await decisions(third)
        last = (await first.heads()).changes
        assert await first.heads() == await second.heads() == await third.heads()
        for after in range(last + 2):
            told = [await store.changes(after) for store in (first, second, third)]
            assert told[0] == told[1] == told[2]


async def test_a_copy_goes_on_where_the_source_was(places):
    source = await places.mongo()
    await everything(source)
    before = await source.heads()
    target = await places.sqlite("t", filling=True)
    await copy(source.contents, target.contents, quiet)
    opened = await places.sqlite("t")
    user = await opened.users.get("u")
    assert (await opened.users.replace(user)).rev == user.rev + 1
    assert (await opened.changes(before.changes)).seq == before.changes + 1
    head = await opened.bundles.head()
    await opened.bundles.move_head(head.version, msgspec.structs.replace(head, version=head.version + 1))


# -- nothing is forgotten


@pytest.mark.parametrize("kind", ["sqlite", "mongo"])
async def test_everything_that_a_store_can_hold_is_moved(places, kind):
    source = await getattr(places, kind)()
    await everything(source)
    target = await places.sqlite("t", filling=True)
    await copy(source.contents, target.contents, quiet)
    opened = await places.sqlite("t")
    seen = {"bundles", "audit", "contents"}
    for name in SAMPLES:
        assert await getattr(opened, name).page() == await getattr(source, name).page() != []
        seen.add(name)
    assert await opened.bundles.history() == await source.bundles.history() != []
    assert await opened.bundles.shadow() == await source.bundles.shadow() is not None
    assert await opened.audit.scan() == await source.audit.scan() != []
    assert seen == set(get_type_hints(Store))
    assert await decisions(opened) == await decisions(source)
    assert set(await decisions(opened)) == {True, False}


def test_every_part_of_a_store_is_one_that_moves_know():
    hints = get_type_hints(Store)
    records = {name for name, hint in hints.items() if get_origin(hint) is Records}
    assert records == set(TEXTS) == set(SAMPLES)
    others = {name: hint for name, hint in hints.items() if name not in records}
    assert others == {"bundles": Bundles, "audit": AuditTrail, "contents": Contents}
    assert set(PARTS) == {HEADS, SHADOW, BUNDLES, RECORDS, AUDIT, MARKS} == set(TABLES) == set(COLLECTIONS)


def test_every_record_with_an_id_and_a_revision_is_of_a_kind_that_is_stored():
    structs = {each for each in vars(kinds_of_records).values() if isinstance(each, type)}
    stored = {each for each in structs if {"id", "rev"} <= set(getattr(each, "__struct_fields__", ()))}
    kept = {get_args(hint)[0] for hint in get_type_hints(Store).values() if get_origin(hint) is Records}
    assert stored == kept


async def test_every_table_is_of_a_part(places, tmp_path):
    await everything(await places.sqlite("s"))
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in found}
    assert found == {table.name for table in TABLES.values()} | {MOVING}
    for part, table in TABLES.items():
        written = " ".join(table.write)
        assert all(column in written for column in columns[table.name]), part


async def test_every_collection_is_of_a_part(places):
    store = await places.mongo()
    await everything(store)
    found = set(await store._wire.database.list_collection_names())
    assert found == {name for names in COLLECTIONS.values() for name in names}


# -- stopped half way


class Dying:
    """Contents whose writer dies at the ``nth`` write."""

    def __init__(self, contents: Contents, nth: int) -> None:
        self._contents, self.left = contents, nth

    async def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def __getattr__(self, name):
        method = getattr(self._contents, name)
        if name == "walk":
            return method

        async def counted(*words):
            await self._count()
            return await method(*words)

        return counted


@pytest.mark.parametrize("kind", ["sqlite", "mongo"])
async def test_a_copy_that_dies_at_any_write_opens_nowhere_and_goes_on(places, kind):
    source = await places.sqlite()
    await everything(source)
    wanted = await contents_of(source)
    opener = getattr(places, kind)
    deaths = 0
    for nth in range(20):
        name = f"{kind}{nth}"
        target = await opener(name, filling=True)
        try:
            await copy(source.contents, Dying(target.contents, nth), quiet)
        except KeyboardInterrupt:
            deaths += 1
        else:
            break
        if nth:  # the mark is the first write
            with pytest.raises(ValueError, match="did not end"):
                await opener(name)
        again = await opener(name, filling=True)
        await copy(source.contents, again.contents, quiet)
        assert await contents_of(await opener(name)) == wanted
    assert deaths == len(PARTS) + 3  # the mark twice, and two bundles


@pytest.mark.parametrize("nth", [1, 3, 6])
async def test_a_copy_killed_outright_goes_on(places, tmp_path, nth):
    source = await places.sqlite("s")
    await everything(source)
    words = [sys.executable, Path(__file__).with_name("dying.py"), tmp_path / "s.db", tmp_path / "t.db", str(nth)]
    assert subprocess.run(words, timeout=60, check=False, cwd=Path(__file__).parents[2]).returncode == -9
    with pytest.raises(ValueError, match="did not end"):
        await places.sqlite("t")
    target = await places.sqlite("t", filling=True)
    await copy(source.contents, target.contents, quiet)
    assert await contents_of(await places.sqlite("t")) == await contents_of(source)


# -- refused


@pytest.mark.parametrize("kind", ["sqlite", "mongo"])
async def test_a_target_that_holds_something_is_refused_and_left_alone(places, kind):
    source = await places.sqlite()
    await everything(source)
    target = await getattr(places, kind)()
    await target.users.add(User(id="other"))
    await target.users.remove("other")
    before = await contents_of(target)
    with pytest.raises(Conflict, match="holds something already"):
        await copy(source.contents, target.contents, quiet)
    for part in PARTS:
        with pytest.raises(Conflict, match="is in use"):
            await target.contents.load(part, before[part])
    assert await contents_of(target) == before


async def test_a_finished_copy_is_not_written_over(places):
    source, target = await places.sqlite(), await places.sqlite(filling=True)
    await everything(source)
    await copy(source.contents, target.contents, quiet)
    with pytest.raises(Conflict, match="holds something already"):
        await copy(source.contents, target.contents, quiet)


async def test_an_empty_source_is_refused(places):
    target = await places.sqlite("t", filling=True)
    with pytest.raises(ValueError, match="the source holds nothing"):
        await copy((await places.sqlite()).contents, target.contents, quiet)
    await places.sqlite("t")


class Talking:
    """Contents into whose store somebody writes once the copy is in the middle."""

    def __init__(self, store: Store) -> None:
        self._store, self._said = store, False

    async def walk(self, part, after="", limit=100):
        if part == MARKS and after and not self._said:
            self._said = True
            await self._store.users.add(User(id="late"))
        return await self._store.contents.walk(part, after, limit)


async def test_a_source_that_changes_meanwhile_is_noticed_and_a_second_run_takes_it_along(places):
    source, target = await places.sqlite(), await places.sqlite("t", filling=True)
    await everything(source)
    with pytest.raises(Conflict, match=r"differ \(records \d+ and \d+\): stop what writes"):
        await copy(Talking(source), target.contents, quiet)
    with pytest.raises(ValueError, match="did not end"):
        await places.sqlite("t")
    await copy(source.contents, target.contents, quiet)
    assert (await (await places.sqlite("t")).users.get("late")).id == "late"


async def test_what_another_source_left_in_the_target_is_not_taken_for_equal(places):
    one, other, target = await places.sqlite(), await places.sqlite(), await places.sqlite("t", filling=True)
    await everything(one)
    await other.users.add(User(id="a"))
    with pytest.raises(KeyboardInterrupt):
        await copy(one.contents, Dying(target.contents, 5), quiet)
    with pytest.raises(Conflict, match="empty the target first"):
        await copy(other.contents, target.contents, quiet)
    with pytest.raises(ValueError, match="did not end"):
        await places.sqlite("t")


async def test_a_damaged_bundle_is_not_copied(places, tmp_path):
    source = await places.sqlite("s")
    await everything(source)
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection, connection:
        connection.execute("UPDATE bundles SET body = x'00'")
    with pytest.raises(NotFound, match="is damaged"):
        await copy(source.contents, (await places.sqlite(filling=True)).contents, quiet)


async def test_equal_contents_have_equal_sums_and_others_have_not(places):
    one, other = await places.sqlite(), await places.mongo()
    for store in (one, other):
        await store.users.add(User(id="a"))
    assert await sums_of(one.contents, PARTS, quiet) == await sums_of(other.contents, PARTS, quiet)
    await other.users.add(User(id="b"))
    assert await sums_of(one.contents, PARTS, quiet) != await sums_of(other.contents, PARTS, quiet)
