"""Whose a task is: the ids that clients know, and what stands behind each.

An id of ours tells nothing and cannot be guessed; it counts for one principal on one server, and names the tool, the
arguments and the connection of the call that made the task, so that everything asked about it can be decided anew. A
restart forgets them. This file knows no policy and sends nothing.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.mcp.terms import Era
from gateway.policy.terms import Json

LIVES_MS: Final = 24 * 60 * 60 * 1000
PER_SUBJECT: Final = 100
PER_SUBJECT_BYTES: Final = 16 * 1024 * 1024
MOST: Final = 10_000
"""Tasks that are remembered, of one subject and of all, and how large their arguments may be together; beyond, the
oldest is forgotten.
"""


@dataclass(frozen=True, slots=True)
class Task:
    """``theirs`` is the id by which the server knows it; ``tool`` the public name of the tool, ``mark`` tells which
    one of its users' it was (``Offer.mark``), ``credential`` the connection of ``owner`` that was used. ``expires`` is
    ms since the epoch, ``weight`` the bytes of the arguments.
    """

    id: str
    principal: str
    domain: str
    connector: str
    owner: str
    credential: str
    tool: str
    arguments: Mapping[str, Json]
    era: Era
    theirs: str
    expires: int
    weight: int
    mark: str = ""


def unguessable() -> str:
    """192 random bits."""
    return secrets.token_urlsafe(24)


class Tasks:
    """Every task that was made through this process. ``mint`` makes ids; all times are ms since the epoch."""

    def __init__(
        self, *, per_subject: int = PER_SUBJECT, most: int = MOST, mint: Callable[[], str] = unguessable
    ) -> None:
        self._mint = mint
        self._per_subject = per_subject
        self._most = most
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._of: dict[str, OrderedDict[str, None]] = {}

    def keep(
        self,
        *,
        principal: str,
        domain: str,
        connector: str,
        owner: str,
        credential: str,
        tool: str,
        arguments: Mapping[str, Json],
        era: Era,
        theirs: str,
        now: int,
        mark: str = "",
    ) -> Task:
        """A new task under an unguessable id."""
        id = self._mint()
        weight = len(msgspec.json.encode(arguments))
        self._make_room(principal, weight)
        task = Task(
            id,
            principal,
            domain,
            connector,
            owner,
            credential,
            tool,
            arguments,
            era,
            theirs,
            now + LIVES_MS,
            weight,
            mark,
        )
        self._tasks[id] = task
        self._of.setdefault(principal, OrderedDict())[id] = None
        return task

    def find(self, id: str, principal: str, domain: str, now: int) -> Task | None:
        """The task ``id``, for the one whose it is, where he made it."""
        task = self._tasks.get(id)
        if task is None or task.principal != principal or task.domain != domain:
            return None
        if task.expires <= now:
            self.forget(id)
            return None
        return task

    def of(self, principal: str, domain: str, now: int) -> list[Task]:
        """His tasks on one server, the oldest first."""
        found = (self.find(id, principal, domain, now) for id in list(self._of.get(principal, ())))
        return [task for task in found if task is not None]

    def _make_room(self, principal: str, weight: int) -> None:
        own = self._of.get(principal, OrderedDict())
        weights = sum(self._tasks[id].weight for id in own)
        while own and (len(own) >= self._per_subject or weights + weight > PER_SUBJECT_BYTES):
            oldest = next(iter(own))
            weights -= self._tasks[oldest].weight
            self.forget(oldest)
        if len(self._tasks) >= self._most:
            self.forget(next(iter(self._tasks)))

    def forget(self, id: str) -> None:
        if (task := self._tasks.pop(id, None)) is not None:
            own = self._of[task.principal]
            del own[id]
            if not own:
                del self._of[task.principal]
