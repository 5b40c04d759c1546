"""Connecting anew, connecting twice, and what is typed instead: which account stands where afterwards."""

import re
from string import ascii_lowercase

import pytest
from msgspec import structs

from gateway.connections.flows import STEP_MS
from gateway.connections.linking import MOST_EACH
from gateway.connections.terms import BadInputs, Ended, Why
from gateway.errors import InvalidArguments, Unknown, UpstreamFailed
from gateway.records import Stage, Status
from gateway.settings import Binding
from tests.connections.world import (
    ALICE,
    BACK,
    BOB,
    CANARY,
    MALLORY,
    NOON,
    World,
    confirmable,
    opened_material,
    refused,
)


async def test_connecting_anew_keeps_the_id_and_the_label():
    world = World()
    first = (await world.connect("ann")).flow.result
    (before,) = await world.connections()
    await world.store.connections.replace(
        structs.replace(
            before, label="My own words", status=Status.NEEDS_REAUTH, reason="renewal_refused", attempts=4, retry_at=9,
            leased_by="n1", leased_until=9,
        )
    )  # fmt: skip
    world.now += 1000
    ended = await world.connect("ann", reconnects=first)
    (after,) = await world.connections()
    assert (ended.flow.result, after.id, after.label) == (first, first, "My own words")
    assert (after.status, after.reason, after.attempts, after.retry_at) == (Status.ACTIVE, "", 0, 0)
    assert (after.leased_by, after.leased_until) == ("", 0)
    assert (after.created_at, after.updated_at) == (NOON, NOON + 1000)
    assert opened_material(world, after).access != opened_material(world, before).access
    assert world.provider.forgotten == []


async def test_the_same_account_connected_twice_is_one_connection():
    world = World()
    first = await world.connect("ann")
    second = await world.connect("ann")
    third = await world.connect("another")
    assert second.flow.result == first.flow.result != third.flow.result
    assert len(await world.connections()) == 2


async def test_one_id_at_two_sites_is_two_accounts():
    world = World()
    ids = [
        (await world.linking.deposit(ALICE, "keyed", inputs={"api_key": "key-ann-x", "site": site})).id
        for site in ("berlin", "paris", "berlin")
    ]
    assert (ids[0] == ids[2], ids[0] == ids[1], len(await world.connections())) == (True, False, 2)
    other = {"api_key": "key-ann-x", "site": "rome"}
    assert await refused(world.linking.deposit(ALICE, "keyed", inputs=other, reconnects=ids[0])) is Why.OTHER_ACCOUNT


async def test_one_id_in_two_companies_of_a_platform_is_two_accounts():
    world = World()
    first = (await world.connect("ann")).flow.result
    world.provider.team = "t2"
    assert (await world.connect("ann")).flow.result != first
    world.provider.team = "t3"
    assert (await world.connect("ann", reconnects=first)).flow.stage is Stage.ASKING


async def test_a_connection_that_cannot_be_read_any_more_is_made_anew():
    world = World()
    first = (await world.connect("ann")).flow.result
    (before,) = await world.connections()
    await world.store.connections.replace(structs.replace(before, sealed=b"of another key"))
    assert (await world.connect("ann", reconnects=first)).flow.result == first
    (before,) = await world.connections()
    await world.store.connections.replace(structs.replace(before, sealed=b"of another key"))
    asked = (await world.connect("another", reconnects=first)).flow
    assert (await world.linking.settle(asked.id, keep=True, owner=ALICE)).stage is Stage.DONE
    assert world.provider.forgotten == []


async def test_one_account_of_two_people_is_two_connections():
    world = World()
    await world.connect("shared", owner=ALICE)
    await world.connect("shared", owner=BOB)
    assert {each.owner for each in await world.connections()} == {ALICE, BOB}


async def asking(world) -> tuple[str, Ended]:
    first = (await world.connect("ann")).flow.result
    return first, await world.connect("another", reconnects=first, back=BACK)


async def test_another_account_is_asked_about_and_nothing_is_overwritten_meanwhile():
    world = World()
    first, ended = await asking(world)
    assert (ended.flow.stage, ended.next) == (Stage.ASKING, "")
    asked = await world.linking.asked(ended.flow.id, owner=ALICE)
    assert (asked.former.id, asked.former.label, asked.label) == (first, "Ann at acme", "Another at acme")
    (connected,) = await world.connections()
    assert (connected.account, connected.rev) == ("ann", 1)
    with pytest.raises(Unknown):
        await world.linking.asked(ended.flow.id, owner=BOB)


async def test_another_account_is_taken_when_the_owner_says_so():
    world = World()
    first, ended = await asking(world)
    done = await world.linking.settle(ended.flow.id, keep=True, owner=ALICE)
    (connected,) = await world.connections()
    assert (done.stage, connected.id, connected.account, connected.label) == (
        Stage.DONE, first, "another", "Another at acme",
    )  # fmt: skip
    assert world.provider.forgotten == ["ann"]
    assert await refused(world.linking.settle(ended.flow.id, keep=False, owner=ALICE)) is Why.USED
    assert world.provider.forgotten == ["ann"]


async def test_another_account_is_forgotten_when_the_owner_does_not_want_it():
    world = World()
    _, ended = await asking(world)
    done = await world.linking.settle(ended.flow.id, keep=False, owner=ALICE)
    assert (done.stage, done.reason, done.sealed) == (Stage.DISCARDED, Why.OTHER_ACCOUNT, b"")
    (connected,) = await world.connections()
    assert (connected.account, world.provider.forgotten) == ("ann", ["another"])


async def test_nobody_else_decides_about_another_account():
    world = World()
    _, ended = await asking(world)
    for owner, browser in ((BOB, ""), ("", ""), ("", f"of {ALICE}")):
        with pytest.raises(Unknown):
            await world.linking.settle(ended.flow.id, keep=True, owner=owner, browser=browser)
    assert [each.account for each in await world.connections()] == ["ann"]


async def test_without_sign_in_the_browser_that_connected_decides_about_another_account():
    world = World(binding=Binding.SAME_BROWSER)
    _, ended = await asking(world)
    with pytest.raises(Unknown):
        await world.linking.settle(ended.flow.id, keep=True, browser="another")
    world.several = True
    with pytest.raises(Unknown):
        await world.linking.settle(ended.flow.id, keep=True, browser=f"of {ALICE}")
    world.several = False
    assert (await world.linking.settle(ended.flow.id, keep=True, browser=f"of {ALICE}")).stage is Stage.DONE


async def test_a_decision_that_comes_too_late_changes_nothing():
    world = World()
    _, ended = await asking(world)
    world.now += STEP_MS
    assert await refused(world.linking.settle(ended.flow.id, keep=True, owner=ALICE)) is Why.EXPIRED


async def test_another_account_in_a_confirmed_flow_is_asked_about_after_the_confirmation():
    world = World()
    _, code = await confirmable(world)
    first = (await world.linking.confirm(code, owner="end:s1/u")).result
    _, token = await world.link("end:s1/u", back=BACK, reconnects=first)
    query = world.provider.agrees(await world.click(token, signed_in="", browser="his"), "another")
    ended = await world.back(query, signed_in="", browser="his")
    code = re.search(r"code=([^&]+)", ended.next).group(1)
    assert (await world.linking.confirm(code, owner="end:s1/u")).stage is Stage.ASKING
    done = await world.linking.settle(ended.flow.id, keep=True, owner="end:s1/u")
    assert (done.stage, done.result) == (Stage.DONE, first)


async def test_a_connection_that_was_ended_meanwhile_is_not_made_anew():
    world = World()
    first = (await world.connect("ann")).flow.result
    _, token = await world.link(reconnects=first)
    query = world.provider.agrees(await world.click(token), "ann")
    await world.linking.disconnect(first, owner=ALICE)
    ended = await world.back(query)
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.GONE)
    assert (await world.connections(), world.provider.forgotten) == ([], ["ann", "ann"])


async def test_a_connection_that_is_renewed_at_the_same_moment_is_read_again():
    world = World()
    first = (await world.connect("ann")).flow.result
    replace, busy = world.store.connections.replace, [3]

    async def contested(record):
        if busy[0]:
            busy[0] -= 1
            await replace(structs.replace(record, rev=(await world.store.connections.get(first)).rev, attempts=1))
        return await replace(record)

    world.store.connections.replace = contested
    assert (await world.connect("ann", reconnects=first)).flow.stage is Stage.DONE
    busy[0] = 100
    ended = await world.connect("ann", reconnects=first)
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.UNAVAILABLE)


async def test_nobody_makes_the_connection_of_somebody_else_anew():
    world = World()
    first = (await world.connect("ann")).flow.result
    for owner, connector, id in ((BOB, "acme", first), (ALICE, "zorg", first), (ALICE, "acme", "0" * 24)):
        with pytest.raises(Unknown, match="there is no such connection"):
            await world.linking.start(owner, connector, reconnects=id)


async def test_a_typed_key_becomes_a_connection():
    world = World()
    _, token = await world.link(connector="keyed")
    opened = await world.linking.opened(token)
    assert [each.name for each in opened.fields] == ["api_key", "site", "note"]
    ended = await world.typed(token, api_key=" key-ann-x ", site="berlin")
    assert ended.flow.stage is Stage.DONE
    (connected,) = await world.connections()
    assert (connected.account, connected.inputs, connected.renewable) == ("ann", {"site": "berlin"}, False)
    assert opened_material(world, connected).secrets["api_key"].reveal() == "key-ann-x"


async def test_what_does_not_fit_is_said_field_by_field_and_can_be_typed_again():
    world = World()
    _, token = await world.link(connector="keyed")
    with pytest.raises(BadInputs) as info:
        await world.typed(token, api_key=f"{CANARY}", site="", region="us")
    assert set(info.value.fields) == {"api_key", "site", "region"}
    assert CANARY not in info.value.text
    assert await refused(world.typed(token, api_key="key-nobody-x", site="berlin")) is Why.KEY_REFUSED
    world.provider.nameless = UpstreamFailed("later")
    assert await refused(world.typed(token, api_key="key-ann-x", site="berlin")) is Why.UNAVAILABLE
    world.provider.nameless = None
    assert (await world.typed(token, api_key="key-ann-x", site="berlin")).flow.stage is Stage.DONE
    assert await refused(world.typed(token, api_key="key-ann-x", site="berlin")) is Why.USED


async def test_a_typed_key_is_asked_of_its_person_alone():
    world = World()
    _, token = await world.link(connector="keyed")
    assert await refused(world.typed(token, signed_in=MALLORY, api_key="key-bob-x", site="berlin")) is Why.OTHER_PERSON
    _, token = await world.link("end:s1/mallory", "keyed", back=BACK)
    ended = await world.typed(token, signed_in="", api_key="key-bob-x", site="berlin")
    assert (ended.flow.stage, await world.connections()) == (Stage.PENDING, [])


async def test_a_key_is_deposited_without_a_browser():
    world = World()
    inputs = {"api_key": "key-ann-x", "site": "berlin"}
    connected = await world.linking.deposit(ALICE, "keyed", inputs=inputs)
    assert (connected.owner, connected.account, connected.status) == (ALICE, "ann", Status.ACTIVE)
    again = await world.linking.deposit(
        ALICE, "keyed", inputs={**inputs, "api_key": "key-ann-y"}, reconnects=connected.id
    )
    assert (again.id, len(await world.connections())) == (connected.id, 1)
    other = {**inputs, "api_key": "key-other-y"}
    assert await refused(world.linking.deposit(ALICE, "keyed", inputs=other, reconnects=again.id)) is Why.OTHER_ACCOUNT
    world.permitted = False
    assert await refused(world.linking.deposit(ALICE, "keyed", inputs=inputs)) is Why.NOT_ALLOWED
    world.permitted = True
    with pytest.raises(Unknown):
        await world.linking.deposit(BOB, "keyed", inputs=inputs, reconnects=connected.id)
    with pytest.raises(InvalidArguments, match="in a browser"):
        await world.linking.deposit(ALICE, "acme", inputs={})


async def test_nobody_has_more_connections_to_one_connector_than_can_be_asked_about():
    world = World()
    made = [
        await world.linking.deposit(ALICE, "keyed", inputs={"api_key": f"key-a{each}-x", "site": "berlin"})
        for each in ascii_lowercase[:MOST_EACH]
    ]
    more = {"api_key": "key-more-x", "site": "berlin"}
    with pytest.raises(InvalidArguments, match=f"there are {MOST_EACH} connections to `keyed` already; end one first"):
        await world.linking.deposit(ALICE, "keyed", inputs=more)
    with pytest.raises(InvalidArguments, match="end one first"):
        await world.link(ALICE, "keyed")
    await world.link(ALICE, "keyed", reconnects=made[0].id)
    await world.linking.deposit(BOB, "keyed", inputs=more)
    await world.linking.disconnect(made[0].id, owner=ALICE)
    await world.catch_up()
    await world.linking.deposit(ALICE, "keyed", inputs=more)


async def test_there_is_nothing_to_connect_where_no_account_is_needed():
    world = World()
    with pytest.raises(InvalidArguments, match="nothing to connect"):
        await world.linking.start(ALICE, "open")
    with pytest.raises(Unknown):
        await world.linking.start(ALICE, "absent")
