"""One request under way: who waits for its answer, and for how much longer.

It knows times and its caller; it must not know messages, transports, or what is asked.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from connectors.base import Caller
from connectors.transport import TransportLost
from gateway.mcp.terms import Response
from gateway.policy.terms import Json

STRETCH: Final = 10
"""Progress keeps a call alive, but not beyond so many times its time-out."""

STANDSTILL: Final = 600.0
"""Seconds that the time-out of one request stands still, at most, while questions are with the client."""

LINGER: Final = 0.25
"""Seconds a server may keep an answer's stream open after the answer, before we close it."""


@dataclass(eq=False, slots=True)
class Waiting:
    """One request under way. ``outcome`` is never an exception set on the future: nobody may be looking.

    ``patience`` is the seconds without an answer or progress, ``None`` for ever; ``latest`` the time beyond which
    progress does not count. All times are the event loop's.
    """

    outcome: asyncio.Future[Response | TransportLost]
    caller: Caller
    token: Json
    patience: float | None
    latest: float
    task: asyncio.Task[Any] | None
    scope: asyncio.Timeout | None = None
    sending: bool = True
    asked: int = 0
    _due: float = 0.0  # when patience ends, had it not stood still since `_since`
    _since: float = 0.0
    _allowance: float = STANDSTILL

    @property
    def answered(self) -> bool:
        """A task that is cancelled while it waits cancels the future with it."""
        return self.outcome.done() and not self.outcome.cancelled()

    def settle(self, outcome: Response | TransportLost, now: float) -> None:
        if self.outcome.done():
            return
        self.outcome.set_result(outcome)
        if self.sending and self.scope is not None and not self.scope.expired():
            self.scope.reschedule(now + LINGER)

    def stretch(self, now: float) -> None:
        """There was progress."""
        if self.patience is None:
            return
        if self.asked:
            self._due = min(now - self._stood(now) + self.patience, self.latest)
            self._end_at(self._due + self._allowance)
        else:
            self._end_at(min(now + self.patience, self.latest))

    def stand_still(self, now: float) -> None:
        """One more question is with the client, who may take his time."""
        self.asked += 1
        if self.asked == 1 and self.scope is not None and (due := self.scope.when()) is not None:
            self._due, self._since = due, now
            self._end_at(due + self._allowance)

    def go_on(self, now: float) -> None:
        """One question less is with the client."""
        self.asked -= 1
        if self.asked == 0 and self.patience is not None:
            stood = self._stood(now)
            self._allowance -= stood
            self.latest += stood
            self._end_at(self._due + stood)

    def _stood(self, now: float) -> float:
        """The seconds that it has stood still since the first of the questions that are with the client."""
        return min(now - self._since, self._allowance)

    def _end_at(self, time: float) -> None:
        if self.scope is not None and not self.scope.expired() and not self.outcome.done():
            self.scope.reschedule(time)
