"""Sessions on accounts that users bring: whose they are, and how they end with the account."""

import asyncio

import pytest

from connectors.base import QUIET, Personal, Sharing, UpstreamSpec
from connectors.line import Pace
from connectors.upstream import Upstream
from gateway.errors import UpstreamFailed
from tests.connectors.scripted import Scripted
from tests.connectors.test_lines import CALL, LEGACY
from tests.upstreams.starting import CLIENT


class Accounts:
    """``of`` are the ids of everybody's connections."""

    def __init__(self, **of):
        self.of = of

    def ids(self, owner):
        return self.of.get(owner, ())

    def owner(self, id):
        return next((owner for owner, ids in self.of.items() if id in ids), "")


class House:
    """An upstream for ``accounts``; each session has a transport of its own, in ``sessions``."""

    def __init__(self, **of):
        self.accounts, self.sessions, self.answers = Accounts(**of), [], dict(LEGACY)
        given = {"id": "up", "transport": "http", "url": "https://up.test", "sharing": Sharing.PRINCIPAL}
        spec = UpstreamSpec(**given, personal=Personal(True))
        told = {"client": CLIENT, "transport": self.session, "pace": Pace(first=0.001)}
        self.upstream = Upstream(spec, None, credentials=self.accounts, **told)

    def session(self):
        self.sessions.append(Scripted(self.answers, http=True))
        return self.sessions[-1]

    async def call(self, who, owner="", id=""):
        connection = await self.upstream.open(who, owner or who, credential=id)
        async with asyncio.timeout(5):
            return await connection.send("tools/call", CALL, QUIET)


@pytest.fixture
async def made():
    houses = []

    def make(**of):
        houses.append(House(**of))
        return houses[-1]

    yield make
    for house in houses:
        async with asyncio.timeout(5):
            await house.upstream.close()


async def ended(session):
    async with asyncio.timeout(5):
        while not session.closed:
            await asyncio.sleep(0.001)


async def test_each_user_has_a_session_on_each_account_that_he_uses(made):
    house = made(ann=("a1", "a2"), bob=("b1",))
    for who, owner, id in (("ann", "ann", "a1"), ("ann", "ann", "a2"), ("bob", "bob", "b1"), ("bob", "ann", "a1")):
        for _ in range(2):
            await house.call(who, owner, id)
    assert len(house.sessions) == 4
    await house.call("bob")  # his only account
    await house.upstream.catalogue("bob")
    assert len(house.sessions) == 4


async def test_sessions_on_an_account_that_ended_end_at_once_and_with_them_what_is_under_way(made):
    house = made(ann=("a1",), bob=("b1",))
    await house.call("ann")
    await house.call("bob", "ann", "a1")
    await house.call("bob")
    del house.answers["tools/call"]
    calling = asyncio.create_task(house.call("ann"))
    await house.sessions[0].until(2, "tools/call")
    house.accounts.of = {"bob": ("b1",)}
    house.upstream.leave({"a1"})
    with pytest.raises(UpstreamFailed):
        await calling
    await ended(house.sessions[0])
    await ended(house.sessions[1])
    assert house.sessions[2].closed == 0


async def test_an_account_that_was_connected_anew_has_a_new_session_and_what_is_under_way_comes_to_its_end(made):
    house = made(ann=("a1",))
    await house.call("ann")
    del house.answers["tools/call"]
    calling = asyncio.create_task(house.call("ann"))
    first = house.sessions[0]
    asked = (await first.until(2, "tools/call"))[1]
    house.upstream.leave({"a1"})
    house.answers["tools/call"] = {"fine": "anew"}
    assert (await house.call("ann"))["fine"] == "anew"
    assert (len(house.sessions), first.closed) == (2, 0)
    first.answer(asked.id, {"fine": "late"})
    assert (await calling)["fine"] == "late"
    await ended(first)
    assert house.sessions[1].closed == 0


async def test_other_accounts_are_left_alone(made):
    house = made(ann=("a1",))
    await house.call("ann")
    house.upstream.leave({"a2", ""})
    await house.call("ann")
    assert (len(house.sessions), house.sessions[0].closed) == (1, 0)
