"""The words of the protocol: messages, eras, calls. Values only; no bytes, no transport, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from gateway.policy.terms import Json

Params: TypeAlias = dict[str, Json]

LEGACY_VERSIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
MODERN_VERSIONS: Final = ("2026-07-28",)

API: Final = "api"
"""The transport of calls that the management API makes of plain HTTP requests; no client of MCP speaks it."""

VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
CLIENT_INFO_KEY: Final = "io.modelcontextprotocol/clientInfo"
CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL_KEY: Final = "io.modelcontextprotocol/logLevel"
SERVER_INFO_KEY: Final = "io.modelcontextprotocol/serverInfo"
SUBSCRIPTION_KEY: Final = "io.modelcontextprotocol/subscriptionId"
PROGRESS_KEY: Final = "progressToken"
META_KEYS: Final = (
    VERSION_KEY,
    CLIENT_INFO_KEY,
    CAPABILITIES_KEY,
    LOG_LEVEL_KEY,
    SERVER_INFO_KEY,
    SUBSCRIPTION_KEY,
    PROGRESS_KEY,
)
"""The keys of ``_meta`` that the protocol itself gives a meaning."""


LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Least to most severe (RFC 5424)."""


class Era(StrEnum):
    """The two wire families: with a handshake and sessions, or one self-contained POST per call."""

    LEGACY = "legacy"
    MODERN = "modern"


@dataclass(frozen=True, slots=True)
class Request:
    id: str | int
    method: str
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notification:
    method: str
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: exactly one of ``result`` and ``error`` is set. ``id`` is ``None`` when an error
    answers something whose id could not be read.
    """

    id: str | int | None
    result: Json = None
    error: Params | None = None


Message: TypeAlias = Request | Notification | Response


class Step(StrEnum):
    """How far along the road a method goes, and what it asks of the policy."""

    OPEN = "open"  # initialize, server/discover: who?
    PING = "ping"  # ping, notifications, responses, logging/setLevel: who?
    LIST = "list"  # tools/list and the like: who? how often? which items?
    USE = "use"  # tools/call, prompts/get, resources/read, completion/complete, subscribe: all four
    LISTEN = "listen"  # subscriptions/listen: who? how often? then events, each filtered


class Kind(StrEnum):
    """What can be listed and used."""

    TOOL = "tool"
    PROMPT = "prompt"
    RESOURCE = "resource"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Call:
    """One classified message, judged and forwarded as it stands here.

    ``target`` is the public name or URI that the body names (``""`` when the method has none);
    ``domain`` comes from the URL. ``version`` is the protocol version in force for this message. ``repeated`` are
    the headers that say they repeat an argument, by what stands behind ``Mcp-Param-``. ``credential`` is the id of the
    connection that is to be used, ``back`` where a browser should go that connects an account (``""``: not said).
    """

    message: Message
    step: Step
    era: Era
    version: str
    domain: str
    transport: str
    kind: Kind | None = None
    target: str = ""
    session: str = ""
    repeated: Mapping[str, str] = field(default_factory=dict)
    credential: str = ""
    back: str = ""
