"""The body of an operation as arguments of an action: an object member by member, anything else whole. Pure."""

import re
from collections.abc import Sequence
from typing import Final

from connectors.openapi.document import DocumentError, Node, mapping, members, text_of
from connectors.openapi.operations import Operation
from connectors.openapi.parameters import place_of
from connectors.openapi.schemas import Schema, merged, required
from connectors.openapi.translation import Translation, schema_itself
from gateway.policy.terms import Json

WITHOUT_BODY: Final = ("get",)

_JSON: Final = re.compile(r"(?:application|text)/(?:[\w.+-]+\+)?json|\*/\*", re.IGNORECASE)
_FORMS: Final = {"application/x-www-form-urlencoded": "form", "multipart/form-data": "multipart"}
_MEDIA: Final = re.compile(r"[a-z]+/[\w.+-]+", re.IGNORECASE)
_NESTING: Final = ("json", "nested_form")


def read_body(translation: Translation, operation: Operation, parameters: Sequence[Node]) -> None:
    """Raises ``DocumentError`` for a body that cannot be sent."""
    if operation.method in WITHOUT_BODY:
        return
    if translation.is_v2:
        _read_v2(translation, operation, parameters)
    elif "requestBody" in operation.body:
        _read_v3(translation, translation.document.resolved(operation.body["requestBody"]))


def _read_v2(translation: Translation, operation: Operation, parameters: Sequence[Node]) -> None:
    fields = [each for each in parameters if place_of(each) == "formData"]
    for whole in (each for each in parameters if place_of(each) == "body"):
        return _json(translation, whole.get("schema"), needed=whole.get("required") is True)
    if fields:
        said = members(operation.body.get("consumes", translation.document.root.get("consumes")))
        codings = [_FORMS[each] for each in said if isinstance(each, str) and each in _FORMS]
        files = any(each.get("type") == "file" for each in fields)
        translation.more["coding"] = "multipart" if files else [*codings, "form"][0]
    for each in fields:
        _field(translation, text_of(each["name"]), schema_itself(each), needed=each.get("required") is True)
    return None


def _read_v3(translation: Translation, body: Node) -> None:
    content, needed = mapping(body.get("content")), body.get("required") is True
    plain = {media.partition(";")[0].strip().lower(): mapping(each).get("schema") for media, each in content.items()}
    if (json := next(filter(_JSON.fullmatch, plain), None)) is not None:
        _json(translation, plain[json], needed=needed)
    elif (form := next((each for each in _FORMS if each in plain), None)) is not None:
        _form(translation, plain[form], _FORMS[form])
    elif (raw := next(filter(_MEDIA.fullmatch, plain), None)) is not None:
        translation.more.update({"coding": "raw", "content_type": raw})
        _whole(translation, {"type": "string", "description": f"The content, as {raw}"}, needed=needed)
    elif content:
        raise DocumentError("its body has a media type that cannot be sent")


def _json(translation: Translation, node: Json, *, needed: bool) -> None:
    schema = merged(translation.document, node)
    properties = mapping(schema.get("properties"))
    if not properties or "anyOf" in schema or "oneOf" in schema:
        return _whole(translation, translation.schema(node), needed=needed)
    for name, each in properties.items():
        _field(translation, name, each, needed=name in required(schema))
    return None


def _form(translation: Translation, node: Json, coding: str) -> None:
    schema = merged(translation.document, node)
    properties = mapping(schema.get("properties"))
    nests = coding == "form" and any(map(translation.nests, properties.values()))
    translation.more["coding"] = "nested_form" if nests else coding
    for name, each in properties.items():
        _field(translation, name, each, needed=name in required(schema))


def _whole(translation: Translation, schema: Schema, *, needed: bool) -> None:
    schema.setdefault("description", "The whole body of the request")
    translation.more["whole_body"] = translation.arguments.add("body", "body", schema, required=needed)


def _field(translation: Translation, name: str, node: Json, *, needed: bool) -> None:
    target = merged(translation.document, node)
    if target.get("readOnly") is True:
        return
    if translation.keys.covers("body", name, text_of(target.get("description"))):
        translation.stripped.append(name)
        return
    nests = translation.more.get("coding", "json") in _NESTING
    translation.arguments.add("body", name, translation.schema(node), required=needed, nests=nests)
