"""Running cases: what passes, what fails and why, and which rows spoke."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.analysis.cases import Cases, Result, Results, read_cases, run
from gateway.analysis.cases.results import TOLD, Failure, Kind
from gateway.analysis.cases.running import EXPLAINED
from gateway.analysis.inventory import Inventory, Thing
from gateway.policy.engine import Policy
from gateway.policy.terms import Access, Context, Effect, Link, Place, Rule, Subject, Tool
from tests.analysis.cases.world import ARGUMENTS, FILE, cases, one, results, told, worlds
from tests.policy.builders import ALICE, BOB, NOW, policy

ROWS = """
p, role:support, main, self, chat/send, write, args.channel in ['#help'], allow
p, role:user, *, self, git/*, read, , allow
p, user:bob@example.com, main, user:ann@example.com, chat/*, write, , allow
# @id no-harm
p, *, *, *, *, write, tool.destructive, deny
"""
PEOPLE = """
subjects:
  user:ann@example.com: {roles: [support]}
tools:
  chat/send: write
  git/git_log: read
  git/git_reset: destructive
cases:
"""


def case(**row) -> str:
    return f"{PEOPLE}  - {json.dumps(row)}\n"


def ask(**row) -> list[str]:
    return told(ROWS, case(**row))


ROW = "`p, role:support, main, self, chat/send, write, args.channel in ['#help'], allow`"
HELP, ALL = {"channel": "#help"}, {"channel": "#all"}


# -- what is asked


def test_a_role_stands_for_somebody_new_who_has_just_that():
    assert not ask(**{"as": "role:support", "on": "chat/send", "with": HELP, "expect": "allow"})
    assert not ask(**{"as": "role:support", "on": "git/git_log", "expect": "deny"})
    assert not ask(**{"as": "role:user", "on": "git/git_log", "in": "anywhere", "expect": "allow"})


def test_a_group_and_a_crowd_stand_for_somebody_new_in_them():
    rows = "p, group:corp/A, main, self, git/*, read, , allow\np, end:shop/*, shop, self, time/*, read, , allow\n"
    asked = "tools:\n  git/x: read\n  time/x: read\ncases:\n  - {as: %s, on: %s, in: %s, expect: %s}\n"
    for who, what, where, expect in [
        ("group:corp/A", "git/x", "main", "allow"),
        ("user:*", "git/x", "main", "deny"),
        ("'*'", "git/x", "main", "deny"),
        ("end:shop/*", "time/x", "shop", "allow"),
        ("end:other/*", "time/x", "shop", "deny"),
    ]:
        assert not told(rows, asked % (who, what, where, expect)), who


def test_a_made_subject_has_his_roles_where_they_are_given_his_groups_and_his_claims():
    rows = """
p, role:user, *, self, a/x, read, , allow
p, group:corp/A, *, self, a/y, read, , allow
p, user:*, *, self, a/z, read, claims.amr == 'mfa', allow
"""
    made = "subjects:\n  user:eve@example.com: {roles: {git: [user]}, groups: [corp/A], claims: {amr: mfa}}\ncases:\n"
    asked = "  - {as: user:eve@example.com, do: read, on: %s, in: %s, expect: %s}\n"
    wanted = [("a/x", "git", "allow"), ("a/x", "main", "deny"), ("a/y", "main", "allow"), ("a/z", "main", "allow")]
    found = results(rows, made + "".join(asked % each for each in wanted))
    assert [str(each) for result in found.results for each in result.failures] == []
    pwd = (asked % ("a/z", "main", "deny")).replace("expect", "claims: {amr: pwd}, expect")
    assert not told(rows, made + pwd)


def test_the_roles_of_a_made_subject_add_to_what_the_policy_gives():
    rows = "p, role:user, *, self, a/x, read, , allow\ng, user:ann@example.com, role:user, *\n"
    assert not told(rows, "cases:\n  - {as: user:ann@example.com, do: read, on: a/x, expect: allow}\n")


def test_grants_count_and_stay_when_subjects_are_made():
    grants = (
        Rule(BOB, "*", "self", "chat/*", "read", "", Effect.ALLOW, Place("grant:1")),
        Link(BOB, "role:support", "*", Place("grant:2")),
    )
    asked = policy(ROWS, grants=grants)
    assert not told(asked, case(**{"as": BOB, "do": "read", "on": "chat/send", "expect": "allow", "by": "grant:1"}))
    assert not told(asked, case(**{"as": BOB, "do": "write", "on": "chat/send", "with": HELP, "expect": "allow"}))


def test_a_loan_needs_the_lender_too():
    loan = {"as": "user:bob@example.com", "on": "chat/send", "owner": "user:ann@example.com"}
    assert not ask(**loan, **{"with": HELP, "expect": "allow"})
    (why,) = ask(**loan, **{"with": ALL, "expect": "allow"})
    assert why == (
        'user:bob@example.com write chat/send with {"channel": "#all"} of user:ann@example.com: expected allow, got '
        f"deny, no row allows it for the lender `user:ann@example.com`; nearest policies/rules.csv:2 {ROW}: "
        "the condition `args.channel in ['#help']` is not met"
    )


def test_the_groups_and_claims_of_a_lender_who_is_absent_are_unknown():
    rows = """
p, user:bob@example.com, main, user:ann@example.com, a/*, read, , allow
p, %s, main, self, a/*, read, %s, allow
p, group:corp/B, *, *, a/y, read, , deny
"""
    made = "subjects:\n  user:ann@example.com: {groups: [corp/A], claims: {amr: mfa}}\n  user:bob@example.com: {groups: [corp/A]}\n"
    asked = made + "cases:\n  - {as: user:bob@example.com, do: read, on: %s, owner: user:ann@example.com, expect: %s}\n"
    for who, when, what, expect in [
        ("group:corp/A", "", "a/x", "deny"),
        ("user:ann@example.com", "claims.amr == 'mfa'", "a/x", "deny"),
        ("user:ann@example.com", "", "a/x", "allow"),
        ("user:ann@example.com", "", "a/y", "deny"),
    ]:
        known = f"tools:\n  {what}: read\n"
        assert not told(rows % (who, when), known + asked % (what, expect)), (who, when, what)


def test_a_tool_that_nobody_classified_is_written_to_and_destroys():
    assert not ask(**{"as": "role:user", "do": "write", "on": "custom/*", "expect": "deny", "by": "no-harm"})
    assert not told(ROWS.replace("git/*", "git/new"), "cases:\n  - {as: role:user, on: git/new, expect: deny}\n")
    assert not told(
        "p, role:user, *, self, a/prompt:x, read, , allow", "cases:\n  - {as: role:user, on: a/prompt:x, expect: allow}"
    )


def test_a_pattern_is_what_is_known_below_and_one_name_that_is_not():
    inventory = Inventory(things={"main": (Thing("git/git_show", "read", Tool("git", "git_show")),)})
    found = one(policy(ROWS), case(**{"as": "role:user", "do": "read", "on": "git/*", "expect": "deny"}), inventory)
    assert [each.question for each in found.failures] == [
        *("role:user read git/git_show", "role:user read git/git_log"),
        *("role:user read git/git_reset", "role:user read git/…"),
    ]
    assert found.asked == 4
    everything = one(policy(ROWS), case(**{"as": "role:user", "do": "write", "on": "*", "expect": "deny"}))
    assert (everything.passed, everything.asked) == (True, 4)


def test_a_pattern_of_administration_is_all_that_is_administered():
    rows = "p, role:boss, main, system, gateway/policy, manage, , allow"
    (why,) = told(rows, "cases:\n  - {as: role:boss, do: manage, on: gateway/*, owner: system, expect: deny}\n")
    assert why.startswith(
        "role:boss manage gateway/policy of system: expected deny, got allow, by policies/rules.csv:1"
    )


def test_the_roles_of_an_owner_are_those_that_the_policy_gives_him():
    rows = """
p, role:desk, main, *, gateway/users, manage, not some(owner.roles, it == 'admin'), allow
g, user:root@example.com, role:admin, *
"""
    for owner, expect in (("user:root@example.com", "deny"), ("system", "allow"), ("self", "allow")):
        text = f"cases:\n  - {{as: role:desk, do: manage, on: gateway/users, owner: {owner}, expect: {expect}}}\n"
        assert not told(rows, text), owner


def test_the_time_is_that_of_the_case_of_the_file_or_of_the_run():
    rows = "p, role:temp, main, self, a/x, read, hours(env.now, '08:00', '18:00'), allow"
    asked = "%scases:\n  - {as: role:temp, do: read, on: a/x, %sexpect: allow}\n"
    noon, night = "now: 2027-01-15T12:00:00Z", "now: 2027-01-15T23:00:00Z"
    assert not told(rows, asked % (f"{noon}\n", ""))
    assert told(rows, asked % (f"{noon}\n", f"{night}, "))
    assert told(rows, asked % ("", ""), now=0)
    assert not told(rows, asked % ("", ""), now=12 * 3_600_000)


def test_what_a_case_says_of_the_call_is_what_conditions_see():
    asked = "subjects:\n  user:eve@example.com: {claims: {n: 1}}\ntools:\n  a/x: {level: read, tags: [pii], open_world: false}\n"
    told_ = "address: 10.1.2.3, client: {name: cli}, connection: {scope: all}, via: custom/mine"
    for condition in (
        *("cidr(env.address, '10.0.0.0/8')", "client.name == 'cli'", "connection.scope == 'all'", "claims.n == 1"),
        *("tool.via == 'custom/mine'", "some(tool.tags, it == 'pii')", "not tool.open_world", "not tool.destructive"),
        *("tool.connector == 'a' and tool.name == 'x'", "tool.kind == 'tool'"),
    ):
        row = f"p, user:eve@example.com, main, self, a/x, read, {condition}, allow"
        assert not told(row, f"{asked}cases:\n  - {{as: user:eve@example.com, on: a/x, {told_}, expect: allow}}\n"), (
            condition
        )
        bare = f"p, user:eve@example.com, main, self, a/x, read, not ({condition}), allow"
        assert told(bare, f"{asked}cases:\n  - {{as: user:eve@example.com, on: a/x, {told_}, expect: allow}}\n"), (
            condition
        )


def test_a_rate_class_can_be_asked_for():
    limits = "[[class]]\nname = 'fast'\ncalls = 600\nwindow_s = 60"
    asked = policy("p, role:fast, *, self, *, rate:fast, , allow", limits)
    assert not told(asked, "cases:\n  - {as: role:fast, do: 'rate:fast', on: '*', expect: allow}\n")
    assert told(asked, "cases:\n  - {as: user:*, do: 'rate:fast', on: '*', expect: allow}\n")


# -- why


def test_an_unexpected_yes_names_its_row():
    (why,) = ask(**{"as": "role:support", "on": "chat/send", "with": HELP, "expect": "deny"})
    assert (
        why
        == f'role:support write chat/send with {{"channel": "#help"}}: expected deny, got allow, by policies/rules.csv:2 {ROW}'
    )


def test_an_unexpected_no_names_the_deny_or_the_nearest_row():
    (denied,) = ask(**{"as": "role:user", "on": "git/git_reset", "expect": "allow"})
    assert denied.endswith("got deny, by policies/rules.csv:6 `p, *, *, *, *, write, tool.destructive, deny`")
    (missed,) = ask(**{"as": "user:*", "on": "chat/send", "expect": "allow"})
    assert missed.endswith(
        f"no row allows it; nearest policies/rules.csv:2 {ROW}: `user:…` is not `role:support` in `main`"
    )
    (nothing,) = told(
        "p, *, *, *, *, *, , deny", "tools:\n  a/x: read\ncases:\n  - {as: user:*, on: a/x, expect: listed}"
    )
    assert nothing.endswith("got hidden, through policies/rules.csv:1 `p, *, *, *, *, *, , deny`")
    (alone,) = told(
        "p, role:a, main, self, b/x, read, , allow",
        "tools:\n  a/x: read\ncases:\n  - {as: user:*, on: a/x, expect: allow}",
    )
    assert alone == "user:* read a/x: expected allow, got deny, no row allows it"


def test_only_so_many_denials_are_explained(monkeypatch):
    row = {
        "as": "user:*",
        "do": ["read", "write"],
        "on": "chat/send",
        "in": [f"s{n}" for n in range(EXPLAINED)],
        "expect": "allow",
    }
    found = one(ROWS, case(**row))
    assert sum("nearest" in each.why for each in found.failures) == EXPLAINED
    assert found.failed == 2 * EXPLAINED


def test_only_so_many_failures_of_one_test_are_told():
    result = Result.of(Kind.CASE, Place("a", 1), "x", asked=99, failures=[Failure(why=str(n)) for n in range(TOLD + 1)])
    assert (result.failed, len(result.failures), result.passed) == (TOLD + 1, TOLD, False)


def test_the_row_that_decides_is_told_by_id_or_place():
    allowed = {"as": "role:support", "on": "chat/send", "with": HELP, "expect": "allow"}
    for by in ("policies/rules.csv:2", "rules.csv:2"):
        assert not ask(**allowed, by=by)
    (why,) = ask(**allowed, by="rules.csv:3")
    assert "expected allow by `rules.csv:3`, got allow, by policies/rules.csv:2" in why
    destroys = {"as": "role:user", "on": "git/git_reset", "expect": "deny"}
    assert not ask(**destroys, by="no-harm")
    (why,) = ask(**{"as": "user:*", "on": "git/git_log", "expect": "deny"}, by="no-harm")
    assert why.endswith("expected deny by `no-harm`, got deny, by no row at all")
    assert not told(ROWS, "cases:\n  - {as: 'end:s/*', do: inspect, on: gateway/audit, expect: deny, by: 'builtin:3'}")


def test_listed_means_that_some_call_is_allowed():
    assert not ask(**{"as": "role:support", "on": "chat/send", "expect": "listed"})
    assert not ask(**{"as": "user:*", "on": "chat/send", "expect": "hidden"})
    (hidden,) = ask(**{"as": "role:support", "on": "chat/send", "expect": "hidden"})
    assert hidden == f"role:support write chat/send: expected hidden, got listed, through policies/rules.csv:2 {ROW}"
    (listed,) = ask(**{"as": "user:*", "on": "chat/send", "expect": "listed"})
    assert "expected listed, got hidden, no row allows it; nearest" in listed


def test_the_schema_of_a_tool_narrows_what_is_listed():
    tool = "tools:\n  chat/send: {level: write, schema: {properties: {channel: {enum: ['#all']}}}}\n"
    assert not told(ROWS, tool + "cases:\n  - {as: role:support, on: chat/send, expect: hidden}\n")


# -- names that nobody knows


@pytest.mark.parametrize(
    ("row", "sentences"),
    [
        ({"as": "role:suport"}, ["nobody knows `role:suport`; declare it under `subjects`, or write `user:*` for a stranger"]),
        ({"as": "user:anne@example.com"}, ["nobody knows `user:anne@example.com`; declare it under `subjects`, or write `user:*` for a stranger"]),
        ({"as": "group:corp/Nobody"}, ["nobody knows `group:corp/Nobody`; declare it under `subjects`, or write `user:*` for a stranger"]),
        ({"owner": "user:zoe@example.com"}, ["nobody knows `user:zoe@example.com`; declare it under `subjects`, or write `user:*` for a stranger"]),
        ({"on": "chat/sned"}, ["nobody knows `chat/sned`; declare it under `tools`, with its level"]),
        ({"on": "chta/*", "do": "read"}, ["nobody knows `chta/*`; declare it under `tools`, with its level"]),
        ({"on": "chta", "do": "connect"}, ["nobody knows `chta`; declare it under `tools`, with its level"]),
    ],
)  # fmt: skip
def test_a_case_about_names_that_nobody_knows_could_not_fail_and_so_fails(row, sentences):
    asked = {"as": "user:*", "do": "write", "on": "chat/send", "expect": "deny", **row}
    assert ask(**asked) == sentences


def test_who_is_known_to_the_inventory_is_known():
    inventory = Inventory(
        (Subject(ALICE, groups=frozenset({"group:corp/A"})),), {"main": (Thing("a/x", "read", Tool()),)}
    )
    text = f"cases:\n  - {{as: ['{ALICE}', 'group:corp/A'], on: a/x, expect: deny}}\n"
    assert len(told(ROWS, text)) == 3
    assert not told(ROWS, text, inventory)


def test_custom_tools_hosts_and_administration_are_known_always():
    text = "cases:\n  - {as: role:user, do: read, on: [custom/mine, http/a.example], expect: deny}\n"
    assert not told(ROWS, text)
    assert not told(ROWS, "cases:\n  - {as: role:user, do: inspect, on: gateway/users, expect: deny}\n")


# -- coverage


def test_coverage_tells_which_rows_of_the_files_counted_in_some_case():
    grant = Rule(BOB, "*", "self", "chat/*", "read", "", Effect.ALLOW, Place("grant:1"))
    asked = policy(ROWS, grants=(grant,))
    found = results(asked, case(**{"as": "role:support", "on": "chat/send", "with": [HELP, ALL], "expect": "deny"}))
    assert [rule.place.line for rule in found.coverage.spoke] == [2]
    assert [rule.place.line for rule in found.coverage.silent] == [3, 4, 6]
    assert found.coverage.percent == 25
    assert results(asked, "tools:\n  a/x: read\n").coverage.percent == 0
    assert results("", "tools:\n  a/x: read\n").coverage.percent == 100
    assert run(Policy.build(None, (), ""), Cases(), Inventory(), now=NOW) == Results()


def test_a_listing_covers_the_rows_that_some_call_could_meet():
    found = results(ROWS, case(**{"as": "role:support", "on": "chat/send", "expect": "listed"}))
    assert [rule.place.line for rule in found.coverage.spoke] == [2]


QUESTIONS = st.lists(
    st.tuples(
        st.sampled_from((ALICE, BOB, "role:a", "role:b", "group:g/one", "user:*")),
        st.lists(st.sampled_from(("read", "write")), min_size=1, unique=True),
        st.lists(st.sampled_from(("a/x", "a/y", "b/x")), min_size=1, unique=True),
        st.sampled_from(("main", "s1")),
        st.lists(st.sampled_from(ARGUMENTS), min_size=1, max_size=3),
        st.sampled_from(("self", "system", ALICE)),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
MADE = "subjects:\n  user:alice@example.com: {}\n  user:bob@example.com: {claims: {mfa: true}, groups: [g/one]}\n"
TOOLS = "  user:any@example.com: {roles: [a, b, c]}\ntools:\n  a/x: read\n  a/y: write\n  b/x: destructive\n"
FACTS = {"a/x": False, "a/y": False, "b/x": True}


@given(worlds(), QUESTIONS)
def test_outcomes_and_coverage_are_those_of_asking_one_by_one(world, asked):
    base = world
    rows = [
        {"as": who, "do": do, "on": on, "in": where, "with": args, "owner": owner, "expect": "allow" if yes else "deny"}
        for who, do, on, where, args, owner, yes in asked
    ]
    text = MADE + TOOLS + "cases:\n" + "".join(f"  - {json.dumps(row)}\n" for row in rows)
    found = run(base, cases(text), Inventory(), now=NOW - 1)
    links = [Link(f"user:of-{role}@example.com", f"role:{role}", "*", Place("t")) for role in "ab"]
    made = [Link("user:any@example.com", f"role:{role}", "*", Place("t")) for role in "abc"]
    grants = (*base.rules[4 + len(base.bundle.rules) :], *base.links[len(base.bundle.links) :], *links, *made)
    plain = base.with_grants(grants, "")
    names = {"role:a": "user:of-a@example.com", "role:b": "user:of-b@example.com", "user:*": "user:new@example.com"}
    spoke = set()
    for result, row in zip(found.results, rows, strict=True):
        failed = 0
        for do in row["do"]:
            for on in row["on"]:
                for args in row["with"]:
                    who = names.get(row["as"], "user:new@example.com" if row["as"].startswith("group") else row["as"])
                    member = row["as"] in (BOB, "group:g/one")
                    env = {"now": NOW - 1, "offset": 0, "address": ""}
                    common = {"args": args, "tool": Tool(destructive=FACTS[on]), "env": env}
                    claims = {"mfa": True} if who == BOB else {}
                    context = Context(**common, claims=claims, groups=frozenset({"group:g/one"} if member else ()))
                    owner = who if row["owner"] == "self" else row["owner"]
                    chain = [Access(who, row["in"], owner, on, do, context)]
                    if owner not in (who, "system"):
                        chain.append(Access(owner, "main", owner, on, do, Context(**common, groups=None)))
                    failed += plain.decide(tuple(chain)).allowed is (row["expect"] == "deny")
                    for access in chain:
                        spoke |= {each.rule for each in plain.explain(access).spoke if each.applies}
        assert result.failed == failed
    rules = base.bundle.rules
    assert found.coverage.spoke == tuple(rule for rule in rules if any(rule.place == each.place for each in spoke))


# -- as data


def test_results_as_data_are_what_is_documented():
    found = results(ROWS, case(**{"as": "role:support", "on": "chat/send", "with": HELP, "expect": "deny"}))
    data = json.loads(json.dumps(found.plain()))
    assert (data["passed"], data["tests"], data["failed"], data["asked"]) == (False, 1, 1, 1)
    (result,) = data["results"]
    failure = result.pop("failures")[0]
    assert result == {
        "kind": "case",
        "name": "role:support use chat/send deny",
        "file": FILE,
        "line": 9,
        "passed": False,
        "asked": 1,
        "failed": 1,
    }
    assert set(failure) == {"question", "expected", "got", "why"}
    assert data["coverage"] == {
        "percent": 25,
        "rows": 4,
        "spoke": ["policies/rules.csv:2"],
        "silent": ["policies/rules.csv:3", "policies/rules.csv:4", "policies/rules.csv:6"],
    }
    assert not found.passed
    assert [each.name for each in found.failed] == ["role:support use chat/send deny"]


def test_results_are_the_same_each_time():
    text = case(**{"as": ["role:support", "user:*"], "on": "chat/send", "with": [HELP, ALL], "expect": "allow"})
    assert results(ROWS, text) == results(ROWS, text)
    assert isinstance(read_cases({FILE: text}), Cases)
