"""From the link to the connection: what each step gives, takes, and refuses."""

import asyncio
import re

import pytest
from msgspec import structs

from connectors.oauth.terms import Failure, OAuthFailed
from gateway.connections.flows import STEP_MS
from gateway.connections.found import ISSUER
from gateway.connections.terms import SENTENCES, Why
from gateway.errors import NotConnected, Unavailable, Unknown, UpstreamFailed
from gateway.records import Stage, Status
from gateway.settings import Binding
from gateway.store import base
from tests.connections.world import (
    ALICE,
    BACK,
    BOB,
    CANARY,
    NOON,
    PUBLIC,
    RING,
    World,
    oauth_platform,
    opened_material,
    refused,
)


async def test_who_opens_a_link_and_agrees_has_a_connection():
    world = World()
    ended = await world.connect("ann")
    assert (ended.flow.stage, ended.flow.reason, ended.next) == (Stage.DONE, "", "")
    (connected,) = await world.connections()
    assert (connected.owner, connected.connector, connected.tenant) == (ALICE, "acme", "main")
    assert (connected.account, connected.label) == ("ann", "Ann at acme")
    assert (connected.status, connected.reason, connected.renewable) == (Status.ACTIVE, "", True)
    assert (connected.scopes, connected.expires_at) == (("read",), NOON + 3_600_000)
    assert connected.created_at == connected.updated_at == NOON
    assert ended.flow.result == connected.id
    assert world.told == [connected]
    material = opened_material(world, connected)
    assert material.access.startswith(f"{CANARY}-access-ann")
    assert material.refresh.startswith(f"{CANARY}-refresh-ann")
    assert material.plain == {"team": "t1"}


async def test_tokens_remember_who_gave_them():
    world = World()
    world.platforms["acme"] = oauth_platform("acme", issuer="https://acme.example")
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token), "ann")
    await world.back([*query, ("iss", "https://acme.example")])
    (connected,) = await world.connections()
    assert opened_material(world, connected).plain[ISSUER] == "https://acme.example"


async def test_an_answer_of_another_issuer_ends_the_flow_without_an_exchange():
    world = World()
    world.platforms["acme"] = oauth_platform("acme", issuer="https://acme.example")
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token), "ann")
    ended = await world.back([*query, ("iss", "https://zorg.example")])
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.WRONG_ISSUER)
    assert world.provider.exchanged == 0


async def test_nothing_that_is_kept_or_told_shows_a_secret():
    world = World(binding=Binding.CONFIRM)
    flow, token = await world.link(back=BACK)
    url = await world.click(token)
    state = re.search(r"state=([^&]+)", url).group(1)
    ended = await world.back(world.provider.agrees(url, "ann"))
    code = re.search(r"code=([^&]+)", ended.next).group(1)
    waiting = await world.store.flows.get(flow.id)
    await world.linking.confirm(code, owner=ALICE)
    connections = await world.connections()
    shown = f"{waiting!r} {ended!r} {connections!r} {world.told!r} {world.linking!r} {world.means()!r}"
    for secret in (CANARY, token, state, code, RING.derive("k1", "flow").hex()):
        assert secret not in shown


async def test_a_link_shows_what_it_is_for_and_is_not_used_up_by_looking():
    world = World()
    flow, token = await world.link(client="Editor\x1b[31m" + "x" * 500)
    for _ in range(3):
        opened = await world.linking.opened(token)
    assert (opened.flow, opened.platform.id, opened.fields, opened.former) == (flow, "acme", (), None)
    assert opened.flow.client.startswith("Editor?[31mxxx")
    assert len(opened.flow.client) == 100


async def test_a_link_lasts_ten_minutes_and_each_step_after_it_as_long():
    world = World()
    _, token = await world.link()
    world.now += STEP_MS - 1
    url = await world.click(token)
    query = world.provider.agrees(url, "ann")
    world.now += STEP_MS - 1
    assert (await world.back(query)).flow.stage is Stage.DONE
    _, token = await world.link()
    world.now += STEP_MS
    assert await refused(world.linking.opened(token)) is Why.EXPIRED
    assert await refused(world.click(token)) is Why.EXPIRED


async def test_a_callback_that_comes_too_late_is_refused_before_anything_is_exchanged():
    world = World()
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token), "ann")
    world.now += STEP_MS
    assert await refused(world.back(query)) is Why.EXPIRED
    assert world.provider.exchanged == 0


async def test_a_link_is_good_once_and_so_is_a_callback():
    world = World()
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token), "ann")
    assert await refused(world.click(token)) is Why.USED
    assert await refused(world.linking.opened(token)) is Why.USED
    await world.back(query)
    assert await refused(world.back(query)) is Why.USED
    assert len(await world.connections()) == 1


@pytest.mark.parametrize("token", ["", "x", "0" * 24, f"{'0' * 24}.{'A' * 43}", f"{'0' * 24}.{'A' * 44}", "../x" * 40])
async def test_what_is_no_link_of_ours_is_said_to_be_none(token):
    world = World()
    assert await refused(world.linking.opened(token)) is Why.NO_SUCH_LINK
    assert await refused(world.click(token)) is Why.NO_SUCH_LINK


async def test_who_knows_the_id_of_a_flow_alone_opens_nothing():
    world = World()
    flow, token = await world.link()
    guess = f"{flow.id}.{'A' * 43}"
    assert await refused(world.linking.opened(guess)) is Why.NO_SUCH_LINK
    query = world.provider.agrees(await world.click(token), "ann")
    guessed = [("code", query[0][1]), ("state", guess)]
    assert await refused(world.back(guessed)) is Why.BAD_CALLBACK
    assert (await world.back(query)).flow.stage is Stage.DONE


async def test_a_link_is_no_state_and_a_state_no_link():
    world = World()
    _, token = await world.link()
    url = await world.click(token)
    state = dict(world.provider.agrees(url, "ann"))["state"]
    assert await refused(world.linking.opened(state)) is Why.USED
    _, other = await world.link()
    assert await refused(world.back([("code", "c"), ("state", other)])) is Why.USED
    assert await refused(world.linking.confirm(other, owner=ALICE)) is Why.USED


@pytest.mark.parametrize("states", [0, 2])
async def test_a_callback_needs_one_state(states):
    world = World()
    _, token = await world.link()
    code, state = world.provider.agrees(await world.click(token), "ann")
    assert await refused(world.back([code, *[state] * states])) is Why.BAD_CALLBACK
    assert world.provider.exchanged == 0


@pytest.mark.parametrize("broken", ["twice", "missing", "empty"])
async def test_a_callback_without_one_code_ends_the_flow(broken):
    world = World()
    _, token = await world.link()
    code, state = world.provider.agrees(await world.click(token), "ann")
    query = {"twice": [code, code, state], "missing": [state], "empty": [("code", ""), state]}[broken]
    ended = await world.back(query)
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.BAD_CALLBACK)
    assert world.provider.exchanged == 0


async def test_a_callback_of_one_platform_with_the_state_of_another_ends_the_flow():
    world = World()
    _, token = await world.link(connector="zorg")
    query = world.provider.agrees(await world.click(token), "ann")
    ended = await world.back(query, "acme")
    assert (ended.flow.stage, ended.flow.reason, ended.next) == (Stage.FAILED, Why.BAD_CALLBACK, "")
    assert world.provider.exchanged == 0
    assert await refused(world.back(query, "zorg")) is Why.USED


async def test_a_callback_of_another_tenant_ends_the_flow():
    world = World()
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token), "ann")
    ended = await world.back(query, tenant="user:mallory@example.com")
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.BAD_CALLBACK)
    assert world.provider.exchanged == 0


async def test_each_tenant_and_connector_has_a_callback_of_its_own():
    world = World()
    seen = set()
    for tenant, connector in (("main", "acme"), ("main", "zorg"), ("user:a/b@example.com", "acme")):
        _, token = await world.link(connector=connector, tenant=tenant)
        seen.add(re.search(r"redirect_uri=([^&]+)", await world.click(token)).group(1))
    assert len(seen) == 3
    assert all("callback" in each and "a/b" not in each for each in seen)


async def test_a_no_at_the_platform_ends_the_flow_at_once_and_says_so_to_the_application():
    world = World()
    flow, token = await world.link(back=BACK)
    state = dict(world.provider.agrees(await world.click(token), "ann"))["state"]
    waiting = asyncio.create_task(world.linking.wait(flow.id, owner=ALICE, within_s=20))
    ended = await world.back([("error", "access_denied"), ("error_description", CANARY), ("state", state)])
    assert ended.next == f"{BACK}?flow={flow.id}&status=failed"
    told = await asyncio.wait_for(waiting, 5)
    assert (told.stage, told.reason) == (Stage.FAILED, Why.ACCESS_DENIED)
    assert CANARY not in repr(told)


@pytest.mark.parametrize("kind", list(Failure))
async def test_every_failure_of_an_exchange_ends_the_flow_with_a_reason(kind):
    world = World()
    world.provider.fails = OAuthFailed(kind, "a sentence")
    ended = await world.connect()
    assert ended.flow.stage is Stage.FAILED
    assert Why(ended.flow.reason) in SENTENCES
    assert await world.connections() == []


@pytest.mark.parametrize(
    ("trouble", "why"),
    [(NotConnected("no"), Why.KEY_REFUSED), (UpstreamFailed("later"), Why.UNAVAILABLE)],
)
async def test_an_account_that_nobody_can_name_is_not_kept_and_its_tokens_are_given_back(trouble, why):
    world = World()
    world.provider.nameless = trouble
    ended = await world.connect()
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, why)
    assert await world.connections() == []
    assert world.provider.forgotten == ["ann"]


async def test_a_platform_that_is_gone_at_the_callback_ends_the_flow():
    world = World()
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token), "ann")
    del world.platforms["acme"]
    ended = await world.back(query)
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.UNAVAILABLE)


async def test_what_a_flow_holds_opens_in_that_flow_alone():
    world = World()
    (first, token), (second, other) = await world.link(), await world.link()
    mine = world.provider.agrees(await world.click(token), "ann")
    await world.click(other)
    swapped = structs.replace(
        await world.store.flows.get(first.id), sealed=(await world.store.flows.get(second.id)).sealed
    )
    await world.store.flows.replace(swapped)
    ended = await world.back(mine)
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.LOST)
    assert world.provider.exchanged == 0


async def test_two_tabs_are_two_flows_that_do_not_disturb_each_other():
    world = World()
    (_, one), (_, two) = await world.link(), await world.link(connector="zorg")
    first = world.provider.agrees(await world.click(one, browser="tab 1"), "ann")
    second = world.provider.agrees(await world.click(two, browser="tab 2"), "ann")
    assert (await world.back(second, "zorg", browser="tab 2")).flow.stage is Stage.DONE
    assert (await world.back(first, browser="tab 1")).flow.stage is Stage.DONE
    assert {each.connector for each in await world.connections()} == {"acme", "zorg"}


async def test_a_flow_is_shown_to_its_person_alone():
    world = World()
    flow, _ = await world.link()
    assert (await world.linking.flow(flow.id, owner=ALICE)).id == flow.id
    for id, owner in ((flow.id, BOB), ("0" * 24, ALICE), ("", ALICE)):
        with pytest.raises(Unknown, match="there is no such flow"):
            await world.linking.flow(id, owner=owner)
        with pytest.raises(Unknown):
            await world.linking.wait(id, owner=owner, within_s=0)


async def test_who_waits_is_told_as_soon_as_it_is_done_and_else_when_his_time_is_up():
    world = World()
    flow, token = await world.link()
    assert (await world.linking.wait(flow.id, owner=ALICE, within_s=0.01)).stage is Stage.CREATED
    waiting = asyncio.create_task(world.linking.wait(flow.id, owner=ALICE, within_s=20))
    query = world.provider.agrees(await world.click(token), "ann")
    await world.back(query)
    assert (await asyncio.wait_for(waiting, 5)).stage is Stage.DONE
    assert (await world.linking.wait(flow.id, owner=ALICE, within_s=20)).stage is Stage.DONE


async def test_who_waits_hears_that_it_expired():
    world = World()
    flow, _ = await world.link()
    world.now += STEP_MS
    told = await asyncio.wait_for(world.linking.wait(flow.id, owner=ALICE, within_s=20), 5)
    assert (told.stage, told.reason) == (Stage.EXPIRED, Why.EXPIRED)


async def test_disconnecting_ends_a_connection_here_and_at_the_platform():
    world = World()
    await world.connect("ann")
    (connected,) = await world.connections()
    assert await world.linking.disconnect(connected.id, owner=ALICE) is True
    assert (await world.connections(), world.provider.forgotten) == ([], ["ann"])
    assert (world.told[-1].status, world.told[-1].sealed) == (Status.REVOKED, b"")
    with pytest.raises(Unknown):
        await world.linking.disconnect(connected.id, owner=ALICE)


async def test_nobody_ends_the_connection_of_somebody_else():
    world = World()
    await world.connect("ann")
    (connected,) = await world.connections()
    texts = set()
    for id, owner in ((connected.id, BOB), ("0" * 24, ALICE), ("", ALICE)):
        with pytest.raises(Unknown) as info:
            await world.linking.disconnect(id, owner=owner)
        texts.add(info.value.text)
    assert len(texts) == 1
    assert await world.connections() == [connected]


async def test_a_token_is_never_sent_to_another_issuer_than_who_gave_it():
    world = World()
    world.platforms["acme"] = oauth_platform("acme", issuer="https://acme.example")
    _, token = await world.link()
    query = world.provider.agrees(await world.click(token), "ann")
    first = (await world.back([*query, ("iss", "https://acme.example")])).flow.result
    world.platforms["acme"] = oauth_platform("acme", issuer="https://other.example")
    assert await world.linking.disconnect(first, owner=ALICE) is False
    assert world.provider.forgotten == []


async def test_a_connection_ends_also_when_its_platform_is_not_set_up_any_more():
    world = World()
    first = (await world.connect("ann")).flow.result
    del world.platforms["acme"]
    assert await world.linking.disconnect(first, owner=ALICE) is False
    assert await world.connections() == []


async def test_a_store_that_does_not_answer_is_a_refusal():
    world = World()
    flow, token = await world.link()

    async def down(*_):
        raise base.Unavailable("it does not answer")

    world.store.flows.get = down
    with pytest.raises(Unavailable):
        await world.linking.opened(token)
    with pytest.raises(Unavailable):
        await world.linking.wait(flow.id, owner=ALICE, within_s=1)


async def test_a_connection_is_made_even_if_this_process_cannot_follow_the_store_at_once():
    world = World()

    async def down():
        raise base.Unavailable("it does not answer")

    world.catch_up = down
    world.__post_init__()
    assert (await world.connect("ann")).flow.stage is Stage.DONE


def test_every_reason_says_what_happened_and_what_to_do():
    assert set(SENTENCES) == set(Why)
    for happened, remedy in SENTENCES.values():
        assert happened
        assert remedy
        assert not happened.endswith(".")
        assert not remedy.endswith(".")


def test_a_link_is_absolute_and_holds_no_data_of_anybody():
    assert re.fullmatch(rf"{PUBLIC}/connect/[0-9a-f]{{24}}\.[A-Za-z0-9_-]{{43}}", asyncio.run(_link()))


async def _link() -> str:
    return (await World().linking.start(ALICE, "acme")).link
