"""The plan: exactly the change of effective rights, grouped by whom it concerns."""

import pytest
from hypothesis import given, settings

from gateway.analysis.cells import Cells
from gateway.analysis.inventory import Inventory, Thing
from gateway.analysis.parties import Parties
from gateway.analysis.plan import plan
from gateway.analysis.plan.groups import Kind
from gateway.analysis.rights import told
from gateway.policy.engine import grant_rows
from gateway.policy.meaning import context_of, permits
from gateway.policy.terms import MAIN, Effect, Place, Rule, Subject, Tool
from gateway.records import Grant
from tests.analysis.brute import inventory, known_groups, pairs, table, worlds
from tests.policy.builders import ALICE, BOB, NOW, policy

MIRRORED = {Kind.WIDENED: Kind.NARROWED, Kind.NARROWED: Kind.WIDENED, Kind.CHANGED: Kind.CHANGED}
DAY = 86_400_000

SEND = Thing("chat/send", "write", Tool("chat", "send", destructive=False))
READ = Thing("chat/read", "read", Tool("chat", "read", destructive=False))
WIPE = Thing("chat/wipe", "write", Tool("chat", "wipe"))
CHAT = Inventory((Subject(ALICE), Subject(BOB)), {MAIN: (SEND, READ, WIPE), "s1": (SEND, READ)})


def cells_of(found):
    """Every changed cell with the kind of its change; no cell is told twice."""
    cells = {}
    for group in found.groups:
        for domain, points in group.cells.items():
            for object, action in points:
                for party in group.parties:
                    cell = (party, domain, group.owner, object, action)
                    assert cell not in cells
                    cells[cell] = group.kind
    assert len(cells) == sum(found.cells.values())
    return cells


def expected(worlds_, things):
    policies = [world.policy() for world in worlds_]
    cells, parties = Cells.of(things, policies), Parties(things, policies)
    changed = {}
    for cell, (old, new) in table(worlds_, things, parties, cells):
        outcomes = set(zip(old, new, strict=True))
        widened, narrowed = (False, True) in outcomes, (True, False) in outcomes
        if widened or narrowed:
            changed[cell] = Kind.CHANGED if widened and narrowed else Kind.WIDENED if widened else Kind.NARROWED
    return changed


@given(pairs(), known_groups())
@settings(max_examples=60, deadline=None)
def test_a_plan_is_the_difference_of_the_two_tables_of_rights(both, groups):
    things = inventory(*groups)
    old, new = (world.policy() for world in both)
    assert cells_of(plan(old, new, things, NOW)) == expected(both, things)


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_the_way_back_is_the_plan_in_the_mirror(both):
    old, new = (world.policy() for world in both)
    there, back = (cells_of(plan(*each, inventory(), NOW)) for each in ((old, new), (new, old)))
    assert back == {cell: MIRRORED[kind] for cell, kind in there.items()}


@given(worlds())
@settings(max_examples=30, deadline=None)
def test_between_a_policy_and_itself_nothing_changes(world):
    found = plan(world.policy("1.0"), world._replace(rules=world.rules[::-1]).policy("2.0"), inventory(), NOW)
    assert (found.groups, found.notes, found.old, found.new) == ((), (), "1.0", "2.0")


@given(pairs())
@settings(max_examples=40, deadline=None)
def test_every_witness_shows_what_it_is_shown_for(both):
    for group in plan(*(world.policy() for world in both), inventory(), NOW).groups:
        for witness, without, within in (
            (group.difference.widened, group.old, group.new),
            (group.difference.narrowed, group.new, group.old),
        ):
            if witness is not None:
                assert permits(within, context_of(witness))
                assert not permits(without, context_of(witness))


FAST = '[[class]]\nname = "fast"\ncalls = 5\nwindow_s = 1\n'
ROLE = "p, role:support, {}, self, chat/*, {}, {}, allow\n"
GIVEN = "g, user:alice@example.com, role:support, *\ng, user:bob@example.com, role:support, *\n"


def changed(before: str, after: str, things: Inventory = CHAT, limits: str = ""):
    return plan(policy(before, limits), policy(after, limits), things, NOW)


def test_those_who_gain_the_same_are_one_group_whatever_else_they_have():
    more = GIVEN + "p, user:bob@example.com, s1, self, chat/read, read, , allow\n"
    (group,) = changed(more, more + ROLE.format(MAIN, "read", "")).groups
    assert (group.kind, group.known, group.strangers) == (Kind.WIDENED, [ALICE, BOB], ["role:support"])
    assert group.cells == {MAIN: (("chat/read", "read"),)}
    assert (told(group.old), told(group.new), group.through) == ("no", "yes", {"role:support"})
    assert [str(row.place) for row in group.because] == ["policies/rules.csv:4"]
    assert group.size == 3


def test_who_had_it_already_is_not_concerned():
    had = GIVEN + "p, user:bob@example.com, *, self, chat/*, write, , allow\n"
    (group,) = changed(had, had + ROLE.format("*", "read", "")).groups
    assert group.known == [ALICE]


def test_a_given_role_is_named_as_the_reason_with_its_way():
    rows = ROLE.format(MAIN, "read", "") + "g, role:lead, role:support, *\n"
    found = changed(rows, rows + "g, user:alice@example.com, role:lead, main\n")
    (group,) = found.groups
    assert group.parties == {ALICE}
    assert [str(row.place) for row in group.because] == ["policies/rules.csv:3"]
    assert found.users == {ALICE}
    assert found.users_widened == {ALICE}


def test_a_condition_that_means_the_same_changes_nothing():
    one = GIVEN + ROLE.format(MAIN, "write", "args.n >= 1 and args.n <= 9")
    other = GIVEN + ROLE.format(MAIN, "write", "not (args.n > 9 or args.n < 1)")
    assert changed(one, other).groups == ()


def test_a_condition_is_widened_narrowed_or_changed_with_a_witness():
    def group(before: str, after: str):
        rows = GIVEN + "p, role:support, main, self, chat/send, write, {}, allow\n"
        (found,) = changed(rows.format(before), rows.format(after)).groups
        return found.kind, found.difference.widened, found.difference.narrowed

    kind, wider, narrower = group("args.n == 1", "args.n in [1, 2]")
    assert (kind, wider, narrower) == (Kind.WIDENED, {"args": {"n": 2}}, None)
    assert group("args.n in [1, 2]", "args.n == 1")[0] is Kind.NARROWED
    kind, wider, narrower = group("args.n == 1", "args.n == 2")
    assert (kind, wider, narrower) == (Kind.CHANGED, {"args": {"n": 2}}, {"args": {"n": 1}})


def test_what_takes_too_long_to_compare_is_undecided_and_counts_as_widened():
    parts = [f"(args.a{n} == 1 or args.b{n} == 2 or args.c{n} == 3)" for n in range(12)]
    before, after = (
        " and ".join(parts),
        " and ".join([*parts[:-1], "(args.c11 == 3 or args.b11 == 2 or not args.a11 != 1)"]),
    )
    rows = "p, user:alice@example.com, main, self, chat/send, write, {}, allow\n"
    found = changed(rows.format(before), rows.format(after))
    assert found.cells[Kind.UNDECIDED] == found.widened == 1
    assert found.narrowed == 0


def test_a_row_that_ends_gives_its_rights_until_then():
    row = "# @expires 2030-01-31\np, user:alice@example.com, main, self, chat/send, write, , allow\n"
    (new,) = changed("", row).groups
    assert told(new.new) == "if until 2030-01-31 00:00"
    (longer,) = changed(row, row.replace("2030", "2031")).groups
    assert (longer.kind, longer.difference.widened["env"]["now"]) == (Kind.WIDENED, 1_896_048_000_000)
    gone = row.replace("2030", "2020")
    assert changed("", gone).groups == ()


def test_a_role_that_ends_gives_its_rights_until_then_by_the_way_that_lasts_longest():
    rows = ROLE.format(MAIN, "read", "") + "g, role:lead, role:support, *\n"
    short = rows + "# @expires 2030-01-31\ng, user:alice@example.com, role:support, *\n"
    long = short + "# @expires 2030-02-28\ng, user:alice@example.com, role:lead, *\n"
    (group,) = changed(short, long).groups
    assert (group.parties, told(group.old)) == ({ALICE}, "if until 2030-01-31 00:00")
    assert told(group.new) == "if until 2030-02-28 00:00"
    assert group.difference.widened["env"]["now"] == 1_896_048_000_000


def test_what_a_lender_loses_is_lost_by_whoever_borrows_it_on_every_server():
    lent = "p, user:bob@example.com, s1, user:alice@example.com, chat/read, read, , allow\n"
    own = "p, user:alice@example.com, main, self, chat/*, read, , allow\n"
    found = changed(lent + own, lent)
    borrowed = next(group for group in found.groups if group.owner == ALICE)
    assert (borrowed.kind, borrowed.parties, dict(borrowed.cells)) == (
        Kind.NARROWED,
        {BOB},
        {"s1": (("chat/read", "read"),)},
    )
    assert borrowed.through == {ALICE}
    assert [str(row.place) for row in borrowed.because] == ["policies/rules.csv:2"]


def test_a_lender_is_absent_so_that_his_claims_never_help():
    lent = "p, user:bob@example.com, main, user:alice@example.com, chat/read, read, , allow\n"
    own = "p, user:alice@example.com, main, self, chat/read, read, {}, allow\n"
    assert [each.owner for each in changed(lent, lent + own.format("claims.mfa")).groups] == ["self"]
    owners = {each.owner for each in changed(lent, lent + own.format("not has(claims.mfa) and args.n == 1")).groups}
    assert owners == {"self", ALICE}


def test_the_facts_of_a_tool_settle_what_a_condition_asks_of_it():
    rows = "p, user:alice@example.com, main, self, chat/*, write, , allow\n"
    (group,) = changed(rows, rows + "p, *, *, *, *, write, tool.destructive, deny\n").groups
    assert (group.cells, told(group.new)) == ({MAIN: (("chat/wipe", "write"),)}, "no")


def test_strangers_are_told_apart_from_the_known():
    found = changed("", "p, user:*, main, self, chat/read, read, , allow\n")
    (group,) = found.groups
    assert group.known == [ALICE, BOB]
    assert "user:*" in group.strangers
    (group,) = changed("", "p, group:corp/x, main, self, chat/read, read, , allow\n").groups
    assert (group.known, group.strangers) == ([], ["group:corp/x"])
    (group,) = changed("", "p, end:s1/*, s1, self, chat/read, read, , allow\n").groups
    assert group.strangers == ["end:s1/*"]


def test_administration_connecting_rates_and_acting_for_others_are_rights_too():
    rows = (
        "p, user:alice@example.com, main, *, gateway/users, manage, args.x == 1, allow\n"
        "p, user:alice@example.com, main, self, chat, connect, , allow\n"
        "p, user:alice@example.com, s1, self, *, rate:fast, , allow\n"
        "p, user:alice@example.com, main, *, gateway/end-users, act-as, , allow\n"
    )
    cells = cells_of(changed("", rows, limits=FAST))
    assert cells[ALICE, MAIN, "*", "gateway/users", "inspect"] is Kind.WIDENED
    assert (ALICE, MAIN, "self", "chat", "connect") in cells
    assert (ALICE, "s1", "self", "chat", "connect") not in cells
    assert (ALICE, "s1", "self", "*", "rate:fast") in cells
    assert (ALICE, MAIN, "system", "gateway/end-users", "act-as") in cells


def test_names_below_a_template_are_told_as_rows_tell_them_apart():
    template = Thing("files/resource:file:///", "read", Tool("files", "file:///{path}", "template", destructive=False))
    things = Inventory((Subject(ALICE),), {MAIN: (template,)})
    rows = "p, user:alice@example.com, main, self, files/*, read, , allow\n"
    secret = "p, *, *, *, files/resource:file:///secret/*, read, , deny\n"
    (group,) = changed(rows, rows + secret, things).groups
    assert group.cells == {MAIN: (("files/resource:file:///secret/*", "read"),)}
    (group,) = changed("", rows, things).groups
    assert group.cells[MAIN][0] == ("files/resource:file:///", "read")
    assert ("files/resource:file:///*", "read") in group.cells[MAIN]


def test_grants_are_rows_like_others():
    base = policy(GIVEN)
    grant = Grant(id="g1", kind="share", row=(ALICE, MAIN, "self", "chat/read", "read", "", "allow"), made_by=BOB)
    (group,) = plan(base, base.with_grants([grant_rows(grant)], "2"), CHAT, NOW).groups
    assert [str(row.place) for row in group.because] == ["grant:g1"]


def test_limits_and_rows_that_concern_nothing_known_are_notes():
    before, after = (
        FAST,
        FAST.replace("5", "6") + '[[object]]\nmatch = "chat/send"\ncalls = 1\nwindow_s = 60\nclass = "fast"\n',
    )
    row = "p, user:alice@example.com, main, self, nowhere/*, read, , allow\n"
    assert plan(policy("", before), policy(row, after), CHAT, NOW).notes == (
        "limit of the class `fast`: 5 calls in 1 s before, 6 calls in 1 s now",
        "limit on `chat/send` for the class `fast`: none before, 1 calls in 60 s now",
        "policies/rules.csv:1: `read` of `nowhere/*` in `main` concerns nothing that is known here",
    )


def test_the_most_important_groups_come_first_and_progress_is_told():
    seen = []
    before = "p, user:alice@example.com, main, self, chat/send, write, , allow\n"
    after = "p, user:alice@example.com, main, self, chat/read, read, , allow\n"
    found = plan(policy(before), policy(after), CHAT, NOW, lambda done, of: seen.append((done, of)))
    assert [group.kind for group in found.groups] == [Kind.WIDENED, Kind.NARROWED]
    assert list(dict.fromkeys(seen)) == [(0, 2), (1, 2), (2, 2)]


def test_progress_is_told_on_the_way_through_one_server_too_so_that_who_is_told_can_end_it():
    rows = "".join(f"p, user:u{n}@example.com, main, self, chat/read, read, , allow\n" for n in range(1_000))
    told = []

    def soon_enough(done, of):
        told.append((done, of))
        if len(told) == 4:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        plan(policy(""), policy(rows), CHAT, NOW, soon_enough)
    assert set(told) == {(0, 2)}


def test_many_who_are_named_one_by_one_are_still_one_group():
    users = [f"user:u{n}@example.com" for n in range(40)]
    rows = "".join(f"p, {user}, main, self, chat/read, read, , allow\n" for user in users)
    found = changed("", rows, Inventory(tuple(map(Subject, users)), {MAIN: (READ,)}))
    (group,) = found.groups
    assert (len(group.known), len(group.because)) == (40, 40)


def test_a_rule_made_by_hand_counts_as_well():
    rule = Rule("*", "*", "*", "*", "*", "", Effect.DENY, Place("grant:x"))
    base = policy(GIVEN + ROLE.format(MAIN, "read", ""))
    found = plan(base, base.with_grants([rule], "2"), CHAT, NOW)
    assert {group.kind for group in found.groups} == {Kind.NARROWED}
    assert found.widened == 0


def test_a_role_is_reached_over_nine_links_and_no_more():
    roles = "".join(f"g, role:d{n}, role:d{n + 1}, *\n" for n in range(1, 10))
    rows = roles + "g, user:alice@example.com, role:d1, *\ng, user:bob@example.com, role:d2, *\n"
    (group,) = changed(rows, rows + "p, role:d10, main, self, chat/read, read, , allow\n").groups
    assert group.known == [BOB]
    assert group.strangers == sorted(f"role:d{n}" for n in range(2, 11))


def test_whose_groups_are_unknown_loses_by_any_and_gains_by_none():
    known = (
        Subject(ALICE, groups=None),
        Subject(BOB, groups=frozenset(("group:g/one",))),
        Subject("user:eve@example.com"),
    )
    things = Inventory(known, {MAIN: (READ,)})
    (gains,) = changed("", "p, group:g/one, main, self, chat/read, read, , allow\n", things).groups
    assert gains.known == [BOB]
    everybody = "p, user:*, main, self, chat/read, read, , allow\n"
    (loses,) = changed(everybody, everybody + "p, group:g/one, *, *, chat/read, read, , deny\n", things).groups
    assert loses.known == [ALICE, BOB]
    (given,) = changed(everybody[:-6] + "deny\n", everybody + "p, group:g/two, *, *, *, read, , deny\n", things).groups
    assert given.known == [BOB, "user:eve@example.com"]


def test_a_deny_through_a_group_that_may_be_his_counts_when_he_alone_is_looked_at():
    things = Inventory((Subject(ALICE, groups=None), Subject(BOB)), {MAIN: (READ,)})
    denied = "p, group:g/one, *, *, chat/read, read, , deny\n"
    row = "p, {}, main, self, chat/read, read, , allow\n"
    assert changed(denied, denied + row.format(ALICE), things).groups == ()
    (group,) = changed(denied, denied + row.format(BOB), things).groups
    assert group.known == [BOB]


def test_of_two_things_that_one_row_lends_only_that_counts_which_the_lender_has():
    own = "p, user:alice@example.com, main, self, chat/read, read, , allow\n"
    (group,) = changed(
        own, own + "p, user:bob@example.com, main, user:alice@example.com, chat/*, write, , allow\n"
    ).groups
    assert group.cells == {MAIN: (("chat/read", "read"),)}


def test_things_of_one_row_are_told_apart_by_what_their_schemas_admit():
    def thing(name: str, kind: str) -> Thing:
        return Thing(f"chat/{name}", "read", SEND.tool, {"type": "object", "properties": {"n": {"type": kind}}})

    things = Inventory((Subject(ALICE),), {MAIN: (thing("counts", "integer"), thing("tells", "string"))})
    (group,) = changed("", "p, user:alice@example.com, main, self, chat/*, read, args.n > 5, allow\n", things).groups
    assert group.cells == {MAIN: (("chat/counts", "read"),)}
