"""``ostiary policy test``."""

import json

import pytest

GOOD = """\
tools:
  git/git_log: read
  slack/post: write
cases:
  - {name: users read, as: role:user, on: git/git_log, expect: allow}
  - {name: users help, as: role:user, on: slack/post, with: {channel: "#help"}, expect: allow}
"""
FAILING = """\
tools:
  slack/post: write
cases:
  - {name: users shout, as: role:user, on: slack/post, with: {channel: "#all"}, expect: allow}
never:
  - {name: users are silent, who: role:user, do: write, on: slack/*}
"""
RULE = "policies/rules.csv:2 `p, role:user, main, self, slack/post, write, args.channel in ['#help'], allow`"


@pytest.fixture
def policies(site):
    return str(site.root / "policies")


def test_tests_that_pass_are_summed_up(site, policies):
    site.write("policies/tests/a.yaml", GOOD)
    assert site.fine("policy", "test") == f"{policies}: 2 tests passed, 2 questions, 50 % of 4 rows covered\n"
    assert site.fine("policy", "test", "--min-coverage", "50").endswith("50 % of 4 rows covered\n")


def test_a_given_folder_needs_no_settings_and_leaves_no_store(site, policies):
    site.write("policies/tests/a.yaml", GOOD)
    (site.root / "config" / "ostiary.toml").unlink()
    assert "2 tests passed" in site.fine("policy", "test", policies)
    assert not (site.root / "var").exists()


def test_each_failure_is_told_with_its_place_and_why(site, policies):
    site.write("policies/tests/a.yaml", GOOD)
    site.write("policies/tests/b.yaml", FAILING)
    result = site.ostiary("policy", "test")
    assert result.exit_code == 1
    case = (
        '  role:user write slack/post with {"channel": "#all"}: expected allow, got deny, no row allows it; nearest '
        f"{RULE}: the condition `args.channel in ['#help']` is not met"
    )
    never = (
        f"  role:user write slack/post: expected never, got some call is allowed, through {RULE}, "
        'such as with {"args": {"channel": "#help"}}'
    )
    assert result.stdout.splitlines() == [
        *("policies/tests/b.yaml:4: case `users shout` failed", case),
        *("policies/tests/b.yaml:6: never `users are silent` failed", never),
    ]
    assert result.stderr == f"error: {policies}: 2 of 4 tests failed\n"


def test_more_failures_than_one_can_read_are_counted(site):
    channels = ", ".join(f'{{channel: "#{n}"}}' for n in range(25))
    site.write("policies/tests/a.yaml", GOOD.replace('{channel: "#help"}', f"[{channels}]"))
    told = site.ostiary("policy", "test").stdout.splitlines()
    assert (len(told), told[-1]) == (22, "  and 5 more")


def test_rows_that_no_case_covers_are_told_when_too_many_are_not(site, policies):
    site.write("policies/tests/a.yaml", GOOD)
    result = site.ostiary("policy", "test", "--min-coverage", "51")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "no case covers policies/rules.csv:3 `p, *, *, *, *, write, tool.destructive, deny`",
        "no case covers policies/rules.csv:4 `p, role:security, main, system, gateway/policy, manage, , allow`",
    ]
    assert result.stderr == f"error: {policies}: 50 % of the rows are covered, wanted are 51 %\n"
    assert "0<=x<=100" in site.wrong("policy", "test", "--min-coverage", "101", code=2)


def test_the_results_as_json_are_whole_also_when_tests_fail(site):
    site.write("policies/tests/a.yaml", GOOD + FAILING.partition("cases:\n")[2].replace("never:", "never: # none"))
    result = site.ostiary("policy", "test", "--json", "--min-coverage", "90")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert (data["passed"], data["tests"], data["failed"], data["minimum"]) == (False, 4, 2, 90)
    assert [each["name"] for each in data["results"] if not each["passed"]] == ["users shout", "users are silent"]
    assert data["coverage"]["percent"] == 50
    assert data["coverage"]["silent"] == ["policies/rules.csv:3", "policies/rules.csv:4"]


def test_tools_of_a_file_count_beside_those_of_the_tests(site, policies):
    site.write("policies/tests/a.yaml", "what:\n  - {as: role:user, are: [git/git_log]}\n")
    assert "nobody knows `git/git_log`" in site.ostiary("policy", "test").stdout
    tool = {"connector": "git", "name": "git_log", "destructive": False}
    things = [{"object": f"git/{name}", "action": "read", "tool": tool} for name in ("git_log", "git_show")]
    file = site.write("tools.json", json.dumps({"things": {"main": things[:1]}}))
    (site.root / "config" / "ostiary.toml").unlink()
    assert "1 test passed, 2 questions" in site.fine("policy", "test", policies, "--tools", str(file))
    file.write_text(json.dumps({"things": {"main": things}}))
    told = site.ostiary("policy", "test", policies, "--tools", str(file)).stdout
    assert "role:user read git/git_show: expected no, got may" in told
    file.write_text("{}")
    assert "not an inventory" in site.wrong("policy", "test", policies, "--tools", str(file))


def test_a_policy_without_tests_has_not_passed_them(site, policies):
    told = f"error: {policies}: there are no tests; they stand in `policies/tests/*.yaml`\n"
    assert site.wrong("policy", "test") == told
    site.write("policies/tests/a.yaml", GOOD.partition("cases:")[0])
    assert site.wrong("policy", "test") == told


def test_every_problem_of_rows_and_tests_is_told_with_its_line(site, policies):
    site.write("policies/tests/a.yaml", GOOD.replace("allow", "maybe"))
    told = site.wrong("policy", "test").splitlines()
    assert told == [
        "policies/tests/a.yaml:5: `maybe` is not one of `allow`, `deny`, `listed`, `hidden`",
        "policies/tests/a.yaml:6: `maybe` is not one of `allow`, `deny`, `listed`, `hidden`",
        f"error: {policies}: not valid: 2 problems",
    ]
    site.write("policies/rules.csv", "p, role:user\n")
    assert "policies/rules.csv:1: " in site.wrong("policy", "test")
