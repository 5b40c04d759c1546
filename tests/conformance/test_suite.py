"""The results that the suite leaves are read whole, in whatever way it names its folders."""

import json

import pytest

from tests.conformance import suite


def left(folder, name, *checks):
    place = folder / f"{name}-2026-11-23T13-16-24-403Z"
    place.mkdir(parents=True)
    found = [
        {"id": id, "status": status, "description": "it should", **({"errorMessage": why} if why else {})}
        for id, status, why in checks
    ]
    (place / "checks.json").write_text(json.dumps(found))


def test_failures_and_warnings_are_faults_and_everything_else_is_not(tmp_path):
    left(tmp_path, "server-tools-list", ("a", "SUCCESS", ""), ("b", "FAILURE", "no tools"), ("c", "SKIPPED", ""))
    left(tmp_path, "sse-retry", ("a", "WARNING", ""), ("b", "INFO", ""))
    found = suite.read(tmp_path)
    assert found.scenarios == {"tools-list", "sse-retry"}
    assert found.faults == {"tools-list:b": "no tools", "sse-retry:a": "it should"}


def test_a_check_that_fails_once_and_passes_once_is_a_fault(tmp_path):
    left(tmp_path, "server-tools-list", ("a", "FAILURE", "no"), ("a", "SUCCESS", ""))
    assert suite.read(tmp_path).faults == {"tools-list:a": "no"}


def test_what_is_demanded_and_was_not_run_is_a_fault(tmp_path):
    left(tmp_path, "server-tools-list", ("a", "SUCCESS", ""))
    assert suite.read(tmp_path, ["tools-list", "ping"]).faults == {"ping:not-run": "the suite did not run it"}


def test_a_run_that_left_nothing_proves_nothing(tmp_path):
    with pytest.raises(AssertionError, match="left nothing"):
        suite.read(tmp_path)


def test_a_folder_of_another_kind_is_not_passed_over(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "checks.json").write_text("[]")
    with pytest.raises(AssertionError, match="in a new way"):
        suite.read(tmp_path)
