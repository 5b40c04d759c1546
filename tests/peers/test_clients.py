"""Real clients, each as its users start it, against a gateway with a policy and real servers behind it."""

import json

import pytest

from tests.peers.clients import CLIENTS, UNKNOWN_TOOL, Client
from tests.peers.servers import SERVERS
from tests.peers.site import Site


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_a_real_client_sees_calls_and_is_refused(site: Site, client: Client):
    visit = site.visit(client)
    answered, denied, hidden = visit.answers
    assert {f"{server.id}__{server.tool}" for server in SERVERS} <= visit.tools
    assert not {f"{server.id}__{server.hidden}" for server in SERVERS} & visit.tools
    assert answered["content"][0]["text"] == "Echo: hello"
    assert not answered.get("isError")
    assert denied["isError"] is True
    assert "denied by policy" in denied["content"][0]["text"]
    assert "rules.csv" not in json.dumps(denied)
    assert hidden["error"]["code"] == UNKNOWN_TOOL


def test_without_its_key_a_client_learns_nothing(site: Site):
    with site.house.client() as stranger:
        for path in ("/mcp", "/sse"):
            assert stranger.get(path).status_code == 401
        assert stranger.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).status_code == 401
