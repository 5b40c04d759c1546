"""Administration of people: who there is, what is told of them, and how accounts begin, change and end.

Each function asks before it acts, and tells only what stands in ``Record`` or ``Person``: no key and no hash, but the
one key that was just issued. What the store does is known in ``users.py``, which asks nobody.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from gateway.errors import InvalidArguments, Unknown
from gateway.identity import normal_email
from gateway.manage import users
from gateway.manage.asking import Asker, Operation, now_of
from gateway.manage.granting import refusal
from gateway.manage.key_bounds import check_maker
from gateway.manage.letters import Delivery, Occasion
from gateway.manage.office import Office
from gateway.manage.remains import clear, keys_of, remembered, remove_if_there
from gateway.manage.share_rows import Rights, as_date
from gateway.manage.shares_seen import rights_of
from gateway.manage.stored import drop_grant, put_grant, stored
from gateway.manage.users import EVERYWHERE, IssuedKey, display_name, role_grant
from gateway.policy.engine import Policy, grant_rows
from gateway.policy.terms import MAIN, Json, Link
from gateway.records import Grant, User
from gateway.store.base import Conflict, NotFound

DIRECTORY: Final = "gateway/directory"
USERS: Final = "gateway/users"
KEYS: Final = "gateway/keys"

PAGE: Final = 20
MOST_ON_A_PAGE: Final = 100

_USER: Final = "user:"
_GRANT: Final = "grant:"
_BREATH: Final = 100
"""After how many accounts that are looked at others get their turn."""

_LATER: Final = "this account was changed at the same moment; look at it and try again"


@dataclass(frozen=True, slots=True)
class Person:
    """What everybody may be told who may see the directory."""

    email: str
    name: str

    @property
    def shown(self) -> dict[str, Json]:
        """As JSON."""
        return {"email": self.email, "name": self.name}


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the people that the asker may see, in order of address; ``more`` follow."""

    people: tuple[Person, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Record:
    """All that is told of an account, to itself and to its administrators. ``roles`` are those that name it, in
    ``main`` or everywhere; ``created_at`` is ms since the epoch.
    """

    email: str
    name: str
    roles: tuple[str, ...]
    rights: Rights
    hidden: tuple[str, ...]
    created_at: int

    @property
    def shown(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "email": self.email,
            "name": self.name,
            "roles": list(self.roles),
            **self.rights.shown,
            "hiddenTools": list(self.hidden),
            "createdAt": as_date(self.created_at),
        }


@dataclass(frozen=True, slots=True)
class Issued:
    """An account with the key that was just issued for it, and whether a letter tells its user."""

    record: Record
    key: IssuedKey
    delivery: Delivery


async def list_users(asker: Asker, *, contains: str = "", skip: int = 0, limit: int = PAGE) -> Page:
    """Up to ``limit`` of the people whom the asker may see, without the first ``skip``: those whose address or name
    holds ``contains`` as it stands, in whatever case. Raises ``Denied``.
    """
    asker.allow(_see(_own(asker)))
    found: list[Person] = []
    async for each in _seen(asker, contains):
        found.append(each)
        if len(found) > skip + limit:
            break
    return Page(tuple(found[skip : skip + limit]), len(found) > skip + limit)


async def list_all(asker: Asker, *, contains: str = "") -> tuple[Person, ...]:
    """The same, all of them: for who wants to know how many there are. Raises ``Denied``."""
    asker.allow(_see(_own(asker)))
    return tuple([each async for each in _seen(asker, contains)])


@stored
async def user_info(office: Office, asker: Asker, email: str = "") -> Record | Person | None:
    """The whole record of oneself (no ``email``) or of whom the asker administers, of others the name; ``None``: there
    is no such account. Raises ``Denied``, ``InvalidArguments``.
    """
    id = _address(email or _own(asker))
    whole = id == _own(asker) or asker.may(Operation("users.info", USERS, "inspect", _USER + id))
    asker.allow(Operation("users.info", USERS, "inspect", _USER + id) if whole and id != _own(asker) else _see(id))
    user = asker.identities.users.get(id)
    if user is None:
        return None
    return await _record(office, user, now_of(asker)) if whole else Person(id, user.name)


@stored
async def add_user(office: Office, asker: Asker, email: str, *, name: str = "", roles: Iterable[str] = ()) -> Issued:
    """A new account with its roles, everywhere, and its first key. Raises ``Denied``, ``InvalidArguments``."""
    id, called, now = _address(email), _called(name), now_of(asker)
    grants = _grants(asker, id, roles)
    asker.allow(Operation("users.add", USERS, "manage", _USER + id, _args(id, called, map(_role, grants))))
    check_maker(asker, (), None)
    _check(asker, grants)
    await office.catch_up()
    remains = await remembered(office.store, office.snapshot(), id)
    try:
        key = await users.add_user(
            office.store,
            office.ring,
            id,
            author=asker.subject.name,
            now=now,
            name=called,
            roles=map(_role, grants),
            remains=remains,
        )
    except Conflict:
        raise InvalidArguments(f"`email`: there is a user `{id}` already") from None
    return await _issued(office, asker, key, Occasion.WELCOME)


@stored
async def update_user(
    office: Office, asker: Asker, email: str, *, name: str | None = None, roles: Iterable[str] | None = None
) -> Record:
    """The account with another name, and with exactly these roles in ``main``; what is ``None`` stays as it is. Raises
    ``Denied``, ``InvalidArguments``, ``Unknown``.
    """
    id = _address(email)
    user = asker.identities.users.get(id)
    given = roles_given(asker.policy, _USER + id, now_of(asker))
    wanted = None if roles is None else {_role(each): each for each in _grants(asker, id, roles)}
    called = _called(name) if name is not None else "" if user is None else user.name
    asker.allow(
        Operation("users.update", USERS, "manage", _USER + id, _args(id, called, given if wanted is None else wanted))
    )
    if user is None:
        raise _no_user(id)
    if wanted is not None:
        await _change_roles(office, asker, given, wanted)
    if called != user.name:
        await _rename(office, id, called)
    await office.followed()
    return await _record(office, structs.replace(user, name=called), now_of(asker))


@stored
async def delete_user(office: Office, asker: Asker, email: str) -> str:
    """End an account with everything of its own and every grant that names it; returns its address. Raises ``Denied``,
    ``InvalidArguments``, ``Unknown``.

    The account goes first, which ends everything at once; repeating a deletion that broke off clears the rest.
    """
    id = _address(email)
    user = asker.identities.users.get(id)
    given = roles_given(asker.policy, _USER + id, now_of(asker))
    asker.allow(
        Operation("users.delete", USERS, "manage", _USER + id, _args(id, "" if user is None else user.name, given))
    )
    there = await remove_if_there(office.store.users, id)
    await office.catch_up()
    left = await clear(office.store, await remembered(office.store, office.snapshot(), id))
    await office.followed()
    if not (there or left):
        raise _no_user(id)
    return id


def may_reset(asker: Asker, email: str = "") -> str:
    """The address whose key the asker may reset (without ``email``: his own). Raises ``Denied``, ``InvalidArguments``,
    ``Unknown``.
    """
    id = _address(email or _own(asker))
    asker.allow(Operation("keys.reset", KEYS, "manage", _USER + id))
    check_maker(asker, (), None)
    if id not in asker.identities.users:
        raise _no_user(id)
    return id


@stored
async def reset_key(office: Office, asker: Asker, email: str = "") -> Issued:
    """A new key; all that there were end, with what was opened by them. Raises as ``may_reset``."""
    id = may_reset(asker, email)
    await office.catch_up()
    ended = keys_of(office.snapshot(), id)
    try:
        key = await users.reset_key(office.store, office.ring, id, now=now_of(asker), keys=ended)
    except NotFound:
        raise _no_user(id) from None
    return await _issued(office, asker, key, Occasion.RENEWED)


def roles_given(policy: Policy, subject: str, now: int) -> Mapping[str, tuple[Link, ...]]:
    """The roles that rows give ``subject`` by name in ``main`` or everywhere, and by which rows, at ``now`` (ms)."""
    found: dict[str, tuple[Link, ...]] = {}
    for each in policy.naming(subject):
        living = each.expires is None or now < each.expires
        if isinstance(each, Link) and each.member == subject and each.domain in (EVERYWHERE, MAIN) and living:
            role = each.role.removeprefix("role:")
            found[role] = (*found.get(role, ()), each)
    return dict(sorted(found.items()))


async def _seen(asker: Asker, contains: str) -> AsyncIterator[Person]:
    wanted, known = contains.casefold(), asker.identities.users
    for place, id in enumerate(asker.identities.addresses):
        if place % _BREATH == _BREATH - 1:
            await asyncio.sleep(0)
        user = known[id]
        if (wanted in id.casefold() or wanted in user.name.casefold()) and asker.may(_see(id)):
            yield Person(id, user.name)


def _see(id: str) -> Operation:
    return Operation("users.see", DIRECTORY, "inspect", _USER + id)


def _own(asker: Asker) -> str:
    return asker.subject.name.removeprefix(_USER)


def _args(id: str, name: str, roles: Iterable[str]) -> dict[str, Json]:
    """The record as conditions may ask of it."""
    return {"email": id, "name": name, "roles": list(roles)}


def _address(email: str) -> str:
    try:
        return normal_email(email)
    except ValueError as error:
        raise InvalidArguments(f"`email`: {error}") from None


def _called(name: str) -> str:
    try:
        return display_name(name)
    except ValueError as error:
        raise InvalidArguments(f"`name`: {error}") from None


def _grants(asker: Asker, id: str, roles: Iterable[str]) -> list[Grant]:
    """What gives the roles, each once. What is asked about them is read off here: one name, one meaning."""
    try:
        made = [role_grant(id, each, author=asker.subject.name, now=now_of(asker)) for each in roles]
    except ValueError as error:
        raise InvalidArguments(f"`roles`: {error}") from None
    return list({each.id: each for each in made}.values())


def _role(grant: Grant) -> str:
    return grant.row[1].removeprefix("role:")


def _check(asker: Asker, grants: Iterable[Grant]) -> None:
    if sentence := refusal(asker, *map(grant_rows, grants)):
        raise InvalidArguments(f"`roles`: {sentence}")


async def _change_roles(
    office: Office, asker: Asker, given: Mapping[str, Sequence[Link]], wanted: Mapping[str, Grant]
) -> None:
    """Give what is new, then withdraw what is not wanted any more: at no moment has he less than he keeps."""
    ending = [link for role, links in given.items() if role not in wanted for link in links]
    for link in ending:
        if not link.place.file.startswith(_GRANT):
            raise InvalidArguments(f"`roles`: `{link.role}` comes from {link.place}, and ends where that is changed")
    fresh = [grant for role, grant in wanted.items() if role not in given]
    _check(asker, fresh)
    for grant in fresh:
        await put_grant(office.store, grant)
    for link in ending:
        await drop_grant(office.store, link.place.file.removeprefix(_GRANT))


async def _rename(office: Office, id: str, name: str) -> None:
    try:
        user = await office.store.users.get(id)
        if user is None:
            raise _no_user(id)
        await office.store.users.replace(structs.replace(user, name=name))
    except (Conflict, NotFound):
        raise InvalidArguments(_LATER) from None


async def _issued(office: Office, asker: Asker, key: IssuedKey, occasion: Occasion) -> Issued:
    """Follow what was written, and tell the user of his key."""
    await office.followed()
    user = office.snapshot().identities.users.get(key.user) or User(id=key.user, created_at=now_of(asker))
    record = await _record(office, user, now_of(asker))
    return Issued(record, key, await office.letters(key, user.name, occasion))


async def _record(office: Office, user: User, now: int) -> Record:
    subject = _USER + user.id
    roles = tuple(roles_given(office.snapshot().policy, subject, now))
    return Record(user.id, user.name, roles, await rights_of(office, subject, now), user.hidden, user.created_at)


def _no_user(id: str) -> Unknown:
    return Unknown(f"there is no user `{id}`")
