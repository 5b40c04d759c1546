"""What a platform answered, cut to a size that a model can read. Pure: a result in, a result out.

A list that is long is shown in part, one that is very long by samples and with advice how to ask for less; texts and
depth are bounded. What is left out is always said. This file knows no server and no policy.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias, cast

import msgspec

from gateway.mcp.terms import Params
from gateway.policy.terms import Json

SHOWN: Final = 25
"""Items of a list that are shown; a list of fewer is shown whole."""

MANY: Final = 50
"""A list of more items than that is shown by samples alone."""

SAMPLES: Final = 2

LONGEST: Final = 5 * 1024
"""Bytes of a text, in UTF-8."""

DEEPEST: Final = 10
"""Levels of objects and lists within each other; the whole answer is the first."""

NAMED: Final = 10
"""Arguments of an action that are named as ways to ask for less."""

ELLIPSIS: Final = "…"
TOO_DEEP: Final = f"{ELLIPSIS} (left out: more than {DEEPEST} levels deep)"

_Path: TypeAlias = tuple[str, ...]


def shaped(result: Params, parameters: Iterable[str] = ()) -> Params:
    """``result`` of a call of an action that takes ``parameters``, with its JSON cut; the very same where nothing is to
    be cut, and where it tells a failure. What else is said in it stays.
    """
    content = cast("Sequence[Params]", result.get("content") or ())
    if result.get("isError") is True or not content or not isinstance(text := content[0].get("text"), str):
        return result
    value = _read(result.get("structuredContent", text))
    if value is _NOT_JSON:
        cut = _cut(text)
        return result if cut == text else {**result, "content": [{**content[0], "text": cut}, *content[1:]]}
    answer = _answer(value, tuple(parameters)[:NAMED])
    if answer == value:
        return result
    told = {**content[0], "text": msgspec.json.encode(answer).decode()}
    structured: Params = {"structuredContent": answer} if isinstance(answer, dict) else {}
    return {**result, "content": [told, *content[1:]], **structured}


_NOT_JSON: Final = object()


def _read(shown: Json) -> object:
    """The value that ``shown`` is, or of which it is the text."""
    if not isinstance(shown, str):
        return shown
    try:
        return msgspec.json.decode(shown)
    except (msgspec.DecodeError, RecursionError):
        return _NOT_JSON


def _answer(value: object, parameters: Sequence[str]) -> Json:
    path, items = _longest(value)
    if len(items) < SHOWN:
        return _bounded(value)
    if len(items) > MANY:
        return _refine(items, parameters)
    metadata: Params = {
        "originalCount": len(items),
        "displayedCount": SHOWN,
        "truncated": len(items) > SHOWN,
        "paginationHint": _hint(len(items), parameters),
    }
    if path:
        metadata["list"] = ".".join(path)
    return {"data": _bounded(_with(value, path, items[:SHOWN])), "metadata": metadata}


def _longest(value: object, path: _Path = ()) -> tuple[_Path, list[Json]]:
    """The longest list that stands in no other one, and where; of equal ones the first."""
    if isinstance(value, list):
        return path, value
    if not isinstance(value, dict) or len(path) >= DEEPEST - 1:
        return path, []
    found = (_longest(each, (*path, key)) for key, each in value.items())
    return max(found, key=lambda each: len(each[1]), default=(path, []))


def _with(value: object, path: _Path, items: list[Json]) -> object:
    """``value`` with ``items`` at ``path``."""
    if not path:
        return items
    inner = cast("Params", value)
    return {**inner, path[0]: _with(inner[path[0]], path[1:], items)}


def _refine(items: Sequence[Json], parameters: Sequence[str]) -> Params:
    return {
        "needsRefinement": True,
        "message": f"the answer has {len(items)} items, which are too many to show; {SAMPLES} of them are samples",
        "guidance": "ask for less: an answer of at most 50 items is shown",
        "suggestions": [f"narrow it with `{each}`" for each in parameters] or ["use an action that asks for less"],
        "searchInstructions": "filter or search with the arguments of this action, or ask for smaller pages; the "
        "samples show what an item looks like",
        "samples": _bounded(items[:SAMPLES]),
    }


def _hint(count: int, parameters: Sequence[str]) -> str:
    if count == SHOWN:
        return f"all {count} items are shown"
    ways = ", ".join(f"`{each}`" for each in parameters)
    return f"the first {SHOWN} of {count} items are shown; ask for the others apart" + (ways and f", with {ways}")


def _bounded(value: object, level: int = 1) -> Json:
    """``value`` with its texts cut, and without what is too deep."""
    if isinstance(value, str):
        return _cut(value)
    if not isinstance(value, dict | list) or not value:
        return cast("Json", value)
    if level > DEEPEST:
        return TOO_DEEP
    if isinstance(value, list):
        return [_bounded(each, level + 1) for each in value]
    return {key: _bounded(each, level + 1) for key, each in value.items()}


def _cut(text: str) -> str:
    if len(text) * 4 <= LONGEST or len(content := text.encode()) <= LONGEST:
        return text
    return content[:LONGEST].decode(errors="ignore") + ELLIPSIS
