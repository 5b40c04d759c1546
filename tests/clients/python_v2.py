"""A client on the Python SDK v2: takes a plan as JSON on its command line, prints what it got as JSON.

Plan: url, headers, transport (http | sse), mode (auto | legacy | 2026-07-28), steps. Each step gives
either its result or {"error": {"code", "message"}}. With transport stdio: command, for url and headers. With
answers, the client can be asked: for a sample, for input by form and by URL, for its roots.
"""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CreateMessageResult,
    CreateMessageResultWithTools,
    ElicitResult,
    ListRootsResult,
    PromptReference,
    Root,
    SamplingCapability,
    SamplingToolsCapability,
    TextContent,
)


@asynccontextmanager
async def transport(plan: dict[str, Any]):
    if plan["transport"] == "stdio":
        program, *words = plan["command"]
        async with stdio_client(StdioServerParameters(command=program, args=words, env=dict(os.environ))) as streams:
            yield streams
        return
    if plan["transport"] == "sse":
        async with sse_client(plan["url"], headers=plan["headers"]) as streams:
            yield streams
        return
    async with (
        httpx2.AsyncClient(headers=plan["headers"], timeout=30) as http,
        streamable_http_client(plan["url"], http_client=http) as streams,
    ):
        yield streams


async def sample(_: Any, params: Any) -> CreateMessageResult | CreateMessageResultWithTools:
    kind = CreateMessageResultWithTools if params.tools else CreateMessageResult
    return kind(role="assistant", content=TextContent(type="text", text="a word"), model="none")


async def elicit(_: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content=None if params.mode == "url" else {"name": "Ann"})


async def roots(_: Any) -> ListRootsResult:
    return ListRootsResult(roots=[Root(uri="file:///home/ann")])


def answers(plan: dict[str, Any]) -> dict[str, Any]:
    """How the client can be asked, if the plan says so."""
    if not plan.get("answers"):
        return {}
    return {
        "sampling_callback": sample,
        "sampling_capabilities": SamplingCapability(tools=SamplingToolsCapability()),
        "elicitation_callback": elicit,
        "list_roots_callback": roots,
    }


async def take(client: Client, step: list[Any]) -> Any:
    verb, *rest = step
    match verb:
        case "tools":
            answer = await client.list_tools()
        case "call":
            told: list[float] = []

            async def progress(value: float, _total: float | None, _message: str | None) -> None:
                told.append(value)

            answer = await client.call_tool(rest[0], rest[1], progress_callback=progress)
            return {**answer.model_dump(mode="json", by_alias=True), "progress": told}
        case "prompts":
            answer = await client.list_prompts()
        case "prompt":
            answer = await client.get_prompt(rest[0], rest[1])
        case "resources":
            answer = await client.list_resources()
        case "templates":
            answer = await client.list_resource_templates()
        case "read":
            answer = await client.read_resource(rest[0])
        case "complete":
            reference = PromptReference(type="ref/prompt", name=rest[0])
            answer = await client.complete(reference, {"name": rest[1], "value": rest[2]})
    return answer.model_dump(mode="json", by_alias=True)


async def main(plan: dict[str, Any]) -> dict[str, Any]:
    told = []
    async with Client(transport(plan), mode=plan["mode"], **answers(plan)) as client:
        for step in plan["steps"]:
            try:
                told.append(await take(client, step))
            except MCPError as error:
                told.append({"error": {"code": error.error.code, "message": error.error.message}})
        return {"version": client.protocol_version, "answers": told}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
