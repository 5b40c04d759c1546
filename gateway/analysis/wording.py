"""Parties, owners and rows as people read them: in which words, and in which order. Knows names only."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.analysis.cells import OTHERS, SELF
from gateway.policy.model import is_subject
from gateway.policy.rows import as_written
from gateway.policy.terms import SYSTEM, Link, Place, Rule

_STRANGERS: Final[Mapping[str, str]] = {
    "user:*": "every other user",
    "end:*": "every other end user",
    "server:*": "every other server",
}
_SOME_USERS: Final = ("role:", "group:")
"""Strangers who need no mention beside every other user."""


def who_text(parties: Iterable[str], limit: int) -> str:
    """Known subjects as a count, or by name when they are at most ``limit``, and the strangers among them."""
    names = sorted(parties)
    known = [name for name in names if is_subject(name)]
    others = [name for name in names if not is_subject(name)]
    if "user:*" in others:
        others = [name for name in others if not name.startswith(_SOME_USERS)]
    told = known if len(known) <= limit else [counted(len(known), "user")]
    return ", ".join([*told, *some([_stranger(name) for name in others], limit)])


def whose_text(owner: str) -> str:
    """Whose it is that a cell is about."""
    return {SELF: "his own", SYSTEM: "the operator's", OTHERS: "anybody's"}.get(owner, owner)


def row_text(row: Rule | Link) -> str:
    """A row with its place, as files write it."""
    return f"{row.place}: {as_written(row)}"


def in_order(row: Rule | Link) -> tuple[str, int]:
    """The order in which people read rows."""
    return reading_order(row.place)


def reading_order(place: Place) -> tuple[str, int]:
    """The order in which people read what stands at these places."""
    return place.file, place.line or 0


def some(words: Sequence[str], limit: int) -> list[str]:
    """The first words, and how many more there are."""
    return [*words[:limit], f"{len(words) - limit} more"] if len(words) > limit else list(words)


def counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _stranger(name: str) -> str:
    if name in _STRANGERS:
        return _STRANGERS[name]
    if name.startswith("end:"):
        return f"every other end user of {name[4:-2]}"
    return f"whoever gets {name}" if name.startswith("role:") else f"whoever is in {name}"
