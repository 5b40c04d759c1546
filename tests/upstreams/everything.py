"""A well-behaved MCP server on the Python SDK v2, with one of everything; for the whole product's tests.

    python everything.py [--transport stdio|http|sse] [--port N] [--era auto|legacy|modern|VERSION]
    python everything.py --serve TRANSPORT,PORT,ERA[,json|,resume] --serve ...

``http`` serves /mcp, ``sse`` serves /sse and /messages/. ``auto`` speaks both eras; a VERSION is a revision with a
handshake, the only one it then agrees on. With ``json``, HTTP answers are plain JSON; with ``resume``, who lost a
stream can come back to it. The second form serves many at once, which share what they offer. The tools that ask the
client something stand in ``asking.py``.
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
from typing import Any

import anyio
import asking
import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.runner import serve_loop
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from resuming import Events
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

MODERN = "2026-07-28"
TEXT = {"type": "string"}
WORD = {"type": "object", "properties": {"text": TEXT}, "required": ["text"]}
NOTHING = {"type": "object", "properties": {}}
READ = {"readOnlyHint": True, "openWorldHint": False}


def tool(name: str, description: str, schema: dict[str, Any] = NOTHING, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": schema, **more}


TOOLS = [
    tool("echo", "the arguments, a nonce of this call, this process's id", WORD, annotations=READ),
    tool("slow", "progress at every step, then the number of steps", {"type": "object", "properties": {"steps": {"type": "integer"}}}),
    tool("wait", "waits until it is cancelled", {"type": "object", "properties": {"name": TEXT}}),
    tool("waits", "which calls of `wait` are running and which were cancelled"),
    tool("grow", "adds a tool, a prompt and a resource, and announces them", annotations={"destructiveHint": False}),
    tool("touch", "announces that the resource `uri` was updated", {"type": "object", "properties": {"uri": TEXT}}),
    tool("fail", "a tool error"),
    tool("broken", "a JSON-RPC error"),
    tool("structured", "structured output", WORD, outputSchema=WORD),
    tool("picture", "an image and a link to a resource"),
    tool("log", "a log line, then an answer", WORD),
    tool("headers", "the HTTP headers of this call"),
    tool("routed", "its `region` travels in a header too", {
        "type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}, "required": ["region"],
    }),
    tool("destroy", "says that it is destructive", annotations={"destructiveHint": True}),
    tool("doze", "hangs up where the client can come back, then says which it was"),
    *asking.TOOLS,
]  # fmt: skip
PROMPTS = [
    {"name": "plain", "description": "a prompt"},
    {"name": "greeting", "description": "a greeting", "arguments": [{"name": "who", "required": True}]},
]
RESOURCES = [
    {"uri": "test://static", "name": "static", "mimeType": "text/plain"},
    {"uri": "test://binary", "name": "binary", "mimeType": "application/octet-stream"},
]
TEMPLATES = [{"uriTemplate": "test://item/{id}", "name": "item", "mimeType": "application/json"}]

bus = InMemorySubscriptionBus()
sessions: dict[str, Any] = {}
subscribed: set[str] = set()
waiting: dict[str, str] = {}
counter = iter(range(1, 1 << 60))


def words(value: Any, **more: Any) -> dict[str, Any]:
    text = value if isinstance(value, str) else json.dumps(value)
    return {"content": [{"type": "text", "text": text}], **more}


def shaped(handler: Any, model: Any) -> Any:
    """The SDK completes what its models know (cache hints, kinds of result); plain objects it takes as they are."""

    async def shaping(ctx: Any, params: Any) -> Any:
        result = await handler(ctx, params)
        shape = types.InputRequiredResult if result.get("resultType") == "input_required" else model
        return shape.model_validate(result, by_name=False)

    return shaping


def remember(ctx: Any) -> None:
    """Legacy sessions are told of changes one by one; the modern era has the bus."""
    if ctx.protocol_version != MODERN:
        request = ctx.request
        key = "" if request is None else request.headers.get("mcp-session-id") or str(request.query_params)
        sessions[key] = ctx.session


async def list_tools(ctx: Any, params: Any) -> dict[str, Any]:
    remember(ctx)
    start = int(params.cursor or 0) if params else 0
    page: dict[str, Any] = {"tools": TOOLS[start : start + 8]}
    return page | ({"nextCursor": str(start + 8)} if start + 8 < len(TOOLS) else {})


async def list_prompts(ctx: Any, params: Any) -> dict[str, Any]:
    return {"prompts": PROMPTS}


async def list_resources(ctx: Any, params: Any) -> dict[str, Any]:
    return {"resources": RESOURCES}


async def list_templates(ctx: Any, params: Any) -> dict[str, Any]:
    return {"resourceTemplates": TEMPLATES}


async def call(ctx: Any, params: Any) -> dict[str, Any]:
    remember(ctx)
    arguments = params.arguments or {}
    match params.name:
        case "echo":
            return words(
                {"arguments": arguments, "nonce": f"{secrets.token_hex(8)}-{next(counter)}", "pid": os.getpid()}
            )
        case "slow":
            return await slow(ctx, arguments.get("steps", 3))
        case "wait":
            return await wait(arguments.get("name", "it"))
        case "waits":
            return words(waiting)
        case "grow":
            return await grow()
        case "touch":
            return await touch(arguments["uri"])
        case "fail":
            return words("it did not work", isError=True)
        case "broken":
            raise MCPError(code=-32050, message="broken on purpose", data={"why": "asked for"})
        case "structured":
            return words(arguments, structuredContent=arguments)
        case "picture":
            image = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
            return {"content": [image, {"type": "resource_link", "uri": "test://static", "name": "static"}]}
        case "log":
            await ctx.session.send_log_message("info", arguments["text"], related_request_id=ctx.request_id)
            return words("logged")
        case "headers":
            return words(dict(ctx.request.headers) if ctx.request is not None else {})
        case "doze":
            return await doze(ctx)
        case name if name in asking.NAMES:
            return await asking.call(ctx, params)
        case name if any(each["name"] == name for each in TOOLS):
            return words(arguments)
    raise MCPError(code=-32602, message=f"Unknown tool: {params.name}")


async def slow(ctx: Any, steps: int) -> dict[str, Any]:
    for step in range(1, steps + 1):
        await ctx.session.report_progress(step, steps, f"step {step}")
        await anyio.sleep(0.01)
    return words(str(steps))


async def wait(name: str) -> dict[str, Any]:
    waiting[name] = "running"
    try:
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        waiting[name] = "cancelled"
        raise
    return {}


async def doze(ctx: Any) -> dict[str, Any]:
    if ctx.close_sse_stream is None:
        return words("stayed")
    await anyio.sleep(0.05)  # so that the client has heard how it comes back
    await ctx.close_sse_stream()
    await anyio.sleep(0.05)
    return words("came back")


async def grow() -> dict[str, Any]:
    name = f"grown{len(TOOLS)}"
    TOOLS.append(tool(name, "was not here before"))
    PROMPTS.append({"name": name})
    RESOURCES.append({"uri": f"test://{name}", "name": name})
    for key, session in list(sessions.items()):
        try:
            await session.send_tool_list_changed()
            await session.send_prompt_list_changed()
            await session.send_resource_list_changed()
        except Exception:  # noqa: BLE001 - a session that is gone need not be told
            sessions.pop(key)
    for event in (ToolsListChanged(), PromptsListChanged(), ResourcesListChanged()):
        await bus.publish(event)
    return words(name)


async def touch(uri: str) -> dict[str, Any]:
    for session in sessions.values() if uri in subscribed else ():
        await session.send_resource_updated(uri)
    await bus.publish(ResourceUpdated(uri=uri))
    return words(uri)


async def get_prompt(ctx: Any, params: Any) -> dict[str, Any]:
    who = (params.arguments or {}).get("who", "world")
    return {"messages": [{"role": "user", "content": {"type": "text", "text": f"Greet {who}."}}]}


async def read(ctx: Any, params: Any) -> dict[str, Any]:
    uri = str(params.uri)
    if uri == "test://binary":
        return {"contents": [{"uri": uri, "blob": "AAEC", "mimeType": "application/octet-stream"}]}
    if uri.startswith("test://item/") or any(each["uri"] == uri for each in RESOURCES):
        return {"contents": [{"uri": uri, "text": f"the text of {uri}", "mimeType": "text/plain"}]}
    raise MCPError(
        code=-32602 if ctx.protocol_version == MODERN else -32002, message="no such resource", data={"uri": uri}
    )


async def subscribe(ctx: Any, params: Any) -> dict[str, Any]:
    remember(ctx)
    subscribed.add(str(params.uri))
    return {}


async def unsubscribe(ctx: Any, params: Any) -> dict[str, Any]:
    subscribed.discard(str(params.uri))
    return {}


async def complete(ctx: Any, params: Any) -> dict[str, Any]:
    values = [word for word in ("ada", "alan", "barbara") if word.startswith(params.argument.value)]
    return {"completion": {"values": values, "total": len(values), "hasMore": False}}


def vendor_fields(era: str) -> Any:
    """Adds what no model of the SDK knows, keeps a modern-only server from shaking hands, and one of a revision from
    agreeing on another."""

    async def middleware(ctx: Any, call_next: Any) -> Any:
        if era == "modern" and ctx.method == "initialize":
            data = {"supported": [MODERN], "requested": str((ctx.params or {}).get("protocolVersion"))}
            raise MCPError(code=-32022, message="this server has no handshake", data=data)
        if ctx.method == "initialize" and era not in ("auto", "legacy"):
            ctx.params["protocolVersion"] = era
        result = await call_next(ctx)
        if ctx.method == "tools/list":
            return {**result, "tools": [{**each, "x-vendor": {"kept": True}} for each in result["tools"]]}
        if ctx.method == "tools/call":
            return {**result, "x-vendor": "kept"}
        return result

    return middleware


def build(era: str) -> Server:
    server: Server = Server(
        "everything",
        version="1",
        instructions="Ask for anything.",
        on_list_tools=shaped(list_tools, types.ListToolsResult),
        on_call_tool=shaped(call, types.CallToolResult),
        on_list_prompts=shaped(list_prompts, types.ListPromptsResult),
        on_get_prompt=shaped(get_prompt, types.GetPromptResult),
        on_list_resources=shaped(list_resources, types.ListResourcesResult),
        on_list_resource_templates=shaped(list_templates, types.ListResourceTemplatesResult),
        on_read_resource=shaped(read, types.ReadResourceResult),
        on_subscribe_resource=shaped(subscribe, types.EmptyResult),
        on_unsubscribe_resource=shaped(unsubscribe, types.EmptyResult),
        on_subscriptions_listen=ListenHandler(bus),
        on_completion=shaped(complete, types.CompleteResult),
    )
    server.middleware.append(vendor_fields(era))
    return server


def announced(server: Server) -> Any:
    changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
    return server.create_initialization_options(changes)


async def serve_streams(server: Server, era: str, streams: Any) -> None:
    reading, writing = streams
    if era not in ("auto", "modern"):
        await serve_loop(server, reading, writing, lifespan_state={}, init_options=announced(server))
    else:
        await server.run(reading, writing, announced(server))


async def serve_stdio(server: Server, era: str) -> None:
    async with stdio_server() as streams:
        await serve_streams(server, era, streams)


def http_app(server: Server, era: str, **settings: Any) -> Any:
    # the app asks for its options without arguments; the flags of list changes have no other way in
    options = announced(server)
    server.create_initialization_options = lambda *given, **named: options  # type: ignore[method-assign]
    app = server.streamable_http_app(**settings)

    async def entry(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        if era not in ("auto", "modern") and headers.get(b"mcp-protocol-version") == MODERN.encode():
            error = {"code": -32600, "message": "Bad Request: Unsupported protocol version"}
            await JSONResponse({"jsonrpc": "2.0", "id": "server-error", "error": error}, 400)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return entry


def sse_app(server: Server, era: str) -> Starlette:
    transport = SseServerTransport("/messages/")

    async def stream(request: Any) -> Response:
        with contextlib.suppress(anyio.get_cancelled_exc_class()):
            async with transport.connect_sse(request.scope, request.receive, request._send) as streams:
                await serve_streams(server, era, streams)
        return Response()

    return Starlette(routes=[Route("/sse", stream), Mount("/messages/", app=transport.handle_post_message)])


def app_of(transport: str, era: str, how: str = "") -> Any:
    server = build(era)
    if transport == "sse":
        return sse_app(server, era)
    resumable: dict[str, Any] = {"event_store": Events(), "retry_interval": 20} if how == "resume" else {}
    return http_app(server, era, json_response=how == "json", **resumable)


def listener(app: Any, port: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)
    )


async def serve_all(offers: list[str]) -> None:
    serving = []
    for offer in offers:
        transport, port, era, *rest = offer.split(",")
        serving.append(listener(app_of(transport, era, *rest), int(port)).serve())
    await asyncio.gather(*serving)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=("stdio", "http", "sse"), default="stdio")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--era", default="auto")
    parser.add_argument("--serve", action="append", default=[])
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve_all(options.serve))
    elif options.transport == "stdio":
        anyio.run(serve_stdio, build(options.era), options.era)
    else:
        listener(app_of(options.transport, options.era), options.port).run()


if __name__ == "__main__":
    main()
