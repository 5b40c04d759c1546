"""What the answer to one of our requests means: a result, an error of the server's own, or a failure.

Pure: it takes what came and says what it is. It must not know how it came, nor who waits for it.
"""

from connectors.base import UpstreamError
from connectors.transport import HttpAnswer
from gateway.errors import UpstreamFailed
from gateway.mcp.jsonrpc import PARSE_ERROR
from gateway.mcp.questions import ASKING, TASKS
from gateway.mcp.terms import Params, Response
from gateway.policy.terms import Json


class Unheard(UpstreamFailed):
    """The server cannot have acted on the request: it may be sent again on a new session."""


def result_of(response: Response, name: str, method: str, capabilities: Params, *, modern: bool) -> Params:
    """The result of a ``response`` that holds no error; a modern server may ask for input instead, or (where the
    client declared that it understands) give a task. Raises ``UpstreamFailed``.
    """
    if not isinstance(response.result, dict):
        raise UpstreamFailed(f"upstream `{name}` answered without a result object")
    kind = response.result.get("resultType", "complete")
    if not modern:  # a word that its era does not know, and that nobody must take for more
        return {key: value for key, value in response.result.items() if key != "resultType"}
    if kind == "complete" or _fits(kind, method, capabilities):
        return response.result
    raise UpstreamFailed(f"upstream `{name}` answered with a kind of result that nobody asked for")


def error_of(error: Params, name: str) -> UpstreamFailed | UpstreamError:
    """What a JSON-RPC error is."""
    code, data = error.get("code"), error.get("data")
    if type(code) is not int or code == PARSE_ERROR:
        return UpstreamFailed(f"upstream `{name}` answered garbage", detail=_text(error))
    return UpstreamError(code, _text(error), data)


def judged(answer: HttpAnswer, name: str, *, modern: bool) -> UpstreamFailed | UpstreamError:
    """What an HTTP status 4xx or 5xx is; ``Unheard`` when a legacy server does not know the session any more."""
    error = answer.message.error if answer.message is not None else None
    if answer.status in (401, 403):
        return UpstreamFailed(f"upstream `{name}` refused the gateway's credential (HTTP {answer.status})")
    if not modern and (answer.status == 404 or (answer.status == 400 and "session" in _text(error).lower())):
        return Unheard(f"upstream `{name}` has forgotten the session")
    if error is not None:
        return error_of(error, name)
    return UpstreamFailed(f"upstream `{name}` answered HTTP {answer.status}")


def _fits(kind: Json, method: str, capabilities: Params) -> bool:
    """Whether a modern server may give such an unfinished result to this request."""
    if kind == "input_required":
        return method in ASKING
    extensions = capabilities.get("extensions")
    return kind == "task" and method == "tools/call" and isinstance(extensions, dict) and TASKS in extensions


def _text(error: Params | None) -> str:
    message = error.get("message") if error is not None else None
    return message if isinstance(message, str) else ""
