"""Pages of a list, and the cursors that lead from one page to the next.

A cursor tells after which item the next page begins, in an order that depends on each item alone: so items that
come or go in between neither hide nor repeat those that stay, on every node and after every start. It is no
secret and opens nothing, since each page is decided anew. This file knows no item and no policy.
"""

import base64
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol, TypeAlias, TypeVar

from gateway.errors import InvalidArguments

Position: TypeAlias = tuple[int, str]
"""Where an item stands in its list: the number of what offers it, and its own name there."""

LARGEST: Final = 64 * 1024
"""Characters of a cursor that is looked at."""

FRESH: Final = "ask without a cursor to begin anew"


class Placed(Protocol):
    """An item of a list; ``weight`` is its size in bytes."""

    @property
    def position(self) -> Position: ...

    @property
    def weight(self) -> int: ...


P = TypeVar("P", bound=Placed)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one page holds at most; one item, however large, always fits."""

    items: int = 250
    bytes: int = 4 * 1024 * 1024


USUAL: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Pages:
    """One list of one who asks, told apart from all others by ``words``."""

    words: tuple[str, ...]

    def cursor(self, last: Position) -> str:
        """The cursor of the page that begins behind ``last``."""
        text = json.dumps([self._mark(), *last], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def position(self, cursor: str) -> Position:
        """What ``cursor`` was made of. Raises ``InvalidArguments`` for what is no cursor, or one of another list."""
        match _read(cursor):
            case [str(mark), int(number), str(name)]:
                if mark == self._mark():
                    return number, name
                raise InvalidArguments(f"`cursor`: of another list or account, or of former settings; {FRESH}")
            case _:
                raise InvalidArguments(f"`cursor`: no cursor of this server; {FRESH}")

    def _mark(self) -> str:
        return sha256(json.dumps(self.words).encode()).hexdigest()[:16]


def page(
    items: Sequence[P], after: Position | None, bounds: Bounds, *, shown: Callable[[P], bool]
) -> tuple[list[P], Position | None]:
    """Of ``items``, which are sorted by their positions, those behind ``after`` that are ``shown``, as many as fit;
    and the last position of this page, if another one follows. No further item is looked at.
    """
    found: list[P] = []
    room = bounds.bytes
    first = 0 if after is None else bisect_right(items, after, key=lambda item: item.position)
    for number in range(first, len(items)):
        item = items[number]
        if not shown(item):
            continue
        room -= item.weight
        if found and (room < 0 or len(found) == bounds.items):
            return found, found[-1].position
        found.append(item)
    return found, None


def _read(cursor: str) -> object:
    if len(cursor) > LARGEST:
        return None
    try:
        return json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None
