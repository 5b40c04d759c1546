"""The path, the query and the headers of an operation as arguments of an action. Pure.

What the engine cannot send is left out where it may be, and refuses the operation where it is required.
"""

import re
from collections.abc import Iterable
from typing import Final

from connectors.openapi.document import DocumentError, Node, mapping, members, text_of
from connectors.openapi.operations import Operation
from connectors.openapi.schemas import Schema, merged, required, types_of
from connectors.openapi.translation import LONGEST_TEXT, Translation, schema_itself
from connectors.openapi.words import shortened
from gateway.policy.terms import Json

_FIELD: Final = re.compile(r"\{([^{}/]+)\}")
_PATH: Final = re.compile(r"/[^\s?#\\\x00-\x1f\x7f]*")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_LISTS_V2: Final = {"multi": "", "csv": "comma", "": "comma"}
"""How a query writes a list, by its ``collectionFormat``."""


def parameters_of(translation: Translation, operation: Operation) -> list[Node]:
    """Those of the operation win over those of its path, by name and place. Raises ``DocumentError``."""
    found: dict[tuple[str, str], Node] = {}
    for each in (*operation.shared, *members(operation.body.get("parameters"))):
        parameter = translation.document.resolved(each)
        found[place_of(parameter), text_of(parameter.get("name"))] = parameter
    return [each for (_, name), each in found.items() if name]


def read_path(translation: Translation, path: str, parameters: Iterable[Node]) -> str:
    """The path with its fields called as the arguments are. Raises ``DocumentError``."""
    if _PATH.fullmatch(path) is None or re.search(r"[{}]", _FIELD.sub("", path)):
        raise DocumentError("its path has a query, a fragment, spaces or a stray brace")
    given = {text_of(each["name"]): each for each in parameters if place_of(each) == "path"}
    names: dict[str, str] = {}
    for wire in dict.fromkeys(_FIELD.findall(path)):
        parameter = given.get(wire, {})
        if text_of(parameter.get("style")) in ("label", "matrix"):
            raise DocumentError(f"its parameter `{wire[:100]}` is written in the style `{parameter['style']}`")
        schema = _schema(translation, parameter)
        schema.setdefault("type", "string")
        names[wire] = translation.arguments.add("path", wire, schema, required=True)
    return _FIELD.sub(lambda found: f"{{{names[found[1]]}}}", path)


def read_parameter(translation: Translation, parameter: Node) -> None:
    """One of the query, the headers or the cookies. Raises ``DocumentError``."""
    place, name = place_of(parameter), text_of(parameter["name"])
    needed = parameter.get("required") is True
    if translation.keys.covers(place, name, text_of(parameter.get("description"))):
        translation.stripped.append(name)
    elif place == "header" and _HEADER.fullmatch(name) is None:
        translation.without(name, "is not the name of a header", needed=needed)
    elif spread := _spread(translation, parameter):
        for wire, schema in spread:
            translation.arguments.add(place, wire, schema, required=False)
    elif (style := _style(translation, parameter)) is None:
        translation.without(name, "is written in a way that cannot be sent", needed=needed)
    else:
        wire = name.removesuffix("[]") if style == "brackets" else name
        schema = _schema(translation, parameter)
        if style == "explode":
            schema["additionalProperties"] = False
        translation.arguments.add(place, wire, schema, required=needed, style=style)


def place_of(parameter: Node) -> str:
    return text_of(parameter.get("in"))


def _schema(translation: Translation, parameter: Node) -> Schema:
    own = schema_itself(parameter) if translation.is_v2 else parameter.get("schema")
    schema = translation.schema(own)
    said = shortened(text_of(parameter.get("description")), LONGEST_TEXT)
    default = _default(schema_itself(parameter) if translation.is_v2 else mapping(own))
    if told := f"{said or text_of(schema.get('description'))} {default}".strip():
        schema["description"] = told
    return schema


def _default(schema: Node) -> str:
    """What the platform takes where nothing is said: told, not sent."""
    value = schema.get("default")
    told = str(value).lower() if isinstance(value, bool) else str(value)
    plain = isinstance(value, str | int | float) and 0 < len(told) <= 60 and told.isprintable()
    return f"(default: {told})" if plain else ""


def _style(translation: Translation, parameter: Node) -> str | None:
    """How a list is written, ``""`` where that needs no word, ``None`` where it cannot be sent."""
    schema = _target(translation, parameter)
    types = types_of(schema, translation.document.version)
    if "content" in parameter:
        return None
    if "object" in types or "properties" in schema:
        return "explode" if _explodes(translation, parameter, schema) else None
    if "array" not in types:
        return ""
    if translation.nests(schema.get("items")) or place_of(parameter) == "header":
        return None
    if text_of(parameter["name"]).endswith("[]") or parameter.get("style") == "deepObject":
        return "brackets"
    if translation.is_v2:
        return _LISTS_V2.get(text_of(parameter.get("collectionFormat")))
    if parameter.get("style", "form") != "form":
        return None
    return "comma" if parameter.get("explode") is False else ""


def _explodes(translation: Translation, parameter: Node, schema: Node) -> bool:
    """Whether each member of an object is a parameter of its own."""
    if translation.is_v2 or place_of(parameter) != "query" or parameter.get("style", "form") != "form":
        return False
    inside = mapping(schema.get("properties")).values()
    return bool(inside) and parameter.get("explode") is not False and not any(map(translation.nests, inside))


def _spread(translation: Translation, parameter: Node) -> list[tuple[str, Schema]]:
    """The members of an object that is written as ``name[member]=…``, each an argument of its own."""
    if parameter.get("style") != "deepObject":
        return []
    schema = _target(translation, parameter)
    parts = [merged(translation.document, each) for each in members(schema.get("anyOf"))]
    schema = next((each for each in (schema, *parts) if mapping(each.get("properties"))), {})
    if required(schema):
        return []
    flat = [(key, each) for key, each in mapping(schema.get("properties")).items() if not translation.nests(each)]
    return [(f"{text_of(parameter['name'])}[{key}]", translation.schema(each)) for key, each in flat]


def _target(translation: Translation, parameter: Node) -> dict[str, Json]:
    own: Json = schema_itself(parameter) if translation.is_v2 else parameter.get("schema")
    return merged(translation.document, own)
