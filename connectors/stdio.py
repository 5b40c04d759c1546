"""The stdio transport: one child process, newline-delimited JSON-RPC on its standard streams.

Commands come from operator files only and never pass a shell. This file knows processes and lines;
it must not know what a message means. A child that outlives the gateway reads end-of-file on its
standard input, which is how MCP servers are told to end.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from connectors.base import Secret
from connectors.transport import NO_TEXTS, Lost, Receive, TransportLost
from gateway.errors import Malformed
from gateway.mcp.jsonrpc import PARSE_ERROR, encode, parse
from gateway.mcp.terms import Message, Response

_LOG = logging.getLogger(__name__)

MAX_LINE: Final = 16 * 1024 * 1024
"""Bytes of one message; a longer line ends the child."""

INHERITED: Final = ("PATH", "HOME", "LANG")
"""The variables that a child gets from the gateway's own environment; no other leaks into it."""

STDERR_LINES: Final = 50
STDERR_WIDTH: Final = 2_000

REAP_TIMEOUT: Final = 10.0
"""Seconds that a killed process may take to be gone; longer only while the kernel itself holds it."""

_STDIN, _STDOUT = 0, 1


class StdioTransport:
    """A child process as ``Transport``. ``grace`` is the seconds allowed for each step of ending it."""

    def __init__(
        self,
        command: tuple[str, ...],
        *,
        env: Mapping[str, Secret],
        cwd: str = "",
        environ: Mapping[str, str] = os.environ,
        max_line: int = MAX_LINE,
        grace: float = 2.0,
    ) -> None:
        self._command = command
        self._inherited = {name: environ[name] for name in INHERITED if name in environ}
        self._env = env
        self._cwd = cwd or None
        self._max_line = max_line
        self._grace = grace
        self._process: asyncio.SubprocessTransport | None = None
        self._child: _Child | None = None
        self._life: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def pid(self) -> int | None:
        """The child's process id, also after its end; ``None`` before it was started."""
        return self._process.get_pid() if self._process else None

    @property
    def stderr(self) -> tuple[str, ...]:
        """The last lines that the child wrote to standard error: for the operator's log only."""
        return tuple(self._child.stderr) if self._child else ()

    async def start(self, receive: Receive, lost: Lost) -> None:
        """Start the child as leader of its own process group. Raises ``TransportLost``."""
        environ = self._inherited | {name: secret.reveal() for name, secret in self._env.items()}
        try:
            self._process, self._child = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Child(max_line=self._max_line, said=lambda line: self._hand_on(line, receive)),
                *self._command,
                env=environ,
                cwd=self._cwd,
                start_new_session=True,
            )
        except (OSError, ValueError) as fault:
            raise TransportLost(f"`{self._command[0]}` cannot be started: {fault}", sent=False) from fault
        self._life = asyncio.create_task(self._live(self._process, self._child, lost))

    async def send(
        self,
        message: Message,
        *,
        version: str | None = None,
        modern: bool = False,
        name: str = "",
        repeated: Mapping[str, str] = NO_TEXTS,
    ) -> None:
        """Write one line, once the child has read enough of those before it. Raises ``TransportLost``."""
        del version, modern, name, repeated  # the words of HTTP headers; the line says it all
        while self._child is not None and not self._child.writable.is_set():
            await self._child.writable.wait()
        if self._process is None or self._child is None or self._child.ending.is_set():
            raise TransportLost("the child process has ended", sent=False)
        pipe = self._process.get_pipe_transport(_STDIN)
        if not isinstance(pipe, asyncio.WriteTransport) or pipe.is_closing():
            raise TransportLost("the child process has closed its standard input", sent=False)
        pipe.write(encode(message) + b"\n")

    async def listen(self) -> None:
        """Nothing to do: a child speaks unasked on the same stream."""

    async def close(self) -> None:
        """End the child: end of its input, SIGTERM, SIGKILL to the whole group; it is always reaped."""
        self._closing = True
        if self._child is not None and self._life is not None:
            self._child.end()
            await asyncio.shield(self._life)

    async def _live(self, process: asyncio.SubprocessTransport, child: "_Child", lost: Lost) -> None:
        """Wait for whatever ends the child, then see that nothing of it is left."""
        await child.ending.wait()
        await self._end(process, child)
        if self._closing:
            lost(None)
            return
        _LOG.debug("child %s said last: %s", process.get_pid(), " | ".join(child.stderr))
        text = child.fault or f"the child process ended with status {process.get_returncode()}"
        lost(TransportLost(text, sent=True))

    async def _end(self, process: asyncio.SubprocessTransport, child: "_Child") -> None:
        if not child.fault:
            if (pipe := process.get_pipe_transport(_STDIN)) is not None:
                pipe.close()
            if not await _within(child.exited, self._grace):
                _signal_group(process, signal.SIGTERM)
                await _within(child.exited, self._grace)
            await _within(child.silent, self._grace / 4)  # what it wrote before it ended still counts
        _signal_group(process, signal.SIGKILL)  # also what the child itself started and left behind
        await _within(child.exited, REAP_TIMEOUT)
        process.close()

    def _hand_on(self, line: bytes, receive: Receive) -> None:
        """A line that is no message is logged; when it names a request, that request fails at once."""
        try:
            parsed = parse(line)
        except Malformed as fault:
            _LOG.warning("child %s wrote a line that is no message: %s", self.pid, fault.text)
            if fault.request_id is not None:
                receive(Response(fault.request_id, error={"code": PARSE_ERROR, "message": "malformed answer"}))
            return
        for message in parsed if isinstance(parsed, list) else (parsed,):
            receive(message)


class _Child(asyncio.SubprocessProtocol):
    """The events of one process: its lines, its last words on standard error, its end."""

    def __init__(self, *, max_line: int, said: Callable[[bytes], None]) -> None:
        self._max_line = max_line
        self._said = said
        self._rest = {1: bytearray(), 2: bytearray()}
        self.fault = ""
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self.ending, self.exited, self.silent, self.writable = (asyncio.Event() for _ in range(4))
        self.writable.set()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        rest = self._rest[fd]
        rest += data
        if b"\n" in data:
            *lines, last = bytes(rest).split(b"\n")
            rest[:] = last
            for line in lines:
                self._take(fd, line)
        if fd != _STDOUT:
            del rest[STDERR_WIDTH:]
        elif len(rest) > self._max_line:
            self._overlong()

    def _take(self, fd: int, line: bytes) -> None:
        if fd != _STDOUT:
            self.stderr.append(line[:STDERR_WIDTH].decode(errors="replace"))
            _LOG.debug("standard error of a child: %s", self.stderr[-1])
        elif len(line) > self._max_line:
            self._overlong()
        elif line.strip() and not self.fault:
            self._said(line)

    def _overlong(self) -> None:
        self.fault = f"the child process wrote a line longer than {self._max_line} bytes"
        self._rest[_STDOUT].clear()
        self.end()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        del exc
        if fd == _STDOUT:
            self.silent.set()
        if fd in (_STDIN, _STDOUT):
            self.end()

    def process_exited(self) -> None:
        self.exited.set()
        self.end()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def end(self) -> None:
        """Nothing more will be sent; whoever waits to write is let go."""
        self.ending.set()
        self.writable.set()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


def _signal_group(process: asyncio.SubprocessTransport, number: signal.Signals) -> None:
    """The child leads its group, so the group's id is its process id, for as long as a member lives."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.get_pid(), number)
