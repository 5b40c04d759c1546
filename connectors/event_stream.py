"""The client's side of the HTTP+SSE transport of MCP 2024-11-05: one stream down, a POST per message up.

It knows how the stream names the address for messages, and that this address lies where the stream
does. It must not know what a message asks for, nor who asks.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from connectors.base import UpstreamSpec
from connectors.egress import Answer, EgressError, Limits, Outward
from connectors.http_messages import (
    EVENT_STREAM,
    JSON,
    MAX_BODY,
    exceptions_of,
    garbled,
    http_error,
    loss_of,
    media_type,
    message_of,
    operator_headers,
)
from connectors.outgoing import same_origin
from connectors.transport import NO_TEXTS, HttpAnswer, Lost, Receive, TransportLost
from gateway.errors import Refusal
from gateway.mcp.events import EventParser, EventTooLong, ServerEvent
from gateway.mcp.jsonrpc import encode
from gateway.mcp.terms import Message

MAX_CONNECT: Final = 10.0


class EventStream:
    """A ``Transport``. Raises ``ValueError`` when the specification's exceptions cannot be read."""

    def __init__(self, spec: UpstreamSpec, egress: Outward) -> None:
        self._spec, self._egress = spec, egress
        self._allow = exceptions_of(spec)
        self._connect = min(MAX_CONNECT, spec.start_timeout)
        self._endpoint: asyncio.Future[str] | None = None
        self._life: asyncio.Task[None] | None = None

    async def start(self, receive: Receive, lost: Lost) -> None:
        """Open the stream and wait for the address it names. Raises ``TransportLost``, ``HttpAnswer``, ``Refusal``."""
        self._endpoint = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(self._endpoint, receive, lost))
        try:
            async with asyncio.timeout(self._spec.start_timeout):
                await asyncio.shield(self._endpoint)
        except TimeoutError:
            await self.close()
            raise TransportLost("the stream named no address for messages in time", sent=False) from None
        except BaseException:
            await self.close()
            raise

    async def send(
        self,
        message: Message,
        *,
        version: str | None = None,
        modern: bool = False,  # noqa: ARG002  this transport has one era
        name: str = "",  # noqa: ARG002
        repeated: Mapping[str, str] = NO_TEXTS,  # noqa: ARG002
    ) -> None:
        if self._endpoint is None or self._life is None or self._life.done():
            raise TransportLost("the stream is not open", sent=False)
        headers = operator_headers(self._spec) | {"Accept": "*/*", "Content-Type": JSON}
        if version is not None:
            headers["MCP-Protocol-Version"] = version
        try:
            async with self._egress.request(
                "POST",
                await self._endpoint,
                headers=headers,
                body=encode(message),
                limits=Limits(connect=self._connect, total=self._spec.timeout),
                allow=self._allow,
            ) as answer:
                if answer.status >= 400:
                    raise await http_error(answer)
        except EgressError as error:
            raise loss_of(error) from error

    async def listen(self) -> None:
        """There is only one stream, and it is open."""

    async def close(self) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])

    async def _live(self, endpoint: asyncio.Future[str], receive: Receive, lost: Lost) -> None:
        """Run the stream; whoever waits for the address learns why there is none, everybody else that it ended."""
        try:
            why = await self._run(endpoint, receive)
        except asyncio.CancelledError:  # by `close`
            if not endpoint.cancel():
                lost(None)
            return
        if endpoint.done():
            lost(why)
        else:
            endpoint.set_exception(why)

    async def _run(self, endpoint: asyncio.Future[str], receive: Receive) -> Exception:
        """Read until the stream ends or breaks; why it did: ``TransportLost``, ``HttpAnswer``, ``Refusal``."""
        limits = Limits(connect=self._connect, idle=None, max_bytes=None, standing=True)
        headers = operator_headers(self._spec) | {"Accept": EVENT_STREAM}
        try:
            async with self._egress.request(
                "GET", self._spec.url, headers=headers, limits=limits, allow=self._allow
            ) as answer:
                await self._read(answer, endpoint, receive)
        except EgressError as error:
            return loss_of(error)
        except EventTooLong as error:
            return garbled(str(error))
        except (TransportLost, HttpAnswer, Refusal) as error:
            return error
        return TransportLost("the server ended the stream", sent=endpoint.done())

    async def _read(self, answer: Answer, endpoint: asyncio.Future[str], receive: Receive) -> None:
        if answer.status >= 400:
            raise await http_error(answer)
        if answer.status != 200 or media_type(answer.headers) != EVENT_STREAM:
            raise garbled(f"the server answered HTTP {answer.status} without an event stream")
        parser = EventParser(MAX_BODY)
        async for chunk in answer.chunks():
            for event in parser.feed(chunk):
                if event.event == "endpoint" and not endpoint.done():
                    endpoint.set_result(self._address(event))
                elif event.event == "message" and event.data:
                    receive(message_of(event.data))

    def _address(self, event: ServerEvent) -> str:
        """Where messages go. Raises ``TransportLost``: on another origin it would carry our credentials away."""
        with contextlib.suppress(UnicodeDecodeError, ValueError):
            return same_origin(self._spec.url, event.data.decode().strip())
        raise garbled("the stream named an address for messages that does not lie where the stream does")
