"""What each MCP request does, once it is known who asks and that he does not ask too often.

The order inside a use is chosen so that nobody learns of what he may not use. What no call of his could reach
answers like what does not exist, whatever its arguments or its own limit; only then does a visible item tell of
its limit, of a denial for these arguments, and of its schema. The decision is made on the parsed arguments, and
the very same value is sent on. This file knows no snapshot, no clock and no audit trail.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, cast

from connectors.base import QUIET, UpstreamError
from gateway.catalogue import Directory
from gateway.catalogue.views import Offer
from gateway.errors import Denied, InvalidArguments, NotConnected, Refusal, Unknown, UpstreamFailed
from gateway.mcp import eras
from gateway.mcp.calls import mismatch
from gateway.mcp.cursors import Bounds, Pages, page
from gateway.mcp.input_required import InputRequired
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.repeating import disagreement
from gateway.mcp.terms import Call, Era, Kind, Params
from gateway.pipeline import answers
from gateway.pipeline.bridge import Bridge
from gateway.pipeline.buckets import Buckets
from gateway.pipeline.judge import Judge
from gateway.pipeline.task_steps import TaskSteps, demand_extension
from gateway.pipeline.tasks import Tasks
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
NOTHING_WANTED: Final[Params] = {}

log = logging.getLogger(__name__)


class Steps:
    """One method for each MCP method; what none of them is for is refused."""

    def __init__(
        self, directory: Directory, buckets: Buckets, bridge: Bridge, *, server_info: Params, bounds: Bounds
    ) -> None:
        self._directory = directory
        self._bounds = bounds
        self._buckets = buckets
        self._bridge = bridge
        self._server_info = server_info
        self._tasks = TaskSteps(directory, Tasks(), server_info=server_info)
        self._methods: Mapping[str, Callable[[Way], Awaitable[Params]]] = {
            "initialize": self._initialize,
            "server/discover": self._discover,
            "ping": self._nothing,
            "logging/setLevel": self._nothing,
            "tools/list": self._list,
            "prompts/list": self._list,
            "resources/list": self._list,
            "resources/templates/list": self._list,
            "tools/call": self._use,
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
        view = await self._directory.view(judge.domain, judge.subject.name)
        for uri in uris:
            if (offer := view.find(Kind.RESOURCE, uri)) is None:
                continue
            try:
                connection = await offer.connector.open(judge.subject.name, judge.owner(offer))
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
        view = await self._directory.view(server.id, way.subject.name, way.capabilities)
        offers, last = page(view.listed[kind], after, self._bounds, shown=way.judge.visible)
        listed: Params = {LISTED_AS[kind]: [offer.definition for offer in offers]}
        return self.shaped(listed if last is None else {**listed, "nextCursor": pages.cursor(last)}, way.call)

    async def _use(self, way: Way) -> Params:
        offer = await self._find(way)
        reads = offer.item.kind is Kind.RESOURCE
        args: Json = {} if reads else way.request.params.get("arguments", {})
        if not isinstance(args, dict):
            raise InvalidArguments("`arguments`: must be an object")
        way.passage.arguments = args
        owner = self._allow(way, offer, args)
        if way.call.era is Era.MODERN and (said := disagreement(offer.repeats, args, way.call.repeated)):
            raise mismatch(said)
        if not reads and (problems := offer.arguments.problems(args)):
            raise InvalidArguments("; ".join(problems))
        own_name: Params = {} if reads else {"name": offer.item.name}
        wanted = await self._tasks.wanted(way, offer) if offer.item.kind is Kind.TOOL else {}
        params = {**way.request.params, **own_name}
        return await self._send(way, offer, owner, way.request.method, params, wanted)

    async def _complete(self, way: Way) -> Params:
        """Completion helps with arguments that are not known yet: whoever could use the prompt or template with those
        that are may ask.
        """
        known = _known(way.request.params)
        offer = await self._find(way)
        owner = way.judge.owner(offer)
        way.passage.concerns(offer, owner)
        possible = way.judge.may_complete(offer, owner, known)
        reason = Reason.ALLOWED if possible else Reason.NO_RULE
        way.passage.decision = Decision(possible, reason, way.judge.policy.version)
        if not possible:
            raise answers.unknown(way.call)
        self._count_object(way, offer.object)
        params, ref = way.request.params, way.request.params.get("ref")
        if offer.item.kind is Kind.PROMPT and isinstance(ref, dict):
            params = {**params, "ref": {**ref, "name": offer.item.name}}
        return await self._send(way, offer, owner, way.request.method, params)

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
        view = await self._directory.view(way.call.domain, way.subject.name, way.capabilities)
        offer = view.find(Kind.RESOURCE, uri)
        if offer is None or not way.judge.visible(offer):
            return False
        try:
            await self._send(way, offer, way.judge.owner(offer), "resources/subscribe", {"uri": uri})
        except (UpstreamError, UpstreamFailed, NotConnected):
            return False
        return True

    # -- parts of the steps

    async def _find(self, way: Way) -> Offer:
        """The offer that the call names; raises ``Unknown``."""
        way.passage.kind, way.passage.object = way.call.kind, way.call.target
        view = await self._directory.view(way.call.domain, way.subject.name, way.capabilities)
        offer = view.find(way.call.kind, way.call.target) if way.call.kind else None
        if offer is None:
            raise answers.unknown(way.call)
        return offer

    def _allow(self, way: Way, offer: Offer, args: Mapping[str, Json]) -> str:
        """Whose connection the call may use; raises ``Unknown``, ``Limited``, ``Denied``."""
        owner = way.judge.owner(offer)
        chain = way.judge.chain(offer, owner, args)
        decision = way.judge.policy.decide(chain)
        way.passage.concerns(offer, owner)
        way.passage.judged(way.judge.policy, chain, decision)
        if not decision.allowed and not way.judge.possible(offer, owner):
            raise answers.unknown(way.call)
        self._count_object(way, offer.object)
        if not decision.allowed:
            raise answers.denied(decision, explain=way.judge.may_inspect())
        return owner

    async def _send(
        self, way: Way, offer: Offer, owner: str, method: str, params: Params, wanted: Params = NOTHING_WANTED
    ) -> Params:
        """The result in the client's era, which may be a question or a task; ``wanted`` goes to the server besides."""
        result = await self._bridge.send(way, offer, owner, method, params, wanted)
        if isinstance(result, InputRequired):
            way.passage.outcome = "input_required"
            return eras.asking(result, server_info=self._server_info)
        if method == "tools/call" and (task := self._tasks.made(way, offer, owner, result, wanted=bool(wanted))):
            return task
        if result.get("isError") is True:
            way.passage.outcome = "tool_error"
        return self.shaped(result, way.call)

    def _count_object(self, way: Way, object: str) -> None:
        for limit in way.judge.policy.limits.on(object, way.passage.rate_class):
            key = (way.subject.name, way.call.domain, limit.match, limit.klass or "")
            self._buckets.take(key, limit.limit, way.passage.at)

    def shaped(self, result: Params, call: Call) -> Params:
        return eras.to_client(result, call, server_info=self._server_info)


def _known(params: Params) -> Mapping[str, str]:
    """The arguments that a client has already, beside the one to be completed (MCP 2025-06-18, completion). Raises
    ``InvalidArguments``.
    """
    context = params.get("context", {})
    known = context.get("arguments", {}) if isinstance(context, dict) else None
    if not isinstance(known, dict) or not all(isinstance(each, str) for each in known.values()):
        raise InvalidArguments("`context.arguments`: must be an object of texts")
    return cast("dict[str, str]", known)
