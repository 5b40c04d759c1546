"""API keys in the store: one function per operation, each on one account.

Nothing here asks who may do it, and nothing leaves an audit entry: both belong to the door through which the operation
came. A key is known by its proof, which is the short form of its id; the id itself never leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import structs

from connectors.base import Secret
from gateway.identity import KeyRing, credential, new_key
from gateway.manage.remains import remove_if_there
from gateway.manage.users import key_record
from gateway.records import ApiKey, User
from gateway.store.base import Conflict, NotFound, Store


@dataclass(frozen=True, slots=True)
class Made:
    """A key at the only moment at which it can be shown."""

    record: ApiKey
    key: Secret


async def issue(
    store: Store,
    ring: KeyRing,
    user: User,
    *,
    now: int,
    name: str = "",
    servers: Sequence[str] = (),
    expires_at: int | None = None,
) -> Made:
    """A further key of ``user`` that counts on ``servers`` alone (everywhere, where there are none)."""
    key = Secret(new_key())
    record = key_record(ring, key, user, now=now, expires_at=expires_at, name=name, servers=servers)
    return Made(await store.keys.add(record), key)


async def succeed(
    store: Store, ring: KeyRing, former: ApiKey, user: User, *, now: int, ends_at: int, expires_at: int | None
) -> Made:
    """A key in place of ``former``, for the same servers and under the same name; the former one ends at ``ends_at``,
    unless it does so earlier. Of two successors made at once one stays: the other raises ``Conflict``.
    """
    made = await issue(store, ring, user, now=now, name=former.name, servers=former.servers, expires_at=expires_at)
    ending = structs.replace(former, expires_at=min(ends_at, former.expires_at or ends_at))
    try:
        if ends_at > now:
            await store.keys.replace(ending)
        else:
            await store.keys.remove(former.id)
    except (Conflict, NotFound):
        await remove_if_there(store.keys, made.record.id)
        raise Conflict(f"the key `{credential(former.id)}` was changed at the same moment; look at it again") from None
    return made


async def found(store: Store, proof: str) -> ApiKey:
    """The key that is known by ``proof``. Raises ``NotFound``."""
    for key in await store.keys.page(proof, 1):  # ids begin with their proofs, and are longer
        if credential(key.id) == proof:
            return key
    raise NotFound(f"there is no key `{proof[:80]}`")
