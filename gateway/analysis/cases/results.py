"""What came of a run of the tests: each with its place, what was expected and got, and why; and the rows that spoke.

Values only, and their shape as JSON. This file runs nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import floor
from typing import Final

from gateway.policy.terms import Json, Place, Rule

TOLD: Final = 20
"""Failures of one test that are told; the others are counted."""


class Kind(StrEnum):
    CASE = "case"
    WHO = "who"
    WHAT = "what"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Failure:
    """One question that came out otherwise, as people read it; without a question ``why`` says it all."""

    question: str = ""
    expected: str = ""
    got: str = ""
    why: str = ""

    def __str__(self) -> str:
        if not self.question:
            return self.why
        return f"{self.question}: expected {self.expected}, got {self.got}" + (f", {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class Result:
    """One row of a test file; ``asked`` questions, of which ``failed`` came out otherwise."""

    kind: Kind
    place: Place
    name: str
    asked: int
    failed: int = 0
    failures: tuple[Failure, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.failed

    @classmethod
    def of(cls, kind: Kind, place: Place, name: str, *, asked: int, failures: Iterable[Failure]) -> "Result":
        every = tuple(failures)
        return cls(kind, place, name, asked, len(every), every[:TOLD])

    def plain(self) -> dict[str, Json]:
        return {
            "kind": self.kind.value,
            "name": self.name,
            "file": self.place.file,
            "line": self.place.line,
            "passed": self.passed,
            "asked": self.asked,
            "failed": self.failed,
            "failures": [
                {"question": each.question, "expected": each.expected, "got": each.got, "why": each.why}
                for each in self.failures
            ],
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which rules of the files counted in some case: ``spoke`` those that did, ``silent`` those that did not."""

    spoke: tuple[Rule, ...] = ()
    silent: tuple[Rule, ...] = ()

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means every one."""
        every = len(self.spoke) + len(self.silent)
        return floor(100 * len(self.spoke) / every) if every else 100

    def plain(self) -> dict[str, Json]:
        return {
            "percent": self.percent,
            "rows": len(self.spoke) + len(self.silent),
            "spoke": [str(rule.place) for rule in self.spoke],
            "silent": [str(rule.place) for rule in self.silent],
        }


@dataclass(frozen=True, slots=True)
class Results:
    results: tuple[Result, ...] = ()
    coverage: Coverage = Coverage()

    @property
    def passed(self) -> bool:
        return all(each.passed for each in self.results)

    @property
    def failed(self) -> tuple[Result, ...]:
        return tuple(each for each in self.results if not each.passed)

    def plain(self) -> Mapping[str, Json]:
        """The documented JSON: ``passed``, ``asked``, ``failed``, ``results``, ``coverage``."""
        return {
            "passed": self.passed,
            "tests": len(self.results),
            "failed": len(self.failed),
            "asked": sum(each.asked for each in self.results),
            "results": [each.plain() for each in self.results],
            "coverage": self.coverage.plain(),
        }
