"""``ostiary policy who-can`` and ``what-can``, and the facts that ``explain`` takes from an inventory."""

import pytest

from gateway.analysis.inventory import Thing
from gateway.cli.inventory import written
from gateway.policy.terms import Tool

ROWS = """\
p, role:user, main, self, git/git_log, read, args.n == 1, allow
p, role:user, s1, self, git/*, write, , allow
p, user:bob@example.com, main, user:ada@example.com, git/git_log, read, , allow
p, *, *, *, *, write, tool.destructive, deny
p, role:security, main, *, gateway/policy, manage, , allow
"""
THINGS = (
    Thing("git/git_log", "read", Tool("git", "git_log", destructive=False)),
    Thing("git/git_add", "write", Tool("git", "git_add", destructive=False)),
    Thing("git/git_reset", "write", Tool("git", "git_reset")),
    Thing("git/git_wild", "write", Tool("git", "git_wild")),
)


@pytest.fixture
def asked(site):
    """The site with two accounts, its policy, and an inventory; asks one of the commands."""
    site.write("policies/rules.csv", ROWS)
    (site.root / "things.json").write_bytes(written({"main": THINGS, "s1": THINGS}))
    for name in ("ada", "bob"):
        site.fine("users", "add", f"{name}@example.com", "--role", "user")

    def ask(*words: str, json: bool = False):
        told = ("policy", *words, "--tools", str(site.root / "things.json"))
        return site.json(*told) if json else site.fine(*told)

    return ask


def test_who_can_tells_everybody_with_the_condition_and_the_rows(asked):
    assert asked("who-can", "git/git_log", "read") == (
        "user:ada@example.com, user:bob@example.com, whoever gets role:user\tif args.n == 1\tpolicies/rules.csv:1\n"
    )
    assert asked("who-can", "git/git_log", "read", json=True) == [
        {
            "users": ["user:ada@example.com", "user:bob@example.com"],
            "others": ["role:user"],
            "may": "if args.n == 1",
            "rows": ["policies/rules.csv:1: p, role:user, main, self, git/git_log, read, args.n == 1, allow"],
        }
    ]


def test_who_can_asks_about_other_servers_and_owners(asked):
    assert asked("who-can", "git/git_add", "write") == "nobody\n"
    assert "\tyes\t" in asked("who-can", "git/git_add", "write", "--domain", "s1")
    assert asked("who-can", "git/git_reset", "write", "--domain", "s1") == "nobody\n"
    lent = asked("who-can", "git/git_log", "read", "--own", "user:ada@example.com")
    assert lent.startswith("user:bob@example.com\tif args.n == 1\t")
    others = asked("who-can", "gateway/policy", "manage", "--own", "*")
    assert others.startswith("whoever gets role:security\tyes")


def test_a_question_that_no_row_could_answer_is_refused(asked, site):
    assert "action `raed` is none of" in site.wrong("policy", "who-can", "git/git_log", "raed")


def test_what_can_tells_everything_by_server(asked):
    told = [line.split("\t")[:4] for line in asked("what-can", "user:bob@example.com").splitlines()]
    assert told == [
        ["main", "read git/git_log", "his own", "if args.n == 1"],
        ["main", "read git/git_log", "user:ada@example.com", "if args.n == 1"],
        ["s1", "write git/git_add", "his own", "yes"],
        ["s1", "read git/git_log", "his own", "yes"],
    ]
    (only,) = asked("what-can", "role:user", "--domain", "main", json=True)
    assert only == {
        "domain": "main",
        "object": "git/git_log",
        "action": "read",
        "owner": "self",
        "may": "if args.n == 1",
        "rows": ["policies/rules.csv:1: p, role:user, main, self, git/git_log, read, args.n == 1, allow"],
    }


def test_what_can_knows_crowds_and_tells_who_is_unknown(asked, site):
    assert asked("what-can", "user:*") == "nothing\n"
    told = site.wrong("policy", "what-can", "user:eve@example.com", "--tools", str(site.root / "things.json"))
    assert told == (
        "error: `user:eve@example.com` has no account and stands in no row; for whoever is new, ask about `user:*`\n"
    )


def test_a_folder_can_be_asked_instead_of_the_policy_in_force(asked, site):
    site.fine("users", "add", "eve@example.com", "--role", "security")
    site.fine("policy", "apply", str(site.root / "policies"), "--why", "first")
    site.write("draft/model.conf", (site.root / "policies" / "model.conf").read_text())
    site.write("draft/rules.csv", "")
    assert asked("who-can", "git/git_log", "read") != "nobody\n"
    assert asked("who-can", "git/git_log", "read", "--from", str(site.root / "draft")) == "nobody\n"


def test_an_explanation_takes_the_facts_of_the_tool_from_the_inventory(asked, site):
    question = ("explain", "user:ada@example.com", "git/git_wild", "write", "--domain", "s1")
    assert site.fine("policy", *question).startswith("allowed"), "the settings know nothing bad of it"
    assert asked(*question).startswith("denied")


def test_an_explanation_tells_the_way_to_the_role_and_the_outcome_of_each_condition(asked):
    told = asked("explain", "user:ada@example.com", "git/git_log", "read").splitlines()
    assert told[0].startswith("denied")
    assert told[2] == (
        "policies/rules.csv:1: `p, role:user, main, self, git/git_log, read, args.n == 1, allow` "
        "(through user:ada@example.com > role:user) does not apply: its condition cannot be judged"
    )
    told = asked("explain", "user:ada@example.com", "git/git_log", "read", "--arg", "n=1").splitlines()
    assert told[2].startswith("decided by policies/rules.csv:1: ")
    assert told[2].endswith("(through user:ada@example.com > role:user)")
    told = asked("explain", "user:ada@example.com", "git/git_log", "read", "--arg", "n=2").splitlines()
    assert told[2].endswith("does not apply: its condition is not met")
