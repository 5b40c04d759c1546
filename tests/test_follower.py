"""The snapshot that calls read: how fast it follows, what it keeps, when it is stale."""

import asyncio
import logging
from dataclasses import replace

import pytest

from gateway.follower import Follower
from gateway.manage.policies import apply_policy
from gateway.manage.users import delete_user, give_role, reset_key, withdraw_role
from gateway.policy.bundle import bundle_hash
from gateway.policy.terms import MAIN, Access, Reason
from gateway.records import ApiKey, Grant, Pins, PolicyHead
from gateway.store.base import Changes, Unavailable
from gateway.store.opening import open_store
from tests.following import (
    ADA,
    LETS_NOBODY,
    LETS_USERS,
    RING,
    Between,
    Clock,
    ada,
    allowed,
    apply,
    running,
    signed_in,
    until,
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def follower(store, clock):
    return Follower(store, RING, poll_s=0.01, clock=clock)


# -- what it follows


async def test_before_the_first_policy_everything_is_denied(follower, store):
    await ada(store, roles=["user"])
    await follower.catch_up()
    access = Access(ADA, MAIN, ADA, "git/log", "read")
    assert follower.current.policy.decide((access,)).reason is Reason.NO_POLICY


async def test_a_local_write_binds_as_soon_as_it_was_caught_up_with(follower, store):
    old = await ada(store, roles=["user"])
    await apply(store, LETS_USERS)
    await follower.catch_up()
    assert signed_in(follower, old)
    assert allowed(follower)
    new = await reset_key(store, RING, "ada@example.com", now=1_001)
    await follower.catch_up()
    assert not signed_in(follower, old)
    assert signed_in(follower, new)
    await withdraw_role(store, "ada@example.com", "user")
    await follower.catch_up()
    assert not allowed(follower)
    await give_role(store, "ada@example.com", "user", author="operator", now=1_000)
    await follower.catch_up()
    assert allowed(follower)
    await apply(store, LETS_NOBODY)
    await follower.catch_up()
    assert not allowed(follower)
    await delete_user(store, "ada@example.com")
    await follower.catch_up()
    assert not signed_in(follower, new)


async def test_a_write_of_another_process_binds_by_polling_within_a_second(store, tmp_path):
    follower = Follower(store, RING, poll_s=0.5)
    await follower.catch_up()
    other = open_store(str(tmp_path / "store.db"))
    await other.open()
    async with running(follower):
        issued = await ada(other, roles=["user"])
        await apply(other, LETS_USERS)
        await until(lambda: signed_in(follower, issued) and allowed(follower), within=1)
        await delete_user(other, "ada@example.com")
        await until(lambda: not signed_in(follower, issued), within=1)
    await other.close()


async def test_the_version_names_the_head_and_the_last_change(follower, store):
    await apply(store, LETS_USERS)
    await ada(store, roles=["user"])
    await follower.catch_up()
    seq = (await store.heads()).changes
    assert follower.current.policy.version == f"1.{seq}"
    await apply(store, LETS_NOBODY)
    await follower.catch_up()
    assert follower.current.policy.version == f"2.{seq}"


async def test_who_read_a_snapshot_keeps_it_whole(follower, store):
    issued = await ada(store, roles=["user"])
    await apply(store, LETS_USERS)
    await follower.catch_up()
    before = follower.current
    await delete_user(store, "ada@example.com")
    await follower.catch_up()
    assert before.identities.authenticate(issued.key.reveal(), 1_000)
    assert before is not follower.current


async def test_listeners_hear_of_changes_and_of_nothing_else(follower, store, clock):
    heard = []
    follower.on_swap(heard.append)
    await follower.catch_up()
    assert heard == []
    await ada(store)
    await follower.catch_up()
    assert heard == [follower.current]
    for _ in range(3):
        await follower.catch_up()
    assert len(heard) == 1
    await apply(store, LETS_USERS)
    await follower.catch_up()
    assert len(heard) == 2
    assert heard[-1].policy is follower.current.policy


async def test_a_key_that_ends_is_announced_so_that_its_streams_can_be_ended(follower, store, clock):
    issued = await ada(store, expires_at=2_000)
    await follower.catch_up()
    heard = []
    follower.on_swap(heard.append)
    clock.now = 1_999
    await follower.catch_up()
    assert heard == []
    clock.now = 2_000
    await follower.catch_up()
    assert len(heard) == 1
    assert not signed_in(follower, issued, clock.now)
    await follower.catch_up()
    assert len(heard) == 1


async def test_a_grant_that_ended_leaves(follower, store, clock):
    await ada(store)
    await give_role(store, "ada@example.com", "user", author="operator", now=1_000, expires_at=2_000)
    await apply(store, LETS_USERS)
    await follower.catch_up()
    assert allowed(follower)
    assert len(follower.current.policy.links) == 1
    clock.now = 2_000
    await follower.catch_up()
    assert follower.current.policy.links == ()
    assert not allowed(follower, now=2_000)


async def test_a_store_put_back_to_an_earlier_state_is_followed(tmp_path, store, clock):
    between = Between(store)
    follower = Follower(between, RING, poll_s=1, clock=clock)
    await ada(store, roles=["user"])
    await apply(store, LETS_USERS)
    await follower.catch_up()
    empty = open_store(str(tmp_path / "empty.db"))
    await empty.open()
    between.store = empty
    await follower.catch_up()
    assert follower.current.identities.users == {}
    assert follower.current.policy.links == ()
    assert not allowed(follower)
    access = Access(ADA, MAIN, ADA, "git/log", "read")
    assert follower.current.policy.decide((access,)).reason is Reason.NO_POLICY
    await empty.close()


async def test_one_grant_more_leaves_all_that_the_files_said_as_it_is(follower, store, clock):
    await ada(store, roles=["user"])
    await apply(store, LETS_USERS)
    await follower.catch_up()
    before = follower.current.policy
    await give_role(store, "ada@example.com", "other", author="operator", now=1_000, expires_at=3_000)
    await follower.catch_up()
    after = follower.current.policy
    assert after.files is before.files
    assert {link.role for link in after.links} == {"role:user", "role:other"}
    assert {link.role for link in before.links} == {"role:user"}
    clock.now = 3_000
    await follower.catch_up()
    assert {link.role for link in follower.current.policy.links} == {"role:user"}
    await apply(store, LETS_NOBODY)
    await follower.catch_up()
    assert follower.current.policy.files is not before.files
    assert {link.role for link in follower.current.policy.links} == {"role:user"}


async def test_a_grant_that_is_told_again_unchanged_makes_no_new_policy(store, clock):
    await ada(store, roles=["user"])
    whole = await store.changes(0)

    async def told(after):
        return await (store.changes(after) if after == 0 else again(after))

    async def again(after):
        return Changes(seq=after + 1, users=whole.users, keys=whole.keys, grants=whole.grants, whole=True)

    async def heads():
        found = await store.heads()
        return found if follower._seq == 0 else replace(found, changes=follower._seq + 1)

    follower = Follower(Between(store, changes=told, heads=heads), RING, poll_s=1, clock=clock)
    await follower._poll()
    before = follower.current.policy
    assert len(before.links) == 1
    await follower._poll()
    assert follower.current.policy is before


async def test_a_policy_that_is_replaced_is_cleared_away(follower, store):
    await apply(store, LETS_USERS)
    await follower.catch_up()
    contents = follower.current.policy.files.contents
    assert any(contents)
    await apply(store, LETS_NOBODY)
    await follower.catch_up()
    await until(lambda: not any(contents))


# -- what goes wrong


async def test_a_snapshot_is_stale_before_the_first_contact_and_too_long_after_the_last(store, clock, caplog):
    faulty = Between(store)
    follower = Follower(faulty, RING, poll_s=0.01, clock=clock)
    assert follower.current.stale(clock.now, 500)
    await follower.catch_up()
    assert not follower.current.stale(clock.now, 500)
    faulty.down = True
    with pytest.raises(Unavailable):
        await follower.catch_up()
    with caplog.at_level(logging.ERROR):
        async with running(follower) as task:
            await until(lambda: caplog.records)
            clock.now = 1_501
            assert follower.current.stale(clock.now, 500)
            assert follower.current.stale(499, 500), "a clock set back"
            faulty.down = False
            await until(lambda: not follower.current.stale(clock.now, 500))
            assert not task.done()
    assert [record.message for record in caplog.records] == ["the store does not answer: it is down"]


async def test_a_damaged_bundle_leaves_the_last_good_policy_and_is_not_confirmed(
    follower, store, clock, tmp_path, caplog
):
    await ada(store, roles=["user"])
    await apply(store, LETS_USERS)
    await follower.catch_up()
    head = await apply(store, LETS_NOBODY)
    await store.write(
        lambda connection: connection.execute("UPDATE bundles SET body = x'00' WHERE id = ?", (head.bundle,))
    )
    clock.now = 3_000
    await follower.catch_up()
    await follower.catch_up()
    assert allowed(follower)
    assert follower.current.confirmed_at_ms == 1_000
    assert len([record for record in caplog.records if "cannot be fetched" in record.message]) == 1
    await apply(store, LETS_NOBODY)
    await follower.catch_up()
    assert not allowed(follower)
    assert follower.current.confirmed_at_ms == 3_000


async def test_a_bundle_of_a_later_version_is_told_once_and_keeps_the_last_good_policy_until_it_is_stale(
    follower, store, clock, caplog
):
    await ada(store, roles=["user"])
    await apply(store, LETS_USERS)
    await follower.catch_up()
    body = b'{"format":99,"bundle":{}}'
    await store.bundles.put(bundle_hash(body), body)
    await store.bundles.move_head(1, PolicyHead(version=2, bundle=bundle_hash(body), author="x", at=1))
    clock.now = 2_000
    for _ in range(3):
        await follower.catch_up()
    assert follower.current.confirmed_at_ms == 1_000, "the policy that the head names may deny more"
    assert allowed(follower)
    assert follower.current.policy.version.startswith("1.")
    assert len([record for record in caplog.records if "policy 2 cannot be used" in record.message]) == 1
    await apply_policy(store, LETS_NOBODY, author="operator", why="", now=1, expected=2)
    await follower.catch_up()
    assert follower.current.policy.version.startswith("3.")
    assert follower.current.confirmed_at_ms == 2_000


async def test_people_are_followed_while_a_large_policy_is_being_built(store, clock):
    gate, fetched = asyncio.Event(), []

    class Slow:
        head = staticmethod(store.bundles.head)

        @staticmethod
        async def get(name):
            fetched.append(name)
            await gate.wait()
            return await store.bundles.get(name)

    follower = Follower(Between(store, bundles=Slow), RING, poll_s=1, clock=clock)
    await follower.catch_up()
    issued = await ada(store)
    await apply(store, LETS_USERS)
    await follower._poll()
    assert signed_in(follower, issued)
    await give_role(store, "ada@example.com", "user", author="operator", now=1_000)
    clock.now = 1_100
    await follower._poll()
    await until(lambda: fetched)
    assert follower.current.confirmed_at_ms == 1_000, "the policy that the head names is not in force yet"
    gate.set()
    await follower.catch_up()
    assert allowed(follower), "a role given while the policy was built counts"
    assert follower.current.confirmed_at_ms == 1_100
    assert len(fetched) == 1


@pytest.mark.parametrize(
    "row", [("user:bob@example.com", "admin", "*"), ("a", "b"), ("*", "*", "*", "*", "*", "no(", "deny")]
)
async def test_a_grant_that_cannot_be_read_stops_confirmation_until_it_is_gone(follower, store, clock, row):
    await follower.catch_up()
    await store.grants.add(Grant(id="bad", kind="x", row=row, made_by="x"))
    issued = await ada(store)
    clock.now = 2_000
    await follower.catch_up()
    assert signed_in(follower, issued), "people are followed all the same"
    assert follower.current.confirmed_at_ms == 1_000
    await store.grants.remove("bad")
    await follower.catch_up()
    assert follower.current.confirmed_at_ms == 2_000


async def test_a_clock_that_ran_ahead_and_is_set_back_ends_no_grant(follower, store, clock):
    await ada(store)
    await give_role(store, "ada@example.com", "user", author="operator", now=1_000, expires_at=2_000)
    await apply(store, LETS_USERS)
    clock.now = 5_000
    await follower.catch_up()
    assert not allowed(follower, now=5_000)
    clock.now = 1_500
    await follower.catch_up()
    assert allowed(follower, now=1_500)
    clock.now = 2_000
    await follower.catch_up()
    assert follower.current.policy.links == ()


async def test_changes_that_could_not_be_followed_to_their_end_are_followed_again(store, clock):
    issued = await ada(store)
    seq = (await store.heads()).changes

    async def broken(after):
        key = ApiKey(id="k", secret_id="a", user="x", prefix="", expires_at="soon")
        return Changes(seq=seq, keys=(key,), whole=True)

    between = Between(store, changes=broken)
    follower = Follower(between, RING, poll_s=1, clock=clock)
    with pytest.raises(TypeError):
        await follower.catch_up()
    between.instead.clear()
    await follower.catch_up()
    assert signed_in(follower, issued), "a change half followed must not count as seen"


async def test_a_watcher_hears_of_every_look_and_of_what_changed(follower, store):
    looks = []
    follower.on_look(looks.append)
    await store.pins.add(Pins(id="git"))
    await follower.catch_up()
    await follower.catch_up()
    assert [[pins.id for pins in look.pins] if look else None for look in looks] == [["git"], None]


async def test_changes_that_a_watcher_could_not_take_are_told_again(follower, store):
    await ada(store)
    looks = []

    def fails_once(changes):
        looks.append(changes)
        if len(looks) == 1:
            raise RuntimeError("for the test")

    follower.on_look(fails_once)
    with pytest.raises(RuntimeError):
        await follower.catch_up()
    await follower.catch_up()
    assert [len(look.users) for look in looks] == [1, 1]


async def test_stopping_ends_the_polling(follower):
    async with running(follower) as task:
        await until(lambda: follower.current.confirmed_at_ms == 1_000)
    assert task.cancelled()
