"""Which arguments of a tool travel in HTTP headers too (``x-mcp-header``, MCP 2026-07-28, transports).

From a tool's schema to the places, compiled once for each tool; from the arguments to the texts, which go up; and
from the headers of a call to a sentence about what does not agree with its body. A server may only ever make its
own arguments be repeated to itself, under names that begin with ``Mcp-Param-``. Pure: this file knows no connection.
"""

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from gateway.mcp.calls import decoded
from gateway.mcp.jsonrpc import quoted
from gateway.policy.terms import Json

Path: TypeAlias = tuple[str, ...]

Places: TypeAlias = Mapping[Path, str]
"""Path of an argument → what stands behind ``Mcp-Param-``."""

SAFE: Final = 2**53 - 1
"""The largest integer that every client can read."""

_KEY: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_TYPES: Final = ("string", "integer", "boolean")
_INTEGER: Final = re.compile(r"(-?[0-9]{1,32})(?:\.0{1,32})?")

_MAPS: Final = ("patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions")
_SCHEMAS: Final = (
    *("items", "prefixItems", "additionalItems", "contains", "unevaluatedItems", "additionalProperties"),
    *("propertyNames", "unevaluatedProperties", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    "contentSchema",
)


def places(schema: Json) -> Places:
    """The arguments that headers repeat; none when a client has to refuse the whole tool (``fault``)."""
    return {path: str(each[_KEY]) for path, each in _annotated(schema) if path} if not fault(schema) else {}


def fault(schema: Json) -> str:
    """Why a client has to refuse the tool with this schema, as a sentence; ``""`` when its declarations are valid."""
    names: set[str] = set()
    for path, each in _annotated(schema):
        if not path:
            return f"`{_KEY}` stands where no argument is named by `properties` alone"
        if problem := _problem(each, names):
            return f"`{_KEY}` at {quoted('.'.join(path))} {problem}"
        names.add(str(each[_KEY]).lower())
    return ""


def repeated(where: Places, arguments: Json) -> dict[str, str]:
    """The header texts of a call with ``arguments``, by what stands behind ``Mcp-Param-``."""
    texts = {token: _text(_at(arguments, path)) for path, token in where.items()}
    return {token: text for token, text in texts.items() if text is not None}


def disagreement(where: Places, arguments: Json, headers: Mapping[str, str]) -> str:
    """What of ``headers`` (by what stands behind ``Mcp-Param-``, in lower case) is not what ``arguments`` say, as a
    sentence; ``""`` when all of it is. Headers that repeat nothing here are nobody's concern.
    """
    for path, token in where.items():
        value, said = _at(arguments, path), headers.get(token.lower())
        if _text(value) is None and said is None:
            continue
        if not _agrees(value, decoded(said)):
            wanted = "must be given once, as in the arguments" if _text(value) is not None else "repeats no argument"
            return f"Mcp-Param-{token}: {wanted}"
    return ""


def _annotated(root: Json) -> Iterator[tuple[Path | None, dict[str, Json]]]:
    """Every part of the schema ``root`` that has an annotation, with the path of the argument that it describes;
    without one where more than ``properties`` leads to it. Values that are no schemas are not looked into.
    """
    waiting: list[tuple[Path | None, Json]] = [((), root)]
    while waiting:
        path, schema = waiting.pop()
        if isinstance(schema, list):
            waiting += [(None, each) for each in schema]
        if not isinstance(schema, dict):
            continue
        if _KEY in schema:
            yield path, schema
        properties = schema.get("properties")
        if isinstance(properties, dict):
            waiting += [(None if path is None else (*path, name), each) for name, each in properties.items()]
        waiting += [
            (None, each) for key in _MAPS if isinstance(found := schema.get(key), dict) for each in found.values()
        ]
        waiting += [(None, schema[key]) for key in _SCHEMAS if key in schema]


def _problem(schema: dict[str, Json], names: AbstractSet[str]) -> str:
    """What is wrong with one annotation; ``names`` are those seen before, in lower case."""
    token = schema[_KEY]
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        return "is not a name of 1 to 256 characters that a header can have"
    if schema.get("type") not in _TYPES:
        return f"belongs to a property whose type is not one of `{'`, `'.join(_TYPES)}`"
    return "is used twice" if token.lower() in names else ""


def _agrees(value: Json, said: str | None) -> bool:
    if said is None or isinstance(value, str | bool):
        return said is not None and said == _text(value)
    number = _INTEGER.fullmatch(said)
    return isinstance(value, int | float) and number is not None and int(number[1]) == value


def _at(arguments: Json, path: Path) -> Json:
    for name in path:
        if not isinstance(arguments, dict):
            return None
        arguments = arguments.get(name)
    return arguments


def _text(value: Json) -> str | None:
    """What a header says of ``value``; ``None`` for what no header repeats."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) <= SAFE:
        return str(int(value))
    return str(value) if isinstance(value, str | int) else None
