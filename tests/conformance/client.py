"""What the suite starts as "the client": a gateway whose only upstream is the given address, and somebody who uses it.

    python -m tests.conformance.client URL

Everything the server lists is called once, through the gateway. The suite judges what its server saw meanwhile.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, TextContent, Tool

from tests.conformance.world import POLICY, gateway, granted, offered
from tests.corridor.house import running

ID = "suite"
WORDS = {"string": "word", "integer": 2, "number": 2.5, "boolean": True, "array": [], "object": {}, "null": None}


def upstream(url: str) -> str:
    at = urlsplit(url)
    path = url if at.path else f"{url}/"
    return f'[upstreams.{ID}]\nurl = "{path}"\nprivate_hosts = ["{at.netloc}"]\n[upstreams.{ID}.tools]\n"*" = "read"\n'


def calls(tools: list[Tool]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the suite asks for, or every tool with arguments that fit its schema."""
    asked = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")).get("toolCalls")
    if asked is not None:
        yield from ((each["name"], each["arguments"]) for each in asked)
        return
    schemas = {tool.name: tool.input_schema for tool in tools}
    for name, schema in schemas.items():
        if name == "json_schema_echo":
            yield name, {"schema": schemas["json_schema_2020_12_tool"]}
        else:
            yield name, {key: WORDS.get(each.get("type"), "word") for key, each in schema.get("properties", {}).items()}


async def accept(_context: Any, params: Any) -> ElicitResult:
    fields = params.requested_schema.get("properties", {})
    return ElicitResult(action="accept", content={name: each.get("default", True) for name, each in fields.items()})


async def sampled(_context: Any, _params: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="Hello"), model="none")


async def no_roots(_context: Any) -> ListRootsResult:
    return ListRootsResult(roots=[])


async def told(what: Awaitable[Any]) -> Any:
    """What came of it; a server of the suite may refuse what it was not made for."""
    try:
        return await what
    except MCPError as error:
        print(f"refused: {error.error.code} {error.error.message}")
        return None


async def use(url: str, key: str) -> None:
    async with (
        httpx2.AsyncClient(headers={"x-apikey": key}, timeout=60) as http,
        Client(
            streamable_http_client(url, http_client=http),
            elicitation_callback=accept,
            sampling_callback=sampled,
            list_roots_callback=no_roots,
        ) as client,
    ):
        for name, arguments in calls((await client.list_tools()).tools):
            print(name, await told(client.call_tool(name, arguments)))
        if (prompts := await told(client.list_prompts())) is not None:
            for prompt in prompts.prompts:
                print(prompt.name, await told(client.get_prompt(prompt.name, {})))
        if (resources := await told(client.list_resources())) is not None:
            for resource in resources.resources:
                print(resource.uri, await told(client.read_resource(resource.uri)))


def main(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = gateway(
            Path(folder) / "house", upstreams=upstream(url), servers=offered(ID), policy=granted(ID) + POLICY
        )
        with running(house):
            asyncio.run(use(f"{house.url}/mcp/{ID}", house.add_user("tester@example.com", "tester")))
        print(house.log)


if __name__ == "__main__":
    main(sys.argv[1])
