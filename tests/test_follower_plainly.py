"""A node whose index was wrong decides by the plain loop, in this and every later snapshot."""

from gateway.follower import Follower
from gateway.manage.policies import apply_policy
from gateway.policy.finding import PlainFinder
from gateway.policy.rules import read
from gateway.policy.terms import Access, Context
from gateway.records import Grant
from tests.builders import MODEL, RING

KEEPER = "p, user:root@example.com, main, system, gateway/policy, manage, , allow\n"
ADA = "user:ada@example.com"


def bundle(rows: str):
    return read({"policies/model.conf": MODEL, "policies/rules.csv": KEEPER + rows})


def may(follower: Follower, name: str) -> bool:
    question = Access(ADA, "main", ADA, name, "write", Context(env={"now": 1}))
    return follower.current.policy.decide((question,)).allowed


def plain(follower: Follower) -> bool:
    return isinstance(follower.current.policy._finder, PlainFinder)


async def test_every_snapshot_from_then_on_decides_by_the_plain_loop_and_readiness_tells(store):
    await apply_policy(store, bundle(f"p, {ADA}, main, self, a/*, write, , allow\n"), author="x", why="x", now=1)
    follower = Follower(store, RING, poll_s=1, clock=lambda: 1_000)
    await follower.catch_up()
    heard = []
    follower.on_swap(heard.append)
    assert not plain(follower)
    assert follower.readiness(1_000).reasons == ()
    version = follower.current.policy.version
    follower.decide_plainly()
    assert plain(follower)
    assert follower.current.policy.version == version
    assert heard == [follower.current]
    assert (may(follower, "a/x"), may(follower, "b/x")) == (True, False)
    ready = follower.readiness(1_000)
    assert ready.ready
    assert "Casbin's plain loop decides" in ready.reasons[0]
    row = (ADA, "main", "self", "b/*", "write", "", "allow")
    await store.grants.add(Grant(id="g1", kind="p", row=row, made_by="x"))
    await follower.catch_up()
    assert (plain(follower), may(follower, "b/x")) == (True, True)
    await apply_policy(store, bundle(""), author="x", why="x", now=1)
    await follower.catch_up()
    assert (plain(follower), may(follower, "a/x"), may(follower, "b/x")) == (True, False, True)
