"""How long the gateway takes from its command to its first answer, and how much memory it holds when idle.

Prints median, least and most of several rounds with the sample configuration: seconds of wall and of CPU time until
`server/discover` is answered to a user (upstreams start in the background), seconds until all sample tools
are listed, and the resident memory of the gateway's process once it is idle.
"""

import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROUNDS = 5
SETTLED_S = 3.0
PATIENCE_S = 60.0


def ask(port: int, key: str, method: str) -> str | None:
    """The body that the gateway answers, or ``None`` while nobody listens."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta}}
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        "x-apikey": key,
    }
    request = urllib.request.Request(f"http://127.0.0.1:{port}/mcp", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read()).decode()
    except urllib.error.HTTPError as refused:
        sys.exit(f"the gateway refused: {refused.status} {refused.read()[:300]!r}")
    except (urllib.error.URLError, ConnectionError):
        return None


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) / 1024 if found else 0.0


def prepare(folder: Path, port: int) -> str:
    """A copy of the sample configuration with a user of its own; returns his key."""
    shutil.copytree(ROOT / "config", folder / "config")
    shutil.copytree(ROOT / "policies", folder / "policies")
    (folder / ".envs").symlink_to(ROOT / ".envs")
    (folder / ".git").symlink_to(ROOT / ".git")
    command = [sys.executable, "-m", "gateway.cli", "--config", str(folder / "config"), "users", "add"]
    environment = {**os.environ, "PORT": str(port)}
    done = subprocess.run(
        [*command, "bench@example.com", "--role", "user", "--role", "security", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["key"])


def one_round(folder: Path, port: int, key: str) -> tuple[float, ...]:
    command = [sys.executable, "-m", "gateway.cli", "--config", str(folder / "config"), "serve"]
    started = time.perf_counter()
    child = subprocess.Popen(
        command, env={**os.environ, "PORT": str(port)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while ask(port, key, "server/discover") is None:
            if child.poll() is not None or time.perf_counter() - started > PATIENCE_S:
                sys.exit("the gateway did not start")
            time.sleep(0.005)
        first, cpu = time.perf_counter() - started, cpu_s(child.pid)
        while not all(each in (ask(port, key, "tools/list") or "") for each in ("time__", "git__")):
            if time.perf_counter() - started > PATIENCE_S:
                sys.exit("the sample upstreams did not start")
            time.sleep(0.05)
        listed = time.perf_counter() - started
        time.sleep(SETTLED_S)
        return first, cpu, listed, resident_mb(child.pid)
    finally:
        child.terminate()
        child.wait(30)


LABELS = (
    "start to first answer, s",
    "  of which CPU, s",
    "start to all sample tools, s",
    "resident when idle, MB",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), 20_000 + secrets.randbelow(10_000)
        key = prepare(folder, port)
        rounds = [one_round(folder, port, key) for _ in range(ROUNDS)]
    print(f"{'':32}{'median':>9}{'least':>9}{'most':>9}")
    for label, figures in zip(LABELS, zip(*rounds, strict=True), strict=True):
        print(f"{label:32}{statistics.median(figures):9.2f}{min(figures):9.2f}{max(figures):9.2f}")


if __name__ == "__main__":
    main()
