"""Putting a policy in force: compare-and-set, idempotent, mending."""

import sqlite3
from pathlib import Path

import pytest

from gateway.identity import KeyRing
from gateway.manage.policies import LockedOut, apply_policy, policy_in_force
from gateway.manage.users import add_user, bootstrap_admin, withdraw_role
from gateway.policy.bundle import Bundle
from gateway.policy.rules import read
from gateway.records import Grant
from gateway.store.base import Conflict, NotFound
from gateway.store.opening import open_store

MODEL = (Path(__file__).parents[2] / "policies" / "model.conf").read_text()
KEEPER = "p, role:security, main, system, gateway/policy, manage, , allow\n"


def bundle(rows: str) -> Bundle:
    found = read({"model.conf": MODEL, "rules.csv": rows})
    assert isinstance(found, Bundle), found
    return found


ONE, TWO = bundle(KEEPER), bundle(KEEPER + "p, role:user, main, self, git/*, read, , allow\n")


@pytest.fixture
async def store(tmp_path):
    store = open_store(str(tmp_path / "store.db"))
    await store.open()
    yield store
    await store.close()


async def test_before_the_first_apply_no_policy_is_in_force(store):
    assert await policy_in_force(store) is None


async def test_an_applied_policy_is_in_force_with_its_author_and_reason(store):
    head = await apply_policy(store, ONE, author="operator", why="first", now=7)
    assert (head.version, head.author, head.why, head.at) == (1, "operator", "first", 7)
    found = await policy_in_force(store)
    assert (found.head, found.bundle) == (head, ONE)
    assert (await apply_policy(store, TWO, author="operator", why="second", now=8, expected=1)).version == 2
    assert (await policy_in_force(store)).bundle == TWO


async def test_applying_what_is_in_force_moves_nothing(store):
    head = await apply_policy(store, ONE, author="operator", why="first", now=7)
    assert await apply_policy(store, ONE, author="folder", why="again", now=9) == head
    assert len(await store.bundles.history()) == 1


async def test_a_policy_planned_against_another_version_is_not_applied(store):
    await apply_policy(store, ONE, author="operator", why="first", now=7)
    for bundle in (ONE, TWO):
        with pytest.raises(Conflict):
            await apply_policy(store, bundle, author="operator", why="late", now=8, expected=0)
    assert (await policy_in_force(store)).bundle == ONE


async def test_applying_a_damaged_policy_again_mends_it(store, tmp_path):
    await apply_policy(store, ONE, author="operator", why="first", now=7)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE bundles SET body = x'00'")
    connection.close()
    with pytest.raises(NotFound):
        await policy_in_force(store)
    await apply_policy(store, ONE, author="operator", why="mend", now=8)
    assert (await policy_in_force(store)).bundle == ONE


async def test_before_the_first_account_the_roles_it_will_get_count(store):
    with pytest.raises(LockedOut, match="no `user:` would manage `gateway/policy`"):
        await apply_policy(store, bundle(""), author="operator", why="x", now=7)
    assert (await apply_policy(store, ONE, author="operator", why="x", now=7)).version == 1


async def test_a_policy_that_nobody_could_change_any_more_is_not_applied_whatever_grants_there_were(store):
    ring = KeyRing([("a", b"a" * 32)])
    await bootstrap_admin(store, ring, "root@example.com", now=1)
    await apply_policy(store, ONE, author="operator", why="x", now=7)
    await store.grants.add(Grant(id="bad", kind="x", row=("what", "is", "this?"), made_by="x"))
    await withdraw_role(store, "root@example.com", "security")
    await apply_policy(store, ONE, author="operator", why="in force already", now=7)
    with pytest.raises(LockedOut):
        await apply_policy(store, TWO, author="operator", why="x", now=7)
    await add_user(store, ring, "ada@example.com", author="root", now=1, roles=["security"])
    assert (await apply_policy(store, TWO, author="operator", why="x", now=7)).version == 2
