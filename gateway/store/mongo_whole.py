"""MongoDB row by row, for moves. A collection that is not named in ``COLLECTIONS`` is not moved."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

from pymongo import ASCENDING, ReplaceOne

from gateway.store.base import Conflict, Unavailable
from gateway.store.kinds import ENTRY
from gateway.store.mongo_client import Document, Wire, answering
from gateway.store.mongo_tickets import MARKS as MARKS_ID
from gateway.store.mongo_tickets import STATE
from gateway.store.mongo_trail import Bundles
from gateway.store.whole import AUDIT, BUNDLES, HEADS, MARKS, PAGE, RECORDS, SHADOW, Row, holds_something, version_key

COLLECTIONS: Final = {
    RECORDS: ("records",),
    HEADS: ("heads",),
    SHADOW: (STATE,),
    BUNDLES: ("bundles", "pieces"),
    AUDIT: ("audit",),
    MARKS: (STATE,),
}
"""Where the rows of each part stand."""

MOVING: Final = "moving"
"""The field of the marks that is 1 while the store is unfinished."""


def _record(document: Document) -> Row:
    removed_at = int(document["removed_at"])  # an `Int64`, which is not what it looks like
    numbers = (int(document["rev"]), int(document["ticket"]), removed_at)
    return Row(part=RECORDS, key=document["_id"], text=None if removed_at else document["body"], numbers=numbers)


def _record_document(row: Row) -> Document:
    rev, ticket, removed_at = row.numbers
    return {"_id": row.key, "rev": rev, "ticket": ticket, "removed_at": removed_at, "body": row.text or ""}


def _entry_document(row: Row) -> Document:
    entry = ENTRY.decode(row.text or "")
    return {"_id": row.key, "at": entry.at, "subject": entry.subject, "body": row.text}


_ROWS: Final[dict[str, tuple[Callable[[str], Any], Callable[[Document], Row], Callable[[Row], Document]]]] = {
    RECORDS: (str, _record, _record_document),
    HEADS: (
        lambda after: int(after or 0),
        lambda document: Row(part=HEADS, key=version_key(document["_id"]), text=document["body"]),
        lambda row: {"_id": int(row.key), "body": row.text, "mover": ""},
    ),
    AUDIT: (str, lambda document: Row(part=AUDIT, key=document["_id"], text=document["body"]), _entry_document),
}
"""Parts of one document per row: the id after a key, row of a document, document of a row."""


class Contents:
    """``gateway.store.whole.Contents`` over the wire to one database."""

    def __init__(self, wire: Wire, bundles: Bundles) -> None:
        self._wire = wire
        self._bundles = bundles
        self._single: dict[str, Callable[[Document], Row | None]] = {SHADOW: _shadow, MARKS: _marks}

    async def walk(self, part: str, after: str = "", limit: int = PAGE) -> Sequence[Row]:
        if part in self._single:
            row = self._single[part](await self._state()) if after < part else None
            return [] if row is None else [row]
        if part == BUNDLES:
            names = [document["_id"] async for document in self._after(BUNDLES, after, limit, {"_id": 1})]
            return [Row(part=BUNDLES, key=name, data=await self._bundles.get(name)) for name in names]
        id_after, row_of, _ = _ROWS[part]
        return [row_of(document) async for document in self._after(part, id_after(after), limit, None)]

    async def load(self, part: str, rows: Sequence[Row]) -> None:
        if not (await self._state()).get(MOVING):
            raise Conflict("the store is in use: only an unfinished one is written row by row")
        if part in _ROWS:
            await self._replace(part, [_ROWS[part][2](row) for row in rows])
            return
        for row in rows:
            if part == BUNDLES:
                await self._bundles.put(row.key, row.data)
            else:
                await self._set(_shadow_fields(row) if part == SHADOW else _marks_fields(row))

    async def begin(self) -> None:
        if not (await self._state()).get(MOVING):
            if await holds_something(self):
                raise Conflict("the store holds something already: name an empty one")
            await self._set({MOVING: 1})

    async def end(self) -> None:
        await self._set({MOVING: 0})

    async def _after(self, part: str, after: Any, limit: int, fields: dict[str, int] | None) -> AsyncIterator[Document]:
        (name, *_) = COLLECTIONS[part]
        with answering():
            found = self._wire.collection(name).find({"_id": {"$gt": after}}, fields).sort("_id", ASCENDING)
            async for document in found.limit(limit):
                yield document

    async def _state(self) -> Document:
        with answering():
            state = await self._wire.collection(STATE).find_one({"_id": MARKS_ID})
        if state is None:
            raise Unavailable("the database lost its state: restore it from a backup")
        return state

    async def _set(self, fields: Document) -> None:
        state = self._wire.collection(STATE)
        await self._wire.write(lambda: state.update_one({"_id": MARKS_ID}, {"$set": fields}))

    async def _replace(self, part: str, documents: Sequence[Document]) -> None:
        (name,) = COLLECTIONS[part]
        changes = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents]

        def work() -> Awaitable[Any]:
            return self._wire.collection(name).bulk_write(changes, ordered=False)

        if changes:
            await self._wire.write(work)


def _shadow(state: Document) -> Row | None:
    if "shadow" not in state:
        return None
    return Row(part=SHADOW, key="shadow", text=state["shadow_body"], numbers=(int(state["shadow"]),))


def _shadow_fields(row: Row) -> Document:
    return {"shadow": row.numbers[0], "shadow_body": row.text}


def _marks(state: Document) -> Row:
    return Row(part=MARKS, key="marks", numbers=(int(state["last"]), int(state["purged"])))


def _marks_fields(row: Row) -> Document:
    """Nobody writes into an unfinished store, so all its tickets have settled."""
    last, purged = row.numbers
    return {"last": last, "settled": last, "purged": purged}
