"""``ostiary policy``: apply with its conditions, rollback, history, diff, keygen, serve-check."""

import asyncio
import json
import re
import stat

import pytest

from gateway.cli.inventory import written
from gateway.manage.policies import policy_in_force

KEEPER = "p, role:security, main, system, gateway/policy, manage, , allow\n"
READS = "p, role:user, main, self, git/*, read, , allow\n"
TESTS = """\
tools:
  git/log: read
never:
  - {name: bob never reads the log, who: "user:bob@example.com", do: read, on: git/log}
"""
PRODUCTION = """\
[server]
mode = "production"
public_url = "https://mcp.example.com"
secret = [{ id = "a", env = "S" }]
"""
SECRET = {"S": "s" * 32}


@pytest.fixture
def policy(site):
    """A policy folder whose rows can be set."""

    def write(*rows: str, tests: str = "", name: str = "draft") -> str:
        site.write(f"{name}/model.conf", (site.root / "policies" / "model.conf").read_text())
        site.write(f"{name}/rules.csv", KEEPER + "".join(rows))
        if tests:
            site.write(f"{name}/tests/own.yaml", tests)
        return str(site.root / name)

    return write


def applied(site, folder: str, *words: str, **environ: str):
    return site.ostiary("policy", "apply", folder, "--why", "x", *words, **environ)


def entries(site):
    async def work():
        store = site.store()
        await store.open()
        try:
            return await store.audit.scan(limit=1_000)
        finally:
            await store.close()

    return [(entry.method, entry.outcome, entry.action, entry.subject) for entry in asyncio.run(work())]


# -- apply


def test_a_policy_planned_against_another_version_is_not_applied(site, policy):
    folder = policy()
    assert applied(site, folder, "--planned", "0").exit_code == 0
    policy(READS)
    told = site.wrong("policy", "apply", folder, "--why", "late", "--planned", "0")
    assert told == "error: version 1 is in force by now, and this was planned against 0; look again\n"
    assert site.json("policy", "history")[0]["version"] == 1
    assert applied(site, folder, "--planned", "1").exit_code == 0
    assert "--planned" in site.wrong("policy", "apply", folder, "--why", "x", "--planned", "-1", code=2)


def test_what_was_applied_is_told_to_programs(site, policy):
    told = site.json("policy", "apply", policy(), "--why", "first")
    assert (told["version"], told["moved"], told["why"], told["author"]) == (1, True, "first", "operator")
    assert told["tests"] is told["signed_by"] is None
    assert told["plan"]["widened"] > 0 == told["plan"]["narrowed"]
    assert told["failed_cases"] == []
    assert not site.json("policy", "apply", policy(), "--why", "again")["moved"]


def test_a_policy_whose_own_tests_fail_is_not_applied(site, policy):
    folder = policy(READS, "p, user:*, main, self, git/log, read, , allow\n", tests=TESTS)
    told = site.wrong("policy", "apply", folder, "--why", "x")
    assert told.startswith("draft/tests/own.yaml:4: test `bob never reads the log`: ")
    assert f"error: {folder}: not applied, its own tests fail: 1 problem\n" in told
    assert site.json("policy", "history") == []
    assert entries(site)[0][:2] == ("policy.apply", "failed")


def test_tests_that_cannot_be_read_make_a_folder_invalid(site, policy):
    folder = policy(tests="never: {")
    assert "draft/tests/own.yaml" in site.wrong("policy", "validate", folder)
    assert "not applied: 1 problem" in site.wrong("policy", "apply", folder, "--why", "x")


def test_a_grant_that_breaks_a_test_is_told_with_both_ways_out(site, policy):
    site.fine("users", "add", "root@example.com", "--role", "security")
    site.fine("users", "add", "bob@example.com", "--role", "user")
    folder = policy(READS, tests=TESTS)
    told = site.wrong("policy", "apply", folder, "--why", "x")
    assert "`ostiary users withdraw-role bob@example.com user` takes it back" in told
    assert "only grants break them: withdraw those grants, or add `--despite-grants`" in told
    result = applied(site, folder, "--despite-grants")
    assert result.exit_code == 0
    assert result.stdout.startswith("version 1 is in force")
    assert result.stderr.startswith("warning: draft/tests/own.yaml:4: test `bob never reads the log`")
    told = site.json("policy", "rollback", "1", "--why", "same")
    assert (told["moved"], told["tests"]["failed"]) == (False, 1)
    site.fine("users", "withdraw-role", "bob@example.com", "user")
    assert applied(site, policy("p, role:user, main, self, time/*, read, , allow\n", tests=TESTS)).exit_code == 0


# -- history and rollback


def test_history_tells_who_changed_what_when_and_why(site, policy):
    assert site.fine("policy", "history") == ""
    site.fine("users", "add", "bob@example.com", "--role", "security")
    site.fine("policy", "apply", policy(), "--why", "first")
    site.fine("policy", "apply", policy(READS, tests=TESTS), "--why", "second")
    second, first = site.fine("policy", "history").splitlines()
    assert first.split("\t")[5] == ""
    assert first.split("\t")[0] == "1"
    version, when, author, why, commit, tests, _, signed, bundle = second.split("\t")
    assert (version, author, why, commit, signed) == ("2", "operator", "second", "", "")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", when)
    assert tests == "1/1 passed, 0/2 rows"
    (latest,) = site.json("policy", "history", "--limit", "1")
    assert latest["bundle"].startswith(bundle)
    assert len(bundle) == 12
    assert latest["version"] == 2
    assert entries(site)[-1] == ("policy.history", "ok", "inspect", "operator")


def test_an_earlier_policy_comes_back(site, policy):
    site.fine("policy", "apply", policy(), "--why", "first")
    site.fine("policy", "apply", policy(READS), "--why", "second")
    told = site.fine("policy", "rollback", "1", "--why", "it hurt")
    assert told.startswith("version 3 is in force: the policy of version 1\n")
    assert "development mode: the next edit of policies/ replaces it" in told
    assert site.fine("policy", "rollback", "1", "--why", "again") == (
        "version 3 is the policy of version 1 already; nothing to do\n"
    )
    latest, _, first = site.json("policy", "history")
    assert (latest["why"], latest["bundle"]) == ("back to version 1: it hurt", first["bundle"])
    assert entries(site)[2] == ("policy.rollback", "ok", "manage", "operator")


def test_the_way_back_is_not_barred_by_tests_that_fail_now(site, policy):
    site.fine("users", "add", "root@example.com", "--role", "security")
    site.fine("users", "add", "bob@example.com")
    site.fine("policy", "apply", policy(READS, tests=TESTS), "--why", "first")
    site.fine("policy", "apply", policy(name="other"), "--why", "second")
    site.fine("users", "give-role", "bob@example.com", "user")
    result = site.ostiary("policy", "rollback", "1", "--why", "x")
    assert result.exit_code == 0
    assert "warning: draft/tests/own.yaml:4: test `bob never reads the log`" in result.stderr
    site.fine("policy", "rollback", "2", "--why", "x")
    told = site.json("policy", "rollback", "1", "--why", "x")
    assert (told["moved"], len(told["failed_cases"])) == (True, 1)


def test_a_way_back_that_locks_everybody_out_or_leads_nowhere_is_refused(site, policy):
    assert "no policy was applied yet" in site.wrong("policy", "rollback", "1", "--why", "x")
    site.fine("users", "add", "root@example.com", "--role", "security")
    site.fine("policy", "apply", policy(), "--why", "first")
    site.write("draft/rules.csv", "p, user:root@example.com, main, system, gateway/policy, manage, , allow\n")
    site.fine("policy", "apply", str(site.root / "draft"), "--why", "second")
    site.fine("users", "withdraw-role", "root@example.com", "security")
    told = site.wrong("policy", "rollback", "1", "--why", "x")
    assert told.startswith("error: not rolled back: no `user:` would manage `gateway/policy`")
    assert "the versions are 1 to 2" in site.wrong("policy", "rollback", "9", "--why", "x")
    assert "--why" in site.wrong("policy", "rollback", "1", code=2)


# -- diff


def test_the_difference_of_two_policies_is_told_row_by_row(site, policy):
    site.fine("policy", "apply", policy(), "--why", "first")
    folder = policy(READS)
    added = "+ draft/rules.csv:2: `p, role:user, main, self, git/*, read, , allow`\n"
    assert site.fine("policy", "diff", folder) == added
    site.fine("policy", "apply", folder, "--why", "second")
    assert site.fine("policy", "diff", "1", "2") == added
    assert site.fine("policy", "diff", "2", "1") == added.replace("+ ", "- ")
    assert site.fine("policy", "diff", "1") == added.replace("+ ", "- ")
    assert site.fine("policy", "diff", "1", folder) == added
    assert site.fine("policy", "diff", folder) == "no difference\n"
    other = policy(READS.replace("read, ,", "read, args.a == 1,"), tests="cases: []\n", name="other")
    assert site.fine("policy", "diff", other).splitlines() == [
        "- draft/rules.csv:2: `p, role:user, main, self, git/*, read, , allow`",
        "+ other/rules.csv:2: `p, role:user, main, self, git/*, read, args.a == 1, allow`",
        "--- tests/own.yaml",
        "+++ tests/own.yaml",
        "@@ -0,0 +1 @@",
        "+cases: []",
    ]
    told = site.json("policy", "diff", folder, other)
    assert (told["added"], told["removed"], told["texts"][-1]) == ([], [], "+cases: []")
    (changed,) = told["changed"]
    assert changed["from"]["file"] == "draft/rules.csv"
    assert changed["to"] == {
        "file": "other/rules.csv",
        "line": 2,
        "row": "p, role:user, main, self, git/*, read, args.a == 1, allow",
    }


def test_a_difference_with_nothing_is_one_clean_line(site, policy):
    folder = policy()
    assert "no policy is in force; name two policies" in site.wrong("policy", "diff", folder)
    assert site.fine("policy", "diff", folder, folder) == "no difference\n"
    assert "`nowhere` is neither a version nor a folder" in site.wrong("policy", "diff", "nowhere")
    assert "there is no policy version 7; no policy was applied yet" in site.wrong("policy", "diff", "7")
    site.write("draft/rules.csv", "x\n")
    assert "not valid: 1 problem" in site.wrong("policy", "diff", folder)
    assert "name one policy, or two" in site.wrong("policy", "diff", "1", "2", "3", code=2)
    assert "SIDES" not in site.wrong("policy", "diff", code=2)


# -- signed


@pytest.fixture
def production(site, policy):
    """The site in production, with one trusted key; the file of that key."""
    key = site.root / "ann.pem"
    public = site.fine("policy", "keygen", str(key)).strip()
    site.write("config/ostiary.toml", f'{PRODUCTION}[policy]\ntrusted_keys = [{{ id = "ann", key = "{public}" }}]\n')
    return str(key)


def test_a_key_is_written_for_its_owner_alone_and_never_over_another(site):
    key = site.root / "ann.pem"
    public = site.fine("policy", "keygen", str(key))
    assert re.fullmatch(r"ed25519:[A-Za-z0-9+/]{43}=\n", public)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_text()
    assert "there is such a file already" in site.wrong("policy", "keygen", str(key))
    assert key.read_text() == before
    assert site.json("policy", "keygen", str(site.root / "bob.pem"))["public"] != public.strip()
    assert before.splitlines()[1] not in public


def test_with_a_trusted_key_only_what_it_signed_is_applied(site, policy, production):
    folder = policy()
    told = site.wrong("policy", "apply", folder, "--why", "x", **SECRET)
    assert "it is not signed, and `trusted_keys` is set; apply it with `--sign FILE`" in told
    other = site.root / "eve.pem"
    site.fine("policy", "keygen", str(other))
    told = site.wrong("policy", "apply", folder, "--why", "x", "--sign", str(other), **SECRET)
    assert "which is not one of `trusted_keys`" in told
    assert applied(site, folder, "--sign", production, **SECRET).exit_code == 0
    (row,) = site.fine("policy", "history", **SECRET).splitlines()
    assert row.split("\t")[7] == "ann"
    (head,) = json.loads(site.fine("policy", "history", "--json", **SECRET))
    assert head["signed_by"] == "ann"


def test_the_way_back_takes_nothing_unsigned(site, policy, production):
    site.write("config/ostiary.toml", PRODUCTION)
    site.fine("policy", "apply", policy(), "--why", "unsigned", **SECRET)
    site.fine("policy", "apply", policy(READS), "--why", "signed", "--sign", production, **SECRET)
    assert site.fine("policy", "history", **SECRET).splitlines()[0].split("\t")[7] == "signed"
    public = site.fine("policy", "keygen", str(site.root / "bob.pem")).strip()
    site.write("config/ostiary.toml", f'{PRODUCTION}[policy]\ntrusted_keys = [{{ id = "bob", key = "{public}" }}]\n')
    assert "it is not signed" in site.wrong("policy", "rollback", "1", "--why", "x", **SECRET)
    assert [row.split("\t")[7] for row in site.fine("policy", "history", **SECRET).splitlines()] == [
        "nobody trusted",
        "nobody trusted",
    ]


def test_a_key_that_others_can_read_or_that_is_none_signs_nothing(site, policy, production):
    folder = policy()
    (site.root / "ann.pem").chmod(0o644)
    told = site.wrong("policy", "apply", folder, "--why", "x", "--sign", production, **SECRET)
    assert "can be read by others than its owner" in told
    site.write("note", "a secret that is no key").chmod(0o600)
    told = site.wrong("policy", "apply", folder, "--why", "x", "--sign", str(site.root / "note"), **SECRET)
    assert "is not an Ed25519 private key" in told
    assert "a secret that is no key" not in told


# -- serve-check


def test_a_folder_in_development_that_would_serve_is_told_to_do_so(site):
    told = site.fine("policy", "serve-check").splitlines()
    assert told == [
        "settings: development, 127.0.0.1:4001",
        f"{site.root / 'policies'}: 4 rules, 0 links",
        "store: none yet; the first start makes it",
        "would serve",
    ]
    assert not (site.root / "var" / "ostiary.db").exists(), "a check makes no store"
    site.fine("users", "list")
    assert "store: open" in site.fine("policy", "serve-check")


def test_every_problem_is_told_at_once(site):
    site.write("config/ostiary.toml", "[server]\nbin = 1\nname = '/'\n")
    site.write("policies/rules.csv", "p, x\n")
    site.write("policies/limits.toml", "").chmod(0o666)
    told = site.wrong("policy", "serve-check", str(site.root / "policies"))
    for part in ("unknown key `bin`", "`server.name`", "policies/rules.csv:1: ", "others can write this file"):
        assert part in told
    assert told.endswith("error: would not serve: 4 problems\n")


def test_what_an_apply_would_refuse_is_told(site):
    site.fine("users", "add", "bob@example.com", "--role", "user")
    site.write("policies/rules.csv", KEEPER + READS)
    site.write("policies/tests/own.yaml", TESTS)
    result = site.ostiary("policy", "serve-check", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert not told["serves"]
    lock_out, case = told["problems"]
    assert lock_out["problem"].startswith("no `user:` would manage `gateway/policy`")
    assert (case["file"], case["line"]) == ("policies/tests/own.yaml", 4)
    assert "grant:role:user/*/bob@example.com" in case["problem"]
    assert entries(site)[-1] == ("policy.serve-check", "ok", "inspect", "operator")


def test_production_serves_what_is_in_force(site, policy):
    site.write("config/ostiary.toml", PRODUCTION)
    assert "no policy is in force, so everything is denied" in site.wrong("policy", "serve-check", **SECRET)
    site.fine("users", "list", **SECRET)
    assert "no policy is in force, so everything is denied" in site.wrong("policy", "serve-check", **SECRET)
    site.fine("policy", "apply", policy(), "--why", "first", **SECRET)
    assert site.fine("policy", "serve-check", **SECRET).splitlines() == [
        "settings: production, 127.0.0.1:4001",
        "store: open",
        "policy 1: 1 rules, 0 links",
        "would serve",
    ]
    folder = policy("p, x\n")
    assert "draft/rules.csv:2" in site.wrong("policy", "serve-check", folder, **SECRET)


def test_production_with_a_trusted_key_serves_nothing_unsigned(site, policy, production):
    trusting = (site.root / "config" / "ostiary.toml").read_text()
    site.write("config/ostiary.toml", PRODUCTION)
    site.fine("policy", "apply", policy(), "--why", "first", **SECRET)
    (site.root / "things.json").write_bytes(written({}))
    site.write("config/ostiary.toml", trusting)
    assert "policy 1: it is not signed" in site.wrong("policy", "serve-check", **SECRET)
    for question in (("who-can", "git/git_log", "read"), ("plan", policy())):
        told = site.wrong("policy", *question, "--tools", str(site.root / "things.json"), **SECRET)
        assert "policy 1 decides nowhere: it is not signed" in told
    site.fine("policy", "apply", policy(), "--why", "signed", "--sign", production, **SECRET)
    site.fine("policy", "plan", policy(), "--tools", str(site.root / "things.json"), **SECRET)
    assert "would serve" in site.fine("policy", "serve-check", **SECRET)


def test_a_trusted_key_and_a_watched_folder_do_not_go_together(site, production):
    text = (site.root / "config" / "ostiary.toml").read_text()
    site.write("config/ostiary.toml", text[text.index("[policy]") :])
    told = site.wrong("policy", "serve-check")
    assert "config/ostiary.toml:2: development applies every edit of the folder, unsigned" in told
    assert "development applies every edit" in site.wrong("users", "list")


def test_a_damaged_policy_and_a_foreign_store_are_told(site, policy):
    site.write("config/ostiary.toml", PRODUCTION)
    site.fine("policy", "apply", policy(), "--why", "first", **SECRET)

    async def damage():
        store = site.store()
        await store.open()
        assert await policy_in_force(store)
        await store.write(lambda connection: connection.execute("UPDATE bundles SET body = x'00'"))
        await store.close()

    asyncio.run(damage())
    assert "error: would not serve: 1 problem" in site.wrong("policy", "serve-check", **SECRET)
    database = site.root / "var" / "ostiary.db"
    for end in ("-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)
    database.write_bytes(b"not a database at all, but long enough to look like a file" * 20)
    assert "store: " in site.wrong("policy", "serve-check", **SECRET)
