"""Accounts, their keys and their roles: one function per operation, over the store.

Nothing here asks who may do it, and nothing leaves an audit entry: both belong to the door through which
the operation came. Every change binds elsewhere as soon as the followers have seen it.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from msgspec import structs

from connectors.base import Secret
from gateway.identity import PREFIX_LENGTH, KeyRing, new_key, normal_email
from gateway.policy.rows import link_sentences
from gateway.records import ApiKey, Connected, Flow, Grant, User
from gateway.store.base import Conflict, NotFound, Records, Store

R = TypeVar("R", User, ApiKey, Grant, Connected, Flow)

ROLE: Final = "role"
"""The ``kind`` of a grant that gives a role; its row is (``user:EMAIL``, ``role:NAME``, domain)."""

EVERYWHERE: Final = "*"
ADMIN_ROLES: Final = ("admin", "security")
"""What the first account gets: administration of people, and of the policy itself."""

PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key at the only moment at which it can be shown."""

    user: str
    key: Secret
    prefix: str
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class Role:
    """A role given at run time; ``name`` is without ``role:``."""

    name: str
    domain: str
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class Account:
    """All that may be told of a user: never a key, only its prefix."""

    user: User
    roles: tuple[Role, ...]
    keys: tuple[ApiKey, ...]


async def add_user(
    store: Store,
    ring: KeyRing,
    email: str,
    *,
    author: str,
    now: int,
    name: str = "",
    roles: Iterable[str] = (),
    expires_at: int | None = None,
) -> IssuedKey:
    """A new account with its roles (everywhere) and its first key.

    The account's own record comes last: before it, neither key nor roles count, so an attempt that broke off
    can be repeated. Raises ``Conflict`` when there is one already, ``ValueError`` with a sentence.
    """
    id = normal_email(email)
    rows = [_role_row(id, role, EVERYWHERE) for role in roles]
    user = User(id=id, name=_display_name(name), created_at=now)
    if await store.users.get(id) is not None:
        raise Conflict(f"there is a user `{id}` already")
    await _sweep_grants(store, id)
    await _sweep_connections(store, id)
    for row in rows:
        grant = Grant(id=_role_id(row), kind=ROLE, row=row, made_by=author, created_at=now)
        await _add_if_absent(store, grant)
    issued, record = _issue(ring, user, now, expires_at)
    await store.keys.add(record)
    try:
        await store.users.add(user)
    except Conflict:
        await store.keys.remove(record.id)
        raise
    return issued


async def list_users(store: Store) -> list[Account]:
    """Every account, in order of address."""
    roles: dict[str, list[Role]] = {}
    keys: dict[str, list[ApiKey]] = {}
    async for grant in _all(store.grants):
        if grant.kind == ROLE:
            role = Role(grant.row[1].removeprefix("role:"), grant.row[2], grant.expires_at)
            roles.setdefault(grant.row[0].removeprefix("user:"), []).append(role)
    async for key in _all(store.keys):
        keys.setdefault(key.user, []).append(key)
    return [
        Account(
            user,
            tuple(roles.get(user.id, ())),
            tuple(key for key in keys.get(user.id, ()) if key.created_at >= user.created_at),
        )
        async for user in _all(store.users)
    ]


async def reset_key(store: Store, ring: KeyRing, email: str, *, now: int, expires_at: int | None = None) -> IssuedKey:
    """A new key for an account whose keys so far end here. Raises ``NotFound``."""
    user = await _user(store, email)
    await _end_keys(store, user.id)
    issued, record = _issue(ring, user, now, expires_at)
    await store.keys.add(record)
    return issued


async def delete_user(store: Store, email: str) -> None:
    """End an account, its keys and connections, and the grants to it or from what is its own.

    Platforms are not told of connections that are removed so. The account goes first, which ends everything at once;
    repeating a deletion that broke off clears the rest. Raises ``NotFound`` when nothing was there.
    """
    id = normal_email(email)
    found = await _remove_if_there(store.users, id)
    found = await _end_keys(store, id) or found
    found = await _sweep_grants(store, id) or found
    found = await _sweep_connections(store, id) or found
    if not found:
        raise _no_user(id)


async def give_role(
    store: Store,
    email: str,
    role: str,
    *,
    author: str,
    now: int,
    domain: str = EVERYWHERE,
    expires_at: int | None = None,
) -> None:
    """Give an account a role in a domain; the last giving counts. Raises ``NotFound``, ``ValueError``."""
    user = await _user(store, email)
    row = _role_row(user.id, role, domain)
    grant = Grant(id=_role_id(row), kind=ROLE, row=row, made_by=author, created_at=now, expires_at=expires_at)
    if await _add_if_absent(store, grant):
        return
    known = await store.grants.get(grant.id)
    if known is not None and known.expires_at != expires_at:
        await store.grants.replace(structs.replace(grant, rev=known.rev))


async def withdraw_role(store: Store, email: str, role: str, *, domain: str = EVERYWHERE) -> None:
    """Take a role back that was given in this very domain. Raises ``NotFound``, ``ValueError``."""
    row = _role_row(normal_email(email), role, domain)
    if not await _remove_if_there(store.grants, _role_id(row)):
        raise NotFound(f"`{row[0]}` was not given `{row[1]}` in `{domain}`; a role from a policy file ends there")


async def bootstrap_admin(store: Store, ring: KeyRing, email: str, *, now: int) -> IssuedKey | None:
    """The first account of an empty store, with its key; ``None`` when there is any account already."""
    if await store.users.page(limit=1):
        return None
    try:
        return await add_user(store, ring, email, author="bootstrap", now=now, name="Administrator", roles=ADMIN_ROLES)
    except Conflict:
        return None  # another node was first


def _issue(ring: KeyRing, user: User, now: int, expires_at: int | None) -> tuple[IssuedKey, ApiKey]:
    text = new_key()
    prefix = text[:PREFIX_LENGTH]
    record = ApiKey(
        id=ring.hash(text),
        secret_id=ring.current,
        user=user.id,
        prefix=prefix,
        created_at=max(now, user.created_at),  # a key older than its account does not count
        expires_at=expires_at,
    )
    return IssuedKey(user.id, Secret(text), prefix, expires_at), record


def _role_row(email: str, role: str, domain: str) -> tuple[str, str, str]:
    """The ``g`` row that gives ``role`` (with or without ``role:``). Raises ``ValueError``."""
    row = (f"user:{email}", f"role:{role.removeprefix('role:')}", domain)
    if sentences := link_sentences(row):
        raise ValueError("; ".join(sentences))
    return row


def _role_id(row: tuple[str, str, str]) -> str:
    """The id of the one grant of this row, so that a role is never given twice."""
    member, role, domain = row
    return f"{role}/{domain}/{member.removeprefix('user:')}"


def _display_name(name: str) -> str:
    plain = name.strip()
    if len(plain) > 200 or not plain.isprintable():
        raise ValueError("a name has at most 200 characters, all of them printable")
    return plain


async def _user(store: Store, email: str) -> User:
    id = normal_email(email)
    user = await store.users.get(id)
    if user is None:
        raise _no_user(id)
    return user


def _no_user(id: str) -> NotFound:
    return NotFound(f"there is no user `{id}`")


async def _end_keys(store: Store, user: str) -> bool:
    ended = [key.id async for key in _all(store.keys) if key.user == user]
    return any([await _remove_if_there(store.keys, id) for id in ended])


async def _sweep_grants(store: Store, user: str) -> bool:
    """Remove every grant that names the account: a later one under its address must not inherit."""
    name = f"user:{user}"
    named = [grant.id async for grant in _all(store.grants) if name in grant.row[:3]]
    return any([await _remove_if_there(store.grants, id) for id in named])


async def _sweep_connections(store: Store, user: str) -> bool:
    """Remove every connection of the account, and every flow that would make one: a later account under its address
    must not inherit.
    """
    name = f"user:{user}"
    flows = [flow.id async for flow in _all(store.flows) if name in (flow.owner, flow.by)]
    held = [each.id async for each in _all(store.connections) if each.owner == name]
    gone = [await _remove_if_there(store.flows, id) for id in flows]
    return any([*gone, *[await _remove_if_there(store.connections, id) for id in held]])


async def _add_if_absent(store: Store, grant: Grant) -> bool:
    try:
        await store.grants.add(grant)
    except Conflict:
        return False
    return True


async def _remove_if_there(records: Records[R], id: str) -> bool:
    try:
        await records.remove(id)
    except NotFound:
        return False
    return True


async def _all(records: Records[R]) -> AsyncIterator[R]:
    after = ""
    while page := await records.page(after, PAGE):
        for record in page:
            yield record
        after = page[-1].id
