"""Whether the kept entries are those that were written: each chain is walked link by link, up to its checkpoint.

PURE but for what ``Signer`` holds. Entries come in the order of their ids, which is that in which calls began; numbers
are given as calls end. So a chain is put together from what came early, with a bound on how much is held.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.audit.chain import beginning, content, linked
from gateway.audit.checkpoints import Signer
from gateway.audit.entry import AuditEntry
from gateway.records import Checkpoint

WINDOW: Final = 10_000
"""So many entries of a chain are held until one that is missing is given up."""

LIVING_MS: Final = 180_000
"""A process that writes makes a checkpoint every minute; a gap behind one older than this is not being written."""


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain does not hold, and why; ``entry`` is ``""`` where it is not one entry."""

    chain: str
    number: int
    entry: str
    wrong: str

    def __str__(self) -> str:
        return f"chain {self.chain}, number {self.number}{self.entry and f', entry {self.entry}'}: {self.wrong}"


@dataclass(frozen=True, slots=True)
class Walked:
    """One chain: how many entries, from which to which number, up to which the checkpoint vouches, and how many stayed
    below the start when others were purged.
    """

    chain: str
    entries: int
    first: int
    last: int
    vouched: int
    left: int


@dataclass
class _Walk:
    """One chain on the way."""

    chain: str
    start: int
    link: str | None
    vouched: Checkpoint | None
    entries: int = 0
    left: int = 0
    breaks: list[Break] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.next = self.start + 1
        self.ahead: dict[int, tuple[str, bytes, str]] = {}

    def take(self, entry: AuditEntry) -> None:
        if entry.number <= self.start:
            self.left += 1
            return
        self.entries += 1
        if entry.number < self.next or entry.number in self.ahead:
            self._broken(entry.number, entry.id, "inserted: this number is there already, or came far out of order")
            return
        self.ahead[entry.number] = entry.id, content(entry), entry.link
        self._advance()
        if len(self.ahead) > WINDOW:
            self._skip()

    def finish(self) -> None:
        while self.ahead:
            self._skip()

    def _advance(self) -> None:
        while (seen := self.ahead.pop(self.next, None)) is not None:
            id, digest, link = seen
            if self.link is not None and linked(self.link, digest) != link:
                self._broken(self.next, id, "changed: what it says, or the one before it, does not give its link")
            if self.vouched is not None and self.next == self.vouched.number and link != self.vouched.link:
                self._broken(self.next, id, "changed: the signed checkpoint names another link")
            self.link = link
            self.next += 1

    def _skip(self) -> None:
        first = min(self.ahead)
        self.gaps.append((self.next, first - 1))
        self.next, self.link = first, None
        self._advance()

    def _broken(self, number: int, entry: str, wrong: str) -> None:
        self.breaks.append(Break(self.chain, number, entry, wrong))


class Verifying:
    """``before`` are the checkpoints (by chain) as they stood before the first entry was read."""

    def __init__(self, before: Mapping[str, Checkpoint], signer: Signer) -> None:
        self._before, self._signer = before, signer
        self._walks = {id: self._walk(id) for id in before}
        self.unchained = 0

    def take(self, entry: AuditEntry) -> None:
        """Look at the next entry, in order of id."""
        if not entry.number and not entry.chain:
            self.unchained += 1
            return
        if entry.chain not in self._walks:
            self._walks[entry.chain] = self._walk(entry.chain)
        self._walks[entry.chain].take(entry)

    def finish(self, after: Mapping[str, Checkpoint], now: int) -> tuple[list[Walked], list[Break]]:
        """What was found. ``after`` are the checkpoints after the last entry was read, at ``now`` (ms)."""
        breaks: list[Break] = []
        for id, walk in self._walks.items():
            walk.finish()
            breaks += [*self._of_checkpoint(id, after), *walk.breaks, *_missing(walk, after.get(id), now)]
        return [_walked(each) for each in self._walks.values()], breaks

    def _walk(self, chain: str) -> _Walk:
        found = self._before.get(chain)
        if found is None or self._signer.wrong(found):
            return _Walk(chain, 0, beginning(chain), None)
        return _Walk(chain, found.start, found.start_link, found)

    def _of_checkpoint(self, chain: str, after: Mapping[str, Checkpoint]) -> list[Break]:
        found = after.get(chain, self._before.get(chain))
        wrong = "no checkpoint vouches for it: it was removed, or the chain is not ours"
        if found is not None:
            wrong = self._signer.wrong(found)
        return [Break(chain, 0 if found is None else found.number, "", wrong)] if wrong else []


def _missing(walk: _Walk, after: Checkpoint | None, now: int) -> list[Break]:
    """Numbers without entry. Behind the checkpoint of a process that writes, they may be on their way, and what a
    purge took meanwhile is not missing.
    """
    vouched = walk.vouched.number if walk.vouched else 0
    gaps = list(walk.gaps)
    if walk.next <= vouched:
        gaps.append((walk.next, vouched))
    begins = after.start if after else 0
    ended = after is None or now - after.at > LIVING_MS
    return [
        Break(walk.chain, first, "", f"missing: numbers {max(first, begins + 1)} to {last} were removed")
        for first, last in gaps
        if last > begins and (first <= vouched or ended)
    ]


def _walked(walk: _Walk) -> Walked:
    vouched = walk.vouched.number if walk.vouched else 0
    return Walked(walk.chain, walk.entries, walk.start + 1, walk.next - 1, vouched, walk.left)
