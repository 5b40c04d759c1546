"""Tokens of servers that users offer, and how such servers end with all that was theirs."""

import pytest

from gateway.errors import Denied, Unauthenticated, Unknown
from gateway.manage.remains import clear, read_through, remembered
from gateway.records import ApiKey, Connected, Flow, Grant, Server
from tests.builders import NOON, RING
from tests.manage.offering import ADA, EVE, OTTO, PUB, ROWS, Market, refusal_of

DAY = 24 * 60 * 60 * 1000


# -- tokens


async def test_a_new_token_ends_the_former_one_at_once_or_after_a_while():
    market = Market()
    made = await market.create(tokenExpiresInDays=1)
    id, first = made.server.id, made.token.reveal()
    subject = await market.came(id, first)
    second = (await market.renew(id)).token.reveal()
    assert first != second
    with pytest.raises(Unauthenticated):
        await market.came(id, first)
    assert not market.door.follower.current.still_valid(subject, market.door.now)
    third = await market.renew(id, graceSeconds=60, tokenExpiresInDays=None)
    assert (await market.came(id, second)).name == f"server:{id}"
    assert third.server.tokens[0].expires_at is None
    market.later(60_000)
    with pytest.raises(Unauthenticated):
        await market.came(id, second)
    await market.came(id, third.token.reveal())


async def test_a_new_token_lives_as_long_as_the_former_did_and_a_grace_lengthens_no_life():
    market = Market()
    made = await market.create(tokenExpiresInDays=2)
    market.later(2 * DAY - 1_000)
    renewed = await market.renew(made.server.id, graceSeconds=60)
    newest, former = renewed.server.tokens
    assert newest.expires_at == market.door.now + 2 * DAY
    assert former.expires_at == NOON + 2 * DAY


async def test_only_so_many_tokens_count_at_once():
    market = Market()
    made = await market.create()
    for _ in range(7):
        made = await market.renew(made.server.id, graceSeconds=604_800)
    assert len(made.server.tokens) == 5
    await market.came(made.server.id, made.token.reveal())


async def test_others_end_tokens_and_make_none():
    market = Market()
    made = await market.create()
    id = made.server.id
    assert "only its owner" in (await refusal_of(market.renew(id, ADA))).text
    assert isinstance(await refusal_of(market.revoke(id, EVE)), Denied)
    assert (await market.revoke(id, ADA)).tokens == ()
    with pytest.raises(Unauthenticated):
        await market.came(id, made.token.reveal())
    for step in (market.renew("nowhere-00000000"), market.revoke("nowhere-00000000")):
        assert isinstance(await refusal_of(step), Unknown)
    rows = ROWS + "p, user:eve@example.com, main, self, gateway/servers, manage, args.days <= 30, allow\n"
    strict = Market(rows)
    server = (await strict.create(EVE, tokenExpiresInDays=30)).server
    for life in (31, None):
        assert isinstance(await refusal_of(strict.renew(server.id, EVE, tokenExpiresInDays=life)), Denied)
    assert len((await strict.renew(server.id, EVE)).server.tokens) == 1


# -- the end


async def leave_things(market: Market, id: str) -> None:
    """What a server has beside its record, and as much of another server."""
    for server, mark in ((id, "a"), ("other-00000000", "b")):
        end = f"end:{server}/u1"
        keys = [((server,), "1"), ((server, "third-00000000"), "2"), ((), "3")]
        for scopes, number in keys:
            key = ApiKey(id=mark + number, secret_id="k1", user=OTTO, prefix="ost_", servers=scopes)
            await market.store.keys.add(key)
        await market.store.connections.add(Connected(id=f"{mark}c", owner=end, connector="a"))
        await market.store.flows.add(_flow(f"{mark}f", owner=end, domain=server))
        await market.store.flows.add(_flow(f"{mark}g", owner=f"user:{EVE}", domain=server))
        await market.store.grants.add(Grant(id=f"{mark}g", kind="role", made_by=ADA, row=(end, "role:x", "*")))
        rule = (f"user:{EVE}", server, "self", "a/x", "read", "", "allow")
        await market.store.grants.add(Grant(id=f"{mark}h", kind="share", made_by=ADA, row=rule))
        await market.store.grants.add(
            Grant(id=f"{mark}i", kind="role", made_by=ADA, row=(f"server:{server}", "role:x", "*"))
        )


def _flow(id: str, **more: str) -> Flow:
    return Flow(id=id, connector="a", binding="session", expires_at=2, **more)


def left(market: Market) -> dict[str, list[str]]:
    return {kind: sorted(getattr(market.store, kind).records) for kind in ("keys", "connections", "flows", "grants")}


OTHERS = {"connections": ["bc"], "flows": ["bf", "bg"], "grants": ["bg", "bh", "bi"]}


@pytest.mark.parametrize("who", [OTTO, ADA])
async def test_with_a_server_everything_of_it_ends_and_nothing_else(who):
    market = Market()
    made = await market.create()
    await leave_things(market, made.server.id)
    assert isinstance(await refusal_of(market.delete(made.server.id, EVE)), Denied)
    subject = await market.came(made.server.id, made.token.reveal())
    assert await market.delete(made.server.id, who) == made.server.id
    assert left(market) == {"keys": ["a2", "a3", "b1", "b2", "b3"], **OTHERS}
    assert not market.door.follower.current.still_valid(subject, market.door.now)
    assert isinstance(await refusal_of(market.delete(made.server.id, who)), Unknown)


@pytest.mark.parametrize("found", ["in the store", "in memory"])
async def test_with_an_account_its_servers_end(found):
    market = Market()
    made, theirs = await market.create(), await market.create(PUB)
    await leave_things(market, made.server.id)
    if found == "in the store":
        remains = await read_through(market.store, OTTO)
    else:
        remains = await remembered(market.store, market.door.follower.current, OTTO)
    assert await clear(market.store, remains)
    assert [*market.store.servers.records] == [theirs.server.id]
    there = left(market)
    assert {kind: there[kind] for kind in OTHERS} == OTHERS
    assert not set(remains.grants) & {f"server/{made.server.id}/0"}, "they stand in no store"


async def test_a_server_that_nobody_may_administer_is_told_apart_from_none_only_to_who_may():
    market = Market()
    made = await market.create()
    for act in (market.update, market.delete, market.renew, market.revoke, market.read):
        assert isinstance(await refusal_of(act(made.server.id, EVE)), Denied)
        assert isinstance(await refusal_of(act("nowhere-00000000", EVE)), Denied)
    assert RING.hash(made.token.reveal()) == market.store.servers.records[made.server.id].tokens[0].id
    assert isinstance(made.server, Server)
