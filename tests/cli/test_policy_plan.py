"""``ostiary policy plan``: what is compared, how it is told, and the budget."""

import asyncio
import json

import pytest

from gateway.analysis.inventory import Thing
from gateway.cli.inventory import written
from gateway.policy.terms import Tool
from gateway.records import Listing, Restrictions, Server

KEEPER = "p, role:security, main, system, gateway/policy, manage, , allow\n"
READS = "p, role:user, main, self, git/*, read, , allow\n"
WRITES = "p, role:user, main, self, git/*, write, , allow\n"
THINGS = {
    "main": (
        Thing("git/git_log", "read", Tool("git", "git_log", destructive=False)),
        Thing("git/git_add", "write", Tool("git", "git_add", destructive=False)),
    )
}


@pytest.fixture
def ready(site):
    """Two users and a keeper, and a policy in force by which users read."""
    for name, role in (("ada", "user"), ("bob", "user"), ("eve", "security")):
        site.fine("users", "add", f"{name}@example.com", "--role", role)
    (site.root / "things.json").write_bytes(written(THINGS))
    drafted(site, KEEPER, READS)
    site.fine("policy", "apply", str(site.root / "draft"), "--why", "first")
    return site


def drafted(site, *rows: str) -> str:
    site.write("draft/model.conf", (site.root / "policies" / "model.conf").read_text())
    site.write("draft/rules.csv", "".join(rows))
    return str(site.root / "draft")


def plan(site, *rows: str, words=()) -> tuple[str, ...]:
    return ("policy", "plan", drafted(site, *rows), "--tools", str(site.root / "things.json"), *words)


def test_a_plan_tells_who_gains_what_and_how_to_apply_just_that(ready):
    told = ready.fine(*plan(ready, KEEPER, WRITES)).splitlines()
    assert told[0] == f"{ready.root / 'draft'} against version 1: 3 widened; 2 users concerned"
    assert told[1].split("\t") == [
        "widened",
        "user:ada@example.com, user:bob@example.com, whoever gets role:user",
        "role:user",
        "his own",
        "write git/git_add",
        "main",
        "no",
        "yes",
    ]
    assert told[2] == f"to apply just this: `ostiary policy apply {ready.root / 'draft'} --planned 1 --why REASON`"
    assert "version 2 is in force" in ready.fine(
        "policy", "apply", str(ready.root / "draft"), "--planned", "1", "--why", "planned"
    )


def test_nothing_changes_between_a_policy_and_itself(ready):
    assert "no right changes" in ready.fine(*plan(ready, "# moved down a line\n", KEEPER, READS))
    assert json.loads(ready.fine(*plan(ready, KEEPER, READS, words=["--json"])))["groups"] == []


def test_grants_are_part_of_both_sides(ready):
    """Eve was given her role at run time: the row for it concerns her by name."""
    found = json.loads(
        ready.fine(
            *plan(ready, KEEPER, READS, "p, role:security, main, self, git/git_log, read, , allow\n", words=["--json"])
        )
    )
    (group,) = found["groups"]
    assert (group["users"], group["others"]) == (["user:eve@example.com"], ["role:security"])
    assert group["because"] == ["draft/rules.csv:3: p, role:security, main, self, git/git_log, read, , allow"]
    assert (found["against"], found["planned"]) == ("1", "draft/")


@pytest.mark.parametrize("shut", [True, False])
def test_what_the_restrictions_of_a_server_keep_out_is_no_gain_and_is_explained_by_its_rows(ready, shut):
    kept_out = Restrictions(connectors=Listing(allow=False, names=("git",) if shut else ()))
    desk = Server(id="desk-0a1b2c3d", owner="user:ada@example.com", name="Desk", restrictions=kept_out)
    ready.with_store(lambda store: store.servers.add(desk))
    (ready.root / "things.json").write_bytes(written({desk.id: THINGS["main"]}))
    rows = (KEEPER, READS, f"p, user:bob@example.com, {desk.id}, self, git/*, write, , allow\n")
    found = json.loads(ready.fine(*plan(ready, *rows, words=["--json"])))["groups"]
    asked = ("user:bob@example.com", "git/git_add", "write", "--domain", desk.id)
    told = ready.json("policy", "explain", *asked, "--from", drafted(ready, *rows))
    assert told["allowed"] is not shut
    if shut:
        assert found == []
        assert f"grant:server/{desk.id}/" in told["rule"]
    else:
        assert found


def test_a_budget_holds_cells_and_users(ready):
    rows = (KEEPER, WRITES)
    for budget in ("3", "cells=3", "users=3"):
        ready.fine(*plan(ready, *rows, words=["--budget", budget]))
    told = ready.wrong(*plan(ready, *rows, words=["--budget", "2", "--budget", "users=0"]), code=3)
    assert told == "error: rights widen beyond the budget: 3 cells (budget 2), 3 users (budget 0)\n"
    ready.fine(*plan(ready, KEEPER, words=["--budget", "0"]))
    for wrong in ("x", "cells=", "tools=1", "-1", "users=²"):
        assert "is not a number of cells" in ready.wrong(*plan(ready, *rows, words=["--budget", wrong]), code=2)


def test_an_earlier_version_can_be_compared_with(ready):
    ready.fine("policy", "apply", drafted(ready, KEEPER, WRITES), "--why", "second")
    assert "no right changes" in ready.fine(*plan(ready, KEEPER, WRITES))
    told = ready.fine(*plan(ready, KEEPER, WRITES, words=["--against", "1"]))
    assert "against version 1: 3 widened" in told
    assert "to apply just this" not in told
    assert "there is no policy version 9" in ready.wrong(*plan(ready, KEEPER, words=["--against", "9"]))


def test_before_the_first_apply_everything_is_new_and_nothing_was_granted(site):
    (site.root / "things.json").write_bytes(written(THINGS))
    site.fine("users", "add", "ada@example.com", "--role", "user")
    found = json.loads(site.fine(*plan(site, KEEPER, READS, words=["--json"])))
    assert found["against"] == "0"
    assert {group["before"] for group in found["groups"]} == {"no"}
    assert ["user:ada@example.com"] in [group["users"] for group in found["groups"]]


def test_a_comment_for_a_pull_request(ready):
    told = ready.fine(*plan(ready, KEEPER, WRITES, words=["--markdown"]))
    assert told.startswith(
        "### Policy plan: 3 widened; 2 users concerned\n\nPlanned against version `1`.\n\n| change |"
    )
    assert "<details><summary>Details</summary>" in told


def test_what_concerns_nothing_known_is_noted(ready):
    told = ready.fine(*plan(ready, KEEPER, READS, "p, role:user, main, self, nowhere/*, read, , allow\n"))
    assert "draft/rules.csv:3: `read` of `nowhere/*` in `main` concerns nothing that is known here" in told


def test_a_bad_folder_is_not_planned_and_one_entry_is_left_of_a_plan(ready):
    assert "not planned: 1 problem" in ready.wrong(*plan(ready, "p, role:user\n"))
    ready.fine(*plan(ready, KEEPER))
    methods = [method for method, outcome in entries(ready) if method == "policy.plan" and outcome == "ok"]
    assert methods == ["policy.plan"]


def test_upstreams_are_asked_unless_a_file_says_what_they_offer(ready):
    result = ready.ostiary("policy", "plan", drafted(ready, KEEPER, WRITES))
    assert result.exit_code == 0
    assert "upstream `git` does not answer, and is left out" in result.stderr
    assert "concerns nothing that is known here" in result.stdout


def entries(site):
    async def work():
        store = site.store()
        await store.open()
        try:
            return await store.audit.scan(limit=1_000)
        finally:
            await store.close()

    return [(entry.method, entry.outcome) for entry in asyncio.run(work())]
