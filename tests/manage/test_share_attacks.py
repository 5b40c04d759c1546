"""What others tried with what was shared with them, or while it was being shared; each gains nothing."""

import pytest

from gateway.errors import InvalidArguments, Unavailable
from gateway.manage.shares import share, unshare
from gateway.policy.terms import SYSTEM
from gateway.store import base
from tests.manage.sharing import ADA, ANN, BOB, CAT, ROWS, House, refusal_of
from tests.manage.test_definitions import SEND, added, house, lent, on_account, record, shared, updated
from tests.manage.test_shares import Meanwhile

__all__ = ["house"]

PASSING = {"type": "connector", "config": {"connector": "slack", "action": "send"}}
OTHER = {**SEND, "config": {**SEND["config"], "args": {"to": "#b", "text": "{{text}}"}}}
LENDER = "g, user:ann@example.com, role:lender, *\n"


def schema(channel):
    return {"type": "object", "properties": {"text": {"type": "string"}, "channel": channel}}


@pytest.mark.parametrize("who", [BOB, ADA])
async def test_another_who_widens_the_schema_does_not_widen_what_is_done_on_the_makers_account(house, who):
    await house.also(LENDER)
    await house.connection(ANN)
    await added(house, {"name": "post", "inputSchema": schema({"const": "#help"}), "handler": PASSING})
    await shared(house, "write", with_account=True)
    assert on_account(house)
    await updated(house, "ann@example.com:post", who, inputSchema=schema({"type": "string"}))
    assert record(house).schema["properties"]["channel"] == {"type": "string"}
    assert not on_account(house)


async def test_what_another_changed_while_it_was_shared_is_not_done_on_the_makers_account(house):
    await house.also(LENDER)
    await house.connection(ANN)
    await added(house)
    grants = house.store.grants

    async def change():
        house.store.grants = grants
        await updated(house, "ann@example.com:post", ADA, handler=OTHER)

    house.store.grants = Meanwhile(grants, change)
    assert isinstance(await refusal_of(shared(house, with_account=True)), InvalidArguments)
    house.store.grants = grants
    await house.catch_up()
    assert record(house).handler.config["args"]["to"] == "#b"
    assert not on_account(house)


class Failing:
    """Records of which none can be removed."""

    def __init__(self, records):
        self._records = records

    def __getattr__(self, name):
        return getattr(self._records, name)

    async def remove(self, id):
        raise base.Unavailable("down")


async def test_a_store_that_fails_midway_leaves_no_account_lent_to_what_another_made_of_a_tool(house):
    await lent(house)
    grants = house.store.grants
    house.store.grants = Failing(grants)
    assert isinstance(await refusal_of(updated(house, "ann@example.com:post", ADA, handler=OTHER)), Unavailable)
    house.store.grants = grants
    await house.catch_up()
    assert record(house).handler.config["args"]["to"] != "#b"


async def test_the_account_that_is_lent_is_the_one_that_there_was_and_no_later_one(house):
    await lent(house)
    later = await house.connection(ANN, "b" * 24)
    assert on_account(house)
    assert not house.allows(BOB, "slack/send", owner=ANN, via="custom/post", connection=later.id)


async def test_the_operators_account_is_not_lent_through_a_tool():
    house = await House(rows=ROWS + "p, role:admin, main, system, *, share, , allow\n").settle()
    await house.tool(SYSTEM, "post")
    step = share(house.office, house.asker(ADA), "system:post", "bob@example.com", with_account=True)
    assert isinstance(await refusal_of(step), InvalidArguments)
    assert house.grants() == {}


@pytest.mark.parametrize("who", [ANN, CAT])
@pytest.mark.parametrize("step", [share, unshare])
@pytest.mark.parametrize("named", ["hidden", "prompt:hidden"])
async def test_sharing_by_a_bare_name_tells_nobody_what_the_operator_has(who, step, named):
    house = await House().settle()
    told = []
    for there in (False, True):
        if there:
            await house.tool(SYSTEM, "hidden")
            await house.prompt(SYSTEM, "hidden")
        refusal = await refusal_of(step(house.office, house.asker(who), named, "bob@example.com"))
        told.append((type(refusal), str(refusal)))
    assert told[0] == told[1]
