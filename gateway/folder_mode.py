"""Development only: a policy folder whose valid edits take effect by being applied to the store.

This file knows when to read the folder and what to say; reading and applying are done elsewhere, and
the follower picks up the applied policy as it does any other.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gateway.analysis.cases import read_cases
from gateway.audit import AuditEntry
from gateway.audit.trail import EntryIds
from gateway.manage.commit import commit_of
from gateway.manage.policies import CasesFailed, FolderDecides, LockedOut, apply_policy
from gateway.policy.bundle import Bundle
from gateway.policy.engine import BadPolicy, Policy
from gateway.policy.folder import fingerprint, read_folder
from gateway.policy.terms import MAIN, SYSTEM, Place, Problem
from gateway.store.base import Conflict, Store

AUTHOR: Final = "folder"

PATIENCE_S: Final = 0.2
"""For what an edit need not wait for."""

log = logging.getLogger(__name__)


class FolderMode:
    """Watches ``folder``. ``clock`` tells ms since the epoch, ``record`` takes the audit entry of each apply, ``mark``
    gives a text that changes with the folder.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        clock: Callable[[], int],
        record: Callable[[AuditEntry], None],
        mark: Callable[[Path], str] = fingerprint,
    ) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock
        self._record = record
        self._mark = mark
        self._ids = EntryIds()
        self._seen: str | None = None
        self._depends_on: int | None = None

    def refuse_apply(self) -> None:
        """To be asked before anything else than the folder is applied. Raises ``FolderDecides``."""
        raise FolderDecides(f"in development the folder `{self._folder.name}` decides; edit it instead")

    async def step(self) -> None:
        """Apply the folder if it was edited since the last step and is valid; otherwise tell its problems once.

        Raises ``Unavailable`` when the store does not answer; the next step tries again.
        """
        seen = await asyncio.to_thread(self._mark, self._folder)
        if seen == self._seen and not await self._may_do_now():
            return
        found = await asyncio.to_thread(read_folder, self._folder)
        if await asyncio.to_thread(self._mark, self._folder) != seen:
            return  # still being written: the next step reads it whole
        if isinstance(found, Bundle):
            await self._apply(found, seen)
        else:
            await self._refuse(found, seen)

    async def _apply(self, bundle: Bundle, seen: str) -> None:
        heads, why, began = await self._store.heads(), f"{self._folder.name}/ was edited", time.perf_counter()
        commit = await commit_of(self._folder)
        try:
            head = await apply_policy(
                self._store,
                bundle,
                author=AUTHOR,
                why=why,
                now=self._clock(),
                expected=heads.policy,
                commit=commit,
                despite_grants=True,  # what was granted never keeps a policy from coming into force
                patience_s=PATIENCE_S,
                tell=lambda problem: log.warning("%s", problem),
            )
        except Conflict:
            return  # somebody applied at the same moment: the next step decides anew
        except BadPolicy as bad:
            await self._refuse(bad.problems, seen)
        except (LockedOut, CasesFailed) as failure:
            await self._refuse(self._told(failure), seen)
            self._depends_on = heads.changes
            self._leave_entry(why, began, error=type(failure).__name__)
        else:
            self._seen, self._depends_on = seen, None
            if head.version != heads.policy:
                self._leave_entry(why, began, version=head.version)
            log.info("%s: in force as version %d, %d rules", self._folder.name, head.version, len(bundle.rules))

    async def _may_do_now(self) -> bool:
        """Whether a grant that came or went since may let in the folder as it stands: somebody manages the policy
        now, or a case no longer fails.
        """
        return self._depends_on is not None and (await self._store.heads()).changes != self._depends_on

    async def _refuse(self, problems: Sequence[Problem], seen: str) -> None:
        in_force = (await self._store.heads()).policy > 0
        self._seen, self._depends_on = seen, None
        for problem in problems:
            log.error("%s", problem)
        if in_force:
            log.error("%s: not applied, %d problems; the last good policy stays", self._folder.name, len(problems))
        else:
            sentence = "%s: not applied, %d problems; no policy is in force, so everything is denied"
            log.error(sentence, self._folder.name, len(problems))

    def _told(self, failure: LockedOut | CasesFailed) -> Sequence[Problem]:
        if isinstance(failure, CasesFailed):
            return (*failure.problems, *failure.by_grants)
        return [Problem(Place(self._folder.name), str(failure))]

    def _leave_entry(self, why: str, began: float, *, version: int | None = None, error: str = "") -> None:
        at = self._clock()
        arguments = {"folder": self._folder.name, "why": why} | ({} if version is None else {"version": version})
        self._record(
            AuditEntry(
                id=self._ids.next(at),
                at=at,
                subject=AUTHOR,
                transport=AUTHOR,
                domain=MAIN,
                owner=SYSTEM,
                method="policy.apply",
                object="gateway/policy",
                action="manage",
                allowed=True,
                outcome="failed" if error else "ok",
                error=error,
                took=round((time.perf_counter() - began) * 1000, 3),
                arguments={f"/{name}": json.dumps(value) for name, value in arguments.items()},
            )
        )


def read_valid(folder: Path) -> Bundle | list[Problem]:
    """The bundle of a policy folder, proven to be one that can be built and tested, or all that is wrong with it."""
    found = read_folder(folder)
    if not isinstance(found, Bundle):
        return found
    cases = read_cases(found.cases)
    problems = cases if isinstance(cases, list) else []
    try:
        Policy.build(found, (), "")
    except BadPolicy as bad:
        return [*bad.problems, *problems]
    return problems or found
