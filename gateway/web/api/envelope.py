"""What all routes of the API have in common: who asks, how a body is read, how an answer and a refusal are told.

A refusal is ``{"error": {"code", "message", "details"}}`` with one of the codes below. No cookie counts here, so that
no page of somebody else can act for who has one open.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from quart import Response, request

from gateway.connections.terms import BadInputs, FlowRefused, Why
from gateway.errors import (
    Denied,
    InvalidArguments,
    Limited,
    Malformed,
    NotConnected,
    Refusal,
    Unauthenticated,
    Unavailable,
    Unknown,
    UpstreamFailed,
)
from gateway.identity import offered
from gateway.pipeline import Origin, Pipeline
from gateway.policy.terms import MAIN, Json, Subject

B = TypeVar("B", bound=msgspec.Struct)

CODES: Final[tuple[tuple[type[Refusal], str, int], ...]] = (
    (Unauthenticated, "UNAUTHORIZED", 401),
    (Denied, "FORBIDDEN", 403),
    (FlowRefused, "FORBIDDEN", 403),
    (Unknown, "NOT_FOUND", 404),
    (Malformed, "INVALID_REQUEST", 400),
    (InvalidArguments, "INVALID_REQUEST", 400),
    (BadInputs, "INVALID_REQUEST", 400),
    (Limited, "RATE_LIMITED", 429),
    (NotConnected, "CREDENTIAL_NOT_FOUND", 400),
    (UpstreamFailed, "UPSTREAM_FAILED", 502),
    (Unavailable, "UNAVAILABLE", 503),
)
FAULT: Final = ("INTERNAL_ERROR", 500)

_NOT_FOUND: Final = (Why.NO_SUCH_CODE, Why.NO_SUCH_LINK)
_TOO_LATE: Final = (Why.USED, Why.EXPIRED)


@dataclass(frozen=True, slots=True)
class Knock:
    """Who asks, and from where."""

    subject: Subject
    origin: Origin


@dataclass(frozen=True, slots=True)
class Route:
    """One route: ``act`` answers who knocks. A refusal is told in the envelope, and has its audit entry, under
    ``method`` where it came before any operation.
    """

    pipeline: Pipeline
    method: str
    act: Callable[..., Awaitable[Response]]
    accept_query: bool

    async def answer(self, **named: str) -> Response:
        """``named`` is what the path names."""
        origin = Origin(request.remote_addr or "", "api", request.headers.get("user-agent", "")[:200])
        subject: Subject | None = None
        try:
            subject = self._subject()
            return await self.act(Knock(subject, origin), **named)
        except Refusal as refusal:
            await self.pipeline.refuse(refusal, origin, domain=MAIN, subject=subject, method=self.method)
            return refused(refusal)

    def _subject(self) -> Subject:
        """Who sent this request. Raises ``Unauthenticated``, ``Unavailable``."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
        return self.pipeline.identify(offered(headers, request.query_string, accept_query=self.accept_query))


async def body(kind: type[B]) -> B:
    """The body of this request. Raises ``Malformed``."""
    raw = await request.get_data()
    try:
        json.loads(raw or b"{}", object_pairs_hook=_once)
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body cannot be used: {error}") from None


def _once(pairs: list[tuple[str, Json]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice in one object; send it once")


def told(answer: "Json | Mapping[str, Json]", status: int = 200) -> Response:
    """An answer that nobody keeps."""
    return Response(
        msgspec.json.encode(answer),
        status,
        {"content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff"},
    )


def refused(refusal: Refusal) -> Response:
    """``refusal`` in the envelope."""
    code, status = _code(refusal)
    error: dict[str, Json] = {"code": code, "message": refusal.text, "details": _details(refusal)}
    response = told({"error": error}, status)
    if isinstance(refusal, Unauthenticated):
        response.headers["www-authenticate"] = 'Bearer realm="ostiary"'
    if isinstance(refusal, Limited):
        response.headers["retry-after"] = str(refusal.retry_after)
    return response


def _code(refusal: Refusal) -> tuple[str, int]:
    if isinstance(refusal, FlowRefused) and refusal.why in _NOT_FOUND:
        return "NOT_FOUND", 404
    if isinstance(refusal, FlowRefused) and refusal.why in _TOO_LATE:
        return "INVALID_REQUEST", 400
    return next(((code, status) for kind, code, status in CODES if isinstance(refusal, kind)), FAULT)


def _details(refusal: Refusal) -> dict[str, Json]:
    details: dict[str, Json] = {"reference": refusal.reference} if refusal.reference else {}
    if isinstance(refusal, FlowRefused):
        details["reason"] = refusal.why.value
    if isinstance(refusal, BadInputs):
        details["fields"] = dict(refusal.fields)
    if isinstance(refusal, Limited):
        details["retryAfter"] = refusal.retry_after
    return details
