"""The one door: every MCP request passes ``Pipeline.handle``, asks the policy, and leaves one audit entry.

    still valid? → how often? → which item? → may he? → do the arguments fit? → connect, send → answer

The first two stand here, because they come before everything that could be probed; the others, and why they come
in this order, in ``steps.py``. This file knows no transport and no database. It reads the follower's
snapshot once per call.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from typing import Final, Protocol

from connectors.base import Caller, Change, Event, UpstreamError
from gateway.audit.masking import Hash
from gateway.audit.trail import Audit
from gateway.catalogue import Directory
from gateway.errors import Fault, Malformed, Refusal, Unauthenticated, Unavailable
from gateway.follower import Snapshot, now_ms
from gateway.identity import INVALID, missing
from gateway.mcp.cursors import USUAL, Bounds
from gateway.mcp.terms import Call, Notification, Params, Request, Response, Step
from gateway.pacing import Breath
from gateway.pipeline import answers
from gateway.pipeline.bridge import Bridge
from gateway.pipeline.buckets import Buckets
from gateway.pipeline.chain import environment
from gateway.pipeline.judge import Judge
from gateway.pipeline.news import Judges, News, list_changed, turned, updated
from gateway.pipeline.passage import Origin, Passage
from gateway.pipeline.sentinel import Sentinel
from gateway.pipeline.steps import Steps
from gateway.pipeline.way import Way
from gateway.policy.engine import Policy
from gateway.policy.terms import MAIN, Decision, Reason, Subject
from gateway.policy.turn import Difference
from gateway.shadow import Shadow

__all__ = ["Origin", "Pipeline"]

FREE: Final = (Step.OPEN, Step.PING)

CATCH_UP_S: Final = 5.0
"""How long a request that demands a policy version waits for it."""

log = logging.getLogger(__name__)


class Following(Protocol):
    """Whoever keeps the snapshot current (``gateway/follower.py``)."""

    @property
    def current(self) -> Snapshot: ...

    async def at_least(self, version: str, within_s: float) -> bool: ...


class Pipeline:
    """``clock`` tells ms since the epoch; ``offset`` is minutes east of UTC; a snapshot that was not confirmed for
    ``stale_after`` seconds decides nothing. ``hashed`` hides what an audit entry must not show. ``shadow`` and
    ``sentinel`` are shown each decision about one use of one thing. ``bounds`` are those of one page of a list.
    """

    def __init__(
        self,
        follower: Following,
        directory: Directory,
        audit: Audit,
        *,
        hashed: Hash,
        bridge: Bridge,
        server_info: Params,
        stale_after: float,
        shadow: Shadow | None = None,
        sentinel: Sentinel | None = None,
        bounds: Bounds = USUAL,
        node: str = "",
        offset: int = 0,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._follower = follower
        self._directory = directory
        self._audit = audit
        self._hashed = hashed
        self._stale_after_ms = stale_after * 1000
        self._shadow = shadow
        self._sentinel = sentinel
        self._node = node
        self._offset = offset
        self._now = clock
        self._buckets = Buckets()
        self._steps = Steps(directory, self._buckets, bridge, server_info=server_info, bounds=bounds)

    def identify(self, offered: str | None) -> Subject:
        """Who a credential proves. Raises ``Unauthenticated``, ``Unavailable``."""
        snapshot, now = self._follower.current, self._now()
        if offered is None:
            raise missing()
        if self._is_stale(snapshot, now):
            raise answers.stale()
        return snapshot.identities.authenticate(offered, now)

    @property
    def version(self) -> str:
        """The policy version that judges a call handed in now, before anything else is awaited."""
        return self._follower.current.policy.version

    async def demand(self, version: str) -> None:
        """Return once the policy is at least ``version`` (``HEAD`` or ``HEAD.SEQ``). Raises ``Malformed``,
        ``Unavailable``.
        """
        try:
            follows = await self._follower.at_least(version, CATCH_UP_S)
        except ValueError as error:
            raise Malformed(str(error)) from None
        if not follows:
            raise Unavailable(f"the policy here is version {self.version}, not yet {version}; try again later")

    async def handle(self, call: Call, subject: Subject, origin: Origin, caller: Caller) -> Params:
        """The ``result`` of a call in the client's era (``{}`` for what expects none). Leaves one audit entry.

        For ``subscriptions/listen`` it is the part of the wish that will be served. Raises ``Refusal``, but not
        what ``answers.py`` tells as a result, and ``UpstreamError`` when the server behind us said so.
        """
        passage = self._enter(call, subject, origin)
        try:
            return await self._pass(call, subject, origin, caller, passage)
        except asyncio.CancelledError:
            passage.outcome = "cancelled"
            raise
        except UpstreamError as error:
            passage.outcome, passage.error = "upstream_error", str(error.code)
            raise answers.in_era(error, call) from error
        except Refusal as refusal:
            passage.refused(refusal)
            if refusal.detail:
                log.warning("%s: %s: %r", passage.id, refusal.kind, refusal.detail)
            if answers.is_told_as_result(call, refusal):
                return self._steps.shaped(answers.as_result(refusal), call)
            raise
        except Exception:
            log.exception("%s: fault in `%s`", passage.id, passage.method)
            raise self._fault(passage) from None
        finally:
            self._beside(passage)
            self._audit.record(passage.entry(self._hashed, self._node))

    async def refuse(
        self, refusal: Refusal, origin: Origin, *, domain: str, subject: Subject | None = None, method: str = ""
    ) -> None:
        """Leave the audit entry of a request that was refused before it became a call; nothing when it has one."""
        if not refusal.reference:
            now = self._now()
            passage = Passage(self._audit.new_id(now), now, origin, domain, method)
            passage.subject = subject or passage.subject
            passage.refused(refusal)
            self._audit.record(passage.entry(self._hashed, self._node))

    async def changes(
        self, change: Change, subject: Subject, domain: str, *, address: str = "", breath: Breath | None = None
    ) -> list[Notification]:
        """What a change behind us means for ``subject`` on one server: nothing, where he may see nothing of it."""
        snapshot, now = self._follower.current, self._now()
        if change.principal not in ("", subject.name) or self._is_stale(snapshot, now):
            return []
        if not snapshot.identities.still_valid(subject, now):
            return []
        judge = self._judge(snapshot.policy, subject, domain, now, address)
        view = await self._directory.view(domain, subject.name)
        if change.event is Event.UPDATED:
            return updated(change, judge, view)
        former = self._directory.former(domain, subject.name)
        views = (view,) if former is None else (view, former)
        return await (breath or Breath()).work(list_changed(change, judge, views))

    async def turned(
        self,
        difference: Difference,
        subject: Subject,
        domain: str,
        *,
        address: str = "",
        followed: Collection[str] = (),
        breath: Breath | None = None,
    ) -> News:
        """What another policy means for ``subject`` on one server, who follows the resources ``followed``. It costs
        nothing where nothing of the difference can concern him.
        """
        now = self._now()
        if not self._follower.current.identities.still_valid(subject, now):
            return News()
        touched = difference.touches(subject, domain, now)
        for lender in self._directory.lenders(domain, subject.name):
            touched |= difference.touches(Subject(lender, groups=None), MAIN, now)
        if not touched:
            return News()
        before, after = (
            self._judge(policy, subject, domain, now, address) for policy in (difference.before, difference.after)
        )
        view = await self._directory.view(domain, subject.name)
        return await (breath or Breath()).work(turned(Judges(before, after), touched, view, followed))

    async def release(self, subject: Subject, domain: str, uris: Iterable[str]) -> None:
        """End subscriptions that ``handle`` made, one each: for whoever no longer wants them, or has gone.

        ``resources/unsubscribe`` itself is only acknowledged, since the door does not know who holds what.
        """
        judge = self._judge(self._follower.current.policy, subject, domain, self._now(), "")
        await self._steps.release(judge, uris)

    async def _pass(self, call: Call, subject: Subject, origin: Origin, caller: Caller, passage: Passage) -> Params:
        snapshot = self._follower.current
        policy = snapshot.policy
        passage.policy, passage.readable = policy.version, policy.readable
        passage.readable_claims = policy.readable_claims
        if self._is_stale(snapshot, passage.at):
            passage.decision = Decision(False, Reason.STALE_POLICY, policy.version)
            raise answers.stale()
        if not snapshot.identities.still_valid(subject, passage.at):
            raise Unauthenticated(INVALID)
        if self._audit.full:
            raise Unavailable("calls cannot be recorded now; try again later")
        judge = self._judge(policy, subject, call.domain, passage.at, origin.address)
        if call.step not in FREE:
            self._count(judge, passage)
        if not isinstance(call.message, Request):
            return {}
        return await self._steps.take(Way(call, call.message, subject, caller, judge, passage))

    def _beside(self, passage: Passage) -> None:
        """Show a decision to those who look on; it stands already."""
        if passage.judge is None or passage.decision is None:
            return
        if self._sentinel is not None:
            self._sentinel.see(passage.judge, passage.chain, allowed=passage.decision.allowed)
        if self._shadow is not None:
            passage.shadow = self._shadow.compare(passage.judge, passage.chain, allowed=passage.decision.allowed)

    def _count(self, judge: Judge, passage: Passage) -> None:
        policy, subject = judge.policy, judge.subject
        passage.rate_class = policy.rate_class(subject, judge.domain, judge.env)
        self._buckets.take((subject.name, judge.domain), policy.limits.of(passage.rate_class), passage.at)

    def _enter(self, call: Call, subject: Subject, origin: Origin) -> Passage:
        now, message = self._now(), call.message
        return Passage(
            self._audit.new_id(now),
            now,
            origin,
            call.domain,
            "response" if isinstance(message, Response) else message.method,
            subject=subject,
            request_id="" if isinstance(message, Notification) else str(message.id),
            session=call.session,
        )

    def _is_stale(self, snapshot: Snapshot, now: int) -> bool:
        return snapshot.stale(now, self._stale_after_ms)

    def _judge(self, policy: Policy, subject: Subject, domain: str, now: int, address: str) -> Judge:
        return Judge(policy, subject, domain, environment(now, offset=self._offset, address=address))

    def _fault(self, passage: Passage) -> Fault:
        refusal = answers.fault(passage.id)
        passage.refused(refusal)
        return refusal
