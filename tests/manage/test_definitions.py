"""Making, changing and deleting tools and prompts: who may, what is asked, what is written, and what nobody is told."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec import structs

from gateway.errors import Denied, InvalidArguments, Unavailable, Unknown
from gateway.manage import definitions
from gateway.manage.asking import Operation
from gateway.manage.custom_found import Found, found_prompt, found_tool
from gateway.manage.definitions import add, delete, see, update
from gateway.manage.role_shares import roles_permitted
from gateway.manage.shares import share
from gateway.manage.sorts import Prompts, Tools
from gateway.policy.terms import SYSTEM
from gateway.store import base
from tests.manage.sharing import ADA, ANN, BOB, CAT, ROWS, House, refusal_of

TOOLS, PROMPTS = Tools(), Prompts()
SEND = {
    "type": "connector",
    "config": {"connector": "slack", "action": "send", "args": {"to": "#a", "text": "{{text}}"}},
}
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
POST = {"name": "post", "description": "Posts.", "inputSchema": SCHEMA, "handler": SEND}
GREET = {"name": "greet", "handler": {"type": "template", "config": {"template": "Hi!"}}}
OBJECT = "custom/post"


@pytest.fixture
async def house():
    return await House().settle()


@dataclass
class Heard:
    """Somebody who asks, and all that he asks for."""

    house: House
    name: str
    asked: list[Operation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asker = self.house.asker(self.name)

    def allow(self, operation: Operation) -> None:
        self.asked.append(operation)
        self.asker.allow(operation)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.asker, name)


def added(house, given=POST, who=ANN, sort=TOOLS):
    return add(house.office, house.asker(who), sort, given)


def updated(house, named, who=ANN, sort=TOOLS, rev=None, **updates):
    return update(house.office, house.asker(who), sort, named, updates, rev)


def deleted(house, named, who=ANN, sort=TOOLS):
    return delete(house.office, house.asker(who), sort, named)


def shared(house, level="read", to="bob@example.com", **more):
    return share(house.office, house.asker(ANN), "post", to, level, **more)


def record(house, owner=ANN, name="post"):
    return house.store.tools.records.get(f"{owner}/{name}")


def written(house):
    return dict(house.store.tools.records), dict(house.store.prompts.records), house.grants()


# -- making


async def test_a_tool_is_made_and_told_to_its_maker(house):
    told = await added(house)
    assert told == {
        "id": "ann@example.com:post",
        "name": "post",
        "title": "",
        "description": "Posts.",
        "inputSchema": {**SCHEMA, "additionalProperties": False},
        "annotations": {},
        "handler": SEND,
        "alwaysVisible": False,
        "creator": "ann@example.com",
        "rolesPermitted": [],
        "createdAt": "2026-11-23T12:00:00.000Z",
        "updatedAt": "2026-11-23T12:00:00.000Z",
        "rev": 1,
    }
    assert house.snapshot.custom.tools.get(ANN, "post") == record(house)
    assert (record(house).owner, record(house).by) == (ANN, ANN)


async def test_making_is_asked_with_all_that_would_be_there(house):
    asker = Heard(house, ADA)
    await add(house.office, asker, TOOLS, {**POST, "rolesPermitted": ["team"]})
    making, sharing = asker.asked
    assert making == Operation(
        "tools.add",
        OBJECT,
        "manage",
        ADA,
        {
            "operation": "add",
            "changes": ["description", "handler", "inputSchema", "name", "rolesPermitted"],
            "handler": {"type": "connector", "connector": "slack", "tool": "send"},
            "roles": ["team"],
        },
    )
    assert (sharing.object, sharing.action, sharing.args) == (OBJECT, "share", {"to": "role:team", "level": "read"})


async def test_who_may_not_make_anything_leaves_nothing_behind(house):
    before = written(house)
    for given in (POST, {"name": "a b"}, {}):
        assert isinstance(await refusal_of(added(house, given, BOB)), Denied)
        assert isinstance(await refusal_of(added(house, given, BOB, PROMPTS)), Denied)
    assert written(house) == before


async def test_a_condition_may_ask_what_a_tool_calls():
    rows = ROWS.replace(
        "p, role:maker, main, self, custom/*, manage, ,",
        "p, role:maker, main, self, custom/*, manage, args.handler.host == 'api.example.com',",
    )
    house = await House(rows).settle()
    http = {"type": "http", "config": {"method": "GET", "url": "https://api.example.com/a"}}
    await added(house, {"name": "get", "inputSchema": {}, "handler": http})
    other = {"type": "http", "config": {"method": "GET", "url": "https://api.example.org/a"}}
    for handler in (other, SEND):
        assert isinstance(await refusal_of(added(house, {**POST, "handler": handler})), Denied)
    assert isinstance(await refusal_of(updated(house, "get", handler=other)), Denied)
    assert (await updated(house, "get", description="Gets."))["description"] == "Gets."


async def test_all_that_is_wrong_is_told(house):
    refusal = await refusal_of(added(house, {"name": "a b", "inputSchema": {}, "handler": {"type": "http"}}))
    assert isinstance(refusal, InvalidArguments)
    assert "name: `a b` is not" in refusal.text
    assert "handler.config.url: " in refusal.text
    assert written(house) == ({}, {}, {})


async def test_a_name_is_taken_once_per_maker(house):
    await added(house)
    refusal = await refusal_of(added(house))
    assert refusal.text == "name: there is a tool `ann@example.com:post` already; `update-tool` changes it"
    await added(house, POST, ADA)
    assert {each.owner for each in house.store.tools.records.values()} == {ANN, ADA}


async def test_two_who_take_a_name_at_once_do_not_overwrite_each_other(house):
    real = house.store.tools.get

    async def not_yet(id):
        house.store.tools.get = real

    await added(house)
    before = written(house)
    house.store.tools.get = not_yet
    assert "already" in (await refusal_of(added(house, {**POST, "description": "Other."}))).text
    assert written(house) == before


async def test_nobody_makes_anything_in_the_name_of_another(house):
    refusal = await refusal_of(added(house, {**POST, "name": "bob@example.com:post"}, ADA))
    assert refusal.text == "name: nobody makes anything in the name of another; leave `bob@example.com` out"
    assert isinstance(await refusal_of(added(house, {**POST, "name": "weather:post"}, ADA)), InvalidArguments)
    assert (await added(house, {**POST, "name": "Ann@Example.com:post"}))["id"] == "ann@example.com:post"


async def test_the_operators_own_are_made_by_who_may(house):
    assert isinstance(await refusal_of(added(house, {**POST, "name": "system:post"})), Denied)
    assert (await added(house, {**POST, "name": "system:post"}, ADA))["creator"] == SYSTEM
    assert (record(house, SYSTEM).owner, record(house, SYSTEM).by) == (SYSTEM, ADA)


async def test_one_owner_has_so_many_and_no_more(house, monkeypatch):
    monkeypatch.setattr(definitions, "MOST", 2)
    for name in ("a", "b"):
        await added(house, {**POST, "name": name})
    refusal = await refusal_of(added(house))
    assert refusal.text == "`ann@example.com` has 2 tools, which is all that fit; delete one that is not used"
    await added(house, GREET, sort=PROMPTS)
    await added(house, POST, ADA)


# -- for whom


async def test_roles_are_permitted_as_shares_without_an_end(house):
    told = await added(house, {**POST, "rolesPermitted": ["team"]}, ADA)
    assert told["rolesPermitted"] == ["team"]
    assert house.allows(BOB, OBJECT, owner=ADA)
    assert not house.allows(CAT, OBJECT, owner=ADA)
    told = await updated(house, "post", ADA, rolesPermitted=["idle"])
    assert told["rolesPermitted"] == ["idle"]
    assert not house.allows(BOB, OBJECT, owner=ADA)
    assert house.allows(CAT, OBJECT, owner=ADA)
    assert (await updated(house, "post", ADA, description="x"))["rolesPermitted"] == ["idle"]
    await updated(house, "post", ADA, rolesPermitted=None)
    assert roles_permitted(house.snapshot.policy, ADA, OBJECT) == ("idle",), "nothing said, nothing changed"
    await updated(house, "post", ADA, rolesPermitted=[])
    assert roles_permitted(house.snapshot.policy, ADA, OBJECT) == ()


async def test_who_may_not_share_with_a_role_makes_and_changes_nothing(house):
    assert isinstance(await refusal_of(added(house, {**POST, "rolesPermitted": ["team"]})), Denied)
    assert isinstance(await refusal_of(added(house, {**POST, "rolesPermitted": ["no-such"]}, ADA)), InvalidArguments)
    assert written(house) == ({}, {}, {})
    await added(house)
    before = written(house)
    assert isinstance(await refusal_of(updated(house, "post", description="x", rolesPermitted=["team"])), Denied)
    assert written(house) == before


async def test_an_administrator_does_not_share_what_is_anothers(house):
    await added(house)
    before = written(house)
    refusal = await refusal_of(updated(house, "ann@example.com:post", ADA, rolesPermitted=["team"]))
    assert isinstance(refusal, Denied | InvalidArguments)
    assert written(house) == before


async def test_a_name_that_is_used_again_inherits_no_share(house):
    await added(house)
    await shared(house)
    del house.store.tools.records[f"{ANN}/post"]
    await house.catch_up()
    assert house.allows(BOB, OBJECT, owner=ANN)
    await added(house)
    assert not house.allows(BOB, OBJECT, owner=ANN)
    assert house.grants() == {}


async def test_roles_are_permitted_anew_when_a_name_is_used_again(house):
    await added(house, {**POST, "rolesPermitted": ["team"]}, ADA)
    del house.store.tools.records[f"{ADA}/post"]
    await house.catch_up()
    assert (await added(house, {**POST, "rolesPermitted": ["team"]}, ADA))["rolesPermitted"] == ["team"]
    assert house.allows(BOB, OBJECT, owner=ADA)


# -- changing


async def test_a_change_replaces_the_fields_that_it_names(house):
    await added(house)
    await house.later(1_000)
    told = await updated(house, "post", description="Other.", alwaysVisible=True)
    assert (told["description"], told["alwaysVisible"], told["rev"]) == ("Other.", True, 2)
    assert (told["createdAt"], told["updatedAt"]) == ("2026-11-23T12:00:00.000Z", "2026-11-23T12:00:01.000Z")
    assert told["handler"] == SEND
    assert house.snapshot.custom.tools.get(ANN, "post").description == "Other."


async def test_changing_is_asked_with_all_that_would_be_there(house):
    await added(house, {**POST, "rolesPermitted": ["team"]}, ADA)
    asker = Heard(house, ADA)
    other = {"type": "upstream", "config": {"upstream": "git", "tool": "log", "args": {"text": "{{text}}"}}}
    await update(house.office, asker, TOOLS, "post", {"title": "T", "handler": other})
    (asked,) = asker.asked
    assert asked == Operation(
        "tools.update",
        OBJECT,
        "manage",
        ADA,
        {
            "operation": "update",
            "changes": ["handler", "title"],
            "handler": {"type": "upstream", "connector": "git", "tool": "log"},
            "roles": ["team"],
        },
    )


async def test_a_change_counts_only_for_the_revision_that_was_seen(house):
    await added(house)
    await updated(house, "post", rev=1, title="One")
    refusal = await refusal_of(updated(house, "post", rev=1, title="Two"))
    assert refusal.text == "`ann@example.com:post` was changed meanwhile; look at it, and try again"
    assert record(house).title == "One"


@pytest.mark.parametrize("ends", [False, True])
async def test_a_change_at_the_same_moment_is_told_and_nothing_is_overwritten(house, ends):
    await added(house)
    real = house.store.tools.replace

    async def late(replaced):
        house.store.tools.replace = real
        if ends:
            await house.store.tools.remove(replaced.id)
        else:
            await house.store.tools.replace(structs.replace(record(house), title="Theirs"))
        return await real(replaced)

    house.store.tools.replace = late
    assert "changed meanwhile" in (await refusal_of(updated(house, "post", title="Mine"))).text
    assert ends or record(house).title == "Theirs"


async def test_what_is_wrong_with_a_change_is_told_and_nothing_is_written(house):
    await added(house)
    before = written(house)
    for updates in (
        {"inputSchema": {}},
        {"owner": BOB},
        {"creator": "bob@example.com"},
        {"$set": {}},
        {},
        {"name": "b"},
    ):
        assert isinstance(await refusal_of(updated(house, "post", **updates)), InvalidArguments)
    assert written(house) == before


async def test_what_is_anothers_and_what_is_not_there_are_the_same_to_who_may_not(house):
    await added(house)
    for step in (deleted, updated, seen):
        more = {"title": "T"} if step is updated else {}
        there = await refusal_of(step(house, "ann@example.com:post", CAT, **more))
        nowhere = await refusal_of(step(house, "ann@example.com:nothing", CAT, **more))
        assert isinstance(there, Denied)
        assert there.text == nowhere.text
        bad = {"inputSchema": {}} if step is updated else {}
        assert (await refusal_of(step(house, "ann@example.com:post", CAT, **bad))).text == there.text


def seen(house, named, who=ANN, sort=TOOLS):
    return see(house.office, house.asker(who), sort, named)


@pytest.mark.parametrize(
    "named", ["post", "ann@example.com:post", "a b", "*", "", ":", "\ud800", "x" * 10_000, "system:"]
)
async def test_what_is_not_there_is_told_to_who_may_know(house, named):
    real = house.store.tools.get

    async def get(id):
        assert id.isprintable(), "no store is asked for what nothing is called"
        assert len(id) < 200
        return await real(id)

    house.store.tools.get = get
    for step in (deleted, seen):
        refusal = await refusal_of(step(house, named, ANN if "system" not in named else ADA))
        assert isinstance(refusal, Unknown | Denied), refusal
    if named in ("post", "ann@example.com:post"):
        assert refusal.text == f"there is no tool `{named}`; `list-tools` names those that there are"


async def test_a_bare_name_tells_nobody_what_the_operator_has(house):
    await added(house, {**POST, "name": "system:post"}, ADA)
    for step in (deleted, seen):
        there, nowhere = await refusal_of(step(house, "post", ANN)), await refusal_of(step(house, "past", ANN))
        assert there.text.replace("post", "past") == nowhere.text
    assert await deleted(house, "post", ADA) == "system:post"


async def test_what_the_operator_has_does_not_hide_what_was_given(house):
    await added(house, {**POST, "name": "system:post"}, ADA)
    await house.later(1)
    await added(house)
    await shared(house)
    assert (await refusal_of(updated(house, "post", BOB, title="T"))).text == (
        await refusal_of(updated(house, "ann@example.com:post", BOB, title="T"))
    ).text
    await shared(house, "write")
    assert (await updated(house, "post", BOB, title="T"))["creator"] == "ann@example.com"


async def test_a_creator_is_an_address_or_the_system(house):
    refusal = await refusal_of(deleted(house, "slack:send"))
    assert isinstance(refusal, InvalidArguments)
    assert refusal.text.startswith("`name`: what stands before the colon says who made it: `slack` is not an e-mail")


# -- changing what is shared


async def test_an_editor_changes_texts_and_schema_and_is_told_nothing_of_how_it_works(house):
    await added(house)
    await shared(house, "write")
    narrow = {"properties": {"text": {"type": "string", "maxLength": 9}}}
    told = await updated(house, "post", BOB, title="T", description="D", annotations={}, inputSchema=narrow)
    assert told["id"] == "ann@example.com:post"
    assert "handler" not in told
    assert "slack" not in str(told)
    assert (record(house).title, record(house).by, record(house).owner) == ("T", BOB, ANN)
    assert isinstance(await refusal_of(seen(house, "post", BOB)), Denied)


@pytest.mark.parametrize(
    "updates",
    [
        {"handler": SEND},
        {"rolesPermitted": ["team"]},
        {"rolesPermitted": []},
        {"alwaysVisible": True},
        {"description": "x", "handler": {**SEND, "type": "upstream"}},
        {"inputSchema": {"properties": {**SCHEMA["properties"], "as_user": {"type": "string"}}}},
        {"inputSchema": {"properties": {**SCHEMA["properties"], "to": {}, "thread": {}}}, "description": "x"},
    ],
)
async def test_an_editor_changes_nothing_of_what_is_called_and_for_whom(house, updates):
    await added(house)
    await shared(house, "write")
    before = written(house)
    assert isinstance(await refusal_of(updated(house, "ann@example.com:post", BOB, **updates)), Denied)
    assert isinstance(await refusal_of(deleted(house, "ann@example.com:post", BOB)), Denied)
    assert written(house) == before
    if updates.get("rolesPermitted") != ["team"]:
        given = {**updates, "handler": SEND} if "upstream" in str(updates) else updates
        assert (await updated(house, "post", **given))["rev"] == 2, "its maker may"


async def test_an_editor_does_not_bring_a_tool_to_life(house):
    await added(house)
    await shared(house, "write")
    await house.store.tools.replace(structs.replace(record(house), schema={"type": "object"}))
    await house.catch_up()
    assert isinstance(await refusal_of(updated(house, "post", BOB, inputSchema=SCHEMA)), Denied)
    assert (await updated(house, "post", inputSchema=SCHEMA))["rev"] == 3


async def test_declaring_what_is_fixed_hands_nothing_on(house):
    await added(house)
    await shared(house, "write")
    await updated(house, "post", BOB, inputSchema={"properties": {**SCHEMA["properties"], "to": {}}})
    filled = TOOLS.called(record(house)).mapping.filled({"to": "#other", "text": "x"})
    assert filled == {"to": "#a", "text": "x"}


async def test_a_reader_changes_nothing(house):
    await added(house)
    await shared(house)
    assert isinstance(await refusal_of(updated(house, "post", BOB, title="T")), Denied)
    assert isinstance(await refusal_of(deleted(house, "post", BOB)), Denied)


async def test_a_bare_name_means_the_one_that_he_may_change(house):
    await added(house)
    await house.later(1)
    await added(house, POST, ADA)
    await shared(house)
    await share(house.office, house.asker(ADA), "post", "bob@example.com", "write")
    assert (await updated(house, "post", BOB, title="T"))["creator"] == "ada@example.com"
    assert isinstance(await refusal_of(deleted(house, "post", BOB)), Denied)


async def test_a_bare_name_is_his_own_before_one_that_he_may_change(house):
    await added(house)
    await added(house, POST, ADA)
    await shared(house, "write", to="ada@example.com")
    assert (await updated(house, "post", ADA, title="T"))["creator"] == "ada@example.com"
    assert (await updated(house, "ann@example.com:post", ADA, title="T"))["creator"] == "ann@example.com"


async def test_a_bare_name_that_could_be_several_is_asked_back(house):
    await added(house)
    await added(house, POST, ADA)
    await shared(house, "write")
    await share(house.office, house.asker(ADA), "post", "bob@example.com", "write")
    refusal = await refusal_of(updated(house, "post", BOB, title="T"))
    assert isinstance(refusal, InvalidArguments)
    assert "`ann@example.com:post`" in refusal.text
    assert "`ada@example.com:post`" in refusal.text


async def test_what_a_bare_name_means_is_found_among_what_he_was_given(house):
    await added(house)
    await house.later(1)
    await added(house, {**POST, "name": "system:post"}, ADA)
    mean = lambda who, text: found_tool(house.office, house.asker(who), text)  # noqa: E731
    assert mean(ANN, "post") == Found(ANN, "post")
    assert mean(BOB, "post") == Found(SYSTEM, "post")
    await shared(house)
    assert mean(BOB, "post") == Found(ANN, "post"), "it is older"
    await house.later(1)
    await added(house, POST, ADA)
    await share(house.office, house.asker(ADA), "post", "bob@example.com")
    await deleted(house, "post")
    assert mean(BOB, "post") == Found(SYSTEM, "post"), "a later one takes no name over"
    await added(house, {**POST, "name": "post-2"})
    await share(house.office, house.asker(ANN), "post-2", "cat@example.com")
    assert mean(CAT, "post-2") == Found(ANN, "post-2")
    assert mean(CAT, "post") == Found(SYSTEM, "post"), "of the rest that its lender has he knows nothing"
    assert mean(CAT, "nothing") == Found(CAT, "nothing")
    assert mean(CAT, " Ann@example.com:post") == Found(ANN, "post")
    assert found_prompt(house.office, house.asker(BOB), "post") == Found(BOB, "post")


# -- what its owner lent for it


async def lent(house):
    """A tool that a borrower may call, on the account of its maker."""
    await house.also("g, user:ann@example.com, role:lender, *\n")
    await added(house)
    await house.connection(ANN)
    await shared(house, with_account=True)
    assert on_account(house)


def on_account(house):
    return house.allows(BOB, "slack/send", owner=ANN, via=OBJECT, connection="a" * 24)


async def test_a_change_of_what_is_called_ends_the_loan_of_the_account(house):
    await lent(house)
    listing = {"type": "connector", "config": {"connector": "slack", "action": "list", "args": {"q": "{{text}}"}}}
    await updated(house, "post", handler=listing)
    assert not on_account(house)
    assert house.allows(BOB, OBJECT, owner=ANN)
    await updated(house, "post", handler=SEND)
    assert not on_account(house), "it does not come back"


async def test_its_maker_may_change_how_it_is_called(house):
    await lent(house)
    fixed = {**SEND, "config": {**SEND["config"], "args": {"to": "#b", "text": "{{text}}"}}}
    await updated(house, "post", handler=fixed)
    assert on_account(house)


@pytest.mark.parametrize(
    ("updates", "ends"),
    [
        ({"handler": {**SEND, "config": {**SEND["config"], "args": {"to": "#b", "text": "{{text}}"}}}}, True),
        ({"inputSchema": {"properties": {**SCHEMA["properties"], "thread": {}}}}, True),
        ({"description": "x"}, False),
    ],
)
async def test_what_another_changes_is_not_done_on_the_account_of_its_maker(house, updates, ends):
    await lent(house)
    await updated(house, "ann@example.com:post", ADA, **updates)
    assert on_account(house) is not ends
    assert house.allows(BOB, OBJECT, owner=ANN)


async def test_a_tool_that_cannot_be_read_any_more_can_be_repaired_by_its_maker(house):
    await lent(house)
    await house.store.tools.replace(
        structs.replace(record(house), handler=structs.replace(record(house).handler, config={}))
    )
    await house.catch_up()
    assert isinstance(await refusal_of(updated(house, "post", description="x")), InvalidArguments)
    await updated(house, "post", handler=SEND)
    assert not on_account(house)


# -- deleting


async def test_deleting_ends_every_share(house):
    await lent(house)
    assert await deleted(house, "post") == "ann@example.com:post"
    assert written(house) == ({}, {}, {})
    assert house.snapshot.custom.tools.get(ANN, "post") is None
    await added(house)
    assert not house.allows(BOB, OBJECT, owner=ANN)


async def test_deleting_is_asked_and_its_maker_or_an_administrator_may(house):
    await added(house)
    assert isinstance(await refusal_of(deleted(house, "ann@example.com:post", CAT)), Denied)
    asker = Heard(house, ADA)
    assert await delete(house.office, asker, TOOLS, "ann@example.com:post") == "ann@example.com:post"
    args = {
        "operation": "delete",
        "changes": [],
        "handler": {"type": "connector", "connector": "slack", "tool": "send"},
        "roles": [],
    }
    assert asker.asked == [Operation("tools.delete", OBJECT, "manage", ANN, args)]


async def test_what_was_deleted_at_the_same_moment_is_not_there(house):
    await added(house)
    real = house.store.tools.remove

    async def twice(id):
        await real(id)
        await real(id)

    house.store.tools.remove = twice
    assert isinstance(await refusal_of(deleted(house, "post")), Unknown)


# -- seeing


async def test_the_whole_definition_is_told_to_who_may_see_it(house):
    told = await added(house)
    assert await seen(house, "post") == told
    assert await seen(house, "ann@example.com:post", ADA) == told
    await shared(house)
    assert isinstance(await refusal_of(seen(house, "post", BOB)), Denied)


# -- prompts


async def test_prompts_take_the_same_road(house):
    asker = Heard(house, ANN)
    told = await add(house.office, asker, PROMPTS, GREET)
    assert (told["id"], told["rev"]) == ("ann@example.com:greet", 1)
    assert told["handler"] == {"type": "template", "config": {"messages": [{"role": "user", "text": "Hi!"}]}}
    (asked,) = asker.asked
    assert (asked.method, asked.object, asked.args["handler"]) == (
        "prompts.add",
        "custom/prompt:greet",
        {"type": "template"},
    )
    other = {"type": "template", "config": {"template": "Ho!"}}
    assert isinstance(await refusal_of(updated(house, "ann@example.com:greet", CAT, PROMPTS, handler=other)), Denied)
    assert (await updated(house, "greet", sort=PROMPTS, handler=other))["rev"] == 2
    assert await deleted(house, "greet", sort=PROMPTS) == "ann@example.com:greet"
    assert written(house) == ({}, {}, {})


async def test_an_editor_of_a_prompt_changes_its_texts_and_not_for_whom_it_is(house):
    await added(house, GREET, sort=PROMPTS)
    await share(house.office, house.asker(ANN), "prompt:greet", "bob@example.com", "write")
    other = {"type": "template", "config": {"template": "Ho!"}}
    assert (await updated(house, "greet", BOB, PROMPTS, handler=other, title="T"))["title"] == "T"
    assert house.store.prompts.records[f"{ANN}/greet"].messages[0].text == "Ho!"
    for updates in ({"rolesPermitted": ["team"]}, {"alwaysVisible": True}, {"handler": other, "alwaysVisible": True}):
        assert isinstance(await refusal_of(updated(house, "ann@example.com:greet", BOB, PROMPTS, **updates)), Denied)
    assert isinstance(await refusal_of(deleted(house, "ann@example.com:greet", BOB, PROMPTS)), Denied)


async def test_a_tool_and_a_prompt_of_one_name_are_two_things(house):
    await added(house, {**GREET, "name": "post"}, sort=PROMPTS)
    await added(house)
    await deleted(house, "post", sort=PROMPTS)
    assert record(house) is not None


# -- the store


async def test_a_store_that_does_not_answer_is_told_as_that(house):
    async def down(*_):
        raise base.Unavailable("password=hunter2")

    await added(house)
    house.store.tools.get = house.store.tools.add = house.store.tools.replace = house.store.tools.remove = down
    for step in (
        added(house, {**POST, "name": "b"}),
        updated(house, "post", title="T"),
        deleted(house, "post"),
        seen(house, "post"),
    ):
        refusal = await refusal_of(step)
        assert isinstance(refusal, Unavailable)
        assert "hunter2" not in refusal.text
