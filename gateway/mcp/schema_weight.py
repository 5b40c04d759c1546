"""How much work a JSON schema can make of one value: a bound, found before anything is checked with it.

Schemas come from foreign servers; a few lines with references and alternatives can keep a validator busy for
hours. This file follows only what a validator would follow, and knows nothing of messages or tools.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from gateway.policy.terms import Json

MAX_PATHS: Final = 10_000

_ALTERNATIVES: Final = ("anyOf", "oneOf")
_HERE: Final = ("allOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")
_BELOW: Final = (
    *("properties", "patternProperties", "additionalProperties", "propertyNames", "unevaluatedProperties"),
    *("items", "prefixItems", "additionalItems", "contains", "unevaluatedItems"),
)
_MAPS: Final = frozenset({"dependentSchemas", "dependencies", "properties", "patternProperties"})
_ELSEWHERE: Final = ("$dynamicRef", "$recursiveRef")


class TooHeavy(ValueError):
    """No useful bound can be given; the text says why."""


@dataclass(frozen=True, slots=True)
class Weight:
    """``paths`` through the schema that do not repeat a reference; how many of them lie in ``alternatives``, and
    how many come back to a reference (``loops``): each turn of a loop goes a level deeper into the value.
    """

    paths: int
    alternatives: int = 0
    loops: int = 0

    def ways(self, depth: int) -> int:
        """How often, at most, each path is taken for one spot of a value of ``depth`` levels."""
        ways = turns = 1
        for _ in range(depth):
            turns *= self.loops
            ways += turns
        return ways


def weigh(schema: Json) -> Weight:
    """Raises ``TooHeavy``: too many paths, a reference beyond the schema itself, or one in a circle."""
    walk = _Walk(schema)
    try:
        walk.enter(schema, level=0, alternative=False)
    except RecursionError:
        raise TooHeavy("it nests too deeply") from None
    return Weight(walk.paths, walk.alternatives, walk.loops)


class _Walk:
    def __init__(self, root: Json) -> None:
        self.paths = self.alternatives = self.loops = 0
        self._root = root
        self._open: dict[str, int] = {"#": 0}

    def enter(self, schema: Json, *, level: int, alternative: bool) -> None:
        self.paths += 1
        self.alternatives += alternative
        if self.paths > MAX_PATHS:
            raise TooHeavy("it has too many alternatives")
        if not isinstance(schema, dict):
            return
        self._refuse_other_roots(schema)
        if isinstance(reference := schema.get("$ref"), str):
            self._follow(reference, level=level, alternative=alternative)
        # What is not evaluated yet is found out by evaluating the alternatives once more.
        rounds = 2 if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1
        for part in _parts(schema, _ALTERNATIVES):
            for _ in range(rounds):
                self.enter(part, level=level, alternative=True)
        for part in _parts(schema, _HERE):
            for _ in range(rounds):
                self.enter(part, level=level, alternative=alternative)
        for part in _parts(schema, _BELOW):
            self.enter(part, level=level + 1, alternative=alternative)

    def _refuse_other_roots(self, schema: dict[str, Json]) -> None:
        if any(keyword in schema for keyword in _ELSEWHERE):
            raise TooHeavy("it has dynamic references")
        if schema is not self._root and any(isinstance(schema.get(keyword), str) for keyword in ("$id", "id")):
            raise TooHeavy("it has parts with an id of their own")

    def _follow(self, reference: str, *, level: int, alternative: bool) -> None:
        if reference in self._open:
            if self._open[reference] == level:
                raise TooHeavy("it refers to itself")
            self.loops += 1
            return
        self._open[reference] = level
        self.enter(_at(self._root, reference), level=level, alternative=alternative)
        del self._open[reference]


def _parts(schema: dict[str, Json], keywords: tuple[str, ...]) -> Iterator[Json]:
    for keyword in keywords:
        value = schema.get(keyword)
        if isinstance(value, dict) and keyword in _MAPS:
            yield from value.values()
        elif isinstance(value, list):
            yield from value
        elif value is not None:
            yield value


def _at(root: Json, reference: str) -> Json:
    """What a JSON pointer of the form ``#/a/b`` points at."""
    if reference != "#" and not reference.startswith("#/"):
        raise TooHeavy("it refers to something outside of itself")
    found = root
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise TooHeavy("it refers to a part that it does not have")
    return found
