"""How a refusal that never became an answer is told over HTTP.

What keeps somebody out is told in the form that clients of each path expect; everything else is a JSON-RPC error,
because a client of the modern era takes any other body for an old server.
"""

from typing import Final

import msgspec

from gateway.errors import InsufficientScope, Refusal, Unauthenticated
from gateway.mcp import jsonrpc
from gateway.mcp.terms import MODERN_VERSIONS
from gateway.policy.terms import MAIN
from gateway.web.asgi import CLOSE, JSON, PRIVATE, CutOff, Header, Incoming, Send, answer

CHALLENGE: Final[Header] = (b"www-authenticate", b'Bearer realm="ostiary"')


CODES: Final = {
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    503: "UNAVAILABLE",
}
"""The words for a status in the envelope; for all others it is ``INVALID_REQUEST``."""


class NotAllowed(Refusal):
    """``allow`` names the HTTP methods that this path has."""

    code, status, kind = -32600, 405, "not_allowed"

    def __init__(self, *allow: str) -> None:
        self.allow = ", ".join(allow)
        super().__init__(f"that HTTP method is not offered here; use {self.allow}")


async def write_refusal(
    incoming: Incoming, send: Send, refusal: Refusal, *, domain: str, request_id: str | int | None = None
) -> None:
    """Write ``refusal`` as the whole answer, with its HTTP status; nothing where nobody is left to read it."""
    if isinstance(refusal, CutOff):
        return
    known = getattr(refusal, "request_id", None) if request_id is None else request_id
    headers = (JSON, *PRIVATE, *_headers(refusal))
    ending = () if await incoming.leave() else (CLOSE,)
    await answer(send, refusal.status, _body(incoming, refusal, domain, known), (*headers, *ending))


def _body(incoming: Incoming, refusal: Refusal, domain: str, request_id: str | int | None) -> bytes:
    if domain == MAIN and isinstance(refusal, Unauthenticated):
        return msgspec.json.encode({"error": refusal.text})
    if domain == MAIN or not _is_enveloped(incoming, refusal):
        return jsonrpc.encode(jsonrpc.error_response(request_id, refusal))
    code = CODES.get(refusal.status, "INVALID_REQUEST")
    details = refusal.data if isinstance(refusal.data, dict) else {}
    return msgspec.json.encode({"error": {"code": code, "message": refusal.text, "details": details}})


def _is_enveloped(incoming: Incoming, refusal: Refusal) -> bool:
    """Whether it is told in the envelope of the management API: on servers of their own a fault of HTTP is, but to
    clients of the modern era only who may not come in. What is wrong with a message is a JSON-RPC error everywhere.
    """
    modern = incoming.headers.get("mcp-protocol-version", "") in MODERN_VERSIONS
    return refusal.status in (401, 403) or (refusal.status not in (200, 400) and not modern)


def _headers(refusal: Refusal) -> tuple[Header, ...]:
    if isinstance(refusal, Unauthenticated):
        return (CHALLENGE,)
    if isinstance(refusal, InsufficientScope):
        return ((CHALLENGE[0], scope_challenge(refusal).encode()),)
    if isinstance(refusal, NotAllowed):
        return ((b"allow", refusal.allow.encode()),)
    return retry_header(refusal)


def scope_challenge(refusal: InsufficientScope) -> str:
    """``WWW-Authenticate`` (RFC 6750 §3.1) for a token that lacks a scope."""
    return f'Bearer realm="ostiary", error="insufficient_scope", scope="{" ".join(refusal.scopes)}"'


def retry_header(refusal: Refusal | None) -> tuple[Header, ...]:
    """``Retry-After`` (seconds) for a refusal that names a time."""
    retry_after = getattr(refusal, "retry_after", None)
    return () if retry_after is None else ((b"retry-after", str(retry_after).encode()),)
