"""A house in memory in which people share: a store, the policy that follows it at every write, and who asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.custom.known import Custom, record_id
from gateway.errors import Refusal
from gateway.identity import Identities, KeyRing
from gateway.manage.asking import VisibleTool
from gateway.manage.office import Office
from gateway.pipeline.administer import Asking
from gateway.pipeline.chain import environment
from gateway.pipeline.judge import Judge
from gateway.pipeline.passage import Origin, Passage
from gateway.policy.engine import grant_rows
from gateway.policy.terms import MAIN, Access, Context, Json, Subject, Tool
from gateway.records import ApiKey, Connected, CustomPrompt, CustomTool, Grant, Handler, PromptMessage, User
from gateway.snapshot import Snapshot
from tests.builders import NOON, policy
from tests.connections.world import Shelf

RING = KeyRing([("k1", b"a secret of thirty-two bytes or so")])
ANN, BOB, CAT, ADA = "user:ann@example.com", "user:bob@example.com", "user:cat@example.com", "user:ada@example.com"
DAY = 24 * 60 * 60 * 1000
SLACK_SEND, SLACK_LIST = "slack/send", "slack/list"

ROWS = """\
p, user:*, main, self, custom/*, write, , allow
p, user:*, main, self, custom/prompt:*, read, , allow
p, user:*, main, self, gateway/directory, inspect, , allow
p, user:*, main, self, slack/*, write, , allow
p, *, *, self, *, revoke, , allow
p, role:maker, main, self, custom/*, manage, , allow
p, role:maker, main, self, custom/*, share, args.days > 0 and args.days <= 90, allow
p, role:maker, main, self, slack/*, share, args.level == 'read', allow
p, role:lender, main, self, slack/*, share, , allow
p, role:admin, main, *, custom/*, manage, , allow
p, role:admin, main, self, custom/*, share, , allow
p, role:admin, main, system, custom/*, share, , allow
p, role:team, main, self, time/*, read, , allow
g, user:ann@example.com, role:maker, *
g, user:ada@example.com, role:admin, *
g, user:ada@example.com, role:maker, *
g, user:bob@example.com, role:team, *
g, user:cat@example.com, role:idle, *
"""


def key_of(name: str) -> str:
    """The API key of an account."""
    return f"ost_key-of-{name.removeprefix('user:').replace('@', '-')}"


class Memory:
    """As much of a store as administration uses."""

    def __init__(self) -> None:
        self.users, self.keys, self.grants, self.connections = Shelf(), Shelf(), Shelf(), Shelf()
        self.tools, self.prompts = Shelf(), Shelf()
        self.flows, self.sign_ins, self.mailed_codes = Shelf(), Shelf(), Shelf()


@dataclass
class Seen:
    """What somebody sees of the main server."""

    listed: tuple[VisibleTool, ...]

    def tools(self) -> tuple[VisibleTool, ...]:
        return self.listed

    def prompts(self) -> tuple[()]:
        return ()


def visible(object: str, action: str) -> VisibleTool:
    """A tool of a connector, as he sees it."""
    connector, _, name = object.partition("/")
    return VisibleTool(
        f"{connector}:{name}", f"{connector}__{name}", "", "", "", object, action, always_visible=False, hidden=False
    )


@dataclass
class House:
    """Everybody in ``people`` has an account with a key; what is written counts at once."""

    rows: str = ROWS
    people: tuple[str, ...] = (ANN, BOB, CAT, ADA)
    now: int = NOON
    store: Any = field(default_factory=Memory)
    seen: tuple[VisibleTool, ...] = (visible(SLACK_SEND, "write"), visible(SLACK_LIST, "read"))

    def __post_init__(self) -> None:
        self.files = policy(self.rows)
        self.office = Office(self.store, RING, lambda: self.snapshot, self.catch_up)

    async def settle(self) -> "House":
        for each in self.people:
            await self.account(each)
        return self

    async def account(self, name: str) -> None:
        email = name.removeprefix("user:")
        await self.store.users.add(User(id=email, created_at=1))
        await self.store.keys.add(
            ApiKey(id=RING.hash(key_of(name)), secret_id="k1", user=email, prefix="ost_", created_at=1)
        )
        await self.catch_up()

    async def catch_up(self) -> None:
        grants = [each for each in self._all("grants") if each.expires_at is None or self.now < each.expires_at]
        told = self.files.changed({each.id: grant_rows(each) for each in grants}, (), "1.1")
        custom = Custom()
        tools, prompts = custom.tools.changed(self._all("tools")), custom.prompts.changed(self._all("prompts"))
        self.snapshot = Snapshot(
            Identities.of(RING, self._all("users"), self._all("keys")),
            told,
            self.now,
            Snapshot(Identities(RING), told, 0).connections.changed(self._all("connections")),
            Custom(tools, prompts),
        )

    async def later(self, ms: int) -> None:
        self.now += ms
        await self.catch_up()

    def asker(self, name: str) -> Asking:
        judge = Judge(
            self.snapshot.policy,
            Subject(name),
            MAIN,
            environment(self.now, offset=0, address=""),
            self.snapshot.connections,
            self.snapshot.custom,
        )
        passage = Passage("entry", self.now, Origin(""), MAIN, "test", subject=Subject(name))
        return Asking(judge, passage, self.snapshot.identities, self._look)

    async def also(self, rows: str) -> None:
        """Let the policy say ``rows`` too."""
        self.rows += rows
        self.files = policy(self.rows)
        await self.catch_up()

    async def tool(self, owner: str, name: str, handler: Mapping[str, Any] | None = None) -> CustomTool:
        """A tool that somebody made; it calls ``slack/send`` unless ``handler`` says."""
        config = dict(handler or {"type": "connector", "config": {"connector": "slack", "action": "send"}})
        schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
        record = CustomTool(
            id=record_id(owner, name),
            owner=owner,
            name=name,
            schema=schema,
            handler=Handler(**config),
            by=owner,
            created_at=self.now,
        )
        await self.store.tools.add(record)
        await self.catch_up()
        return record

    async def prompt(self, owner: str, name: str) -> CustomPrompt:
        record = CustomPrompt(
            id=record_id(owner, name),
            owner=owner,
            name=name,
            messages=(PromptMessage(role="user", text="hello"),),
            created_at=self.now,
        )
        await self.store.prompts.add(record)
        await self.catch_up()
        return record

    async def connection(self, owner: str, id: str = "a" * 24, connector: str = "slack") -> Connected:
        record = Connected(id=id, owner=owner, connector=connector, label=f"{id[0]}'s")
        await self.store.connections.add(record)
        await self.catch_up()
        return record

    def grants(self) -> dict[str, Grant]:
        return dict(self.store.grants.records)

    def allows(
        self,
        name: str,
        object: str,
        action: str = "write",
        owner: str = "",
        args: Mapping[str, Json] | None = None,
        via: str = "",
        connection: str = "",
    ) -> bool:
        """The answer to one question."""
        connector, _, item = object.partition("/")
        context = Context(
            args=args or {},
            tool=Tool(connector, item, via=via, destructive=False, open_world=False),
            env=environment(self.now, offset=0, address=""),
            connection={"id": connection} if connection else {},
        )
        return self.snapshot.policy.decide((Access(name, MAIN, owner or name, object, action, context),)).allowed

    async def _look(self, judge: Judge, identities: Identities) -> Any:
        return Seen(self.seen)

    def _all(self, kind: str) -> list[Any]:
        return [*getattr(self.store, kind).records.values()]


async def refusal_of(step: Any) -> Refusal:
    """The refusal with which ``step`` ends."""
    try:
        given = await step
    except Refusal as refusal:
        return refusal
    raise AssertionError(f"it was not refused: {given}")
