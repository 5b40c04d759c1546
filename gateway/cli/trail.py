"""The recorded decisions that a command is to look at: of which time, how many, and from where."""

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import msgspec

from gateway.audit import AuditEntry
from gateway.audit.trail import first_id
from gateway.cli.operation import now_ms
from gateway.manage.audited import NEVER, moment_of
from gateway.store.base import AuditTrail

PAGE: Final = 1_000
_decode: Final = msgspec.json.Decoder(AuditEntry).decode


class _At(msgspec.Struct):
    at: int


_decode_at: Final = msgspec.json.Decoder(_At).decode


def when(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """The value of an option that names a moment, as ms since the epoch: a date or time in ISO 8601 (UTC unless it says
    otherwise), or how long ago.
    """
    if value is None:
        return None
    try:
        return moment_of(value, now_ms())
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@dataclass(frozen=True, slots=True)
class Span:
    """The newest ``limit`` entries from ``since`` on and before ``until`` (ms since the epoch)."""

    since: int = 0
    until: int = NEVER
    limit: int = 1 << 62

    def __contains__(self, at: int) -> bool:
        return self.since <= at < self.until


async def from_store(trail: AuditTrail, span: Span) -> AsyncIterator[Sequence[AuditEntry]]:
    """The entries of ``span``, by pages, the newest first. Raises ``Unavailable``."""
    after, left = first_id(min(span.until, NEVER)), span.limit
    while left > 0:
        page = await trail.scan(after, min(PAGE, left), newest=True)
        found = [entry for entry in page if entry.at in span]
        if found:
            yield found
        if len(page) < min(PAGE, left) or page[-1].at < span.since:
            return
        after, left = page[-1].id, left - len(page)


def from_file(path: Path, span: Span) -> Iterator[AuditEntry | int]:
    """The entries of ``span`` in a file of JSON lines, in its order; of a line that is none, its number."""
    kept: deque[tuple[int, bytes]] = deque(maxlen=min(span.limit, 1 << 60))
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                if _decode_at(line).at in span:
                    kept.append((number, line))
            except msgspec.MsgspecError:
                kept.append((number, b""))
    while kept:
        number, line = kept.popleft()
        try:
            yield _decode(line)
        except msgspec.MsgspecError:
            yield number
