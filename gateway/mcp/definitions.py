"""What a server says of a tool, as far as it is pinned: its digest, and how two definitions differ.

This file knows nothing of who approves what. Two definitions are the same exactly when their digests are.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from hashlib import sha256
from typing import Final, TypeAlias

from gateway.mcp.terms import Params
from gateway.policy.terms import Json

PINNED: Final = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""What a model reads of a tool, and what decides how it is called. Icons and ``_meta`` may change at will."""

MAX_COMPARED: Final = 250_000
"""Lines of the one text times lines of the other, beyond which both are shown whole: comparing takes that long."""


AROUND: Final = 2
"""Lines that stay as they are, shown on either side of those that do not."""


class Absent(Enum):
    """Stands for a field that a definition does not have."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
Value: TypeAlias = "Json | Absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which two definitions differ; ``path`` leads there from the top, key by key."""

    path: tuple[str, ...]
    old: Value
    new: Value

    @property
    def pointer(self) -> str:
        """The path as a JSON pointer (RFC 6901)."""
        return "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in self.path)


def pinned(definition: Params) -> Params:
    """The fields of a definition that are pinned."""
    return {name: definition[name] for name in PINNED if name in definition}


def canonical(value: Json) -> bytes:
    """One text for one value, whatever the order of its keys: JSON in ASCII, sorted, without white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def digest(definition: Params) -> str:
    """The SHA-256 of what is pinned, in hexadecimal digits."""
    return sha256(canonical(pinned(definition))).hexdigest()


def differences(old: Params, new: Params) -> tuple[Difference, ...]:
    """Every place in which what is pinned differs, the deepest that tells all; a new tool differs from ``{}``."""
    return tuple(_differing(pinned(old), pinned(new), ()))


def lines(difference: Difference) -> Iterator[str]:
    """The difference as people read it: what is gone behind ``-``, what came behind ``+``, what is around it behind a
    space. The signs of a foreign text stand there as they are.
    """
    both = (difference.old, difference.new)
    plain = all(isinstance(each, str | Absent) for each in both)
    old, new = (_lines(each, plain=plain) for each in both)
    if len(old) * len(new) > MAX_COMPARED:
        yield from _marked("-", old)
        yield from _marked("+", new)
        return
    for number, group in enumerate(SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(AROUND)):
        if number:
            yield " …"
        for tag, begin, end, from_, until in group:
            if tag == "equal":
                yield from _marked(" ", old[begin:end])
            else:
                yield from _marked("-", old[begin:end])
                yield from _marked("+", new[from_:until])


def _marked(mark: str, told: Sequence[str]) -> Iterator[str]:
    return (mark + line for line in told)


def _lines(value: Value, *, plain: bool) -> list[str]:
    """A text as it is; where one of two values is none, both as JSON, so that ``"1"`` and ``1`` look different."""
    if isinstance(value, Absent):
        return []
    if plain and isinstance(value, str):
        return value.split("\n")
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).split("\n")


def _differing(old: Value, new: Value, path: tuple[str, ...]) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _differing(old.get(key, ABSENT), new.get(key, ABSENT), (*path, key))
    elif not _same(old, new):
        yield Difference(path, old, new)


def _same(old: Value, new: Value) -> bool:
    """As the digest sees it: ``1``, ``1.0`` and ``true`` are three things."""
    if isinstance(old, Absent) or isinstance(new, Absent):
        return old is new
    return canonical(old) == canonical(new)
