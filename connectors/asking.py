"""The questions of one server that are with clients now: each brought to its caller, each answered exactly once.

It knows whose question it is told to be; it must not know how that is found out, nor how an answer travels.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from connectors.base import Caller, UpstreamError
from connectors.waiting import STANDSTILL, Waiting
from gateway.errors import Refusal
from gateway.mcp.jsonrpc import error_response
from gateway.mcp.questions import lacking, relayable
from gateway.mcp.terms import META_KEYS, Params, Request, Response
from gateway.policy.terms import Json

_LOG = logging.getLogger(__name__)

METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
URL_ELICITATION_REQUIRED: Final = -32042

AT_ONCE: Final = 16
"""Questions of one request that may be with the client at one time."""

MAX_LINKS: Final = 64
"""Links that users were sent to, whose completion may still be told."""


def refusal(id: str | int, code: int, message: str, data: Params | None = None) -> Response:
    """The answer to a question that reaches no client."""
    return error_response(id, UpstreamError(code, message, data))


@dataclass(eq=False, slots=True)
class _Question:
    id: str | int
    waiting: Waiting
    taken_back: bool = False
    task: asyncio.Task[Params] | None = None


class Questions:
    """``answer`` sends an answer to the server; it is called once for each question that the server still waits for."""

    def __init__(self, name: str, answer: Callable[[Response], None]) -> None:
        self._name = name
        self._answer = answer
        self._open: dict[str | int, _Question] = {}

    def put(self, request: Request, waiting: Waiting) -> None:
        """Ask the caller of ``waiting``, whose patience stands still meanwhile."""
        if waiting.outcome.done():
            return  # its request was answered
        if request.id in self._open:
            _LOG.debug("upstream `%s` asks twice under one id; the second is passed over", self._name)
        elif missing := lacking(request.method, request.params, waiting.caller.capabilities):
            # a part of a capability is a matter of parameters (MCP 2025-11-25, elicitation and sampling)
            partly = missing.keys() <= relayable(waiting.caller.capabilities).keys()
            code = INVALID_PARAMS if partly else METHOD_NOT_FOUND
            needed: Params = {"requiredCapabilities": missing}
            self._answer(refusal(request.id, code, "the client of this request cannot be asked that", needed))
        elif waiting.asked >= AT_ONCE:
            self._answer(refusal(request.id, INTERNAL_ERROR, "the client of this request has enough to answer"))
        else:
            self._ask(request, waiting)

    def take_back(self, id: Json) -> None:
        """The server wants no answer any more."""
        if isinstance(id, str | int) and not isinstance(id, bool) and (question := self._open.get(id)) is not None:
            question.taken_back = True
            _cancel(question)

    def end(self, waiting: Waiting) -> None:
        """The request is over, and its questions with it."""
        if waiting.asked:
            for question in [each for each in self._open.values() if each.waiting is waiting]:
                _cancel(question)

    def _ask(self, request: Request, waiting: Waiting) -> None:
        loop = asyncio.get_running_loop()
        waiting.stand_still(loop.time())
        question = self._open[request.id] = _Question(request.id, waiting)
        asking = waiting.caller.ask(request.method, _neutral(request.params))
        question.task = loop.create_task(asking, name=f"a question of {self._name}")
        question.task.add_done_callback(lambda done: self._answered(question, done))

    def _answered(self, question: _Question, done: asyncio.Task[Params]) -> None:
        del self._open[question.id]
        question.waiting.go_on(asyncio.get_running_loop().time())
        answer = self._outcome(question.id, done)
        if not question.taken_back:
            self._answer(answer)

    def _outcome(self, id: str | int, done: asyncio.Task[Params]) -> Response:
        if done.cancelled():
            return refusal(id, INTERNAL_ERROR, "the request that the question belongs to has ended")
        failure = done.exception()
        if failure is None:
            return Response(id, result=done.result())
        if isinstance(failure, UpstreamError):
            return error_response(id, failure)
        unexpected = None if isinstance(failure, Refusal) else failure
        _LOG.warning("a question of `%s` got no answer: %s", self._name, failure, exc_info=unexpected)
        return refusal(id, INTERNAL_ERROR, "the client of this request could not be asked")


class Links:
    """Which caller was sent to which link, so that he can be told when he is done there."""

    def __init__(self) -> None:
        self._callers: dict[str, tuple[Caller, asyncio.TimerHandle]] = {}

    def remember(self, params: Params, caller: Caller) -> None:
        """``params`` are those of an ``elicitation/create`` in URL mode."""
        id = params.get("elicitationId")
        if not isinstance(id, str) or params.get("mode") != "url":
            return
        self.forget(id)
        timer = asyncio.get_running_loop().call_later(STANDSTILL, self._callers.pop, id, None)
        self._callers[id] = (caller, timer)
        if len(self._callers) > MAX_LINKS:
            self.forget(next(iter(self._callers)))

    def required(self, error: UpstreamError, caller: Caller) -> None:
        """The server will not go on before the user was at some links (MCP 2025-11-25, -32042)."""
        listed = error.data.get("elicitations") if isinstance(error.data, dict) else None
        if error.code == URL_ELICITATION_REQUIRED and isinstance(listed, list):
            for each in listed[:MAX_LINKS]:
                if isinstance(each, dict):
                    self.remember(each, caller)

    def forget(self, id: Json) -> Caller | None:
        """The caller who was sent to the link, who is not remembered any more."""
        caller, timer = self._callers.pop(id, (None, None)) if isinstance(id, str) else (None, None)
        if timer is not None:
            timer.cancel()
        return caller

    def close(self) -> None:
        for id in list(self._callers):
            self.forget(id)


def _cancel(question: _Question) -> None:
    if question.task is not None:
        question.task.cancel()


def _neutral(params: Params) -> Params:
    """A question without what concerns the hop to us alone: progress tokens, and tasks, which nobody declared."""
    rest = {key: value for key, value in params.items() if key not in ("_meta", "task")}
    meta = params.get("_meta")
    kept: Params = {key: value for key, value in meta.items() if key not in META_KEYS} if isinstance(meta, dict) else {}
    return {**rest, "_meta": kept} if kept else rest
