"""Which lines an upstream has, for whom, and how many may have a session at a time.

A line belongs to one principal (or to all), and a legacy server was told on it what its callers can be asked for:
callers who can be asked for something else need another. This file opens nothing and knows no message.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from connectors.base import Catalogue
from connectors.line import Line
from gateway.errors import UpstreamFailed
from gateway.mcp.questions import words_of
from gateway.mcp.terms import Params

_LOG = logging.getLogger(__name__)

MAX_LINES: Final = 10_000
"""Principals whose catalogue is remembered, each counted once for every kind of client of his."""

OF_ONE: Final = 4
"""Sessions that one principal may have at a time."""

Make: TypeAlias = Callable[[str, Params, Catalogue | None], Line]


class Lines:
    """``make`` gives a new line for a principal, for what its callers can be asked for, with a catalogue to begin
    with; ``most`` is how many of all may have a session at a time.
    """

    def __init__(self, name: str, make: Make, most: int) -> None:
        self._name = name
        self._make = make
        self._most = most
        self._of: dict[str, dict[frozenset[str], Line]] = {}  # each principal's, the one used last at the end
        self._count = 0

    def __iter__(self) -> Iterator[Line]:
        return (line for lines in self._of.values() for line in lines.values())

    def of(self, principal: str) -> tuple[Line, ...]:
        """All lines of ``principal``, the one used last first."""
        return tuple(reversed(self._of.get(principal, {}).values()))

    def find(self, principal: str, capabilities: Params) -> Line | None:
        """The line for callers who can be asked for exactly this."""
        lines, words = self._of.get(principal, {}), words_of(capabilities)
        if (line := lines.pop(words, None)) is not None:
            lines[words] = line
        return line

    def add(self, principal: str, capabilities: Params) -> Line:
        """A new line. Raises ``UpstreamFailed``."""
        if self._count >= MAX_LINES:
            self._forget_one()
        kept = next((line.kept for line in self.of(principal)), None)
        line = self._make(principal, capabilities, kept)
        self._of.setdefault(principal, {})[words_of(capabilities)] = line
        self._count += 1
        return line

    def remove(self, belongs: Callable[[str], bool]) -> tuple[Line, ...]:
        """Take out the lines of every principal to whom ``belongs`` applies."""
        taken = [principal for principal in self._of if belongs(principal)]
        lines = tuple(line for principal in taken for line in self._of.pop(principal).values())
        self._count -= len(lines)
        return lines

    def clear(self) -> None:
        self._of, self._count = {}, 0

    def crowded_out(self, line: Line) -> bool:
        """Whether ``line`` has no session, and there is no room for one as long as all others are busy."""
        most, among = self._rivals(line)
        return not line.placed and len(among) >= most and not any(other.idle for other in among)

    def stand_in(self, line: Line) -> Line:
        """``line``; when it is crowded out, the line of its principal whose server was told the most of what the
        callers can be asked for, and nothing else.
        """
        words = words_of(line.declares)
        told_less = [other for other in self.of(line.principal) if other.placed and words_of(other.declares) < words]
        if not told_less or not self.crowded_out(line):
            return line
        return max(told_less, key=lambda other: len(words_of(other.declares)))

    async def make_room(self, line: Line) -> None:
        """A place for ``line``, if need be that of the idlest other, whose session ends. Raises ``UpstreamFailed``."""
        most, among = self._rivals(line)
        idle = [other for other in among if other.idle]
        if len(among) >= most and not idle:
            whose = "of one principal to" if all(other.principal == line.principal != "" for other in among) else "of"
            raise UpstreamFailed(f"all {most} sessions {whose} upstream `{self._name}` are busy; try again later")
        line.placed = True
        if len(among) >= most:
            idlest = min(idle, key=lambda other: other.used)
            _LOG.info("upstream `%s`: an idle session ends to make room for another", self._name)
            idlest.placed = False
            await idlest.stop()

    def _rivals(self, line: Line) -> tuple[int, list[Line]]:
        """How many may have a session beside each other where ``line`` wants one, and which of them have."""
        placed = [other for other in self if other.placed]
        own = [other for other in placed if line.principal and other.principal == line.principal]
        return (OF_ONE, own) if len(own) >= OF_ONE else (self._most, placed)

    def _forget_one(self) -> None:
        asleep = [line for line in self if line.asleep]
        if not asleep:
            raise UpstreamFailed(f"upstream `{self._name}` serves as many principals as it can; try again later")
        oldest = min(asleep, key=lambda line: line.used)
        lines = self._of[oldest.principal]
        del lines[words_of(oldest.declares)]
        if not lines:
            del self._of[oldest.principal]
        self._count -= 1
