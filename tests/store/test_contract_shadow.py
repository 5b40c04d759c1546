"""What both stores promise about the policy that runs beside the one in force."""

import hashlib
import sqlite3
from contextlib import closing

import pytest

from gateway.records import ShadowHead
from gateway.store.base import Heads, NotFound
from gateway.store.sqlite import SqliteStore

BODY = b"a bundle"
NAME = hashlib.sha256(BODY).hexdigest()
ON = ShadowHead(bundle=NAME, author="operator", at=7, why="a try")


async def test_there_is_no_shadow_at_first(store):
    assert await store.bundles.shadow() is None
    assert (await store.heads()).shadow == 0


async def test_a_shadow_is_kept_as_it_was_set_and_each_setting_moves_the_mark(opened):
    first, second = await opened(), await opened()
    await first.bundles.put(NAME, BODY)
    kept = await first.bundles.set_shadow(ON)
    assert (kept.mark, kept.bundle, kept.author, kept.at, kept.why) == (1, NAME, "operator", 7, "a try")
    assert await second.bundles.shadow() == kept
    assert await second.heads() == Heads(policy=0, changes=0, shadow=1)
    assert (await second.bundles.set_shadow(ON)).mark == 2
    off = await second.bundles.set_shadow(ShadowHead(author="operator", at=8))
    assert (off.mark, off.bundle) == (3, "")
    assert await first.bundles.shadow() == off
    assert (await first.heads()).shadow == 3


async def test_a_shadow_needs_a_bundle_that_is_there(store):
    with pytest.raises(NotFound, match="put it first"):
        await store.bundles.set_shadow(ON)
    assert await store.bundles.shadow() is None


async def test_a_shadow_moves_neither_the_policy_nor_the_tickets(store):
    await store.bundles.put(NAME, BODY)
    await store.bundles.set_shadow(ON)
    assert await store.bundles.head() is None
    assert await store.heads() == Heads(policy=0, changes=0, shadow=1)
    assert (await store.changes(0)).seq == 0


async def test_a_database_file_from_before_shadows_takes_one(tmp_path):
    path = tmp_path / "store" / "ostiary.db"
    store = SqliteStore(path)
    await store.open()
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE shadow")
    again = SqliteStore(path)
    await again.open()
    try:
        await again.bundles.put(NAME, BODY)
        assert (await again.bundles.set_shadow(ON)).mark == 1
    finally:
        await again.close()
