"""How commands show where a candidate policy answers otherwise than the live one did."""

from collections.abc import Iterator, Sequence
from typing import Final

import click

from gateway.analysis.replay import Group, Report, Why
from gateway.cli.output import show_table

SHOWN: Final = 20
"""Groups of one kind that people are shown; programs get all."""

REASONS: Final = {
    Why.NO_QUESTION: "no decision about one thing",
    Why.TOO_OLD: "recorded without its question, by an older version",
    Why.CUT: "the object is not recorded whole",
    Why.FAULT: "the gateway failed while deciding",
    Why.HIDDEN: "the answer depends on what is hidden",
    Why.OTHER_GRANTS: "the policy of that time had other grants",
    Why.UNKNOWN_VERSION: "the policy of that time is not in the history",
    Why.UNREADABLE: "not an audit entry",
}


def report_json(report: Report) -> dict[str, object]:
    """A report for programs; ``allowed`` is the candidate's answer."""
    return {
        "entries": report.entries,
        "same": report.same,
        "widened": report.widened,
        "narrowed": report.narrowed,
        "not_compared": report.not_decided,
        "rows": [_group(group, "now", "was") for group in report.rows],
        "users": [_group(group, "subject") for group in report.users],
        "tools": [_group(group, "object") for group in report.tools],
        "reasons": [
            {"why": group.name[0], "about": group.name[1], "count": group.count, "examples": list(group.examples)}
            for group in report.undecided
        ],
    }


def tell_report(report: Report) -> None:
    """A report for people."""
    click.echo(
        f"{report.entries} entries: {report.same} the same, {report.narrowed} denied instead of allowed, "
        f"{report.widened} allowed instead of denied, {report.not_decided} not compared"
    )
    _tell("rows", ("answer", "count", "decided by", "instead of", "such as"), report.rows, (0, None, 1, 2))
    _tell("users", ("answer", "count", "user", "such as"), report.users, (0, None, 1))
    _tell("tools", ("answer", "count", "tool", "such as"), report.tools, (0, None, 1))
    if report.undecided:
        click.echo("not compared:")
        show_table(("count", "because", "about", "such as"), _reasons(report.undecided))
    _rest(report.undecided)


def _tell(what: str, columns: Sequence[str], groups: Sequence[Group], cells: Sequence[int | None]) -> None:
    if not groups:
        return
    click.echo(f"{what}:")
    show_table(
        columns,
        (
            (*(str(group.count) if at is None else group.name[at] for at in cells), group.examples[0])
            for group in groups[:SHOWN]
        ),
    )
    _rest(groups)


def _rest(groups: Sequence[Group]) -> None:
    if len(groups) > SHOWN:
        click.echo(f"… and {len(groups) - SHOWN} more; `--json` has all")


def _reasons(groups: Sequence[Group]) -> Iterator[tuple[str, ...]]:
    for group in groups[:SHOWN]:
        yield str(group.count), REASONS[Why(group.name[0])], group.name[1], group.examples[0]


def _group(group: Group, *names: str) -> dict[str, object]:
    answer, *rest = group.name
    return {
        "allowed": answer == "allowed",
        **dict(zip(names, rest, strict=True)),
        "count": group.count,
        "examples": list(group.examples),
    }
