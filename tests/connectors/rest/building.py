"""What the tests of REST connectors share: actions and platforms in few words, and credentials that count."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.addresses import Exceptions, parse
from connectors.base import Credential, Secret
from connectors.definition.platform import Platform
from connectors.definition.terms import (
    Action,
    Api,
    Auth,
    AuthKind,
    Definition,
    Input,
    Parameter,
    Place,
    Retry,
    Risk,
)
from gateway.errors import NotConnected

ANN, BOB = "user:ann@example.com", "user:bob@example.com"
TOKEN = "canary-s3cret/tok+en"


def action(method: str = "GET", path: str = "/things", *parameters: Parameter, **more: Any) -> Action:
    words = {"id": "do", "title": "Do", "description": "Does.", "risk": Risk.READ, **more}
    return Action(method=method, path=path, parameters=parameters, **words)


def of(place: Place, name: str, schema: Any = None, **more: Any) -> Parameter:
    return Parameter(name, place, {} if schema is None else schema, required=place is Place.PATH, **more)


def path(name: str, **more: Any) -> Parameter:
    return of(Place.PATH, name, **more)


def query(name: str, **more: Any) -> Parameter:
    return of(Place.QUERY, name, **more)


def body(name: str, schema: Any = None, **more: Any) -> Parameter:
    return of(Place.BODY, name, schema, **more)


def header(name: str, **more: Any) -> Parameter:
    return of(Place.HEADER, name, **more)


def platform(base: str, *actions: Action, hosts: tuple[str, ...] = ("127.0.0.1",), **more: Any) -> Platform:
    """A platform on this machine; ``more`` are parts of its ``Api``, and ``kind``, ``identity``, ``inputs``."""
    kind, identity = more.pop("kind", AuthKind.OAUTH2), more.pop("identity", None)
    inputs: tuple[Input, ...] = more.pop("inputs", ())
    api = {"auth": {"Authorization": "Bearer {access_token}"}, "retry": Retry(), **more}
    if kind is AuthKind.NONE:
        api["auth"] = {}
    definition = Definition(
        id="desk",
        title="Desk",
        auth=Auth(kind),
        api=Api(base, hosts, **api),
        categories=("support",),
        inputs=inputs,
        identity=identity,
        actions=actions,
    )
    exceptions = parse(["127.0.0.0/8", "server.test"])
    assert isinstance(exceptions, Exceptions)
    return Platform("desk", definition, exceptions=exceptions)


def credential(token: str = TOKEN, id: str = "c1", **plain: str) -> Credential:
    return Credential(id, {"access_token": Secret(token)}, plain)


@dataclass
class Wallet:
    """The connections of some owners, and what was asked of them."""

    held: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {ANN: ("c1",)})
    token: str = TOKEN
    newer: str = ""
    opened: list[tuple[str, str]] = field(default_factory=list)
    renewed: int = 0

    def ids(self, owner: str) -> tuple[str, ...]:
        return self.held.get(owner, ())

    def owner(self, id: str) -> str:
        return next((owner for owner, ids in self.held.items() if id in ids), "")

    async def open(self, owner: str, id: str = "") -> Credential:
        self.opened.append((owner, id))
        if not self.ids(owner):
            raise NotConnected(f"`{owner}` has no connection", connector="desk", owner=owner)
        return credential(self.token, id or self.ids(owner)[0])

    async def renew(self, used: Credential) -> Credential | None:
        self.renewed += 1
        return credential(self.newer, used.id) if self.newer else None
