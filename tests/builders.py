"""Short ways to say what a test is about: a policy as text, a call, and a whole door with people in front of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from connectors.base import Caller, Unasked
from gateway.assembly.offered import Offered
from gateway.audit import AuditEntry
from gateway.audit.masking import keyed_hash
from gateway.builtins.terms import Builtin
from gateway.catalogue import Directory, Server
from gateway.custom.known import Custom
from gateway.errors import Refusal
from gateway.identity import Identities, KeyRing
from gateway.mcp.calls import METHODS, classify
from gateway.mcp.cursors import USUAL, Bounds
from gateway.mcp.terms import CAPABILITIES_KEY, VERSION_KEY, Call, Era, Message, Notification, Params, Request
from gateway.pipeline import Origin, Pipeline
from gateway.pipeline.arriving import NO_PROOFS
from gateway.pipeline.bridge import Bridge
from gateway.pipeline.buckets import Buckets
from gateway.pipeline.custom import NO_TARGETS
from gateway.pipeline.knocks import Knocks, Rates
from gateway.pipeline.parking import Parking
from gateway.pipeline.request_state import Tickets
from gateway.policy.engine import Policy, grant_rows
from gateway.policy.rules import read
from gateway.policy.terms import MAIN, SYSTEM, Subject
from gateway.records import ApiKey, Connected, CustomPrompt, CustomTool, User
from gateway.records import Server as OfferedServer
from gateway.sealing import Seal
from gateway.servers.rows import grants_of
from gateway.snapshot import Snapshot
from tests.fakes import FakeConnector, Ledger

MODEL = (Path(__file__).parent.parent / "policies" / "model.conf").read_text()
RING = KeyRing([("k1", b"a secret of thirty-two bytes or so")])
ORIGIN = Origin(address="203.0.113.7", transport="mcp", client="test/1")
NOON = 1_795_435_200_000  # 2026-11-23 12:00 UTC
MODERN_VERSION = "2026-07-28"
LEGACY_VERSION = "2025-11-25"
SERVER_INFO: Params = {"name": "ostiary", "version": "test"}

_ids = count(1)


def policy(rows: str, *, limits: str = "", version: str = "1.0") -> Policy:
    """The policy that ``rows`` (lines of ``policies/rules.csv``) say."""
    files = {"policies/model.conf": MODEL, "policies/rules.csv": rows, "policies/limits.toml": limits}
    bundle = read(files)
    assert not isinstance(bundle, list), bundle
    return Policy.build(bundle, (), version)


def call(method: str, *, era: Era = Era.LEGACY, domain: str = MAIN, session: str = "", **params: Any) -> Call:
    """A request as a client of ``era`` sends it."""
    headers = {"mcp-protocol-version": LEGACY_VERSION}
    if era is Era.MODERN:
        meta = {VERSION_KEY: MODERN_VERSION, CAPABILITIES_KEY: {}, **params.pop("_meta", {})}
        params["_meta"] = meta
        headers = {"mcp-protocol-version": MODERN_VERSION, "mcp-method": method}
        row = METHODS.get(method)
        if row is not None and row.mirrored:
            headers["mcp-name"] = params[row.target]
    return classified(Request(next(_ids), method, params), headers=headers, domain=domain, session=session)


def classified(
    message: Message, *, headers: Mapping[str, str] | None = None, domain: str = MAIN, session: str = ""
) -> Call:
    given = {"mcp-protocol-version": LEGACY_VERSION} if headers is None else headers
    return classify(message, headers=given, domain=domain, transport="mcp", session=session)


def text_of(result: Params) -> str:
    return "\n".join(part["text"] for part in result["content"])


@dataclass
class Standing:
    """A follower that stands still: what it has been given is the newest there is."""

    current: Snapshot

    async def at_least(self, version: str, within_s: float) -> bool:
        ours, asked = (tuple(map(int, text.split("."))) for text in (self.current.policy.version, version))
        return ours >= asked


@dataclass
class Door:
    """A pipeline over connectors in memory, and accounts named by their e-mail addresses. ``follower`` is one that
    stands still, unless another one is given.
    """

    rows: str = ""
    connectors: Sequence[FakeConnector] = ()
    servers: Sequence[Server] = ()
    limits: str = ""
    now: int = NOON
    bounds: Bounds = USUAL
    follower: Any = None
    heard: list[Notification] = field(default_factory=list)
    parking: Parking = field(default_factory=Parking)
    patience_s: float = 600.0
    linker: Any = None
    meta: frozenset[str] = frozenset()
    sentinel: Any = None
    shadow: Any = None
    builtins: Sequence[Builtin] = ()
    targets: Any = NO_TARGETS
    custom: bool = False
    buckets: Buckets | None = None
    proofs: Any = NO_PROOFS
    knocks: Knocks = field(default_factory=lambda: Knocks(Rates(failures=1_000_000, visits=1_000_000)))

    def __post_init__(self) -> None:
        main = Server(MAIN, tuple(each.id for each in self.connectors), meta=self.meta, custom=self.custom)
        offered = Offered(lambda: self.follower.current.servers, main.connectors)
        self.directory = Directory(
            (main, *self.servers), self.connectors, offered=offered, clock=lambda: self.now / 1000
        )
        self.ledger = Ledger()
        self.keys: dict[str, str] = {}
        policy_ = policy(self.rows, limits=self.limits)
        standing = Snapshot(identities=Identities.of(RING), policy=policy_, confirmed_at_ms=NOON)
        self.follower = self.follower or Standing(standing)
        self.pipeline = Pipeline(
            self.follower,
            self.directory,
            self.ledger,
            hashed=keyed_hash(b"k" * 32),
            bridge=Bridge(Tickets(Seal(RING.keys("request-state"))), self.parking, patience_s=self.patience_s),
            server_info=SERVER_INFO,
            stale_after=60,
            bounds=self.bounds,
            builtins=self.builtins,
            targets=self.targets,
            linker=self.linker,
            sentinel=self.sentinel,
            shadow=self.shadow,
            buckets=self.buckets,
            proofs=self.proofs,
            knocks=self.knocks,
            node="node-1",
            clock=lambda: self.now,
        )

    def person(self, email: str) -> Subject:
        """The account of ``email``, with a key; the same each time."""
        if email not in self.keys:
            self.keys[email] = f"ost_{email.replace('@', '-')}"
            key = ApiKey(id=RING.hash(self.keys[email]), secret_id="k1", user=email, prefix="ost_", created_at=1)
            snapshot = self.follower.current
            self._swap(identities=snapshot.identities.changed(users=[User(id=email)], keys=[key]))
        return self.pipeline.identify(self.keys[email])

    def connect(self, connector: FakeConnector, email: str, id: str, *, label: str = "", account: str = "") -> str:
        """A connection of ``email`` (or of ``system``) to a personal connector; its id."""
        owner = email if email == SYSTEM else f"user:{email}"
        connector.credentials = {**connector.credentials, id: owner}
        record = Connected(id=id, owner=owner, connector=connector.id, label=label, account=account, created_at=len(id))
        self._swap(connections=self.follower.current.connections.changed([record]))
        return id

    def disconnect(self, connector: FakeConnector, id: str) -> None:
        connector.credentials = {each: owner for each, owner in connector.credentials.items() if each != id}
        self._swap(connections=self.follower.current.connections.changed([], [id]))

    def dismiss(self, email: str) -> None:
        self._swap(identities=self.follower.current.identities.changed(removed=[("users", email)]))

    def hide(self, email: str, *ids: str) -> None:
        """What the lists of ``email`` leave out from now on."""
        self.person(email)
        users = [replace(self.follower.current.identities.users[email], hidden=ids)]
        self._swap(identities=self.follower.current.identities.changed(users=users))

    def make(self, *made: CustomTool | CustomPrompt, gone: Sequence[str] = ()) -> None:
        """Put into the snapshot what users made, and take out the ids ``gone``."""
        custom = self.follower.current.custom
        tools = custom.tools.changed([each for each in made if isinstance(each, CustomTool)], gone)
        prompts = custom.prompts.changed([each for each in made if isinstance(each, CustomPrompt)], gone)
        self._swap(custom=Custom(tools, prompts))

    def offer(self, *servers: OfferedServer, gone: Sequence[str] = ()) -> None:
        """Put into the snapshot servers that users offer, with what follows from them, and take out the ids ``gone``."""
        now = self.follower.current
        known = (now.servers.get(id) for id in (*gone, *(each.id for each in servers)))
        former = [grant.id for server in known if server is not None for grant in grants_of(server)]
        rows = {grant.id: grant_rows(grant) for server in servers for grant in grants_of(server)}
        self._swap(servers=now.servers.changed(servers, gone), policy=now.policy.changed(rows, former, "1.1"))

    def apply(self, rows: str, *, version: str = "2.0") -> None:
        """Put another policy in force."""
        self._swap(policy=policy(rows, limits=self.limits, version=version))

    def _swap(self, **changed: Any) -> None:
        now = self.follower.current
        kept = {
            name: getattr(now, name)
            for name in ("identities", "policy", "confirmed_at_ms", "connections", "custom", "servers")
        }
        self.follower.current = Snapshot(**{**kept, **changed})

    async def handle(self, email: str, call: Call, *, caller: Caller | None = None) -> Params:
        return await self.pipeline.handle(call, self.person(email), ORIGIN, caller or Unasked(self.heard.append))

    async def ask(self, email: str, method: str, **params: Any) -> Params:
        """``handle`` for the call that ``tests.builders.call`` builds."""
        return await self.handle(email, call(method, **params))

    async def use(self, email: str, tool: str, *, domain: str = MAIN, **arguments: Any) -> Params:
        return await self.ask(email, "tools/call", domain=domain, name=tool, arguments=arguments)

    async def tools(self, email: str, *, domain: str = MAIN) -> list[str]:
        return [each["name"] for each in (await self.ask(email, "tools/list", domain=domain))["tools"]]

    @property
    def entries(self) -> list[AuditEntry]:
        return self.ledger.entries

    @property
    def last(self) -> AuditEntry:
        return self.ledger.entries[-1]


AMY, BOB = "amy@example.com", "bob@example.com"
ALL = "p, user:*, *, self, *, write, , allow"
HELP_ONLY = "p, user:*, main, self, slack/send, write, args.channel == '#help', allow"


async def refused(door: Door, email: str, asked: Call) -> Refusal:
    """The refusal with which ``asked`` ends."""
    with pytest.raises(Refusal) as caught:
        await door.handle(email, asked)
    return caught.value
