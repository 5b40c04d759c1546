"""Whatever people who administer nothing do with shares and definitions, in whatever order: nobody gains an access that
neither the policy nor a lender gave him, and nobody is shown a key, a hash, or what another keeps to himself.

What may be is counted beside the product: the files of the policy, and the shares that owners made and did not end.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.errors import Refusal
from gateway.manage import definitions, people, preferences
from gateway.manage.share_rows import Share
from gateway.manage.shares import share, unshare
from gateway.manage.shares_seen import shared_with, shares_of
from gateway.manage.sorts import Prompts, Tools
from gateway.policy.terms import SYSTEM
from tests.manage.sharing import ADA, ANN, BOB, CAT, DAY, RING, ROWS, House, visible

FILES = (
    ROWS
    + """\
p, role:lender, main, self, slack/send, share, args.days <= 30, allow
p, user:*, main, *, gateway/directory, inspect, , allow
g, user:ann@example.com, role:lender, *
g, user:bob@example.com, role:maker, *
p, user:cat@example.com, *, *, slack/*, *, , deny
"""
)
PEOPLE = (ANN, BOB, CAT)
NAMES = ("x", "y")
EDIT = {"operation": "update", "changes": ["description"]}
TAKE = {"operation": "update", "changes": ["handler"]}
WHO = st.sampled_from(PEOPLE)
NAME = st.sampled_from(NAMES)
ANYTHING = st.sampled_from(
    [
        *(f"{who[5:]}:{name}" for who in PEOPLE for name in NAMES),
        *("system:help", "help", "prompt:x", "ann@example.com:prompt:x", "bob@example.com:prompt:x"),
        *("slack:send", "slack:list", "slack__send", "add-user", "system:add-user", "gateway:users", "slack"),
    ]
)
OFTEN = st.sampled_from(["x", "x", "x", "y", "prompt:x", "slack:send", "ann@example.com:x"])
NAMED = OFTEN | OFTEN | OFTEN | ANYTHING
"""What people mean mostly, and anything else that could be tried."""
OTHERS = st.sampled_from([BOB[5:], CAT[5:], "role:team"])
TO = OTHERS | OTHERS | st.sampled_from([ANN[5:], "role:maker", "role:admin", "role:unheard", "user:*"])
ABOUT = st.none() | st.tuples(st.integers(0, 9), st.sampled_from([True, True, True, False]))
MAKER = st.sampled_from([ANN, ANN, ANN, BOB])
ACTOR = MAKER | MAKER | WHO
LEVEL = st.sampled_from(["read", "read", "write"])
ROLES = st.lists(st.sampled_from(["team", "maker", "admin"]), max_size=2, unique=True)
HANDLER = st.sampled_from(["send", "list", "web"])
FIELDS = st.sampled_from(["description", "inputSchema", "handler", "handler", "rolesPermitted"]) | st.sampled_from(
    ["owner", "creator", "name", "$set"]
)


@dataclass(frozen=True)
class Given:
    """What an owner lets somebody do; ``target`` is what of his account is lent with it."""

    share: Share
    target: str = ""


def secret(owner: str) -> str:
    return f"kept-by-{owner[5:8]}"


def definition(owner: str, name: str, handler: str, roles: list[str] | None = None) -> dict[str, Any]:
    config: dict[str, Any] = {"connector": "slack", "action": handler}
    told: dict[str, Any] = {"type": "connector", "config": config}
    if handler == "web":
        header = {"x-note": secret(owner)}
        told = {"type": "http", "config": {"method": "GET", "url": "https://api.example.com/", "headers": header}}
    given = {"name": name, "description": "d", "inputSchema": {"type": "object", "properties": {}}, "handler": told}
    return given if roles is None else {**given, "rolesPermitted": roles}


def questions() -> Iterator[dict[str, Any]]:
    for owner in (*PEOPLE, ADA, SYSTEM):
        for name in ("custom/x", "custom/y", "custom/help"):
            yield {"object": name, "owner": owner}
            for args in (EDIT, TAKE, {"operation": "delete"}, {}):
                yield {"object": name, "owner": owner, "action": "manage", "args": args}
            yield {"object": name, "owner": owner, "action": "share", "args": {"days": 1, "level": "read"}}
        yield {"object": "custom/prompt:x", "owner": owner, "action": "read"}
        for via in ("", "custom/x", "custom/y"):
            for connection in ("", "a" * 24, "b" * 24):
                for name, action in (("slack/send", "write"), ("slack/list", "read")):
                    yield {"object": name, "action": action, "owner": owner, "via": via, "connection": connection}
        for thing in ("users", "keys", "policy", "grants"):
            yield {"object": f"gateway/{thing}", "action": "manage", "owner": owner}


QUESTIONS = tuple(questions())


class NothingGained(RuleBasedStateMachine):
    looked_at: Any = None

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.house = House(rows=FILES, seen=(visible("slack/send", "write"), visible("slack/list", "read")))
        self.given: dict[tuple[str, str, str, str], Given] = {}
        self.runner.run(self._settle())
        self.files = replace(self.house)
        self.runner.run(self.files.catch_up())
        self.hashes = [each.id for each in self.house.store.keys.records.values()]

    async def _settle(self) -> None:
        await self.house.settle()
        await self.house.tool(SYSTEM, "help")
        for who, id in ((ANN, "a" * 24), (BOB, "b" * 24), (CAT, "c" * 24)):
            await self.house.connection(who, id)
        for name in NAMES:
            await self.house.prompt(ANN, name)
            await self.house.tool(ANN, name)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.close()

    def run_as(self, who: str, step: Any) -> Any:
        """What ``step`` gives, ``None`` where it was refused; neither tells ``who`` what is not his."""
        try:
            told = self.runner.run(step)
        except Refusal as refusal:
            self.fit_for(who, refusal.text)
            return None
        self.fit_for(who, told)
        return told

    def fit_for(self, who: str, told: Any) -> None:
        text = msgspec.json.encode(told, enc_hook=repr).decode() + repr(told)
        for owner in {*PEOPLE, ADA} - {who}:
            assert secret(owner) not in text
        for each in self.hashes:
            assert each not in text
        assert "ost_key-of" not in text
        assert RING.current not in text

    # -- what people do

    @rule(who=ACTOR, tool=NAMED, to=TO, level=LEVEL, days=st.sampled_from([1, 30, 90, 91]), account=st.booleans())
    def share(self, who: str, tool: str, to: str, level: str, days: int, account: bool) -> None:
        step = share(self.house.office, self.house.asker(who), tool, to, level, days, with_account=account)
        if (made := self.run_as(who, step)) is not None:
            assert made.owner == who, "only the owner shares"
            target = self.target(made.owner, made.object) if made.account and not made.connection else ""
            self.given[made.owner, made.object, made.to, made.connection] = Given(made, target)

    @rule(
        who=MAKER,
        tool=st.sampled_from(["x", "x", "prompt:x", "slack:send"]),
        to=OTHERS,
        level=LEVEL,
        lends=st.booleans(),
    )
    def give(self, who: str, tool: str, to: str, level: str, lends: bool) -> None:
        """A share as people make them."""
        self.share(who, tool, to, "write" if "slack" in tool else level, 30, lends and tool == "x")

    @rule(about=ABOUT, who=WHO, tool=NAMED, to=TO)
    def unshare(self, about: tuple[int, bool] | None, who: str, tool: str, to: str) -> None:
        who, tool, to = self.meant(about, who, tool, to)
        if self.run_as(who, unshare(self.house.office, self.house.asker(who), tool, to)) is not None:
            object = self.object(tool)
            gone = [key for key in self.given if key[:2] == (who, object) and key[2].removeprefix("user:") == to]
            assert gone, "only what he shared himself is unshared"
            for key in gone:
                del self.given[key]

    @rule(who=MAKER, name=NAME, handler=HANDLER, roles=ROLES)
    def add(self, who: str, name: str, handler: str, roles: list[str]) -> None:
        step = definitions.add(self.house.office, self.house.asker(who), Tools(), definition(who, name, handler, roles))
        if self.run_as(who, step) is not None:
            assert self.house.store.tools.records[f"{who}/{name}"].owner == who
            self.permit(who, f"custom/{name}", roles)

    @rule(about=ABOUT, who=ACTOR, tool=NAMED, field=FIELDS, handler=HANDLER, roles=ROLES)
    def update(
        self, about: tuple[int, bool] | None, who: str, tool: str, field: str, handler: str, roles: list[str]
    ) -> None:
        who, tool, _ = self.meant(about, who, tool, "")
        values = {**definition(who, "x", handler, roles), "owner": who, "creator": who, "$set": {"owner": who}}
        before = dict(self.house.store.tools.records)
        step = definitions.update(self.house.office, self.house.asker(who), Tools(), tool, {field: values[field]})
        done = self.run_as(who, step)
        after = dict(self.house.store.tools.records)
        assert after.keys() == before.keys()
        for record, former in ((each, before[id]) for id, each in after.items() if each != before[id]):
            owner, object = record.owner, f"custom/{record.name}"
            assert done is not None
            assert (owner, record.name) == (former.owner, former.name)
            assert owner == who or record.handler == former.handler, "an editor changes texts"
            if owner != who:
                edits = [each for key, each in self.given.items() if key[:2] == (owner, object)]
                assert any(each.share.level == "write" for each in edits)
            self.retarget(owner, object)
        if done is not None and field == "rolesPermitted":
            assert done["creator"] == who[5:]
            self.permit(who, f"custom/{done['name']}", roles)

    @rule(place=st.integers(0, 9), handler=HANDLER, field=FIELDS)
    def edit(self, place: int, handler: str, field: str) -> None:
        """Who may change the texts of a tool tries more."""
        edited = sorted(key for key, each in self.given.items() if each.share.level == "write" and not key[3])
        if edited:
            key = edited[place % len(edited)]
            who = key[2] if key[2] in PEOPLE else BOB
            self.update(None, who, self.given[key].share.tool_id, field, handler, [])

    @rule(who=MAKER, tool=NAME, roles=ROLES)
    def permit_roles(self, who: str, tool: str, roles: list[str]) -> None:
        self.update(None, who, tool, "rolesPermitted", "send", roles)

    @rule(about=ABOUT, who=ACTOR, tool=NAMED, anew=st.booleans())
    def delete(self, about: tuple[int, bool] | None, who: str, tool: str, anew: bool) -> None:
        who, tool, _ = self.meant(about, who, tool, "")
        before = set(self.house.store.tools.records)
        self.run_as(who, definitions.delete(self.house.office, self.house.asker(who), Tools(), tool))
        for id in before - set(self.house.store.tools.records):
            owner, name = id.split("/")
            assert owner == who, "only the owner deletes"
            self.given = {key: each for key, each in self.given.items() if key[:2] != (owner, f"custom/{name}")}
            if anew:
                self.add(owner, name, "send", [])

    def delete_prompt(self, who: str, prompt: str) -> None:
        before = set(self.house.store.prompts.records)
        self.run_as(who, definitions.delete(self.house.office, self.house.asker(who), Prompts(), prompt))
        for id in before - set(self.house.store.prompts.records):
            owner, name = id.split("/")
            assert owner == who, "only the owner deletes"
            self.given = {key: each for key, each in self.given.items() if key[:2] != (owner, f"custom/prompt:{name}")}

    @rule(who=WHO, tool=NAMED, whom=TO, what=st.integers(0, 3))
    def try_something_else(self, who: str, tool: str, whom: str, what: int) -> None:
        if what in (0, 1):
            act = preferences.unhide if what else preferences.hide
            self.run_as(who, act(self.house.office, self.house.asker(who), [tool]))
        elif what == 2:
            self.look(who, tool, whom)
            self.administer(who, whom)
        else:
            self.delete_prompt(who, tool)

    def look(self, who: str, tool: str, whom: str) -> None:
        office, asker = self.house.office, self.house.asker(who)
        self.run_as(who, definitions.see(office, asker, Tools(), tool))
        self.run_as(who, people.user_info(office, asker, whom))
        self.run_as(who, people.list_users(asker))
        for each in self.run_as(who, shares_of(office, asker)) or ():
            assert each.owner == who
        for each in self.run_as(who, shared_with(office, asker)) or ():
            assert each.owner != who
            assert (each.owner, each.object, each.to, each.connection) in self.given

    def administer(self, who: str, whom: str) -> None:
        office, asker = self.house.office, self.house.asker(who)
        before = dict(self.house.store.users.records), dict(self.house.store.keys.records)
        for step in (
            people.add_user(office, asker, "eve@example.com", roles=["admin"]),
            people.update_user(office, asker, whom, roles=["admin"]),
            people.delete_user(office, asker, whom),
        ):
            assert self.run_as(who, step) is None
        assert before == (self.house.store.users.records, self.house.store.keys.records)

    @rule(days=st.sampled_from([1, 29, 60]))
    def wait(self, days: int) -> None:
        self.runner.run(self.house.later(days * DAY))

    # -- what may be

    def meant(self, about: tuple[int, bool] | None, who: str, tool: str, to: str) -> tuple[str, str, str]:
        """Something that is shared, meant by its owner or by its recipient; or what anybody says of anything."""
        if about is None or not self.given:
            return who, tool, to
        place, owns = about
        shared = self.given[sorted(self.given)[place % len(self.given)]].share
        recipient = shared.to if shared.to in PEOPLE else BOB
        return shared.owner if owns else recipient, shared.tool_id, shared.to.removeprefix("user:")

    def object(self, tool: str) -> str:
        *_, kind, name = ("", "", *tool.split(":"))
        if "slack" in tool:
            return f"slack/{tool.rpartition('_')[2].rpartition(':')[2]}"
        return f"custom/prompt:{name}" if kind == "prompt" else f"custom/{name}"

    def target(self, owner: str, object: str) -> str:
        record = self.house.store.tools.records[f"{owner}/{object.partition('/')[2]}"]
        return f"slack/{record.handler.config['action']}" if record.handler.type == "connector" else ""

    def retarget(self, owner: str, object: str) -> None:
        """Another target takes what was lent with the one before."""
        for key, each in self.given.items():
            if key[:2] == (owner, object) and each.target and each.target != self.target(owner, object):
                self.given[key] = replace(each, target="")

    def permit(self, owner: str, object: str, roles: list[str]) -> None:
        """Exactly these roles, by shares without an end."""
        ended = [key for key, each in self.given.items() if key[:2] == (owner, object) and _is_permit(each.share)]
        for key in ended:
            if key[2].removeprefix("role:") not in roles:
                del self.given[key]
        for each in roles:
            key = (owner, object, f"role:{each}", "")
            made = Share(key[2], owner, object, "read", owner, self.house.now, None)  # type: ignore[arg-type]
            if not (key in self.given and _is_permit(self.given[key].share)):
                self.given[key] = Given(made)

    def gives(self, each: Given, who: str, question: dict[str, Any]) -> bool:
        """Whether what an owner gave is an answer to a question of ``who``."""
        shared, now = each.share, self.house.now
        reaches = shared.to == who or shared.to in {
            f"role:{name}" for name in self.files.snapshot.policy.roles_of(who, "main", now)
        }
        living = shared.expires_at is None or now < shared.expires_at
        if not (reaches and living and question["owner"] == shared.owner):
            return False
        action = question.get("action", "write")
        if question["object"] == shared.object:
            if action == "manage":
                return shared.level == "write" and question["args"] == EDIT
            return action in ("read", "write") and shared.connection == question.get("connection", "")
        return bool(each.target) and question["object"] == each.target and question.get("via") == shared.object

    @invariant()
    def nobody_may_more_than_the_policy_and_his_lenders_let_him(self) -> None:
        rows = (self.house.now, self.house.grants(), dict(self.given)) if hasattr(self, "files") else None
        if rows == self.looked_at:
            return
        self.looked_at = rows
        for who in PEOPLE:
            for question in QUESTIONS:
                if not self.house.allows(who, **question) or self.files.allows(who, **question):
                    continue
                assert any(self.gives(each, who, question) for each in self.given.values()), (who, question)
                assert not (who == CAT and question["object"].startswith("slack/")), "a deny holds whatever is lent"


def _is_permit(share: Share) -> bool:
    return share.to.startswith("role:") and share.expires_at is None


TestNothingGained = NothingGained.TestCase
TestNothingGained.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
