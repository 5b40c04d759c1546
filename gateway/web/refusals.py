"""How a refusal that never became an answer is told over HTTP.

A missing or wrong credential is told in the form that clients of each path expect; everything else
is a JSON-RPC error, because a client of the modern era takes any other body for an old server.
"""

from typing import Final

import msgspec

from gateway.errors import Refusal, Unauthenticated
from gateway.mcp import jsonrpc
from gateway.policy.terms import MAIN
from gateway.web.asgi import CLOSE, JSON, NO_STORE, CutOff, Header, Incoming, Send, answer

CHALLENGE: Final[Header] = (b"www-authenticate", b'Bearer realm="ostiary"')


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
    headers = (JSON, NO_STORE, *_headers(refusal))
    ending = () if await incoming.leave() else (CLOSE,)
    await answer(send, refusal.status, _body(refusal, domain, known), (*headers, *ending))


def _body(refusal: Refusal, domain: str, request_id: str | int | None) -> bytes:
    if not isinstance(refusal, Unauthenticated):
        return jsonrpc.encode(jsonrpc.error_response(request_id, refusal))
    if domain == MAIN:
        return msgspec.json.encode({"error": refusal.text})
    return msgspec.json.encode({"error": {"code": "UNAUTHORIZED", "message": refusal.text}})


def _headers(refusal: Refusal) -> tuple[Header, ...]:
    if isinstance(refusal, Unauthenticated):
        return (CHALLENGE,)
    if isinstance(refusal, NotAllowed):
        return ((b"allow", refusal.allow.encode()),)
    return retry_header(refusal)


def retry_header(refusal: Refusal | None) -> tuple[Header, ...]:
    """``Retry-After`` (seconds) for a refusal that names a time."""
    retry_after = getattr(refusal, "retry_after", None)
    return () if retry_after is None else ((b"retry-after", str(retry_after).encode()),)
