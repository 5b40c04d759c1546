"""Who and what a policy is held against: the known subjects, and the things that each server offers.

Analysis is exact for what stands here; somebody or something new is a new question. What nobody classified counts as
the worst that its name allows. This file knows values only: who collects them is decided by the callers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.policy.spelling import read_name
from gateway.policy.terms import Json, Subject, Tool

PASSIVE: Final = ("prompt", "resource")
"""Kinds of things that only read."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that can be used: its object as policy rows write it, the action that using it needs (``read`` or
    ``write``), what conditions may ask of it, and the JSON schema of its arguments (``None``: any).
    """

    object: str
    action: str
    tool: Tool
    schema: Json = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """``things`` are told by the domain of the server that offers them; ``subjects`` are whoever is known."""

    subjects: tuple[Subject, ...] = ()
    things: Mapping[str, tuple[Thing, ...]] = field(default_factory=dict)

    def thing(self, object: str) -> Thing | None:
        """What is offered under ``object`` anywhere."""
        return next((each for things in self.things.values() for each in things if each.object == object), None)


def tool_of(object: str, *, destructive: bool = True, open_world: bool = True, tags: tuple[str, ...] = ()) -> Tool:
    """What conditions may ask of ``object``. Prompts, resources and administration are harmless whatever is said."""
    connector, _, rest = object.partition("/")
    kind, colon, name = rest.partition(":")
    if colon and kind in PASSIVE:
        named = name if kind == "resource" else read_name(name)
        return Tool(connector, named, kind, destructive=False, open_world=False, tags=tags)
    used = connector != "gateway"
    return Tool(connector, read_name(rest), "tool", "", destructive and used, open_world and used, tags)


def unclassified(object: str) -> Thing:
    """A thing of which nobody has said anything: the worst case."""
    tool = tool_of(object)
    return Thing(object, "read" if tool.kind in PASSIVE else "write", tool)
