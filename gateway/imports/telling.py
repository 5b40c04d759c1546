"""What is told of a dump: what became of each thing in it, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.imports.documents import Document, DumpError
from gateway.policy.terms import Json


class Verdict(StrEnum):
    """``refused``: unsafe, or not to be understood, and kept out. ``left``: not needed here, or there already.
    ``changed``: taken, but not as it was.
    """

    CHANGED = "changed"
    LEFT = "left out"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Remark:
    """``what`` is it (``tool ann@example.com:post``), and why so; secrets stand in neither."""

    verdict: Verdict
    what: str
    sentence: str


@dataclass(slots=True)
class Remarks:
    """They gather while a dump is read."""

    all: list[Remark] = field(default_factory=list)

    def changed(self, what: str, sentence: str) -> None:
        self.all.append(Remark(Verdict.CHANGED, what, sentence))

    def left(self, what: str, sentence: str) -> None:
        self.all.append(Remark(Verdict.LEFT, what, sentence))

    def refused(self, what: str, *sentences: str) -> None:
        self.all.extend(Remark(Verdict.REFUSED, what, each) for each in sentences)


_SHOWN: Final = 80


def shown(value: Json) -> str:
    """A value of a dump as a name in a sentence."""
    text = value if isinstance(value, str) else "?"
    plain = "".join(each if each.isprintable() else "?" for each in text)
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}…"


def strange(document: Document, known: Iterable[str]) -> tuple[str, ...]:
    """The fields that nobody reads."""
    return tuple(sorted(document.keys() - set(known)))


def text_of(document: Mapping[str, Json], name: str) -> str:
    """A text, ``""`` where it is not there. Raises ``DumpError``."""
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DumpError(f"`{name}` is not a text")
    return value


def texts_of(document: Mapping[str, Json], name: str) -> tuple[str, ...]:
    """Texts, each once, in their order. Raises ``DumpError``."""
    value = document.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise DumpError(f"`{name}` is not a list of texts")
    return tuple(dict.fromkeys(str(each) for each in value))


def time_of(document: Mapping[str, Json], name: str) -> int:
    """A time in ms since the epoch, 0 where it is not told. Raises ``DumpError``."""
    value = document.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise DumpError(f"`{name}` is not a time")
    return max(value, 0)
