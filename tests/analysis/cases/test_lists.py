"""Exact lists: precisely these may, and precisely this may he use."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.analysis.cases.lists import who_result
from gateway.analysis.cases.world import World
from gateway.analysis.inventory import Inventory, Thing
from gateway.policy.terms import SYSTEM, Access, Context, Subject, Tool
from tests.analysis.cases.world import (
    ARGUMENTS,
    END,
    HOLDERS,
    IN_GROUP,
    SERVER,
    cases,
    groups_of,
    one,
    peopled,
    told,
    worlds,
)
from tests.policy.builders import ALICE, BOB, NOW, policy

ROWS = """
p, role:support, main, self, chat/send, write, args.channel in ['#help'], allow
p, role:user, *, self, git/*, read, , allow
p, role:night, main, self, git/git_show, read, hours(env.now, '20:00', '23:00'), allow
p, user:*, main, self, stripe/refund, write, claims.amr == 'mfa', allow
p, user:bob@example.com, main, user:ann@example.com, chat/*, write, , allow
p, *, *, *, *, write, tool.destructive, deny
g, role:power, role:user, git
"""
MADE = """
now: 2027-01-15T12:00:00Z
subjects:
  user:ann@example.com: {roles: [support], claims: {amr: mfa}}
tools:
  chat/send: write
  git/git_log: read
  git/git_show: read
  git/git_reset: destructive
  stripe/refund: write
"""


def who(row: str, inventory: Inventory | None = None) -> list[str]:
    return told(policy(ROWS), f"{MADE}who:\n  - {{{row}}}\n", inventory)


def what(row: str, inventory: Inventory | None = None) -> list[str]:
    return told(policy(ROWS), f"{MADE}what:\n  - {{{row}}}\n", inventory)


# -- who


def test_a_role_in_the_list_covers_everybody_who_has_it_and_a_stranger_who_will():
    live = Inventory((Subject("user:eve@example.com"),))
    assert not who("do: write, on: chat/send, are: [role:support]")
    assert not who("do: read, on: git/git_log, are: [role:user]", live)
    assert not who("do: read, on: git/git_log, in: git, are: [role:user, role:power]", live)
    assert who("do: read, on: git/git_log, are: [role:power]") == [
        "role:user read git/git_log: expected no, got may, through policies/rules.csv:3 `p, role:user, *, self, git/*, read, , allow`",
        "role:power read git/git_log: expected may, got no",
    ]


def test_whoever_is_missing_or_too_many_is_named():
    (more,) = who("do: write, on: chat/send, are: [user:ann@example.com]")
    assert more == (
        "role:support write chat/send: expected no, got may, through policies/rules.csv:2 "
        "`p, role:support, main, self, chat/send, write, args.channel in ['#help'], allow`"
    )
    assert who("do: write, on: chat/send, are: [role:support, user:bob@example.com]") == [
        "user:bob@example.com write chat/send: expected may, got no"
    ]


def test_nobody_is_an_empty_list_and_everybody_a_crowd():
    assert not who("on: git/git_reset, are: []")
    assert not told(
        policy("p, *, main, self, a/x, read, , allow"), "tools:\n  a/x: read\nwho:\n  - {on: a/x, are: ['*']}\n"
    )
    assert not told(
        policy("p, user:*, main, self, a/x, read, , allow"), "tools:\n  a/x: read\nwho:\n  - {on: a/x, are: [user:*]}\n"
    )


def test_the_level_of_the_tool_is_asked_unless_another_is():
    assert not who("on: git/git_log, are: [role:user]")
    assert not who("do: write, on: git/git_log, are: []")


def test_of_a_pattern_anything_below_counts():
    assert not who("do: read, on: git/*, are: [role:user]")
    assert not who("do: write, on: chat/*, are: [role:support]")


def test_the_time_and_the_known_claims_count():
    assert who("on: git/git_show, are: [role:user, role:night]") == [
        "role:night use git/git_show: expected may, got no"
    ]
    assert not who("on: git/git_show, now: 2027-01-15T21:00:00Z, are: [role:user, role:night]")
    assert not who("on: stripe/refund, are: [user:ann@example.com]")


def test_who_borrows_is_found_by_the_owner():
    assert not who("on: chat/send, owner: user:ann@example.com, are: [user:bob@example.com]")
    assert not who("on: chat/send, owner: system, are: []")


def test_who_is_in_a_known_group_is_covered_by_it():
    asked = policy("p, group:corp/A, main, self, a/x, read, , allow")
    text = "tools:\n  a/x: read\nwho:\n  - {on: a/x, are: [group:corp/A]}\n"
    live = Inventory((Subject("user:eve@example.com", groups=frozenset({"group:corp/A"})), Subject(BOB)))
    assert not told(asked, text, live)
    assert told(asked, text.replace("group:corp/A]", f"{BOB}]"), live)[1].startswith("user:eve@example.com use a/x")


def test_a_list_about_names_that_nobody_knows_fails():
    assert who("on: git/git_log, are: [role:usr]") == [
        "nobody knows `role:usr`; declare it under `subjects`, or write `user:*` for a stranger"
    ]
    assert who("on: gti/x, do: read, are: []") == ["nobody knows `gti/x`; declare it under `tools`, with its level"]


def test_many_are_counted_and_only_some_are_told():
    live = Inventory(tuple(Subject(f"user:u{n}@example.com") for n in range(30)))
    asked = policy("p, user:*, main, self, a/x, read, , allow")
    result = one(asked, "tools:\n  a/x: read\nwho:\n  - {on: a/x, are: []}\n", live)
    assert (result.failed, len(result.failures), result.asked) == (31, 20, 33)


# -- what


def test_what_he_may_use_is_told_by_names_and_patterns():
    assert not what("as: user:ann@example.com, are: [chat/send, stripe/refund]")
    assert not what("as: role:user, are: [git/git_log, git/git_show]")
    assert what("as: role:user, are: [git/git_log, chat/*]") == [
        "role:user write chat/send: expected may, got no",
        "role:user read git/git_show: expected no, got may",
    ]
    assert not what("as: role:power, in: git, are: [git/git_log, git/git_show]")
    assert not what("as: user:*, are: []")
    assert not what("as: user:bob@example.com, owner: user:ann@example.com, are: [chat/send]")
    assert not what("as: group:corp/A, are: []") or what("as: group:corp/A, are: []")[0].startswith("nobody knows")


def test_what_is_known_elsewhere_counts_too():
    live = Inventory(things={"main": (Thing("git/live", "read", Tool("git", "live", destructive=False)),)})
    assert what("as: role:user, are: [git/git_log, git/git_show]", live) == [
        "role:user read git/live: expected no, got may"
    ]
    assert not what("as: role:user, are: [git/*]".replace("git/*", "git/git_log, git/git_show, git/live"), live)
    assert not what("as: role:user, in: git, are: [git/git_log, git/git_show]", live)


def test_what_rows_name_one_by_one_counts_though_nobody_classified_it():
    asked = policy("p, role:a, main, self, a/x, write, , allow\np, role:a, main, self, a/y, read, , allow")
    assert not told(asked, "what:\n  - {as: role:a, are: [a/x]}\n")
    assert told(asked, "what:\n  - {as: role:a, are: [a/*]}\n") == ["role:a write a/y: expected may, got no"]


def test_a_pattern_below_which_nothing_is_known_fails():
    assert what("as: user:*, are: [custom/*]") == [
        "nothing is known below `custom/*`; declare some of it under `tools`"
    ]


# -- brute force


def some_call(asked, name, domain, owner, object, action) -> bool:
    """Whether some arguments are allowed, at one time, to somebody without claims."""
    whose = name if owner == "self" else owner
    env = {"now": NOW - 1, "offset": 0, "address": ""}
    for args in ARGUMENTS:
        tool = Tool(*object.split("/"), destructive=False)
        first = Context(args=args, groups=groups_of(name), tool=tool, env=env)
        chain = [Access(name, domain, whose, object, action, first)]
        if whose not in (name, SYSTEM):
            chain.append(
                Access(whose, "main", whose, object, action, Context(args=args, groups=None, tool=tool, env=env))
            )
        if asked.decide(tuple(chain)).allowed:
            return True
    return False


DECLARED = "subjects:\n" + "".join(f"  {name}: {{}}\n" for name in (ALICE, BOB, END, SERVER))
TOOLS = "tools:\n  a/x: write\n  a/y: write\n  b/x: read\n"
STRANGERS = {
    **{role: name for name, role in HOLDERS.items()},
    **{group: name for name, group in IN_GROUP.items()},
    "user:*": "user:new@example.com",
    "end:*": "end:s2/new",
    "end:s1/*": "end:s1/new",
    "server:*": "server:new",
}


@given(
    worlds(), st.sampled_from(("main", "s1")), st.sampled_from(("self", SYSTEM, ALICE)), st.sampled_from(("a/x", "b/x"))
)
def test_who_is_everybody_to_whom_some_call_is_allowed(world, domain, owner, object):
    text = f"{DECLARED}{TOOLS}who:\n  - {{on: {object}, in: {domain}, owner: '{owner}', are: []}}\n"
    asked = cases(text)
    run = World.of(world, asked, Inventory(), NOW - 1)
    found = {failure.question.split()[0] for failure in who_result(run, asked.who[0]).failures}
    action = "read" if object == "b/x" else "write"
    plain = peopled(world)
    wanted = {
        name
        for name in run.parties
        if STRANGERS.get(name, name) != owner
        and some_call(plain, STRANGERS.get(name, name), domain, owner, object, action)
    }
    assert found == wanted


@given(
    worlds(),
    st.sampled_from(("main", "s1")),
    st.sampled_from(("self", SYSTEM, ALICE)),
    st.sampled_from((ALICE, BOB, END, "user:*")),
)
def test_what_is_everything_of_which_some_call_is_allowed(world, domain, owner, whom):
    text = f"{DECLARED}{TOOLS}what:\n  - {{as: '{whom}', in: {domain}, owner: '{owner}', are: []}}\n"
    failures = one(world, text, now=NOW - 1).failures
    found = {failure.question.split()[2] for failure in failures}
    levels = {"a/x": "write", "a/y": "write", "b/x": "read"}
    name = STRANGERS.get(whom, whom)
    assert found == {each for each, action in levels.items() if some_call(world, name, domain, owner, each, action)}
