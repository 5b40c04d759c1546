"""A large map that never changes: the next one shares all but the small part in which something changed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

V = TypeVar("V")

SHARDS: Final = 512
LARGE: Final = 1024
"""A map of more than so many values is changed in parts, instead of being copied."""

_EMPTY: Final[tuple[Mapping[str, Any], ...]] = ({},) * SHARDS


class Shards(Mapping[str, V]):
    """Values by texts, in no order that means anything."""

    __slots__ = ("_parts", "_size")

    def __init__(self, parts: tuple[Mapping[str, V], ...] = _EMPTY, size: int = 0) -> None:
        self._parts = parts
        self._size = size

    def changed(self, put: Mapping[str, V], drop: Iterable[str]) -> "Shards[V]":
        """The map with these values, and without those of ``drop``; what is in both is put."""
        touched: dict[int, dict[str, V]] = {}
        size = self._size
        for key in drop:
            part = self._copied(key, touched)
            size -= part.pop(key, None) is not None
        for key, value in put.items():
            part = self._copied(key, touched)
            size += key not in part
            part[key] = value
        parts = list(self._parts)
        for place, part in touched.items():
            parts[place] = part
        return Shards(tuple(parts), size)

    def _copied(self, key: str, touched: dict[int, dict[str, V]]) -> dict[str, V]:
        place = hash(key) % SHARDS
        if (part := touched.get(place)) is None:
            part = touched[place] = dict(self._parts[place])
        return part

    def __getitem__(self, key: str) -> V:
        return self._parts[hash(key) % SHARDS][key]

    def get(self, key: str, default: Any = None) -> Any:  # faster than that of a Mapping, which raises and catches
        return self._parts[hash(key) % SHARDS].get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._parts[hash(key) % SHARDS]

    def __iter__(self) -> Iterator[str]:
        return (key for part in self._parts for key in part)

    def __len__(self) -> int:
        return self._size


def changed(known: Mapping[str, V], put: Mapping[str, V], drop: Iterable[str]) -> Mapping[str, V]:
    """``known`` with these values, and without those of ``drop``, at the cost of what changes."""
    if len(known) > LARGE:
        parted = known if isinstance(known, Shards) else Shards[V]().changed(known, ())
        return parted.changed(put, drop)
    fresh = dict(known)
    for key in drop:
        fresh.pop(key, None)
    return {**fresh, **put}
