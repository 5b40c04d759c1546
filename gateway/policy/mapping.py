"""Arguments of one tool made of those of another: templates in which ``{{x}}`` stands for an argument.

What stands for an argument is never read as a template again. This file knows no policy and no conditions.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, TypeAlias

from gateway.policy.condition_values import Absent
from gateway.policy.json_value import Json

TEMPLATES: Final = "argMappings"
"""Where templates stand in a definition: the beginning of every place in a sentence."""

DEEPEST: Final = 20
"""Objects and lists within one another, in the template of one argument."""

MOST: Final = 500
"""Values that the templates of one tool hold."""

_BRACES: Final = re.compile(r"\{\{((?:(?!\{\{|\}\}).)*)\}\}", re.DOTALL)
"""Never past the next braces: each sign is looked at once, whatever stands there."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Stands for an argument as it is, or for nothing where that is absent."""

    name: str


@dataclass(frozen=True, slots=True)
class Made:
    """A text made of others; in ``parts`` texts and names of arguments take turns, beginning with a text."""

    source: str
    parts: tuple[str, ...]


Template: TypeAlias = "bool | int | float | str | list[Template] | dict[str, Template] | Whole | Made | None"


@dataclass(frozen=True, slots=True)
class ArgumentMapping:
    """How the arguments of a tool become those of the tool that it calls. Made by ``read_mapping``.

    ``names`` are the arguments that templates read; ``passed`` those that no template reads or sets, which are handed
    on under their own names. Neither ``tree``, the templates by the arguments that they set, nor anything in it may be
    changed.
    """

    source: str
    """The templates as JSON with sorted names: what tells mappings apart."""
    names: frozenset[str]
    passed: frozenset[str]
    tree: Mapping[str, Template] = field(compare=False, repr=False)

    def filled(self, args: Mapping[str, Json]) -> dict[str, Json]:
        """The arguments of the tool that is called, for ``args`` of the tool that calls it."""
        given = {name: value for name, value in args.items() if name in self.passed}
        return given | _members(self.tree, args)


def read_mapping(templates: Mapping[str, Json], declared: Collection[str]) -> ArgumentMapping | list[str]:
    """The mapping that ``templates`` write for a tool with the arguments ``declared``, or what is wrong with them, as
    sentences that begin with a place (``argMappings.body.text``).
    """
    reading = _Reading(frozenset(declared))
    tree = dict(reading.members(templates, TEMPLATES, 0))
    if reading.values > MOST:
        return [f"{TEMPLATES}: holds more than {MOST} values; pass whole objects and lists instead"]
    if reading.sentences:
        return reading.sentences
    passed = reading.declared.difference(reading.names, tree)
    return ArgumentMapping(json.dumps(templates, sort_keys=True), frozenset(reading.names), passed, tree)


class _Reading:
    """What has been read so far."""

    def __init__(self, declared: frozenset[str]) -> None:
        self.declared = declared
        self.names: set[str] = set()
        self.sentences: list[str] = []
        self.values = 0

    def members(self, value: Mapping[Any, Any], place: str, depth: int) -> Iterator[tuple[str, Template]]:
        for key, each in value.items():
            there = f"{place}.{key}"
            if not isinstance(key, str):
                self._wrong(there, f"the name `{key}` is no text")
            elif "{{" in key or "}}" in key:
                self._wrong(there, "names are taken as they are; `{{` and `}}` may stand in values only")
            else:
                yield key, self._template(each, there, depth)

    def _template(self, value: Any, place: str, depth: int) -> Template:
        self.values += not isinstance(value, dict | list) or not value
        if self.values > MOST:
            return None
        if isinstance(value, dict | list) and depth == DEEPEST:
            return self._wrong(place, f"stands in more than {DEEPEST} objects and lists; pass a whole one instead")
        match value:
            case dict():
                return dict(self.members(value, place, depth + 1))
            case list():
                return [self._template(each, f"{place}[{at}]", depth + 1) for at, each in enumerate(value)]
            case str():
                return self._text(value, place)
            case None | bool() | int():
                return value
            case float() if isfinite(value):
                return value
            case _:
                return self._wrong(place, "is no value of JSON")

    def _text(self, text: str, place: str) -> Template:
        parts = _BRACES.split(text)
        if any("{{" in part or "}}" in part for part in parts) or any(set("{}") & set(name) for name in parts[1::2]):
            return self._wrong(place, f"the braces of `{text}` do not match; for the argument `x` write `{{{{x}}}}`")
        parts[1::2] = names = [name.strip() for name in parts[1::2]]
        for name in names:
            if name not in self.declared:
                self._wrong(place, _unknown(name))
        self.names.update(names)
        if len(parts) == 1:
            return text
        return Whole(names[0]) if len(parts) == 3 and parts[0] == parts[2] == "" else Made(text, tuple(parts))

    def _wrong(self, place: str, sentence: str) -> Template:
        """Nothing, and why."""
        self.sentences.append(f"{place}: {sentence}")
        return None


def _unknown(name: str) -> str:
    if not name:
        return "`{{}}` names no argument; for the argument `x` write `{{x}}`"
    return f"`{{{{{name}}}}}` is no argument that the tool declares; only whole arguments can be read, by their names"


def _members(tree: Mapping[str, Template], args: Mapping[str, Json]) -> dict[str, Json]:
    found = ((key, _value(template, args)) for key, template in tree.items())
    return {key: value for key, value in found if value is not Absent.MISSING}


def _value(template: Template, args: Mapping[str, Json]) -> Any:
    match template:
        case Whole(name):
            return args.get(name, Absent.MISSING)
        case Made(_, parts):
            return "".join(_written(args, part) if at % 2 else part for at, part in enumerate(parts))
        case dict():
            return _members(template, args)
        case list():
            return [value for each in template if (value := _value(each, args)) is not Absent.MISSING]
        case _:
            return template


def _written(args: Mapping[str, Json], name: str) -> str:
    """An argument within a text: a text as it is, another value as compact JSON, an absent one as nothing."""
    value = args.get(name, "")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
