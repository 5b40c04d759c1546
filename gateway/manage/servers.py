"""Servers that users offer: made, seen, changed, deleted, and let in to by tokens, by one function for each operation.

Every one asks before it acts, with the whole record as it would be. A server is a loan by its owner: he alone writes
what lets somebody in, whoever else may administer servers. What a record means for the policy is known in
``gateway/servers``; here it is held against what must never be before it is written.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import structs

from connectors.base import Secret
from gateway.errors import Conflict, InvalidArguments, Unknown
from gateway.identity import normal_email
from gateway.manage.asking import Asker, Operation, now_of
from gateway.manage.granting import refusal
from gateway.manage.key_bounds import check_maker
from gateway.manage.office import Office
from gateway.manage.remains import clear, of_servers
from gateway.manage.stored import stored
from gateway.mcp.jsonrpc import quoted
from gateway.policy.engine import grant_rows
from gateway.policy.layers import BadPolicy
from gateway.policy.terms import Effect, Link, Rule
from gateway.records import Grant, Server, Signer
from gateway.servers import asked
from gateway.servers.forms import ServerRenewal, ServerWanted, ServerWish
from gateway.servers.opening import opened
from gateway.servers.reading import Draft, drafted, not_there, same_name, slug
from gateway.servers.restrictions import Known
from gateway.servers.rows import fits, grants_of
from gateway.servers.signers import context_of
from gateway.servers.tokens import graced, new_token
from gateway.store import base
from gateway.store.base import MAX_RECORD, NotFound
from gateway.vault import Vault

OBJECT: Final = "gateway/servers"

MOST: Final = 100
"""Servers that one owner can have."""
MOST_ROWS: Final = 4_000
"""Rows of the policy that may follow from one server."""
MOST_TOKENS: Final = 5
"""Tokens that count at the same time: the newest, and those in their grace period."""

_ROOM: Final = MAX_RECORD - 10_000
_USER: Final = "user:"
_BREATH: Final = 100
"""After how many servers that are asked about others get their turn."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Where servers are made: ``known`` finds out what connectors and actions an owner finds, ``vault`` seals the
    secrets of signers.
    """

    office: Office
    vault: Vault = field(repr=False)
    known: Callable[[str], Awaitable[Known]]


@dataclass(frozen=True, slots=True)
class Issued:
    """A server with its newest token, at the only moment at which that can be shown."""

    server: Server
    token: Secret


@dataclass(frozen=True, slots=True)
class Changed:
    """A server, and what its change let in, a sentence each."""

    server: Server
    opened: tuple[str, ...]


@stored
async def create(counter: Counter, asker: Asker, wish: ServerWish) -> Issued:
    """A new server of the asker's own, with its first token. Raises ``Denied``, ``InvalidArguments`` with all that is
    wrong, ``Conflict`` where he has one of that name.
    """
    office, now = counter.office, now_of(asker)
    blank = Server(id="", owner=asker.subject.name, name="")
    draft = _sound(drafted(blank, wish, new_id=_signer_id))
    asker.allow(_question_of("create", "manage", draft.server, wish.token_expires_in_days or None))
    await _check_names(counter, draft.server, blank)
    await office.catch_up()
    _refuse_another(office, draft.server, further=True)
    token, kept = new_token(office.ring, now, wish.token_expires_in_days)
    check_maker(asker, (), kept.expires_at)
    id = f"{slug(wish.name)}-{secrets.token_hex(4)}"
    record = _sealed(counter, draft, id, by=asker.subject.name, now=now)
    record = structs.replace(record, tokens=(kept,), created_at=now)
    await _check_loan(asker, record)
    return Issued(await _added(office, record), token)


@stored
async def list_servers(office: Office, asker: Asker, owner: str = "") -> tuple[Server, ...]:
    """The servers of ``owner`` (a subject, or an address; his own unless said; ``*`` for all) that the asker may see,
    in order of name. Raises ``Denied`` where he may not even see his own.
    """
    await office.catch_up()
    servers = office.snapshot().servers
    whose = asker.subject.name if not owner else owner if ":" in owner or owner == "*" else _account(owner)
    found = []
    for place, each in enumerate(servers.by_id.values() if whose == "*" else servers.of(whose)):
        if place % _BREATH == _BREATH - 1:
            await asyncio.sleep(0)
        if asker.may(_question("list", "inspect", each)):
            found.append(each)
    if not found:
        asker.allow(_question("list", "inspect", Server(id="", owner=asker.subject.name, name="")))
    return tuple(sorted(found, key=lambda each: (each.name.casefold(), each.id)))


@stored
async def read(office: Office, asker: Asker, id: str) -> Server:
    """The server ``id``. Raises ``Denied``, ``Unknown``."""
    return await _found(office, asker, id, "read", "inspect")


@stored
async def update(
    counter: Counter, asker: Asker, id: str, wanted: ServerWanted, *, revs: Collection[int] | None = None
) -> Changed:
    """The server ``id`` as ``wanted`` says, as a whole; with ``revs`` only where it is in one of these states. Raises
    ``Denied``, ``InvalidArguments`` with all that is wrong, ``Unknown``, ``Conflict``.
    """
    office, now = counter.office, now_of(asker)
    former = await _there(office, id) or _nowhere(asker)
    draft = _sound(drafted(former, wanted, new_id=_signer_id))
    asker.allow(_question("update", "manage", draft.server))
    if not former.id:
        raise _no_server(id)
    _refuse_moved(former, revs)
    opens = opened(former, draft.server)
    if opens:
        _check_opener(asker, former, opens[0])
    await _check_names(counter, draft.server, former)
    _refuse_another(office, draft.server)
    record = _sealed(counter, draft, id, by=asker.subject.name, now=now)
    if former.owner == asker.subject.name:
        await _check_loan(asker, record, [each.id for each in grants_of(former)])
    else:
        _rows_of(record)
    return Changed(await _replaced(office, former, record), opens)


@stored
async def delete(office: Office, asker: Asker, id: str, *, revs: Collection[int] | None = None) -> str:
    """End the server ``id``, with the connections of its end users, the keys for it alone and every grant that names
    it. Raises ``Denied``, ``Unknown``, ``Conflict``.

    The server goes first, which ends everything at once; what is left where this breaks off is of no use to anybody.
    """
    known = await _found(office, asker, id, "delete", "manage")
    _refuse_moved(known, revs)
    if revs is not None:
        await _put(office, structs.replace(known, tokens=()))
    try:
        await office.store.servers.remove(id)
    except NotFound:
        raise _no_server(id) from None
    await office.followed()
    await clear(office.store, await of_servers(office.store, (id,)))
    await office.followed()
    return id


@stored
async def regenerate(office: Office, asker: Asker, id: str, renewal: ServerRenewal) -> Issued:
    """A new token; the former ones count for the grace period that was asked for, and no longer. Raises ``Denied``,
    ``Unknown``, ``InvalidArguments``, ``Conflict``.
    """
    now = now_of(asker)
    known = await _there(office, id) or _nowhere(asker)
    days = renewal.token_expires_in_days
    days = asked.days_of(known) if isinstance(days, msgspec.UnsetType) else days
    asker.allow(_question_of("regenerate-token", "manage", known, days or None))
    if not known.id:
        raise _no_server(id)
    if known.owner != asker.subject.name:
        raise InvalidArguments("only its owner lets somebody in to a server; a token of it can be revoked")
    token, kept = new_token(office.ring, now, days)
    check_maker(asker, (id,), kept.expires_at)
    tokens = (kept, *graced(known.tokens, now, now + renewal.grace_seconds * 1000))
    record = structs.replace(known, tokens=tokens[:MOST_TOKENS], by=asker.subject.name, updated_at=now)
    return Issued(await _replaced(office, known, record), token)


@stored
async def revoke(office: Office, asker: Asker, id: str) -> Server:
    """The server ``id`` without any token, whatever others change meanwhile. Raises ``Denied``, ``Unknown``."""
    while True:
        known = await _found(office, asker, id, "revoke", "revoke")
        record = structs.replace(known, tokens=(), by=asker.subject.name, updated_at=now_of(asker))
        try:
            return await _replaced(office, known, record)
        except Conflict:
            continue


# -- what is asked, and of what


def _question(method: str, action: str, record: Server) -> Operation:
    return _question_of(method, action, record, asked.days_of(record))


def _question_of(method: str, action: str, record: Server, days: int | None) -> Operation:
    """The same where another token is to come, which counts for so many days."""
    return Operation(f"servers.{method}", OBJECT, action, record.owner, asked.args_of(record, days))


async def _found(office: Office, asker: Asker, id: str, method: str, action: str) -> Server:
    """The server, once it was allowed; of one that there is not, he is asked as of his own."""
    known = await _there(office, id)
    asker.allow(_question(method, action, known or _nowhere(asker)))
    if known is None:
        raise _no_server(id)
    return known


async def _there(office: Office, id: str) -> Server | None:
    """The newest state, and what this process holds follows it."""
    try:
        known = await office.store.servers.get(id)
    except ValueError:  # no store can hold such an id
        return None
    if known is not office.snapshot().servers.get(id):
        await office.catch_up()
    return known


def _nowhere(asker: Asker) -> Server:
    return Server(id="", owner=asker.subject.name, name="server")


def _sound(draft: Draft | Sequence[str]) -> Draft:
    if not isinstance(draft, Draft):
        raise InvalidArguments("; ".join(draft))
    return draft


async def _check_names(counter: Counter, record: Server, former: Server) -> None:
    """Raises ``InvalidArguments`` where it names what there is not."""
    if problems := [*not_there(record, former, await counter.known(record.owner))]:
        raise InvalidArguments("; ".join(problems))


def _check_opener(asker: Asker, record: Server, what: str) -> None:
    """Raises ``InvalidArguments`` where he, or the key that proves him, lets nobody in there; ``what`` is opened."""
    if record.owner != asker.subject.name:
        raise InvalidArguments(f"only its owner opens a server, and this does: {what}")
    check_maker(asker, (record.id,), None)


async def _check_loan(asker: Asker, record: Server, former: Sequence[str] = ()) -> None:
    """Raises ``InvalidArguments`` where its owner must not lend it so. ``former`` are the grants that end with it."""
    if sentence := await asyncio.to_thread(refusal, asker, *_rows_of(record), replacing=former):
        raise InvalidArguments(f"the server cannot be opened like this: {sentence}")


def _rows_of(record: Server) -> list[Rule | Link]:
    """What follows from it, as it is judged. Raises ``InvalidArguments`` where the policy cannot hold that."""
    with suppress(BadPolicy):  # of conditions that are longer once they are read
        if fits(record, MOST_ROWS) and len(msgspec.json.encode(record)) <= _ROOM:
            return [grant_rows(each) for each in _judged(record)]
    raise InvalidArguments("`restrictions`: they are too long for one server; use `*`, or several servers")


def _judged(record: Server) -> Iterable[Grant]:
    """What follows from it, where one row lets in all end users, instead of one for each: nothing that must never be
    tells these apart.
    """
    those = f"end:{record.id}/"
    found: dict[tuple[str, ...], Grant] = {}
    for each in grants_of(record):
        subject, *rest = each.row
        lets_in = subject.startswith(those) and rest[-1] == Effect.ALLOW
        row = (f"{those}*" if lets_in else subject, *rest)
        found.setdefault(row, structs.replace(each, row=row))
    return found.values()


# -- what is written


def _refuse_another(office: Office, record: Server, *, further: bool = False) -> None:
    """Raises ``Conflict`` where the owner has another one of that name, ``InvalidArguments`` where a ``further`` one is
    too many.
    """
    others = [each for each in office.snapshot().servers.of(record.owner) if each.id != record.id]
    if any(same_name(each.name, record.name) for each in others):
        raise Conflict(f"`name`: there is a server {quoted(record.name)} already; take another name")
    if further and len(others) >= MOST:
        raise InvalidArguments(f"there are {MOST} servers, which is all that fit; delete one that is not used")


def _refuse_moved(known: Server, revs: Collection[int] | None) -> None:
    if revs is not None and known.rev not in revs:
        raise Conflict("the server was changed since it was read; read it again", status=412)


async def _added(office: Office, record: Server) -> Server:
    """Of two that are made at the same moment, and of which one is too many, none stays: each maker looks once his own
    is there.
    """
    added = await office.store.servers.add(record)
    await office.catch_up()
    try:
        _refuse_another(office, added, further=True)
    except (Conflict, InvalidArguments):
        await office.store.servers.remove(added.id)
        await office.followed()
        raise
    return added


async def _replaced(office: Office, former: Server, record: Server) -> Server:
    """The record in the place of ``former``, followed; that one again where another server took the new name."""
    changed = await _put(office, record)
    await office.catch_up()
    if changed.name != former.name:
        try:
            _refuse_another(office, changed)
        except Conflict:
            await _put(office, structs.replace(former, rev=changed.rev))
            await office.followed()
            raise
    return changed


async def _put(office: Office, record: Server) -> Server:
    try:
        return await office.store.servers.replace(record)
    except (base.Conflict, NotFound):
        raise Conflict("the server was changed at the same moment; read it again, then change that") from None


def _sealed(counter: Counter, draft: Draft, id: str, *, by: str, now: int) -> Server:
    """The record as it is written, with what its new signers sign with."""

    def sealed(signer: Signer) -> Signer:
        secret = draft.secrets.get(signer.id)
        if secret is None:
            return signer
        text = counter.vault.seal(secret.reveal().encode(), context_of(id, signer.id))
        return structs.replace(signer, sealed=text)

    signers = tuple(map(sealed, draft.server.signers))
    return structs.replace(draft.server, id=id, signers=signers, by=by, updated_at=now)


def _signer_id() -> str:
    return secrets.token_hex(8)


def _account(email: str) -> str:
    try:
        return f"{_USER}{normal_email(email)}"
    except ValueError as error:
        raise InvalidArguments(f"`owner`: {error}") from None


def _no_server(id: str) -> Unknown:
    return Unknown(f"there is no server {quoted(id)}")
