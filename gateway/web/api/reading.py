"""What a request to the management API says: its body and its query, read once and checked against a struct.

This file knows no route and no operation.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import inspect
from quart import request
from werkzeug.exceptions import RequestEntityTooLarge

from gateway.errors import Malformed
from gateway.policy.terms import Json

S = TypeVar("S", bound=msgspec.Struct)

MOST_ITEMS: Final = 1_000
"""So many elements one array of a request may have."""

_KEY_NAMES: Final = ("apiKey", "apikey")
"""Where a key may stand in the query: what it proves is the business of ``gateway/identity.py``."""

_NO_CHOICE: Final = re.compile(r"Invalid enum value .* - at `\$(.*)`", re.DOTALL)
_STEP: Final = re.compile(r"\.(\w+)|\[")


async def read_body(kind: type[S]) -> S:
    """The body of this request, ``{}`` where there is none. Raises ``Malformed``."""
    raw = await _bytes() or b"{}"
    try:
        msgspec.json.decode(raw)  # stricter than the next line: UTF-8, whole characters, finite numbers
        sent = json.loads(raw, object_pairs_hook=_once, parse_float=_number)
        _check(sent)
        return msgspec.convert(sent, type=kind)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body cannot be used: {error}{_choices(kind, str(error))}") from None


def read_query(kind: type[S]) -> S:
    """The query of this request, but for the key. Raises ``Malformed``."""
    sent = {name: values for name, values in request.args.to_dict(flat=False).items() if name not in _KEY_NAMES}
    if twice := [name for name, values in sent.items() if len(values) > 1]:
        raise Malformed(f"`{twice[0][:100]}` stands twice in the query; send it once")
    try:
        read = msgspec.convert({name: values[0] for name, values in sent.items()}, type=kind, strict=False)
        _check_numbers({name: values[0] for name, values in sent.items()}, read)
        return read
    except ValueError as error:
        raise Malformed(f"the query cannot be used: {error}{_choices(kind, str(error))}") from None


async def _bytes() -> str | bytes:
    try:
        return await request.get_data()
    except RequestEntityTooLarge:
        raise Malformed("the body is too large; send less", status=413) from None


def _check_numbers(sent: Mapping[str, str], read: msgspec.Struct) -> None:
    """Raises ``ValueError`` where a number is written otherwise than in plain digits (``1e1``)."""
    for each in msgspec.structs.fields(read):
        value, text = getattr(read, each.name), sent.get(each.encode_name, "")
        if type(value) is int and text and re.fullmatch(r"-?[0-9]+", text) is None:
            raise ValueError(f"`{each.encode_name}` is a number in plain digits")


def _number(text: str) -> int | float:
    """A number without a fraction is an integer, however it is written (JSON Schema 2020-12, 6.1.1)."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice in one object; send it once")
    return dict(pairs)


def _check(value: Json) -> None:
    """Raises ``ValueError`` where an array of ``value`` is too long."""
    if isinstance(value, list):
        if len(value) > MOST_ITEMS:
            raise ValueError(f"an array has more than {MOST_ITEMS} elements; send less")
        for each in value:
            _check(each)
    if isinstance(value, dict):
        for each in value.values():
            _check(each)


def _choices(kind: type[msgspec.Struct], told: str) -> str:
    """What may stand at the place of a word that is none of a closed list; ``""`` for every other fault."""
    if (fault := _NO_CHOICE.fullmatch(told)) is None:
        return ""
    found = [inspect.type_info(kind)]
    for step in _STEP.finditer(fault[1]):
        found = [each for known in found for each in _below(known, step[1])]
    words = [str(word) for each in found for plain in _plain(each) for word in _words(plain)]
    return f"; it is one of {', '.join(f'`{each}`' for each in words)}" if words else ""


def _below(known: inspect.Type, name: str | None) -> Iterator[inspect.Type]:
    """What stands in ``known`` under ``name``, or (``None``) as an element."""
    for each in _plain(known):
        if isinstance(each, inspect.StructType):
            yield from (field.type for field in each.fields if field.encode_name == name)
        if isinstance(each, inspect.CollectionType) and name is None:
            yield each.item_type


def _plain(known: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(known, inspect.Metadata):
        yield from _plain(known.type)
    elif isinstance(known, inspect.UnionType):
        for each in known.types:
            yield from _plain(each)
    else:
        yield known


def _words(known: inspect.Type) -> tuple[object, ...]:
    if isinstance(known, inspect.EnumType):
        return tuple(each.value for each in known.cls)
    return known.values if isinstance(known, inspect.LiteralType) else ()
