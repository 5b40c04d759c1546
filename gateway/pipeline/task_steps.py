"""What the MCP requests about tasks do: whoever asks about a task must be allowed, now, the call that made it.

A task of another, one that never was, and one whose call is no longer allowed answer alike. This file knows the road of
a task's requests; what a task is called on either side stands in ``gateway/mcp/tasks.py``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from connectors.base import Connection, UpstreamError
from gateway.catalogue import Directory
from gateway.catalogue.views import Offer, View
from gateway.errors import InvalidArguments, Refusal, Unknown, UpstreamFailed
from gateway.mcp import eras, tasks
from gateway.mcp.calls import METHOD_NOT_FOUND
from gateway.mcp.input_required import lacking, read, replies, requests
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.terms import Era, Kind, Notification, Params
from gateway.pipeline.accounts import Account
from gateway.pipeline.bridge import incapable
from gateway.pipeline.custom import CustomCatalogue
from gateway.pipeline.tasks import Task, Tasks
from gateway.pipeline.way import Way
from gateway.policy.terms import Json

LISTED: Final = 20
AT_ONCE: Final = 4
"""Tasks that one list tells of, and how many of them are asked about at the same time."""


class TaskSteps:
    """``tasks/…`` of both eras, and what a ``tools/call`` has to do with them."""

    def __init__(self, directory: Directory, held: Tasks, made: CustomCatalogue, *, server_info: Params) -> None:
        self._directory = directory
        self._made = made
        self._held = held
        self._server_info = server_info
        self.methods: Mapping[str, Callable[[Way], Awaitable[Params]]] = {
            "tasks/get": self._ask,
            "tasks/result": self._ask,
            "tasks/cancel": self._ask,
            "tasks/update": self._update,
            "tasks/list": self._list,
        }

    async def wanted(self, way: Way, offer: Offer) -> Params:
        """``task``, as it goes to the server, of a call that its client wants to be run as one; ``{}`` of any other.
        Raises ``Unknown`` (-32601) where the tool cannot be, ``InvalidArguments``.
        """
        asked = way.request.params.get("task")
        if asked is None or way.call.version != tasks.VERSION:
            return {}
        view = await self._directory.view(way.call.domain, way.subject.name)
        if "tasks" not in view.capabilities:
            return {}  # who offers no tasks ignores that one is wanted
        if not tasks.runs_tools(view.capabilities_of(offer.connector)) or not tasks.may_be_task(offer.item.definition):
            raise Unknown(f"the tool {quoted(offer.name)} cannot be run as a task", code=METHOD_NOT_FOUND)
        ttl = asked.get("ttl", 0) if isinstance(asked, dict) else None
        if type(ttl) is not int or ttl < 0:
            raise InvalidArguments("`task`: must be an object, and its `ttl` a number of milliseconds")
        return {"task": {"ttl": ttl} if ttl else {}}

    def made(self, way: Way, offer: Offer, account: Account, result: Params, *, wanted: bool) -> Params | None:
        """What the client is told when ``result`` of its call is a task: the same, under an id of ours. Raises
        ``UpstreamFailed`` when nobody could ever ask about that task.
        """
        modern = result.get("resultType") == "task"
        theirs = tasks.id_of(result) if modern or wanted else None
        if theirs is None:
            if modern or (wanted and "task" in result):
                raise UpstreamFailed("the server tells of a task that it does not name, or names too long")
            return None
        task = self._held.keep(
            principal=way.subject.name,
            domain=way.call.domain,
            connector=offer.connector.id,
            owner=account.owner,
            credential=account.id,
            tool=offer.name,
            arguments=way.passage.arguments,
            era=Era.MODERN if modern else Era.LEGACY,
            theirs=theirs,
            now=way.passage.now,
            mark=offer.mark,
        )
        way.passage.outcome = "task"
        return eras.tasked(tasks.renamed(result, task.id), way.call, server_info=self._server_info)

    async def _ask(self, way: Way) -> Params:
        task = self._find(way, way.call.target)
        return self._told(await self._sent(way, task, await self._allowed(way, task)), way, task)

    async def _update(self, way: Way) -> Params:
        replies(way.request.params)
        task = self._find(way, way.call.target)
        offer = await self._allowed(way, task)
        return self._told(await self._sent(way, task, offer, way.request.params["inputResponses"]), way, task)

    async def _list(self, way: Way) -> Params:
        """His newest tasks as the servers tell them now, the oldest of these first, on one page."""
        self._check_client(way)
        if way.request.params.get("cursor"):
            raise InvalidArguments("`cursor`: this list has one page only; ask without a cursor")
        held = self._held.of(way.subject.name, way.call.domain, way.passage.now)
        mine = [task for task in held if task.era is way.call.era][-LISTED:]
        turns = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(self._stands(way, task, turns) for task in mine))
        return eras.to_client({"tasks": [task for task in found if task is not None]}, way.call, server_info={})

    async def _stands(self, way: Way, task: Task, turns: asyncio.Semaphore) -> Params | None:
        """How a task stands; ``None`` when its server does not know it any more, or he may not know."""
        try:
            offer = await self._offer(way, task)
            account = way.judge.account(offer.connector, task.owner, task.credential)
            if not way.judge.policy.decide(way.judge.chain(offer, account, task.arguments)).allowed:
                return None
            connection = await _opened(way, task, offer)
            async with turns:
                told = await connection.send("tasks/get", {"taskId": task.theirs}, way)
            return tasks.renamed(told, task.id)
        except (Refusal, UpstreamError):
            return None

    def _find(self, way: Way, id: str) -> Task:
        self._check_client(way)
        task = self._held.find(id, way.subject.name, way.call.domain, way.passage.now)
        if task is None or task.era is not way.call.era:
            raise _unknown(id)
        return task

    def _check_client(self, way: Way) -> None:
        if way.call.era is Era.MODERN:
            demand_extension(way)
        elif way.call.version != tasks.VERSION:
            raise Unknown(f"method {quoted(way.request.method)} not found", code=METHOD_NOT_FOUND)

    async def _allowed(self, way: Way, task: Task) -> Offer:
        """The tool that made the task, if the very call would be allowed now; the audit entry tells of it."""
        offer = await self._offer(way, task)
        account = way.judge.account(offer.connector, task.owner, task.credential)
        way.passage.concerns(offer, account)
        way.passage.arguments = task.arguments
        chain = way.judge.chain(offer, account, task.arguments)
        way.passage.judged(way.judge.policy, chain, decision := way.judge.policy.decide(chain))
        if not decision.allowed:
            raise _unknown(task.id)
        return offer

    async def _offer(self, way: Way, task: Task) -> Offer:
        """The tool of a task, as it is offered now. Raises ``Unknown``."""
        view = await self._directory.view(task.domain, task.principal)
        if task.mark:
            offer = self._made.offers(way.judge, view).marked(task.mark)
        else:
            offer = view.find(Kind.TOOL, task.tool) or view.behind.get(task.tool)
        if offer is None or offer.connector.id != task.connector:
            raise _unknown(task.id)
        return offer

    async def _sent(self, way: Way, task: Task, offer: Offer, answers: Json = None) -> Params:
        connection = await _opened(way, task, offer)
        if connection.era is not task.era:
            raise _unknown(task.id)
        given: Params = {} if answers is None else {"inputResponses": answers}
        params = {**eras.to_upstream(way.request.params), "taskId": task.theirs, **given}
        return await connection.send(way.request.method, params, _Told(way, task.id))

    def _told(self, result: Params, way: Way, task: Task) -> Params:
        asked = read(result).questions if way.call.era is Era.MODERN and result.get("inputRequests") else {}
        if missing := lacking(asked.values(), way.capabilities):
            raise incapable(missing, way)
        told = {**result, "inputRequests": requests(asked)} if asked else result
        return eras.to_client(tasks.renamed(told, task.id), way.call, server_info=self._server_info)


@dataclass(frozen=True, slots=True)
class _Told:
    """The client of a request about a task, who knows that task as ``id``."""

    way: Way
    id: str

    @property
    def capabilities(self) -> Params:
        return self.way.capabilities

    def tell(self, notification: Notification) -> None:
        self.way.tell(replace(notification, params=tasks.renamed(notification.params, self.id)))

    async def ask(self, method: str, params: Params) -> Params:
        return await self.way.ask(method, tasks.renamed(params, self.id))


def refuse_task(way: Way, view: View, name: str) -> None:
    """Raises ``Unknown`` (-32601) where a call is to be run as a task and its tool cannot be."""
    if way.request.params.get("task") is None or way.call.version != tasks.VERSION:
        return
    if "tasks" in view.capabilities:  # who offers no tasks ignores that one is wanted
        raise Unknown(f"the tool {quoted(name)} cannot be run as a task", code=METHOD_NOT_FOUND)


def demand_extension(way: Way) -> None:
    """Raises ``Incapable`` when the modern client did not declare the extension."""
    if not tasks.extends(way.capabilities):
        raise incapable(tasks.EXTENSION, way)


async def _opened(way: Way, task: Task, offer: Offer) -> Connection:
    """A connection on the account that the task was made with."""
    return await offer.connector.open(task.principal, task.owner, way.capabilities, credential=task.credential)


def _unknown(id: str) -> Unknown:
    return Unknown(f"unknown task: {quoted(id)}")
