"""The rounds: every row once in each, in an order that changes, while everything else stands still."""

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.calls import cpu, wrk
from benchmarks.calls.rows import Row, Subject
from benchmarks.calls.started import Started, until_right

WARM_S: Final = 1
IDLE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One row in one round: CPU µs of the process tree per call, calls per second, milliseconds."""

    cpu_us: float
    rps: float
    p50_ms: float
    p99_ms: float


@contextmanager
def standing(subjects: Iterable[Subject]) -> Iterator[dict[str, Started]]:
    """All of them started, and at rest."""
    with ExitStack() as opened:
        begun: dict[str, Started] = {}
        for subject in subjects:
            print(f"starting {subject.name} …", file=sys.stderr, flush=True)
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            begun[subject.name] = started = subject.begin(folder)
            opened.callback(started.end)
            cpu.pause(started.pid)
        yield begun


def measured(rows: Sequence[Row], begun: dict[str, Started], *, rounds: int, seconds: int) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {row.name: [] for row in rows}
    for number in range(rounds):
        for row in Random(number).sample(rows, len(rows)):
            sample = one(row, begun[row.of], seconds)
            found[row.name].append(sample)
            told = f"{sample.cpu_us:10,.0f} us {sample.rps:9,.0f} /s {sample.p50_ms:8.2f} {sample.p99_ms:8.2f} ms"
            print(f"{number + 1}/{rounds} {row.name:32}{told}", file=sys.stderr, flush=True)
    return found


def one(row: Row, started: Started, seconds: int) -> Sample:
    asked = started.requests[row.asks]
    cpu.resume(started.pid)
    try:
        until_right(asked)
        wrk.run(asked, connections=row.connections, seconds=WARM_S)
        before = cpu.settled(started.pid)
        load = wrk.run(asked, connections=row.connections, seconds=seconds)
        used = cpu.settled(started.pid) - before
    finally:
        cpu.pause(started.pid)
    if load.wrong or load.lost or not load.calls:
        sys.exit(f"{row.name}: of {load.calls} calls {load.wrong} were answered wrongly, and {load.lost} not at all")
    return Sample(used / load.calls * 1e6, load.calls / load.seconds, load.p50_ms, load.p99_ms)


@dataclass(frozen=True, slots=True)
class Size:
    """Of a process: seconds from its command to its first answer; MB, idle and under so many connections."""

    first_s: float
    idle_mb: float
    loaded_mb: float


def size(subject: Subject, row: Row, seconds: int) -> Size:
    """Of one that is started for that alone."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        started = subject.begin(Path(name))
        try:
            time.sleep(IDLE_S)
            idle = cpu.resident_mb(started.pid)
            wrk.run(started.requests[row.asks], connections=row.connections, seconds=seconds)
            return Size(started.first_s, idle, cpu.resident_mb(started.pid))
        finally:
            started.end()
