"""A whole gateway, as its users meet it: a child process with its own folder, store and port."""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner

from gateway.audit import AuditEntry
from gateway.cli import main
from gateway.store.opening import open_store

ROOT = Path(__file__).parent.parent.parent
EVERYTHING = ROOT / "tests" / "upstreams" / "everything.py"
MODEL = (ROOT / "policies" / "model.conf").read_text()
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


OFTEN = 12
"""So many connections reach both of two workers, but for one time in 2,000."""

ON_SQLITE = pytest.mark.parametrize("house", ["sqlite"], indirect=True, scope="session")
"""For what no store has a part in."""


def free_port() -> int:
    """A port below 32768 that nobody listens on."""
    while True:
        port = 18_000 + secrets.randbelow(14_000)
        if not connects("127.0.0.1", port):
            return port


def connects(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def until(what: Callable[[], Any], wait: float = 20.0) -> Any:
    """What ``what`` gives once it gives something true; fails after ``wait`` seconds."""
    deadline = time.monotonic() + wait
    while not (found := what()):
        if time.monotonic() > deadline:
            raise AssertionError("it did not come about in time")
        time.sleep(0.02)
    return found


@dataclass
class House:
    folder: Path
    port: int
    store: str
    database: str = "ostiary"
    process: "subprocess.Popen[str] | None" = None
    extra: dict[str, str] = field(default_factory=dict)
    keys: dict[tuple[str, ...], str] = field(default_factory=dict)
    workers: int = 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        ours = ("MONGODB", "MCP_", "OSTIARY")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {**inherited, "PORT": str(self.port), "MCP_ADMIN_EMAIL": "admin@example.com", **self.extra}

    def cli(self, *words: str) -> str:
        """What a command prints. It runs in this process, in a thread: to load the program anew takes a second."""
        unset: dict[str, str | None] = dict.fromkeys(os.environ.keys() - self.environment.keys())
        with ThreadPoolExecutor(1) as beside:
            command = ["--config", str(self.folder / "config"), *words]
            done = beside.submit(CliRunner().invoke, main, command, env={**unset, **self.environment}).result(60)
        assert done.exit_code == 0, done.output
        return done.stdout

    def key_of(self, *roles: str) -> str:
        """The key of a user with these roles, made when it is first asked for."""
        if roles not in self.keys:
            self.keys[roles] = self.add_user(f"{'-'.join(roles)}-{secrets.token_hex(3)}@example.com", *roles)
        return self.keys[roles]

    def add_user(self, email: str, *roles: str) -> str:
        """A new user's key, which counts already when this gateway runs."""
        given = [word for role in roles for word in ("--role", role)]
        key: str = json.loads(self.cli("users", "add", email, *given, "--json"))["key"]
        if self.process is not None:
            times = range(1 if self.workers == 1 else OFTEN)
            with self.client(key) as client:
                ask = modern("server/discover")
                until(lambda: all(client.post("/mcp", **ask).status_code == 200 for _ in times))
            until(lambda: any(entry.subject == f"user:{email}" for entry in self.entries()))
        return key

    def start(self) -> None:
        command = [sys.executable, "-m", "gateway.cli", "--config", str(self.folder / "config"), "serve"]
        if self.workers > 1:
            command += ["--workers", str(self.workers)]
        log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, text=True)
        log.close()
        until(self._answers, 60)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            return httpx2.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx2.HTTPError:
            return False

    def stop(self) -> int:
        """End it as an operator would; its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def entries(self) -> list[AuditEntry]:
        """Every audit entry that the store holds."""

        async def scan() -> list[AuditEntry]:
            store = open_store(self.store, database=self.database)
            await store.open()
            try:
                return list(await store.audit.scan(limit=100_000))
            finally:
                await store.close()

        return asyncio.run(scan())

    def client(self, key: str | None = None, **headers: str) -> httpx2.Client:
        sent = {"accept": "application/json, text/event-stream", "content-type": "application/json", **headers}
        if self.workers > 1:
            sent["connection"] = "close"  # so that each request may meet another one
        if key is not None:
            sent["x-apikey"] = key
        return httpx2.Client(base_url=self.url, headers=sent, timeout=20)


def modern(method: str, id: Any = 1, **params: Any) -> dict[str, Any]:
    """The JSON of ``post`` for a request of revision 2026-07-28, with the headers that it demands."""
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": method}
    if name := params.get("name") or params.get("uri"):
        headers["mcp-name"] = name
    body = {"jsonrpc": "2.0", "id": id, "method": method, "params": {**params, "_meta": META}}
    return {"json": body, "headers": headers}


def result_of(answer: httpx2.Response) -> Any:
    """The JSON-RPC message of an answer, whether it came as JSON or as an event stream."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        data = [line[5:].strip() for line in answer.text.splitlines() if line.startswith("data:")]
        return json.loads(data[-1])
    return answer.json()


LENIENT = "\n[limits]\nfailures = 100000\nvisits = 100000\n"
"""All clients of a house come from one address, and many of them are refused."""


def write(folder: Path, *, policy: str, limits: str, upstreams: str, servers: str = "", settings: str = "") -> None:
    """Lay out ``config/`` and ``policies/`` in ``folder``."""
    folder.chmod(0o700)
    (folder / "config").mkdir()
    (folder / "policies").mkdir()
    (folder / "config" / "ostiary.toml").write_text(settings + LENIENT)
    (folder / "config" / "upstreams.toml").write_text(upstreams)
    (folder / "config" / "servers.toml").write_text(servers)
    (folder / "policies" / "model.conf").write_text(MODEL)
    (folder / "policies" / "rules.csv").write_text(policy)
    (folder / "policies" / "limits.toml").write_text(limits)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


@contextmanager
def running(house: House) -> Iterator[House]:
    house.start()
    try:
        yield house
    finally:
        house.stop()
