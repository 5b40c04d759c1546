"""An account for somebody whom an issuer of the operator's proved, where the operator wants that: without a role,
without a key, and with nothing that an earlier account left under its address.
"""

from gateway.identity import normal_email
from gateway.manage.remains import clear, read_through
from gateway.manage.stored import stored
from gateway.records import User
from gateway.store.base import Conflict, Store


@stored
async def enrol(store: Store, email: str, *, now: int) -> bool:
    """Make the account; whether there was none. Its record comes last, as with every account. Raises ``ValueError``
    with a sentence, ``Unavailable``.
    """
    id = normal_email(email)
    if await store.users.get(id) is not None:
        return False
    await clear(store, await read_through(store, id))
    try:
        await store.users.add(User(id=id, created_at=now))
    except Conflict:
        return False  # another node was first
    return True
