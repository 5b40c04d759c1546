"""What the door tells unasked: subscriptions, listening, and changes behind it."""

from typing import Any

import pytest

from connectors.base import Change, Event
from gateway.catalogue import Server
from gateway.errors import (
    InvalidArguments,
    Unknown,
    UpstreamFailed,
)
from gateway.mcp.terms import Call, Era, Notification, Request, Step
from gateway.policy.terms import MAIN
from tests.builders import ALL, AMY, BOB, Door, call, refused
from tests.fakes import FakeConnector, prompt, raising, resource, slack, template, tool


def change(connector: FakeConnector, event: Event, principal: str = "", uri: str = "") -> Change:
    """The change that ``connector`` has just made known."""
    connector.change(event, principal, uri)
    return Change(connector.id, event, principal, uri)


async def test_subscribing_needs_the_right_to_read_and_goes_to_the_server():
    rows = "p, user:*, main, self, c/resource:a://*, read, , allow"
    door = Door(rows, [connector := FakeConnector("c", [resource("a://1"), resource("b://1")], answer=lambda _: {})])
    assert await door.ask(AMY, "resources/subscribe", uri="a://1") == {}
    assert isinstance(await refused(door, AMY, call("resources/subscribe", uri="b://1")), Unknown)
    assert await door.ask(AMY, "resources/unsubscribe", uri="a://1") == {}
    assert [(sent.method, sent.params) for sent in connector.sent] == [("resources/subscribe", {"uri": "a://1"})]
    await door.pipeline.release(door.person(AMY), MAIN, ["a://1", "nowhere://"])
    assert [sent.method for sent in connector.sent[1:]] == ["resources/unsubscribe"] * 2


async def test_releasing_survives_a_server_that_is_gone():
    connector = FakeConnector("c", [resource("a://1")], answer=raising(UpstreamFailed("gone")))
    door = Door("", [connector, FakeConnector("d", [resource("d://1")], answer=lambda _: {})])
    await door.pipeline.release(door.person(AMY), MAIN, ["a://1", "nowhere://", "d://1"])
    assert [sent.params["uri"] for sent in door.connectors[1].sent] == ["d://1"]


async def test_listening_honours_what_may_be_heard():
    rows = "p, user:*, main, self, c/resource:a://*, read, , allow"
    connector = FakeConnector("c", [resource("a://1"), resource("a://2"), resource("b://1")])
    connector.answer = lambda sent: raising(UpstreamFailed("gone"))(sent) if sent.params["uri"] == "a://2" else {}
    door = Door(rows, [connector])
    wish = {
        "toolsListChanged": True,
        "promptsListChanged": False,
        "resourceSubscriptions": ["a://1", "a://2", "b://1", 7],
        "else": True,
    }
    honoured = await door.ask(AMY, "subscriptions/listen", era=Era.MODERN, notifications=wish)
    assert honoured == {"toolsListChanged": True, "resourceSubscriptions": ["a://1"]}
    assert [sent.params["uri"] for sent in connector.sent] == ["a://1", "a://2"]
    assert await door.ask(AMY, "subscriptions/listen", era=Era.MODERN, notifications={}) == {}
    assert len(door.entries) == 2


async def test_a_resource_wished_for_twice_is_subscribed_once_since_it_is_released_once():
    door = Door(ALL, [connector := FakeConnector("c", [resource("a://1")], answer=lambda _: {})])
    wish = {"resourceSubscriptions": ["a://1", {"a": 1}, "a://1", ["a://1"]]}
    honoured = await door.ask(AMY, "subscriptions/listen", era=Era.MODERN, notifications=wish)
    assert honoured == {"resourceSubscriptions": ["a://1"]}
    assert len(connector.sent) == 1


@pytest.mark.parametrize("uris", ["a://1", [f"a://{n}" for n in range(101)]])
async def test_a_wish_that_is_no_list_or_too_long_is_refused(uris: Any):
    door = Door(ALL, [slack()])
    asked = call("subscriptions/listen", era=Era.MODERN, notifications={"resourceSubscriptions": uris})
    assert isinstance(await refused(door, AMY, asked), InvalidArguments)
    message = Request(1, "subscriptions/listen", {})
    bare = Call(message, Step.LISTEN, Era.MODERN, "2026-07-28", MAIN, "mcp")
    assert isinstance(await refused(door, AMY, bare), InvalidArguments)


LISTS = {
    Event.TOOLS: "notifications/tools/list_changed",
    Event.PROMPTS: "notifications/prompts/list_changed",
    Event.RESOURCES: "notifications/resources/list_changed",
}


@pytest.mark.parametrize(
    ("obj", "heard"),
    [
        ("c/t", {Event.TOOLS}),
        ("c/prompt:p", {Event.PROMPTS}),
        ("c/resource:a://1", {Event.RESOURCES}),
        ("c/resource:b://7", {Event.RESOURCES}),
        ("d/*", set()),
    ],
)
async def test_a_change_is_told_to_those_who_see_something_of_it(obj: str, heard: set[Event]):
    offered = [tool("t", "read"), prompt("p"), resource("a://1"), template("b://{x}")]
    door = Door(
        f"p, user:{AMY}, main, self, {obj}, read, , allow",
        [c := FakeConnector("c", offered), FakeConnector("d", [tool("u", "read")])],
    )
    for event, method in LISTS.items():
        told = await door.pipeline.changes(change(c, event), door.person(AMY), MAIN)
        assert told == ([Notification(method)] if event in heard else [])
        assert await door.pipeline.changes(change(c, event), door.person(BOB), MAIN) == []


async def test_a_change_is_told_when_the_last_visible_item_goes_and_when_the_first_comes():
    door = Door(ALL, [c := FakeConnector("c", gone := [tool("t")])])
    amy = door.person(AMY)
    assert await door.tools(AMY) == ["c__t"]
    c.offered = []
    assert await door.pipeline.changes(change(c, Event.TOOLS), amy, MAIN) == [Notification(LISTS[Event.TOOLS])]
    assert await door.tools(AMY) == []
    assert await door.pipeline.changes(change(c, Event.TOOLS), amy, MAIN) == []
    c.offered = gone
    assert await door.pipeline.changes(change(c, Event.TOOLS), amy, MAIN) == [Notification(LISTS[Event.TOOLS])]


async def test_an_updated_resource_is_told_to_those_who_may_read_it():
    rows = f"p, user:{AMY}, main, self, c/resource:a://*, read, , allow"
    door = Door(rows, [c := FakeConnector("c", [resource("a://1")]), d := FakeConnector("d", [resource("d://1")])])
    for connector, email, uri, told in (
        (c, AMY, "a://1", True),
        (c, BOB, "a://1", False),
        (c, AMY, "b://1", False),
        (d, AMY, "a://1", False),
    ):
        notifications = await door.pipeline.changes(change(connector, Event.UPDATED, uri=uri), door.person(email), MAIN)
        assert notifications == ([Notification("notifications/resources/updated", {"uri": uri})] if told else [])


async def test_a_change_of_one_principal_or_of_another_server_concerns_nobody_else():
    door = Door(ALL, [c := slack(), FakeConnector("d")], servers=[Server("side", ("d",))])
    amy = door.person(AMY)
    assert await door.pipeline.changes(change(c, Event.TOOLS, f"user:{BOB}"), amy, MAIN) == []
    assert await door.pipeline.changes(change(c, Event.TOOLS), amy, "side") == []
    assert await door.pipeline.changes(change(c, Event.TOOLS, f"user:{AMY}"), amy, MAIN) != []
    door.dismiss(AMY)
    assert await door.pipeline.changes(change(c, Event.TOOLS), amy, MAIN) == []
