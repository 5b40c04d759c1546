"""Flows against third parties: a certified authorization server, and emulated platforms, over the real legs, the real
egress and a real store. The person at the browser is ``tests.platforms.visiting``.
"""

import asyncio
import re
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.definition.terms import Identity
from connectors.egress import Egress
from connectors.oauth.legs import Legs
from connectors.rest.identity import whose
from gateway.connections.linking import Linking
from gateway.connections.material import context_of_connection, credential, unpack
from gateway.connections.terms import FlowRefused, Redirect, Why
from gateway.errors import NotConnected
from gateway.follower import now_ms
from gateway.records import Stage, Status
from gateway.servers.known import server_of
from gateway.settings import Binding
from tests.connections.renewing_node import at_authority
from tests.connections.world import ALICE, BACK, BOB, MALLORY, World
from tests.platforms.counterparts import CALLBACK
from tests.platforms.rig import platform
from tests.platforms.visiting import Person

GATEWAY = CALLBACK.partition("/oauth/")[0]


@pytest.fixture
async def out():
    egress = Egress()
    yield egress
    await egress.close()


@pytest.fixture
def world(store, out, authority, platforms):
    """Flows to the authorization server (``oidc``) and to emulated GitHub and Slack."""
    platforms.reset()
    world = World(store=store, now=now_ms())
    oidc = at_authority(authority.issuer)
    identity = Identity(url=authority.userinfo_url, id="sub", label="{sub}")
    world.platforms["oidc"] = replace(oidc, definition=replace(oidc.definition, identity=identity))
    for each in ("github", "slack"):
        known = platforms.of(each)
        world.platforms[each] = platform(
            each, known.at, known.host, client_id=known.client_id, client_secret=known.client_secret
        )
    return real(world, out)


def real(world, out):
    means = world.means(
        legs=Legs(out, lambda: world.now), whose=partial(whose, egress=out), public_url=GATEWAY, clock=now_ms
    )
    world.linking, world.out, world.real = Linking(means), out, means
    return world


async def visited(act, url) -> list[tuple[str, str]]:
    """What comes back after somebody did ``act`` at the platform's pages."""
    back = await asyncio.to_thread(act, url)
    return parse_qsl(urlsplit(back).query, keep_blank_values=True)


async def begun(world, connector: str, *, owner: str = ALICE, browser: str = "alices", **options) -> tuple[str, str]:
    started = await world.linking.start(owner, connector, domain=server_of(owner) or "main", **options)
    token = started.link.rpartition("/")[2]
    signed_in = owner if owner.startswith("user:") else ""
    gone = await world.linking.begin(token, signed_in=signed_in, browser=browser, inputs={})
    assert isinstance(gone, Redirect)
    return started.flow.id, gone.url


async def connect(world, connector: str, who: str, **options):
    _, url = await begun(world, connector, **options)
    return await world.back(await visited(Person(who).agrees, url), connector)


def live(world, connected):
    material = unpack(world.real.vault.open(connected.sealed, context_of_connection(connected)))
    return credential(material, connected.id, connected.inputs)


@pytest.mark.parametrize(
    ("connector", "who", "label"),
    [("github", "ann", "ann"), ("slack", "ann", "ann"), ("oidc", "ann@example.com", "ann")],
)
async def test_an_account_of_a_platform_is_connected(world, connector, who, label):
    ended = await connect(world, connector, who)
    assert (ended.flow.stage, ended.flow.reason) == (Stage.DONE, "")
    (connected,) = await world.connections()
    assert connected.status is Status.ACTIVE
    assert connected.account
    assert label in connected.label
    account = await whose(world.platforms[connector], live(world, connected), world.out)
    assert account.id == connected.account


async def test_a_forwarded_link_connects_nobodys_account_to_who_forwarded_it(world):
    """Row A1: Bob opens Mallory's link, in whichever state of sign-in he is."""
    started = await world.linking.start(MALLORY, "github")
    token = started.link.rpartition("/")[2]
    for signed_in in (BOB, ""):
        with pytest.raises(FlowRefused):
            await world.linking.begin(token, signed_in=signed_in, browser="bobs", inputs={})
    assert await world.connections() == []


async def test_a_forwarded_address_of_the_platform_connects_nobodys_account_to_who_forwarded_it(world):
    """Row A2: Mallory opens his own link; Bob agrees at the platform, and what comes back comes to Bob's browser."""
    _, url = await begun(world, "github", owner=MALLORY, browser="mallorys")
    query = await visited(Person("bob").agrees, url)
    ended = await world.back(query, "github", signed_in=BOB, browser="")
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.OTHER_BROWSER)
    with pytest.raises(FlowRefused):
        await world.back(query, "github", signed_in=MALLORY, browser="mallorys")
    assert await world.connections() == []


@pytest.mark.parametrize("owner", ["end:s1/ann", "end:s1/mallory"])
async def test_an_end_users_account_is_usable_when_his_application_confirms_it_and_given_back_when_it_names_another(
    world, owner, authority
):
    before = authority.counts().get("POST /token/revocation", 0)
    _, url = await begun(world, "oidc", owner=owner, browser="his", back=BACK)
    ended = await world.back(await visited(Person("ann@example.com").agrees, url), "oidc", signed_in="", browser="his")
    assert (ended.flow.stage, await world.connections()) == (Stage.PENDING, [])
    code = re.search(r"code=([^&]+)", ended.next).group(1)
    if owner == "end:s1/ann":
        assert (await world.linking.confirm(code, owner="end:s1/ann")).stage is Stage.DONE
        assert [each.owner for each in await world.connections()] == [owner]
        assert authority.counts().get("POST /token/revocation", 0) == before
        return
    with pytest.raises(FlowRefused):
        await world.linking.confirm(code, owner="end:s1/ann")
    assert await world.connections() == []
    assert authority.counts().get("POST /token/revocation", 0) > before


async def test_a_no_at_the_platform_wakes_who_waits(world):
    flow, url = await begun(world, "oidc")
    waiting = asyncio.create_task(world.linking.wait(flow, owner=ALICE, within_s=30))
    query = await visited(Person("ann@example.com").refuses, url)
    ended = await world.back(query, "oidc")
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.ACCESS_DENIED)
    assert (await asyncio.wait_for(waiting, 10)).reason == Why.ACCESS_DENIED


@pytest.mark.parametrize("iss", ["wrong", "missing", "twice"])
async def test_what_comes_back_from_another_issuer_is_worth_nothing(world, iss):
    _, url = await begun(world, "oidc")
    query = await visited(Person("ann@example.com").agrees, url)
    assert "iss" in dict(query), "the counterpart says who it is"
    rest = [pair for pair in query if pair[0] != "iss"]
    told = {"wrong": [("iss", "https://evil.example")], "missing": [], "twice": [("iss", dict(query)["iss"])] * 2}[iss]
    ended = await world.back([*rest, *told], "oidc")
    why = Why.BAD_CALLBACK if iss == "twice" else Why.WRONG_ISSUER
    assert (ended.flow.stage, ended.flow.reason, await world.connections()) == (Stage.FAILED, why, [])


async def test_a_code_that_was_asked_for_with_another_verifier_is_worth_nothing(world):
    """Mallory puts Bob's code behind his own state: PKCE holds the code to the flow it was made in."""
    _, bobs = await begun(world, "oidc", owner=BOB, browser="bobs")
    _, own = await begun(world, "oidc", owner=MALLORY, browser="mallorys")
    stolen = await visited(Person("bob@example.com").agrees, bobs)
    state = dict(parse_qsl(urlsplit(own).query))["state"]
    query = [(name, state if name == "state" else value) for name, value in stolen]
    ended = await world.back(query, "oidc", signed_in=MALLORY, browser="mallorys")
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.PROVIDER_ERROR)
    assert await world.connections() == []


async def test_connecting_anew_with_another_account_asks_first(world):
    first = (await connect(world, "github", "ann")).flow.result
    ended = await connect(world, "github", "bob", reconnects=first)
    assert ended.flow.stage is Stage.ASKING
    assert [each.label for each in await world.connections()] == [
        (await world.linking.asked(ended.flow.id, owner=ALICE)).former.label
    ]
    await world.linking.settle(ended.flow.id, keep=True, owner=ALICE)
    (connected,) = await world.connections()
    assert (connected.id, "bob" in connected.label) == (first, True)


async def test_disconnecting_ends_the_token_at_the_platform_too(world):
    await connect(world, "oidc", "ann@example.com")
    (connected,) = await world.connections()
    opened = live(world, connected)
    assert (await whose(world.platforms["oidc"], opened, world.out)).id == connected.account
    assert await world.linking.disconnect(connected.id, owner=ALICE) is True
    with pytest.raises(NotConnected):
        await whose(world.platforms["oidc"], opened, world.out)


async def test_a_platform_in_trouble_ends_the_flow_with_a_reason_and_a_new_one_works(world, authority):
    with authority.trouble("/token", 503):
        ended = await connect(world, "oidc", "ann@example.com")
    assert (ended.flow.stage, ended.flow.reason) == (Stage.FAILED, Why.UNAVAILABLE)
    assert (await connect(world, "oidc", "ann@example.com")).flow.stage is Stage.DONE


async def test_two_tabs_at_once(world):
    (_, one), (_, two) = await begun(world, "github", browser="1"), await begun(world, "slack", browser="2")
    first, second = await visited(Person("ann").agrees, one), await visited(Person("ann").agrees, two)
    assert (await world.back(second, "slack", browser="2")).flow.stage is Stage.DONE
    assert (await world.back(first, "github", browser="1")).flow.stage is Stage.DONE


async def test_same_browser_connects_for_the_only_user(store, out, authority, world):
    alone = World(store=store, binding=Binding.SAME_BROWSER, platforms=world.platforms)
    real(alone, out)
    _, url = await begun(alone, "oidc")
    ended = await alone.back(await visited(Person("ann@example.com").agrees, url), "oidc", signed_in="")
    assert ended.flow.stage is Stage.DONE
