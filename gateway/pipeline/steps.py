"""What each MCP request does, once it is known who asks and that he does not ask too often.

The order inside a use is chosen so that nobody learns of what he may not use. What no call of his could reach
answers like what does not exist, whatever its arguments or its own limit; only then does a visible item tell of
its limit, of a denial for these arguments, and of its schema. The decision is made on the parsed arguments, and
the very same value is sent on. This file knows no snapshot, no clock and no audit trail.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from connectors.base import QUIET, Caller, UpstreamError
from gateway.catalogue import Directory
from gateway.catalogue.views import Offer
from gateway.errors import InvalidArguments, NotConnected, Refusal, Unknown, UpstreamFailed
from gateway.mcp import eras
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.terms import Call, Kind, Notification, Params, Request
from gateway.pipeline import answers
from gateway.pipeline.buckets import Buckets
from gateway.pipeline.judge import Judge
from gateway.pipeline.passage import Passage
from gateway.policy.terms import Decision, Json, Reason, Subject

LISTED_AS: Final = {
    Kind.TOOL: "tools",
    Kind.PROMPT: "prompts",
    Kind.RESOURCE: "resources",
    Kind.TEMPLATE: "resourceTemplates",
}
LISTENABLE: Final = ("toolsListChanged", "promptsListChanged", "resourcesListChanged")
SUBSCRIPTIONS: Final = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Way:
    """What all steps of one call share."""

    call: Call
    request: Request
    subject: Subject
    caller: Caller
    judge: Judge
    passage: Passage

    @property
    def capabilities(self) -> Params:
        return self.caller.capabilities

    def tell(self, notification: Notification) -> None:
        """Pass on what the server behind us says meanwhile, as far as this call may hear it."""
        if eras.may_say(notification, self.call):
            self.caller.tell(notification)

    async def ask(self, method: str, params: Params) -> Params:
        return await self.caller.ask(method, params)


class Steps:
    """One method for each MCP method; what none of them is for is refused."""

    def __init__(self, directory: Directory, buckets: Buckets, *, server_info: Params) -> None:
        self._directory = directory
        self._buckets = buckets
        self._server_info = server_info
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
        }

    async def take(self, way: Way) -> Params:
        """The result in the client's era. Raises ``Refusal``, ``UpstreamError``."""
        method = self._methods.get(way.request.method)
        if method is None:
            raise Unknown(f"unknown method {quoted(way.request.method)}", code=-32601, status=404)
        return await method(way)

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
        view = await self._directory.glance(way.call.domain, way.subject.name)
        return eras.initialize_result(
            way.request.params,
            capabilities=view.capabilities,
            server_info=self._server_info,
            instructions=self._directory.instructions(way.call.domain, view),
        )

    async def _discover(self, way: Way) -> Params:
        view = await self._directory.glance(way.call.domain, way.subject.name)
        result = eras.discover_result(
            capabilities=view.capabilities,
            server_info=self._server_info,
            instructions=self._directory.instructions(way.call.domain, view),
        )
        return self.shaped(result, way.call)

    async def _list(self, way: Way) -> Params:
        """One page with every item of which some use could be allowed, in the order of the servers behind us."""
        if way.request.params.get("cursor") not in (None, ""):
            raise InvalidArguments("`cursor`: this list has one page only; ask without a cursor")
        kind = way.call.kind or Kind.TOOL
        view = await self._directory.view(way.call.domain, way.subject.name)
        items: list[Json] = [offer.definition for offer in view.listed[kind] if way.judge.visible(offer)]
        return self.shaped({LISTED_AS[kind]: items}, way.call)

    async def _use(self, way: Way) -> Params:
        offer = await self._find(way)
        reads = offer.item.kind is Kind.RESOURCE
        args: Json = {} if reads else way.request.params.get("arguments", {})
        if not isinstance(args, dict):
            raise InvalidArguments("`arguments`: must be an object")
        way.passage.arguments = args
        owner = self._allow(way, offer, args)
        if not reads and (problems := offer.arguments.problems(args)):
            raise InvalidArguments("; ".join(problems))
        own_name: Params = {} if reads else {"name": offer.item.name}
        return await self._send(way, offer, owner, way.request.method, {**way.request.params, **own_name})

    async def _complete(self, way: Way) -> Params:
        """Completion helps with arguments that are not known yet: whoever sees the prompt or template may ask."""
        offer = await self._find(way)
        owner = way.judge.owner(offer)
        way.passage.concerns(offer, owner)
        possible = way.judge.possible(offer, owner)
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
        view = await self._directory.view(way.call.domain, way.subject.name)
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
        view = await self._directory.view(way.call.domain, way.subject.name)
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

    async def _send(self, way: Way, offer: Offer, owner: str, method: str, params: Params) -> Params:
        connection = await offer.connector.open(way.subject.name, owner)
        result = await connection.send(method, eras.to_upstream(params), way)
        if result.get("isError") is True:
            way.passage.outcome = "tool_error"
        return self.shaped(result, way.call)

    def _count_object(self, way: Way, object: str) -> None:
        for limit in way.judge.policy.limits.on(object, way.passage.rate_class):
            key = (way.subject.name, way.call.domain, limit.match, limit.klass or "")
            self._buckets.take(key, limit.limit, way.passage.at)

    def shaped(self, result: Params, call: Call) -> Params:
        return eras.to_client(result, call, server_info=self._server_info)
