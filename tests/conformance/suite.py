"""Runs the suite's command and reads what it found. Knows no gateway."""

import json
import os
import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from tests.clients.npm import NODE
from tests.conformance.legs import NEWEST, STABLE

HERE = Path(__file__).parent
PROGRAMS = {
    NEWEST: HERE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js",
    STABLE: HERE / "node_modules" / "conformance-stable" / "dist" / "index.js",
}
_FOLDER = re.compile(r"(?:(?:server|client)-)?(.+)-\d{4}-\d\d-\d\dT[\d-]+Z")
_FAULTY = ("FAILURE", "WARNING")


@dataclass(frozen=True)
class Found:
    """What a run of the suite found: its scenarios, and for each check that did not pass, ``scenario:check``, why."""

    scenarios: frozenset[str]
    faults: Mapping[str, str]


@cache
def scored(revision: str) -> frozenset[str]:
    """The scenarios that the suite demands of every server of ``revision``."""
    demanded = PROGRAMS[NEWEST].parent.parent / "requirements" / f"{revision}.yaml"
    return frozenset(yaml.safe_load(demanded.read_text())["server"])


def run(suite: str, words: Sequence[str], folder: Path, *, within: float, environment: Mapping[str, str]) -> None:
    """Run the suite's command, which leaves its results in ``folder`` and its words beside it, in ``.log``.

    Raises ``TimeoutExpired`` after ``within`` seconds.
    """
    folder.mkdir()
    with folder.with_name(f"{folder.name}.log").open("w") as log:
        command = [NODE, PROGRAMS[suite], *words, "-o", folder]
        said = {"stdout": log, "stderr": log}
        subprocess.run(command, env={**os.environ, **environment}, timeout=within, check=False, **said)


def read(folder: Path, demanded: Collection[str] = ()) -> Found:
    """The checks of every scenario that stands in ``folder``; one that is ``demanded`` and does not is a fault.

    Raises ``AssertionError`` when nothing stands there.
    """
    reports = {_scenario(report.parent.relative_to(folder)): report for report in folder.rglob("checks.json")}
    assert reports, f"the suite left nothing in {folder}"
    faults = {
        f"{scenario}:{check['id']}": str(check.get("errorMessage") or check["description"])
        for scenario, report in sorted(reports.items())
        for check in json.loads(report.read_text())
        if check["status"] in _FAULTY
    }
    missing = {f"{scenario}:not-run": "the suite did not run it" for scenario in set(demanded) - reports.keys()}
    return Found(frozenset(reports), faults | missing)


def _scenario(path: Path) -> str:
    named = _FOLDER.fullmatch(str(path))
    assert named is not None, f"the suite names its folders in a new way: {path}"
    return named[1]
