"""Where an argument stands in a body: the steps of its ``wire`` name. Pure."""

from typing import Final

from connectors.definition.paths import steps
from connectors.definition.terms import Coding, Parameter

NESTING: Final = (Coding.JSON, Coding.NESTED_FORM)


def steps_of(parameter: Parameter, coding: Coding) -> tuple[str, ...]:
    """The names that lead to it from the top of a body. Dots of a ``wire`` nest where the coding can, unless a
    backslash stands before one; a name without ``wire`` is one step, as it is.
    """
    if not parameter.wire or coding not in NESTING:
        return (parameter.wire or parameter.name,)
    return steps(parameter.wire)
