"""The production store: MongoDB, replica set or sharded, with what every MongoDB-like server can do.

What belongs here is the meaning of the records' methods in single-document operations with client-made ids
and ``rev`` guards, and the schema. Never: transactions, change streams, foreign text as a field name.
"""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Generic

from msgspec import structs
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from gateway.records import (
    ApiKey,
    Checkpoint,
    Connected,
    CustomPrompt,
    CustomTool,
    EndUser,
    Flow,
    Grant,
    MailedCode,
    Pins,
    Registration,
    Server,
    SignIn,
    Tally,
    User,
    Worker,
)
from gateway.store import mongo_trail, mongo_whole, whole
from gateway.store.base import KEEP_REMOVED_MS, AuditTrail, Bundles, Changes, Conflict, Heads, Records
from gateway.store.kinds import (
    CHECKPOINTS,
    CONNECTIONS,
    END_USERS,
    FLOWS,
    GRANTS,
    KEYS,
    MAILED_CODES,
    PINS,
    PROMPTS,
    REGISTRATIONS,
    SERVERS,
    SIGN_INS,
    TALLIES,
    TEXTS,
    TOOLS,
    USERS,
    WORKERS,
    R,
    at_least_one,
    changes,
    known,
    missing,
)
from gateway.store.mongo_client import LOG, Document, Wire, answering
from gateway.store.mongo_tickets import MARKS, SETTLE_AFTER, STATE, Tickets, unbroken_from

SCHEMA = 1
RECORDS = "records"
_LIVE = {"removed_at": 0}


class MongoStore:
    """A ``Store`` in one MongoDB database, ``filling`` when it is to be opened although a move into it did not end.
    ``clock`` gives steady seconds, ``now_ms`` the time of day.
    """

    def __init__(
        self,
        uri: str,
        *,
        database: str = "ostiary",
        filling: bool = False,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clock: Callable[[], float] = time.monotonic,
        settle_after: float = SETTLE_AFTER,
    ) -> None:
        if not re.fullmatch(r"[a-z0-9_]{1,60}", database):
            raise ValueError(f"the database name `{database}` is not made of a-z, 0-9 and `_`: choose such a name")
        self._name = database
        self._filling = filling
        self._now_ms = now_ms
        self._wire = Wire(uri, database)
        self._tickets = Tickets(self._wire, clock=clock, settle_after=settle_after)
        self.users: Records[User] = _Records(self._wire, self._tickets, USERS, now_ms)
        self.keys: Records[ApiKey] = _Records(self._wire, self._tickets, KEYS, now_ms)
        self.grants: Records[Grant] = _Records(self._wire, self._tickets, GRANTS, now_ms)
        self.pins: Records[Pins] = _Records(self._wire, self._tickets, PINS, now_ms)
        self.connections: Records[Connected] = _Records(self._wire, self._tickets, CONNECTIONS, now_ms)
        self.tools: Records[CustomTool] = _Records(self._wire, self._tickets, TOOLS, now_ms)
        self.prompts: Records[CustomPrompt] = _Records(self._wire, self._tickets, PROMPTS, now_ms)
        self.servers: Records[Server] = _Records(self._wire, self._tickets, SERVERS, now_ms)
        self.end_users: Records[EndUser] = _Records(self._wire, self._tickets, END_USERS, now_ms)
        self.flows: Records[Flow] = _Records(self._wire, self._tickets, FLOWS, now_ms)
        self.sign_ins: Records[SignIn] = _Records(self._wire, self._tickets, SIGN_INS, now_ms)
        self.mailed_codes: Records[MailedCode] = _Records(self._wire, self._tickets, MAILED_CODES, now_ms)
        self.registrations: Records[Registration] = _Records(self._wire, self._tickets, REGISTRATIONS, now_ms)
        self.tallies: Records[Tally] = _Records(self._wire, self._tickets, TALLIES, now_ms)
        self.workers: Records[Worker] = _Records(self._wire, self._tickets, WORKERS, now_ms)
        self.checkpoints: Records[Checkpoint] = _Records(self._wire, self._tickets, CHECKPOINTS, now_ms)
        self._policies = mongo_trail.Bundles(self._wire)
        self.bundles: Bundles = self._policies
        self.audit: AuditTrail = mongo_trail.AuditTrail(self._wire)
        self.contents: whole.Contents = mongo_whole.Contents(self._wire, self._policies)

    def __repr__(self) -> str:
        return f"MongoStore(database={self._name!r})"

    async def open(self) -> None:
        if self._wire.open():
            async with AsyncExitStack() as undo:
                undo.push_async_callback(self._wire.close)
                await self._bring_up()
                undo.pop_all()

    async def close(self) -> None:
        await self._wire.close()

    async def heads(self) -> Heads:
        with answering():
            marks = await self._tickets.read()
            return Heads(policy=await self._policies.version(), changes=marks.last, shadow=marks.shadow)

    async def changes(self, after: int) -> Changes:
        with answering():
            marks = await self._tickets.read()  # before the records: see mongo_tickets
            whole = after <= 0 or after < marks.purged or after > marks.last
            rows = await self._changed(0 if whole else after)
            if not whole and after < (await self._tickets.read()).purged:  # forgotten while we were reading
                whole, rows = True, await self._changed(0)
            await self._tickets.settle(marks)
        start = max(marks.settled, after if after <= marks.last else 0)
        seq = unbroken_from(start, (row["ticket"] for row in rows))
        return changes((_row(row) for row in rows), seq=seq, whole=whole)

    async def _bring_up(self) -> None:
        with answering():
            hello = await self._wire.database.command("hello")
            if "setName" not in hello and hello.get("msg") != "isdbgrid":
                LOG.warning("MongoDB is a single server: run a replica set, so that the gateway survives its loss")
            await self._recognise()
            await self._wire.collection(RECORDS).create_index([("ticket", ASCENDING)])
            await self._wire.collection(mongo_trail.AUDIT).create_index([("at", ASCENDING)])
            await self._wire.collection(mongo_trail.AUDIT).create_index([("subject", ASCENDING), ("_id", ASCENDING)])
        if not self._filling:  # what is being moved stays as it is
            await self._wire.write(self._forget_removed)

    async def _changed(self, after: int) -> list[Document]:
        found = self._wire.collection(RECORDS).find({"ticket": {"$gt": after}}).sort("ticket", ASCENDING)
        return [row async for row in found]

    async def _recognise(self) -> None:
        """Make a new database ours; ``ValueError`` when it is another program's or a newer version's."""
        state = self._wire.collection(STATE)
        marks = await state.find_one({"_id": MARKS})
        if marks is None:
            names = await self._wire.database.list_collection_names()
            marks = await state.find_one({"_id": MARKS})  # another process may have made them just now
            if marks is None and any(name != STATE and not name.startswith("system.") for name in names):
                raise ValueError(f"the database `{self._name}` holds what this program did not make: name another one")
        if marks is None:
            marks = {"_id": MARKS, "schema": SCHEMA, "last": 0, "settled": 0, "purged": 0}
            with suppress(DuplicateKeyError):  # another process of this version was faster
                await state.insert_one(marks)
        if (schema := marks["schema"]) > SCHEMA:
            place = f"the database `{self._name}` has schema {schema}, newer than {SCHEMA}"
            raise ValueError(f"{place}: run the newer version of this program")
        if marks.get(mongo_whole.MOVING) and not self._filling:
            raise ValueError(f"the database `{self._name}`: {whole.UNFINISHED}")

    async def _forget_removed(self) -> None:
        """Drop what is left of records removed long ago; who asks from further back gets everything."""
        records = self._wire.collection(RECORDS)
        marks = await self._tickets.read()
        old = {"removed_at": {"$gt": 0, "$lt": self._now_ms() - KEEP_REMOVED_MS}}
        newest = max([row["ticket"] async for row in records.find(old, {"ticket": 1})], default=0)
        if newest and (newest <= marks.purged or await self._tickets.forget(marks, newest)):
            await records.delete_many({**old, "ticket": {"$lte": newest}})


class _Records(Generic[R]):
    """Records of one kind. A removed one stays as a row without body, so that its removal has a ticket."""

    def __init__(self, wire: Wire, tickets: Tickets, kind: str, now_ms: Callable[[], int]) -> None:
        self._wire = wire
        self._tickets = tickets
        self._kind = kind
        self._now_ms = now_ms
        self._text = TEXTS[kind]

    async def get(self, id: str) -> R | None:
        with answering():
            row = await self._wire.collection(RECORDS).find_one({"_id": self._key(id), **_LIVE})
        return None if row is None else self._text.decode(row["body"])

    async def add(self, record: R) -> R:
        self._text.encode(record)  # what cannot be kept costs no ticket
        key = self._key(record.id)
        stored = await self._wire.write(lambda: self._insert(key, record))
        if stored is None:
            raise Conflict(f"{self._kind}: `{record.id}` exists already")
        return stored

    async def replace(self, record: R) -> R:
        stored = structs.replace(record, rev=record.rev + 1)
        guard = {"_id": self._key(record.id), "rev": record.rev, **_LIVE}
        fields = {"rev": stored.rev, "body": self._text.encode(stored)}
        if not await self._wire.write(lambda: self._update(guard, fields)):
            if await self.get(record.id) is None:
                raise missing(self._kind, record.id)
            raise Conflict(f"{self._kind}: `{record.id}` was changed meanwhile: read it again")
        return stored

    async def remove(self, id: str) -> None:
        guard = {"_id": self._key(id), **_LIVE}
        fields = {"rev": 0, "removed_at": self._now_ms(), "body": ""}
        if not await self._wire.write(lambda: self._update(guard, fields)):
            raise missing(self._kind, id)

    async def page(self, after: str = "", limit: int = 100) -> Sequence[R]:
        after.encode()
        bounds = {"$gt": f"{self._kind}/{after}", "$lt": f"{self._kind}0"}  # `0` is what follows `/`
        with answering():
            rows = self._wire.collection(RECORDS).find({"_id": bounds, **_LIVE}, {"body": 1}).sort("_id", ASCENDING)
            return [self._text.decode(row["body"]) async for row in rows.limit(at_least_one(limit))]

    def _key(self, id: str) -> str:
        return f"{self._kind}/{known(id)}"

    async def _insert(self, key: str, record: R) -> R | None:
        """The record as it now is there, unless there was one. Tickets rise faster than any ``rev``."""
        ticket = await self._tickets.take()
        stored = structs.replace(record, rev=ticket)
        fields = {"rev": ticket, "removed_at": 0, "body": self._text.encode(stored)}
        try:
            await self._wire.collection(RECORDS).insert_one({"_id": key, "ticket": ticket, **fields})
        except DuplicateKeyError:
            if not await self._wrote(key, ticket):
                guard = {"_id": key, "removed_at": {"$gt": 0}}
                return stored if await self._update(guard, fields) else None
        await self._see_to_it(key, ticket)
        return stored

    async def _update(self, guard: Document, fields: Document) -> bool:
        """Whether the guard matched and the fields are now there."""
        ticket = await self._tickets.take()
        change = {"$set": {"ticket": ticket, **fields}}
        matched = (await self._wire.collection(RECORDS).update_one(guard, change)).matched_count
        if not matched and not await self._wrote(guard["_id"], ticket):
            return False
        await self._see_to_it(guard["_id"], ticket)
        return True

    async def _wrote(self, key: str, ticket: int) -> bool:
        """Whether the refused write is our own, which the driver sent twice because an answer was lost."""
        return await self._wire.collection(RECORDS).find_one({"_id": key, "ticket": ticket}) is not None

    async def _see_to_it(self, key: str, ticket: int) -> None:
        """Move the record to a new ticket while readers may have gone past the one it has: see mongo_tickets."""
        records = self._wire.collection(RECORDS)
        while await self._tickets.passed(ticket):
            old, ticket = ticket, await self._tickets.take()
            moved = await records.update_one({"_id": key, "ticket": old}, {"$set": {"ticket": ticket}})
            if not moved.matched_count and not await self._wrote(key, ticket):
                return  # changed again: that writer sees to it


def _row(row: dict[str, Any]) -> tuple[str, str, str | None]:
    kind, _, id = row["_id"].partition("/")
    return kind, id, row["body"] if row["removed_at"] == 0 else None
