"""Real clients of four SDK lines against a running gateway, in each era and over each transport."""

import json
from typing import Any

import pytest

from tests.clients.talking import MATRIX, PROGRAMS, converse
from tests.corridor.house import ON_SQLITE, House

pytestmark = ON_SQLITE


def talk(
    house: House, key: str, client: str, transport: str, mode: str, steps: list[Any], server: str = ""
) -> dict[str, Any]:
    """What a client program got for its steps."""
    root = "sse" if transport == "sse" else "mcp"
    plan = {
        "url": f"{house.url}/{root}{server}",
        "headers": {"x-apikey": key},
        "transport": transport,
        "mode": mode,
        "steps": steps,
    }
    return converse(PROGRAMS[client], plan)


@pytest.mark.parametrize(("client", "transport", "mode", "version"), MATRIX, ids=lambda value: str(value))
def test_a_real_client_lists_calls_reads_and_is_refused(
    house: House, user_key: str, client: str, transport: str, mode: str, version: str
):
    steps = [
        ["tools"],
        ["call", "demo__echo", {"text": "héllo"}],
        ["call", "web__echo", {"text": "over http"}],
        ["call", "old__echo", {"text": "over sse"}],
        ["call", "demo__slow", {"steps": 3}],
        ["call", "demo__echo", {"text": "forbidden"}],
        ["call", "demo__destroy", {}],
        ["call", "demo__nothing_of_the_kind", {}],
        ["prompts"],
        ["prompt", "demo__greeting", {"who": "Ann"}],
        ["resources"],
        ["templates"],
        ["read", "test://static"],
        ["read", "test://item/7"],
        ["complete", "demo__greeting", "who", "a"],
    ]
    told = talk(house, user_key, client, transport, mode, steps)
    assert told["version"] == version
    tools, echo, web, old, slow, forbidden, hidden, missing, *others = told["answers"]
    prompts, prompt, resources, templates, static, item, completed = others

    names = {tool["name"] for tool in tools["tools"]}
    assert {"demo__echo", "web__echo", "old__echo", "demo__grow"} <= names
    assert not {"demo__destroy", "web__destroy", "old__destroy", "web__grow"} & names
    for answer, text in ((echo, "héllo"), (web, "over http"), (old, "over sse")):
        assert json.loads(answer["content"][0]["text"])["arguments"] == {"text": text}
    assert slow["content"][0]["text"] == "3"
    if client.startswith("typescript") and transport == "sse":
        # this client drops the progress that it reads in one chunk with the answer
        assert slow["progress"] == [1, 2, 3][: len(slow["progress"]) or 1]
    else:
        assert slow["progress"] == [1, 2, 3]
    assert forbidden["isError"] is True
    assert "denied by policy" in forbidden["content"][0]["text"]
    assert "rules.csv" not in json.dumps(forbidden)
    assert hidden["error"]["code"] == missing["error"]["code"] == -32602
    assert hidden["error"]["message"].replace("demo__destroy", "X") == missing["error"]["message"].replace(
        "demo__nothing_of_the_kind", "X"
    )
    assert {"demo__plain", "demo__greeting"} <= {each["name"] for each in prompts["prompts"]}
    assert prompt["messages"][0]["content"]["text"] == "Greet Ann."
    assert "test://static" in {each["uri"] for each in resources["resources"]}
    assert "test://item/{id}" in {each["uriTemplate"] for each in templates["resourceTemplates"]}
    assert static["contents"][0]["text"] == "the text of test://static"
    assert item["contents"][0]["text"] == "the text of test://item/7"
    assert completed["completion"]["values"] == ["ada", "alan"]


@pytest.mark.parametrize(("client", "mode"), [("python-v2", "auto"), ("typescript-v1", "legacy")])
@pytest.mark.parametrize("transport", ["http", "sse"])
def test_a_server_over_one_upstream_offers_bare_names(
    house: House, user_key: str, client: str, mode: str, transport: str
):
    mode = "legacy" if transport == "sse" else mode
    told = talk(house, user_key, client, transport, mode, [["tools"], ["call", "echo", {"text": "x"}]], "/demo-only")
    tools, echo = told["answers"]
    assert "echo" in {tool["name"] for tool in tools["tools"]}
    assert json.loads(echo["content"][0]["text"])["arguments"] == {"text": "x"}


def test_the_rule_with_its_file_and_line_is_told_only_to_those_who_may_know_it(
    house: House, user_key: str, auditor_key: str
):
    step = [["call", "demo__echo", {"text": "forbidden"}]]
    rule_line = next(
        n
        for n, row in enumerate((house.folder / "policies" / "rules.csv").read_text().splitlines(), 1)
        if "forbidden'" in row
    )
    told = {
        key: talk(house, key, "python-v2", "http", "auto", step)["answers"][0]["content"][0]["text"]
        for key in (user_key, auditor_key)
    }
    assert f"rules.csv:{rule_line}" in told[auditor_key]
    assert "rules.csv" not in told[user_key]
    assert "reference" in told[user_key]
