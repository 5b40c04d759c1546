"""The server that the MCP conformance suite expects behind the address it is given, on the Python SDK v2.

python conformance.py [--transport stdio|http|sse] [--port N] [--era auto|legacy|modern]
"""

import argparse
import json
from typing import Any

import anyio
import mcp_types as types
from everything import MODERN, bus, http_app, listener, remember, serve_stdio, sse_app
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError
from resuming import Events
from suite_client import Client, Params, Tool, Unanswered
from suite_tasks import offer_tasks
from suite_tools import PNG, PROMPTS, TOOLS

RESOURCES = {
    "test://static-text": ("text/plain", {"text": "This is the content of the static text resource."}),
    "test://static-binary": ("image/png", {"blob": PNG}),
    "test://watched-resource": ("text/plain", {"text": "Watched resource content"}),
}
TEMPLATE = {"uriTemplate": "test://template/{id}/data", "name": "template", "mimeType": "application/json"}


async def read(ctx: Any, params: Any) -> Params:
    uri = str(params.uri)
    if uri in RESOURCES:
        kind, content = RESOURCES[uri]
        return {"contents": [{"uri": uri, "mimeType": kind, **content}]}
    if uri.startswith("test://template/") and uri.endswith("/data"):
        id = uri.removeprefix("test://template/").removesuffix("/data")
        data = json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})
        return {"contents": [{"uri": uri, "mimeType": "application/json", "text": data}]}
    code = -32602 if ctx.protocol_version == MODERN else -32002
    raise MCPError(code=code, message="Resource not found", data={"uri": uri})


def listing(entries: dict[str, tuple[Params, Tool]], key: str, model: Any) -> Any:
    async def answer(ctx: Any, params: Any) -> Any:
        remember(ctx)
        return model.model_validate({key: [described for described, _ in entries.values()]})

    return answer


def running(entries: dict[str, tuple[Params, Tool]], what: str, model: Any) -> Any:
    async def answer(ctx: Any, params: Any) -> Any:
        remember(ctx)
        if params.name not in entries:
            raise MCPError(code=-32602, message=f"Unknown {what}: {params.name}")
        try:
            result = await entries[params.name][1](Client(ctx, params.arguments or {}))
            return result if result.get("resultType") == "task" else model.model_validate(result)
        except Unanswered as ask:
            return types.InputRequiredResult.model_validate(ask.result)

    return answer


def always(result: Params, model: Any) -> Any:
    async def answer(ctx: Any, params: Any) -> Any:
        return model.model_validate(result)

    return answer


def only(era: str) -> Any:
    """Keeps a modern-only server from shaking hands."""

    async def middleware(ctx: Any, call_next: Any) -> Any:
        if era == "modern" and ctx.method == "initialize":
            data = {"supported": [MODERN], "requested": str((ctx.params or {}).get("protocolVersion"))}
            raise MCPError(code=-32022, message="this server has no handshake", data=data)
        return await call_next(ctx)

    return middleware


def build(era: str) -> Server:
    described = [{"uri": uri, "name": uri[7:], "mimeType": kind} for uri, (kind, _) in RESOURCES.items()]

    async def read_resource(ctx: Any, params: Any) -> Any:
        return types.ReadResourceResult.model_validate(await read(ctx, params))

    server: Server = Server(
        "conformance",
        version="1",
        on_list_tools=listing(TOOLS, "tools", types.ListToolsResult),
        on_call_tool=running(TOOLS, "tool", types.CallToolResult),
        on_list_prompts=listing(PROMPTS, "prompts", types.ListPromptsResult),
        on_get_prompt=running(PROMPTS, "prompt", types.GetPromptResult),
        on_list_resources=always({"resources": described}, types.ListResourcesResult),
        on_list_resource_templates=always({"resourceTemplates": [TEMPLATE]}, types.ListResourceTemplatesResult),
        on_read_resource=read_resource,
        on_subscribe_resource=always({}, types.EmptyResult),
        on_unsubscribe_resource=always({}, types.EmptyResult),
        on_subscriptions_listen=ListenHandler(bus),
        on_completion=always({"completion": {"values": [], "total": 0, "hasMore": False}}, types.CompleteResult),
    )
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, always({}, types.EmptyResult))
    if era != "legacy":
        offer_tasks(server)
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience="conformance"))
    server.middleware.append(only(era))
    return server


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=("stdio", "http", "sse"), default="stdio")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--era", choices=("auto", "legacy", "modern"), default="auto")
    options = parser.parse_args()
    server = build(options.era)
    if options.transport == "stdio":
        anyio.run(serve_stdio, server, options.era)
    elif options.transport == "sse":
        listener(sse_app(server, options.era), options.port).run()
    else:
        listener(http_app(server, options.era, event_store=Events(), retry_interval=100), options.port).run()


if __name__ == "__main__":
    main()
