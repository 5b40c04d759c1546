"""A plan in words: for a terminal, for a pull request, and as JSON.

The names of foreign tools and the texts of conditions stand in code spans that they cannot leave. Knows values only.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from gateway.analysis.plan.groups import Cell, Group, Kind, Plan
from gateway.analysis.rights import told
from gateway.analysis.wording import counted, row_text, some, who_text, whose_text
from gateway.policy.meaning import Witness

COLUMNS: Final = ("change", "who", "through", "whose", "what", "where", "before", "after")

NAMED: Final = 20
"""Names, and cells, that are listed one by one."""
SUMMED: Final = 40
"""Groups in the table of a pull request; GitHub cuts a comment at 65,536 signs."""
DETAILED: Final = 20


def summary(plan: Plan) -> str:
    """The plan as one sentence."""
    if not plan.groups:
        return "no right changes"
    counts = [f"{count} {kind}" for kind, count in plan.cells.items() if count]
    return f"{', '.join(counts)}; {counted(len(plan.users), 'user')} concerned"


def lines(plan: Plan) -> Iterator[tuple[str, ...]]:
    """The groups as cells of a table with ``COLUMNS``, the most important first."""
    for group in plan.groups:
        yield (
            group.kind.value,
            who_text(group.parties, 3),
            ", ".join(some(sorted(group.through), 3)),
            whose_text(group.owner),
            ", ".join(some(_things(_cells(group)), 3)),
            ", ".join(some(list(group.cells), 3)),
            told(group.old),
            told(group.new),
        )


def plain(plan: Plan) -> dict[str, Any]:
    """The whole plan for programs: every name and every cell."""
    return {
        "against": plan.old,
        "planned": plan.new,
        "summary": summary(plan),
        "cells": {kind.value: count for kind, count in plan.cells.items()},
        "users": len(plan.users),
        "users_widened": len(plan.users_widened),
        "groups": [_plain(group) for group in plan.groups],
        "notes": list(plan.notes),
    }


def markdown(plan: Plan) -> str:
    """The plan as the comment of a pull request: a short table, and the details folded."""
    parts = [f"### Policy plan: {summary(plan)}", f"Planned against version {_code(plan.old)}."]
    if plan.groups:
        parts += ["\n".join(_table(plan)), "\n\n".join(_details(plan))]
    if plan.notes:
        parts.append("\n".join(f"- {note}" for note in some(plan.notes, NAMED)))
    return "\n\n".join(parts) + "\n"


def _cells(group: Group) -> list[Cell]:
    return sorted({cell for cells in group.cells.values() for cell in cells})


def _things(cells: Iterable[Cell]) -> list[str]:
    return [f"{action} {object}" for object, action in cells]


# -- JSON


def _plain(group: Group) -> dict[str, Any]:
    return {
        "change": group.kind.value,
        "users": group.known,
        "others": group.strangers,
        "through": sorted(group.through),
        "owner": group.owner,
        "cells": {domain: _things(cells) for domain, cells in group.cells.items()},
        "count": group.size,
        "before": told(group.old),
        "after": told(group.new),
        "widened_by": group.difference.widened,
        "narrowed_by": group.difference.narrowed,
        "because": [row_text(row) for row in group.because],
    }


# -- Markdown


def _table(plan: Plan) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for change, *cells in list(lines(plan))[:SUMMED]:
        marked = change if change == Kind.NARROWED else f"**{change}**"
        yield f"| {' | '.join((marked, *(_code(cell).replace('|', chr(92) + '|') for cell in cells)))} |"
    if len(plan.groups) > SUMMED:
        yield f"\n{counted(len(plan.groups) - SUMMED, 'more group')}: `ostiary policy plan` tells them."


def _details(plan: Plan) -> Iterator[str]:
    yield "<details><summary>Details</summary>"
    for number, group in enumerate(plan.groups[:DETAILED], start=1):
        yield f"**{number}. {group.kind}**: {_code(who_text(group.parties, NAMED))}"
        yield "\n".join(_told(group))
    yield "</details>"


def _told(group: Group) -> Iterator[str]:
    for domain, cells in list(group.cells.items())[:NAMED]:
        yield f"- in {_code(domain)}: {', '.join(map(_code, some(_things(cells), NAMED)))}"
    if len(group.cells) > NAMED:
        yield f"- and {counted(len(group.cells) - NAMED, 'more server')}"
    yield f"- before: {_code(told(group.old))}, after: {_code(told(group.new))}"
    yield from _witnesses(group)
    for row in some([row_text(row) for row in group.because], NAMED):
        yield f"- because of {_code(row)}"


def _witnesses(group: Group) -> Iterator[str]:
    shown: tuple[tuple[str, Witness | None], ...] = (
        ("now allowed", group.difference.widened),
        ("not allowed any more", group.difference.narrowed),
    )
    for word, witness in shown:
        if witness:
            yield f"- {word}, for example: {_code(json.dumps(witness, ensure_ascii=False))}"
    if group.kind is Kind.UNDECIDED:
        yield "- whether that permits more or less takes too long to find out; read the conditions"


def _code(text: str) -> str:
    """A code span that its text cannot end."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, pad = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("\n", " ")
