"""What a parent hands to its workers: sockets, a node, a folder, and two pipes that say who lives."""

import asyncio
import json
import os
import secrets
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from gateway.cli.crew import Crew
from gateway.cli.output import Failure
from gateway.cli.running import listen
from gateway.settings import Settings
from gateway.workers.places import Post

ORDERS: Final = "OSTIARY_WORKER"
"""The variable that makes ``serve`` one of several workers; it is set by their parent alone."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What one worker is told; numbers are of open files, -1 for none. ``ready`` is written to when it listens,
    ``parent`` ends when its parent does.
    """

    node: str
    index: int
    folder: str
    address: str
    listening: int
    afar: int
    ready: int
    parent: int

    @classmethod
    def read(cls, text: str) -> "Orders":
        return cls(**json.loads(text))

    def post(self) -> Post:
        afar = None if self.afar < 0 else socket.socket(fileno=self.afar)
        return Post.of(self.node, self.index, Path(self.folder), afar=afar, address=self.address)

    def tell_ready(self) -> None:
        os.write(self.ready, b"1")
        os.close(self.ready)


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its private folder, and the sockets that its workers take over."""

    settings: Settings
    config: Path
    environ: Mapping[str, str]
    id: str
    folder: Path
    listening: Sequence[socket.socket]
    afar: socket.socket | None
    parent: int

    async def start(self, index: int) -> tuple[Process, Awaitable[bool]]:
        """A new worker for the socket at ``index``, and whether it came to listen."""
        ready, told = os.pipe()
        afar = -1 if self.afar is None else self.afar.fileno()
        orders = Orders(
            self.id,
            index,
            str(self.folder),
            self.settings.node.address,
            self.listening[index].fileno(),
            afar,
            told,
            self.parent,
        )
        words = ("-m", "gateway.cli", "--config", str(self.config), "serve")
        environ = {**self.environ, ORDERS: json.dumps(asdict(orders))}
        passed = [fd for fd in (orders.listening, afar, told, self.parent) if fd >= 0]
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *words, stdin=DEVNULL, env=environ, pass_fds=passed, start_new_session=True
            )
        finally:
            os.close(told)
        return process, asyncio.to_thread(_said, ready)

    async def serve(self, count: int) -> None:
        await Crew(self.start, count).run()


def node_of(settings: Settings, config: Path, environ: Mapping[str, str], count: int, opened: ExitStack) -> Node:
    """A node of ``count`` workers; what it opens is closed with ``opened``."""
    listening = listen_often(settings, count, opened)
    afar = listen_afar(settings, opened)
    parent, kept = os.pipe()
    opened.callback(os.close, kept)
    opened.callback(os.close, parent)
    folder = Path(opened.enter_context(TemporaryDirectory(prefix="ostiary-")))
    return Node(settings, config, environ, new_node(), folder, listening, afar, parent)


def new_node() -> str:
    return secrets.token_hex(4)


def listen_often(settings: Settings, count: int, opened: ExitStack) -> list[socket.socket]:
    """``count`` sockets on one port, among which the kernel divides connections; never one that somebody else has."""
    try:
        with listen(settings.host, settings.port):
            pass  # without sharing, so that it fails where anybody listens already
        found = [listen(settings.host, settings.port, shared=True) for _ in range(count)]
    except OSError as error:
        raise Failure(f"cannot listen on {settings.bind}: {(error.strerror or str(error)).lower()}") from None
    for each in found:
        opened.callback(each.close)
    return found


def listen_afar(settings: Settings, opened: ExitStack) -> socket.socket | None:
    """What other nodes reach, where that is set."""
    if not settings.node.bind:
        return None
    host, _, port = settings.node.bind.rpartition(":")
    try:
        return opened.enter_context(listen(host.strip("[]"), int(port)))
    except OSError as error:
        told = (error.strerror or str(error)).lower()
        raise Failure(f"cannot listen on {settings.node.bind}, the internal address: {told}") from None


def _said(ready: int) -> bool:
    """Whether a worker says that it listens; it says nothing any more when it has ended."""
    try:
        return os.read(ready, 1) == b"1"
    finally:
        os.close(ready)
