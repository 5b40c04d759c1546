"""What the list of connections offers to connect: every platform that he could connect, and none that would be refused."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Personal, UpstreamSpec
from connectors.definition.platform import Platform
from connectors.egress import Egress
from gateway.connections.listing import Listing, Offer
from gateway.connections.terms import FlowRefused
from gateway.connections.upstreams import UpstreamPlatforms
from gateway.errors import Denied, InvalidArguments
from gateway.pipeline import Origin
from gateway.settings import Binding
from gateway.web.operations import Operations
from gateway.web.pages.connections import told_apart
from tests.builders import Door
from tests.connections.world import BACK, KEYED, OPEN, World, oauth_platform
from tests.pages.people import Acme
from tests.pages.site import ANN, BEN, CONNECTS

ORIGIN = Origin("127.0.0.1", "web")
UPSTREAMS = (
    UpstreamSpec(id="docs", transport="http", url="https://docs.example.com/mcp", personal=Personal(oauth=True)),
    UpstreamSpec(id="notes", transport="http", url="https://notes.example.com/mcp", personal=Personal(oauth=False)),
    UpstreamSpec(id="files", transport="http", url="https://files.example.com/mcp"),
)


async def at_home(site, street, email=ANN):
    person = await street.person()
    await Acme(site).stands_before(person)
    await person.opens(f"{site.url}/connections")
    await person.signs_in(site, email)
    return person


async def offered(person):
    """The buttons of what can be connected, by their names."""
    found = person.page.locator("section", has=person.page.locator("#offers")).get_by_role("button")
    return [await each.get_attribute("aria-label") for each in await found.all()]


@pytest.mark.asyncio(loop_scope="session")
async def test_somebody_connects_an_account_from_his_list(opens, street):
    site = await opens()
    acme = site.world.platforms["acme"]
    described = replace(acme.definition, description="Things <b>and</b> plans")
    site.world.platforms["acme"] = replace(acme, definition=described)
    person = await at_home(site, street)
    assert "Connect an account" in await person.text
    assert "Things <b>and</b> plans" in await person.text
    assert await offered(person) == ["Connect Acme", "Connect Keyed", "Connect Zorg"]
    assert [each.method for each in site.door.entries] == ["sign_in.key", "connections.list", "connections.offers"]
    await person.presses("Connect Acme")
    assert await person.heading == "Connect Acme"
    assert "your list of connections" in await person.text
    await person.presses("Go on to")
    await person.arrives("**/connected/**")
    await site.world.catch_up()
    assert [(each.owner, each.connector) for each in site.world.known] == [(f"user:{ANN}", "acme")]
    await person.opens(f"{site.url}/connections")
    assert "Connect another account" in await person.text
    assert await offered(person) == ["Connect Acme", "Connect Keyed", "Connect Zorg"]


@pytest.mark.asyncio(loop_scope="session")
async def test_what_the_policy_refuses_is_not_offered(opens, street):
    site = await opens(door=Door(f"{CONNECTS}\np, user:{ANN}, *, *, acme, connect, , deny\n"))
    site.world.platforms["off"] = replace(oauth_platform("off"), client_id="")
    ann, ben = await at_home(site, street), await at_home(site, street, BEN)
    assert await offered(ann) == ["Connect Keyed", "Connect Zorg"]
    assert await offered(ben) == ["Connect Acme", "Connect Keyed", "Connect Zorg"]
    guard = await ann.page.locator("input[name=guard]").first.get_attribute("value")
    cookies = {name: each["value"] for name, each in (await ann.cookies()).items()}
    async with httpx2.AsyncClient(base_url=site.url, cookies=cookies, headers={"origin": site.url}) as client:
        said = await client.post("/connections/connect", data={"guard": guard, "connector": "acme"})
    assert said.status_code == 403
    assert "The policy does not allow this" in said.text


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("binding", [Binding.CONFIRM, Binding.SAME_BROWSER])
async def test_where_no_flow_could_begin_here_nothing_is_offered(opens, street, kept, binding):
    """An application has to confirm who it was, or a browser alone proves nothing among several users."""
    site = await opens(world=World(store=kept, binding=binding, several=True))
    person = await at_home(site, street)
    assert await person.heading == "Your connections"
    assert await person.page.locator("#offers").count() == 0


# -- without a browser


def operations(world, door):
    listing = Listing(world.store, lambda: world.known, lambda: world.platforms, lambda: door.now)
    return Operations(door.pipeline, world.linking, listing, None)


WHOSE = {"allow": ("self", "system", f"user:{BEN}"), "deny": ("self", "*", f"user:{ANN}")}
ROWS = st.lists(
    st.sampled_from(["allow", "allow", "deny"]).flatmap(
        lambda effect: st.builds(
            f"p, {{}}, main, {{}}, {{}}, connect, , {effect}".format,
            st.sampled_from(["user:*", f"user:{ANN}", f"user:{BEN}"]),
            st.sampled_from(WHOSE[effect]),
            st.sampled_from(["*", "acme", "zorg", "keyed", "open", "off"]),
        )
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from(Binding), st.booleans())
def test_offered_is_what_can_be_begun(rows, binding, several):
    async def compared():
        world, door = World(binding=binding, several=several), Door("\n".join(rows) + "\n")
        world.platforms["off"] = replace(oauth_platform("off"), client_id="")
        parts, subject = operations(world, door), door.person(ANN)
        found = {each.connector for each in await parts.offers(subject, ORIGIN)}
        begun = set()
        for id in world.platforms:
            with suppress(Denied, FlowRefused, InvalidArguments):
                await parts.start(subject, ORIGIN, id)
                begun.add(id)
        assert found == begun

    asyncio.run(compared())


async def test_looking_at_what_is_offered_leaves_one_entry_and_no_flow():
    world, door = World(), Door(CONNECTS)
    found = await operations(world, door).offers(door.person(ANN), ORIGIN)
    assert [each.connector for each in found] == ["acme", "keyed", "zorg"]
    assert [(each.method, each.outcome) for each in door.entries] == [("connections.offers", "ok")]
    assert not world.store.flows.records


async def test_servers_with_accounts_are_offered_beside_the_connectors_without_being_asked():
    egress = Egress()
    upstreams = UpstreamPlatforms(UPSTREAMS, egress, None, None, name="x", public_url=BACK, clock=lambda: 0)
    platforms = {**upstreams.sketches, **World().platforms}
    listing = Listing(None, lambda: None, lambda: platforms, lambda: 0)
    assert [each.title for each in listing.offers()] == ["Acme", "docs", "Keyed", "notes", "Zorg"]
    await egress.close()


def test_platforms_of_one_title_are_told_apart_by_their_ids():
    offers = (Offer("a", "Slack", "Talks"), Offer("b", "Slack"), Offer("c", "Linear"))
    assert [each.title for each in told_apart(offers)] == ["Slack (a)", "Slack (b)", "Linear"]
    assert told_apart(offers)[0].description == "Talks"


def test_nothing_to_connect_is_not_offered():
    platforms: dict[str, Platform] = {"open": OPEN, "keyed": KEYED, "off": replace(oauth_platform("off"), client_id="")}
    listing = Listing(None, lambda: None, lambda: platforms, lambda: 0)
    assert listing.offers() == (Offer("keyed", "Keyed"),)
