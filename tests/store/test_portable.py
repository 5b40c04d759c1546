"""The guard on the wire: what the store may send, that it hears what is sent, and servers that maintainers name."""

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from gateway.records import User
from gateway.store.base import Conflict
from gateway.store.mongo import MongoStore
from tests.secantus import Secantus
from tests.store.conftest import GUARD
from tests.store.portable import COMMANDS, COUNTERS, DRIVER, FILTERS, UPDATES, strays

ROOT = Path(__file__).parents[2]


@pytest.fixture
def database() -> str:
    return f"p_{secrets.token_hex(6)}"


@pytest.fixture
async def store(secantus, database) -> AsyncIterator[MongoStore]:
    store = MongoStore(secantus, database=database)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def raw(secantus, database):
    async with AsyncMongoClient(secantus) as client:
        yield client[database]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("aggregate", {"aggregate": "records", "pipeline": []}),
        ("count", {"count": "records"}),
        ("find", {"find": "records", "filter": {"$where": "1"}}),
        ("find", {"find": "records", "filter": {"body": {"$regex": "x"}}}),
        ("find", {"find": "records", "filter": {"a.b": 1}}),
        ("find", {"find": "records", "filter": {}, "skip": 5}),
        ("find", {"find": "records", "filter": {}, "collation": {}}),
        ("find", {"find": "Records", "filter": {}}),
        ("insert", {"insert": "records", "documents": [{"$x": 1}]}),
        ("insert", {"insert": "records", "documents": [{"a": {"b.c": 1}}]}),
        ("insert", {"insert": "records", "documents": [{"a": "x" * 2_000_000}]}),
        ("insert", {"insert": "records", "documents": [], "startTransaction": True, "autocommit": False}),
        ("update", {"update": "records", "updates": [{"q": {}, "u": [{"$set": {}}]}]}),
        ("update", {"update": "records", "updates": [{"q": {}, "u": {"$push": {"a": 1}}}]}),
        ("update", {"update": "records", "updates": [{"q": {}, "u": {"$set": {"a.b": 1}}}]}),
        ("update", {"update": "records", "updates": [{"q": {}, "u": {"$set": {"a": 1}}, "multi": True}]}),
        ("update", {"update": "records", "updates": [{"q": {}, "u": {}, "arrayFilters": []}]}),
        ("delete", {"delete": "records", "deletes": [{"q": {"a": {"$ne": 1}}, "limit": 0}]}),
        ("createIndexes", {"createIndexes": "records", "indexes": [{"key": {"a": "text"}, "name": "a"}]}),
        ("createIndexes", {"createIndexes": "records", "indexes": [{"key": {"a": 1}, "sparse": True}]}),
        ("findAndModify", {"findAndModify": "records", "query": {}, "update": {"$inc": {"a": 1}}}),
    ],
)
def test_the_guard_sees_what_is_not_portable(name, command):
    assert list(strays(name, command))


@pytest.mark.parametrize(
    ("send", "stray"),
    [
        (lambda database: database.records.find_one({"$where": "1"}), "find: filter on $where"),
        (lambda database: database.records.find_one({"body": {"$regex": "x"}}), "find: operator $regex"),
        (lambda database: database.records.count_documents({}), "aggregate: is not a portable command"),
        (lambda database: database.records.distinct("body"), "distinct: is not a portable command"),
        (lambda database: database.records.update_one({}, {"$push": {"a": 1}}), "update: operator $push"),
        (lambda database: database.records.update_many({}, {"$set": {"a": 1}}), "update: changes many"),
    ],
)
async def test_the_guard_hears_what_is_really_sent(raw, send, stray):
    with contextlib.suppress(PyMongoError):  # whatever the server says to it
        await send(raw)
    heard = list(GUARD.strays)
    GUARD.strays.clear()
    assert stray in heard


def test_everything_allowed_has_its_reason():
    reasons = [each.why for each in COMMANDS.values()]
    assert all([*reasons, *DRIVER.values(), *FILTERS.values(), *UPDATES.values(), *COUNTERS.values()])


async def test_one_client_serves_all_of_a_process(store):
    clients = {id(store._wire.collection(name).database.client) for name in ("records", "audit", "heads", "state")}
    await asyncio.gather(*(store.users.get("a") for _ in range(50)))
    assert {id(store._wire.database.client)} == clients
    assert store._wire.database.client.options.pool_options.max_pool_size == 20


async def test_what_was_made_before_an_index_gets_it_at_the_next_start(store, raw, secantus, database):
    await raw.records.drop_index("ticket_1")
    other = MongoStore(secantus, database=database)
    GUARD.strays.clear()  # the line before is not the store's
    await other.open()
    await other.close()
    names = {name for each in ("records", "audit") for name in await raw[each].index_information()}
    GUARD.strays.clear()
    assert names == {"_id_", "ticket_1", "at_1", "subject_1__id_1"}


async def test_the_contract_holds_on_a_server_that_maintainers_name(tmp_path):
    """Here that is a server of our own, and nothing of the run is left on it."""
    server = Secantus()
    await asyncio.to_thread(server.start)
    try:
        words = [
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/store/test_contract_shadow.py",
            "-rA",
            f"--basetemp={tmp_path}/x",
        ]
        environ = {**os.environ, "OSTIARY_TEST_MONGODB_URI": server.uri}
        run = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pytest", *words, env=environ, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        said = (await asyncio.wait_for(run.communicate(), 120))[0].decode()
        assert "PASSED tests/store/test_contract_shadow.py::test_there_is_no_shadow_at_first[real]" in said, said
        assert run.returncode == 0, said
        with GUARD.looking_away():
            async with AsyncMongoClient(server.uri) as client:
                assert not [name for name in await client.list_database_names() if name.startswith("t_")]
    finally:
        await asyncio.to_thread(server.stop)


async def test_the_guard_allows_no_more_than_is_used(store):
    GUARD.seen.clear()
    await store.close()
    await store.open()
    await store.users.add(User(id="a"))
    await store.users.replace(User(id="a", rev=1))
    with pytest.raises(Conflict):
        await store.users.replace(User(id="a", rev=1))
    fresh = MongoStore(store._wire._uri, database=f"m_{secrets.token_hex(6)}")
    await fresh.open()
    await fresh.audit.purge(1)
    await fresh.close()
    by_the_driver = {"getMore", "killCursors", "endSessions"}
    assert GUARD.seen | by_the_driver == set(COMMANDS)
