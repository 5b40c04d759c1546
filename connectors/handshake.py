"""How a conversation begins: which era the server speaks, which version, what it offers.

An era, once proven, is only given up for an answer that proves the other one; silence, an outage or a
refused credential never is such an answer. This file knows the order of questions; it must not know
processes, HTTP beyond its status, or what is asked afterwards.
"""

from enum import StrEnum
from typing import Final

from connectors.conversation import Conversation, Terms
from connectors.transport import HttpAnswer, TransportLost
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import LEGACY_VERSIONS, MODERN_VERSIONS, Era, Params, Response
from gateway.policy.terms import Json

UNSUPPORTED_VERSION: Final = -32022

NO_VERDICT: Final = frozenset({401, 403, 407, 408, 429, 502, 503, 504})
"""HTTP answers that come from in front of the server or before it looked: they prove no era."""


class _Not(StrEnum):
    """Why ``server/discover`` proved no modern server."""

    LEGACY = "it answered as a legacy server"
    SILENT = "it did not answer"


class ProbeKilled(UpstreamFailed):
    """The connection ended at the first question of an unproven era: old servers die of what they do not know."""


async def shake_hands(talk: Conversation, *, known: Era | None, pinned: bool, probe: float, patience: float) -> Terms:
    """What was agreed on, which is also in force in ``talk`` from then on.

    ``known`` is the era proven before, or, when ``pinned``, set by the operator; ``probe`` is the
    seconds that an unproven server behind a pipe gets to answer ``server/discover``, ``patience`` those
    for any other step. Raises ``UpstreamFailed``, ``ProbeKilled``.
    """
    verdict: Terms | _Not = _Not.LEGACY
    if known is not Era.LEGACY:
        unsure = known is None and not talk.http
        verdict = await _discover(talk, patience=probe if unsure else patience, unsure=unsure)
        if isinstance(verdict, Terms):
            return _agreed(talk, verdict)
        if pinned or (verdict is _Not.SILENT and not unsure):
            raise UpstreamFailed(f"upstream `{talk.name}` cannot be opened in the modern era: {verdict}")
    answer = await _initialize(talk, patience=patience)
    if isinstance(answer, Terms):
        _agreed(talk, answer)
        await _say_initialized(talk)
        return answer
    if not pinned:
        # The first question may have been answered too late, or the server have changed: the refusal may say so.
        late = await _discover(talk, patience=patience, unsure=False)
        if isinstance(late, Terms):
            return _agreed(talk, late)
    raise UpstreamFailed(f"upstream `{talk.name}` refused the handshake", detail=str(answer.get("message")))


def _agreed(talk: Conversation, terms: Terms) -> Terms:
    talk.terms = terms
    return terms


async def _discover(talk: Conversation, *, patience: float, unsure: bool) -> Terms | _Not:
    asked = MODERN_VERSIONS[0]
    answer = await _asked(talk, asked, patience=patience, unsure=unsure)
    if isinstance(answer, Response) and asked in _served(answer):
        # It refused a version that it says it serves: the client tries once more (MCP 2026-07-28, versioning).
        answer = await _asked(talk, asked, patience=patience, unsure=unsure)
    if not isinstance(answer, Response):
        return answer
    if answer.error is not None:
        return _judged(talk, answer)
    result = answer.result if isinstance(answer.result, dict) else {}
    offered = result.get("supportedVersions")
    if not isinstance(offered, list) or asked not in offered:
        return _Not.LEGACY
    return Terms(Era.MODERN, asked, _object(result.get("capabilities")), _string(result.get("instructions")))


async def _asked(talk: Conversation, version: str, *, patience: float, unsure: bool) -> Response | _Not:
    try:
        return await talk.ask("server/discover", {}, patience=patience, modern=version)
    except TimeoutError:
        return _Not.SILENT
    except TransportLost as lost:
        kind = ProbeKilled if unsure else UpstreamFailed
        raise kind(f"upstream `{talk.name}` cannot be reached", detail=str(lost)) from lost
    except HttpAnswer as http:
        if http.status in NO_VERDICT:
            raise UpstreamFailed(f"upstream `{talk.name}` answered HTTP {http.status}") from http
        return http.message or Response(None, error={})


def _served(answer: Response) -> list[Json]:
    """What a server that refused the version of a request says that it serves."""
    error = answer.error or {}
    offered = _object(error.get("data")).get("supported")
    return offered if error.get("code") == UNSUPPORTED_VERSION and isinstance(offered, list) else []


def _judged(talk: Conversation, refused: Response) -> _Not:
    """An error means a legacy server, unless it says which versions it does serve and none is ours."""
    offered = _served(refused)
    if not offered or any(version in LEGACY_VERSIONS for version in offered):
        return _Not.LEGACY
    raise UpstreamFailed(f"upstream `{talk.name}` serves no protocol version that the gateway speaks")


async def _initialize(talk: Conversation, *, patience: float) -> Terms | Params:
    """The terms, or the error that the server answered."""
    params: Params = {"protocolVersion": LEGACY_VERSIONS[0], "capabilities": talk.declares, "clientInfo": talk.client}
    try:
        answer = await talk.ask("initialize", params, patience=patience)
    except TimeoutError:
        raise UpstreamFailed(f"upstream `{talk.name}` did not answer the handshake in time") from None
    except TransportLost as lost:
        raise UpstreamFailed(f"upstream `{talk.name}` cannot be reached", detail=str(lost)) from lost
    except HttpAnswer as http:
        if http.message is None or http.message.error is None or http.status in NO_VERDICT:
            raise UpstreamFailed(f"upstream `{talk.name}` answered HTTP {http.status}") from http
        answer = http.message
    if answer.error is not None:
        return answer.error
    result = answer.result if isinstance(answer.result, dict) else {}
    version = result.get("protocolVersion")
    if not isinstance(version, str) or version not in LEGACY_VERSIONS:
        raise UpstreamFailed(f"upstream `{talk.name}` answered with a protocol version that the gateway does not speak")
    return Terms(Era.LEGACY, version, _object(result.get("capabilities")), _string(result.get("instructions")))


async def _say_initialized(talk: Conversation) -> None:
    try:
        await talk.notify("notifications/initialized", {})
    except (TransportLost, HttpAnswer) as fault:
        raise UpstreamFailed(f"upstream `{talk.name}` broke off the handshake", detail=str(fault)) from fault


def _object(value: Json) -> Params:
    return value if isinstance(value, dict) else {}


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""
