"""Accounts, their keys and their roles: one function per operation, over the store.

Nothing here asks who may do it, and nothing leaves an audit entry: both belong to the door through which
the operation came. Every change binds elsewhere as soon as the followers have seen it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from connectors.base import Secret
from gateway.identity import PREFIX_LENGTH, KeyRing, new_key, normal_email
from gateway.manage.remains import Remains, clear, every, read_through, remove_all, remove_if_there
from gateway.policy.rows import link_sentences
from gateway.records import ApiKey, Grant, User
from gateway.store.base import Conflict, NotFound, Store

ROLE: Final = "role"
"""The ``kind`` of a grant that gives a role; its row is (``user:EMAIL``, ``role:NAME``, domain)."""

EVERYWHERE: Final = "*"
BOOTSTRAP: Final = "bootstrap"
"""Who makes the first account of an empty store."""
MOST_NAME: Final = 200
"""Characters of the name of a person."""

ADMIN_ROLES: Final = ("admin", "security")
"""What the first account gets: administration of people, and of the policy itself."""


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
    remains: Remains | None = None,
) -> IssuedKey:
    """A new account with its roles (everywhere) and its first key. ``remains`` are what an earlier one left under its
    address; without them the store is read through.

    The account's own record comes last: before it, neither key nor roles count, so an attempt that broke off
    can be repeated. Raises ``Conflict`` when there is one already, ``ValueError`` with a sentence.
    """
    id = normal_email(email)
    grants = [role_grant(id, role, author=author, now=now) for role in roles]
    user = User(id=id, name=display_name(name), created_at=now)
    if await store.users.get(id) is not None:
        raise Conflict(f"there is a user `{id}` already")
    left = await read_through(store, id) if remains is None else remains
    await clear(store, replace(left, keys=()))  # an old key does not count; a new one is of another node that is first
    fresh = [grant.id for grant in grants if await _keep(store, grant)]
    issued, record = _issue(ring, user, now, expires_at)
    await store.keys.add(record)
    try:
        await store.users.add(user)
    except Conflict:
        await store.keys.remove(record.id)
        if author != BOOTSTRAP:  # all whose attempts give the same; who was first gets nothing of what others meant
            await remove_all(store.grants, fresh)
        raise
    return issued


async def list_users(store: Store) -> list[Account]:
    """Every account, in order of address."""
    roles: dict[str, list[Role]] = {}
    keys: dict[str, list[ApiKey]] = {}
    async for grant in every(store.grants):
        if grant.kind == ROLE:
            role = Role(grant.row[1].removeprefix("role:"), grant.row[2], grant.expires_at)
            roles.setdefault(grant.row[0].removeprefix("user:"), []).append(role)
    async for key in every(store.keys):
        keys.setdefault(key.user, []).append(key)
    return [
        Account(
            user,
            tuple(roles.get(user.id, ())),
            tuple(key for key in keys.get(user.id, ()) if key.created_at >= user.created_at),
        )
        async for user in every(store.users)
    ]


async def reset_key(
    store: Store,
    ring: KeyRing,
    email: str,
    *,
    now: int,
    expires_at: int | None = None,
    keys: Iterable[str] | None = None,
) -> IssuedKey:
    """A new key for an account whose keys so far end here; ``keys`` are their ids, without them the store is read
    through. Raises ``NotFound``.
    """
    user = await _ending_sign_ins(store, email, now)
    if keys is None:
        keys = [key.id async for key in every(store.keys) if key.user == user.id]
    await remove_all(store.keys, keys)
    issued, record = _issue(ring, user, now, expires_at)
    await store.keys.add(record)
    return issued


async def delete_user(store: Store, email: str) -> None:
    """End an account with everything of its own and every grant that names it.

    Platforms are not told of connections that are removed so. The account goes first, which ends everything at once;
    repeating a deletion that broke off clears the rest. Raises ``NotFound`` when nothing was there.
    """
    id = normal_email(email)
    found = await remove_if_there(store.users, id)
    if not (await clear(store, await read_through(store, id)) or found):
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
    await _keep(store, role_grant(user.id, role, author=author, now=now, domain=domain, expires_at=expires_at))


async def withdraw_role(store: Store, email: str, role: str, *, domain: str = EVERYWHERE) -> None:
    """Take a role back that was given in this very domain. Raises ``NotFound``, ``ValueError``."""
    row = _role_row(normal_email(email), role, domain)
    if not await remove_if_there(store.grants, _role_id(row)):
        raise NotFound(f"`{row[0]}` was not given `{row[1]}` in `{domain}`; a role from a policy file ends there")


async def bootstrap_admin(store: Store, ring: KeyRing, email: str, *, now: int) -> IssuedKey | None:
    """The first account of an empty store, with its key; ``None`` when there is any account already."""
    if await store.users.page(limit=1):
        return None
    try:
        return await add_user(store, ring, email, author=BOOTSTRAP, now=now, name="Administrator", roles=ADMIN_ROLES)
    except Conflict:
        return None  # another node was first


def role_grant(
    email: str, role: str, *, author: str, now: int, domain: str = EVERYWHERE, expires_at: int | None = None
) -> Grant:
    """The one grant that gives ``role`` (with or without ``role:``) to the account ``email``, which is normal. Raises
    ``ValueError``.
    """
    row = _role_row(email, role, domain)
    return Grant(id=_role_id(row), kind=ROLE, row=row, made_by=author, created_at=now, expires_at=expires_at)


def key_record(
    ring: KeyRing,
    key: Secret,
    user: User,
    *,
    now: int,
    expires_at: int | None = None,
    name: str = "",
    servers: Iterable[str] = (),
) -> ApiKey:
    """What is stored of a key of ``user``."""
    text = key.reveal()
    return ApiKey(
        id=ring.hash(text),
        secret_id=ring.current,
        user=user.id,
        prefix=text[:PREFIX_LENGTH],
        name=name,
        servers=tuple(servers),
        created_at=max(now, user.created_at),  # a key older than its account does not count
        expires_at=expires_at,
    )


def display_name(text: str) -> str:
    """``text`` as the name of a person. Raises ``ValueError`` with a sentence."""
    plain = text.strip()
    if len(plain) > MOST_NAME or not plain.isprintable():
        raise ValueError(f"a name has at most {MOST_NAME} characters, all of them printable")
    return plain


def _issue(ring: KeyRing, user: User, now: int, expires_at: int | None) -> tuple[IssuedKey, ApiKey]:
    key = Secret(new_key())
    record = key_record(ring, key, user, now=now, expires_at=expires_at)
    return IssuedKey(user.id, key, record.prefix, expires_at), record


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


async def _ending_sign_ins(store: Store, email: str, now: int) -> User:
    """The account, whose sign-ins so far end here. Raises ``NotFound``."""
    while True:
        user = await _user(store, email)
        try:
            return await store.users.replace(structs.replace(user, reset_at=now))
        except Conflict:
            continue  # its user changed something at the same moment


async def _user(store: Store, email: str) -> User:
    id = normal_email(email)
    user = await store.users.get(id)
    if user is None:
        raise _no_user(id)
    return user


def _no_user(id: str) -> NotFound:
    return NotFound(f"there is no user `{id}`")


async def _keep(store: Store, grant: Grant) -> bool:
    """Keep ``grant``; one that says the same stays. Whether there was none."""
    try:
        await store.grants.add(grant)
        return True
    except Conflict:
        known = await store.grants.get(grant.id)
        if known is not None and known.expires_at != grant.expires_at:
            await store.grants.replace(structs.replace(grant, rev=known.rev))
        return False
