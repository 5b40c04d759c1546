"""What is only ever added to in MongoDB: policy bundles, the history of the head, the audit trail.

The head is the record with the highest version. Moving it inserts the next version under its number,
which can succeed for one mover only and at one instant: there is no pointer that a crash could leave
dangling. A bundle is a list of pieces, each under the hash of its bytes, written before the list.
"""

import asyncio
from collections.abc import Sequence
from secrets import token_hex

from bson import Binary
from msgspec import structs
from pymongo import ASCENDING, DESCENDING, InsertOne, ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError

from gateway.audit import AuditEntry
from gateway.records import PolicyHead, ShadowHead
from gateway.store.base import Conflict, NotFound, Unavailable
from gateway.store.kinds import ENTRY, HEAD, SHADOW, at_least_one, content_hash, following, known
from gateway.store.mongo_client import Document, Wire, answering
from gateway.store.mongo_tickets import MARKS, STATE

BUNDLES, PIECES, HEADS, AUDIT = "bundles", "pieces", "heads", "audit"
PIECE = 512 * 1024  # bytes
PURGE_AT_ONCE = 500  # entries, so that no single command takes long

_DUPLICATE = 11000


class Bundles:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def head(self) -> PolicyHead | None:
        latest = await self.history(1)
        return latest[0] if latest else None

    async def version(self) -> int:
        """The version of the head, 0 when there is none."""
        with answering():
            latest = self._wire.collection(HEADS).find({}, {"_id": 1}).sort("_id", DESCENDING).limit(1)
            return max([int(head["_id"]) async for head in latest], default=0)

    async def put(self, bundle: str, body: bytes) -> None:
        if await asyncio.to_thread(content_hash, body) != bundle:
            raise ValueError(f"`{bundle}` is not the hash of this bundle")
        pieces = [body[start : start + PIECE] for start in range(0, len(body), PIECE)]
        names = await asyncio.to_thread(lambda: [content_hash(piece) for piece in pieces])
        for name, piece in zip(names, pieces, strict=True):
            await self._keep(PIECES, name, {"data": Binary(piece)})
        await self._keep(BUNDLES, bundle, {"pieces": names})

    async def get(self, bundle: str) -> bytes:
        with answering():
            manifest = await self._wire.collection(BUNDLES).find_one({"_id": bundle})
            pieces = [await self._piece(name) for name in (manifest or {}).get("pieces", ())]
        body = b"".join(pieces)
        if manifest is None or await asyncio.to_thread(content_hash, body) != bundle:
            raise NotFound(f"bundle `{bundle}` is absent or damaged: apply the policy again")
        return body

    async def move_head(self, expected: int, head: PolicyHead) -> None:
        document = {"_id": following(head, expected).version, "body": HEAD.encode(head), "mover": token_hex(16)}
        current = await self.version()
        if current != expected:
            raise _moved(current, expected)
        await self._refuse_unknown(head.bundle)
        await self._wire.write(lambda: self._next_head(document))

    async def history(self, limit: int = 50) -> Sequence[PolicyHead]:
        with answering():
            latest = self._wire.collection(HEADS).find({}).sort("_id", DESCENDING).limit(at_least_one(limit))
            return [HEAD.decode(head["body"]) async for head in latest]

    async def shadow(self) -> ShadowHead | None:
        with answering():
            marks = await self._wire.collection(STATE).find_one({"_id": MARKS})
        return None if marks is not None and "shadow" not in marks else _shadow(marks)

    async def set_shadow(self, shadow: ShadowHead) -> ShadowHead:
        if shadow.bundle:
            await self._refuse_unknown(shadow.bundle)
        change = {"$inc": {"shadow": 1}, "$set": {"shadow_body": SHADOW.encode(shadow)}}
        state = self._wire.collection(STATE)
        marks = await self._wire.write(
            lambda: state.find_one_and_update({"_id": MARKS}, change, return_document=ReturnDocument.AFTER)
        )
        return _shadow(marks)

    async def _refuse_unknown(self, bundle: str) -> None:
        with answering():
            found = await self._wire.collection(BUNDLES).find_one({"_id": bundle}, {"_id": 1})
        if found is None:
            raise NotFound(f"there is no bundle `{bundle}`: put it first")

    async def _next_head(self, document: Document) -> None:
        heads, version = self._wire.collection(HEADS), document["_id"]
        try:
            await heads.insert_one(document)
        except DuplicateKeyError:
            # Our own, when the driver sent it twice because an answer was lost.
            if await heads.find_one({"_id": version, "mover": document["mover"]}) is None:
                raise _moved(version, version - 1) from None

    async def _piece(self, name: str) -> bytes:
        piece = await self._wire.collection(PIECES).find_one({"_id": name})
        return bytes(piece["data"]) if piece else b""

    async def _keep(self, collection: str, name: str, fields: Document) -> None:
        """Write what its name determines; whoever else writes it at the same time writes the same."""

        async def work() -> None:
            try:
                await self._wire.collection(collection).replace_one({"_id": name}, fields, upsert=True)
            except DuplicateKeyError:
                return

        await self._wire.write(work)


class AuditTrail:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        inserts = [InsertOne(_audit_document(entry)) for entry in entries]
        if inserts:
            await self._wire.write(lambda: self._insert(inserts))

    async def scan(
        self, after: str = "", limit: int = 100, *, subject: str = "", newest: bool = False
    ) -> Sequence[AuditEntry]:
        query: Document = {"subject": subject} if subject else {}
        if after:
            query["_id"] = {"$lt" if newest else "$gt": after}
        order = DESCENDING if newest else ASCENDING
        with answering():
            found = self._wire.collection(AUDIT).find(query, {"body": 1}).sort("_id", order).limit(at_least_one(limit))
            return [ENTRY.decode(entry["body"]) async for entry in found]

    async def purge(self, before: int) -> int:
        purged = 0
        while True:
            done, more = await self._wire.write(lambda: self._purge_some(before))
            purged += done
            if not more:
                return purged

    async def _insert(self, inserts: list[InsertOne[Document]]) -> None:
        try:
            await self._wire.collection(AUDIT).bulk_write(inserts, ordered=False)
        except BulkWriteError as error:
            codes = {failure["code"] for failure in error.details["writeErrors"]} - {_DUPLICATE}
            if codes or error.details["writeConcernErrors"]:
                raise Unavailable(f"the database did not take the audit entries (codes {sorted(codes)})") from None

    async def _purge_some(self, before: int) -> tuple[int, bool]:
        """How many of the oldest entries were removed, and whether there may be more."""
        audit = self._wire.collection(AUDIT)
        old = audit.find({"at": {"$lt": before}}, {"_id": 0, "at": 1}).sort("at", ASCENDING).limit(PURGE_AT_ONCE)
        times = [int(entry["at"]) async for entry in old]
        more = len(times) == PURGE_AT_ONCE
        until = times[-1] + 1 if more else before
        return (await audit.delete_many({"at": {"$lt": until}})).deleted_count, more


def _shadow(marks: Document | None) -> ShadowHead:
    if marks is None:
        raise Unavailable("the database lost its state: restore it from a backup")
    return structs.replace(SHADOW.decode(marks["shadow_body"]), mark=marks["shadow"])


def _moved(current: int, expected: int) -> Conflict:
    return Conflict(f"the policy is at version {current}, not at {expected}: plan again")


def _audit_document(entry: AuditEntry) -> Document:
    return {"_id": known(entry.id), "at": entry.at, "subject": entry.subject, "body": ENTRY.encode(entry)}
