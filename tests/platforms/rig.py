"""One shipped connector put together as the product does it, over the real egress and the real OAuth legs, with one
account and nothing of the gateway around it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from connectors.addresses import Exceptions, parse
from connectors.base import QUIET, Credential, Secret
from connectors.definition.folder import SHIPPED, read_folders
from connectors.definition.platform import Platform, relocated
from connectors.definition.terms import Definition
from connectors.egress import Egress
from connectors.oauth.flow import begin, returned
from connectors.oauth.legs import Legs
from connectors.oauth.terms import Client, OAuthFailed, Tokens
from connectors.rest.connector import RestConnector
from connectors.rest.identity import Account, whose
from gateway.connections.material import credential, inputs_of, of_tokens
from gateway.follower import now_ms
from tests.platforms.counterparts import CALLBACK
from tests.platforms.visiting import Person

ANN = "user:ann@example.com"
STATE = "state-of-a-test-0123456789"
DEFINITIONS = read_folders((SHIPPED,)).by_id


def platform(
    connector: str,
    at: Mapping[str, str],
    host: str,
    *,
    client_id: str = "",
    client_secret: str = "",
    inputs: Mapping[str, str] | None = None,
    scopes: tuple[str, ...] = (),
    page: int = 0,
) -> Platform:
    """The shipped definition, found at another place; ``page`` makes its pages so small."""
    definition = relocated(_paged(DEFINITIONS[connector], page), at)
    oauth = definition.auth.oauth
    return Platform(
        id=connector,
        definition=definition,
        client_id=client_id,
        client_secret=Secret(client_secret) if client_secret else None,
        scopes=scopes or (oauth.scopes.default if oauth else ()),
        inputs=inputs or {},
        exceptions=listed(host),
    )


def listed(host: str) -> Exceptions:
    listed = parse([host])
    assert isinstance(listed, Exceptions)
    return listed


def _paged(definition: Definition, size: int) -> Definition:
    if not size:
        return definition
    actions = [
        replace(each, paging=replace(each.paging, size=size, most=10)) if each.paging and each.paging.size else each
        for each in definition.actions
    ]
    return replace(definition, actions=tuple(actions))


@dataclass
class Rig:
    """``tokens`` or ``typed`` are what the account has; ``opened`` counts how often it was asked for."""

    platform: Platform
    egress: Egress
    tokens: Tokens | None = None
    typed: Mapping[str, Secret] = field(default_factory=dict)
    opened: int = 0
    renewed: int = 0
    account: Account | None = None

    def __post_init__(self) -> None:
        self.legs = Legs(self.egress, now_ms)
        self.client = Client(self.platform.client_id, self.platform.client_secret, CALLBACK + self.platform.id)
        self.inputs = inputs_of(self.platform, {})
        self.connector = RestConnector(self.platform, egress=self.egress, credentials=self, clock=now_ms)

    async def connect(self, person: Person) -> Account:
        """The person goes through the platform's own pages; whose account it is."""
        begun = begin(self.platform, self.client, state=STATE, inputs=self.inputs)
        back = await asyncio.to_thread(person.agrees, begun.url)
        query = parse_qsl(urlsplit(back).query)
        assert dict(query)["state"] == STATE
        code = returned(self.platform, query, inputs=self.inputs)
        self.tokens = await self.legs.exchange(self.platform, self.client, code, begun.verifier, self.inputs)
        return await self.whose()

    async def whose(self) -> Account:
        return await whose(self.platform, self._credential(), self.egress)

    async def refresh(self) -> Tokens:
        assert self.tokens
        self.tokens = await self.legs.renew(self.platform, self.client, self.tokens, self.inputs)
        return self.tokens

    async def revoke(self) -> bool:
        assert self.tokens
        return await self.legs.revoke(self.platform, self.client, self.tokens, self.inputs)

    async def result(self, action: str, **arguments: Any) -> Any:
        connection = await self.connector.open(ANN, ANN)
        return await connection.send("tools/call", {"name": action, "arguments": arguments}, QUIET)

    async def call(self, action: str, **arguments: Any) -> Any:
        """The value that the action gives; its text must say the same."""
        result = await self.result(action, **arguments)
        assert not result.get("isError"), result
        return value_of(result)

    async def fails(self, action: str, **arguments: Any) -> str:
        """What an action that the platform refuses says."""
        result = await self.result(action, **arguments)
        assert result["isError"]
        return str(result["content"][0]["text"])

    # -- the account, as the connector asks for it

    def ids(self, owner: str) -> tuple[str, ...]:
        return ("1" * 24,) if owner == ANN else ()

    def owner(self, id: str) -> str:
        return ANN if id == "1" * 24 else ""

    async def open(self, owner: str, id: str = "") -> Credential:
        self.opened += 1
        return self._credential()

    async def renew(self, used: Credential) -> Credential | None:
        self.renewed += 1
        try:
            await self.refresh()
        except OAuthFailed:
            return None
        return self._credential()

    def _credential(self) -> Credential:
        material = of_tokens(self.tokens, self.typed) if self.tokens else None
        if material is not None:
            return credential(material, "1" * 24, self.inputs)
        return Credential("1" * 24, self.typed, self.inputs)


def value_of(result: Any) -> Any:
    """What a result says, in the text that every client sees."""
    text = result["content"][0]["text"]
    if "structuredContent" in result:
        assert decoded(text) == result["structuredContent"]
    return decoded(text)


def decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
