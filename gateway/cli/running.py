"""One ASGI application on one socket, from its start to its graceful end. Knows no settings and no command."""

import asyncio
import logging
import resource
import signal
import socket
from collections.abc import Callable, MutableMapping
from typing import Any, Final, Protocol, cast

from hypercorn.asyncio import serve as serve_asgi
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from gateway.web.asgi import CLOSE, App, Receive, Scope, Send

GRACE_S: Final = 20.0
"""How long calls in flight may take to finish once we are told to stop."""

LINGER_S: Final = 1.0
"""How long whoever has connected may take to say what he wants, when we go and another takes our place."""

KEEP_ALIVE_S: Final = 75.0
BACKLOG: Final = 1024

log = logging.getLogger(__name__)


class Served(Protocol):
    """What is run here: ``Gateway``, or its twin in tests."""

    @property
    def asgi(self) -> App: ...

    async def start(self) -> None: ...

    async def end_streams(self) -> None: ...

    async def stop(self) -> None: ...


def allow_many_files() -> None:
    """Raise this process's limit of open files to what the system lets it have: each stream is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def leave_no_core() -> None:
    """A crash of this process, or of a child, writes no memory to the disk: credentials may stand in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket; ``localhost`` is this machine alone, whatever names resolve to. ``shared``: others that are
    as well may listen there too, and the kernel divides connections among them. Raises ``OSError``.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind(("127.0.0.1" if host == "localhost" else host, port))
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


class Leaving:
    """How one of several workers goes without a failed call: it stops accepting, and answers what it has accepted,
    each with the word that the connection ends; only then are connections closed. ``ready`` is called when it serves,
    ``parent`` is an open file that ends with whoever started it.
    """

    def __init__(self, ready: Callable[[], None], parent: int) -> None:
        self._ready, self._parent = ready, parent
        self._going = False

    def begin(self, told: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._parent, told.set)
        loop.call_soon(self._ready)

    async def linger(self, listening: int) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._parent)
        loop.remove_reader(listening)
        self._going = True
        await asyncio.sleep(LINGER_S)

    def watched(self, app: App) -> App:
        """``app``, which tells clients that their connection ends once we go."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, self._telling(send) if scope["type"] == "http" else send)

        return serve

    def _telling(self, send: Send) -> Send:
        async def tell(event: MutableMapping[str, Any]) -> None:
            if self._going and event["type"] == "http.response.start":
                event = {**event, "headers": [*event["headers"], CLOSE]}
            await send(event)

        return tell


async def run(gateway: Served, listening: socket.socket, *, said: str, leaving: Leaving | None = None) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT. Then nothing new is accepted, streams end, calls in
    flight finish (for at most ``GRACE_S``), and everything behind us is closed. A second signal ends at once.
    ``leaving`` is how one of several goes, whose place is taken by another.
    """
    told, over = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, _first_signal, loop, told)
    try:
        await gateway.start()
        app = gateway.asgi if leaving is None else leaving.watched(gateway.asgi)
        fd = listening.fileno()
        serving = asyncio.create_task(
            serve_asgi(cast("ASGIFramework", app), _hypercorn(listening), shutdown_trigger=over.wait)
        )
        stopping = asyncio.create_task(told.wait())
        log.info(said)
        if leaving is not None:
            leaving.begin(told)
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if leaving is not None:
            await leaving.linger(fd)
        over.set()
        await gateway.end_streams()
        await asyncio.wait({serving}, timeout=GRACE_S + 1)
        await _ended(serving)
    finally:
        await gateway.stop()


async def _ended(serving: "asyncio.Task[None]") -> None:
    """Cut off what did not finish in time; raise what made serving fail."""
    serving.cancel()
    await asyncio.wait({serving})
    if not serving.cancelled():
        serving.result()


def _first_signal(loop: asyncio.AbstractEventLoop, told: asyncio.Event) -> None:
    told.set()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(each)


def _hypercorn(listening: socket.socket) -> Config:
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]
    config.graceful_timeout = GRACE_S
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.include_server_header = False
    config.loglevel = "WARNING"
    config.backlog = BACKLOG
    return config
