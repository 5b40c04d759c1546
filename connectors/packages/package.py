"""A handler package as its author writes it, read into what is offered. Pure: nothing of it is run here.

The author's object has ``name``, ``tools`` and ``async handle(args, context, config, progress)``, and may have
``async start()`` and ``async stop()``. Who may use its tools is a matter of policy rows, never of the package.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

import msgspec

from connectors.base import Item
from gateway.mcp.schema import Arguments
from gateway.mcp.terms import Kind, Params
from gateway.policy.terms import Tool

Progress: TypeAlias = Callable[..., None]
Handle: TypeAlias = Callable[[Params, "Context", Params, Progress], Awaitable[object]]
Work: TypeAlias = Callable[[], Awaitable[object]]

RESERVED: Final = (
    *("connector", "custom", "gateway", "http", "main", "system", "upstream"),
    *("native", "prompt-management", "tool-management", "user-management"),
)
"""What no package is called: connectors of the policy, types of handlers and groups of tools of our own."""

SHOWN: Final = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""What clients see of a tool."""

KNOWN: Final = (*SHOWN, "handler")

_NAME: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,31}")
_LONGEST: Final = 128


@dataclass(frozen=True, slots=True)
class Context:
    """Who calls: ``subject`` (``user:ann@example.com``), his ``email`` (``""`` for who is no user), and an id of this
    one ``call``, for logs.
    """

    subject: str
    email: str
    call: str


@dataclass(frozen=True, slots=True)
class Package:
    """``config`` has, by the tool, what ``handle`` is told besides the arguments, ``action`` always."""

    name: str
    items: tuple[Item, ...]
    config: Mapping[str, Params]
    handle: Handle = field(repr=False)
    start: Work | None = field(default=None, repr=False)
    stop: Work | None = field(default=None, repr=False)


def read_package(candidate: Any) -> Package | list[str]:
    """The package that an author's object is, or what is wrong with it, one sentence each."""
    name = getattr(candidate, "name", None)
    if not isinstance(name, str) or _NAME.fullmatch(name) is None or name in RESERVED:
        return ["`name` is to be up to 32 of a to z, 0 to 9 and single hyphens between them, and none of our own words"]
    problems = [
        f"`{each}` is to be an `async` function"
        for each in ("handle", "start", "stop")
        if not inspect.iscoroutinefunction(getattr(candidate, each, None))
        and (each == "handle" or hasattr(candidate, each))
    ]
    tools = getattr(candidate, "tools", None)
    if not isinstance(tools, Sequence) or isinstance(tools, str) or not tools:
        return [*problems, "`tools` is to be a list of definitions"]
    for at, tool in enumerate(tools):
        problems += [f"tools[{at}]{sentence}" for sentence in _faults(tool)]
    if problems:
        return problems
    made: dict[str, Params] = {tool["name"]: msgspec.to_builtins(dict(tool)) for tool in tools}
    if len(made) != len(tools):
        return ["two of its `tools` have one name"]
    return Package(
        name,
        tuple(_item(name, tool) for tool in made.values()),
        {each: _config(tool) for each, tool in made.items()},
        candidate.handle,
        getattr(candidate, "start", None),
        getattr(candidate, "stop", None),
    )


def _faults(tool: Any) -> Iterator[str]:
    if not isinstance(tool, Mapping):
        yield " is to be an object"
        return
    for key in [each for each in tool if each not in KNOWN]:
        close = get_close_matches(str(key), KNOWN, n=1)
        yield f".{key} is not known" + (
            f"; did you mean `{close[0]}`?" if close else "; who may call is for the policy"
        )
    if not isinstance(tool.get("name"), str) or not 0 < len(tool["name"]) <= _LONGEST:
        yield f".name is to be a text of at most {_LONGEST} characters"
    if not isinstance(tool.get("inputSchema"), dict):
        yield ".inputSchema is to be a JSON schema"
    elif unchecked := Arguments(tool["inputSchema"]).unchecked:
        yield f".inputSchema cannot be checked: {unchecked}"
    for key in ("annotations", "handler", "outputSchema"):
        if not isinstance(tool.get(key, {}), dict):
            yield f".{key} is to be an object"
    try:
        msgspec.json.encode(dict(tool))
    except (TypeError, ValueError, RecursionError, OverflowError):
        yield " holds what is no JSON"
    for key in ("title", "description"):
        if not isinstance(tool.get(key, ""), str):
            yield f".{key} is to be a text"


def _item(package: str, tool: Params) -> Item:
    """What is not said counts as the worst case (MCP 2025-11-25, ToolAnnotations)."""
    hints = tool.get("annotations")
    said = hints if isinstance(hints, dict) else {}
    harmless = said.get("readOnlyHint") is True
    name = str(tool["name"])
    facts = Tool(
        connector=package,
        name=name,
        destructive=not harmless and said.get("destructiveHint") is not False,
        open_world=said.get("openWorldHint") is not False,
    )
    definition: Params = {key: tool[key] for key in SHOWN if key in tool}
    return Item(package, Kind.TOOL, name, definition, "read" if harmless else "write", facts)


def _config(tool: Params) -> Params:
    handler = tool.get("handler")
    config = handler.get("config") if isinstance(handler, dict) else None
    return {"action": tool["name"], **(config if isinstance(config, dict) else {})}
