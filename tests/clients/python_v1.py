"""The same client on the Python SDK v1 (an environment of its own); see python_v2.py for the plan."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from typing import Any

from mcp import ClientSession, McpError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, PromptReference, Root, TextContent


@asynccontextmanager
async def streams(plan: dict[str, Any]):
    opener = sse_client if plan["transport"] == "sse" else streamablehttp_client
    async with opener(plan["url"], headers=plan["headers"]) as opened:
        yield opened[0], opened[1]


async def sample(_: Any, params: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="a word"), model="none")


async def elicit(_: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content=None if params.mode == "url" else {"name": "Ann"})


async def roots(_: Any) -> ListRootsResult:
    return ListRootsResult(roots=[Root(uri="file:///home/ann")])


def answers(plan: dict[str, Any]) -> dict[str, Any]:
    if not plan.get("answers"):
        return {}
    return {"sampling_callback": sample, "elicitation_callback": elicit, "list_roots_callback": roots}


async def take(session: ClientSession, step: list[Any]) -> Any:
    verb, *rest = step
    match verb:
        case "tools":
            answer = await session.list_tools()
        case "call":
            told: list[float] = []

            async def progress(value: float, _total: float | None, _message: str | None) -> None:
                told.append(value)

            answer = await session.call_tool(rest[0], rest[1], progress_callback=progress)
            return {**answer.model_dump(mode="json", by_alias=True), "progress": told}
        case "prompts":
            answer = await session.list_prompts()
        case "prompt":
            answer = await session.get_prompt(rest[0], rest[1])
        case "resources":
            answer = await session.list_resources()
        case "templates":
            answer = await session.list_resource_templates()
        case "read":
            answer = await session.read_resource(rest[0])
        case "complete":
            reference = PromptReference(type="ref/prompt", name=rest[0])
            answer = await session.complete(reference, {"name": rest[1], "value": rest[2]})
    return answer.model_dump(mode="json", by_alias=True)


async def main(plan: dict[str, Any]) -> dict[str, Any]:
    told = []
    async with streams(plan) as (read, write), ClientSession(read, write, **answers(plan)) as session:
        opened = await session.initialize()
        for step in plan["steps"]:
            try:
                told.append(await take(session, step))
            except McpError as error:
                told.append({"error": {"code": error.error.code, "message": error.error.message}})
        return {"version": opened.protocolVersion, "answers": told}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
