"""What is approved of the tools behind us: frozen records, no behaviour."""

import msgspec


class Approved(msgspec.Struct, frozen=True, array_like=True):
    """The definition of one tool that may be shown and called, by its digest; ``by`` whom, and when."""

    digest: str
    at: int
    by: str


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """Another definition that a server gave a tool last, and when that was first seen."""

    digest: str
    at: int


class Pins(msgspec.Struct, frozen=True, kw_only=True):
    """What is approved of one upstream (``id``), by the names of its tools, and what waits for approval.

    ``definitions`` holds the definitions of all these digests, packed.
    """

    id: str
    tools: dict[str, Approved] = {}
    waiting: dict[str, Waiting] = {}
    definitions: bytes = b""
    rev: int = 0
