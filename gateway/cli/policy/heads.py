"""How commands show the versions of a policy: as JSON for programs, as words for people."""

from collections.abc import Sequence
from typing import Final

import click
from msgspec import to_builtins

from gateway.cli.output import moment, show_json
from gateway.policy.signature import TrustedKey, signer
from gateway.policy.terms import Problem
from gateway.records import PolicyHead

SHORT: Final = 12
"""Characters of a hash that people are shown."""


def head_json(head: PolicyHead, trusted: Sequence[TrustedKey]) -> dict[str, object]:
    """A version for programs; ``signed_by`` is the id of the trusted key that signed it."""
    by = signer(head.signature, head.bundle, trusted)
    return {
        "version": head.version,
        "at": moment(head.at),
        "author": head.author,
        "why": head.why,
        "bundle": head.bundle,
        "commit": head.commit,
        "tests": to_builtins(head.tests),
        "plan": to_builtins(head.plan),
        "signature": head.signature,
        "signed_by": None if by is None else by.id,
    }


def head_row(head: PolicyHead, trusted: Sequence[TrustedKey]) -> tuple[str, ...]:
    """A version for people, under ``COLUMNS``."""
    commit, dirty, _ = head.commit.partition("-")
    return (
        str(head.version),
        moment(head.at) or "",
        head.author,
        head.why,
        commit[:SHORT] + ("+" if dirty else ""),
        _tests(head),
        _plan(head),
        _signed(head, trusted),
        head.bundle[:SHORT],
    )


COLUMNS: Final = ("version", "when", "author", "why", "commit", "tests", "plan", "signed by", "bundle")


def show_moved(head: PolicyHead, trusted: Sequence[TrustedKey], told: Sequence[Problem], *, moved: bool) -> None:
    """The JSON of an apply or a rollback; ``told`` are the cases that fail all the same."""
    show_json({**head_json(head, trusted), "moved": moved, "failed_cases": [str(problem) for problem in told]})


def warn(told: Sequence[Problem]) -> None:
    """Tell cases that fail although the policy is in force now."""
    for problem in told:
        click.echo(f"warning: {problem}", err=True)


def _tests(head: PolicyHead) -> str:
    if head.tests is None:
        return ""
    total = head.tests.passed + head.tests.failed
    return f"{head.tests.passed}/{total} passed, {head.tests.covered}/{head.tests.rows} rows"


def _plan(head: PolicyHead) -> str:
    return "" if head.plan is None else f"+{head.plan.widened} -{head.plan.narrowed}, {head.plan.users} users"


def _signed(head: PolicyHead, trusted: Sequence[TrustedKey]) -> str:
    if by := signer(head.signature, head.bundle, trusted):
        return by.id
    if trusted:
        return "nobody trusted"
    return "signed" if head.signature else ""
