"""What a server that a user offers shows of what is behind it, by its token URL: the eight tools under both names, every action, or one
server's own tools.
"""

import json
from typing import Any

import pytest

from gateway.records import Listing, Mode, Restrictions
from tests.web.test_token_urls import BY_TOKEN, Exchange, Front, asked, front, named

META = {
    *("list_connectors", "get_connector_resources", "get_action_details", "execute_action"),
    *("create_credential", "get_credentials", "get_credential_metadata", "discover_action_path"),
}
X = {"connectorId": "a", "actionId": "x", "parameters": {}}
NOT_X = Restrictions(actions=Listing(allow=False, names=("a:x",)))
WAYS: dict[Mode, tuple[set[str], str, dict[str, Any]]] = {
    Mode.CONNECTIVITY: (META | {f"{name}_alloy" for name in META}, "execute_action_alloy", X),
    Mode.DIRECT: ({"a__x", "a__y", "b__x"}, "a__x", {}),
    Mode.UPSTREAM: ({"x", "y"}, "x", {}),
}


async def use(at: Front, name: str, arguments: dict[str, Any]) -> bool:
    """Whether a tool did what it should."""
    answer: Exchange = await asked(at, BY_TOKEN, "tools/call", name=name, arguments=arguments)
    assert answer.status == 200
    return "result" in answer.told and not answer.told["result"].get("isError")


def offering(mode: Mode, **more: Any) -> Front:
    return front(mode=mode, upstream="a" if mode is Mode.UPSTREAM else "", **more)


@pytest.mark.parametrize("mode", Mode)
async def test_a_server_lists_the_tools_of_its_mode_and_nothing_else_does_anything(mode: Mode):
    at = offering(mode)
    listed, name, arguments = WAYS[mode]
    assert set(named(await asked(at, BY_TOKEN))) == listed
    assert await use(at, name, arguments)
    sent = [each.params["name"] for each in at.door.connectors[0].sent]
    assert sent == ["x"]
    for other in set(Mode) - {mode}:
        assert not await use(at, *WAYS[other][1:])
    assert len(at.door.connectors[0].sent) == 1


@pytest.mark.parametrize("mode", Mode)
async def test_what_restrictions_keep_out_is_kept_out_in_every_mode(mode: Mode):
    at = offering(mode, restrictions=NOT_X)
    _, name, arguments = WAYS[mode]
    assert not await use(at, name, arguments)
    shown = named(await asked(at, BY_TOKEN))
    assert not {"x", "a__x"} & set(shown)
    assert at.door.connectors[0].sent == []


async def test_in_connectivity_mode_what_is_there_is_found_before_it_is_used():
    at = offering(Mode.CONNECTIVITY)
    answer = await asked(at, BY_TOKEN, "tools/call", name="list_connectors_alloy", arguments={})
    told = json.loads(answer.told["result"]["content"][0]["text"])
    assert [each["id"] for each in told["connectors"]] == ["a", "b"]
