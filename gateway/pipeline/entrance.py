"""What comes before everything else at the door, and around it: who asks, is he still valid, how often, one entry.

Calls and administrative operations pass here alike. This file reads the follower's snapshot once per passage; it
knows neither MCP methods nor what is administered.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias

from connectors.base import UpstreamError
from gateway.audit import AuditEntry
from gateway.audit.masking import Hash
from gateway.audit.trail import Audit
from gateway.errors import Refusal, Unauthenticated, Unavailable
from gateway.follower import now_ms
from gateway.identity import INVALID, missing
from gateway.observing.times import Times
from gateway.pipeline import answers
from gateway.pipeline.arriving import NO_PROOFS, Arrival, Proofs, by_key, came
from gateway.pipeline.buckets import SERVER, Buckets, caller
from gateway.pipeline.chain import environment
from gateway.pipeline.judge import Judge
from gateway.pipeline.knocks import Knocks
from gateway.pipeline.passage import NOBODY, Origin, Passage
from gateway.pipeline.sentinel import Sentinel
from gateway.policy.engine import Policy
from gateway.policy.terms import MAIN, Decision, Json, Reason, Subject
from gateway.shadow import Shadow
from gateway.snapshot import Snapshot

log = logging.getLogger(__name__)


class Following(Protocol):
    """Whoever keeps the snapshot current (``gateway/follower.py``)."""

    @property
    def current(self) -> Snapshot: ...

    async def at_least(self, version: str, within_s: float) -> bool: ...


Passed: TypeAlias = Callable[[AuditEntry, Times], None]


def unobserved(_: AuditEntry, times: Times) -> None:
    """Nobody counts."""


class Entrance:
    """``clock`` tells ms since the epoch; ``offset`` is minutes east of UTC; a snapshot that was not confirmed for
    ``stale_after`` seconds decides nothing. ``hashed`` hides what an audit entry must not show. ``shadow`` and
    ``sentinel`` are shown each decision about one use of one thing, ``passed`` every entry with the times that it took.
    """

    def __init__(
        self,
        follower: Following,
        audit: Audit,
        buckets: Buckets,
        *,
        hashed: Hash,
        stale_after: float,
        knocks: Knocks | None = None,
        proofs: Proofs = NO_PROOFS,
        serves: Callable[[str], bool] = lambda _: True,
        shadow: Shadow | None = None,
        sentinel: Sentinel | None = None,
        passed: Passed = unobserved,
        node: str = "",
        offset: int = 0,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._follower = follower
        self._audit = audit
        self._buckets = buckets
        self._hashed = hashed
        self._knocks = knocks or Knocks()
        self._proofs = proofs
        self._serves = serves
        self._stale_after_ms = stale_after * 1000
        self._shadow = shadow
        self._sentinel = sentinel
        self._passed = passed
        self._node = node
        self._offset = offset
        self.now = clock

    @property
    def snapshot(self) -> Snapshot:
        return self._follower.current

    async def arrive(self, arrival: Arrival) -> Subject:
        """Who sends a request. Raises ``Unauthenticated``, ``Limited``, ``Unavailable``."""
        self._knocks.admit(arrival, self.now())
        try:
            subject = await self._proved(arrival)
        except Unauthenticated:
            self._knocks.failed(arrival, self.now())
            raise
        self._knocks.proved(arrival)
        return subject

    async def _proved(self, arrival: Arrival) -> Subject:
        env: dict[str, Json] = {"offset": self._offset, "address": arrival.address}
        return await came(arrival, self._fresh(), self._proofs, serves=self._serves, env=env, now=self.now())

    def identify(self, offered: str | None, domain: str = MAIN) -> Subject:
        """Who an API key proves on one server. Raises ``Unauthenticated``, ``Unavailable``."""
        if offered is None:
            raise missing()
        return by_key(self._fresh(), domain, offered, self.now())

    def _fresh(self) -> Snapshot:
        """The snapshot, where it may decide. Raises ``Unavailable``."""
        snapshot = self.snapshot
        if self.is_stale(snapshot, self.now()):
            raise answers.stale()
        return snapshot

    def passage(
        self,
        origin: Origin,
        domain: str,
        method: str,
        *,
        subject: Subject = NOBODY,
        request_id: str = "",
        session: str = "",
    ) -> Passage:
        now = self.now()
        return Passage(
            self._audit.new_id(now),
            now,
            origin,
            domain,
            method,
            subject=subject,
            request_id=request_id,
            session=session,
        )

    @contextmanager
    def recorded(self, passage: Passage) -> Iterator[None]:
        """Leaves the one audit entry of what is done within. A mistake of ours becomes a ``Fault``."""
        try:
            yield
        except asyncio.CancelledError:
            passage.outcome = "cancelled"
            raise
        except UpstreamError as error:
            passage.outcome, passage.error = "upstream_error", str(error.code)
            raise
        except Refusal as refusal:
            passage.refused(refusal)
            if refusal.detail:
                log.warning("%s: %s: %r", passage.id, refusal.kind, refusal.detail)
            raise
        except Exception:
            log.exception("%s: fault in `%s`", passage.id, passage.method)
            passage.refused(fault := answers.fault(passage.id))
            raise fault from None
        finally:
            self._beside(passage)
            self.record(passage)

    def record(self, passage: Passage) -> None:
        entry = passage.entry(self._hashed, self._node)
        self._audit.record(entry)
        self._passed(entry, passage.times)

    def admit(self, passage: Passage) -> Judge:
        """Whoever judges this passage to its end. Raises ``Unauthenticated``, ``Unavailable``."""
        snapshot = self.snapshot
        policy = snapshot.policy
        passage.policy, passage.readable = policy.version, policy.readable
        passage.readable_claims = policy.readable_claims
        if self.is_stale(snapshot, passage.at):
            passage.decision = Decision(False, Reason.STALE_POLICY, policy.version)
            raise answers.stale()
        if not snapshot.still_valid(passage.subject, passage.at):
            raise Unauthenticated(INVALID)
        self.check_recordable()
        origin = passage.origin
        return self.judge(policy, passage.subject, passage.domain, passage.at, origin.address, snapshot=snapshot)

    def check_recordable(self) -> None:
        """Raises ``Unavailable`` where nothing may be begun, because it could not be put on record."""
        if self._audit.full:
            raise Unavailable("calls cannot be recorded now; try again later, and tell the administrator if it lasts")

    def count(self, judge: Judge, passage: Passage) -> None:
        """Count one call of its subject, and of the server; raises ``Limited``, ``Unavailable``."""
        policy, subject = judge.policy, judge.subject
        passage.rate_class = policy.rate_class(subject, judge.domain, judge.env)
        claims = [(passage.rate_class, (caller(subject.name), judge.domain), policy.limits.of(passage.rate_class))]
        if judge.server_owner:
            claims.append((SERVER, (SERVER, judge.domain), policy.limits.of(judge.server_class)))
        passage.origin.aside.read(self._buckets.take_all(claims, passage.at))

    def visit(self, passage: Passage) -> None:
        """Count what nothing is decided about: for whoever is signed in, else for the address; raises ``Limited``,
        ``Unavailable``.
        """
        policy, subject, address = self.snapshot.policy, passage.subject, passage.origin.address
        if subject.name:
            self.count(self.judge(policy, subject, passage.domain, passage.at, address), passage)
        elif (reading := self._knocks.visited(address, passage.at)) is not None:
            passage.origin.aside.read(reading)

    def judge(
        self, policy: Policy, subject: Subject, domain: str, now: int, address: str, *, snapshot: Snapshot | None = None
    ) -> Judge:
        """One for ``subject`` before ``policy``, with the connections and what users made as there is now or was in
        ``snapshot``.
        """
        beside = snapshot or self.snapshot
        env = environment(now, offset=self._offset, address=address)
        return Judge(policy, subject, domain, env, beside.connections, beside.custom, beside.servers.owner(domain))

    def is_stale(self, snapshot: Snapshot, now: int) -> bool:
        return snapshot.stale(now, self._stale_after_ms)

    def _beside(self, passage: Passage) -> None:
        """Show a decision to those who look on; it stands already."""
        if passage.judge is None or passage.decision is None:
            return
        if self._sentinel is not None:
            self._sentinel.see(passage.judge, passage.chain, allowed=passage.decision.allowed)
        if self._shadow is not None:
            passage.shadow = self._shadow.compare(passage.judge, passage.chain, allowed=passage.decision.allowed)
