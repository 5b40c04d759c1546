"""Which patterns may judge what people type: whole values only, in a time that is bounded. Pure."""

import re
import warnings
from typing import Final

LONGEST_PATTERN: Final = 300
LONGEST_VALUE: Final = 2_000
"""Characters of a value that is typed."""

WAYS: Final = 5_000_000
"""In how many ways a pattern may divide one value among its parts: each may be tried before a value is refused."""

_TOKEN: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|\(\?|[()|^$]|[*+?]\??|\{\d+(?:,\d*)?\}\??|.", re.DOTALL
)
_BOUNDS: Final = re.compile(r"\{(\d+)(,?)(\d*)\}\??")


def unfit(pattern: str) -> str:
    """Why ``pattern`` may not judge what people type, as the end of a sentence; ``""``: it may."""
    if len(pattern) > LONGEST_PATTERN:
        return f"is longer than {LONGEST_PATTERN} characters"
    if not pattern.startswith("^") or not pattern.endswith("$") or pattern.endswith("\\$"):
        return "must begin with `^` and end with `$`, so that it judges the whole value"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what a later Python reads otherwise judges nobody
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        return f"is not a regular expression: {error}"
    return _Scan().read(_TOKEN.findall(pattern[1:-1]))


def fits(pattern: str, value: str) -> bool:
    """Whether the whole of ``value`` matches; nothing too long does, nor what holds control characters."""
    return len(value) <= LONGEST_VALUE and value.isprintable() and re.fullmatch(pattern, value) is not None


class _Scan:
    """Counts the ways of each group that is open: those of the alternatives before, and of the one being read."""

    def __init__(self) -> None:
        self._open: list[tuple[int, int]] = [(0, 1)]
        self._closed = 1
        """The ways of the group that ends right here, 1 where none does."""

    def read(self, parts: list[str]) -> str:
        for part in parts:
            if why := self._unfit(part):
                return why
        return "can divide a value in too many ways; give its repetitions bounds" if self._open[0][1] > WAYS else ""

    def _unfit(self, part: str) -> str:
        closed, self._closed = self._closed, 1
        before, ways = self._open[-1]
        if part == "(?" or (part[0] == "\\" and part[1] in "123456789AbBZ"):
            return "looks around or refers back; of groups only `(…)` and `(?:…)` are taken"
        if part in ("^", "$") or (part == "|" and len(self._open) == 1):
            return f"has a `{part}` outside of a group, so that it does not judge the whole value"
        if part in ("(", "(?:"):
            self._open.append((0, 1))
        elif part == "|":
            self._open[-1] = (before + ways, 1)
        elif part == ")":
            self._open.pop()
            self._closed = before + ways
            self._times(self._closed)
        elif lengths := _lengths(part):
            if closed > 1 and not part.startswith("?"):
                return "repeats a group that can match in more than one way; that can take for ever"
            self._times(lengths)
        return ""

    def _times(self, factor: int) -> None:
        before, ways = self._open[-1]
        self._open[-1] = (before, ways * factor)


def _lengths(part: str) -> int:
    """In how many lengths a repetition can match, 0 for what is none."""
    if part[0] == "?" or part.rstrip("?") in ("*", "+"):
        return 2 if part[0] == "?" else LONGEST_VALUE
    bounds = _BOUNDS.fullmatch(part)
    if bounds is None:
        return 0
    least = int(bounds[1])
    most = int(bounds[3]) if bounds[3] else LONGEST_VALUE if bounds[2] else least
    return max(most - least, 0) + 1
