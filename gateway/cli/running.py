"""One ASGI application on one socket, from its start to its graceful end. Knows no settings and no command."""

import asyncio
import logging
import resource
import signal
import socket
from typing import Final, Protocol, cast

from hypercorn.asyncio import serve as serve_asgi
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from gateway.web.asgi import App

GRACE_S: Final = 20.0
"""How long calls in flight may take to finish once we are told to stop."""

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


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ``localhost`` is this machine alone, whatever names resolve to. Raises ``OSError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1" if host == "localhost" else host, port))
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


async def run(gateway: Served, listening: socket.socket, *, said: str) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT. Then nothing new is accepted, streams end, calls in
    flight finish (for at most ``GRACE_S``), and everything behind us is closed. A second signal ends at once.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, _first_signal, loop, told)
    try:
        await gateway.start()
        serving = asyncio.create_task(
            serve_asgi(cast("ASGIFramework", gateway.asgi), _hypercorn(listening), shutdown_trigger=told.wait)
        )
        stopping = asyncio.create_task(told.wait())
        log.info(said)
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
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
