"""The `when` language of the policy: one condition, compiled once, judged in three values.

Fail closed: an allow counts only when its condition *is true*, a deny counts unless its condition *is false*.
Everything unknown (see ``condition_values``) therefore closes. This file knows no rows and no decisions.
"""

from dataclasses import dataclass, field
from functools import cached_property

from gateway.policy.condition_nodes import Node, Path, fields_of
from gateway.policy.condition_text import ConditionError, read
from gateway.policy.condition_values import Kleene
from gateway.policy.terms import Context

__all__ = ["Condition", "ConditionError", "parse"]


@dataclass(frozen=True)
class Condition:
    """What one row asks. Equal conditions have equal trees; ``text`` is as it was written, ``str`` canonical."""

    node: Node
    text: str = field(compare=False)

    @cached_property
    def fields(self) -> frozenset[Path]:
        """The fields that are read, such as ``("args", "channel")``; elements of a list have the list's path."""
        return frozenset(fields_of(self.node))

    def judge(self, ctx: Context) -> Kleene:
        """True, false or unknown. Never raises, never changes ``ctx``; time is bounded by condition times value."""
        return self.node.judge(ctx)

    def holds(self, ctx: Context) -> bool:
        """Whether an allow with this condition counts."""
        return self.node.judge(ctx) is True

    def bites(self, ctx: Context) -> bool:
        """Whether a deny with this condition counts."""
        return self.node.judge(ctx) is not False

    def __str__(self) -> str:
        return str(self.node)


def parse(text: str) -> Condition:
    """The condition that a text writes; an empty one is always true. Raises ``ConditionError``."""
    return Condition(read(text), text)
