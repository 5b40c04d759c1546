"""Processes of a benchmark: started on a free port, waited for, ended by their own id."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.calls import cpu
from benchmarks.calls.asked import Asked

ROOT: Final = Path(__file__).parent.parent.parent
PATIENCE_S: Final = 120.0
FOREIGN: Final = ("MONGODB", "MCP_", "OSTIARY", "AIRLOCK_", "PYTHONPATH", "DATABASE_URL", "JWT_")


def free_port() -> int:
    """A port below those that the system gives to clients, on which nobody listens."""
    while True:
        port = 18_000 + secrets.randbelow(14_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what would set up a gateway otherwise than is meant here."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)} | dict(more)


@dataclass
class Started:
    """A process that serves. ``first_s`` is how long it took from its command to its first answer."""

    name: str
    child: "subprocess.Popen[bytes]"
    log: Path
    first_s: float = 0.0
    requests: dict[str, Asked] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.child.pid

    def end(self) -> None:
        cpu.resume(self.pid)
        self.child.terminate()
        try:
            self.child.wait(40)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(10)


def start(
    name: str,
    command: Sequence[str],
    folder: Path,
    *,
    ready: Callable[[], bool],
    more: Mapping[str, str] | None = None,
) -> Started:
    """Run ``command`` in ``folder`` until ``ready``; what it says goes to a log there."""
    log = folder / "log"
    began = time.perf_counter()
    with log.open("ab") as said:
        child = subprocess.Popen(command, cwd=folder, env=environment(more or {}), stdout=said, stderr=said)
    started = Started(name, child, log)
    while not ready():
        if child.poll() is not None or time.perf_counter() - began > PATIENCE_S:
            started.end()
            sys.exit(f"{name} did not start; it said:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.005)
    started.first_s = time.perf_counter() - began
    return started


def until_right(asked: Asked, wait: float = 20.0) -> None:
    """Return once the answer is right; ends the benchmark with what was answered when it does not come to that."""
    until = time.monotonic() + wait
    while said := asked.fault():
        if time.monotonic() > until:
            sys.exit(f"{asked.path} on {asked.port}: the answer is not what it should be: {said}")
        time.sleep(0.05)
