"""Questions asked while the policy is being replaced: each answer is right for the version that it names."""

import asyncio
import sys
import threading
from contextlib import suppress
from random import Random

import pytest
from msgspec.structs import replace

from gateway.follower import Follower
from gateway.manage.policies import LockedOut, apply_policy, rollback
from gateway.policy.engine import Policy
from gateway.policy.terms import Effect, Place, Rule
from gateway.records import Grant
from gateway.store.opening import open_store
from tests.following import RING
from tests.policy.builders import NOW
from tests.policy.pools import ARGUMENTS
from tests.policy.worlds import TALK, WORLD, World, row_values, talk_of, world_of

KEEPER = Rule(
    "user:root@example.com", "main", "system", "gateway/policy", "manage", "", Effect.ALLOW, Place("keeper.csv")
)


def some_world(random: Random) -> World:
    world = world_of(random.randbytes(WORLD)).for_files()
    return World((KEEPER, *world.rules), world.links)


def together(bundle: World, grants: World) -> World:
    return World(bundle.rules + grants.rules, bundle.links + grants.links)


class Asking:
    """Questions, and what was answered to them by which version."""

    def __init__(self, random: Random, worlds) -> None:
        known = [access for world in worlds for access in talk_of(random.randbytes(TALK), world)]
        listed = [replace(each, context=replace(each.context, args=None)) for each in known[::5]]
        self.questions = known + listed
        self.answers = set()
        self.closed = False

    def ask(self, policy: Policy, random: Random) -> None:
        at = random.randrange(len(self.questions))
        access = self.questions[at]
        if access.context.args is None:
            self.answers.add((policy.version, at, policy.possible((access,))))
        else:
            decision = policy.decide((access,))
            self.answers.add((decision.version, at, decision.allowed))

    def check(self, means) -> None:
        """All answers, by the worlds that the versions stand for."""
        for version, at, answer in self.answers:
            access, world = self.questions[at], means(version)
            if access.context.args is None:
                assert answer == world.allows_some_call((access,), ARGUMENTS), (version, access)
            else:
                assert answer == world.allows(access), (version, access)


@pytest.fixture
def busy_threads():
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


class Desk:
    """Where the current policy lies for everybody."""

    def __init__(self, policy: Policy) -> None:
        self.current = policy
        self.closed = False
        self.used = threading.Condition()
        self.versions = set()

    def ask_until_closed(self, asking: Asking, random: Random) -> None:
        held = self.current
        while not self.closed:
            held = random.choice((self.current, self.current, held))
            asking.ask(held, random)
            if held.version not in self.versions:
                with self.used:
                    self.versions.add(held.version)
                    self.used.notify_all()

    def swap(self, policy: Policy) -> None:
        """Put it there, and wait until somebody has used it."""
        self.current = policy
        with self.used:
            assert self.used.wait_for(lambda: policy.version in self.versions, timeout=30)


@pytest.mark.usefixtures("busy_threads")
@pytest.mark.parametrize("seed", ["a", "b"])
def test_threads_that_ask_during_swaps_get_the_answers_of_the_version_they_name(seed):
    random = Random(seed)
    bundles, grants = ([some_world(random) for _ in range(4)] for _ in range(2))
    asking = Asking(random, (*bundles, *grants))
    bundle, means = bundles[0], {"0": bundles[0]}
    desk = Desk(bundle.policy(version="0"))
    askers = [threading.Thread(target=desk.ask_until_closed, args=(asking, Random(f"{seed}{at}"))) for at in range(3)]
    for each in askers:
        each.start()
    try:
        for number in range(1, 60):
            granted, version = random.choice(grants), f"{number}"
            rows = (*granted.rules, *granted.links)
            if number % 3:
                policy = desk.current.with_grants(rows, version)
            else:
                bundle = random.choice(bundles)
                policy = Policy.build(bundle.bundle(), rows, version)
            means[version] = together(bundle, granted)
            desk.swap(policy)
    finally:
        desk.closed = True
        for each in askers:
            each.join(timeout=30)
    asking.check(means.__getitem__)
    assert {version for version, _, _ in asking.answers} >= set(means) - {"0"}


class Writer:
    """Changes the policy in a store, and knows what each head and each count of changes stands for."""

    def __init__(self, store, random: Random) -> None:
        self.store, self.random = store, random
        self.heads, self.seqs = {0: World((), ())}, {0: World((), ())}
        self.granted = {}

    def means(self, version: str) -> World:
        head, _, seq = version.partition(".")
        return together(self.heads[int(head)], self.seqs[int(seq)]) if int(head) else self.heads[0]

    async def apply(self) -> None:
        world = some_world(self.random)
        with suppress(LockedOut):
            head = await apply_policy(self.store, world.bundle(), author="test", why="test", now=NOW - 1)
            self.heads[head.version] = world

    async def go_back(self) -> None:
        earlier = self.random.randrange(1, max(self.heads) + 1)
        with suppress(LockedOut):
            head = await rollback(self.store, earlier, author="test", why="test", now=NOW - 1)
            self.heads[head.version] = self.heads[earlier]

    async def grant(self) -> None:
        world = some_world(self.random)
        row = self.random.choice((*world.rules, *world.links))
        id = f"g{len(self.seqs)}"
        await self.store.grants.add(Grant(id=id, kind="x", row=row_values(row), made_by="x", expires_at=row.expires))
        self.granted[id] = row
        await self._count()

    async def withdraw(self) -> None:
        if self.granted:
            id = self.random.choice(sorted(self.granted))
            await self.store.grants.remove(id)
            del self.granted[id]
            await self._count()

    async def _count(self) -> None:
        rows = self.granted.values()
        rules, links = (tuple(row for row in rows if isinstance(row, Rule) is kind) for kind in (True, False))
        self.seqs[(await self.store.heads()).changes] = World(rules, links)


async def test_calls_that_ask_while_the_store_is_followed_get_the_answers_of_the_version_they_name(tmp_path):
    random = Random("followed")
    store = open_store(str(tmp_path / "store.db"))
    await store.open()
    writer = Writer(store, random)
    follower = Follower(store, RING, poll_s=0.005, clock=lambda: NOW - 1)
    asking = Asking(random, [some_world(random) for _ in range(4)])

    async def ask_until_closed(random: Random) -> None:
        held = follower.current.policy
        while not asking.closed:
            held = random.choice((follower.current.policy, follower.current.policy, held))
            asking.ask(held, random)
            await asyncio.sleep(0)

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follower.run())
        for at in range(3):
            tasks.create_task(ask_until_closed(Random(f"{at}")))
        await writer.apply()
        for step in random.choices((writer.apply, writer.go_back, writer.grant, writer.grant, writer.withdraw), k=40):
            await step()
            if random.random() < 0.7:
                await follower.catch_up()
        await follower.catch_up()
        asking.closed = True
        following.cancel()
    await store.close()
    asking.check(writer.means)
    assert follower.current.policy.version == f"{max(writer.heads)}.{max(writer.seqs)}"
    assert len({version for version, _, _ in asking.answers}) > 15
