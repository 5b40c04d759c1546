"""End users of a tenant: the people for whom somebody who offers servers asks. They are no accounts of the gateway.

A tenant is the account that asks, and nobody else: every record is found under his own name, so that no operation
here can tell anything of another's. Each function asks before it acts.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from unicodedata import normalize

from gateway.errors import Conflict, InvalidArguments, Unknown
from gateway.manage.asking import Asker, Operation, now_of
from gateway.manage.key_bounds import check_maker
from gateway.manage.office import Office
from gateway.manage.remains import below, clear, of_end_user, remove_if_there
from gateway.manage.stored import stored
from gateway.policy.terms import Json
from gateway.proofs.issued import HOUR_MS, MOST_SERVERS, Issued, issue
from gateway.records import EndUser
from gateway.servers.rows import end_user
from gateway.store import base

END_USERS: Final = "gateway/end-users"
MOST_NAME: Final = 200
"""Characters of a user name, and of a full name."""

MOST_ON_A_TOKEN: Final = MOST_SERVERS

_ID: Final = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Listed:
    """Some end users of the tenant who asks, of ``total``."""

    users: tuple[EndUser, ...]
    total: int


@stored
async def add_end_user(office: Office, asker: Asker, username: str, full_name: str = "") -> EndUser:
    """A new end user of the asker, whom no other of his is called like. Raises ``Conflict``, ``Denied``,
    ``InvalidArguments``.
    """
    called, whole, tenant = _name("username", username), _name("fullName", full_name), asker.subject.name
    if not called:
        raise InvalidArguments("`username`: give him a name")
    _allow(asker, "end-users.add", "manage", {"username": called, "fullName": whole})
    record = EndUser(
        id=f"{tenant}/{_id_of(tenant, called)}",
        tenant=tenant,
        username=called,
        full_name=whole,
        created_at=now_of(asker),
    )
    try:
        return await office.store.end_users.add(record)
    except base.Conflict:
        raise Conflict(f"`username`: you have an end user `{called}` already") from None


@stored
async def list_end_users(office: Office, asker: Asker, *, skip: int = 0, limit: int = 25) -> Listed:
    """Up to ``limit`` end users of the asker in a fixed order, without the first ``skip``. Raises ``Denied``."""
    _allow(asker, "end-users.list", "inspect", {})
    shown, total = [], 0
    async for each in below(office.store.end_users, f"{asker.subject.name}/"):
        if skip <= total < skip + limit:
            shown.append(each)
        total += 1
    return Listed(tuple(shown), total)


@stored
async def read_end_user(office: Office, asker: Asker, id: str) -> EndUser:
    """One end user of the asker. Raises ``Denied``, ``Unknown``."""
    _allow(asker, "end-users.read", "inspect", {"user": id})
    return await _found(office, asker, id)


@stored
async def delete_end_user(office: Office, asker: Asker, id: str) -> EndUser:
    """End an end user of the asker, with the accounts that he connected on the asker's servers. Raises ``Denied``,
    ``Unknown``.
    """
    _allow(asker, "end-users.delete", "revoke", {"user": id})
    record = await _found(office, asker, id)
    await office.catch_up()
    names = {end_user(each.id, id) for each in office.snapshot().servers.of(asker.subject.name)}
    await clear(office.store, await of_end_user(office.store, office.snapshot(), names))
    await remove_if_there(office.store.end_users, record.id)
    await office.followed()
    return record


@stored
async def token_of(office: Office, asker: Asker, id: str, servers: Sequence[str] = ()) -> Issued:
    """A token that proves an end user of the asker on ``servers`` of his (none named: on all on which he may stand for
    him), for an hour. Raises ``Denied``, ``InvalidArguments``, ``Unknown``.
    """
    mine = tuple(each.id for each in office.snapshot().servers.of(asker.subject.name))
    chosen = _all_of(asker, id, servers, mine) if servers else _any_of(asker, id, mine)
    await _found(office, asker, id)
    now = now_of(asker)
    check_maker(asker, chosen, now + HOUR_MS)
    try:
        return issue(office.ring, tenant=asker.subject.name, servers=chosen, name=id, now=now)
    except ValueError as error:
        raise InvalidArguments(f"`servers`: {error}") from None


def _all_of(asker: Asker, id: str, servers: Sequence[str], mine: Collection[str]) -> tuple[str, ...]:
    for each in servers:
        asker.allow(_acting(asker, each, id))
        if each not in mine:
            raise InvalidArguments(f"`servers`: you offer no server `{each[:100]}`")
    return tuple(dict.fromkeys(servers))


def _any_of(asker: Asker, id: str, mine: Sequence[str]) -> tuple[str, ...]:
    chosen = tuple(each for each in mine if asker.may(_acting(asker, each, id)))
    asker.allow(_acting(asker, next(iter(chosen or mine), ""), id))
    if not mine:
        raise InvalidArguments("a token counts on servers that you offer, and you offer none; make one first")
    return chosen


def _acting(asker: Asker, server: str, id: str) -> Operation:
    args: dict[str, Json] = {"server": server, "user": id}
    return Operation("end-users.token", END_USERS, "act-as", asker.subject.name, args)


def _allow(asker: Asker, method: str, action: str, args: Mapping[str, Json]) -> None:
    asker.allow(Operation(method, END_USERS, action, asker.subject.name, args))


async def _found(office: Office, asker: Asker, id: str) -> EndUser:
    """The record, looked for under the name of the asker and nowhere else."""
    found = await office.store.end_users.get(f"{asker.subject.name}/{id}") if _ID.fullmatch(id) else None
    if found is None:
        raise Unknown(f"you have no end user `{id[:80]}`")
    return found


def _id_of(tenant: str, username: str) -> str:
    """The same for the same name, so that of two who are added at once under one name one stays."""
    return sha256(f"{tenant}\0{username}".encode()).hexdigest()[:24]


def _name(field: str, text: str) -> str:
    plain = normalize("NFC", text.strip())
    if len(plain) > MOST_NAME or not plain.isprintable():
        raise InvalidArguments(f"`{field}`: a name has at most {MOST_NAME} characters, all of them printable")
    return plain
