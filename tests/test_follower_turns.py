"""Which rows came or went when one policy took the place of another."""

import pytest

from gateway.follower import Follower
from gateway.manage.users import delete_user, give_role, reset_key, withdraw_role
from gateway.policy.turn import Turn
from tests.following import ADA, LETS_NOBODY, LETS_USERS, RING, Clock, ada, apply


class Turns:
    """A follower of a store, and the turns that it has told."""

    def __init__(self, store):
        self.clock = Clock()
        self.follower = Follower(store, RING, poll_s=0.01, clock=self.clock)
        self.told: list[Turn] = []
        self.follower.on_turn(self.told.append)

    async def next(self) -> list[tuple[str, str]]:
        """Who was given or lost which role in the one turn that came, if any."""
        self.told.clear()
        before = self.follower.current.policy
        await self.follower.catch_up()
        if not self.told:
            return []
        (turn,) = self.told
        assert (turn.before, turn.after) == (before, self.follower.current.policy)
        return [(row.member, row.role) for row in turn.grants]


@pytest.fixture
async def turns(store):
    await apply(store, LETS_USERS)
    await ada(store)
    turns = Turns(store)
    await turns.next()
    return turns


async def test_a_grant_that_came_changed_and_went_is_told_each_time(turns, store):
    given = {"author": "operator", "now": 1_000}
    await give_role(store, "ada@example.com", "user", **given)
    assert await turns.next() == [(ADA, "role:user")]
    await give_role(store, "ada@example.com", "user", **given, expires_at=5_000)
    assert await turns.next() == [(ADA, "role:user")] * 2
    await withdraw_role(store, "ada@example.com", "user")
    assert await turns.next() == [(ADA, "role:user")]
    assert await turns.next() == []


async def test_a_grant_that_ends_is_told(turns, store):
    await give_role(store, "ada@example.com", "user", author="operator", now=1_000, expires_at=2_000)
    await turns.next()
    turns.clock.now = 2_000
    assert await turns.next() == [(ADA, "role:user")]


async def test_the_grants_of_an_account_that_goes_are_told(turns, store):
    await give_role(store, "ada@example.com", "user", author="operator", now=1_000)
    await turns.next()
    await delete_user(store, "ada@example.com")
    assert await turns.next() == [(ADA, "role:user")]


async def test_keys_and_accounts_are_no_turn(turns, store):
    await reset_key(store, RING, "ada@example.com", now=1_000)
    assert await turns.next() == []
    assert turns.told == []


async def test_another_policy_is_a_turn_without_grants(turns, store):
    await apply(store, LETS_NOBODY)
    assert await turns.next() == []
    (turn,) = turns.told
    assert turn.before.bundle != turn.after.bundle == LETS_NOBODY


async def test_to_decide_plainly_is_no_turn(turns):
    turns.told.clear()
    turns.follower.decide_plainly()
    assert turns.told == []
