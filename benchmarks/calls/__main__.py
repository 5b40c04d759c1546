"""``make bench``: our gateway beside its peers, interleaved; ``make bench-quick``: our own rows alone.

Prints one table of bars. ``make bench`` also writes ``benchmarks/results/`` and the tables of the pages that quote it.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.calls import ours, wrk
from benchmarks.calls.bars import bars
from benchmarks.calls.peers import fast_upstream
from benchmarks.calls.plot import svg
from benchmarks.calls.report import FILE, RESULTS, Report, filled, for_people, machine, packages, versions
from benchmarks.calls.rounds import Size, measured, size, standing
from benchmarks.calls.rows import Row, Subject, of_ours, of_peers
from benchmarks.calls.started import ROOT

PAGES: Final = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")
SIZED: Final = {"ours": 3, "ContextForge": 1}
"""Whose start and memory are measured, and how often: a start of ContextForge takes as long as all the others."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="our own rows alone, 3 rounds of 1 s; writes nothing")
    parser.add_argument("--rounds", type=int, default=0, help="how many rounds (5, or 3 when quick)")
    parser.add_argument("--seconds", type=int, default=0, help="how long each row is in a round (3, or 1 when quick)")
    parser.add_argument(
        "--only", action="append", default=[], help="a row by its name; may be repeated; writes nothing"
    )
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    wrk.demand()
    rounds, seconds = asked.rounds or (3 if asked.quick else 5), asked.seconds or (1 if asked.quick else 3)
    missing = [f"{each} (ostiary serve)" for each in ours.SERVERS if each not in ours.servers()]
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream, port = fast_upstream(folder)
        opened.callback(upstream.end)
        subjects, rows = of_ours(port, large=not asked.quick)
        if not asked.quick:
            more, others, absent = of_peers(port)
            subjects, rows, missing = subjects + more, rows + others, missing + absent
        if asked.only:
            rows = [row for row in rows if row.name in asked.only]
            subjects = [each for each in subjects if each.name in {row.of for row in rows}]
        report = run(subjects, rows, rounds, seconds, missing)
    print(for_people(report))
    if missing:
        print(f"left out, not there: {', '.join(missing)}")
    if not (asked.quick or asked.only):
        write(report)


def run(subjects: Sequence[Subject], rows: Sequence[Row], rounds: int, seconds: int, missing: Sequence[str]) -> Report:
    about = machine()
    sizes = sized(subjects, rows, seconds)
    with standing(subjects) as begun:
        samples = measured(rows, begun, rounds=rounds, seconds=seconds)
    found = bars(samples, sizes, packages())
    return Report(about, versions(), rounds, seconds, missing, samples, sizes, found)


def sized(subjects: Sequence[Subject], rows: Sequence[Row], seconds: int) -> dict[str, Size]:
    """The medians of what each of those in ``SIZED`` takes to start, and holds."""
    found = {}
    for subject in subjects:
        row = next((row for row in rows if row.of == subject.name), None)
        if subject.name not in SIZED or row is None:
            continue
        print(f"starting {subject.name}, to see how large it is …", file=sys.stderr, flush=True)
        sizes = [size(subject, row, seconds) for _ in range(SIZED[subject.name])]
        found[subject.name] = Size(
            median(each.first_s for each in sizes),
            median(each.idle_mb for each in sizes),
            median(each.loaded_mb for each in sizes),
        )
    return found


def write(report: Report) -> None:
    RESULTS.mkdir(exist_ok=True)
    FILE.write_text(report.written())
    (RESULTS / "calls.svg").write_text(svg(report))
    for page in PAGES:
        page.write_text(filled(page.read_text(), report))
    print(f"written: {FILE.relative_to(ROOT)}, a picture beside it, and the tables of {len(PAGES)} pages")


if __name__ == "__main__":
    main()
