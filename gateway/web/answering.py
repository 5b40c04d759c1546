"""One request to its response, for every transport: within a session it can be cancelled, and its client be asked."""

import asyncio
from dataclasses import replace

from connectors.base import UpstreamError
from gateway.errors import Refusal
from gateway.mcp import eras, jsonrpc
from gateway.mcp.terms import Call, Era, Notification, Request, Response
from gateway.pipeline import Origin, Pipeline
from gateway.policy.terms import Subject
from gateway.sessions import Session, Sessions
from gateway.web.asgi import Gone
from gateway.web.callers import Listener, Words, client_of


async def respond(
    pipeline: Pipeline,
    sessions: Sessions,
    call: Call,
    request: Request,
    *,
    subject: Subject,
    origin: Origin,
    words: Words,
    session: Session | None,
) -> tuple[Response, Refusal | None]:
    """The response to a request; a refusal or an error of the server behind us becomes an error response.

    Within a session the request can be cancelled by its id; the answer then says so. When the client of
    a sessionless request has gone, raises ``Gone``.
    """
    task = asyncio.current_task()
    if session is not None and task is not None:
        session.enter(request, task)
    client = client_of(call, request, session, words)
    if call.era is Era.LEGACY:
        call = replace(call, message=eras.with_log_level(request, session.log_level if session else None))
    try:
        result = await pipeline.handle(call, subject, origin, client)
        if session is not None:
            sessions.succeeded(session, request)
        return Response(request.id, result=result), None
    except Refusal as refusal:
        return jsonrpc.error_response(request.id, refusal), refusal
    except UpstreamError as error:
        return jsonrpc.error_response(request.id, error), None
    except asyncio.CancelledError:
        if session is not None and request.id in session.cancelled and task is not None:
            task.uncancel()
            return jsonrpc.error_response(request.id, Refusal("the request was cancelled by its client")), None
        if session is None and call.era is Era.MODERN and task is not None and task.uncancel() == 0:
            raise Gone from None
        raise
    finally:
        client.end()
        if session is not None:
            session.leave(request)


async def accept(
    pipeline: Pipeline, call: Call, *, subject: Subject, origin: Origin, words: Words, session: Session | None
) -> None:
    """Take in what expects no response: a notification, or the answer to a question. Raises ``Refusal``."""
    message = call.message
    if session and isinstance(message, Notification) and message.method == "notifications/cancelled":
        session.cancel(message.params.get("requestId"))
    await pipeline.handle(call, subject, origin, Listener({}, words.say))
    if session and isinstance(message, Response):
        session.questions.settle(message)
