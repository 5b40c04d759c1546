"""A browser for the tests of this folder: headless Chromium without script, a context of its own for each person.

Pages and browser run in one event loop for the whole session, because the browser is started once.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from gateway.store.opening import open_store
from tests.connections.world import World
from tests.pages.people import Street
from tests.pages.site import Site, served

CHROMIUM = "/usr/bin/chromium"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # as root it has no sandbox of its own, and refuses to start with one
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def kept(tmp_path):
    """An empty embedded store."""
    store = open_store(str(tmp_path / "store.db"))
    await store.open()
    yield store
    await store.close()


@pytest_asyncio.fixture(loop_scope="session")
async def opens(kept):
    """``await opens(**options)`` gives a site that is served until the end of the test."""
    async with AsyncExitStack() as stack:

        async def opened(*, world: World | None = None, **options) -> Site:
            site = Site(kept, world or World(store=kept), **options)
            return await stack.enter_async_context(served(site))

        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def street(chromium) -> AsyncIterator[Street]:
    street = Street(chromium)
    yield street
    await street.close()
