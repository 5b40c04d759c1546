"""Sends what the OpenAPI document allows, and what it does not, to every route of a real gateway, by schemathesis.

    python -m tests.schema [WORD ...]

All its checks are on, but for ``UNFIT`` and what ``schemathesis.toml`` explains; one run for each kind of caller. Words
go to schemathesis as they are, for instance ``--include-path /api/keys``. What was found stands in ``build/schema``.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.corridor.house import EVERYTHING, House, free_port, running, write
from tests.documents import ROOT

PROGRAM = ROOT / ".envs" / "schemathesis" / "bin" / "schemathesis"
SETTINGS = ROOT / "tests" / "schema" / "schemathesis.toml"
PLACE = ROOT / "build" / "schema"
UNFIT = ("allow_header_conformance",)
"""``…/credentials/metadata`` stands where one credential could: so ``Allow`` names the method of that route as well."""
SEED = 20_261_124
ROWS = """\
p, user:ops@example.com, main, system, gateway/policy, manage, , allow
p, role:reader, *, self, demo/*, read, , allow
p, role:reader, main, self, gateway/servers, manage, , allow
p, role:reader, main, self, gateway/end-users, *, , allow
p, role:keeper, *, self, *, write, , allow
p, role:keeper, *, self, *, connect, , allow
p, role:keeper, main, *, gateway/*, *, , allow
p, user:*, *, self, *, rate:often, , allow
"""
LIMITS = '[[class]]\nname = "often"\ncalls = 1000000\nwindow_s = 60\n'
UPSTREAMS = f"""\
[upstreams.demo]
command = ["{sys.executable}", "{EVERYTHING}", "--transport", "stdio"]
sharing = "all"
trust = true
[upstreams.demo.tools]
"*" = "read"
"""


@dataclass(frozen=True)
class Caller:
    """Who asks: with the key of a user who has ``role``, or nobody where that is empty."""

    role: str
    examples: int


CALLERS = (Caller("keeper", 12), Caller("reader", 6), Caller("", 3))


def command(url: str, key: str, caller: Caller, words: Sequence[str]) -> list[str]:
    place = PLACE / (caller.role or "nobody")
    said = ("--header", f"x-apikey: {key}") if key else ()
    return [
        *(str(PROGRAM), "--config-file", str(SETTINGS), "run", f"{url}/api/openapi.json", *said),
        *(
            "--checks",
            "all",
            "--exclude-checks",
            ",".join(UNFIT),
            "--mode",
            "all",
            "--max-examples",
            str(caller.examples),
            "--seed",
            str(SEED),
        ),
        *("--continue-on-failure", "--no-color", "--report", "junit"),
        *("--report-dir", str(place), *words),
    ]


def main(words: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        house = House(folder, free_port(), str(folder / "var" / "ostiary.db"))
        write(folder, policy=ROWS, limits=LIMITS, upstreams=UPSTREAMS, settings="[server]\n")
        with running(house):
            codes = [visit(house, each, words) for each in CALLERS]
    return max(codes)


def visit(house: House, caller: Caller, words: Sequence[str]) -> int:
    print(f"-- as {caller.role or 'nobody'}", flush=True)
    key = house.key_of(caller.role) if caller.role else ""
    return subprocess.run(command(house.url, key, caller, words), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
