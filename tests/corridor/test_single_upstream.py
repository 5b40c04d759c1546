"""``/mcp/{serverId}`` for one upstream: everything under the upstream's own names, in both eras."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.corridor.house import ON_SQLITE, House, modern, result_of, until
from tests.corridor.test_isolation import INITIALIZE, legacy
from tests.corridor.test_streams import following

PATH = "/mcp/demo-only"
Ask = Callable[..., Any]


@pytest.fixture(params=["legacy", "modern"])
def ask(request: pytest.FixtureRequest, house: House, user_key: str) -> Any:
    """Asks the endpoint in one era; gives the result."""
    with house.client(user_key) as client:
        if request.param == "legacy":
            headers = {"mcp-session-id": client.post(PATH, json=INITIALIZE).headers["mcp-session-id"]}
            yield lambda method, **params: result_of(client.post(PATH, json=legacy(method, **params), headers=headers))[
                "result"
            ]
        else:
            yield lambda method, **params: result_of(client.post(PATH, **modern(method, **params)))["result"]


@ON_SQLITE
def test_everything_has_the_names_that_the_upstream_gave_it(ask: Ask):
    until(lambda: ask("tools/list")["tools"])
    tools = {each["name"] for each in ask("tools/list")["tools"]}
    assert {"echo", "slow", "fail"} <= tools
    assert not any("__" in name for name in tools)
    assert "destroy" not in tools
    assert {"plain", "greeting"} <= {each["name"] for each in ask("prompts/list")["prompts"]}
    assert {"test://static", "test://binary"} <= {each["uri"] for each in ask("resources/list")["resources"]}
    assert [each["uriTemplate"] for each in ask("resources/templates/list")["resourceTemplates"]] == [
        "test://item/{id}"
    ]


@ON_SQLITE
def test_everything_can_be_used_by_those_names(ask: Ask):
    until(lambda: ask("tools/list")["tools"])
    assert '"text": "hi"' in ask("tools/call", name="echo", arguments={"text": "hi"})["content"][0]["text"]
    greeting = ask("prompts/get", name="greeting", arguments={"who": "Ada"})
    assert greeting["messages"][0]["content"]["text"] == "Greet Ada."
    for uri in ("test://static", "test://item/7"):
        assert ask("resources/read", uri=uri)["contents"][0]["text"] == f"the text of {uri}"
    argument = {"name": "who", "value": "a"}
    for ref in ({"type": "ref/prompt", "name": "greeting"}, {"type": "ref/resource", "uri": "test://item/{id}"}):
        answer = ask("completion/complete", ref=ref, argument=argument, context={"arguments": {"other": "x"}})
        assert answer["completion"]["values"] == ["ada", "alan"]


@ON_SQLITE
def test_prefixed_names_are_unknown_there(house: House, user_key: str):
    with house.client(user_key) as client:
        answer = result_of(client.post(PATH, **modern("tools/call", name="demo__echo", arguments={"text": "hi"})))
    assert answer["error"] == {"code": -32602, "message": "unknown tool: `demo__echo`"}


def test_its_events_reach_listeners_of_both_eras(own_house: House):
    key = own_house.add_user("ann@example.com", "user", "fast")
    wish = {"toolsListChanged": True, "resourceSubscriptions": ["test://static"]}
    with own_house.client(key) as client, ExitStack() as opened:
        until(lambda: "echo" in client.post(PATH, **modern("tools/list")).text)
        headers = {"mcp-session-id": client.post(PATH, json=INITIALIZE).headers["mcp-session-id"]}
        subscribed = client.post(PATH, json=legacy("resources/subscribe", uri="test://static"), headers=headers)
        assert result_of(subscribed)["result"] == {}
        session = opened.enter_context(following(own_house, key, "GET", PATH, headers=headers))
        asked = modern("subscriptions/listen", id="L1", notifications=wish)
        listen = opened.enter_context(following(own_house, key, "POST", PATH, **asked))
        assert listen()["params"]["notifications"] == wish
        client.post(PATH, **modern("tools/call", name="touch", arguments={"uri": "test://static"}))
        for hears in (session, listen):
            updated = hears()
            assert (updated["method"], updated["params"]["uri"]) == ("notifications/resources/updated", "test://static")
        client.post(PATH, **modern("tools/call", name="grow", arguments={}))
        assert listen()["method"] == "notifications/tools/list_changed"
        assert "notifications/tools/list_changed" in {session()["method"] for _ in range(3)}
