"""``ostiary audit``: whether the trail is whole, and what stands in it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final

import click
import msgspec

from gateway.audit import AuditEntry
from gateway.audit.cef import cef
from gateway.audit.checkpoints import USE, Signer
from gateway.audit.trail import first_id
from gateway.audit.verifying import Break, Verifying, Walked
from gateway.cli.operation import Given, now_ms, operation
from gateway.cli.output import Failure, moment, progress, show_json, show_table, shown
from gateway.cli.trail import PAGE, Span, from_store, when
from gateway.manage.audited import NEVER
from gateway.records import Checkpoint
from gateway.store.base import AuditTrail, Records

OBJECT: Final = "gateway/audit"
POLL_S: Final = 0.5
LATE_MS: Final = 60_000
"""Entries are kept as calls end, under ids of their beginnings: so far back a follower looks for late ones."""

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
_since = click.option("--since", callback=when, help="From then on: a date or time, or how long ago (`90m`, `7d`).")
_until = click.option("--until", callback=when, help="Before then.")
_encode: Final = msgspec.json.Encoder().encode


def _line(entry: AuditEntry) -> bytes:
    return _encode(entry) + b"\n"


def _cef_line(entry: AuditEntry) -> bytes:
    return cef(entry, version("ostiary")).encode("utf-8", "replace") + b"\n"


FORMATS: Final[dict[str, Callable[[AuditEntry], bytes]]] = {"jsonl": _line, "cef": _cef_line}


@click.group()
def audit() -> None:
    """The audit trail: verify it, read it, follow it, export it."""


@audit.command("verify")
@_json
@click.pass_obj
def verify(given: Given, *, as_json: bool) -> None:
    """Check every chain of entries against its links and its signed checkpoint; exit code 1 where one does not hold."""

    async def work() -> tuple[list[Walked], list[Break], int]:
        async with operation(given.settings(), "audit.verify", OBJECT, "inspect") as desk:
            verifying = Verifying(await _checkpoints(desk.store.checkpoints), Signer(desk.ring.derived(USE)))
            with progress("verifying") as tell:
                done = 0
                async for entry in _oldest_first(desk.store.audit, 0, NEVER):
                    verifying.take(entry)
                    done += 1
                    if done % PAGE == 0:
                        tell(done)
            walked, breaks = verifying.finish(await _checkpoints(desk.store.checkpoints), now_ms())
            return walked, breaks, verifying.unchained

    walked, breaks, unchained = asyncio.run(work())
    _tell(walked, breaks, unchained, as_json=as_json)
    if breaks:
        raise Failure(f"the audit does not hold: {len(breaks)} {'break' if len(breaks) == 1 else 'breaks'}")


def _tell(walked: list[Walked], breaks: list[Break], unchained: int, *, as_json: bool) -> None:
    if as_json:
        told = {"chains": [asdict(each) for each in walked], "breaks": [asdict(each) for each in breaks]}
        show_json({**told, "unchained": unchained})
        return
    for broken in breaks:
        click.echo(shown(str(broken)), err=True)
    columns = ("chain", "entries", "first", "last", "vouched", "left")
    show_table(columns, [tuple(map(str, asdict(each).values())) for each in walked if each.entries])
    if unchained:
        click.echo(f"{unchained} entries are older than chains, and cannot be verified")
    if not breaks:
        click.echo(f"{sum(each.entries for each in walked)} entries hold together")


@audit.command("query")
@click.option("--subject", default="", help="Of whom: `user:ann@example.com`.")
@click.option("--object", "object_", default="", help="On what, as rows write it; `git/*` for all below.")
@click.option("--outcome", default="", help="How it ended: `ok`, `denied`…")
@click.option("--reason", default="", help="Why it was decided so.")
@_since
@_until
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
@_json
@click.pass_obj
def query(given: Given, /, *, since: int | None, until: int | None, limit: int, as_json: bool, **wanted: str) -> None:
    """Show entries, the newest first."""
    span = Span(since=since or 0, until=NEVER if until is None else until)

    async def work() -> list[AuditEntry]:
        found: list[AuditEntry] = []
        async with operation(given.settings(), "audit.query", OBJECT, "inspect", **wanted) as desk:
            async for page in from_store(desk.store.audit, span):
                found += [each for each in page if _fits(each, wanted)]
                if len(found) >= limit:
                    break
        return found[:limit]

    found = asyncio.run(work())
    if as_json:
        show_json([msgspec.to_builtins(each) for each in found])
        return
    show_table(("at", "subject", "method", "object", "outcome", "reason", "id"), map(_row, found))


def _fits(entry: AuditEntry, wanted: dict[str, str]) -> bool:
    below = wanted["object_"].removesuffix("*")
    fits = entry.object == below or (below != wanted["object_"] and entry.object.startswith(below))
    return (fits or not wanted["object_"]) and all(
        wanted[name] in ("", getattr(entry, name)) for name in ("subject", "outcome", "reason")
    )


def _row(entry: AuditEntry) -> tuple[str, ...]:
    at = moment(entry.at) or ""
    return at, entry.subject, entry.method, entry.object, entry.outcome, entry.reason, entry.id


@audit.command("export")
@click.option("--format", "form", type=click.Choice([*FORMATS]), default="jsonl", show_default=True)
@_since
@_until
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Into a new file, not standard output.")
@click.pass_obj
def export(given: Given, *, form: str, since: int | None, until: int | None, out: Path | None) -> None:
    """Write entries, the oldest first: as JSON lines, or as ArcSight's Common Event Format."""
    end = NEVER if until is None else until

    async def work(into: BinaryIO) -> int:
        done = 0
        async with operation(given.settings(), "audit.export", OBJECT, "inspect", format=form) as desk:
            with progress("exporting") as tell:
                async for entry in _oldest_first(desk.store.audit, since or 0, end):
                    into.write(FORMATS[form](entry))
                    done += 1
                    if done % PAGE == 0:
                        tell(done)
        return done

    with ExitStack() as files:
        into = sys.stdout.buffer if out is None else files.enter_context(_private(out))
        done = asyncio.run(work(into))
        into.flush()
    if out is not None:
        click.echo(f"{done} entries written to {out}")


def _private(path: Path) -> BinaryIO:
    """A new file for its owner alone."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise Failure(f"{path} exists already: name a new file") from None
    return path.open("wb")


@audit.command("tail")
@click.option("--since", callback=when, help="From then on; from now, where it is left out.")
@click.option("--format", "form", type=click.Choice([*FORMATS]), default="jsonl", show_default=True)
@click.option("--seconds", type=click.FloatRange(0), help="End after so long; without it, on Ctrl-C.")
@click.pass_obj
def tail(given: Given, *, since: int | None, form: str, seconds: float | None) -> None:
    """Follow the trail: write entries as they are kept."""

    async def work() -> None:
        async with operation(given.settings(), "audit.tail", OBJECT, "inspect") as desk:
            try:
                async with asyncio.timeout(seconds):
                    await _follow(desk.store.audit, desk.now if since is None else since, FORMATS[form])
            except (TimeoutError, asyncio.CancelledError):
                return  # Ctrl-C is how it ends

    asyncio.run(work())


async def _follow(trail: AuditTrail, since: int, form: Callable[[AuditEntry], bytes]) -> None:
    told: dict[str, int] = {}
    start = since
    while True:
        async for entry in _oldest_first(trail, start, NEVER):
            if entry.id not in told:
                told[entry.id] = entry.at
                sys.stdout.buffer.write(form(entry))
        sys.stdout.buffer.flush()
        start = max(since, max(told.values(), default=since) - LATE_MS)
        told = {id: at for id, at in told.items() if at >= start}
        await asyncio.sleep(POLL_S)


async def _oldest_first(trail: AuditTrail, since: int, until: int) -> AsyncIterator[AuditEntry]:
    after = first_id(max(0, since)) if since else ""
    while page := await trail.scan(after, PAGE):
        for entry in page:
            if since <= entry.at < until:
                yield entry
        after = page[-1].id
        if len(page) < PAGE or after >= first_id(min(until, NEVER)):
            return


async def _checkpoints(records: Records[Checkpoint]) -> dict[str, Checkpoint]:
    found: dict[str, Checkpoint] = {}
    while page := await records.page(max(found, default=""), PAGE):
        found |= {each.id: each for each in page}
    return found
