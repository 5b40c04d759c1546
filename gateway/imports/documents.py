"""The documents of a collection, as plain JSON values: from mongoexport's JSON in its forms, and from mongodump's BSON.

Pure: bytes in, documents out. Nothing of a document is followed or run: what JSON cannot say (code, patterns,
references) makes it one that nobody takes. This file knows no collection by name.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Final, TypeAlias

import bson
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.errors import BSONError
from bson.objectid import ObjectId

from gateway.policy.terms import Json

MOST_DEPTH: Final = 100
"""As deep as the database itself lets values stand in each other."""

Document: TypeAlias = Mapping[str, Json]

_OPTIONS: Final = json_util.JSONOptions(tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
_CODEC: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_SPACE: Final = re.compile(r"\s*")


class DumpError(ValueError):
    """A dump, or a document of it, that is not what it has to be; its text is a sentence without a place."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document that cannot be taken for what it is, and why."""

    sentence: str


Found: TypeAlias = Document | Unreadable


def of_json(body: bytes) -> Iterator[Found]:
    """The documents of mongoexport: one behind the other, or in one array; extended JSON is understood. Raises
    ``DumpError``.
    """
    return documents(revived(each) for each in values(body))


def of_bson(body: bytes) -> Iterator[Found]:
    """The documents of mongodump. Raises ``DumpError``."""
    try:
        yield from documents(bson.decode_file_iter(BytesIO(body), _CODEC))
    except BSONError as error:
        raise DumpError(f"is not BSON as mongodump writes it ({error})") from None


def documents(values: Iterable[object]) -> Iterator[Found]:
    """``values`` of the database's driver as documents; times are ms since the epoch, ids of objects their digits."""
    for value in values:
        try:
            found = value if isinstance(value, Unreadable) else _plain(value, MOST_DEPTH)
        except ValueError as error:
            found = Unreadable(str(error))
        if not isinstance(found, Unreadable | dict):
            found = Unreadable("is not a document")
        yield found


def values(body: bytes) -> Iterator[object]:
    """JSON values that stand behind one another, those of an array one by one. Raises ``DumpError``."""
    text, at = _text(body), 0
    decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refused)
    while (at := _next(text, at)) < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            told = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise DumpError(f"line {text.count(chr(10), 0, at) + 1}: is not JSON ({told})") from None
        yield from value if isinstance(value, list) else (value,)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DumpError("is not UTF-8 text") from None


def _next(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has a key twice")
    return members


def _refused(word: str) -> None:
    raise ValueError(f"`{word}` is not a number")


def revived(value: object) -> object:
    """What extended JSON means, as the driver would give it."""
    try:
        return _meant(value, MOST_DEPTH)
    except (ValueError, TypeError, KeyError, ArithmeticError, BSONError):
        return Unreadable("holds extended JSON that says nothing")


def _meant(value: object, depth: int) -> object:
    if depth == 0:
        raise ValueError("too deep")
    if isinstance(value, list):
        return [_meant(each, depth - 1) for each in value]
    if not isinstance(value, dict):
        return value
    return json_util.object_hook({name: _meant(each, depth - 1) for name, each in value.items()}, _OPTIONS)


def _plain(value: object, depth: int) -> Json:
    """Raises ``ValueError`` with a sentence."""
    if depth == 0:
        raise ValueError(f"is nested more than {MOST_DEPTH} deep")
    if isinstance(value, dict):
        return {_name(name): _plain(each, depth - 1) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, depth - 1) for each in value]
    return _single(value)


def _name(name: object) -> str:
    if not isinstance(name, str) or name.startswith("$"):
        raise ValueError(f"has an operator (`{str(name)[:40]}`) where a field stands")
    return name


def _single(value: object) -> Json:
    if type(value) is str:  # code is text to the driver
        return _unicode(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and not isinstance(value, DatetimeMS):
        return int(value)  # the driver has kinds of its own
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, DatetimeMS):
        return int(value)
    raise ValueError(f"holds a value that no definition has ({type(value).__name__})")


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds text that is not Unicode") from None
    return text
