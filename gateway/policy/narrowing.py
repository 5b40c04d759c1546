"""What a tool's inputSchema says about arguments, as far as listing uses it.

Read are ``type``, ``enum``, ``const``, ``properties``, ``required``, ``items``, ``additionalProperties: false``,
the four bounds on numbers, and ``$ref`` within the document. All else narrows nothing, and so does every part
whose meaning depends on the draft or on another document: a tool is rather shown than hidden. The schema comes
from a foreign server and may be anything. This file knows no conditions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from gateway.policy.terms import Json

_DIALECTS: Final = ("draft-06", "draft-07", "2019-09", "2020-12")
_MAX_REFS: Final = 8
_MAX_LISTED: Final = 2_000
_ANYTHING: Final[dict[str, Json]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A schema at one place, ``root`` being the document it stands in."""

    schema: dict[str, Json]
    root: Json

    def listed(self) -> list[Json] | None:
        """The only values there are, when the schema lists them, and not too many to look at."""
        if "const" in self.schema:
            return [self.schema["const"]]
        values = self.schema.get("enum")
        return values if isinstance(values, list) and len(values) <= _MAX_LISTED else None

    def admits(self, value: Any) -> bool:
        """Whether type and bounds let a value in."""
        names = self.schema.get("type")
        names = [names] if isinstance(names, str) else names
        if isinstance(names, list) and not any(_is_type(value, name) for name in names):
            return False
        return isinstance(value, bool) or not isinstance(value, int | float) or self._within(value)

    def _within(self, number: float) -> bool:
        low, over = self._bound("minimum"), self._bound("exclusiveMinimum")
        high, under = self._bound("maximum"), self._bound("exclusiveMaximum")
        return (
            (low is None or number >= low)
            and (over is None or number > over)
            and (high is None or number <= high)
            and (under is None or number < under)
        )

    def _bound(self, keyword: str) -> float | None:
        bound = self.schema.get(keyword)
        return bound if type(bound) is int or (isinstance(bound, float) and isfinite(bound)) else None

    def bounds(self) -> Iterator[float]:
        """The numbers at which what is admitted begins or ends."""
        for keyword in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
            if (bound := self._bound(keyword)) is not None:
                yield bound

    def requires(self, key: str) -> bool:
        required = self.schema.get("required")
        return isinstance(required, list) and key in required

    def below(self, key: str) -> "Shape | None":
        """The shape of an object's member; ``None`` when the object cannot have it."""
        properties = self.schema.get("properties")
        if isinstance(properties, dict) and key in properties:
            return self.part(properties[key])
        closed = self.schema.get("additionalProperties") is False and "patternProperties" not in self.schema
        return None if closed else ANY

    def element(self) -> "Shape | None":
        """The shape of every element of a list; ``None`` when a list has to be empty."""
        if "prefixItems" in self.schema:
            return ANY
        return self.part(self.schema.get("items", True))

    def part(self, schema: Json) -> "Shape | None":
        """The shape that a schema within this document describes, references followed; ``None``: nothing."""
        for _ in range(_MAX_REFS):
            if not isinstance(schema, dict) or "$id" in schema or "$schema" in schema:
                return None if schema is False else ANY
            if "$ref" not in schema:
                return Shape(schema, self.root)
            schema = _target(schema["$ref"], self.root)
        return ANY


ANY: Final = Shape(_ANYTHING, _ANYTHING)
"""The shape that lets everything in."""


def shape_of(schema: Json) -> Shape:
    """The shape of a tool's arguments; no schema, or one of an unknown dialect, lets everything in."""
    if not isinstance(schema, dict) or "$ref" in schema:
        return ANY
    dialect = schema.get("$schema", _DIALECTS[-1])
    known = isinstance(dialect, str) and any(name in dialect for name in _DIALECTS)
    return Shape(schema, schema) if known else ANY


def _target(reference: Json, root: Json) -> Json:
    """What a reference within the document points at; ``True``, which admits all, when it cannot be told."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")) or "%" in reference:
        return True
    found = root
    for key in reference.split("/")[1:]:
        name = key.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found or (found is not root and "$id" in found):
            return True
        found = found[name]
    return found


def _is_type(value: Any, name: Json) -> bool:
    """Whether a value has a type of JSON Schema; it has every type with an unknown name."""
    match name:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "number" | "integer":
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return number and (name == "number" or value == value // 1)
        case _:
            return True
