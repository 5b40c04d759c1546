"""What both stores promise about what is only ever added to: bundles, the head, the audit trail."""

import asyncio
import hashlib
import random

import pytest

from gateway.audit import AuditEntry
from gateway.records import PolicyHead
from gateway.store.base import Conflict, Heads, NotFound


def hash_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def head(version: int, bundle: bytes = b"policy", **fields) -> PolicyHead:
    return PolicyHead(version=version, bundle=hash_of(bundle), author="user:a@example.com", at=version, **fields)


def entry(number: int, **fields) -> AuditEntry:
    return AuditEntry(id=f"{number:08}", at=number, **fields)


@pytest.mark.parametrize("size", [0, 1, 512 * 1024, 2 * 1024 * 1024 + 1, 17 * 1024 * 1024])  # MongoDB ends at 16
async def test_a_bundle_comes_back_byte_for_byte(store, size):
    body = random.Random(size).randbytes(size)
    await store.bundles.put(hash_of(body), body)
    await store.bundles.put(hash_of(body), body)
    assert await store.bundles.get(hash_of(body)) == body


async def test_a_bundle_under_a_foreign_hash_is_refused(store):
    with pytest.raises(ValueError, match="is not the hash"):
        await store.bundles.put(hash_of(b"other"), b"policy")
    for absent in (hash_of(b"other"), hash_of(b"policy"), "", "\x00", "$gt"):
        with pytest.raises(NotFound):
            await store.bundles.get(absent)


async def test_bundles_that_share_pieces_do_not_disturb_each_other(store):
    same = random.Random(1).randbytes(512 * 1024)
    bodies = [same, same + same, same + b"x", same + same + b"x"]
    await asyncio.gather(*(store.bundles.put(hash_of(body), body) for body in bodies))
    for body in bodies:
        assert await store.bundles.get(hash_of(body)) == body


async def test_the_head_moves_version_by_version(store):
    assert await store.bundles.head() is None
    assert list(await store.bundles.history()) == []
    await store.bundles.put(hash_of(b"policy"), b"policy")
    for version in range(1, 5):
        await store.bundles.move_head(version - 1, head(version, why="wegen „ü“"))
        assert await store.bundles.head() == head(version, why="wegen „ü“")
        assert await store.heads() == Heads(policy=version, changes=0)
    assert [each.version for each in await store.bundles.history()] == [4, 3, 2, 1]
    assert [each.version for each in await store.bundles.history(limit=2)] == [4, 3]


async def test_the_head_never_moves_from_elsewhere(store):
    await store.bundles.put(hash_of(b"policy"), b"policy")
    await store.bundles.move_head(0, head(1))
    await store.bundles.move_head(1, head(2))
    for expected in (0, 1, 3, 7):
        with pytest.raises(Conflict, match=f"at version 2, not at {expected}"):
            await store.bundles.move_head(expected, head(expected + 1))
    for expected, version in ((2, 2), (2, 4), (-1, 0)):
        with pytest.raises(ValueError, match="does not follow"):
            await store.bundles.move_head(expected, head(version))
    assert (await store.bundles.head()).version == 2


async def test_the_head_never_points_at_nothing(store):
    with pytest.raises(NotFound, match="put it first"):
        await store.bundles.move_head(0, head(1, b"never put"))
    assert await store.bundles.head() is None
    assert (await store.heads()).policy == 0


async def test_of_many_movers_one_wins_each_version(opened):
    stores = [await opened(), await opened()]
    await stores[0].bundles.put(hash_of(b"policy"), b"policy")

    async def publish(store, author):
        while True:
            current = (await store.heads()).policy
            move = PolicyHead(version=current + 1, bundle=hash_of(b"policy"), author=author, at=0)
            try:
                await store.bundles.move_head(current, move)
            except Conflict:
                await asyncio.sleep(random.random() / 20)
                continue
            return move

    won = await asyncio.gather(*(publish(stores[number % 2], str(number)) for number in range(12)))
    assert sorted(move.version for move in won) == list(range(1, 13))
    assert list(await stores[1].bundles.history()) == sorted(won, key=lambda move: -move.version)


async def test_an_entry_comes_back_with_all_its_fields(store):
    full = AuditEntry(
        id="1", at=2**41, node="n", subject="user:ä", allowed=False, reason="denied", took=1.25, error="\x00",
        arguments={"/a.b": "1", "$where": '"x"', "": "null", "/ü/~1": "{}"}, hashed={"$set": "h", "a.b.c": "h"},
    )  # fmt: skip
    await store.audit.append([full, entry(2, allowed=True), entry(3, allowed=None)])
    assert list(await store.audit.scan()) == [entry(2, allowed=True), entry(3, allowed=None), full]


async def test_an_entry_that_is_there_is_left_as_it_is(store):
    await store.audit.append([entry(1, reason="first")])
    await store.audit.append([entry(2), entry(1, reason="second"), entry(3), entry(3, reason="twice"), entry(2)])
    await asyncio.gather(*(store.audit.append([entry(1, reason="third"), entry(4)]) for _ in range(5)))
    await store.audit.append([])
    assert list(await store.audit.scan()) == [entry(1, reason="first"), entry(2), entry(3), entry(4)]


async def test_one_entry_that_cannot_be_kept_keeps_out_its_whole_batch(store):
    with pytest.raises(ValueError):
        await store.audit.append([entry(1), entry(2, error="\ud800")])
    assert list(await store.audit.scan()) == []


async def test_entries_are_read_page_by_page_both_ways(store):
    entries = [entry(number, subject=f"user:{number % 3}") for number in range(20)]
    await store.audit.append(random.Random(3).sample(entries, len(entries)))
    for newest in (False, True):
        expected = entries[::-1] if newest else entries
        for subject in ("", "user:1"):
            wanted = [each for each in expected if not subject or each.subject == subject]
            seen: list[AuditEntry] = []
            while page := await store.audit.scan(seen[-1].id if seen else "", 4, subject=subject, newest=newest):
                assert len(page) <= 4
                seen += page
            assert seen == wanted
    assert list(await store.audit.scan(subject="user:%")) == []


async def test_old_entries_are_purged_and_counted(store):
    await store.audit.append([entry(number) for number in range(30)])
    assert await store.audit.purge(0) == 0
    assert await store.audit.purge(10) == 10
    assert await store.audit.purge(10) == 0
    assert [each.at for each in await store.audit.scan()] == list(range(10, 30))


async def test_a_purge_of_more_than_one_portion_removes_everything_old(store):
    entries = [AuditEntry(id=f"{number:08}", at=number // 50) for number in range(600)]
    await store.audit.append(entries)
    assert await store.audit.purge(11) == 550
    assert list(await store.audit.scan(limit=1_000)) == entries[550:]
