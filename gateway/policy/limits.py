"""How often: the sliding window, and the limits that ``limits.toml`` sets. Who gets which class is asked
of the rules (``rate:CLASS``), not here. Time comes in as an argument; nothing is kept.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

from gateway.policy.model import obj_match
from gateway.policy.rows import object_sentence
from gateway.policy.terms import Effect, Place, Problem

DEFAULT: Final = "default"
"""The class of whoever is allowed no other."""

GRAINS: Final = 100
"""A window remembers at most about so many moments; calls of one grain (a hundredth of it) leave together."""

TENTH: Final = 10

_LAST: Final = attrgetter("last")
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


class _Grain(NamedTuple):
    """Calls that happened close together, and that leave the window together when the last one does."""

    first: int
    last: int
    calls: int


class Window(NamedTuple):
    """The calls of one caller that still count, in order of when they leave, and how many they are. The empty one is
    where everybody starts.
    """

    grains: tuple[_Grain, ...] = ()
    calls: int = 0


EMPTY: Final = Window()

Tale: TypeAlias = tuple[tuple[int, int], ...]
"""What one process tells another of a window: when calls leave (ms since the epoch, without the length of the window),
and how many they are.
"""


class Taken(NamedTuple):
    """``window`` is the next one, with the call where it passed: then ``wait_ms`` is 0. ``left`` more would pass now,
    and after ``frees_ms`` milliseconds another one.
    """

    window: Window
    wait_ms: int
    left: int
    frees_ms: int


def take(window: Window, limit: Limit, now_ms: int, elsewhere: Window = EMPTY) -> Taken:
    """Count one call at ``now_ms`` beside those that were counted ``elsewhere``.

    Never more than ``limit.calls`` pass in any ``limit.window_ms``; a refused call does not count. A clock
    that goes backwards stands still.
    """
    now = max(now_ms, window.grains[-1].last) if window.grains else now_ms
    mine, others = _since(window, now - limit.window_ms), _since(elsewhere, now - limit.window_ms)
    left = limit.calls - mine.calls - others.calls
    if left <= 0:
        wait = _wait(merged((mine, others)) if others.grains else mine, limit, now)
        return Taken(mine, wait, 0, wait)
    counted = _counted(mine, now, limit.window_ms // GRAINS)
    return Taken(counted, 0, left - 1, counted.grains[0].last + limit.window_ms - now)


def told(window: Window, limit: Limit, now_ms: int) -> Tale:
    """What another process has to hear of a window: nothing of one that is filled up to a tenth at most. Calls of
    one tenth of its time leave together there, at the end of it.
    """
    live = _since(window, now_ms - limit.window_ms)
    if live.calls * TENTH <= limit.calls:
        return ()
    parts: list[tuple[int, int]] = []
    began = live.grains[0].first
    for first, last, calls in live.grains:
        if parts and last - began <= limit.window_ms // TENTH:
            parts[-1] = last, parts[-1][1] + calls
        else:
            began = first
            parts.append((last, calls))
    return tuple(parts)


def heard(tales: Iterable[Tale], now_ms: int) -> Window:
    """The window that several tales of it make up; a clock elsewhere that goes before ours cannot make calls last
    longer than those of this moment.
    """
    grains = [_Grain(at, at, calls) for tale in tales for last, calls in tale for at in (min(last, now_ms),)]
    return merged((Window(tuple(grains), sum(each.calls for each in grains)),))


def merged(windows: Iterable[Window]) -> Window:
    """Several windows as one."""
    grains = sorted((grain for each in windows for grain in each.grains), key=_LAST)
    return Window(tuple(grains), sum(each.calls for each in grains))


def _since(window: Window, moment: int) -> Window:
    """``window`` without the calls that were not after ``moment``."""
    grains = window.grains
    if not grains or grains[0].last > moment:
        return window
    gone = next((at for at, grain in enumerate(grains) if grain.last > moment), len(grains))
    return Window(grains[gone:], window.calls - sum(grain.calls for grain in grains[:gone]))


def _counted(live: Window, now: int, width: int) -> Window:
    """``live`` with one call more, in the last grain as long as that spans less than ``width``."""
    grains = live.grains
    if grains and now - grains[-1].first < width:
        first, _, calls = grains[-1]
        return Window((*grains[:-1], _Grain(first, now, calls + 1)), live.calls + 1)
    return Window((*grains, _Grain(now, now, 1)), live.calls + 1)


def _wait(live: Window, limit: Limit, now: int) -> int:
    """Until enough of the oldest calls have left for one more; the limit may have been lowered meanwhile."""
    surplus = live.calls - limit.calls
    left = zip(live.grains, accumulate(grain.calls for grain in live.grains), strict=True)
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
