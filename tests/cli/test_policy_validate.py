"""``ostiary policy validate``: what is told of a folder beside its problems."""

import json

from gateway.analysis.inventory import Thing
from gateway.cli.inventory import written
from gateway.policy.terms import Tool


def test_a_connector_that_no_upstream_has_is_a_note_and_fails_nothing(site):
    result = site.ostiary("policy", "validate")
    assert result.exit_code == 0
    assert result.stdout == f"{site.root / 'policies'}: valid, 4 rules, 0 links\n"
    sentence = "no upstream is called `slack`; until one is, rows about `slack` do nothing"
    assert result.stderr == f"policies/rules.csv:2: note: {sentence}\n"
    assert site.json("policy", "validate") == [
        {"severity": "note", "file": "policies/rules.csv", "line": 2, "problem": sentence}
    ]


def test_a_given_folder_is_not_held_against_settings(site):
    result = site.ostiary("policy", "validate", str(site.root / "policies"))
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_wrong_test_of_the_policy_makes_it_invalid(site):
    site.write("policies/tests/a.yaml", "cases: 5\n")
    assert site.wrong("policy", "validate").startswith("policies/tests/a.yaml:1: ")
    site.write("policies/tests/a.yaml", "cases: []\n")
    site.write("policies/limits.toml", "[[class]]\nname = 5\n")
    told = site.wrong("policy", "validate", "--json")
    assert told == f"error: {site.root / 'policies'}: not valid\n"


SEND = Thing(
    "slack/post",
    "write",
    Tool("slack", "post"),
    {"type": "object", "properties": {"channel": {"type": "string"}}, "required": ["channel"]},
)
ROWS = """\
p, role:user, main, self, slack/post, write, args.chanel == '#help', allow
p, role:user, main, self, slack/post, write, has(args.channel), allow
p, role:user, main, self, git/*, write, , allow
"""


def test_conditions_are_held_against_the_tools_of_a_file(site):
    tools = site.write("tools.json", written({"main": (SEND,)}).decode())
    folder = str(site.write("policies/rules.csv", ROWS).parent)
    result = site.ostiary("policy", "validate", folder, "--tools", str(tools))
    assert (result.exit_code, result.stdout) == (1, "")
    note, warning, error, verdict = result.stderr.splitlines()
    assert note == "policies/rules.csv:3: note: no upstream is called `git`; until one is, rows about `git` do nothing"
    assert warning.startswith("policies/rules.csv:2: warning: condition `has(args.channel)` for `slack/post`: ")
    assert error.startswith("policies/rules.csv:1: condition `args.chanel == '#help'` for `slack/post`: there is no")
    assert error.endswith("did you mean `args.channel`? (at character 1)")
    assert verdict == f"error: {folder}: not valid: 1 problem"
    assert not (site.root / "var").exists()


def test_warnings_and_notes_fail_nothing(site):
    tools = site.write("tools.json", written({"main": (SEND,)}).decode())
    folder = str(site.write("policies/rules.csv", ROWS.partition("\n")[2]).parent)
    told = site.json("policy", "validate", folder, "--tools", str(tools))
    assert [(each["severity"], each["file"], each["line"]) for each in told] == [
        ("note", "policies/rules.csv", 2),
        ("warning", "policies/rules.csv", 1),
    ]


def test_errors_about_tools_are_json_too(site):
    tools = site.write("tools.json", written({"main": (SEND,)}).decode())
    folder = str(site.write("policies/rules.csv", ROWS).parent)
    result = site.ostiary("policy", "validate", folder, "--tools", str(tools), "--json")
    assert result.exit_code == 1
    assert [each["severity"] for each in json.loads(result.stdout)] == ["note", "error", "warning"]
    assert result.stderr == f"error: {folder}: not valid\n"


def test_tools_that_cannot_be_read_are_one_clean_line(site):
    told = site.wrong("policy", "validate", str(site.root / "policies"), "--tools", "nowhere.json")
    assert told == "error: nowhere.json: the file cannot be read: no such file or directory\n"


def test_live_tools_are_asked_of_the_upstreams_of_the_settings(site):
    result = site.ostiary("policy", "validate", str(site.root / "policies"), "--tools", "live")
    assert result.exit_code == 0
    assert "upstream `git` does not answer, and is left out" in result.stderr
    assert "no upstream is called `slack`" in result.stderr
