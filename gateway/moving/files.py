"""A whole store as a file: JSON lines, the first of which tells what follows.

    {"format":"ostiary-store","version":1,"schema":1,"made_at":MS,"audit":false,"counts":{PART:N},"hash":HEX}

``hash`` is the SHA-256 of all that follows the first line (``tail -n +2 FILE | sha256sum``), which ends in spaces so
that it can be written last. Every other line is a ``Row``; ``data`` is Base64. Rows stand in the order of ``PARTS``.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Self

import msgspec

from gateway.moving.checking import Checking
from gateway.moving.sums import Summing, Sums, Tell, differing, pages, sums_of
from gateway.store.base import Conflict
from gateway.store.kinds import CHECKPOINTS
from gateway.store.whole import AUDIT, MARKS, PARTS, RECORDS, SCHEMA, Contents, Row, page_of

FORMAT: Final = "ostiary-store"
VERSION: Final = 1
HEADER: Final = 1_024  # bytes of the first line
MOST: Final = 256 * 1024 * 1024  # bytes of one line

_row: Final = msgspec.json.Decoder(Row).decode


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line; ``counts`` by part, all of ``PARTS``."""

    format: str
    version: int
    schema: int
    made_at: int
    audit: bool
    counts: dict[str, int]
    hash: str


def parts_of(*, audit: bool) -> Sequence[str]:
    """What stands in a file, with the audit or without."""
    return [part for part in PARTS if audit or part != AUDIT]


async def export(contents: Contents, out: Path, now: int, tell: Tell, *, audit: bool) -> Header:
    """Write a private file; ``ValueError`` when there is one already. It is there whole or not at all."""
    with _Written(out) as written:
        began = await contents.walk(MARKS)
        for part in parts_of(audit=audit):
            async for page in pages(contents, part):
                if part == RECORDS and not audit:
                    page = [row for row in page if not row.key.startswith(f"{CHECKPOINTS}/")]  # noqa: PLW2901
                written.add(_restless(page, began) if part == MARKS else page)
                tell(written.summing.counts[part], f"writing {part}")
        sums = written.summing.sums
        header = Header(
            format=FORMAT, version=VERSION, schema=SCHEMA, made_at=now, audit=audit, counts=sums.counts, hash=sums.hash
        )
        written.end(header)
    return header


def _restless(marks: Sequence[Row], began: Sequence[Row]) -> Sequence[Row]:
    """The marks; when records changed while we read them, such that everybody who follows the store reads all of it."""
    if marks == began:
        return marks
    ((last, _),) = (row.numbers for row in marks)
    return [msgspec.structs.replace(row, numbers=(last + 1, last + 1)) for row in marks]


async def import_(contents: Contents, file: Path, tell: Tell) -> Header:
    """Fill an empty store, or one that was half filled by an import before, with what ``file`` holds.

    All of the file is read and checked before the first write. ``ValueError`` when it cannot be used, ``Conflict`` when
    the store holds something else, or came out otherwise than the file says.
    """
    with file.open("rb") as opened:
        header = check(opened, file.name, tell)
        await contents.begin()
        done = 0
        for page in _pages(opened):
            await contents.load(page[0].part, page)
            done += len(page)
            tell(done, "writing")
    found = await sums_of(contents, parts_of(audit=header.audit), tell)
    if told := differing(Sums(header.counts, header.hash), found):
        raise Conflict(f"the store is not what the file says ({told}): empty it, and import the file again")
    await contents.end()
    return header


def check(opened: BinaryIO, name: str, tell: Tell) -> Header:
    """The header of a file all of whose rows can be taken over, and that holds what it says. ``ValueError``."""
    header = _header(opened.readline(HEADER + 1), name)
    summing, checking, number = Summing(), Checking(), 1
    try:
        for row in _rows(opened):
            number += 1
            checking.add(row)
            summing.add(row)
            tell(number - 1, "checking")
        checking.end()
    except ValueError as wrong:
        raise ValueError(f"{name}:{number + 1}: {wrong}: nothing was written; take another file") from None
    if differing(Sums(header.counts, header.hash), summing.sums) or (summing.counts[AUDIT] and not header.audit):
        raise ValueError(f"{name}: is not what its first line says: nothing was written; take another file")
    return header


def _header(line: bytes, name: str) -> Header:
    try:
        header = msgspec.json.decode(line, type=Header)
    except msgspec.MsgspecError:
        raise ValueError(f"{name}:1: is not an export of a store: name one") from None
    if header.format != FORMAT or set(header.counts) != set(PARTS):
        raise ValueError(f"{name}:1: is not an export of a store: name one")
    if (header.version, header.schema) != (VERSION, SCHEMA):
        told = f"version {header.version}, schema {header.schema}"
        raise ValueError(
            f"{name}:1: has {told}, not {VERSION} and {SCHEMA}: use the version of this program it is from"
        )
    return header


def _rows(opened: BinaryIO) -> Iterator[Row]:
    """The rows from here on; ``ValueError`` for a line that is none, or was not written by ``export``."""
    while line := opened.readline(MOST):
        try:
            row = _row(line)
        except msgspec.MsgspecError:
            raise ValueError("is not a row") from None
        yield row


def _pages(opened: BinaryIO) -> Iterator[Sequence[Row]]:
    """The rows behind the header, in pages of one part."""
    opened.seek(0)
    opened.readline()
    page: list[Row] = []
    for row in _rows(opened):
        if page and (row.part != page[0].part or len(page) >= page_of(row.part)):
            yield page
            page = []
        page.append(row)
    if page:
        yield page


class _Written:
    """A file in the making, under another name in the same folder; it takes its place at ``end``."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.summing = Summing()

    def __enter__(self) -> Self:
        if self._out.exists():
            raise ValueError(f"{self._out}: is there already: name a new file")
        handle, name = tempfile.mkstemp(prefix=f".{self._out.name}.", dir=self._out.parent)  # made 0600
        self._path, self._file = Path(name), os.fdopen(handle, "wb")
        self._file.write(b" " * (HEADER - 1) + b"\n")
        return self

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._file.write(self.summing.add(row))

    def end(self, header: Header) -> None:
        """Put the header in its place, and the file in its own, on the disk."""
        line = msgspec.json.encode(header)
        self._file.seek(0)
        self._file.write(line.ljust(HEADER - 1) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        try:
            os.link(self._path, self._out)  # which does not replace what came there meanwhile
        except FileExistsError:
            raise ValueError(f"{self._out}: is there already: name a new file") from None

    def __exit__(self, *_: object) -> None:
        self._file.close()
        with suppress(FileNotFoundError):
            self._path.unlink()
