"""What the suite starts as "the client": a gateway whose only upstream is the given address, and somebody who uses it.

    python -m tests.conformance.client URL

Everything the server lists is called once, through the gateway. Where the server wants an account of the user, he is
sent to connect one, does so at a browser without scripts, and the call is made again. The suite judges what its server
saw meanwhile.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, TextContent, Tool

from connectors.addresses import Exceptions, parse
from connectors.egress import Egress
from connectors.inviting import INVITATION
from connectors.oauth.discovery import asked, discover
from tests.conformance.world import POLICY, gateway, granted, offered
from tests.corridor.browsing import Visitor
from tests.corridor.house import running

ID = "suite"
SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
CONTEXT = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
DOCUMENT = "https://conformance-test.local/client-metadata.json"
"""Where the suite wants to be told that a document about the client stands; nobody reads it."""

MOST_LINKS = 8
"""More than the suite lets a client ask for more rights: so it is the gateway that ends it."""
CONNECTS = f"p, role:tester, *, self, {ID}, connect, , allow\n"
WORDS = {"string": "word", "integer": 2, "number": 2.5, "boolean": True, "array": [], "object": {}, "null": None}


def upstream(url: str) -> str:
    at = urlsplit(url)
    path = url if at.path else f"{url}/"
    described = f'[upstreams.{ID}]\nurl = "{path}"\nprivate_hosts = ["{at.hostname}"]\n'
    return f'{described}[upstreams.{ID}.tools]\n"*" = "read"\n{personal(path)}'


def personal(url: str) -> str:
    """How users bring accounts of their own, in the scenarios about that."""
    if not SCENARIO.startswith("auth/"):
        return ""
    client = DOCUMENT if SCENARIO == "auth/basic-cimd" else CONTEXT.get("client_id")
    as_whom = f'client_id = "{client}"\n' if client else ""
    if "client_secret" in CONTEXT:
        as_whom += f'client_secret = {{ env = "SUITE_SECRET" }}\nissuer = "{asyncio.run(issuer_of(url))}"\n'
    return f'[upstreams.{ID}.personal]\nkind = "oauth"\n{as_whom}'


async def issuer_of(url: str) -> str:
    """Where the suite registered us; an operator knows it from there."""
    allow = parse(["127.0.0.0/8", "localhost"])
    assert isinstance(allow, Exceptions)
    egress = Egress()
    try:
        return (await discover(egress, url, await asked(egress, url, allow=allow), allow=allow)).server.issuer
    finally:
        await egress.close()


def calls(tools: list[Tool]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the suite asks for, or every tool with arguments that fit its schema."""
    if (asked := CONTEXT.get("toolCalls")) is not None:
        yield from ((each["name"], each["arguments"]) for each in asked)
        return
    schemas = {tool.name: tool.input_schema for tool in tools}
    for name, schema in schemas.items():
        if name == "json_schema_echo":
            yield name, {"schema": schemas["json_schema_2020_12_tool"]}
        else:
            yield name, {key: WORDS.get(each.get("type"), "word") for key, each in schema.get("properties", {}).items()}


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


@dataclass
class Person:
    """Whoever the client's questions are put to: he fills in every form, and goes wherever he is sent."""

    visitor: Visitor
    links: int = 0

    async def accept(self, _context: Any, params: Any) -> ElicitResult:
        if params.mode != "url":
            fields = params.requested_schema.get("properties", {})
            return ElicitResult(
                action="accept", content={name: each.get("default", True) for name, each in fields.items()}
            )
        self.links += 1
        assert self.links <= MOST_LINKS, "the gateway asks for ever more"
        print("the page says:", await asyncio.to_thread(self.visitor.connects, params.url))
        return ElicitResult(action="accept")


async def tools_of(client: Client) -> list[Tool]:
    """What is listed, once an account is connected where there is an invitation to do that."""
    tools = (await client.list_tools()).tools
    if INVITATION in {tool.name for tool in tools}:
        print(INVITATION, await told(client.call_tool(INVITATION, {})))
        tools = (await client.list_tools()).tools
    return [tool for tool in tools if tool.name != INVITATION]


async def use(url: str, key: str) -> None:
    async with (
        httpx2.AsyncClient(headers={"x-apikey": key}, timeout=60) as http,
        Client(
            streamable_http_client(url, http_client=http),
            elicitation_callback=Person(Visitor("tester", key)).accept,
            sampling_callback=sampled,
            list_roots_callback=no_roots,
        ) as client,
    ):
        for name, arguments in calls(await tools_of(client)):
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
            Path(folder) / "house", upstreams=upstream(url), servers=offered(ID), policy=granted(ID) + CONNECTS + POLICY
        )
        house.extra["SUITE_SECRET"] = CONTEXT.get("client_secret", "none")
        with running(house):
            try:
                asyncio.run(use(f"{house.url}/mcp/{ID}", house.add_user("tester@example.com", "tester")))
            finally:
                print(house.log)


if __name__ == "__main__":
    main(sys.argv[1])
