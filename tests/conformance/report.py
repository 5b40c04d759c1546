"""What the runs found, as the tables of ``docs/protocol.md``. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.conformance.judging import Known, Verdict
from tests.conformance.legs import Leg, Visit
from tests.conformance.suite import Found, scored
from tests.documents import written

SPEAKS = {"auto": "both eras", "legacy": "2025-11-25", "modern": "2026-07-28"}


@dataclass(frozen=True)
class Outcome:
    found: Found
    verdict: Verdict

    @property
    def clean(self) -> bool:
        return not self.verdict.new and not self.verdict.stale

    @property
    def passed(self) -> frozenset[str]:
        """The scenarios that have no fault at all."""
        return self.found.scenarios - {fault.partition(":")[0] for fault in self.found.faults}


def server_table(outcomes: Mapping[Leg, Outcome]) -> str:
    """One line for each run of the suite as a client."""
    rows = [(leg.revision, leg.suite, *_behind(leg), *_count(leg, outcome)) for leg, outcome in outcomes.items()]
    return written(("suite speaks", "suite", "server", "server speaks", "scenarios that pass", "of these scored"), rows)


def _behind(leg: Leg) -> tuple[str, str]:
    way = f"{leg.upstream.transport}, without the gateway" if leg.direct else leg.upstream.transport
    return way, SPEAKS[leg.upstream.era]


def _count(leg: Leg, outcome: Outcome) -> tuple[str, str]:
    demanded = scored(leg.revision) if leg.requires else frozenset()
    of_these = f"{len(outcome.passed & demanded)} of {len(demanded)}" if demanded else "–"
    return f"{len(outcome.passed)} of {len(outcome.found.scenarios)}", of_these


def client_table(outcomes: Mapping[Visit, Outcome]) -> str:
    """One line for each scenario in which the gateway is the client."""
    rows = [
        (visit.revision, f"`{visit.scenario}`", "yes" if outcome.passed else f"all but {len(outcome.found.faults)}")
        for visit, outcome in outcomes.items()
    ]
    return written(("server speaks", "scenario", "passes"), rows)


def known_table(known: Sequence[Known]) -> str:
    """What does not pass, and why."""
    rows = [
        (each.revision, f"`{each.behind}`", ", ".join(f"`{check}`" for check in each.checks), each.why)
        for each in known
    ]
    return written(("suite speaks", "server", "check", "why"), rows)
