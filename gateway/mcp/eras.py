"""What differs in shape between the two eras, and nothing else: results, errors, parameters, log lines.

Between a server behind us and a client stands the *neutral* form: a result without the envelope of either
era. ``from_upstream`` and ``to_upstream`` are the upstream's side of it, ``to_client`` and its like the
client's. What a server adds of its own passes all of them unharmed. This file knows no connection.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from gateway.errors import UpstreamFailed
from gateway.mcp.calls import INVALID_PARAMS, SUPPORTED_VERSIONS, negotiated
from gateway.mcp.input_required import InputRequired, written
from gateway.mcp.questions import ELICITATION_COMPLETE
from gateway.mcp.terms import (
    CAPABILITIES_KEY,
    CLIENT_INFO_KEY,
    LEGACY_VERSIONS,
    LOG_LEVEL_KEY,
    LOG_LEVELS,
    SERVER_INFO_KEY,
    SUBSCRIPTION_KEY,
    VERSION_KEY,
    Call,
    Era,
    Notification,
    Params,
    Request,
)
from gateway.policy.terms import Json

RESOURCE_NOT_FOUND: Final = -32002
URL_ELICITATION_REQUIRED: Final = -32042
RESERVED: Final = range(-32099, -32019)
"""Codes that speak of one hop: what a server says with them, it says to us (MCP 2026-07-28, error codes)."""

CACHEABLE: Final = frozenset(
    {
        "server/discover",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
    }
)

TASKS_TELL: Final = frozenset({"tasks/get"})
"""Where a complete result may hold questions."""

UNASKED_LEVEL: Final = "info"
"""From which level on legacy clients hear log lines of modern servers, which say none unasked."""

_CLIENT_ENVELOPE: Final = (VERSION_KEY, CLIENT_INFO_KEY, CAPABILITIES_KEY, SERVER_INFO_KEY, SUBSCRIPTION_KEY)
_SERVER_ENVELOPE: Final = (SERVER_INFO_KEY, SUBSCRIPTION_KEY)
_NOT_OFFERED: Final = ("task", "inputResponses", "requestState")
_ONLY_MODERN: Final = ("extensions",)
_ONLY_NEWEST_LEGACY: Final = ("tasks",)


# -- openings


def initialize_result(params: Params, *, capabilities: Params, server_info: Params, instructions: str = "") -> Params:
    """The answer to ``initialize``, which agrees on the version asked for or our newest with a handshake."""
    version = negotiated(params.get("protocolVersion"))
    unknown = _ONLY_MODERN if version == LEGACY_VERSIONS[0] else (*_ONLY_MODERN, *_ONLY_NEWEST_LEGACY)
    result: Params = {
        "protocolVersion": version,
        "capabilities": _without(capabilities, unknown),
        "serverInfo": server_info,
    }
    return {**result, "instructions": instructions} if instructions else result


def discover_result(*, capabilities: Params, server_info: Params, instructions: str = "") -> Params:
    """The answer to ``server/discover``, as it goes to the client."""
    offered = _without(capabilities, _ONLY_NEWEST_LEGACY)
    result: Params = {"supportedVersions": list(SUPPORTED_VERSIONS), "capabilities": offered}
    if instructions:
        result["instructions"] = instructions
    return _to_modern(result, "server/discover", server_info, ttl_ms=0)


# -- results


def to_client(result: Params, call: Call, *, server_info: Params, ttl_ms: int = 0) -> Params:
    """``result`` in the era of ``call``; the given one is not changed.

    ``ttl_ms`` is for how long a client may keep what the gateway itself makes (lists, what it says of itself): not at
    all, since the policy may change at any moment, and a client without an open stream would not hear of it. Since it
    depends on who asks, nothing may ever be kept for others. A resource that was read is kept as its server says: it
    has been given, and a later no cannot take it back.
    """
    method = call.message.method if isinstance(call.message, Request) else ""
    if call.era is Era.MODERN:
        return _to_modern(result, method, server_info, ttl_ms)
    return _to_legacy(from_upstream(result, method), method)


def from_upstream(result: Params, method: str) -> Params:
    """A result of a server of either era in the neutral form.

    Raises ``UpstreamFailed`` when it is not complete: the gateway never said that it can do more.
    """
    kind = result.get("resultType", "complete")
    if kind != "complete":
        raise UpstreamFailed(
            "the server answered with a kind of result that is not offered here", detail=str(kind)[:64]
        )
    asking = () if method in TASKS_TELL else ("inputRequests", "requestState")
    cut = ("resultType", *asking, *(("ttlMs", "cacheScope") if method in CACHEABLE else ()))
    neutral = {key: value for key, value in result.items() if key not in cut}
    return _with_meta(neutral, _without(neutral.get("_meta"), _SERVER_ENVELOPE))


def _to_modern(result: Params, method: str, server_info: Params, ttl_ms: int) -> Params:
    shaped: Params = {**from_upstream(result, method), "resultType": "complete"}
    if method in CACHEABLE:
        kept = result.get("ttlMs")
        own = method == "resources/read" and type(kept) is int and kept >= 0
        shaped |= {"ttlMs": kept if own else ttl_ms, "cacheScope": "private"}
    meta = cast("Params", shaped.get("_meta", {}))
    return {**shaped, "_meta": {**meta, SERVER_INFO_KEY: server_info}}


def _to_legacy(neutral: Params, method: str) -> Params:
    """Structured content and its schema were objects before 2026-07-28; strict clients drop all else whole."""
    if method == "tools/call" and not isinstance(neutral.get("structuredContent", {}), dict):
        return {key: value for key, value in neutral.items() if key != "structuredContent"}
    if method == "tools/list" and isinstance(tools := neutral.get("tools"), list):
        return {**neutral, "tools": [_legacy_tool(tool) for tool in tools]}
    return neutral


def _legacy_tool(tool: Json) -> Json:
    schema = tool.get("outputSchema") if isinstance(tool, dict) else None
    if not isinstance(tool, dict) or schema is None or (isinstance(schema, dict) and schema.get("type") == "object"):
        return tool
    return {key: value for key, value in tool.items() if key != "outputSchema"}


def asking(asked: InputRequired, *, server_info: Params) -> Params:
    """The result that asks the client of the modern era for input. It is never kept, so it says nothing of caches."""
    told = written(asked)
    meta = _without(told.get("_meta"), _SERVER_ENVELOPE)
    return {**told, "_meta": {**meta, SERVER_INFO_KEY: server_info}}


def tasked(result: Params, call: Call, *, server_info: Params) -> Params:
    """The result that tells of a task instead of an outcome, in the era of ``call``."""
    told = to_client(_without(result, ("resultType",)), call, server_info=server_info)
    return {**told, "resultType": "task"} if call.era is Era.MODERN else told


# -- errors


def error_to_client(error: Params, call: Call) -> Params:
    """A JSON-RPC error object, from a server of either era or of our own, in the era of ``call``."""
    code, about_us = error.get("code"), _speaks_of_our_hop(error, call)
    if about_us:
        return {"code": UpstreamFailed.code, "message": f"the server refused the gateway's request ({code})"}
    reads = isinstance(call.message, Request) and call.message.method.startswith("resources/")
    if call.era is Era.MODERN and code == RESOURCE_NOT_FOUND:
        data = error.get("data")
        told = data if isinstance(data, dict) else {}
        return {**error, "code": INVALID_PARAMS, "data": {**told, "uri": call.target}}
    if call.era is Era.LEGACY and reads and code == INVALID_PARAMS and _names(error.get("data"), call.target):
        return {**error, "code": RESOURCE_NOT_FOUND}
    return error


def _speaks_of_our_hop(error: Params, call: Call) -> bool:
    code = error.get("code")
    if code == URL_ELICITATION_REQUIRED:
        return call.era is Era.MODERN
    return type(code) is int and code in RESERVED


def _names(data: Json, uri: str) -> bool:
    return isinstance(data, dict) and data.get("uri") == uri


# -- parameters


def to_upstream(params: Params) -> Params:
    """The parameters without what the client said of itself, and without what the gateway does not offer.

    Keys of vendors stay, and so do the progress token and the log level, which the conversation with
    the server puts into its own words.
    """
    kept = {key: value for key, value in params.items() if key not in _NOT_OFFERED}
    return _with_meta(kept, _without(kept.get("_meta"), _CLIENT_ENVELOPE))


def _without(meta: Json, keys: tuple[str, ...]) -> Params:
    return {key: value for key, value in meta.items() if key not in keys} if isinstance(meta, dict) else {}


def _with_meta(params: Params, meta: Params) -> Params:
    rest = {key: value for key, value in params.items() if key != "_meta"}
    return {**rest, "_meta": meta} if meta else rest


# -- log lines


def log_level(params: Params) -> str | None:
    """The level that a modern request asks for; without one it wants no log lines."""
    meta = params.get("_meta")
    level = meta.get(LOG_LEVEL_KEY) if isinstance(meta, dict) else None
    return level if isinstance(level, str) and level in LOG_LEVELS else None


def with_log_level(request: Request, level: str | None) -> Request:
    """A legacy request that says in the words of the modern era which log lines its client hears: those of the
    ``level`` that it set, or what servers say unasked.
    """
    said = _without(request.params.get("_meta"), (LOG_LEVEL_KEY,))
    return replace(request, params=_with_meta(request.params, {**said, LOG_LEVEL_KEY: level or UNASKED_LEVEL}))


def may_say(notification: Notification, call: Call, session_level: str | None = None) -> bool:
    """Whether a client may be told ``notification`` while ``call`` runs.

    ``session_level`` is what a legacy client set with ``logging/setLevel``; without, the server chooses.
    """
    if notification.method == "notifications/progress":
        return True
    if notification.method == ELICITATION_COMPLETE:
        return call.era is Era.LEGACY
    if notification.method != "notifications/message":
        return False
    if call.era is Era.MODERN:
        return isinstance(call.message, Request) and _severe(notification.params, log_level(call.message.params))
    return session_level is None or _severe(notification.params, session_level)


def _severe(params: Mapping[str, Json], asked: str | None) -> bool:
    level = params.get("level")
    if asked is None or not isinstance(level, str) or level not in LOG_LEVELS:
        return False
    return LOG_LEVELS.index(level) >= LOG_LEVELS.index(asked)
