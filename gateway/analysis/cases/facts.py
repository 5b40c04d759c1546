"""Which facts conditions tell apart in a thing that nobody has classified, and how any thing may be reached.

Only what some condition reads is varied: whether it destroys and reaches out, its tags, and through which custom tool
it is called. This file knows conditions only.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import Final

from gateway.policy.condition_nodes import IT, And, Check, Each, Node, Not, Or, Path, Predicate
from gateway.policy.condition_values import Affix, Compare, OneOf
from gateway.policy.conditions import Condition
from gateway.policy.terms import Tool

VALUES: Final = 32
"""Values of one fact that are tried; conditions name few."""


def variants(tool: Tool, conditions: Iterable[Condition], *, classified: bool) -> list[Tool]:
    """``tool`` in every way in which ``conditions`` could tell it apart. The facts of a classified one are fixed, but
    for the custom tool through which it is called; prompts and resources are harmless always.
    """
    every = tuple(conditions)
    read = {path[1] for condition in every for path in condition.fields if path[0] == "tool"}
    open = not classified and tool.kind == "tool"
    flags = {name: (True, False) if open and name in read else (getattr(tool, name),) for name in _FLAGS}
    vias = (tool.via, *_texts_of(every, ("tool", "via"))) if tool.kind == "tool" else (tool.via,)
    return [
        replace(tool, destructive=destructive, open_world=open_world, via=via, tags=tags)
        for destructive, open_world, via, tags in product(*flags.values(), vias, _tags(tool, every, open=open))
    ]


_FLAGS: Final = ("destructive", "open_world")


def _tags(tool: Tool, conditions: Iterable[Condition], *, open: bool) -> list[tuple[str, ...]]:
    """No tag, each that is asked for, and all of them."""
    asked = _texts_of(conditions, ("tool", "tags")) if open else ()
    return list(dict.fromkeys((tool.tags, *((tag,) for tag in asked), asked)))


def _texts_of(conditions: Iterable[Condition], path: Path) -> tuple[str, ...]:
    """The texts with which a field is compared."""
    found = (text for condition in conditions if path in condition.fields for text in _texts(condition.node, path))
    return tuple(dict.fromkeys(found))[:VALUES]


def _texts(node: Node, path: Path) -> Iterator[str]:
    match node:
        case Not(part):
            yield from _texts(part, path)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _texts(part, path)
        case Check(read, predicate) if read == path:
            yield from (text for text in _constants(predicate) if isinstance(text, str))
        case _:
            return


def _constants(predicate: Predicate) -> Iterator[object]:
    match predicate:
        case Compare(_, constant):
            yield constant.value
        case OneOf(members):
            yield from (member.value for member in members)
        case Affix(_, text):
            yield text
        case Each(_, body):
            yield from _texts(body, (IT,))
        case _:
            return
