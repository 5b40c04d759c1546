"""The actions of a platform as the tools of a catalogue. Pure."""

from hashlib import sha256

from connectors.base import Catalogue, Item
from connectors.definition.platform import Platform
from connectors.definition.schemas import input_schema
from connectors.definition.terms import Action, Risk
from gateway.mcp.terms import Kind, Params
from gateway.policy.terms import Tool


def catalogue_of(platform: Platform) -> Catalogue:
    """One tool for each action, in the order of the file."""
    definition = platform.definition
    mark = sha256(repr(platform).encode()).hexdigest()  # secrets do not print
    items = tuple(_item(platform, action, mark) for action in definition.actions)
    offers: Params = {"tools": {"listChanged": True}}
    return Catalogue({Kind.TOOL: items}, offers, instructions=definition.description, title=definition.title)


def _item(platform: Platform, action: Action, mark: str) -> Item:
    facts = Tool(
        connector=platform.id,
        name=action.id,
        destructive=action.risk is Risk.DESTRUCTIVE,
        open_world=True,
        tags=platform.definition.categories,
    )
    definition: Params = {
        "name": action.id,
        "title": action.title,
        "description": action.description,
        "inputSchema": input_schema(action),
        "annotations": {
            "title": action.title,
            "readOnlyHint": action.risk is Risk.READ,
            "destructiveHint": action.risk is Risk.DESTRUCTIVE,
            "idempotentHint": action.idempotent or action.risk is Risk.READ,
            "openWorldHint": True,
        },
    }
    level = "read" if action.risk is Risk.READ else "write"
    return Item(platform.id, Kind.TOOL, action.id, definition, level, facts, mark)
