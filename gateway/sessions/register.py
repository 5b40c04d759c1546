"""Every session and every open stream of this process."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias, TypeVar

from gateway.errors import Unknown
from gateway.mcp.terms import Request
from gateway.policy.terms import MAIN, Subject
from gateway.sessions.session import Session
from gateway.sessions.streams import Stream

IDLE_MS: Final = 60 * 60 * 1000
AWAY_MS: Final = 5 * 60 * 1000
"""How long a session waits for its client to take up a stream again that broke off."""

PER_SUBJECT: Final = 64
"""Sessions, and open streams, that one subject may have."""

PER_SERVER: Final = 4096
"""The same of all end users of one server together: whoever signs for it makes as many of them as he likes."""


H = TypeVar("H", Session, Stream)

Released: TypeAlias = Callable[[Subject, str, list[str]], None]
"""Hears which subscriptions (subject, domain, URIs) have ended, once for each."""


def unguessable() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


class Sessions:
    """Every session and every open stream of this process. Times are milliseconds since the epoch."""

    def __init__(self, released: Released | None = None, *, mint: Callable[[], str] = unguessable) -> None:
        """``mint`` makes ids."""
        self._mint = mint
        self._sessions: dict[str, Session] = {}
        self._streams: dict[Stream, None] = {}
        self._released = released
        self._finishing = False

    def open(self, subject: Subject, domain: str, transport: str, now: int) -> Session:
        """A new session under an unguessable id; beyond ``PER_SUBJECT`` the idlest of that subject
        ends, beyond ``PER_SERVER`` the idlest of the end users of his server.
        """
        for own in _crowded(subject, self._sessions.values()):
            self.end(min(own, key=lambda session: session.used_at))
        session = Session(self._mint(), subject, domain, transport, now)
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
        if subject is not None and _renews(subject, session.subject):
            session.subject = subject
        session.used_at = now
        return session

    def holds(self, id: str) -> bool:
        """Whether there is a session ``id``, whoever's it is."""
        return id in self._sessions

    def domain_of(self, id: str) -> str:
        """On which server the session ``id`` is; ``main`` where there is none."""
        session = self._sessions.get(id)
        return MAIN if session is None else session.domain

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

    def followers(self) -> Iterator[Session]:
        """The sessions that have subscriptions, as they are now."""
        return iter([session for session in self._sessions.values() if session.subscribed])

    def unfollow(self, follower: Session | Stream, uris: AbstractSet[str]) -> None:
        """End the subscriptions of a session, or of a stream that has its own, to ``uris``."""
        ended = [uri for uri in follower.subscribed if uri in uris]
        if isinstance(follower, Session):
            follower.subscribed.difference_update(ended)
        else:
            follower.subscribed = frozenset(follower.subscribed).difference(ended)
        self._release(follower.subject, follower.domain, ended)

    def _release(self, subject: Subject, domain: str, uris: Iterable[str]) -> None:
        """Subscriptions are counted behind us, so each that was made is given back once."""
        if (given_back := list(uris)) and self._released is not None:
            self._released(subject, domain, given_back)

    def attach(self, stream: Stream) -> None:
        """Keep an open stream; beyond ``PER_SUBJECT`` one of that subject ends, beyond ``PER_SERVER`` one of the end
        users of his server: the oldest whose client has left, or else the oldest. After ``finish`` none stays.
        """
        for own in _crowded(stream.subject, self._streams):
            self.detach(next((each for each in own if not each.connected), own[0]))
        self._streams[stream] = None
        if self._finishing:
            stream.close()

    def detach(self, stream: Stream) -> None:
        stream.close()
        if stream in self._streams:
            del self._streams[stream]
            self._release(stream.subject, stream.domain, stream.subscribed)

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def streams(self) -> Iterator[Stream]:
        """The open streams, as they are now."""
        return iter(list(self._streams))

    def end_where(
        self,
        invalid: Callable[[Subject, str], bool],
        *,
        spared: "Callable[[asyncio.Task[object]], bool]" = lambda _: False,
    ) -> None:
        """End every session and stream of a subject whose credential no longer counts on its server (``invalid`` is
        asked about both). A session in which a task runs that is ``spared`` still hears the end of it; it is to be
        looked at again.
        """
        kept: set[Stream | None] = set()
        for session in [each for each in self._sessions.values() if invalid(each.subject, each.domain)]:
            if session.stop(spared):
                kept.add(session.stream)
            else:
                self.end(session)
        for stream in [each for each in self._streams if each not in kept and invalid(each.subject, each.domain)]:
            self.detach(stream)

    def expire(self, now: int) -> None:
        """End the sessions that were idle for ``IDLE_MS``; those whose client was away for ``AWAY_MS`` let go of what
        they kept for its return. Who holds a connection open, or waits for an answer, is not idle.
        """
        for session in [each for each in self._sessions.values() if now - each.used_at > AWAY_MS]:
            if session.busy:
                continue
            if now - session.used_at > IDLE_MS:
                self.end(session)
                continue
            if session.stream is not None:
                self.detach(session.stream)
            session.memory.forget_ended()

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
        self.end_where(lambda *_: True)
        if running:
            await asyncio.wait(running, timeout=within)

    def __len__(self) -> int:
        return len(self._sessions)


def _crowded(subject: Subject, among: Iterable[H]) -> Iterator[list[H]]:
    """What ``subject``, or all end users of his server, hold ``among`` others, where that is all they may."""
    held = list(among)
    own = [each for each in held if each.subject.name == subject.name]
    if len(own) >= PER_SUBJECT:
        yield own
    elif subject.name.startswith("end:") and len(held) >= PER_SERVER:
        server = f"{subject.name.partition('/')[0]}/"
        theirs = [each for each in held if each.subject.name.startswith(server)]
        if len(theirs) >= PER_SERVER:
            yield theirs


def _renews(subject: Subject, former: Subject) -> bool:
    """Whether ``subject`` is proven by a newer token than ``former``, of the same issuer and beside the same key."""
    if subject.expires_at is None or former.expires_at is None or subject.expires_at <= former.expires_at:
        return False
    return (subject.credential, subject.rests_on) == (former.credential, former.rests_on)
