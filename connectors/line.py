"""One line to an upstream, for one principal or shared by all: opened when needed, opened again after a crash.

It knows when to open, how long to wait before the next try, when to stop; it must not know what is
listed or who may ask.
"""

import asyncio
import contextlib
import logging
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors.asking import METHOD_NOT_FOUND
from connectors.base import NOTHING_ASKED, QUIET, Caller, Catalogue, Event, UpstreamError, UpstreamSpec
from connectors.conversation import Conversation
from connectors.handshake import ProbeKilled, shake_hands
from connectors.listening import listen, offers
from connectors.listing import read_catalogue
from connectors.once import Once
from connectors.outcomes import Unheard
from connectors.shelf import Shelf
from connectors.transport import NO_TEXTS, HttpAnswer, Transport, TransportLost
from gateway.errors import UpstreamFailed
from gateway.mcp.repeating import Places, places, repeated
from gateway.mcp.terms import Era, Kind, Notification, Params
from gateway.policy.terms import Json

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

MAX_SUBSCRIBED = 1_000
"""Resources that one line may have subscriptions for."""

_LIST_CHANGED = frozenset(
    {
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
    }
)


@dataclass(frozen=True, slots=True)
class Pace:
    """The seconds between tries: from ``first``, doubled each time, to ``most``; a session that lived for
    ``stable`` starts from the beginning. ``jitter`` gives the share, 0 to 1, of half a wait.
    """

    first: float = 0.5
    most: float = 60.0
    stable: float = 30.0
    retry: float = 5.0
    jitter: Callable[[], float] = random.random

    def wait(self, failures: int) -> float:
        most = min(self.most, self.first * 2.0 ** min(failures - 1, 30))
        return most * (0.5 + 0.5 * self.jitter())


@dataclass(slots=True)
class Eras:
    """What is known of one upstream's era, by all its lines."""

    known: Era | None
    pinned: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What all lines of one upstream have in common. ``room`` makes room for one more before it is opened;
    ``tell`` hears of changes: the line's principal, what changed, and the resource.
    """

    spec: UpstreamSpec
    client: Params
    transport: Callable[[str], Transport]
    eras: Eras
    pace: Pace
    room: Callable[["Line"], Awaitable[None]]
    tell: Callable[[str, Event, str], None]


class Line:
    """``principal`` is ``""`` for a line that all share. ``placed`` says that it has a session or may open one:
    it is set by who makes room, and given back with the session. A legacy server is told that callers can be
    asked for what ``declares`` says. ``kept`` is what to show until its own session was listed.
    """

    def __init__(
        self, principal: str, frame: Frame, declares: Params = NOTHING_ASKED, kept: Catalogue | None = None
    ) -> None:
        self.principal = principal
        self.declares = declares
        self.placed = False
        self.used = asyncio.get_running_loop().time()
        self._frame = frame
        self._spec = frame.spec
        self._talk: Conversation | None = None
        self._opened_at = math.inf  # as long as no session was opened since the last failure
        self._opening = Once(self._open, cancelled=f"upstream `{self._spec.id}` is being closed")
        self._calls = 0
        self._failures = 0
        self._retry_at = 0.0
        self._return_timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._listening: asyncio.Task[None] | None = None
        self._subscribed: Counter[str] = Counter()
        self._ending: set[asyncio.Task[None]] = set()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._places: dict[str, Places] = {}
        self._placed_in: Catalogue | None = None
        self._shelf = Shelf(
            lambda old: self._run(lambda talk: read_catalogue(talk, self._spec, old)),
            name=self._spec.id,
            tell=lambda event: frame.tell(principal, event, ""),
            retry=None if principal else frame.pace.retry,
            kept=kept,
        )

    @property
    def idle(self) -> bool:
        return self._calls == 0 and not self._opening.running and not self._shelf.reading

    @property
    def asleep(self) -> bool:
        """Nobody calls, nobody has subscribed and there is no session: nothing is lost with it but the catalogue."""
        return self.idle and not self.placed and not self._subscribed

    @property
    def kept(self) -> Catalogue | None:
        """The catalogue, as far as it is remembered."""
        return self._shelf.kept

    def has_subscribed(self, uri: Json) -> bool:
        return isinstance(uri, str) and self._subscribed[uri] > 0

    async def catalogue(self) -> Catalogue:
        """Raises ``UpstreamFailed``."""
        return await self._shelf.get()

    async def open(self) -> Conversation:
        """The session, opened if need be. Raises ``UpstreamFailed``."""
        if self._closed:
            raise UpstreamFailed(f"upstream `{self._spec.id}` is being closed")
        if self._talk is not None:
            return self._talk
        wait = self._retry_at - asyncio.get_running_loop().time()
        if wait > 0 and not self._opening.running:
            raise UpstreamFailed(
                f"upstream `{self._spec.id}` has failed; it will be tried again in {wait:.1f} seconds",
                data={"retryAfter": round(wait, 1)},
            )
        return await self._opening()

    async def request(self, method: str, params: Params, caller: Caller) -> Params:
        """The result. Raises ``UpstreamError``, ``UpstreamFailed``."""
        self._shelf.freshen()
        if method == "resources/subscribe":
            return await self._subscribe(method, params, caller)
        if method == "resources/unsubscribe":
            return await self._unsubscribe(method, params, caller)
        texts = self._repeated(params) if method == "tools/call" else NO_TEXTS
        return await self._run(lambda talk: talk.request(method, params, caller, repeated=texts))

    def _repeated(self, params: Params) -> Mapping[str, str]:
        """What HTTP headers repeat of a call's arguments, as far as the tool is known here."""
        kept = self._shelf.kept
        if kept is not self._placed_in:
            tools = kept.items.get(Kind.TOOL, ()) if kept is not None else ()
            found = {item.name: places(item.definition.get("inputSchema")) for item in tools}
            self._places = {name: where for name, where in found.items() if where}
            self._placed_in = kept
        where = self._places.get(str(params.get("name")))
        return repeated(where, params.get("arguments")) if where else NO_TEXTS

    async def stop(self, *, at_once: bool = True) -> None:
        """End the session, if there is one; the next use opens another."""
        if self._talk is not None:
            self._end(self._talk.close if at_once else self._talk.retire)
        if self._ending:
            await asyncio.wait(self._ending)

    async def close(self, *, at_once: bool = True) -> None:
        """End everything for good; whoever waits gets ``UpstreamFailed``, or if not ``at_once``, in bounded time, the
        answer.
        """
        self._closed = True
        if self._return_timer is not None:
            self._return_timer.cancel()
        await self._shelf.close()
        await self._opening.cancel()
        await self.stop(at_once=at_once)

    async def _run(self, work: Callable[[Conversation], Awaitable[T]]) -> T:
        """``work`` on the session; once more on a new one when the server cannot have acted on it."""
        self._calls += 1
        try:
            talk = await self.open()
            try:
                return await work(talk)
            except Unheard:
                if self._spec.transport == "stdio":
                    raise  # the child is gone: that counts as a crash, and is about to be told
                self._forget(talk)
                return await work(await self.open())
        finally:
            self._calls -= 1
            self.used = asyncio.get_running_loop().time()

    async def _open(self) -> Conversation:
        await self._frame.room(self)
        try:
            async with asyncio.timeout(self._spec.start_timeout):
                talk = await self._begin()
            if talk.over:
                raise UpstreamFailed(f"upstream `{self._spec.id}` broke off the handshake")
            self._talk = talk
        except TimeoutError:
            self._failed()
            raise UpstreamFailed(f"upstream `{self._spec.id}` did not start in time") from None
        except UpstreamFailed as failure:
            self._failed()
            _LOG.warning("upstream `%s` cannot be opened: %s (%s)", self._spec.id, failure.text, failure.detail)
            raise
        finally:
            self.placed = self._talk is not None
        self._opened_at = self.used = asyncio.get_running_loop().time()
        if talk.terms is not None:
            _LOG.info("upstream `%s` speaks %s", self._spec.id, talk.terms.version)
        self._listen(talk)
        self._watch_idle(self._spec.idle_after)
        self._shelf.reopened()
        return talk

    async def _begin(self) -> Conversation:
        try:
            return await self._try(self._frame.eras.known)
        except ProbeKilled:
            return await self._try(Era.LEGACY)

    async def _try(self, known: Era | None) -> Conversation:
        """One conversation through its handshake; what was subscribed before is subscribed again."""
        spec, eras = self._spec, self._frame.eras
        talk = Conversation(
            self._frame.transport(self.principal),
            name=spec.id,
            client=self._frame.client,
            timeout=spec.timeout,
            http=spec.transport == "http",
            exclusive=bool(self.principal),
            told=self._told,
            ended=lambda why: self._crashed(talk, why),
            declares=self.declares,
        )
        try:
            await talk.start()
            terms = await shake_hands(
                talk, known=known, pinned=eras.pinned, probe=spec.start_timeout / 4, patience=spec.start_timeout
            )
            eras.known = terms.era
            if terms.era is Era.LEGACY:
                await asyncio.gather(*(_subscribe_again(talk, uri) for uri in self._subscribed))
        except (TransportLost, HttpAnswer) as lost:
            self._dispose(talk.close())
            raise UpstreamFailed(f"upstream `{spec.id}` cannot be reached", detail=str(lost)) from lost
        except BaseException:
            self._dispose(talk.close())
            raise
        return talk

    def _told(self, notification: Notification) -> None:
        if notification.method in _LIST_CHANGED:
            self._shelf.refresh()
        elif notification.method == "notifications/resources/updated":
            uri = notification.params.get("uri")
            if isinstance(uri, str):
                self._frame.tell(self.principal, Event.UPDATED, uri)

    def _listen(self, talk: Conversation) -> None:
        if self._listening is not None:
            self._listening.cancel()
        uris = frozenset(self._subscribed)
        self._listening = asyncio.get_running_loop().create_task(listen(talk, uris, self._shelf.refresh))

    async def _subscribe(self, method: str, params: Params, caller: Caller) -> Params:
        """One subscription of ours stands for all that share the line; they are counted."""
        uri = str(params.get("uri"))
        first = not self._subscribed[uri]
        if first and len(self._subscribed) >= MAX_SUBSCRIBED:
            raise UpstreamFailed(f"upstream `{self._spec.id}` has too many subscriptions; end one first")
        if first:
            await self._run(lambda talk: _in_legacy(talk, method, params, caller))
        self._subscribed[uri] += 1
        self._heed(changed=first)
        return {}

    async def _unsubscribe(self, method: str, params: Params, caller: Caller) -> Params:
        uri = str(params.get("uri"))
        last = self._subscribed[uri] == 1
        self._subscribed[uri] -= 1
        self._subscribed = +self._subscribed
        self._heed(changed=last)
        if last and self._talk is not None:
            await self._run(lambda talk: _in_legacy(talk, method, params, caller))
        return {}

    def _heed(self, *, changed: bool) -> None:
        if changed and self._talk is not None and self._frame.eras.known is Era.MODERN:
            self._listen(self._talk)

    def _crashed(self, talk: Conversation, why: str) -> None:
        if self._talk is not talk:
            return
        _LOG.warning("upstream `%s` is lost: %s", self._spec.id, why)
        self._failed()
        self._end(talk.close)

    def _failed(self) -> None:
        loop = asyncio.get_running_loop()
        stable = loop.time() - self._opened_at >= self._frame.pace.stable
        self._failures = 1 if stable else self._failures + 1
        self._opened_at = math.inf
        self._retry_at = loop.time() + self._frame.pace.wait(self._failures)
        if self._return_timer is not None:
            self._return_timer.cancel()
        self._return_timer = loop.call_at(self._retry_at, self._return)

    def _return(self) -> None:
        """Who has subscribed waits for news without ever calling."""
        if self._subscribed and self._talk is None and not self._closed:
            self._opening.start()

    def _forget(self, talk: Conversation) -> None:
        """The server does not know this session any more; what still waits on it may end by itself."""
        if self._talk is talk and not talk.over:
            self._end(talk.retire)

    def _end(self, ending: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._talk = None
        self.placed = False
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._dispose(ending())

    def _dispose(self, ending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _watch_idle(self, seconds: float) -> None:
        """A line of one principal is stopped when it was not used for ``idle_after``; a shared one stays."""
        if self.principal:
            self._idle_timer = asyncio.get_running_loop().call_later(seconds, self._stop_if_idle)

    def _stop_if_idle(self) -> None:
        left = self.used + self._spec.idle_after - asyncio.get_running_loop().time()
        if self._calls or self._subscribed or left > 0:
            self._watch_idle(max(left, self._spec.idle_after / 4))
        elif self._talk is not None:
            self._end(self._talk.close)


async def _subscribe_again(talk: Conversation, uri: str) -> None:
    with contextlib.suppress(UpstreamError):  # what is no longer there cannot change
        await talk.request("resources/subscribe", {"uri": uri}, QUIET)


async def _in_legacy(talk: Conversation, method: str, params: Params, caller: Caller) -> Params:
    """The modern era has no such request: there, the stream of events says what is wanted."""
    if talk.terms is not None and talk.terms.era is Era.MODERN:
        if offers(talk.terms.capabilities, "resources", "subscribe"):
            return {}
        raise UpstreamError(METHOD_NOT_FOUND, "the server offers no subscriptions")
    return await talk.request(method, params, caller)
