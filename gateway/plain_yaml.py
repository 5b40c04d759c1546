"""The text of a YAML file to a tree of texts, lists and mappings with their lines, or the sentence that refuses it.

YAML is read by its events, so that nothing of it is ever made but these three: no tags, no anchors, no merges, no
dates. Which scalar is a number is decided here and strictly; what each key means is not known here. Pure.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, TypeAlias

import yaml

from gateway.policy.terms import Json

LARGEST: Final = 512 * 1024
"""Characters of one file, where nobody says otherwise."""

DEPTH: Final = 16
"""Lists and mappings inside each other, where nobody says otherwise."""

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_WORDS: Final[Mapping[str, Json]] = {"true": True, "false": False, "null": None}
_TRAPS: Final = re.compile(r"[yYnN]|0o[0-7]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
"""What readers of YAML 1.2, or strict ones of YAML 1.1, take for something else than a text."""
_OLD: Final = yaml.resolver.Resolver()
"""Knows what the usual readers of YAML 1.1 take for something else: ``no``, ``on``, ``012``, ``1:30``, dates."""
_TEXT_TAG: Final = "tag:yaml.org,2002:str"


class UnfitError(Exception):
    """Why a text is not read, as a sentence, and the line."""

    def __init__(self, sentence: str, line: int | None) -> None:
        super().__init__(sentence)
        self.line = line


@dataclass(frozen=True, slots=True)
class Scalar:
    """``plain``: without quotes."""

    text: str
    plain: bool
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple["Tree", ...]
    line: int


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping; its keys are texts, whatever they look like."""

    fields: Mapping[str, "Tree"]
    lines: Mapping[str, int]
    line: int


Tree: TypeAlias = Scalar | Items | Fields


def read_tree(text: str, *, largest: int = LARGEST, depth: int = DEPTH) -> Tree:
    """The one document of ``text``, of at most ``largest`` characters. Raises ``UnfitError``."""
    if len(text) > largest:
        raise UnfitError(f"the file has more than {largest} characters; split it", None)
    try:
        text.encode()
        return _document(yaml.parse(text, Loader=LOADER), depth)
    except UnicodeEncodeError as error:
        raise UnfitError("the file holds a sign that is no Unicode", text.count("\n", 0, error.start) + 1) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise UnfitError(_unreadable(error), None if mark is None else mark.line + 1) from None


def plain_json(tree: Tree, words: Collection[str] = ()) -> Json:
    """A tree as JSON. Raises ``UnfitError`` for a scalar without quotes that could be read in two ways, unless it is
    one of ``words``, which are texts.
    """
    match tree:
        case Scalar():
            return tree.text if tree.text in words else _scalar(tree)
        case Items(items):
            return [plain_json(each, words) for each in items]
        case Fields(fields):
            return {key: plain_json(each, words) for key, each in fields.items()}


def text_of(scalar: Scalar) -> str:
    """A scalar where only a text can stand. Raises ``UnfitError`` for a number, ``true``, ``false`` and ``null``."""
    if scalar.plain and (scalar.text in _WORDS or _NUMBER.fullmatch(scalar.text) or not scalar.text):
        raise UnfitError(f"`{scalar.text}` is not a text; put it in quotes if it is meant to be one", scalar.line)
    return scalar.text


def _scalar(scalar: Scalar) -> Json:
    text = scalar.text
    if not scalar.plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if found := _NUMBER.fullmatch(text):
        number = float(text) if found[1] or found[2] else int(text)
        if isfinite(number):
            return number
    if not text:
        raise UnfitError("nothing stands here; write `null`, or `''` for an empty text", scalar.line)
    if _TRAPS.fullmatch(text) or _OLD.resolve(yaml.ScalarNode, text, (True, False)) != _TEXT_TAG:
        raise UnfitError(f"`{text}` means different things to different readers; put it in quotes", scalar.line)
    return text


def _unreadable(error: yaml.YAMLError) -> str:
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read")
    context = str(getattr(error, "context", None) or "")
    hint = "; a text that begins with `*` or `&` stands in quotes" if "alias" in context or "anchor" in context else ""
    return f"this is not YAML: {' '.join(problem.split())}{hint}"


def _document(events: Iterator[Any], depth: int) -> Tree:
    next(events)  # the stream begins
    begins = next(events)
    if isinstance(begins, yaml.StreamEndEvent):
        raise UnfitError("the file is empty", None)
    if begins.version is not None or begins.tags:
        raise UnfitError("a line that begins with `%` has no meaning here; remove it", _line(begins))
    tree = _tree(next(events), events, _Room(depth, depth))
    next(events)  # the document ends
    further = next(events)
    if not isinstance(further, yaml.StreamEndEvent):
        raise UnfitError("a second document begins here; put it in a file of its own", _line(further))
    return tree


@dataclass(frozen=True, slots=True)
class _Room:
    """How many levels are left of how many."""

    left: int
    of: int

    def below(self) -> "_Room":
        return _Room(self.left - 1, self.of)


def _tree(event: Any, events: Iterator[Any], room: _Room) -> Tree:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent):
        raise UnfitError(f"`*{event.anchor}` repeats another value; write the value, or put it in quotes", line)
    if event.anchor is not None:
        raise UnfitError(f"`&{event.anchor}` names a value for repetition; remove it, or put it in quotes", line)
    if event.tag is not None:
        raise UnfitError(f"`{event.tag}` is a tag, which has no meaning here; remove it, or put it in quotes", line)
    if isinstance(event, yaml.ScalarEvent):
        return Scalar(event.value, event.style is None or event.style == "", line)
    if room.left == 0:
        raise UnfitError(f"nested deeper than {room.of}", line)
    if isinstance(event, yaml.SequenceStartEvent):
        return Items(tuple(_items(events, room.below())), line)
    return _fields(events, line, room.below())


def _items(events: Iterator[Any], room: _Room) -> Iterator[Tree]:
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        yield _tree(event, events, room)


def _fields(events: Iterator[Any], line: int, room: _Room) -> Fields:
    fields: dict[str, Tree] = {}
    lines: dict[str, int] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _tree(event, events, room)
        if not isinstance(key, Scalar):
            raise UnfitError("a key is a text", key.line)
        if key.text in fields:
            raise UnfitError(f"`{key.text}` stands twice in one mapping, first in line {lines[key.text]}", key.line)
        fields[key.text] = _tree(next(events), events, room)
        lines[key.text] = key.line
    return Fields(fields, lines, line)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
