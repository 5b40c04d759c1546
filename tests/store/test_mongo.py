"""The production store: its options, its secrets, its tickets when writers stall."""

import asyncio
import gc
import hashlib
import logging
import random
import secrets
import traceback
from collections.abc import AsyncIterator

import pytest
from pymongo import AsyncMongoClient

from gateway.records import PolicyHead, User
from gateway.store.base import NotFound, Unavailable
from gateway.store.mongo import MongoStore, _Records
from gateway.store.mongo_client import connect, weaknesses
from gateway.store.mongo_tickets import Tickets
from gateway.store.opening import open_store
from gateway.store.sqlite import SqliteStore

SETTLE = 30.0


class Clock:
    """A steady clock: a second passes at each look, more when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class StallingTickets(Tickets):
    """Tickets whose taker stalls between the ticket and the write, as a suspended process would."""

    def __init__(self, store: MongoStore, times: int) -> None:
        super().__init__(store._wire, clock=lambda: 0.0, settle_after=SETTLE)
        self.times = times
        self.taken: asyncio.Queue[int] = asyncio.Queue()
        self.go = asyncio.Event()

    async def take(self) -> int:
        ticket = await super().take()
        if self.times:
            self.times -= 1
            self.taken.put_nowait(ticket)
            await self.go.wait()
            self.go.clear()
        return ticket

    async def stalled(self) -> int:
        """The next ticket whose taker stalls."""
        return await asyncio.wait_for(self.taken.get(), 10)


@pytest.fixture
def database() -> str:
    return f"m_{secrets.token_hex(6)}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(secantus, database, clock) -> AsyncIterator[MongoStore]:
    store = MongoStore(secantus, database=database, clock=clock, settle_after=SETTLE)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def raw(secantus, database):
    async with AsyncMongoClient(secantus) as client:
        yield client[database]


def stalled_users(store: MongoStore, times: int = 1) -> tuple[StallingTickets, _Records]:
    tickets = StallingTickets(store, times)
    return tickets, _Records(store._wire, tickets, "users", lambda: 0)


async def test_a_missing_ticket_holds_readers_back_until_it_is_old(store, clock):
    await store.users.add(User(id="a"))
    await store._tickets.take()  # its writer died
    await store.users.add(User(id="b"))
    for _ in range(3):
        changes = await store.changes(1)
        assert (changes.seq, [user.id for user in changes.users]) == (1, ["b"])
        clock.now += SETTLE / 4
    clock.now += SETTLE
    await store.changes(1)
    assert (await store.changes(1)).seq == 3


async def test_a_new_process_need_not_wait_for_what_others_settled(store, secantus, database, clock):
    for _ in range(5):
        await store._tickets.take()
    await store.users.add(User(id="a"))
    await store.changes(0)
    clock.now += SETTLE + 1
    await store.changes(0)
    other = MongoStore(secantus, database=database, clock=clock, settle_after=SETTLE)
    await other.open()
    assert (await other.changes(0)).seq == 6
    await other.close()


async def test_a_record_written_after_readers_went_past_its_ticket_is_still_seen(store, clock):
    tickets, users = stalled_users(store)
    adding = asyncio.create_task(users.add(User(id="late")))
    assert await tickets.stalled() == 1
    await store.users.add(User(id="early"))
    await store.changes(0)
    clock.now += SETTLE + 1
    await store.changes(0)
    passed = (await store.changes(0)).seq
    assert passed == 2
    tickets.go.set()
    await adding
    changes = await store.changes(passed)
    assert [user.id for user in changes.users] == ["late"]
    assert changes.seq == 3


async def test_a_writer_that_stalls_again_and_again_is_seen_in_the_end(store, clock):
    tickets, users = stalled_users(store, times=3)
    adding = asyncio.create_task(users.add(User(id="late")))
    passed = 0
    for stalls in (1, 2, 3):
        assert await tickets.stalled() == stalls
        await store.heads()
        clock.now += SETTLE + 1
        await store.changes(passed)
        passed = (await store.changes(passed)).seq
        assert passed == stalls
        tickets.go.set()
    await adding
    assert [user.id for user in (await store.changes(passed)).users] == ["late"]


async def test_a_late_writer_leaves_a_newer_version_alone(store, clock):
    await store.users.add(User(id="a"))
    tickets, users = stalled_users(store, times=2)
    replacing = asyncio.create_task(users.replace(User(id="a", name="second", rev=1)))
    await tickets.stalled()
    await store.heads()
    clock.now += SETTLE + 1
    await store.changes(1)
    tickets.go.set()
    await tickets.stalled()  # the record is written, the writer is about to move it
    third = await store.users.replace(User(id="a", name="third", rev=2))
    tickets.go.set()
    assert (await replacing).name == "second"
    assert (await store.changes(2)).users == (third,)


async def test_a_database_put_back_to_an_earlier_state_settles_nothing_it_has_not_given(store, raw, clock):
    for _ in range(9):
        await store._tickets.take()
    await store.heads()
    await raw.state.update_one({}, {"$set": {"last": 3}})
    clock.now += SETTLE + 1
    changes = await store.changes(9)
    assert (changes.whole, changes.seq) == (True, 0)
    await store.changes(0)
    assert (await raw.state.find_one())["settled"] <= 3


async def test_removals_are_forgotten_even_when_the_process_before_stopped_half_way(store, raw, secantus, database):
    await store.users.add(User(id="a"))
    await store.users.remove("a")
    await raw.records.update_one({}, {"$set": {"removed_at": 1}})
    await raw.state.update_one({}, {"$set": {"purged": 2}})
    other = MongoStore(secantus, database=database)
    await other.open()
    assert await raw.records.find_one({}) is None
    await other.close()


async def test_a_damaged_piece_is_not_given_out_and_mended_by_the_next_put(store, raw):
    body = random.Random(5).randbytes(1_200_000)
    bundle = hashlib.sha256(body).hexdigest()
    await store.bundles.put(bundle, body)
    assert max([len(piece["data"]) async for piece in raw.pieces.find()]) <= 1_000_000
    for damage in ({"$set": {"data": b"other"}}, None):
        victim = await raw.pieces.find_one({})
        if damage:
            await raw.pieces.update_one({"_id": victim["_id"]}, damage)
        else:
            await raw.pieces.delete_one({"_id": victim["_id"]})
        with pytest.raises(NotFound, match="absent or damaged"):
            await store.bundles.get(bundle)
        await store.bundles.put(bundle, body)
        assert await store.bundles.get(bundle) == body


async def test_a_put_that_stopped_half_way_leaves_no_bundle(store, raw):
    body = random.Random(6).randbytes(1_200_000)
    bundle = hashlib.sha256(body).hexdigest()
    await store.bundles.put(bundle, body)
    await raw.bundles.delete_one({"_id": bundle})  # the list of pieces is written last
    move = PolicyHead(version=1, bundle=bundle, author="a", at=0)
    with pytest.raises(NotFound):
        await store.bundles.move_head(0, move)
    assert await store.bundles.head() is None


async def test_foreign_names_never_become_fields(store, raw):
    await store.users.add(User(id="$set.a.b", name="$where"))
    async for row in raw.records.find():
        assert set(row) == {"_id", "rev", "ticket", "removed_at", "body"}


async def test_another_programs_database_is_refused(secantus, database, raw):
    await raw.orders.insert_one({"_id": 1})
    store = MongoStore(secantus, database=database)
    for _ in range(2):
        with pytest.raises(ValueError, match="holds what this program did not make"):
            await store.open()
        with pytest.raises(Unavailable, match="not open"):
            await store.heads()
    assert await raw.list_collection_names() == ["orders"]


async def test_a_newer_schema_is_refused(store, raw, secantus, database):
    await raw.state.update_one({}, {"$set": {"schema": 2}})
    newer = MongoStore(secantus, database=database)
    with pytest.raises(ValueError, match="has schema 2, newer than 1"):
        await newer.open()


async def test_several_nodes_may_start_at_once(secantus, database):
    nodes = [MongoStore(secantus, database=database) for _ in range(4)]
    await asyncio.gather(*(node.open() for node in nodes))
    await asyncio.gather(*(node.users.add(User(id=str(number))) for number, node in enumerate(nodes)))
    assert (await nodes[0].heads()).changes == 4
    for node in nodes:
        await node.close()


async def test_a_cancelled_write_runs_to_its_end(store):
    adding = asyncio.create_task(store.users.add(User(id="a")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    await store.close()
    await store.open()
    assert await store.users.get("a") == User(id="a", rev=1)


async def test_a_cancelled_write_that_fails_says_nothing_to_nobody(store, caplog):
    await store.users.add(User(id="a"))
    adding = asyncio.create_task(store.users.add(User(id="a")))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    await store.close()
    assert "never retrieved" not in caplog.text


SECRET = "pa55-w0rd"
UNREACHABLE = f"mongodb://admin:{SECRET}@127.0.0.1:9/?timeoutMS=300"


async def told_of_failure(store) -> str:
    """Everything that a failed start lets out."""
    with pytest.raises(Unavailable) as refused:
        await store.open()
    return "".join(traceback.format_exception(refused.value)) + repr(store) + str(refused.value)


# The driver lets go of a socket that was still connecting when the client was closed; it must not tell so later.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_no_error_no_log_and_no_repr_shows_the_uri(caplog):
    caplog.set_level(logging.INFO)
    store = open_store(UNREACHABLE)
    seen = await told_of_failure(store) + await told_of_failure(store) + caplog.text
    gc.collect()
    assert SECRET not in seen
    assert "127.0.0.1" not in seen


async def test_the_log_of_the_driver_shows_nothing_of_what_is_stored(secantus, database, caplog):
    caplog.set_level(logging.DEBUG)
    store = MongoStore(secantus, database=database)
    await store.open()
    await store.users.add(User(id="a", name="canary-of-a-record"))
    await store.close()
    assert "canary-of-a-record" not in caplog.text
    assert "pymongo" not in {record.name.partition(".")[0] for record in caplog.records}


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://admin:{SECRET}@@host/",
        f"mongodb://admin:{SECRET}/x@host/",
        f"mongodb://admin:{SECRET}@host:port/",
        f"mongodb://admin:{SECRET}@",
        f"mongodb://admin:{SECRET}@host/?authMechanism=NONE",
        f"mongodb://admin:{SECRET}@host/?tsl=true",
        f"mongodb://admin:{SECRET}@host/?timeoutMS=soon",
        f"mongodb://admin:{SECRET}@host/?w=0",
        f"mongodb://admin:{SECRET}@host/?w=1",
        f"mongodb://admin:{SECRET}@host/?journal=false",
    ],
)
async def test_an_unusable_uri_is_refused_without_repeating_it(uri):
    with pytest.raises(ValueError) as refused:
        await open_store(uri).open()
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    assert "host" not in str(refused.value)


async def test_options_are_safe_where_the_uri_is_silent():
    client = connect("mongodb://localhost/")
    assert client.write_concern.document == {"w": "majority", "j": True}
    options = client.options
    assert (options.retry_writes, options.timeout, options.server_selection_timeout) == (True, 5.0, 4)
    assert options.pool_options.appname == "ostiary"
    assert options.codec_options.tz_aware
    await client.close()


async def test_options_are_those_of_the_uri_where_it_speaks():
    client = connect("mongodb://localhost/?TimeoutMS=3000&appName=mine&journal=true&maxPoolSize=7&retrywrites=false")
    options = client.options
    assert (options.timeout, options.pool_options.appname, options.pool_options.max_pool_size) == (3.0, "mine", 7)
    assert not options.retry_writes
    await client.close()


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mongodb://localhost/", ()),
        ("mongodb://127.0.0.1:27017,[::1]:27018/", ()),
        ("mongodb://%2Ftmp%2Fmongodb.sock/", ()),
        ("mongodb://db.example.com/", ("not encrypted", "no credentials")),
        ("mongodb://localhost,db.example.com/", ("not encrypted", "no credentials")),
        ("mongodb://localhost.example.com/", ("not encrypted", "no credentials")),
        ("mongodb://u:p@db.example.com/?tls=false", ("not encrypted",)),
        ("mongodb://u:p@db.example.com?ssl=true", ()),
        ("mongodb://db.example.com/?tls=true&authMechanism=MONGODB-X509", ()),
        ("mongodb+srv://u:p@db.example.com/", ()),
        ("mongodb+srv://db.example.com/", ("no credentials",)),
    ],
)
def test_an_open_door_to_the_database_is_told(uri, words):
    found = weaknesses(uri)
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))


@pytest.mark.parametrize("name", ["", "Ostiary", "a.b", "a b", "$x", "a" * 61, "ä"])
def test_a_database_name_that_is_not_portable_is_refused(name):
    with pytest.raises(ValueError, match="a-z, 0-9"):
        MongoStore("mongodb://localhost", database=name)


def test_a_target_names_its_store(tmp_path):
    assert isinstance(open_store(str(tmp_path / "x.db")), SqliteStore)
    assert isinstance(open_store("MongoDB://localhost", database="x"), MongoStore)
    assert isinstance(open_store("mongodb+srv://db.example.com"), MongoStore)
    for target in ("postgres://u:p@h/", "", "://"):
        with pytest.raises(ValueError, match="give a path"):
            open_store(target)
