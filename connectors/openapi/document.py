"""The text of an OpenAPI document as values, and where its references lead. Pure; no other file is ever read.

What a value means for a request is not known here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias
from urllib.parse import unquote

import msgspec

from gateway.plain_yaml import Fields, Items, Scalar, Tree, UnfitError, read_tree
from gateway.policy.terms import Json

LARGEST: Final = 96 * 1024 * 1024
"""Characters of a document."""

Node: TypeAlias = Mapping[str, Json]

_DEPTH: Final = 200
_HOPS: Final = 32
"""References in a row from one place to another."""

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
_WORDS: Final[Mapping[str, Json]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}


class DocumentError(ValueError):
    """Why a document, or a part of it, is not translated, as a sentence."""


class Version(StrEnum):
    V2 = "2.0"
    V30 = "3.0"
    V31 = "3.1"


@dataclass(slots=True)
class Document:
    """``root`` is what was read; nothing of it has been judged but that it is a mapping of a known version."""

    version: Version
    root: Node
    _found: dict[str, Json] = field(default_factory=dict)

    def resolved(self, node: "Json | Node") -> dict[str, Json]:
        """The mapping that ``node`` is, or refers to. Raises ``DocumentError``."""
        for _ in range(_HOPS):
            if not isinstance(node, dict):
                raise DocumentError("a part of it that is to be a mapping is none")
            if (reference := node.get("$ref")) is None:
                return node
            node = self.at(reference)
        raise DocumentError(f"`{reference}` leads through too many references")

    def at(self, reference: Json) -> Json:
        """What a reference points at. Raises ``DocumentError``: elsewhere, or at nothing."""
        if not isinstance(reference, str):
            raise DocumentError("a `$ref` of it is not a text")
        if reference not in self._found:
            self._found[reference] = _pointed(self.root, reference)
        return self._found[reference]


def read_document(text: str) -> Document:
    """The document that ``text`` holds as JSON or YAML. Raises ``DocumentError``."""
    if len(text) > LARGEST:
        raise DocumentError(f"the document has more than {LARGEST} characters")
    root = _values(text)
    if not isinstance(root, dict):
        raise DocumentError("this is not an OpenAPI document: it is no mapping")
    return Document(_version(root), root)


def mapping(value: Json) -> Node:
    """``value`` where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def members(value: Json) -> list[Json]:
    """``value`` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text_of(value: Json) -> str:
    """``value`` where it is a text, else none."""
    return value if isinstance(value, str) else ""


def _values(text: str) -> Json:
    try:
        if text.lstrip("\ufeff \t\r\n").startswith("{"):
            return _json(text)
        return _plain(read_tree(text.removeprefix("\ufeff"), largest=LARGEST, depth=_DEPTH))
    except UnfitError as unfit:
        raise DocumentError(f"line {unfit.line}: {unfit}" if unfit.line else str(unfit)) from None
    except RecursionError:
        raise DocumentError("it nests too deeply") from None


def _json(text: str) -> Json:
    try:
        found: Json = msgspec.json.decode(text.removeprefix("\ufeff"))
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise DocumentError(f"this is not JSON: {error}") from None
    return found


def _plain(tree: Tree) -> Json:
    """As YAML 1.2 reads it: a date is a text, and so is ``no``."""
    match tree:
        case Scalar(text, plain=False):
            return text
        case Scalar(text):
            if text in _WORDS:
                return _WORDS[text]
            found = _NUMBER.fullmatch(text)
            return text if found is None else float(text) if found[1] or found[2] else int(text)
        case Items(items):
            return [_plain(each) for each in items]
        case Fields(fields):
            return {key: _plain(each) for key, each in fields.items()}


def _version(root: Node) -> Version:
    said = root.get("swagger", root.get("openapi"))
    for version in Version:
        if str(said) == version or str(said).startswith(f"{version}."):
            return version
    known = ", ".join(f"`{version}`" for version in Version)
    raise DocumentError(f"its version (`openapi` or `swagger`) is none of {known}")


def _pointed(root: Node, reference: str) -> Json:
    """RFC 6901 in a URI fragment. Nothing outside of the document is looked at."""
    if reference != "#" and not reference.startswith("#/"):
        sentence = f"refers to `{reference[:100]}`, which is another document"
        raise DocumentError(f"{sentence}; put all of them into one first")
    found: Json = root  # type: ignore[assignment]  # a mapping that was read is a dict
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdecimal() and int(name[:6]) < len(found):
            found = found[int(name[:6])]
        else:
            raise DocumentError(f"refers to `{reference[:100]}`, which is not there")
    return found
