"""What the data plane needs of ASGI: one request read, one answer written. Knows no MCP and no policy."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import parse_qsl

from gateway.errors import Malformed, Refusal

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

T = TypeVar("T")

JSON: Final[Header] = (b"content-type", b"application/json")
STREAM: Final[tuple[Header, ...]] = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-accel-buffering", b"no"),
)
CLOSE: Final[Header] = (b"connection", b"close")
PRIVATE: Final[tuple[Header, ...]] = ((b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer"))
"""Of an answer that nobody keeps, and whose URL is told nobody: it may hold a token."""

LEAVE_BYTES: Final = 65_536
LEAVE_S: Final = 1.0
BODY_S: Final = 60.0
"""How long a body may take to arrive; whoever sends slower only wants to hold our memory."""

SOON_S: Final = 0.05
"""What is answered sooner is not watched: whether its client is still there makes no difference."""


class Gone(Exception):
    """The client has closed its connection, or does not read any more; nothing can be told to it."""


class CutOff(Refusal):
    """The client left before its request was whole: for the record only."""

    code, status, kind = -32600, 400, "cut_off"


@dataclass
class Incoming:
    """One HTTP request of the data plane. ``address`` is the client's, after trusted proxies; ``whole`` tells
    whether its body has been read to the end. Its ``path`` may be read by anybody: it holds no token, as ``place``,
    the path that was asked for, may. ``handed``: another worker has taken it in and handed it over.
    """

    method: str
    path: str
    query: bytes = field(repr=False)
    raw_headers: tuple[Header, ...] = field(repr=False)
    address: str
    receive: Receive
    whole: bool = False
    place: str = field(default="", repr=False)
    handed: bool = False

    @cached_property
    def headers(self) -> dict[str, str]:
        """Lower-case names; what came more than once is joined by ``, ``."""
        found: dict[str, str] = {}
        for raw_name, raw_value in self.raw_headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    @property
    def two_lengths(self) -> bool:
        """Whether two readers could disagree on where the body ends (request smuggling, RFC 9112 §6.3)."""
        return "content-length" in self.headers and "transfer-encoding" in self.headers

    def asked(self, name: str) -> list[str]:
        """Every value of a query parameter, in order."""
        try:
            pairs = parse_qsl(self.query.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
        except ValueError:
            raise Malformed("the query has too many fields") from None
        return [value for key, value in pairs if key == name]

    async def body(self, most: int, *, seconds: float = BODY_S) -> bytes:
        """The whole body. ``Malformed`` (413) beyond ``most`` bytes and (408) after ``seconds``, ``CutOff``
        when the client left.
        """
        if (stated := self.headers.get("content-length", "")).isdecimal() and int(stated) > most:
            raise Malformed(f"the body is larger than {most} bytes", status=413)
        try:
            return await within(seconds, self._read(most))
        except TimeoutError:
            raise Malformed(f"the body did not arrive within {seconds:.0f} seconds", status=408) from None

    async def _read(self, most: int) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            event = await self.receive()
            if event["type"] == "http.disconnect":
                raise CutOff("the client left before its request was whole")
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise Malformed(f"the body is larger than {most} bytes", status=413)
            more = event.get("more_body", False)
        self.whole = True
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def leave(self) -> bool:
        """Before an early answer: read what little is left of the body, so that the connection can be used again.
        False when that is not worth while, and the connection should be closed.
        """
        if self.two_lengths:
            return False
        if self.whole:
            return True
        try:
            await self.body(LEAVE_BYTES, seconds=LEAVE_S)
        except Refusal:
            return False
        return True

    async def gone(self) -> None:
        """Returns when the client has closed its connection; call it after the body was read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


async def answer(send: Send, status: int, body: bytes = b"", headers: Iterable[Header] = (JSON,)) -> None:
    """Write one whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def show(app: App, scope: Scope, incoming: Incoming, send: Send) -> None:
    """Let ``app`` answer, but not before the body has come: a server that answers earlier ends the connection
    without a word. Where the body does not come in time, the answer says that the connection ends.
    """
    arrived = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        event = await incoming.receive()
        if not event.get("more_body", False):
            arrived.set()
        return event

    async def begin(event: MutableMapping[str, Any]) -> None:
        if event["type"] == "http.response.start":
            try:
                async with asyncio.timeout(LEAVE_S):
                    await arrived.wait()
            except TimeoutError:
                event = {**event, "headers": [*event["headers"], CLOSE]}
        await send(event)

    await app(scope, receive, begin)


async def within(seconds: float, work: Awaitable[T]) -> T:
    """What ``work`` gives, which is nearly always there at once: only where it waits a clock is set. Raises
    ``TimeoutError``.
    """
    begun = work.__await__()
    try:
        waits_for = begun.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    async with asyncio.timeout(seconds):
        return await _Rest(begun, waits_for)


class _Rest(Generic[T]):
    """What is left of an awaitable that was begun and waits for something."""

    def __init__(self, begun: Generator[Any, Any, T], waits_for: Any) -> None:
        self._begun, self._waits_for = begun, waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    came = yield waits_for
                except BaseException as error:  # noqa: BLE001 (it goes where it would have been raised)
                    waits_for = self._begun.throw(error)
                else:
                    waits_for = self._begun.send(came)
        except StopIteration as done:
            value: T = done.value
            return value


class Watch:
    """Cancels the task that makes it when ``gone`` returns, until ``end``. Of quick work nobody is asked."""

    def __init__(self, gone: Callable[[], Awaitable[None]]) -> None:
        self._gone, self._work = gone, asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(SOON_S, self._begin)

    async def end(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            await end_tasks(self._watching)

    def _begin(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        await self._gone()
        if self._work is not None:
            self._work.cancel()


async def end_tasks(*tasks: "asyncio.Future[None] | None") -> None:
    """Cancel tasks of ours and wait until they are done."""
    if not (living := [task for task in tasks if task is not None]):
        return
    for task in living:
        task.cancel()
    await asyncio.gather(*living, return_exceptions=True)
