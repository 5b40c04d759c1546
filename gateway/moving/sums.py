"""What a whole store, or a file of one, comes to: how many rows of each part, and one hash over all of them."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.store.whole import PARTS, Contents, Row, page_of

Tell = Callable[[int, str], None]
"""Is told how many rows of which part are done."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Sums:
    """``counts`` by part; ``hash`` is the SHA-256 (hex) of the lines of all rows, in order."""

    counts: dict[str, int]
    hash: str


@dataclass(slots=True)
class Summing:
    """Sums that grow row by row."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, row: Row) -> bytes:
        """The line of the row, which is counted and hashed from now on."""
        line = line_of(row)
        self.counts[row.part] += 1
        self._hash.update(line)
        return line

    @property
    def sums(self) -> Sums:
        return Sums(dict(self.counts), self._hash.hexdigest())


def line_of(row: Row) -> bytes:
    """A row as one line of JSON."""
    return _encode(row) + b"\n"


async def pages(contents: Contents, part: str) -> AsyncIterator[Sequence[Row]]:
    """All rows of a part, page by page."""
    after, limit = "", page_of(part)
    while page := await contents.walk(part, after, limit):
        yield page
        after = page[-1].key


async def sums_of(contents: Contents, parts: Sequence[str], tell: Tell) -> Sums:
    """What these parts come to."""
    summing = Summing()
    for part in parts:
        async for page in pages(contents, part):
            for row in page:
                summing.add(row)
            tell(summing.counts[part], f"comparing {part}")
    return summing.sums


def differing(one: Sums, other: Sums) -> str:
    """How two sums differ, for people; ``""`` when they do not."""
    if one == other:
        return ""
    counts = [f"{part} {one.counts[part]} and {other.counts[part]}" for part in PARTS]
    uneven = [told for part, told in zip(PARTS, counts, strict=True) if one.counts[part] != other.counts[part]]
    return ", ".join(uneven) or "the numbers of rows are equal, what stands in them is not"
