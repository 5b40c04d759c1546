"""A candidate runs beside the live policy, on both stores: followed, compared, told, and never acting."""

import asyncio
import logging

import pytest

from gateway.follower import Follower
from gateway.policy.bundle import Bundle, bundle_hash, encode
from gateway.records import Grant, PolicyHead, ShadowHead
from gateway.shadow import Shadow
from gateway.store.base import Unavailable
from tests.builders import ALL, AMY, RING, Door
from tests.fakes import slack
from tests.policy.builders import ALICE, access, bundle, context
from tests.policy.builders import policy as policy_of

CLOSED = f"{ALL}\np, *, *, *, slack/send, write, args.channel == '#closed', deny"


async def applied(store, rows: str, version: int = 1) -> None:
    name = await put(store, bundle(rows))
    await store.bundles.move_head(version - 1, PolicyHead(version=version, bundle=name, author="x", at=1))


async def put(store, found: Bundle) -> str:
    body = encode(found)
    await store.bundles.put(bundle_hash(body), body)
    return bundle_hash(body)


async def shadowed(store, rows: str | None) -> str:
    name = await put(store, bundle(rows)) if rows is not None else ""
    await store.bundles.set_shadow(ShadowHead(bundle=name, author="x", at=1))
    return name


async def follow(follower: Follower, until) -> None:
    """Poll until the shadow is what the test waits for."""
    async with asyncio.timeout(20):
        while not until():
            await follower.catch_up()
            await asyncio.sleep(0)


@pytest.fixture
async def follower(store):
    await applied(store, ALL)
    follower = Follower(store, RING, poll_s=1)
    await follower.catch_up()
    yield follower
    follower.shadow.stop()


SEND = (access("slack/send", "write", ctx=context(channel="#closed")),)
OPEN = (access("slack/send", "write", ctx=context(channel="#open")),)


async def test_a_candidate_is_followed_and_told_where_it_differs(store, follower):
    live = follower.current.policy
    assert follower.shadow.compare(live, SEND, allowed=True) is None
    name = await shadowed(store, CLOSED)
    await follow(follower, lambda: follower.shadow.bundle == name)
    found = follower.shadow.compare(live, SEND, allowed=True)
    assert (found.bundle, found.allowed, found.reason) == (name, False, "denied")
    assert found.rule == "policies/rules.csv:2"
    assert follower.shadow.compare(live, OPEN, allowed=True) is None
    assert follower.current.policy is live, "it never acts"
    assert live.decide(SEND).allowed


async def test_another_candidate_takes_its_place_and_off_is_off(store, follower):
    await shadowed(store, CLOSED)
    await follow(follower, lambda: follower.shadow.bundle)
    second = await shadowed(store, "")
    await follow(follower, lambda: follower.shadow.bundle == second)
    assert follower.shadow.compare(follower.current.policy, OPEN, allowed=True).reason == "no_rule"
    await shadowed(store, None)
    await follow(follower, lambda: not follower.shadow.bundle)
    assert follower.shadow.compare(follower.current.policy, SEND, allowed=True) is None


async def test_a_candidate_has_the_grants_of_the_policy_it_is_compared_with(store, follower):
    await shadowed(store, f"p, {ALICE}, main, self, slack/send, write, , allow")
    await follow(follower, lambda: follower.shadow.bundle)
    before = follower.current.policy
    lent = ("user:bob@example.com", "main", "self", "slack/send", "write", "", "allow")
    await store.grants.add(Grant(id="g1", kind="p", row=lent, made_by="x"))
    bob = (access("slack/send", "write", subject="user:bob@example.com"),)
    await follow(follower, lambda: follower.current.policy is not before)
    live = follower.current.policy
    await follow(follower, lambda: follower.shadow.compare(live, (access("a/b"),), allowed=True))
    assert follower.shadow.compare(live, bob, allowed=True) is None
    assert follower.shadow.compare(live, bob, allowed=False) is not None
    assert follower.shadow.compare(before, bob, allowed=False) is None, "another version is not compared with"


async def test_a_candidate_that_cannot_be_built_is_told_and_ignored(store, follower, caplog):
    body = b'{"format": 99}'
    await store.bundles.put(bundle_hash(body), body)
    await store.bundles.set_shadow(ShadowHead(bundle=bundle_hash(body), author="x", at=1))
    live = follower.current
    with caplog.at_level(logging.ERROR):
        await follow(follower, lambda: caplog.records)
        for _ in range(3):
            await follower.catch_up()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the shadow cannot be used, and is ignored"
    ]
    assert follower.current.policy is live.policy
    assert not follower.current.stale(follower.current.confirmed_at_ms, 1)
    name = await shadowed(store, CLOSED)
    await follow(follower, lambda: follower.shadow.bundle == name)


async def test_calls_are_answered_by_the_live_policy_and_tell_what_the_candidate_would_have_said(store, follower):
    door = Door(ALL, [chat := slack()], shadow=follower.shadow)
    name = await shadowed(store, CLOSED)
    await follow(follower, lambda: follower.shadow.bundle)
    door.apply(ALL, version=follower.current.policy.version)
    await door.use(AMY, "slack__send", channel="#closed", text="x")
    await door.use(AMY, "slack__send", channel="#open", text="x")
    await door.tools(AMY)
    assert len(chat.sent) == 2
    first, second, listing = door.entries
    assert (first.outcome, first.allowed) == ("ok", True)
    assert (first.shadow.bundle, first.shadow.allowed, first.shadow.rule) == (name, False, "policies/rules.csv:2")
    assert second.shadow is None
    assert listing.shadow is None


class Failing:
    """A store whose bundles fail in the way that the test says."""

    def __init__(self, failure: Exception, body: bytes = b"") -> None:
        self.bundles = self
        self.failure: Exception | None = failure
        self.body = body

    async def shadow(self) -> ShadowHead:
        if self.failure is not None:
            raise self.failure
        return ShadowHead(mark=1, bundle=bundle_hash(self.body), author="x", at=1)

    async def get(self, _: str) -> bytes:
        return self.body


async def looked(shadow: Shadow, live) -> None:
    for _ in range(2):  # the first look finds out, the second has the grants
        shadow.look(1, live)
        async with asyncio.timeout(10):
            while shadow._following is not None:
                await asyncio.sleep(0)


async def test_a_store_that_does_not_answer_is_asked_again_and_told_once(caplog):
    store, live = Failing(Unavailable("down"), encode(bundle(CLOSED))), policy_of(ALL)
    shadow = Shadow(store, lambda _: policy_of(CLOSED))
    for _ in range(3):
        await looked(shadow, live)
    assert [record.getMessage() for record in caplog.records] == ["the shadow cannot be fetched: down"]
    store.failure = None
    await looked(shadow, live)
    assert shadow.compare(live, SEND, allowed=True) is not None


async def test_a_fault_in_it_is_told_once_and_ends_it_alone(caplog):
    live = policy_of(ALL)
    shadow = Shadow(Failing(RuntimeError("a mistake")), lambda _: policy_of(CLOSED))
    for _ in range(3):
        await looked(shadow, live)
    assert [record.getMessage() for record in caplog.records] == ["the shadow failed, and is ignored"]
    assert shadow.compare(live, SEND, allowed=True) is None


async def test_it_can_be_stopped_while_it_is_followed():
    shadow = Shadow(Failing(Unavailable("down")), lambda _: policy_of(CLOSED))
    shadow.stop()
    shadow.look(1, policy_of(ALL))
    task = shadow._following
    shadow.look(1, policy_of(ALL))
    assert shadow._following is task, "one at a time"
    shadow.stop()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert shadow._following is None
