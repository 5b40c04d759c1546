"""Who is asked for a link, and whether what was decided at the beginning of a flow still stands at its end."""

import asyncio
from dataclasses import replace

import pytest

from gateway.assembly.linked import Linker, still_permitted
from gateway.identity import Identities
from gateway.records import Flow, User
from gateway.servers.known import Servers
from gateway.snapshot import Snapshot
from tests.builders import NOON, RING, policy
from tests.connections.world import ALICE, PUBLIC, S1, World

CONNECT = "p, user:*, main, self, *, connect, , allow\n"
STALE_MS = 30_000


def permitted(
    rows: str, *, owner: str = ALICE, by: str = ALICE, domain: str = "main", users=("alice@example.com",),
    now: int = NOON, offered=(),
) -> bool:  # fmt: skip
    identities = Identities.of(RING, [User(id=each) for each in users])
    flow = Flow(id="f", owner=owner, by=by, domain=domain, connector="acme", binding="session")
    servers = Servers({each.id: each for each in offered})
    return still_permitted(Snapshot(identities, policy(rows), NOON, servers=servers), flow, now, STALE_MS)


def test_what_was_decided_stands_as_long_as_nobody_took_it_back():
    assert permitted(CONNECT)
    assert permitted("p, user:*, main, self, acme, connect, cidr(env.address, '10.0.0.0/8'), allow"), (
        "a condition was judged when the flow began"
    )
    assert permitted("p, user:*, main, system, acme, connect, , allow", owner="system")
    assert permitted("p, user:*, hr, self, acme, connect, , allow", domain="hr"), "it was asked about on a server"


@pytest.mark.parametrize(
    ("rows", "changed"),
    [
        ("", {}),
        (CONNECT + f"p, {ALICE}, *, *, *, *, , deny", {}),
        (CONNECT + "p, *, *, *, acme, connect, , deny", {}),
        ("p, user:*, main, self, zorg, connect, , allow", {}),
        (CONNECT, {"owner": "system"}),
        (CONNECT, {"domain": "hr"}),
        (CONNECT, {"users": ()}),
        (CONNECT, {"users": ("bob@example.com",)}),
        (CONNECT, {"now": NOON + STALE_MS + 1}),
        ("p, role:user, main, self, *, connect, , allow", {}),
    ],
)
def test_what_was_taken_back_meanwhile_does_not_stand(rows, changed):
    assert not permitted(rows, **changed)


END = {"owner": "end:s1/u", "by": "end:s1/u", "domain": "s1", "offered": (S1,)}
ON_S1 = "p, end:s1/*, s1, self, *, connect, , allow\n"


def test_what_an_end_user_connects_stands_as_long_as_he_and_who_offers_his_server_may():
    assert permitted(CONNECT + ON_S1, **END)
    assert permitted(CONNECT + ON_S1 + "p, *, s1, *, *, connect, tool.connector in ['zorg'], deny", **END)
    assert permitted(CONNECT + ON_S1 + "p, *, *, *, *, connect, claims.mfa == 'no', deny", **END), (
        "a condition was judged when the flow began"
    )


@pytest.mark.parametrize(
    ("rows", "changed"),
    [
        (ON_S1, {}),
        (CONNECT, {}),
        (CONNECT + ON_S1, {"offered": ()}),
        (CONNECT + ON_S1, {"users": ()}),
        (CONNECT + ON_S1, {"domain": "main"}),
        (CONNECT + ON_S1, {"owner": "end:s2/u", "by": "end:s2/u"}),
        (CONNECT + ON_S1 + "p, user:alice@example.com, main, *, acme, connect, , deny", {}),
        (CONNECT + ON_S1 + "p, *, s1, *, *, *, tool.connector in ['acme'], deny", {}),
        (CONNECT + "p, end:s1/*, s1, self, *, connect, tool.connector in ['zorg'], allow", {}),
        (CONNECT + "p, *, *, self, *, connect, , allow", {"offered": ()}),
    ],
)
def test_what_an_end_user_connects_does_not_stand_without_one_of_them(rows, changed):
    assert not permitted(rows, **{**END, **changed})


@pytest.fixture
def linker():
    world = World()
    return world, Linker(world.linking, lambda: world.platforms)


def test_it_is_told_how_an_account_is_connected(linker):
    _, asks = linker
    assert (asks.wants("acme").type, asks.wants("acme").by_url, asks.wants("acme").blanks) == ("oauth2", True, ())
    keyed = asks.wants("keyed")
    assert (keyed.type, keyed.by_url) == ("api_key", False)
    assert [(each.name, each.secret, each.required) for each in keyed.blanks] == [
        ("api_key", True, True), ("site", False, True), ("note", False, False),
    ]  # fmt: skip
    assert asks.wants("open") is None
    assert asks.wants("absent") is None


async def test_a_flow_keeps_in_mind_on_which_server_it_was_asked_for(linker):
    world, asks = linker
    asked = []
    means = world.means(permits=lambda flow: asked.append(flow.domain) or True)
    asks = Linker(type(world.linking)(means), lambda: world.platforms)
    link = await asks.link(ALICE, "acme", by=ALICE, domain="hr")
    await asks.linking.begin(link.url.rpartition("/")[2], signed_in=ALICE, browser="alices", inputs={})
    await asks.deposit(ALICE, "keyed", {"api_key": "key-ann-x", "site": "berlin"}, "git")
    assert asked == ["hr", "git"]


async def test_a_link_leads_to_the_flow_that_is_waited_for(linker):
    world, asks = linker
    link = await asks.link(ALICE, "acme", by=ALICE)
    assert link.url.startswith(f"{PUBLIC}/connect/{link.flow}.")
    assert link.url not in repr(link)
    assert await asks.wait(link.flow, ALICE, 0.01) is False
    waiting = asyncio.create_task(asks.wait(link.flow, ALICE, 20))
    query = world.provider.agrees(await world.click(link.url.rpartition("/")[2]), "ann")
    await world.back(query)
    assert await asyncio.wait_for(waiting, 5) is True


async def test_who_waits_for_the_operators_account_hears_of_its_end(linker):
    world, asks = linker
    link = await asks.link("system", "acme", by=ALICE)
    query = world.provider.agrees(await world.click(link.url.rpartition("/")[2]), "ann")
    await world.back(query)
    assert await asks.wait(link.flow, "system", 0.01) is True


async def test_a_flow_that_waits_for_its_application_has_not_ended_and_is_waited_for_without_haste(linker):
    world, asks = linker
    back = world.means().settings.redirects[0]
    link = await asks.link("end:s1/u", "acme", by="end:s1/u", back=back, domain="s1")
    token = link.url.rpartition("/")[2]
    query = world.provider.agrees(await world.click(token, signed_in="", browser="his"), "ann")
    await world.back(query, signed_in="", browser="his")
    looks, get = [], world.store.flows.get

    async def counted(id):
        looks.append(id)
        return await get(id)

    world.store.flows.get = counted
    assert await asks.wait(link.flow, "end:s1/u", 0.5) is False
    assert len(looks) < 10


async def test_what_was_typed_is_deposited(linker):
    world, asks = linker
    id = await asks.deposit(ALICE, "keyed", {"api_key": "key-ann-x", "site": "x"})
    assert [each.id for each in await world.connections()] == [id]


async def test_a_connector_without_a_client_of_its_own_connects_nobody(linker):
    world, asks = linker
    world.platforms["acme"] = replace(world.platforms["acme"], client_id="")
    assert asks.wants("acme") is None
