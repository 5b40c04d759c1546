"""The sample policy and every example of its README say what they seem to say."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.analysis.cases import Cases, read_cases, run
from gateway.analysis.inventory import Inventory
from gateway.policy.engine import Policy
from gateway.policy.guard import managers
from gateway.policy.rules import read
from gateway.policy.terms import MAIN, SYSTEM, Context, Link, Place, Subject, Tool
from tests.policy.builders import ALICE, BOB, NOW, access, allowed, context, policy, unknown_arguments

FOLDER = Path("policies")
README = (FOLDER / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```policy\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
QUESTION = re.compile(
    r"\? (?P<subject>\S+) (?P<action>\S+) (?P<object>\S+)"
    r"(?: of (?P<owner>\S+))?(?: with (?P<args>\{.*\}))?(?: group (?P<group>[^:]+:[^:]+))?(?: in (?P<domain>\S+))?"
    r"(?: at (?P<day>\S+))?(?P<destructive> destructive)?: (?P<answer>yes|no|listed|not listed)"
)
LIMITS = "[[class]]\nname = 'fast'\ncalls = 600\nwindow_s = 60"


def questions(example: str) -> list[str]:
    return [line for line in example.splitlines() if line.startswith("?")]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_readme_holds(example):
    rows = "\n".join(line for line in example.splitlines() if not line.startswith("?"))
    found = policy(rows, LIMITS)
    assert len(questions(example)) >= 2
    for line in questions(example):
        asked = QUESTION.fullmatch(line)
        assert asked, line
        listing = asked["answer"] in ("listed", "not listed")
        now = datetime.fromisoformat(asked["day"]).replace(tzinfo=UTC).timestamp() * 1000 if asked["day"] else NOW
        ctx = Context(
            args=None if listing else json.loads(asked["args"] or "{}"),
            groups=frozenset({asked["group"]} if asked["group"] else ()),
            tool=Tool(destructive=bool(asked["destructive"])),
            env={"now": int(now), "offset": 0, "address": "192.0.2.1"},
        )
        question = access(
            asked["object"],
            asked["action"],
            subject=asked["subject"],
            domain=asked["domain"] or MAIN,
            owner=asked["owner"] or "",
            ctx=ctx,
        )
        answer = found.possible((question,)) if listing else allowed(found, question)
        assert answer is (asked["answer"] in ("yes", "listed")), line


def test_the_tests_of_the_readme_come_out_as_it_says():
    rows = "\n".join(line for line in EXAMPLES[-1].splitlines() if not line.startswith("?"))
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)

    def failed(text: str) -> list[str]:
        cases = read_cases({"policies/tests/a.yaml": text})
        assert isinstance(cases, Cases), cases
        return [result.name for result in run(policy(rows), cases, Inventory(), now=NOW).failed]

    assert failed(shown) == ["support buys nothing"]
    assert failed(shown.replace("tools:\n", "tools:\n  shop/refund: write\n")) == []
    assert failed(shown.replace("#all", "#help")) == ["and to no other", "support buys nothing"]


def test_the_sample_policy_passes_its_own_tests_and_they_cover_every_row(sample):
    texts = {str(path): path.read_text(encoding="utf-8") for path in (FOLDER / "tests").iterdir()}
    cases = read_cases(texts)
    assert isinstance(cases, Cases), cases
    results = run(sample, cases, Inventory(), now=NOW)
    assert [str(failure) for result in results.failed for failure in result.failures] == []
    assert results.coverage.percent == 100


def test_the_readme_has_examples():
    assert len(EXAMPLES) >= 9


ADMIN, USER, POWER = (f"user:{name}@example.com" for name in ("admin", "user", "power"))


@pytest.fixture(scope="module")
def sample() -> Policy:
    files = {
        f"policies/{path.name}": path.read_text(encoding="utf-8")
        for path in FOLDER.iterdir()
        if path.suffix in (".csv", ".conf", ".toml")
    }
    found = read(files)
    assert not isinstance(found, list), [str(problem) for problem in found]
    roles = ((ADMIN, "admin"), (ADMIN, "security"), (USER, "user"), (POWER, "power-user"))
    return Policy.build(found, [Link(name, f"role:{role}", "*", Place("grant:1")) for name, role in roles], "1.0")


@pytest.mark.parametrize("domain", [MAIN, "git"])
def test_users_read_time_and_git_and_admins_write_git(sample, domain):
    def may(subject, object, action="read"):
        return allowed(sample, access(object, action, subject=subject, domain=domain))

    assert may(USER, "time/get_current_time")
    assert may(USER, "git/git_status")
    assert not may(USER, "git/git_add", "write")
    assert not may(POWER, "git/git_commit", "write")
    assert may(ADMIN, "git/git_add", "write")
    assert may(ADMIN, "time/convert_time")
    assert not may("user:stranger@example.com", "time/get_current_time")


def test_the_destructive_tool_is_hidden_from_everybody(sample):
    reset = unknown_arguments(tool=Tool(connector="git", name="git_reset", destructive=True))
    for subject in (USER, POWER, ADMIN):
        assert not sample.possible((access("git/git_reset", "write", subject=subject, ctx=reset),))
    assert sample.possible((access("git/git_commit", "write", subject=ADMIN, ctx=unknown_arguments()),))
    refused = sample.decide((access("git/git_reset", "write", subject=ADMIN, ctx=context(tool=Tool())),))
    assert refused.rule.id == "nothing-destructive"


def test_the_log_is_read_in_pages(sample):
    log = [
        allowed(sample, access("git/git_log", subject=USER, ctx=context(max_count=each)))
        for each in (0, 1, 50, 51, "5", True)
    ]
    assert log == [False, True, True, False, False, False]
    assert not allowed(sample, access("git/git_log", subject=USER))
    assert sample.possible((access("git/git_log", subject=USER, ctx=unknown_arguments()),))
    refused = sample.decide((access("git/git_log", subject=ADMIN, ctx=context(max_count=51)),))
    assert (refused.rule.id, refused.rule.place.file) == ("git-log-in-pages", "policies/rules.csv")


def test_the_first_admin_keeps_the_policy(sample):
    assert managers(sample, NOW) == {ADMIN}
    for action in ("inspect", "manage"):
        assert allowed(sample, access("gateway/policy", action, subject=ADMIN, owner=SYSTEM))
        assert not allowed(sample, access("gateway/policy", action, subject=USER, owner=SYSTEM))


def test_an_admin_does_not_touch_those_who_keep_the_policy(sample):
    only_admin = sample.with_grants([Link(ALICE, "role:admin", "*", Place("grant:1"))], "1.1")

    def may(**asked):
        return allowed(only_admin, access("gateway/users", "manage", owner=BOB, ctx=context(**asked)))

    assert may(roles=["user"])
    assert may(roles=[])
    assert not may(roles=["security"])
    assert not may(roles=["user"], owner_roles=("security",))
    assert not may()
    assert not allowed(only_admin, access("gateway/policy", "manage", owner=SYSTEM))


def test_what_is_ones_own_can_be_made_shared_and_ended(sample):
    shared = context(level="read", days=30)
    assert allowed(sample, access("custom/x", "share", subject=POWER, ctx=shared))
    assert not allowed(sample, access("custom/x", "share", subject=POWER, ctx=context(level="read", days=-1)))
    assert not allowed(sample, access("custom/x", "share", subject=USER, ctx=shared))
    assert allowed(sample, access("slack", "revoke", subject=USER))
    assert not allowed(sample, access("slack", "revoke", subject=USER, owner=POWER))
    assert allowed(sample, access("gateway/keys", "manage", subject=USER))


def test_the_sample_limits_are_given_by_role(sample):
    env = {"now": NOW}
    assert [sample.rate_class(Subject(each), MAIN, env) for each in (USER, POWER, ADMIN)] == ["default", "fast", "fast"]
    assert (sample.limits.of("fast").calls, sample.limits.of("default").calls) == (600, 100)
    assert sample.limits.on("git/git_commit", "fast")[0].limit.calls == 10


def test_the_audit_may_show_what_the_sample_decides_by(sample):
    assert sample.readable == {"max_count", "roles", "level", "days", "public"}
