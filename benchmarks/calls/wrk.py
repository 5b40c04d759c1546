"""The load generator: ``wrk``, told by a script what to send and what every answer has to hold."""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.calls.asked import Asked

MISSING: Final = (
    "`wrk` generates the load and is not installed: `apt-get install wrk` (Debian, Ubuntu), `brew install wrk`"
)
SCRIPT: Final = """\
wrk.method = "POST"
wrk.path = %(path)s
wrk.body = %(body)s
%(headers)s
wrong, threads = 0, {}
function setup(thread) table.insert(threads, thread) end
function response(status, headers, body)
  if status ~= 200 or not string.find(body, %(holds)s, 1, true) then wrong = wrong + 1 end
end
function done(summary, latency, requests)
  local bad = 0
  for _, thread in ipairs(threads) do bad = bad + thread:get("wrong") end
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  local told = '\\n{"calls": %%d, "seconds": %%f, "wrong": %%d, "lost": %%d, "p50_ms": %%f, "p99_ms": %%f}\\n'
  io.write(string.format(told,
    summary.requests, summary.duration / 1e6, bad, lost, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run did: right answers, answers that were none, and how long they took."""

    calls: int
    seconds: float
    wrong: int
    lost: int
    p50_ms: float
    p99_ms: float


def demand() -> None:
    """Say what to install where the generator is missing."""
    if shutil.which("wrk") is None:
        sys.exit(MISSING)


def run(asked: Asked, *, connections: int, seconds: float) -> Load:
    """Send the request over so many connections, each one call after the other, for whole seconds."""
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "asked.lua"
        script.write_text(_script(asked))
        url = f"http://127.0.0.1:{asked.port}"
        duration = f"{max(1, round(seconds))}s"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{duration}", "--timeout", "30s", "-s", str(script), url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode != 0:
        sys.exit(f"`wrk` failed: {done.stderr[-500:]}")
    return Load(**json.loads(done.stdout.splitlines()[-1]))


def _script(asked: Asked) -> str:
    headers = "\n".join(
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in asked.headers.items()
    )
    return SCRIPT % {
        "path": json.dumps(asked.path),
        "body": f"[==[{asked.body}]==]",
        "holds": json.dumps(asked.holds),
        "headers": headers,
    }
