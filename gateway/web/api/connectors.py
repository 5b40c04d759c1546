"""``/api/connectors``, and the same under ``/connectors``: what can be used, how accounts are connected, and using it.

Each route calls the meta tool that does it, through the one door: what is asked of the policy, and what is written
down, is the same as for a client of MCP. ``x-mcp-server-id`` names the server (``main`` otherwise), a user id the end
user of it who is acted for. The forms of bodies and answers stand in ``connector_forms.py``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import msgspec

from connectors.base import QUIET
from gateway.connections.linking import NO_CONNECTION
from gateway.errors import InvalidArguments, UnknownConnection
from gateway.mcp.calls import BACK_HEADER, CREDENTIAL_HEADER, WISHES
from gateway.mcp.names import META_SUFFIX
from gateway.mcp.terms import API, LEGACY_VERSIONS, Call, Era, Kind, Params, Request, Step
from gateway.web.api import connector_forms as forms
from gateway.web.api.routes import Described, Knock, part
from gateway.web.operations import Operations

ROOTS: Final = ("/api", "")
"""Where the routes stand: with the others of the API, and where programs know them from elsewhere."""


@dataclass(frozen=True, slots=True)
class ConnectorsApi:
    """The routes of connectors, and of what end users connect."""

    operations: Operations

    def routes(self) -> tuple[Described, ...]:
        """The routes."""
        return tuple(each for root in ROOTS for each in self._routes(root))

    def _routes(self, root: str) -> Iterator[Described]:
        one = f"{root}/connectors/{{connector}}"
        route = partial(Described, reads=WISHES, on_server=True)
        yield route(
            *("GET", f"{root}/connectors", "connectors.list", self._list, forms.ConnectorsTold),
            query=forms.ConnectorsAsked,
            summary="The connectors of which you may use something",
        )
        yield route(
            *("GET", f"{one}/resources", "connectors.resources", self._resources, forms.ConnectorResources),
            query=forms.ForEndUser,
            summary="The actions of a connector that you may use",
        )
        yield route(
            *("GET", f"{one}/actions/{{action}}", "connectors.action", self._action, forms.ActionTold),
            query=forms.ForEndUser,
            summary="One action with its parameters",
        )
        yield route(
            *("POST", f"{one}/actions/{{action}}/execute", "connectors.execute", self._execute, forms.ActionExecuted),
            takes=forms.ExecuteAction,
            summary="Execute an action",
        )
        yield from self._routes_of_credentials(root, f"{one}/credentials", route)

    def _routes_of_credentials(self, root: str, kept: str, route: Callable[..., Described]) -> Iterator[Described]:
        yield route(
            *("GET", f"{kept}/metadata", "connectors.metadata", self._metadata, forms.CredentialMetadata),
            query=forms.ForEndUser,
            summary="How an account is connected",
        )
        yield route(
            *("GET", kept, "connectors.credentials", self._credentials, forms.CredentialsTold),
            query=forms.CredentialsAsked,
            summary="The connections to a connector that you may use",
        )
        yield route(
            *("POST", kept, "connectors.connect", self._connect, forms.CredentialMade),
            takes=forms.ConnectCredential,
            status=201,
            summary="Connect an account",
        )
        yield route(
            *("DELETE", f"{kept}/{{credential}}", "connectors.disconnect", self._disconnect, forms.CredentialEnded),
            query=forms.ForEndUser,
            summary="End a connection",
        )
        yield Described(
            *("GET", f"{root}/users/{{user}}/credentials", "users.credentials", self._of_user),
            forms.EndUserCredentials,
            query=forms.OfEndUser,
            summary="All that an end user of your servers connected",
        )

    # -- looking

    async def _list(self, who: Knock, asked: forms.ConnectorsAsked) -> forms.ConnectorsTold:
        told = await self._meta(who, "list_connectors", category=asked.category)
        found = part(msgspec.convert(told["connectors"], tuple[forms.ConnectorListed, ...]), asked)
        return forms.ConnectorsTold(
            connectors=found.items, total=found.total, limit=found.limit, offset=found.offset, has_more=found.has_more
        )

    async def _resources(self, who: Knock, asked: forms.ForEndUser, connector: str) -> forms.ConnectorResources:  # noqa: ARG002 (the frame reads it)
        told = await self._meta(who, "get_connector_resources", connectorId=connector)
        return msgspec.convert(told, forms.ConnectorResources)

    async def _action(self, who: Knock, asked: forms.ForEndUser, connector: str, action: str) -> forms.ActionTold:  # noqa: ARG002 (the frame reads it)
        told = await self._meta(who, "get_action_details", connectorId=connector, actionId=action)
        return msgspec.convert(told, forms.ActionTold)

    # -- calling

    async def _execute(
        self, who: Knock, body: forms.ExecuteAction, connector: str, action: str
    ) -> forms.ActionExecuted:
        wanted: Params = {"connectorId": connector, "actionId": action, "parameters": _together(body)}
        if body.credential_id:
            wanted["credentialId"] = body.credential_id
        if body.timeout is not None:
            wanted["timeout"] = body.timeout
        result = await self._called(who, "execute_action", wanted)
        return forms.ActionExecuted(result.get("isError") is not True, _answer_in(result))

    # -- connecting

    async def _metadata(self, who: Knock, asked: forms.ForEndUser, connector: str) -> forms.CredentialMetadata:  # noqa: ARG002 (the frame reads it)
        told = await self._meta(who, "get_credential_metadata", connectorId=connector)
        read = msgspec.convert(told, forms.MetadataTold)
        ways = tuple(forms.way_of(read, type) for type in read.authentication_types)
        return forms.CredentialMetadata(connector, ways)

    async def _credentials(self, who: Knock, asked: forms.CredentialsAsked, connector: str) -> forms.CredentialsTold:
        told = await self._meta(who, "get_credentials", connectorId=connector)
        found = part(msgspec.convert(told["credentials"], tuple[forms.CredentialListed, ...]), asked)
        return forms.CredentialsTold(
            connector_id=connector,
            credentials=tuple(self._dated(each) for each in found.items),
            total=found.total,
            limit=found.limit,
            offset=found.offset,
            has_more=found.has_more,
        )

    async def _connect(self, who: Knock, body: forms.ConnectCredential, connector: str) -> forms.CredentialMade:
        told = await self._meta(
            who,
            "create_credential",
            connectorId=connector,
            authenticationType=body.authentication_type,
            redirectUri=body.redirect_uri,
            fields=cast("Params", dict(body.data)),
        )
        return msgspec.convert(told, forms.CredentialMade)

    async def _disconnect(
        self,
        who: Knock,
        asked: forms.ForEndUser,  # noqa: ARG002 (the frame reads it)
        connector: str,
        credential: str,
    ) -> forms.CredentialEnded:
        known = self.operations.listing.get(credential)
        if known is None or (known.connector, known.owner) != (connector, who.subject.name):
            raise UnknownConnection(NO_CONNECTION)
        forgotten = await self.operations.end(who.subject, who.origin, credential, domain=who.domain)
        return forms.CredentialEnded(credential, forgotten)

    async def _of_user(self, who: Knock, asked: forms.OfEndUser, user: str) -> forms.EndUserCredentials:
        listed = await self.operations.of_end_user(who.subject, who.origin, user, server=asked.server_id)
        found = part(listed, asked)
        return forms.EndUserCredentials(
            user_id=user,
            credentials=tuple(forms.credential_of(each.connected) for each in found.items),
            total=found.total,
            limit=found.limit,
            offset=found.offset,
            has_more=found.has_more,
        )

    # -- parts of it

    async def _meta(self, who: Knock, tool: str, **wanted: Any) -> dict[str, Any]:
        """What a meta tool tells, read again. Raises ``Refusal``."""
        args = {name: value for name, value in wanted.items() if value not in ("", {})}
        result = await self._called(who, tool, args)
        (told,) = cast("list[dict[str, str]]", result["content"])
        return cast("dict[str, Any]", msgspec.json.decode(told["text"]))

    async def _called(self, who: Knock, tool: str, args: Params) -> Params:
        """The result of a call of a meta tool, by the one door. Raises ``Refusal``."""
        name = f"{tool}{META_SUFFIX}"
        call = Call(
            Request("api", "tools/call", {"name": name, "arguments": args}),
            Step.USE,
            Era.LEGACY,
            LEGACY_VERSIONS[0],
            who.domain,
            API,
            Kind.TOOL,
            name,
            credential=who.headers.get(CREDENTIAL_HEADER, ""),
            back=who.headers.get(BACK_HEADER, ""),
        )
        return await self.operations.pipeline.handle(call, who.subject, who.origin, QUIET)

    def _dated(self, told: forms.CredentialListed) -> forms.CredentialListed:
        known = self.operations.listing.get(told.credential_id)
        if known is None:  # the operator's own has no record
            return told
        return msgspec.structs.replace(told, created_at=known.created_at, updated_at=known.updated_at)


def _together(body: forms.ExecuteAction) -> Params:
    """All arguments. Raises ``InvalidArguments`` where one stands in two places."""
    places = {
        "parameters": body.parameters,
        "requestBody": body.request_body,
        "queryParameters": body.query_parameters,
        "pathParams": body.path_params,
    }
    together: Params = {}
    for place, given in places.items():
        if twice := [name for name in given if name in together]:
            raise InvalidArguments(f"`{place}`: `{twice[0][:100]}` stands in another place too; say it once")
        together.update(given)
    return together


def _answer_in(result: Params) -> Any:
    """What a tool answered: its structured content, else its text, as JSON where it is such, else its parts."""
    if "structuredContent" in result:
        return result["structuredContent"]
    content = cast("list[dict[str, Any]]", result.get("content") or [])
    if len(content) != 1 or content[0].get("type") != "text":
        return content
    text = str(content[0].get("text", ""))
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
