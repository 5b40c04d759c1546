"""How often was called, as processes tell each other: a frozen record, no behaviour."""

import msgspec


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What one process counted of those who are near their limits. ``counts`` are by name, which says to nobody who
    called: when calls leave (ms since the epoch, without the length of their window), and how many. None of it matters
    any more ``until`` then.
    """

    id: str
    until: int
    counts: dict[str, tuple[tuple[int, int], ...]] = {}
    rev: int = 0
