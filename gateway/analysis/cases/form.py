"""One mapping of a test file, read key by key; whatever is wrong is told with its line, and no key is overlooked.

This file knows the types of values, not what any key means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeVar

from gateway.plain_yaml import Fields, Items, Scalar, Tree, UnfitError, plain_json, text_of
from gateway.policy.terms import NOTHING, Json, Place, Problem

Kind = TypeVar("Kind", bound=StrEnum)

MANY: Final = 1_000
"""Members of one list."""

_A_TIME: Final = "a time such as `2027-01-15T10:00:00Z`, with its offset"


@dataclass(slots=True)
class Form:
    """``problems`` is where problems go, common to a whole file."""

    file: str
    tree: Fields
    problems: list[Problem]
    _asked: list[str] = field(default_factory=list)

    @property
    def place(self) -> Place:
        return Place(self.file, self.tree.line)

    def close(self) -> None:
        """Tell the keys that nobody has asked for."""
        known = "`, `".join(dict.fromkeys(self._asked))
        for key in self.tree.fields:
            if key not in self._asked:
                self._tell(f"`{key}` is not one of `{known}`", self.tree.lines[key])

    def tell(self, sentence: str, key: str) -> None:
        """A problem with the value of ``key``."""
        self._tell(sentence, self.tree.lines.get(key, self.tree.line))

    def has(self, key: str) -> bool:
        self._asked.append(key)
        return key in self.tree.fields

    def text(self, key: str, default: str = "") -> str:
        tree = self._get(key)
        return default if tree is None else self._text(tree, key)

    def texts(self, key: str, *, none: bool = False) -> tuple[str, ...]:
        """One text, or a list of different ones; empty when the key is missing, and with ``none`` when the list is."""
        tree = self._get(key)
        if tree is None:
            return ()
        members = tree.items if isinstance(tree, Items) else (tree,)
        some = members if none and not members else self._some(members, tree, key)
        found = tuple(filter(None, (self._text(each, key) for each in some)))
        for text in dict.fromkeys(each for each in found if found.count(each) > 1):
            self._tell(f"`{text}` stands twice in `{key}`", tree.line)
        return found

    def choice(self, key: str, kind: type[Kind], default: Kind) -> Kind:
        text = self.text(key)
        if text in tuple(kind):
            return kind(text)
        if text:
            self.tell(f"`{text}` is not one of `{'`, `'.join(kind)}`", key)
        return default

    def flag(self, key: str, default: bool) -> bool:
        tree = self._get(key)
        if tree is None:
            return default
        if not isinstance(tree, Scalar) or not tree.plain or tree.text not in ("true", "false"):
            self._tell(f"`{key}` is `true` or `false`", tree.line)
            return default
        return tree.text == "true"

    def object(self, key: str) -> Mapping[str, Json]:
        """A mapping of free form."""
        tree = self._get(key)
        return NOTHING if tree is None else self._object(tree, key)

    def objects(self, key: str) -> tuple[Mapping[str, Json], ...]:
        """One mapping of free form, or a list of them; empty when the key is missing."""
        tree = self._get(key)
        if tree is None:
            return ()
        members = tree.items if isinstance(tree, Items) else (tree,)
        return tuple(self._object(each, key) for each in self._some(members, tree, key))

    def moment(self, key: str, default: int | None) -> int | None:
        """A time, in ms since the epoch."""
        text = self.text(key)
        try:
            found = datetime.fromisoformat(text) if text else None
        except ValueError:
            found = None
        if found is not None and found.tzinfo is not None and "T" in text:
            return int(found.timestamp() * 1000)
        if self.has(key):
            self.tell(f"`{text}` is not {_A_TIME}", key)
        return default

    def rows(self, key: str) -> list["Form"]:
        """A list of mappings."""
        tree = self._get(key)
        if tree is None:
            return []
        if not isinstance(tree, Items):
            self._tell(f"`{key}` is a list; begin each of its members with `- `", self.tree.lines[key])
            return []
        for before, item in pairwise(tree.items):
            if item.line == before.line:
                self._tell(f"two members of `{key}` stand in one line; give each its own", item.line)
        return [each for item in tree.items if (each := self._form(item, f"a member of `{key}`"))]

    def named(self, key: str) -> dict[str, "Form | Scalar"]:
        """A mapping of names to mappings, or to single words."""
        tree = self._get(key)
        if tree is None:
            return {}
        if not isinstance(tree, Fields):
            self._tell(f"`{key}` is a mapping of names; write `NAME: ...` below it", self.tree.lines[key])
            return {}
        found = {
            name: each if isinstance(each, Scalar) else self._form(each, f"`{name}`")
            for name, each in tree.fields.items()
        }
        return {name: each for name, each in found.items() if each is not None}

    def line_of(self, key: str, name: str) -> int:
        """Where ``name`` of the mapping ``key`` stands."""
        tree = self.tree.fields[key]
        return tree.lines[name] if isinstance(tree, Fields) else tree.line

    def sub(self, key: str) -> "Form | None":
        """The mapping below ``key``, when it is one; otherwise it is as if nobody had asked."""
        tree = self.tree.fields.get(key)
        if not isinstance(tree, Fields):
            return None
        self._asked.append(key)
        return Form(self.file, tree, self.problems)

    def _get(self, key: str) -> Tree | None:
        self._asked.append(key)
        return self.tree.fields.get(key)

    def _form(self, tree: Tree, what: str) -> "Form | None":
        if isinstance(tree, Fields):
            return Form(self.file, tree, self.problems)
        self._tell(f"{what} is a mapping; write `{{KEY: VALUE}}`", tree.line)
        return None

    def _some(self, members: tuple[Tree, ...], tree: Tree, key: str) -> tuple[Tree, ...]:
        if not members:
            self._tell(f"`{key}` is empty; leave it out, or name something", tree.line)
        if len(members) > MANY:
            self._tell(f"`{key}` has more than {MANY} members", tree.line)
        return members[:MANY]

    def _text(self, tree: Tree, key: str) -> str:
        if not isinstance(tree, Scalar):
            self._tell(f"`{key}` is a text, or a list of texts where it may be one", tree.line)
            return ""
        try:
            text = text_of(tree)
        except UnfitError as unfit:
            self._tell(str(unfit), unfit.line)
            return ""
        if not text:
            self._tell(f"`{key}` holds an empty text", tree.line)
        return text

    def _json(self, tree: Tree) -> Json:
        try:
            return plain_json(tree)
        except UnfitError as unfit:
            self._tell(str(unfit), unfit.line)
            return None

    def _object(self, tree: Tree, key: str) -> Mapping[str, Json]:
        if not isinstance(tree, Fields):
            self._tell(f"`{key}` is a mapping such as `{{NAME: VALUE}}`", tree.line)
            return NOTHING
        value = self._json(tree)
        return value if isinstance(value, dict) else NOTHING

    def _tell(self, sentence: str, line: int | None) -> None:
        self.problems.append(Problem(Place(self.file, line), sentence))
