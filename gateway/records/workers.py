"""Who serves, as processes tell each other: a frozen record, no behaviour."""

import msgspec


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One living worker. Those of one ``node`` reach each other at ``socket``, a path; others at ``address``, a
    ``host:port`` (``""``: they cannot). It lives as long as ``rev`` goes up.
    """

    id: str
    node: str
    socket: str
    address: str = ""
    rev: int = 0
