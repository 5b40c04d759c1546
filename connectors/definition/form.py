"""One mapping of a definition's file, read key by key: whatever is wrong is told with its line, no key is overlooked.

A fault yields the default, so that reading goes on and all faults come at once. This file knows the types of values,
not what any key means.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from gateway.plain_yaml import Fields, Items, Scalar, Tree, UnfitError, plain_json
from gateway.policy.terms import Json, Place, Problem

Kind = TypeVar("Kind", bound=StrEnum)

WORDS: Final = frozenset(
    spelled for word in ("on", "off", "yes", "no", "y", "n") for spelled in (word, word.capitalize(), word.upper())
)
"""Texts here, whatever old readers of YAML take them for: only ``true`` and ``false`` are truth values."""

LONGEST: Final = 2_000


@dataclass(slots=True)
class Form:
    """``problems`` is where problems go, common to a whole file; ``path`` leads from its top to this mapping."""

    file: str
    tree: Fields
    problems: list[Problem]
    path: str = ""
    _asked: list[str] = field(default_factory=list)

    def close(self) -> None:
        """Tell the keys that nobody has asked for."""
        for key in self.tree.fields:
            if key not in self._asked:
                self.problem(f"`{self.named(key)}` is not known here{meant(key, self._asked)}", key)

    def problem(self, sentence: str, key: str = "") -> None:
        """A problem with the mapping, or with ``key`` in it."""
        self.problems.append(Problem(Place(self.file, self.tree.lines.get(key, self.tree.line)), sentence))

    def named(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        self._asked.append(key)
        return key in self.tree.fields

    def names(self) -> tuple[str, ...]:
        """Keys that are the writer's own; all of them count as known."""
        self._asked.extend(self.tree.fields)
        return tuple(self.tree.fields)

    def text(self, key: str, default: str = "", *, required: bool = False, most: int = LONGEST) -> str:
        value = self.json(key, default)
        if required and not self.has(key):
            self.problem(f"`{self.named(key)}` is missing")
        elif not isinstance(value, str):
            self.problem(f"`{self.named(key)}` is not a text; put it in quotes if it is meant to be one", key)
        elif value == "" and key in self.tree.fields:
            self.problem(f"`{self.named(key)}` is an empty text; leave it out, or fill it in", key)
        elif len(value) > most or not all(each.isprintable() or each in "\n\t" for each in value):
            self.problem(f"`{self.named(key)}` is longer than {most} characters or holds control characters", key)
        else:
            return value
        return default

    def texts(self, key: str) -> tuple[str, ...]:
        """One text, or a list of different ones."""
        value = self.json(key, [])
        members = value if isinstance(value, list) else [value]
        texts = [each for each in members if isinstance(each, str) and each]
        if len(texts) != len(members):
            self.problem(f"`{self.named(key)}` is a text or a list of texts, none of them empty", key)
        for text in dict.fromkeys(each for each in texts if texts.count(each) > 1):
            self.problem(f"`{text}` stands twice in `{self.named(key)}`", key)
        return tuple(dict.fromkeys(texts))

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.json(key, default)
        if isinstance(value, bool):
            return value
        self.problem(f"`{self.named(key)}` is `true` or `false`", key)
        return default

    def whole(self, key: str, default: int, *, least: int, most: int) -> int:
        value = self.json(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.problem(f"`{self.named(key)}` is a whole number from {least} to {most}", key)
        return default

    def choice(self, key: str, kind: type[Kind], default: Kind | None) -> Kind | None:
        """One word of a closed list; with ``None`` for a default it must be there."""
        text = self.text(key, required=default is None)
        if text in tuple(kind):
            return kind(text)
        if text:
            close = meant(text, tuple(kind))
            self.problem(f"`{self.named(key)}` is one of `{'`, `'.join(kind)}`, not `{text}`{close}", key)
        return default

    def json(self, key: str, default: Json = None) -> Json:
        """A value of free form."""
        self._asked.append(key)
        tree = self.tree.fields.get(key)
        if tree is None:
            return default
        try:
            return plain_json(tree, WORDS)
        except UnfitError as unfit:
            self.problems.append(Problem(Place(self.file, unfit.line), f"`{self.named(key)}`: {unfit}"))
            return default

    def object(self, key: str) -> dict[str, Json]:
        """A mapping of free form."""
        value = self.json(key, {})
        if isinstance(value, dict):
            return value
        self.problem(f"`{self.named(key)}` is a mapping such as `{{NAME: VALUE}}`", key)
        return {}

    def sub(self, key: str) -> "Form | None":
        """The mapping below ``key``, ``None`` when there is none."""
        self._asked.append(key)
        tree = self.tree.fields.get(key)
        return None if tree is None else self._form(key, tree)

    def subs(self, key: str) -> Iterator[tuple[str, "Form"]]:
        """The mappings below ``key`` by their names, which are the writer's own."""
        below = self.sub(key)
        for name in () if below is None else below.names():
            if below is not None and (each := below.sub(name)) is not None:
                yield name, each

    def mapped(self, key: str) -> dict[str, str]:
        """A mapping of names to texts."""
        below = self.sub(key)
        return {} if below is None else {name: below.text(name) for name in below.names()}

    def _form(self, key: str, tree: Tree) -> "Form | None":
        if isinstance(tree, Fields):
            return Form(self.file, tree, self.problems, self.named(key))
        if isinstance(tree, Scalar | Items):
            self.problem(f"`{self.named(key)}` is a mapping; write `{{KEY: VALUE}}`", key)
        return None


def meant(word: str, known: Iterable[str]) -> str:
    """``; did you mean `x`?``, the known words, or nothing."""
    names = tuple(dict.fromkeys(known))
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; it is one of `{'`, `'.join(names)}`" if 0 < len(names) <= 12 else ""
