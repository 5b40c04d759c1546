"""``/mcp`` and ``/mcp/{serverId}``: streamable HTTP of both eras (MCP 2025-03-26 to 2026-07-28).

Plain ASGI, before Quart. Bytes come in, calls go to the pipeline, answers go out; nothing is decided here.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.errors import Malformed, Refusal
from gateway.mcp import calls, jsonrpc
from gateway.mcp.terms import MODERN_VERSIONS, Call, Era, Message, Params, Request, Response, Step
from gateway.pipeline import Origin, Pipeline
from gateway.policy.terms import MAIN, Subject
from gateway.sessions import Session, Sessions, Stream
from gateway.web.answering import accept, respond
from gateway.web.arrivals import arrival_of
from gateway.web.asgi import PRIVATE, Gone, Header, Incoming, Send, Watch, answer
from gateway.web.callers import Listener, declared
from gateway.web.demands import check_media_types, check_stream, demand_policy, judged_by
from gateway.web.elsewhere import ALONE, Others, keeper_of, passed_on
from gateway.web.listening import acknowledge, asked_by, farewell, subscribed_by
from gateway.web.refusals import NotAllowed, retry_header, write_refusal
from gateway.web.replies import KEEPALIVE, Reply, beside, pour, priming

BATCHES: Final = "2025-03-26"
"""The one revision that knows JSON-RPC batches over this transport."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator sets for the data plane; times in seconds, sizes in bytes."""

    accept_query_key: bool
    max_body: int
    keepalive: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Serves one request for a domain. ``now`` is ms since the epoch."""

    pipeline: Pipeline
    sessions: Sessions
    rules: Rules
    now: Callable[[], int]
    others: Others = ALONE

    async def __call__(self, incoming: Incoming, domain: str | None, send: Send, token: str | None = None) -> None:
        """Serve one request; ``domain`` is the server that its URL names, ``token`` what a token URL holds."""
        exchange = _Exchange(self, incoming, domain, send, token)
        try:
            await exchange.run()
        except Refusal as refusal:
            await self.pipeline.refuse(refusal, exchange.origin, domain=exchange.domain, subject=exchange.subject)
            await write_refusal(incoming, send, refusal, domain=exchange.domain, request_id=exchange.request_id)
        except Gone:
            return


class _Exchange:
    """One request on its way; holds what is known of it so far."""

    def __init__(
        self, endpoint: Endpoint, incoming: Incoming, domain: str | None, send: Send, token: str | None
    ) -> None:
        self.at = endpoint
        self.incoming = incoming
        self.named = domain
        self.domain = domain or MAIN
        self.send = send
        self.token = token
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
        subject = self.subject = await self._arrive()
        self._refuse_doubled()
        await demand_policy(self.at.pipeline, self.incoming)
        if method == "POST":
            await self._post(subject)
        else:
            if await self._passed_on(self._holder(), b""):
                return
            session = self._demand_session(subject)
            await (self._stream(session) if method == "GET" else self._delete(session))

    @property
    def _modern(self) -> bool:
        return self.incoming.headers.get("mcp-protocol-version", "") in MODERN_VERSIONS

    def _refuse_doubled(self) -> None:
        """Two headers of one name are two readings of one message (MCP 2026-07-28, header validation)."""
        names = [name.lower() for name, _ in self.incoming.raw_headers if name.lower().startswith(b"mcp-")]
        if len(set(names)) < len(names):
            raise Malformed("an Mcp- header comes twice; send it once", code=calls.HEADER_MISMATCH)

    async def _arrive(self) -> Subject:
        arrival = arrival_of(
            self.incoming.raw_headers,
            self.incoming.query,
            accept_query=self.at.rules.accept_query_key,
            domain=self.named,
            token=self.token,
            address=self.incoming.address,
        )
        self.domain = arrival.domain
        return await self.at.pipeline.arrive(arrival)

    # -- POST

    async def _post(self, subject: Subject) -> None:
        check_media_types(self.incoming)
        body = await self.incoming.body(self.at.rules.max_body)
        message = jsonrpc.parse(body, values=jsonrpc.MAX_VALUES)
        self.request_id = message.id if isinstance(message, Request) else None
        opening = isinstance(message, Request) and message.method == "initialize"
        if self.session_id and not opening and not self._modern:
            if await self._passed_on(self._holder(), body):
                return
            self.session = self._find_session(subject)
        elif await self._passed_on(keeper_of(message, self.at.others), body):
            return
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
        """Whether a legacy message needs no session: beside the main server single requests are served, but nobody
        could ever end what they follow, and nobody asks what an answer belongs to.
        """
        if isinstance(message, Response):
            return False
        method = message.method if isinstance(message, Request) else ""
        return method == "initialize" or (self.domain != MAIN and method != "resources/subscribe")

    async def _single(self, call: Call, subject: Subject) -> None:
        modern = call.era is Era.MODERN
        watch = Watch(self.incoming.gone) if modern else None  # MCP 2026-07-28, transports: closing the stream cancels
        headers: Sequence[Header] = ()
        version = self.at.pipeline.version  # nothing is awaited until the call is judged by it
        async with self._reply(subject, lambda: version, watched=not modern) as reply:
            try:
                response, refusal = await self._outcome(call, subject, reply)
            finally:
                if watch is not None:
                    await watch.end()
            if refusal is None and isinstance(call.message, Request) and call.message.method == "initialize":
                headers = ((b"mcp-session-id", self._open_session(subject, call.message, response).encode()),)
            await reply.finish(_body(response), _status(call, response, refusal), (*headers, *retry_header(refusal)))

    def _reply(self, subject: Subject, judged: Callable[[], str], *, watched: bool) -> Reply:
        """The answer to this POST. Within a session, what it says can be had again when the connection breaks off."""
        session = self.session

        def stream() -> Stream:
            return Stream(subject, self.domain) if session is None else session.answer_stream(judged())

        return Reply(
            self.send,
            lambda: (*judged_by(judged()), *beside(self.origin.aside)),
            stream=stream,
            primed=session is not None and session.primed,
            gone=self.incoming.gone if watched else None,
        )

    async def _outcome(self, call: Call, subject: Subject, reply: Reply) -> tuple[Response | None, Refusal | None]:
        """The response to a request (``None`` for what expects none), and the refusal that it tells of."""
        pipeline, session, message = self.at.pipeline, self.session, call.message
        if not isinstance(message, Request):
            await accept(pipeline, call, subject=subject, origin=self.origin, words=reply, session=session)
            return None, None
        try:
            return await respond(
                pipeline,
                self.at.sessions,
                call,
                message,
                subject=subject,
                origin=self.origin,
                words=reply,
                session=session,
            )
        finally:
            if session is not None:
                session.used_at = self.at.now()  # a client that has left has time from now on to fetch the answer

    def _open_session(self, subject: Subject, request: Request, response: Response | None) -> str:
        session = self.at.sessions.open(subject, self.domain, "mcp", self.at.now())
        session.opened(request.params, response.result if response else None)
        return session.id

    async def _batch(self, messages: list[Message], subject: Subject) -> None:
        if self.session is None or self.session.version != BATCHES:
            raise Malformed(f"batches are accepted only in a session of revision {BATCHES}")
        versions: set[str] = set()
        judged = partial(_only, versions)
        async with self._reply(subject, judged, watched=True) as reply:
            responses = await asyncio.gather(*(self._part(each, subject, reply, versions) for each in messages))
            bodies = [jsonrpc.encode(response) for response in responses if response is not None]
            await reply.finish(b"[" + b",".join(bodies) + b"]" if bodies else b"", 200 if bodies else 202)

    async def _part(self, message: Message, subject: Subject, reply: Reply, versions: set[str]) -> Response | None:
        """One message of a batch, answered and put on record by itself, whatever becomes of the others. Adds the
        version of the policy that judges it to ``versions``.
        """
        try:
            call = self._classify(message)
            if call.step in (Step.OPEN, Step.LISTEN):
                raise Malformed("a batch cannot open a conversation")
            versions.add(self.at.pipeline.version)
            response, _ = await self._outcome(call, subject, reply)
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
        version = self.at.pipeline.version
        client = Listener(declared(call, message), lambda _: None)
        honoured: Params = await self.at.pipeline.handle(call, subject, self.origin, client)
        uris = honoured.get("resourceSubscriptions")
        followed = frozenset(map(str, uris)) if isinstance(uris, list) else frozenset()
        stream = Stream(subject, self.domain, asked_by(message.id, honoured), followed, judged=version)
        stream.push(acknowledge(message.id, honoured))
        self.at.sessions.attach(stream)
        await self._pour(stream, last=lambda: farewell(message.id))

    async def _stream(self, session: Session) -> None:
        """The news of a session, or, with ``Last-Event-ID``, any stream of it from where it broke off."""
        check_stream(self.incoming)
        after: int | None = None
        if last := self.incoming.headers.get("last-event-id"):
            stream, after = session.memory.find(last)
        else:
            if session.stream is not None:
                self.at.sessions.detach(session.stream)
            stream = session.news_stream(subscribed_by(session.subscribed))
            self.at.sessions.attach(stream)
        first = priming(stream) if session.primed and after is None else KEEPALIVE
        try:
            await self._pour(stream, after=after, first=first, session=session.id)
        finally:
            session.used_at = self.at.now()

    async def _pour(
        self,
        stream: Stream,
        *,
        after: int | None = None,
        first: bytes = KEEPALIVE,
        last: Callable[[], Message | None] = lambda: None,
        session: str = "",
    ) -> None:
        """Write a stream; one that ended meanwhile, or cannot be taken up again, is let go of."""
        headers = ((b"mcp-session-id", session.encode()),) if session else ()
        try:
            await pour(
                stream,
                self.incoming,
                self.send,
                after=after,
                first=first,
                last=last,
                keepalive=self.at.rules.keepalive,
                headers=(*headers, *judged_by(stream.judged)),
            )
        finally:
            if stream.closed:
                self.at.sessions.detach(stream)

    # -- sessions

    def _holder(self) -> str:
        """The other worker that holds this session, if one does."""
        id = self.session_id
        return "" if not id or self.at.sessions.holds(id) else self.at.others.holder(id)

    async def _passed_on(self, name: str, body: bytes) -> bool:
        return bool(name) and await passed_on(self.at.others, name, self.incoming, body, self.send)

    def _demand_session(self, subject: Subject) -> Session:
        if not self.session_id:
            raise Malformed("Missing MCP-Session-ID header", code=-32000)
        return self._find_session(subject)

    def _find_session(self, subject: Subject) -> Session:
        return self.at.sessions.find(self.session_id, subject, transport="mcp", domain=self.domain, now=self.at.now())

    async def _delete(self, session: Session) -> None:
        self.at.sessions.end(session)
        await answer(self.send, 200, headers=PRIVATE)


def _only(versions: set[str]) -> str:
    """The one version of the policy that judged everything, ``""`` where there were several."""
    return next(iter(versions)) if len(versions) == 1 else ""


def _body(response: Response | None) -> bytes:
    return b"" if response is None else jsonrpc.encode(response)


def _status(call: Call, response: Response | None, refusal: Refusal | None) -> int:
    if refusal is not None:
        return refusal.status
    if response is None:
        return 202
    missing = response.error is not None and response.error.get("code") == -32601
    return 404 if missing and call.era is Era.MODERN else 200
