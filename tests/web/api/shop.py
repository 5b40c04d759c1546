"""A shop whose backend offers an MCP server: its customers connect accounts of their own there. All in memory."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from quart import Quart

from connectors.base import Unasked
from gateway.assembly.linked import Linker, still_permitted
from gateway.connections.listing import Listing
from gateway.mcp.terms import Params
from gateway.policy.terms import Subject
from gateway.records import Restrictions, Server
from gateway.servers.rows import end_user
from gateway.web.api.connections import ConnectionsApi
from gateway.web.api.connectors import ConnectorsApi
from gateway.web.api.routes import mounted
from gateway.web.operations import Operations
from tests.builders import NOON, ORIGIN, Door, call
from tests.connections.world import PUBLIC, World
from tests.fakes import FakeConnector, tool

ANN, MEL, EVE = "ann@example.com", "mel@example.com", "eve@example.com"
"""Who offers ``shop``, who offers ``other``, and who offers nothing."""

DONE = "https://shop.example.com/done"
ROWS = f"""\
p, *, *, self, *, revoke, , allow
p, user:*, main, self, *, connect, , allow
p, user:*, main, self, acme/*, write, , allow
p, user:*, main, self, keyed/*, write, , allow
p, user:*, main, self, gateway/end-users, inspect, , allow
p, user:{ANN}, main, self, gateway/end-users, act-as, , allow
p, user:{MEL}, main, self, gateway/end-users, act-as, , allow
"""
NAMED: Params = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


@dataclass
class Told:
    status: int
    body: Any
    text: str

    @property
    def code(self) -> str:
        return self.body["error"]["code"]


@dataclass
class Shop(World):
    """Two servers, ``shop`` of Ann and ``other`` of Mel, over the connectors ``acme`` (OAuth) and ``keyed`` (typed)."""

    now: int = NOON
    rows: str = ROWS
    restrictions: Restrictions = field(default_factory=Restrictions)

    def __post_init__(self) -> None:
        offered = [tool("look", "read", schema=NAMED, description="Looks."), tool("send", schema=NAMED)]
        self.connectors = [FakeConnector(id, offered, personal=True, title=id.title()) for id in ("acme", "keyed")]
        super().__post_init__()
        linker = Linker(self.linking, lambda: self.platforms)
        self.door = Door(self.rows, self.connectors, linker=linker)
        for who in (ANN, MEL, EVE):
            self.door.person(who)
        self.offer("shop", ANN, restrictions=self.restrictions)
        self.offer("other", MEL)
        listing = Listing(self.store, lambda: self.known, lambda: self.platforms, lambda: self.now)
        self.operations = Operations(self.door.pipeline, self.linking, listing, None)
        app = Quart(__name__)
        routes = (*ConnectionsApi(self.operations).routes(), *ConnectorsApi(self.operations).routes())
        app.register_blueprint(mounted(self.door.pipeline, routes))
        self.client = app.test_client()

    def offer(self, id: str, owner: str, **more: Any) -> None:
        more = {"redirects": (DONE,), **more}
        self.door.offer(Server(id=id, owner=f"user:{owner}", name=id, **more))

    def means(self, **changed: Any) -> Any:
        return super().means(
            servers=lambda: self.door.follower.current.servers,
            permits=lambda flow: still_permitted(self.door.follower.current, flow, self.now, 60_000),
            several_users=lambda: True,
            **changed,
        )

    async def catch_up(self) -> None:
        await super().catch_up()
        for each in self.connectors:
            each.credentials = {one.id: one.owner for one in self.known if one.connector == each.id}
        self.door._swap(connections=self.known)

    async def __call__(self, verb: str, path: str, who: str = ANN, *, on: str = "shop", **options: Any) -> Told:
        before = len(self.door.entries)
        headers = {"x-mcp-server-id": on} if on else {}
        if who:
            headers["authorization"] = f"Bearer {self.door.keys[who]}"
        headers |= options.pop("headers", {})
        answer = await self.client.open(path, method=verb, headers=headers, **options)
        assert len(self.door.entries) - before == 1, "every request leaves one entry"
        assert answer.headers["cache-control"] == "no-store"
        return Told(answer.status_code, await answer.get_json(), await answer.get_data(as_text=True))

    async def says(self, customer: Subject, tool_: str, *, on: str = "shop", **arguments: Any) -> Params:
        """What a tool answers to an end user."""
        asked = call("tools/call", domain=on, name=tool_, arguments=arguments)
        return await self.door.pipeline.handle(asked, customer, ORIGIN, Unasked())

    async def agreed(self, url: str, account: str) -> str:
        """A customer opens the link and agrees at the platform as ``account``; the code that the shop is told."""
        token = url.removeprefix(f"{PUBLIC}/connect/")
        query = self.provider.agrees(await self.click(token, signed_in="", browser="his"), account)
        ended = await self.back(query, signed_in="", browser="his")
        assert ended.next.startswith(f"{DONE}?")
        return dict(parse_qsl(urlsplit(ended.next).query))["code"]

    async def began(self, customer: str, *, who: str = ANN, on: str = "shop") -> dict[str, str]:
        """A flow of a customer, begun by the backend of his shop."""
        wanted = {"userId": customer, "authenticationType": "oauth2"}
        made = await self("POST", "/connectors/acme/credentials", who, on=on, json=wanted)
        assert made.status == 201, made.text
        return made.body

    async def linked(self, customer: str, account: str, *, who: str = ANN, on: str = "shop") -> str:
        """A connection of a customer, made as it is meant to be; its id."""
        code = await self.agreed((await self.began(customer, who=who, on=on))["oauthUrl"], account)
        done = await self("POST", f"/api/flows/{code}/confirm", who, on="", json={"userId": customer})
        assert (done.status, done.body["status"]) == (200, "done"), done.text
        return done.body["connection"]


def customer_of(server: str, name: str) -> str:
    """How the policy knows a customer."""
    return end_user(server, name)
