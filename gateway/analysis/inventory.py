"""Who and what a policy is held against: the known subjects, and the things that each server offers.

Analysis is exact for what stands here; somebody or something new is a new question. This file knows
values only: who collects them is decided by the callers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.policy.terms import Json, Subject, Tool


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
