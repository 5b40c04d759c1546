"""Headers that repeat the body, on their way in and on their way to the server behind us."""

import json
from typing import Any

import pytest

from tests.corridor.house import ON_SQLITE, House, modern, result_of, until

pytestmark = ON_SQLITE


def called(house: House, key: str, name: str, arguments: dict[str, Any], *headers: tuple[str, str]) -> Any:
    """The HTTP status and the message that answer a call with further headers."""
    question = modern("tools/call", name=name, arguments=arguments)
    with house.client(key) as client:
        until(lambda: name in client.post("/mcp", **modern("tools/list")).text)
        answer = client.post("/mcp", json=question["json"], headers=[*question["headers"].items(), *headers])
    return answer.status_code, result_of(answer)


def test_the_server_is_told_its_own_name_for_the_tool_in_body_and_header(house: House, user_key: str):
    status, answer = called(house, user_key, "web__headers", {})
    heard = json.loads(answer["result"]["content"][0]["text"])
    assert (status, heard["mcp-name"], heard["mcp-method"]) == (200, "headers", "tools/call")


@pytest.mark.parametrize(
    ("region", "header"),
    [("eu", "eu"), ("eu", "=?base64?ZXU=?="), ("Zürich", "=?base64?WsO8cmljaA==?="), ("", "")],
)
def test_an_argument_that_its_header_repeats_reaches_the_server(house: House, user_key: str, region: str, header: str):
    status, answer = called(house, user_key, "web__routed", {"region": region}, ("Mcp-Param-Region", header))
    assert (status, json.loads(answer["result"]["content"][0]["text"])) == (200, {"region": region})


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Mcp-Param-Region", "us"),),
        (("mcp-param-region", "=?base64?ZXU?="),),
        (("Mcp-Param-Region", "eu"), ("Mcp-Param-Region", "eu")),
        (("Mcp-Param-Region", "eu"), ("mcp-param-region", "us")),
    ],
    ids=str,
)
def test_a_header_that_is_missing_wrong_or_doubled_is_refused(
    house: House, user_key: str, headers: tuple[tuple[str, str], ...]
):
    status, answer = called(house, user_key, "web__routed", {"region": "eu"}, *headers)
    assert (status, answer["error"]["code"]) == (400, -32020)
