"""What stands against a grant: who makes it, what must never be; and what never does."""

import pytest
from hypothesis import given

from gateway.analysis.cases import read_cases, run
from gateway.analysis.inventory import Inventory
from gateway.manage.granting import grant_refusal, never_broken
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.rules import read
from gateway.policy.terms import Effect, Link, Place, Rule, Subject
from tests.policy.builders import ALICE, BOB, MODEL, NOW
from tests.policy.worlds import rules as some_rules

ROWS = """\
p, role:security, main, system, gateway/policy, manage, , allow
p, role:finance, main, self, stripe/*, write, , allow
p, role:contractor, main, self, git/*, read, , allow
p, user:*, main, self, custom/*, share, , allow
g, user:alice@example.com, role:security, *
"""
NEVER = """
subjects:
  "user:new@example.com": {roles: [contractor]}
tools:
  stripe/refund: write
never:
  - {name: contractors move no money, who: "role:contractor", do: write, on: "stripe/*"}
"""
MAKER = Subject(ALICE)
PEOPLE = Inventory((Subject(ALICE), Subject(BOB)))
PLACE = Place("grant:new")


def policy(*grants: Rule | Link, tests: str = NEVER) -> Policy:
    found = read({"model.conf": MODEL, "rules.csv": ROWS, "tests/own.yaml": tests})
    assert isinstance(found, Bundle), found
    return Policy.build(found, grants, "1.0")


def link(role: str, member: str = BOB) -> Link:
    return Link(member, f"role:{role}", "*", PLACE)


def rule(object: str, action: str = "write", *, effect: Effect = Effect.ALLOW, subject: str = BOB, own="self") -> Rule:
    return Rule(subject, "main", own, object, action, "", effect, PLACE)


def refusal(grant: Rule | Link, *before: Rule | Link, maker: Subject = MAKER, tests: str = NEVER) -> str:
    env = {"now": NOW, "offset": 0, "address": ""}
    return grant_refusal(policy(*before, tests=tests), maker, grant, env=env, people=PEOPLE, now=NOW)


def test_a_grant_that_breaks_nothing_may_be_written():
    assert refusal(link("contractor")) == ""
    assert refusal(link("finance")) == ""
    assert refusal(rule("stripe/refund")) == ""


def test_a_grant_that_would_allow_what_must_never_be_is_refused_with_what_that_is():
    contractor = link("contractor")
    for grant in (link("finance"), rule("stripe/refund"), rule("stripe/*")):
        told = refusal(grant, contractor)
        assert told.startswith("it would allow what must never be: ")
        assert BOB in told
        assert "stripe/" in told
    assert refusal(link("contractor"), link("finance")) != "", "the order of both does not matter"


def test_a_grant_is_not_blamed_for_what_is_broken_already():
    assert refusal(rule("git/log", "read"), link("contractor"), link("finance")) == ""


def test_who_may_not_give_is_told_so_first():
    bob = Subject(BOB)
    assert "does not have `role:finance`" in refusal(link("finance"), maker=bob)
    assert "only `user:alice@example.com` can write a grant" in refusal(rule("git/log", "read", own=ALICE), maker=bob)


@pytest.mark.parametrize("tests", [NEVER, "never: {"])
def test_a_grant_that_denies_is_never_refused_for_what_tests_say(tests: str):
    assert refusal(rule("stripe/*", effect=Effect.DENY), link("contractor"), tests=tests) == ""


@given(some_rules(effects=(Effect.DENY,)))
def test_no_denying_grant_breaks_what_must_never_be(deny: Rule):
    assert never_broken(policy(link("contractor")), deny, PEOPLE, NOW) == ""


def test_where_nobody_knows_what_must_never_be_nothing_is_given():
    assert "own tests cannot be read" in refusal(link("finance"), tests="never: {")


def test_before_the_first_policy_nothing_can_be_broken():
    assert never_broken(Policy.build(None, (), ""), link("finance"), PEOPLE, NOW) == ""


@given(some_rules(effects=(Effect.ALLOW,)))
def test_after_a_grant_that_was_not_refused_the_tests_pass_as_before(allow: Rule):
    tests = 'tools: {a/x: read}\nnever: [{name: x, who: "user:alice@example.com", do: read, on: "a/*"}]'
    cases = read_cases({"tests/own.yaml": tests})
    assert not isinstance(cases, list)
    before = policy(tests=tests)
    assert run(before, cases, PEOPLE, now=NOW).passed
    refused = never_broken(before, allow, PEOPLE, NOW)
    assert run(policy(allow, tests=tests), cases, PEOPLE, now=NOW).passed is not bool(refused)
