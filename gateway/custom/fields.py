"""One object of JSON read field by field: whatever is wrong is told with its place, and no field is overlooked.

A fault yields the default, so that reading goes on and all faults come at once. This file knows the types of values,
not what any field means.
"""

import difflib
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.mcp.jsonrpc import quoted
from gateway.policy.terms import Json

DEEPEST: Final = 64
"""Objects and lists within one another."""

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_HARMLESS: Final = frozenset("\n\t\r\u200c\u200d")
"""Signs of these kinds that people do write: ends of lines, and what joins letters and pictures."""
_TAGS: Final = range(0xE0000, 0xE1000)
"""Signs that nobody sees and models read."""


@dataclass(slots=True)
class Fields:
    """``problems`` is where sentences go, common to a whole definition; ``place`` leads from its top to this object."""

    given: Mapping[str, Json]
    problems: list[str]
    place: str = ""
    _asked: list[str] = field(default_factory=list)

    def problem(self, sentence: str, name: str = "") -> None:
        """A problem with the object, or with the field ``name``; the sentence goes on behind the place."""
        place = self.named(name) if name else self.place
        self.problems.append(f"{place}: {sentence}" if place else sentence)

    def named(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name

    def close(self) -> None:
        """Tell the fields that nobody has asked for."""
        for name in self.given:
            if name not in self._asked:
                self.problems.append(f"{quoted(self.named(name))}: is not known{meant(name, self._asked)}")

    def has(self, name: str) -> bool:
        return self.given.get(name) is not None

    def json(self, name: str) -> Json:
        """A value of any form; ``None`` where there is none."""
        self._asked.append(name)
        return self.given.get(name)

    def text(self, name: str, *, most: int, required: bool = False) -> str:
        value = self.json(name)
        if value is None or value == "":
            if required:
                self.problem("is missing; write a text", name)
        elif not isinstance(value, str):
            self.problem("is not a text", name)
        elif len(value) > most:
            self.problem(f"has {len(value)} characters; at most {most} fit", name)
        else:
            return value
        return ""

    def flag(self, name: str) -> bool | None:
        """``None`` where nothing is said."""
        value = self.json(name)
        if value is None or isinstance(value, bool):
            return value
        self.problem("is `true` or `false`", name)
        return None

    def object(self, name: str, *, required: bool = False) -> dict[str, Json] | None:
        """``None`` where there is none."""
        value = self.json(name)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.problem("is not an object", name)
        elif required:
            self.problem("is missing; write an object", name)
        return None

    def below(self, name: str, *, required: bool = False) -> "Fields | None":
        """The object under ``name``, to be read itself."""
        value = self.object(name, required=required)
        return None if value is None else Fields(value, self.problems, self.named(name))

    def list(self, name: str, *, most: int) -> list[Json]:
        value = self.json(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem("is not a list", name)
        elif len(value) > most:
            self.problem(f"has {len(value)} members; at most {most} fit", name)
        else:
            return value
        return []

    def each(self, name: str, *, most: int) -> "Iterator[Fields]":
        """The objects of the list under ``name``."""
        for at, value in enumerate(self.list(name, most=most)):
            place = f"{self.named(name)}[{at}]"
            if isinstance(value, dict):
                yield Fields(value, self.problems, place)
            else:
                self.problems.append(f"{place}: is not an object")

    def texts(self, name: str, *, most: int) -> tuple[str, ...] | None:
        """Different texts, in their order; ``None`` where nothing is said."""
        members = self.list(name, most=most)
        texts = [each for each in members if isinstance(each, str) and each]
        if len(texts) != len(members):
            self.problem("is a list of texts, none of them empty", name)
        return tuple(dict.fromkeys(texts)) if self.has(name) else None


def meant(word: str, known: Collection[str]) -> str:
    """``; did you mean `x`?``, or nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {quoted(close[0])}?" if close else ""


def unfit(value: Json) -> str:
    """Why ``value`` can neither be kept nor shown, whatever it means; ``""`` when it can."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        if any(isinstance(each, str) and _hides(each) for each in level):
            return "holds a sign that nobody sees (a control sign, or one that hides text); remove it"
        level = [inner for each in level for inner in _within(each)]
        if not level:
            return ""
    return f"nests more than {DEEPEST} objects and lists within one another; make it flatter"


def _within(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _hides(text: str) -> bool:
    if text.isascii() and text.isprintable():
        return False
    return any(_unseen(each) for each in text)


def _unseen(sign: str) -> bool:
    return ord(sign) in _TAGS or (unicodedata.category(sign) in _UNSEEN and sign not in _HARMLESS)
