"""The audit entry: the one record that each call leaves."""

import msgspec


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one call. ``id`` sorts by time; ``at`` is ms since the epoch, ``took`` in ms.

    ``arguments`` holds in the clear only the fields that a live condition reads and the policy does
    not mark secret, as JSON pointer → JSON text; every other value stands in ``hashed`` as a keyed hash.
    """

    id: str
    at: int
    node: str = ""
    subject: str = ""
    credential: str = ""
    client: str = ""
    address: str = ""
    transport: str = ""
    session: str = ""
    domain: str = ""
    method: str = ""
    request_id: str = ""
    owner: str = ""
    object: str = ""
    action: str = ""
    allowed: bool | None = None
    reason: str = ""
    rule: str = ""
    policy: str = ""
    outcome: str = ""
    error: str = ""
    took: float = 0.0
    arguments: dict[str, str] = {}
    hashed: dict[str, str] = {}
