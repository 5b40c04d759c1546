"""What tests of a node that follows its store need: small policies, a clock, a store that fails, and questions."""

import asyncio
from contextlib import asynccontextmanager

from gateway.errors import Unauthenticated
from gateway.identity import KeyRing
from gateway.manage.policies import apply_policy
from gateway.manage.users import add_user
from gateway.policy.bundle import Bundle
from gateway.policy.rules import read
from gateway.policy.terms import MAIN, Access, Context
from gateway.store.base import Unavailable
from tests.builders import MODEL

RING = KeyRing([("a", b"a" * 32)])
ADA = "user:ada@example.com"


def bundle(rows: str) -> Bundle:
    found = read({"policies/model.conf": MODEL, "policies/rules.csv": rows})
    assert isinstance(found, Bundle), found
    return found


KEEPER = "p, user:root@example.com, main, system, gateway/policy, manage, , allow\n"
LETS_USERS = bundle(KEEPER + "p, role:user, main, self, git/*, write, , allow\n")
LETS_NOBODY = bundle(KEEPER)


class Clock:
    def __init__(self):
        self.now = 1_000

    def __call__(self):
        return self.now


class Between:
    """A store that can be told to fail, to be another one, or to answer otherwise for bundles."""

    def __init__(self, store, **instead):
        self.store = store
        self.down = False
        self.instead = instead

    def __getattr__(self, name):
        if self.down:
            raise Unavailable("it is down")
        return self.instead.get(name) or getattr(self.store, name)


@asynccontextmanager
async def running(follower):
    task = asyncio.create_task(follower.run())
    yield task
    task.cancel()
    await asyncio.wait({task})


async def until(condition, within=5.0):
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)


def allowed(follower, subject=ADA, now=1_000) -> bool:
    access = Access(subject, MAIN, subject, "git/log", "read", Context(env={"now": now}))
    return follower.current.policy.decide((access,)).allowed


def signed_in(follower, issued, now=1_000) -> bool:
    try:
        return bool(follower.current.identities.authenticate(issued.key.reveal(), now))
    except Unauthenticated:
        return False


async def ada(store, **more):
    return await add_user(store, RING, "ada@example.com", author="operator", now=1_000, **more)


async def apply(store, what):
    return await apply_policy(store, what, author="operator", why="test", now=1_000)
