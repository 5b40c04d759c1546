"""Who finishes a flow is who began it. Mallory tries to get Bob's account of GitHub in two ways, in real browsers:

    the link   she sends him the link that was made for her
    the page   she opens it herself, and sends him the page of the platform that it leads to

Neither PKCE nor ``state`` stand against that. The platform is an independent one, and the legs are the real ones.
"""

from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.addresses import Exceptions, parse
from connectors.base import Secret
from connectors.definition.platform import Platform, relocated
from connectors.definition.reading import read_definition
from connectors.egress import Egress
from connectors.oauth.legs import Legs
from connectors.rest.identity import whose
from gateway.connections.terms import FlowRefused, Why
from gateway.records import Stage
from gateway.settings import Binding
from tests.connections.world import World
from tests.pages.site import Site, served
from tests.platforms.counterparts import emulated
from tests.upstreams.starting import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

GITHUB = Path(__file__).parent.parent.parent / "connectors" / "catalog" / "github.yaml"
BOB, MALLORY = "bob@example.com", "mallory@example.com"


class Telling(Legs):
    """The legs, and how often a platform was told to forget: the emulated one has no such route."""

    told = 0

    async def revoke(self, *args, **kwargs):
        self.told += 1
        return await super().revoke(*args, **kwargs)


@asynccontextmanager
async def github(store, binding=Binding.SESSION):
    """A site whose connector ``github`` is the emulated one."""
    port = free_port()
    with emulated("github", redirects=[f"http://127.0.0.1:{port}/oauth/callback/main/github"]) as platforms:
        known, egress = platforms["github"], Egress()
        allow = parse([known.host])
        assert isinstance(allow, Exceptions)
        definition = relocated(read_definition(GITHUB.read_text(), "github.yaml"), known.at)
        secret = Secret(known.client_secret)
        platform = Platform("github", definition, known.client_id, secret, ("repo",), exceptions=allow)
        world = World(store=store, binding=binding)
        world.platforms["github"] = platform
        legs = Telling(egress, lambda: world.now)
        means = {"legs": legs, "whose": partial(whose, egress=egress)}
        site = Site(store, world, port=port, means=means)
        try:
            async with served(site):
                yield site, known, legs
        finally:
            await egress.close()


async def agrees(person, who):
    """He picks his account on the platform's page."""
    await person.page.wait_for_load_state()
    await person.page.locator("form", has_text=who).first.locator("button, input[type=submit]").first.click()


async def signed_in(site, street, email):
    person = await street.person()
    await person.opens(f"{site.url}/sign-in")
    await person.signs_in(site, email)
    return person


async def connected(site):
    await site.world.catch_up()
    return {(each.owner, each.label) for each in site.world.known}


async def leads_to(person, url, known):
    """The page of the platform that the link leads this person to."""
    await person.opens(url)
    await person.presses("Go on to")
    await person.arrives(f"{known.url}/**")
    return person.page.url


async def test_bob_connects_his_own_account_from_end_to_end(kept, street):
    async with github(kept) as (site, known, _):
        bob = await signed_in(site, street, BOB)
        url = await leads_to(bob, (await site.link(BOB, "github")).link, known)
        query = parse_qs(urlsplit(url).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["redirect_uri"] == [f"{site.url}/oauth/callback/main/github"]
        await agrees(bob, known.users[1])
        await bob.arrives("**/connected/**")
        assert await connected(site) == {(f"user:{BOB}", known.users[1])}
        assert known.users[1] in await bob.text


async def test_with_a_session_neither_way_gets_at_bobs_account(kept, street):
    async with github(kept) as (site, known, _):
        mallory, bob = await signed_in(site, street, MALLORY), await signed_in(site, street, BOB)

        sent = await site.link(MALLORY, "github")
        assert (await bob.opens(sent.link)).status == 403
        assert "made for somebody else" in await bob.text
        assert "mallory" not in await bob.text
        stranger = await street.person()
        await stranger.opens(sent.link)
        assert await stranger.heading == "Sign in"
        await stranger.signs_in(site, BOB)
        assert "made for somebody else" in await stranger.text

        sent = await site.link(MALLORY, "github")
        await bob.opens(await leads_to(mallory, sent.link, known))
        await agrees(bob, known.users[1])
        await bob.arrives("**/connected/**")
        assert "browser that began it" in await bob.text
        flow = await site.linking.flow(sent.flow.id, owner=f"user:{MALLORY}")
        assert (flow.stage, flow.reason) == (Stage.FAILED, Why.OTHER_BROWSER)
        assert await connected(site) == set()


async def test_a_session_that_changes_on_the_way_connects_nothing(kept, street):
    """Mallory has Bob's browser for a moment and leaves: what began in her name does not end in his."""
    async with github(kept) as (site, known, _):
        shared = await signed_in(site, street, MALLORY)
        sent = await site.link(MALLORY, "github")
        url = await leads_to(shared, sent.link, known)
        other = await shared.tab()
        await other.opens(f"{site.url}/connections")
        await other.presses("Sign out")
        await other.signs_in(site, BOB)
        await shared.opens(url)
        await agrees(shared, known.users[1])
        await shared.arrives("**/connected/**")
        assert "made for somebody else" in await shared.text
        assert await connected(site) == set()


async def test_what_the_application_does_not_confirm_is_thrown_away(kept, street):
    async with github(kept) as (site, known, legs):
        bob, mallory = await street.person(), await street.person()

        sent = await site.linking.start("end:s1/mallory", "github", back=site.back, domain="s1")
        await bob.opens(sent.link)
        assert "mallory" in await bob.text  # he can see that it is not his
        await bob.presses("Go on to")
        await bob.arrives(f"{known.url}/**")
        await agrees(bob, known.users[1])
        await bob.arrives(f"{site.back}?**")
        assert await connected(site) == set()
        code = parse_qs(urlsplit(bob.page.url).query)["code"][0]
        with pytest.raises(FlowRefused) as refused:  # the application knows who is before it
            await site.linking.confirm(code, owner="end:s1/bob")
        assert refused.value.why is Why.OTHER_PERSON
        with pytest.raises(FlowRefused):
            await site.linking.confirm(code, owner="end:s1/mallory")
        assert (await connected(site), legs.told) == (set(), 1)

        sent = await site.linking.start("end:s1/mallory", "github", back=site.back, domain="s1")
        await bob.opens(await leads_to(mallory, sent.link, known))
        await agrees(bob, known.users[1])
        await bob.arrives("**/connected/**")
        assert "browser that began it" in await bob.text
        assert await connected(site) == set()


async def test_one_browser_proves_nothing_as_soon_as_there_is_a_second_user(kept, street):
    async with github(kept, Binding.SAME_BROWSER) as (site, known, _):
        bob, mallory = await street.person(), await street.person()

        sent = await site.link(MALLORY, "github")  # alone, she may
        await bob.opens(await leads_to(mallory, sent.link, known))
        await agrees(bob, known.users[1])
        await bob.arrives("**/connected/**")
        assert "browser that began it" in await bob.text

        sent, late = await site.link(MALLORY, "github"), await site.link(MALLORY, "github")
        await leads_to(mallory, late.link, known)
        site.world.several = True
        await bob.opens(sent.link)
        await bob.presses("Go on to")
        assert "more than one user" in await bob.text
        await agrees(mallory, known.users[0])
        await mallory.arrives("**/connected/**")
        assert "more than one user" in await mallory.text
        assert await connected(site) == set()


@pytest.mark.parametrize("binding", [Binding.SESSION, Binding.CONFIRM, Binding.SAME_BROWSER])
async def test_state_and_challenge_alone_are_never_enough(kept, street, binding):
    """The browser comes back without its cookie for this flow, as it would if there were none."""
    async with github(kept, binding) as (site, known, _):
        person = await signed_in(site, street, MALLORY)
        back = site.back if binding is Binding.CONFIRM else ""
        await leads_to(person, (await site.link(MALLORY, "github", back=back)).link, known)
        [name] = [name for name in await person.cookies() if name.startswith("ostiary-flow-")]
        await person.context.clear_cookies(name=name)
        await agrees(person, known.users[0])
        await person.arrives("**/connected/**")
        assert "browser that began it" in await person.text
        assert await connected(site) == set()
