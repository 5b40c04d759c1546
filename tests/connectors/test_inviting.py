"""A connector that asks strangers in."""

import pytest

from connectors.base import QUIET, Change, Credential, Event
from connectors.inviting import INVITATION, Inviting
from gateway.errors import NotConnected, UpstreamFailed
from gateway.mcp.terms import Era, Kind
from tests.fakes import FakeConnector, tool


class Accounts:
    """Who has an account, and whether it serves."""

    def __init__(self, **of):
        self.of = of

    def ids(self, owner):
        return ("c1",) if owner in self.of else ()

    def owner(self, id):
        return next(iter(self.of), "")

    async def open(self, owner, id=""):
        if not self.of.get(owner):
            raise NotConnected("connect first", connector="docs", owner=owner)
        return Credential("c1")

    async def renew(self, used):
        return None


def house(left=None, /, **of):
    inner = FakeConnector("docs", [tool("search"), tool(INVITATION)])
    return inner, Inviting(inner, Accounts(**of), leave=(left if left is not None else []).append)


async def listed(connector, principal):
    return [item.name for item in (await connector.catalogue(principal)).items[Kind.TOOL]]


async def test_strangers_are_offered_the_invitation_alone_and_the_server_is_not_asked():
    inner, inviting = house(ann=True)
    assert await listed(inviting, "bob") == [INVITATION]
    assert inner.asked == 0
    assert await listed(inviting, "ann") == [INVITATION, "search"]


async def test_the_invitation_is_ours_and_harmless():
    _, inviting = house(ann=True)
    first = (await inviting.catalogue("ann")).items[Kind.TOOL][0]
    assert (first.level, first.facts.destructive, first.connector) == ("read", False, "docs")


async def test_calling_the_invitation_asks_to_connect_or_says_that_it_is_done():
    inner, inviting = house(ann=True, eve=False)
    for owner in ("bob", "eve"):
        with pytest.raises(NotConnected):
            await inviting.open(owner, owner)
    opened = await inviting.open("ann", "ann", credential="c1")
    said = await opened.send("tools/call", {"name": INVITATION}, QUIET)
    assert "connected to `docs`" in said["content"][0]["text"]
    assert [each.method for each in inner.sent] == ["tools/list"]
    assert inner.named == ["c1"]


async def test_the_invitation_is_not_said_to_be_done_before_the_server_takes_the_account():
    inner, inviting = house(ann=True)

    def refuses(sent):
        raise NotConnected("was refused", connector="docs", owner="ann", reconnect="c1")

    inner.answer = refuses
    opened = await inviting.open("ann", "ann")
    with pytest.raises(NotConnected):
        await opened.send("tools/call", {"name": INVITATION}, QUIET)


async def test_where_an_account_does_not_serve_any_more_the_invitation_stands_alone():
    inner, inviting = house(ann=True)
    inner.failure = NotConnected("was refused", connector="docs", owner="ann", reconnect="c1")
    assert await listed(inviting, "ann") == [INVITATION]
    inner.failure = UpstreamFailed("is down")
    with pytest.raises(UpstreamFailed):
        await listed(inviting, "ann")


async def test_everything_else_goes_to_the_server():
    inner, inviting = house(ann=True)
    opened = await inviting.open("ann", "ann")
    await opened.send("tools/call", {"name": "search"}, QUIET)
    await opened.send("prompts/get", {"name": INVITATION}, QUIET)
    assert [(each.method, each.params["name"]) for each in inner.sent] == [
        ("tools/call", "search"),
        ("prompts/get", INVITATION),
    ]


async def test_the_invitation_answers_in_the_era_of_its_server():
    inner, inviting = house(ann=True)
    inner.era = Era.MODERN
    opened = await inviting.open("ann", "ann")
    assert opened.era is Era.MODERN
    assert (await opened.send("tools/call", {"name": INVITATION}, QUIET))["resultType"] == "complete"


async def test_who_watches_hears_when_connections_changed_and_what_the_server_says():
    heard, left = [], []
    inner, inviting = house(left)
    inviting.watch(heard.append)
    inviting.turned("ann", {"c1"})
    assert left == [{"c1"}]
    inner.change(Event.TOOLS, "bob")
    assert heard == [
        Change("docs", Event.TOOLS, "ann"),
        Change("docs", Event.PROMPTS, "ann"),
        Change("docs", Event.RESOURCES, "ann"),
        Change("docs", Event.TOOLS, "bob"),
    ]


def test_the_rest_is_the_connector_s_own():
    inner, inviting = house(ann=True)
    inner.without, inner.credentials = frozenset({"bob"}), {"c9": "ann"}
    assert (inviting.id, inviting.owners("ann")) == ("docs", ("ann",))
    assert (inviting.holds("ann"), inviting.holds("bob")) == (True, False)
    assert (inviting.owner("c9"), inviting.owner("c8")) == ("ann", "")
