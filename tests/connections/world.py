"""A world for flows: a platform that checks what it is told, browsers, and people; no network and no real clock.

``Provider`` plays the platform as strictly as a real one: a code is good once, for whoever has the verifier of the
challenge that it was asked with. What it was told to forget, it remembers.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
import pytest

from connectors.base import Secret
from connectors.definition.platform import Platform
from connectors.definition.terms import Api, Auth, AuthKind, Definition, Identity, Input, OAuth, Scopes
from connectors.oauth.terms import Failure, OAuthFailed, Tokens
from gateway.connections.known import Connections
from gateway.connections.linking import Linking
from gateway.connections.material import Material, context_of_connection, unpack
from gateway.connections.means import Means
from gateway.connections.slips import Slips
from gateway.connections.terms import Ended, FlowRefused, Redirect, Why
from gateway.errors import NotConnected, Unknown, UpstreamFailed
from gateway.identity import KeyRing
from gateway.records import Connected, Server
from gateway.servers.known import Servers, server_of
from gateway.settings import Binding, ConnectionSettings
from gateway.store.base import Conflict, NotFound
from gateway.vault import LocalKeys, Vault

RING = KeyRing([("k1", b"a secret of thirty-two bytes or so")])
NOON = 1_795_435_200_000
PUBLIC = "https://gate.example.com"
BACK = "https://app.example.com/linked"
ALICE, BOB, MALLORY = "user:alice@example.com", "user:bob@example.com", "user:mallory@example.com"
CANARY = "canary"


def _api(host: str) -> Api:
    return Api(base_url=f"https://{host}/api", allowed_hosts=(host,), auth={"Authorization": "Bearer {access_token}"})


def oauth_platform(id: str, **changed: Any) -> Platform:
    host = f"{id}.example"
    legs = OAuth(
        authorize_url=f"https://{host}/authorize",
        token_url=f"https://{host}/token",
        revoke_url=f"https://{host}/revoke",
        scopes=Scopes(default=("read",)),
        **changed,
    )
    identity = Identity(url=f"https://{host}/api/me", id="id", label="{id}")
    definition = Definition(id, id.title(), Auth(AuthKind.OAUTH2, legs), _api(host), identity=identity)
    return Platform(id, definition, "client-1", Secret(f"{CANARY}-client-secret"), ("read",))


KEY_INPUTS = (
    Input("api_key", "API key", "^key-[a-z]+-[a-z]+$", secret=True),
    Input("site", "Site", "^[a-z]{1,20}$"),
    Input("note", "Note", "^[a-z ]*$", optional=True),
)
KEYED = Platform(
    "keyed",
    Definition("keyed", "Keyed", Auth(AuthKind.API_KEY), _api("keyed.example"), inputs=KEY_INPUTS),
    inputs={"region": "eu"},
)
S1 = Server(id="s1", owner=ALICE, name="One", redirects=(BACK, f"{BACK}?tenant=1"))
OPEN = Platform("open", Definition("open", "Open", Auth(AuthKind.NONE), _api("open.example")))


@dataclass
class Provider:
    """What stands behind every platform here."""

    codes: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # code → account, challenge, redirect
    forgotten: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)
    exchanged: int = 0
    team: str = "t1"
    fails: Exception | None = None
    nameless: Exception | None = None
    expires_at: int | None = NOON + 3_600_000
    _numbers: Any = field(default_factory=lambda: count(1))

    def agrees(self, url: str, account: str) -> list[tuple[str, str]]:
        """The callback's query after whoever is ``account`` there agreed at ``url``."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"{CANARY}-code-{next(self._numbers)}"
        self.codes[code] = (account, asked["code_challenge"], asked["redirect_uri"])
        return [("code", code), ("state", asked["state"])]

    async def exchange(self, platform: Any, client: Any, code: Any, verifier: Any, inputs: Any) -> Tokens:
        self.exchanged += 1
        if self.fails is not None:
            raise self.fails
        account, challenge, redirect = self.codes.pop(code.value.reveal(), ("", "", ""))
        proven = base64.urlsafe_b64encode(hashlib.sha256(verifier.reveal().encode()).digest()).rstrip(b"=").decode()
        if not account or proven != challenge or client.redirect_uri != redirect:
            raise OAuthFailed(Failure.INVALID_GRANT, "connect again")
        number = next(self._numbers)
        self.given.add(account)
        access = Secret(f"{CANARY}-access-{account}-{number}")
        return Tokens(
            access, Secret(f"{CANARY}-refresh-{account}-{number}"), self.expires_at, None, {"team": self.team}
        )

    async def revoke(self, platform: Any, client: Any, tokens: Tokens, inputs: Any) -> bool:
        self.forgotten.append(tokens.access.reveal().split("-")[2])
        return True

    async def whose(self, platform: Platform, credential: Any) -> Any:
        if self.nameless is not None:
            raise self.nameless
        kind = "access_token" if platform.definition.auth.kind is AuthKind.OAUTH2 else "api_key"
        account = credential.secrets[kind].reveal().split("-")[2 if kind == "access_token" else 1]
        if account == "nobody":
            raise NotConnected("the platform does not accept it")
        return Account(account, f"{account.title()} at {platform.id}")


@dataclass(frozen=True)
class Account:
    id: str
    label: str


class Shelf:
    """Records in memory, with the promises of a store."""

    def __init__(self) -> None:
        self.records: dict[str, Any] = {}

    async def get(self, id: str) -> Any:
        return self.records.get(id)

    async def add(self, record: Any) -> Any:
        if record.id in self.records:
            raise Conflict(record.id)
        return self._put(record, 1)

    async def replace(self, record: Any) -> Any:
        if record.id not in self.records:
            raise NotFound(record.id)
        if self.records[record.id].rev != record.rev:
            raise Conflict(record.id)
        return self._put(record, record.rev + 1)

    async def remove(self, id: str) -> None:
        if self.records.pop(id, None) is None:
            raise NotFound(id)

    async def page(self, after: str = "", limit: int = 100) -> Sequence[Any]:
        return [self.records[id] for id in sorted(self.records) if id > after][:limit]

    def _put(self, record: Any, rev: int) -> Any:
        text = msgspec.json.encode(msgspec.structs.replace(record, rev=rev))
        self.records[record.id] = msgspec.json.decode(text, type=type(record))
        return self.records[record.id]


class Memory:
    """As much of a store as flows use."""

    def __init__(self) -> None:
        self.flows, self.connections, self.grants = Shelf(), Shelf(), Shelf()


@dataclass
class World:
    """Flows over ``store``; ``browsers`` are those of people, by the value of the cookie in each."""

    store: Any = field(default_factory=Memory)
    binding: Binding = Binding.SESSION
    now: int = NOON
    several: bool = False
    permitted: bool = True
    provider: Provider = field(default_factory=Provider)
    told: list[Connected] = field(default_factory=list)
    platforms: dict[str, Platform] = field(
        default_factory=lambda: {each.id: each for each in (*map(oauth_platform, ("acme", "zorg")), KEYED, OPEN)}
    )
    known: Connections = field(default_factory=Connections)
    servers: Servers = field(default_factory=lambda: Servers({S1.id: S1}))

    def __post_init__(self) -> None:
        self.linking = Linking(self.means())

    def means(self, **changed: Any) -> Means:
        return replace(
            Means(
                store=self.store,
                vault=Vault(LocalKeys(RING)),
                slips=Slips(RING),
                settings=ConnectionSettings(self.binding, (BACK, f"{BACK}?tenant=1")),
                public_url=PUBLIC,
                platform_of=self.platform_of,
                legs=self.provider,
                whose=self.provider.whose,
                connections=lambda: self.known,
                servers=lambda: self.servers,
                several_users=lambda: self.several,
                permits=lambda _: self.permitted,
                told=self.told.append,
                catch_up=self.catch_up,
                clock=lambda: self.now,
            ),
            **changed,
        )

    async def platform_of(self, id: str) -> Platform:
        if id not in self.platforms:
            raise Unknown(f"there is no connector `{id}`")
        if id == "down":
            raise UpstreamFailed("its metadata cannot be read")
        return self.platforms[id]

    async def catch_up(self) -> None:
        self.known = Connections().changed(await self.store.connections.page(limit=1000))

    async def link(self, owner: str = ALICE, connector: str = "acme", **options: Any) -> tuple[Any, str]:
        """A flow, and the token of its link; that of an end user is one of his server."""
        options.setdefault("domain", server_of(owner) or "main")
        started = await self.linking.start(owner, connector, **options)
        return started.flow, started.link.removeprefix(f"{PUBLIC}/connect/")

    async def click(self, token: str, *, signed_in: str = ALICE, browser: str = "alices", **inputs: str) -> str:
        """The click; where the browser goes."""
        gone = await self.linking.begin(token, signed_in=signed_in, browser=browser, inputs=inputs)
        assert isinstance(gone, Redirect)
        return gone.url

    async def typed(self, token: str, *, signed_in: str = ALICE, browser: str = "alices", **inputs: str) -> Ended:
        ended = await self.linking.begin(token, signed_in=signed_in, browser=browser, inputs=inputs)
        assert isinstance(ended, Ended)
        return ended

    async def back(
        self,
        query: list[tuple[str, str]],
        connector: str = "acme",
        *,
        tenant: str = "main",
        signed_in: str = ALICE,
        browser: str = "alices",
    ) -> Ended:
        return await self.linking.callback(tenant, connector, query, signed_in=signed_in, browser=browser)

    async def connect(
        self, account: str = "ann", *, owner: str = ALICE, connector: str = "acme", **options: Any
    ) -> Ended:
        """Everything, by one person in one browser."""
        _, token = await self.link(owner, connector, **options)
        url = await self.click(token, signed_in=owner, browser=f"of {owner}")
        query = self.provider.agrees(url, account)
        return await self.back(query, connector, signed_in=owner, browser=f"of {owner}")

    async def connections(self) -> list[Connected]:
        return list(await self.store.connections.page(limit=1000))


async def refused(step: Any) -> Why:
    """Why a step was not taken."""
    with pytest.raises(FlowRefused) as info:
        await step
    return info.value.why


def opened_material(world: World, connected: Connected) -> Material:
    """What a connection holds."""
    return unpack(world.means().vault.open(connected.sealed, context_of_connection(connected)))


async def confirmable(world: World, owner: str = "end:s1/u", **options: Any) -> tuple[Ended, str]:
    """A flow that waits for its application, and the code that the browser brought there."""
    _, token = await world.link(owner, back=BACK, **options)
    query = world.provider.agrees(await world.click(token, signed_in="", browser="his"), "ann")
    ended = await world.back(query, signed_in="", browser="his")
    return ended, dict(parse_qsl(urlsplit(ended.next).query))["code"]
