"""A tool's input schema: compiled once, asked before every call.

A schema that cannot be checked fails closed: the tool is listed, and each call of it is told why it is not
made. (Model providers refuse such schemas too, so it is the server that needs the repair.) Nothing is ever
fetched for a schema. This file knows no call and no connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import jsonschema_rs
import msgspec

from gateway.mcp.jsonrpc import quoted
from gateway.mcp.schema_weight import TooHeavy, Weight, weigh
from gateway.policy.terms import Json

MAX_SCHEMA: Final = 256 * 1024
"""Bytes of a schema, encoded."""

MAX_VISITS: Final = 5_000_000
EXPLAINED_VISITS: Final = 2_000
"""Of alternatives. Beyond, the list of their problems costs too much; that there are some is said anyway."""

MAX_PROBLEMS: Final = 5
MAX_SENTENCE: Final = 240

_HIDDEN: Final = "the value"
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=10_000, size_limit=1024 * 1024)


@dataclass(frozen=True, slots=True)
class _Declared:
    """The properties that a schema names, by their fold, and those of them that have properties themselves."""

    names: frozenset[str] = frozenset()
    by_fold: Mapping[str, str] = field(default_factory=dict)
    below: Mapping[str, "_Declared"] = field(default_factory=dict)


class Arguments:
    """What ``schema`` demands of a call's arguments; ``None`` demands nothing.

    ``unchecked`` says why nothing can be checked, ``""`` when it can.
    """

    __slots__ = ("_declared", "_validator", "_weight", "unchecked")

    def __init__(self, schema: Json) -> None:
        self.unchecked = ""
        self._validator: jsonschema_rs.Validator | None = None
        self._weight = Weight(1)
        self._declared = _Declared()
        if schema is not None:
            self._compile(schema)

    def _compile(self, schema: Json) -> None:
        try:
            if not isinstance(schema, dict | bool):
                raise TooHeavy("it is not a JSON schema")
            if len(msgspec.json.encode(schema)) > MAX_SCHEMA:
                raise TooHeavy("it is too large")
            self._weight = weigh(schema)
            self._declared = _declared(schema)
            self._validator = jsonschema_rs.validator_for(schema, mask=_HIDDEN, offline=True, pattern_options=_PATTERNS)
        except jsonschema_rs.ValidationError as error:
            self.unchecked = f"it is not a valid schema ({_sentence(error, 'schema')})"
        except (ValueError, RecursionError) as reason:
            self.unchecked = str(reason)

    def problems(self, args: Mapping[str, Json]) -> list[str]:
        """A short sentence for each thing that is wrong, naming the argument; no value is repeated in any."""
        if self.unchecked:
            return [f"the tool's schema cannot be checked: {self.unchecked}; ask whoever runs the server to repair it"]
        if miswritten := _miswritten(self._declared, args, ""):
            return miswritten[:MAX_PROBLEMS]
        if self._validator is None:
            return []
        nodes, depth = _extent(args)
        ways = nodes * self._weight.ways(depth)
        if ways * self._weight.paths > MAX_VISITS:
            return ["the arguments nest too deeply, or are too many, for the tool's schema to be checked"]
        if self._validator.is_valid(args):
            return []
        if ways * self._weight.alternatives > EXPLAINED_VISITS:
            return ["the arguments do not fit the tool's schema"]
        return [_sentence(error) for error in islice(self._validator.iter_errors(args), MAX_PROBLEMS)]


def _extent(value: Any) -> tuple[int, int]:
    """How many values there are in ``value``, and in how many levels."""
    nodes, depth, level = 1, 0, [value]
    while level:
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        nodes += len(level)
        depth += 1
    return nodes, depth


# -- case


def _declared(schema: Json) -> _Declared:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return _Declared()
    below = {name: declared for name, part in properties.items() if (declared := _declared(part)).names}
    return _Declared(frozenset(properties), {name.casefold(): name for name in properties}, below)


def _miswritten(declared: _Declared, args: object, path: str) -> list[str]:
    """Keys that differ from a declared property only in case: a lax server would take them for it."""
    if not isinstance(args, Mapping):
        return []
    found = [
        f"{quoted(_joined(path, key))}: must be written {quoted(_joined(path, declared.by_fold[key.casefold()]))}"
        for key in args
        if key not in declared.names and key.casefold() in declared.by_fold
    ]
    for name, below in declared.below.items():
        if name in args:
            found += _miswritten(below, args[name], _joined(path, name))
    return found


# -- sentences


def _sentence(error: jsonschema_rs.ValidationError, whole: str = "arguments") -> str:
    path = ""
    for step in error.instance_path:
        path = _joined(path, step)
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Required(property=name):
            return f"{quoted(_joined(path, name))}: is missing"
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(unexpected=names):
            return "; ".join(f"{quoted(_joined(path, name))}: is not known" for name in names[:MAX_PROBLEMS])
    text = error.message[:1].lower() + error.message[1:]
    return f"{quoted(path or whole)}: {text}"[:MAX_SENTENCE]


def _joined(path: str, step: str | int) -> str:
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step
