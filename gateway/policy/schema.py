"""What the arguments of a tool must be, in the form in which a listing asks about it.

The schema is a foreign server's; what is remembered of it is its digest. This file knows no conditions.
"""

from hashlib import sha256
from typing import Final

import msgspec

from gateway.policy.terms import Json

LARGEST: Final = 256 * 1024
"""Bytes. A larger one narrows nothing (and no call of its tool is ever made)."""


class Schema:
    """A JSON schema and, made once, the digest by which answers about it are remembered."""

    __slots__ = ("digest", "value")

    def __init__(self, value: Json) -> None:
        text = msgspec.json.encode(value)
        self.value: Json = value if len(text) <= LARGEST else None
        self.digest = sha256(text if len(text) <= LARGEST else b"").digest()


ANY: Final = Schema(None)
"""Of whatever has no schema."""
