"""What lint can find: the closed list of kinds, how bad each is, and a finding as a value.

This file knows no rows and finds nothing itself.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from gateway.analysis.severity import Severity
from gateway.policy.rows import as_written
from gateway.policy.terms import Link, Place, Rule

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told the name of a step, how much of it is done, and out of how much."""

_TOLD_EVERY: Final = 1_000
_SHOWN: Final = 3


class Code(StrEnum):
    """Stable: programs and `@lint-ok` name findings by these words."""

    REDUNDANT_ROW = "redundant-row"
    ALWAYS_DENIED = "always-denied"
    OVERLAP = "overlap"
    MANY_ROWS = "many-rows"
    EXPIRED = "expired"
    BROAD_ALLOW = "broad-allow"
    DENY_WITHOUT_ID = "deny-without-id"
    DENY_IN_ONE_DOMAIN = "deny-in-one-domain"
    DENY_OF_SELF = "deny-of-self"
    ROLE_NEVER_GIVEN = "role-never-given"
    ROLE_NOT_IN_FILES = "role-not-in-files"
    ROLE_WITHOUT_ROWS = "role-without-rows"
    ROLE_CYCLE = "role-cycle"
    ROLE_TOO_DEEP = "role-too-deep"
    LINK_GIVES_NOTHING = "link-gives-nothing"
    REDUNDANT_LINK = "redundant-link"
    NEVER_ALLOWS = "never-allows"
    NEVER_DENIES = "never-denies"
    CONDITION_ALWAYS = "condition-always"
    EMPTY_ROOT = "empty-root"
    UPPER_BOUND_ONLY = "upper-bound-only"
    BEYOND_CAP = "beyond-cap"
    CASE_VARIANTS = "case-variants"
    SECRET_UNREAD = "secret-unread"  # noqa: S105 (a name)
    CLASS_UNUSED = "class-unused"
    SERVER_UNKNOWN = "server-unknown"
    CONNECTOR_UNKNOWN = "connector-unknown"
    OBJECT_UNKNOWN = "object-unknown"
    LIMIT_UNKNOWN = "limit-unknown"
    PATH_TO_POLICY = "path-to-policy"
    LINT_OK_UNUSED = "lint-ok-unused"


_ERRORS: Final = frozenset({Code.ROLE_TOO_DEEP, Code.NEVER_DENIES})
_NOTES: Final = frozenset(
    {
        Code.OVERLAP,
        Code.MANY_ROWS,
        Code.ROLE_NOT_IN_FILES,
        Code.CONDITION_ALWAYS,
        Code.BEYOND_CAP,
        Code.CASE_VARIANTS,
        Code.SECRET_UNREAD,
        Code.PATH_TO_POLICY,
    }
)
SEVERITIES: Final[Mapping[Code, Severity]] = MappingProxyType(
    {
        code: Severity.ERROR if code in _ERRORS else Severity.NOTE if code in _NOTES else Severity.WARNING
        for code in Code
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at: where, what, what to do (in the same sentence), and the other rows concerned."""

    code: Code
    place: Place
    sentence: str
    others: tuple[Place, ...] = ()

    @property
    def severity(self) -> Severity:
        return SEVERITIES[self.code]

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.sentence} ({self.code})"


@dataclass(frozen=True, slots=True)
class Lint:
    """Every finding in the order of the files, and how many were left out because a row accepts them."""

    findings: tuple[Finding, ...]
    accepted: int = 0

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)


def silent(_step: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def told(progress: Progress, step: str, done: int, total: int) -> None:
    """Report progress, but not for every single row."""
    if done % _TOLD_EVERY == 0 or done == total:
        progress(step, done, total)


def row_text(row: Rule | Link) -> str:
    """A row as files write it."""
    return f"`{as_written(row)}`"


def named(places: Iterable[Place]) -> str:
    """The first few places, and how many more there are: ``rules.csv:1, rules.csv:7 and 3 more``."""
    return listed(f"`{place}`" for place in places)


def listed(words: Iterable[str]) -> str:
    every = list(words)
    shown, more = ", ".join(every[:_SHOWN]), len(every) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
