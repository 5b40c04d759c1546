"""Two tenants of one gateway, and random operations of both: nothing that one has is ever shown to the other or changed
by him, and nothing that either does widens what he may do.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.follower import now_ms
from gateway.policy.terms import Access, Context, Tool
from tests.web.api.whole import ANN, BOB, SETTINGS, Answer, Whole, whole

MARKS = {ANN: "only-quartz-knows", BOB: "only-basalt-knows"}
TENANTS = st.sampled_from([ANN, BOB])
WHICH = st.integers(0, 5)
ROWS = """\
p, role:tenant, main, self, gateway/audit, inspect, , allow
p, role:tenant, main, self, gateway/keys, manage, , allow
p, role:tenant, main, self, gateway/servers, manage, args.public == false, allow
p, role:tenant, main, self, gateway/end-users, manage, , allow
p, role:tenant, main, self, gateway/end-users, act-as, , allow
p, role:tenant, main, self, demo/*, write, , allow
p, user:*, *, self, *, rate:often, , allow
p, role:user, main, *, gateway/directory, inspect, , allow
p, role:security, main, system, gateway/policy, manage, , allow
p, role:security, main, *, gateway/users, manage, , allow
g, user:ann@example.com, role:tenant, *
g, user:bob@example.com, role:tenant, *
"""
LIMITS = '[[class]]\nname = "often"\ncalls = 1000000\nwindow_s = 60\n'
RESTRICTIONS: tuple[Any, ...] = (
    None,
    {"permissions": []},
    {"users": {"mode": "allowlist", "allowedIds": [ANN, BOB, "u1"]}},
    {"users": {"mode": "blocklist", "blockedIds": [ANN]}},
    {"actions": {"mode": "blocklist", "blockedActions": ["x*"]}},
)
THINGS = ("gateway/users", "gateway/policy", "gateway/grants", "gateway/servers", "gateway/keys", "gateway/audit")


@dataclass
class Owned:
    """Ids of what a tenant has, by the name that they have in the paths of the API."""

    server: list[str] = field(default_factory=list)
    key: list[str] = field(default_factory=list)
    user: list[str] = field(default_factory=list)

    def all(self) -> set[str]:
        return {*self.server, *self.key, *self.user}


class Tenants(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.open = AsyncExitStack()
        self.runner.run(self._begin())
        self.at_first = {who: self.allowed(who) for who in (ANN, BOB)}

    async def _begin(self) -> None:
        folder = Path(self.open.enter_context(tempfile.TemporaryDirectory()))
        config = f"{SETTINGS}[limits]\nfailures = 100000\nvisits = 100000\n"
        self.house: Whole = await self.open.enter_async_context(whole(folder, rows=ROWS, config=config, limits=LIMITS))
        self.of = {ANN: Owned(), BOB: Owned()}

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            try:
                for who in (ANN, BOB) if hasattr(self, "at_first") else ():
                    self.is_shown_nothing_of_another(who)
            finally:
                self.runner.run(self.open.aclose())
                self.runner.close()

    def ask(self, method: str, path: str, who: str, **more: Any) -> Answer:
        return self.runner.run(self.house(method, path, who, **more))

    def made(self, path: str, who: str, id: str, kept: list[str], body: dict[str, Any]) -> None:
        answer = self.ask("POST", path, who, body=body)
        if answer.status == 201:
            kept.append(answer.json[id])
        else:
            assert answer.status in (403, 409), answer.raw

    def touches(
        self, who: str, owner: str, kind: str, which: int, method: str, path: str, **more: Any
    ) -> Answer | None:
        """Something done to what ``owner`` has; of another's nothing is done."""
        kept = getattr(self.of[owner], kind)
        if not kept:
            return None
        before = self.kept(owner)
        answer = self.ask(method, path.format(kept[which % len(kept)]), who, **more)
        if who != owner:
            assert answer.status in (403, 404), (method, path, answer.raw)
            assert self.kept(owner) == before
        return answer

    def kept(self, owner: str) -> list[Any]:
        """Every record of a tenant."""
        return self.runner.run(self._kept(f"user:{owner}"))

    async def _kept(self, owner: str) -> list[Any]:
        store = self.house.gateway.store
        found: list[Any] = [each for each in await store.servers.page() if each.owner == owner]
        found += [each for each in await store.keys.page() if each.user == owner.removeprefix("user:")]
        found += [each for each in await store.end_users.page() if each.id.startswith(f"{owner}/")]
        return found

    # -- what they do

    @rule(who=TENANTS, public=st.booleans(), restrictions=st.sampled_from(RESTRICTIONS))
    def offers(self, who: str, public: bool, restrictions: Any) -> None:
        name = f"s{len(self.of[who].server)}"
        wish = {"name": name, "description": MARKS[who], "instructions": MARKS[who], "isPublic": public}
        self.made("/api/servers", who, "serverId", self.of[who].server, wish | {"restrictions": restrictions})

    @rule(who=TENANTS, servers=st.booleans())
    def makes_a_key(self, who: str, servers: bool) -> None:
        known = self.of[who].server if servers else ["main"]
        self.made("/api/keys", who, "id", self.of[who].key, {"name": MARKS[who], "servers": known})

    @rule(who=TENANTS, number=WHICH)
    def adds_an_end_user(self, who: str, number: int) -> None:
        wish = {"username": f"u{number}", "fullName": MARKS[who]}
        self.made("/users", who, "userId", self.of[who].user, wish)

    @rule(who=TENANTS, owner=TENANTS, which=WHICH, restrictions=st.sampled_from(RESTRICTIONS))
    def changes_a_server(self, who: str, owner: str, which: int, restrictions: Any) -> None:
        body = {"name": "new", "description": MARKS[who], "restrictions": restrictions}
        self.touches(who, owner, "server", which, "PUT", "/api/servers/{}", body=body)

    @rule(who=TENANTS, owner=TENANTS, which=WHICH)
    def renews_a_token(self, who: str, owner: str, which: int) -> None:
        self.touches(who, owner, "server", which, "POST", "/api/servers/{}/regenerate-token", body={})

    @rule(who=TENANTS, owner=TENANTS, which=WHICH, kind=st.sampled_from(["server", "key", "user"]))
    def deletes(self, who: str, owner: str, which: int, kind: str) -> None:
        path = {"server": "/api/servers/{}", "key": "/api/keys/{}", "user": "/users/{}"}[kind]
        answer = self.touches(who, owner, kind, which, "DELETE", path)
        if answer is not None and answer.status == 200:
            kept = getattr(self.of[owner], kind)
            kept.remove(kept[which % len(kept)])

    @rule(who=TENANTS, owner=TENANTS, which=WHICH)
    def rotates_a_key(self, who: str, owner: str, which: int) -> None:
        answer = self.touches(who, owner, "key", which, "POST", "/api/keys/{}/rotate", body={"overlapSeconds": 60})
        if answer is not None and answer.status == 201:
            self.of[owner].key.append(answer.json["id"])

    @rule(who=TENANTS, owner=TENANTS, which=WHICH, server=WHICH)
    def asks_for_a_token_of_an_end_user(self, who: str, owner: str, which: int, server: int) -> None:
        others = self.of[BOB if who == ANN else ANN].server
        body = {"servers": [others[server % len(others)]]} if others else {}
        answer = self.touches(who, owner, "user", which, "POST", "/users/{}/token", body=body)
        assert answer is None or not others or answer.status in (400, 403, 404), "nobody signs for a server of another"

    @rule(who=TENANTS, owner=TENANTS, which=WHICH)
    def goes_in(self, who: str, owner: str, which: int) -> None:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        if kept := self.of[owner].server:
            path, accept = f"/mcp/{kept[which % len(kept)]}", "application/json, text/event-stream"
            self.shows_nothing(who, self.ask("POST", path, who, body=body, accept=accept), sent=path)

    # -- what holds

    @rule(who=TENANTS)
    def is_shown_nothing_of_another(self, who: str) -> None:
        for path in self.paths():
            self.shows_nothing(who, self.ask("GET", path, who), sent=path)

    def shows_nothing(self, who: str, answer: Answer, *, sent: str) -> None:
        other = BOB if who == ANN else ANN
        told = answer.raw.decode() + repr(answer.headers)
        assert MARKS[other] not in told, (who, sent)
        assert f'"subject":"user:{other}"' not in told, (who, sent)
        assert not [id for id in self.of[other].all() if id in told and id not in sent], (who, sent, told)

    def paths(self) -> Iterator[str]:
        """Every path that can be read, for everything that there is; a word of a path that is not known here fails."""
        ids = {
            **{
                kind: [*getattr(self.of[ANN], kind), *getattr(self.of[BOB], kind)] for kind in ("server", "key", "user")
            },
            "email": [ANN, BOB],
            **{name: ["demo"] for name in ("connector", "action")},
            **{name: ["1"] for name in ("connection", "credential", "flow", "code", "version")},
        }
        for each in self.house.gateway._api():
            if each.verb == "GET" and each.name != "end-users.token":
                yield from _filled(each.rule, ids)
        yield from ("/api/servers?owner=*", f"/api/servers?owner={ANN}", f"/api/servers?owner={BOB}")
        yield from ("/api/audit?subject=*", f"/api/audit?subject=user:{ANN}", f"/api/keys?email={BOB}")

    @invariant()
    def nobody_may_more_than_before(self) -> None:
        if not hasattr(self, "house"):
            return
        for who in (ANN, BOB):
            assert self.allowed(who) == self.at_first[who]

    def allowed(self, who: str) -> list[Access]:
        """All that somebody may do, of what he could wish for outside his own servers; and whoever he can prove there."""
        other = BOB if who == ANN else ANN
        theirs = [f"server:{each}" for each in self.of[who].server] + [f"end:{each}/u1" for each in self.of[who].server]
        policy = self.house.gateway.follower.current.policy
        domains = ["main", *(each for each in self.of[other].server if not self.names(each, who))]
        asked = [
            Access(subject, domain, owner, object, action, _context())
            for subject in (f"user:{who}", *theirs)
            for domain in domains
            for owner in (f"user:{who}", "system", f"user:{other}")
            for object in (*THINGS, "demo/x")
            for action in ("inspect", "manage", "write", "connect", "share")
        ]
        return [each for each in asked if policy.decide((each,)).allowed]

    def names(self, server: str, who: str) -> bool:
        """Whether its owner lets him in on purpose."""
        known = self.house.gateway.follower.current.servers.get(server)
        users = None if known is None else known.restrictions.users
        return users is not None and users.allow and who in users.names


def _context() -> Context:
    env = {"now": now_ms() // 3_600_000 * 3_600_000}
    return Context(args={"public": False}, groups=frozenset(), tool=Tool("demo", "x"), env=env, owner_roles=())


def _filled(rule: str, ids: dict[str, list[str]]) -> Iterator[str]:
    before, brace, rest = rule.partition("{")
    if not brace:
        yield rule
        return
    name, _, after = rest.partition("}")
    for id in ids[name]:
        yield from _filled(f"{before}{id}{after}", ids)


Tenants.TestCase.settings = settings(max_examples=6, stateful_step_count=15, deadline=None)
TestTenants = Tenants.TestCase
