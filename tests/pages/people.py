"""People at browsers: they read what stands there, type into fields by their labels, and press buttons by their names."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Browser, BrowserContext, Page, Response, Route

from tests.pages.site import Site

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
WAIT_MS = 10_000


@dataclass
class Person:
    """One browser with its cookies; ``page`` is the tab in front. ``asked`` are the places that it went to."""

    context: BrowserContext
    page: Page
    asked: list[str] = field(default_factory=list)

    async def opens(self, url: str) -> Response:
        answer = await self.page.goto(url)
        assert answer is not None
        return answer

    async def tab(self) -> "Person":
        """Another tab of the same browser."""
        page = await self.context.new_page()
        page.set_default_timeout(WAIT_MS)
        return Person(self.context, page, self.asked)

    async def types(self, label: str, text: str) -> None:
        await self.page.get_by_label(label, exact=True).fill(text)

    async def presses(self, name: str) -> None:
        await self.page.get_by_role("button", name=name).first.click()

    async def arrives(self, pattern: str) -> None:
        await self.page.wait_for_url(pattern, timeout=WAIT_MS)

    async def signs_in(self, site: Site, email: str) -> None:
        """By his key, on the page in front."""
        await self.types("API key", site.key(email))
        await self.presses("Sign in")

    @property
    async def heading(self) -> str:
        return (await self.page.locator("h1").inner_text()).strip()

    @property
    async def text(self) -> str:
        return await self.page.locator("main").inner_text()

    async def cookies(self) -> dict[str, Any]:
        return {each["name"]: each for each in await self.context.cookies()}


class Street:
    """Where browsers stand. They reach loopback, and what a test plays; everything else would fail."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    async def person(self, **options: Any) -> Person:
        given = {"java_script_enabled": False, "viewport": DESKTOP, "ignore_https_errors": True, **options}
        context = await self._browser.new_context(**given)
        self._contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(WAIT_MS)
        person = Person(context, page)
        context.on("request", lambda request: person.asked.append(request.url))
        return person

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()


@dataclass
class Acme:
    """The pages of the platforms that ``tests.connections.world`` plays: whoever comes agrees at once as ``account``, or
    refuses. ``asked`` are the addresses to which he was sent.
    """

    site: Site
    account: str = "ann"
    refuses: bool = False
    stays: bool = False
    asked: list[str] = field(default_factory=list)

    async def stands_before(self, person: Person) -> None:
        await person.context.route("https://*.example/**", self._answer)

    def sends_back(self, url: str) -> str:
        """Where the browser goes from there."""
        provider = self.site.world.provider
        query = provider.agrees(url, self.account)
        if self.refuses:
            query = [("error", "access_denied"), query[1]]
        connector = url.split("//")[1].split(".", maxsplit=1)[0]
        return f"{self.site.url}/oauth/callback/main/{connector}?{urlencode(query)}"

    async def _answer(self, route: Route) -> None:
        url = route.request.url
        self.asked.append(url)
        if self.stays:
            await route.fulfill(status=200, content_type="text/html", body="<title>Acme</title>")
        else:
            await route.fulfill(status=302, headers={"Location": self.sends_back(url)})
