"""The snapshot that every call reads: identities and policy as the store has them, followed by polling.

One reference is swapped; whoever has read it keeps what he has read. What cannot be confirmed for too
long is stale, and then nothing is decided. This file knows no transport and decides nothing itself.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from gateway.folder_mode import FolderMode
from gateway.identity import Identities, KeyRing
from gateway.policy.bundle import decode
from gateway.policy.engine import BadPolicy, Policy, grant_rows
from gateway.policy.terms import Link, Rule
from gateway.records import Grant
from gateway.store.base import Changes, NotFound, Store, Unavailable

POLL_SQLITE_S: Final = 0.5
POLL_MONGO_S: Final = 1.0

IN_A_ROW: Final = 8
"""How many policies, each applied while the one before was being built, are waited for."""

NEVER: Final = 1 << 62

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one call judges by. Everything in it was current at ``confirmed_at_ms`` (ms since the epoch)."""

    identities: Identities
    policy: Policy
    confirmed_at_ms: int

    def stale(self, now: int, after_ms: float) -> bool:
        """Whether ``now`` is further than ``after_ms`` from the confirmation, on either side of it: a clock that was
        set back must not keep an old snapshot alive.
        """
        return abs(now - self.confirmed_at_ms) > after_ms


Listener: TypeAlias = Callable[[Snapshot], None]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Follower:
    """Keeps ``current`` up to date. ``poll_s`` is the longest pause between two looks at the store, ``folder``
    (development only) a policy folder whose edits are applied first.
    """

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        *,
        poll_s: float,
        folder: FolderMode | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.current = Snapshot(Identities(ring), Policy.build(None, (), "0.0"), confirmed_at_ms=0)
        self._store = store
        self._poll_s = poll_s
        self._folder = folder
        self._clock = clock
        self._polling = asyncio.Lock()
        self._listeners: list[Listener] = []
        self._seq = 0
        self._rows: Mapping[str, Rule | Link] = {}
        self._living: Mapping[str, Rule | Link] = {}
        self._unreadable: frozenset[str] = frozenset()
        self._head = 0
        self._refused = -1
        self._loading: asyncio.Task[bool] | None = None
        self._settled_at = 0
        self._next_expiry = NEVER
        self._complaint = ""

    def on_swap(self, listener: Listener) -> None:
        """Call ``listener`` with the new snapshot whenever identities or policy changed, or a key or grant ended."""
        self._listeners.append(listener)

    async def catch_up(self) -> None:
        """Follow everything that is in the store by now; to be called at start and after every local write.

        Raises ``Unavailable`` when the store does not answer.
        """
        if self._folder is not None:
            await self._folder.step()
        await self._poll()
        for _ in range(IN_A_ROW):
            if self._loading is None or not await asyncio.shield(self._loading):
                return
            await self._poll()

    async def run(self) -> None:
        """Follow the store until cancelled. What goes wrong is told once and tried again; meanwhile the last
        good snapshot stays, until it is stale.
        """
        steps = [self._poll] if self._folder is None else [self._poll, self._folder.step]
        try:
            async with asyncio.TaskGroup() as together:
                for step in steps:  # each on its own: no revocation waits while a large folder is read
                    together.create_task(self._repeat(step))
        finally:
            if self._loading is not None:
                self._loading.cancel()

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._poll_s * random.uniform(0.75, 1))  # noqa: S311 (so that nodes do not poll in step)
            try:
                await step()
            except Unavailable as down:
                self._complain(f"the store does not answer: {down}")

    async def _poll(self) -> None:
        """One look at the store: people, keys and grants at once, a new bundle by a task of its own, so that a
        revocation never waits while a large policy is built.
        """
        async with self._polling:
            asked = self._clock()
            heads = await self._store.heads()
            if heads.changes != self._seq:
                self._take(await self._store.changes(self._seq), asked)
            elif self._ended(asked):
                self._settle(self.current.identities, self._rows, asked, seq=self._seq)
            if heads.policy == self._head:
                self._confirm(asked)
            elif heads.policy != self._refused and self._loading is None:
                self._loading = asyncio.create_task(self._load(heads.policy), name="policy")

    def _confirm(self, asked: int) -> None:
        if self._unreadable:
            self._complain(
                f"grants that cannot be read, and so no policy that can be confirmed: {sorted(self._unreadable)}"
            )
            return
        self._complaint = ""
        self.current = replace(self.current, confirmed_at_ms=asked)

    def _take(self, changes: Changes, asked: int) -> None:
        """Follow what changed in people, keys and grants."""
        known = Identities(self.current.identities.ring) if changes.whole else self.current.identities
        identities = known.changed(users=changes.users, keys=changes.keys, removed=changes.removed)
        touched = {grant.id for grant in changes.grants} | {id for kind, id in changes.removed if kind == "grants"}
        kept = {} if changes.whole else {id: row for id, row in self._rows.items() if id not in touched}
        rows = {grant.id: row for grant in changes.grants if (row := _row(grant)) is not None}
        unreadable = {grant.id for grant in changes.grants if grant.id not in rows}
        self._unreadable = frozenset(unreadable if changes.whole else unreadable | (self._unreadable - touched))
        self._settle(identities, {**kept, **rows}, asked, seq=changes.seq)

    def _settle(self, identities: Identities, rows: Mapping[str, Rule | Link], asked: int, *, seq: int) -> None:
        """Swap in these identities, and those of these grants that have not ended: all that counts after ``seq``."""
        living = {id: row for id, row in rows.items() if row.expires is None or asked < row.expires}
        policy = self.current.policy
        if living != self._living:
            policy = policy.with_grants(_in_order(living), f"{self._head}.{seq}")
        ends = (row.expires for row in living.values() if row.expires is not None)
        next_expiry = min((*ends, identities.next_expiry(asked) or NEVER))
        ended = self._ended(asked)
        # only from here on, where nothing can fail any more, the changes count as seen
        self._seq, self._rows, self._living = seq, rows, living
        self._settled_at, self._next_expiry = asked, next_expiry
        if ended or policy is not self.current.policy or identities != self.current.identities:
            self._swap(Snapshot(identities, policy, self.current.confirmed_at_ms))

    def _ended(self, asked: int) -> bool:
        """Whether a key or grant may have ended since they were settled, or not yet: a clock can be set back."""
        return not self._settled_at <= asked < self._next_expiry

    async def _load(self, version: int) -> bool:
        """Build the policy that the head names and swap it in; false when it has to be tried again."""
        try:
            head = await self._store.bundles.head()
            if head is None:
                policy = Policy.build(None, (), "")
            else:
                version = head.version
                body = await self._store.bundles.get(head.bundle)
                policy = await asyncio.to_thread(_build, body)
        except (Unavailable, NotFound) as error:
            self._complain(f"policy {version} cannot be fetched, the last good one stays: {error}")
            return False
        except ValueError as error:
            self._refused = version
            log.error("policy %d cannot be used, the last good one stays until it is stale: %s", version, error)  # noqa: TRY400
            return True
        finally:
            self._loading = None
        version = 0 if head is None else version
        policy = policy.with_grants(_in_order(self._living), f"{version}.{self._seq}")
        self._head = version
        self._swap(replace(self.current, policy=policy))
        return True

    def _swap(self, snapshot: Snapshot) -> None:
        self.current = snapshot
        for listener in self._listeners:
            listener(snapshot)

    def _complain(self, sentence: str) -> None:
        """Say what is wrong, once as long as it stays so."""
        if sentence != self._complaint:
            self._complaint = sentence
            log.error(sentence)


def _row(grant: Grant) -> Rule | Link | None:
    try:
        return grant_rows(grant)
    except BadPolicy as bad:
        log.error("%s", bad)  # noqa: TRY400
        return None


def _in_order(rows: Mapping[str, Rule | Link]) -> list[Rule | Link]:
    """The rows of grants, in the same order on every node."""
    return [row for _, row in sorted(rows.items())]


def _build(body: bytes) -> Policy:
    return Policy.build(decode(body), (), "", lambda place: log.error("a fault while deciding, so denied: %s", place))
