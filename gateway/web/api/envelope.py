"""How an answer and a refusal of the management API are told.

A refusal is ``{"error": {"code", "message", "details"}}`` with one of the codes below, and beside it the members of
problem details (RFC 9457). No cookie counts here, so that
no page of somebody else can act for who has one open.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from quart import Response, request

from gateway.connections.terms import BadInputs, FlowRefused, Why
from gateway.errors import (
    Conflict,
    Denied,
    Forbidden,
    InsufficientScope,
    InvalidArguments,
    Limited,
    Malformed,
    NotConnected,
    Refusal,
    Unauthenticated,
    Unavailable,
    Unknown,
    UnknownAction,
    UnknownConnector,
    UpstreamFailed,
)
from gateway.policy.terms import Json
from gateway.web.refusals import scope_challenge

NONE: Final[Mapping[str, str]] = {}
HEADERS: Final[Mapping[str, str]] = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

CODES: Final[tuple[tuple[type[Refusal], str, int], ...]] = (
    (Unauthenticated, "UNAUTHORIZED", 401),
    (Forbidden, "FORBIDDEN", 403),
    (Denied, "FORBIDDEN", 403),
    (FlowRefused, "FORBIDDEN", 403),
    (UnknownConnector, "CONNECTOR_NOT_FOUND", 404),
    (UnknownAction, "ACTION_NOT_FOUND", 404),
    (Unknown, "NOT_FOUND", 404),
    (Conflict, "CONFLICT", 409),
    (Malformed, "INVALID_REQUEST", 400),
    (InvalidArguments, "INVALID_REQUEST", 400),
    (BadInputs, "INVALID_REQUEST", 400),
    (Limited, "RATE_LIMITED", 429),
    (NotConnected, "CREDENTIAL_NOT_FOUND", 400),
    (UpstreamFailed, "UPSTREAM_FAILED", 502),
    (Unavailable, "UNAVAILABLE", 503),
)
FAULT: Final = ("INTERNAL_ERROR", 500)
PROBLEM: Final = "application/problem+json"

_NOT_FOUND: Final = (Why.NO_SUCH_CODE, Why.NO_SUCH_LINK)
_TOO_LATE: Final = (Why.USED, Why.EXPIRED)


class ErrorTold(msgspec.Struct, frozen=True):
    """``details`` can have the `reference` of the audit entry, `retryAfter` in seconds, `problems`, `fields`."""

    code: str
    message: str
    details: dict[str, Any]


class ProblemTold(msgspec.Struct, frozen=True, kw_only=True):
    """What every refusal says."""

    error: ErrorTold
    type: str = "about:blank"
    title: str
    status: int
    detail: str


def told(answer: "msgspec.Struct | Json", status: int = 200, headers: Mapping[str, str] = NONE) -> Response:
    """An answer that nobody keeps."""
    return Response(msgspec.json.encode(answer), status, {**HEADERS, **headers})


def refused(refusal: Refusal) -> Response:
    """``refusal`` in the envelope; as problem details where the request accepts these."""
    code, status = _code(refusal)
    return _with_headers(refusal, problem(code, status, refusal.text, _details(refusal)))


def problem(code: str, status: int, text: str, details: Mapping[str, Json] = NONE) -> Response:
    """One refusal, told. Knows the request by its ``Accept`` alone."""
    error = ErrorTold(code, text, dict(details))
    asked = PROBLEM in request.headers.get("accept", "")
    answer = ProblemTold(error=error, title=HTTPStatus(status).phrase, status=status, detail=text)
    return told(answer, status, {"content-type": PROBLEM} if asked else NONE)


def _with_headers(refusal: Refusal, response: Response) -> Response:
    if isinstance(refusal, Unauthenticated):
        response.headers["www-authenticate"] = 'Bearer realm="ostiary"'
    if isinstance(refusal, InsufficientScope):
        response.headers["www-authenticate"] = scope_challenge(refusal)
    if isinstance(refusal, Limited):
        response.headers["retry-after"] = str(refusal.retry_after)
    return response


def _code(refusal: Refusal) -> tuple[str, int]:
    if isinstance(refusal, FlowRefused) and refusal.why in _NOT_FOUND:
        return "NOT_FOUND", 404
    if isinstance(refusal, FlowRefused) and refusal.why in _TOO_LATE:
        return "INVALID_REQUEST", 400
    if isinstance(refusal, Malformed | Conflict):
        return next(code for kind, code, _ in CODES if isinstance(refusal, kind)), refusal.status
    return next(((code, status) for kind, code, status in CODES if isinstance(refusal, kind)), FAULT)


def _details(refusal: Refusal) -> dict[str, Json]:
    details: dict[str, Json] = {"reference": refusal.reference} if refusal.reference else {}
    if isinstance(refusal, FlowRefused):
        details["reason"] = refusal.why.value
    if isinstance(refusal, InvalidArguments) and isinstance(refusal.data, dict):
        details |= refusal.data
    if isinstance(refusal, BadInputs):
        details["fields"] = dict(refusal.fields)
    if isinstance(refusal, Limited):
        details["retryAfter"] = refusal.retry_after
    return details
