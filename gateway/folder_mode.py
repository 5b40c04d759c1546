"""Development only: a policy folder whose valid edits take effect by being applied to the store.

This file knows when to read the folder and what to say; reading and applying are done elsewhere, and
the follower picks up the applied policy as it does any other.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gateway.manage.policies import LockedOut, apply_policy
from gateway.policy.bundle import Bundle
from gateway.policy.engine import BadPolicy, Policy
from gateway.policy.folder import fingerprint, read_folder
from gateway.policy.terms import Place, Problem
from gateway.store.base import Conflict, Store

AUTHOR: Final = "folder"

log = logging.getLogger(__name__)


class FolderMode:
    """Watches ``folder``; ``clock`` tells ms since the epoch, ``mark`` gives a text that changes with the folder."""

    def __init__(
        self, folder: Path, store: Store, *, clock: Callable[[], int], mark: Callable[[Path], str] = fingerprint
    ) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock
        self._mark = mark
        self._seen: str | None = None
        self._locked_out_at: int | None = None

    async def step(self) -> None:
        """Apply the folder if it was edited since the last step and is valid; otherwise tell its problems once.

        Raises ``Unavailable`` when the store does not answer; the next step tries again.
        """
        seen = await asyncio.to_thread(self._mark, self._folder)
        if seen == self._seen and not await self._may_be_let_in():
            return
        found = await asyncio.to_thread(read_folder, self._folder)
        if await asyncio.to_thread(self._mark, self._folder) != seen:
            return  # still being written: the next step reads it whole
        if isinstance(found, Bundle):
            await self._apply(found, seen)
        else:
            self._refuse(found, seen)

    async def _apply(self, bundle: Bundle, seen: str) -> None:
        changes = (await self._store.heads()).changes
        try:
            head = await apply_policy(
                self._store, bundle, author=AUTHOR, why=f"{self._folder.name}/ was edited", now=self._clock()
            )
        except Conflict:
            return  # somebody applied at the same moment: the next step decides anew
        except BadPolicy as bad:
            self._refuse(bad.problems, seen)
        except LockedOut as locked:
            self._refuse([Problem(Place(self._folder.name), str(locked))], seen)
            self._locked_out_at = changes
        else:
            self._seen, self._locked_out_at = seen, None
            log.info("%s: in force as version %d, %d rules", self._folder.name, head.version, len(bundle.rules))

    async def _may_be_let_in(self) -> bool:
        """Whether a grant made since may give the folder, as it stands, somebody who manages the policy."""
        return self._locked_out_at is not None and (await self._store.heads()).changes != self._locked_out_at

    def _refuse(self, problems: Sequence[Problem], seen: str) -> None:
        self._seen, self._locked_out_at = seen, None
        for problem in problems:
            log.error("%s", problem)
        log.error("%s: not applied, %d problems; the last good policy stays", self._folder.name, len(problems))


def read_valid(folder: Path) -> Bundle | list[Problem]:
    """The bundle of a policy folder, proven to be one that can be built, or all that is wrong with it."""
    found = read_folder(folder)
    if isinstance(found, Bundle):
        try:
            Policy.build(found, (), "")
        except BadPolicy as bad:
            return list(bad.problems)
    return found
