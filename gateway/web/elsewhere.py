"""Requests that are for another worker, because it holds the session, the task or the parked call that they name."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gateway.mcp.terms import Message, Request
from gateway.web.asgi import Incoming, Send
from gateway.workers.envelopes import Handed

_OURS: Final = (b"x-forwarded-for", b"transfer-encoding", b"connection")
"""Headers that said something of the way to us alone."""


class Others(Protocol):
    """The workers beside this one; a name is ``""`` where none of them is meant."""

    def holder(self, id: str) -> str:
        """Which of them holds the session or task ``id``."""

    def keeper_of(self, state: str) -> str:
        """Which of them waits for a ``requestState``."""

    async def pass_on(self, name: str, handed: Handed, send: Send, gone: Callable[[], Awaitable[None]]) -> bool:
        """Let that one answer; False where it is dead. Raises ``Unavailable``."""


class Alone:
    """There are no others."""

    def holder(self, _id: str) -> str:
        return ""

    def keeper_of(self, _state: str) -> str:
        return ""

    async def pass_on(self, _name: str, _handed: Handed, _send: Send, _gone: Callable[[], Awaitable[None]]) -> bool:
        return False


ALONE: Final[Others] = Alone()


def keeper_of(message: Message | list[Message], others: Others) -> str:
    """Which other worker holds the parked call or the task that a request without a session names."""
    if not isinstance(message, Request):
        return ""
    if isinstance(state := message.params.get("requestState"), str):
        return others.keeper_of(state)
    if isinstance(task := message.params.get("taskId"), str) and message.method.startswith("tasks/"):
        return others.holder(task)
    return ""


async def passed_on(others: Others, name: str, incoming: Incoming, body: bytes, send: Send) -> bool:
    """Whether the worker ``name`` has answered; what was handed over once is not handed on. Raises ``Unavailable``."""
    if incoming.handed:
        return False
    headers = tuple((name, value) for name, value in incoming.raw_headers if name.lower() not in _OURS)
    handed = Handed(incoming.method, incoming.place, incoming.query, headers, incoming.address, body)
    return await others.pass_on(name, handed, send, incoming.gone)
