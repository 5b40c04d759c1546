"""The snapshot that every call reads: identities, policy and connections as the store has them, followed by polling.

One reference is swapped; whoever has read it keeps what he has read. What cannot be confirmed for too
long is stale, and then nothing is decided. This file knows no transport and decides nothing itself.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from gateway.folder_mode import FolderMode
from gateway.identity import Identities, KeyRing
from gateway.pacing import clear_away_in_slices, paced
from gateway.policy.bundle import decoding
from gateway.policy.engine import BadPolicy, Policy, grant_rows
from gateway.policy.shelves import Slices
from gateway.policy.signature import TrustedKey, distrust
from gateway.policy.terms import Link, Rule
from gateway.policy.turn import Turn
from gateway.records import Grant
from gateway.servers.rows import all_grants, grants_of
from gateway.shadow import Shadow
from gateway.snapshot import Snapshot, told_of
from gateway.standing import NEVER, Standing
from gateway.store.base import Changes, Heads, NotFound, Store, Unavailable

POLL_SQLITE_S: Final = 0.5
POLL_MONGO_S: Final = 1.0

IN_A_ROW: Final = 8
"""How many policies, each applied while the one before was being built, are waited for."""

STALE_AFTER_MS: Final = 30_000.0

_VERSION: Final = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this process can decide, by which policy ``version``, and, a sentence each, what stands or will stand
    against it.
    """

    ready: bool
    version: str
    reasons: tuple[str, ...] = ()


Listener: TypeAlias = Callable[[Snapshot], None]
Watcher: TypeAlias = Callable[[Changes | None], None]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Follower:
    """Keeps ``current`` up to date. ``poll_s`` is the longest pause between two looks at the store, ``folder``
    (development only) a policy folder whose edits are applied first. With ``trusted`` keys only a policy that one of
    them signed is taken. What was not confirmed for ``stale_after_ms`` is not ready.
    """

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        *,
        poll_s: float,
        folder: FolderMode | None = None,
        trusted: Sequence[TrustedKey] = (),
        stale_after_ms: float = STALE_AFTER_MS,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.current = Snapshot(Identities(ring), Policy.build(None, (), "0.0"), confirmed_at_ms=0)
        self._store = store
        self._poll_s = poll_s
        self._folder = folder
        self._trusted = trusted
        self._stale_after_ms = stale_after_ms
        self._clock = clock
        self._polling = asyncio.Lock()
        self._listeners: list[Listener] = []
        self._turning: list[Callable[[Turn], None]] = []
        self._watchers: list[Watcher] = []
        self._seq = 0
        self._grants = Standing()
        self._unreadable: frozenset[str] = frozenset()
        self._head = 0
        self._refused = -1
        self._refusal = ""
        self._followed = asyncio.Event()
        self._loading: asyncio.Task[bool] | None = None
        self.shadow = Shadow(store, _build)
        self._plainly = False
        self._looking: asyncio.Task[None] | None = None
        self._settled_at = 0
        self._next_expiry = NEVER
        self._complaint = ""
        self._store_down = False

    def decide_plainly(self) -> None:
        """Decide by Casbin's own loop over all rows from now on, in this and every later snapshot."""
        self._plainly = True
        self._swap(self.current)

    def on_swap(self, listener: Listener) -> None:
        """Call ``listener`` with the new snapshot whenever identities, policy, connections or what users made
        changed, or a key or grant ended.
        """
        self._listeners.append(listener)

    def on_look(self, watcher: Watcher) -> None:
        """Call ``watcher`` at every look at the store with what changed there, ``None`` when nothing did."""
        self._watchers.append(watcher)

    def on_turn(self, listener: Callable[[Turn], None]) -> None:
        """Call ``listener`` whenever one policy takes the place of another that means something else."""
        self._turning.append(listener)

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

    @property
    def store_answers(self) -> bool:
        """Whether the last look at the store found it."""
        return not self._store_down

    def readiness(self, now: int) -> Readiness:
        """Whether calls are decided at ``now`` (ms since the epoch); also what will make them stop being so."""
        policy = self.current.policy
        stale = self.current.stale(now, self._stale_after_ms)
        return Readiness(not stale and policy.bundle is not None, policy.version, tuple(self._reasons(now, stale)))

    async def at_least(self, version: str, within_s: float) -> bool:
        """Whether ``version`` (``HEAD`` or ``HEAD.SEQ``, as in answers) or a later one is followed: if need be after
        one look at the store, and waiting up to ``within_s`` for what it brings. Raises ``ValueError``.
        """
        found = _VERSION.fullmatch(version)
        if found is None:
            raise ValueError(f"`{version[:40]}` is not a policy version such as `12` or `12.345`")
        head, seq = int(found[1]), int(found[2] or 0)
        try:
            async with asyncio.timeout(within_s):
                if not self._follows(head, seq):
                    await self._look()
                while not self._follows(head, seq):
                    await self._followed.wait()
        except (TimeoutError, Unavailable):
            return False
        return True

    async def run(self) -> None:
        """Follow the store until cancelled. What goes wrong is told once and tried again; meanwhile the last
        good snapshot stays, until it is stale.
        """
        steps = [self._poll] if self._folder is None else [self._poll, self._step]
        try:
            async with asyncio.TaskGroup() as together:
                for step in steps:  # each on its own: no revocation waits while a large folder is read
                    together.create_task(self._repeat(step))
        finally:
            self.shadow.stop()
            if self._loading is not None:
                self._loading.cancel()

    async def _step(self) -> None:
        """Apply an edit of the folder, and follow it at once."""
        if self._folder is not None:
            await self._folder.step()
            await self._poll()

    async def _look(self) -> None:
        """One look at the store, shared by everybody who wants one meanwhile: demands cost the store nothing more."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._poll(), name="look")
            self._looking.add_done_callback(lambda look: look.cancelled() or look.exception())
        await asyncio.shield(self._looking)

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
            heads = await self._heads()
            changes = await self._store.changes(self._seq) if heads.changes != self._seq else None
            for watcher in self._watchers:  # before the changes count as seen: what fails here is told again
                watcher(changes)
            if changes is not None:
                self._take(changes, asked)
            elif self._ended(asked):
                known = self.current
                self._settle(known, {}, frozenset(), asked, seq=self._seq)
            if heads.policy == self._head:
                self._confirm(asked)
            elif heads.policy == self._refused:
                self._complaint = ""  # the store answers; what is wrong is the policy
            elif self._loading is None:
                self._loading = asyncio.create_task(self._load(heads.policy), name="policy")
            self.shadow.look(heads.shadow, self.current.policy)

    async def _heads(self) -> Heads:
        try:
            heads = await self._store.heads()
        except Unavailable:
            self._store_down = True
            raise
        self._store_down = False
        return heads

    def _confirm(self, asked: int) -> None:
        if self._unreadable:
            self._complain(
                f"grants that cannot be read, and so no policy that can be confirmed: {sorted(self._unreadable)}"
            )
            return
        self._complaint = ""
        self.current = replace(self.current, confirmed_at_ms=asked)

    def _take(self, changes: Changes, asked: int) -> None:
        """Follow what changed in people, keys, connections, what users made, and grants."""
        known = self.current
        if changes.whole:
            known = Snapshot(Identities(known.identities.ring), known.policy, known.confirmed_at_ms)
        gone = {id for kind, id in changes.removed if kind == "grants"}
        gone |= self._left_by(changes)
        grants = all_grants(changes)
        rows = {grant.id: row for grant in grants if (row := _row(grant)) is not None}
        unreadable = {grant.id for grant in grants if grant.id not in rows}
        touched = gone | rows.keys()
        self._unreadable = frozenset(unreadable if changes.whole else unreadable | (self._unreadable - touched))
        gone |= unreadable | (self._grants.rows.keys() - rows.keys() if changes.whole else set())
        self._settle(told_of(known, changes), rows, gone, asked, seq=changes.seq)

    def _left_by(self, changes: Changes) -> set[str]:
        """The ids of all grants that followed from servers which changed or went."""
        touched = {each.id for each in changes.servers} | {id for kind, id in changes.removed if kind == "servers"}
        known = (self.current.servers.get(id) for id in touched)
        return {grant.id for server in known if server is not None for grant in grants_of(server)}

    def _settle(
        self,
        told: Snapshot,
        rows: Mapping[str, Rule | Link],
        gone: AbstractSet[str],
        asked: int,
        *,
        seq: int,
    ) -> None:
        """Swap in what is ``told`` beside the policy, and of the grants, with ``rows`` and without those ``gone``, the
        ones that have not ended: all that counts after ``seq``. The policy is handed only what changed.
        """
        step = self._grants.step(rows, gone, asked)
        policy = self.current.policy
        if step.put or step.drop:
            policy = policy.changed(step.put, step.drop, f"{self._head}.{seq}")
        some_ended, key_ends = self._ended(asked), told.identities.next_expiry(asked) or NEVER
        # only from here on, where nothing can fail any more, the changes count as seen
        self._seq = seq
        self._grants.settle(step, rows, gone, asked)
        self._settled_at = asked
        self._next_expiry = min(self._grants.next_end(asked), key_ends)
        self._tell_followers()
        known = self.current
        if some_ended or policy is not known.policy or not told.same_beside(known):
            self._swap(replace(told, policy=policy), step.turned)

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
                if sentence := distrust(head.signature, head.bundle, self._trusted):
                    raise ValueError(sentence)
                body = await self._store.bundles.get(head.bundle)
                policy = await asyncio.to_thread(_build, body)
        except (Unavailable, NotFound) as error:
            self._complain(f"policy {version} cannot be fetched, the last good one stays: {error}")
            return False
        except ValueError as error:
            self._refused, self._refusal = version, str(error)
            log.error("policy %d cannot be used, the last good one stays until it is stale: %s", version, error)  # noqa: TRY400
            return True
        finally:
            self._loading = None
        version = 0 if head is None else version
        policy = policy.with_grants_of(self.current.policy, f"{version}.{self._seq}")
        clear_away_in_slices(policy)
        self._head, self._refused = version, -1
        self._tell_followers()
        self._swap(replace(self.current, policy=policy))
        return True

    def _swap(self, snapshot: Snapshot, grants: tuple[Rule | Link, ...] = ()) -> None:
        """Put ``snapshot`` in force; ``grants`` are the rows of those that came or went with it."""
        before = self.current.policy
        self.current = replace(snapshot, policy=snapshot.policy.plainly()) if self._plainly else snapshot
        for listener in self._listeners:
            listener(self.current)
        if grants or before.bundle is not snapshot.policy.bundle:
            for turning in self._turning:
                turning(Turn(before, self.current.policy, grants))

    def _reasons(self, now: int, stale: bool) -> Iterator[str]:
        if self.current.policy.bundle is None:
            yield "no policy is in force, so everything is denied"
        if self._refused >= 0:
            yield f"policy {self._refused} cannot be used: {self._refusal}"
        if self._complaint:
            yield self._complaint
        if self._plainly:
            yield "the engine decided otherwise than Casbin, so Casbin's plain loop decides until the next start"
        if stale:
            confirmed = self.current.confirmed_at_ms
            since = f"for {abs(now - confirmed) // 1000} seconds" if confirmed else "since the start"
            yield f"the policy was not confirmed {since}"

    def _follows(self, head: int, seq: int) -> bool:
        return self._head >= head and self._seq >= seq

    def _tell_followers(self) -> None:
        """Wake who waits for a version."""
        self._followed.set()
        self._followed = asyncio.Event()

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


def _build(body: bytes) -> Policy:
    return paced(_building(body))


def _building(body: bytes) -> Slices[Policy]:
    bundle = yield from decoding(body)
    return (yield from Policy.building(bundle, "", _tell_fault))


def _tell_fault(place: str) -> None:
    log.error("a fault while deciding, so denied: %s", place)
