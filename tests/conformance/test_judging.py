"""What a run found is measured against what is known: nothing new, nothing stale."""

import pytest

from tests.conformance.judging import judge, read_known
from tests.conformance.suite import Found

KNOWN = read_known(
    """
    [[known]]
    revision = "2026-07-28"
    behind = "*-legacy"
    checks = ["asks:name", "tasks-*"]
    why = "no name"
    [[known]]
    revision = "2025-*"
    behind = "client"
    checks = ["headers:null"]
    why = "no boolean"
    """
)
SCENARIOS = frozenset({"asks", "tasks-one", "headers"})


def judged(faults, *, scenarios=SCENARIOS, revision="2026-07-28", behind="http-legacy"):
    return judge(Found(frozenset(scenarios), dict.fromkeys(faults, "said")), KNOWN, revision=revision, behind=behind)


def test_what_is_expected_and_comes_is_known():
    verdict = judged(["asks:name", "tasks-one:a", "tasks-one:b"])
    assert (verdict.known, verdict.new, verdict.stale) == ({"asks:name", "tasks-*"}, {}, ())


def test_what_nobody_expects_is_new_with_its_words():
    verdict = judged(["asks:name", "asks:answer", "tasks-one:a"])
    assert verdict.new == {"asks:answer": "said"}


@pytest.mark.parametrize(
    ("revision", "behind"), [("2025-11-25", "http-legacy"), ("2026-07-28", "http-modern"), ("2026-07-28", "direct")]
)
def test_an_expectation_is_one_for_its_revision_and_server_only(revision, behind):
    assert judged(["asks:name"], revision=revision, behind=behind).new == {"asks:name": "said"}


def test_what_is_expected_and_passes_is_stale():
    assert judged([]).stale == ("asks:name", "tasks-*")
    assert judged([], revision="2025-11-25", behind="client").stale == ("headers:null",)


def test_what_was_not_run_is_not_stale():
    assert judged([], scenarios={"other"}).stale == ()
    assert judged([], scenarios={"asks", "other"}).stale == ("asks:name",)
