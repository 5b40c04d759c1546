"""What tests of renewing need: a platform that gives each refresh token once, nodes that share a store, a clock."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.base import Secret
from connectors.definition.platform import Platform
from connectors.definition.terms import (
    Api,
    Auth,
    AuthKind,
    Definition,
    Identity,
    Input,
    OAuth,
    Renewal,
)
from connectors.oauth.terms import Failure, OAuthFailed, Tokens
from gateway.connections.known import Connections
from gateway.connections.latest import Latest
from gateway.connections.material import Material, context_of_connection, of_tokens, pack, unpack
from gateway.connections.own import Own
from gateway.connections.renewing import Pace, Renewing
from gateway.connections.tending import Tending
from gateway.connections.uses import Uses
from gateway.connections.wallet import Wallet
from gateway.identity import KeyRing
from gateway.records import Connected
from gateway.store.base import Unavailable
from gateway.vault import LocalKeys, Vault

RING = KeyRing([("k1", b"a secret of thirty-two bytes or so")])
VAULT = Vault(LocalKeys(RING))
ADA = "user:ada@example.com"
NOON = 1_795_435_200_000
HOUR = 3_600_000
QUICK = Pace(lease=3, request=10, wait=15, look=0.01, farewell=5)


def platform(id: str = "slack", **renewal: Any) -> Platform:
    legs = OAuth(f"https://{id}.example/authorize", f"https://{id}.example/token", renewal=Renewal(**renewal))
    return _platform(id, Auth(AuthKind.OAUTH2, legs))


def keyed(id: str = "keyed") -> Platform:
    return _platform(id, Auth(AuthKind.API_KEY), inputs=(Input("api_key", "Key", "^.+$", secret=True),))


def machine(id: str = "machine") -> Platform:
    return _platform(id, Auth(AuthKind.CLIENT_CREDENTIALS, OAuth("", f"https://{id}.example/token")))


def _platform(id: str, auth: Auth, **more: Any) -> Platform:
    api = Api(f"https://{id}.example/api", (f"{id}.example",), auth={"Authorization": "Bearer {access_token}"})
    identity = Identity(f"https://{id}.example/me", "id", "{name}")
    definition = Definition(id, id.title(), auth, api, identity=identity, **more)
    return Platform(id, definition, "client-1", Secret("canary-client-secret"), ("read",), {"region": "eu"})


SLACK = platform()


async def until(condition: Any, within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)


class Clock:
    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def tokens(number: int = 0, *, now: int = NOON, **changed: Any) -> Tokens:
    whole = Tokens(Secret(f"canary-access-{number}"), Secret(f"canary-refresh-{number}"), now + HOUR, ("read",))
    return replace(whole, **changed)


def connection(id: str = "a" * 24, given: Tokens | None = None, **changed: Any) -> Connected:
    """A connection made at noon, whose access holds for an hour."""
    given = given or tokens()
    blank = Connected(
        **{
            "id": id,
            "owner": ADA,
            "connector": "slack",
            "label": "Ada at work",
            "scopes": given.scopes or (),
            "renewable": given.refresh is not None,
            "expires_at": given.expires_at,
            "created_at": NOON,
            "updated_at": NOON,
            "used_at": NOON,
            **changed,
        }
    )
    return sealed(blank, of_tokens(given))


def sealed(record: Connected, material: Material) -> Connected:
    bytes = VAULT.seal(pack(material), context_of_connection(record))
    return type(record)(**{each: getattr(record, each) for each in record.__struct_fields__} | {"sealed": bytes})


def material(record: Connected) -> Material:
    return unpack(VAULT.open(record.sealed, context_of_connection(record)))


class Rotating:
    """A platform as strict as can be: each refresh token serves once, and one that comes twice ends them all."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.number = 0
        self.asked = 0
        self.granted = 0
        self.dead = False
        self.forgiving = 0
        self.faults: list[BaseException | None] = []
        self.changes: dict[str, Any] = {}
        self.arrived = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.after: Any = None
        self.revoked: list[str] = []
        self.accepts: Any = True

    async def renew(self, platform: Platform, client: Any, given: Tokens, inputs: Any) -> Tokens:
        assert client.secret.reveal() == "canary-client-secret"
        assert inputs["region"] == "eu"
        self.asked += 1
        self.arrived.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        assert given.refresh is not None
        if self.dead or given.refresh.reveal() != f"canary-refresh-{self.number}":
            if self.forgiving:
                self.forgiving -= 1
            else:
                self.dead = True
            raise OAuthFailed(Failure.INVALID_GRANT, "the platform does not know it", detail="invalid_grant")
        self.number += 1
        self.granted += 1
        if self.after is not None:
            await self.after()
        return replace(tokens(self.number, now=self.clock.now), kept=given.kept, **self.changes)

    async def client_credentials(self, platform: Platform, client: Any, inputs: Any) -> Tokens:
        self.asked += 1
        await asyncio.sleep(0)
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        self.number += 1
        return replace(tokens(self.number, now=self.clock.now, refresh=None), **self.changes)

    async def revoke(self, platform: Platform, client: Any, given: Tokens, inputs: Any) -> bool:
        self.revoked.append(given.access.reveal())
        return True

    async def whose(self, platform: Platform, credential: Any) -> object:
        if isinstance(self.accepts, BaseException):
            raise self.accepts
        return object()


def failing(kind: Failure = Failure.UNAVAILABLE, **more: Any) -> OAuthFailed:
    return OAuthFailed(kind, "the platform does not answer", detail="HTTP 500", **more)


class Breaking:
    """Records that can be told to fail, and to do something before they write."""

    def __init__(self, records: Any) -> None:
        self._records = records
        self.down = False
        self.before_replace: Any = None
        self.reads = 0

    async def get(self, id: str) -> Any:
        self.reads += 1
        self._check()
        return await self._records.get(id)

    async def replace(self, record: Any) -> Any:
        self._check()
        if (before := self.before_replace) is not None:
            self.before_replace = None
            await before()
        return await self._records.replace(record)

    def _check(self) -> None:
        if self.down:
            raise Unavailable("it is down")


@dataclass
class Node:
    """One gateway process as far as connections go; ``look`` is its follower's look at the store."""

    store: Any
    legs: Any
    clock: Clock
    platforms: dict[str, Platform] = field(default_factory=lambda: {"slack": SLACK})
    fixed: dict[str, Any] = field(default_factory=dict)
    pace: Pace = QUICK

    def __post_init__(self) -> None:
        self.known = Connections()
        self.told: list[Connected] = []
        self.records = Breaking(self.store.connections)
        self.latest = Latest(lambda: self.known)
        self.renewing = Renewing(
            self.records, self.latest, VAULT, self.legs, clock=self.clock, changed=self.told.append, pace=self.pace
        )
        self.uses = Uses(self.records, self.latest, clock=self.clock)
        self.wallet = Wallet(
            self.latest,
            self.renewing,
            Own(self.fixed, self.legs, clock=self.clock),
            self.uses,
            platform_of=self.platform_of,
            whose=getattr(self.legs, "whose", None),
            clock=self.clock,
        )
        self.tending = Tending(self.latest, self.renewing, self.platform_of, clock=self.clock)

    async def platform_of(self, id: str) -> Platform:
        return self.platforms[id]

    def of(self, connector: str = "slack") -> Any:
        return self.wallet.of(self.platforms[connector])

    async def look(self) -> None:
        self.known = Connections().changed(await self.store.connections.page(limit=1000))

    async def put(self, record: Connected) -> Connected:
        stored = await self.store.connections.add(record)
        await self.look()
        return stored

    async def access(self, connector: str = "slack", **named: str) -> str:
        """The access token that a call of Ada's gets."""
        return (await self.of(connector).open(ADA, **named)).secrets["access_token"].reveal()

    async def stored(self, id: str = "a" * 24) -> Connected:
        return await self.store.connections.get(id)
