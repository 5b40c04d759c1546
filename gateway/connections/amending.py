"""Changing a stored connection by compare-and-set, whoever else changes it meanwhile."""

from collections.abc import Callable
from typing import TypeAlias

from gateway.records import Connected
from gateway.store.base import Conflict, NotFound, Records

Change: TypeAlias = Callable[[Connected], Connected | None]
"""What becomes of a connection as it is stored now; ``None`` where it is to stay as it is."""


async def amended(records: Records[Connected], record: Connected, change: Change) -> Connected | None:
    """``record`` changed and stored, from what it was changed to meanwhile if it was; ``None`` when it is gone or
    ``change`` leaves it. Raises ``Unavailable``.
    """
    stored: Connected | None = record
    while stored is not None and (wanted := change(stored)) is not None:
        try:
            return await records.replace(wanted)
        except NotFound:
            return None
        except Conflict:
            stored = await records.get(record.id)
    return None
