"""What vouches for a chain of audit entries."""

import msgspec


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """That the chain ``id`` had ``number`` entries at ``at`` (ms since the epoch), the last with ``link``, and that
    those up to ``start`` (with ``start_link``) were purged. ``signature`` is by the secret ``key``, over all but
    ``rev``.
    """

    id: str
    start: int = 0
    start_link: str = ""
    number: int = 0
    link: str = ""
    at: int = 0
    key: str = ""
    signature: str = ""
    rev: int = 0
