"""What stands around every page: headers, cookies, forms that come back, and texts of strangers that stay texts."""

import asyncio
import logging
import re
from html.parser import HTMLParser
from urllib.parse import quote

import httpx2
import pytest
import pytest_asyncio

from gateway.web.pages.shell import HEADERS, STYLE_PATH
from tests.certificates import self_signed
from tests.connections.world import World
from tests.pages.site import ANN, BEN

pytestmark = pytest.mark.asyncio(loop_scope="session")

GUARD = re.compile(r'name="guard" value="([0-9a-f]{64})"')
FLOW = "a1" * 12


class Browser:
    """As much of a browser as a script of an attacker has: cookies, forms, and headers of its own."""

    def __init__(self, site):
        self.site = site
        self.client = httpx2.AsyncClient(base_url=site.url, verify=False, timeout=20)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.client.aclose()

    async def guard(self, path="/sign-in"):
        """What a form on that page brings back."""
        found = GUARD.search((await self.client.get(path)).text)
        assert found, "the page has a form"
        return found[1]

    async def sends(self, path, *, guard=None, origin="", **fields):
        headers = {"origin": origin or self.site.url}
        given = {**fields, **({"guard": guard} if guard is not None else {})}
        return await self.client.post(path, data=given, headers=headers)

    async def signs_in(self, email=ANN):
        answer = await self.sends("/sign-in/key", guard=await self.guard(), key=self.site.key(email))
        assert answer.status_code == 303
        return answer


@pytest_asyncio.fixture(loop_scope="session")
async def site(opens):
    return await opens()


GETS = [
    "/sign-in", "/connections", "/connect/x", f"/connect/{FLOW}.{'x' * 43}", "/oauth/callback/main/acme",
    f"/oauth/callback/main/acme?state={FLOW}.{'x' * 43}&code=c", "/oauth/callback/main/acme?code=%ff",
    f"/connected/{FLOW}", "/sign-in/oidc/callback", "/sign-in/oidc/callback?state=x&code=c", STYLE_PATH,
]  # fmt: skip
POSTS = [
    "/sign-in", "/sign-in/key", "/sign-in/mail", "/sign-in/code", "/sign-in/oidc", "/sign-out", f"/connect/{FLOW}.x",
    f"/connected/{FLOW}", "/connections/connect", f"/connections/{FLOW}/end", f"/connections/{FLOW}/end-loan",
]  # fmt: skip


class Tags(HTMLParser):
    """Fails at whatever would do something."""

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "iframe", "object", "embed", "img", "svg", "style", "base"), tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name != "style"
            assert not (value or "").strip().lower().startswith(("javascript:", "data:text")), value


def protects(answer):
    for name, value in HEADERS.items():
        if name != "Cache-Control" or answer.request.url.path != STYLE_PATH:
            assert answer.headers[name] == value, name
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy
    assert "unsafe" not in policy
    Tags().feed(answer.text)


@pytest.mark.parametrize("path", GETS)
async def test_every_page_is_protected_whatever_it_says(site, path):
    async with Browser(site) as browser:
        for signed_in in (False, True):
            if signed_in:
                await browser.signs_in()
            answer = await browser.client.get(path)
            assert answer.status_code in (200, 303, 400, 403, 404), path
            protects(answer)


@pytest.mark.parametrize("path", POSTS)
async def test_no_form_is_taken_that_was_not_shown_to_this_very_browser(site, path):
    async with Browser(site) as browser, Browser(site) as other, Browser(site) as stranger:
        await browser.signs_in()
        await other.signs_in(BEN)
        theirs, before = await other.guard("/connections"), len(site.door.entries)
        for answer in (
            await stranger.sends(path, guard=theirs),
            await browser.sends(path),
            await browser.sends(path, guard=""),
            await browser.sends(path, guard=theirs),
            await browser.sends(path, guard=theirs.replace(theirs[0], "0" if theirs[0] != "0" else "1")),
        ):
            assert answer.status_code in (401, 403), answer.text
            protects(answer)
        assert {each.outcome for each in site.door.entries[before:]} <= {"outdated", "unauthenticated", "flow_refused"}
        assert await site.desk.who(browser.client.cookies["ostiary-sign-in"])


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1.evil.example"]
)
async def test_no_form_of_another_site_is_taken(site, origin):
    async with Browser(site) as browser:
        guard = await browser.guard()
        answer = await browser.sends("/sign-in/key", guard=guard, origin=origin, key=site.key(ANN))
        assert answer.status_code == 403
        assert "ostiary-sign-in" not in browser.client.cookies


async def test_a_form_of_before_a_sign_in_is_worth_nothing_after_it(site):
    async with Browser(site) as browser:
        before = await browser.guard()
        await browser.signs_in()
        assert (await browser.sends("/sign-out", guard=before)).status_code == 403


# -- cookies


def flags(line):
    name, *rest = line.split("; ")
    return name.split("=", 1)[0], {each.split("=")[0].lower(): each.partition("=")[2] for each in rest}


@pytest.mark.parametrize("secure", [False, True])
async def test_cookies_are_for_this_host_alone_and_no_script_reads_them(opens, tmp_path, secure):
    site = await opens(tls=self_signed(tmp_path) if secure else None)
    async with Browser(site) as browser:
        link = (await site.link()).link
        answers = [await browser.client.get("/sign-in"), await browser.signs_in(), await browser.client.get(link)]
        answers.append(await browser.sends("/sign-out", guard=await browser.guard("/connections")))
    set_cookies = [flags(line) for answer in answers for line in answer.headers.get_list("set-cookie")]
    assert len(set_cookies) >= 5
    for name, given in set_cookies:
        assert name.startswith("__Host-ostiary-" if secure else "ostiary-"), name
        assert ("secure" in given) is secure
        assert "httponly" in given
        assert (given["samesite"], given["path"]) == ("Lax", "/")
        assert "domain" not in given
    lasts = {name.removeprefix("__Host-").split("-")[1]: given.get("max-age") for name, given in set_cookies[:4]}
    assert lasts == {"visit": None, "sign": "28800", "code": "0", "flow": "900"}


async def test_the_cookie_changes_with_each_sign_in_and_signing_out_ends_it_here_and_there(site):
    async with Browser(site) as browser:
        await browser.signs_in()
        first = browser.client.cookies["ostiary-sign-in"]
        await browser.sends("/sign-in/key", guard=await browser.guard("/connections"), key=site.key(ANN))
        second = browser.client.cookies["ostiary-sign-in"]
        assert first != second
        assert await site.desk.who(first) is None
        assert "Your connections" in (await browser.client.get("/connections")).text
        await browser.sends("/sign-out", guard=await browser.guard("/connections"))
        assert await site.desk.who(second) is None
        assert "Your connections" not in (await browser.client.get("/connections")).text


async def test_nobody_can_bring_his_own_cookie_along(site):
    """A sign-in cookie is never taken over from the browser: whoever planted one knows nothing afterwards."""
    async with Browser(site) as browser:
        browser.client.cookies.set("ostiary-sign-in", "planted", domain="127.0.0.1")
        guard = await browser.guard()
        browser.client.cookies.delete("ostiary-sign-in")
        answer = await browser.sends("/sign-in/key", guard=guard, key=site.key(ANN))
        assert answer.status_code == 303
        assert browser.client.cookies["ostiary-sign-in"] != "planted"
        assert await site.desk.who("planted") is None


async def test_a_key_that_is_reset_signs_the_browser_out(site):
    async with Browser(site) as browser:
        await browser.signs_in()
        site.door.dismiss(ANN)
        assert "Sign in" in (await browser.client.get("/connections")).text
        answer = await browser.sends("/connections/connect", guard="x", connector="acme")
        assert answer.status_code == 401


# -- where it leads


@pytest.mark.parametrize(
    "next", ["https://evil.example/", "//evil.example", "/\\evil.example", "/sign-out", "javascript:x"]
)
async def test_a_sign_in_leads_to_no_other_place(site, next):
    async with Browser(site) as browser:
        answer = await browser.sends("/sign-in/key", guard=await browser.guard(), key=site.key(ANN), next=next)
        assert answer.headers["location"] == "/connections"


# -- what strangers send


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}\u202e\u0000'
SENT = quote(HOSTILE.replace("/", ""), safe="")


async def test_texts_of_strangers_stay_texts(opens, kept):
    world = World(store=kept)
    site = await opens(world=world, name="Tools <b>& more</b>")
    async with Browser(site) as browser:
        await browser.signs_in()
        shown = await browser.client.get((await site.link(client=HOSTILE)).link)
        protects(shown)
        assert "&lt;script&gt;alert(1)" in shown.text
        assert "{{7*7}}" in shown.text
        assert "Tools &lt;b&gt;&amp; more&lt;/b&gt;" in shown.text
        for path in (f"/connect/{SENT}", f"/connected/{SENT}", f"/connections?told={SENT}"):
            answer = await browser.client.get(path)
            protects(answer)
            assert "alert(1)" not in answer.text
        guard = await browser.guard("/connections")
        for fields in ({"connector": HOSTILE}, {"connector": "acme", "reconnects": HOSTILE}, {"connector": ""}, {}):
            answer = await browser.sends("/connections/connect", guard=guard, **fields)
            assert answer.status_code in (400, 403, 404)
            protects(answer)


async def test_what_a_platform_says_is_never_repeated(site):
    async with Browser(site) as browser:
        for query in (f"error={SENT}", f"error=access_denied&error_description={SENT}&state={FLOW}.{'x' * 43}"):
            answer = await browser.client.get(f"/oauth/callback/main/acme?{query}")
            protects(answer)
            assert answer.status_code == 403
            assert "alert(1)" not in answer.text


async def test_what_is_too_large_or_cannot_be_read_is_refused_with_a_page(site):
    async with Browser(site) as browser:
        guard = await browser.guard()
        for answer in (
            await browser.sends("/sign-in/key", guard=guard, key="x" * 1_200_000),
            await browser.client.post("/sign-in/key", content=b"\xff" * 100, headers={"content-type": "text/plain"}),
            await browser.client.post(
                "/sign-in/key", content=b"--x", headers={"content-type": "multipart/form-data; boundary=y"}
            ),
            await browser.client.get("/oauth/callback/main/acme?" + "a=1&" * 200),
        ):
            assert answer.status_code in (400, 403, 413)
            protects(answer)
            assert "That did not work" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/connect/", "/connect", "/connect/a/b", f"/connect/{FLOW}.x/", "/connected/", "/connected/a/b", "/connections/",
        "/connections/x", "/connections/connect", f"/connections/{FLOW}/end", "/oauth/callback/acme", "/oauth/callback/",
        "/oauth/callback/main/acme/x", "/sign-in/", "/sign-in/key", "/sign-in/oidc/callbak", "/sign-out", "/sign-out/x",
        f"/connections/{SENT}", "/sign-in/..%2f",
    ],
)  # fmt: skip
async def test_a_mistyped_address_below_a_page_is_answered_by_a_page(site, path):
    async with Browser(site) as browser:
        for signed_in in (False, True):
            if signed_in:
                await browser.signs_in()
            answer = await browser.client.get(path, follow_redirects=True)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
            protects(answer)
            assert "There is no page at this address" in answer.text
            assert (site.door.last.method, site.door.last.outcome) == ("page.lost.nothing_here", "unknown")
            assert (ANN in answer.text) is signed_in


async def test_a_form_that_leads_nowhere_is_answered_by_a_page_too(site):
    async with Browser(site) as browser:
        await browser.signs_in()
        for path in (f"/connections/{FLOW}/ends", "/sign-in/keys", "/oauth/callback/main/acme", f"/connect/{FLOW}.x/y"):
            answer = await browser.sends(path, guard=await browser.guard("/connections"))
            assert (answer.status_code, "There is no page at this address" in answer.text) == (404, True)


@pytest.mark.parametrize(
    "path", ["/", "/x", "/api/x", "/api/connections/x/y/z", "/connectx", "/oauth/client/x", "/oauth"]
)
async def test_other_paths_that_there_are_not_are_answered_in_json(site, path):
    async with Browser(site) as browser:
        answer = await browser.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")


async def test_somebody_elses_connection_and_none_are_the_same(site):
    async with Browser(site) as browser:
        await site.link(BEN)
        ended = await site.world.connect(owner=f"user:{BEN}")
        await site.world.catch_up()
        await browser.signs_in()
        guard, said = await browser.guard("/connections"), []
        for id in (ended.flow.result, "f" * 24):
            for path, fields in ((f"/connections/{id}/end", {}), (f"/connections/{id}/end-loan", {"loan": "x"})):
                answer = await browser.sends(path, guard=guard, **fields)
                said.append((answer.status_code, re.sub(r"<code>[0-9a-f]{32}</code>", "", answer.text)))
        assert len(set(said)) == 1
        assert said[0][0] == 404
        assert len(site.world.known) == 1


async def test_no_secret_stands_in_a_log_an_entry_or_a_page(site, caplog):
    caplog.set_level(logging.DEBUG)
    async with Browser(site) as browser:
        key, wrong = site.key(ANN), "ost_canary-of-a-wrong-key"
        await browser.sends("/sign-in/key", guard=await browser.guard(), key=wrong)
        await browser.signs_in()
        link = (await site.link()).link
        token = link.rpartition("/")[2]
        page = (await browser.client.get(link)).text
        guard = GUARD.search(page)
        onward = await browser.sends(f"/connect/{token}", guard=guard[1])
        url = re.search(r'href="(https://acme[^"]*)"', onward.text)[1].replace("&amp;", "&")
        query = "&".join(f"{name}={value}" for name, value in site.world.provider.agrees(url, "ann"))
        ended = await browser.client.get(f"/oauth/callback/main/acme?{query}", follow_redirects=True)
        assert "Connected" in ended.text
        again = await browser.client.get(f"/oauth/callback/main/zorg?{query}")
    secrets = [
        key,
        wrong,
        token.partition(".")[2],
        re.search("state=([^&]*)", url)[1].partition(".")[2],
        "canary-code-1",
    ]
    secrets += [browser.client.cookies[name] for name in browser.client.cookies]
    lines = [each.getMessage() for each in caplog.records if not each.name.startswith(("httpcore", "httpx", "hpack"))]
    told = "\n".join([*lines, *map(repr, site.door.entries), ended.text, again.text])
    for secret in secrets:
        assert secret
        assert secret not in told


async def test_the_stylesheet_may_be_kept_and_is_all_that_a_page_loads(site):
    async with Browser(site) as browser:
        sheet = await browser.client.get(STYLE_PATH)
        assert (sheet.status_code, sheet.headers["content-type"]) == (200, "text/css; charset=utf-8")
        assert "immutable" in sheet.headers["cache-control"]
        assert "url(" not in sheet.text
        assert "@import" not in sheet.text
        page = (await browser.client.get("/sign-in")).text
        assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,", STYLE_PATH, "#main"]


async def test_pages_answer_while_many_sign_in_at_once(site):
    async with Browser(site) as browser:
        guards = [await browser.guard() for _ in range(2)]
        assert guards[0] == guards[1]
        answers = await asyncio.gather(*(browser.sends("/sign-in/key", guard=guards[0], key="x") for _ in range(70)))
        assert {each.status_code for each in answers} == {401, 429}
        limited = next(each for each in answers if each.status_code == 429)
        assert "Rate limit" in limited.text
