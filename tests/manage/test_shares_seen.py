"""Tools of connectors that are lent, roles that are permitted, and how shares are shown."""

import pytest

from gateway.builtins.shares import shares
from gateway.errors import Denied, InvalidArguments, Unknown
from gateway.manage.loans import loans_of
from gateway.manage.role_shares import permit_roles, roles_change, roles_permitted, write_roles
from gateway.manage.share_rows import allowance, id_of
from gateway.manage.shares import share, unshare
from gateway.manage.shares_seen import rights_of, shared_with, shares_of
from gateway.policy.terms import SYSTEM
from tests.builders import NOON
from tests.manage.sharing import ADA, ANN, BOB, CAT, DAY, House, refusal_of

TOOL = "custom/report"
MINE, OTHER = "a" * 24, "b" * 24
LENDER = "g, user:ann@example.com, role:lender, *\n"


@pytest.fixture
async def house():
    house = await House().settle()
    await house.also(LENDER)
    await house.tool(ANN, "report")
    await house.connection(ANN, MINE)
    return house


def shared(house, tool, to="bob@example.com", *rest, who=ANN, **more):
    return share(house.office, house.asker(who), tool, to, *rest, **more)


# -- tools of connectors


@pytest.mark.parametrize("tool", ["slack:send", "slack__send"])
async def test_one_tool_of_a_connection_is_lent_and_no_other(house, tool):
    made = await shared(house, tool, "bob@example.com", "write")
    assert (made.tool_id, made.account, made.connection) == ("slack:send", True, MINE)
    assert house.allows(BOB, "slack/send", owner=ANN, connection=MINE)
    assert not house.allows(BOB, "slack/send", owner=ANN, connection=OTHER)
    assert not house.allows(BOB, "slack/list", "read", owner=ANN, connection=MINE)
    assert not house.allows(CAT, "slack/send", owner=ANN, connection=MINE)
    await house.later(90 * DAY)
    assert not house.allows(BOB, "slack/send", owner=ANN, connection=MINE)


async def test_for_reading_only_what_reads_is_lent(house):
    refused = await refusal_of(shared(house, "slack:send"))
    assert isinstance(refused, InvalidArguments)
    assert "share it at access level `write`" in refused.text
    await shared(house, "slack:list")
    assert house.allows(BOB, "slack/list", "read", owner=ANN, connection=MINE)
    assert not house.allows(BOB, "slack/list", "write", owner=ANN, connection=MINE)


async def test_two_tools_are_lent_beside_each_other_and_ended_one_by_one(house):
    await shared(house, "slack:send", "bob@example.com", "write")
    await shared(house, "slack:list")
    assert await unshare(house.office, house.asker(ANN), "slack:send", "bob@example.com") == 1
    assert not house.allows(BOB, "slack/send", owner=ANN, connection=MINE)
    assert house.allows(BOB, "slack/list", "read", owner=ANN, connection=MINE)
    assert isinstance(
        await refusal_of(unshare(house.office, house.asker(ANN), "slack:send", "bob@example.com")), Unknown
    )


async def test_which_connection_is_meant_has_to_be_said_where_there_are_several(house):
    await house.connection(ANN, OTHER)
    refused = await refusal_of(shared(house, "slack:list"))
    assert isinstance(refused, InvalidArguments)
    assert MINE in refused.text
    assert OTHER in refused.text
    made = await shared(house, "slack:list", connection=OTHER)
    assert made.connection == OTHER


async def test_only_a_connection_of_his_own_is_lent(house):
    await house.also("p, user:cat@example.com, main, self, slack/*, share, , allow\n")
    for more in ({}, {"connection": MINE}):
        refused = await refusal_of(shared(house, "slack:list", who=CAT, **more))
        assert isinstance(refused, InvalidArguments)
        assert "that could be shared" in refused.text
    assert isinstance(await refusal_of(shared(house, "slack:list", who=BOB)), Denied)
    assert house.grants() == {}


async def test_a_tool_is_lent_to_a_role_and_to_nobody_who_is_not_there(house):
    await shared(house, "slack:list", "role:team")
    assert house.allows(BOB, "slack/list", "read", owner=ANN, connection=MINE)
    assert not house.allows(CAT, "slack/list", "read", owner=ANN, connection=MINE)
    assert isinstance(await refusal_of(shared(house, "slack:list", "eve@example.com")), InvalidArguments)


# -- roles that are permitted


async def test_exactly_the_roles_that_are_named_are_permitted_without_an_end(house):
    asker = house.asker(ADA)
    await house.tool(ADA, "report")
    await permit_roles(house.office, asker, ADA, TOOL, ["team", "idle"])
    assert roles_permitted(house.snapshot.policy, ADA, TOOL) == ("idle", "team")
    await house.later(500 * DAY)
    assert house.allows(BOB, TOOL, owner=ADA)
    await permit_roles(house.office, house.asker(ADA), ADA, TOOL, ["role:idle"])
    assert roles_permitted(house.snapshot.policy, ADA, TOOL) == ("idle",)
    assert not house.allows(BOB, TOOL, owner=ADA)
    await permit_roles(house.office, house.asker(ADA), ADA, TOOL, [])
    assert house.grants() == {}


async def test_what_bounds_the_days_of_a_share_bounds_permitting_a_role(house):
    refused = await refusal_of(permit_roles(house.office, house.asker(ANN), ANN, TOOL, ["team"]))
    assert isinstance(refused, Denied)
    assert house.grants() == {}


async def test_nothing_is_written_where_one_of_several_roles_is_none(house):
    refused = await refusal_of(permit_roles(house.office, house.asker(ADA), ADA, TOOL, ["team", "unheard-of"]))
    assert isinstance(refused, InvalidArguments)
    assert house.grants() == {}


async def test_a_change_of_roles_can_be_checked_before_there_is_anything_to_permit(house):
    change = await roles_change(house.office, house.asker(ADA), ADA, "custom/new", ["team"])
    assert house.grants() == {}
    await write_roles(house.office, change)
    assert set(house.grants()) == {id_of(ADA, "custom/new", "role:team")}


async def test_only_the_owner_permits_roles_and_a_share_that_ends_is_no_permission(house):
    await house.also("p, role:admin, main, user:ann@example.com, custom/*, share, , allow\n")
    refused = await refusal_of(permit_roles(house.office, house.asker(ADA), ANN, TOOL, ["team"]))
    assert "can write a grant" in refused.text
    await shared(house, "report", "role:team")
    assert roles_permitted(house.snapshot.policy, ANN, TOOL) == ()
    await permit_roles(house.office, house.asker(ADA), ANN, TOOL, [])
    assert house.allows(BOB, TOOL, owner=ANN), "a share with an end is not a matter of `rolesPermitted`"


# -- what is shown


async def test_shares_are_shown_to_who_made_them_and_to_who_has_them(house):
    await shared(house, "report")
    await shared(house, "report", "role:team", "write")
    await shared(house, "slack:list")
    mine = await shares_of(house.office, house.asker(ANN))
    assert sorted((each.tool_id, each.to) for each in mine) == [
        ("ann@example.com:report", "role:team"),
        ("ann@example.com:report", BOB),
        ("slack:list", BOB),
    ]
    assert await shared_with(house.office, house.asker(ANN)) == ()
    assert sorted(each.shown["toolId"] for each in await shared_with(house.office, house.asker(BOB))) == [
        "ann@example.com:report",
        "ann@example.com:report",
        "slack:list",
    ]
    assert await shared_with(house.office, house.asker(CAT)) == ()
    assert await shares_of(house.office, house.asker(BOB)) == ()
    await shared(house, "report", "role:maker")
    assert await shared_with(house.office, house.asker(ANN)) == (), "his own, though a role of his has it too"


async def test_a_record_shows_what_names_its_user_himself_as_long_as_it_lives(house):
    await house.also("p, user:bob@example.com, main, self, time/now, read, , allow\n")
    await house.store.grants.add(allowance(BOB, SYSTEM, "custom/help", made_by=ADA, now=NOON))
    await shared(house, "report", "bob@example.com", "write", 7)
    await shared(house, "report", "role:team")
    rights = await rights_of(house.office, BOB, house.now)
    assert rights.shown["allowedTools"] == ["system:help", "time:now"]
    assert [(each["toolId"], each["sharedBy"], each["accessLevel"]) for each in rights.shown["sharedTools"]] == [
        ("ann@example.com:report", "ann@example.com", "write")
    ]
    assert house.allows(BOB, "custom/help", owner=SYSTEM)
    await house.later(7 * DAY)
    assert (await rights_of(house.office, BOB, house.now)).shared == ()


# -- as tools


async def used(house, who, name, **args):
    tool = next(each for each in shares(house.office) if each.name == name)
    assert tool.arguments.problems(args) == []
    return await tool.does(house.asker(who), args)


async def test_the_tools_tell_the_share_and_nothing_of_the_recipient(house):
    answer = await used(house, ANN, "share-tool", email="bob@example.com", toolId="report", accessLevel="read")
    assert set(answer.result) == {
        *("toolId", "sharedBy", "sharedWith", "accessLevel", "sharedAt", "expiresAt", "account")
    }
    assert answer.message == "Shared ann@example.com:report with bob@example.com at access level read."
    assert any("withAccount" in each for each in answer.next_steps)
    ended = await used(house, ANN, "unshare-tool", email="bob@example.com", toolId="report")
    assert ended.result["ended"] == 1
    assert house.grants() == {}
    await used(house, ANN, "share-tool", to="role:team", toolId="report", accessLevel="write", days=3, withAccount=True)
    assert len(house.grants()) == 3


@pytest.mark.parametrize("named", [{}, {"email": "bob@example.com", "to": "role:team"}])
async def test_one_recipient_is_named(house, named):
    refused = await refusal_of(used(house, ANN, "share-tool", toolId="report", accessLevel="read", **named))
    assert refused.text.startswith("email, toolId, and accessLevel are required")
    refused = await refusal_of(used(house, ANN, "unshare-tool", toolId="report", **named))
    assert refused.text.startswith("email and toolId are required")


async def test_a_loan_of_several_tools_keeps_the_others_when_one_is_unshared(house):
    await shared(house, "slack:list")
    grant = next(iter(house.grants().values()))
    both = grant.row[5].replace("['list']", "['list', 'find']")
    row = (*grant.row[:5], both, grant.row[6])
    await house.store.grants.replace(type(grant)(**{**_fields(grant), "row": row, "note": "list/find"}))
    assert await unshare(house.office, house.asker(ANN), "slack:list", "bob@example.com") == 1
    assert [each.tools for each in await loans_of(house.store, MINE, NOON)] == [("find",)]
    assert not house.allows(BOB, "slack/list", "read", owner=ANN, connection=MINE)
    assert house.allows(BOB, "slack/find", "read", owner=ANN, connection=MINE)


def _fields(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}
