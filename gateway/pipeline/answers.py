"""What the gateway itself says in an answer: the texts of its refusals, and refusals told as tool results. Pure.

How a no is told (MCP knows no code for "the policy says no", and many clients give up on a JSON-RPC error):
- a tool that may never be called answers as one that does not exist: -32602, the same text for both;
- a ``tools/call`` that is denied for these arguments, breaks the schema, lacks a connection, or whose server
  behind us fails or gets no answer to what it asks, answers a result with ``isError``, so that the model reads why,
  but for one that comes by the management API: there the status of the HTTP answer tells it;
- everything else is a JSON-RPC error, with the code and the HTTP status of its class in ``errors.py``.
"""

from typing import Final, cast

from connectors.base import UpstreamError
from gateway.errors import (
    ConnectFirst,
    Denied,
    Fault,
    InvalidArguments,
    NotConnected,
    Refusal,
    Unanswered,
    Unavailable,
    Unknown,
    UnknownAction,
    UpstreamFailed,
)
from gateway.mcp.eras import RESOURCE_NOT_FOUND, error_to_client
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.terms import API, Call, Era, Kind, Params, Request
from gateway.policy.terms import Decision, Json

TOLD_AS_RESULT: Final = (Denied, InvalidArguments, NotConnected, Unanswered, UnknownAction, UpstreamFailed)


def unknown(call: Call) -> Unknown:
    """The same for what does not exist and for what the caller may never use."""
    if call.kind in (Kind.RESOURCE, Kind.TEMPLATE):
        code = RESOURCE_NOT_FOUND if call.era is Era.LEGACY else Unknown.code
        return Unknown("unknown resource", code=code, data={"uri": call.target})
    return Unknown(f"unknown {call.kind or 'target'}: {quoted(call.target)}")


def denied(decision: Decision, *, explain: bool) -> Denied:
    """``explain`` names the row that decided, for those who may know the policy."""
    text = "denied by policy"
    if explain and decision.access is not None:
        access = decision.access
        place = f"`{decision.rule.place}`" if decision.rule else "no rule allows it"
        asked = f"`{access.subject}`, `{access.domain}`, `{access.owner}`, `{access.object}`, `{access.action}`"
        text = f"{text}: {place} ({decision.reason.value}; asked: {asked}; policy {decision.version})"
    return Denied(text, decision)


def stale() -> Unavailable:
    return Unavailable("the policy could not be confirmed lately; try again later")


def fault(reference: str) -> Fault:
    """All that a client learns of a fault of ours; the log has the rest under the same reference."""
    return Fault(f"internal error (reference {reference})")


def is_told_as_result(call: Call, refusal: Refusal) -> bool:
    calls_a_tool = isinstance(call.message, Request) and call.message.method == "tools/call" and call.transport != API
    return calls_a_tool and isinstance(refusal, TOLD_AS_RESULT) and not isinstance(refusal, ConnectFirst)


def of_our_own(refusal: Refusal) -> Refusal:
    """A refusal by a tool of the gateway itself, as clients of such tools know it. What is unknown was named by a
    model, so it is told where models read.
    """
    told = UnknownAction(refusal.text, detail=refusal.detail) if isinstance(refusal, Unknown) else refusal
    if isinstance(told, TOLD_AS_RESULT):
        told.text = f"Error: {told.text}"
    return told


def as_result(refusal: Refusal) -> Params:
    """A refused ``tools/call`` as its result (MCP 2025-11-25, tools, error handling)."""
    text = f"{refusal.text} (reference {refusal.reference})"
    return {"content": [{"type": "text", "text": text}], "isError": True}


def in_era(error: UpstreamError, call: Call, reference: str) -> UpstreamError | Refusal:
    """What the server behind us answered, with the code that it has in the client's era."""
    if call.transport == API:
        refusal = UpstreamFailed(error.message)
        refusal.reference = reference
        return refusal
    told = error_to_client({"code": error.code, "message": error.message, "data": cast("Json", error.data)}, call)
    return UpstreamError(cast("int", told["code"]), str(told["message"]), told.get("data"))
