"""The benchmarks run, and what the pages tell of them is what was measured."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.calls import cpu, wrk
from benchmarks.calls.__main__ import PAGES
from benchmarks.calls.asked import call
from benchmarks.calls.bars import Bar, bars, cost, ratio
from benchmarks.calls.peers import PEERS
from benchmarks.calls.plot import svg
from benchmarks.calls.report import BEGINS, BLOCKS, ENDS, FILE, RESULTS, Report, filled, read
from benchmarks.calls.rounds import Sample
from benchmarks.policy import DECISIONS, OTHERS, OURS, ROOT, SIZES, put
from benchmarks.policy_data import make

OF_PEERS = {"cedar", "rego", "cedar_build_s", "rego_build_s"}


def test_the_smallest_size_is_measured_and_all_judges_agree(tmp_path):
    size = SIZES[0]
    put(make(size, questions=500), tmp_path)
    commands = [[*OURS, str(tmp_path), str(size), *mode] for mode in ([], ["swaps"])]
    running = [
        subprocess.Popen(each, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in commands
    ]
    try:
        told = [each.communicate(timeout=120) for each in running]
    finally:
        for each in running:
            each.kill()
    assert [each.returncode for each in running] == [0, 0], told
    figures = {name: value for out, _ in told for name, value in json.loads(out.splitlines()[-1]).items()}
    expected = {name for _, name in (*DECISIONS, *OTHERS)} - OF_PEERS
    assert expected <= figures.keys()
    assert all(isinstance(figures[name], float) for name in expected)
    assert figures["stock_agrees"] == figures["plain_agrees"] == figures["plain_asked"] == len(figures["answers"])
    assert 0 < sum(figures["answers"]) < len(figures["answers"])


# -- one call beside the peers: `make bench`


def sample(cpu_us: float = 100.0, rps: float = 10.0, p50_ms: float = 1.0, p99_ms: float = 2.0) -> Sample:
    return Sample(cpu_us, rps, p50_ms, p99_ms)


@pytest.fixture(scope="module")
def report() -> Report:
    """The committed one."""
    return read(FILE.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_tables_of_a_page_are_those_of_the_committed_result(page: Path, report: Report):
    text = page.read_text()
    assert "| --- |" in text or "|---|" in text
    assert any(BEGINS.format(name=name) in text for name in BLOCKS)
    assert filled(text, report) == text


def test_each_table_stands_on_a_page():
    texts = "".join(page.read_text() for page in PAGES)
    assert all(BEGINS.format(name=name) in texts for name in BLOCKS)


def test_the_picture_is_drawn_from_the_committed_result(report: Report):
    assert (RESULTS / "calls.svg").read_text() == svg(report)
    assert ET.fromstring(svg(report)).tag.endswith("svg")


def test_the_committed_bars_follow_from_the_committed_samples(report: Report):
    packages = next(bar.value for bar in report.bars if bar.name == "installed core packages")
    assert list(report.bars) == bars(report.samples, report.sizes, round(packages))
    assert read(report.written()) == report


def test_no_microseconds_are_told_that_were_not_measured(report: Report):
    measured = set(re.findall(r"[\d,.]+", "".join(block(report) for block in BLOCKS.values())))
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"):
        told = re.findall(r"([\d,.]+) (?:µs|microseconds)", page.read_text())
        assert set(told) <= measured, page


def test_the_committed_result_has_every_row_in_five_rounds(report: Report):
    peers = [peer.name for peer in PEERS if peer.name not in report.missing]
    assert {"in process", "upstream", "upstream, off", "denied", "100,000 and 100,000", *peers} <= report.samples.keys()
    assert {len(samples) for samples in report.samples.values()} == {report.rounds}
    assert report.rounds >= 5


@pytest.mark.parametrize(
    ("bar", "met"),
    [
        (Bar("x", 450.0, most=450), True),
        (Bar("x", 450.1, most=450), False),
        (Bar("x", 5.0, least=5), True),
        (Bar("x", 4.9, least=5), False),
    ],
)
def test_a_bar_is_met_up_to_its_very_number(bar: Bar, met: bool):
    assert bar.met is met


def test_a_ratio_compares_rows_of_one_round_and_takes_the_middle():
    samples = {"a": [sample(10), sample(90), sample(40)], "b": [sample(10), sample(30), sample(10)]}
    assert ratio(samples, "a", "b", cost) == 3.0


def test_rows_that_were_not_run_make_no_bars():
    samples = {row: [sample()] * 5 for row in ("in process", "upstream", "denied", "in process, off", "upstream, off")}
    names = [bar.name for bar in bars(samples, {}, 49)]
    assert any("hypercorn" in name for name in names)
    assert not any(word in name for name in names for word in ("granian", "airlock", "100,000"))


def test_a_page_keeps_what_stands_around_its_tables(report: Report):
    page = f"before\n{BEGINS.format(name='bars')}\nold\n{ENDS.format(name='bars')}\nafter\n"
    written = filled(page, report)
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert "old" not in written
    assert filled(written, report) == written


def test_cpu_time_is_counted_over_children_that_have_ended():
    burn = "sum(range(3_000_000))"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{burn}']); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            own = cpu.seconds(child.pid)
            assert own > 0
            assert cpu.tree(os.getpid())[0] == os.getpid()
            assert child.pid in cpu.tree(os.getpid())
            assert cpu.resident_mb(child.pid) > 1
        finally:
            child.kill()


def test_what_is_missing_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt-get install wrk"):
        wrk.demand()


def test_the_generator_is_told_the_request_as_it_is():
    asked = call(4001, "bench__echo", {"x-apikey": "ost_x"}, text='a "word"', holds='a \\"word\\"')
    script = wrk._script(asked)
    assert f"[==[{asked.body}]==]" in script
    assert 'wrk.headers["x-apikey"] = "ost_x"' in script
    assert json.loads(asked.body)["params"]["arguments"] == {"text": 'a "word"'}


UNGOVERNED = """
import asyncio, tempfile
from pathlib import Path
from benchmarks import budget
from benchmarks.calls.ungoverned import take_out

async def main():
    with tempfile.TemporaryDirectory() as name:
        async with budget.serving(Path(name)) as (gateway, key):
            method, params, _ = budget.requests()["tools/call, denied"]
            recorded = []
            gateway._audit.record = recorded.append
            for key in (key, "ost_" + "x" * 43):
                print((await budget.asked(gateway, key, method, params, None)).decode())
            print(len(recorded))

if {taken}:
    take_out()
asyncio.run(main())
"""


@pytest.mark.parametrize("taken", [True, False])
def test_the_gateway_without_governance_proves_denies_and_records_nothing(taken: bool):
    done = subprocess.run(
        [sys.executable, "-c", UNGOVERNED.format(taken=taken)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    first, second, recorded = done.stdout.splitlines()[-3:]
    assert ("denied by policy" not in first) == taken, done.stdout
    assert ('"result"' in second) == taken
    assert int(recorded) == (0 if taken else 2)
