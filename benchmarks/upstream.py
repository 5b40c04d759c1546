"""The MCP server behind every gateway of a benchmark: plain ASGI that answers at once, with one tool, ``echo``."""

import json
from typing import Any

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOL = {
    "name": "echo",
    "description": "Says what it is told.",
    "inputSchema": SCHEMA,
    "annotations": {"readOnlyHint": True, "destructiveHint": False, "openWorldHint": False},
}
VERSION = "2025-11-25"


def result(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        info = {"name": "bench", "version": "1"}
        return {"protocolVersion": VERSION, "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": params["arguments"]["text"]}]}
    return {}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    message = json.loads(body) if body else {}
    if "id" not in message:
        await send({"type": "http.response.start", "status": 202 if body else 405, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    told = {"jsonrpc": "2.0", "id": message["id"], "result": result(message["method"], message.get("params", {}))}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
