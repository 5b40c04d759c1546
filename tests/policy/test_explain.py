"""Why a question got its answer."""

from gateway.policy.terms import Effect, Link, Place, Reason, Rule
from tests.policy.builders import ALICE, BOB, NOW, access, context, policy

ROWS = (
    "p, role:support, main, self, slack/send, write, args.to in ['#a'], allow\n"
    "p, *, *, *, slack/*, write, args.text == 'x', deny\n"
    f"g, {ALICE}, role:junior, *\ng, role:junior, role:support, main\n"
)


def test_every_row_that_spoke_is_told_with_its_outcome_and_role_path():
    found = policy(ROWS).explain(access("slack/send", "write", ctx=context(to="#a", text="y")))
    assert found.decision.allowed
    assert found.nearest is None
    assert [(each.rule.place.line, each.outcome, each.applies) for each in found.spoke] == [
        (2, False, False),
        (1, True, True),
    ]
    assert found.spoke[1].path == (ALICE, "role:junior", "role:support")


def test_an_unknown_part_is_told_as_unknown():
    found = policy(ROWS).explain(access("slack/send", "write", ctx=context(to="#a")))
    assert not found.decision.allowed
    assert [(each.outcome, each.applies) for each in found.spoke] == [(None, True), (True, True)]
    assert found.nearest is None


def test_a_path_may_begin_at_a_group():
    rows = "p, role:a, main, self, x/*, read, , allow\ng, group:corp/a, role:a, *"
    found = policy(rows).explain(access("x/y", ctx=context(groups=frozenset({"group:corp/a"}))))
    assert found.spoke[0].path == ("group:corp/a", "role:a")
    assert policy("p, user:*, main, self, x/*, read, , allow").explain(access("x/y")).spoke[0].path == ()


def nearest(rows: str, *grants, **asked):
    found = policy(rows, grants=grants).explain(access("x/y", **asked))
    assert not found.decision.allowed
    return found.nearest and (found.nearest.part, found.nearest.sentence)


def test_for_a_no_the_nearest_allow_is_told_with_the_part_that_failed():
    row = "p, {0}, {1}, {2}, x/*, {3}, {4}, allow"
    assert nearest(row.format("role:a", "main", "self", "read", "")) == (
        "subject",
        f"`{ALICE}` is not `role:a` in `main`",
    )
    assert nearest(row.format(ALICE, "srv-1", "self", "read", "")) == ("domain", "the rule is for the domain `srv-1`")
    assert nearest(row.format(ALICE, "main", BOB, "read", "")) == ("owner", f"the rule is for what `{BOB}` owns")
    assert nearest(row.format(ALICE, "main", "self", "read", ""), action="write") == (
        "action",
        "the rule allows `read` only",
    )
    assert nearest(row.format(ALICE, "main", "self", "read", "args.a == 1")) == (
        "condition",
        "the condition `args.a == 1` is not met",
    )
    expired = Rule(ALICE, "main", "self", "x/*", "read", "", Effect.ALLOW, Place("grant:1"), expires=NOW)
    assert nearest("", expired) == ("expires", "the rule has expired")


def test_the_row_with_most_matching_parts_is_the_nearest():
    rows = (
        "p, role:a, srv-1, self, x/*, read, , allow\n"
        "p, role:a, main, self, x/*, read, , allow\n"
        f"p, {ALICE}, main, self, x/*, read, args.a == 1, allow\n"
        f"p, {ALICE}, main, self, z/*, read, , allow\n"
    )
    found = policy(rows).explain(access("x/y"))
    assert (found.nearest.rule.place.line, found.nearest.part) == (3, "condition")


def test_rows_about_other_things_are_never_near():
    assert nearest(f"p, {ALICE}, main, self, z/*, read, , allow\np, {ALICE}, main, self, *, revoke, , allow") is None
    assert nearest("p, *, *, *, x/*, read, args.a == 1, deny", ctx=context(a=2)) is None


def test_a_denied_question_names_the_deny():
    found = policy(f"p, {ALICE}, main, self, x/*, read, , allow\np, *, *, *, x/*, read, , deny").explain(access("x/y"))
    assert (found.decision.reason, found.decision.rule.place.line) == (Reason.DENIED, 2)
    assert found.nearest is None


def test_an_expired_link_is_no_path():
    link = Link(ALICE, "role:a", "main", Place("grant:1"), expires=NOW)
    found = policy("p, role:a, main, self, x/*, read, , allow", grants=(link,))
    assert found.explain(access("x/y", ctx=context(now=NOW - 1))).spoke[0].path == (ALICE, "role:a")
    assert found.explain(access("x/y", ctx=context(now=NOW))).nearest.part == "subject"
    assert found.explain(access("x/y", ctx=context(now=None))).nearest.part == "subject"


def test_two_ways_to_a_role_give_a_shortest_one():
    rows = f"p, role:c, main, self, x/*, read, , allow\ng, {ALICE}, role:a, *\ng, role:a, role:b, *\ng, role:b, role:c, *\ng, role:a, role:c, *\ng, role:b, role:a, *"
    assert policy(rows).explain(access("x/y")).spoke[0].path == (ALICE, "role:a", "role:c")
