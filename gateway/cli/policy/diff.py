"""``ostiary policy diff``: how the text of two policies differs, row by row."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from gateway.analysis.changes import Changes, Row, changes, row_words
from gateway.cli.operation import Given, operation
from gateway.cli.output import Failure, show_json
from gateway.cli.policy.asking import json_option, valid_bundle
from gateway.manage.policies import policy_in_force, policy_of
from gateway.policy.bundle import Bundle
from gateway.settings import Settings

_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")


@click.command()
@click.argument("sides", nargs=-1, required=True, metavar="[FROM] TO")
@json_option
@click.pass_obj
def diff(given: Given, *, sides: tuple[str, ...], as_json: bool) -> None:
    """Show what has to be removed, added and changed in FROM to have TO.

    Each is a version or a folder; without FROM, it is the policy in force. A row that only moved is no difference.
    """
    if len(sides) > 2:
        raise click.UsageError("name one policy, or two")
    old, new = asyncio.run(_bundles(given.settings(), [_side(side) for side in sides]))
    found = changes(old, new)
    if as_json:
        show_json(_plain(found))
        return
    for line in _told(found):
        click.echo(line)


def _side(side: str) -> int | Bundle:
    """A version, or the bundle of a folder."""
    if _VERSION.fullmatch(side):
        return int(side)
    if not Path(side).is_dir():
        raise Failure(f"`{side}` is neither a version nor a folder")
    return valid_bundle(Path(side), "not valid")


async def _bundles(settings: Settings, sides: Sequence[int | Bundle]) -> tuple[Bundle, Bundle]:
    async with operation(settings, "policy.diff", "gateway/policy", "inspect") as desk:
        *former, latter = [
            (await policy_of(desk.store, side)).bundle if isinstance(side, int) else side for side in sides
        ]
        if former:
            return former[0], latter
        in_force = await policy_in_force(desk.store)
        if in_force is None:
            raise Failure("no policy is in force; name two policies")
        return in_force.bundle, latter


def _told(found: Changes) -> Iterator[str]:
    """The changes as a unified list: ``-`` and ``+`` before what goes and what comes."""
    marked = [(row, None) for row in found.removed] + [(None, row) for row in found.added] + list(found.changed)
    for old, new in sorted(marked, key=_place):
        yield from (f"{mark} {row.place}: `{row_words(row)}`" for mark, row in (("-", old), ("+", new)) if row)
    yield from found.texts
    if not found:
        yield "no difference"


def _place(pair: tuple[Row | None, Row | None]) -> tuple[str, int]:
    row = pair[1] or pair[0]
    return ("", 0) if row is None else (row.place.file.rpartition("/")[2], row.place.line or 0)


def _plain(found: Changes) -> dict[str, object]:
    return {
        "added": [_row(row) for row in found.added],
        "removed": [_row(row) for row in found.removed],
        "changed": [{"from": _row(old), "to": _row(new)} for old, new in found.changed],
        "texts": list(found.texts),
    }


def _row(row: Row) -> dict[str, object]:
    return {"file": row.place.file, "line": row.place.line, "row": row_words(row)}
