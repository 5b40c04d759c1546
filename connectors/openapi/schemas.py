"""Schemas of a document as JSON Schema 2020-12, cut to what arguments need. Pure.

What narrows too little is harmless, for the platform judges again; what narrows too much would refuse a call that it
takes. So what is doubtful is left out: patterns, which are foreign programs, and that only one alternative fits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from connectors.openapi.document import Document, DocumentError, Node, Version, mapping, members, text_of
from connectors.openapi.words import argument_name, shortened
from gateway.policy.terms import Json

DEEPEST: Final = 6
"""Objects and lists inside each other, and references behind each other."""

LONGEST_TEXT: Final = 160
MOST_ENUM: Final = 100
MOST_PROPERTIES: Final = 120
MOST_PARTS: Final = 500

_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_FORMATS: Final = frozenset(
    {"date", "date-time", "time", "email", "uri", "uuid", "ipv4", "ipv6", "hostname", "byte", "binary"}
)
_HOLDING: Final = ("$ref", "properties", "items", "allOf", "anyOf", "oneOf", "additionalProperties")
_COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_BOUNDS: Final = ("minimum", "maximum")
_PYTHON: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}

Schema = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Part:
    """A schema, the definitions that it refers to, whether anything was left out for its depth or number, and the bytes
    of it where others refer to it.
    """

    schema: Schema
    references: tuple[str, ...]
    cut: bool
    size: int = 0


@dataclass(slots=True)
class Schemas:
    """The schemas of one document; what others refer to is translated once, and called the same everywhere."""

    document: Document
    _names: dict[str, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _parts: dict[str, Part] = field(default_factory=dict)

    def part(self, node: Json, deepest: int = DEEPEST) -> Part:
        """``node`` translated, of at most ``deepest`` levels. Raises ``DocumentError``."""
        walk = _Walk(self, deepest)
        schema = walk.schema(node, 0)
        return Part(schema, tuple(walk.references), walk.cut)

    def referred(self, reference: str) -> Part:
        """What a reference points at; not to be changed."""
        if reference not in self._parts:
            part = self.part(self.document.at(reference))
            self._parts[reference] = replace(part, size=len(msgspec.json.encode(part.schema)))
        return self._parts[reference]

    def bare(self, reference: str) -> Schema:
        """No more than the type and the words of what a reference points at."""
        return _Walk(self, 0).kind(mapping(self.document.at(reference)))

    def name(self, reference: str) -> str:
        """Under which name of ``$defs`` it stands."""
        if reference not in self._names:
            name = base = argument_name(reference.rpartition("/")[2].replace("~1", "_"))
            count = 1
            while name in self._taken:
                count += 1
                name = f"{base[:56]}_{count}"
            self._names[reference] = name
            self._taken.add(name)
        return self._names[reference]


@dataclass(slots=True)
class _Walk:
    of: Schemas
    deepest: int
    cut: bool = False
    references: dict[str, None] = field(default_factory=dict)

    @property
    def version(self) -> Version:
        return self.of.document.version

    def schema(self, node: Json, deep: int) -> Schema:
        if not isinstance(node, dict):
            return {}
        if "$ref" in node:
            return self._reference(node, deep)
        found = self.kind(node)
        _constrain(node, found)
        if deep < self.deepest:
            self._inside(node, found, deep)
        elif _holds_others(node):
            self.cut = True
        return found

    def _reference(self, node: Node, deep: int) -> Schema:
        """The target itself where it holds nothing else; else by name, so that what repeats can refer to itself."""
        target = self.of.document.resolved(node)
        if not _holds_others(target):
            return self.schema(target, deep)
        reference = text_of(node.get("$ref"))
        while "$ref" in (inner := mapping(self.of.document.at(reference))):
            reference = text_of(inner["$ref"])
        self.references[reference] = None
        return {"$ref": f"#/$defs/{self.of.name(reference)}"}

    def kind(self, node: Node) -> Schema:
        """Its type and its words."""
        found: Schema = {}
        types = types_of(node, self.version)
        if types:
            found["type"] = types[0] if len(types) == 1 else list(types)
        if said := shortened(text_of(node.get("description")) or text_of(node.get("title")), LONGEST_TEXT):
            found["description"] = said
        return found

    def _inside(self, node: Node, found: Schema, deep: int) -> None:
        if "items" in node:
            found["items"] = self.schema(node["items"], deep + 1)
            found.setdefault("type", "array")
        if properties := self._properties(node, deep):
            found["properties"] = dict[str, Json](properties)
            found.setdefault("type", "object")
            if needed := [each for each in required(node) if each in properties]:
                found["required"] = list[Json](needed)
        extra = node.get("additionalProperties")
        if isinstance(extra, dict) and extra:
            found["additionalProperties"] = self.schema(extra, deep + 1)
        all = [self.schema(each, deep + 1) for each in members(node.get("allOf"))]
        any = [self.schema(each, deep + 1) for each in members(node.get("anyOf") or node.get("oneOf"))]
        for keyword, parts in (("allOf", [each for each in all if each]), ("anyOf", any if {} not in any else [])):
            if parts:
                found[keyword] = list[Json](parts)

    def _properties(self, node: Node, deep: int) -> dict[str, Schema]:
        """What a caller may set of an object, by name."""
        all = [(name, each) for name, each in mapping(node.get("properties")).items() if isinstance(each, dict)]
        writable = [(name, each) for name, each in all if each.get("readOnly") is not True]
        self.cut = self.cut or len(writable) > MOST_PROPERTIES
        return {name: self.schema(each, deep + 1) for name, each in writable[:MOST_PROPERTIES]}


def required(node: Node) -> list[str]:
    """The names that an object must have."""
    return [each for each in members(node.get("required")) if isinstance(each, str)]


def merged(document: Document, node: Json) -> Schema:
    """An object with what its ``allOf`` parts say put into one. Raises ``DocumentError``."""
    return _Merging(document).whole(node, frozenset())


@dataclass(slots=True)
class _Merging:
    document: Document
    left: int = MOST_PARTS

    def whole(self, node: Json, seen: frozenset[str]) -> Schema:
        self.left -= 1
        if self.left < 0:
            raise DocumentError(f"its body is put together from more than {MOST_PARTS} parts")
        if not isinstance(node, dict):
            return {}
        if isinstance(reference := node.get("$ref"), str):
            if reference in seen:
                raise DocumentError(f"`{reference[:100]}` consists of itself")
            return self.whole(self.document.at(reference), seen | {reference})
        whole: Schema = {key: value for key, value in node.items() if key != "allOf"}
        for part in (self.whole(each, seen) for each in members(node.get("allOf"))):
            whole = _both(part, whole)
        return whole


def _both(part: Schema, whole: Schema) -> Schema:
    properties = {**mapping(part.get("properties")), **mapping(whole.get("properties"))}
    needed = dict.fromkeys([*required(part), *required(whole)])
    more: Schema = {"properties": properties} if properties else {}
    return {**part, **whole, **more, **({"required": list[Json](needed)} if needed else {})}


def types_of(node: Node, version: Version) -> tuple[str, ...]:
    """The JSON types that a schema names."""
    said = node.get("type")
    if said == "file":
        return ("string",)
    types = [each for each in (said if isinstance(said, list) else [said]) if isinstance(each, str) and each in _TYPES]
    if types and "null" not in types and _is_nullable(node, version):
        types.append("null")
    return tuple(dict.fromkeys(types))


def _is_nullable(node: Node, version: Version) -> bool:
    return version is not Version.V31 and (node.get("nullable") is True or node.get("x-nullable") is True)


def _holds_others(node: Node) -> bool:
    return any(key in node for key in _HOLDING)


def _constrain(node: Node, found: Schema) -> None:
    found.update({key: value for key in _COUNTS if _is_count(value := node.get(key))})
    found.update(_bounds(node))
    if text_of(node.get("format")) in _FORMATS:
        found["format"] = node["format"]
    if node.get("uniqueItems") is True:
        found["uniqueItems"] = True
    if "const" in node and _is_scalar(node["const"]):
        found["const"] = node["const"]
    enum = members(node.get("enum"))
    if 0 < len(enum) <= MOST_ENUM and all(map(_is_scalar, enum)):
        _enumerate(enum, found)


def _enumerate(enum: list[Json], found: Schema) -> None:
    """Where a value does not fit the type, one of both is a slip of the document: the values are more likely meant."""
    types = found.get("type")
    named: list[Json] = [types] if isinstance(types, str) else members(types)
    if "null" in named and None not in enum:
        enum = [*enum, None]
    if named and not all(_fits(value, named) for value in enum):
        del found["type"]
    found["enum"] = enum


def _fits(value: Json, types: list[Json]) -> bool:
    if isinstance(value, bool):
        return "boolean" in types
    return any(isinstance(value, _PYTHON[each]) for each in types if isinstance(each, str))


def _bounds(node: Node) -> Iterator[tuple[str, Json]]:
    """A bound that is exclusive is a number of its own now, and was a flag beside the bound."""
    for key in _BOUNDS:
        exclusive = f"exclusive{key.capitalize()}"
        if _is_number(value := node.get(key)):
            yield (exclusive if node.get(exclusive) is True else key), value
        if _is_number(value := node.get(exclusive)):
            yield exclusive, value


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63


def _is_scalar(value: Json) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= 300) or (not isinstance(value, list | dict | str))
