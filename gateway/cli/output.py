"""How commands speak: tables for people, JSON for programs, one clean line for what went wrong."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from gateway.policy.terms import Problem

_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0100-\U000e01ef]"
)
"""Signs that take no ink although Unicode calls them printable: fillers, variation selectors and the like."""


class Failure(click.ClickException):
    """Ends a command with exit code 1 and one line on standard error."""

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {shown(self.format_message())}", file=file, err=True)


def shown(text: str) -> str:
    """A text as a terminal may get it: what names of foreign tools could tell it to do, and what nobody would see,
    stands there as a number.
    """
    return "".join(sign if sign in "\n\t" or _visible(sign) else ascii(sign)[1:-1] for sign in text)


def shown_in_line(text: str) -> str:
    """The same for what must not end its line, nor leave its cell."""
    return shown(text).replace("\n", "\\n").replace("\t", "\\t")


def _visible(text: str) -> bool:
    return text.isprintable() and _INVISIBLE.search(text) is None


def failed(problems: Iterable[Problem], what: str) -> Failure:
    """Say every problem, a line each, on standard error; the failure sums them up."""
    told = [str(problem) for problem in problems]
    for line in told:
        click.echo(shown(line), err=True)
    return Failure(f"{what}: {len(told)} {'problem' if len(told) == 1 else 'problems'}")


def show_json(value: object) -> None:
    """What stands in the texts of ``value`` and is not to be seen is escaped, which is the same JSON."""
    told = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo("\n".join(line if _visible(line) else _in_json(line) for line in told.split("\n")))


def _in_json(line: str) -> str:
    return "".join(sign if _visible(sign) else json.dumps(sign)[1:-1] for sign in line)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; otherwise one line per row, its cells separated by tabs."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(map(shown_in_line, row)))
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))  # as text: what people are called is not markup
    Console().print(table)


@contextmanager
def progress(description: str = "") -> Iterator[Callable[..., None]]:
    """Shows long work on standard error, on a terminal only. What is yielded is told how much is done of how much, and
    may be told ``step``, what is being done.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task(description, total=None)

        def tell(done: int, of: int | None = None, step: str | None = None) -> None:
            shown.update(task, description=step, completed=done, total=of)

        yield tell


def moment(ms: int | None) -> str | None:
    """A time in ms since the epoch as ISO 8601 in UTC."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
