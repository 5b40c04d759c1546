"""Nobody gives what he does not have, and somebody keeps the keys."""

from gateway.policy.guard import grant_problem, managers, problem_of_apply
from gateway.policy.terms import Effect, Link, Place, Rule, Subject
from tests.policy.builders import ALICE, BOB, NOW, policy

ENV = {"now": NOW, "offset": 0, "address": ""}
MANAGE = "p, role:security, main, system, gateway/policy, manage, , allow\n"


def role(name: str, domain: str = "main", expires: int | None = None) -> Link:
    return Link(BOB, f"role:{name}", domain, Place("grant:1"), expires=expires)


def may_give(found, link: Link, groups=frozenset()) -> bool:
    return not grant_problem(found, Subject(ALICE, groups=groups), link, ENV)


def test_a_role_is_given_by_who_holds_it_there():
    found = policy(f"g, {ALICE}, role:user, main")
    assert may_give(found, role("user"))
    assert not may_give(found, role("admin"))
    assert not may_give(found, role("user", "srv-1"))
    assert not may_give(found, role("user", "*"))
    assert may_give(policy(f"g, {ALICE}, role:user, *"), role("user", "*"))


def test_a_role_held_through_a_role_or_a_group_may_be_given():
    found = policy(f"g, {ALICE}, role:lead, main\ng, role:lead, role:user, *\ng, group:corp/a, role:in, main")
    assert may_give(found, role("user"))
    assert may_give(found, role("in"), frozenset({"group:corp/a"}))
    assert not may_give(found, role("in"))
    assert not may_give(found, role("in"), None)


def test_a_role_is_given_for_no_longer_than_it_is_held():
    held = Link(ALICE, "role:user", "main", Place("grant:2"), expires=NOW + 100)
    found = policy("", grants=(held,))
    assert may_give(found, role("user", expires=NOW + 100))
    assert not may_give(found, role("user", expires=NOW + 101))
    assert not may_give(found, role("user"))


def test_who_manages_the_policy_gives_every_role():
    found = policy(MANAGE + f"g, {ALICE}, role:security, main")
    assert may_give(found, role("admin", "*"))
    assert "does not have `role:admin` in `main`" in grant_problem(policy(""), Subject(ALICE), role("admin"), ENV)


def test_nobody_but_the_owner_writes_a_grant_that_names_him():
    def sentence(owner: str) -> str:
        rule = Rule(BOB, "main", owner, "slack/*", "read", "", Effect.ALLOW, Place("grant:1"))
        return grant_problem(policy(MANAGE + f"g, {ALICE}, role:security, main"), Subject(ALICE), rule, ENV)

    assert [bool(sentence(owner)) for owner in ("self", "system", "*", ALICE, BOB)] == [
        False,
        False,
        False,
        False,
        True,
    ]
    assert sentence(BOB) == f"only `{BOB}` can write a grant about what belongs to `{BOB}`"


def test_the_users_who_manage_the_policy_are_known():
    rows = MANAGE + f"g, {ALICE}, role:security, main\ng, {BOB}, role:user, main\n"
    assert managers(policy(rows), NOW) == {ALICE}
    assert managers(policy(rows + f"p, {BOB}, main, system, gateway/*, manage, , allow"), NOW) == {ALICE, BOB}
    assert managers(policy(MANAGE.replace("role:security", "user:*")), NOW) == {"user:*"}
    assert managers(policy(MANAGE), NOW) == frozenset()


def test_a_deny_takes_the_keys_unless_it_has_a_condition():
    rows = MANAGE + f"g, {ALICE}, role:security, main\n"
    assert not managers(policy(rows + f"p, {ALICE}, *, *, *, *, , deny"), NOW)
    assert managers(policy(rows + "p, *, *, *, gateway/policy, manage, not claims.mfa, deny"), NOW) == {ALICE}
    assert managers(policy(rows.replace("manage, ,", "manage, claims.mfa,")), NOW) == {ALICE}


def test_keys_that_expire_do_not_count_and_denies_that_expire_do():
    link = Link(ALICE, "role:security", "main", Place("grant:1"), expires=NOW + 1)
    assert not managers(policy(MANAGE, grants=(link,)), NOW)
    row = Rule(ALICE, "main", "system", "gateway/policy", "manage", "", Effect.ALLOW, Place("grant:1"), expires=NOW + 1)
    assert not managers(policy("", grants=(row,)), NOW)
    deny = Rule("*", "*", "*", "*", "*", "", Effect.DENY, Place("grant:2"), expires=NOW + 1)
    rows = MANAGE + f"g, {ALICE}, role:security, main"
    assert not managers(policy(rows, grants=(deny,)), NOW)
    assert managers(policy(rows, grants=(deny,)), NOW + 1) == {ALICE}


def test_a_policy_that_nobody_could_change_again_is_not_applied():
    assert "no `user:` would manage `gateway/policy` for good" in problem_of_apply(policy(MANAGE), NOW)
    assert problem_of_apply(policy(MANAGE + f"g, {ALICE}, role:security, main"), NOW) == ""
