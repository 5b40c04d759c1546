"""What carries the address of an account beside its own record, and has to end with it: a later account under that
address must inherit nothing.

It is found in what this process holds in memory, or read out of the whole store; nothing here asks who may do it.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol, TypeVar

from gateway.servers.rows import KIND as OF_A_SERVER
from gateway.snapshot import Snapshot
from gateway.store.base import NotFound, Records, Store


class Kept(Protocol):
    """Any record."""

    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=Kept)

PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Remains:
    """Ids of records, by kind."""

    keys: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    sign_ins: tuple[str, ...] = ()
    mailed_codes: tuple[str, ...] = ()
    end_users: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()

    def __or__(self, more: "Remains") -> "Remains":
        """Those of both, each once."""
        names = [each.name for each in fields(self)]
        return Remains(**{name: tuple(dict.fromkeys((*getattr(self, name), *getattr(more, name)))) for name in names})


async def read_through(store: Store, user: str) -> Remains:
    """Everything of ``user`` (an address) that the store holds, expired or not."""
    name = f"user:{user}"
    servers = tuple([each.id async for each in every(store.servers) if each.owner == name])
    return await of_servers(store, servers) | Remains(
        keys=tuple([each.id async for each in every(store.keys) if each.user == user]),
        grants=tuple([each.id async for each in every(store.grants) if name in each.row[:3]]),
        connections=tuple([each.id async for each in every(store.connections) if each.owner == name]),
        tools=tuple([each.id async for each in every(store.tools) if each.owner == name]),
        prompts=tuple([each.id async for each in every(store.prompts) if each.owner == name]),
        servers=servers,
        **await _passing(store, name),
    )


async def remembered(store: Store, snapshot: Snapshot, user: str) -> Remains:
    """The same from ``snapshot``, which has all that lasts and lives; only what passes soon is read in the store."""
    name = f"user:{user}"
    servers = tuple(each.id for each in snapshot.servers.of(name))
    return await of_servers(store, servers) | Remains(
        keys=keys_of(snapshot, user),
        grants=tuple(each for each in snapshot.policy.grants_naming(name) if not each.startswith(f"{OF_A_SERVER}/")),
        connections=tuple(each.id for each in snapshot.connections if each.owner == name),
        tools=tuple(each.id for each in snapshot.custom.tools.of(name)),
        prompts=tuple(each.id for each in snapshot.custom.prompts.of(name)),
        servers=servers,
        **await _passing(store, name),
    )


async def of_end_user(store: Store, snapshot: Snapshot, names: Collection[str]) -> Remains:
    """What one end user left under his ``names``, one on each server of his tenant."""
    return Remains(
        grants=tuple(grant for name in names for grant in snapshot.policy.grants_naming(name)),
        connections=tuple(each.id for each in snapshot.connections if each.owner in names),
        flows=tuple([each.id async for each in every(store.flows) if each.owner in names or each.by in names]),
    )


async def of_servers(store: Store, ids: Collection[str]) -> Remains:
    """What servers leave: connections and flows of their end users, keys that count there alone, grants that name them
    or their subjects. Expired or not.
    """
    if not ids:
        return Remains()

    def theirs(name: str) -> bool:
        kind, colon, rest = name.partition(":")
        return name in ids or (bool(colon) and kind in ("server", "end") and rest.partition("/")[0] in ids)

    flows = [each async for each in every(store.flows)]
    return Remains(
        keys=tuple([each.id async for each in every(store.keys) if each.servers and {*each.servers} <= {*ids}]),
        grants=tuple([each.id async for each in every(store.grants) if any(map(theirs, each.row[:3]))]),
        connections=tuple([each.id async for each in every(store.connections) if theirs(each.owner)]),
        flows=tuple(each.id for each in flows if theirs(each.domain) or theirs(each.owner) or theirs(each.by)),
    )


def keys_of(snapshot: Snapshot, user: str) -> tuple[str, ...]:
    """The ids of all keys under an address."""
    return tuple(each.id for each in snapshot.identities.keys.values() if each.user == user)


async def clear(store: Store, remains: Remains) -> bool:
    """Remove them all; whether there was anything."""
    gone = [
        await remove_all(store.servers, remains.servers),
        await remove_all(store.keys, remains.keys),
        await remove_all(store.sign_ins, remains.sign_ins),
        await remove_all(store.mailed_codes, remains.mailed_codes),
        await remove_all(store.grants, remains.grants),
        await remove_all(store.flows, remains.flows),
        await remove_all(store.connections, remains.connections),
        await remove_all(store.tools, remains.tools),
        await remove_all(store.prompts, remains.prompts),
        await remove_all(store.end_users, remains.end_users),
    ]
    return any(gone)


async def remove_all(records: Records[Any], ids: Iterable[str]) -> bool:
    """Remove records; whether there was one."""
    return any([await remove_if_there(records, id) for id in ids])


async def remove_if_there(records: Records[Any], id: str) -> bool:
    """Remove a record; whether there was one."""
    try:
        await records.remove(id)
    except NotFound:
        return False
    return True


async def every(records: Records[R]) -> AsyncIterator[R]:
    """All records of one kind, page by page, in order of id."""
    after = ""
    while page := await records.page(after, PAGE):
        for record in page:
            yield record
        after = page[-1].id


async def below(records: Records[R], beginning: str) -> AsyncIterator[R]:
    """All records of one kind whose ids begin so, page by page, in order of id."""
    after = beginning
    while page := [each for each in await records.page(after, PAGE) if each.id.startswith(beginning)]:
        for record in page:
            yield record
        after = page[-1].id


async def _passing(store: Store, name: str) -> dict[str, tuple[str, ...]]:
    """What is kept for minutes or hours, and so is not much; and what no process holds in memory."""
    return {
        "flows": tuple([each.id async for each in every(store.flows) if name in (each.owner, each.by)]),
        "sign_ins": tuple([each.id async for each in every(store.sign_ins) if each.subject == name]),
        "mailed_codes": tuple([each.id async for each in every(store.mailed_codes) if each.subject == name]),
        "end_users": tuple([each.id async for each in below(store.end_users, f"{name}/")]),
    }
