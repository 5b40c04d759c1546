"""The one door: every MCP request passes ``Pipeline.handle``, asks the policy, and leaves one audit entry.

    still valid? → how often? → which item? → may he? → do the arguments fit? → connect, send → answer

Everything administrative passes ``Pipeline.administer`` in the same way. The first two stand in ``entrance.py``,
because they come before everything that could be probed; the others, and why they come in this order, in
``steps.py``. This file knows no transport and no database.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final, TypeVar

from connectors.base import Caller, Change, Event, UpstreamError
from gateway.audit.masking import Hash
from gateway.audit.trail import Audit
from gateway.builtins.terms import Builtin
from gateway.catalogue import Directory
from gateway.errors import Barred, Malformed, Refusal, Unavailable
from gateway.follower import now_ms
from gateway.manage.asking import Operation
from gateway.mcp.cursors import USUAL, Bounds
from gateway.mcp.terms import Call, Notification, Params, Request, Response, Step
from gateway.pacing import Breath
from gateway.pipeline import answers
from gateway.pipeline.administer import Asking, allow, allowed
from gateway.pipeline.arriving import NO_PROOFS, Arrival, Proofs
from gateway.pipeline.bridge import Bridge
from gateway.pipeline.buckets import Buckets
from gateway.pipeline.connecting import Connecting, Linker
from gateway.pipeline.custom import NO_TARGETS, Targets
from gateway.pipeline.entrance import Entrance, Following, Passed, unobserved
from gateway.pipeline.knocks import Knocks
from gateway.pipeline.news import Judges, News, Sights, list_changed, turned, updated
from gateway.pipeline.passage import NOBODY, Origin, Passage
from gateway.pipeline.sentinel import Sentinel
from gateway.pipeline.steps import Steps
from gateway.pipeline.tasks import Tasks
from gateway.pipeline.way import Way
from gateway.policy.terms import MAIN, SYSTEM, Subject
from gateway.policy.turn import Difference
from gateway.shadow import Shadow
from gateway.snapshot import Snapshot

__all__ = ["Origin", "Pipeline"]

FREE: Final = (Step.OPEN, Step.PING)

CATCH_UP_S: Final = 5.0
"""How long a request that demands a policy version waits for it."""

T = TypeVar("T")


class Pipeline:
    """``builtins`` are the gateway's own tools, ``targets`` knows what those of users call. ``linker`` connects
    accounts (``None``: nobody does), ``bounds`` are those of one page of a list; what else it is made with,
    ``entrance.py`` explains.
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
        builtins: Iterable[Builtin] = (),
        targets: Targets = NO_TARGETS,
        linker: Linker | None = None,
        shadow: Shadow | None = None,
        sentinel: Sentinel | None = None,
        passed: Passed = unobserved,
        bounds: Bounds = USUAL,
        buckets: Buckets | None = None,
        knocks: Knocks | None = None,
        proofs: Proofs = NO_PROOFS,
        tasks: Tasks | None = None,
        node: str = "",
        offset: int = 0,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        buckets = Buckets() if buckets is None else buckets
        self._entrance = Entrance(
            follower,
            audit,
            buckets,
            hashed=hashed,
            stale_after=stale_after,
            knocks=knocks,
            proofs=proofs,
            serves=directory.serves,
            shadow=shadow,
            sentinel=sentinel,
            passed=passed,
            node=node,
            offset=offset,
            clock=clock,
        )
        self._follower = follower
        self._directory = directory
        self._connecting = Connecting(bridge, linker)
        self._steps = Steps(
            directory,
            buckets,
            bridge,
            self._connecting,
            builtins=builtins,
            targets=targets,
            server_info=server_info,
            bounds=bounds,
            tasks=tasks,
        )

    def identify(self, offered: str | None) -> Subject:
        """Who an API key proves on the main server. Raises ``Unauthenticated``, ``Unavailable``."""
        return self._entrance.identify(offered)

    async def arrive(self, arrival: Arrival) -> Subject:
        """Who sends a request. Raises ``Unauthenticated``, ``Unavailable``."""
        return await self._entrance.arrive(arrival)

    async def close(self) -> None:
        """End what is waited for in the background."""
        await self._connecting.close()

    def acts(self, task: "asyncio.Task[object]") -> bool:
        """Whether a tool of the gateway itself is under way in ``task``: whoever called it is still to hear of it, even
        if it ended the very credential by which he did.
        """
        return self._steps.acts(task)

    @property
    def version(self) -> str:
        """The policy version that judges a call handed in now, before anything else is awaited."""
        return self._entrance.snapshot.policy.version

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
        message = call.message
        passage = self._entrance.passage(
            origin,
            call.domain,
            "response" if isinstance(message, Response) else message.method,
            subject=subject,
            request_id="" if isinstance(message, Notification) else str(message.id),
            session=call.session,
        )
        try:
            with self._entrance.recorded(passage):
                return await self._pass(call, caller, passage)
        except UpstreamError as error:
            raise answers.in_era(error, call, passage.id) from error
        except Refusal as refusal:
            if answers.is_told_as_result(call, refusal):
                return self._steps.shaped(answers.as_result(refusal), call)
            raise

    async def administer(
        self, operation: Operation, subject: Subject, origin: Origin, act: Callable[[], Awaitable[T]]
    ) -> T:
        """What ``act`` gives, where the policy lets ``subject`` do ``operation``. Leaves one audit entry.

        Raises ``Unauthenticated``, ``Limited``, ``Denied``, ``Unavailable``, and what ``act`` raises (a mistake of
        ours as ``Fault``).
        """
        return await self.administer_all((operation,), subject, origin, act)

    async def administer_all(
        self, operations: Sequence[Operation], subject: Subject, origin: Origin, act: Callable[[], Awaitable[T]]
    ) -> T:
        """The same for what is several operations of one method: every one of them has to be allowed."""
        first = operations[0]
        passage = self._entrance.passage(origin, first.domain, first.method, subject=subject)
        with self._entrance.recorded(passage):
            judge = self._entrance.admit(passage)
            self._entrance.count(judge, passage)
            for each in operations:
                allow(each, judge, passage)
            return await act()

    async def among(
        self, method: str, operations: Sequence[Operation], subject: Subject, origin: Origin
    ) -> tuple[bool, ...]:
        """Which of ``operations`` the policy lets ``subject`` do: how a list of records is cut to what he may see.
        Leaves one audit entry. Raises as ``administer`` does, but for ``Denied``.
        """
        passage = self._entrance.passage(origin, MAIN, method, subject=subject)
        with self._entrance.recorded(passage):
            judge = self._entrance.admit(passage)
            self._entrance.count(judge, passage)
            return tuple(allowed(each, judge) for each in operations)

    async def administered(
        self, method: str, subject: Subject, origin: Origin, act: Callable[[Asking], Awaitable[T]]
    ) -> T:
        """What ``act`` gives, which asks for itself what the policy lets ``subject`` do, before it acts. Leaves one
        audit entry. Raises as ``administer`` does, and ``Fault`` where nothing was asked.
        """
        passage = self._entrance.passage(origin, MAIN, method, subject=subject)
        with self._entrance.recorded(passage):
            judge = self._entrance.admit(passage)
            self._entrance.count(judge, passage)
            asking = Asking(judge, passage, self._entrance.snapshot.identities, self._steps.look)
            result = await act(asking)
            if not asking.asked:
                raise RuntimeError(f"`{method}` acted without asking")
            return result

    async def witness(
        self,
        method: str,
        origin: Origin,
        act: Callable[[Passage], Awaitable[T]],
        *,
        subject: Subject = NOBODY,
    ) -> T:
        """What ``act`` gives, with one audit entry and without a decision: for what there is nobody to decide about
        (signing in, what a platform sends back). ``act`` notes in the passage who it turns out to be, and for whom it
        is done. Raises ``Limited``, ``Unavailable``, and as ``administer`` what ``act`` raises.
        """
        passage = self._entrance.passage(origin, MAIN, method, subject=subject)
        with self._entrance.recorded(passage):
            self._entrance.check_recordable()
            self._entrance.visit(passage)
            return await act(passage)

    async def refuse(
        self, refusal: Refusal, origin: Origin, *, domain: str, subject: Subject | None = None, method: str = ""
    ) -> None:
        """Leave the audit entry of a request that was refused before it became a call; nothing when it has one."""
        if not refusal.reference:
            passage = self._entrance.passage(origin, domain, method, subject=subject or NOBODY)
            if isinstance(refusal, Barred):
                passage.barred(refusal.decision)
            passage.refused(refusal)
            self._entrance.record(passage)

    async def changes(
        self, change: Change, subject: Subject, domain: str, *, address: str = "", breath: Breath | None = None
    ) -> list[Notification]:
        """What a change behind us means for ``subject`` on one server: nothing, where he may see nothing of it."""
        snapshot, now = self._entrance.snapshot, self._entrance.now()
        if change.principal not in ("", subject.name) or self._entrance.is_stale(snapshot, now):
            return []
        if not snapshot.still_valid(subject, now):
            return []
        judge = self._entrance.judge(snapshot.policy, subject, domain, now, address)
        view = await self._directory.view(domain, subject.name)
        if change.event is Event.UPDATED:
            return updated(change, judge, view)
        former = self._directory.former(domain, subject.name)
        views = (view,) if former is None else (view, former)
        shown = [self._steps.shown(judge, snapshot.identities, each) for each in views]
        return await (breath or Breath()).work(list_changed(change, shown))

    async def turned(
        self,
        difference: Difference,
        subject: Subject,
        domain: str,
        *,
        former: Snapshot | None = None,
        address: str = "",
        followed: Collection[str] = (),
        breath: Breath | None = None,
    ) -> News:
        """What another policy means for ``subject`` on one server, who follows the resources ``followed``; and what it
        means that what users made, or want to see, was as in ``former``. It costs nothing where nothing of that can
        concern him.
        """
        now, snapshot = self._entrance.now(), self._entrance.snapshot
        if not snapshot.still_valid(subject, now):
            return News()
        former = former or snapshot
        judges = Judges(
            before=self._entrance.judge(difference.before, subject, domain, now, address, snapshot=former),
            after=self._entrance.judge(difference.after, subject, domain, now, address, snapshot=snapshot),
        )
        lenders = judges.lenders(self._directory.connectors(domain), custom=self._directory.server(domain).custom)
        touched = difference.touches(subject, domain, now)
        for lender in lenders:
            touched |= difference.touches(Subject(lender, groups=None), MAIN, now)
        hides = former.identities.hidden_of(subject) != snapshot.identities.hidden_of(subject)
        if not (touched or hides or judges.made_otherwise((subject.name, *lenders, SYSTEM))):
            return News()
        view = await self._directory.view(domain, subject.name)
        before = self._steps.shown(judges.before, former.identities, view)
        after = self._steps.shown(judges.after, snapshot.identities, view)
        return await (breath or Breath()).work(turned(Sights(before, after, touched), followed))

    async def release(self, subject: Subject, domain: str, uris: Iterable[str]) -> None:
        """End subscriptions that ``handle`` made, one each: for whoever no longer wants them, or has gone.

        ``resources/unsubscribe`` itself is only acknowledged, since the door does not know who holds what.
        """
        judge = self._entrance.judge(self._entrance.snapshot.policy, subject, domain, self._entrance.now(), "")
        await self._steps.release(judge, uris)

    async def _pass(self, call: Call, caller: Caller, passage: Passage) -> Params:
        judge, snapshot = self._entrance.admit(passage), self._entrance.snapshot
        if call.step not in FREE:
            self._entrance.count(judge, passage)
        if not isinstance(call.message, Request):
            return {}
        server = snapshot.servers.get(call.domain)
        way = Way(call, call.message, passage.subject, caller, judge, passage, snapshot.identities, server)
        return await self._steps.take(way)
