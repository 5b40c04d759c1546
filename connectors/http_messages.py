"""What both HTTP transports write and read alike: headers, media types, messages out of foreign bytes.

Whatever is not exactly one message in the media type it is labelled with is refused. This file opens
nothing and holds no state.
"""

import base64
import re
from collections.abc import Mapping
from typing import Final

from connectors.addresses import Exceptions, parse
from connectors.base import UpstreamSpec
from connectors.egress import Answer, EgressError, Fault
from connectors.transport import HttpAnswer, TransportBusy, TransportLost
from gateway.errors import Malformed
from gateway.mcp import jsonrpc
from gateway.mcp.terms import Message, Response

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

MAX_BODY: Final = 16 * 2**20
MAX_ERROR_BODY: Final = 2**20

_OURS: Final = frozenset(
    {
        "accept",
        "content-type",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
    }
)
_PLAIN: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_SENTINEL: Final = re.compile(r"=\?base64\?.*\?=")
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})
_IDENTIFIER: Final = re.compile(r"[\x21-\x7e]{1,1024}")


def operator_headers(spec: UpstreamSpec) -> dict[str, str]:
    """The headers of the operator's file, readable; what the protocol itself writes is not his to set."""
    return {name: secret.reveal() for name, secret in spec.headers.items() if name.lower() not in _OURS}


def exceptions_of(spec: UpstreamSpec) -> Exceptions:
    """Raises ``ValueError`` with every entry of ``private_hosts`` that cannot be read."""
    parsed = parse(spec.private_hosts)
    if isinstance(parsed, Exceptions):
        return parsed
    raise ValueError(f"upstream `{spec.id}`: `private_hosts`: {'; '.join(parsed)}")


def header_text(value: str) -> str:
    """``value`` as a header can carry it: itself when it is plain, else in base64 (MCP 2026-07-28, transports)."""
    if _PLAIN.fullmatch(value) and not _SENTINEL.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def is_identifier(text: str | None) -> bool:
    """Whether a session or event id of the server can be sent back: visible ASCII of bounded length."""
    return text is not None and _IDENTIFIER.fullmatch(text) is not None


def media_type(headers: Mapping[str, str]) -> str:
    """The media type in lower case, without parameters; empty when there is none, or a charset other than UTF-8."""
    kind, *parameters = headers.get("Content-Type", "").lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _CHARSETS:
            return ""
    return kind.strip()


def loss_of(error: EgressError) -> TransportLost:
    """A failed exchange, as transports tell it."""
    return TransportBusy(str(error)) if error.kind is Fault.BUSY else TransportLost(str(error), sent=error.sent)


def garbled(sentence: str) -> TransportLost:
    """The server has answered, and with what is no answer."""
    return TransportLost(sentence, sent=True)


def message_of(data: bytes) -> Message:
    """The one message in ``data``. Raises ``TransportLost``; a batch is refused, for none is ever sent."""
    try:
        message = jsonrpc.parse(data)
    except Malformed as refusal:
        raise garbled(f"the server sent what is no message: {refusal.text}") from None
    if isinstance(message, list):
        raise garbled("the server sent a batch; nobody asked for one")
    return message


async def http_error(answer: Answer) -> HttpAnswer:
    """The refusal that an answer of status 4xx or 5xx is, with its JSON-RPC error when it has one."""
    message: Message | None = None
    if media_type(answer.headers) == JSON:
        try:
            message = message_of(await answer.read(MAX_ERROR_BODY))
        except (EgressError, TransportLost):
            message = None
    if not isinstance(message, Response) or message.error is None:
        message = None
    return HttpAnswer(answer.status, message)
