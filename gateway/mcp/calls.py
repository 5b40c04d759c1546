"""Messages to calls: which era speaks, which method it is, how far it may go, and what it names.

Here is the table of MCP methods; a method that does not stand in it does not exist. Headers are only
ever compared with the body, never believed. This file knows no session store, no policy and no upstream.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.errors import Malformed, Unknown
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.names import climbs
from gateway.mcp.terms import (
    CAPABILITIES_KEY,
    LEGACY_VERSIONS,
    LOG_LEVEL_KEY,
    LOG_LEVELS,
    MODERN_VERSIONS,
    PROGRESS_KEY,
    VERSION_KEY,
    Call,
    Era,
    Kind,
    Message,
    Notification,
    Params,
    Request,
    Response,
    Step,
)
from gateway.policy.terms import Json

METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022

VERSION_HEADER: Final = "mcp-protocol-version"
METHOD_HEADER: Final = "mcp-method"
NAME_HEADER: Final = "mcp-name"
CREDENTIAL_HEADER: Final = "x-credential-id"
BACK_HEADER: Final = "x-redirect-uri"
WISHES: Final = (CREDENTIAL_HEADER, BACK_HEADER)
"""Headers that say what no body of MCP can: which connection is to be used, and where the browser goes back to."""

REPEATED: Final = "mcp-param-"
"""How the headers begin that repeat an argument."""

ASSUMED_VERSION: Final = "2025-03-26"
"""What a legacy client speaks that does not say (MCP 2025-11-25, transports)."""

SUPPORTED_VERSIONS: Final = (*MODERN_VERSIONS, *LEGACY_VERSIONS)

MAX_TARGET: Final = 8192

_LEGACY: Final = frozenset({Era.LEGACY})
_MODERN: Final = frozenset({Era.MODERN})
_BOTH: Final = frozenset(Era)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that we read, and so must be of one type, ``dict`` or ``str``, and ``among`` some values, if any."""

    name: str
    type: type
    required: bool = False
    among: tuple[str, ...] = ()

    def problem(self, params: Params) -> str:
        """A sentence, or ``""``."""
        if self.name not in params:
            return f"`{self.name}` is missing" if self.required else ""
        value = params[self.name]
        if type(value) is not self.type:
            return f"`{self.name}` must be {'an object' if self.type is dict else 'a string'}"
        if self.among and value not in self.among:
            return f"`{self.name}` must be one of {', '.join(self.among)}"
        return ""


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table.

    ``target`` is the parameter that names what is used; when ``mirrored``, ``Mcp-Name`` repeats it.
    """

    step: Step
    eras: frozenset[Era] = _BOTH
    kind: Kind | None = None
    target: str = ""
    mirrored: bool = False
    reads: tuple[Parameter, ...] = ()


_CURSOR: Final = (Parameter("cursor", str),)
_RETRY: Final = (Parameter("inputResponses", dict), Parameter("requestState", str))
_ARGUMENTS: Final = (Parameter("arguments", dict), *_RETRY)
_ANSWERS: Final = (Parameter("inputResponses", dict, required=True),)
_HELLO: Final = (Parameter("protocolVersion", str, required=True), Parameter("capabilities", dict))

METHODS: Final[Mapping[str, Method]] = {
    "initialize": Method(Step.OPEN, _LEGACY, reads=_HELLO),
    "server/discover": Method(Step.OPEN, _MODERN),
    "ping": Method(Step.PING, _LEGACY),
    "logging/setLevel": Method(Step.PING, _LEGACY, reads=(Parameter("level", str, required=True, among=LOG_LEVELS),)),
    "tools/list": Method(Step.LIST, kind=Kind.TOOL, reads=_CURSOR),
    "prompts/list": Method(Step.LIST, kind=Kind.PROMPT, reads=_CURSOR),
    "resources/list": Method(Step.LIST, kind=Kind.RESOURCE, reads=_CURSOR),
    "resources/templates/list": Method(Step.LIST, kind=Kind.TEMPLATE, reads=_CURSOR),
    "tools/call": Method(Step.USE, kind=Kind.TOOL, target="name", mirrored=True, reads=_ARGUMENTS),
    "prompts/get": Method(Step.USE, kind=Kind.PROMPT, target="name", mirrored=True, reads=_ARGUMENTS),
    "resources/read": Method(Step.USE, kind=Kind.RESOURCE, target="uri", mirrored=True, reads=_RETRY),
    "resources/subscribe": Method(Step.USE, _LEGACY, kind=Kind.RESOURCE, target="uri"),
    "resources/unsubscribe": Method(Step.USE, _LEGACY, kind=Kind.RESOURCE, target="uri"),
    "tasks/get": Method(Step.USE, target="taskId", mirrored=True),
    "tasks/cancel": Method(Step.USE, target="taskId", mirrored=True),
    "tasks/update": Method(Step.USE, _MODERN, target="taskId", mirrored=True, reads=_ANSWERS),
    "tasks/result": Method(Step.USE, _LEGACY, target="taskId"),
    "tasks/list": Method(Step.LIST, _LEGACY, reads=_CURSOR),
    "completion/complete": Method(Step.USE, target="ref", reads=(Parameter("argument", dict, required=True),)),
    "subscriptions/listen": Method(Step.LISTEN, _MODERN, reads=(Parameter("notifications", dict, required=True),)),
}
"""Every request of revisions 2024-11-05 to 2026-07-28, and of its extension for tasks."""


def classify(
    message: Message,
    *,
    headers: Mapping[str, str],
    domain: str,
    transport: str,
    session_version: str | None = None,
    session: str = "",
) -> Call:
    """The call that ``message`` asks for. Header names are in lower case, repeated ones joined by ``", "``.

    Raises ``Malformed`` (-32600, -32602, -32020, -32022) and ``Unknown`` (-32601). The rungs, first failure wins:

    1. The era: modern when the header names a version without handshake or ``_meta`` names any; but a bare
       ``initialize``, and all that comes over ``/messages``, is legacy.
    2. Modern: version given (-32602), the same in header and body (-32020), served (-32022); capabilities
       given (-32602); ``Mcp-Method`` and ``Mcp-Name`` equal to the body (-32020).
       Legacy: the header, if any, names a version with handshake.
    3. The method exists in that era (-32601; HTTP 404 where no session could be meant by it).
    4. What we read of the parameters has the right shape (-32602).
    """
    era = _era(message, headers, transport)
    version = _modern(message, headers) if era is Era.MODERN else _legacy(message, headers, session_version)
    session = session if era is Era.LEGACY else ""
    if not isinstance(message, Request):
        return Call(message, Step.PING, era, version, domain, transport, session=session)
    method = _method(message, era)
    kind, target = _named(message, method, era)
    repeated = _repeated(headers) if era is Era.MODERN and kind is Kind.TOOL else {}
    return Call(
        message,
        method.step,
        era,
        version,
        domain,
        transport,
        kind,
        target,
        session,
        repeated,
        headers.get(CREDENTIAL_HEADER, ""),
        headers.get(BACK_HEADER, ""),
    )


# -- 1. the era


def _era(message: Message, headers: Mapping[str, str], transport: str) -> Era:
    if transport == "sse":
        return Era.LEGACY
    if isinstance(message, Request) and VERSION_KEY in _meta(message.params):
        return Era.MODERN
    if isinstance(message, Request) and message.method == "initialize":
        return Era.LEGACY
    return Era.LEGACY if headers.get(VERSION_HEADER, ASSUMED_VERSION) in LEGACY_VERSIONS else Era.MODERN


# -- 2. the envelope


def _legacy(message: Message, headers: Mapping[str, str], session_version: str | None) -> str:
    if isinstance(message, Request) and message.method == "initialize":
        return negotiated(message.params.get("protocolVersion"))
    _demand_notification(message)
    version = headers.get(VERSION_HEADER)
    if version is None:
        return session_version or ASSUMED_VERSION
    if version not in LEGACY_VERSIONS:
        raise Malformed(f"MCP-Protocol-Version: {quoted(version)} is not a version of this transport")
    return session_version or version


def negotiated(requested: Json) -> str:
    """The version that ``initialize`` agrees on: the one asked for, or our newest with a handshake."""
    return requested if isinstance(requested, str) and requested in LEGACY_VERSIONS else LEGACY_VERSIONS[0]


def _modern(message: Message, headers: Mapping[str, str]) -> str:
    if isinstance(message, Response):
        raise Malformed("a client of this protocol version sends requests and notifications, never responses")
    _demand_notification(message)
    if isinstance(message, Notification):
        return _served(headers[VERSION_HEADER])
    meta = _meta(message.params)
    said = headers.get(VERSION_HEADER)
    version = meta.get(VERSION_KEY)
    if VERSION_KEY not in meta and said is not None:
        _served(said)
    if not isinstance(version, str):
        raise _invalid(f"`params._meta`: `{VERSION_KEY}` must be given, as a string", Era.MODERN)
    if version != said:
        raise mismatch(f"MCP-Protocol-Version: must be {quoted(version)}, as in `params._meta`")
    _served(version)
    _check_meta(meta)
    _compare_names(message, headers)
    return version


def _served(version: str) -> str:
    if version in MODERN_VERSIONS:
        return version
    data: Json = {"supported": list(SUPPORTED_VERSIONS), "requested": version}
    raise Malformed(f"unsupported protocol version {quoted(version)}", code=UNSUPPORTED_VERSION, data=data)


def _check_meta(meta: Params) -> None:
    if not isinstance(meta.get(CAPABILITIES_KEY), dict):
        raise _invalid(f"`params._meta`: `{CAPABILITIES_KEY}` must be given, as an object", Era.MODERN)
    if LOG_LEVEL_KEY in meta and meta[LOG_LEVEL_KEY] not in LOG_LEVELS:
        raise _invalid(f"`params._meta`: `{LOG_LEVEL_KEY}` must be one of {', '.join(LOG_LEVELS)}", Era.MODERN)


def _compare_names(message: Request, headers: Mapping[str, str]) -> None:
    if headers.get(METHOD_HEADER) != message.method:
        raise mismatch(f"Mcp-Method: must be given once, as {quoted(message.method)}")
    method = METHODS.get(message.method)
    if method is None or not method.mirrored:
        return
    target = message.params.get(method.target)
    if isinstance(target, str) and decoded(headers.get(NAME_HEADER)) != target:
        raise mismatch(f"Mcp-Name: must be given once, as {quoted(target)}")


def _repeated(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers that repeat arguments, by what stands behind ``Mcp-Param-``: which they are the tool's schema says,
    so they are compared where the tool is known.
    """
    return {name.removeprefix(REPEATED): text for name, text in headers.items() if name.startswith(REPEATED)}


_SENTINEL: Final = re.compile(r"=\?base64\?(.*)\?=")
_VISIBLE: Final = re.compile(r"[\t\x20-\x7e]*")


def decoded(value: str | None) -> str | None:
    """What a mirrored header says (MCP 2026-07-28, transports, value encoding); ``None`` when it says nothing valid."""
    if value is None or _VISIBLE.fullmatch(value) is None:
        return None
    value = value.strip(" \t")
    wrapped = _SENTINEL.fullmatch(value)
    if wrapped is None:
        return value
    try:
        plain = base64.b64decode(wrapped[1], validate=True)
        return plain.decode() if base64.b64encode(plain).decode() == wrapped[1] else None
    except ValueError:
        return None


def _demand_notification(message: Message) -> None:
    """A request without an id must not be run, and must not be taken for a notification either."""
    if isinstance(message, Notification) and not message.method.startswith("notifications/"):
        raise Malformed(f"`id`: {quoted(message.method)} is not a notification; send it with an id")


# -- 3. the method


def _method(message: Request, era: Era) -> Method:
    method = METHODS.get(message.method)
    if method is None or era not in method.eras:
        # In a legacy session 404 means that the session is gone (MCP 2025-11-25, transports).
        status = 404 if era is Era.MODERN else 200
        raise Unknown(f"method {quoted(message.method)} not found", code=METHOD_NOT_FOUND, status=status)
    return method


# -- 4. the parameters


def _named(message: Request, method: Method, era: Era) -> tuple[Kind | None, str]:
    params = message.params
    _check_shape(params, method, era)
    if not method.target:
        return method.kind, ""
    if method.target == "ref":
        return _reference(params.get("ref"), era)
    return method.kind, _target(params.get(method.target), method.target, era)


def _check_shape(params: Params, method: Method, era: Era) -> None:
    token = _meta(params).get(PROGRESS_KEY, "")
    if type(token) is not str and type(token) is not int:
        raise _invalid(f"`params._meta`: `{PROGRESS_KEY}` must be a string or an integer", era)
    for parameter in method.reads:
        if problem := parameter.problem(params):
            raise _invalid(f"`params`: {problem}", era)


def _reference(ref: Json, era: Era) -> tuple[Kind, str]:
    if isinstance(ref, dict) and ref.get("type") == "ref/prompt":
        return Kind.PROMPT, _target(ref.get("name"), "ref.name", era)
    if isinstance(ref, dict) and ref.get("type") == "ref/resource":
        uri = _target(ref.get("uri"), "ref.uri", era)
        return Kind.TEMPLATE if "{" in uri else Kind.RESOURCE, uri
    raise _invalid("`params`: `ref` must be an object of type `ref/prompt` or `ref/resource`", era)


def _target(value: Json, name: str, era: Era) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TARGET:
        raise _invalid(f"`params`: `{name}` must be a string of 1 to {MAX_TARGET} characters", era)
    if name.endswith("uri") and climbs(value):
        raise _invalid(f"`params`: `{name}` must not have the steps `.` or `..` in its path", era)
    return value


def _meta(params: Params) -> Params:
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}


# -- refusals


def _invalid(text: str, era: Era) -> Malformed:
    """Clients of the legacy era take any other status than 200 for a fault of the transport."""
    return Malformed(text, code=INVALID_PARAMS, status=400 if era is Era.MODERN else 200)


def mismatch(text: str) -> Malformed:
    """A header that does not say what the body says (MCP 2026-07-28, header validation)."""
    return Malformed(f"header mismatch: {text}", code=HEADER_MISMATCH)
