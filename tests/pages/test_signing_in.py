"""Signing in at a real browser, in each of the three ways, and out again."""

import asyncio

import pytest

from connectors.addresses import Exceptions, parse
from connectors.base import Secret
from connectors.egress import Egress
from connectors.oauth.legs import Legs
from connectors.oauth.openid import OpenId
from gateway.follower import now_ms
from gateway.sealing import Seal
from gateway.settings.terms import OidcSettings
from gateway.signing_in.openid import CALLBACK, OpenIdSignIn
from tests.pages.site import ANN, BEN
from tests.platforms.counterparts import authorities
from tests.platforms.seeds import CLIENTS
from tests.upstreams.starting import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Box(asyncio.Queue):
    """The mails of everybody."""

    async def __call__(self, to, code):
        self.put_nowait((to, code.reveal()))


def section(person, name):
    """The part of the page with that heading."""
    return person.page.locator("section", has=person.page.get_by_role("heading", name=name))


async def by_mail(person, address):
    await person.types("E-mail address", address)
    await person.presses("Send a code")


async def test_a_code_by_mail_signs_in_in_the_browser_that_asked_for_it(opens, street):
    box = Box()
    site = await opens(post=box)
    link = (await site.link()).link
    person, other = await street.person(), await street.person()
    await person.opens(link)
    await by_mail(person, f" {ANN.title()} ")
    assert await person.heading == "Enter the code"
    to, code = await asyncio.wait_for(box.get(), 10)
    assert to == ANN
    field = person.page.get_by_label("Code")
    assert (await field.get_attribute("inputmode"), await field.get_attribute("autocomplete")) == (
        "numeric",
        "one-time-code",
    )

    await other.opens(f"{site.url}/sign-in")
    await by_mail(other, BEN)
    assert await other.text == await person.text  # nobody is told who has an account
    await other.types("Code", code)
    await other.presses("Sign in")
    assert "code is wrong" in await other.text

    await person.types("Code", "0")
    await person.presses("Sign in")
    assert "code is wrong" in await person.text
    await person.types("Code", f"{code[:4]} {code[4:]}")
    await person.presses("Sign in")
    assert await person.heading == "Connect Acme"  # on to the page that he came for
    assert person.page.url == link
    [entry] = [each for each in site.door.entries if each.subject]
    assert (entry.method, entry.subject) == ("sign_in.mail", f"user:{ANN}")
    assert box.empty()


async def test_the_operators_provider_signs_in(opens, street):
    port, egress = free_port(), Egress()
    with authorities(redirects=[f"http://127.0.0.1:{port}{CALLBACK}"]) as authority:
        allow, client = parse([authority.host]), CLIENTS["basic"]
        assert isinstance(allow, Exceptions)
        settings = OidcSettings(authority.issuer, client.id, Secret(client.secret), "Example Corp")
        openid = OpenIdSignIn(
            settings,
            OpenId(egress, authority.issuer, clock=now_ms, allow=allow),
            Legs(egress, now_ms),
            Seal([b"k" * 32]),
            public_url=f"http://127.0.0.1:{port}",
            clock=now_ms,
            allow=allow,
        )
        site = await opens(port=port, openid=openid)
        link = (await site.link()).link
        person = await street.person()

        async def leaves(address):
            await person.presses("Sign in with Example Corp")
            await person.arrives(f"{authority.issuer}/**")
            await person.page.locator("input[name=login]").fill(address)
            await person.page.locator("input[name=password]").fill("of a test")
            await person.page.locator("button[type=submit]").click()
            await person.page.locator("button[type=submit]").click()  # he agrees to everything

        await person.opens(link)
        await leaves(ANN)
        await person.arrives(link)
        assert await person.heading == "Connect Acme"
        cookies = await person.cookies()
        assert not [name for name in cookies if "openid" in name]

        await person.context.clear_cookies()
        await person.opens(f"{site.url}/sign-in")
        await leaves("nobody@example.com")
        await person.page.get_by_role("alert").wait_for()
        assert "no account for nobody@example.com" in await person.text

        await person.context.clear_cookies()
        await person.opens(f"{site.url}/sign-in")
        await leaves("unverified@example.com")
        await person.page.get_by_role("alert").wait_for()
        assert "verified the e-mail address" in await person.text
        assert {each.outcome for each in site.door.entries if each.method == "sign_in.oidc"} == {"ok", "not_signed_in"}
    await egress.close()


async def test_a_wrong_key_can_be_typed_again_and_is_not_shown(opens, street):
    site = await opens()
    person = await street.person()
    await person.opens(f"{site.url}/connections")
    assert await person.heading == "Sign in"
    assert await section(person, "With your API key").count() == 1
    assert await section(person, "With a code by e-mail").count() == 0
    field = person.page.get_by_label("API key", exact=True)
    assert (await field.get_attribute("type"), await field.get_attribute("autocomplete")) == ("password", "off")
    await person.types("API key", "ost_wrong")
    await person.presses("Sign in")
    assert "not valid here" in await person.text
    assert "ost_wrong" not in await person.page.content()
    await person.signs_in(site, ANN)
    assert await person.heading == "Your connections"
    await person.opens(f"{site.url}/sign-in")
    assert await person.heading == "Your connections"


async def test_signing_out_leaves_nothing_behind(opens, street):
    site = await opens()
    person = await street.person()
    await person.opens(f"{site.url}/connections")
    await person.signs_in(site, ANN)
    tab = await person.tab()
    await tab.opens(f"{site.url}/connections")
    await person.presses("Sign out ann@example.com")
    assert await person.heading == "Sign in"
    assert not [name for name in await person.cookies() if name.endswith("sign-in")]
    await tab.page.reload()
    assert await tab.heading == "Sign in"
    await person.page.go_back()
    assert "ann@example.com" not in await person.page.content()
    assert site.door.entries[-1].method == "sign_out"
    assert site.door.entries[-1].subject == f"user:{ANN}"
