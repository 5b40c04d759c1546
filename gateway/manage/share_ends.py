"""How shares end when nobody asks for it: because what they are of is gone, or calls something else now.

Whoever deletes or changes asked before; ending a share is never refused.
"""

from collections.abc import Iterable

from gateway.manage.office import Office
from gateway.manage.share_rows import Part, beginning, is_part
from gateway.manage.stored import drop_grant, grants_below, stored


@stored
async def end_shares_of(office: Office, owner: str, object: str) -> int:
    """End every share of something that is no more; how many rows that were. To be called after its record is gone:
    a share that is made at the same moment then finds it missing.
    """
    rows = await grants_below(office.store, beginning(owner, object))
    return await drop(office, [each.id for each in rows])


@stored
async def end_base_rows(office: Office, owner: str, object: str) -> int:
    """End what shares of a tool let it call on its owner's account; how many rows that were. To be called after its
    record says what it calls now.
    """
    rows = await grants_below(office.store, beginning(owner, object))
    return await drop(office, [each.id for each in rows if is_part(each, Part.ACCOUNT)])


async def drop(office: Office, rows: Iterable[str]) -> int:
    """End rows by their ids, from the next request of this process on; how many there were."""
    gone = sum([await drop_grant(office.store, id) for id in rows])
    if gone:
        await office.followed()
    return gone
