"""What a tool's schema admits where a condition asks: of which types, below which names, which constants.

The schema comes from a foreign server and may be anything. Where it cannot be told, everything is admitted, so
that nothing is ever said to be impossible that is not: a value is described by *alternatives*, of which it has to
meet one. This file knows no conditions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from gateway.policy.condition_values import Constant, constant, kind_of
from gateway.policy.narrowing import Shape
from gateway.policy.terms import Json

MAX_STEPS: Final = 200
"""How many schemas are looked at to find the alternatives of one value."""

_TYPES: Final = ("null", "boolean", "string", "number", "integer", "array", "object")
_TYPES_OF: Final = {str: {"string"}, bool: {"boolean"}, float: {"number", "integer"}, type(None): {"null"}}
_TYPING: Final = frozenset(("enum", "const", "properties", "additionalProperties", "items", "prefixItems"))
_BOUNDS: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_CHOICES: Final = ("allOf", "anyOf", "oneOf")
_NAMING: Final = frozenset(
    (*_CHOICES, "if", "then", "else", "dependentSchemas", "dependencies", "patternProperties", "$dynamicRef")
)
"""Keywords that may tell of further members."""


class Lack(Enum):
    """Why nothing stands below."""

    WRONG_TYPE = "nothing below what is admitted"
    CLOSED = "no further member"
    UNDECLARED = "a member that is not declared"


@dataclass(frozen=True, slots=True)
class Admitted:
    """What may stand at one place: whatever meets one of ``alternatives``; without any, everything."""

    alternatives: tuple[Shape, ...] = ()

    def types(self) -> frozenset[str]:
        """The JSON types that are admitted; none when that cannot be told."""
        each = [_types(shape) for shape in self.alternatives]
        found = frozenset[str]() if frozenset() in each else frozenset[str]().union(*each)
        return found - {"integer"} if "number" in found else found

    def takes(self, kind: type) -> bool:
        """Whether a constant of this kind may equal something that is admitted."""
        return not (types := self.types()) or not types.isdisjoint(_TYPES_OF[kind])

    def member(self, key: str) -> "Admitted | Lack":
        """What may stand below a name."""
        return self._below("object", lambda shape: _member(shape, key))

    def element(self) -> "Admitted | Lack":
        """What may stand in a list."""
        return self._below("array", _element)

    def _below(self, type: str, look: "Callable[[Shape], Admitted | Lack]") -> "Admitted | Lack":
        if not self.types():
            return ANYTHING
        found = [look(shape) for shape in self.alternatives if type in _types(shape)]
        if not found:
            return Lack.WRONG_TYPE
        there = [each.alternatives for each in found if isinstance(each, Admitted)]
        if not there:
            return Lack.UNDECLARED if Lack.UNDECLARED in found else Lack.CLOSED
        return ANYTHING if () in there else Admitted(tuple(shape for shapes in there for shape in shapes))

    def declared(self) -> tuple[str, ...]:
        """The names that stand below, as far as they are told."""
        parts = (shape.schema.get("properties") for shape in self.alternatives)
        return tuple(dict.fromkeys(key for part in parts if isinstance(part, dict) for key in part))

    def requires(self, key: str) -> bool:
        """Whether a member is always there."""
        return self.types() == {"object"} and all(shape.requires(key) for shape in self.alternatives)

    def why_not(self, value: Constant) -> str | None:
        """Why nothing that is admitted equals a constant that is of an admitted type, as a part of a sentence."""
        fitting = (shape for shape in self.alternatives if not _TYPES_OF[value.kind].isdisjoint(_types(shape)))
        reasons = [_excluded(shape, value) for shape in fitting]
        return None if not reasons or None in reasons else reasons[0]

    def listed(self) -> list[Constant]:
        """The constants that are admitted, as far as they are listed."""
        return [each for shape in self.alternatives for each in _listed(shape) or ()]


ANYTHING: Final = Admitted()


def admitted(shape: Shape) -> Admitted:
    """What a shape admits."""
    found: list[Shape] = []
    pending = [shape]
    steps = MAX_STEPS
    while pending:
        each = pending.pop()
        parts = _parts(each)
        steps -= 1 + len(parts)
        if steps < 0:
            return ANYTHING
        found += [] if parts else [each]
        pending += [inner for part in reversed(parts) if (inner := each.part(part)) is not None]
    return Admitted(tuple(found))


def _parts(shape: Shape) -> list[Json]:
    """The schemas of which a value meets one (of ``allOf`` it meets each), for a schema that says little else."""
    if not _TYPING.isdisjoint(shape.schema):
        return []
    used = [shape.schema[key] for key in _CHOICES if key in shape.schema]
    parts = used[0] if len(used) == 1 else None
    return parts if isinstance(parts, list) else []


def _types(shape: Shape) -> frozenset[str]:
    """The types that a shape admits; none when that cannot be told."""
    if (values := shape.listed()) is not None:
        return frozenset(_type_of(value) for value in values if shape.admits(value))
    names = shape.schema.get("type")
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) and name in _TYPES for name in names):
        return frozenset()
    return frozenset(str(name) for name in names)


def _type_of(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def _member(shape: Shape, key: str) -> Admitted | Lack:
    properties = shape.schema.get("properties")
    if isinstance(properties, dict) and key in properties:
        part = shape.part(properties[key])
        return Lack.CLOSED if part is None else admitted(part)
    if shape.listed() is not None or not _NAMING.isdisjoint(shape.schema):
        return ANYTHING
    if shape.schema.get("additionalProperties") is False:
        return Lack.CLOSED
    return Lack.UNDECLARED if properties and "additionalProperties" not in shape.schema else ANYTHING


def _element(shape: Shape) -> Admitted | Lack:
    part = None if shape.listed() is not None else shape.element()
    return ANYTHING if part is None else admitted(part)


def _listed(shape: Shape) -> list[Constant] | None:
    values = shape.listed()
    if values is None:
        return None
    scalars = (value for value in values if not isinstance(value, list | dict))
    return [constant(value) for value in scalars if kind_of(value) is not None and shape.admits(value)]


def _excluded(shape: Shape, value: Constant) -> str | None:
    """Why a shape does not admit a constant, or ``None``."""
    listed = _listed(shape)
    if listed is not None:
        return None if value in listed else "the schema lists other values"
    if isinstance(value.value, str):
        return _wrong_length(shape, len(value.value))
    return _out_of_bounds(shape, value.value) if value.kind is float else None


def _wrong_length(shape: Shape, length: int) -> str | None:
    least, most = (shape.schema.get(keyword) for keyword in ("minLength", "maxLength"))
    if type(most) is int and length > most:
        return f"its `maxLength` is {most}"
    return f"its `minLength` is {least}" if type(least) is int and length < least else None


def _out_of_bounds(shape: Shape, number: Json) -> str | None:
    if shape.admits(number):
        return None
    for keyword in _BOUNDS:
        bound = shape.schema.get(keyword)
        if not Shape({keyword: bound}, None).admits(number):
            return f"its `{keyword}` is {bound}"
    return "it is a whole number"
