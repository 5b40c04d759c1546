"""Twins in memory: a connector that remembers what reached it, a trail that keeps what it is given."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.base import NOTHING_ASKED, Caller, Catalogue, Change, Event, Item, UpstreamError
from gateway.audit import AuditEntry
from gateway.errors import InvalidArguments, NotConnected
from gateway.mcp.terms import Era, Kind, Notification, Params
from gateway.pipeline.connecting import Link, Wants
from gateway.policy.terms import Tool
from gateway.store.base import Unavailable


@dataclass(frozen=True)
class Sent:
    """One request that reached a connection."""

    principal: str
    owner: str
    method: str
    params: Params
    caller: Caller


def echo(sent: Sent) -> Params:
    """The default answer: says who called what."""
    return {"content": [{"type": "text", "text": f"{sent.principal} {sent.method} {sent.params.get('name', '')}"}]}


def raising(error: BaseException) -> Callable[[Sent], Params]:
    """An answer that fails."""

    def answer(sent: Sent) -> Params:
        raise error

    return answer


@dataclass
class Client:
    """A caller with ``capabilities``, who answers what he is asked by ``replies`` (what it raises, he answers)."""

    capabilities: Params = field(default_factory=dict)
    replies: Callable[[str, Params], Params | Awaitable[Params]] = lambda method, _: ANSWERS[method]
    heard: list[Notification] = field(default_factory=list)
    asked: list[tuple[str, Params]] = field(default_factory=list)

    def tell(self, notification: Notification) -> None:
        self.heard.append(notification)

    async def ask(self, method: str, params: Params) -> Params:
        self.asked.append((method, params))
        answer = self.replies(method, params)
        return answer if isinstance(answer, dict) else await answer


SAMPLING, ELICITATION, ROOTS = "sampling/createMessage", "elicitation/create", "roots/list"
FORM: Params = {"message": "What is your name?", "requestedSchema": {"type": "object", "properties": {}}}
URL: Params = {"mode": "url", "message": "Sign in", "url": "https://example.com/in"}
SAMPLE: Params = {"messages": [{"role": "user", "content": {"type": "text", "text": "Hi"}}], "maxTokens": 10}
QUESTIONS: Mapping[str, Params] = {SAMPLING: SAMPLE, ELICITATION: FORM, ROOTS: {}}
ANSWERS: Mapping[str, Params] = {
    SAMPLING: {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Hello"}},
    ELICITATION: {"action": "accept", "content": {"name": "Ada"}},
    ROOTS: {"roots": [{"uri": "file:///home", "name": "home"}]},
}
EVERYTHING: Params = {"sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {}}
"""The capabilities of a client that can be asked all there is."""


def said(value: object) -> Params:
    """A tool's result that tells ``value``, as JSON."""
    return {"content": [{"type": "text", "text": json.dumps(value, sort_keys=True)}]}


def asking(*rounds: Sequence[tuple[str, Params]]) -> Callable[[Sent], Awaitable[Params]]:
    """The answer of a legacy server that asks its caller first: in each round all at once. It tells the answers."""

    async def answer(sent: Sent) -> Params:
        told: list[Params] = []
        for questions in rounds:
            told += await asyncio.gather(*(_asked(sent.caller, *each) for each in questions))
        return said(told)

    return answer


async def _asked(caller: Caller, method: str, params: Params) -> Params:
    try:
        return await caller.ask(method, params)
    except UpstreamError as error:
        return {"error": error.code}


def requiring(*rounds: tuple[Mapping[str, tuple[str, Params]], str | None]) -> Callable[[Sent], Params]:
    """The answer of a modern server that wants input first: of each round the questions, and its state. It knows the
    round by the state that comes back, and tells what it was sent in the end.
    """
    states = [state for _, state in rounds]

    def answer(sent: Sent) -> Params:
        state, given = sent.params.get("requestState"), sent.params.get("inputResponses", {})
        at = states.index(state) + 1 if state in states and ("inputResponses" in sent.params or state) else 0
        if at and not rounds[at - 1][0].keys() <= given.keys():
            at -= 1
        if at == len(rounds):
            return {**said([given, state]), "resultType": "complete"}
        asked, keeps = rounds[at]
        result: Params = {"resultType": "input_required", "_meta": {"vendor/key": 1}}
        if asked:
            result["inputRequests"] = {
                key: {"method": method, "params": params} for key, (method, params) in asked.items()
            }
        return result if keeps is None else {**result, "requestState": keeps}

    return answer


def tool(
    name: str,
    level: str = "write",
    *,
    destructive: bool = False,
    schema: Params | None = None,
    tags: tuple[str, ...] = (),
    platform: str = "",
    **more,
) -> Item:
    definition = {"name": name, "inputSchema": schema or {"type": "object"}, **more}
    return replace(_item(Kind.TOOL, name, definition, level, destructive=destructive, tags=tags), platform=platform)


def prompt(name: str, *arguments: str) -> Item:
    listed = [{"name": argument} for argument in arguments]
    return _item(Kind.PROMPT, name, {"name": name, "arguments": listed}, "read")


def resource(uri: str) -> Item:
    return _item(Kind.RESOURCE, uri, {"uri": uri, "name": uri}, "read")


def template(uri: str) -> Item:
    return _item(Kind.TEMPLATE, uri, {"uriTemplate": uri, "name": uri}, "read")


def _item(
    kind: Kind,
    name: str,
    definition: Params,
    level: str,
    *,
    destructive: bool = False,
    tags: tuple[str, ...] = (),
) -> Item:
    facts = Tool(connector="", name=name, kind=kind.value, destructive=destructive, open_world=False, tags=tags)
    return Item("", kind, name, definition, level, facts)


CAPABILITIES: Params = {"tools": {}, "prompts": {}, "resources": {"subscribe": True}, "completions": {}, "logging": {}}


@dataclass
class FakeConnector:
    """``answer`` makes the result, or raises; ``failure`` is raised instead of a catalogue; ``gate`` holds it back.
    ``without`` are owners who have no connection, ``credentials`` ids of connections and whose they are, ``named`` which
    one was asked for at each opening. Where it is ``personal`` a connection is needed, and only who is in ``credentials``
    has one; ``lapsed`` are ids of those that have to be made anew. ``opened`` and ``declared`` keep by whom it was opened, and what his client can be asked for; ``met`` the latter for
    who asked what it offers.
    """

    id: str
    offered: Sequence[Item] = ()
    answer: Callable[[Sent], Params | Awaitable[Params]] = echo
    capabilities: Params = field(default_factory=lambda: dict(CAPABILITIES))
    instructions: str = ""
    lenders: tuple[str, ...] | None = None
    without: frozenset[str] = frozenset()
    credentials: Mapping[str, str] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    personal: bool = False
    lapsed: frozenset[str] = frozenset()
    title: str = ""
    failure: Exception | None = None
    gate: asyncio.Event | None = None
    private: Mapping[str, Sequence[Item]] = field(default_factory=dict)
    era: Era = Era.LEGACY
    opened: list[tuple[str, str]] = field(default_factory=list)
    declared: list[Params] = field(default_factory=list)
    met: list[Params] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    asked: int = 0
    _listeners: list[Callable[[Change], None]] = field(default_factory=list)
    _remembered: list[tuple[Sequence[Item], Catalogue]] = field(default_factory=list)

    def owners(self, subject: str) -> tuple[str, ...]:
        return (subject,) if self.lenders is None else tuple(each or subject for each in self.lenders)

    async def catalogue(self, principal: str, capabilities: Params = NOTHING_ASKED) -> Catalogue:
        self.asked += 1
        self.met.append(capabilities)
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        offered = self.private.get(principal, self.offered)
        for known, catalogue in self._remembered:
            if known is offered:
                return catalogue
        self._remembered.append((offered, self._catalogue(offered)))
        return self._remembered[-1][1]

    def _catalogue(self, offered: Sequence[Item]) -> Catalogue:
        named = [_of(self.id, item) for item in offered]
        items = {kind: tuple(item for item in named if item.kind is kind) for kind in Kind}
        return Catalogue(items, self.capabilities, self.instructions, title=self.title)

    def holds(self, owner: str) -> bool:
        return owner in self.credentials.values() if self.personal else owner not in self.without

    def owner(self, credential: str) -> str:
        return self.credentials.get(credential, "")

    async def open(
        self, principal: str, owner: str, capabilities: Params = NOTHING_ASKED, *, credential: str = ""
    ) -> "FakeConnection":
        self.opened.append((principal, owner))
        self.declared.append(capabilities)
        self.named.append(credential)
        if self.personal and not self.holds(owner):
            raise NotConnected(f"no account of `{self.id}` is connected", connector=self.id, owner=owner)
        if credential in self.lapsed:
            text = f"the connection to `{self.id}` has to be made anew"
            raise NotConnected(text, connector=self.id, owner=owner, reconnect=credential)
        return FakeConnection(self, principal, owner)

    def watch(self, listener: Callable[[Change], None]) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        self._listeners.clear()

    def change(self, event: Event, principal: str = "", uri: str = "") -> None:
        for listener in self._listeners:
            listener(Change(self.id, event, principal, uri))


@dataclass
class FakeConnection:
    connector: FakeConnector
    principal: str
    owner: str

    @property
    def era(self) -> Era:
        return self.connector.era

    async def send(self, method: str, params: Params, caller: Caller) -> Params:
        sent = Sent(self.principal, self.owner, method, params, caller)
        self.connector.sent.append(sent)
        answer = self.connector.answer(sent)
        return answer if isinstance(answer, dict) else await answer


def _of(connector: str, item: Item) -> Item:
    facts = Tool(
        connector, item.name, item.kind.value, "", item.facts.destructive, item.facts.open_world, item.facts.tags
    )
    return replace(item, connector=connector, facts=facts)


REGISTERED = "https://app.example.com/back"
OAUTH = Wants("oauth2", by_url=True)


@dataclass
class FakeLinker:
    """Connects accounts without a browser: ``links`` keeps what was asked for, ``finish`` ends a flow; ``deposited`` what
    was typed. ``waited`` keeps for which flows somebody waited.
    """

    ways: Mapping[str, Wants] = field(default_factory=dict)
    links: list[dict[str, str]] = field(default_factory=list)
    deposited: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    waited: list[tuple[str, str]] = field(default_factory=list)
    _ends: dict[str, asyncio.Event] = field(default_factory=dict)

    def wants(self, connector: str) -> Wants | None:
        return self.ways.get(connector, OAUTH)

    async def link(
        self,
        owner: str,
        connector: str,
        *,
        by: str,
        back: str = "",
        reconnects: str = "",
        client: str = "",
        scopes: Sequence[str] = (),
        domain: str = "main",
    ) -> Link:
        if back not in ("", REGISTERED):
            raise InvalidArguments("that place to go back to is not registered")
        asked = {"owner": owner, "by": by, "back": back, "reconnects": reconnects, "client": client}
        if scopes:
            asked["scopes"] = " ".join(scopes)
        if domain != "main":
            asked["domain"] = domain
        self.links.append({"connector": connector, **asked})
        flow = f"flow-{len(self.links)}"
        self._ends[flow] = asyncio.Event()
        return Link(f"https://gate.example.com/connect/{flow}.secret", flow)

    def finish(self, flow: str) -> None:
        self._ends[flow].set()

    async def deposit(self, owner: str, connector: str, values: Mapping[str, str], domain: str = "main") -> str:
        self.deposited.append((owner, connector, values))
        return "made-of-what-was-typed"

    async def wait(self, flow: str, owner: str, within_s: float) -> bool:
        self.waited.append((flow, owner))
        try:
            async with asyncio.timeout(within_s):
                return await self._ends[flow].wait()
        except TimeoutError:
            return False


@dataclass
class Ledger:
    """The recorder's twin: entries are at hand at once."""

    entries: list[AuditEntry] = field(default_factory=list)
    full: bool = False

    def new_id(self, now_ms: int) -> str:
        return f"{now_ms:012x}{len(self.entries):020x}"

    def record(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


@dataclass
class MemoryTrail:
    """A store's audit trail. While ``down`` it fails; ``appended`` is set by every batch kept."""

    down: bool = False
    failure: Exception | None = None
    kept: dict[str, AuditEntry] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    appended: asyncio.Event = field(default_factory=asyncio.Event)
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        await asyncio.sleep(0)
        self.tried.set()
        if self.failure is not None:
            raise self.failure
        if self.down:
            raise Unavailable("down for the test")
        self.batches.append(len(entries))
        for entry in entries:
            self.kept.setdefault(entry.id, entry)
        self.appended.set()

    async def scan(
        self, after: str = "", limit: int = 100, *, subject: str = "", newest: bool = False
    ) -> Sequence[AuditEntry]:
        chosen = [self.kept[id] for id in sorted(self.kept, reverse=newest) if subject in ("", self.kept[id].subject)]
        return [entry for entry in chosen if newest or entry.id > after][:limit]

    async def purge(self, before: int) -> int:
        old = [id for id, entry in self.kept.items() if entry.at < before]
        for id in old:
            del self.kept[id]
        return len(old)


SEND = tool(
    "send",
    schema={"type": "object", "properties": {"channel": {"type": "string"}, "text": {"type": "string"}}},
)


def slack(**more) -> FakeConnector:
    """A connector with a tool that writes, one that reads and one that destroys."""
    return FakeConnector("slack", [SEND, tool("read", "read"), tool("purge", destructive=True)], **more)
