"""A body as bytes, in each of the codings. Pure."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode

import msgspec

from connectors.definition.terms import Action, Coding, Parameter, Place, Style
from gateway.errors import InvalidArguments
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

Tree = Params

FORM: Final = "application/x-www-form-urlencoded"

_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")

MOST_FIELDS: Final = 10_000
"""Of a form: a value of many small parts costs more than its size."""


@dataclass(frozen=True, slots=True, repr=False)
class Body:
    content: bytes
    type: str


def encoded(action: Action, value: Json, whole: Parameter | None = None) -> Body:
    """``value`` as the action's coding writes it; ``whole`` is the argument that it all is, if it is one.

    Raises ``InvalidArguments``.
    """
    match action.coding:
        case Coding.JSON:
            return Body(json_bytes(value), "application/json")
        case Coding.RAW:
            return _raw(action, value, whole)
    if not isinstance(value, dict):
        raise InvalidArguments(f"`{whole.name if whole else 'body'}`: must be an object")
    match action.coding:
        case Coding.NESTED_FORM:
            return _form(pair for name, each in value.items() for pair in nested(name, each))
        case Coding.FORM:
            styles = {each.wire or each.name: each.style for each in action.parameters if each.place is Place.BODY}
            return _form(pair for name, each in value.items() for pair in _flat(name, each, styles.get(name)))
    return _multipart(value, {each.wire or each.name: each for each in action.parameters})


def json_bytes(value: Json) -> bytes:
    """Raises ``InvalidArguments`` for what JSON in UTF-8 cannot hold."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, RecursionError):
        raise InvalidArguments("the arguments hold half of a character, or nest too deeply") from None


def json_text(value: Json) -> str:
    return json_bytes(value).decode()


def scalar_text(value: Json) -> str:
    """A text as it is, a number as JSON writes it (whole ones without a point), ``true`` and ``false``."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return "" if value is None else json_text(value)


def without_comma(name: str, text: str) -> str:
    """A member of a list whose members commas part."""
    if "," in text:
        raise InvalidArguments(f"`{name}`: no member may hold a comma")
    return text


def nested(name: str, value: Json, *, indexed: bool = True) -> Iterator[tuple[str, str]]:
    """The fields of a value in brackets: ``a[b][0]=c``, without ``indexed`` ``a[b][]=c``. What is empty has none."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from nested(f"{name}[{key}]", each, indexed=indexed)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from nested(f"{name}[{index if indexed else ''}]", each, indexed=indexed)
    else:
        yield name, scalar_text(value)


def _flat(name: str, value: Json, style: Style | None) -> Iterator[tuple[str, str]]:
    """The fields of one value where nothing nests: objects are written as JSON, and so is a list that holds some."""
    if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        if style is Style.COMMA:
            yield name, ",".join(without_comma(name, scalar_text(each)) for each in value)
        else:
            key = f"{name}[]" if style is Style.BRACKETS else name
            yield from ((key, scalar_text(each)) for each in value)
    else:
        yield name, json_text(value) if isinstance(value, dict | list) else scalar_text(value)


def _form(pairs: Iterator[tuple[str, str]]) -> Body:
    fields: list[tuple[str, str]] = []
    for pair in pairs:
        fields.append(pair)
        if len(fields) > MOST_FIELDS:
            raise InvalidArguments(f"the arguments make more than {MOST_FIELDS} fields")
    try:
        return Body(urlencode(fields).encode(), FORM)
    except UnicodeEncodeError:
        raise InvalidArguments("the arguments hold half of a character") from None


def _raw(action: Action, value: Json, whole: Parameter | None) -> Body:
    name = whole.name if whole else "body"
    if not isinstance(value, str):
        raise InvalidArguments(f"`{name}`: must be a text")
    file = whole is not None and is_file(whole.schema)
    content = _decoded(name, value) if file else _bytes(name, value)
    default = "application/octet-stream" if file else "text/plain; charset=utf-8"
    return Body(content, action.content_type or default)


def is_file(schema: Json) -> bool:
    """Whether a text of this schema stands for bytes (JSON Schema 2020-12, content)."""
    return isinstance(schema, dict) and schema.get("contentEncoding") == "base64"


def _decoded(name: str, text: Json) -> bytes:
    try:
        if isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise InvalidArguments(f"`{name}`: must be a text in base64")


def _bytes(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidArguments(f"`{name}`: holds half of a character") from None


# -- multipart (RFC 7578)


def _multipart(value: Tree, parameters: dict[str, Parameter]) -> Body:
    parts = [part for name, each in value.items() for part in _parts(name, each, parameters.get(name))]
    if len(parts) > MOST_FIELDS:
        raise InvalidArguments(f"the arguments make more than {MOST_FIELDS} fields")
    boundary = _boundary(parts)
    content = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary
    return Body(content, f"multipart/form-data; boundary={boundary.decode()}")


def _parts(name: str, value: Json, parameter: Parameter | None) -> Iterator[bytes]:
    schema = parameter.schema if parameter is not None else {}
    told = parameter.name if parameter is not None else name
    if is_file(schema) and isinstance(schema, dict):
        type = schema.get("contentMediaType")
        yield _part(name, _decoded(told, value), name, str(type or "application/octet-stream"))
    elif isinstance(value, dict) and _holds_file(schema):
        yield _part(name, _decoded(told, value.get("data")), *_head(told, name, value))
    elif isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        yield from (_part(name, _bytes(told, scalar_text(each))) for each in value)
    elif isinstance(value, dict | list):
        yield _part(name, json_bytes(value), type="application/json")
    else:
        yield _part(name, _bytes(told, scalar_text(value)))


def _holds_file(schema: Json) -> bool:
    """Whether its objects are ``{filename, type, data}`` with ``data`` in base64."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return isinstance(properties, dict) and is_file(properties.get("data"))


def _head(told: str, name: str, value: Tree) -> tuple[str, str]:
    """The file name and media type that the object says."""
    filename, type = value.get("filename", name), value.get("type", "application/octet-stream")
    if not isinstance(filename, str) or not filename.isprintable() or not 0 < len(filename) <= 255:
        raise InvalidArguments(f"`{told}.filename`: must be a short text in one line")
    if not isinstance(type, str) or _MEDIA_TYPE.fullmatch(type) is None:
        raise InvalidArguments(f"`{told}.type`: must be a media type such as `image/png`")
    return filename, type


def _part(name: str, content: bytes, filename: str = "", type: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    head += f'; filename="{_quoted(filename)}"' if filename else ""
    head += f"\r\nContent-Type: {type}" if type else ""
    return f"{head}\r\n\r\n".encode() + content


def _quoted(text: str) -> str:
    """As browsers write names into a part's head (HTML, multipart/form-data encoding)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _boundary(parts: list[bytes]) -> bytes:
    """A line that none of the parts holds."""
    seed = sha256(b"".join(parts))
    while any(seed.hexdigest().encode() in part for part in parts):
        seed.update(b"again")
    return seed.hexdigest().encode()
