"""What a condition asks that does not fit the tool it is about: the type-check against the tool's JSON schema.

A misfit is told only where the schema leaves no doubt. Arguments that no schema declares count as misspelt, unless
the schema says that there may be more. This file knows one condition and one tool; which rows concern which tools
is decided by the callers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from gateway.policy.admitted import ANYTHING, Admitted, Lack, admitted
from gateway.policy.condition_nodes import (
    IT,
    And,
    Check,
    Cidr,
    Each,
    Hours,
    Node,
    Not,
    Or,
    Path,
    Predicate,
    written,
)
from gateway.policy.condition_text import field_columns
from gateway.policy.condition_values import Affix, Compare, Constant, OneOf, Op, Present, quoted
from gateway.policy.conditions import Condition
from gateway.policy.goals import ARGS, ENV, Want
from gateway.policy.meaning import OWNER, TOOL, can_judge
from gateway.policy.narrowing import Shape, shape_of
from gateway.policy.surroundings import SHAPE
from gateway.policy.terms import Effect, Json, Tool

SHOWN: Final = 8
LONGEST: Final = 64
"""Signs of a name or constant of a foreign schema that is shown."""

MOST_NAMES: Final = 500
"""Among so many the one that was meant is looked for."""

_TYPE_WORDS: Final = {
    "null": "null",
    "boolean": "a flag",
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "array": "a list",
    "object": "an object",
}
_KIND_WORDS: Final = {str: "a text", bool: "a flag", float: "a number"}
_FIXED: Final = {ENV: admitted(SHAPE), "tool": admitted(TOOL), "owner": admitted(OWNER)}


class Kind(StrEnum):
    """The closed list of what may not fit."""

    UNKNOWN_FIELD = "unknown-field"
    NO_OBJECT = "no-object"
    NO_LIST = "no-list"
    WRONG_TYPE = "wrong-type"
    IMPOSSIBLE_CONSTANT = "impossible-constant"
    ALWAYS_THERE = "always-there"
    NEVER_TRUE = "never-true"
    NEVER_FALSE = "never-false"
    ALWAYS_FALSE = "always-false"


@dataclass(frozen=True, slots=True)
class Misfit:
    """``column`` (from 1) is that of the field in the condition's text, or 1 for all of it."""

    kind: Kind
    column: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.sentence} (at character {self.column})"


def misfits(condition: Condition, tool: Tool, schema: Json, effect: Effect = Effect.ALLOW) -> list[Misfit]:
    """Everything about a condition that does not fit a tool with this inputSchema; never raises."""
    shape = shape_of(schema)
    roots = {**_FIXED, ARGS: admitted(Shape({"type": "object", **shape.schema}, shape.root))}
    found = list(_in_node(condition.node, roots, iter(field_columns(condition.text))))
    if all(each.kind is Kind.ALWAYS_THERE for each in found):
        found += _of_whole(condition, tool, schema, effect)
    return found


def check(condition: Condition, tool: Tool, schema: Json, effect: Effect = Effect.ALLOW) -> list[str]:
    """The sentences of ``misfits``."""
    return [str(each) for each in misfits(condition, tool, schema, effect)]


def concerns(condition: Condition, tool: Tool, effect: Effect) -> bool:
    """Whether a row with this condition can count for a tool, whatever the tool's arguments are."""
    want = Want.TRUE if effect is Effect.ALLOW else Want.NOT_FALSE
    return can_judge(condition, want, tool=tool) is not False


def _of_whole(condition: Condition, tool: Tool, schema: Json, effect: Effect) -> Iterator[Misfit]:
    """What the schema makes of all of a condition, told exactly."""

    def only_here(want: Want) -> bool:
        return can_judge(condition, want, tool=tool, schema=schema) is False

    if effect is Effect.ALLOW:
        if only_here(Want.TRUE):
            yield Misfit(Kind.NEVER_TRUE, 1, "it is never true there, so the row allows nothing; correct or remove it")
    elif only_here(Want.NOT_FALSE):
        yield Misfit(Kind.ALWAYS_FALSE, 1, "it is always false there, so the row denies nothing; correct or remove it")
    elif only_here(Want.FALSE) and can_judge(condition, Want.FALSE, tool=tool) is not False:
        yield Misfit(Kind.NEVER_FALSE, 1, "it is never false there, so the row denies every call; correct it or say so")


def _in_node(node: Node, roots: Mapping[str, Admitted], columns: Iterator[int]) -> Iterator[Misfit]:
    """``columns`` are those of the fields, which a tree holds in the order in which they are written."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _in_node(part, roots, columns)
        case Not(part):
            yield from _in_node(part, roots, columns)
        case Check(path, predicate):
            yield from _in_check(path, predicate, roots, columns)
        case Hours() | Cidr():
            next(columns)


def _in_check(
    path: Path, predicate: Predicate, roots: Mapping[str, Admitted], columns: Iterator[int]
) -> Iterator[Misfit]:
    column = next(columns)
    found = _at(path, roots)
    if isinstance(found, _Gap):
        if not (isinstance(predicate, Present) and found.lack is Lack.UNDECLARED):
            yield _of_gap(path, found, column)
        found = ANYTHING
    field = written(path)
    match predicate:
        case Each(body=body):
            element = found.element()
            if isinstance(element, Lack):
                sentence = f"`{field}` is {_types(found)}; `every` and `some` are for lists"
                yield Misfit(Kind.NO_LIST, column, sentence)
                element = ANYTHING
            yield from _in_node(body, {IT: element}, columns)
        case Present():
            if _is_required(path, roots):
                yield Misfit(
                    Kind.ALWAYS_THERE, column, f"`{field}` is always there, so that `has({field})` asks nothing"
                )
        case Affix(side, text):
            if not found.takes(str):
                sentence = f"`{field}` is {_types(found)}, and only a text {side} with {quoted(text)}"
                yield Misfit(Kind.WRONG_TYPE, column, sentence)
        case Compare(op, constant):
            yield from _of_constants(field, [constant], found, column, equal=op in (Op.EQUAL, Op.OTHER))
        case OneOf(members):
            listed = sorted(members, key=lambda member: (member.kind.__name__, member.value))
            yield from _of_constants(field, listed, found, column, equal=True)


@dataclass(frozen=True, slots=True)
class _Gap:
    """Where a path leads to nothing: what is admitted ``above`` it, and the ``depth`` of the name that fails."""

    above: Admitted
    lack: Lack
    depth: int


def _at(path: Path, roots: Mapping[str, Admitted]) -> Admitted | _Gap:
    found = roots.get(path[0], ANYTHING)
    for depth, key in enumerate(path[1:], start=1):
        below = found.member(key)
        if isinstance(below, Lack):
            return _Gap(found, below, depth)
        found = below
    return found


def _of_gap(path: Path, gap: _Gap, column: int) -> Misfit:
    field, above = written(path[: gap.depth + 1]), path[: gap.depth]
    if gap.lack is Lack.WRONG_TYPE:
        sentence = f"`{written(above)}` is {_types(gap.above)}, so that there is no `{field}`"
        return Misfit(Kind.NO_OBJECT, column, sentence)
    names = [name for name in gap.above.declared() if len(name) <= LONGEST]
    close = get_close_matches(path[gap.depth], names[:MOST_NAMES], n=1)
    if close:
        hint = f"; did you mean `{written((*above, *close))}`?"
    else:
        hint = f", only {_some(written((*above, name)) for name in names)}" if names else ""
    return Misfit(Kind.UNKNOWN_FIELD, column, f"there is no `{field}`{hint}")


def _is_required(path: Path, roots: Mapping[str, Admitted]) -> bool:
    """Whether a field is there in all arguments that the schema admits."""
    parents = [_at(path[:length], roots) for length in range(1, len(path))]
    keys = path[1:]
    return path[0] == ARGS and all(
        isinstance(parent, Admitted) and parent.requires(key) for parent, key in zip(parents, keys, strict=True)
    )


def _of_constants(
    field: str, constants: Iterable[Constant], found: Admitted, column: int, *, equal: bool
) -> Iterator[Misfit]:
    """Constants that the field never has; a comparison with `null` asks whether something is there."""
    for each in constants:
        if each.value is None:
            continue
        if not found.takes(each.kind):
            sentence = f"`{field}` is {_types(found)}, and `{each}` is {_KIND_WORDS[each.kind]}; compare like with like"
            yield Misfit(Kind.WRONG_TYPE, column, sentence)
        elif equal and (why := found.why_not(each)) is not None:
            yield Misfit(Kind.IMPOSSIBLE_CONSTANT, column, f"`{field}` is never `{each}`: {why}{_instead(each, found)}")


def _instead(constant: Constant, found: Admitted) -> str:
    """The constants that are listed, or the one that was meant."""
    listed = [each for each in found.listed() if len(str(each)) <= LONGEST]
    texts = {each.value: each for each in listed if isinstance(each.value, str)}
    close = get_close_matches(str(constant.value), list(texts)[:MOST_NAMES], n=1)
    if close:
        return f"; did you mean `{texts[close[0]]}`?"
    return f": {_some(map(str, listed))}" if listed else ""


def _types(found: Admitted) -> str:
    types = found.types()
    return " or ".join(word for name, word in _TYPE_WORDS.items() if name in types)


def _some(names: Iterable[str]) -> str:
    listed = list(dict.fromkeys(names))
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(f"`{name}`" for name in listed[:SHOWN]) + more
