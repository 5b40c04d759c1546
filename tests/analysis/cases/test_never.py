"""What must never be, and exact lists: broken exactly when some call, by somebody, somewhere, is allowed."""

from collections.abc import Iterator
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from gateway.analysis.cases.facts import VALUES, variants
from gateway.analysis.cases.never import narrower
from gateway.analysis.inventory import Inventory, Thing
from gateway.policy.conditions import parse
from gateway.policy.engine import Policy
from gateway.policy.model import obj_match
from gateway.policy.terms import SYSTEM, Access, Context, Effect, Subject, Tool
from tests.analysis.cases.world import (
    END,
    GROUPS,
    HOLDERS,
    IN_GROUP,
    ROLES,
    SERVER,
    calls,
    everybody,
    groups_of,
    one,
    peopled,
    told,
    worlds,
)
from tests.policy.builders import ALICE, BOB, NOW, policy

NEVER = "tools:\n  stripe/refund: write\nnever:\n  - {who: role:contractor, do: write, on: stripe/*}\n"
ROWS = """
p, role:finance, main, self, stripe/refund, write, args.amount > 0 and args.amount <= 100 and claims.mfa, allow
p, role:contractor, *, self, git/*, write, hours(env.now, '08:00', '18:00'), allow
"""


def broken(rows: str, never: str = NEVER, inventory: Inventory | None = None, now: int = NOW) -> list[str]:
    return told(ROWS + rows, never, inventory, now)


# -- what breaks it


def test_what_no_row_allows_never_is():
    assert broken("") == []


def test_who_has_both_roles_is_found_with_the_call_that_shows_it():
    elsewhere = "g, user:eve@example.com, role:finance, *\ng, user:eve@example.com, role:contractor, git\n"
    assert not broken(elsewhere)  # the row of finance is for main alone
    (found,) = broken("g, user:eve@example.com, role:finance, *\ng, user:eve@example.com, role:contractor, *\n")
    assert found == (
        "user:eve@example.com write stripe/refund: expected never, got some call is allowed, through policies/rules.csv:2 "
        "`p, role:finance, main, self, stripe/refund, write, args.amount > 0 and args.amount <= 100 and claims.mfa, allow`"
        ', such as with {"args": {"amount": 100}, "claims": {"mfa": true}}'
    )


def test_a_stranger_with_the_role_counts_though_nobody_has_it():
    (found,) = broken("p, role:contractor, shop, self, *, write, , allow")
    assert found.startswith("role:contractor write stripe/… in shop: expected never")
    assert broken("p, user:*, shop, self, stripe/new, write, , allow")


def test_a_condition_that_is_open_counts_whatever_it_asks():
    for condition in (
        "claims.x == 1",
        "hours(env.now, '02:00', '03:00')",
        "client.id == 'a'",
        "cidr(env.address, '10.0.0.0/8')",
    ):
        assert broken(f"p, role:contractor, main, self, stripe/*, write, {condition}, allow"), condition
    assert not broken("p, role:contractor, main, self, stripe/*, write, args.n > 1 and args.n < 1, allow")
    both = "p, role:contractor, main, self, stripe/*, write, args.n > %s, allow\np, *, *, *, *, write, args.n > 5, deny"
    assert not broken(both % 5)
    assert broken(both % 4)


def test_facts_that_nobody_knows_count_and_facts_that_are_known_do_too():
    row = "p, role:contractor, main, self, stripe/%s, write, %s, allow\np, *, *, *, *, write, tool.destructive, deny"
    assert broken(row % ("*", ""))
    assert broken(row % ("other", ""))
    assert not broken(row % ("refund", "tool.destructive"))
    assert broken(row % ("*", "some(tool.tags, it in ['a', 'b'])"))
    assert not broken(row % ("refund", "some(tool.tags, it == 'a')"))
    (found,) = broken(row % ("refund", "tool.via == 'custom/mine'"))
    assert found.endswith('such as with {"tool.via": "custom/mine"}')
    assert broken(row % ("*", "tool.name == 'refund'"))
    assert not broken(row % ("*", "tool.name == 'other'"))
    inventory = Inventory(
        things={"main": (Thing("stripe/other", "write", Tool("stripe", "other", destructive=False)),)}
    )
    assert broken(row % ("*", "tool.name == 'other'"), inventory=inventory)


def test_the_schema_of_a_known_tool_counts():
    never = NEVER.replace("write\n", "{level: write, schema: {properties: {n: {enum: [1]}}}}\n", 1).replace(
        "*", "refund"
    )
    assert not broken("p, role:contractor, main, self, stripe/refund, write, args.n == 2, allow", never)
    assert broken("p, role:contractor, main, self, stripe/refund, write, args.n == 1, allow", never)


def test_a_loan_counts_when_the_lender_may_himself():
    loan = "p, role:contractor, main, user:ann@example.com, stripe/*, write, , allow\n"
    assert not broken(loan)
    (found,) = broken(loan + "p, user:ann@example.com, main, self, stripe/refund, write, args.n == 1, allow\n")
    assert found.startswith("role:contractor write stripe/refund of user:ann@example.com: expected never")
    mine = NEVER.replace("do: write", "do: write, owner: self")
    assert not broken(loan + "p, user:ann@example.com, main, self, stripe/*, write, , allow\n", mine)
    anns = NEVER.replace("do: write", "do: write, owner: user:ann@example.com")
    assert broken(loan + "p, user:ann@example.com, main, self, stripe/*, write, , allow\n", anns)
    systems = "p, role:contractor, main, system, stripe/refund, write, , allow"
    assert broken(systems)
    assert not broken(systems, mine)


def test_time_counts_from_the_run_on():
    row = "# @expires 2030-01-31\np, role:contractor, main, self, stripe/refund, write, , allow\n"
    assert broken(row)
    assert not broken(row, now=2_000_000_000_000)
    held = "p, role:contractor, main, self, stripe/refund, write, , allow\n%sp, *, *, *, stripe/*, write, , deny\n"
    assert not broken(held % "")
    assert broken(held % "# @expires 2030-01-31\n")


def test_who_may_be_in_a_group_counts_as_denied_through_it():
    never = "tools:\n  a/x: read\nnever:\n  - {who: user:eve@example.com, do: read, on: a/x}\n"
    rows = "p, user:eve@example.com, main, self, a/x, read, , allow\np, group:corp/A, *, *, a/x, read, , deny\n"
    assert broken(rows, never, Inventory((Subject("user:eve@example.com"),)))
    assert not broken(rows, never, Inventory((Subject("user:eve@example.com", groups=None),)))


def test_only_the_domains_that_are_named_count():
    row = "p, role:contractor, shop, self, stripe/*, write, , allow"
    assert broken(row)
    assert not broken(row, NEVER.replace("do: write", "do: write, in: [main, git]"))
    everywhere = broken("p, role:contractor, *, self, stripe/*, write, , allow")
    assert {each.partition(": ")[0] for each in everywhere} == {
        *("role:contractor write stripe/…", "role:contractor write stripe/refund"),
        "role:contractor write stripe/… in …",
    }


def test_a_role_given_in_one_place_is_found_there():
    rows = "p, role:b, *, self, stripe/*, write, , allow\ng, user:eve@example.com, role:b, shop\ng, user:eve@example.com, role:contractor, *\n"
    assert [each.partition(": ")[0] for each in broken(rows)] == ["user:eve@example.com write stripe/… in shop"]


def test_administration_and_what_stands_beside_the_ladders_count():
    rows = """
p, role:desk, main, *, gateway/users, manage, not some(owner.roles, it == 'admin'), allow
p, role:desk, main, self, *, connect, , allow
p, role:desk, main, self, *, revoke, , allow
p, role:desk, *, self, *, rate:fast, , allow
p, role:desk, main, self, custom/*, share, args.days > 5, allow
"""
    limits = "[[class]]\nname = 'fast'\ncalls = 600\nwindow_s = 60"

    def asked(action: str, object: str, who: str = "role:desk") -> list[str]:
        return told(
            policy(rows, limits), f"tools:\n  a/x: read\nnever:\n  - {{who: {who}, do: '{action}', on: '{object}'}}\n"
        )

    manages = {each.partition(": ")[0] for each in asked("manage", "gateway/*")}
    owners = ("", " of system", " of anybody else")
    assert manages == {f"role:desk manage gateway/users{owner}" for owner in owners}
    asked_all = (
        ("connect", "a"),
        ("connect", "*"),
        ("revoke", "*"),
        ("rate:fast", "*"),
        ("share", "custom/*"),
        ("share", "*"),
    )
    for action, object in (*asked_all, ("inspect", "gateway/users")):
        assert asked(action, object), action
    for action, object in (
        ("manage", "a"),
        ("manage", "gateway/policy"),
        ("revoke", "gateway/audit"),
        ("share", "a/x"),
        ("read", "*"),
    ):
        assert not asked(action, object), action


def test_names_that_nobody_knows_could_break_nothing_and_so_fail():
    assert broken("", "never:\n  - {who: role:contracter, do: write, on: stripe/*}\n") == [
        "nobody knows `role:contracter`; declare it under `subjects`, or write `user:*` for a stranger"
    ]
    assert "nobody knows `stirpe/*`" in broken("", "never:\n  - {who: '*', do: write, on: stirpe/*}\n")[0]


def test_what_takes_too_long_to_find_out_counts_as_allowed():
    one_of = " and ".join(f"(args.a{n} == 1 or args.b{n} == 1)" for n in range(12))
    both = " or ".join(f"(args.a{n} == 2 and args.b{n} == 2)" for n in range(12))
    (found,) = broken(f"p, role:contractor, main, self, stripe/refund, write, {one_of} and ({both}), allow")
    assert found.endswith("; it takes too long to find out more, so it counts as allowed")


def test_a_crowd_of_names_is_told_short():
    links = "".join(f"g, user:u{n}@example.com, role:contractor, *\n" for n in range(5))
    found, *_ = broken(links + "p, role:contractor, shop, self, stripe/*, write, , allow\n")
    assert found.startswith(
        "role:contractor, user:u0@example.com, user:u1@example.com and 3 more write stripe/… in shop: "
    )


# -- parts


def test_the_narrower_of_two_objects_is_what_both_cover():
    objects = ("*", "a/*", "a/x", "a/prompt:*", "a/prompt:p", "b/*", "a", "gateway/*", "gateway/users", "custom/x")
    names = ("a/x", "a/y", "a/prompt:p", "a/prompt:q", "b/x", "a", "gateway/users", "gateway/audit", "custom/x")
    for pattern in objects:
        for row in objects:
            both = {name for name in names if obj_match(name, pattern, "deny") and obj_match(name, row, "allow")}
            object = narrower(pattern, row)
            assert {
                name for name in names if object and obj_match(name, object, "deny") and obj_match(name, row, "allow")
            } == both


def test_facts_are_varied_only_where_conditions_ask_for_them():
    conditions = [
        parse("tool.destructive and not (ends(tool.via, '/x') or tool.kind == 'tool')"),
        parse("some(tool.tags, it == 'a')"),
    ]
    unknown = Tool("a", "b")
    found = variants(unknown, conditions, classified=False)
    assert {each.destructive for each in found} == {True, False}
    assert {each.open_world for each in found} == {True}
    assert {each.via for each in found} == {"", "/x"}
    assert {each.tags for each in found} == {(), ("a",)}
    assert [each.via for each in variants(unknown, conditions, classified=True)] == ["", "/x"]
    prompt = Tool("a", "b", "prompt", destructive=False, open_world=False)
    assert variants(prompt, conditions, classified=False) == [prompt]
    either = [parse("args.x == 1"), parse("tool.via in ['p', 'q']")]
    assert {each.via for each in variants(unknown, either, classified=False)} == {"", "p", "q"}
    many = parse("tool.via in [" + ", ".join(f"'{n}'" for n in range(VALUES + 5)) + "]")
    assert len(variants(unknown, [many], classified=True)) == VALUES + 1
    assert variants(unknown, [parse("has(tool.via) and every(tool.tags, has(it.x))")], classified=False) == [unknown]


# -- brute force

WHOM = (ALICE, BOB, END, SERVER, *ROLES, *GROUPS, "*", "user:*", "end:s1/*")
WHAT = {
    "a/x": ("a/x",),
    "a/*": ("a/x", "a/y", "a/new"),
    "custom/*": ("custom/new",),
    "*": ("a/x", "a/y", "b/x", "c/new"),
}


def allowed(asked: Policy, whom: str, action: str, object: str) -> Iterator[str]:
    for domain, name, target in product(("main", "s1", "elsewhere"), everybody(whom), WHAT[object]):
        for owner in ("self", SYSTEM, ALICE, "user:other@example.com"):
            if concerned(asked, name, domain, owner, target, action):
                chains = calls(name, domain, owner, target, action)
                if any(may(asked, chain, whom, domain) for chain in chains):
                    yield f"{name} {domain} {owner} {target}"


def concerned(asked: Policy, name: str, domain: str, owner: str, object: str, action: str) -> bool:
    """Whether any row at all could speak; most do not, and need not be asked about every call."""
    context = Context(groups=groups_of(name), env={"now": NOW - 1})
    access = Access(name, domain, name if owner == "self" else owner, object, action, context)
    return any(rule.effect is Effect.ALLOW for rule in asked.matching(access))


def may(asked: Policy, chain: tuple[Access, ...], whom: str, domain: str) -> bool:
    first = chain[0]
    known = asked.known_as(first.subject, domain, first.context.env["now"], first.context.groups)
    return whom in known and asked.decide(chain).allowed


@given(worlds(), st.sampled_from(WHOM), st.sampled_from(("read", "write", "manage")), st.sampled_from((*WHAT, "a/*")))
def test_never_is_broken_exactly_when_some_call_of_somebody_is_allowed(world, whom, action, object):
    if action == "manage":
        object = "custom/*"
    made = "subjects:\n" + "".join(f"  {name}: {{}}\n" for name in (ALICE, BOB, END, SERVER))
    made += "".join(f"  {name}: {{groups: [{group[6:]}]}}\n" for name, group in IN_GROUP.items())
    made += "".join(f"  {name}: {{roles: [{role[5:]}]}}\n" for name, role in HOLDERS.items())
    text = f"{made}never:\n  - {{who: '{whom}', do: {action}, on: '{object}'}}\n"
    result = one(world, text, now=NOW - 1)
    if any(failure.why.startswith("nobody knows") for failure in result.failures):
        return
    found = list(allowed(peopled(world), whom, action, object))
    assert result.passed is not bool(found), (found[:3], result.failures)
