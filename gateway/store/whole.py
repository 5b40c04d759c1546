"""A store as a whole, row by row: what is moved to another store or into a file, and nothing else.

Requests never come here. What belongs here is the portable form of a row and the list of parts: a table or
collection that no part names would be lost by a move, so a test compares the two. No database is known here.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

RECORDS, HEADS, SHADOW, BUNDLES, AUDIT, MARKS = "records", "heads", "shadow", "bundles", "audit", "marks"
PARTS: Final = (HEADS, SHADOW, BUNDLES, RECORDS, AUDIT, MARKS)
"""In the order in which they are read: what names a bundle before the bundles, the last ticket after the records."""

PAGE: Final = 100  # rows
PAGES: Final = {BUNDLES: 1}  # a single one may have many megabytes
SCHEMA: Final = 1  # of rows; both databases have it

UNFINISHED: Final = (
    "a move into this store did not end: run the same `ostiary store copy` or `ostiary store import` again"
)


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of a part, ``text`` as the store keeps it; rows of a part are sorted by ``key`` (by code point).

    ``records``: ``KIND/ID``, no text when it was removed, (``rev``, ticket, when it was removed or 0);
    ``heads``: the version in 20 digits; ``shadow``: (mark,); ``bundles``: the hash, ``data``; ``audit``: the id;
    ``marks``: (last ticket, the ticket up to which removals may be forgotten).
    """

    part: str
    key: str
    text: str | None = None
    data: bytes = b""
    numbers: tuple[int, ...] = ()


class Contents(Protocol):
    """Everything in one store. Raises ``Unavailable`` as all of the store does."""

    async def walk(self, part: str, after: str = "", limit: int = PAGE) -> Sequence[Row]:
        """Up to ``limit`` rows of a part with keys greater than ``after``, in order; ``NotFound`` for a damaged one."""

    async def load(self, part: str, rows: Sequence[Row]) -> None:
        """Write rows of one part as they are, over those with the same keys. Between ``begin`` and ``end`` only."""

    async def begin(self) -> None:
        """Mark the store as unfinished, so that nobody can open it to work with; ``Conflict`` when it holds something
        that is not of an unfinished move.
        """

    async def end(self) -> None:
        """Take the mark away."""


def page_of(part: str) -> int:
    """How many rows of a part to ask for at once."""
    return PAGES.get(part, PAGE)


def version_key(version: int) -> str:
    """The key of a policy head."""
    return f"{version:020}"


async def holds_something(contents: Contents) -> bool:
    """Whether anything was ever written."""
    for part in PARTS:
        for row in await contents.walk(part, limit=1):
            if part != MARKS or any(row.numbers):
                return True
    return False
