"""The recipes and the page on testing: what they show is valid, passes, and fails when its rows are broken."""

import re
from pathlib import Path

import pytest

from gateway.analysis.cases import Cases, read_cases, run
from gateway.analysis.cases.form import MANY
from gateway.analysis.cases.reading import FILES, QUESTIONS
from gateway.analysis.cases.results import TOLD
from gateway.analysis.inventory import Inventory
from gateway.analysis.lint import lint
from gateway.analysis.severity import Severity
from gateway.plain_yaml import DEPTH, LARGEST
from gateway.policy.engine import Policy
from gateway.policy.rules import read
from tests.documents import blocks, tables
from tests.policy.builders import MODEL, NOW

DOCS = Path("docs/policy")
RECIPES = (DOCS / "recipes.md").read_text(encoding="utf-8")
TESTING = DOCS / "testing.md"
CHAPTERS = {
    found[1]: (found[2], found[3])
    for found in re.finditer(
        r"^## (.+?)$.*?^```csv\n(.*?)^```$.*?^```yaml\n(.*?)^```$", RECIPES, re.DOTALL | re.MULTILINE
    )
}
BROKEN = {
    "Least privilege for an analyst": [(" and args.limit <= 1000", ""), ("read, args", "write, args"), (", 'web'", ", 'hr'")],
    "A contractor who reads, in office hours": [("'18:00'", "'19:00'"), ("*, *, *, write, , deny", "git, *, *, write, , deny"), ("write, , deny", "write, args.id > 0, deny")],
    "One tool, some channels": [("in ['#help', '#support']", "!= '#general'"), (" and not has(args.user)", ""), ("chat/send", "chat/*")],
    "Sharing": [("calendar/*, read", "calendar/*, write"), ("<= 90", "<= 900"), ("args.level == 'read' and ", ""), ("p, user:ann@example.com, main, self, calendar/*, write, , allow\n", "")],
    "A role for emergencies, with an end": [("2027-01-16", "2027-01-17"), ("(cidr(env.address, '10.0.0.0/8'))", ""), ("system, cluster", "self, cluster")],
    "Nothing destructive": [("tool.destructive, deny", "not tool.open_world, deny"), ("p, *, *, *, *, write", "p, *, main, *, *, write"), ("git/*, write", "git/*, read")],
}  # fmt: skip


def tried(rows: str, text: str):
    bundle = read({"policies/model.conf": MODEL, "policies/rules.csv": rows})
    assert not isinstance(bundle, list), [str(problem) for problem in bundle]
    cases = read_cases({"policies/tests/a.yaml": text})
    assert isinstance(cases, Cases), [str(problem) for problem in cases]
    return bundle, run(Policy.build(bundle, (), "1"), cases, Inventory(), now=NOW)


def failures(results) -> list[str]:
    return [f"{result.name}: {failure}" for result in results.failed for failure in result.failures]


def test_every_recipe_is_found_here():
    assert len(CHAPTERS) == len(re.findall(r"^## ", RECIPES, re.MULTILINE)) >= 6
    assert set(BROKEN) == set(CHAPTERS)


@pytest.mark.parametrize("recipe", CHAPTERS)
def test_a_recipe_passes_its_tests_and_every_row_counts_in_one(recipe):
    bundle, results = tried(*CHAPTERS[recipe])
    assert failures(results) == []
    assert results.coverage.percent == 100
    assert bundle.rules


@pytest.mark.parametrize("recipe", CHAPTERS)
def test_a_recipe_has_nothing_that_lint_would_warn_of(recipe):
    bundle, _ = tried(*CHAPTERS[recipe])
    found = [str(each) for each in lint(bundle, now=NOW).findings if each.severity is not Severity.NOTE]
    assert found == []


@pytest.mark.parametrize(
    ("recipe", "old", "new"), [(name, *change) for name, changes in BROKEN.items() for change in changes]
)
def test_a_recipe_with_a_mistake_in_its_rows_fails(recipe, old, new):
    rows, text = CHAPTERS[recipe]
    assert old in rows
    assert failures(tried(rows.replace(old, new), text)[1])


def test_the_page_on_testing_shows_what_is_so():
    shown = {block.language: block.text for block in blocks(TESTING)}
    _, results = tried(shown["csv"], shown["yaml"])
    assert failures(results) == []
    careless = "p, role:support, main, self, chat/*, write, , allow\n" + shown["csv"].split("\n", 2)[2]
    text = shown["yaml"]
    bundle = read({"policies/model.conf": MODEL, "policies/rules.csv": careless})
    cases = read_cases({"policies/tests/chat.yaml": text})
    assert isinstance(cases, Cases)
    (result,) = run(Policy.build(bundle, (), "1"), cases, Inventory(), now=NOW).failed
    assert shown["text"] == f"{result.place}: {result.kind} `{result.name}` failed\n  {result.failures[0]}\n"


def test_the_bounds_on_the_page_are_those_of_the_code():
    bounds = next(each for each in tables(TESTING) if each.columns[0] == "bound")
    assert [int(value) for _, value in bounds.rows] == [LARGEST, FILES, DEPTH, MANY, QUESTIONS]
    assert f"the first {TOLD}" in TESTING.read_text(encoding="utf-8")
