"""``ostiary audit`` on a store: what was changed is named, what is there is told."""

import json
import sqlite3
from contextlib import closing

import pytest


@pytest.fixture
def filled(site):
    for name in ("ann", "bob", "cid"):
        site.fine("users", "add", f"{name}@example.com")
    return site


def database(site, *words):
    with closing(sqlite3.connect(site.root / "var" / "ostiary.db")) as connection, connection:
        return connection.execute(*words).fetchall()


def test_a_trail_that_nobody_touched_holds(filled):
    assert "3 entries hold together" in filled.fine("audit", "verify")
    assert filled.json("audit", "verify")["breaks"] == []


def test_a_changed_entry_is_named(filled):
    ((id,),) = database(filled, "SELECT id FROM audit WHERE body LIKE '%bob@%'")
    database(filled, "UPDATE audit SET body = replace(body, 'bob@', 'eve@') WHERE id = ?", (id,))
    told = filled.wrong("audit", "verify")
    assert f"entry {id}: changed" in told
    assert "the audit does not hold: " in told


def test_a_removed_entry_is_named(filled):
    database(filled, "DELETE FROM audit WHERE body LIKE '%bob@%'")
    assert "number 1: missing: numbers 1 to 1 were removed" in filled.wrong("audit", "verify")


def test_entries_from_before_chains_are_counted_and_no_break(filled):
    database(filled, """INSERT INTO audit VALUES ('0', 1, 'x', '{"id":"0","at":1}')""")
    assert "1 entries are older than chains" in filled.fine("audit", "verify")


def test_a_query_shows_what_was_asked_for(filled):
    assert len(filled.json("audit", "query", "--subject", "operator", "--object", "gateway/*", "--outcome", "ok")) == 3
    assert filled.json("audit", "query", "--subject", "user:nobody@example.com") == []
    assert len(filled.fine("audit", "query", "--limit", "2").splitlines()) == 2
    assert "is no time such as" in filled.wrong("audit", "query", "--since", "soon", code=2)


def test_an_export_is_whole_in_order_and_private(filled):
    target = filled.root / "out"
    assert "3 entries written" in filled.fine("audit", "export", "--out", str(target))
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [line["number"] for line in lines] == [1, 1, 1]
    assert [line["id"] for line in lines] == sorted(line["id"] for line in lines)
    assert target.stat().st_mode & 0o777 == 0o600
    assert "name a new file" in filled.wrong("audit", "export", "--out", str(target))
    assert filled.fine("audit", "export", "--format", "cef").startswith("CEF:0|Ostiary|ostiary|")


def test_a_follower_writes_each_entry_once_and_ends(filled):
    lines = filled.fine("audit", "tail", "--since", "7d", "--seconds", "0.7").splitlines()
    ids = [json.loads(line)["id"] for line in lines]
    assert len(ids) == len(set(ids)) == 3
