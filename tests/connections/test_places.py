"""End users of a server connect accounts there: at its own addresses, and as its owner's application says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.connections.terms import Why
from gateway.errors import InvalidArguments
from gateway.records import Stage
from gateway.servers.known import Servers, server_of
from gateway.settings import Binding
from tests.connections.world import ALICE, BACK, S1, World, confirmable, refused

END = "end:s1/u"
SHOP = "https://shop.example.com/done"


def world_of(*redirects: str, **more) -> World:
    world = World(**more)
    world.servers = Servers({"s1": structs.replace(S1, redirects=redirects)})
    return world


async def test_an_end_users_browser_goes_back_to_an_address_of_his_server_to_the_letter():
    world = world_of(SHOP, f"{SHOP}/other")
    flow, _ = await world.link(END, back=SHOP)
    assert (flow.back, flow.binding) == (SHOP, Binding.CONFIRM)
    for wrong in (BACK, f"{SHOP}/", f"{SHOP}?x=1", SHOP.upper(), "https://evil.example.com/done", SHOP[:-1]):
        with pytest.raises(InvalidArguments, match="`redirectUris` of this server"):
            await world.link(END, back=wrong)


async def test_the_only_address_of_a_server_need_not_be_named_and_of_several_one_has_to_be():
    flow, _ = await world_of(SHOP).link(END)
    assert flow.back == SHOP
    for redirects in ((), (SHOP, f"{SHOP}/other")):
        with pytest.raises(InvalidArguments, match="one of the `redirectUris` of this server"):
            await world_of(*redirects).link(END)


async def test_the_operators_addresses_are_not_those_of_a_server_nor_the_other_way_round():
    world = world_of(SHOP)
    with pytest.raises(InvalidArguments):
        await world.link(ALICE, back=BACK, domain="s1")
    with pytest.raises(InvalidArguments):
        await world.link(ALICE, back=SHOP)
    assert (await world.link(ALICE, back=SHOP, domain="s1"))[0].back == SHOP
    assert (await world.link(ALICE, back=BACK))[0].back == BACK


@pytest.mark.parametrize("domain", ["main", "s2", "", "s1/u"])
async def test_an_end_user_connects_on_his_own_server_alone(domain):
    world = World()
    world.servers = Servers({"s1": S1, "s2": structs.replace(S1, id="s2")})
    assert await refused(world.link(END, back=BACK, domain=domain)) is Why.NOT_ALLOWED
    with pytest.raises(Exception, match="policy does not allow"):
        await world.linking.deposit(END, "keyed", inputs={"api_key": "key-ann-x", "site": "x"}, domain=domain)
    assert await world.connections() == []


@pytest.mark.parametrize("owner", ["server:s1", "system", "", "*"])
async def test_what_is_typed_becomes_a_connection_of_nobody_but_a_person(owner):
    world = World()
    typed = {"api_key": "key-ann-x", "site": "x"}
    assert await refused(world.linking.deposit(owner, "keyed", inputs=typed, domain="s1")) is Why.NOT_ALLOWED
    assert await world.connections() == []
    for person in (END, ALICE):
        assert (await world.linking.deposit(person, "keyed", inputs=typed, domain="s1")).owner == person


async def test_an_address_that_was_struck_out_meanwhile_gets_neither_the_browser_nor_a_code():
    world = world_of(SHOP)
    _, token = await world.link(END)
    query = world.provider.agrees(await world.click(token, signed_in="", browser="his"), "ann")
    world.servers = Servers({"s1": structs.replace(S1, redirects=("https://shop.example.com/new",))})
    ended = await world.back(query, signed_in="", browser="his")
    assert (ended.next, ended.flow.stage, ended.flow.reason) == ("", Stage.FAILED, Why.NOT_ALLOWED)
    assert (await world.connections(), world.provider.forgotten) == ([], ["ann"])


async def test_what_the_policy_takes_back_meanwhile_is_not_handed_to_the_application():
    world = world_of(SHOP)
    _, token = await world.link(END)
    query = world.provider.agrees(await world.click(token, signed_in="", browser="his"), "ann")
    world.permitted = False
    ended = await world.back(query, signed_in="", browser="his")
    assert (ended.flow.stage, ended.flow.reason, ended.flow.code) == (Stage.FAILED, Why.NOT_ALLOWED, "")
    assert world.provider.forgotten == ["ann"]


async def test_an_end_users_flow_is_no_others_of_the_same_server():
    world = World()
    ended, code = await confirmable(world, "end:s1/mallory")
    assert await refused(world.linking.confirm(code, owner="end:s1/victim")) is Why.OTHER_PERSON
    assert (await world.connections(), world.provider.forgotten) == ([], ["ann"])
    assert (await world.linking.flow_behind(ended.flow.id)).stage is Stage.DISCARDED


@given(st.text(max_size=20), st.text(max_size=20))
def test_the_server_of_an_end_user_is_told_from_his_name_and_of_nobody_else(server, name):
    if "/" not in server:
        assert server_of(f"end:{server}/{name}") == server
    for kind in ("user", "server", "group", "role", ""):
        assert server_of(f"{kind}:{server}/{name}") == ""
    assert server_of("system") == ""


async def test_end_users_of_a_server_that_is_gone_begin_nothing():
    world = World()
    world.servers = Servers({})
    assert await refused(world.link(END, back=BACK)) is Why.NOT_ALLOWED
