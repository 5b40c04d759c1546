"""How often: the sliding window, and the limits that ``limits.toml`` sets. Who gets which class is asked
of the rules (``rate:CLASS``), not here. Time comes in as an argument; nothing is kept.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from gateway.policy.model import obj_match
from gateway.policy.rows import object_sentence
from gateway.policy.terms import Effect, Place, Problem

DEFAULT: Final = "default"
"""The class of whoever is allowed no other."""

GRAINS: Final = 100
"""A window remembers at most about so many moments; calls of one grain (a hundredth of it) leave together."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_DAY_S: Final = 86_400
_MOST_CALLS: Final = 1_000_000
_HEADER: Final = re.compile(r"\s*\[\[\s*(class|object)\s*\]\]\s*(#.*)?")
_SYNTAX: Final = re.compile(r"(?P<what>.*) \(at line (?P<line>\d+), column \d+\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many ``calls`` in any ``window_ms`` milliseconds."""

    calls: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class LimitClass:
    name: str
    limit: Limit


@dataclass(frozen=True, slots=True)
class ObjectLimit:
    """A limit for the objects that ``match`` covers, as rules write them; ``klass`` ``None`` is everybody."""

    match: str
    limit: Limit
    klass: str | None = None


DEFAULT_LIMIT: Final = Limit(calls=100, window_ms=60_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits; ``classes`` begin with the most generous and leave out ``default``."""

    classes: tuple[LimitClass, ...] = ()
    objects: tuple[ObjectLimit, ...] = ()
    default: Limit = DEFAULT_LIMIT

    def of(self, klass: str) -> Limit:
        """The limit of a class; that of ``default`` when there is no such class."""
        return next((each.limit for each in self.classes if each.name == klass), self.default)

    def on(self, object: str, klass: str) -> tuple[ObjectLimit, ...]:
        """The further limits that a call of ``object`` by someone of ``klass`` must keep, each counted by itself."""
        return tuple(
            each for each in self.objects if each.klass in (None, klass) and obj_match(object, each.match, Effect.DENY)
        )


@dataclass(frozen=True, slots=True)
class _Grain:
    """Calls that happened close together, and that leave the window together when the last one does."""

    first: int
    last: int
    calls: int


@dataclass(frozen=True, slots=True)
class Window:
    """The calls of one caller that still count. The empty one is where everybody starts."""

    grains: tuple[_Grain, ...] = ()


def take(window: Window, limit: Limit, now_ms: int) -> tuple[Window, int]:
    """Count one call at ``now_ms``: the next window and 0, or the window without it and the milliseconds to wait.

    Never more than ``limit.calls`` pass in any ``limit.window_ms``; a refused call does not count. A clock
    that goes backwards stands still.
    """
    now = max(now_ms, window.grains[-1].last) if window.grains else now_ms
    live = tuple(grain for grain in window.grains if grain.last + limit.window_ms > now)
    if sum(grain.calls for grain in live) >= limit.calls:
        return Window(live), _wait(live, limit, now)
    if live and now - live[-1].first < limit.window_ms // GRAINS:
        return Window((*live[:-1], _Grain(live[-1].first, now, live[-1].calls + 1))), 0
    return Window((*live, _Grain(now, now, 1))), 0


def _wait(live: tuple[_Grain, ...], limit: Limit, now: int) -> int:
    """Until enough of the oldest calls have left for one more; the limit may have been lowered meanwhile."""
    surplus = sum(grain.calls for grain in live) - limit.calls
    left = zip(live, accumulate(grain.calls for grain in live), strict=True)
    return next(grain.last for grain, gone in left if gone > surplus) + limit.window_ms - now


def read_limits(text: str, file: str) -> Limits | list[Problem]:
    """What a ``limits.toml`` says, or everything that is wrong with it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [_syntax(str(error), file)]
    except (ValueError, RecursionError):  # tomllib lets these through
        return [Problem(Place(file), "a number is too long, or brackets are nested too deeply; write it shorter")]
    problems = [
        Problem(Place(file), f"`{key}` is not one of `class`, `object`")
        for key in document
        if key not in ("class", "object")
    ]
    tables = {key: _tables(key, document.get(key, []), text, file, problems) for key in ("class", "object")}
    classes = [
        (LimitClass(table["name"], _limit(table)), place)
        for table, place in tables["class"]
        if not _report(problems, place, _class_sentences(table))
    ]
    names = [each.name for each, _ in classes]
    problems += [
        Problem(place, f"class `{each.name}` comes twice")
        for at, (each, place) in enumerate(classes)
        if each.name in names[:at]
    ]
    objects = [
        ObjectLimit(table["match"], _limit(table), table.get("class"))
        for table, place in tables["object"]
        if not _report(problems, place, _object_sentences(table, {*names, DEFAULT}))
    ]
    return problems or _limits([each for each, _ in classes], objects)


def _limits(classes: list[LimitClass], objects: list[ObjectLimit]) -> Limits:
    generous = sorted(classes, key=lambda each: (-each.limit.calls / each.limit.window_ms, -each.limit.calls))
    return Limits(
        classes=tuple(each for each in generous if each.name != DEFAULT),
        objects=tuple(objects),
        default=next((each.limit for each in classes if each.name == DEFAULT), DEFAULT_LIMIT),
    )


def _tables(key: str, value: Any, text: str, file: str, problems: list[Problem]) -> list[tuple[dict[str, Any], Place]]:
    """The tables of one kind, each with the line of its header."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        problems.append(Problem(Place(file), f"`{key}` is not a table; write `[[{key}]]` above each"))
        return []
    lines = [
        number
        for number, line in enumerate(text.split("\n"), start=1)
        if (m := _HEADER.fullmatch(line)) and m[1] == key
    ]
    places = [Place(file, line) for line in lines] if len(lines) == len(value) else [Place(file)] * len(value)
    return list(zip(value, places, strict=True))


def _report(problems: list[Problem], place: Place, sentences: Iterator[str]) -> bool:
    found = [Problem(place, sentence) for sentence in sentences]
    problems += found
    return bool(found)


def _limit(table: dict[str, Any]) -> Limit:
    return Limit(calls=table["calls"], window_ms=round(table["window_s"] * 1000))


def _class_sentences(table: dict[str, Any]) -> Iterator[str]:
    yield from _unknown(table, ("name", "calls", "window_s"))
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"`name` is {_shown(name)}, not a word of small letters, digits, `-` and `_`"
    yield from _number_sentences(table)


def _object_sentences(table: dict[str, Any], classes: set[str]) -> Iterator[str]:
    yield from _unknown(table, ("match", "calls", "window_s", "class"))
    match = table.get("match")
    if not isinstance(match, str):
        yield f"`match` is {_shown(match)}, not an object such as `slack/*`"
    elif sentence := object_sentence(match):
        yield sentence
    if "class" in table and not (isinstance(table["class"], str) and table["class"] in classes):
        yield f"class {_shown(table['class'])} is not defined by any `[[class]]`"
    yield from _number_sentences(table)


def _number_sentences(table: dict[str, Any]) -> Iterator[str]:
    calls, window = table.get("calls"), table.get("window_s")
    if type(calls) is not int or not 1 <= calls <= _MOST_CALLS:
        yield f"`calls` is {_shown(calls)}, not a whole number from 1 to {_MOST_CALLS}"
    if not isinstance(window, int | float) or isinstance(window, bool) or not 0.001 <= window <= _DAY_S:
        yield f"`window_s` is {_shown(window)}, not a number of seconds up to {_DAY_S}"


def _unknown(table: dict[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    for key in table:
        if key not in known:
            yield f"`{key}` is not one of `{'`, `'.join(known)}`"


def _shown(value: Any) -> str:
    try:
        return "missing" if value is None else f"`{value}`"
    except ValueError:  # Python does not write whole numbers of more than some thousand digits
        return "a number that is too long"


def _syntax(message: str, file: str) -> Problem:
    found = _SYNTAX.fullmatch(message)
    line, what = (int(found["line"]), found["what"]) if found else (None, message)
    return Problem(Place(file, line), f"this is not TOML: {what[:1].lower()}{what[1:]}")
