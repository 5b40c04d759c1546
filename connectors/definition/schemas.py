"""The schema of an action's arguments, as clients see it. Pure."""

from connectors.definition.terms import Action
from gateway.mcp.terms import Params


def input_schema(action: Action) -> Params:
    """A JSON schema of every argument that is shown; nothing else is taken."""
    shown = [each for each in action.parameters if not each.hidden]
    schema: Params = {
        "type": "object",
        "properties": {each.name: each.schema for each in shown},
        "additionalProperties": False,
    }
    if required := [each.name for each in shown if each.required]:
        schema["required"] = list(required)
    if action.defs:
        schema["$defs"] = action.defs
    return schema
