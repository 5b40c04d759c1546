"""Who finishes a flow: the person who began it, in the browser in which he did, or as his application says."""

import asyncio

import pytest

from gateway.connections.flows import STEP_MS
from gateway.connections.terms import Why
from gateway.errors import InvalidArguments
from gateway.records import Stage
from gateway.settings import Binding
from tests.connections.world import (
    ALICE,
    BACK,
    BOB,
    MALLORY,
    World,
    confirmable,
    oauth_platform,
    refused,
)


async def test_a_forwarded_link_is_no_good_to_somebody_else_who_is_signed_in():
    world = World()
    flow, token = await world.link(MALLORY)
    assert await refused(world.click(token, signed_in=BOB)) is Why.OTHER_PERSON
    assert await refused(world.click(token, signed_in="")) is Why.SIGN_IN
    assert (await world.store.flows.get(flow.id)).stage is Stage.CREATED


async def test_a_forwarded_address_of_the_platform_brings_nobodys_account_to_who_forwarded_it():
    """Row A2 of the four: Mallory opens his own link, and sends Bob the platform's address."""
    for signed_in, browser, why in (
        (BOB, "bobs", Why.OTHER_BROWSER),
        (BOB, "mallorys", Why.OTHER_PERSON),
        ("", "mallorys", Why.SIGN_IN),
    ):
        world = World()
        _, token = await world.link(MALLORY, back=BACK)
        query = world.provider.agrees(await world.click(token, signed_in=MALLORY, browser="mallorys"), "bob")
        ended = await world.back(query, signed_in=signed_in, browser=browser)
        assert (ended.flow.stage, ended.flow.reason, ended.next) == (Stage.FAILED, why, "")
        assert world.provider.exchanged == 0
        assert await refused(world.back(query, signed_in=MALLORY, browser="mallorys")) is Why.USED


async def test_a_code_goes_to_nobody_but_who_was_asked():
    """A server behind us says anew who lets people in while somebody is there: that one would get his code."""
    world = World()
    world.platforms["acme"] = oauth_platform("acme", issuer="https://acme.example", iss_promised=False)
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token), "ann")
    world.platforms["acme"] = oauth_platform("acme", issuer="https://evil.example", iss_promised=False)
    ended = await world.back(query)
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.WRONG_ISSUER)
    assert world.provider.exchanged == 0


async def test_nothing_is_left_of_who_is_deleted_while_he_connects():
    """Deleting somebody takes his flows away; that this process follows the store comes later."""
    world = World()
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token), "ann")
    exchange = world.provider.exchange

    async def meanwhile(*asked):
        tokens = await exchange(*asked)
        world.store.flows.records.clear()
        return tokens

    world.provider.exchange = meanwhile
    assert await refused(world.back(query)) is Why.USED
    assert (await world.connections(), world.provider.forgotten) == ([], ["ann"])


async def test_a_click_without_a_cookie_is_refused():
    world = World()
    _, token = await world.link()
    assert await refused(world.click(token, browser="")) is Why.OTHER_BROWSER
    assert await world.click(token)


async def test_one_browser_is_proof_enough_as_long_as_there_is_one_user():
    world = World(binding=Binding.SAME_BROWSER)
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token, signed_in=""), "ann")
    assert (await world.back(query, signed_in="")).flow.stage is Stage.DONE


async def test_one_browser_is_refused_as_soon_as_there_is_a_second_user():
    world = World(binding=Binding.SAME_BROWSER)
    (_, token), (_, other) = await world.link(), await world.link()
    query = world.provider.agrees(await world.click(token, signed_in=""), "ann")
    world.several = True
    ended = await world.back(query, signed_in="")
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.SEVERAL_USERS)
    assert await refused(world.click(other, signed_in="")) is Why.SEVERAL_USERS
    assert await refused(world.link()) is Why.SEVERAL_USERS
    assert world.provider.exchanged == 0


async def test_the_operators_account_is_connected_by_who_began_it():
    world = World()
    flow, token = await world.link("system", by=ALICE)
    assert await refused(world.click(token, signed_in=BOB)) is Why.OTHER_PERSON
    query = world.provider.agrees(await world.click(token), "ann")
    await world.back(query)
    assert [each.owner for each in await world.connections()] == ["system"]
    assert (await world.linking.flow(flow.id, owner=ALICE)).owner == "system"


@pytest.mark.parametrize(
    ("owner", "by"),
    [("server:s1", ""), ("system", ""), ("*", ""), (ALICE, BOB), ("end:s1/u", ALICE), ("system", "server:s1")],
)
async def test_who_cannot_prove_himself_begins_nothing(owner, by):
    world = World()
    assert await refused(world.link(owner, by=by, back=BACK)) is Why.NOT_ALLOWED


@pytest.mark.parametrize("moment", ["click", "callback"])
async def test_what_the_policy_does_not_allow_any_more_is_not_kept(moment):
    world = World()
    _, token = await world.link()
    if moment == "click":
        world.permitted = False
        assert await refused(world.click(token)) is Why.NOT_ALLOWED
        return
    query = world.provider.agrees(await world.click(token), "ann")
    world.permitted = False
    ended = await world.back(query)
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.NOT_ALLOWED)
    assert (await world.connections(), world.provider.forgotten) == ([], ["ann"])


async def test_an_end_users_account_is_no_connection_before_his_application_confirms_it():
    world = World()
    ended, code = await confirmable(world)
    assert ended.flow.stage is Stage.PENDING
    assert ended.next == f"{BACK}?flow={ended.flow.id}&status=pending_confirmation&code={code}"
    assert await world.connections() == []
    done = await world.linking.confirm(code, owner="end:s1/u")
    assert done.stage is Stage.DONE
    assert [(each.owner, each.account) for each in await world.connections()] == [("end:s1/u", "ann")]
    assert await refused(world.linking.confirm(code, owner="end:s1/u")) is Why.USED


async def test_an_application_that_names_somebody_else_discards_what_was_connected():
    """Row A1 with ``confirm``: Mallory's link, finished by Bob, of whom the application knows who he is."""
    world = World()
    ended, code = await confirmable(world, "end:s1/mallory")
    assert await refused(world.linking.confirm(code, owner="end:s1/bob")) is Why.OTHER_PERSON
    assert (await world.store.flows.get(ended.flow.id)).stage is Stage.DISCARDED
    assert (await world.connections(), world.provider.forgotten) == ([], ["ann"])
    assert await refused(world.linking.confirm(code, owner="end:s1/mallory")) is Why.USED


async def test_a_confirmation_that_comes_too_late_is_refused():
    world = World()
    _, code = await confirmable(world)
    world.now += STEP_MS
    assert await refused(world.linking.confirm(code, owner="end:s1/u")) is Why.EXPIRED
    assert await world.connections() == []


async def test_who_guesses_a_code_confirms_nothing():
    world = World()
    ended, code = await confirmable(world)
    for guess in ("", "x", f"{ended.flow.id}.{'A' * 43}"):
        assert await refused(world.linking.confirm(guess, owner="end:s1/u")) is Why.NO_SUCH_CODE
    assert (await world.linking.confirm(code, owner="end:s1/u")).stage is Stage.DONE


async def test_who_has_to_be_confirmed_needs_an_address_that_is_told_the_code():
    world = World()
    with pytest.raises(InvalidArguments, match="confirmed by the application"):
        await world.linking.start("end:s1/u", "acme", domain="s1")


async def test_a_browser_that_goes_away_does_not_leave_a_code_exchanged_and_nothing_kept():
    world = World()
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token), "ann")
    entered, go_on = asyncio.Event(), asyncio.Event()
    exchange = world.provider.exchange

    async def slowly(*args):
        entered.set()
        await go_on.wait()
        return await exchange(*args)

    world.provider.exchange = slowly
    task = asyncio.create_task(world.back(query))
    await asyncio.wait_for(entered.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.wait_for(world.linking.close(), 5)
    assert [each.account for each in await world.connections()] == ["ann"]
