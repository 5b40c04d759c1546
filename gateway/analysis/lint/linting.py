"""Lint: rows, roles and conditions of a valid policy that say nothing, say too much, or say what nobody meant.

Exact where the language is decidable: what is called redundant, or always denied, can be removed without changing one
answer from now on. The kinds of findings stand in files of their own; here they are put together.
"""

from collections.abc import Iterable, Mapping

from gateway.analysis.inventory import Inventory
from gateway.analysis.lint.conditions import case_variants, conditions, secrets_unread
from gateway.analysis.lint.findings import Code, Finding, Lint, Progress, silent
from gateway.analysis.lint.ground import Ground
from gateway.analysis.lint.keys import paths_to_policy
from gateway.analysis.lint.meaning import Meanings
from gateway.analysis.lint.overlaps import overlaps
from gateway.analysis.lint.practice import practice
from gateway.analysis.lint.roles import idle_links, role_cycles, roles_given, roles_too_deep
from gateway.analysis.lint.rows import covered_rows, crowded_rows
from gateway.analysis.lint.things import things
from gateway.analysis.severity import Severity
from gateway.analysis.wording import reading_order
from gateway.policy.bundle import Bundle
from gateway.policy.terms import Link, Place, Rule


def lint(
    bundle: Bundle,
    *,
    now: int,
    grants: Iterable[Rule | Link] | None = None,
    inventory: Inventory | None = None,
    progress: Progress = silent,
) -> Lint:
    """Everything worth a look in ``bundle`` at ``now`` (ms since the epoch), in the order of its files.

    ``grants`` are the rows made at run time; ``None`` when nobody looked, so that roles may be given there. Without an
    ``inventory`` nothing is said about servers and tools.
    """
    ground = Ground(bundle, None if grants is None else tuple(grants), inventory, now, progress)
    meanings = Meanings(ground.conditions)
    found = [
        *practice(ground),
        *covered_rows(ground, meanings),
        *crowded_rows(ground),
        *overlaps(ground, meanings),
        *conditions(ground, meanings),
        *case_variants(ground),
        *secrets_unread(ground),
        *roles_given(ground),
        *idle_links(ground),
        *role_cycles(ground),
        *roles_too_deep(ground),
        *things(ground),
        *paths_to_policy(ground),
    ]
    return _accepted(found, bundle.accepted)


def _accepted(found: Iterable[Finding], accepted: Mapping[str, tuple[str, ...]]) -> Lint:
    """The findings without those that their row accepts, and with what was accepted for nothing. An error stands."""
    kept: list[Finding] = []
    met: set[tuple[str, str]] = set()
    left_out = 0
    for finding in found:
        place = str(finding.place)
        if finding.code in accepted.get(place, ()) and finding.severity is not Severity.ERROR:
            met.add((place, finding.code))
            left_out += 1
        else:
            kept.append(finding)
    kept += (_unused(place, code) for place, codes in accepted.items() for code in codes if (place, code) not in met)
    return Lint(tuple(sorted(kept, key=_in_order)), left_out)


def _unused(place: str, code: str) -> Finding:
    file, _, line = place.rpartition(":")
    sentence = f"`@lint-ok {code}` accepts nothing: lint does not find that here, or it is an error; remove it"
    return Finding(Code.LINT_OK_UNUSED, Place(file, int(line)), sentence)


def _in_order(finding: Finding) -> tuple[object, ...]:
    return *reading_order(finding.place), finding.code, finding.sentence
