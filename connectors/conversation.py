"""One conversation with an MCP server: requests out, each answer back to the task that waits for it.

Ids and progress tokens are our own, so two clients that use the same ones never meet here. This file
knows JSON-RPC and the envelopes of both eras; it must not know who asks, what a tool is, or how bytes
travel. How a conversation begins stands in ``handshake.py``, how it is opened again in ``line.py``.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.base import QUIET, Caller, UpstreamError
from connectors.transport import NO_TEXTS, HttpAnswer, Transport, TransportBusy, TransportLost
from gateway.errors import UpstreamFailed
from gateway.mcp.jsonrpc import PARSE_ERROR
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

METHOD_NOT_FOUND: Final = -32601
INTERNAL_ERROR: Final = -32603

STRETCH: Final = 10
"""Progress keeps a call alive, but not beyond so many times its time-out."""

LINGER: Final = 0.25
"""Seconds a server may keep an answer's stream open after the answer, before we close it."""

REPLIES: Final = 32
"""While so many messages of ours are on their way at once, a server that asks for something gets no answer."""

REPLY_TIMEOUT: Final = 5.0

NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Which parameter ``Mcp-Name`` repeats."""


class Unheard(UpstreamFailed):
    """The server cannot have acted on the request: it may be sent again on a new session."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the handshake agreed on."""

    era: Era
    version: str
    capabilities: Params
    instructions: str = ""


@dataclass(eq=False, slots=True)
class _Waiting:
    """One request under way. ``outcome`` is never an exception set on the future: nobody may be looking."""

    outcome: asyncio.Future[Response | TransportLost]
    caller: Caller
    token: Json
    patience: float | None
    latest: float
    task: asyncio.Task[Any] | None
    scope: asyncio.Timeout | None = None
    sending: bool = True

    @property
    def answered(self) -> bool:
        """A task that is cancelled while it waits cancels the future with it."""
        return self.outcome.done() and not self.outcome.cancelled()

    def settle(self, outcome: Response | TransportLost, now: float) -> None:
        if self.outcome.done():
            return
        self.outcome.set_result(outcome)
        if self.sending and self.scope is not None and not self.scope.expired():
            self.scope.reschedule(now + LINGER)

    def stretch(self, now: float) -> None:
        alive = self.scope is not None and not self.scope.expired() and not self.outcome.done()
        if alive and self.scope is not None and self.patience is not None:
            self.scope.reschedule(min(now + self.patience, self.latest))


class Conversation:
    """``told`` hears what the server says outside of requests; ``ended`` is called once when it is over,
    with the reason for the log. ``exclusive`` says that all its requests are made for one principal.
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
    ) -> None:
        self.name = name
        self.client = client
        self.http = http
        self.terms: Terms | None = None
        self._transport = transport
        self._timeout = timeout
        self._exclusive = exclusive
        self._told = told
        self._ended = ended
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._replies: set[asyncio.Task[None]] = set()
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
            raise self._judged(answer) from answer
        return self.result_of(response)

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
            del self._waiting[id]
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
        for reply in self._replies:
            reply.cancel()
        await asyncio.gather(*self._replies, return_exceptions=True)
        await self._transport.close()

    def result_of(self, response: Response) -> Params:
        """The result that ``response`` holds. Raises ``UpstreamError``, ``UpstreamFailed``."""
        if response.error is not None:
            raise self._error(response.error)
        if not isinstance(response.result, dict):
            raise UpstreamFailed(f"upstream `{self.name}` answered without a result object")
        kind = response.result.get("resultType", "complete")
        if self.terms is None or self.terms.era is Era.LEGACY or kind == "complete":
            return response.result
        if kind == "input_required":
            raise UpstreamFailed(
                f"upstream `{self.name}` asks for input from the user before it answers; this is not offered here"
            )
        raise UpstreamFailed(f"upstream `{self.name}` answered with a kind of result that nobody asked for")

    def _in_force(self, modern: str | None) -> tuple[Era, str | None]:
        if self.terms is not None:
            return self.terms.era, self.terms.version
        return (Era.LEGACY, None) if modern is None else (Era.MODERN, modern)

    def _wait(self, id: int, params: Params, caller: Caller, patience: float | None) -> _Waiting:
        loop = asyncio.get_running_loop()
        meta = params.get("_meta")
        waiting = self._waiting[id] = _Waiting(
            outcome=loop.create_future(),
            caller=caller,
            token=meta.get(PROGRESS_KEY) if isinstance(meta, dict) else None,
            patience=patience,
            latest=loop.time() + STRETCH * (patience or 0),
            task=asyncio.current_task(),
        )
        return waiting

    def _enclose(self, params: Params, id: int, waiting: _Waiting, era: Era, version: str | None) -> Params:
        """``params`` with our own envelope: what the client said of itself and its token stay with us."""
        given = params.get("_meta")
        meta: Params = {}
        if isinstance(given, dict):
            meta = {key: value for key, value in given.items() if key not in META_KEYS}
            if era is Era.MODERN and LOG_LEVEL_KEY in given:
                meta[LOG_LEVEL_KEY] = given[LOG_LEVEL_KEY]
        if era is Era.MODERN:
            meta |= {VERSION_KEY: version, CLIENT_INFO_KEY: self.client, CAPABILITIES_KEY: {}}
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
        """We offered nothing, so a server may ask for nothing but a sign of life."""
        if len(self._replies) >= REPLIES:
            return
        if request.method == "ping":
            self._later(Response(request.id, result={}))
        else:
            error: Params = {"code": METHOD_NOT_FOUND, "message": "method not found"}
            self._later(Response(request.id, error=error))

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
        else:
            self._told(notification)

    def _speaker(self) -> _Waiting | None:
        """The request that a log line belongs to: the one on whose stream it came; where all requests share
        one stream, the newest, if they are all of one principal. Otherwise nobody may see it.
        """
        task = asyncio.current_task()
        for waiting in reversed(self._waiting.values()):
            if waiting.task is task or (self._exclusive and not self.http and waiting.caller is not QUIET):
                return waiting
        return None

    def _cancelled(self, id: Json) -> None:
        """A modern server may end a stream of events that way; it is an answer like any other. A legacy server
        takes back a request of its own, whose id may well be one of ours.
        """
        legacy = self.terms is None or self.terms.era is Era.LEGACY
        waiting = self._waiting.get(id) if type(id) is int else None
        if waiting is not None and not legacy:
            error: Params = {"code": INTERNAL_ERROR, "message": "the server ended the request"}
            waiting.settle(Response(None, error=error), asyncio.get_running_loop().time())

    def _withdraw(self, request: Request, era: Era, reason: str) -> None:
        """Tell the server that nobody waits any more; in the modern era over HTTP the closed stream said so."""
        if request.method != "initialize" and not (self.http and era is Era.MODERN):
            self._later(Notification("notifications/cancelled", {"requestId": request.id, "reason": reason}))

    def _later(self, message: Message) -> None:
        if self._over is None:
            reply = asyncio.get_running_loop().create_task(self._reply(message))
            self._replies.add(reply)
            reply.add_done_callback(self._replies.discard)

    async def _reply(self, message: Message) -> None:
        era, version = self._in_force(None)
        with contextlib.suppress(TransportLost, HttpAnswer, TimeoutError):
            async with asyncio.timeout(REPLY_TIMEOUT):
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

    def _judged(self, answer: HttpAnswer) -> UpstreamFailed | UpstreamError:
        legacy = self.terms is None or self.terms.era is Era.LEGACY
        error = answer.message.error if answer.message is not None else None
        if answer.status in (401, 403):
            return UpstreamFailed(f"upstream `{self.name}` refused the gateway's credential (HTTP {answer.status})")
        if legacy and (answer.status == 404 or (answer.status == 400 and "session" in _text(error).lower())):
            return Unheard(f"upstream `{self.name}` has forgotten the session")
        if error is not None:
            return self._error(error)
        return UpstreamFailed(f"upstream `{self.name}` answered HTTP {answer.status}")

    def _error(self, error: Params) -> UpstreamFailed | UpstreamError:
        code, data = error.get("code"), error.get("data")
        if type(code) is not int or code == PARSE_ERROR:
            return UpstreamFailed(f"upstream `{self.name}` answered garbage", detail=_text(error))
        return UpstreamError(code, _text(error), data)


def _text(error: Params | None) -> str:
    message = error.get("message") if error is not None else None
    return message if isinstance(message, str) else ""
