"""The benchmark of the policy runs: its smallest size, as ``make bench-policy`` starts it."""

import json
import subprocess

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
