"""Whose connection serves: one's own, one that is lent, the operator's; and that nobody gets at any other."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue import Server
from gateway.catalogue.views import merge
from gateway.errors import NotConnected, Unknown, UnknownConnection
from gateway.mcp.terms import Call, Era, Kind
from gateway.pipeline.accounts import accounts_of, needs_one
from gateway.pipeline.judge import Judge
from gateway.policy.terms import MAIN, SYSTEM, Subject
from tests.builders import AMY, BOB, NOON, Door, call, policy, refused, text_of
from tests.fakes import FakeConnector, prompt, resource, tool

EVE = "eve@example.com"
OWN = "p, user:*, main, self, c/*, write, , allow"
OPERATORS = "p, user:*, main, system, c/*, write, , allow"
FIVE = {"type": "object", "properties": {"n": {"enum": [1, 2, 3, 4, 5]}}}


def lent(to: str = BOB, *, of: str = AMY, what: str = "c/*", level: str = "write", when: str = "") -> str:
    return f"p, user:{to}, main, user:{of}, {what}, {level}, {when}, allow"


def personal(*items, **more) -> FakeConnector:
    return FakeConnector("c", items or [tool("t", schema=FIVE)], personal=True, **more)


async def used(door: Door, connector: FakeConnector, email: str = BOB, **arguments) -> tuple[str, str]:
    """On whose connection, and on which, a call runs."""
    result = await door.use(email, "c__t", **arguments)
    assert "isError" not in result, text_of(result)
    return connector.opened[-1][1], connector.named[-1]


def naming(id: str, asked: Call | None = None) -> Call:
    """A call that names a connection."""
    return replace(asked or call("tools/call", name="c__t", arguments={}), credential=id)


# -- the order


async def test_ones_own_connection_serves_before_a_lent_one_and_that_before_the_operators():
    connector = personal(lenders=("", SYSTEM))
    door = Door(f"{OWN}\n{OPERATORS}\n{lent()}", [connector])
    door.connect(connector, SYSTEM, "operators")
    assert await used(door, connector) == (SYSTEM, "operators")
    door.connect(connector, AMY, "amys")
    assert await used(door, connector) == (f"user:{AMY}", "amys")
    assert (door.last.owner, door.last.connection) == (f"user:{AMY}", "amys")
    door.connect(connector, BOB, "bobs")
    assert await used(door, connector) == (f"user:{BOB}", "bobs")


async def test_the_first_who_holds_a_connection_serves_only_where_some_call_could_be_allowed():
    connector = personal()
    five = OWN.replace("write, ,", "write, args.n == 9,")
    door = Door(f"{five}\n{lent()}".replace("c/*, write, , allow", "c/t, write, , allow"), [connector])
    door.apply("\n".join((five, lent(), OWN.replace("user:*", f"user:{AMY}"))))
    door.connect(connector, BOB, "bobs")
    door.connect(connector, AMY, "amys")
    assert await used(door, connector, n=1) == (f"user:{AMY}", "amys")


async def test_where_nobody_holds_one_the_caller_is_told_that_his_is_missing():
    connector = personal(lenders=("", SYSTEM))
    door = Door(f"{OWN}\n{OPERATORS}\n{lent()}", [connector])
    assert "no account of `c` is connected" in text_of(await door.use(BOB, "c__t"))
    assert door.last.outcome == "not_connected"
    assert connector.opened == [(f"user:{BOB}", f"user:{BOB}")]


async def test_where_no_connection_is_needed_none_is_lent_and_none_looked_for():
    connector = FakeConnector("c", [tool("t")])
    door = Door(f"{lent()}\np, user:{AMY}, main, self, c/*, write, , allow", [connector])
    assert await door.tools(BOB) == []
    assert isinstance(await refused(door, BOB, call("tools/call", name="c__t")), Unknown)
    door.apply(OWN)
    assert await door.handle(BOB, naming("whatever")) != {}
    assert connector.named == [""]


# -- lenders


async def test_a_lender_who_loses_a_tool_or_the_loan_lends_nothing_any_more():
    connector = personal(tool("t"), tool("u"))
    amy_may = f"p, user:{AMY}, main, self, c/*, write, , allow"
    door = Door(f"{lent()}\n{amy_may}", [connector])
    door.connect(connector, AMY, "amys")
    assert await door.tools(BOB) == ["c__t", "c__u"]
    door.apply(f"{lent()}\n{amy_may}\np, user:{AMY}, *, *, c/t, write, , deny", version="2.0")
    assert await door.tools(BOB) == ["c__u"]
    assert isinstance(await refused(door, BOB, call("tools/call", name="c__t")), Unknown)
    door.apply(amy_may, version="3.0")
    assert await door.tools(BOB) == []
    assert connector.opened == []


async def test_nothing_lent_can_be_lent_on():
    """Bob borrows from Amy, and lends what is his own: that is nothing."""
    connector = personal()
    rows = (lent(BOB, of=AMY), lent(EVE, of=BOB), f"p, user:{AMY}, main, self, c/*, write, , allow")
    door = Door("\n".join(rows), [connector])
    door.connect(connector, AMY, "amys")
    assert await used(door, connector, BOB) == (f"user:{AMY}", "amys")
    assert await door.tools(EVE) == []
    assert isinstance(await refused(door, EVE, call("tools/call", name="c__t")), Unknown)
    assert isinstance(await refused(door, EVE, naming("amys")), Unknown)


async def test_a_loan_of_one_connection_reaches_no_other_of_the_same_lender():
    connector = personal()
    rows = (lent(when="connection.id == 'work'"), f"p, user:{AMY}, main, self, c/*, write, , allow")
    door = Door("\n".join(rows), [connector])
    door.connect(connector, AMY, "work", label="Work")
    door.connect(connector, AMY, "private", label="Private")
    assert await used(door, connector) == (f"user:{AMY}", "work")
    assert await door.handle(BOB, naming("work")) != {}
    foreign = await refused(door, BOB, naming("private"))
    missing = await refused(door, BOB, naming("missing"))
    assert foreign.text.replace("private", "missing") == missing.text
    assert "private" not in connector.named
    door.disconnect(connector, "work")
    assert await door.tools(BOB) == []
    assert isinstance(await refused(door, BOB, call("tools/call", name="c__t")), Unknown)


async def test_conditions_ask_of_the_connection_of_every_access_of_the_chain():
    connector = personal()
    works = "connection.account == 'acme' and connection.status == 'active'"
    labelled = lent(when="connection.label == 'Acme'")
    door = Door(f"{labelled}\np, user:{AMY}, main, self, c/*, write, {works}, allow", [connector])
    door.connect(connector, AMY, "one", label="Acme", account="acme")
    assert await used(door, connector) == (f"user:{AMY}", "one")
    asked = door.last.asked
    assert asked is not None
    assert asked.connection == {"id": "one", "account": "acme", "label": "Acme", "status": "active"}
    door.disconnect(connector, "one")
    door.connect(connector, AMY, "two", label="Acme", account="other")
    assert await door.tools(BOB) == []


# -- several


async def test_of_several_of_ones_own_one_has_to_be_named_and_then_it_serves():
    connector = personal()
    door = Door(OWN, [connector])
    door.connect(connector, BOB, "one", label="Work")
    door.connect(connector, BOB, "three", label="Home")
    told = text_of(await door.use(BOB, "c__t"))
    assert "one (`Work`), three (`Home`)" in told
    assert (door.last.outcome, door.last.allowed) == ("not_connected", True)
    assert connector.opened == []
    for id in ("one", "three"):
        await door.handle(BOB, naming(id))
        assert (connector.named[-1], door.last.connection) == (id, id)


async def test_the_only_one_of_several_with_which_this_call_is_allowed_serves_unnamed():
    connector = personal()
    rows = OWN.replace("write, ,", "write, connection.label == 'Work' or args.n == 1,")
    door = Door(rows, [connector])
    door.connect(connector, BOB, "one", label="Work")
    door.connect(connector, BOB, "three", label="Home")
    assert await used(door, connector, n=2) == (f"user:{BOB}", "one")
    assert "several connections" in text_of(await door.use(BOB, "c__t", n=1))


async def test_of_several_those_are_named_with_which_this_very_call_is_allowed():
    connector = personal()
    door = Door(OWN.replace("write, ,", "write, connection.label != 'Home' or args.n == 1,"), [connector])
    for id, label in (("a", "Work"), ("bb", "Team"), ("ccc", "Home")):
        door.connect(connector, BOB, id, label=label)
    assert text_of(await door.use(BOB, "c__t", n=2)).partition(" (reference")[0].endswith("a (`Work`), bb (`Team`)")
    assert "ccc (`Home`)" in text_of(await door.use(BOB, "c__t", n=1))


async def test_a_lenders_private_connections_are_not_named_to_the_borrower():
    connector = personal()
    rows = (
        lent(when="connection.label in ['Work', 'Team']"),
        f"p, user:{AMY}, main, self, c/*, write, , allow",
    )
    door = Door("\n".join(rows), [connector])
    for id, label in (("w", "Work"), ("te", "Team"), ("pri", "Private")):
        door.connect(connector, AMY, id, label=label)
    told = text_of(await door.use(BOB, "c__t"))
    assert "w (`Work`), te (`Team`)" in told
    assert "pri" not in told.lower()


# -- named ones


@pytest.mark.parametrize("era", Era)
async def test_a_connection_that_is_not_his_answers_like_one_that_does_not_exist(era: Era):
    connector = personal()
    door = Door(OWN, [connector])
    door.connect(connector, AMY, "amys")
    door.connect(connector, BOB, "bobs")
    texts = set()
    for id in ("amys", "nobodys"):
        refusal = await refused(door, BOB, naming(id))
        texts.add((type(refusal), refusal.code, refusal.status, refusal.text.replace(id, "ID")))
        assert (door.last.outcome, door.last.object) == ("unknown", "c/t")
    assert texts == {(UnknownConnection, -32602, 200, "unknown connection: `ID`")}
    assert connector.opened == []


async def test_whoever_may_not_see_a_tool_learns_nothing_by_naming_connections():
    connector = personal()
    door = Door(f"p, user:{AMY}, main, self, c/*, write, , allow", [connector])
    door.connect(connector, AMY, "amys")
    assert {(await refused(door, BOB, naming(id))).text for id in ("", "amys", "x")} == {"unknown tool: `c__t`"}


async def test_a_named_connection_of_ones_own_is_judged_as_itself():
    connector = personal()
    rows = OWN.replace("write, ,", "write, connection.label == 'Work',")
    door = Door(rows, [connector])
    door.connect(connector, BOB, "one", label="Work")
    door.connect(connector, BOB, "three", label="Home")
    assert (await door.handle(BOB, naming("three")))["isError"] is True
    assert (door.last.outcome, door.last.connection) == ("denied", "three")
    assert connector.opened == []


async def test_the_operators_connection_can_be_named_where_he_lends_it():
    connector = personal(lenders=("", SYSTEM), credentials={"operators": SYSTEM})
    door = Door(f"{OWN}\n{OPERATORS}", [connector])
    door.connect(connector, BOB, "bobs")
    await door.handle(BOB, naming("operators"))
    assert (connector.opened[-1][1], connector.named[-1]) == (SYSTEM, "operators")
    door.connect(connector, SYSTEM, "beside")
    await door.handle(BOB, naming("operators"))
    assert connector.named[-1] == "operators", "also where he has connected another account"
    door.apply(OWN)
    assert isinstance(await refused(door, BOB, naming("operators")), Unknown)


# -- what else keeps the account


async def test_prompts_and_resources_and_completion_are_on_the_named_connection():
    connector = personal(prompt("p", "x"), resource("c://r"))
    door = Door("p, user:*, main, self, c/*, read, , allow", [connector])
    door.connect(connector, BOB, "one")
    door.connect(connector, BOB, "three")
    for method, params in (
        ("prompts/get", {"name": "c__p"}),
        ("resources/read", {"uri": "c://r"}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "c__p"}, "argument": {"name": "x", "value": ""}},
        ),
    ):
        asked = call(method, **params)
        await door.handle(BOB, naming("three", asked))
        assert connector.named[-1] == "three", method
    await door.handle(BOB, asked)
    assert connector.named[-1] == "one", "completion changes nothing, so the one made first helps"


async def test_a_subscription_is_released_on_the_connection_that_it_was_made_with():
    connector = personal(resource("c://r"))
    door = Door("p, user:*, main, self, c/*, read, , allow", [connector])
    door.connect(connector, BOB, "one")
    door.connect(connector, BOB, "three")
    asked = call("resources/subscribe", uri="c://r")
    await door.handle(BOB, naming("three", asked))
    await door.pipeline.release(door.person(BOB), MAIN, ["c://r"])
    assert [sent.method for sent in connector.sent] == ["resources/subscribe", "resources/unsubscribe"]
    assert connector.named == ["three", "three"]


async def test_who_listens_to_a_resource_of_several_connections_is_not_promised_it():
    connector = personal(resource("c://r"))
    door = Door("p, user:*, main, self, c/*, read, , allow", [connector])
    door.connect(connector, BOB, "one")
    wish = {"resourceSubscriptions": ["c://r"]}
    asked = call("subscriptions/listen", era=Era.MODERN, notifications=wish)
    assert await door.handle(BOB, asked) == wish
    door.connect(connector, BOB, "three")
    assert await door.handle(BOB, asked) == {"resourceSubscriptions": []}
    assert await door.handle(BOB, naming("x", asked)) == {"resourceSubscriptions": []}


async def test_on_another_server_the_lender_is_still_asked_about_in_main():
    connector = personal()
    rows = (lent().replace("main", "side"), f"p, user:{AMY}, side, self, c/*, write, , allow")
    door = Door("\n".join(rows), [connector], servers=[Server("side", ("c",))])
    door.connect(connector, AMY, "amys")
    assert await door.tools(BOB, domain="side") == []
    door.apply("\n".join((rows[0], rows[1].replace("side", "main"))))
    assert await door.tools(BOB, domain="side") == ["c__t"]
    assert await door.tools(BOB) == []


# -- laws

OWNERS = ("user:a@x.org", "user:b@x.org", "user:c@x.org", SYSTEM)
CONDITIONS = ("", "args.n == 1", "connection.label == 'Work'", "connection.id == '1'", "args.n == 9")
ROWS = st.lists(
    st.tuples(
        st.sampled_from(OWNERS[:3]),
        st.sampled_from(("self", *OWNERS)),
        st.sampled_from(("c/t", "c/u", "c/*", "d/*")),
        st.sampled_from(("read", "write")),
        st.sampled_from(CONDITIONS),
        st.sampled_from(("allow", "allow", "allow", "deny")),
    ),
    max_size=8,
)
HELD = st.dictionaries(st.sampled_from("12345"), st.tuples(st.sampled_from(OWNERS), st.sampled_from(("Work", "Home"))))


class Records:
    def __init__(self, held: Mapping[str, tuple[str, str]]):
        self._held = held

    def of(self, owner: str, connector: str):
        return [Kept(id, label) for id, (whose, label) in sorted(self._held.items()) if whose == owner]


class Kept:
    account, status, connected_at = "", "active", 0

    def __init__(self, id: str, label: str):
        self.id, self.label = id, label


@given(ROWS, HELD, st.sampled_from(("", *"12345", "none")), st.sampled_from((1, 2)))
def test_no_account_serves_but_his_own_and_those_that_the_policy_lends_him(rows, held, named, n):
    """Whatever the rows and the connections are: what serves is asked of the policy, and of its very owner too."""
    text = "\n".join(f"p, {sub}, main, {own}, {obj}, {act}, {when}, {eft}" for sub, own, obj, act, when, eft in rows)
    connector = FakeConnector(
        "c",
        [tool("t", schema=FIVE)],
        personal=True,
        lenders=("", SYSTEM),
        credentials={i: o for i, (o, _) in held.items()},
    )
    judge = Judge(policy(text), Subject(OWNERS[0]), MAIN, {"now": NOON}, Records(held))
    offer = offer_of(connector)
    serving = judge.serving(offer, named)
    assert len({each.owner for each in serving}) <= 1
    assert bool(serving) or named, "somebody always serves who was not named"
    for account in serving:
        mine = account.owner == OWNERS[0]
        possible = judge.possible(offer, account)
        assert mine or possible or not judge.visible(offer)
        assert not account.id or held[account.id][0] == account.owner
        assert not named or account.id == named
        chain = judge.chain(offer, account, {"n": n})
        assert [access.subject for access in chain] == [
            OWNERS[0],
            *(() if mine or account.owner == SYSTEM else (account.owner,)),
        ]
        if judge.policy.decide(chain).allowed:
            assert possible
    best = [each for each in judge.accounts(connector) if judge.possible(offer, each)]
    if best and not named:
        first = next((each for each in best if each.held), best[0])
        assert {each.owner for each in serving} == {first.owner}
        assert list(serving) == [each for each in best if each.owner == first.owner and each.held == first.held]


def offer_of(connector: FakeConnector):
    catalogue = connector._catalogue(connector.offered)
    return merge([(connector, catalogue)], prefixed=True).listed[Kind.TOOL][0]


def test_a_connector_that_needs_no_connection_offers_what_it_says_and_one_that_does_lists_them_in_their_order():
    free = FakeConnector("c", lenders=("", SYSTEM))
    assert not needs_one(free)
    assert [each.owner for each in accounts_of(free, "user:a", None, Records({}))] == ["user:a", SYSTEM]
    bound = FakeConnector("c", lenders=(SYSTEM,), personal=True)
    held = {"2": ("user:b", "x"), "1": ("user:b", "y"), "3": (SYSTEM, "z")}
    found = accounts_of(bound, "user:a", ["user:b"], Records(held))
    assert [(each.owner, each.id) for each in found] == [("user:b", "1"), ("user:b", "2"), (SYSTEM, "3")]


async def test_the_refusal_of_several_is_one_of_a_missing_connection():
    connector = personal(prompt("p"))
    door = Door("p, user:*, main, self, c/*, read, , allow", [connector])
    door.connect(connector, BOB, "one")
    door.connect(connector, BOB, "three")
    refusal = await refused(door, BOB, call("prompts/get", name="c__p"))
    assert isinstance(refusal, NotConnected)
    assert refusal.connector == "", "connecting another one would not help"
