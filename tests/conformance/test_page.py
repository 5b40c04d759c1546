"""``docs/protocol.md`` tells of every run, and of everything that is known not to pass; the rest the runs compare."""

import re

from gateway.mcp.terms import LEGACY_VERSIONS, MODERN_VERSIONS
from tests.conformance.judging import KNOWN, read_known
from tests.conformance.legs import LEGS, UPSTREAMS, VISITS
from tests.conformance.report import SPEAKS, known_table
from tests.documents import ROOT, placed, table, written

EXPECTED = read_known(KNOWN.read_text())


def test_the_revisions_are_those_of_the_code():
    told = {row[0].strip("`"): row[1] for row in table("protocol.md", "Revisions and eras").rows}
    assert told == {**dict.fromkeys(MODERN_VERSIONS, "modern"), **dict.fromkeys(LEGACY_VERSIONS, "legacy")}


def test_every_run_has_its_row():
    told = table("protocol.md", "The conformance suite")
    ways = [f"{leg.upstream.transport}, without the gateway" if leg.direct else leg.upstream.transport for leg in LEGS]
    assert [row[:4] for row in told.rows] == [
        (leg.revision, leg.suite, way, SPEAKS[leg.upstream.era]) for leg, way in zip(LEGS, ways, strict=True)
    ]
    visits = table("protocol.md", "The conformance suite", 1)
    assert [(row[0], row[1].strip("`")) for row in visits.rows] == [(run.revision, run.scenario) for run in VISITS]


def test_everything_known_not_to_pass_is_told_with_its_reason():
    page = (ROOT / "docs" / "protocol.md").read_text()
    assert placed(page, "suite-known", known_table(EXPECTED)) == page
    assert all(each.why and each.checks for each in EXPECTED)


def test_what_is_scored_passes_and_between_eras_all_but_what_is_told():
    for leg, (*_, passed, scored) in zip(LEGS, table("protocol.md", "The conformance suite").rows, strict=True):
        told = {
            check.partition(":")[0]
            for each in EXPECTED
            if each.concerns(leg.revision, leg.behind)
            for check in each.checks
        }
        excused = told - {"tasks-*"}
        assert (scored == "–") is not leg.requires
        for passing, total in re.findall(r"(\d+) of (\d+)", f"{passed}" if scored == "–" else scored):
            assert int(passing) == int(total) - len(excused)


def test_every_pair_of_eras_is_run_over_every_transport_that_has_it():
    eras = {(leg.upstream.transport, leg.upstream.era, leg.revision) for leg in LEGS if not leg.direct}
    for upstream in UPSTREAMS:
        assert {(upstream.transport, upstream.era, each) for each in ("2025-11-25", "2026-07-28")} <= eras
    assert {(each.transport, each.era) for each in UPSTREAMS} >= {
        ("http", "modern"),
        ("stdio", "modern"),
        ("sse", "legacy"),
    }


def test_a_table_is_put_between_its_marks_and_nowhere_else():
    page = "a\n<!-- x -->\n\n| old |\n\n<!-- /x -->\nb <!-- y -->\n"
    assert (
        placed(page, "x", written(["n"], [["1"]]))
        == "a\n<!-- x -->\n\n| n |\n|---|\n| 1 |\n\n<!-- /x -->\nb <!-- y -->\n"
    )
