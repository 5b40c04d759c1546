"""``ostiary users`` on a real store."""

import asyncio
import json
import sqlite3
from contextlib import closing

import click
from click.testing import CliRunner

from gateway.audit import AuditEntry
from gateway.cli import Clean


def entries(site) -> list[AuditEntry]:
    async def scan():
        store = site.store()
        await store.open()
        found = await store.audit.scan(limit=1000)
        await store.close()
        return found

    return asyncio.run(scan())


def test_a_user_is_added_with_a_key_that_is_shown_once(site):
    told = site.fine("users", "add", "Ada@Example.com", "--name", "Ada", "--role", "user", "--role", "support")
    key = next(word for word in told.split() if word.startswith("ost_"))
    assert "shown this once" in told
    (account,) = site.json("users", "list")
    assert (account["email"], account["name"]) == ("ada@example.com", "Ada")
    assert sorted(role["role"] for role in account["roles"]) == ["support", "user"]
    assert [each["prefix"] for each in account["keys"]] == [key[:8]]
    assert key not in site.fine("users", "list") + json.dumps(account)


def test_people_get_a_table_and_programs_get_json(site):
    issued = site.json("users", "add", "ada@example.com", "--days", "30")
    assert issued["key"].startswith(issued["prefix"])
    assert issued["expires_at"].endswith("+00:00")
    row = site.fine("users", "list").strip().split("\t")
    assert row[0] == "ada@example.com"
    assert row[3] == f"{issued['prefix']}…"


def test_a_reset_ends_the_old_key(site):
    old = site.json("users", "add", "ada@example.com")
    new = site.json("users", "reset-key", "ada@example.com")
    assert new["key"] != old["key"]
    (account,) = site.json("users", "list")
    assert [key["prefix"] for key in account["keys"]] == [new["prefix"]]


def test_roles_are_given_and_withdrawn(site):
    site.fine("users", "add", "ada@example.com")
    site.fine("users", "give-role", "ada@example.com", "support", "--domain", "git", "--days", "3")
    (account,) = site.json("users", "list")
    assert [(role["role"], role["domain"], bool(role["expires_at"])) for role in account["roles"]] == [
        ("support", "git", True)
    ]
    assert "support in git" in site.fine("users", "list")
    assert "was not given `role:support` in `*`" in site.wrong("users", "withdraw-role", "ada@example.com", "support")
    site.fine("users", "withdraw-role", "ada@example.com", "support", "--domain", "git")
    assert site.json("users", "list")[0]["roles"] == []


def test_a_role_that_nothing_knows_is_given_with_a_warning(site):
    told = site.ostiary("users", "add", "ada@example.com", "--role", "usr", "--role", "security")
    assert told.exit_code == 0
    assert told.stderr == "warning: neither the policy nor a grant knows the role `usr`; did you mean `user`?\n"
    site.fine("policy", "apply", str(site.root / "policies"), "--why", "first")
    site.write("policies/rules.csv", "")
    assert site.ostiary("users", "give-role", "ada@example.com", "role:user").stderr == ""
    assert "the role `nobody`" in site.ostiary("users", "give-role", "ada@example.com", "nobody").stderr


def test_a_key_is_shown_even_when_the_store_fails_right_after(site):
    site.fine("users", "list")
    with closing(sqlite3.connect(site.root / "var" / "ostiary.db")) as connection, connection:
        connection.execute("DROP TABLE audit")
    for words in (("users", "add", "ada@example.com"), ("users", "reset-key", "ada@example.com")):
        result = site.ostiary(*words)
        assert result.exit_code == 1
        assert "shown this once:  ost_" in result.stdout
        assert result.stderr.startswith("error: the database file did not take the work")


def test_a_deletion_asks_first(site):
    site.fine("users", "add", "ada@example.com")
    assert site.ostiary("users", "delete", "ada@example.com", input="n\n").exit_code == 1
    assert len(site.json("users", "list")) == 1
    site.fine("users", "delete", "ada@example.com", "--yes")
    assert site.json("users", "list") == []


def test_what_is_wrong_is_one_clean_line(site):
    assert (
        site.wrong("users", "add", "nobody") == "error: `nobody` is not an e-mail address such as `name@example.com`\n"
    )
    site.fine("users", "add", "ada@example.com")
    assert site.wrong("users", "add", "ada@example.com") == "error: there is a user `ada@example.com` already\n"
    assert site.wrong("users", "reset-key", "eve@example.com") == "error: there is no user `eve@example.com`\n"
    assert "role `role:no role` is not `role:NAME`" in site.wrong("users", "give-role", "ada@example.com", "no role")
    assert "No such command 'ad'" in site.wrong("users", "ad", code=2)
    assert "Missing argument 'EMAIL'" in site.wrong("users", "add", code=2)


def test_wrong_settings_are_all_told_before_anything_is_done(site):
    site.write("config/ostiary.toml", "[server]\nbnid = 1\nkeepalive_s = 0\n")
    told = site.wrong("users", "add", "ada@example.com").splitlines()
    assert told[0].startswith("config/ostiary.toml:2: unknown key `bnid`")
    assert told[1].startswith("config/ostiary.toml:3: `server.keepalive_s`")
    assert told[2] == "error: the settings cannot be used: 2 problems"
    assert not (site.root / "var" / "ostiary.db").exists()


def test_a_store_of_another_kind_is_one_clean_line(site):
    (site.root / "var").mkdir(mode=0o700)
    site.write("var/ostiary.db", "this is no database, whatever its name says\n" * 100).chmod(0o600)
    told = site.wrong("users", "list")
    assert told.startswith("error: ")
    assert told.count("\n") == 1


def test_a_missing_folder_says_how_to_begin(site):
    told = site.ostiary("--config", str(site.root / "nowhere"), "users", "list")
    assert told.exit_code == 1
    assert told.stderr.startswith("nowhere: there is no such folder; `ostiary init DIR` writes one")
    assert told.stderr.count("\n") == 2


def test_every_operation_leaves_one_audit_entry_of_the_operator_without_the_key(site):
    issued = site.json("users", "add", "ada@example.com", "--role", "user")
    site.wrong("users", "add", "ada@example.com")
    site.fine("users", "list")
    reset = site.json("users", "reset-key", "ada@example.com")
    site.fine("users", "delete", "ada@example.com", "--yes")
    found = entries(site)
    assert [(entry.method, entry.action, entry.outcome, entry.error) for entry in found] == [
        ("users.add", "manage", "ok", ""),
        ("users.add", "manage", "failed", "Conflict"),
        ("users.list", "inspect", "ok", ""),
        ("users.reset-key", "manage", "ok", ""),
        ("users.delete", "manage", "ok", ""),
    ]
    assert {(entry.subject, entry.transport, entry.domain) for entry in found} == {("operator", "cli", "main")}
    assert found[0].arguments == {"/email": '"ada@example.com"', "/roles": '["user"]'}
    assert issued["key"] not in repr(found)
    assert reset["key"] not in repr(found)


def test_a_fault_of_ours_is_one_line_unless_a_trace_is_asked_for():
    @click.group(cls=Clean)
    def group():
        pass

    @group.command()
    def divide():
        print(1 / 0)

    result = CliRunner(env={"OSTIARY_TRACE": None}).invoke(group, ["divide"])
    told = "error: a fault of ours (ZeroDivisionError: division by zero); OSTIARY_TRACE=1 shows where\n"
    assert (result.exit_code, result.stderr) == (1, told)
    traced = CliRunner(env={"OSTIARY_TRACE": "1"}).invoke(group, ["divide"])
    assert isinstance(traced.exception, ZeroDivisionError)


NEVER = """\
tools: {git/log: read}
never:
  - {name: contractors never read the log, who: "role:contractor", do: read, on: git/log}
"""


def test_a_role_that_allows_what_must_never_be_is_given_with_a_warning(site):
    site.write("policies/tests/own.yaml", NEVER)
    rules = (site.root / "policies" / "rules.csv").read_text()
    site.write("policies/rules.csv", rules + "g, role:contractor, role:guest, *\n")
    site.fine("users", "add", "root@example.com", "--role", "security")
    site.fine("users", "add", "ada@example.com", "--role", "contractor")
    assert "warning" not in site.ostiary("users", "give-role", "ada@example.com", "guest").stderr
    site.fine("policy", "apply", str(site.root / "policies"), "--why", "x")
    result = site.ostiary("users", "give-role", "ada@example.com", "user", "--domain", "main")
    assert result.exit_code == 0
    assert "warning: grant:role:user/main/ada@example.com: it would allow what must never be: " in result.stderr
    assert "the next apply will refuse it" in result.stderr
    assert result.stdout == "ada@example.com has role user in main\n"
    both = site.ostiary("users", "add", "bob@example.com", "--role", "contractor", "--role", "user")
    assert both.exit_code == 0
    assert "must never be" in both.stderr
    assert "must never be" not in site.ostiary("users", "give-role", "root@example.com", "user").stderr
