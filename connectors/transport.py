"""The seam between a conversation with an MCP server and the bytes that carry it.

A transport moves whole messages both ways and says when it cannot. It knows framing, headers and
sessions of its carrier; it must not know what a message means, who asks, or which calls are open.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from gateway.mcp.terms import Message, Response

NO_TEXTS: Final[Mapping[str, str]] = MappingProxyType({})

Receive: TypeAlias = Callable[[Message], None]
"""Takes each message of the server, in the order of its stream; called on the event loop, must not raise."""

Lost: TypeAlias = Callable[[Exception | None], None]
"""Told at most once that nothing more will come: why, or ``None`` after ``close``."""


class TransportLost(Exception):
    """The message could not be carried, or its answer will not come.

    The text is for the log and holds no credential. ``sent`` tells whether the server may have read
    the message: only when it is false may the same message be sent again.
    """

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class TransportBusy(TransportLost):
    """Too much is under way to the server: this message was not carried, which says nothing of any other."""

    def __init__(self, text: str) -> None:
        super().__init__(text, sent=False)


class HttpAnswer(Exception):
    """A POST was answered with HTTP status 4xx or 5xx; ``message`` is the JSON-RPC body when it had one."""

    def __init__(self, status: int, message: Response | None = None) -> None:
        super().__init__(f"the server answered HTTP {status}")
        self.status = status
        self.message = message


class Transport(Protocol):
    """One way to one MCP server, for one conversation."""

    async def start(self, receive: Receive, lost: Lost) -> None:
        """Make ready to send; from now on messages go to ``receive``. Raises ``TransportLost``."""

    async def send(
        self,
        message: Message,
        *,
        version: str | None = None,
        modern: bool = False,
        name: str = "",
        repeated: Mapping[str, str] = NO_TEXTS,
    ) -> None:
        """Carry one message.

        ``version`` is the protocol version in force (``None`` before it is known), ``modern`` says
        that the era has no sessions, ``name`` is what ``Mcp-Name`` shall say, ``repeated`` the
        arguments that ``Mcp-Param-…`` headers repeat, by the rest of their names. Over streamable HTTP
        the call lasts as long as the answer's stream does, so the answer to a request has been given
        to ``receive`` before it returns, and cancelling it closes that stream (in the modern era
        that *is* the cancellation); elsewhere it returns when the message is written.
        Raises ``TransportLost``, ``HttpAnswer``.
        """

    async def listen(self) -> None:
        """Run the stream on which a legacy server speaks unasked, until it ends for good; returns at once
        where the transport has no such stream. Raises ``TransportLost``.
        """

    async def close(self) -> None:
        """End the session, the streams and the child process, within bounded time; never raises."""
