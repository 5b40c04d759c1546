"""What followers rely on: no change and no removal is ever missed."""

import asyncio
import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.records import ApiKey, Grant, Pins, User
from gateway.store.base import KEEP_REMOVED_MS, Conflict, NotFound
from gateway.store.mongo_tickets import unbroken_from

DAY = 24 * 3_600_000


class Mirror:
    """A follower: what it believes to be in the store."""

    def __init__(self, store):
        self.store = store
        self.seq = 0
        self.records: dict[tuple[str, str], object] = {}
        self.told = 0

    async def follow(self) -> None:
        if (await self.store.heads()).changes == self.seq:
            return
        changes = await self.store.changes(self.seq)
        if changes.whole:
            self.records.clear()
        told = {"users": changes.users, "keys": changes.keys, "grants": changes.grants, "pins": changes.pins}
        for kind, records in told.items():
            for record in records:
                self.records[kind, record.id] = record
        for removed in changes.removed:
            self.records.pop(removed, None)
        self.seq = changes.seq
        self.told += 1

    async def arrive(self, store) -> None:
        """Follow until there is nothing left to follow."""
        async with asyncio.timeout(20):
            while (await store.heads()).changes != self.seq:
                await self.follow()


async def truth(store) -> dict[tuple[str, str], object]:
    kinds = {"users": store.users, "keys": store.keys, "grants": store.grants, "pins": store.pins}
    return {(kind, each.id): each for kind, records in kinds.items() for each in await records.page(limit=1_000)}


async def test_the_first_reading_tells_everything_there_is(store):
    assert (await store.changes(0)).seq == 0
    user = await store.users.add(User(id="u"))
    key = await store.keys.add(ApiKey(id="k", secret_id="s", user="u", prefix="p"))
    grant = await store.grants.add(Grant(id="g", kind="g", row=("user:u", "role:x", "main"), made_by="user:u"))
    pins = await store.pins.add(Pins(id="git"))
    await store.users.add(User(id="gone"))
    await store.users.remove("gone")
    changes = await store.changes(0)
    assert (changes.users, changes.keys, changes.grants, changes.removed) == ((user,), (key,), (grant,), ())
    assert changes.pins == (pins,)
    assert changes.whole


async def test_later_readings_tell_what_changed_since(store):
    first = await store.users.add(User(id="a"))
    await store.users.add(User(id="b"))
    mirror = Mirror(store)
    await mirror.follow()
    assert mirror.seq == (await store.heads()).changes == 2
    second = await store.users.replace(msgspec.structs.replace(first, name="new"))
    await store.users.remove("b")
    changes = await store.changes(mirror.seq)
    assert (changes.users, changes.removed, changes.whole) == ((second,), (("users", "b"),), False)
    assert changes.seq == 4
    nothing = await store.changes(changes.seq)
    assert (nothing.users, nothing.removed, nothing.seq, nothing.whole) == ((), (), 4, False)


async def test_what_is_removed_and_added_again_is_told_as_there(store):
    await store.users.add(User(id="a", name="old"))
    await store.users.remove("a")
    again = await store.users.add(User(id="a", name="new"))
    changes = await store.changes(1)
    assert (changes.users, changes.removed) == ((again,), ())


async def test_a_ticket_from_the_future_brings_everything(store):
    user = await store.users.add(User(id="a"))
    for after in (2, 100, 2**40):
        changes = await store.changes(after)
        assert (changes.users, changes.whole, changes.seq) == ((user,), True, 1)


async def test_every_store_on_the_database_sees_the_same_tickets(opened):
    first, second = await opened(), await opened()
    await first.users.add(User(id="a"))
    await second.users.add(User(id="b"))
    assert await first.heads() == await second.heads()
    assert (await first.heads()).changes == 2
    assert {user.id for user in (await first.changes(0)).users} == {"a", "b"}


async def test_a_forgotten_removal_makes_the_next_reading_whole(opened):
    now = [100 * DAY]
    early = await opened(now_ms=lambda: now[0])
    await early.users.add(User(id="stays"))
    await early.users.add(User(id="goes"))
    await early.users.remove("goes")
    await early.users.add(User(id="later"))
    now[0] += KEEP_REMOVED_MS
    fresh = await opened(now_ms=lambda: now[0])
    assert (await fresh.changes(2)).removed == (("users", "goes"),)
    now[0] += 1
    for _ in range(2):  # a second start forgets nothing further
        late = await opened(now_ms=lambda: now[0])
        changes = await late.changes(2)
        assert changes.whole
        assert {user.id for user in changes.users} == {"stays", "later"}
    recent = await late.changes(3)
    assert (recent.whole, [user.id for user in recent.users]) == (False, ["later"])


async def test_followers_of_concurrent_writers_miss_nothing(opened):
    """Two stores, six writers, two followers. In MongoDB each ticket settles as soon as it was seen once, which is
    the worst case: readers go past tickets that are still being written, and the writers have to notice."""
    stores = [await opened(settle_after=0.0), await opened(settle_after=0.0)]
    mirrors = [Mirror(store) for store in stores]
    writing = asyncio.Event()

    async def write(number: int) -> None:
        chance, users = random.Random(number), stores[number % 2].users
        for step in range(16):
            if chance.random() < 0.7:  # written once: nothing later would make up for missing it
                await users.add(User(id=f"{number}/{step}"))
                continue
            id = f"u{chance.randrange(4)}"
            known = await users.get(id)
            try:
                if known is None:
                    await users.add(User(id=id, name=f"{number}/{step}"))
                elif chance.random() < 0.4:
                    await users.remove(id)
                else:
                    await users.replace(msgspec.structs.replace(known, name=f"{number}/{step}"))
            except (Conflict, NotFound):
                continue

    async def follow(mirror: Mirror) -> None:
        while not writing.is_set():
            await mirror.follow()
            await asyncio.sleep(0)

    followers = [asyncio.create_task(follow(mirror)) for mirror in mirrors]
    await asyncio.gather(*(write(number) for number in range(6)))
    writing.set()
    await asyncio.gather(*followers)
    for mirror, other in zip(mirrors, reversed(stores), strict=True):
        await mirror.arrive(other)
        assert mirror.records == await truth(other)
        assert mirror.told > 5, "the follower did not follow: the test proves nothing"


@given(start=st.integers(0, 20), found=st.lists(st.integers(1, 40), unique=True))
def test_a_reader_stops_before_the_first_missing_ticket(start, found):
    seq = unbroken_from(start, found)
    assert seq >= start
    assert all(ticket in found for ticket in range(start + 1, seq + 1))
    assert seq + 1 not in found
