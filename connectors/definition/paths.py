"""Values inside of an answer by their paths: names joined by dots, numbers for members of lists. Pure."""

import re
from typing import Final

from gateway.policy.terms import Json

_INDEX: Final = re.compile(r"-?[0-9]{1,6}")
_DOT: Final = re.compile(r"(?<!\\)\.")


def found(answer: Json, path: str) -> Json:
    """The value at ``path`` (``""`` for all), ``None`` where there is none.

    Members of lists count from 0, or from -1 backwards. A dot of a name is written with a backslash before it, or as
    it is: ``@odata.nextLink`` counts before ``nextLink`` of ``@odata``.
    """
    return _found(answer, steps(path))


def placed(answer: Json, path: str, value: Json) -> Json:
    """``answer`` with ``value`` instead of what is at ``path`` now, if there is something; the given one stays."""
    return _placed(answer, steps(path), value)


def text_at(answer: Json, path: str) -> str:
    """A text, number or truth value at ``path`` as text, ``""`` for anything else."""
    value = found(answer, path)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def steps(path: str) -> tuple[str, ...]:
    """The names of a path, without the backslashes before their dots."""
    return tuple(step.replace("\\.", ".") for step in _DOT.split(path)) if path else ()


def _found(answer: Json, steps: tuple[str, ...]) -> Json:
    if not steps:
        return answer
    if isinstance(answer, list):
        return _found(answer[index], steps[1:]) if (index := _index(answer, steps[0])) is not None else None
    if isinstance(answer, dict):
        for count in range(len(steps), 0, -1):
            name = ".".join(steps[:count])
            if name in answer and (value := _found(answer[name], steps[count:])) is not None:
                return value
    return None


def _placed(answer: Json, steps: tuple[str, ...], value: Json) -> Json:
    if not steps:
        return value
    if isinstance(answer, list) and (index := _index(answer, steps[0])) is not None:
        return [*answer[:index], _placed(answer[index], steps[1:], value), *answer[index + 1 :]]
    if isinstance(answer, dict):
        for count in range(len(steps), 0, -1):
            name = ".".join(steps[:count])
            if name in answer and _found(answer[name], steps[count:]) is not None:
                return {**answer, name: _placed(answer[name], steps[count:], value)}
    return answer


def _index(members: list[Json], step: str) -> int | None:
    """Counted from the front, ``None`` where there is no such member."""
    if _INDEX.fullmatch(step) is None:
        return None
    index = int(step)
    index = index + len(members) if index < 0 else index
    return index if 0 <= index < len(members) else None
