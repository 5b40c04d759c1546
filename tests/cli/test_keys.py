"""``ostiary keys`` on a real store."""

import json

from tests.cli.test_users import entries

ADA = "ada@example.com"


def added(site, *words: str):
    return site.json("keys", "add", ADA, *words)


def ids(site) -> list[str]:
    return [each["id"] for each in site.json("keys", "list", ADA)]


def test_keys_are_added_listed_rotated_and_revoked(site):
    site.fine("users", "add", ADA)
    made = added(site, "--name", "build", "--server", "main", "--server", "main", "--days", "30")
    assert (made["name"], made["servers"], made["key"][:8]) == ("build", ["main"], made["prefix"])
    assert made["expiresAt"] > made["createdAt"]
    listed = site.json("keys", "list", ADA)
    assert [each["name"] for each in listed] == ["", "build"]
    assert listed[1] == {name: value for name, value in made.items() if name != "key"}
    fresh = site.json("keys", "rotate", made["id"], "--overlap", "3600")
    assert (fresh["name"], fresh["servers"], fresh["expiresAt"]) == ("build", ["main"], made["expiresAt"])
    assert {made["id"], fresh["id"]} < set(ids(site))
    at_once = site.json("keys", "rotate", fresh["id"], "--days", "60")
    assert at_once["expiresAt"] > fresh["expiresAt"]
    assert fresh["id"] not in ids(site)
    assert site.fine("keys", "revoke", at_once["id"]) == f"{at_once['id']} of {ADA} revoked\n"
    assert at_once["id"] not in ids(site)


def test_people_get_a_table_and_a_key_is_shown_once(site):
    site.fine("users", "add", ADA)
    told = site.fine("keys", "add", ADA, "--name", "laptop")
    key = next(word for word in told.split() if word.startswith("ost_"))
    assert "shown this once" in told
    rows = [line.split("\t") for line in site.fine("keys", "list", ADA).splitlines()]
    assert [(row[1], row[2]) for row in rows][1] == (f"{key[:8]}…", "laptop")
    assert key not in str(rows) + json.dumps(site.json("keys", "list", ADA))


def test_what_cannot_be_done_is_one_line(site):
    assert "no user `ada@example.com`" in site.wrong("keys", "list", ADA)
    assert "no user" in site.wrong("keys", "add", ADA)
    site.fine("users", "add", ADA)
    assert "there is no server `mian`; did you mean `main`?" in site.wrong("keys", "add", ADA, "--server", "mian")
    assert "printable" in site.wrong("keys", "add", ADA, "--name", "a\nb")
    assert "there is no key `ffffffffffffffff`" in site.wrong("keys", "rotate", "f" * 16)
    assert "there is no key `0`" in site.wrong("keys", "revoke", "0")
    assert "there is no key ``" in site.wrong("keys", "revoke", "")
    assert "there is no key" in site.wrong("keys", "revoke", ids(site)[0][:15])
    site.wrong("keys", "rotate", ids(site)[0], "--overlap", "604801", code=2)
    site.wrong("keys", "add", ADA, "--days", "0", code=2)
    assert len(ids(site)) == 1


def test_every_command_leaves_one_entry_of_the_operator(site):
    site.fine("users", "add", ADA)
    made = added(site, "--name", "build")
    site.wrong("keys", "revoke", "f" * 16)
    site.fine("keys", "revoke", made["id"])
    site.fine("keys", "list", ADA)
    found = [(each.method, each.action, each.outcome) for each in entries(site)][1:]
    assert found == [
        ("keys.add", "manage", "ok"),
        ("keys.revoke", "revoke", "failed"),
        ("keys.revoke", "revoke", "ok"),
        ("keys.list", "inspect", "ok"),
    ]
    assert {each.subject for each in entries(site)} == {"operator"}
    assert made["key"] not in repr(entries(site))
