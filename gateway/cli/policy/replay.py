"""``ostiary policy replay``: what a candidate would have answered to recorded decisions."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

import click

from gateway.analysis.replay import Digest, Replay, Report
from gateway.audit import AuditEntry
from gateway.audit.masking import hashed_value, keyed_hash
from gateway.audit.question import key_mark
from gateway.cli.operation import Desk, Given, operation
from gateway.cli.output import Failure, progress, show_json
from gateway.cli.policy.asking import json_option, valid_bundle
from gateway.cli.policy.differences import report_json, tell_report
from gateway.cli.trail import PAGE, Span, from_file, from_store, when
from gateway.manage.audited import NEVER
from gateway.manage.policies import policy_of
from gateway.manage.proving import rows_of
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.terms import Link, Rule
from gateway.servers.rows import all_grants
from gateway.settings import Settings
from gateway.store.base import NotFound

Read: TypeAlias = AuditEntry | int
"""An entry, or the number of a line that is none."""

LIMIT: Final = 100_000
HEAP: Final = 20_000

_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("candidate", metavar="CANDIDATE")
@click.option("--since", callback=when, help="Only decisions from then on: a time, or how long ago (`7d`).")
@click.option("--until", callback=when, help="Only decisions before then.")
@click.option("--limit", type=click.IntRange(min=1), default=LIMIT, help="The newest so many.", show_default=True)
@click.option("--from", "file", type=_FILE, metavar="FILE", help="Audit entries as JSON lines, instead of the store's.")
@json_option
@click.pass_obj
def replay(
    given: Given, *, candidate: str, since: int | None, until: int | None, limit: int, file: Path | None, as_json: bool
) -> None:
    """Ask CANDIDATE, a folder or a version, what recorded decisions asked, with today's grants."""
    settings = given.settings()
    wanted = _wanted(candidate)
    report = asyncio.run(_replayed(settings, wanted, Span(since or 0, NEVER if until is None else until, limit), file))
    if as_json:
        show_json({"candidate": candidate, **report_json(report)})
        return
    tell_report(report)


def _wanted(candidate: str) -> int | Bundle:
    """A version, or the bundle of a folder."""
    if _VERSION.fullmatch(candidate) and not Path(candidate).is_dir():
        return int(candidate)
    if not Path(candidate).is_dir():
        raise Failure(f"`{candidate}` is neither a folder nor a version")
    return valid_bundle(Path(candidate), "not replayed")


async def _replayed(settings: Settings, wanted: int | Bundle, span: Span, file: Path | None) -> Report:
    async with operation(settings, "policy.replay", "gateway/policy", "inspect") as desk:
        grants = rows_of(all_grants(await desk.store.changes(0)))
        bundle = (await policy_of(desk.store, wanted)).bundle if isinstance(wanted, int) else wanted
        replay = Replay(Policy.build(bundle, grants, ""), _digests(settings, desk))
        with progress("reading decisions") as told:
            read = 0
            async for entries in _in_heaps(_entries(desk, span, file)):
                _take(replay, entries)
                read += len(entries)
                told(read)
            for version in replay.doubted:
                told(read, step=f"confirming by version {version}")
                replay.confirm(version, await _of_that_time(desk, version, grants))
        return replay.report()


async def _entries(desk: Desk, span: Span, file: Path | None) -> AsyncIterator[Sequence[Read]]:
    if file is not None:
        entries = from_file(file, span)
        while some := list(islice(entries, PAGE)):
            yield some
        return
    async for page in from_store(desk.store.audit, span):
        yield page


async def _in_heaps(pages: AsyncIterator[Sequence[Read]]) -> AsyncIterator[Sequence[Read]]:
    """The same in larger parts, each ordered by who asks for what: a policy answers best what it was asked lately."""
    heap: list[Read] = []
    async for page in pages:
        heap += page
        if len(heap) >= HEAP:
            yield sorted(heap, key=_asked)
            heap = []
    yield sorted(heap, key=_asked)


def _asked(entry: Read) -> tuple[str, str, str]:
    return ("", "", "") if isinstance(entry, int) else (entry.subject, entry.domain, entry.object)


def _take(replay: Replay, entries: Iterable[Read]) -> None:
    for entry in entries:
        if isinstance(entry, int):
            replay.unreadable(f"line {entry}")
        else:
            replay.take(entry)


async def _of_that_time(desk: Desk, version: str, grants: Sequence[Rule | Link]) -> Policy | None:
    """The policy that was in force as ``version``, with today's grants; version 0 is that before the first apply."""
    if version == "0":
        return Policy.build(None, grants, version)
    if _VERSION.fullmatch(version) is None:
        return None
    with suppress(NotFound):
        return Policy.build((await policy_of(desk.store, int(version))).bundle, grants, version)
    return None


def _digests(settings: Settings, desk: Desk) -> Mapping[str, Digest]:
    """How entries hide values, under every secret that the settings have."""
    keys = (keyed_hash(desk.ring.derive(secret.id, "audit")) for secret in settings.secrets)
    return {key_mark(hashed): partial(hashed_value, hashed=hashed) for hashed in keys}
