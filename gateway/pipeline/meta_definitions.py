"""The eight meta tools as clients see them: values only, the same on every server that has any of them.

Each has two names, with and without the suffix. What stands behind them is found in ``meta_answers.py``; what they do
in ``meta_tools.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec

from gateway.mcp.cursors import Position
from gateway.mcp.names import META, META_SUFFIX
from gateway.mcp.schema import Arguments
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

FIRST: Final = -1
"""Their place in a list: before everything else."""

MOST_SECONDS: Final = 300

_LISTS: Final[Params] = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
_ACTS: Final[Params] = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}
_CONNECTS: Final[Params] = {**_ACTS, "destructiveHint": False}

_CONNECTOR: Final[Params] = {"type": "string", "minLength": 1, "description": "The id of a connector."}
_ACTION: Final[Params] = {"type": "string", "minLength": 1, "description": "The id of one of its actions."}


def _schema(required: tuple[str, ...], **properties: Params) -> Params:
    listed: dict[str, Json] = dict(properties)
    schema: Params = {"type": "object", "properties": listed, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


_WORDS: Final[Mapping[str, tuple[str, str, Params, Params]]] = {
    "list_connectors": (
        "List connectors",
        "Lists the connectors whose actions you may use.",
        _schema((), category={"type": "string", "description": "Only those of this category."}),
        _LISTS,
    ),
    "get_connector_resources": (
        "List actions",
        "Lists the actions of one connector that you may use.",
        _schema(("connectorId",), connectorId=_CONNECTOR),
        _LISTS,
    ),
    "get_action_details": (
        "Describe an action",
        "Tells the parameters of one action: which are required, their types, and a sample.",
        _schema(("connectorId", "actionId"), connectorId=_CONNECTOR, actionId=_ACTION),
        _LISTS,
    ),
    "execute_action": (
        "Execute an action",
        "Executes one action of a connector with the given parameters and returns the platform's answer.",
        _schema(
            ("connectorId", "actionId", "parameters"),
            connectorId=_CONNECTOR,
            actionId=_ACTION,
            parameters={"type": "object", "description": "As `get_action_details` tells them."},
            credentialId={"type": "string", "description": "Which connection to use, where there are several."},
            timeout={
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": MOST_SECONDS,
                "description": "Seconds after which to give up.",
            },
        ),
        _ACTS,
    ),
    "create_credential": (
        "Connect an account",
        "Connects an account to a connector. For OAuth it returns a link that the user opens in a browser.",
        _schema(
            ("connectorId", "authenticationType"),
            connectorId=_CONNECTOR,
            authenticationType={"type": "string", "description": "As `get_credential_metadata` tells it."},
            redirectUri={"type": "string", "description": "Where the browser goes back to; must be registered."},
            fields={
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "What has to be typed, where no browser is used.",
            },
        ),
        _CONNECTS,
    ),
    "get_credentials": (
        "List connections",
        "Lists the connections to a connector that you may use.",
        _schema(("connectorId",), connectorId=_CONNECTOR),
        _LISTS,
    ),
    "get_credential_metadata": (
        "How to connect",
        "Tells how an account is connected to a connector, and what has to be typed for it.",
        _schema(("connectorId",), connectorId=_CONNECTOR),
        _LISTS,
    ),
    "discover_action_path": (
        "Find actions",
        "Finds the actions that fit a goal, best first.",
        _schema(("goal",), goal={"type": "string", "minLength": 1, "description": "What is to be done, in words."}),
        _LISTS,
    ),
}


@dataclass(frozen=True)
class MetaTool:
    """One of them under one of its names; ``does`` is the name without the suffix."""

    name: str
    does: str
    definition: Params
    arguments: Arguments

    @property
    def position(self) -> Position:
        return FIRST, self.name

    @cached_property
    def weight(self) -> int:
        """The bytes of its definition in a list."""
        return len(msgspec.json.encode(self.definition))


def _tool(does: str, suffix: str, arguments: Arguments) -> MetaTool:
    title, description, schema, hints = _WORDS[does]
    if suffix:
        description = f"The same as `{does}`."
    definition: Params = {
        "name": f"{does}{suffix}",
        "title": title,
        "description": description,
        "inputSchema": schema,
        "annotations": hints,
    }
    return MetaTool(f"{does}{suffix}", does, definition, arguments)


def _all() -> Mapping[str, MetaTool]:
    made = {does: Arguments(_WORDS[does][2]) for does in META}
    tools = (_tool(does, suffix, made[does]) for does in META for suffix in ("", META_SUFFIX))
    return {tool.name: tool for tool in sorted(tools, key=lambda tool: tool.name)}


TOOLS: Final = _all()
"""By name, in the order of a list."""
