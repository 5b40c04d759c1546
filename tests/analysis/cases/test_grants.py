"""A grant is checked before it is written: only what must never be and what it can touch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.analysis.cases import broken_by
from gateway.analysis.cases import grants as cases_grants
from gateway.analysis.inventory import Inventory
from gateway.policy.terms import SYSTEM, Effect, Link, Place, Rule, Subject
from tests.analysis.cases.world import CONDITIONS, END, GROUPS, ROLES, SERVER, cases, results, worlds
from tests.policy.builders import ALICE, BOB, NOW, policy

ROWS = """
p, role:contractor, *, self, git/*, write, , allow
p, role:finance, main, self, stripe/*, write, , allow
p, role:clerk, main, user:root@example.com, stripe/*, read, , allow
g, user:eve@example.com, role:contractor, *
g, user:root@example.com, role:finance, *
g, role:clerk, role:helper, *
"""
NEVER = "tools:\n  stripe/refund: write\nnever:\n  - {who: role:contractor, do: write, on: stripe/*}\n"
EVE, ROOT = "user:eve@example.com", "user:root@example.com"
GRANT = Place("grant:1")


def row(subject: str, object: str = "stripe/*", *, owner: str = "self", action: str = "write", when: str = "") -> Rule:
    return Rule(subject, "main", owner, object, action, when, Effect.ALLOW, GRANT)


def broken(grant: Rule | Link, rows: str = "", inventory: Inventory | None = None) -> list[str]:
    return [
        str(each) for each in broken_by(policy(ROWS + rows), cases(NEVER), inventory or Inventory(), grant, now=NOW)
    ]


def test_a_grant_to_somebody_whom_the_rule_is_about_breaks_it():
    (found,) = broken(row(EVE, when="args.n > 1"))
    assert found.startswith(f"{EVE} write stripe/…: expected never, got some call is allowed, through grant:1 ")
    assert broken(row(EVE, "stripe/refund"))
    assert broken(row(EVE, "*"))


@pytest.mark.parametrize(
    "grant",
    [
        row(ROOT),
        row(EVE, "git/*"),
        row(EVE, action="read"),
        row(EVE, action="share", object="custom/*"),
        row(EVE, when="args.n > 1 and args.n < 1"),
        row("user:new@example.com"),
        row("group:corp/A"),
        row(EVE, owner=BOB),
        Rule(EVE, "*", "*", "stripe/*", "write", "", Effect.DENY, GRANT),
        Link(EVE, "role:clerk", "*", GRANT),
        Link(BOB, "role:contractor", "*", GRANT),
        Link("role:clerk", "role:contractor", "*", GRANT),
    ],
    ids=str,
)
def test_other_grants_do_not(grant):
    assert broken(grant) == []


def test_a_role_given_can_break_it_either_way():
    assert broken(Link(EVE, "role:finance", "*", GRANT))
    assert broken(Link(EVE, "role:finance", "git", GRANT)) == []
    assert broken(Link(ROOT, "role:contractor", "*", GRANT))
    assert broken(Link("role:contractor", "role:finance", "*", GRANT))[0].startswith(f"role:contractor, {EVE} write")
    assert broken(
        Link("user:a@b.example", "role:both", "*", GRANT),
        "g, role:both, role:contractor, *\ng, role:both, role:finance, *\n",
    )


def test_a_grant_to_a_role_a_group_or_everybody_concerns_everybody():
    assert broken(row("role:contractor"))[0].startswith(f"role:contractor, {EVE} write stripe/…: ")
    assert broken(row("user:*"))
    live = Inventory((Subject(EVE, groups=frozenset({"group:corp/A"})),))
    assert broken(row("group:corp/A"), inventory=live)
    assert broken(row(EVE, when="args.n > 5"), inventory=live)
    assert broken(Link("group:corp/A", "role:finance", "*", GRANT), inventory=live)


def test_a_loan_breaks_it_when_the_lender_may_himself():
    assert broken(row(EVE, owner=ROOT))
    assert broken(row(EVE, owner=SYSTEM))


def test_a_lender_who_is_given_more_can_break_it_for_those_who_borrow():
    lent = f"p, {EVE}, main, {BOB}, stripe/*, write, , allow\n"
    assert broken(row(BOB), lent)[0].startswith(f"{EVE} write stripe/… of {BOB}: ")
    assert broken(Link(BOB, "role:finance", "*", GRANT), lent)
    by_role = f"p, role:contractor, main, {BOB}, stripe/*, write, , allow\n"
    assert broken(row(BOB), by_role)[0].startswith(f"role:contractor, {EVE} write stripe/… of {BOB}: ")


def test_what_is_broken_already_is_not_the_fault_of_another_grant():
    before = f"p, {EVE}, main, self, stripe/refund, write, , allow\n"
    assert broken(Link(EVE, "role:helper", "*", GRANT), before) == []
    assert broken(row(ROOT), before) == []
    assert broken(row("role:helper", "git/*"), before) == []


def test_a_lender_whom_the_grant_does_not_concern_lends_nothing():
    never = cases(NEVER.replace("do: write", f"do: write, owner: {ROOT}"))
    assert broken_by(policy(ROWS), never, Inventory(), row(EVE), now=NOW) == ()
    assert broken_by(policy(ROWS), never, Inventory(), row(EVE, owner=ROOT), now=NOW)


def test_without_anything_that_must_never_be_nothing_is_broken():
    assert broken_by(policy(ROWS), cases("tools:\n  a/x: read\n"), Inventory(), row(EVE), now=NOW) == ()


def test_beyond_so_many_borrowers_everybody_is_looked_at(monkeypatch):
    lent = f"p, {EVE}, main, {BOB}, stripe/*, write, , allow\n"
    monkeypatch.setattr(cases_grants, "PEOPLE", 0)
    assert broken(row(BOB), lent)[0].startswith(f"{EVE} write stripe/… of {BOB}: ")


# -- the same as looking at everything before and after

PEOPLE = (ALICE, BOB, END, SERVER)
GRANTS = st.one_of(
    st.builds(
        Rule,
        subject=st.sampled_from((*PEOPLE, *PEOPLE, *ROLES, *GROUPS, "*", "user:*")),
        domain=st.sampled_from(("main", "s1", "*")),
        owner=st.sampled_from(("self", "self", SYSTEM, ALICE, BOB)),
        object=st.sampled_from(("a/x", "a/*", "*", "b/x")),
        action=st.sampled_from(("read", "write")),
        when=st.sampled_from(("", *CONDITIONS)),
        effect=st.sampled_from((Effect.ALLOW, Effect.ALLOW, Effect.DENY)),
        place=st.just(Place("grant:2")),
        expires=st.sampled_from((None, NOW + 1)),
    ),
    st.builds(
        Link,
        member=st.sampled_from((*PEOPLE, *PEOPLE, *ROLES, *GROUPS)),
        role=st.sampled_from(ROLES),
        domain=st.sampled_from(("main", "s1", "*")),
        place=st.just(Place("grant:2")),
        expires=st.sampled_from((None, NOW + 1)),
    ),
)
WHOM = (ALICE, BOB, END, *ROLES, "group:g/one", "*")


@given(
    worlds(), GRANTS, st.sampled_from(WHOM), st.sampled_from(("read", "write")), st.sampled_from(("a/x", "a/*", "*"))
)
def test_a_grant_breaks_exactly_what_is_whole_before_and_broken_after(world, grant, whom, action, object):
    made = "subjects:\n" + "".join(f"  {name}: {{}}\n" for name in PEOPLE)
    text = f"{made}  user:all@example.com: {{roles: [a, b, c], groups: [g/one]}}\nnever:\n  - {{who: '{whom}', do: {action}, on: '{object}'}}\n"
    live = Inventory((Subject(ALICE, groups=frozenset({"group:g/one"})), Subject(BOB), Subject(END)))
    asked = cases(text)
    grants = (*world.rules[4 + len(world.bundle.rules) :], *world.links[len(world.bundle.links) :])
    if results(world, text, live).passed:
        after = results(world.with_grants((*grants, grant), ""), text, live)
        assert bool(broken_by(world, asked, live, grant, now=NOW)) is not after.passed
    else:
        already = world.with_grants((*grants, grant), "")
        assert broken_by(already, asked, live, grant, now=NOW) == ()
