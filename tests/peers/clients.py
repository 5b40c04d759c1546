"""The clients that people point at a gateway, each as something that takes steps: list tools, call one."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.npm import NODE
from tests.clients.talking import ENVIRONMENTS, MATRIX, PROGRAMS, converse
from tests.peers.house import HERE, MODULES, OFFICIAL, SUPERGATEWAY
from tests.peers.tap import Tap

FASTMCP = (ENVIRONMENTS / "peers" / "bin" / "python", HERE / "fastmcp_client.py")
INSPECTOR = (NODE, OFFICIAL / "inspector" / "clients" / "launcher" / "build" / "index.js", "--cli")
MCP_REMOTE = (NODE, MODULES / "mcp-remote" / "dist" / "proxy.js")

UNKNOWN_TOOL = -32602


@dataclass(frozen=True)
class Client:
    """``transport`` is the gateway's side of it: http or sse; ``mode`` is what the client was told of eras."""

    name: str
    transport: str
    mode: str

    def __str__(self) -> str:
        return f"{self.name}-{self.transport}-{self.mode}"

    def take(self, steps: list[list[Any]], *, tap: Tap, key: str, home: Path) -> list[Any]:
        """Each step's result, or ``{"error": {"code"}}``; the client keeps what it keeps in ``home``."""
        url = f"{tap.url}/{'sse' if self.transport == 'sse' else 'mcp'}"
        environment = {**os.environ, "HOME": str(home), "MCP_REMOTE_CONFIG_DIR": str(home)}
        if self.name == "inspector":
            return [self._inspect(url, key, step, environment) for step in steps]
        plan: dict[str, Any] = {"transport": self.transport, "mode": self.mode, "steps": steps}
        if self.name in BRIDGES:
            plan |= {"transport": "stdio", "command": list(map(str, bridge(self.name, self.transport, url, key)))}
        else:
            plan |= {"url": url, "headers": {"x-apikey": key}}
        program = {**PROGRAMS, "fastmcp": FASTMCP}.get(self.name, PROGRAMS["python-v2"])
        answers: list[Any] = converse(program, plan, env=environment)["answers"]
        return answers

    def _inspect(self, url: str, key: str, step: list[Any], environment: dict[str, str]) -> Any:
        """One run of the Inspector, which gives one step and tells a tool that it does not see in its own words."""
        command = [*INSPECTOR, "--server-url", url, "--transport", self.transport, "--header", f"x-apikey: {key}"]
        command += ["--protocol-era", self.mode, "--format", "json"]
        if step[0] == "tools":
            command += ["--method", "tools/list"]
        else:
            command += ["--method", "tools/call", "--tool-name", step[1], "--tool-args-json", json.dumps(step[2])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        if not done.stdout:
            told = json.loads(done.stderr.splitlines()[-1])["error"]
            assert told["code"] == "tool_not_found", told
            return {"error": {"code": UNKNOWN_TOOL}}
        answer = json.loads(done.stdout)
        return answer.get("result", answer)


def bridge(name: str, transport: str, url: str, key: str) -> tuple[Path | str, ...]:
    """The command that a client of standard input and output is given instead of a server's."""
    if name == "mcp-remote":
        only = "http-only" if transport == "http" else "sse-only"
        return (*MCP_REMOTE, url, "--header", f"x-apikey:{key}", "--allow-http", "--transport", only)
    flag = "--streamableHttp" if transport == "http" else "--sse"
    return (NODE, SUPERGATEWAY, flag, url, "--header", f"x-apikey: {key}", "--logLevel", "none")


BRIDGES = ("mcp-remote", "supergateway")

CLIENTS = (
    *(Client(name, transport, mode) for name, transport, mode, _ in MATRIX),
    *(Client("fastmcp", "http", mode) for mode in ("auto", "legacy")),
    Client("fastmcp", "sse", "legacy"),
    *(Client("inspector", "http", mode) for mode in ("auto", "legacy", "modern")),
    Client("inspector", "sse", "legacy"),
    *(Client(name, "http", mode) for name in BRIDGES for mode in ("auto", "legacy")),
    *(Client(name, "sse", "legacy") for name in BRIDGES),
)
