"""Where each key of a TOML document stands: key path → line.

``tomllib`` gives values without lines. This file reads the same text for structure only, and only text
that ``tomllib`` has accepted; it judges nothing and knows no setting.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_TOKEN: Final = re.compile(
    r'''(?P<string>"""(?:[^"\\]|\\.|""?(?!"))*"{3,5}|\'\'\'(?:[^']|''?(?!'))*'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*')'''
    r"""|(?P<comment>\#[^\n]*)|(?P<line>\n)|(?P<mark>[\[\]{},=])|(?P<word>[^\s"'\#\[\]{},=]+)|(?P<space>[^\S\n]+)""",
    re.DOTALL,
)


def locate(text: str) -> dict[Path, int]:
    """The line (from 1) where each table, key and array item of a valid TOML document is first written."""
    return _Reader(text).read()


def faulty_line(error: tomllib.TOMLDecodeError, text: str) -> int:
    """The line that ``tomllib`` complains about."""
    found = re.search(r"\(at line (\d+), column \d+\)$", str(error))
    return int(found[1]) if found else text.count("\n", 0, len(text.rstrip())) + 1


class _Reader:
    """A walk over the tokens; every method leaves ``_at`` behind what it has read."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str, int]] = []
        self._at = 0
        self._lines: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}
        line = 1
        for found in _TOKEN.finditer(text.replace("\r\n", "\n")):
            kind = found.lastgroup or ""
            if kind not in ("space", "comment"):
                self._tokens.append((kind, found[0], line))
            line += found[0].count("\n")

    def read(self) -> dict[Path, int]:
        table: Path = ()
        while self._at < len(self._tokens):
            kind, text, _ = self._tokens[self._at]
            if kind == "line":
                self._at += 1
            elif text == "[" and kind == "mark":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        line = self._tokens[self._at][2]
        text = self._until("\n")
        path = _only_path(tomllib.loads(text))
        if text.startswith("[["):
            base = self._resolve(tuple(each for each in path if isinstance(each, str)), but_last=True)
            self._arrays[base] = self._arrays.get(base, -1) + 1
            resolved = (*base, self._arrays[base])
        else:
            resolved = self._resolve(path, but_last=False)
        self._note(resolved, line)
        return resolved

    def _resolve(self, path: Path, *, but_last: bool) -> Path:
        """``path`` with the index of the current item after each array of tables on the way."""
        resolved: Path = ()
        for position, part in enumerate(path):
            resolved = (*resolved, part)
            if resolved in self._arrays and not (but_last and position == len(path) - 1):
                resolved = (*resolved, self._arrays[resolved])
        return resolved

    def _pair(self, table: Path) -> None:
        line = self._tokens[self._at][2]
        key = self._until("=")
        self._at += 1
        path = (*table, *_only_path(tomllib.loads(f"{key} = 0")))
        self._note(path, line)
        self._value(path)

    def _value(self, path: Path) -> None:
        text = self._tokens[self._at][1]
        if text == "[":
            self._array(path)
        elif text == "{":
            self._inline_table(path)
        else:
            while self._at < len(self._tokens) and self._tokens[self._at][0] in ("word", "string"):
                self._at += 1

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._tokens[self._at][1] != "]":
            if self._tokens[self._at][1] in ("\n", ","):
                self._at += 1
                continue
            self._note((*path, index), self._tokens[self._at][2])
            self._value((*path, index))
            index += 1
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._tokens[self._at][1] != "}":
            if self._tokens[self._at][1] in ("\n", ","):
                self._at += 1
            else:
                self._pair(path)
        self._at += 1

    def _until(self, stop: str) -> str:
        """The text of the tokens before the next ``stop``, or of all that are left."""
        start = self._at
        while self._at < len(self._tokens) and self._tokens[self._at][1] != stop:
            self._at += 1
        return "".join(text for _, text, _ in self._tokens[start : self._at])

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)


def _only_path(document: Mapping[str, Any]) -> Path:
    """The one key path of a document that holds nothing else."""
    path: list[str | int] = []
    inner: Any = document
    while isinstance(inner, dict) and inner:
        key = next(iter(inner))
        path.append(key)
        inner = inner[key]
        if isinstance(inner, list):
            inner = inner[0]
    return tuple(path)
