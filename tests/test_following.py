"""What a node says of itself: whether it is ready and why not, how far it has followed, and whom it trusts."""

import asyncio
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.follower import Follower
from gateway.manage.policies import apply_policy, rollback
from gateway.manage.users import withdraw_role
from gateway.policy.bundle import bundle_hash, encode
from gateway.policy.signature import TrustedKey, public_text, read_public, sign
from gateway.policy.terms import Reason
from gateway.records import PolicyHead
from gateway.store.base import Unavailable
from tests.following import (
    LETS_NOBODY,
    LETS_USERS,
    RING,
    Between,
    Clock,
    ada,
    allowed,
    apply,
    running,
    until,
)

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([each]) * 32) for each in (1, 2))
TRUSTED = [TrustedKey("ann", read_public(public_text(KEY)))]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def follower(store, clock):
    return Follower(store, RING, poll_s=0.01, stale_after_ms=500, clock=clock)


async def signed(store, what, key=KEY):
    signature = sign(key, bundle_hash(encode(what)))
    return await apply_policy(store, what, author="operator", why="test", now=1_000, signature=signature)


# -- ready


async def test_a_node_is_ready_once_it_has_a_policy_that_the_store_confirms(follower, store, clock):
    before = follower.readiness(clock.now)
    assert (before.ready, before.reasons) == (
        False,
        ("no policy is in force, so everything is denied", "the policy was not confirmed since the start"),
    )
    await follower.catch_up()
    denying = follower.readiness(clock.now)
    assert (denying.ready, denying.reasons) == (False, ("no policy is in force, so everything is denied",))
    await apply(store, LETS_USERS)
    await follower.catch_up()
    after = follower.readiness(clock.now)
    assert (after.ready, after.version, after.reasons) == (True, "1.0", ())


async def test_a_node_without_its_store_is_ready_until_its_policy_is_stale(store, clock):
    faulty = Between(store)
    follower = Follower(faulty, RING, poll_s=0.01, stale_after_ms=500, clock=clock)
    await apply(store, LETS_USERS)
    await follower.catch_up()
    faulty.down = True
    async with running(follower):
        await until(lambda: follower.readiness(clock.now).reasons)
        assert follower.readiness(clock.now).ready
        assert follower.readiness(clock.now).reasons == ("the store does not answer: it is down",)
        clock.now = 3_501
        assert follower.readiness(clock.now).reasons[1] == "the policy was not confirmed for 2 seconds"
        assert not follower.readiness(clock.now).ready
        faulty.down = False
        await until(lambda: follower.readiness(clock.now).ready)
        assert follower.readiness(clock.now).reasons == ()


async def test_a_node_names_the_policy_that_it_cannot_use_and_why(follower, store, clock, caplog):
    await apply(store, LETS_USERS)
    await follower.catch_up()
    body = b'{"format":99,"bundle":{}}'
    await store.bundles.put(bundle_hash(body), body)
    await store.bundles.move_head(1, PolicyHead(version=2, bundle=bundle_hash(body), author="x", at=1))
    await follower.catch_up()
    found = follower.readiness(clock.now)
    assert (found.ready, found.version) == (True, "1.0")
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith("policy 2 cannot be used: ")
    clock.now = 2_000
    await follower.catch_up()
    assert not follower.readiness(clock.now).ready
    await apply_policy(store, LETS_NOBODY, author="operator", why="", now=1, expected=2)
    await follower.catch_up()
    assert follower.readiness(clock.now).reasons == ()
    assert follower.readiness(clock.now).ready


async def test_a_store_that_came_back_is_no_longer_the_reason(store, clock, caplog):
    faulty = Between(store)
    follower = Follower(faulty, RING, poll_s=0.01, trusted=TRUSTED, clock=clock)
    await apply(store, LETS_USERS)
    await follower.catch_up()
    faulty.down = True
    async with running(follower):
        await until(lambda: len(follower.readiness(clock.now).reasons) > 2)
        faulty.down = False
        await until(lambda: len(follower.readiness(clock.now).reasons) == 2)
    assert "policy 1 cannot be used: it is not signed" in follower.readiness(clock.now).reasons[1]


# -- at least


async def test_a_version_that_is_followed_already_needs_no_look_at_the_store(store, clock):
    faulty = Between(store)
    follower = Follower(faulty, RING, poll_s=60, clock=clock)
    await apply(store, LETS_USERS)
    await ada(store, roles=["user"])
    await follower.catch_up()
    seq = (await store.heads()).changes
    faulty.down = True
    for version in ("0", "1", "1.0", f"1.{seq}", f"0.{seq}"):
        assert await follower.at_least(version, 0)
    for version in ("2", f"1.{seq + 1}", "2.0"):
        assert not await follower.at_least(version, 5)


async def test_a_node_that_is_behind_catches_up_with_what_is_asked_for(store, clock):
    follower = Follower(store, RING, poll_s=60, clock=clock)
    await follower.catch_up()
    await apply(store, LETS_USERS)
    assert await follower.at_least("1", 5)
    assert follower.current.policy.version == "1.0"
    await ada(store, roles=["user"])
    assert await follower.at_least(f"1.{(await store.heads()).changes}", 5)
    assert allowed(follower)
    await withdraw_role(store, "ada@example.com", "user")
    seq = (await store.heads()).changes
    assert await follower.at_least(f"1.{seq}", 5)
    assert not allowed(follower)


async def test_a_version_that_does_not_come_is_waited_for_no_longer_than_said(store, clock):
    follower = Follower(store, RING, poll_s=60, clock=clock)
    began = time.monotonic()
    assert not await follower.at_least("1", 0.05)
    assert time.monotonic() - began < 2


async def test_who_waits_for_a_version_is_woken_when_it_comes(store, clock):
    follower = Follower(store, RING, poll_s=0.01, clock=clock)
    await follower.catch_up()
    waiting = [asyncio.create_task(follower.at_least("2", 10)) for _ in range(3)]
    async with running(follower):
        await apply(store, LETS_USERS)
        await until(lambda: follower.current.policy.version == "1.0")
        assert not any(task.done() for task in waiting)
        await apply(store, LETS_NOBODY)
        async with asyncio.timeout(5):
            assert await asyncio.gather(*waiting) == [True] * 3


async def test_a_store_that_does_not_answer_is_no_version(store, clock):
    faulty = Between(store)
    follower = Follower(faulty, RING, poll_s=60, clock=clock)
    faulty.down = True
    assert not await follower.at_least("1", 5)
    with pytest.raises(Unavailable):
        await follower.catch_up()


@pytest.mark.parametrize("version", ["", "x", "1.", ".1", "1.2.3", "-1", "1 ", "١", "9" * 19])
async def test_what_is_no_version_is_refused(follower, version):
    with pytest.raises(ValueError, match=r"is not a policy version such as `12` or `12\.345`"):
        await follower.at_least(version, 1)


# -- trusted


async def test_with_a_trusted_key_only_what_it_signed_is_followed(store, clock, caplog):
    follower = Follower(store, RING, poll_s=0.01, stale_after_ms=500, trusted=TRUSTED, clock=clock)
    await ada(store, roles=["user"])
    await signed(store, LETS_USERS)
    await follower.catch_up()
    assert allowed(follower)
    await apply(store, LETS_NOBODY)
    clock.now = 1_600
    for _ in range(3):
        await follower.catch_up()
    assert allowed(follower), "the last good policy stays, until it is stale"
    assert follower.current.confirmed_at_ms == 1_000
    assert not follower.readiness(clock.now).ready
    assert len([line for line in caplog.messages if line.startswith("policy 2 cannot be used")]) == 1
    await signed(store, LETS_NOBODY)
    await follower.catch_up()
    assert not allowed(follower)
    assert follower.readiness(clock.now).ready


@pytest.mark.parametrize("fault", ["unsigned", "another key", "another bundle"])
async def test_a_node_that_never_had_a_trusted_policy_denies_everything(store, clock, fault, caplog):
    follower = Follower(store, RING, poll_s=0.01, trusted=TRUSTED, clock=clock)
    await ada(store, roles=["user"])
    body = encode(LETS_USERS)
    await store.bundles.put(bundle_hash(body), body)
    signature = {
        "unsigned": "",
        "another key": sign(OTHER, bundle_hash(body)),
        "another bundle": sign(KEY, bundle_hash(encode(LETS_NOBODY))),
    }[fault]
    head = PolicyHead(version=1, bundle=bundle_hash(body), author="x", at=1, signature=signature)
    await store.bundles.move_head(0, head)
    await follower.catch_up()
    assert not allowed(follower)
    assert follower.current.policy.decide(()).reason in (Reason.NO_POLICY, Reason.FAULT)
    assert follower.current.stale(clock.now, 500)


async def test_a_policy_that_came_back_keeps_its_signature(store, clock):
    follower = Follower(store, RING, poll_s=0.01, trusted=TRUSTED, clock=clock)
    await ada(store, roles=["user"])
    await signed(store, LETS_USERS)
    await signed(store, LETS_NOBODY)
    await rollback(store, 1, author="operator", why="x", now=1, trusted=TRUSTED)
    await follower.catch_up()
    assert follower.current.policy.version.startswith("3.")
    assert allowed(follower)


async def test_many_demands_cost_the_store_one_look(store, clock, monkeypatch):
    follower = Follower(store, RING, poll_s=60, clock=clock)
    looks = 0
    heads = store.heads

    async def counted():
        nonlocal looks
        looks += 1
        return await heads()

    monkeypatch.setattr(store, "heads", counted)
    assert await asyncio.gather(*(follower.at_least("999", 0.3) for _ in range(200))) == [False] * 200
    assert looks == 1
