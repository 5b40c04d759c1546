"""Things by two words each, in a form of which the next version shares all that stayed.

A shelf is built in slices, because whoever builds a large one has other work to do meanwhile, and it is taken
apart in slices for the same reason. The garbage collector lets go of what it holds, as long as that is nothing
that the collector would have to look into. This file knows nothing of what stands on a shelf.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from gateway.policy.shards import changed

SLICE: Final = 256
"""Steps between two pauses of work that is cut into slices: less than a millisecond."""

FEW: Final = 8
"""So many things are looked through faster than they are looked up."""

T = TypeVar("T")
Slices: TypeAlias = Generator[None, None, T]
"""Work that pauses often, and returns its result at the end."""

Shelf: TypeAlias = Mapping[str, Mapping[str, T]]
Words: TypeAlias = Callable[[T], tuple[str, str]]


def at_once(work: Slices[T]) -> T:
    """The result of work that was cut into slices, without the pauses."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result


def put(shelf: dict[str, dict[str, Any]], words: tuple[str, str], item: Any) -> None:
    """Put an item on a shelf that is being filled, to be ``packed`` at the end. Few items are kept in a tuple, because
    the garbage collector lets go of it, and would look into a hundred thousand lists.
    """
    outer, inner = words
    inside = shelf.setdefault(outer, {})
    found = inside.get(inner, ())
    if len(found) < FEW:
        inside[inner] = (*found, item)
    elif isinstance(found, tuple):
        inside[inner] = [*found, item]
    else:
        found.append(item)


def packed(shelf: dict[str, dict[str, Any]], pack: Callable[[Sequence[Any]], T]) -> Slices[Shelf[T]]:
    """The shelf with the items of each pair of words packed. Its maps are made anew: the garbage collector never looks
    into one that was filled with what it has let go of.
    """
    steps = 0
    for outer, inside in shelf.items():
        shelf[outer] = {}
        for inner, found in inside.items():
            shelf[outer][inner] = pack(found)
            if (steps := steps + len(found)) >= SLICE:
                steps = 0
                yield
    return shelf


def reshelved(
    shelf: Shelf[Any],
    words: Words[Any],
    pack: Callable[[Sequence[Any]], Any],
    *,
    added: Iterable[Any],
    removed: Iterable[Any],
    unpack: Callable[[Any], Iterable[Any]] = iter,
) -> Shelf[Any]:
    """The shelf with and without these items; ``removed`` are the very objects that stand there."""
    fresh = dict(shelf)
    touched: dict[tuple[str, str], list[Any]] = {words(item): [] for item in removed}
    for item in added:
        touched.setdefault(words(item), []).append(item)
    gone = {id(item) for item in removed}
    moved: dict[str, dict[str, list[Any]]] = {}
    for (outer, inner), more in touched.items():
        there = unpack(shelf.get(outer, {}).get(inner, ()))
        items = [*((item for item in there if id(item) not in gone) if gone else there), *more]
        moved.setdefault(outer, {})[inner] = items
    for outer, places in moved.items():
        filled = {inner: pack(items) for inner, items in places.items() if items}
        fresh[outer] = changed(shelf.get(outer, {}), filled, [inner for inner, items in places.items() if not items])
    return fresh


def taken_apart(contents: list[Any]) -> Slices[None]:
    """Let go of everything that ``contents`` (maps and sequences) alone still hold, in slices."""
    steps = 0
    while contents:
        for gone in _let_go(contents.pop()):
            if (steps := steps + gone) >= SLICE:
                steps = 0
                yield


def _let_go(part: Any) -> Iterator[int]:
    """Empty a map or sequence, and tell after each step how many things went with it."""
    if isinstance(part, dict):
        while part:
            yield from _let_go(part.popitem()[1])
        return
    rest = list(part)
    del part
    while rest:
        gone = min(SLICE, len(rest))
        del rest[-SLICE:]
        yield gone
