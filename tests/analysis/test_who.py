"""Who can, and what one can: exactly what the table of rights says."""

from hypothesis import given, settings

from gateway.analysis.cells import Cells
from gateway.analysis.inventory import Inventory, Thing
from gateway.analysis.parties import Parties
from gateway.analysis.rights import told
from gateway.analysis.who import Who
from gateway.policy.terms import MAIN, Subject, Tool
from tests.analysis.brute import inventory, known_groups, table, worlds
from tests.policy.builders import ALICE, BOB, NOW, policy

SEND = Thing("chat/send", "write", Tool("chat", "send", destructive=False))
CHAT = Inventory((Subject(ALICE), Subject(BOB)), {MAIN: (SEND,), "s1": (SEND,)})


@given(worlds(), known_groups())
@settings(max_examples=40, deadline=None)
def test_both_tell_exactly_the_cells_in_which_some_call_is_allowed(world, groups):
    things, snapshot = inventory(*groups), world.policy()
    who, cells, parties = Who(snapshot, things, NOW), Cells.of(things, [snapshot]), Parties(things, [snapshot])
    asked = {cell: any(outcomes) for cell, (outcomes,) in table([world], things, parties, cells)}
    allowed = {cell for cell, yes in asked.items() if yes}
    by_thing = {
        (party, *question)
        for question in {cell[1:] for cell in asked}
        for domain, owner, object, action in [question]
        for holder in who.can(object, action, domain=domain, owner=owner)
        for party in holder.parties
        if party != owner
    }
    assert by_thing == allowed
    by_name = {
        (name, each.domain, each.owner, each.object, each.action)
        for name in parties
        for domain in cells.domains
        for each in who.may(name, domain=domain)
    }
    assert by_name == allowed


def test_conditions_are_told_as_conditions_with_the_rows_they_stand_in():
    who = Who(
        policy(
            "p, user:alice@example.com, main, self, chat/*, write, args.to == 'x', allow\n"
            "p, *, *, *, chat/send, write, args.urgent, deny\n"
        ),
        CHAT,
        NOW,
    )
    (holder,) = who.can("chat/send", "write", domain=MAIN)
    assert holder.parties == {ALICE}
    assert told(holder.right) == "if args.to == 'x' unless args.urgent"
    assert [rule.place.line for rule in holder.rules] == [1, 2]
    assert who.can("chat/send", "write", domain="s1") == []
    (ability,) = who.may(ALICE, domain=MAIN)
    assert (ability.object, ability.action, ability.owner) == ("chat/send", "write", "self")
    assert ability.right == holder.right
    assert who.may(BOB, domain=MAIN) == []


def test_somebody_is_not_told_when_no_call_of_his_could_be_allowed():
    who = Who(
        policy(
            "p, user:*, main, self, chat/send, write, args.n > 5, allow\n"
            "p, user:bob@example.com, *, *, chat/send, write, args.n > 1, deny\n"
        ),
        CHAT,
        NOW,
    )
    assert [holder.parties for holder in who.can("chat/send", "write", domain=MAIN)] == [{ALICE, "user:*"}]
    assert who.may(BOB, domain=MAIN) == []


def test_a_loan_needs_a_lender_who_may_himself():
    rows = "p, user:bob@example.com, main, user:alice@example.com, chat/*, write, , allow\n"
    own = "p, user:alice@example.com, main, self, chat/*, write, , allow\n"
    for text, borrowers in ((rows, []), (rows + own, [{BOB}])):
        found = Who(policy(text), CHAT, NOW).can("chat/send", "write", domain=MAIN, owner=ALICE)
        assert [holder.parties - {ALICE} for holder in found if holder.parties - {ALICE}] == borrowers
    nobody = Who(policy(rows), CHAT, NOW).can("chat/send", "write", domain=MAIN, owner="user:zoe@example.com")
    assert nobody == []


def test_who_is_known_can_be_asked_about():
    who = Who(policy("p, role:user, main, self, chat/*, write, , allow"), CHAT, NOW)
    assert who.domains == (MAIN, "s1")
    assert who.knows(ALICE)
    assert who.knows("role:user")
    assert not who.knows("user:zoe@example.com")
    assert [each.object for each in who.may("role:user", domain=MAIN)] == ["chat/send"]


def test_somebody_new_in_a_role_has_one_link_less_to_go():
    roles = "".join(f"g, role:d{n}, role:d{n + 1}, *\n" for n in range(1, 10))
    who = Who(policy(roles + "p, role:d10, main, self, chat/send, write, , allow\n"), CHAT, NOW)
    assert who.may("role:d1", domain=MAIN) == []
    assert [each.object for each in who.may("role:d2", domain=MAIN)] == ["chat/send"]


def test_unknown_groups_count_against_whoever_has_them():
    things = Inventory((Subject(ALICE, groups=None), Subject(BOB)), CHAT.things)
    rows = "p, user:*, main, self, chat/send, write, , allow\np, group:g/one, *, *, chat/send, write, , deny\n"
    who = Who(policy(rows + "g, group:g/two, role:a, *\np, role:a, main, self, chat, connect, , allow\n"), things, NOW)
    assert not any(ALICE in holder.parties for holder in who.can("chat/send", "write", domain=MAIN))
    assert who.may(ALICE, domain=MAIN) == []
    assert who.may(BOB, domain=MAIN) != []


def test_those_who_may_the_same_by_the_same_rows_are_told_once():
    rows = "p, user:*, main, self, chat/send, write, , allow\np, user:bob@example.com, s1, user:alice@example.com, chat/*, read, , allow\n"
    (holder,) = Who(policy(rows), CHAT, NOW).can("chat/send", "write", domain=MAIN)
    assert {ALICE, BOB, "user:*"} == holder.parties
