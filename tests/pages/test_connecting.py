"""Connecting an account in a real browser, without script: the straight way, and every way on which it ends."""

import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.records import Stage
from gateway.settings import Binding
from tests.connections.world import KEY_INPUTS, KEYED, World
from tests.pages.people import Acme
from tests.pages.site import ANN, BEN

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def at_home(site, street, email=ANN, **played):
    """Somebody who is signed in, before a platform at which he agrees."""
    person, acme = await street.person(), Acme(site, **played)
    await acme.stands_before(person)
    await person.opens(f"{site.url}/sign-in")
    await person.signs_in(site, email)
    return person, acme


async def connects(site, person, connector="acme", **options):
    await person.opens((await site.link(connector=connector, **options)).link)
    await person.presses("Go on to")
    await person.arrives("**/connected/**")


async def records(site):
    await site.world.catch_up()
    return list(site.world.known)


async def test_somebody_connects_his_account(opens, street):
    site = await opens()
    person = await street.person()
    await Acme(site).stands_before(person)
    await person.opens((await site.link(client="Desk <b>Assistant</b>")).link)
    assert await person.heading == "Sign in"
    assert "Acme" not in (await person.text).replace("Acme tools", "")  # nothing of it before it is known who looks
    await person.signs_in(site, ANN)
    assert await person.heading == "Connect Acme"
    for part in ("ann@example.com", "Desk <b>Assistant</b>", "read"):
        assert part in await person.text
    await person.presses("Go on to Acme")
    await person.arrives("**/connected/**")
    assert "Connected" in await person.heading
    assert "Ann at acme" in await person.text
    [record] = await records(site)
    assert (record.owner, record.account) == (f"user:{ANN}", "ann")
    assert not urlsplit(person.page.url).query  # what the platform sent stands in no address any more
    assert [each.method for each in site.door.entries] == ["sign_in.key", "connections.begin", "connections.callback"]
    assert {each.subject for each in site.door.entries} == {f"user:{ANN}"}


async def test_looking_uses_no_link_up_and_clicking_does(opens, street):
    site = await opens()
    person, acme = await at_home(site, street)
    link = (await site.link()).link
    for _ in range(3):
        assert (await person.opens(link)).status == 200
    await person.presses("Go on to")
    await person.arrives("**/connected/**")
    assert (await person.opens(link)).status == 403
    assert await person.heading == "That did not work"
    assert "was used already" in await person.text
    assert len(acme.asked) == 1


async def test_whoever_goes_back_or_loads_again_sees_how_it_ended(opens, street):
    site = await opens()
    person, _ = await at_home(site, street)
    await connects(site, person)
    ended = person.page.url
    assert (await person.page.reload()).status == 200
    callback = next(url for url in person.asked if "/oauth/callback/" in url)
    await person.opens(callback)
    assert person.page.url == ended
    assert "Connected" in await person.heading
    assert len(await records(site)) == 1
    other = await street.person()
    assert (await other.opens(ended)).status == 403
    assert "Ann" not in await other.text


async def test_who_refuses_at_the_platform_reads_so_and_gets_a_fresh_link(opens, street):
    site = await opens()
    person, acme = await at_home(site, street, refuses=True)
    started = await site.link()
    await person.opens(started.link)
    await person.presses("Go on to")
    await person.arrives("**/connected/**")
    assert await person.heading == "That did not work"
    assert "told not to give access" in await person.text
    flow = await site.linking.flow(started.flow.id, owner=f"user:{ANN}")
    assert (flow.stage, flow.reason) == (Stage.FAILED, "access_denied")
    told = next(each for each in site.door.entries if each.method == "connections.callback")
    assert (told.outcome, told.error) == ("flow_refused", "access_denied")
    assert told.id in await person.text  # the reference is that of the audit entry
    acme.refuses = False
    await person.presses("Try again with a fresh link")
    assert await person.heading == "Connect Acme"
    assert "your list of connections" in await person.text
    await person.presses("Go on to")
    await person.arrives("**/connected/**")
    assert "Connected" in await person.heading


async def test_a_late_or_unknown_link_says_so(opens, street):
    site = await opens()
    person, _ = await at_home(site, street)
    link = (await site.link()).link
    unknown = re.sub(r"[^.]{43}$", "x" * 43, link)
    answer = await person.opens(unknown)
    assert (answer.status, "not one of ours" in await person.text) == (403, True)
    assert site.door.last.method == "page.connect.show"
    for token in ("x", "a" * 24 + ".x", "a" * 3000):
        assert (await person.opens(f"{site.url}/connect/{token}")).status == 403
    site.door.now = site.world.now = site.door.now + 10 * 60_000
    site.door._swap(confirmed_at_ms=site.door.now)
    assert (await person.opens(link)).status == 403
    assert "longer than ten minutes" in await person.text


async def test_two_tabs_do_not_disturb_each_other(opens, street):
    site = await opens()
    first, acme = await at_home(site, street)
    second, acme.stays = await first.tab(), True
    for tab, connector in ((first, "acme"), (second, "zorg")):
        await tab.opens((await site.link(connector=connector)).link)
        await tab.presses("Go on to")
        await tab.arrives(f"https://{connector}.example/**")
    backs = [acme.sends_back(url) for url in acme.asked]
    await first.opens(backs[0])
    await second.opens(backs[1])
    for tab in (first, second):
        assert "Connected" in await tab.heading
    assert sorted(each.connector for each in await records(site)) == ["acme", "zorg"]


async def test_two_tabs_with_one_link_make_one_connection(opens, street):
    site = await opens()
    first, acme = await at_home(site, street)
    second, link = await first.tab(), (await site.link()).link
    await first.opens(link)
    await second.opens(link)
    await first.presses("Go on to")
    await first.arrives("**/connected/**")
    await second.presses("Go on to")
    assert "was used already" in await second.text
    assert (len(acme.asked), len(await records(site))) == (1, 1)


# -- made anew


async def test_reconnecting_keeps_the_connection_and_its_id(opens, street):
    site = await opens()
    person, _ = await at_home(site, street)
    await connects(site, person)
    [before] = await records(site)
    await person.opens(f"{site.url}/connections")
    await person.presses("Reconnect")
    assert await person.heading == "Reconnect Acme"
    assert "Ann at acme" in await person.text
    await person.presses("Go on to")
    await person.arrives("**/connected/**")
    [after] = await records(site)
    assert (after.id, after.account) == (before.id, "ann")
    assert after.sealed != before.sealed


@pytest.mark.parametrize(("button", "account"), [("Stay with", "ann"), ("Change to", "zoe")])
async def test_another_account_is_asked_about_and_never_taken_in_silence(opens, street, button, account):
    site = await opens()
    person, acme = await at_home(site, street)
    await connects(site, person)
    [before] = await records(site)
    acme.account = "zoe"
    await connects(site, person, reconnects=before.id)
    assert await person.heading == "That is another account"
    for label in ("Ann at acme", "Zoe at acme"):
        assert label in await person.text
    assert await records(site) == [before]
    await person.page.reload()
    await person.presses(button)
    assert ("Connected" if account == "zoe" else "Nothing was changed") in await person.heading
    [after] = await records(site)
    assert (after.id, after.account) == (before.id, account)
    assert site.world.provider.forgotten == (["ann"] if account == "zoe" else ["zoe"])


# -- what is typed


async def test_what_is_typed_wrongly_can_be_typed_again_with_the_same_link(opens, street):
    site = await opens()
    person, _ = await at_home(site, street)
    await person.opens((await site.link(connector="keyed")).link)
    assert await person.page.get_by_label("API key").get_attribute("type") == "password"
    await person.types("API key", "no key at all")
    await person.types("Site", "berlin")
    await person.presses("Connect")
    wrong = person.page.get_by_label("API key")
    assert await wrong.get_attribute("aria-invalid") == "true"
    said = await person.page.locator(f"#{await wrong.get_attribute('aria-describedby')}").inner_text()
    assert said.strip()
    assert await wrong.input_value() == ""  # a secret is never sent back
    assert await person.page.get_by_label("Site").input_value() == "berlin"
    await person.types("API key", "key-nobody-x")
    await person.presses("Connect")
    assert "does not accept what was typed" in await person.text
    await person.types("API key", "key-ann-x")
    await person.presses("Connect")
    await person.arrives("**/connected/**")
    [record] = await records(site)
    assert (record.connector, record.account) == ("keyed", "ann")
    assert "key-ann-x" not in repr(site.door.entries)


async def test_a_field_says_once_what_it_asks_for(opens, street):
    site = await opens()
    helped = replace(KEY_INPUTS[1], help="What stands before .keyed.example")
    definition = replace(KEYED.definition, inputs=(KEY_INPUTS[0], helped))
    site.world.platforms["keyed"] = replace(KEYED, definition=definition)
    person, _ = await at_home(site, street)
    await person.opens((await site.link(connector="keyed")).link)
    assert (await person.text).count(helped.help) == 1
    await person.types("API key", "no key at all")
    await person.types("Site", "Berlin 1")
    await person.presses("Connect")
    text = await person.text
    assert f"Does not have the form that is expected here: {helped.help}" in text
    assert text.count(helped.help) == 1
    assert "Does not have the form that is expected here; look for a typing error" in text
    assert "^" not in text


# -- the host application confirms


async def test_an_end_user_goes_back_to_the_application_with_a_code_that_it_confirms(opens, street):
    site = await opens()
    person = await street.person()
    await Acme(site).stands_before(person)
    started = await site.linking.start("end:s1/kim", "acme", back=site.back, domain="s1")
    await person.opens(started.link)
    assert "kim" in await person.text
    assert "s1" not in await person.text
    await person.presses("Go on to")
    await person.arrives(f"{site.back}?**")
    query = parse_qs(urlsplit(person.page.url).query)
    assert set(query) == {"flow", "status", "code"}
    assert query["status"] == ["pending_confirmation"]
    assert await records(site) == []
    flow = await site.linking.confirm(query["code"][0], owner="end:s1/kim")
    assert flow.stage is Stage.DONE
    assert [each.owner for each in await records(site)] == ["end:s1/kim"]


async def test_a_typed_key_of_an_end_user_leads_to_the_application_too(opens, street):
    """The way out follows on a form, and browsers hold ``form-action`` against redirects to other sites there."""
    site = await opens()
    person = await street.person()
    await person.opens((await site.linking.start("end:s1/kim", "keyed", back=site.back, domain="s1")).link)
    await person.types("API key", "key-kim-x")
    await person.types("Site", "berlin")
    await person.presses("Connect")
    await person.arrives(f"{site.back}?**")


async def test_with_one_user_alone_a_browser_may_prove_who_it_is(opens, street, kept):
    site = await opens(world=World(store=kept, binding=Binding.SAME_BROWSER))
    person, acme = await street.person(), Acme(site)
    await acme.stands_before(person)
    await person.opens((await site.link()).link)
    assert await person.heading == "Connect Acme"
    await person.presses("Go on to")
    await person.arrives("**/connected/**")
    [before] = await records(site)
    acme.account = "zoe"
    await connects(site, person, reconnects=before.id)
    await person.presses("Stay with")
    assert "Nothing was changed" in await person.heading
    site.world.several = True
    await person.opens(f"{site.url}/connect/" + "x" * 10)
    with pytest.raises(Exception, match="more than one user"):
        await site.link(email=BEN)
