"""What a tool of the gateway itself is: how clients see it, what it has to be allowed for, and what it does.

The forms of answers are those that clients of such servers know: one text that holds JSON with ``result``,
``message`` and ``nextSteps``. This file knows no tool by name.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

import msgspec

from gateway.manage.asking import Asker
from gateway.mcp.cursors import Position
from gateway.mcp.schema import Arguments
from gateway.mcp.terms import Params
from gateway.policy.schema import Schema
from gateway.policy.terms import NOTHING, Json

FIRST: Final = -1
"""Their place in a list: before everything else."""


class Whose(StrEnum):
    """Whose record a question can be about."""

    OWN = "own"
    ANY = "any"


@dataclass(frozen=True)
class Could:
    """A question that a call of the tool could ask, its arguments unknown: the tool is shown to whom one of them could
    be allowed. ``object`` may end in ``*``: then something of it. ``known`` are the arguments that every such question
    has (``{"operation": "delete"}``).
    """

    object: str
    action: str
    whose: Whose = Whose.ANY
    known: Mapping[str, Json] = field(default_factory=lambda: NOTHING)

    @cached_property
    def schema(self) -> Schema:
        """What the arguments of the question are narrowed to."""
        properties: Params = {name: {"const": value} for name, value in self.known.items()}
        return Schema({"type": "object", "properties": properties, "required": list(self.known)})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the tool says: ``result`` for programs, ``message`` for people, and what could be done next."""

    result: Json
    message: str
    next_steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Builtin:
    """One tool. ``does`` asks and acts; it raises ``Refusal``. ``always_visible``: nobody can hide it from himself."""

    name: str
    title: str
    description: str
    schema: Params
    hints: Params
    could: tuple[Could, ...]
    does: Callable[[Asker, Params], Awaitable[Answer]]
    always_visible: bool = False

    @property
    def position(self) -> Position:
        return FIRST, self.name

    @cached_property
    def definition(self) -> Params:
        """What a list shows; shared, not to be changed."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.schema,
            "annotations": self.hints,
        }

    @cached_property
    def arguments(self) -> Arguments:
        return Arguments(self.schema)

    @cached_property
    def weight(self) -> int:
        """The bytes of its definition in a list."""
        return len(msgspec.json.encode(self.definition))
