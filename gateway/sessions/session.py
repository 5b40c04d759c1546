"""One conversation with a client of the legacy era."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import Limited, Malformed
from gateway.mcp.questions import relayable
from gateway.mcp.terms import Message, Params, Request
from gateway.policy.terms import Subject
from gateway.sessions.memory import Memory
from gateway.sessions.questions import Questions
from gateway.sessions.streams import Stream

RUNNING: Final = 256
SUBSCRIBED: Final = 1_000
"""Requests that one session may have running, and resources that it may follow."""

PRIMED_FROM: Final = "2025-11-25"
"""The revision whose clients know an event without data, by which a stream begins that can be taken up again."""


@dataclass(slots=True)
class Session:
    """Bound to one subject and one domain. ``key_demanded``: every message must bring the credential again.
    ``capabilities`` is what the client declared when it opened the session, ``stream`` the one on which it hears news.
    """

    id: str
    subject: Subject
    domain: str
    transport: str
    used_at: int
    version: str = ""
    client: str = ""
    key_demanded: bool = True
    log_level: str | None = None
    capabilities: Params = field(default_factory=dict)
    stream: Stream | None = None
    subscribed: set[str] = field(default_factory=set)
    running: "dict[str | int, asyncio.Task[object]]" = field(default_factory=dict)
    cancelled: set[str | int] = field(default_factory=set)
    memory: Memory = field(default_factory=Memory)
    questions: Questions = field(default_factory=Questions)

    def opened(self, params: Params, result: object) -> None:
        """Take note of the ``initialize`` that opened this session: what was declared, what was agreed on."""
        declared = params.get("capabilities")
        if isinstance(result, dict):
            self.version = str(result.get("protocolVersion", ""))
            self.capabilities = relayable(declared) if isinstance(declared, dict) else {}

    @property
    def primed(self) -> bool:
        """Whether its client wants to know at once how a stream can be taken up again."""
        return self.version >= PRIMED_FROM

    @property
    def busy(self) -> bool:
        """Whether its client listens, or a request of it is running."""
        return bool(self.running) or (self.stream is not None and self.stream.connected)

    def answer_stream(self, judged: str = "") -> Stream:
        """A stream for the answer to one POST, which can be taken up again."""
        return self.memory.keep(Stream(self.subject, self.domain, judged=judged))

    def news_stream(self, wanted: Callable[[Message], Message | None]) -> Stream:
        """The stream for news, which can be taken up again; it takes the place of the one before."""
        self.stream = self.memory.keep(Stream(self.subject, self.domain, wanted))
        return self.stream

    def enter(self, request: Request, task: "asyncio.Task[object]") -> None:
        """Take in a request that ``task`` runs. Raises ``Malformed`` for an id in use, ``Limited`` beyond the caps."""
        if request.id in self.running:
            raise Malformed("a request with this id is still running in this session")
        if len(self.running) >= RUNNING:
            raise Limited("too many requests are running in this session", retry_after=1)
        if request.method == "resources/subscribe" and len(self.subscribed) >= SUBSCRIBED:
            raise Limited("this session follows too many resources; unsubscribe from some", retry_after=1)
        self.running[request.id] = task

    def leave(self, request: Request) -> None:
        self.running.pop(request.id, None)
        self.cancelled.discard(request.id)

    def cancel(self, request_id: object) -> None:
        """Cancel the running request that the client names, once (MCP 2025-11-25, cancellation)."""
        if not isinstance(request_id, str | int) or isinstance(request_id, bool) or request_id in self.cancelled:
            return
        if (task := self.running.get(request_id)) is not None:
            self.cancelled.add(request_id)
            task.cancel()

    def end(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.stop()

    def stop(self, spared: "Callable[[asyncio.Task[object]], bool]" = lambda _: False) -> bool:
        """Cancel what runs, but for the tasks that are ``spared``; whether there are any."""
        left = {id: task for id, task in self.running.items() if not spared(task)}
        for request_id in left:
            self.cancel(request_id)
        return len(left) < len(self.running)
