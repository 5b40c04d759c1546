"""Links between audit entries: each names the one before it, so that a change of one shows in all that follow.

PURE: entries in, entries out. This file knows no store, no key and no time.
"""

import hashlib
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, structs

from gateway.audit.entry import AuditEntry

_encode: Final = msgspec.json.Encoder(order="sorted").encode


def _usual(field: structs.FieldInfo) -> Any:
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


_FIELDS: Final = tuple((each.name, _usual(each)) for each in structs.fields(AuditEntry) if each.name != "link")


def content(entry: AuditEntry) -> bytes:
    """The SHA-256 of all that ``entry`` says but its link. What is as usual is left out, so that a field which entries
    get later changes no older one.
    """
    said = {name: value for name, usual in _FIELDS if (value := getattr(entry, name)) != usual}
    return hashlib.sha256(_encode(said)).digest()


def beginning(chain: str) -> str:
    """What the first entry of a chain is linked to."""
    return hashlib.sha256(f"ostiary audit chain {chain}".encode()).hexdigest()


def linked(before: str, digest: bytes) -> str:
    """The link of an entry with the content ``digest`` behind one with the link ``before``, in hexadecimal digits."""
    return hashlib.sha256(before.encode("utf-8", "surrogatepass") + digest).hexdigest()


class Chain:
    """The chain of one process; its entries are numbered from 1."""

    def __init__(self, id: str) -> None:
        self.id, self.number, self.link = id, 0, beginning(id)

    def add(self, entry: AuditEntry) -> AuditEntry:
        """``entry`` as the next one of this chain."""
        placed = structs.replace(entry, chain=self.id, number=self.number + 1, link="")
        self.link = linked(self.link, content(placed))
        self.number += 1
        return structs.replace(placed, link=self.link)
