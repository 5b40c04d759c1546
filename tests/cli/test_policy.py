"""``ostiary policy``: validate, explain, apply."""

import json

BAD = "p, role:user, main, self, git/*, write, , Deny\np, role:user\n"


def test_a_valid_policy_is_summed_up(site):
    assert site.fine("policy", "validate") == f"{site.root / 'policies'}: valid, 4 rules, 0 links\n"
    assert site.json("policy", "validate", str(site.root / "policies")) == []


def test_every_problem_of_a_policy_is_told_with_file_and_line(site):
    site.write("policies/rules.csv", BAD)
    told = site.wrong("policy", "validate").splitlines()
    assert told[0].startswith("policies/rules.csv:1: ")
    assert told[1].startswith("policies/rules.csv:2: ")
    assert told[2] == f"error: {site.root / 'policies'}: not valid: 2 problems"
    result = site.ostiary("policy", "validate", "--json")
    assert result.exit_code == 1
    assert [(each["file"], each["line"]) for each in json.loads(result.stdout)] == [
        ("policies/rules.csv", 1),
        ("policies/rules.csv", 2),
    ]


def test_validating_a_given_folder_needs_no_settings(site):
    (site.root / "config" / "ostiary.toml").unlink()
    assert "valid" in site.fine("policy", "validate", str(site.root / "policies"))
    assert not (site.root / "var").exists()


def test_a_folder_that_is_not_there_is_a_wrong_command_line(site):
    assert "does not exist" in site.wrong("policy", "validate", str(site.root / "nowhere"), code=2)


def test_an_applied_policy_is_in_force_with_its_reason(site):
    told = site.fine("policy", "apply", str(site.root / "policies"), "--why", "first")
    assert told.startswith("version 1 is in force, 4 rules, 0 links\n")
    assert "development mode: the next edit" in told
    again = site.fine("policy", "apply", str(site.root / "policies"), "--why", "again")
    assert again == "version 1 is this policy already; nothing to apply\n"
    assert "--why" in site.wrong("policy", "apply", str(site.root / "policies"), code=2)


def test_a_bad_policy_is_not_applied(site):
    site.write("policies/rules.csv", BAD)
    assert "not applied: 2 problems" in site.wrong("policy", "apply", str(site.root / "policies"), "--why", "x")
    assert not (site.root / "var" / "ostiary.db").exists()


def test_a_policy_that_nobody_could_change_any_more_is_not_applied(site):
    apply = ("policy", "apply", str(site.root / "policies"), "--why", "x")
    site.fine("users", "add", "ada@example.com", "--role", "user")
    told = site.wrong(*apply)
    assert told.startswith(f"error: {site.root / 'policies'}: not applied: no `user:` would manage `gateway/policy`")
    assert "ostiary users give-role EMAIL security" in told
    site.fine("users", "give-role", "ada@example.com", "security", "--days", "1")
    assert "for good" in site.wrong(*apply)
    site.fine("users", "give-role", "ada@example.com", "security")
    assert site.fine(*apply).startswith("version 1 is in force")


def explain(site, *words):
    return site.json("policy", "explain", *words)


def test_an_explanation_names_the_row_its_file_and_its_line(site):
    site.fine("users", "add", "ada@example.com", "--role", "user")
    told = site.fine("policy", "explain", "user:ada@example.com", "git/git_log", "write").splitlines()
    assert told[0] == "allowed: user:ada@example.com write git/git_log in main, of user:ada@example.com"
    assert told[2].startswith("decided by policies/rules.csv:1: `p, role:user, main, self, git/*, write")
    denied = explain(site, "user:ada@example.com", "git/git_reset", "write")
    assert (denied["allowed"], denied["reason"]) == (False, "denied")
    assert denied["rule"].startswith("policies/rules.csv:3: ")


def test_arguments_and_facts_count_in_an_explanation(site):
    site.fine("users", "add", "ada@example.com", "--role", "user")
    question = ("user:ada@example.com", "slack/post", "write")
    site.write("policies/rules.csv", RULES_WITHOUT_DENY)
    assert explain(site, *question, "--arg", "channel=#help")["allowed"]
    refused = explain(site, *question, "--arg", "channel=#all")
    assert not refused["allowed"]
    assert refused["nearest"]["part"] == "condition"
    assert explain(site, *question, "--arg", "to.amount=5")["allowed"]
    assert not explain(site, *question, "--arg", "to.amount=500")["allowed"]
    assert explain(site, *question, "--claim", "amr=mfa")["allowed"]


RULES_WITHOUT_DENY = """\
p, role:user, main, self, slack/post, write, args.channel in ['#help'], allow
p, role:user, main, self, slack/post, write, args.to.amount > 0 and args.to.amount < 10, allow
p, role:user, main, self, slack/post, write, claims.amr == 'mfa', allow
"""


def test_an_explanation_asks_what_is_in_force_or_the_folder_that_is_named(site):
    site.fine("users", "add", "ada@example.com", "--role", "user", "--role", "security")
    question = ("user:ada@example.com", "git/git_log", "write")
    before = explain(site, *question)
    assert (before["allowed"], before["policy"]) == (True, "policies/")
    site.fine("policy", "apply", str(site.root / "policies"), "--why", "first")
    site.write("policies/rules.csv", "")
    assert explain(site, *question)["policy"].startswith("1.")
    assert explain(site, *question)["allowed"]
    assert not explain(site, *question, "--from", str(site.root / "policies"))["allowed"]


def test_a_wrong_question_is_one_clean_line(site):
    assert "`ada` is not a subject; write `user:EMAIL`" in site.wrong("policy", "explain", "ada", "git/x", "read")
    assert "action `raed` is none of `read`" in site.wrong("policy", "explain", "user:a@example.com", "git/x", "raed")
    own = ("policy", "explain", "user:a@example.com", "git/x", "read", "--own", "me")
    assert "owner `me` is none of `self`" in site.wrong(*own)
    words = ("policy", "explain", "user:ada@example.com", "git/x", "read", "--arg")
    for arg in ("novalue", "=1", "a.=1", ".a=1"):
        assert f"`{arg}` is not a new `name=value`" in site.wrong(*words, arg)
    assert "`a.b=1` is not a new" in site.wrong(*words, "a=1", "--arg", "a.b=1")
    assert "`a=2` is not a new" in site.wrong(*words, "a=1", "--arg", "a=2")


def test_production_explains_only_what_was_applied(site):
    site.write(
        "config/ostiary.toml",
        "[server]\nmode = 'production'\npublic_url = 'https://x.example.com'\nsecret = [{ id = 'a', env = 'S' }]",
    )
    told = site.wrong("policy", "explain", "user:ada@example.com", "git/x", "read", S="s" * 32)
    assert "no policy is in force, so everything is denied" in told
