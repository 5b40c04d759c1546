"""What a run found, against what is known and why: nothing new may fail, and nothing may stay listed that passes."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tests.conformance.suite import Found

KNOWN = Path(__file__).with_name("known.toml")


@dataclass(frozen=True)
class Known:
    """One reason, and the checks (``scenario:check``) that fail for it; ``*`` stands for anything."""

    revision: str
    behind: str
    checks: tuple[str, ...]
    why: str

    def concerns(self, revision: str, behind: str) -> bool:
        return fnmatchcase(revision, self.revision) and fnmatchcase(behind, self.behind)


@dataclass(frozen=True)
class Verdict:
    """``known`` are the expectations that came; ``new`` the faults that nobody expects, with the suite's words;
    ``stale`` the expectations about scenarios of this run that did not come.
    """

    known: frozenset[str]
    new: Mapping[str, str]
    stale: tuple[str, ...]


def read_known(text: str) -> tuple[Known, ...]:
    return tuple(
        Known(each["revision"], each["behind"], tuple(each["checks"]), each["why"])
        for each in tomllib.loads(text).get("known", ())
    )


def judge(found: Found, known: Sequence[Known], *, revision: str, behind: str) -> Verdict:
    """What a run at ``revision`` found with the server ``behind``."""
    patterns = {check for each in known if each.concerns(revision, behind) for check in each.checks}
    met = {fault: {pattern for pattern in patterns if fnmatchcase(fault, pattern)} for fault in found.faults}
    came = frozenset().union(*met.values())
    return Verdict(
        known=came,
        new={fault: found.faults[fault] for fault, patterns in met.items() if not patterns},
        stale=tuple(sorted(pattern for pattern in patterns - came if _was_run(pattern, found.scenarios))),
    )


def _was_run(check: str, scenarios: Collection[str]) -> bool:
    wanted = check.partition(":")[0]
    return any(fnmatchcase(scenario, wanted) for scenario in scenarios)
