"""What a server may ask of a client while a request runs, and what a client has said that it can be asked.

Capabilities are never invented: what a client did not declare in so many words, nobody declares for it. This file
knows how questions and capabilities are spelled; it must not know who asks, nor how a question travels.
"""

from typing import Final

from gateway.mcp.terms import Params
from gateway.policy.terms import Json

SAMPLING: Final = "sampling/createMessage"
ELICITATION: Final = "elicitation/create"
ROOTS: Final = "roots/list"
QUESTIONS: Final = frozenset({SAMPLING, ELICITATION, ROOTS})

ELICITATION_COMPLETE: Final = "notifications/elicitation/complete"

ASKING: Final = frozenset({"tools/call", "prompts/get", "resources/read"})
"""The requests during which a server may ask."""

TASKS: Final = "io.modelcontextprotocol/tasks"
_EXTENSIONS: Final = (TASKS,)
_MODES: Final = ("form", "url")
_SAMPLING_WITH: Final = ("context", "tools")


def relayable(capabilities: Params) -> Params:
    """What of ``capabilities`` (a client's) a gateway can declare to a server of its own: the questions that it can
    bring to the client. A client's news of changed roots is not among them.
    """
    found: Params = {}
    if isinstance(capabilities.get("roots"), dict):
        found["roots"] = {}
    sampling, elicitation = capabilities.get("sampling"), capabilities.get("elicitation")
    if isinstance(sampling, dict):
        found["sampling"] = _words(sampling, _SAMPLING_WITH)
    if isinstance(elicitation, dict) and (modes := _modes(elicitation)):
        # spelled as every revision reads it: before there were modes, there were forms only
        found["elicitation"] = {} if list(modes) == ["form"] else modes
    return found


def relayable_modern(capabilities: Params) -> Params:
    """As ``relayable``, with the extensions that each request of the modern era declares for itself."""
    extensions = capabilities.get("extensions")
    kept = _words(extensions, _EXTENSIONS) if isinstance(extensions, dict) else {}
    return relayable(capabilities) | ({"extensions": kept} if kept else {})


def words_of(capabilities: Params) -> frozenset[str]:
    """The relayable capabilities as a set of words (``sampling``, ``sampling.tools``, ``elicitation.url``, …)."""
    found = relayable(capabilities)
    return frozenset(found) | {
        f"{name}.{word}" for name, given in found.items() if isinstance(given, dict) for word in given
    }


def lacking(method: str, params: Params, capabilities: Params) -> Params:
    """The capabilities that the question needs and the client has not declared, in the form of MCP's
    ``requiredCapabilities``; empty when it can be asked.
    """
    name, word = _needed(method, params)
    given = capabilities.get(name)
    if not isinstance(given, dict):
        return {name: {word: {}} if word else {}}
    has = _modes(given) if name == "elicitation" else given
    return {} if not word or isinstance(has.get(word), dict) else {name: {word: {}}}


def _needed(method: str, params: Params) -> tuple[str, str]:
    """The capability that a question needs, and which part of it."""
    if method == SAMPLING:
        return "sampling", "tools" if "tools" in params or "toolChoice" in params else ""
    if method == ELICITATION:
        return "elicitation", str(params.get("mode", "form"))
    return method.partition("/")[0], ""


def _modes(elicitation: Params) -> Params:
    """An empty capability is the form of it that is older than the modes (MCP 2025-11-25, elicitation)."""
    return _words(elicitation, _MODES) if elicitation else {"form": {}}


def _words(given: Params, known: tuple[str, ...]) -> Params:
    found: dict[str, Json] = {word: {} for word in known if isinstance(given.get(word), dict)}
    return found
