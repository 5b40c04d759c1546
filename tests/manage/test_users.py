"""Accounts, keys and roles: every operation over a real store, and what a broken-off one leaves behind."""

import asyncio

import pytest

from gateway.errors import Unauthenticated
from gateway.identity import Identities, KeyRing
from gateway.manage.remains import PAGE
from gateway.manage.users import (
    add_user,
    bootstrap_admin,
    delete_user,
    give_role,
    list_users,
    reset_key,
    withdraw_role,
)
from gateway.records import ApiKey, Connected, Flow, Grant, User
from gateway.store.base import Conflict, NotFound

RING = KeyRing([("a", b"a" * 32)])
NOW = 1_000


async def identities(store) -> Identities:
    changes = await store.changes(0)
    return Identities.of(RING, changes.users, changes.keys)


async def proves(store, issued, now=NOW) -> str | None:
    try:
        return (await identities(store)).authenticate(issued.key.reveal(), now).name
    except Unauthenticated:
        return None


async def test_a_new_user_can_sign_in_and_has_the_roles_given(store):
    issued = await add_user(
        store, RING, "Ada@Example.com", author="operator", now=NOW, name=" Ada ", roles=["user", "role:support"]
    )
    assert await proves(store, issued) == "user:ada@example.com"
    (account,) = await list_users(store)
    assert (account.user.id, account.user.name, account.user.created_at) == ("ada@example.com", "Ada", NOW)
    assert {(role.name, role.domain) for role in account.roles} == {("user", "*"), ("support", "*")}
    assert [key.prefix for key in account.keys] == [issued.prefix] == [issued.key.reveal()[:8]]
    grants = {grant.row: grant for grant in await store.grants.page()}
    assert grants["user:ada@example.com", "role:support", "*"].made_by == "operator"


async def test_no_key_can_be_read_from_the_store_or_from_what_prints(store, tmp_path):
    issued = await add_user(store, RING, "ada@example.com", author="operator", now=NOW)
    secret = issued.key.reveal()
    assert secret not in repr(issued)
    assert secret not in repr(await list_users(store))
    await store.close()
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()


async def test_one_address_has_one_account(store):
    first = await add_user(store, RING, "ada@example.com", author="operator", now=NOW)
    with pytest.raises(Conflict, match=r"there is a user `ada@example.com` already"):
        await add_user(store, RING, "ADA@example.com", author="operator", now=NOW, roles=["admin"])
    (account,) = await list_users(store)
    assert account.roles == ()
    assert len(account.keys) == 1
    assert await proves(store, first)


@pytest.mark.parametrize(
    ("email", "roles"), [("nobody", []), ("ada@example.com", ["no role"]), ("ada@example.com", ["*"])]
)
async def test_a_wrong_address_or_role_changes_nothing(store, email, roles):
    with pytest.raises(ValueError):
        await add_user(store, RING, email, author="operator", now=NOW, roles=roles)
    assert (await store.heads()).changes == 0


@pytest.mark.parametrize("name", ["a\nb", "x" * 201, "a\u202eb"])
async def test_a_name_is_one_printable_line(store, name):
    with pytest.raises(ValueError, match="a name has"):
        await add_user(store, RING, "ada@example.com", author="operator", now=NOW, name=name)


async def test_a_key_given_for_a_time_ends(store):
    issued = await add_user(store, RING, "ada@example.com", author="operator", now=NOW, expires_at=NOW + 10)
    assert await proves(store, issued, NOW + 9)
    assert not await proves(store, issued, NOW + 10)


async def test_a_reset_ends_the_old_key_and_gives_a_new_one(store):
    old = await add_user(store, RING, "ada@example.com", author="operator", now=NOW)
    bob = await add_user(store, RING, "bob@example.com", author="operator", now=NOW)
    new = await reset_key(store, RING, "Ada@example.com", now=NOW + 1)
    assert not await proves(store, old)
    assert await proves(store, new) == "user:ada@example.com"
    assert await proves(store, bob) == "user:bob@example.com"
    with pytest.raises(NotFound, match=r"there is no user `eve@example.com`"):
        await reset_key(store, RING, "eve@example.com", now=NOW)


async def test_a_key_made_by_a_clock_that_is_behind_counts_for_its_account(store):
    await add_user(store, RING, "ada@example.com", author="operator", now=NOW)
    assert await proves(store, await reset_key(store, RING, "ada@example.com", now=NOW - 500))


async def test_deleting_a_user_ends_keys_roles_and_loans_but_not_what_he_gave_to_others(store):
    issued = await add_user(store, RING, "ada@example.com", author="operator", now=NOW, roles=["user"])
    await add_user(store, RING, "bob@example.com", author="user:ada@example.com", now=NOW, roles=["user"])
    loan = ("user:bob@example.com", "main", "user:ada@example.com", "slack/post", "write", "", "allow")
    await store.grants.add(Grant(id="loan", kind="share", row=loan, made_by="user:ada@example.com"))
    await delete_user(store, "ADA@example.com")
    assert not await proves(store, issued)
    assert [grant.row[0] for grant in await store.grants.page()] == ["user:bob@example.com"]
    assert (await store.grants.page())[0].row[1] == "role:user"
    assert [key.user for key in await store.keys.page()] == ["bob@example.com"]
    with pytest.raises(NotFound):
        await delete_user(store, "ada@example.com")


async def test_deleting_a_user_ends_his_connections_and_flows_and_nobody_elses(store):
    await add_user(store, RING, "ada@example.com", author="operator", now=NOW)
    ada, bob = "user:ada@example.com", "user:bob@example.com"
    for id, owner in (("c1", ada), ("c2", bob), ("c3", "system")):
        await store.connections.add(Connected(id=id, owner=owner, connector="slack"))
    for id, owner, by in (("f1", ada, ada), ("f2", bob, bob), ("f3", "system", ada)):
        await store.flows.add(Flow(id=id, owner=owner, by=by, connector="slack", binding="session"))
    await delete_user(store, "ada@example.com")
    assert [each.id for each in await store.connections.page()] == ["c2", "c3"]
    assert [each.id for each in await store.flows.page()] == ["f2"]


async def test_an_account_made_anew_inherits_nothing(store):
    old = await add_user(store, RING, "ada@example.com", author="operator", now=NOW, roles=["admin"])
    await store.connections.add(Connected(id="c1", owner="user:ada@example.com", connector="slack"))
    await store.users.remove("ada@example.com")  # a deletion that broke off after its first step
    assert not await proves(store, old)
    await add_user(store, RING, "ada@example.com", author="operator", now=NOW + 5, roles=["user"])
    assert not await proves(store, old)
    (account,) = await list_users(store)
    assert [role.name for role in account.roles] == ["user"]
    assert len(account.keys) == 1
    assert await store.connections.page() == []


async def test_a_deletion_that_broke_off_can_be_repeated(store):
    await add_user(store, RING, "ada@example.com", author="operator", now=NOW, roles=["admin"])
    await store.users.remove("ada@example.com")
    await delete_user(store, "ada@example.com")
    assert await store.keys.page() == await store.grants.page() == []


async def test_roles_are_given_for_a_domain_and_a_time_and_taken_back(store):
    await add_user(store, RING, "ada@example.com", author="operator", now=NOW)
    await give_role(store, "ada@example.com", "support", author="operator", now=NOW)
    await give_role(store, "ada@example.com", "support", author="operator", now=NOW)
    await give_role(store, "ada@example.com", "support", author="operator", now=NOW, domain="git", expires_at=NOW + 10)
    (account,) = await list_users(store)
    assert [(role.name, role.domain, role.expires_at) for role in account.roles] == [
        ("support", "*", None),
        ("support", "git", NOW + 10),
    ]
    await give_role(store, "ada@example.com", "support", author="operator", now=NOW, domain="git", expires_at=NOW + 99)
    await withdraw_role(store, "ada@example.com", "support")
    (account,) = await list_users(store)
    assert [(role.domain, role.expires_at) for role in account.roles] == [("git", NOW + 99)]
    with pytest.raises(NotFound, match="was not given `role:support` in `\\*`"):
        await withdraw_role(store, "ada@example.com", "support")
    with pytest.raises(NotFound, match="there is no user"):
        await give_role(store, "eve@example.com", "support", author="operator", now=NOW)


async def test_the_first_account_is_made_once_with_a_key_that_works(store):
    issued = await bootstrap_admin(store, RING, "Root@example.com", now=NOW)
    assert issued is not None
    assert await proves(store, issued) == "user:root@example.com"
    (account,) = await list_users(store)
    assert {role.name for role in account.roles} >= {"admin", "security"}
    assert await bootstrap_admin(store, RING, "root@example.com", now=NOW) is None
    assert await bootstrap_admin(store, RING, "other@example.com", now=NOW) is None


async def test_a_first_start_that_broke_off_is_made_good_by_the_next(store):
    await store.keys.add(ApiKey(id="0" * 64, secret_id="a", user="root@example.com", prefix="ost_lost", created_at=NOW))
    issued = await bootstrap_admin(store, RING, "root@example.com", now=NOW + 1)
    assert await proves(store, issued) == "user:root@example.com"
    (account,) = await list_users(store)
    assert [key.prefix for key in account.keys] == [issued.prefix]


async def test_of_two_nodes_that_start_at_once_one_makes_the_account(store):
    class Late:
        """A store whose other node adds the same account just before ours."""

        grants, keys, connections, flows = store.grants, store.keys, store.connections, store.flows
        tools, prompts, sign_ins, mailed_codes = store.tools, store.prompts, store.sign_ins, store.mailed_codes
        servers, end_users = store.servers, store.end_users

        class Users:
            page = staticmethod(store.users.page)
            get = staticmethod(store.users.get)

            @staticmethod
            async def add(user):
                await add_user(store, RING, user.id, author="bootstrap", now=NOW)
                return await store.users.add(user)

        users = Users

    assert await bootstrap_admin(Late, RING, "root@example.com", now=NOW) is None
    (account,) = await list_users(store)
    assert len(account.keys) == 1


async def test_who_loses_a_race_for_an_address_leaves_no_role_at_it(store):
    add = store.users.add

    async def late(user):
        store.users.add = add
        await add(User(id=user.id, name="the first", created_at=1))
        return await add(user)

    store.users.add = late
    with pytest.raises(Conflict):
        await add_user(store, RING, "new@example.com", author="admin", now=1, roles=["admin"])
    (account,) = await list_users(store)
    assert (account.user.name, account.roles, account.keys) == ("the first", (), ())


async def test_a_long_list_of_users_is_complete(store):
    keys = (
        ApiKey(id=f"{number:064d}", secret_id="a", user=f"u{number}@example.com", prefix="p", created_at=1)
        for number in range(2 * PAGE + 3)
    )
    await asyncio.gather(*map(store.keys.add, keys))
    await add_user(store, RING, "u7@example.com", author="operator", now=1)
    (account,) = await list_users(store)
    assert len(account.keys) == 2
