"""Tasks: a call that goes on after its answer, as each era spells it. Pure.

MCP 2025-11-25, tasks: the client asks for one, and fetches the result later. The extension of 2026-07-28: the server
decides, and tells the result when it is asked how the task stands. The two are not translated into each other, since
neither side of a call could keep what the other one promises. This file exchanges ids and knows nobody who holds one.
"""

from collections.abc import Iterable, Mapping
from typing import Final, cast

from gateway.mcp.questions import TASKS
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

VERSION: Final = "2025-11-25"
"""The one revision of the legacy era that has tasks."""

MAX_ID: Final = 1024
"""Characters of the id by which a server knows a task."""

RELATED: Final = "io.modelcontextprotocol/related-task"

EXTENSION: Final[Params] = {"extensions": {TASKS: {}}}
"""As a capability, of clients and of servers."""

_CORE: Final[Params] = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}


def runs_tools(capabilities: Mapping[str, Json]) -> bool:
    """Whether a legacy server with these capabilities runs tools as tasks."""
    found: Json = cast("Json", capabilities)
    for name in ("tasks", "requests", "tools", "call"):
        found = found.get(name) if isinstance(found, dict) else None
    return isinstance(found, dict)


def extends(capabilities: Mapping[str, Json]) -> bool:
    """Whether a client or a server with these capabilities has the extension."""
    extensions = capabilities.get("extensions")
    return isinstance(extensions, dict) and TASKS in extensions


def offered(capabilities: Iterable[Mapping[str, Json]]) -> Params:
    """What a gateway before servers with these capabilities can say of tasks, to clients of either era."""
    core = extension = False
    for each in capabilities:
        core = core or runs_tools(each)
        extension = extension or extends(each)
    told: Params = {}
    if core:
        told["tasks"] = _CORE
    if extension:
        told |= EXTENSION
    return told


def may_be_task(definition: Params) -> bool:
    """Whether a legacy tool may be run as a task (``execution.taskSupport``)."""
    execution = definition.get("execution")
    return isinstance(execution, dict) and execution.get("taskSupport") in ("optional", "required")


def id_of(result: Params) -> str | None:
    """The id of the task that a result tells of: the extension's own way, or within ``task``."""
    task = result.get("task")
    found = task.get("taskId") if isinstance(task, dict) else result.get("taskId")
    return found if isinstance(found, str) and 0 < len(found) <= MAX_ID else None


def renamed(told: Params, id: str) -> Params:
    """``told`` (a result, or the parameters of a message), with ``id`` wherever it names its task."""
    found = {**told, "taskId": id} if "taskId" in told else dict(told)
    if isinstance(task := found.get("task"), dict):
        found["task"] = {**task, "taskId": id}
    meta = found.get("_meta")
    if isinstance(meta, dict) and isinstance(related := meta.get(RELATED), dict):
        found["_meta"] = {**meta, RELATED: {**related, "taskId": id}}
    return found
