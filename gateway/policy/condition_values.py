"""What a condition may ask of one value: its kind, its order, its place in a list, its ends.

Three-valued throughout (Kleene): ``None`` is "unknown". A value that is missing, of another kind than the
constant, not a finite number, or a text that is not proper Unicode in normal form C is *unknown*. So it
neither earns an allow that was written for its twin nor slips past a deny: ``['admin']`` and a decomposed
``é`` do not dodge ``== 'admin'`` and ``== 'é'``. Only ``== null`` and ``!= null`` are exact for every value
that is there. A bool is no number, and 1 is 1.0. This file knows no text syntax, no fields and no context.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from math import isfinite
from types import NoneType
from typing import Any, Final, NamedTuple, TypeAlias
from unicodedata import is_normalized

Kleene: TypeAlias = bool | None
Judge: TypeAlias = Callable[[Any], Kleene]
"""Total: it never raises and never changes what it is given."""


class Absent(Enum):
    """What stands where no value is: surely none, or nobody can tell."""

    MISSING = "missing"
    UNKNOWN = "unknown"


class Op(StrEnum):
    EQUAL = "=="
    OTHER = "!="
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="


class Side(StrEnum):
    STARTS = "starts"
    ENDS = "ends"


class Constant(NamedTuple):
    """A literal with its kind, so that 1 and 1.0 are equal and 1 and true are not."""

    kind: type
    value: str | float | None

    def __str__(self) -> str:
        if isinstance(self.value, str):
            return quoted(self.value)
        return _WORDS.get(self, repr(self.value))


_OPERATORS: Final[Mapping[Op, Callable[[Any, Any], bool]]] = {
    Op.EQUAL: operator.eq,
    Op.OTHER: operator.ne,
    Op.BELOW: operator.lt,
    Op.AT_MOST: operator.le,
    Op.ABOVE: operator.gt,
    Op.AT_LEAST: operator.ge,
}
_KINDS: Final[Mapping[type, type]] = {bool: bool, int: float, NoneType: NoneType}
_WORDS: Final = {Constant(bool, True): "true", Constant(bool, False): "false", Constant(NoneType, None): "null"}


def is_text(value: str) -> bool:
    """Whether a text may be compared: proper Unicode (no lone surrogate) in normal form C."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return is_normalized("NFC", value)


def kind_of(value: Any) -> type | None:
    """``str``, ``bool``, ``float`` (any finite number) or ``NoneType``; ``None`` for what no constant can equal."""
    kind = type(value)
    if kind is str:
        return str if is_text(value) else None
    if kind is float:
        return float if isfinite(value) else None
    return _KINDS.get(kind)


def constant(value: str | float | None) -> Constant:
    """A text in normal form C, a finite number, a bool or null as a constant."""
    return Constant(str if isinstance(value, str) else _KINDS.get(type(value), float), value)


def quoted(text: str) -> str:
    """Any text as a literal of the condition language, with every sign that cannot be seen written as a number."""
    return "'" + "".join(_escaped(sign) for sign in text) + "'"


def _escaped(sign: str) -> str:
    if sign in "'\\":
        return f"\\{sign}"
    return sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}"


def descend(value: object, keys: Iterable[str]) -> object:
    """What stands below a value. Below something that is there but is no object nobody can tell."""
    for key in keys:
        if isinstance(value, dict | Mapping):
            value = value.get(key, Absent.MISSING)
        else:
            return Absent.MISSING if value is Absent.MISSING else Absent.UNKNOWN
    return value


@dataclass(frozen=True, slots=True)
class Compare:
    op: Op
    constant: Constant
    judge: Judge = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "judge", _comparing(self.op, *self.constant))

    def written(self, path: str) -> str:
        if self.op is Op.EQUAL and self.constant.value is True:
            return path
        return f"{path} {self.op} {self.constant}"


def _comparing(op: Op, kind: type, value: object) -> Judge:
    holds = _OPERATORS[op]

    def judge(actual: object) -> Kleene:
        return holds(actual, value) if kind_of(actual) is kind else None

    def judge_null(actual: object) -> Kleene:
        return None if isinstance(actual, Absent) else (actual is None) is (op is Op.EQUAL)

    return judge_null if kind is NoneType else judge


@dataclass(frozen=True, slots=True)
class OneOf:
    """``in``: true for an equal member, false for another value of a member's kind."""

    members: frozenset[Constant]
    judge: Judge = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        members = self.members
        kinds = frozenset(member.kind for member in members)

        def judge(actual: Any) -> Kleene:
            kind = kind_of(actual)
            return (kind, actual) in members if kind in kinds else None

        object.__setattr__(self, "judge", judge)

    def written(self, path: str) -> str:
        listed = sorted(self.members, key=lambda member: (member.kind.__name__, member.value))
        return f"{path} in [{', '.join(map(str, listed))}]"


@dataclass(frozen=True, slots=True)
class Affix:
    side: Side
    text: str
    judge: Judge = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        holds, text = (str.startswith if self.side is Side.STARTS else str.endswith), self.text

        def judge(actual: Any) -> Kleene:
            return holds(actual, text) if kind_of(actual) is str else None

        object.__setattr__(self, "judge", judge)

    def written(self, path: str) -> str:
        return f"{self.side}({path}, {quoted(self.text)})"


@dataclass(frozen=True, slots=True)
class Present:
    """``has``: true for whatever is there, null too; unknown below something that is no object."""

    def judge(self, actual: object) -> Kleene:
        return None if actual is Absent.UNKNOWN else actual is not Absent.MISSING

    def written(self, path: str) -> str:
        return f"has({path})"
