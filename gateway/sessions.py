"""Conversations with clients of the legacy era, and the open streams of every era.

A session is bound to one subject and one domain, and dies with the credential that opened it.
This file knows no HTTP: ``web`` writes what a stream yields.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gateway.errors import Limited, Malformed, Unknown
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import Message, Request
from gateway.policy.terms import Subject

IDLE_MS: Final = 60 * 60 * 1000
PER_SUBJECT: Final = 64
"""Sessions, and open streams, that one subject may have."""

WAITING: Final = 1_000
WAITING_BYTES: Final = 16 * 1024 * 1024
RUNNING: Final = 256
SUBSCRIBED: Final = 1_000
"""Requests that one session may have running, and resources that it may follow."""


class StreamClosed(Exception):
    """The stream has ended and everything it held has been taken."""


class Stream:
    """Messages on their way to one client, encoded, in order. A reader that falls ``WAITING`` messages or
    ``WAITING_BYTES`` behind is cut off.
    """

    __slots__ = ("_closed", "_ready", "_size", "_waiting", "domain", "subject", "subscribed", "wanted")

    def __init__(
        self,
        subject: Subject,
        domain: str,
        wanted: Callable[[Message], Message | None],
        subscribed: Collection[str] = (),
    ) -> None:
        self.subject = subject
        self.domain = domain
        self.wanted = wanted
        self.subscribed = subscribed
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._ready = asyncio.Event()
        self._closed = False

    def push(self, message: Message) -> None:
        if self._closed:
            return
        self._waiting.append(encode(message))
        self._size += len(self._waiting[-1])
        behind = len(self._waiting) > 1 and self._size > WAITING_BYTES  # one message, however large, can be sent
        if behind or len(self._waiting) > WAITING:
            self.close()
        self._ready.set()

    def offer(self, message: Message) -> None:
        """Push ``message`` in the form this stream's reader asked for, if it asked for it."""
        if (fitting := self.wanted(message)) is not None:
            self.push(fitting)

    def close(self) -> None:
        self._closed = True
        self._ready.set()

    async def take(self, wait: float) -> list[bytes]:
        """What has come in, after at most ``wait`` seconds (then an empty list). Raises ``StreamClosed``."""
        if not self._waiting and not self._closed:
            try:
                async with asyncio.timeout(wait):
                    await self._ready.wait()
            except TimeoutError:
                return []
        if not self._waiting and self._closed:
            raise StreamClosed
        taken = list(self._waiting)
        self._waiting.clear()
        self._size = 0
        if not self._closed:
            self._ready.clear()
        return taken


@dataclass(slots=True)
class Session:
    """One conversation. ``key_demanded``: every message must bring the credential again."""

    id: str
    subject: Subject
    domain: str
    transport: str
    used_at: int
    version: str = ""
    client: str = ""
    key_demanded: bool = True
    log_level: str | None = None
    stream: Stream | None = None
    subscribed: set[str] = field(default_factory=set)
    running: "dict[str | int, asyncio.Task[object]]" = field(default_factory=dict)
    cancelled: set[str | int] = field(default_factory=set)

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
        for request_id in list(self.running):
            self.cancel(request_id)


Released: TypeAlias = Callable[[Subject, str, list[str]], None]
"""Hears which subscriptions (subject, domain, URIs) have ended, once for each."""


class Sessions:
    """Every session and every open stream of this process. Times are milliseconds since the epoch."""

    def __init__(self, released: Released | None = None) -> None:
        self._sessions: dict[str, Session] = {}
        self._streams: dict[Stream, None] = {}
        self._released = released
        self._finishing = False

    def open(self, subject: Subject, domain: str, transport: str, now: int) -> Session:
        """A new session under an unguessable id (256 random bits); beyond ``PER_SUBJECT`` the idlest ends."""
        own = [session for session in self._sessions.values() if session.subject.name == subject.name]
        if len(own) >= PER_SUBJECT:
            self.end(min(own, key=lambda session: session.used_at))
        session = Session(secrets.token_urlsafe(32), subject, domain, transport, now)
        self._sessions[session.id] = session
        return session

    def find(self, id: str, subject: Subject | None, *, transport: str, now: int, domain: str | None = None) -> Session:
        """The session ``id``; ``Unknown`` (404) alike for one that never was, has ended, or is another's.

        ``subject`` is ``None`` only where the session id itself is the credential, ``domain`` where
        the URL does not name one.
        """
        session = self._sessions.get(id)
        if (
            session is None
            or session.transport != transport
            or (subject is not None and session.subject.name != subject.name)
            or (domain is not None and session.domain != domain)
        ):
            raise Unknown("Invalid or missing session ID", code=-32000, status=404)
        session.used_at = now
        return session

    def end(self, session: Session) -> None:
        if self._sessions.pop(session.id, None) is not None:
            session.end()
            self._release(session.subject, session.domain, session.subscribed)

    def succeeded(self, session: Session, request: Request) -> None:
        """Take note of a request of ``session`` that was answered: what its client follows and wants to hear."""
        uri, level = request.params.get("uri"), request.params.get("level")
        if isinstance(level, str) and request.method == "logging/setLevel":
            session.log_level = level
        elif isinstance(uri, str) and request.method == "resources/subscribe":
            if uri in session.subscribed:
                self._release(session.subject, session.domain, [uri])  # one subscription a session is enough
            session.subscribed.add(uri)
        elif isinstance(uri, str) and request.method == "resources/unsubscribe" and uri in session.subscribed:
            session.subscribed.discard(uri)
            self._release(session.subject, session.domain, [uri])

    def _release(self, subject: Subject, domain: str, uris: Iterable[str]) -> None:
        """Subscriptions are counted behind us, so each that was made is given back once."""
        if (given_back := list(uris)) and self._released is not None:
            self._released(subject, domain, given_back)

    def attach(self, stream: Stream) -> None:
        """Keep an open stream; beyond ``PER_SUBJECT`` the oldest of that subject ends. After ``finish`` none stays."""
        own = [each for each in self._streams if each.subject.name == stream.subject.name]
        if len(own) >= PER_SUBJECT:
            self.detach(own[0])
        self._streams[stream] = None
        if self._finishing:
            stream.close()

    def detach(self, stream: Stream) -> None:
        stream.close()
        if stream in self._streams:
            del self._streams[stream]
            self._release(stream.subject, stream.domain, stream.subscribed)

    def streams(self) -> Iterator[Stream]:
        """The open streams, as they are now."""
        return iter(list(self._streams))

    def end_where(self, invalid: Callable[[Subject], bool]) -> None:
        """End every session and stream of a subject whose credential no longer counts."""
        for session in [each for each in self._sessions.values() if invalid(each.subject)]:
            self.end(session)
        for stream in [each for each in self._streams if invalid(each.subject)]:
            self.detach(stream)

    def expire(self, now: int) -> None:
        """End the sessions that were idle for ``IDLE_MS`` and hold no open stream."""
        for session in [each for each in self._sessions.values() if now - each.used_at > IDLE_MS]:
            if session.stream is None or session.stream not in self._streams:
                self.end(session)

    async def finish(self, within: float = 15.0) -> None:
        """End every stream, those that still owe an answer after it was given or ``within`` seconds."""
        self._finishing = True
        owed = {task for each in self._sessions.values() if each.transport == "sse" for task in each.running.values()}
        owing = {each.stream for each in self._sessions.values() if each.transport == "sse" and each.running}
        for stream in self.streams():
            if stream not in owing:
                self.detach(stream)
        if owed:
            await asyncio.wait(owed, timeout=within)
        for stream in self.streams():
            self.detach(stream)

    async def close(self, within: float = 5.0) -> None:
        """End everything at once, running calls too; returns when these are on record, or after ``within`` seconds.
        What waits in a stream is still delivered.
        """
        running = {task for each in self._sessions.values() for task in each.running.values()}
        self.end_where(lambda _: True)
        if running:
            await asyncio.wait(running, timeout=within)

    def __len__(self) -> int:
        return len(self._sessions)
