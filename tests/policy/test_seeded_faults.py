"""The proof finds faults: each deliberate one is noticed, with the seeds and the number of examples that CI has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.policy.fault import LIVED, Fault
from tests.policy.faults_of_answers import FAULTS_OF_ANSWERS
from tests.policy.faults_of_rows import FAULTS_OF_ROWS
from tests.policy.with_fault import CAUGHT, SURVIVED

ROOT = Path(__file__).parents[2]


def proven_with(fault: Fault) -> subprocess.CompletedProcess[str]:
    """How ``with_fault`` ends. The lines of a faulty product are not counted as covered."""
    here = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.run(
        [sys.executable, "-m", "tests.policy.with_fault", *fault],
        cwd=ROOT,
        env={**here, "HYPOTHESIS_PROFILE": "ci", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("fault", [*FAULTS_OF_ROWS, *FAULTS_OF_ANSWERS], ids=lambda fault: fault.name)
def test_a_deliberate_fault_is_caught(fault):
    done = proven_with(fault)
    assert done.returncode == CAUGHT, done.stdout[-1_000:] + done.stderr[-1_000:]


def test_without_a_fault_nothing_is_caught():
    done = proven_with(Fault("none", LIVED, "model.py", "SUBJECT_ROOTS: Final", "SUBJECT_ROOTS: Final"))
    assert done.returncode == SURVIVED, done.stdout[-1_000:] + done.stderr[-1_000:]


def test_a_fault_whose_text_is_gone_is_not_taken_as_caught():
    done = proven_with(Fault("gone", LIVED, "model.py", "a text that stands nowhere", ""))
    assert done.returncode not in (CAUGHT, SURVIVED)
    assert "stands 0 times in model.py; say this fault anew" in done.stdout
