"""Which arguments of a tool travel in HTTP headers too (``x-mcp-header``, MCP 2026-07-28, transports).

Pure: from a tool's schema to the places, from the arguments to the texts. A server may only ever make
its own arguments be repeated to itself, under names that begin with ``Mcp-Param-``.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from gateway.policy.terms import Json

Places: TypeAlias = Mapping[tuple[str, ...], str]
"""Path of an argument → what stands behind ``Mcp-Param-``."""

MAX_DEPTH: Final = 16

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_TYPES: Final = ("string", "integer", "boolean")


def places(schema: Json) -> Places:
    """The annotated properties of ``schema``; of two that would share a header neither is repeated."""
    found = list(_annotated(schema, ()))
    names = [token.lower() for _, token in found]
    return {path: token for path, token in found if names.count(token.lower()) == 1}


def repeated(where: Places, arguments: Json) -> dict[str, str]:
    """The header texts of a call with ``arguments``, by what stands behind ``Mcp-Param-``."""
    texts = {token: _text(_at(arguments, path)) for path, token in where.items()}
    return {token: text for token, text in texts.items() if text is not None}


def _annotated(schema: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if not isinstance(schema, dict) or len(path) > MAX_DEPTH:
        return
    token = schema.get("x-mcp-header")
    if path and isinstance(token, str) and _TOKEN.fullmatch(token) and schema.get("type") in _TYPES:
        yield path, token
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name, below in properties.items():
            yield from _annotated(below, (*path, name))


def _at(arguments: Json, path: tuple[str, ...]) -> Json:
    for name in path:
        if not isinstance(arguments, dict):
            return None
        arguments = arguments.get(name)
    return arguments


def _text(value: Json) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None
