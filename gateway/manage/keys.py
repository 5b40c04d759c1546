"""API keys as their users and administrators see them: several of one account, each with a name, servers and an end.

Each function asks before it acts. Told is what stands in ``Key``, and of a key itself only the one that was just made.
What the store does is known in ``issuing.py``, which asks nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.base import Secret
from gateway.errors import Conflict, Denied, InvalidArguments, Unknown
from gateway.identity import credential, normal_email
from gateway.manage import issuing
from gateway.manage.asking import Asker, Operation, now_of
from gateway.manage.issuing import Made
from gateway.manage.key_bounds import (
    MOST_KEYS,
    MOST_OVERLAP_S,
    MOST_SERVERS,
    check_maker,
    days_until,
    end_of,
    key_name,
)
from gateway.manage.office import Office
from gateway.manage.people import KEYS
from gateway.manage.remains import remove_all, remove_if_there
from gateway.manage.share_rows import as_date
from gateway.manage.stored import stored
from gateway.policy.terms import Json
from gateway.records import ApiKey, User
from gateway.store import base

_USER = "user:"


@dataclass(frozen=True, slots=True)
class Key:
    """All that is ever told of a key. ``id`` is how it is addressed, and how audit entries name it; it counts on
    ``servers`` alone, where there are any. Times are ms since the epoch.
    """

    id: str
    email: str
    name: str
    prefix: str
    servers: tuple[str, ...]
    created_at: int
    expires_at: int | None

    @classmethod
    def of(cls, key: ApiKey) -> "Key":
        """What may be told of ``key``."""
        return cls(credential(key.id), key.user, key.name, key.prefix, key.servers, key.created_at, key.expires_at)

    @property
    def shown(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "id": self.id,
            "email": self.email,
            "name": self.name,
            "prefix": self.prefix,
            "servers": list(self.servers),
            "createdAt": as_date(self.created_at),
            "expiresAt": None if self.expires_at is None else as_date(self.expires_at),
        }


@dataclass(frozen=True, slots=True)
class Fresh:
    """A key that was just made: the only moment at which ``secret`` can be shown."""

    key: Key
    secret: Secret


async def list_keys(asker: Asker, email: str = "") -> tuple[Key, ...]:
    """The keys of an account (without ``email``: his own) that count, the oldest first. Raises ``Denied``,
    ``InvalidArguments``, ``Unknown``.
    """
    id = _address(asker, email)
    asker.allow(Operation("keys.list", KEYS, "inspect", _USER + id))
    _account(asker, id)
    return tuple(map(Key.of, asker.identities.keys_of(id, now_of(asker))))


@stored
async def add_key(
    office: Office,
    asker: Asker,
    *,
    email: str = "",
    name: str = "",
    servers: Sequence[str] = (),
    days: int | None = None,
) -> Fresh:
    """A further key of an account (without ``email``: his own) that counts on ``servers`` alone (everywhere, where
    there are none) for so many ``days`` (``None``: for good). Raises ``Denied``, ``InvalidArguments``, ``Unknown``.
    """
    now, id, called = now_of(asker), _address(asker, email), _called(name)
    where, expires_at = _servers(servers), _end_of(days, now)
    args: dict[str, Json] = {"email": id, "name": called, "servers": list(where), "days": days}
    asker.allow(Operation("keys.add", KEYS, "manage", _USER + id, args))
    user = _account(asker, id)
    check_maker(asker, where, expires_at)
    _check_known(office, where)
    await _make_room(office, asker, id, now)
    made = await issuing.issue(
        office.store, office.ring, user, now=now, name=called, servers=where, expires_at=expires_at
    )
    return await _told(office, made)


@stored
async def rotate_key(office: Office, asker: Asker, key: str, *, overlap_s: int = 0, days: int | None = None) -> Fresh:
    """A key in place of ``key``: under its name, for its servers, and until its end, or for so many ``days``. The
    former one goes on counting for ``overlap_s`` seconds. Raises ``Conflict``, ``Denied``, ``InvalidArguments``,
    ``Unknown``.
    """
    if not 0 <= overlap_s <= MOST_OVERLAP_S:
        raise InvalidArguments(f"`overlapSeconds`: say 0 to {MOST_OVERLAP_S}")
    now = now_of(asker)
    wanted = _end_of(days, now)
    former = _allowed(asker, key, "keys.rotate", "manage", days)
    expires_at = former.expires_at if wanted is None else wanted
    check_maker(asker, former.servers, expires_at)
    user = _account(asker, former.user)
    if overlap_s:
        await _make_room(office, asker, user.id, now)
    try:
        made = await issuing.succeed(
            office.store,
            office.ring,
            former,
            user,
            now=now,
            ends_at=now + overlap_s * 1000,
            expires_at=expires_at,
        )
    except base.Conflict as conflict:
        raise Conflict(str(conflict)) from None
    return await _told(office, made)


@stored
async def revoke_key(office: Office, asker: Asker, key: str) -> Key:
    """End a key at once, with all that is open under it. Raises ``Denied``, ``Unknown``."""
    ending = _allowed(asker, key, "keys.revoke", "revoke")
    if not await remove_if_there(office.store.keys, ending.id):
        raise _no_key(key)
    await office.followed()
    return Key.of(ending)


def _allowed(asker: Asker, key: str, method: str, action: str, days: int | None = None) -> ApiKey:
    """The key, which he may treat so; it is to live for so many ``days`` (``None``: as it is). To who may not,
    somebody else's key and one that there is not are the same.
    """
    now, own = now_of(asker), asker.subject.name.removeprefix(_USER)
    record = asker.identities.keys.get(key)
    args = {} if record is None else _args(record, days or days_until(record.expires_at, now))
    try:
        asker.allow(Operation(method, KEYS, action, _USER + (own if record is None else record.user), args))
    except Denied:
        if record is not None and record.user == own:
            raise
        raise _no_key(key) from None
    if record is None or record not in asker.identities.keys_of(record.user, now):
        raise _no_key(key)
    return record


async def _make_room(office: Office, asker: Asker, id: str, now: int) -> None:
    """Clear away keys of the account that have ended. Raises ``InvalidArguments`` where too many count."""
    counting = asker.identities.keys_of(id, now)
    if len(counting) >= MOST_KEYS:
        raise InvalidArguments(f"`{id}` has {len(counting)} keys; revoke one first")
    living = {each.id for each in counting}
    his = (each.id for each in asker.identities.keys.values() if each.user == id)
    await remove_all(office.store.keys, [each for each in his if each not in living])


async def _told(office: Office, made: Made) -> Fresh:
    await office.followed()
    return Fresh(Key.of(made.record), made.key)


def _args(key: ApiKey, days: int | None) -> Mapping[str, Json]:
    """The record as conditions may ask of it."""
    return {"email": key.user, "name": key.name, "servers": list(key.servers), "days": days}


def _address(asker: Asker, email: str) -> str:
    try:
        return normal_email(email) if email else asker.subject.name.removeprefix(_USER)
    except ValueError as error:
        raise InvalidArguments(f"`email`: {error}") from None


def _called(name: str) -> str:
    try:
        return key_name(name)
    except ValueError as error:
        raise InvalidArguments(f"`name`: {error}") from None


def _end_of(days: int | None, now: int) -> int | None:
    try:
        return end_of(days, now)
    except ValueError as error:
        raise InvalidArguments(f"`expiresInDays`: {error}") from None


def _servers(servers: Sequence[str]) -> tuple[str, ...]:
    if len(servers) > MOST_SERVERS:
        raise InvalidArguments(f"`servers`: name at most {MOST_SERVERS}")
    return tuple(dict.fromkeys(servers))


def _check_known(office: Office, servers: Sequence[str]) -> None:
    for each in servers:
        if each not in office.servers and office.snapshot().servers.get(each) is None:
            raise InvalidArguments(f"`servers`: there is no server `{each[:100]}`")


def _account(asker: Asker, id: str) -> User:
    user = asker.identities.users.get(id)
    if user is None:
        raise Unknown(f"there is no user `{id}`")
    return user


def _no_key(key: str) -> Unknown:
    return Unknown(f"there is no key `{key[:80]}`")
