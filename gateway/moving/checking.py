"""Whether rows that come from a file make a store: looked at one by one, and together at the end.

Knows the rules of the store, no file and no database. Raises ``ValueError`` with a sentence.
"""

from dataclasses import dataclass, field

from gateway.store.base import MAX_RECORD, Unavailable
from gateway.store.kinds import ENTRY, HEAD, SHADOW, TEXTS, content_hash
from gateway.store.whole import AUDIT, BUNDLES, HEADS, MARKS, PARTS, RECORDS, Row, version_key
from gateway.store.whole import SHADOW as SHADOWED


@dataclass(slots=True)
class Checking:
    """``add`` every row in order, then ``end``."""

    _place: tuple[int, str] = (0, "")
    _named: set[str] = field(default_factory=set)
    _bundles: set[str] = field(default_factory=set)
    _heads: int = 0
    _tickets: set[int] = field(default_factory=set)
    _last: int | None = None

    def add(self, row: Row) -> None:
        """Look at the next row."""
        if row.part not in PARTS:
            raise ValueError(f"`{row.part}` is not a part of a store that this version knows")
        place = (PARTS.index(row.part), row.key)
        if not row.key or place <= self._place:
            raise ValueError(f"{row.part}: `{row.key}` is out of order")
        self._place = place
        _refuse_impossible(row)
        try:
            _LOOKS[row.part](self, row)
        except Unavailable:
            raise ValueError(f"{row.part}: `{row.key}` cannot be read by this version") from None

    def end(self) -> None:
        """Look at what only all rows together tell."""
        if missing := self._named - self._bundles:
            raise ValueError(f"bundle `{min(missing)}` is named and is not there")
        if self._last is None or max(self._tickets, default=0) > self._last:
            raise ValueError("a record is newer than the last ticket")

    def head(self, row: Row) -> None:
        head = HEAD.decode(row.text or "")
        self._heads += 1
        if head.version != self._heads or row.key != version_key(head.version):
            raise ValueError(f"heads: `{row.key}` is not version {self._heads}")
        self._named.add(head.bundle)

    def shadow(self, row: Row) -> None:
        (mark,) = row.numbers
        bundle = SHADOW.decode(row.text or "").bundle
        self._named |= {bundle} - {""}
        if mark < 1:
            raise ValueError("shadow: its mark is below 1")

    def bundle(self, row: Row) -> None:
        if content_hash(row.data) != row.key:
            raise ValueError(f"bundle `{row.key}` is damaged")
        self._bundles.add(row.key)

    def record(self, row: Row) -> None:
        kind, _, id = row.key.partition("/")
        rev, ticket, removed_at = row.numbers
        if kind not in TEXTS or not id:
            raise ValueError(f"records: `{kind}` is not a kind that this version knows")
        if ticket < 1 or ticket in self._tickets:
            raise ValueError(f"records: `{row.key}` has ticket {ticket}, as another one has")
        self._tickets.add(ticket)
        if removed_at < 0 or (row.text is None) != (removed_at > 0):
            raise ValueError(f"records: `{row.key}` is neither there nor removed")
        if row.text is not None:
            record = TEXTS[kind].decode(row.text)
            if (record.id, record.rev) != (id, rev):
                raise ValueError(f"records: `{row.key}` holds another record")

    def entry(self, row: Row) -> None:
        if ENTRY.decode(row.text or "").id != row.key:
            raise ValueError(f"audit: `{row.key}` holds another entry")

    def marks(self, row: Row) -> None:
        last, purged = row.numbers
        if not 0 <= purged <= last:
            raise ValueError("marks: what was forgotten is newer than the last ticket")
        self._last = last


def _refuse_impossible(row: Row) -> None:
    if len(row.numbers) != _NUMBERS[row.part] or any(abs(number) >= 1 << 63 for number in row.numbers):
        raise ValueError(f"{row.part}: `{row.key}` has other numbers than such a row has")
    if len((row.text or "").encode()) > MAX_RECORD:
        raise ValueError(f"{row.part}: `{row.key}` is longer than {MAX_RECORD} bytes")


_NUMBERS = {HEADS: 0, SHADOWED: 1, BUNDLES: 0, RECORDS: 3, AUDIT: 0, MARKS: 2}
_LOOKS = {
    HEADS: Checking.head,
    SHADOWED: Checking.shadow,
    BUNDLES: Checking.bundle,
    RECORDS: Checking.record,
    AUDIT: Checking.entry,
    MARKS: Checking.marks,
}
