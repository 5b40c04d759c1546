"""A client on fastmcp (an environment of its own); see ``tests/clients/python_v2.py`` for the plan."""

import asyncio
import json
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import SSETransport, StreamableHttpTransport
from mcp.shared.exceptions import MCPError


async def take(client: "Client[Any]", step: list[Any]) -> Any:
    verb, *rest = step
    answer = await (client.list_tools_mcp() if verb == "tools" else client.call_tool_mcp(rest[0], rest[1]))
    return answer.model_dump(mode="json", by_alias=True)


async def main(plan: dict[str, Any]) -> dict[str, Any]:
    transport = SSETransport if plan["transport"] == "sse" else StreamableHttpTransport
    answers = []
    async with Client(transport(plan["url"], headers=plan["headers"]), mode=plan["mode"]) as client:
        for step in plan["steps"]:
            try:
                answers.append(await take(client, step))
            except MCPError as error:
                answers.append({"error": {"code": error.error.code, "message": error.error.message}})
        return {"version": client.protocol_version, "answers": answers}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
