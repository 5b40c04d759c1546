"""How much work one warm request is, counted and not timed: ``make budget``.

Counted are the instructions of the interpreter that a request through the whole gateway takes (from the ASGI call to
the last byte of the answer), and the calls into compiled code. Both are the same on every machine, whatever else it
does, so a run fails when a request takes over a tenth more than ``budget.json`` grants it: ``UPDATE=1`` writes that
anew. What leaves the process, and what the web server does, is not in it.
"""

import asyncio
import gc
import json
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Self

from gateway.app import Gateway
from gateway.follower import now_ms
from gateway.manage.users import add_user
from gateway.settings import load

ROOT = Path(__file__).parent.parent
BUDGET = Path(__file__).parent / "budget.json"
OVER = 1.10
WARM = 20
REPEATS = 5
TOOLS = 100
HOST = "127.0.0.1:4001"
VERSION = ".".join(map(str, sys.version_info[:2]))
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "budget", "version": "1"},
}
PACKAGE = """
name = "bench"
schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
hints = {"readOnlyHint": True, "destructiveHint": False, "openWorldHint": False}
tools = [{"name": "echo", "description": "Says it.", "inputSchema": schema, "annotations": hints}]
tools += [{**tools[0], "name": f"echo{number}"} for number in range(TOOLS - 1)]

async def handle(args, context, config, progress):
    return {"content": [{"type": "text", "text": args["text"]}]}
"""
ROWS = """\
p, role:dev, main, self, bench/*, read, args.text != 'no', allow
p, role:security, main, system, gateway/policy, manage, , allow
p, user:*, *, self, *, rate:fast, , allow
"""
OTHERS = "".join(
    f"p, user:u{n}@example.com, main, self, bench/t{n}, write, args.amount <= {n}, allow\n" for n in range(1_000)
)
LIMITS = '[[class]]\nname = "fast"\ncalls = 1000000\nwindow_s = 1\n'


class Counter:
    """Instructions and calls into compiled code while it is open, of this thread."""

    def __init__(self) -> None:
        self.instructions = self.calls = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._profile)
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        sys.setprofile(None)

    def _profile(self, _frame: FrameType, event: str, _what: Any) -> None:
        self.calls += event == "c_call"

    def _trace(self, frame: FrameType, event: str, _what: Any) -> Callable[..., Any]:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.instructions += event == "opcode"
        return self._trace


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway with a thousand rows, an in-process connector of a hundred tools, and the key of a user."""
    _lay_out(folder)
    gateway = Gateway(load(folder / "config", {}))
    await gateway.start()
    try:
        issued = await add_user(
            gateway.store, gateway.ring, "ann@example.com", author="operator", now=now_ms(), roles=["dev"]
        )
        await gateway.follower.catch_up()
        yield gateway, issued.key if isinstance(issued.key, str) else issued.key.reveal()
    finally:
        await gateway.stop()


def _lay_out(folder: Path) -> None:
    texts = {
        "config/ostiary.toml": "",
        "policies/model.conf": (ROOT / "policies" / "model.conf").read_text(),
        "policies/rules.csv": ROWS + OTHERS,
        "policies/limits.toml": LIMITS,
        "lib/ostiary_bench.py": PACKAGE.replace("TOOLS", str(TOOLS)),
        "lib/ostiary_bench-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: ostiary-bench\nVersion: 1.0\n",
        "lib/ostiary_bench-1.0.dist-info/entry_points.txt": "[ostiary.handlers]\nbench = ostiary_bench\n",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    sys.path.insert(0, str(folder / "lib"))


def requests() -> dict[str, tuple[str, dict[str, Any], str]]:
    """What is asked by its name: the method, its params, and a text that the answer holds."""
    return {
        "tools/call, in process": ("tools/call", {"name": "bench__echo", "arguments": {"text": "hello"}}, "hello"),
        "tools/call, denied": ("tools/call", {"name": "bench__echo", "arguments": {"text": "no"}}, "denied by policy"),
        f"tools/list, {TOOLS} tools": ("tools/list", {}, "bench__echo9"),
    }


async def asked(gateway: Gateway, key: str, method: str, params: dict[str, Any], counter: Counter | None) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}).encode()
    headers = {
        "host": HOST,
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "content-length": str(len(body)),
        "x-apikey": key,
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        **({"mcp-name": params["name"]} if "name" in params else {}),
    }
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 4001),
    }
    sent: list[bytes] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop()

    async def send(event: Any) -> None:
        sent.append(event.get("body", b""))

    if counter is None:
        await gateway.asgi(scope, receive, send)
    else:
        with counter:
            await gateway.asgi(scope, receive, send)
    return b"".join(sent)


async def measured() -> dict[str, dict[str, int]]:
    found = {}
    with tempfile.TemporaryDirectory() as name:
        async with serving(Path(name)) as (gateway, key):
            for label, (method, params, holds) in requests().items():
                for _ in range(WARM):
                    answer = await asked(gateway, key, method, params, None)
                    if holds.encode() not in answer:
                        sys.exit(f"{label}: the answer is not what it should be: {answer[:500]!r}")
                found[label] = await least(gateway, key, method, params)
    return found


async def least(gateway: Gateway, key: str, method: str, params: dict[str, Any]) -> dict[str, int]:
    """Of several requests the cheapest: none of them was disturbed by what runs in the background."""
    counts = []
    for _ in range(REPEATS):
        await asyncio.sleep(0)
        counter = Counter()
        await asked(gateway, key, method, params, counter)
        counts.append((counter.instructions, counter.calls))
    instructions, calls = min(counts)
    return {"instructions": instructions, "calls": calls}


def main() -> None:
    logging.disable(logging.INFO)
    gc.disable()
    found = asyncio.run(measured())
    granted = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    if os.environ.get("UPDATE") == "1":
        BUDGET.write_text(json.dumps({**granted, VERSION: found}, indent=1) + "\n")
        granted[VERSION] = found
    if VERSION not in granted:
        sys.exit(f"benchmarks/budget.json grants nothing for Python {VERSION}; `make budget UPDATE=1` writes it")
    sys.exit(compared(found, granted[VERSION]))


def compared(found: dict[str, dict[str, int]], granted: dict[str, dict[str, int]]) -> str | None:
    """What to say when something is over its budget."""
    print(f"{'of one warm request':28}{'counted':>10}{'granted':>10}")
    over = []
    for label, counts in found.items():
        for what, count in counts.items():
            most = granted.get(label, {}).get(what, 0)
            print(f"{label + ', ' + what:45}{count:>10,}{most:>10,}")
            if count > most * OVER:
                over.append(f"{label}: {count:,} {what}, and {most:,} are granted")
    return "; ".join(over) + " (`make budget UPDATE=1` grants them, if that is meant)" if over else None


if __name__ == "__main__":
    main()
