"""Reading one TOML table strictly: each key asked for once, each fault noted, what nobody asked for refused.

A fault yields the default, so that reading goes on and all faults come at once. This file knows no
setting by name.
"""

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from connectors.base import Secret
from gateway.policy.terms import Place, Problem
from gateway.settings.text import Path as KeyPath
from gateway.settings.text import faulty_line, locate

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

MOST_SECRET_BYTES: Final = 64 * 1024

_SECRET_NAME: Final = re.compile(r"token|secret|passw|api_?key|private_?key|credential|auth(?!or)", re.IGNORECASE)
_SECRET_TEXT: Final = re.compile(
    r"(?:^|[^A-Za-z0-9])(?:gh[opusr]_|github_pat_|glpat-|sk-|sk_live_|rk_live_|xox[abprs]-|AKIA|AIza|ya29\.|eyJ|ost_|mcp_token_)"
    r"[A-Za-z0-9_./+-]{12,}|(?:bearer|basic)\s+\S{8,}|-----BEGIN|://[^/\s:@]+:[^/\s@]+@",
    re.IGNORECASE,
)


def looks_secret(text: str) -> bool:
    """Whether ``text`` has the shape of a token, a private key or a URL with a password."""
    return _SECRET_TEXT.search(text) is not None


class References:
    """Where secrets are fetched from: the environment, and files below ``root`` or at absolute paths."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._root = root
        self._environ = environ

    def from_env(self, name: str) -> Secret:
        """The variable ``name``; ``ValueError`` with a sentence when it is not set."""
        value = self._environ.get(name, "")
        if not value:
            raise ValueError(f"environment variable `{name}` is not set")
        return Secret(value)

    def from_file(self, name: str) -> Secret:
        """The text of a file without its last line end; ``ValueError`` with a sentence when that is not
        possible, or when others than its owner can read the file.
        """
        return read_secret(self._root / name, name)


def read_secret(path: Path, name: str) -> Secret:
    """The text of the file ``path``, called ``name`` in errors, without its last line end. ``ValueError``."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"`{name}` is not a file")
            if status.st_mode & 0o077:
                raise ValueError(f"`{name}` can be read by others than its owner; run `chmod 600 {name}`")
            body = file.read(MOST_SECRET_BYTES + 1)
    except OSError as error:
        raise ValueError(f"`{name}` cannot be read: {(error.strerror or 'unknown error').lower()}") from None
    try:
        text = body.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"`{name}` is not UTF-8 text") from None
    if not text or len(body) > MOST_SECRET_BYTES:
        raise ValueError(f"`{name}` is empty or longer than {MOST_SECRET_BYTES} bytes")
    return Secret(text)


class Table:
    """One table of a file; ``path`` is its key path. Every method that takes a key counts it as known."""

    def __init__(
        self,
        file: str,
        values: Mapping[str, Any],
        lines: Mapping[KeyPath, int],
        problems: list[Problem],
        path: KeyPath = (),
    ) -> None:
        self.file, self.path, self.problems = file, path, problems
        self._values, self._lines = values, lines
        self._known: list[str] = []
        self.faulty = False
        """Something else than a table stands here, which is a problem already."""

    @classmethod
    def of_file(cls, path: Path, name: str, problems: list[Problem], *, required: bool) -> "Table":
        """The root table of a file; an empty one, with a problem, when it cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
            return cls(name, tomllib.loads(text), locate(text), problems)
        except FileNotFoundError:
            if required:
                problems.append(
                    Problem(Place(name), "there is no such file; `ostiary init DIR` writes a commented sample")
                )
        except tomllib.TOMLDecodeError as error:
            sentence = re.sub(r" \(at .*\)$", "", str(error))
            problems.append(
                Problem(Place(name, faulty_line(error, text)), f"not valid TOML: {sentence[:1].lower()}{sentence[1:]}")
            )
        except UnicodeDecodeError:
            problems.append(Problem(Place(name), "is not UTF-8 text"))
        except OSError as error:
            problems.append(Problem(Place(name), f"cannot be read: {(error.strerror or 'unknown error').lower()}"))
        return cls(name, {}, {}, problems)

    def problem(self, sentence: str, *below: str | int) -> None:
        """Note a fault of this table, or of what stands below it."""
        path: KeyPath = (*self.path, *below)
        while path and path not in self._lines:
            path = path[:-1]
        plain = _SECRET_TEXT.sub("…", sentence)  # what is wrong may be a secret in the wrong place
        self.problems.append(Problem(Place(self.file, self._lines.get(path)), plain))

    def has(self, key: str) -> bool:
        self._know(key)
        return key in self._values

    def names(self) -> tuple[str, ...]:
        """The keys of a table whose keys are the operator's own; all of them count as known."""
        self._known.extend(self._values)
        return tuple(self._values)

    def text(self, key: str, default: str = "", *, most: int = 1_000) -> str:
        value: str | None = self._typed(key, str, "a text")
        if value is None:
            return default
        if len(value) > most or not all(each.isprintable() or each in "\n\t" for each in value):
            self.problem(f"`{self._name(key)}` is longer than {most} characters or holds control characters", key)
            return default
        return value

    def parsed(self, key: str, parse: Callable[[str], T], default: T) -> T:
        """The text under ``key`` through ``parse``, whose ``ValueError`` becomes a problem."""
        text = self._typed(key, str, "a text")
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.problem(f"`{self._name(key)}`: {error}", key)
            return default

    def flag(self, key: str, default: bool) -> bool:
        value = self._typed(key, bool, "`true` or `false`")
        return default if value is None else value

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        value = self._typed(key, int, "a whole number")
        return default if value is None else self._within(key, value, default, low, high)

    def number(self, key: str, default: float, low: float, high: float) -> float:
        value = self._typed(key, (int, float), "a number")
        return default if value is None else float(self._within(key, value, default, low, high))

    def choice(self, key: str, kind: type[E], default: E) -> E:
        text = self._typed(key, str, "a text")
        if text is None:
            return default
        names = [each.value for each in kind]
        if text not in names:
            self.problem(f"`{self._name(key)}` is `{text}`, not one of {_listed(names)}{suggestion(text, names)}", key)
            return default
        return kind(text)

    def texts(self, key: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """The list of texts under ``key``, each through ``parse``."""
        values = self._typed(key, list, "a list of texts")
        parsed: list[T] = []
        for index, value in enumerate(values or ()):
            if not isinstance(value, str):
                self.problem(f"`{self._name(key)}` is a list of texts, and `{value}` is not a text", key, index)
                continue
            try:
                parsed.append(parse(value))
            except ValueError as error:
                self.problem(f"`{self._name(key)}`: {error}", key, index)
        return tuple(parsed)

    def table(self, key: str, said: str = "a table") -> "Table":
        """The table under ``key``; an empty one when there is none. ``said`` names what should stand there."""
        value = self._typed(key, dict, said)
        inner = Table(self.file, value or {}, self._lines, self.problems, (*self.path, key))
        inner.faulty = value is None and key in self._values
        return inner

    def tables(self, key: str) -> "Iterator[Table]":
        """The tables of the list under ``key``."""
        values = self._typed(key, list, "a list of tables")
        for index, value in enumerate(values or ()):
            if isinstance(value, dict):
                yield Table(self.file, value, self._lines, self.problems, (*self.path, key, index))
            else:
                self.problem(
                    f'`{self._name(key)}` is a list of tables such as `{{ id = "…", env = "NAME" }}`', key, index
                )

    def reference(self, references: References, *, plain: bool = False, more: tuple[str, ...] = ()) -> Secret | None:
        """The table as a reference: ``env`` or ``file`` (or, where ``plain``, ``value``), exactly one of them.

        ``more`` names further keys that the caller reads. ``None`` after a fault.
        """
        forms = ("env", "file", "value") if plain else ("env", "file")
        given = [form for form in forms if self.has(form)]
        for key in more:
            self._know(key)
        if self.faulty or not self.close():
            return None
        if len(given) != 1:
            self.problem(f"`{self._name()}` needs exactly one of {_listed(forms)}")
            return None
        text = self.text(given[0], most=10_000)
        if not text:
            self.problem(f"`{self._name(given[0])}` is empty", given[0])
            return None
        try:
            return self._fetch(references, given[0], text)
        except ValueError as error:
            self.problem(f"`{self._name(given[0])}`: {error}", given[0])
            return None

    def _fetch(self, references: References, form: str, text: str) -> Secret:
        if form == "env":
            return references.from_env(text)
        if form == "file":
            return references.from_file(text)
        if looks_secret(text) or _SECRET_NAME.search(str(self.path[-1])):
            raise ValueError(
                'a secret does not stand in a file like this; use `{ env = "NAME" }` or `{ file = "PATH" }`'
            )
        return Secret(text)

    def close(self) -> bool:
        """Note every key that nobody asked for; whether there was none."""
        unknown = [key for key in self._values if key not in self._known]
        place = f" in `{self._name()}`" if self.path else ""
        for key in unknown:
            self.problem(f"unknown key `{key}`{place}{suggestion(key, self._known)}", key)
        return not unknown

    def _typed(self, key: str, kind: type[Any] | tuple[type[Any], ...], said: str) -> Any:
        """The value under ``key`` when it is there and of its type. (``bool`` is an ``int`` to Python alone.)"""
        self._know(key)
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.problem(f"`{self._name(key)}` is to be {said}", key)
            return None
        return value

    def _within(self, key: str, value: T, default: T, low: float, high: float) -> T:
        if low <= value <= high:  # type: ignore[operator]
            return value
        self.problem(f"`{self._name(key)}` is `{value}`, not between {low:g} and {high:g}", key)
        return default

    def _know(self, key: str) -> None:
        if key not in self._known:
            self._known.append(key)

    def _name(self, *below: str) -> str:
        return ".".join(str(each) for each in (*self.path, *below))


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean `X`?`` when ``word`` comes close to something known, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
