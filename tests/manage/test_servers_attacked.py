"""Servers under attack: several writers at once, owners that are gone, and keys that count on some servers alone."""

import asyncio

import pytest
from msgspec.structs import replace

from connectors.base import QUIET
from gateway.errors import Barred, Conflict, InvalidArguments, Unauthenticated, Unknown
from gateway.manage import servers
from gateway.manage.end_users import add_end_user, delete_end_user, token_of
from gateway.pipeline import Arrival
from gateway.records import ApiKey, Connected
from gateway.servers.rows import end_user
from tests.builders import NOON, ORIGIN, RING, call
from tests.manage.offering import ADA, EVE, OTTO, PUB, ROWS, Market, read, refusal_of

DAY = 24 * 60 * 60 * 1000
HS = {"issuer": "https://app.example.com", "algorithm": "HS256", "secret": "a secret of at least thirty-two bytes"}
TENANT = f"""{ROWS}
p, user:otto@example.com, main, self, gateway/end-users, manage, , allow
p, user:otto@example.com, main, self, gateway/end-users, act-as, , allow
"""


def meanwhile(market: Market, method: str, other):
    """Let ``other`` happen once, right before the store does ``method``."""
    plain, done = getattr(market.store.servers, method), []

    async def late(given):
        if not done:
            done.append(True)
            await other()
        return await plain(given)

    setattr(market.store.servers, method, late)


# -- several writers


async def test_a_token_is_revoked_whatever_is_changed_at_the_same_moment():
    market = Market()
    made = await market.create()
    id = made.server.id
    meanwhile(market, "replace", lambda: market.update(id, description="meanwhile"))
    ended = await market.revoke(id, ADA)
    assert (ended.tokens, ended.description) == ((), "meanwhile")
    with pytest.raises(Unauthenticated):
        await market.came(id, made.token.reveal())


async def test_a_change_that_began_before_a_revocation_brings_no_token_back():
    market = Market()
    made = await market.create()
    id = made.server.id
    meanwhile(market, "replace", lambda: market.revoke(id, ADA))
    assert isinstance(await refusal_of(market.renew(id, graceSeconds=60)), Conflict)
    assert (await market.read(id)).tokens == ()


async def test_of_two_new_tokens_at_the_same_moment_one_is_made():
    market = Market()
    id = (await market.create()).server.id
    done = await asyncio.gather(
        *(market.renew(id, graceSeconds=60) for _ in range(2)), market.renew(id), return_exceptions=True
    )
    made = [each for each in done if not isinstance(each, BaseException)]
    assert all(isinstance(each, Conflict) for each in done if isinstance(each, BaseException))
    kept = {each.id for each in (await market.read(id)).tokens}
    assert RING.hash(made[-1].token.reveal()) in kept, "who was told of a token last has one that counts"


async def test_a_change_whose_name_another_took_meanwhile_changes_nothing():
    market = Market()
    server = (await market.create(PUB)).server
    meanwhile(market, "replace", lambda: market.create(PUB, name="Taken"))
    refusal = await refusal_of(market.update(server.id, PUB, name="Taken", isPublic=True, description="d", jwt=[HS]))
    assert isinstance(refusal, Conflict)
    now = await market.read(server.id, PUB)
    assert replace(now, rev=server.rev) == server
    assert market.door.follower.current.servers.get(server.id) == now
    assert await market.list(PUB) == ["Desk", "Taken"]


async def test_a_server_that_was_changed_after_it_was_read_is_not_deleted():
    market = Market()
    server = (await market.create()).server
    meanwhile(market, "replace", lambda: market.update(server.id, description="meanwhile"))
    assert isinstance(await refusal_of(market.delete(server.id, revs={server.rev})), Conflict)
    assert (await market.read(server.id)).description == "meanwhile"
    assert await market.delete(server.id) == server.id


async def test_a_server_that_another_deleted_meanwhile_is_not_there():
    market = Market()
    server = (await market.create()).server
    meanwhile(market, "remove", lambda: market.delete(server.id, ADA))
    refusal = await refusal_of(market.delete(server.id))
    assert "there is no server" in refusal.text
    assert await market.list() == []


async def test_nobody_has_more_servers_than_fit_by_making_them_at_once(monkeypatch):
    monkeypatch.setattr(servers, "MOST", 2)
    market = Market()
    await market.create(name="first")
    done = await asyncio.gather(*(market.create(name=f"n{each}") for each in range(4)), return_exceptions=True)
    assert all(isinstance(each, InvalidArguments) for each in done if isinstance(each, BaseException))
    assert len(await market.list()) <= 2
    assert len(market.door.follower.current.servers.by_id) == len(market.store.servers.records)


async def test_a_long_list_lets_others_get_their_turn(monkeypatch):
    monkeypatch.setattr(servers, "_BREATH", 2)
    market = Market()
    for name in ("c", "a", "b"):
        await market.create(name=name)
    turns = []

    async def another() -> None:
        turns.append(len(market.door.entries))

    before, waiting = len(market.door.entries), asyncio.create_task(another())
    assert await market.list(ADA, "*") == ["a", "b", "c"]
    await waiting
    assert turns == [before], "it came before the list was done"


# -- who narrows a server of somebody else


async def test_who_administers_servers_puts_no_more_rows_into_the_policy_than_owners(monkeypatch):
    monkeypatch.setattr(servers, "MOST_ROWS", 20)
    market = Market()
    server = (await market.create()).server
    users = {"mode": "allowlist", "allowedIds": [f"u{each}" for each in range(40)]}
    for who in (OTTO, ADA):
        refusal = await refusal_of(market.update(server.id, who, restrictions={"users": users}))
        assert isinstance(refusal, InvalidArguments)
        assert "too long for one server" in refusal.text
    assert market.store.servers.records[server.id] == server
    few = {"mode": "allowlist", "allowedIds": ["u1"]}
    assert (await market.update(server.id, ADA, restrictions={"users": few})).server.restrictions.users.names == ("u1",)


async def test_nobody_writes_what_the_policy_of_every_process_could_not_hold():
    market = Market()
    server = (await market.create()).server
    names = [f"a{each}*" for each in range(500)]
    said = {"restrictions": {"actions": {"mode": "allowlist", "allowedActions": names}}}
    for who in (OTTO, ADA):
        refusal = await refusal_of(market.update(server.id, who, **said))
        assert isinstance(refusal, InvalidArguments)
        assert "too long for one server" in refusal.text
    assert isinstance(await refusal_of(market.create(name="Other", **said)), InvalidArguments)
    assert market.store.servers.records == {server.id: server}


async def test_an_id_that_no_store_can_hold_is_no_server():
    market = Market()

    async def get(_: str) -> None:
        raise ValueError

    market.store.servers.get = get
    for act in (market.read, market.update, market.delete, market.renew, market.revoke):
        assert isinstance(await refusal_of(act("\ud800")), Unknown)


# -- owners that are gone


async def test_a_server_ends_with_the_account_of_its_owner_before_its_record_does():
    market = Market()
    made = await market.create(PUB, isPublic=True)
    id, eve = made.server.id, market.door.person(EVE)
    token = await market.came(id, made.token.reveal())
    known = market.door.follower.current
    assert known.admits(token, id, market.door.now)
    assert known.admits(eve, id, market.door.now)
    market.door._swap(identities=known.identities.changed(removed=[("users", PUB)]))
    now = market.door.follower.current
    assert now.servers.get(id) is not None
    assert not now.admits(token, id, market.door.now)
    assert not now.admits(eve, id, market.door.now)
    with pytest.raises(Barred):
        await market.came(id, made.token.reveal())
    with pytest.raises(Barred):
        await market.door.pipeline.arrive(Arrival(domain=id, key=market.door.keys[EVE]))


# -- keys that count on some servers alone


async def confined(market: Market, *scopes: str, days: int | None = None):
    """How Otto asks with a key that counts on ``scopes`` alone."""
    text = "ost_" + "-".join(scopes) + str(days)
    ends = None if days is None else NOON + days * DAY
    key = ApiKey(id=RING.hash(text), secret_id="k1", user=OTTO, prefix="ost_", servers=scopes, expires_at=ends)
    market.door._swap(identities=market.door.follower.current.identities.changed(keys=[key]))
    subject = await market.door.pipeline.arrive(Arrival(key=text))

    async def ask(act):
        return await market.door.pipeline.administered("servers.test", subject, ORIGIN, act)

    return ask


async def test_a_key_for_some_servers_makes_no_server_and_no_token_elsewhere():
    market = Market()
    there, other = (await market.create()).server, (await market.create(name="Other")).server
    ask = await confined(market, "main", there.id)
    wish = read(servers.ServerWish, {"name": "New"})
    refusal = await refusal_of(ask(lambda asker: servers.create(market.counter, asker, wish)))
    assert f"your key counts on `main`, `{there.id}` alone" in refusal.text
    renewal = read(servers.ServerRenewal, {})
    refusal = await refusal_of(ask(lambda asker: servers.regenerate(market.office, asker, other.id, renewal)))
    assert "your key counts on" in refusal.text
    assert (await market.list(), market.store.servers.records[other.id]) == (["Desk", "Other"], other)
    issued = await ask(lambda asker: servers.regenerate(market.office, asker, there.id, renewal))
    assert (await market.came(there.id, issued.token.reveal())).name == f"server:{there.id}"
    assert (await ask(lambda asker: servers.revoke(market.office, asker, other.id))).tokens == ()


async def test_a_key_for_some_servers_makes_no_token_that_outlives_it():
    market = Market()
    server = (await market.create()).server
    ask = await confined(market, "main", server.id, days=3)
    for said in ({}, {"tokenExpiresInDays": 4}, {"tokenExpiresInDays": None}):
        renewal = read(servers.ServerRenewal, said)
        refusal = await refusal_of(
            ask(lambda asker, it=renewal: servers.regenerate(market.office, asker, server.id, it))
        )
        assert "outlives" in refusal.text
    renewal = read(servers.ServerRenewal, {"tokenExpiresInDays": 3})
    issued = await ask(lambda asker: servers.regenerate(market.office, asker, server.id, renewal))
    assert issued.server.tokens[0].expires_at == NOON + 3 * DAY


async def test_a_key_for_some_servers_opens_no_other_one():
    market = Market()
    restrictions = {"connectors": {"mode": "allowlist", "allowedIds": ["a"]}}
    server = (await market.create(restrictions=restrictions)).server
    ask = await confined(market, "main")
    for said in ({}, {"restrictions": restrictions, "jwt": [HS]}):
        wanted = read(servers.ServerWanted, said)
        refusal = await refusal_of(ask(lambda asker, it=wanted: servers.update(market.counter, asker, server.id, it)))
        assert "your key counts on `main` alone" in refusal.text
    assert market.store.servers.records[server.id] == server
    wanted = read(servers.ServerWanted, {"restrictions": restrictions, "description": "d"})
    changed = await ask(lambda asker: servers.update(market.counter, asker, server.id, wanted))
    assert (changed.server.description, changed.opened) == ("d", ())


async def test_a_key_for_some_servers_signs_for_end_users_there_alone():
    market = Market(TENANT)
    there, other = (await market.create()).server, (await market.create(name="Other")).server
    user = (await market.ask(OTTO, lambda asker: add_end_user(market.office, asker, "u"))).id.rpartition("/")[2]
    ask = await confined(market, "main", there.id)
    for named in ((), (other.id,), (there.id, other.id)):
        refusal = await refusal_of(ask(lambda asker, these=named: token_of(market.office, asker, user, these)))
        assert "your key counts on" in refusal.text
    assert (await ask(lambda asker: token_of(market.office, asker, user, (there.id,)))).token


async def test_an_end_user_ends_on_servers_too_of_which_this_process_had_not_heard():
    market = Market(TENANT)
    user = (await market.ask(OTTO, lambda asker: add_end_user(market.office, asker, "u"))).id.rpartition("/")[2]
    server = (await market.create()).server
    market.door.offer(gone=[server.id])
    plain = market.catch_up

    async def catch_up() -> None:
        await plain()
        records = market.store.connections.records.values()
        market.door._swap(connections=market.door.follower.current.connections.changed(records))

    market.office = servers.Office(market.store, RING, lambda: market.door.follower.current, catch_up)
    await market.store.connections.add(Connected(id="c", owner=end_user(server.id, user), connector="a"))
    await market.ask(OTTO, lambda asker: delete_end_user(market.office, asker, user))
    assert market.store.connections.records == {}


async def test_a_server_that_is_deleted_while_it_is_used_ends_at_the_next_call():
    market = Market()
    made = await market.create(mode="direct")
    id = made.server.id
    subject = await market.came(id, made.token.reveal())
    listing = call("tools/list", domain=id)
    assert (await market.door.pipeline.handle(listing, subject, ORIGIN, QUIET))["tools"]
    await market.delete(id)
    with pytest.raises(Unauthenticated):
        await market.door.pipeline.handle(listing, subject, ORIGIN, QUIET)
