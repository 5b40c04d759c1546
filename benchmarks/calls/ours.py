"""Our gateway as it is measured: a folder with a policy of a thousand rows, a user with a key, limits, audit.

The tool of a row is either a function of a handler package, in the gateway's own process, or that of
``benchmarks/upstream.py`` behind it.
"""

import asyncio
import importlib.util
import json
import secrets
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.budget import LIMITS, OTHERS, PACKAGE
from benchmarks.calls.asked import call, modern
from benchmarks.calls.started import ROOT, Started, environment, free_port, start
from gateway.records import ApiKey, User
from gateway.store.kinds import KEYS, TEXTS, USERS
from gateway.store.sqlite import SqliteStore, _keep

ANN: Final = "ann@example.com"
ROWS: Final = """\
p, role:dev, main, self, bench/*, read, args.text != 'no', allow
p, role:dev, main, self, echo/*, read, args.text != 'no', allow
p, role:security, main, system, gateway/policy, manage, , allow
p, user:*, *, self, *, rate:fast, , allow
g, user:admin@example.com, role:security, *
"""
PRODUCTION: Final = """\
mode = "production"
public_url = "https://mcp.example.com"
allowed_hosts = ["127.0.0.1:{port}"]
secret = [{{ id = "one", env = "OSTIARY_SECRET" }}]
"""
OVER_HTTP: Final = 'url = "http://127.0.0.1:{port}/mcp"\nprivate_hosts = ["127.0.0.1:{port}"]\n'
OVER_STDIO: Final = 'command = ["{python}", "{script}"]\n'
ECHO: Final = '[upstreams.echo]\n{how}sharing = "all"\nopen_world = false\ntools = {{ echo = "read" }}\n'
ENTRIES: Final = "[ostiary.handlers]\nbench = ostiary_bench\nclosed = ostiary_closed\n"
SERVERS: Final = ("uvicorn", "granian")


@dataclass(frozen=True, slots=True)
class Site:
    """What one gateway is made of. ``rules`` and ``others`` are rows and accounts beside those that are used; of
    ``hidden`` tools nobody may call any. ``upstream`` is a port, 0 for a child over stdio, or ``None``.
    """

    name: str
    rules: int = 1_000
    others: int = 0
    tools: int = 1
    hidden: int = 0
    upstream: int | None = None
    workers: int = 1
    server: str = "hypercorn"
    governed: bool = True


@cache
def servers() -> tuple[str, ...]:
    """The servers that this build runs under, the default first."""
    said = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "serve", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    there = [each for each in SERVERS if "--server" in said and each in said and importlib.util.find_spec(each)]
    return ("hypercorn", *there)


def begin(site: Site, folder: Path) -> Started:
    """Lay the folder out and start the gateway; its requests are named ``in process``, ``upstream``, ``denied``,
    ``list``.
    """
    port = free_port()
    secret = secrets.token_hex(32)
    lay_out(site, folder, port)
    more = {"PORT": str(port), "PYTHONPATH": f"{ROOT}:{folder / 'lib'}", "OSTIARY_SECRET": secret}
    if site.workers > 1:
        _cli(folder, more, "policy", "apply", str(folder / "policies"), "--why", "bench")
    key = json.loads(_cli(folder, more, "users", "add", ANN, "--role", "dev", "--json"))["key"]
    if site.others:
        asyncio.run(fill(folder / "var" / "ostiary.db", site.others))
    return serve(site, folder, port, more, key)


def serve(site: Site, folder: Path, port: int, more: dict[str, str], key: str) -> Started:
    program = "gateway.cli" if site.governed else "benchmarks.calls.ungoverned"
    command = [sys.executable, "-m", program, "--config", str(folder / "config"), "serve"]
    command += ["--server", site.server] if site.server != "hypercorn" else []
    command += ["--workers", str(site.workers)] if site.workers > 1 else []
    mine = {"x-apikey": key}
    first = modern(port, "server/discover", {}, "result", mine)
    started = start(site.name, command, folder, ready=lambda: not first.fault(), more=more)
    last = f"bench__echo{site.tools - 2}" if site.tools > 1 else "bench__echo"
    started.requests = {
        "in process": call(port, "bench__echo", mine),
        "upstream": call(port, "echo__echo", mine),
        "denied": call(port, "bench__echo", mine, text="no", holds="denied by policy"),
        "list": modern(port, "tools/list", {}, f'"{last}"', mine),
    }
    return started


def lay_out(site: Site, folder: Path, port: int) -> None:
    """Settings, policy and handler packages, as an operator and an installer leave them."""
    production = PRODUCTION.format(port=port) if site.workers > 1 else ""
    texts = {
        "config/ostiary.toml": f"[server]\npage_items = 1000\n{production}",
        "config/upstreams.toml": _upstream(site),
        "policies/model.conf": (ROOT / "policies" / "model.conf").read_text(),
        "policies/rules.csv": ROWS + rows(site.rules),
        "policies/limits.toml": LIMITS,
        "lib/ostiary_bench.py": PACKAGE.replace("TOOLS", str(site.tools)),
        "lib/ostiary_closed.py": PACKAGE.replace("TOOLS", str(max(1, site.hidden))).replace('"bench"', '"closed"'),
        "lib/ostiary_bench-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: ostiary-bench\nVersion: 1.0\n",
        "lib/ostiary_bench-1.0.dist-info/entry_points.txt": ENTRIES,
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)


def rows(count: int) -> str:
    """So many rows of other people."""
    if count == 1_000:
        return OTHERS
    row = "p, user:u{n}@example.com, main, self, bench/t{n}, write, args.amount <= {n}, allow\n"
    return "".join(row.format(n=n) for n in range(count))


def _upstream(site: Site) -> str:
    if site.upstream is None:
        return ""
    script = ROOT / "benchmarks" / "upstream.py"
    how = (
        OVER_HTTP.format(port=site.upstream)
        if site.upstream
        else OVER_STDIO.format(python=sys.executable, script=script)
    )
    return ECHO.format(how=how)


def _cli(folder: Path, more: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "gateway.cli", "--config", str(folder / "config"), *words]
    done = subprocess.run(command, env=environment(more), cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"`ostiary {words[0]}` failed: {done.stdout[-500:]}{done.stderr[-1000:]}")
    return done.stdout


async def fill(path: Path, count: int) -> None:
    """So many more accounts, each with a key, written at once."""
    now = time.time_ns() // 1_000_000

    def work(connection: sqlite3.Connection) -> None:
        for number in range(count):
            email = f"u{number}@example.com"
            user = User(id=email, name="", created_at=now)
            key = ApiKey(id=f"{number:064x}", secret_id="none", user=email, prefix="ost_none", created_at=now)
            for kind, id, record in ((USERS, user.id, user), (KEYS, key.id, key)):
                _keep(connection, (kind, id), rev=1, body=TEXTS[kind].encode(record))

    store = SqliteStore(path)
    await store.open()
    try:
        await store.write(work)
    finally:
        await store.close()
