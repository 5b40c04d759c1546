"""Whose turn it is: a bound on what is under way to one destination at one time.

It counts and waits; what is done in a turn it does not know.
"""

import asyncio
from dataclasses import dataclass

from connectors.outgoing import EgressError, Fault


@dataclass(slots=True, eq=False)
class _Lane:
    gate: asyncio.Semaphore
    users: int = 0


class Turns:
    """How many may be under way to one destination."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lanes: dict[str, _Lane] = {}

    async def take(self, where: str, patience: float) -> None:
        """Wait for a turn, at most ``patience`` seconds. Raises ``EgressError`` when there was none."""
        lane = self._lanes.get(where)
        if lane is None:
            lane = self._lanes[where] = _Lane(asyncio.Semaphore(self._at_once))
        lane.users += 1
        try:
            if lane.gate.locked():
                async with asyncio.timeout(patience):
                    await lane.gate.acquire()
            else:
                await lane.gate.acquire()  # at once
        except BaseException as error:
            self._forget(where, lane)
            if isinstance(error, TimeoutError):
                raise EgressError(Fault.BUSY, where, f"{self._at_once} exchanges are under way", sent=False) from None
            raise

    def give_back(self, where: str) -> None:
        lane = self._lanes[where]
        lane.gate.release()
        self._forget(where, lane)

    def _forget(self, where: str, lane: _Lane) -> None:
        lane.users -= 1
        if not lane.users:
            del self._lanes[where]
