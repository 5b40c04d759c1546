"""``ostiary policy lint``: what it prints, how it ends, and that its table in the documents is that of the code."""

import asyncio
import json
import re

from gateway.analysis.lint import Code
from gateway.analysis.lint.conditions import CONNECTION, EMPTY_ROOTS
from gateway.analysis.lint.findings import SEVERITIES
from gateway.analysis.lint.meaning import COMPARISONS
from gateway.analysis.lint.rows import MANY
from gateway.policy.possible import CAP
from gateway.policy.roles import HOPS
from tests.documents import ROOT, table

CLEAN = """\
p, role:user, main, self, git/*, read, , allow
g, user:ann@example.com, role:user, main
"""
WARNING = CLEAN + "# @id d\np, *, main, *, git/*, write, , deny\n"
ERROR = CLEAN + "# @id d\np, *, *, *, git/*, write, false, deny\n"
TOOLS = {"things": {"main": [{"object": "git/git_log", "action": "read", "tool": {}}]}}


def codes(site, *words):
    result = site.ostiary("policy", "lint", *words, "--json")
    return [each["code"] for each in json.loads(result.stdout)["findings"]]


def test_a_clean_policy_says_so(site):
    site.write("policies/rules.csv", CLEAN)
    folder = site.root / "policies"
    assert site.fine("policy", "lint") == f"{folder}: 0 errors, 0 warnings, 0 notes, 0 accepted\n"
    assert site.json("policy", "lint", str(folder), "--strict") == {"findings": [], "accepted": 0}


def test_an_error_fails_and_a_warning_does_when_strict(site):
    site.write("policies/rules.csv", WARNING)
    folder = site.root / "policies"
    told = site.fine("policy", "lint").splitlines()
    assert told[0].startswith(
        "policies/rules.csv:4: warning: `p, *, main, *, git/*, write, , deny` denies in `main` only"
    )
    assert told[0].endswith("(deny-in-one-domain)")
    assert told[1] == f"{folder}: 0 errors, 1 warning, 0 notes, 0 accepted"
    assert site.wrong("policy", "lint", "--strict") == f"error: {folder}: 0 errors, 1 warning, 0 notes, 0 accepted\n"
    site.write("policies/rules.csv", ERROR)
    assert site.wrong("policy", "lint") == f"error: {folder}: 1 error, 0 warnings, 0 notes, 0 accepted\n"
    assert site.ostiary("policy", "lint", "--json").exit_code == 1


def test_json_has_every_part_of_a_finding(site):
    site.write("policies/rules.csv", CLEAN + "# @lint-ok deny-in-one-domain\np, *, main, *, git/*, read, , deny\n")
    told = site.json("policy", "lint")
    assert told["accepted"] == 1
    assert told["findings"][0] == {
        "code": "always-denied",
        "severity": "warning",
        "file": "policies/rules.csv",
        "line": 1,
        "finding": "`p, role:user, main, self, git/*, read, , allow` gives nothing: `policies/rules.csv:4` denies every "
        "question that it allows; remove it, or narrow the deny",
        "rows": ["policies/rules.csv:4"],
    }


def test_a_policy_that_is_not_valid_is_not_linted(site):
    site.write("policies/rules.csv", "p, role:user\n")
    assert "not valid: 1 problem" in site.wrong("policy", "lint")


def test_a_given_folder_needs_neither_settings_nor_a_store(site):
    (site.root / "config" / "ostiary.toml").unlink()
    site.write("policies/rules.csv", CLEAN)
    assert "0 warnings" in site.fine("policy", "lint", str(site.root / "policies"))
    assert not (site.root / "var").exists()


def test_what_was_given_at_run_time_counts_when_asked_for_and_leaves_an_entry(site):
    assert codes(site) == ["role-not-in-files", "deny-without-id", "path-to-policy"]
    site.fine("users", "add", "ada@example.com", "--role", "security")
    found = site.json("policy", "lint", "--grants")["findings"]
    assert [each["code"] for each in found] == ["role-never-given", "deny-without-id", "path-to-policy"]
    assert "`user:ada@example.com` → `role:security` can change the policy" in found[2]["finding"]
    assert found[2]["rows"][0].startswith("grant:")
    entries = asyncio.run(trail(site))
    assert [each.object for each in entries if each.method == "policy.lint"] == ["gateway/policy"]


async def trail(site):
    store = site.store()
    await store.open()
    try:
        return await store.audit.scan(limit=100)
    finally:
        await store.close()


def test_rows_are_held_against_the_tools_of_a_file(site):
    site.write("policies/rules.csv", CLEAN + "p, role:user, main, self, git/git_lgo, write, , allow\n")
    path = site.write("tools.json", json.dumps(TOOLS))
    assert codes(site) == []
    assert codes(site, "--tools", str(path)) == ["object-unknown"]
    assert "cannot be read" in site.wrong("policy", "lint", "--tools", str(site.root / "nothing.json"))


# -- the documents


def test_the_table_of_codes_is_that_of_the_code():
    told = {code: row["severity"] for code, row in table("policy/checking.md", "Lint", 1).by("code").items()}
    assert told == {code.value: SEVERITIES[code].value for code in Code}


def test_the_numbers_and_roots_in_the_table_are_those_of_the_code():
    found = {code: row["what is found"] for code, row in table("policy/checking.md", "Lint", 1).by("code").items()}
    assert f"{MANY} rows" in found["many-rows"]
    assert f"{CAP} points" in found["beyond-cap"]
    assert f"after {COMPARISONS} comparisons" in (ROOT / "docs/policy/checking.md").read_text()
    assert f"{HOPS} links" in found["role-too-deep"]
    assert re.findall(r"`(\w+)`", found["empty-root"]) == [*EMPTY_ROOTS, CONNECTION]


def test_the_roots_that_count_as_empty_are_those_of_which_the_documents_say_so():
    roots = table("security-teams.md", "What conditions see").by("root")
    assert [name for name, row in roots.items() if row["holds"].startswith("empty")] == list(EMPTY_ROOTS)
