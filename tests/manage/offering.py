"""A house in memory in which people offer servers: a store, a door that follows it at every write, and who asks."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from gateway.assembly.offered import known_names
from gateway.errors import Refusal
from gateway.manage import servers
from gateway.manage.office import Office
from gateway.manage.servers import Changed, Counter, Issued
from gateway.pipeline import Arrival
from gateway.pipeline.administer import Asking
from gateway.policy.terms import Subject
from gateway.records import Server
from gateway.servers.forms import ServerRenewal, ServerWanted, ServerWish
from gateway.vault import LocalKeys, Vault
from tests.builders import ORIGIN, RING, Door
from tests.connections.world import Shelf
from tests.fakes import FakeConnector, FakeLinker, tool

T = TypeVar("T")

OTTO, EVE, ADA, PUB = "otto@example.com", "eve@example.com", "ada@example.com", "pub@example.com"
ROWS = """\
p, *, *, self, *, revoke, , allow
p, user:*, main, self, a/*, write, , allow
p, user:*, main, self, b/*, write, , allow
p, user:*, main, self, *, connect, , allow
p, role:maker, main, self, gateway/servers, manage, args.public == false, allow
p, user:pub@example.com, main, self, gateway/servers, manage, , allow
p, user:ada@example.com, main, *, gateway/servers, manage, , allow
g, user:otto@example.com, role:maker, *
"""


class Memory:
    """As much of a store as servers use."""

    def __init__(self) -> None:
        for kind in (
            *("servers", "users", "keys", "grants", "connections", "flows", "tools", "prompts"),
            *("sign_ins", "mailed_codes", "end_users"),
        ):
            setattr(self, kind, Shelf())


class Market:
    """Everybody who is named has an account with a key; what is written counts at once."""

    def __init__(self, rows: str = ROWS, *, silent: bool = False, **more: Any) -> None:
        self.a = FakeConnector("a", [tool("x"), tool("y", "read"), tool("del_z")])
        self.b = FakeConnector("b", [tool("x")])
        self.door = Door(rows, [self.a, self.b], linker=FakeLinker(), **more)
        self.store: Any = Memory()
        self.office = Office(self.store, RING, lambda: self.door.follower.current, self.catch_up)
        self.vault = Vault(LocalKeys(RING))
        names = known_names(self.door.directory, ["b"])

        async def known(subject: str) -> Any:
            found = await names(subject)
            return type(found)({**found.actions, "a": None}, found.upstreams) if silent else found

        self.counter = Counter(self.office, self.vault, known)
        for each in (OTTO, EVE, ADA, PUB):
            self.door.person(each)

    async def catch_up(self) -> None:
        there = self.store.servers.records
        now = self.door.follower.current
        gone = [id for id in now.servers.by_id if id not in there]
        self.door.offer(*(each for each in there.values() if now.servers.get(each.id) != each), gone=gone)

    async def ask(self, email: str, act: Callable[[Asking], Awaitable[T]]) -> T:
        return await self.door.pipeline.administered("servers.test", self.door.person(email), ORIGIN, act)

    async def create(self, email: str = OTTO, **wish: Any) -> Issued:
        wanted = read(ServerWish, {"name": "Desk", **wish})
        return await self.ask(email, lambda asker: servers.create(self.counter, asker, wanted))

    async def update(self, id: str, email: str = OTTO, revs: Any = None, **wanted: Any) -> Changed:
        read_ = read(ServerWanted, wanted)
        return await self.ask(email, lambda asker: servers.update(self.counter, asker, id, read_, revs=revs))

    async def renew(self, id: str, email: str = OTTO, **renewal: Any) -> Issued:
        wanted = read(ServerRenewal, renewal)
        return await self.ask(email, lambda asker: servers.regenerate(self.office, asker, id, wanted))

    async def revoke(self, id: str, email: str = OTTO) -> Server:
        return await self.ask(email, lambda asker: servers.revoke(self.office, asker, id))

    async def delete(self, id: str, email: str = OTTO, **more: Any) -> str:
        return await self.ask(email, lambda asker: servers.delete(self.office, asker, id, **more))

    async def read(self, id: str, email: str = OTTO) -> Server:
        return await self.ask(email, lambda asker: servers.read(self.office, asker, id))

    async def list(self, email: str = OTTO, owner: str = "") -> list[str]:
        found = await self.ask(email, lambda asker: servers.list_servers(self.office, asker, owner))
        return [each.name for each in found]

    def later(self, ms: int) -> None:
        """Let time pass, in which the store was looked at."""
        self.door.now += ms
        self.door._swap(confirmed_at_ms=self.door.now)

    async def came(self, id: str, token: str) -> Subject:
        return await self.door.pipeline.arrive(Arrival(domain=id, token=token))


def read(kind: Any, given: dict[str, Any]) -> Any:
    """A form as the API reads it."""
    return msgspec.json.decode(json.dumps(given), type=kind)


async def refusal_of(step: Any) -> Refusal:
    """The refusal with which ``step`` ends."""
    try:
        given = await step
    except Refusal as refusal:
        return refusal
    raise AssertionError(f"it was not refused: {given}")
