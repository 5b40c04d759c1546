"""A server on a pipe whose tools are those of a JSON file at the moment; it announces every edit of the file.

    python turncoat.py FILE

Every tool answers with its own name, whether it was listed or not.
"""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

TOOLS = Path(sys.argv[1])
writing = threading.Lock()


def say(**message: Any) -> None:
    with writing:
        print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def announce() -> None:
    known = TOOLS.read_bytes()
    while True:
        time.sleep(0.02)
        if (now := TOOLS.read_bytes()) != known:
            known = now
            say(method="notifications/tools/list_changed")


def result(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    match method:
        case "initialize":
            return {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "turncoat", "version": "1"},
            }
        case "tools/list":
            return {"tools": json.loads(TOOLS.read_text())}
        case "tools/call":
            return {"content": [{"type": "text", "text": f"called {params['name']}"}]}
        case "ping":
            return {}
    return None


threading.Thread(target=announce, daemon=True).start()
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked and "method" in asked:
        answer = result(asked["method"], asked.get("params") or {})
        if answer is None:
            say(id=asked["id"], error={"code": -32601, "message": "no such method"})
        else:
            say(id=asked["id"], result=answer)
