"""What each MCP request does, once it is known who asks and that he does not ask too often.

One use of one thing stands in ``uses.py``, what our own tools do in ``builtin_tools.py`` and ``meta_tools.py``, what
is asked about tasks in ``task_steps.py``. This file knows no snapshot, no clock and no audit trail.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, cast

from connectors.base import NOTHING_ASKED, QUIET, UpstreamError
from gateway.builtins.terms import Builtin
from gateway.catalogue import Directory
from gateway.catalogue.views import Offer, View
from gateway.errors import Denied, InvalidArguments, NotConnected, Refusal, Unknown, UpstreamFailed
from gateway.identity import Identities
from gateway.mcp import eras
from gateway.mcp.cursors import Bounds, Pages, page
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.terms import Call, Kind, Params
from gateway.pipeline import answers
from gateway.pipeline.accounts import Account
from gateway.pipeline.administer import Asking
from gateway.pipeline.bridge import Bridge
from gateway.pipeline.buckets import Buckets
from gateway.pipeline.builtin_tools import BuiltinTools
from gateway.pipeline.connecting import Connecting
from gateway.pipeline.custom import NO_TARGETS, CustomCatalogue, Targets
from gateway.pipeline.followed import Followed
from gateway.pipeline.judge import Judge
from gateway.pipeline.meta_tools import MetaTools
from gateway.pipeline.shown import Shown
from gateway.pipeline.task_steps import TaskSteps, demand_extension
from gateway.pipeline.tasks import Tasks
from gateway.pipeline.uses import Uses
from gateway.pipeline.way import Way
from gateway.policy.terms import Decision, Json, Reason

LISTED_AS: Final = {
    Kind.TOOL: "tools",
    Kind.PROMPT: "prompts",
    Kind.RESOURCE: "resources",
    Kind.TEMPLATE: "resourceTemplates",
}
LISTENABLE: Final = ("toolsListChanged", "promptsListChanged", "resourcesListChanged")
SUBSCRIPTIONS: Final = 100

log = logging.getLogger(__name__)


class Steps:
    """One method for each MCP method; what none of them is for is refused."""

    def __init__(
        self,
        directory: Directory,
        buckets: Buckets,
        bridge: Bridge,
        connecting: Connecting,
        *,
        builtins: Iterable[Builtin] = (),
        targets: Targets = NO_TARGETS,
        server_info: Params,
        bounds: Bounds,
        tasks: Tasks | None = None,
    ) -> None:
        self._directory = directory
        self._bounds = bounds
        self._bridge = bridge
        self._server_info = server_info
        self._followed = Followed()
        self._made = CustomCatalogue(targets)
        self._tasks = TaskSteps(directory, tasks or Tasks(), self._made, server_info=server_info)
        self._uses = Uses(buckets, connecting, self._tasks, self._followed, server_info=server_info)
        self._meta = MetaTools(self._uses, connecting)
        self._builtins = BuiltinTools(builtins)
        self._methods: Mapping[str, Callable[[Way], Awaitable[Params]]] = {
            "initialize": self._initialize,
            "server/discover": self._discover,
            "ping": self._nothing,
            "logging/setLevel": self._nothing,
            "tools/list": self._list,
            "prompts/list": self._list,
            "resources/list": self._list,
            "resources/templates/list": self._list,
            "tools/call": self._call,
            "prompts/get": self._use,
            "resources/read": self._use,
            "resources/subscribe": self._use,
            "resources/unsubscribe": self._nothing,
            "completion/complete": self._complete,
            "subscriptions/listen": self._listen,
            **self._tasks.methods,
        }

    async def take(self, way: Way) -> Params:
        """The result in the client's era. Raises ``Refusal``, ``UpstreamError``."""
        method = self._methods.get(way.request.method)
        if method is None:
            raise Unknown(f"unknown method {quoted(way.request.method)}", code=-32601, status=404)
        try:
            return await method(way)
        except (Denied, Unknown):
            self._bridge.abandon(way)  # what he may not begin, he may not go on with
            raise

    async def release(self, judge: Judge, uris: Iterable[str]) -> None:
        """End one subscription to each of ``uris``, as far as the servers behind us still answer."""
        principal, domain = judge.subject.name, judge.domain
        view = await self._directory.view(domain, principal)
        for uri in uris:
            if (offer := view.find(Kind.RESOURCE, uri)) is None:
                continue
            account = self._followed.get(principal, domain, uri) or judge.serving(offer)[0]
            try:
                connection = await offer.connector.open(principal, account.owner, credential=account.id)
                await connection.send("resources/unsubscribe", {"uri": uri}, QUIET)
            except (UpstreamError, Refusal) as failure:
                log.info("`%s`: a subscription could not be ended: %s", offer.connector.id, failure)

    async def _nothing(self, _: Way) -> Params:
        """What the gateway itself has nothing to do for: what a client no longer wants, its streams drop."""
        return {}

    async def _initialize(self, way: Way) -> Params:
        view = await self._directory.glance(way.call.domain, way.subject.name, way.capabilities)
        return eras.initialize_result(
            way.request.params,
            capabilities=view.capabilities,
            server_info=self._server_info,
            instructions=self._directory.instructions(way.call.domain, view),
        )

    async def _discover(self, way: Way) -> Params:
        view = await self._directory.glance(way.call.domain, way.subject.name, way.capabilities)
        result = eras.discover_result(
            capabilities=view.capabilities,
            server_info=self._server_info,
            instructions=self._directory.instructions(way.call.domain, view),
        )
        return self.shaped(result, way.call)

    async def _list(self, way: Way) -> Params:
        """One page of the items of which some use could be allowed, in the order of the servers behind us. Only those
        of the page are judged.
        """
        kind = way.call.kind or Kind.TOOL
        server = self._directory.server(way.call.domain)
        pages = Pages((way.subject.name, server.id, kind.value, *server.connectors))
        cursor = str(way.request.params.get("cursor") or "")
        after = pages.position(cursor) if cursor else None
        shown = await self._shown(way)
        offers, last = page(shown.listed(kind), after, self._bounds, shown=shown)
        listed: Params = {LISTED_AS[kind]: [offer.definition for offer in offers]}
        return self.shaped(listed if last is None else {**listed, "nextCursor": pages.cursor(last)}, way.call)

    async def _call(self, way: Way) -> Params:
        shown, name = await self._shown(way), way.call.target
        if builtin := self._builtins.find(way.call.domain, name):
            asking = Asking(way.judge, way.passage, way.identities, self.look)
            return self.shaped(await self._builtins.take(builtin, way, shown, asking), way.call)
        if meta := self._meta.find(shown.view, name, way.call.transport):
            return await self._meta.take(meta, way, shown)
        return await self._used(way, shown)

    async def _use(self, way: Way) -> Params:
        return await self._used(way, await self._shown(way))

    async def _used(self, way: Way, shown: Shown) -> Params:
        offer = _found(way, shown)
        reads = offer.item.kind is Kind.RESOURCE
        args: Json = {} if reads else way.request.params.get("arguments", {})
        if not isinstance(args, dict):
            raise InvalidArguments("`arguments`: must be an object")
        own_name: Params = {} if reads else {"name": offer.item.name}
        params = {**way.request.params, **own_name}
        is_tool = offer.item.kind is Kind.TOOL
        return await self._uses.use(way, offer, args, params, repeats=offer.repeats, task=is_tool)

    async def _complete(self, way: Way) -> Params:
        """Completion helps with arguments that are not known yet: whoever could use the prompt or template with those
        that are may ask.
        """
        known = _known(way.request.params)
        offer = _found(way, await self._shown(way))
        account, possible = self._completing(way, offer, known)
        way.passage.concerns(offer, account)
        reason = Reason.ALLOWED if possible else Reason.NO_RULE
        way.passage.decision = Decision(possible, reason, way.judge.policy.version)
        if not possible:
            raise answers.unknown(way.call)
        self._uses.count(way, offer.object)
        params, ref = way.request.params, way.request.params.get("ref")
        if offer.item.kind is Kind.PROMPT and isinstance(ref, dict):
            params = {**params, "ref": {**ref, "name": offer.item.name}}
        return await self._uses.send(way, offer, account, way.request.method, params)

    def _completing(self, way: Way, offer: Offer, known: Mapping[str, str]) -> tuple[Account, bool]:
        """With which account he may complete, if with any: of several that would do, with the one made first."""
        accounts = self._uses.serving(way, offer)
        fit = (each for each in accounts if way.judge.may_complete(offer, each, known))
        found = next(fit, None)
        return found or accounts[0], found is not None

    async def _listen(self, way: Way) -> Params:
        wish = way.request.params.get("notifications")
        if not isinstance(wish, dict):
            raise InvalidArguments("`notifications`: must be an object that says what to listen for")
        if wish.get("taskIds"):
            demand_extension(way)  # none is honoured even so: changes of tasks are not announced
        uris = wish.get("resourceSubscriptions", [])
        if not isinstance(uris, list) or len(uris) > SUBSCRIPTIONS:
            raise InvalidArguments(f"`resourceSubscriptions`: must be a list of at most {SUBSCRIPTIONS} URIs")
        honoured: Params = {name: True for name in LISTENABLE if wish.get(name) is True}
        if uris:
            named = dict.fromkeys(
                uri for uri in uris if isinstance(uri, str)
            )  # each is subscribed to and released once
            honoured["resourceSubscriptions"] = [uri for uri in named if await self._subscribes(way, uri)]
        return honoured

    async def _subscribes(self, way: Way, uri: str) -> bool:
        """Whether updates of a resource can be had by this subject, and were asked for."""
        offer = (await self._shown(way)).find(Kind.RESOURCE, uri)
        if offer is None or not way.judge.visible(offer):
            return False
        try:
            accounts = self._uses.serving(way, offer)
            if len(accounts) == 1:  # of several, one has to be named
                await self._uses.send(way, offer, accounts[0], "resources/subscribe", {"uri": uri})
        except (UpstreamError, UpstreamFailed, NotConnected, Unknown):
            return False
        return len(accounts) == 1

    # -- parts of the steps

    async def look(self, judge: Judge, identities: Identities, capabilities: Params = NOTHING_ASKED) -> Shown:
        """What the subject of ``judge`` sees of its server. Raises ``Unknown``."""
        view = await self._directory.view(judge.domain, judge.subject.name, capabilities)
        return self.shown(judge, identities, view)

    def shown(self, judge: Judge, identities: Identities, view: View) -> Shown:
        """What the subject of ``judge`` sees of ``view``."""
        made = self._made.offers(judge, view) if view.custom else None
        return Shown(judge, view, self._builtins.of(judge.domain), identities.hidden_of(judge.subject), made)

    def acts(self, task: "asyncio.Task[object]") -> bool:
        """Whether a tool of the gateway itself is under way in ``task``."""
        return self._builtins.acts(task)

    async def _shown(self, way: Way) -> Shown:
        return await self.look(way.judge, way.identities, way.capabilities)

    def shaped(self, result: Params, call: Call) -> Params:
        return self._uses.shaped(result, call)


def _found(way: Way, shown: Shown) -> Offer:
    """The offer that the call names; raises ``Unknown``."""
    way.passage.kind, way.passage.object = way.call.kind, way.call.target
    offer = shown.find(way.call.kind, way.call.target) if way.call.kind else None
    if offer is None:
        raise answers.unknown(way.call)
    return offer


def _known(params: Params) -> Mapping[str, str]:
    """The arguments that a client has already, beside the one to be completed (MCP 2025-06-18, completion). Raises
    ``InvalidArguments``.
    """
    context = params.get("context", {})
    known = context.get("arguments", {}) if isinstance(context, dict) else None
    if not isinstance(known, dict) or not all(isinstance(each, str) for each in known.values()):
        raise InvalidArguments("`context.arguments`: must be an object of texts")
    return cast("dict[str, str]", known)
