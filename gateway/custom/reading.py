"""The definition of a tool as its maker writes it, read into a record: whatever is wrong is told, each with its place.

Its fields have the names that such definitions have had elsewhere. Pure: who may make it is not known here, nor
whether what it calls is there.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import structs

from gateway.custom.calling import Called, declared_by, read_call
from gateway.custom.fields import Fields, unfit
from gateway.custom.known import record_id
from gateway.custom.names import name_problem
from gateway.custom.tools import HINTS, document
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.schema import Arguments
from gateway.mcp.terms import Params
from gateway.policy.terms import Json
from gateway.records import CustomPrompt, CustomTool, Handler

R = TypeVar("R", CustomTool, CustomPrompt)

LARGEST: Final = 64 * 1024
"""Bytes of a definition, encoded."""

LONGEST_TITLE: Final = 200
LONGEST_DESCRIPTION: Final = 8_000
MOST_ROLES: Final = 50

ROLES: Final = "rolesPermitted"
CHANGEABLE: Final = ("title", "description", "inputSchema", "annotations", "handler", ROLES, "alwaysVisible")
"""What can be changed of a tool that is there."""

_LONGEST_TYPE: Final = 64
_NONE: Final = Handler(type="")
"""Stands in a record that is never kept."""
_CLOSED: Final = ("additionalProperties", "unevaluatedProperties")
_FIXED: Final = ("name", "creator", "createdBy", "owner")


@dataclass(frozen=True, slots=True)
class Definition(Generic[R]):
    """What was read. ``roles`` are those that everybody in them is to have it of, without ``role:`` (``None``: nothing
    is said of them); ``called`` is what a tool calls.
    """

    record: R
    roles: tuple[str, ...] | None
    called: Called | None = None


def read_tool(
    given: Mapping[str, Json], *, owner: str, by: str, now: int, packages: Collection[str] | None = None
) -> Definition[CustomTool] | list[str]:
    """The tool that ``given`` defines for ``owner``, made by ``by`` at ``now`` (ms since the epoch), or all that is
    wrong with it. ``packages`` are the handler packages that there are (``None``: not looked at).
    """
    if sentence := too_much(given):
        return [sentence]
    fields = Fields(given, [])
    name, schema, handler = read_name(fields), _schema(fields), _handler(fields)
    roles = read_roles(fields)
    tool = CustomTool(
        id=record_id(owner, name),
        owner=owner,
        name=name,
        title=fields.text("title", most=LONGEST_TITLE),
        description=fields.text("description", most=LONGEST_DESCRIPTION),
        schema=schema,
        annotations=_annotations(fields),
        handler=handler or _NONE,
        always_visible=fields.flag("alwaysVisible") or False,
        by=by,
        created_at=now,
        updated_at=now,
    )
    fields.close()
    called = [] if handler is None else read_call(handler, declared_by(schema), packages)
    if isinstance(called, list):
        return fields.problems + called
    return fields.problems or Definition(tool, roles, called)


def changed_tool(
    tool: CustomTool, updates: Mapping[str, Json], *, by: str, now: int, packages: Collection[str] | None = None
) -> Definition[CustomTool] | list[str]:
    """``tool`` with ``updates``, whose fields replace its own as a whole (``null``: none), or all that is wrong."""
    if problems := tool_misfits(updates):
        return problems
    given = {**document(tool), **updates}
    read = read_tool(given, owner=tool.owner, by=by, now=now, packages=packages)
    return read if isinstance(read, list) else continued(read, tool)


def tool_misfits(updates: Mapping[str, Json]) -> list[str]:
    """What is wrong with ``updates`` of a tool, whichever it is."""
    return misfits(updates, CHANGEABLE)


# -- what tools and prompts have in common


def misfits(updates: Mapping[str, Json], changeable: Collection[str]) -> list[str]:
    """What is wrong with ``updates`` of what has these fields to change."""
    if not updates:
        return ["updates: is empty; name the fields that are to change, with their new values"]
    fields = Fields({name: value for name, value in updates.items() if name not in _FIXED}, [])
    for name in changeable:
        fields.json(name)
    fields.close()
    fixed = [f"{name}: never changes; add another, and delete this one" for name in _FIXED if name in updates]
    return fixed + fields.problems


def continued(read: Definition[R], record: R) -> Definition[R]:
    """``read`` as the next state of ``record``."""
    kept = structs.replace(read.record, created_at=record.created_at, rev=record.rev)
    return Definition(kept, read.roles, read.called)


def too_much(given: Mapping[str, Json]) -> str:
    """Why a definition is not even read, ``""`` when it is."""
    if reason := unfit(dict(given)):
        return f"the definition {reason}"
    size = len(msgspec.json.encode(dict(given)))
    return f"the definition has {size} bytes; at most {LARGEST} fit" if size > LARGEST else ""


def read_name(fields: Fields) -> str:
    name = fields.json("name")
    if not isinstance(name, str) or not name:
        fields.problem("is missing; write a text", "name")
        return ""
    if problem := name_problem(name):
        fields.problem(f"{quoted(name)} {problem}", "name")
    return name


def read_roles(fields: Fields) -> tuple[str, ...] | None:
    """Without ``role:``, each once."""
    roles = fields.texts(ROLES, most=MOST_ROLES)
    return None if roles is None else tuple(dict.fromkeys(each.removeprefix("role:") for each in roles))


# -- what only tools have


def _schema(fields: Fields) -> Params:
    """What a call's arguments have to be: closed where the maker does not say otherwise."""
    given = fields.object("inputSchema", required=True) or {}
    schema: Params = {"type": "object", "properties": {}, **given}
    if schema["type"] != "object":
        fields.problem("is to be `object`: the arguments of a call are one", "inputSchema.type")
    elif not isinstance(schema["properties"], dict):
        fields.problem("is not an object", "inputSchema.properties")
    elif unchecked := Arguments(schema).unchecked:
        fields.problem(unchecked, "inputSchema")
    return schema if any(name in schema for name in _CLOSED) else {**schema, "additionalProperties": False}


def _annotations(fields: Fields) -> Params:
    hints = fields.below("annotations")
    if hints is None:
        return {}
    title = hints.text("title", most=LONGEST_TITLE)
    read = {name: hints.flag(name) for name in HINTS}
    hints.close()
    said: Params = {name: value for name, value in read.items() if value is not None}
    return {"title": title, **said} if title else said


def _handler(fields: Fields) -> Handler | None:
    handler = fields.below("handler", required=True)
    if handler is None:
        return None
    type, config = handler.text("type", most=_LONGEST_TYPE, required=True), handler.object("config")
    handler.close()
    return Handler(type=type, config=config or {}) if type else None
