"""One use of one thing: on whose connection, may he, do the arguments fit, send it on.

The order is chosen so that nobody learns of what he may not use. What no call of his could reach answers like what
does not exist, whatever its arguments or its own limit; only then does a visible item tell of its limit, of a denial
for these arguments, and of its schema. The decision is made on the parsed arguments, and the very same value is sent
on. This file knows no method of MCP but those that it is told.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from time import perf_counter
from typing import Final

from gateway.catalogue.views import Offer, Target
from gateway.errors import InvalidArguments, NotConnected, UnknownConnection, UpstreamFailed
from gateway.mcp import eras
from gateway.mcp.calls import mismatch
from gateway.mcp.input_required import InputRequired
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.repeating import Places, disagreement
from gateway.mcp.terms import Call, Era, Kind, Params
from gateway.pipeline import answers
from gateway.pipeline.accounts import Account
from gateway.pipeline.buckets import OBJECT, SERVER, Buckets, caller
from gateway.pipeline.chain import sent_of
from gateway.pipeline.connecting import Connecting
from gateway.pipeline.followed import Followed
from gateway.pipeline.remembering import Memory, Remembering, answers_for
from gateway.pipeline.shaping import shaped
from gateway.pipeline.task_steps import TaskSteps
from gateway.pipeline.way import Way
from gateway.policy.terms import Json

NOTHING_WANTED: Final[Params] = {}


class Uses:
    """Where every use goes, whatever asks for it."""

    def __init__(
        self, buckets: Buckets, connecting: Connecting, tasks: TaskSteps, followed: Followed, *, server_info: Params
    ) -> None:
        self._buckets = buckets
        self._connecting = connecting
        self._remembering = Remembering(Memory())
        self._tasks = tasks
        self._followed = followed
        self._server_info = server_info

    async def use(self, way: Way, offer: Offer, args: Params, params: Params, *, repeats: Places, task: bool) -> Params:
        """The result in the client's era. ``repeats`` are the arguments that headers repeat; ``task`` tells whether it
        may be run as one. Raises ``Refusal``, ``UpstreamError``.
        """
        way.passage.arguments = args
        account = self.allow(way, offer, args)
        if way.call.era is Era.MODERN and (said := disagreement(repeats, args, way.call.repeated)):
            raise mismatch(said)
        if offer.item.kind is not Kind.RESOURCE and (problems := offer.arguments.problems(args)):
            raise InvalidArguments("; ".join(problems))
        if offer.target is not None:
            params = {**params, **_call_of(offer.target, sent_of(way.passage.chain))}
        wanted = await self._tasks.wanted(way, offer) if task else NOTHING_WANTED
        return await self.send(way, offer, account, way.request.method, params, wanted)

    def allow(self, way: Way, offer: Offer, args: Mapping[str, Json]) -> Account:
        """Whose connection the call may use; raises ``Unknown``, ``Limited``, ``Denied``, and ``NotConnected`` where
        several of one owner would do.
        """
        judge = way.judge
        began = perf_counter()
        decided = [judge.decided(offer, each, args) for each in self.serving(way, offer)]
        way.passage.times.decided += perf_counter() - began
        allowed = [each for each in decided if each[2].allowed]
        account, chain, decision = (allowed or decided)[0]
        way.passage.concerns(offer, account)
        way.passage.judged(judge.policy, chain, decision)
        if not decision.allowed and not judge.visible(offer):
            raise answers.unknown(way.call)
        self.count(way, *offer.objects)
        if not decision.allowed:
            raise answers.denied(decision, explain=judge.may_inspect())
        if len(allowed) > 1:
            raise several(offer, [each for each, _, _ in allowed])
        return account

    def serving(self, way: Way, offer: Offer) -> tuple[Account, ...]:
        """The accounts that could serve, of one owner. Raises ``Unknown``, the same for a connection that is named and
        somebody else's as for one that does not exist.
        """
        accounts = way.judge.serving(offer, way.call.credential)
        if accounts:
            return accounts
        if not way.judge.visible(offer):
            raise answers.unknown(way.call)
        way.passage.kind, way.passage.object = offer.item.kind, offer.object
        raise UnknownConnection(f"unknown connection: {quoted(way.call.credential)}")

    async def send(
        self,
        way: Way,
        offer: Offer,
        account: Account,
        method: str,
        params: Params,
        wanted: Params = NOTHING_WANTED,
    ) -> Params:
        """The result in the client's era, which may be a question or a task; ``wanted`` goes to the server besides."""
        result = await self._sent(way, offer, account, method, params, wanted)
        if isinstance(result, InputRequired):
            way.passage.outcome = "input_required"
            return eras.asking(result, server_info=self._server_info)
        if method == "tools/call" and (task := self._tasks.made(way, offer, account, result, wanted=bool(wanted))):
            return task
        if method == "resources/subscribe":
            self._followed.put(way.subject.name, way.call.domain, offer.item.name, account)
        if result.get("isError") is True:
            way.passage.outcome = "tool_error"
        return self.shaped(result, way.call)

    async def _sent(
        self, way: Way, offer: Offer, account: Account, method: str, params: Params, wanted: Params
    ) -> Params | InputRequired:
        """What is answered; by a platform, in the shape that the server wants, and maybe remembered from before."""
        ask = partial(self._reached, way, offer, account, method, params, wanted)
        if method != "tools/call" or not answers_for(offer).platform:
            return await ask()
        result = await self._remembering.send(way, offer, account, params, ask)
        if way.server is None or not way.server.shaping or isinstance(result, InputRequired):
            return result
        return shaped(result, offer.parameters)

    async def _reached(
        self, way: Way, offer: Offer, account: Account, method: str, params: Params, wanted: Params
    ) -> Params | InputRequired:
        """What is answered by whom the call goes to, with the time that it took."""
        times, began = way.passage.times, perf_counter()
        times.connector = (offer if offer.target is None else offer.target.offer).connector.id
        try:
            return await self._connecting.send(way, offer, account, method, params, wanted)
        except UpstreamFailed:
            times.failed = True
            raise
        finally:
            times.upstream = perf_counter() - began

    def count(self, way: Way, *objects: str) -> None:
        """Count one call of limited objects, once for each limit of its subject, and of the server: all of them, or
        none; raises ``Limited``, ``Unavailable``.
        """
        judge, limits = way.judge, way.judge.policy.limits
        if not limits.objects:
            return
        counted = [(caller(way.subject.name), way.passage.rate_class)]
        if judge.server_owner:
            counted.append((SERVER, judge.server_class))
        found = {
            (who, judge.domain, each.match, each.klass or ""): each.limit
            for who, klass in counted
            for object in objects
            for each in limits.on(object, klass)
        }
        if found:
            claims = [(OBJECT, key, limit) for key, limit in found.items()]
            way.passage.origin.aside.read(self._buckets.take_all(claims, way.passage.at))

    def shaped(self, result: Params, call: Call) -> Params:
        return eras.to_client(result, call, server_info=self._server_info)


def _call_of(target: Target, args: Mapping[str, Json]) -> Params:
    """The call of what a user's tool calls, with the arguments that were judged. Raises ``InvalidArguments``."""
    if problems := target.offer.arguments.problems(args):
        raise InvalidArguments(f"{quoted(target.offer.object)}, which this tool calls: {'; '.join(problems)}")
    return {"name": target.offer.item.name, "arguments": dict(args)}


def several(offer: Offer, accounts: Iterable[Account]) -> NotConnected:
    """The refusal where one owner has several connections that would do; it names no others."""
    named = ", ".join(f"{each.id} ({quoted(each.label)})" if each.label else each.id for each in accounts)
    return NotConnected(
        f"`{offer.connector.id}` can be used with several connections; name one as `credentialId`, or in the header "
        f"`x-credential-id`: {named}"
    )
