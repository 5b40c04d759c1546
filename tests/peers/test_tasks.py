"""A real server that runs a tool as a task (MCP 2025-11-25), through the gateway."""

from typing import Any

import httpx2
import pytest

from tests.corridor.house import result_of, until
from tests.peers.site import Site

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
TOOL = {"name": "{}__simulate-research-query", "arguments": {"topic": "bees", "ambiguous": False}}


class Conversation:
    """A session of a legacy client, request by request."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self._headers: dict[str, str] = {"mcp-protocol-version": "2025-11-25"}
        answer = self._post("initialize", HELLO)
        self._headers["mcp-session-id"] = answer.headers["mcp-session-id"]
        self.capabilities = result_of(answer)["result"]["capabilities"]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        message: dict[str, Any] = result_of(self._post(method, params))
        return message

    def _post(self, method: str, params: dict[str, Any]) -> httpx2.Response:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self._client.post("/mcp", json=body, headers=self._headers, timeout=60)


@pytest.mark.parametrize("server", ["everything", "everything-http"])
def test_a_real_server_runs_a_tool_as_a_task_for_him_who_asked_and_nobody_else(site: Site, server: str):
    tool = {**TOOL, "name": TOOL["name"].format(server)}
    mine, other = site.newcomer(f"tasks-{server}"), site.newcomer(f"no-tasks-{server}")
    with site.house.client(mine) as client, site.house.client(other) as stranger:
        own, foreign = Conversation(client), Conversation(stranger)
        assert own.capabilities["tasks"]["requests"] == {"tools": {"call": {}}}
        id = own.ask("tools/call", **tool, task={"ttl": 60_000})["result"]["task"]["taskId"]
        assert foreign.ask("tasks/get", taskId=id)["error"]["message"].startswith("unknown task")
        assert foreign.ask("tasks/list")["result"]["tasks"] == []
        assert [task["taskId"] for task in own.ask("tasks/list")["result"]["tasks"]] == [id]
        until(lambda: own.ask("tasks/get", taskId=id)["result"]["status"] == "completed", 60)
        result = own.ask("tasks/result", taskId=id)["result"]
        assert "bees" in result["content"][0]["text"]
        assert own.ask("tools/call", **tool)["result"]["isError"] is True  # this tool is only ever a task
