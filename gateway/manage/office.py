"""Where the administrative operations work: the store, and what has to happen after a write."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gateway.identity import KeyRing
from gateway.manage.letters import Letters, no_letters
from gateway.policy.terms import MAIN
from gateway.snapshot import Snapshot
from gateway.store.base import Store, Unavailable

_ALONE: Final = frozenset({MAIN})


@dataclass(frozen=True, slots=True)
class Office:
    """``snapshot`` is what is in force now; ``catch_up`` makes this process follow what was just written, ``letters``
    tells users of their keys, ``servers`` are those of the operator.
    """

    store: Store
    ring: KeyRing
    snapshot: Callable[[], Snapshot]
    catch_up: Callable[[], Awaitable[None]]
    letters: Letters = no_letters
    servers: frozenset[str] = _ALONE

    async def followed(self) -> None:
        """Follow what was written, so that the very next request of this process is judged by it."""
        try:
            await self.catch_up()
        except Unavailable:
            return  # it is stored; the next look at the store brings it
