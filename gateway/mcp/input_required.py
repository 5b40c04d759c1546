"""What a server asks of the client in the middle of a request, in the shapes of both eras.

A legacy server sends requests of its own (MCP 2025-11-25: sampling, elicitation, roots); a modern one answers with a
result that is not complete yet, and is sent the request once more with the answers (MCP 2026-07-28, multi round-trip
requests). Here belongs how both, and the answers, are read and written; ``questions.py`` knows the kinds of questions.
This file knows no connection, and not who is asked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from gateway.errors import Malformed, UpstreamFailed
from gateway.mcp import questions
from gateway.mcp.calls import INVALID_PARAMS
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.questions import ELICITATION, QUESTIONS, SAMPLING
from gateway.mcp.terms import META_KEYS, Params
from gateway.policy.terms import Json

INPUT_REQUIRED: Final = "input_required"

MOST: Final = 64
"""What may be asked at a time."""

ANSWERS: Final = 4 * MOST
"""What may be answered at a time; the answers that nobody asked for are ignored."""

MAX_KEY: Final = 256
MAX_STATE: Final = 256 * 1024
"""Characters of a question's name, and bytes that a server may have its client keep for it."""

MAX_SEALED: Final = 2 * MAX_STATE
"""Characters that we may have ours keep for us: the server's, our own words about it, and the seal."""

ACTIONS: Final = ("accept", "decline", "cancel")
ROLES: Final = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class Question:
    method: str
    params: Params

    @property
    def by_url(self) -> bool:
        return self.method == ELICITATION and self.params.get("mode") == "url"


@dataclass(frozen=True, slots=True)
class InputRequired:
    """What has to be answered before a request can be completed, and what the server has the client keep until then.
    ``more`` is whatever else the server said.
    """

    questions: Mapping[str, Question]
    state: str | None
    more: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replies:
    """What a client sends when it asks again."""

    answers: Mapping[str, Params]
    state: str | None


# -- questions


def question(method: str, params: Json) -> Question:
    """Raises ``ValueError`` with a sentence."""
    if method not in QUESTIONS:
        raise ValueError(f"{quoted(method)} is nothing that a client can be asked")
    if not isinstance(params, dict):
        raise ValueError(f"the parameters of {quoted(method)} are not an object")  # noqa: TRY004 (told like the rest)
    return Question(method, params)


def lacking(asked: Iterable[Question], declared: Params) -> Params:
    """The capabilities that a client would have to declare besides, ``{}`` when it may be asked all this."""
    needed: dict[str, Json] = {}
    for each in asked:
        for word, modes in questions.lacking(each.method, each.params, declared).items():
            needed[word] = cast("Params", needed.get(word, {})) | cast("Params", modes)
    return needed


def required_of(data: object) -> Params:
    """The capabilities of which a server said that it cannot do without; ``{}`` when it named none, or one that no
    client could declare to it through us.
    """
    required = data.get("requiredCapabilities") if isinstance(data, dict) else None
    told = cast("Params", required) if isinstance(required, dict) else {}
    return told if questions.relayable_modern(told).keys() == told.keys() else {}


def in_modern(asked: Question) -> Question:
    """``asked`` by a legacy server, for a modern client: without what belongs to the one connection or to sessions."""
    cut = ("elicitationId", "task")
    return Question(asked.method, bare({key: value for key, value in asked.params.items() if key not in cut}))


def in_legacy(asked: Question, elicitation: str) -> Question:
    """``asked`` by a modern server, for a legacy client, which demands an id of what is elicited by URL."""
    own: Params = {"elicitationId": elicitation} if asked.by_url else {}
    return Question(asked.method, bare({**asked.params, **own}))


def by_urls(data: object) -> dict[str, Question]:
    """The elicitations that the data of error -32042 (MCP 2025-11-25) demands, for a modern client; ``{}`` when they
    cannot be read.
    """
    listed = data.get("elicitations") if isinstance(data, dict) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST:
        return {}
    read = [Question(ELICITATION, {**each, "mode": "url"}) for each in listed if _is_by_url(each)]
    return {f"url-{n}": in_modern(each) for n, each in enumerate(read, 1)} if len(read) == len(listed) else {}


def _is_by_url(value: object) -> bool:
    if not isinstance(value, dict) or value.get("mode", "url") != "url":
        return False
    return isinstance(value.get("url"), str) and isinstance(value.get("message"), str)


def bare(params: Params) -> Params:
    """``params`` without what one hop says of itself in ``_meta``."""
    meta = params.get("_meta")
    kept = {key: value for key, value in meta.items() if key not in META_KEYS} if isinstance(meta, dict) else {}
    rest = {key: value for key, value in params.items() if key != "_meta"}
    return {**rest, "_meta": kept} if kept else rest


# -- results that ask


def asks(result: Params) -> bool:
    return result.get("resultType") == INPUT_REQUIRED


def read(result: Params) -> InputRequired:
    """What a modern server asks. Raises ``UpstreamFailed`` for what no client could make sense of."""
    requests, state = result.get("inputRequests"), result.get("requestState")
    requests = {} if requests is None else requests
    if not isinstance(requests, dict) or not isinstance(state, str | None) or (not requests and state is None):
        raise UpstreamFailed("the server asks for input and does not say for which")
    if len(requests) > MOST or any(len(key) > MAX_KEY for key in requests) or len((state or "").encode()) > MAX_STATE:
        raise UpstreamFailed("the server asks for more input at once than can be passed on")
    cut = ("resultType", "inputRequests", "requestState")
    more = {key: value for key, value in result.items() if key not in cut}
    return InputRequired({key: _asked(each) for key, each in requests.items()}, state, more)


def written(asked: InputRequired) -> Params:
    """The result that asks this of a modern client; its ``_meta`` is the server's own."""
    told = dict(asked.more)
    told["resultType"] = INPUT_REQUIRED
    if asked.questions:
        told["inputRequests"] = requests(asked.questions)
    if asked.state is not None:
        told["requestState"] = asked.state
    return told


def requests(questions: Mapping[str, Question]) -> Params:
    """``inputRequests``."""
    return {key: _request(each) for key, each in questions.items()}


def _asked(value: Json) -> Question:
    try:
        request = value if isinstance(value, dict) else {}
        asked = question(str(request.get("method")), request.get("params", {}))
        return Question(asked.method, bare(asked.params))
    except ValueError as unreadable:
        raise UpstreamFailed(f"the server asks for input that cannot be passed on: {unreadable}") from None


def _request(asked: Question) -> Params:
    return {"method": asked.method, "params": asked.params} if asked.params else {"method": asked.method}


# -- answers


def replies(params: Params) -> Replies:
    """What a modern client sends besides its request. Raises ``Malformed``."""
    answers, state = params.get("inputResponses", {}), params.get("requestState")
    if not isinstance(answers, dict) or len(answers) > ANSWERS:
        raise malformed(f"`inputResponses` must be an object with at most {ANSWERS} answers")
    for key, answer in answers.items():
        if not isinstance(answer, dict):
            raise malformed(f"`inputResponses`: {quoted(key)} must be an object")
    if state is not None and not (isinstance(state, str) and len(state) <= MAX_SEALED):
        raise malformed(f"`requestState` must be a string of at most {MAX_SEALED} characters")
    return Replies(cast("dict[str, Params]", answers), state)


def chosen(answers: Mapping[str, Params], asked: Mapping[str, str]) -> dict[str, Params]:
    """Those of ``answers`` that were asked for (key → method of the question), as they go to the server. Raises
    ``Malformed`` when one of them answers something else.
    """
    found = {key: bare(answer) for key, answer in answers.items() if key in asked}
    for key, answer in found.items():
        if problem := problem_of(answer, asked[key]):
            raise malformed(f"`inputResponses`: {quoted(key)} does not answer `{asked[key]}`: {problem}")
    return found


def problem_of(answer: Params, method: str) -> str:
    """Why ``answer`` cannot be one to a question of this kind, as a sentence, or ``""``."""
    if method == ELICITATION:
        return _problem_of_elicited(answer)
    return _problem_of_sampled(answer) if method == SAMPLING else _problem_of_roots(answer)


def retried(params: Params, answers: Mapping[str, Params], state: str | None) -> Params:
    """``params`` of a request once more, with what its server asked for."""
    told = dict(params)
    if answers:
        told["inputResponses"] = dict(answers)
    if state is not None:
        told["requestState"] = state
    return told


def malformed(text: str) -> Malformed:
    return Malformed(f"`params`: {text}", code=INVALID_PARAMS)


def _problem_of_elicited(answer: Params) -> str:
    if answer.get("action") not in ACTIONS:
        return f"`action` must be one of {', '.join(ACTIONS)}"
    return "" if isinstance(answer.get("content", {}), dict) else "`content` must be an object"


def _problem_of_sampled(answer: Params) -> str:
    if answer.get("role") not in ROLES:
        return f"`role` must be one of {', '.join(ROLES)}"
    if not isinstance(answer.get("model"), str):
        return "`model` must be a string"
    return "" if isinstance(answer.get("content"), dict | list) else "`content` must be an object or a list"


def _problem_of_roots(answer: Params) -> str:
    roots = answer.get("roots")
    named = isinstance(roots, list) and all(
        isinstance(each, dict) and isinstance(each.get("uri"), str) for each in roots
    )
    return "" if named else "`roots` must be a list of objects with a string `uri`"
