"""Parked calls: a call to a legacy server waits in here, while its modern client answers what the server asks.

A modern client cannot be sent a request. So its POST is answered with the questions, and the call goes on when the
client comes back with the answers, or ends. This file knows no policy, and not what a client keeps meanwhile.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from connectors.base import NOT_ASKED, QUIET, Caller, UpstreamError
from gateway.errors import Limited, Unavailable, UpstreamFailed
from gateway.mcp.input_required import MOST, Question, in_modern
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import PROGRESS_KEY, Notification, Params
from gateway.pipeline.way import Way, askable
from gateway.policy.terms import Json, Subject

LIVES_S: Final = 600.0
PARKED_PER_SUBJECT: Final = 16
PARKED: Final = 1_000

QUESTIONS_BYTES: Final = 4 * 1024 * 1024
"""What the questions of one call that wait may be large, together."""

GATHER_S: Final = 0.05
GATHERINGS: Final = 10
"""How long a question waits for others that are asked at the same time, each time that one more has come; and how
often, at most.
"""


class Parked:
    """One call that runs by itself, and meets whoever waits for it now as its caller. ``work`` makes the call for the
    caller that it is given.
    """

    def __init__(self, subject: Subject, work: Callable[[Caller], Coroutine[Any, Any, Params]]) -> None:
        self.subject = subject
        self._open: dict[str, tuple[Question, asyncio.Future[Params]]] = {}
        self._asked = 0
        self._size = 0
        self._caller: Caller = QUIET
        self._capabilities: Params = {}
        self._token: Json = None
        self._news = asyncio.Event()
        self._task = asyncio.create_task(work(self), name="parked call")
        self._task.add_done_callback(self._ended)

    # -- as the server meets its caller

    @property
    def capabilities(self) -> Params:
        return self._capabilities

    def tell(self, notification: Notification) -> None:
        """What is said while nobody waits is lost; progress bears the token of the request that waits now."""
        if notification.method == "notifications/progress":
            if self._token is None:
                return
            notification = Notification(notification.method, {**notification.params, PROGRESS_KEY: self._token})
        self._caller.tell(notification)

    async def ask(self, method: str, params: Params) -> Params:
        asked = in_modern(askable(method, params, self._capabilities))
        if len(self._open) >= MOST:
            raise UpstreamError(NOT_ASKED, "the client is being asked too much at once")
        size = len(encode(Notification(asked.method, asked.params)))
        if self._size + size > QUESTIONS_BYTES:
            raise UpstreamError(NOT_ASKED, f"questions must not be larger than {QUESTIONS_BYTES} bytes together")
        self._asked += 1
        key = f"question-{self._asked}"
        answer: asyncio.Future[Params] = asyncio.get_running_loop().create_future()
        self._open[key] = asked, answer
        self._size += size
        self._news.set()
        try:
            return await answer
        finally:
            self._open.pop(key, None)
            self._size -= size

    # -- as its client meets it

    @property
    def questions(self) -> dict[str, Question]:
        """What is to be answered now."""
        return {key: asked for key, (asked, _) in self._open.items()}

    def answer(self, answers: Mapping[str, Params]) -> None:
        """Give the server its answers; what it does not ask any more is ignored."""
        for key in answers.keys() & self._open.keys():
            _, waiting = self._open.pop(key)
            if not waiting.done():
                waiting.set_result(answers[key])

    async def wait(self, way: Way) -> Params | None:
        """The result; ``None`` when there are questions instead. Raises what the call raises. Meanwhile the client of
        ``way`` hears what the server says. Whoever stops waiting ends the call.
        """
        self._caller, self._capabilities, self._token = way, way.capabilities, way.token
        self.subject = way.subject
        try:
            await self._stirred()
            await self._gathered()
            await self._stirred()
        except BaseException:
            self.end()
            raise
        finally:
            self._caller = QUIET
        if self._task.cancelled():
            raise UpstreamFailed("the call ended before it was answered")
        return self._task.result() if self._task.done() else None

    def end(self) -> None:
        self._task.cancel()

    async def gone(self) -> None:
        """Return when the call has ended."""
        await asyncio.wait({self._task})

    async def _gathered(self) -> None:
        known = -1
        for _ in range(GATHERINGS):
            if self._task.done() or self._asked == known:
                return
            known = self._asked
            await asyncio.sleep(GATHER_S)

    async def _stirred(self) -> None:
        while not (self._task.done() or self._open):
            self._news.clear()
            await self._news.wait()

    def _ended(self, task: asyncio.Task[Params]) -> None:
        """Nobody may ever come back for how it failed."""
        if not task.cancelled():
            task.exception()
        self._news.set()


class Parking:
    """The calls that wait for their clients, by the id of the ticket that each was given."""

    def __init__(self, *, lives_s: float = LIVES_S, per_subject: int = PARKED_PER_SUBJECT, most: int = PARKED) -> None:
        self._lives_s = lives_s
        self._per_subject = per_subject
        self._most = most
        self._parked: dict[str, tuple[Parked, asyncio.TimerHandle]] = {}
        self._closed = False

    def park(self, id: str, parked: Parked) -> None:
        """Keep a call until it is taken or too old, which ends it. Raises ``Limited``, ``Unavailable``."""
        if self._closed:
            raise Unavailable("the gateway is stopping; try again later")
        own = sum(each.subject.name == parked.subject.name for each, _ in self._parked.values())
        if own >= self._per_subject or len(self._parked) >= self._most:
            raise Limited("too many calls wait for answers already; answer some of them", retry_after=60)
        self._parked[id] = parked, asyncio.get_running_loop().call_later(self._lives_s, self.end, id)

    def take(self, id: str) -> Parked | None:
        """The call, which is not kept any more."""
        parked, timer = self._parked.pop(id, (None, None))
        if timer is not None:
            timer.cancel()
        return parked

    def end(self, id: str) -> None:
        if (parked := self.take(id)) is not None:
            parked.end()

    def end_where(self, invalid: Callable[[Subject], bool]) -> None:
        """End every call of a subject whose credential no longer counts."""
        for id in [id for id, (each, _) in self._parked.items() if invalid(each.subject)]:
            self.end(id)

    async def close(self) -> None:
        """End them all, and keep no others."""
        self._closed = True
        ending = [each for each, _ in self._parked.values()]
        self.end_where(lambda _: True)
        for each in ending:
            await each.gone()

    def __len__(self) -> int:
        return len(self._parked)
