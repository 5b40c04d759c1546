"""The client's side of MCP streamable HTTP, of both eras: one POST per message, JSON or a stream back.

It knows the session id, the headers of the protocol, and how a legacy stream goes on after a break
(MCP 2025-03-26 to 2026-07-28, transports). It must not know what a message asks for, nor who asks.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from connectors.base import UpstreamSpec
from connectors.egress import Answer, EgressError, Limits, Outward
from connectors.http_messages import (
    EVENT_STREAM,
    JSON,
    MAX_BODY,
    exceptions_of,
    garbled,
    header_text,
    http_error,
    is_identifier,
    loss_of,
    media_type,
    message_of,
    operator_headers,
)
from connectors.transport import NO_TEXTS, HttpAnswer, Lost, Receive, TransportLost
from connectors.waiting import STANDSTILL
from gateway.errors import Refusal
from gateway.mcp.events import EventParser, EventTooLong
from gateway.mcp.jsonrpc import encode
from gateway.mcp.questions import ASKING
from gateway.mcp.terms import Message, Request, Response

MAX_CONNECT: Final = 10.0
MARGIN: Final = 5.0
"""Seconds that we are more patient than whoever waits for an answer, who knows better why he gives up."""

QUIET: Final = 300.0
"""Seconds without a byte, not even a comment, after which a standing stream is given up and opened again."""

TRIES: Final = 6
"""Attempts in a row that did not open a stream, after which listening is given up."""

FIRST_PAUSE: Final = 0.1
MOST_PAUSE: Final = 30.0
GOODBYE: Final = 2.0

_ASKING_METHODS: Final = ASKING | {"tasks/result"}
_STANDING_METHODS: Final = frozenset({"subscriptions/listen"})


@dataclass(slots=True)
class _Track:
    """How far a stream was followed, over all its connections."""

    last_id: str = ""
    retry: float = 0.0
    unopened: int = 0
    fruitless: int = 0
    why: str = "the server ended the stream without an answer"

    def opened(self) -> None:
        self.unopened = 0

    def heard(self, parser: EventParser) -> None:
        self.fruitless = 0
        if is_identifier(parser.last_id):
            self.last_id = parser.last_id
        if parser.retry_ms is not None:
            self.retry = parser.retry_ms / 1000

    def pause(self) -> float:
        """Seconds until the next attempt: as the server said, longer when attempts bring nothing."""
        return min(MOST_PAUSE, max(self.retry, FIRST_PAUSE * 2.0 ** min(self.fruitless, 12)))


class StreamableHttp:
    """A ``Transport``; needs no opening, so ``lost`` is never told: each message succeeds or fails for itself.

    Raises ``ValueError`` when the specification's exceptions cannot be read.
    """

    def __init__(self, spec: UpstreamSpec, egress: Outward) -> None:
        self._spec, self._egress = spec, egress
        self._allow = exceptions_of(spec)
        connect = min(MAX_CONNECT, spec.start_timeout)
        patience = spec.timeout + MARGIN
        self._brief = Limits(connect=connect, idle=patience, max_bytes=None)
        # a legacy server says nothing more while its question is with the client
        self._asking = Limits(connect=connect, idle=patience + STANDSTILL, max_bytes=None)
        # what a call waits for must not wait for the turn that the call has
        self._telling = Limits(connect=connect, idle=patience, max_bytes=None, standing=True)
        self._standing = Limits(connect=connect, idle=QUIET, max_bytes=None, standing=True)
        self._session: str | None = None
        self._version: str | None = None
        self._receive: Receive = _unheard

    async def start(self, receive: Receive, lost: Lost) -> None:  # noqa: ARG002  there is no line to lose
        self._receive = receive

    async def send(
        self,
        message: Message,
        *,
        version: str | None = None,
        modern: bool = False,
        name: str = "",
        repeated: Mapping[str, str] = NO_TEXTS,
    ) -> None:
        opening = isinstance(message, Request) and message.method == "initialize"
        if opening:
            self._session = None
        self._version = version
        headers = self._headers(f"{JSON}, {EVENT_STREAM}", version, with_session=not modern)
        headers["Content-Type"] = JSON
        if modern:
            headers |= _routing(message, name)
            headers |= {f"Mcp-Param-{rest}": header_text(text) for rest, text in repeated.items()}
        track = _Track()
        try:
            async with self._egress.request(
                "POST",
                self._spec.url,
                headers=headers,
                body=encode(message),
                limits=self._limits(message, modern=modern),
                allow=self._allow,
            ) as answer:
                if answer.status >= 400:
                    raise await http_error(answer)
                if opening:
                    self._learn_session(answer)
                answered = not isinstance(message, Request) or await self._take(answer, message, track)
        except EgressError as error:
            raise loss_of(error) from error
        if not answered and isinstance(message, Request):
            if modern or not track.last_id:
                raise garbled(track.why)
            await self._resume(track, message)

    async def listen(self) -> None:
        """Raises also ``HttpAnswer``; returns at once when the server says that it has no such stream (405)."""
        try:
            await self._follow(_Track(), None)
        except HttpAnswer as answer:
            if answer.status != 405:
                raise

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        headers = self._headers("*/*", self._version, with_session=False) | {"Mcp-Session-Id": session}
        limits = Limits(connect=GOODBYE, idle=GOODBYE, total=GOODBYE)
        try:
            async with self._egress.request(
                "DELETE", self._spec.url, headers=headers, limits=limits, allow=self._allow
            ):
                pass
        except (EgressError, Refusal):
            return  # the server will forget the session by itself

    def _limits(self, message: Message, *, modern: bool) -> Limits:
        if not isinstance(message, Request):
            return self._telling
        if message.method in _STANDING_METHODS:
            return self._standing
        return self._asking if message.method in _ASKING_METHODS and not modern else self._brief

    def _headers(self, accept: str, version: str | None, *, with_session: bool) -> dict[str, str]:
        headers = operator_headers(self._spec)
        headers["Accept"] = accept
        if version is not None:
            headers["MCP-Protocol-Version"] = version
        if with_session and self._session is not None:
            headers["Mcp-Session-Id"] = self._session
        return headers

    def _learn_session(self, answer: Answer) -> None:
        session = answer.headers.get("Mcp-Session-Id")
        if session is not None and not is_identifier(session):
            raise garbled("the server gave a session id that no header can carry")
        self._session = session

    async def _take(self, answer: Answer, request: Request, track: _Track) -> bool:
        """Give what the POST's own answer says to ``receive``; whether ``request`` was answered."""
        media = media_type(answer.headers)
        if answer.status != 200 or media not in (JSON, EVENT_STREAM):
            raise garbled(f"the server answered HTTP {answer.status} with neither JSON nor an event stream")
        if media == EVENT_STREAM:
            return await self._read_stream(answer, request, track)
        message = message_of(await answer.read(MAX_BODY))
        if not isinstance(message, Response) or not self._hear(message, request):
            raise garbled("the server's body does not answer the request")
        return True

    async def _read_stream(self, answer: Answer, awaited: Request | None, track: _Track) -> bool:
        """Give what a stream says to ``receive`` until it ends; whether ``awaited`` was answered. Once it was,
        nothing that still goes wrong on the stream matters.
        """
        parser = EventParser(MAX_BODY)
        answered = False
        try:
            async for chunk in answer.chunks():
                for event in parser.feed(chunk):
                    if event.event == "message" and event.data:
                        answered = self._hear(message_of(event.data), awaited) or answered
                track.heard(parser)
        except (EgressError, EventTooLong, TransportLost) as error:
            if not answered and not isinstance(error, EgressError):
                raise garbled(str(error)) from error
            track.why = str(error)
        return answered

    def _hear(self, message: Message, awaited: Request | None) -> bool:
        """Give ``message`` on; whether it answers ``awaited``. An answer to something else has no business here."""
        if not isinstance(message, Response):
            self._receive(message)
            return False
        if awaited is None or not _answers(message, awaited):
            return False
        self._receive(replace(message, id=awaited.id))
        return True

    async def _resume(self, track: _Track, request: Request) -> None:
        await asyncio.sleep(track.pause())
        try:
            await self._follow(track, request)
        except HttpAnswer as answer:
            raise garbled(f"the stream broke off and cannot be resumed: {answer}") from answer

    async def _follow(self, track: _Track, awaited: Request | None) -> None:
        """Read the GET stream, again and again from where it broke off, until ``awaited`` is answered.

        Raises ``HttpAnswer`` when the server will not have it, ``TransportLost`` when it cannot be opened.
        """
        while track.unopened < TRIES:
            track.unopened += 1
            track.fruitless += 1
            try:
                if await self._get(track, awaited):
                    return
            except EgressError as error:
                track.why = str(error)
            except HttpAnswer as answer:
                if answer.status < 500:
                    raise
                track.why = str(answer)
            await asyncio.sleep(track.pause())
        raise garbled(track.why)

    async def _get(self, track: _Track, awaited: Request | None) -> bool:
        headers = self._headers(EVENT_STREAM, self._version, with_session=True)
        if track.last_id:
            headers["Last-Event-ID"] = track.last_id
        async with self._egress.request(
            "GET", self._spec.url, headers=headers, limits=self._standing, allow=self._allow
        ) as answer:
            if answer.status >= 400:
                raise await http_error(answer)
            if answer.status != 200 or media_type(answer.headers) != EVENT_STREAM:
                raise garbled(f"the server answered HTTP {answer.status} without an event stream")
            track.opened()
            return await self._read_stream(answer, awaited, track)


def _unheard(message: Message) -> None:
    """Before ``start`` nobody listens."""


def _routing(message: Message, name: str) -> dict[str, str]:
    """What the modern era repeats of the body for those who route by headers (MCP 2026-07-28, transports)."""
    if isinstance(message, Response):
        return {}
    headers = {"Mcp-Method": header_text(message.method)}
    if name:
        headers["Mcp-Name"] = header_text(name)
    return headers


def _answers(response: Response, request: Request) -> bool:
    """What has no id is an error, and the answer too: on this exchange there is only one request to answer."""
    return response.id is None or response.id == request.id
