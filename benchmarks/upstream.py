"""The MCP server behind every gateway of a benchmark, with one tool, ``echo``, and as little else as can be.

As plain ASGI over HTTP (``app``), and over stdio as a program: ``python benchmarks/upstream.py``.
"""

import json
import sys
from typing import Any

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOL = {
    "name": "echo",
    "description": "Says what it is told.",
    "inputSchema": SCHEMA,
    "annotations": {"readOnlyHint": True, "destructiveHint": False, "openWorldHint": False},
}
VERSION = "2025-11-25"


def result(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    if method == "initialize":
        info = {"name": "bench", "version": "1"}
        return {"protocolVersion": VERSION, "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": params["arguments"]["text"]}]}
    return {} if method == "ping" else None


def answer(message: dict[str, Any]) -> bytes:
    told = result(message["method"], message.get("params", {}))
    unknown = {"error": {"code": -32601, "message": "unknown method"}}
    said = unknown if told is None else {"result": told}
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}).encode()


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
    told = answer(message)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(told)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


def main() -> None:
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" in message and "method" in message:
            sys.stdout.buffer.write(answer(message) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
