"""Whatever two tenants do with their end users, and with ids of each other's: neither ever sees anything but his own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from gateway.errors import Conflict, Refusal, Unknown
from gateway.manage.end_users import add_end_user, delete_end_user, list_end_users, read_end_user, token_of
from gateway.manage.office import Office
from gateway.proofs.claims import NotProven
from gateway.proofs.issued import proven
from gateway.records import Connected, EndUser, Server
from gateway.servers.rows import end_user
from tests.builders import NOON, ORIGIN, RING, Door
from tests.connections.world import Shelf

TENANTS = ("a@example.co", "a@example.com", "ba@example.co")
NAMES = ("one", "One", "o/ne", "user:a@example.com", "a@example.co/one", "é", "e\u0301")
ROWS = """\
p, user:*, main, self, gateway/end-users, manage, , allow
p, user:*, main, self, gateway/end-users, act-as, , allow
"""


class Memory:
    """As much of a store as end users need; what is connected counts at once."""

    def __init__(self) -> None:
        self.end_users, self.connections, self.flows, self.grants = Shelf(), Shelf(), Shelf(), Shelf()

    def __getattr__(self, name: str) -> Shelf:
        """Nothing of any other kind."""
        return Shelf()


class Tenants(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.door, self.store = Door(ROWS), Memory()
        self.office = Office(self.store, RING, lambda: self.door.follower.current, self.follow)  # type: ignore[arg-type]
        self.known: dict[str, dict[str, str]] = {each: {} for each in TENANTS}
        for number, each in enumerate(TENANTS):
            self.door.person(each)
            self.door.offer(Server(id=f"s-{number}", owner=f"user:{each}", name="s", created_at=NOON))
        self.ids = ["f" * 24, "", "..", f"user:{TENANTS[1]}/{'f' * 24}"]

    async def follow(self) -> None:
        now = self.door.follower.current
        gone = [each.id for each in now.connections if each.id not in self.store.connections.records]
        self.door._swap(connections=now.connections.changed(self.store.connections.records.values(), gone))

    def teardown(self) -> None:
        self.loop.close()

    def ask(self, who: str, act: Callable[..., Awaitable[Any]], *args: Any, **named: Any) -> Any:
        async def asked() -> Any:
            return await self.door.pipeline.administered(
                "end-users", self.door.person(who), ORIGIN, lambda asker: act(self.office, asker, *args, **named)
            )

        try:
            return self.loop.run_until_complete(asked())
        except Refusal as refusal:
            return refusal

    @rule(who=st.sampled_from(TENANTS), name=st.sampled_from(NAMES))
    def add(self, who: str, name: str) -> None:
        made = self.ask(who, add_end_user, name)
        called = "é" if name == "e\u0301" else name
        if called in self.known[who]:
            assert isinstance(made, Conflict)
            return
        assert isinstance(made, EndUser)
        assert (made.tenant, made.username) == (f"user:{who}", called)
        id = made.id.removeprefix(f"user:{who}/")
        self.known[who][called] = id
        self.ids += [id, made.id]

    @rule(who=st.sampled_from(TENANTS), data=st.data())
    def read(self, who: str, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.ids))
        found = self.ask(who, read_end_user, id)
        if id in self.known[who].values():
            assert found.tenant == f"user:{who}"
            assert self.known[who][found.username] == id
        else:
            assert isinstance(found, Unknown)
            assert found.text == f"you have no end user `{id}`"

    @rule(who=st.sampled_from(TENANTS), skip=st.integers(0, 8), limit=st.integers(1, 8))
    def page(self, who: str, skip: int, limit: int) -> None:
        found = self.ask(who, list_end_users, skip=skip, limit=limit)
        assert [each.id for each in found.users] == [
            f"user:{who}/{id}" for id in sorted(self.known[who].values())[skip : skip + limit]
        ]
        assert found.total == len(self.known[who])

    @rule(who=st.sampled_from(TENANTS), data=st.data())
    def prove(self, who: str, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.ids))
        issued = self.ask(who, token_of, id)
        if id not in self.known[who].values():
            assert isinstance(issued, Unknown)
            return
        for number, tenant in enumerate(TENANTS):
            server = self.door.follower.current.servers.get(f"s-{number}")
            try:
                named = proven(RING, server, issued.token.reveal(), NOON).name
            except NotProven:
                named = ""
            assert named == (end_user(server.id, id) if tenant == who else "")

    @rule(who=st.sampled_from(TENANTS), data=st.data())
    def connect(self, who: str, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.ids[:1] + [each for each in self.ids if each.isalnum()]))
        owner = end_user(f"s-{TENANTS.index(who)}", id)
        if owner not in self.store.connections.records:
            self.loop.run_until_complete(
                self.store.connections.add(Connected(id=owner, owner=owner, connector="slack", created_at=NOON))
            )
            self.loop.run_until_complete(self.follow())

    @rule(who=st.sampled_from(TENANTS), data=st.data())
    def delete(self, who: str, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.ids))
        before = set(self.store.connections.records)
        ended = self.ask(who, delete_end_user, id)
        mine = {end_user(f"s-{TENANTS.index(who)}", id)} if id in self.known[who].values() else set()
        assert isinstance(ended, Unknown) == (not mine)
        self.known[who] = {name: each for name, each in self.known[who].items() if each != id}
        assert set(self.store.connections.records) == before - mine


Tenants.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestTenants = Tenants.TestCase
