"""What a policy answers, told row by row."""

from importlib import metadata

import pytest

from gateway.policy.engine import Policy, refuse_the_dead_package
from gateway.policy.limits import DEFAULT_LIMIT
from gateway.policy.terms import MAIN, SYSTEM, Access, Context, Effect, Link, Place, Reason, Rule, Subject, Tool
from tests.policy.builders import ALICE, BOB, NOW, access, allowed, bundle, context, policy, unknown_arguments

END = "end:srv-1/42"


def test_an_allow_gives_the_lower_steps_of_its_ladder_and_no_other():
    use = policy(f"p, {ALICE}, main, self, custom/*, write, , allow")
    assert [allowed(use, access("custom/x", each)) for each in ("read", "write")] == [True, True]
    assert not any(
        allowed(use, access("custom/x", each)) for each in ("inspect", "revoke", "manage", "share", "connect")
    )
    administration = policy(f"p, {ALICE}, main, self, custom/*, revoke, , allow")
    assert [allowed(administration, access("custom/x", each)) for each in ("inspect", "revoke")] == [True, True]
    assert not any(allowed(administration, access("custom/x", each)) for each in ("manage", "read", "write", "share"))


def test_a_deny_takes_the_higher_steps_of_its_ladder_and_no_other():
    everything = (
        f"p, {ALICE}, main, self, custom/*, write, , allow\np, {ALICE}, main, self, custom/*, manage, , allow\n"
    )
    write = policy(everything + "p, *, *, *, custom/*, write, , deny")
    assert [allowed(write, access("custom/x", each)) for each in ("read", "write", "manage")] == [True, False, True]
    read = policy(everything + "p, *, *, *, custom/*, read, , deny")
    assert [allowed(read, access("custom/x", each)) for each in ("read", "write", "manage")] == [False, False, True]
    revoke = policy(everything + "p, *, *, *, custom/*, revoke, , deny")
    assert [allowed(revoke, access("custom/x", each)) for each in ("inspect", "revoke", "write")] == [True, False, True]
    all_actions = policy(everything + "p, *, *, *, custom/*, *, , deny")
    assert not any(allowed(all_actions, access("custom/x", each)) for each in ("read", "inspect", "manage"))


def test_a_bare_star_reaches_administration_in_a_deny_only():
    everywhere = policy(f"p, {ALICE}, main, self, *, manage, , allow")
    assert allowed(everywhere, access("custom/x", "manage"))
    assert not allowed(everywhere, access("gateway/keys", "manage"))
    assert not allowed(everywhere, access("gateway", "manage"))
    named = f"p, {ALICE}, main, self, gateway/*, manage, , allow\n"
    assert allowed(policy(named), access("gateway/keys", "manage"))
    assert not allowed(policy(named + f"p, {ALICE}, *, *, *, *, , deny"), access("gateway/keys", "manage"))


def test_a_pattern_covers_what_begins_with_it():
    found = policy(
        f"p, {ALICE}, main, self, slack/*, read, , allow\np, {ALICE}, main, self, git/resource:*, read, , allow"
    )
    assert allowed(found, access("slack/x"))
    assert allowed(found, access("slack/prompt:x"))
    assert not allowed(found, access("slack-admin/x"))
    assert allowed(found, access("git/resource:x"))
    assert not allowed(found, access("git/x"))


def test_an_owner_is_self_one_subject_system_or_anyone():
    rows = "p, {0}, main, self, own/*, read, , allow\np, {0}, main, {1}, lent/*, read, , allow\np, {0}, main, system, op/*, read, , allow"
    found = policy(rows.format(ALICE, BOB) + f"\np, {ALICE}, main, *, gateway/audit, inspect, , allow")
    assert [allowed(found, access("own/x", owner=each)) for each in (ALICE, BOB, SYSTEM)] == [True, False, False]
    assert [allowed(found, access("lent/x", owner=each)) for each in (ALICE, BOB, SYSTEM)] == [False, True, False]
    assert [allowed(found, access("op/x", owner=each)) for each in (ALICE, BOB, SYSTEM)] == [False, False, True]
    assert all(allowed(found, access("gateway/audit", "inspect", owner=each)) for each in (ALICE, BOB, SYSTEM))
    assert not allowed(found, access("own/x", owner="self"))


def test_roles_hold_in_their_domain_or_everywhere():
    rows = "p, role:a, *, self, slack/*, read, , allow\n"
    there = policy(rows + f"g, {ALICE}, role:a, srv-1")
    assert [allowed(there, access("slack/x", domain=each)) for each in ("srv-1", MAIN)] == [True, False]
    everywhere = policy(rows + f"g, {ALICE}, role:a, *")
    assert all(allowed(everywhere, access("slack/x", domain=each)) for each in ("srv-1", MAIN))
    mixed = policy(rows + f"g, {ALICE}, role:b, srv-1\ng, role:b, role:a, *")
    assert [allowed(mixed, access("slack/x", domain=each)) for each in ("srv-1", MAIN)] == [True, False]


def test_a_role_is_nine_links_away_at_most_as_in_casbin():
    links = [f"g, {ALICE}, role:r1, *", *(f"g, role:r{n}, role:r{n + 1}, *" for n in range(1, 12))]
    for hops, expected in ((9, True), (10, False)):
        assert (
            allowed(policy(f"p, role:r{hops}, main, self, a/*, read, , allow\n" + "\n".join(links)), access("a/x"))
            is expected
        )


def test_roles_may_go_in_circles():
    circle = policy(
        f"p, role:b, main, self, a/*, read, , allow\ng, {ALICE}, role:a, *\ng, role:a, role:b, *\ng, role:b, role:a, *"
    )
    assert allowed(circle, access("a/x"))
    assert circle.roles_of(ALICE, MAIN) == {"a", "b"}


def test_crowds_cover_users_or_the_end_users_of_one_server():
    users = policy("p, user:*, main, self, a/*, read, , allow")
    assert [allowed(users, access("a/x", subject=each)) for each in (ALICE, END, "server:s")] == [True, False, False]
    ends = policy("p, end:srv-1/*, main, self, a/*, read, , allow")
    assert [allowed(ends, access("a/x", subject=each)) for each in (END, "end:srv-2/42", ALICE)] == [True, False, False]
    everybody = policy("p, *, main, self, a/*, read, , allow")
    assert all(allowed(everybody, access("a/x", subject=each)) for each in (ALICE, END, "server:s"))


@pytest.mark.parametrize(
    "name",
    [
        "role:admin",
        "group:corp/a",
        "*",
        "",
        "user:",
        "end:srv-1/",
        "user:*",
        "end:srv-1/*",
        "server:*",
        "client:x",
        "admin",
    ],
)
def test_who_is_not_a_verified_subject_gets_nothing_not_even_his_own_row(name):
    rows = (Rule(name, MAIN, "*", "a/*", "inspect", "", Effect.ALLOW, Place("grant:1")),)
    found = policy("", grants=rows)
    decision = found.decide((access("a/x", "inspect", subject=name),))
    assert (decision.allowed, decision.reason) == (False, Reason.FAULT)
    assert not found.possible((access("a/x", "inspect", subject=name),))


GROUPS = "p, group:corp/eng, main, self, a/*, read, , allow\np, role:in, main, self, b/*, read, , allow\ng, group:corp/eng, role:in, *\n"


def test_groups_and_their_roles_count():
    found = policy(GROUPS)
    eng = context(groups=frozenset({"group:corp/eng"}))
    assert [allowed(found, access(each, ctx=eng)) for each in ("a/x", "b/x")] == [True, True]
    assert not any(allowed(found, access(each)) for each in ("a/x", "b/x"))


def test_a_group_is_never_taken_for_a_role_or_a_user():
    found = policy("p, role:admin, main, self, a/*, read, , allow\n" + f"p, {BOB}, main, self, b/*, read, , allow")
    forged = context(groups=frozenset({"role:admin", BOB, "user:*"}))
    assert not any(allowed(found, access(each, ctx=forged)) for each in ("a/x", "b/x"))


def test_unknown_groups_close_allows_and_keep_denies():
    unknown = context(groups=None)
    assert not any(allowed(policy(GROUPS), access(each, ctx=unknown)) for each in ("a/x", "b/x"))
    base = f"p, {ALICE}, main, self, a/*, read, , allow\n"
    by_group = policy(base + "p, group:corp/intern, *, *, a/*, read, , deny")
    by_role = policy(base + "p, role:intern, *, *, a/*, read, , deny\ng, group:corp/intern, role:intern, main")
    for found in (by_group, by_role):
        assert not allowed(found, access("a/x", ctx=unknown))
        assert allowed(found, access("a/x"))
        assert not found.possible((access("a/x", ctx=Context(args=None, groups=None, env={"now": NOW})),))
    other_role = policy(base + "p, role:intern, *, *, a/*, read, , deny\ng, role:x, role:intern, main")
    assert allowed(other_role, access("a/x", ctx=unknown))


def expiring(effect: Effect) -> Rule:
    return Rule(ALICE, MAIN, "self", "a/*", "read", "", effect, Place("grant:1"), expires=NOW)


def test_a_row_counts_until_it_expires():
    found = policy("", grants=(expiring(Effect.ALLOW),))
    assert allowed(found, access("a/x", ctx=context(now=NOW - 1)))
    assert not allowed(found, access("a/x", ctx=context(now=NOW)))
    denied = policy(f"p, {ALICE}, main, self, a/*, read, , allow", grants=(expiring(Effect.DENY),))
    assert not allowed(denied, access("a/x", ctx=context(now=NOW - 1)))
    assert allowed(denied, access("a/x", ctx=context(now=NOW)))


@pytest.mark.parametrize("now", [None, "soon", True])
def test_without_a_time_expiring_allows_are_off_and_expiring_denies_on(now):
    assert not allowed(policy("", grants=(expiring(Effect.ALLOW),)), access("a/x", ctx=context(now=now)))
    allow = f"p, {ALICE}, main, self, a/*, read, , allow\n"
    assert not allowed(policy(allow, grants=(expiring(Effect.DENY),)), access("a/x", ctx=context(now=now)))
    link = Link(ALICE, "role:r", MAIN, Place("grant:1"), expires=NOW)
    assert not allowed(
        policy("p, role:r, main, self, a/*, read, , allow", grants=(link,)), access("a/x", ctx=context(now=now))
    )
    assert not allowed(
        policy(allow + "p, role:r, *, *, a/*, read, , deny", grants=(link,)), access("a/x", ctx=context(now=now))
    )


def test_a_role_ends_when_its_link_expires_whatever_was_asked_before():
    links = [Link(ALICE, f"role:r{n}", MAIN, Place(f"grant:{n}"), expires=NOW + n) for n in (1, 2)]
    rows = "p, role:r1, main, self, a/*, read, , allow\np, role:r2, main, self, b/*, read, , allow"
    found = policy(rows, grants=tuple(links))
    for now in (NOW + 2, NOW, NOW + 1, NOW + 2, NOW):
        answers = [allowed(found, access(each, ctx=context(now=now))) for each in ("a/x", "b/x")]
        assert answers == [now < NOW + 1, now < NOW + 2]
    assert found.roles_of(ALICE, MAIN, NOW + 1) == {"r2"}
    assert found.roles_of(ALICE, MAIN) == frozenset()


def test_the_floor_stands_under_every_policy():
    rows = "p, *, *, *, gateway/*, manage, , allow"
    found = policy(rows)
    assert allowed(found, access("gateway/keys", "manage"))
    cases = {
        "builtin:1": access("gateway/keys", "manage", domain="srv-1"),
        "builtin:2": access("gateway/keys", "inspect", subject="server:srv-1"),
        "builtin:3": access("gateway/keys", "inspect", subject=END),
    }
    for place, asked in cases.items():
        decision = found.decide((asked,))
        assert (decision.reason, str(decision.rule.place)) == (Reason.DENIED, place)
    share = Rule(ALICE, MAIN, "self", "gateway/keys", "share", "", Effect.ALLOW, Place("grant:1"))
    decision = found.with_grants((share,), "1.1").decide((access("gateway/keys", "share"),))
    assert str(decision.rule.place) == "builtin:4"


def test_conditions_fail_closed_for_both_effects():
    allow = policy(f"p, {ALICE}, main, self, a/*, read, args.n > 1, allow")
    assert [allowed(allow, access("a/x", ctx=context(n=each))) for each in (2, 1, "2", None)] == [
        True,
        False,
        False,
        False,
    ]
    deny = policy(f"p, {ALICE}, main, self, a/*, read, , allow\np, *, *, *, a/*, read, args.n > 1, deny")
    assert [allowed(deny, access("a/x", ctx=context(n=each))) for each in (2, 1, "2", None)] == [
        False,
        True,
        False,
        False,
    ]


def test_the_deciding_rule_is_the_first_deny_or_the_first_allow():
    rows = f"p, {ALICE}, main, self, a/x, read, , allow\np, *, main, self, a/*, read, , allow\n"
    decision = policy(rows).decide((access("a/x"),))
    assert (decision.reason, str(decision.rule.place), decision.version) == (
        Reason.ALLOWED,
        "policies/rules.csv:1",
        "1.0",
    )
    denies = rows + "p, *, *, *, a/*, read, , deny\n" + "p, *, *, *, a/x, read, , deny\n"
    decision = policy(denies).decide((access("a/x"),))
    assert (decision.reason, str(decision.rule.place)) == (Reason.DENIED, "policies/rules.csv:3")
    decision = policy(rows).decide((access("b/x"),))
    assert (decision.reason, decision.rule, decision.access) == (Reason.NO_RULE, None, access("b/x"))
    spoken = policy(rows).decide((access("a/x", "write"),))
    assert (spoken.reason, spoken.rule) == (Reason.NO_RULE, None)


def test_a_fault_while_deciding_is_a_denial_and_tells_no_argument():
    class Broken(dict):
        def get(self, key, default=None):
            raise RuntimeError("secret-value")

    told = []
    found = Policy.build(bundle(f"p, {ALICE}, main, self, a/*, read, , allow"), (), "1.0", told.append)
    asked = access("a/x", ctx=Context(env=Broken()))
    decision = found.decide((asked,))
    assert (decision.allowed, decision.reason, decision.access) == (False, Reason.FAULT, asked)
    assert not found.with_grants((), "1.1").possible((asked,))
    assert found.explain(asked).decision.reason is Reason.FAULT
    assert len(told) == 3
    assert all(each.startswith("RuntimeError at ") and "secret-value" not in each for each in told)


def test_a_report_that_fails_changes_nothing():
    def broken(_: str) -> None:
        raise OSError

    assert Policy.build(bundle(""), (), "1.0", broken).decide(()).reason is Reason.FAULT


def test_an_empty_chain_is_a_denial():
    assert policy("").decide(()).reason is Reason.FAULT
    assert not policy("").possible(())


LOAN = (
    f"p, {BOB}, main, {ALICE}, slack/*, read, , allow\n"
    f"p, {ALICE}, main, self, slack/*, read, args.channel == 'a', allow\n"
)


def loan(channel: str) -> tuple[Access, Access]:
    ctx = context(channel=channel)
    return access("slack/x", subject=BOB, owner=ALICE, ctx=ctx), access("slack/x", subject=ALICE, ctx=ctx)


def test_a_loan_needs_borrower_and_lender_on_the_same_arguments():
    assert allowed(policy(LOAN), *loan("a"))
    refused = policy(LOAN).decide(loan("b"))
    assert (refused.allowed, refused.access.subject) == (False, ALICE)


def test_when_the_lender_loses_a_tool_every_loan_of_it_is_dead_at_once():
    dead = policy(LOAN + f"p, {ALICE}, main, self, slack/x, read, , deny")
    assert allowed(dead, loan("a")[0])
    assert not allowed(dead, *loan("a"))


def test_a_loan_is_not_lent_on():
    carol = "user:carol@example.com"
    found = policy(LOAN + f"p, {carol}, main, {BOB}, slack/*, read, , allow")
    ctx = context(channel="a")
    chain = (access("slack/x", subject=carol, owner=BOB, ctx=ctx), access("slack/x", subject=BOB, ctx=ctx))
    assert allowed(found, chain[0])
    assert not allowed(found, *chain)


def test_a_server_never_gives_more_than_its_owner_has():
    rows = f"p, user:*, srv-1, self, slack/*, write, , allow\np, {ALICE}, main, self, slack/*, read, , allow"
    chain = [
        (access("slack/x", each, subject=BOB, domain="srv-1"), access("slack/x", each, subject=ALICE))
        for each in ("read", "write")
    ]
    assert [allowed(policy(rows), *each) for each in chain] == [True, False]


def test_the_first_refusal_of_a_chain_decides():
    first, second = access("a/x", subject=BOB), access("b/x", subject=ALICE)
    assert policy("").decide((first, second)).access == first


def test_without_a_bundle_everything_is_denied_grants_included():
    grant = Rule(ALICE, MAIN, "self", "a/*", "read", "", Effect.ALLOW, Place("grant:1"))
    none = Policy.build(None, (grant,), "0.0")
    decision = none.decide((access("a/x"),))
    assert (decision.allowed, decision.reason, decision.version) == (False, Reason.NO_POLICY, "0.0")
    assert not none.possible((access("a/x", ctx=unknown_arguments()),))
    assert not none.possible_below((access("a/", ctx=unknown_arguments()),))
    assert none.explain(access("a/x")).spoke == ()
    assert none.rate_class(Subject(ALICE), MAIN, {}) == "default"
    assert none.limits.default == DEFAULT_LIMIT
    assert none.readable == frozenset()
    assert none.with_grants((grant,), "0.1").decide((access("a/x"),)).reason is Reason.NO_POLICY


def test_what_an_audit_entry_may_show_is_what_conditions_read_but_no_secret():
    rows = (
        "# @secret args.card.number\n# @secret args.token\n"
        "p, *, main, self, a/*, read, args.channel == 'x' and claims.amr == 'mfa' and args.to.name == 'y', allow\n"
        "p, *, main, self, a/*, read, has(args.card) and args.token.id == 1 and args.cards == 'x', allow\n"
        "p, *, main, self, a/*, read, args['dotted.key'] == 1, allow\n"
    )
    grant = Rule(ALICE, MAIN, "self", "a/*", "read", "args.late == 1", Effect.ALLOW, Place("grant:1"))
    assert policy(rows, grants=(grant,)).readable == {"channel", "to.name", "cards", "late"}


def test_the_dead_casbin_package_stops_the_start():
    with pytest.raises(ImportError, match="pycasbin"):
        refuse_the_dead_package(lambda _: "1.43.0")

    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    refuse_the_dead_package(absent)


def test_a_question_is_not_logged_with_its_arguments(caplog):
    caplog.set_level(0)
    found = policy(f"p, {ALICE}, main, self, a/*, read, , allow")
    found.decide((access("a/x", ctx=context(password="hunter2")),))
    found.decide((access("b/x", ctx=context(password="hunter2")),))
    found.decide((access("a/x", "write", ctx=context(password="hunter2")),))
    assert caplog.records == []


def test_conditions_see_the_tool_and_the_owner():
    rows = "p, *, *, *, *, write, tool.destructive, deny\n" + f"p, {ALICE}, main, self, a/*, write, , allow\n"
    assert allowed(policy(rows), access("a/x", "write"))
    assert not allowed(policy(rows), access("a/x", "write", ctx=context(tool=Tool())))
    helpdesk = policy(
        f"p, {ALICE}, main, *, gateway/users, manage, , allow\np, *, *, *, gateway/*, manage, some(owner.roles, it == 'admin'), deny"
    )
    for roles, expected in (((), True), (("admin",), False)):
        assert (
            allowed(helpdesk, access("gateway/users", "manage", owner=BOB, ctx=context(owner_roles=roles))) is expected
        )


def test_roles_of_an_owner_that_nobody_looked_up_are_unknown():
    rows = f"p, {ALICE}, main, *, gateway/users, manage, not some(owner.roles, it == 'security'), allow"
    env = {"now": NOW, "offset": 0, "address": ""}
    asked = access("gateway/users", "manage", owner=BOB, ctx=Context(env=env))
    assert not allowed(policy(rows), asked)
    assert allowed(policy(rows), access("gateway/users", "manage", owner=BOB, ctx=Context(env=env, owner_roles=())))
    for condition in ("owner.roles == null", "has(owner.roles)", "not has(owner.roles)"):
        assert not allowed(policy(rows.replace("not some(owner.roles, it == 'security')", condition)), asked)
