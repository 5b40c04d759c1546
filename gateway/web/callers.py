"""The client of one request, as the server behind us meets it: what it hears, what it can be asked.

A client of the legacy era with a session is asked on the event stream of the very POST that it waits for (or on its
``/sse`` stream), and answers by a POST. In the modern era nobody is asked in the middle of a request: there the
answer itself says what is wanted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, cast

from connectors.base import NOT_ASKED, UpstreamError
from gateway.errors import Limited
from gateway.mcp import eras
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import CAPABILITIES_KEY, Call, Era, Message, Notification, Params, Request
from gateway.sessions import Session, Stream

NOT_PUT: Final = -32603
"""The code by which a server learns that its question could not be put (JSON-RPC: internal error)."""

QUESTION_BYTES: Final = 4 * 1024 * 1024


class Words(Protocol):
    """How words reach the client of one request: its ``Reply``, its ``Stream``."""

    def say(self, notification: Notification) -> None: ...

    def push(self, message: Message) -> None: ...

    @property
    def behind(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Listener:
    """A client that hears what is said, and cannot be asked while its request runs."""

    capabilities: Params
    tell: Callable[[Notification], None]

    async def ask(self, method: str, params: Params) -> Params:  # noqa: ARG002 (nothing at all)
        raise UpstreamError(NOT_ASKED, "the client of this request cannot be asked while it runs")

    def end(self) -> None:
        """Nothing was asked."""


@dataclass(slots=True)
class Partner:
    """A client of the legacy era that can be asked while its request runs: what it declared when it opened its
    session, which the pipeline sees to. ``fits`` says what it may be told.
    """

    session: Session
    words: Words
    fits: Callable[[Notification], bool]
    _asked: set[str] = field(default_factory=set)
    _ended: bool = False

    @property
    def capabilities(self) -> Params:
        return self.session.capabilities

    def tell(self, notification: Notification) -> None:
        """After its request has ended the client hears by its other stream, if it has one."""
        words: Words | Stream | None = self.session.stream if self._ended else self.words
        if words is not None and self.fits(notification):
            words.say(notification)

    async def ask(self, method: str, params: Params) -> Params:
        self._check(method, params)
        try:
            answer = await self.session.questions.ask(method, params, self.words.push, asked=self._asked)
        except Limited as refusal:
            raise UpstreamError(NOT_PUT, refusal.text) from None
        if (error := answer.error) is not None:
            raise UpstreamError(cast("int", error["code"]), str(error["message"]), error.get("data"))
        return cast("Params", answer.result)

    def end(self) -> None:
        """The request has ended: withdraw what is still open."""
        self._ended = True
        for id in list(self._asked):
            self.session.questions.withdraw(id, "the request that this was asked for has ended")

    def _check(self, method: str, params: Params) -> None:
        if self._ended:
            raise UpstreamError(NOT_PUT, "the request that this was asked for has ended")
        if self.words.behind:
            raise UpstreamError(NOT_PUT, "the client is too far behind in reading to be asked anything")
        if len(encode(Notification(method, params))) > QUESTION_BYTES:
            raise UpstreamError(NOT_PUT, f"a question must not be larger than {QUESTION_BYTES} bytes")


Client: TypeAlias = Listener | Partner


def client_of(call: Call, request: Request, session: Session | None, words: Words) -> Client:
    """The client of ``request``, which hears by ``words`` what it may hear."""

    def fits(notification: Notification) -> bool:
        return eras.may_say(notification, call, session.log_level if session else None)

    def tell(notification: Notification) -> None:
        if fits(notification):
            words.say(notification)

    if session is None or call.era is Era.MODERN or request.method == "initialize":
        return Listener(declared(call, request), tell)
    return Partner(session, words, fits)


def declared(call: Call, request: Request) -> Params:
    """What the client declares in ``request`` itself."""
    if call.era is Era.LEGACY and request.method != "initialize":
        return {}
    place = request.params.get("_meta") if call.era is Era.MODERN else request.params
    key = CAPABILITIES_KEY if call.era is Era.MODERN else "capabilities"
    said = place.get(key) if isinstance(place, dict) else None
    return said if isinstance(said, dict) else {}
