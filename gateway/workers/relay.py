"""Other workers, as the data plane meets them: who holds what a request is about, and his answer to it."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.workers.envelopes import Handed
from gateway.workers.handing import Dead, Handing
from gateway.workers.names import Names
from gateway.workers.roster import Roster

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Relay:
    """``keeper`` tells which worker gave a ``requestState`` out, ``""`` for none of us."""

    names: Names
    roster: Roster
    handing: Handing
    keeper: Callable[[str], str]

    def holder(self, id: str) -> str:
        """Which worker holds the session or task ``id``; ``""`` for this one, and for what nobody made."""
        return self._other(self.names.owner(id))

    def keeper_of(self, state: str) -> str:
        """Which worker waits for a ``requestState``; ``""`` for this one, and for what nobody made."""
        return self._other(self.keeper(state))

    async def pass_on(self, name: str, handed: Handed, send: Send, gone: Callable[[], Awaitable[None]]) -> bool:
        """Let the worker of that name answer; False where it is dead, and nothing has been answered. Raises
        ``Unavailable`` where it may live and does not answer.
        """
        worker = await self.roster.sought(name)
        if worker is None:
            return False
        try:
            await self.handing.hand(worker, handed, send, gone)
        except Dead:
            return False
        return True

    def _other(self, name: str) -> str:
        return "" if name == self.names.mine else name
