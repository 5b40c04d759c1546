"""The client programs, one for each SDK line, and how one of them is sent through a plan (see ``python_v2.py``)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.clients.npm import NODE

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent.parent / ".envs"

PROGRAMS: dict[str, tuple[Path | str, ...]] = {
    "python-v2": (sys.executable, HERE / "python_v2.py"),
    "python-v1": (ENVIRONMENTS / "sdk-v1" / "bin" / "python", HERE / "python_v1.py"),
    "typescript-v1": (NODE, HERE / "typescript_v1.mjs"),
    "typescript-v2": (NODE, HERE / "typescript_v2.mjs"),
}
LEGACY, MODERN = "2025-11-25", "2026-07-28"
MATRIX = [
    ("python-v2", "http", "auto", MODERN),
    ("python-v2", "http", "legacy", LEGACY),
    ("python-v2", "http", MODERN, MODERN),
    ("python-v2", "sse", "legacy", LEGACY),
    ("python-v1", "http", "legacy", LEGACY),
    ("python-v1", "sse", "legacy", LEGACY),
    ("typescript-v1", "http", "legacy", LEGACY),
    ("typescript-v1", "sse", "legacy", LEGACY),
    ("typescript-v2", "http", "auto", MODERN),
    ("typescript-v2", "http", "legacy", LEGACY),
    ("typescript-v2", "http", MODERN, MODERN),
    ("typescript-v2", "sse", "legacy", LEGACY),
]
"""Client, transport, mode, and the revision that is agreed on."""


def converse(program: tuple[Path | str, ...], plan: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a client program got for the steps of its plan."""
    done = subprocess.run([*program, json.dumps(plan)], capture_output=True, text=True, timeout=90, **more)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
