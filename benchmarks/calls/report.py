"""What a run is told as: JSON, a table for people, and the tables of the pages that quote it."""

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from benchmarks.calls.bars import FAST, Bar, cost, mid, number, p50, p99, rate
from benchmarks.calls.peers import PEERS
from benchmarks.calls.rounds import Sample, Size
from benchmarks.calls.rows import named

RESULTS: Final = Path(__file__).parent.parent / "results"
FILE: Final = RESULTS / "calls.json"
BEGINS, ENDS = "<!-- {name}: written by `make bench` -->", "<!-- end of {name} -->"
OURS: Final = ("aiohttp", "granian", "hypercorn", "uvicorn")
SHOWN: Final = (
    ("in process", "Ostiary, in-process tool"),
    ("upstream", "Ostiary → MCP server over HTTP"),
    ("stdio", "Ostiary → MCP server over stdio"),
    ("SDK server", "Python SDK server, ungoverned"),
    ("npm mcp-proxy", "npm mcp-proxy, no policy"),
    ("PyPI mcp-proxy", "PyPI mcp-proxy, no policy"),
    ("mcp-policy-gateway", "mcp-policy-gateway"),
    ("mcp-airlock", "mcp-airlock"),
    ("ContextForge", "ContextForge"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """All of one run."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    rounds: int
    seconds: int
    missing: Sequence[str]
    samples: Mapping[str, Sequence[Sample]]
    sizes: Mapping[str, Size]
    bars: Sequence[Bar]

    def written(self) -> str:
        told = asdict(self)
        told["bars"] = [{**asdict(bar), "met": bar.met} for bar in self.bars]
        return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def read(text: str) -> Report:
    """What ``Report.written`` wrote."""
    told = json.loads(text)
    for bar in told["bars"]:
        bar.pop("met")
    told["samples"] = {row: [Sample(**each) for each in samples] for row, samples in told["samples"].items()}
    told["sizes"] = {name: Size(**each) for name, each in told["sizes"].items()}
    told["bars"] = [Bar(**bar) for bar in told["bars"]]
    return Report(**told)


def machine() -> dict[str, str]:
    names = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text()) or ["unknown"]
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "processor": f"{os.cpu_count()} x {names[0]}",
        "memory": f"{size:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load average before": f"{os.getloadavg()[0]:.1f}",
    }


def versions() -> dict[str, str]:
    """Of what takes part."""
    found = {peer.name: peer.version for peer in PEERS}
    for name in OURS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def packages() -> int:
    """How many distributions come with ours when no extra is asked for, ours not counted."""
    found, todo = set[str](), ["ostiary"]
    while todo:
        name = todo.pop()
        for line in requires(name) or []:
            needed = Requirement(line)
            other = re.sub(r"[-_.]+", "-", needed.name).lower()
            if other not in found and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
                found.add(other)
                todo.append(other)
    return len(found)


def shown(report: Report) -> list[tuple[str, str]]:
    """The rows that a newcomer looks at, and what he hears them called."""
    every = ((named(row, server), named(said, server)) for row, said in SHOWN for server in ("hypercorn", *FAST))
    return [(row, said) for row, said in every if row in report.samples]


def beside_table(report: Report) -> str:
    """One call through everybody, and how much more it costs than through ours; how many bars are met."""
    near, far = (mid(report.samples, row, cost) for row in ("in process", "upstream"))
    lines = ["| one `tools/call` | CPU µs | of ours | calls/s | p50 ms | p99 ms |", "|---|---|---|---|---|---|"]
    for row, said in shown(report):
        used = mid(report.samples, row, cost)
        ours = near if row.startswith(("in process", "SDK server")) else far
        told = (number(mid(report.samples, row, of)) for of in (rate, p50, p99))
        lines.append(f"| {said} | {number(used)} | {number(used / ours)} x | {' | '.join(told)} |")
    met = sum(bar.met for bar in report.bars)
    return "\n".join([*lines, "", f"Of {len(report.bars)} bars that were set, {met} are met."])


def bars_table(report: Report) -> str:
    lines = ["| bar | asked | measured | met |", "|---|---|---|---|"]
    lines += [f"| {bar.name} | {bar.asked} | {bar.told} | {'yes' if bar.met else '**no**'} |" for bar in report.bars]
    return "\n".join(lines)


def rows_table(report: Report) -> str:
    """Every row: the medians of its rounds."""
    lines = ["| row | CPU µs a call | calls/s | p50 ms | p99 ms |", "|---|---|---|---|---|"]
    for row in report.samples:
        told = (number(mid(report.samples, row, of)) for of in (cost, rate, p50, p99))
        lines.append(f"| {row} | {' | '.join(told)} |")
    lines += ["", "| process | start, s | idle, MB | loaded, MB |", "|---|---|---|---|"]
    for name, size in report.sizes.items():
        lines.append(f"| {name} | {number(size.first_s)} | {number(size.idle_mb)} | {number(size.loaded_mb)} |")
    return "\n".join(lines)


def machine_table(report: Report) -> str:
    told = {**report.machine, "rounds": f"{report.rounds}, each row {report.seconds} s in each"}
    told |= {name: version for name, version in report.versions.items() if name not in report.missing}
    if report.missing:
        told["not there"] = ", ".join(report.missing)
    return "\n".join(["| what | is |", "|---|---|", *(f"| {name} | {value} |" for name, value in told.items())])


BLOCKS: Final = {"beside": beside_table, "bars": bars_table, "rows": rows_table, "machine": machine_table}


def filled(page: str, report: Report) -> str:
    """A page with its blocks as this report has them."""
    for name, block in BLOCKS.items():
        begins, ends = BEGINS.format(name=name), ENDS.format(name=name)
        if begins in page:
            before, _, rest = page.partition(begins)
            page = f"{before}{begins}\n\n{block(report)}\n\n{ends}{rest.partition(ends)[2]}"
    return page


def for_people(report: Report) -> str:
    """The bars in columns."""
    wide = max(len(bar.name) for bar in report.bars)
    lines = [
        f"{bar.name:{wide}}  {bar.asked:>16}  {bar.told:>16}  {'met' if bar.met else 'NOT MET'}" for bar in report.bars
    ]
    met = sum(bar.met for bar in report.bars)
    return "\n".join([*lines, f"{met} of {len(report.bars)} met"])
