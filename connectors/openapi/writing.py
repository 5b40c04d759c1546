"""Values as YAML that people read and edit, and that every reader of YAML takes for the same. Pure."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from gateway.policy.terms import Json

WIDTH: Final = 116

_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]|[A-Za-z/]")
_WORDS: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
"""Texts that some reader takes for something else."""


def written(value: Mapping[str, Json]) -> str:
    """A block mapping; what is short stands in one line."""
    return "".join(f"{line}\n" for line in _mapping(value, ""))


def _mapping(value: Mapping[str, Json], indent: str) -> Iterator[str]:
    for key, each in value.items():
        name = _text(key)
        if (line := _line(each, WIDTH - len(indent) - len(name))) is not None:
            yield f"{indent}{name}: {line}"
            continue
        yield f"{indent}{name}:"
        yield from _block(each, f"{indent}  ")


def _block(value: Json, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _mapping(value, indent)
    for each in value if isinstance(value, list) else ():
        line = _line(each, WIDTH - len(indent))
        first, *rest = [line] if line is not None else [each[2:] for each in _block(each, "  ")]
        yield f"{indent}- {first}"
        yield from (f"{indent}  {each}" for each in rest)


def _line(value: Json, width: int) -> str | None:
    """The value in one line, ``None`` where it is too long for that, or holds too much."""
    if isinstance(value, dict | list) and value and _is_deep(value):
        return None
    line = _flow(value)
    return None if isinstance(value, dict) and value and len(line) > width else line


def _is_deep(value: dict[str, Json] | list[Json]) -> bool:
    inside = value.values() if isinstance(value, dict) else value
    return any((isinstance(each, dict) and each) or (isinstance(each, list) and _is_deep(each)) for each in inside)


def _flow(value: Json) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    return msgspec.json.encode(value).decode()


@lru_cache(maxsize=4096)
def _text(text: str) -> str:
    """Without quotes where nobody can misread it."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and "  " not in text:
        return text
    quoted = msgspec.json.encode(text.encode("utf-8", "replace").decode()).decode()
    return quoted if quoted.isprintable() else "".join(map(_visible, quoted))


def _visible(sign: str) -> str:
    """What nobody would see stands there as a number."""
    code = ord(sign)
    return sign if sign.isprintable() else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
