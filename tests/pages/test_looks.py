"""Every page, on a phone and at a desk, light and dark: readable, reachable by keyboard, clean for screen readers.

Pictures of all of them are written to ``build/pages``.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from gateway.records import Status
from tests.builders import Door
from tests.connections.world import World
from tests.pages.looking import COMPLAINTS, FOCUSED, NUMBERED
from tests.pages.people import DESKTOP, PHONE, Acme
from tests.pages.site import ANN, BEN, CONNECTS

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURES = Path(__file__).parent.parent.parent / "build" / "pages"
TINY = {"width": 320, "height": 640}
LOOKS = {
    "phone": {"viewport": PHONE, "color_scheme": "light", "device_scale_factor": 2, "has_touch": True},
    "phone-dark": {"viewport": PHONE, "color_scheme": "dark", "device_scale_factor": 2, "has_touch": True},
    "desktop": {"viewport": DESKTOP, "color_scheme": "light"},
    "desktop-dark": {"viewport": DESKTOP, "color_scheme": "dark"},
}
LONG = "Supercalifragilisticexpialidocious" * 4


class Vouching:
    """A provider that is only named."""

    name = "Example Corp"


async def posted(to, code):
    """The mail is not what is looked at."""


async def looks(person, name, look):
    """Measure the page in front, walk over it by keyboard, and keep a picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    await person.page.screenshot(path=PICTURES / f"{name}-{look}.png", full_page=True)
    assert await person.page.evaluate(COMPLAINTS) == []
    if look == "desktop":
        await walked(person)
    if look == "phone":
        await person.page.set_viewport_size(TINY)
        assert await person.page.evaluate(COMPLAINTS) == []
        await person.page.set_viewport_size(PHONE)


async def walked(person):
    """Everything that can be used is reached with the tabulator, and shows that it is."""
    usable = await person.page.evaluate(NUMBERED)
    met = {}
    for _ in range(usable + 2):  # one place that has the focus already may come last, after the browser's own
        await person.page.keyboard.press("Tab")
        if (at := await person.page.evaluate(FOCUSED)) is not None:
            met[at["number"]] = at
    assert set(met) == {str(number) for number in range(usable)}
    assert all(at["seen"] for at in met.values()), met


async def furnished(site):
    """Connections in every state, with labels and loans as long as they come."""
    for account, connector in (("ann", "acme"), ("zoe", "zorg")):
        await site.world.connect(account, owner=f"user:{ANN}", connector=connector)
    await site.world.catch_up()
    working, broken = sorted(site.world.known, key=lambda each: each.connector)
    many = tuple(f"scope:{number}:{LONG[:20]}" for number in range(8))
    hours = site.door.now - 5 * 3_600_000
    for each in (
        structs.replace(working, scopes=many, used_at=hours),
        structs.replace(broken, status=Status.NEEDS_REAUTH, reason="renewal_refused", label=LONG),
    ):
        await site.store.connections.replace(each)
    await site.world.catch_up()
    keyed = site.world.platforms["keyed"]
    wordy = replace(keyed.definition, title=LONG, description=f"{LONG} {'and so on ' * 30}")
    site.world.platforms["keyed"] = replace(keyed, definition=wordy)
    subject = site.door.person(ANN)
    site.door.person(BEN)
    wish = site.operations.lending.wish(working, BEN, "read", ["list_things", "get_thing"], 30)
    await site.operations.lending.lend(working, wish, subject, "127.0.0.1")


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_looks_as_it_should(opens, street, kept, look):
    shares = CONNECTS + "p, user:*, main, self, *, share, , allow\n"
    site = await opens(world=World(store=kept), post=posted, openid=Vouching(), door=Door(shares))
    person = await street.person(java_script_enabled=True, **LOOKS[look])
    acme = Acme(site, stays=True)
    await acme.stands_before(person)

    await person.opens((await site.link()).link)
    await looks(person, "sign-in", look)
    await person.types("API key", "ost_wrong")
    await person.page.locator("section", has=person.page.get_by_label("API key")).get_by_role("button").click()
    await looks(person, "sign-in-wrong", look)
    await person.types("E-mail address", ANN)
    await person.presses("Send a code")
    await looks(person, "code", look)
    await person.types("Code", "1")
    await person.presses("Sign in")
    await looks(person, "code-wrong", look)
    await person.presses("Use another way")
    await person.types("API key", site.key(ANN))
    await person.page.locator("section", has=person.page.get_by_label("API key")).get_by_role("button").click()
    await looks(person, "connect", look)

    await person.opens((await site.link(connector="keyed", client=LONG)).link)
    await looks(person, "connect-key", look)
    await person.types("API key", "no key")
    await person.types("Site", "b")
    await person.presses("Connect")
    await looks(person, "connect-key-wrong", look)

    await person.opens(f"{site.url}/connections")
    await looks(person, "connections-none", look)
    await furnished(site)
    await person.opens(f"{site.url}/connections?told=loan")
    await person.page.locator("summary").first.click()
    await looks(person, "connections", look)

    acme.stays = False
    await person.opens((await site.link()).link)
    await person.presses("Go on to")
    await person.arrives("**/connected/**")
    await looks(person, "done", look)
    await person.opens(person.page.url.replace("connected", "connect"))
    await looks(person, "failed", look)
    known = next(each for each in site.world.known if each.connector == "acme")
    acme.account = LONG[:60].lower()
    await person.opens((await site.link(reconnects=known.id)).link)
    await person.presses("Go on to")
    await person.arrives("**/connected/**")
    await looks(person, "other-account", look)


async def test_the_pages_load_nothing_from_anywhere_else(opens, street):
    site = await opens()
    person = await street.person()
    for path in ("/sign-in", "/connections", "/connect/x"):
        await person.opens(site.url + path)
    assert person.asked
    assert all(url.startswith((f"{site.url}/", "data:")) for url in person.asked)


async def test_without_a_style_the_order_still_reads(opens, street):
    """What a screen reader meets, in its order."""
    site = await opens()
    person = await street.person()
    await person.opens((await site.link(client="Desk")).link)
    await person.signs_in(site, ANN)
    tree = await person.page.locator("body").aria_snapshot()
    order = ["- banner:", "- navigation", "- main:", "- heading", "definition: ann", "Desk", '- button "Go on']
    places = [tree.find(each) for each in order]
    assert -1 not in places, tree
    assert places == sorted(places), tree
