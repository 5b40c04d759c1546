"""What an audit entry may show of arguments and URIs.

Shown in the clear: the fields that a live condition reads, so that a decision can be replayed.
Everything else stands as a keyed hash: equal values can be recognised, no value can be read.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from types import NoneType
from typing import Any, Final, TypeAlias, TypeGuard

import msgspec

from gateway.policy.condition_values import kind_of
from gateway.policy.terms import Json

Hash: TypeAlias = Callable[[bytes], str]
"""Bytes to the hexadecimal text of their keyed hash."""

PIECES: Final = 64
SHOWN: Final = 1_024
"""Bytes of one value shown in the clear; a longer one is hashed, because a cut value cannot be replayed."""

POINTER: Final = 256
TARGET: Final = 512

_encode = msgspec.json.Encoder(order="sorted").encode
_LETTERS: Final[Mapping[type | None, str]] = {str: "t", float: "n", bool: "b", NoneType: "z", None: "o"}
_TAIL: Final = re.compile(r"[?#].*", re.DOTALL)
_USERINFO: Final = re.compile(r"//[^/@]*@")


def masked(
    arguments: Mapping[str, Json], readable: frozenset[str], hashed: Hash
) -> tuple[dict[str, str], dict[str, str]]:
    """The arguments as (JSON pointer → JSON text, JSON pointer → keyed hash).

    ``readable`` has dotted paths without list indexes (``channel``, ``lines.price``). Arguments of more
    than ``PIECES`` pieces are hashed as a whole, under the pointer ``""``.
    """
    shown: dict[str, str] = {}
    hidden: dict[str, str] = {}
    pieces = list(islice(_pieces(arguments, "", "", readable), PIECES + 1))
    if len(pieces) > PIECES or any(len(pointer) > POINTER for pointer, _, _ in pieces):
        return {}, {"": hashed_value(arguments, hashed)}
    for pointer, value, plain in pieces:
        text = _encode(value)
        if plain and len(text) <= SHOWN:
            shown[pointer] = text.decode()
        else:
            hidden[pointer] = hashed(text)
    return shown, hidden


def _pieces(
    value: Mapping[str, Json], path: str, pointer: str, readable: frozenset[str]
) -> Iterator[tuple[str, Json, bool]]:
    """Every piece of an object as (pointer, value, whether it may be shown): each is as large as it can be
    without holding both what may be shown and what may not.
    """
    for key, child in value.items():
        below = f"{path}{key}."
        at = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if "." not in key and _opens(child) and below in _prefixes(readable):
            yield from _inside(child, below, at, readable)
        else:
            yield at, child, below[:-1] in readable and "." not in key and _plain(child)


def _inside(
    child: dict[str, Json] | list[Json], path: str, pointer: str, readable: frozenset[str]
) -> Iterator[tuple[str, Json, bool]]:
    if isinstance(child, dict):
        yield from _pieces(child, path, pointer, readable)
        return
    for index, each in enumerate(child):
        if _opens(each) and isinstance(each, dict):
            yield from _pieces(each, path, f"{pointer}/{index}", readable)
        else:
            yield f"{pointer}/{index}", each, False


def _opens(value: Json) -> TypeGuard[dict[str, Json] | list[Json]]:
    """Whether its parts stand for themselves; those of an object whose names are numbers would look like a list's."""
    return bool(value) and (isinstance(value, list) or (isinstance(value, dict) and not any(map(str.isdecimal, value))))


def _plain(value: Json) -> bool:
    """Whether a condition can have read the whole value: it compares scalars and lists of them, never objects."""
    return not isinstance(value, dict) and not (
        isinstance(value, list) and any(isinstance(each, dict | list) for each in value)
    )


@lru_cache(maxsize=16)
def _prefixes(readable: frozenset[str]) -> frozenset[str]:
    """What readable paths pass through, each with its dot: ``a.`` and ``a.b.`` for ``a.b.c``."""
    return frozenset(path[: at + 1] for path in readable for at, sign in enumerate(path) if sign == ".")


def kinds(arguments: Mapping[str, Json], hidden: Iterable[str]) -> str:
    """What conditions can tell of the values at the pointers ``hidden`` by kind alone: ``t`` text in normal form, ``n``
    a number, ``b`` true or false, ``z`` null, ``o`` anything else.
    """
    return "".join(_LETTERS[kind_of(_at(arguments, pointer))] for pointer in hidden)


def _at(value: Any, pointer: str) -> Json:
    for key in pointer.split("/")[1:]:
        value = value[int(key) if isinstance(value, list) else key.replace("~1", "/").replace("~0", "~")]
    found: Json = value
    return found


def hashed_value(value: object, hashed: Hash) -> str:
    """The keyed hash under which ``masked`` hides a JSON value."""
    return hashed(_encode(value))


def masked_target(target: str) -> str:
    """A name or URI without what may hold a secret: its query, fragment and user; at most ``TARGET`` characters."""
    bare = target[: 2 * TARGET]
    return _USERINFO.sub("//", _TAIL.sub("", bare))[:TARGET]


def keyed_hash(key: bytes) -> Hash:
    """A keyed hash of 128 bits as hexadecimal text, told apart by ``key`` (at most 64 bytes)."""

    def hashed(value: bytes) -> str:
        return blake2b(value, digest_size=16, key=key).hexdigest()

    return hashed
