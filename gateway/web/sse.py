"""``/sse``, ``/sse/{serverId}`` and ``/messages``: the HTTP+SSE transport of MCP 2024-11-05.

A stream opened with a key in the query cannot bring headers later, so its session id (256 random
bits) is the credential of that one stream, checked against the live user on every message.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.errors import Malformed, Refusal, Unauthenticated, Unknown
from gateway.identity import INVALID, missing
from gateway.mcp import calls, events, jsonrpc
from gateway.mcp.terms import Call, Era, Message, Request
from gateway.pipeline import Arrival, Origin, Pipeline
from gateway.policy.terms import MAIN, Subject
from gateway.sessions import Session, Sessions, Stream
from gateway.web.answering import accept, respond
from gateway.web.arrivals import arrival_of, by_header
from gateway.web.asgi import PRIVATE, Incoming, Send, answer
from gateway.web.demands import check_json, demand_policy
from gateway.web.elsewhere import ALONE, Others, passed_on
from gateway.web.listening import subscribed_by
from gateway.web.mcp import Rules
from gateway.web.refusals import NotAllowed, write_refusal
from gateway.web.replies import pour

NO_SESSION = "No valid SSE session found"


@dataclass(frozen=True, slots=True)
class SseEndpoint:
    """Serves the stream and the messages that belong to it."""

    pipeline: Pipeline
    sessions: Sessions
    rules: Rules
    now: Callable[[], int]
    still_valid: Callable[[Subject, str], bool]
    others: Others = ALONE
    _running: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def stream(self, incoming: Incoming, named: str | None, send: Send, token: str | None = None) -> None:
        """GET: open a session and keep its stream until either side ends it. ``named`` is the server that the URL
        names, ``token`` what a token URL holds.
        """
        domain, subject = named or MAIN, None
        try:
            if incoming.method != "GET":
                raise NotAllowed("GET")
            arrival = self._arrival(incoming, named, token)
            domain = arrival.domain
            subject = await self.pipeline.arrive(arrival)
            await self._open(incoming, domain, send, subject)
        except Refusal as refusal:
            await self.pipeline.refuse(refusal, self._origin(incoming), domain=domain, subject=subject)
            await write_refusal(incoming, send, refusal, domain=domain)

    async def _open(self, incoming: Incoming, domain: str, send: Send, subject: Subject) -> None:
        session = self.sessions.open(subject, domain, "sse", self.now())
        session.key_demanded = by_header(incoming.raw_headers)
        session.stream = stream = Stream(subject, domain, subscribed_by(session.subscribed))
        self.sessions.attach(stream)
        place = events.encode_event(f"/messages?sessionId={session.id}".encode(), event="endpoint")
        try:
            await pour(stream, incoming, send, first=place, keepalive=self.rules.keepalive)
        finally:
            self.sessions.detach(stream)
            self.sessions.end(session)

    async def message(self, incoming: Incoming, send: Send) -> None:
        """POST: take one message in (202); its answer goes over the stream, a refusal of what it asks for as well."""
        session: Session | None = None
        request_id: str | int | None = None
        try:
            if incoming.method != "POST":
                raise NotAllowed("POST")
            if await self._passed_on(incoming, send):
                return
            session = await self._session(incoming)
            check_json(incoming)
            await demand_policy(self.pipeline, incoming)
            message = jsonrpc.parse(await incoming.body(self.rules.max_body), values=jsonrpc.MAX_VALUES)
            request_id = message.id if isinstance(message, Request) else None
            call = self._classify(message, session, incoming)
        except Refusal as refusal:
            domain, subject = (session.domain, session.subject) if session else (MAIN, None)
            await self.pipeline.refuse(refusal, self._origin(incoming), domain=domain, subject=subject)
            if session is None or session.stream is None or request_id is None:
                await write_refusal(incoming, send, refusal, domain=domain)
                return
            session.stream.push(jsonrpc.error_response(request_id, refusal))
        else:
            self._start(call, session, self._origin(incoming))
        await answer(send, 202, b"Accepted", headers=((b"content-type", b"text/plain"), *PRIVATE))

    async def _passed_on(self, incoming: Incoming, send: Send) -> bool:
        """Whether another worker holds the stream, and has answered."""
        ids = incoming.asked("sessionId")
        if len(ids) != 1 or incoming.handed or self.sessions.holds(ids[0]):
            return False
        name = self.others.holder(ids[0])
        if not name:
            return False
        return await passed_on(self.others, name, incoming, await incoming.body(self.rules.max_body), send)

    async def _session(self, incoming: Incoming) -> Session:
        ids = incoming.asked("sessionId")
        if len(ids) != 1:
            raise Malformed(NO_SESSION, code=-32000)
        arrival = self._arrival(incoming, self.sessions.domain_of(ids[0]))
        brings = (arrival.key, arrival.end_user, arrival.acts_as) != (None, None, None)
        subject = await self.pipeline.arrive(arrival) if brings else None
        try:
            session = self.sessions.find(ids[0], subject, transport="sse", now=self.now())
        except Unknown:
            raise Unknown(NO_SESSION, code=-32000, status=404) from None
        if subject is None and session.key_demanded:
            raise missing()
        if not self.still_valid(session.subject, session.domain):
            raise Unauthenticated(INVALID)
        return session

    def _classify(self, message: Message | list[Message], session: Session, incoming: Incoming) -> Call:
        if isinstance(message, list):
            raise Malformed("batches are not accepted over this transport")
        call = calls.classify(
            message,
            headers={name: incoming.headers[name] for name in calls.WISHES if name in incoming.headers},
            domain=session.domain,
            transport="sse",
            session_version=session.version or "2024-11-05",
            session=session.id,
        )
        if call.era is not Era.LEGACY:
            raise Malformed("this transport serves revision 2024-11-05; use /mcp for newer ones")
        return call

    def _start(self, call: Call, session: Session, origin: Origin) -> None:
        task = asyncio.create_task(self._run(call, session, origin))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, call: Call, session: Session, origin: Origin) -> None:
        message, stream = call.message, session.stream
        if stream is None:
            return
        if isinstance(message, Request):
            await self._answer(call, message, session, stream, origin)
            return
        with suppress(Refusal):  # nobody waits for it, and the pipeline has put it on record
            await accept(self.pipeline, call, subject=session.subject, origin=origin, words=stream, session=session)

    async def _answer(self, call: Call, request: Request, session: Session, stream: Stream, origin: Origin) -> None:
        try:
            response, _ = await respond(
                self.pipeline,
                self.sessions,
                call,
                request,
                subject=session.subject,
                origin=origin,
                words=stream,
                session=session,
            )
        except Refusal as refusal:
            await self.pipeline.refuse(refusal, origin, domain=session.domain, subject=session.subject)
            response = jsonrpc.error_response(request.id, refusal)
        if request.method == "initialize":
            session.opened(request.params, response.result)
        stream.push(response)

    def _arrival(self, incoming: Incoming, domain: str | None, token: str | None = None) -> Arrival:
        return arrival_of(
            incoming.raw_headers,
            incoming.query,
            accept_query=self.rules.accept_query_key,
            domain=domain,
            token=token,
            address=incoming.address,
        )

    def _origin(self, incoming: Incoming) -> Origin:
        return Origin(address=incoming.address, transport="sse", client=incoming.headers.get("user-agent", "")[:200])
