"""What was planned, written: people first, each with the account's own record last, then what they made.

So an import that broke off can be repeated: who has an account has all that belongs to it. Nothing here asks who may
do it; it stands behind the command line of the operator.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from msgspec import structs

from connectors.base import Secret
from gateway.identity import KeyRing, new_key
from gateway.imports.planning import Arrival, Making, Plan
from gateway.imports.telling import Remarks
from gateway.manage.remains import remove_if_there
from gateway.manage.users import IssuedKey, key_record
from gateway.records import ApiKey, Connected, CustomPrompt, CustomTool, Grant, User
from gateway.store.base import Changes, Conflict, NotFound, Records, Store

A = TypeVar("A", User, ApiKey, Grant, Connected, CustomTool, CustomPrompt)
R = TypeVar("R", CustomTool, CustomPrompt)
T = TypeVar("T")

AT_ONCE: Final = 128
"""Writes under way together: the store makes one of them."""


@dataclass(slots=True)
class Written:
    """What is new in the store; ``keys`` are old ones that go on working."""

    users: int = 0
    keys: int = 0
    tools: int = 0
    prompts: int = 0
    grants: int = 0
    remarks: Remarks = field(default_factory=Remarks)


@dataclass(frozen=True, slots=True)
class Writing:
    """``reset`` makes new keys for all accounts that are made; ``issued`` is told each of them at once, because nobody
    can show it again. ``done`` is told how many things of the plan are written. ``now`` is in ms since the epoch.
    """

    store: Store
    ring: KeyRing
    now: int
    reset: bool
    issued: Callable[[IssuedKey], None]
    done: Callable[[int], None]


async def write(plan: Plan, there: Changes, writing: Writing) -> Written:
    """Write it. ``there`` is what the store held when it was planned. Raises ``Unavailable``."""
    written, store = Written(), writing.store
    await _sweep(plan, there, store)
    written.users = await _together(lambda each: _arrive(each, writing, written), plan.people, writing.done)
    written.tools = await _together(lambda each: _make(store.tools, each, store, written), plan.tools, writing.done)
    written.prompts = await _together(
        lambda each: _make(store.prompts, each, store, written), plan.prompts, writing.done
    )
    return written


async def _arrive(arrival: Arrival, writing: Writing, written: Written) -> bool:
    """Whether there is an account that was not there."""
    rows = await _put(writing.store.grants, arrival.grants)
    proof = await _proof(arrival, writing, written.remarks)
    if arrival.there:
        await _hide(arrival.user, writing.store)
    elif not await _added(writing.store.users, arrival.user):
        await _take_back(arrival, rows, proof, writing.store, written.remarks)
        return False
    elif proof.issued is not None:
        writing.issued(proof.issued)
    written.grants += len(rows)  # not before an await: others count meanwhile
    written.keys += proof.issued is None and proof.made != ""
    return not arrival.there


async def _take_back(arrival: Arrival, rows: Sequence[str], proof: "_Proof", store: Store, remarks: Remarks) -> None:
    """Somebody else made the account meanwhile: it stays as that one wanted it."""
    await _remove(store.grants, rows)
    await _remove(store.keys, [proof.made] if proof.made else [])
    remarks.left(f"user {arrival.user.id}", "was made by somebody else at the same moment, and stays as it is")


@dataclass(frozen=True, slots=True)
class _Proof:
    """The id of the key that was ``made``, ``""`` where one was there; ``issued`` is a new one that nobody knows."""

    made: str = ""
    issued: IssuedKey | None = field(default=None, repr=False)


async def _proof(arrival: Arrival, writing: Writing, remarks: Remarks) -> _Proof:
    """By which key the account is proven from now on: that of the dump, or a new one for an account that is made."""
    kept = await _kept_key(arrival, writing, remarks)
    if kept is not None:
        return _Proof(kept)
    if arrival.there:
        return _Proof()
    id, issued = await _new_key(arrival.user, writing)
    return _Proof(id, issued)


async def _kept_key(arrival: Arrival, writing: Writing, remarks: Remarks) -> str | None:
    """The id of the dump's key if it was made, ``""`` if it was there, ``None`` if it proves this account not."""
    if arrival.key is None or writing.reset:
        return None
    user = arrival.user.id
    for hashed in writing.ring.hashes(arrival.key.reveal()):
        found = await writing.store.keys.get(hashed)
        if found is not None:
            if found.user != user:
                remarks.refused(f"user {user}", "the key proves somebody else here: it is not taken")
            return "" if found.user == user else None
    record = key_record(writing.ring, arrival.key, arrival.user, now=writing.now)
    await writing.store.keys.add(record)
    return record.id


async def _new_key(user: User, writing: Writing) -> tuple[str, IssuedKey]:
    key = Secret(new_key())
    record = key_record(writing.ring, key, user, now=writing.now)
    await writing.store.keys.add(record)
    return record.id, IssuedKey(user.id, key, record.prefix, record.expires_at)


async def _hide(user: User, store: Store) -> None:
    """Keep what an account hides beside what it hid here."""
    known = await store.users.get(user.id)
    if known is None or set(user.hidden) <= set(known.hidden):
        return
    try:
        hidden = tuple(dict.fromkeys((*known.hidden, *user.hidden)))
        await store.users.replace(structs.replace(known, hidden=hidden))
    except (Conflict, NotFound):
        return  # he is changing it himself


async def _make(records: Records[R], making: Making[R], store: Store, written: Written) -> bool:
    rows = await _put(store.grants, making.grants)
    written.grants += len(rows)
    return await _added(records, making.record)


async def _put(records: Records[Grant], grants: Sequence[Grant]) -> list[str]:
    """The ids of those that are new."""
    fresh: list[str] = []

    async def put(grant: Grant) -> bool:
        if added := await _added(records, grant):
            fresh.append(grant.id)
        return added

    await _together(put, grants)
    return fresh


async def _sweep(plan: Plan, there: Changes, store: Store) -> None:
    """Remove what an earlier account left behind under an address that gets one now: it must not inherit. Rows that
    the dump itself tells of are those of an import that broke off.
    """
    names = {f"user:{each.user.id}" for each in plan.people if not each.there}
    await _remove(store.keys, [each.id for each in there.keys if f"user:{each.user}" in names])
    await _remove(store.grants, [e.id for e in there.grants if names & set(e.row[:3]) and e.id not in plan.told])
    await _remove(store.connections, [each.id for each in there.connections if each.owner in names])
    await _remove(store.tools, [each.id for each in there.tools if each.owner in names])
    await _remove(store.prompts, [each.id for each in there.prompts if each.owner in names])


async def _remove(records: Records[A], ids: Sequence[str]) -> None:
    await _together(lambda each: remove_if_there(records, each), ids)


async def _together(
    work: Callable[[T], Awaitable[bool]], things: Sequence[T], done: Callable[[int], None] = lambda _: None
) -> int:
    """How many of ``things`` the work did something with; ``done`` is told how many more are through. What was begun
    ends before a failure is raised.
    """
    count = 0
    for at in range(0, len(things), AT_ONCE):
        ended = await asyncio.gather(*map(work, things[at : at + AT_ONCE]), return_exceptions=True)
        for each in ended:
            if isinstance(each, BaseException):
                raise each
            count += each
        done(len(ended))
    return count


async def _added(records: Records[A], record: A) -> bool:
    """Whether it was not there."""
    try:
        await records.add(record)
    except Conflict:
        return False
    return True
