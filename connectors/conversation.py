"""One conversation with an MCP server: requests out, each answer back to the task that waits for it.

Ids and progress tokens are our own, so two clients that use the same ones never meet here. What the server itself
asks belongs to one request under way, and reaches the caller of that one alone. This file knows JSON-RPC and the
envelopes of both eras; it must not know who asks, what a tool is, or how bytes travel. How a conversation begins
stands in ``handshake.py``, how it is opened again in ``line.py``, how questions are asked in ``asking.py``.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from connectors.asking import INTERNAL_ERROR, METHOD_NOT_FOUND, Links, Questions, refusal
from connectors.base import NOTHING_ASKED, QUIET, Caller, UpstreamError
from connectors.outcomes import Unheard, error_of, judged, result_of
from connectors.transport import NO_TEXTS, HttpAnswer, Transport, TransportBusy, TransportLost
from connectors.waiting import STRETCH, Waiting
from gateway.errors import Refusal, UpstreamFailed
from gateway.mcp.questions import ELICITATION, ELICITATION_COMPLETE, QUESTIONS, lacking, relayable_modern
from gateway.mcp.terms import (
    CAPABILITIES_KEY,
    CLIENT_INFO_KEY,
    LOG_LEVEL_KEY,
    META_KEYS,
    PROGRESS_KEY,
    VERSION_KEY,
    Era,
    Message,
    Notification,
    Params,
    Request,
    Response,
)
from gateway.policy.terms import Json

_LOG = logging.getLogger(__name__)

REPLIES: Final = 32
"""While so many messages of ours are on their way at once, a server that asks for something gets no answer."""

FLOOD: Final = 512
"""The same, even where it asks for what it may."""

REPLY_TIMEOUT: Final = 5.0

NAMED_BY: Final = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
"""Which parameter ``Mcp-Name`` repeats."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the handshake agreed on."""

    era: Era
    version: str
    capabilities: Params
    instructions: str = ""


class Conversation:
    """``told`` hears what the server says outside of requests; ``ended`` is called once when it is over,
    with the reason for the log. ``exclusive`` says that all its requests are made for one principal; ``declares``
    is what a legacy server is told that callers can be asked for.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        name: str,
        client: Params,
        timeout: float,
        http: bool,
        exclusive: bool,
        told: Callable[[Notification], None],
        ended: Callable[[str], None],
        declares: Params = NOTHING_ASKED,
    ) -> None:
        self.name = name
        self.client = client
        self.declares = declares
        self.http = http
        self.terms: Terms | None = None
        self._transport = transport
        self._timeout = timeout
        self._exclusive = exclusive
        self._told = told
        self._ended = ended
        self._ids = itertools.count(1)
        self._waiting: dict[int, Waiting] = {}
        self._replies: set[asyncio.Task[None]] = set()
        self._questions = Questions(name, lambda answer: self._later(answer, timeout))
        self._links = Links()
        self._over: TransportLost | None = None
        self._unused = asyncio.Event()

    @property
    def over(self) -> bool:
        return self._over is not None

    async def start(self) -> None:
        """Raises ``TransportLost``."""
        await self._transport.start(self._receive, self._lost)

    async def request(
        self, method: str, params: Params, caller: Caller, *, repeated: Mapping[str, str] = NO_TEXTS
    ) -> Params:
        """The ``result`` object. Raises ``UpstreamError``, ``UpstreamFailed`` and its kind ``Unheard``."""
        try:
            response = await self.ask(method, params, caller=caller, patience=self._timeout, repeated=repeated)
        except TimeoutError:
            raise UpstreamFailed(f"upstream `{self.name}` did not answer in time") from None
        except TransportBusy as busy:
            text = f"upstream `{self.name}` has as many calls under way as it may; try again later"
            raise UpstreamFailed(text, detail=str(busy)) from busy
        except TransportLost as lost:
            kind = UpstreamFailed if lost.sent else Unheard
            raise kind(f"upstream `{self.name}` broke off the connection", detail=str(lost)) from lost
        except HttpAnswer as answer:
            raise self._noted(judged(answer, self.name, modern=self._modern), caller) from answer
        if response.error is not None:
            raise self._noted(error_of(response.error, self.name), caller)
        return result_of(response, self.name, method, caller.capabilities, modern=self._modern)

    async def ask(
        self,
        method: str,
        params: Params,
        *,
        caller: Caller = QUIET,
        patience: float | None,
        modern: str | None = None,
        repeated: Mapping[str, str] = NO_TEXTS,
    ) -> Response:
        """Whatever was answered, errors included. ``patience`` is the seconds without an answer or
        progress; ``modern`` the protocol version to claim before the handshake. Cancelling the task, and
        losing patience, cancel the request. Raises ``TimeoutError``, ``TransportLost``, ``HttpAnswer``.
        """
        if self._over is not None:
            raise TransportLost(str(self._over), sent=False)
        era, version = self._in_force(modern)
        id = next(self._ids)
        waiting = self._wait(id, params, caller, patience)
        request = Request(id, method, self._enclose(params, id, waiting, era, version))
        try:
            async with asyncio.timeout(patience) as waiting.scope:
                name = str(params.get(NAMED_BY.get(method, ""), ""))
                await self._transport.send(
                    request, version=version, modern=era is Era.MODERN, name=name, repeated=repeated
                )
                waiting.sending = False
                outcome = await waiting.outcome
        except TimeoutError:
            if not waiting.answered:
                self._withdraw(request, era, "timed out")
                raise
            outcome = waiting.outcome.result()  # answered, but the stream was kept open
        except asyncio.CancelledError:
            if not waiting.answered:
                self._withdraw(request, era, "cancelled")
            raise
        finally:
            waiting.scope = None
            del self._waiting[id]
            self._questions.end(waiting)
            if not self._waiting:
                self._unused.set()
        if isinstance(outcome, TransportLost):
            raise outcome
        return outcome

    async def notify(self, method: str, params: Params) -> None:
        """Raises ``TransportLost``, ``HttpAnswer``."""
        era, version = self._in_force(None)
        await self._transport.send(Notification(method, params), version=version, modern=era is Era.MODERN)

    async def listen(self) -> None:
        """Run the stream on which a legacy HTTP server speaks unasked. Raises ``TransportLost``."""
        await self._transport.listen()

    async def retire(self) -> None:
        """End it as soon as no request waits, at the latest after the time-out. Never raises."""
        self._unused.clear()
        if self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timeout):
                    await self._unused.wait()
        await self.close()

    async def close(self) -> None:
        """End it; waiting requests fail. Never raises, takes bounded time."""
        self._fail_all(TransportLost("the session was ended by the gateway", sent=True))
        self._links.close()
        for reply in self._replies:
            reply.cancel()
        await asyncio.gather(*self._replies, return_exceptions=True)
        await self._transport.close()

    def _noted(self, failure: UpstreamFailed | UpstreamError, caller: Caller) -> UpstreamFailed | UpstreamError:
        if isinstance(failure, UpstreamError):
            self._links.required(failure, caller)
        return failure

    @property
    def _modern(self) -> bool:
        return self.terms is not None and self.terms.era is Era.MODERN

    def _in_force(self, modern: str | None) -> tuple[Era, str | None]:
        if self.terms is not None:
            return self.terms.era, self.terms.version
        return (Era.LEGACY, None) if modern is None else (Era.MODERN, modern)

    def _wait(self, id: int, params: Params, caller: Caller, patience: float | None) -> Waiting:
        loop = asyncio.get_running_loop()
        meta = params.get("_meta")
        waiting = self._waiting[id] = Waiting(
            outcome=loop.create_future(),
            caller=caller,
            token=meta.get(PROGRESS_KEY) if isinstance(meta, dict) else None,
            patience=patience,
            latest=loop.time() + STRETCH * (patience or 0),
            task=asyncio.current_task(),
        )
        return waiting

    def _enclose(self, params: Params, id: int, waiting: Waiting, era: Era, version: str | None) -> Params:
        """``params`` with our own envelope: what the client said of itself and its token stay with us."""
        given = params.get("_meta")
        meta: Params = {}
        if isinstance(given, dict):
            meta = {key: value for key, value in given.items() if key not in META_KEYS}
            if era is Era.MODERN and LOG_LEVEL_KEY in given:
                meta[LOG_LEVEL_KEY] = given[LOG_LEVEL_KEY]
        if era is Era.MODERN:
            capabilities = relayable_modern(waiting.caller.capabilities)
            meta |= {VERSION_KEY: version, CLIENT_INFO_KEY: self.client, CAPABILITIES_KEY: capabilities}
        if waiting.token is not None:
            meta[PROGRESS_KEY] = id
        rest = {key: value for key, value in params.items() if key != "_meta"}
        return {**rest, "_meta": meta} if meta else rest

    def _receive(self, message: Message) -> None:
        if self._over is not None:
            return  # a child that is being ended may still speak
        if isinstance(message, Response):
            if type(message.id) is int and (waiting := self._waiting.get(message.id)) is not None:
                waiting.settle(message, asyncio.get_running_loop().time())
            else:
                _LOG.debug("upstream `%s` answered a request that is not waiting", self.name)
        elif isinstance(message, Request):
            self._answer(message)
        else:
            self._hear(message)

    def _answer(self, request: Request) -> None:
        """A question goes to the caller it belongs to; else a server may ask for nothing but a sign of life."""
        if len(self._replies) >= FLOOD:
            return
        declared = request.method in QUESTIONS and request.method.partition("/")[0] in self.declares
        if declared and not self._modern and (waiting := self._asked_of(request)) is not None:
            if request.method == ELICITATION:
                self._links.remember(request.params, waiting.caller)
            self._questions.put(request, waiting)
        elif len(self._replies) >= REPLIES:
            return
        elif request.method == "ping":
            self._later(Response(request.id, result={}))
        elif declared and not self._modern:
            self._later(refusal(request.id, INTERNAL_ERROR, "no request is under way whose client could be asked"))
        else:
            self._later(refusal(request.id, METHOD_NOT_FOUND, "method not found"))

    def _asked_of(self, question: Request) -> Waiting | None:
        """The request that a question belongs to: the one on whose stream it came; where it came on a stream that
        requests share, the newest whose client can be asked, if they are all of one principal.
        """
        own, others = self._streams()
        if own is not None or not self._exclusive:
            return own
        theirs = [waiting for waiting in others if waiting.caller is not QUIET]
        able = (each for each in theirs if not lacking(question.method, question.params, each.caller.capabilities))
        return next(able, theirs[0] if theirs else None)

    def _streams(self) -> tuple[Waiting | None, Iterator[Waiting]]:
        """The request on whose own stream something is heard now, and all, the newest first."""
        task = asyncio.current_task()
        own = next((waiting for waiting in self._waiting.values() if waiting.task is task), None)
        return own, reversed(self._waiting.values())

    def _hear(self, notification: Notification) -> None:
        method, params = notification.method, notification.params
        if method == "notifications/progress":
            token = params.get(PROGRESS_KEY)
            waiting = self._waiting.get(token) if type(token) is int else None
            if waiting is not None and waiting.token is not None:
                waiting.stretch(asyncio.get_running_loop().time())
                waiting.caller.tell(Notification(method, params | {PROGRESS_KEY: waiting.token}))
        elif method == "notifications/message":
            if (speaker := self._speaker()) is not None:
                speaker.caller.tell(notification)
        elif method == "notifications/cancelled":
            self._cancelled(params.get("requestId"))
        elif method == ELICITATION_COMPLETE:
            self._completed(notification)
        else:
            self._told(notification)

    def _speaker(self) -> Waiting | None:
        """The request that a log line belongs to: the one on whose stream it came; where all requests share
        one stream, the newest, if they are all of one principal. Otherwise nobody may see it.
        """
        own, others = self._streams()
        if own is None and self._exclusive and not self.http:
            return next((each for each in others if each.caller is not QUIET), None)
        return own

    def _completed(self, notification: Notification) -> None:
        """Tell who was sent to a link that he is done there."""
        caller = self._links.forget(notification.params.get("elicitationId"))
        if caller is None and (speaker := self._speaker()) is not None:
            caller = speaker.caller
        if caller is not None and not self._modern:
            caller.tell(notification)

    def _cancelled(self, id: Json) -> None:
        """A legacy server takes back a question of its own, whose id may well be one of ours. A modern one may end
        a stream of events that way; it is an answer like any other.
        """
        waiting = self._waiting.get(id) if type(id) is int else None
        if not self._modern:
            self._questions.take_back(id)
        elif waiting is not None:
            error: Params = {"code": INTERNAL_ERROR, "message": "the server ended the request"}
            waiting.settle(Response(None, error=error), asyncio.get_running_loop().time())

    def _withdraw(self, request: Request, era: Era, reason: str) -> None:
        """Tell the server that nobody waits any more; in the modern era over HTTP the closed stream said so."""
        if request.method != "initialize" and not (self.http and era is Era.MODERN):
            self._later(Notification("notifications/cancelled", {"requestId": request.id, "reason": reason}))

    def _later(self, message: Message, patience: float | None = None) -> None:
        if self._over is None:
            reply = asyncio.get_running_loop().create_task(self._reply(message, patience))
            self._replies.add(reply)
            reply.add_done_callback(self._replies.discard)

    async def _reply(self, message: Message, patience: float | None) -> None:
        era, version = self._in_force(None)
        with contextlib.suppress(TransportLost, HttpAnswer, TimeoutError, Refusal):
            async with asyncio.timeout(patience or REPLY_TIMEOUT):
                await self._transport.send(message, version=version, modern=era is Era.MODERN)

    def _lost(self, why: Exception | None) -> None:
        lost = why if isinstance(why, TransportLost) else TransportLost(str(why or "ended"), sent=True)
        if self._fail_all(lost):
            self._ended(str(lost))

    def _fail_all(self, lost: TransportLost) -> bool:
        if self._over is not None:
            return False
        self._over = lost
        now = asyncio.get_running_loop().time()
        for waiting in self._waiting.values():
            waiting.settle(TransportLost(str(lost), sent=True), now)
        return True
