"""Administrative operations at the door: what is asked of the policy, what is done, and the one entry of it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.analysis.inventory import tool_of
from gateway.errors import Denied, Fault, Limited, NotConnected, Refusal, Unauthenticated, Unavailable
from gateway.pipeline import Operation
from gateway.pipeline.chain import facts_of
from gateway.policy.rows import THINGS
from gateway.policy.terms import MAIN, SYSTEM
from tests.builders import AMY, BOB, ORIGIN, Door

KEYS = Operation("keys.make", "gateway/keys", "manage", f"user:{AMY}", {"days": 7})
LINK = Operation("connections.start", "slack", "connect", f"user:{AMY}")
OWN_KEYS = "p, user:*, main, self, gateway/keys, manage, , allow"


class Deed:
    """What an operation does; remembers how often, and may fail."""

    def __init__(self, failure: BaseException | None = None):
        self.done, self.failure = 0, failure

    async def __call__(self) -> str:
        self.done += 1
        if self.failure is not None:
            raise self.failure
        return "done"


async def attempt(door: Door, operation: Operation, email: str = AMY, deed: Deed | None = None) -> str:
    return await door.pipeline.administer(operation, door.person(email), ORIGIN, deed or Deed())


async def refusal(door: Door, operation: Operation, email: str = AMY, deed: Deed | None = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await attempt(door, operation, email, deed)
    return caught.value


async def test_an_allowed_operation_is_done_and_leaves_one_entry():
    door, deed = Door(OWN_KEYS), Deed()
    assert await attempt(door, KEYS, deed=deed) == "done"
    assert deed.done == 1
    [entry] = door.entries
    assert (entry.method, entry.subject, entry.domain) == ("keys.make", f"user:{AMY}", MAIN)
    assert (entry.object, entry.action, entry.owner) == ("gateway/keys", "manage", f"user:{AMY}")
    assert (entry.allowed, entry.outcome, entry.rule) == (True, "ok", "policies/rules.csv:1")
    assert entry.asked is not None
    assert entry.arguments == {}
    assert list(entry.hashed) == ["/days"], "what no condition reads is not shown"


@pytest.mark.parametrize(
    ("rows", "email"),
    [("", AMY), (OWN_KEYS, BOB), ("p, user:*, main, self, gateway/keys, inspect, , allow", AMY)],
)
async def test_a_denied_operation_is_not_done_and_leaves_one_entry(rows: str, email: str):
    door, deed = Door(rows), Deed()
    denied = await refusal(door, KEYS, email, deed)
    assert isinstance(denied, Denied)
    assert denied.text == "denied by policy"
    assert denied.data == {"reference": door.last.id}
    assert deed.done == 0
    assert [(entry.outcome, entry.allowed) for entry in door.entries] == [("denied", False)]


async def test_who_may_inspect_the_policy_is_told_why():
    door = Door("p, user:*, main, system, gateway/policy, inspect, , allow")
    assert "no rule allows it" in (await refusal(door, KEYS)).text


async def test_conditions_ask_of_the_new_record_and_of_the_roles_of_its_owner():
    rows = (
        "p, user:*, main, *, gateway/keys, manage, args.days <= 7 and not some(owner.roles, it == 'boss'), allow\n"
        f"g, user:{BOB}, role:boss, *"
    )
    door = Door(rows)
    assert await attempt(door, KEYS) == "done"
    longer = Operation("keys.make", "gateway/keys", "manage", f"user:{AMY}", {"days": 8})
    assert isinstance(await refusal(door, longer), Denied)
    of_bob = Operation("keys.make", "gateway/keys", "manage", f"user:{BOB}", {"days": 7})
    assert isinstance(await refusal(door, of_bob, AMY), Denied)
    of_the_operator = Operation("keys.make", "gateway/keys", "manage", SYSTEM, {"days": 7})
    assert await attempt(door, of_the_operator) == "done"


@pytest.mark.parametrize("domain", ["other", "main"])
async def test_administration_outside_main_is_denied_by_the_floor(domain: str):
    door = Door("p, user:*, *, self, gateway/keys, manage, , allow")
    asked = Operation("keys.make", "gateway/keys", "manage", f"user:{AMY}", {}, domain)
    if domain == MAIN:
        assert await attempt(door, asked) == "done"
    else:
        assert isinstance(await refusal(door, asked), Denied)
        assert door.last.rule.startswith("builtin:")


async def test_connecting_an_account_is_asked_of_the_connector_and_of_nothing_else():
    door = Door("p, user:*, main, self, slack, connect, , allow")
    assert await attempt(door, LINK) == "done"
    for other in (
        Operation("connections.start", "github", "connect", f"user:{AMY}"),
        Operation("connections.start", "slack", "connect", SYSTEM),
        Operation("connections.start", "slack", "connect", f"user:{BOB}"),
        Operation("connections.list", "slack", "inspect", f"user:{AMY}"),
    ):
        assert isinstance(await refusal(door, other), Denied)


async def test_an_account_is_connected_for_somebody_else_only_where_he_may_connect_it_himself():
    lent = f"p, user:{AMY}, main, user:{BOB}, slack, connect, , allow"
    for_bob = Operation("connections.start", "slack", "connect", f"user:{BOB}")
    assert isinstance(await refusal(Door(lent), for_bob), Denied)
    assert await attempt(Door(f"{lent}\np, user:{BOB}, main, self, slack, connect, , allow"), for_bob) == "done"


async def test_administration_takes_one_decision_whoever_owns_the_record():
    door = Door("p, user:*, main, *, gateway/keys, revoke, , allow")
    assert await attempt(door, Operation("keys.end", "gateway/keys", "revoke", f"user:{BOB}")) == "done"
    assert door.last.asked is not None
    assert door.last.asked.lenders == ()


@pytest.mark.parametrize(
    ("failure", "told", "outcome"),
    [
        (NotConnected("connect first"), NotConnected, "not_connected"),
        (RuntimeError("hunter2"), Fault, "fault"),
        (asyncio.CancelledError(), asyncio.CancelledError, "cancelled"),
    ],
)
async def test_an_operation_that_fails_leaves_its_one_entry(failure: BaseException, told: type, outcome: str):
    door = Door(OWN_KEYS)
    with pytest.raises(told):
        await attempt(door, KEYS, deed=Deed(failure))
    assert [(entry.outcome, entry.allowed) for entry in door.entries] == [(outcome, True)]
    assert "hunter2" not in str(door.last)


async def test_operations_count_as_calls_do_and_are_limited_before_they_are_decided():
    door, deed = Door("", limits="[[class]]\nname = 'default'\ncalls = 2\nwindow_s = 60\n"), Deed()
    kinds = [type(await refusal(door, KEYS, deed=deed)) for _ in range(3)]
    assert kinds == [Denied, Denied, Limited]
    assert deed.done == 0


async def test_nothing_is_done_for_a_dismissed_person_nor_by_an_unconfirmed_policy_nor_without_a_record():
    deed = Deed()
    door = Door(OWN_KEYS)
    amy = door.person(AMY)
    door.ledger.full = True
    assert isinstance(await refusal(door, KEYS, deed=deed), Unavailable)
    door.ledger.full = False
    door.now += 61_000
    with pytest.raises(Unavailable):
        await door.pipeline.administer(KEYS, amy, ORIGIN, deed)
    door.now -= 61_000
    door.dismiss(AMY)
    with pytest.raises(Unauthenticated):
        await door.pipeline.administer(KEYS, amy, ORIGIN, deed)
    assert deed.done == 0
    assert len(door.entries) == 3


@given(
    st.one_of(
        st.sampled_from([f"gateway/{each}" for each in sorted(THINGS)]),
        st.sampled_from(["slack", "custom/x", "custom/a%2Fb", "github"]),
    )
)
def test_conditions_know_the_same_of_what_is_administered_as_analysis_does(object: str):
    assert facts_of(object) == tool_of(object)


# -- what there is nobody to decide about


async def test_what_is_witnessed_is_done_without_a_decision_and_leaves_one_entry():
    door, deed = Door(), Deed()
    assert await door.pipeline.witness("sign_in.mail", ORIGIN, lambda _: deed()) == "done"
    [entry] = door.entries
    assert (entry.method, entry.subject, entry.object, entry.owner) == ("sign_in.mail", "", "", "")
    assert (entry.allowed, entry.asked, entry.outcome) == (None, None, "ok")
    await door.pipeline.witness("sign_out", ORIGIN, lambda _: deed(), subject=door.person(AMY))
    assert door.last.subject == f"user:{AMY}"

    async def turns_out(passage):
        passage.subject = door.person(BOB)
        passage.object, passage.owner = "slack", f"user:{BOB}"

    await door.pipeline.witness("sign_in.mail", ORIGIN, turns_out)
    told = door.last
    assert (told.subject, told.object, told.owner) == (f"user:{BOB}", "slack", f"user:{BOB}")


async def test_what_is_witnessed_and_fails_leaves_its_entry_and_is_not_begun_where_it_cannot_be_recorded():
    door, deed = Door(), Deed(RuntimeError("hunter2"))
    with pytest.raises(Fault):
        await door.pipeline.witness("sign_in.mail", ORIGIN, lambda _: deed())
    assert (door.last.outcome, deed.done) == ("fault", 1)
    door.ledger.full = True
    with pytest.raises(Unavailable):
        await door.pipeline.witness("sign_in.mail", ORIGIN, lambda _: deed())
    assert (door.last.outcome, deed.done) == ("unavailable", 1)


async def test_a_list_is_cut_to_what_he_may_see_with_one_entry_and_one_count():
    door = Door(
        "p, user:*, main, self, slack, inspect, , allow",
        limits="[[class]]\nname = 'default'\ncalls = 1\nwindow_s = 60\n",
    )
    asked = [Operation("connections.list", each, "inspect", f"user:{AMY}") for each in ("slack", "github")]
    assert await door.pipeline.among("connections.list", asked, door.person(AMY), ORIGIN) == (True, False)
    assert [(entry.method, entry.outcome) for entry in door.entries] == [("connections.list", "ok")]
    with pytest.raises(Limited):
        await door.pipeline.among("connections.list", asked, door.person(AMY), ORIGIN)


async def test_what_is_several_operations_is_done_only_where_every_one_is_allowed():
    door, deed = Door("p, user:*, main, self, slack, connect, , allow"), Deed()
    both = (LINK, Operation("connections.start", "github", "connect", f"user:{AMY}"))
    with pytest.raises(Denied):
        await door.pipeline.administer_all(both, door.person(AMY), ORIGIN, deed)
    assert (deed.done, door.last.object, len(door.entries)) == (0, "github", 1)
    await door.pipeline.administer_all(both[:1], door.person(AMY), ORIGIN, deed)
    assert deed.done == 1


async def test_what_is_several_operations_is_done_when_every_one_of_them_is_allowed():
    door = Door("p, user:*, main, self, acme/*, share, , allow\np, *, *, *, acme/plan, share, , deny")
    lend = {name: Operation("loans.make", f"acme/{name}", "share", f"user:{AMY}") for name in ("list", "plan", "find")}
    for names, allowed in ((("list", "find"), True), (("list", "plan", "find"), False)):
        deed, before = Deed(), len(door.entries)
        asked = [lend[name] for name in names]
        done = door.pipeline.administer_all(asked, door.person(AMY), ORIGIN, deed)
        if allowed:
            assert await done == "done"
        else:
            with pytest.raises(Denied):
                await done
        assert (deed.done, len(door.entries) - before) == (int(allowed), 1)
    assert (door.entries[-1].object, door.entries[-1].allowed) == ("acme/plan", False)


async def test_a_list_of_records_is_cut_to_what_may_be_seen_under_one_entry_and_one_count():
    rows = "p, user:*, main, self, *, revoke, , allow\np, *, *, *, acme, inspect, , deny"
    door = Door(rows, limits="[[class]]\nname = 'default'\ncalls = 2\nwindow_s = 60\n")
    asked = [Operation("x.list", each, "inspect", f"user:{AMY}") for each in ("acme", "zorg", "gateway/policy")]
    asked.append(Operation("x.list", "zorg", "inspect", f"user:{BOB}"))
    shown = await door.pipeline.among("x.list", asked, door.person(AMY), ORIGIN)
    assert shown == (False, True, False, False)
    [entry] = door.entries
    assert (entry.method, entry.outcome) == ("x.list", "ok")
    assert await door.pipeline.among("x.list", [], door.person(AMY), ORIGIN) == ()
    with pytest.raises(Limited):
        await door.pipeline.among("x.list", asked, door.person(AMY), ORIGIN)
