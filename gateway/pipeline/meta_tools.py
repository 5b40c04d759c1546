"""The meta tools: eight tools by which the actions of other connectors are found and called.

What they show is what the policy makes visible, and what they call is judged as the action itself: a meta tool asks
about what it does, never about itself. They are there for whoever could use some action behind them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

import msgspec

from connectors.base import Connector
from gateway.catalogue.views import Offer, View, everything
from gateway.errors import (
    InvalidArguments,
    NotConnected,
    Unknown,
    UnknownAction,
    UnknownConnection,
    UnknownConnector,
    UpstreamFailed,
)
from gateway.manage.asking import Operation
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.names import object_name
from gateway.mcp.terms import API, Kind, Params, Request
from gateway.pipeline import answers, meta_answers
from gateway.pipeline.accounts import Account
from gateway.pipeline.administer import allow
from gateway.pipeline.chain import CONNECT
from gateway.pipeline.connecting import Connecting, Link, Wants
from gateway.pipeline.meta_definitions import TOOLS, MetaTool
from gateway.pipeline.shown import Shown
from gateway.pipeline.task_steps import refuse_task
from gateway.pipeline.uses import Uses
from gateway.pipeline.way import Way
from gateway.policy.terms import Json

INSPECT: Final = "inspect"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One call of a meta tool, whose arguments fit its schema."""

    way: Way
    shown: Shown
    args: Params

    def text(self, name: str) -> str:
        return cast("str", self.args.get(name, ""))

    @property
    def connector(self) -> Connector:
        """The one named, when something of it is visible. Raises ``UnknownAction``."""
        named = self.text("connectorId")
        first = next(self.shown.actions(named), None)
        if first is None:
            raise UnknownConnector(f"unknown connector: {quoted(named)}")
        return first.connector


class MetaTools:
    """``uses`` is where every use goes, ``connecting`` connects accounts."""

    def __init__(self, uses: Uses, connecting: Connecting) -> None:
        self._uses = uses
        self._connecting = connecting
        self._does: Mapping[str, Callable[[_Asked], Awaitable[Params]]] = {
            "list_connectors": self._list_connectors,
            "get_connector_resources": self._get_connector_resources,
            "get_action_details": self._get_action_details,
            "execute_action": self._execute_action,
            "create_credential": self._create_credential,
            "get_credentials": self._get_credentials,
            "get_credential_metadata": self._get_credential_metadata,
            "discover_action_path": self._discover_action_path,
        }

    def find(self, view: View, name: str, transport: str = "") -> MetaTool | None:
        """The meta tool of that name, on a server that has any; the management API asks by them on every server."""
        return TOOLS.get(name) if view.behind or transport == API else None

    async def take(self, tool: MetaTool, way: Way, shown: Shown) -> Params:
        """The result in the client's era. Raises ``Refusal``, ``UpstreamError``."""
        way.passage.kind, way.passage.object = Kind.TOOL, tool.name
        if way.call.transport == API:
            shown = replace(shown, view=everything(shown.view), _any=None)
        elif not shown.any:
            raise answers.unknown(way.call)
        args: Json = way.request.params.get("arguments", {})
        if not isinstance(args, dict):
            raise InvalidArguments("`arguments`: must be an object")
        if problems := tool.arguments.problems(args):
            raise InvalidArguments("; ".join(problems))
        refuse_task(way, shown.view, tool.name)
        return await self._does[tool.does](_Asked(way, shown, args))

    # -- looking

    async def _list_connectors(self, asked: _Asked) -> Params:
        shown = asked.shown
        return self._told(asked, meta_answers.connectors(shown.view, shown.firsts(), asked.text("category")))

    async def _get_connector_resources(self, asked: _Asked) -> Params:
        connector = asked.connector
        actions = list(asked.shown.actions(connector.id))
        return self._told(asked, meta_answers.actions(asked.shown.view, connector, actions))

    async def _get_action_details(self, asked: _Asked) -> Params:
        offer = self._action(asked)
        asked.way.passage.object = offer.object
        if not asked.shown(offer):
            raise _no_action(offer.object)
        return self._told(asked, meta_answers.details(offer))

    async def _discover_action_path(self, asked: _Asked) -> Params:
        shown = asked.shown
        return self._told(asked, meta_answers.found(shown.view, asked.text("goal"), shown))

    # -- calling

    async def _execute_action(self, asked: _Asked) -> Params:
        """Whatever a direct call of the action would give."""
        offer = self._action(asked)
        parameters = cast("Params", asked.args["parameters"])
        way = _as_direct(asked.way, offer, parameters, asked.text("credentialId"))
        seconds = cast("float | None", asked.args.get("timeout"))
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._uses.use(way, offer, parameters, way.request.params, repeats={}, task=False)
        except TimeoutError:
            if not limit.expired():
                raise
            raise UpstreamFailed(f"the action did not end within {seconds} seconds") from None
        except Unknown as unknown:  # it was a model that named it, so it is told where models read
            if isinstance(unknown, UnknownConnection) and way.call.transport == API:
                raise
            raise UnknownAction(unknown.text) from unknown

    # -- connecting

    async def _get_credentials(self, asked: _Asked) -> Params:
        connector, judge = asked.connector, asked.way.judge
        self._allow(asked, connector.id, INSPECT)
        own = [each for each in judge.accounts(connector) if each.owner == judge.subject.name]
        lent = [each for each in judge.accounts(connector) if each not in own and self._usable(asked, connector, each)]
        listed = [each for each in (*own, *lent) if each.id]
        how = self._connecting.wants(connector.id)
        return self._told(asked, meta_answers.credentials(connector, listed, judge.subject.name, how))

    async def _get_credential_metadata(self, asked: _Asked) -> Params:
        connector = asked.connector
        return self._told(asked, meta_answers.metadata(connector, self._connecting.wants(connector.id)))

    async def _create_credential(self, asked: _Asked) -> Params:
        connector = asked.connector.id
        how = self._connecting.wants(connector)
        if how is None:
            raise NotConnected(f"`{connector}` has no accounts to connect")
        _check_type(asked.text("authenticationType"), how)
        self._allow(asked, connector, CONNECT)
        values = cast("dict[str, str]", asked.args.get("fields", {}))
        if values and not how.by_url:
            id = await self._connecting.deposit(asked.way, connector, values)
            asked.way.passage.connection = id
            return self._told(asked, {"connectorId": connector, "credentialId": id, "message": "connected"})
        link = await self._connecting.link(asked.way, connector, back=asked.text("redirectUri"))
        return self._told(asked, _invitation(connector, how, link))

    # -- parts of it

    def _action(self, asked: _Asked) -> Offer:
        """The action that is named, visible or not. Raises ``UnknownAction``."""
        object = object_name(asked.text("connectorId"), Kind.TOOL, asked.text("actionId"))
        offer = asked.shown.view.behind.get(object)
        if offer is None:
            raise _no_action(object)
        return offer

    def _usable(self, asked: _Asked, connector: Connector, account: Account) -> bool:
        """Whether some action could be used with another's account."""
        there = (each for each in asked.shown.view.behind.values() if each.connector is connector)
        return any(asked.way.judge.possible(each, account) for each in there)

    def _allow(self, asked: _Asked, connector: str, action: str) -> None:
        """Raises ``Denied``."""
        way = asked.way
        allow(Operation("", connector, action, way.subject.name, domain=way.call.domain), way.judge, way.passage)

    def _told(self, asked: _Asked, value: Params) -> Params:
        text = msgspec.json.encode(value).decode()
        return self._uses.shaped({"content": [{"type": "text", "text": text}]}, asked.way.call)


def _as_direct(way: Way, offer: Offer, parameters: Params, credential: str) -> Way:
    """The call of the action itself, of which the client's was about."""
    params = {**way.request.params, "name": offer.item.name, "arguments": parameters}
    call = replace(way.call, target=offer.object, credential=credential or way.call.credential, repeated={})
    return replace(way, call=call, request=Request(way.request.id, way.request.method, params))


def _check_type(given: str, how: Wants) -> None:
    if _bare(given) != _bare(how.type) and not (how.by_url and _bare(given) == "oauth"):
        raise InvalidArguments(f"`authenticationType`: must be `{how.type}`")


def _bare(text: str) -> str:
    """Without case and signs: clients write ``oauth2``, ``OAuth2``, ``api_key``, ``apiKey``."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _invitation(connector: str, how: Wants, link: Link) -> Params:
    named = "oauthUrl" if how.by_url else "connectUrl"
    message = "open the link in a browser; it is good once, for ten minutes"
    return {"connectorId": connector, named: link.url, "flowId": link.flow, "message": message}


def _no_action(object: str) -> UnknownAction:
    """The same for what does not exist and for what may never be used."""
    return UnknownAction(f"unknown tool: {quoted(object)}")
