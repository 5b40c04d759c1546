"""``/mcp`` and ``/mcp/{serverId}``: streamable HTTP of both eras (MCP 2025-03-26 to 2026-07-28).

Plain ASGI, before Quart. Bytes come in, calls go to the pipeline, answers go out; nothing is decided here.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from connectors.base import QUIET, Unasked, UpstreamError
from gateway.errors import Malformed, Refusal, Unknown
from gateway.identity import offered
from gateway.mcp import calls, eras, jsonrpc
from gateway.mcp.terms import MODERN_VERSIONS, Call, Era, Message, Notification, Params, Request, Response, Step
from gateway.pipeline import Origin, Pipeline
from gateway.policy.terms import MAIN, Subject
from gateway.sessions import Session, Sessions, Stream
from gateway.web.asgi import Gone, Header, Incoming, Send, answer, end_tasks
from gateway.web.listening import acknowledge, asked_by, farewell, subscribed_by
from gateway.web.refusals import NotAllowed, retry_header, write_refusal
from gateway.web.replies import Reply, pour

BATCHES: Final = "2025-03-26"
"""The one revision that knows JSON-RPC batches over this transport."""

AT_LEAST: Final = "ostiary-policy-at-least"
"""The header by which a client demands that a policy version, or a later one, judges its request."""

POLICY: Final = b"ostiary-policy"
"""The header by which an answer tells the policy version that judged its request."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator sets for the data plane; times in seconds, sizes in bytes."""

    accept_query_key: bool
    max_body: int
    keepalive: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Serves one request for a domain. ``servers`` tells which domains exist; ``now`` is ms since the epoch."""

    pipeline: Pipeline
    sessions: Sessions
    rules: Rules
    servers: frozenset[str]
    now: Callable[[], int]

    async def __call__(self, incoming: Incoming, domain: str, send: Send) -> None:
        exchange = _Exchange(self, incoming, domain, send)
        try:
            await exchange.run()
        except Refusal as refusal:
            await self.pipeline.refuse(refusal, exchange.origin, domain=domain, subject=exchange.subject)
            await write_refusal(incoming, send, refusal, domain=domain, request_id=exchange.request_id)
        except Gone:
            return


class _Exchange:
    """One request on its way; holds what is known of it so far."""

    def __init__(self, endpoint: Endpoint, incoming: Incoming, domain: str, send: Send) -> None:
        self.at = endpoint
        self.incoming = incoming
        self.domain = domain
        self.send = send
        self.subject: Subject | None = None
        self.session: Session | None = None
        self.request_id: str | int | None = None
        self.session_id = incoming.headers.get("mcp-session-id", "")
        self.origin = Origin(
            address=incoming.address, transport="mcp", client=incoming.headers.get("user-agent", "")[:200]
        )

    async def run(self) -> None:
        method = self.incoming.method
        allowed = ("POST",) if self._modern else ("POST", "GET", "DELETE")
        if method not in allowed:
            raise NotAllowed(*allowed)
        subject = self.subject = self._identify()
        self._refuse_doubled()
        await demand_policy(self.at.pipeline, self.incoming)
        if self.domain not in self.at.servers:
            raise Unknown("there is no such server", code=-32600, status=404)
        if method == "POST":
            await self._post(subject)
        else:
            session = self._demand_session(subject)
            await (self._stream(session, subject) if method == "GET" else self._delete(session))

    @property
    def _modern(self) -> bool:
        return self.incoming.headers.get("mcp-protocol-version", "") in MODERN_VERSIONS

    def _refuse_doubled(self) -> None:
        """Two headers of one name are two readings of one message (MCP 2026-07-28, header validation)."""
        names = [name.lower() for name, _ in self.incoming.raw_headers if name.lower().startswith(b"mcp-")]
        if len(set(names)) < len(names):
            raise Malformed("an Mcp- header comes twice; send it once", code=calls.HEADER_MISMATCH)

    def _identify(self) -> Subject:
        key = offered(self.incoming.raw_headers, self.incoming.query, accept_query=self.at.rules.accept_query_key)
        return self.at.pipeline.identify(key)

    # -- POST

    async def _post(self, subject: Subject) -> None:
        check_media_types(self.incoming)
        message = jsonrpc.parse(await self.incoming.body(self.at.rules.max_body), values=jsonrpc.MAX_VALUES)
        self.request_id = message.id if isinstance(message, Request) else None
        opening = isinstance(message, Request) and message.method == "initialize"
        if self.session_id and not opening and not self._modern:
            self.session = self._find_session(subject)
        if isinstance(message, list):
            await self._batch(message, subject)
            return
        call = self._classify(message)
        if call.step is Step.LISTEN:
            await self._listen(call, subject)
            return
        await self._single(call, subject)

    def _classify(self, message: Message) -> Call:
        call = calls.classify(
            message,
            headers=self.incoming.headers,
            domain=self.domain,
            transport="mcp",
            session_version=self.session.version if self.session else None,
            session=self.session.id if self.session else "",
        )
        if call.era is Era.LEGACY and self.session is None and not self._stands_alone(message):
            raise Malformed("Bad Request: No valid session ID provided", code=-32000)
        return call

    def _stands_alone(self, message: Message) -> bool:
        """Whether a legacy message needs no session: beside the main server single requests are served, but
        nobody could ever end what they follow.
        """
        method = message.method if isinstance(message, Request) else ""
        return method == "initialize" or (self.domain != MAIN and method != "resources/subscribe")

    async def _single(self, call: Call, subject: Subject) -> None:
        modern = call.era is Era.MODERN
        watch = asyncio.create_task(self._cancel_when_gone(asyncio.current_task())) if modern else None
        headers: Sequence[Header] = ()
        judged = ((POLICY, self.at.pipeline.version.encode()),)  # nothing is awaited until the call is judged by it
        async with Reply(self.send, judged, gone=None if modern else self.incoming.gone) as reply:
            try:
                response, refusal = await self._outcome(call, subject, reply.say)
            finally:
                await end_tasks(watch)
            if refusal is None and isinstance(call.message, Request) and call.message.method == "initialize":
                headers = ((b"mcp-session-id", self._open_session(subject, call, response).encode()),)
            await reply.finish(_body(response), _status(call, response, refusal), (*headers, *retry_header(refusal)))

    async def _outcome(
        self, call: Call, subject: Subject, say: Callable[[Notification], None]
    ) -> tuple[Response | None, Refusal | None]:
        """The response to a request (``None`` for what expects none), and the refusal that it tells of."""
        message = call.message
        if not isinstance(message, Request):
            if self.session and isinstance(message, Notification) and message.method == "notifications/cancelled":
                self.session.cancel(message.params.get("requestId"))
            await self.at.pipeline.handle(call, subject, self.origin, Unasked(say))
            return None, None
        return await respond(
            self.at.pipeline,
            self.at.sessions,
            call,
            message,
            subject=subject,
            origin=self.origin,
            say=say,
            session=self.session,
        )

    async def _cancel_when_gone(self, task: "asyncio.Task[object] | None") -> None:
        """In the modern era, closing the response stream is the cancellation (MCP 2026-07-28, transports)."""
        await self.incoming.gone()
        if task is not None:
            task.cancel()

    def _open_session(self, subject: Subject, call: Call, response: Response | None) -> str:
        session = self.at.sessions.open(subject, self.domain, "mcp", self.at.now())
        result = response.result if response else None
        session.version = str(result.get("protocolVersion", "")) if isinstance(result, dict) else call.version
        return session.id

    async def _batch(self, messages: list[Message], subject: Subject) -> None:
        if self.session is None or self.session.version != BATCHES:
            raise Malformed(f"batches are accepted only in a session of revision {BATCHES}")
        async with Reply(self.send, gone=self.incoming.gone) as reply:
            responses = await asyncio.gather(*(self._part(message, subject, reply.say) for message in messages))
            bodies = [jsonrpc.encode(response) for response in responses if response is not None]
            await reply.finish(b"[" + b",".join(bodies) + b"]" if bodies else b"", 200 if bodies else 202)

    async def _part(self, message: Message, subject: Subject, say: Callable[[Notification], None]) -> Response | None:
        """One message of a batch, answered and put on record by itself, whatever becomes of the others."""
        try:
            call = self._classify(message)
            if call.step in (Step.OPEN, Step.LISTEN):
                raise Malformed("a batch cannot open a conversation")
            response, _ = await self._outcome(call, subject, say)
        except Refusal as refusal:
            await self.at.pipeline.refuse(refusal, self.origin, domain=self.domain, subject=subject)
            return jsonrpc.error_response(message.id, refusal) if isinstance(message, Request) else None
        return response

    # -- streams

    async def _listen(self, call: Call, subject: Subject) -> None:
        """``subscriptions/listen`` (MCP 2026-07-28): acknowledged first, then what was asked for, tagged."""
        message = call.message
        if not isinstance(message, Request):
            raise Malformed("subscriptions/listen is a request")
        judged = (POLICY, self.at.pipeline.version.encode())
        honoured: Params = await self.at.pipeline.handle(call, subject, self.origin, QUIET)
        uris = honoured.get("resourceSubscriptions")
        followed = frozenset(map(str, uris)) if isinstance(uris, list) else frozenset()
        stream = Stream(subject, self.domain, asked_by(message.id, honoured), followed)
        stream.push(acknowledge(message.id, honoured))
        await self._pour(stream, last=lambda: farewell(message.id), headers=(judged,))

    async def _stream(self, session: Session, subject: Subject) -> None:
        if "text/event-stream" not in accepted(self.incoming):
            raise Malformed("Not Acceptable: Client must accept text/event-stream", status=406)
        stream = Stream(subject, self.domain, subscribed_by(session.subscribed))
        if session.stream is not None:
            self.at.sessions.detach(session.stream)
        session.stream = stream
        await self._pour(stream, headers=((b"mcp-session-id", session.id.encode()),))

    async def _pour(
        self, stream: Stream, *, last: Callable[[], Message | None] = lambda: None, headers: Sequence[Header] = ()
    ) -> None:
        self.at.sessions.attach(stream)
        try:
            await pour(stream, self.incoming, self.send, keepalive=self.at.rules.keepalive, last=last, headers=headers)
        finally:
            self.at.sessions.detach(stream)

    # -- sessions

    def _demand_session(self, subject: Subject) -> Session:
        if not self.session_id:
            raise Malformed("Missing MCP-Session-ID header", code=-32000)
        return self._find_session(subject)

    def _find_session(self, subject: Subject) -> Session:
        return self.at.sessions.find(self.session_id, subject, transport="mcp", domain=self.domain, now=self.at.now())

    async def _delete(self, session: Session) -> None:
        self.at.sessions.end(session)
        await answer(self.send, 200, headers=())


async def respond(
    pipeline: Pipeline,
    sessions: Sessions,
    call: Call,
    request: Request,
    *,
    subject: Subject,
    origin: Origin,
    say: Callable[[Notification], None],
    session: Session | None,
) -> tuple[Response, Refusal | None]:
    """Run one request to its response; a refusal or an error of the server behind us becomes an error response.

    Within a session the request can be cancelled by its id; the answer then says so. When the client of
    a sessionless request has gone, raises ``Gone``.
    """
    task = asyncio.current_task()
    if session is not None and task is not None:
        session.enter(request, task)

    def heard(notification: Notification) -> None:
        if eras.may_say(notification, call, session.log_level if session else None):
            say(notification)

    try:
        result = await pipeline.handle(call, subject, origin, Unasked(heard))
        if session is not None:
            sessions.succeeded(session, request)
        return Response(request.id, result=result), None
    except Refusal as refusal:
        return jsonrpc.error_response(request.id, refusal), refusal
    except UpstreamError as error:
        return jsonrpc.error_response(request.id, error), None
    except asyncio.CancelledError:
        if session is not None and request.id in session.cancelled and task is not None:
            task.uncancel()
            return jsonrpc.error_response(request.id, Refusal("the request was cancelled by its client")), None
        if session is None and call.era is Era.MODERN and task is not None and task.uncancel() == 0:
            raise Gone from None
        raise
    finally:
        if session is not None:
            session.leave(request)


async def demand_policy(pipeline: Pipeline, incoming: Incoming) -> None:
    """Wait for the policy version that the client demands, if it does. Raises ``Malformed``, ``Unavailable``."""
    if (version := incoming.headers.get(AT_LEAST)) is not None:
        await pipeline.demand(version)


def accepted(incoming: Incoming) -> frozenset[str]:
    """Which of the two media types of this transport the Accept header admits (RFC 9110 §12.5.1)."""
    ranges = {part.partition(";")[0].strip().lower() for part in incoming.headers.get("accept", "").split(",")}
    return frozenset(
        media
        for media in ("application/json", "text/event-stream")
        if ranges & {media, f"{media.partition('/')[0]}/*", "*/*"}
    )


def check_media_types(incoming: Incoming) -> None:
    """Raises ``Malformed``: 406 unless both media types are accepted, 415 unless the body is JSON."""
    if len(accepted(incoming)) < 2:
        text = "Not Acceptable: Client must accept both application/json and text/event-stream"
        raise Malformed(text, status=406)
    check_json(incoming)


def check_json(incoming: Incoming) -> None:
    if incoming.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Malformed("Unsupported Media Type: Content-Type must be application/json", status=415)


def _body(response: Response | None) -> bytes:
    return b"" if response is None else jsonrpc.encode(response)


def _status(call: Call, response: Response | None, refusal: Refusal | None) -> int:
    if refusal is not None:
        return refusal.status
    if response is None:
        return 202
    missing = response.error is not None and response.error.get("code") == -32601
    return 404 if missing and call.era is Era.MODERN else 200
