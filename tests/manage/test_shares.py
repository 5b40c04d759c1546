"""Sharing what users made: who may, what it gives, how it ends, and what nobody is told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Denied, InvalidArguments, Unavailable, Unknown
from gateway.manage.loans import Level
from gateway.manage.share_ends import end_base_rows, end_shares_of
from gateway.manage.share_rows import Terms, as_date, id_of, ids, share_grants, shares_in
from gateway.manage.shares import share, unshare
from gateway.policy.engine import Policy, grant_rows
from gateway.policy.terms import SYSTEM
from gateway.store import base
from tests.builders import NOON
from tests.manage.sharing import ADA, ANN, BOB, CAT, DAY, House, refusal_of

TOOL, PROMPT, TARGET = "custom/report", "custom/prompt:greet", "slack/send"
WORK = "a" * 24
EDIT = {"operation": "update", "changes": ["description"]}
NAMES = st.sampled_from(
    ["user:a@x.co", "user:a@x.com", "user:a@x.com#base", "user:b#edit@x.com", "role:a", "role:a.b", SYSTEM]
)
OBJECTS = st.sampled_from(["custom/a", "custom/a-b", "custom/prompt:a", "custom/base", "custom/edit"])


@pytest.fixture
async def house():
    house = await House().settle()
    await house.tool(ANN, "report")
    await house.prompt(ANN, "greet")
    return house


def shared(house, who=ANN, tool="report", to="bob@example.com", *rest, **more):
    return share(house.office, house.asker(who), tool, to, *rest, **more)


async def test_a_share_lets_its_recipient_call_the_tool_and_nothing_else(house):
    made = await shared(house)
    assert house.allows(BOB, TOOL, owner=ANN)
    assert not house.allows(CAT, TOOL, owner=ANN)
    assert not house.allows(BOB, "custom/other", owner=ANN)
    assert not house.allows(BOB, TOOL, "manage", owner=ANN, args=EDIT)
    assert not house.allows(BOB, TARGET, owner=ANN, via=TOOL, connection=WORK)
    assert not house.allows(BOB, TOOL, "share", owner=ANN, args={"days": 1}), "nothing that was lent is lent on"
    assert made.shown == {
        "toolId": "ann@example.com:report",
        "sharedBy": "ann@example.com",
        "sharedWith": "bob@example.com",
        "accessLevel": "read",
        "sharedAt": "2026-11-23T12:00:00.000Z",
        "expiresAt": as_date(NOON + 90 * DAY),
        "account": False,
    }


async def test_a_share_ends_by_itself(house):
    await shared(house, days=2)
    await house.later(2 * DAY - 1)
    assert house.allows(BOB, TOOL, owner=ANN)
    await house.later(1)
    assert not house.allows(BOB, TOOL, owner=ANN)


async def test_access_level_write_lets_change_texts_and_nothing_more(house):
    await shared(house, ANN, "report", "bob@example.com", "write")
    for changes in (["title"], ["description", "inputSchema", "annotations"]):
        assert house.allows(BOB, TOOL, "manage", owner=ANN, args={"operation": "update", "changes": changes})
    for changes in (["handler"], ["title", "handler"], ["rolesPermitted"], ["name"], ["owner"], ["alwaysVisible"]):
        assert not house.allows(BOB, TOOL, "manage", owner=ANN, args={"operation": "update", "changes": changes})
    assert not house.allows(BOB, TOOL, "manage", owner=ANN, args={"operation": "delete", "changes": []})
    assert not house.allows(BOB, TOOL, "manage", owner=ANN, args={"operation": "delete"})
    assert not house.allows(BOB, TOOL, "revoke", owner=ANN, args={"to": CAT})
    assert not house.allows(BOB, "custom/other", "manage", owner=ANN, args=EDIT)


async def test_sharing_again_replaces_what_was_shared_before(house):
    await shared(house, ANN, "report", "bob@example.com", "write", 90)
    made = await shared(house, ANN, "report", "bob@example.com", "read", 7)
    assert (made.level, made.expires_at) == (Level.READ, NOON + 7 * DAY)
    assert house.allows(BOB, TOOL, owner=ANN)
    assert not house.allows(BOB, TOOL, "manage", owner=ANN, args=EDIT)
    assert len(house.grants()) == 1


async def test_a_share_with_the_account_lends_what_the_tool_calls_through_that_tool_alone(house):
    await house.also("g, user:ann@example.com, role:lender, *\n")
    await house.connection(ANN)
    made = await shared(house, with_account=True)
    assert made.account
    assert house.allows(BOB, TARGET, owner=ANN, via=TOOL, connection=WORK)
    assert not house.allows(BOB, TARGET, owner=ANN)
    assert not house.allows(BOB, TARGET, owner=ANN, via="custom/other", connection=WORK)
    assert not house.allows(BOB, "slack/list", owner=ANN, via=TOOL, connection=WORK)
    made = await shared(house)
    assert not made.account
    assert not house.allows(BOB, TARGET, owner=ANN, via=TOOL, connection=WORK), (
        "the account was lent by the share before"
    )


async def test_lending_the_account_is_a_question_of_its_own_at_the_level_that_calling_needs(house):
    asker = house.asker(ANN)  # may lend of slack what only reads
    refused = await refusal_of(share(house.office, asker, "report", "bob@example.com", with_account=True))
    assert isinstance(refused, Denied)
    asked = asker.passage
    assert (asked.object, asked.action, asked.arguments["level"]) == (TARGET, "share", "write")
    assert house.grants() == {}
    reads = {"type": "connector", "config": {"connector": "slack", "action": "list"}}
    await house.tool(ANN, "channels", reads)
    await house.connection(ANN)
    await shared(house, tool="channels", with_account=True)
    assert house.allows(BOB, "slack/list", "read", owner=ANN, via="custom/channels", connection=WORK)
    assert not house.allows(BOB, "slack/list", "write", owner=ANN, via="custom/channels", connection=WORK)


async def test_what_is_not_seen_counts_as_changing_something(house):
    house.seen = ()
    await house.tool(ANN, "channels", {"type": "connector", "config": {"connector": "slack", "action": "list"}})
    assert isinstance(await refusal_of(shared(house, tool="channels", with_account=True)), Denied)


@pytest.mark.parametrize(
    ("handler", "tool"),
    [
        ({"type": "http", "config": {"method": "GET", "url": "https://api.example.com/x"}}, "web"),
        (None, "prompt:greet"),
    ],
)
async def test_there_is_no_account_to_lend_where_none_is_called(house, handler, tool):
    if handler:
        await house.tool(ANN, tool, handler)
    refused = await refusal_of(shared(house, tool=tool, with_account=True))
    assert isinstance(refused, InvalidArguments)
    assert "withAccount" in refused.text


async def test_a_prompt_is_shared_for_reading_and_for_changing_its_texts(house):
    made = await shared(house, ANN, "prompt:greet", "bob@example.com", "write")
    assert made.tool_id == "ann@example.com:prompt:greet"
    assert house.allows(BOB, PROMPT, "read", owner=ANN)
    assert not house.allows(BOB, "custom/greet", "read", owner=ANN)
    edit = {"operation": "update", "changes": ["description", "messages", "arguments", "title"]}
    assert house.allows(BOB, PROMPT, "manage", owner=ANN, args=edit)
    assert not house.allows(BOB, PROMPT, "manage", owner=ANN, args={**edit, "changes": ["rolesPermitted"]})
    assert await unshare(house.office, house.asker(ANN), "ann@example.com:prompt:greet", "bob@example.com") == 1
    assert not house.allows(BOB, PROMPT, "read", owner=ANN)


async def test_a_share_with_a_role_is_for_whoever_is_in_it(house):
    await shared(house, to="role:team")
    assert house.allows(BOB, TOOL, owner=ANN)
    assert not house.allows(CAT, TOOL, owner=ANN)
    await shared(house, to="role:idle")
    assert house.allows(CAT, TOOL, owner=ANN), "a role that is only given, and no row names, is a role"


@pytest.mark.parametrize(
    ("to", "level", "days", "told"),
    [
        ("nobody@example.com", "read", 7, "has no account"),
        ("not an address", "read", 7, "is not an e-mail address"),
        ("", "read", 7, "is not an e-mail address"),
        ("role:unheard-of", "read", 7, "no role that the policy names"),
        ("role:a b", "read", 7, "`to`"),
        ("role:*", "read", 7, "`to`"),
        ("*", "read", 7, "is not an e-mail address"),
        ("user:*", "read", 7, "is not an e-mail address"),
        ("ann@example.com", "read", 7, "owns it"),
        ("bob@example.com", "manage", 7, "not one of `read`, `write`"),
        ("bob@example.com", "read", 0, "1 to 366"),
        ("bob@example.com", "read", -1, "1 to 366"),
        ("bob@example.com", "read", 367, "1 to 366"),
    ],
)
async def test_what_cannot_be_shared_is_told(house, to, level, days, told):
    refused = await refusal_of(share(house.office, house.asker(ADA if days == 367 else ANN), "report", to, level, days))
    assert isinstance(refused, InvalidArguments)
    assert told in refused.text
    assert house.grants() == {}


async def test_the_policy_bounds_what_may_be_shared_and_with_whom(house):
    assert isinstance(await refusal_of(shared(house, days=91)), Denied)
    await house.tool(CAT, "mine")
    assert isinstance(await refusal_of(shared(house, CAT, "mine")), Denied)
    assert house.grants() == {}


async def test_an_address_is_the_same_in_capitals_and_the_recipient_is_normal(house):
    made = await shared(house, to="Bob@Example.COM")
    assert made.to == BOB


@pytest.mark.parametrize("tool", ["ann@example.com:report", "ann@example.com:nothing", "nobody@example.com:report"])
async def test_what_is_anothers_and_what_there_is_not_are_refused_alike(house, tool):
    await house.account("user:dan@example.com")
    for who in (CAT, ADA):
        refused = await refusal_of(shared(house, who, tool, "dan@example.com"))
        assert isinstance(refused, Unknown)
        assert refused.text.replace(tool, "X") == "there is no `X` of yours to share; `list-tools` shows what you made"
        refused = await refusal_of(shared(house, who, tool, "nobody@example.com"))
        assert "account" not in refused.text
    assert house.grants() == {}


async def test_what_was_lent_is_not_lent_on(house):
    await shared(house, to="ada@example.com", level="write")
    refused = await refusal_of(shared(house, ADA, "report", "cat@example.com"))
    assert isinstance(refused, Unknown)
    assert not house.allows(CAT, TOOL, owner=ANN)


async def test_even_where_the_policy_lets_somebody_share_what_is_anothers_only_its_owner_writes_the_row(house):
    await house.also("p, role:admin, main, user:ann@example.com, custom/*, share, , allow\n")
    refused = await refusal_of(shared(house, ADA, "ann@example.com:report"))
    assert isinstance(refused, InvalidArguments)
    assert f"only `{ANN}` can write a grant" in refused.text
    assert house.grants() == {}


@pytest.mark.parametrize("tool", ["add-user", "system:add-user", "share-tool", "system:reset-api-key", "update-tool"])
@pytest.mark.parametrize("who", [ADA, ANN])
async def test_tools_that_administer_are_not_shared_because_a_row_says_so(house, tool, who):
    asker = house.asker(who)
    refused = await refusal_of(share(house.office, asker, tool, "bob@example.com"))
    assert isinstance(refused, Denied)
    assert str(refused.decision.rule.place) == "builtin:4"
    assert asker.passage.object == f"gateway/{tool.rpartition(':')[2]}"
    assert house.grants() == {}


async def test_what_the_operator_made_is_shared_by_whom_the_policy_lets(house):
    await house.tool(SYSTEM, "help")
    made = await shared(house, ADA, "system:help")
    assert (made.tool_id, made.made_by) == ("system:help", ADA)
    assert house.allows(BOB, "custom/help", owner=SYSTEM)
    assert isinstance(await refusal_of(shared(house, ANN, "system:help")), Unknown)


async def test_a_share_that_would_allow_what_must_never_be_is_refused(house):
    never = f"never:\n  - {{name: bob, who: '{BOB}', do: write, on: '{TOOL}', owner: '{ANN}'}}\n"
    house.files = Policy.build(replace(house.files.bundle, cases={"tests/a.yaml": never}), (), "1.0")
    await house.catch_up()
    refused = await refusal_of(shared(house))
    assert isinstance(refused, InvalidArguments)
    assert "what must never be" in refused.text
    await shared(house, to="cat@example.com")
    assert set(house.grants()) == {id_of(ANN, TOOL, CAT)}


# -- ending


async def test_unsharing_ends_all_of_a_share_at_once(house):
    await house.also("g, user:ann@example.com, role:lender, *\n")
    await house.connection(ANN)
    await shared(house, level="write", with_account=True)
    await shared(house, to="cat@example.com")
    assert len(house.grants()) == 4
    assert await unshare(house.office, house.asker(ANN), "report", "bob@example.com") == 1
    assert set(house.grants()) == {id_of(ANN, TOOL, CAT)}
    for question in (
        {"object": TOOL},
        {"object": TOOL, "action": "manage", "args": EDIT},
        {"object": TARGET, "via": TOOL},
    ):
        assert not house.allows(BOB, owner=ANN, **question)
    assert house.allows(CAT, TOOL, owner=ANN)


async def test_what_is_not_shared_cannot_be_unshared(house):
    refused = await refusal_of(unshare(house.office, house.asker(ANN), "report", "bob@example.com"))
    assert isinstance(refused, Unknown)
    assert refused.text == "`report` is not shared with `bob@example.com`"


async def test_others_cannot_end_a_share_but_who_manages_the_tool_can(house):
    await shared(house)
    for who in (BOB, CAT):
        refused = await refusal_of(unshare(house.office, house.asker(who), "ann@example.com:report", "bob@example.com"))
        assert isinstance(refused, Unknown)
    assert house.allows(BOB, TOOL, owner=ANN)
    assert await unshare(house.office, house.asker(ADA), "ann@example.com:report", "bob@example.com") == 1
    assert not house.allows(BOB, TOOL, owner=ANN)


async def test_deleting_a_tool_ends_every_share_of_it_and_of_no_other(house):
    await house.tool(ANN, "report-2")
    await house.tool(CAT, "report")
    await shared(house, level="write")
    await shared(house, to="role:team")
    await shared(house, tool="report-2")
    await shared(house, tool="prompt:greet")
    await house.also("g, user:cat@example.com, role:maker, *\n")
    await shared(house, CAT, "report")
    assert await end_shares_of(house.office, ANN, TOOL) == 3
    assert set(house.grants()) == {
        id_of(ANN, "custom/report-2", BOB),
        id_of(ANN, PROMPT, BOB),
        id_of(CAT, TOOL, BOB),
    }
    assert not house.allows(BOB, TOOL, owner=ANN)


async def test_another_target_ends_what_was_lent_of_the_account_and_leaves_the_share(house):
    await house.also("g, user:ann@example.com, role:lender, *\n")
    await house.connection(ANN)
    await shared(house, level="write", with_account=True)
    assert await end_base_rows(house.office, ANN, TOOL) == 1
    assert not house.allows(BOB, TARGET, owner=ANN, via=TOOL, connection=WORK)
    assert house.allows(BOB, TOOL, owner=ANN)
    assert house.allows(BOB, TOOL, "manage", owner=ANN, args=EDIT)


# -- what happens at the same moment


class Meanwhile:
    """A shelf that does something before its next record is looked for."""

    def __init__(self, shelf, act):
        self.shelf, self.act = shelf, act

    def __getattr__(self, name):
        return getattr(self.shelf, name)

    async def get(self, id):
        if act := self.act:
            self.act = None
            await act()
        return await self.shelf.get(id)


async def test_a_tool_that_is_deleted_while_it_is_shared_leaves_no_share(house):
    tools = house.store.tools

    async def delete():
        await tools.remove(f"{ANN}/report")
        assert await end_shares_of(house.office, ANN, TOOL) == 1

    house.store.tools = Meanwhile(tools, delete)
    assert isinstance(await refusal_of(shared(house)), InvalidArguments)
    assert house.grants() == {}


async def test_a_tool_that_is_made_anew_while_it_is_shared_is_not_shared(house):
    tools = house.store.tools

    async def anew():
        await tools.remove(f"{ANN}/report")
        house.now += 1
        house.store.tools = tools
        await house.tool(ANN, "report")

    house.store.tools = Meanwhile(tools, anew)
    assert isinstance(await refusal_of(shared(house)), InvalidArguments)
    assert house.grants() == {}


async def test_a_tool_that_calls_something_else_meanwhile_is_not_shared_with_the_account(house):
    await house.also("g, user:ann@example.com, role:lender, *\n")
    await house.connection(ANN)
    tools = house.store.tools

    async def change():
        known = tools.records[f"{ANN}/report"]
        handler = type(known.handler)(type="connector", config={"connector": "slack", "action": "delete"})
        await tools.replace(type(known)(**{**_struct(known), "handler": handler}))

    house.store.tools = Meanwhile(tools, change)
    assert isinstance(await refusal_of(shared(house, with_account=True)), InvalidArguments)
    assert house.grants() == {}


def _struct(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}


async def test_a_recipient_who_is_deleted_meanwhile_gets_nothing_that_a_later_account_would_have(house):
    users = house.store.users

    async def delete():
        await users.remove("bob@example.com")

    house.store.users = Meanwhile(users, delete)
    assert isinstance(await refusal_of(shared(house)), InvalidArguments)
    assert house.grants() == {}


async def test_a_store_that_does_not_answer_is_a_refusal(house):
    async def down():
        raise base.Unavailable("it is down")

    house.store.grants = Meanwhile(house.store.grants, down)
    assert isinstance(await refusal_of(shared(house)), Unavailable)


# -- rows


@given(st.lists(st.tuples(NAMES, NAMES, OBJECTS, st.sampled_from(Level), st.booleans()), max_size=6))
def test_rows_of_shares_are_told_apart_and_told_back(wished):
    terms = {
        (to, owner, object): Terms(to, owner, object, level, "slack/send" if account else "")
        for to, owner, object, level, account in wished
    }
    grants = [row for each in terms.values() for row in share_grants(each, made_by=ADA, now=NOON, expires_at=None)]
    assert len({each.id for each in grants}) == len(grants)
    told = {(each.to, each.owner, each.object): (each.level, each.account) for each in shares_in(grants, NOON)}
    assert told == {place: (each.level, bool(each.target)) for place, each in terms.items()}
    for place, each in terms.items():
        mine = [row.id for row in share_grants(each, made_by=ADA, now=NOON, expires_at=None)]
        assert set(mine) <= set(ids(place[1], place[2], place[0]))


@given(OBJECTS, st.sampled_from(Level), st.booleans())
def test_every_row_of_a_share_can_stand_in_a_policy(object, level, account):
    terms = Terms(BOB, ANN, object, level, "slack/send" if account else "")
    for each in share_grants(terms, made_by=ANN, now=NOON, expires_at=NOON + 1):
        rule = grant_rows(each)
        assert (rule.subject, rule.owner, rule.domain) == (BOB, ANN, "main")


@given(st.integers(0, 4_102_444_800_000))
def test_a_date_is_as_json_of_such_servers_shows_it(ms):
    text = as_date(ms)
    assert (len(text), text[10], text[19], text[-1]) == (24, "T", ".", "Z")
    assert int(text[20:23]) == ms % 1000
