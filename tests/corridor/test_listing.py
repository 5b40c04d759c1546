"""What a subject sees is what he can call: asked of a running gateway for every subject and tool."""

import json
from typing import Any

import pytest

from gateway.custom.names import BUILTINS
from tests.corridor.house import ON_SQLITE, House, modern, result_of

pytestmark = ON_SQLITE

ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"text": "only this"},
    {"text": "something else"},
    {"text": "forbidden"},
    {"region": "eu"},
    {"uri": "test://static"},
    {"steps": 1},
]
SKIPPED = ("__wait", "__doze")
"""Would wait for ever or for long; who may call them may call `grow` too."""


@pytest.mark.parametrize("roles", [(), ("user",), ("half",), ("auditor",), ("user", "half"), ("security",)], ids=str)
def test_a_tool_is_listed_exactly_when_some_call_of_it_is_allowed(
    house: House, every_tool: list[str], roles: tuple[str, ...]
):
    key = house.add_user(f"lister-{'-'.join(roles) or 'nobody'}@example.com", "fast", *roles)
    with house.client(key) as client:
        answer = result_of(client.post("/mcp", **modern("tools/list")))
        listed = {tool["name"] for tool in answer["result"]["tools"] if "__grown" not in tool["name"]}
        callable_: set[str] = set()
        for name in every_tool:
            calls = (client.post("/mcp", **modern("tools/call", name=name, arguments=each)) for each in ARGUMENTS)
            if any(reached(result_of(call)) for call in calls):
                callable_.add(name)
    assert {name for name in listed if not name.endswith(SKIPPED)} == callable_


@pytest.fixture(scope="session")
def every_tool(house: House) -> list[str]:
    """What the servers offer, and the gateway itself, whatever the policy says."""
    things = json.loads(house.cli("policy", "inventory"))["things"]["main"]
    named = (thing["object"].partition("/") for thing in things)
    tools = [f"{connector}__{name}" for connector, _, name in named if ":" not in name and "grown" not in name]
    return [*(name for name in tools if not name.endswith(SKIPPED)), *sorted(BUILTINS)]


def reached(answer: dict[str, Any]) -> bool:
    """Whether a call got past the policy: refused by it, it says so, or the tool is unknown."""
    text = json.dumps(answer)
    return "denied by policy" not in text and "unknown tool" not in text


def test_a_hidden_tool_and_a_missing_tool_answer_alike(house: House, user_key: str):
    with house.client(user_key) as client:
        answers = []
        for name in ("demo__destroy", "demo__dostroy"):
            answer = client.post("/mcp", **modern("tools/call", name=name, arguments={}))
            answers.append((answer.status_code, answer.text.replace(name, "NAME")))
    assert answers[0] == answers[1]
