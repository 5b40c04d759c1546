"""The data plane in memory: ASGI requests in, answers and audit entries out, no sockets."""

import asyncio
import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from gateway.mcp.events import EventParser, ServerEvent
from gateway.policy.terms import MAIN
from gateway.sessions import Sessions
from gateway.web.hosts import Hosts
from gateway.web.mcp import Endpoint, Rules
from gateway.web.plane import Plane
from gateway.web.sse import SseEndpoint
from tests.builders import ALL, AMY, Door
from tests.fakes import slack

HOST = "127.0.0.1:4001"
MODERN = {"mcp-protocol-version": "2026-07-28"}
MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


@dataclass
class Exchange:
    """One request under way. ``reads`` is unset while the client does not read; ``leave`` closes its connection."""

    incoming: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)
    sent: list[MutableMapping[str, Any]] = field(default_factory=list)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    async def send(self, event: MutableMapping[str, Any]) -> None:
        await self.reads.wait()
        assert not self.ended, "nothing may be written after the end of an answer"
        assert (event["type"] == "http.response.start") == (not self.sent), "an answer begins exactly once"
        self.sent.append(event)

    def give(self, body: bytes, *, more: bool = False) -> None:
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def done(self) -> "Exchange":
        assert self.task is not None
        await asyncio.wait_for(asyncio.shield(self.task), 10)
        return self

    @property
    def ended(self) -> bool:
        return bool(self.sent) and self.sent[-1].get("more_body", len(self.sent) == 1) is False

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def text(self) -> str:
        return b"".join(event["body"] for event in self.sent[1:]).decode()

    @property
    def events(self) -> list[ServerEvent]:
        """What came as events with data, as far as it has come."""
        return EventParser().feed(b"".join(event["body"] for event in self.sent[1:]))

    @property
    def messages(self) -> list[Any]:
        """The JSON of every event that has any."""
        return [json.loads(event.data) for event in self.events if event.data.startswith((b"{", b"["))]

    def asked(self, number: int = 0) -> Any:
        """The question that came as number so many; ``None`` as long as it did not come."""
        questions = [each for each in self.messages if "method" in each and "id" in each]
        return questions[number] if len(questions) > number else None

    @property
    def told(self) -> Any:
        """The JSON of the answer, or of the last event of its stream."""
        data = [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]
        return json.loads(data[-1] if data else self.text)


@dataclass
class Front:
    """A plane over a door. Requests come from Amy unless they bring other headers."""

    door: Door = field(default_factory=lambda: Door(ALL, [slack()]))
    unread: float = 60.0
    pages: Any = None

    def __post_init__(self) -> None:
        self.sessions = Sessions()
        rules = Rules(accept_query_key=True, max_body=1_000_000, keepalive=30.0)
        shared = (self.door.pipeline, self.sessions, rules, lambda: self.door.now)
        self.plane = Plane(
            mcp=Endpoint(*shared),
            sse=SseEndpoint(*shared, self.still_valid),
            pages=self.pages,
            hosts=Hosts.of(bind=HOST, public_url=""),
            trusted_proxies=(),
            pipeline=self.door.pipeline,
            unread=self.unread,
        )

    def still_valid(self, subject: Any, domain: str = MAIN) -> bool:
        return self.door.directory.serves(domain) and self.door.follower.current.admits(subject, domain, self.door.now)

    def key(self, email: str = AMY) -> str:
        if email not in self.door.keys:
            self.door.person(email)
        return self.door.keys[email]

    def open(
        self, method: str, path: str, body: bytes | None = b"", *, reads: bool = True, **headers: str | None
    ) -> Exchange:
        """Begin a request; without ``body`` it stays unfinished. Underscores in header names are dashes."""
        given = {
            "host": HOST,
            "x-apikey": self.key(),
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items() if value is not None],
            "client": ("203.0.113.7", 5000),
        }
        exchange = Exchange()
        if reads:
            exchange.reads.set()
        if body is not None:
            exchange.give(body)
        exchange.task = asyncio.create_task(self.plane(scope, exchange.incoming.get, exchange.send))
        return exchange

    def post(self, method: str, *, id: Any = 1, session: str | None = None, **params: Any) -> Exchange:
        """Begin a legacy request, or a notification when ``id`` is ``None``."""
        return self.open("POST", "/mcp", message(method, id=id, **params), mcp_session_id=session)

    def modern(self, method: str, *, id: Any = 1, **params: Any) -> Exchange:
        body = message(method, id=id, _meta=MODERN_META, **params)
        return self.open("POST", "/mcp", body, **MODERN, mcp_method=method, mcp_name=params.get("name"))

    def answer(
        self, id: Any, session: str | None, *, path: str = "/mcp", key: str | None = None, **told: Any
    ) -> Exchange:
        """Begin to answer a question, with ``result`` or ``error``."""
        body = json.dumps({"jsonrpc": "2.0", "id": id, **told}).encode()
        return self.open("POST", path, body, mcp_session_id=session, x_apikey=key or self.key())

    def resume(self, session: str, last: str | None = None, **headers: str | None) -> Exchange:
        """Begin to follow a session's news, or to take up the stream of the event ``last``."""
        return self.open("GET", "/mcp", mcp_session_id=session, last_event_id=last, **headers)

    async def session(self, version: str = "2025-11-25", *, key: str | None = None, **capabilities: Any) -> str:
        hello = {**HELLO, "protocolVersion": version, "capabilities": capabilities}
        if key is not None:
            opened = self.open("POST", "/mcp", message("initialize", **hello), x_apikey=key)
            return (await opened.done()).headers["mcp-session-id"]
        return (await self.post("initialize", **hello).done()).headers["mcp-session-id"]


def message(method: str, *, id: Any = 1, **params: Any) -> bytes:
    told = {"jsonrpc": "2.0", "method": method, "params": params}
    return json.dumps(told if id is None else {**told, "id": id}).encode()


async def until(what: Any) -> None:
    """Returns once ``what()`` is true; fails after a while."""
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.001)
