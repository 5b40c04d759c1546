"""What the arguments of a tool must be, in the form in which a listing asks about it.

The schema is a foreign server's; what is remembered of it is its digest. This file knows no conditions.
"""

from functools import cached_property
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from gateway.policy.terms import Json

LARGEST: Final = 256 * 1024
"""Bytes. A larger one narrows nothing (and no call of its tool is ever made)."""


class Narrowing(NamedTuple):
    """What a schema narrows arguments to, and the digest by which answers about it are remembered."""

    value: Json
    digest: bytes


class Schema:
    """A JSON schema. It is read once, and not before it is asked about: whoever asks sees to what goes wrong then."""

    def __init__(self, value: Json) -> None:
        self._value = value

    @cached_property
    def narrowing(self) -> Narrowing:
        """Raises ``UnicodeEncodeError`` and ``RecursionError``: a foreign schema may be no JSON, or have no end."""
        text = msgspec.json.encode(self._value)
        return Narrowing(self._value, sha256(text).digest()) if len(text) <= LARGEST else ANYTHING


ANYTHING: Final = Narrowing(None, sha256(b"").digest())
"""Of whatever has no schema."""
