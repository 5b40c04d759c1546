"""Tasks of the suite's server, by the extension `io.modelcontextprotocol/tasks`: the SDK does not have it.

The extension is of the modern era alone. A task lives in this process until it ends.
"""

import asyncio
import datetime as dt
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from suite_client import Client, Params

EXTENSION = "io.modelcontextprotocol/tasks"
NEEDED: Params = {"extensions": {EXTENSION: {}}}


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()


class Task:
    """A call that goes on after its answer; what its work asks waits here for the answers of ``tasks/update``."""

    def __init__(self, work: "Work") -> None:
        self.id = secrets.token_urlsafe(16)
        self._created = self._updated = now()
        self._end: Params | None = None
        self._open: dict[str, tuple[Params, asyncio.Future[Params]]] = {}
        self._working = asyncio.create_task(self._run(work))

    @property
    def told(self) -> Params:
        state = self._end or {"status": "working"}
        if self._open and self._end is None:
            state = {
                "status": "input_required",
                "inputRequests": {key: asked for key, (asked, _) in self._open.items()},
            }
        times = {"createdAt": self._created, "lastUpdatedAt": self._updated, "ttlMs": 600_000, "pollIntervalMs": 200}
        return {"taskId": self.id, **times, **state}

    async def ask(self, key: str, question: tuple[str, Params]) -> Params:
        method, params = question
        answer: asyncio.Future[Params] = asyncio.get_running_loop().create_future()
        self._open[key] = {"method": method, "params": params}, answer
        self._updated = now()
        return await answer

    def answer(self, responses: Params) -> None:
        for key in self._open.keys() & responses.keys():
            self._open.pop(key)[1].set_result(responses[key])
            self._updated = now()

    def cancel(self) -> None:
        if self._end is None:
            self._ended(status="cancelled")
            self._working.cancel()

    async def _run(self, work: "Work") -> None:
        try:
            self._ended(status="completed", result=await work(self))
        except MCPError as error:
            self._ended(status="failed", error=error.error.model_dump(exclude_none=True))

    def _ended(self, **end: Any) -> None:
        self._end, self._updated = end, now()


Work = Callable[[Task], Awaitable[Params]]
TASKS: dict[str, Task] = {}


def begun(client: Client, work: Work) -> Params | None:
    """The answer to a call whose ``work`` has become a task; ``None`` to a client that knows none."""
    if not client.modern or EXTENSION not in client.can.get("extensions", {}):
        return None
    task = Task(work)
    TASKS[task.id] = task
    return {"resultType": "task", **task.told}


class About(types.RequestParams):
    task_id: str
    input_responses: Params | None = None


def found(ctx: Any, params: About) -> Task:
    client = Client(ctx, {})
    if not client.modern:
        raise MCPError(code=-32601, message="Method not found")
    if ctx.request is not None and ctx.request.headers.get("mcp-name") != params.task_id:
        raise MCPError(code=-32020, message="the header Mcp-Name does not name the task")
    if EXTENSION not in client.can.get("extensions", {}):
        client.lacks(**NEEDED)
    if params.task_id not in TASKS:
        raise MCPError(code=-32602, message="Task not found")
    return TASKS[params.task_id]


async def get(ctx: Any, params: About) -> Params:
    return found(ctx, params).told


async def update(ctx: Any, params: About) -> Params:
    found(ctx, params).answer(params.input_responses or {})
    return {}


async def cancel(ctx: Any, params: About) -> Params:
    found(ctx, params).cancel()
    return {}


def offer_tasks(server: Server) -> None:
    server.extensions = {EXTENSION: {}}
    for run in (get, update, cancel):
        server.add_request_handler(f"tasks/{run.__name__}", About, run)
