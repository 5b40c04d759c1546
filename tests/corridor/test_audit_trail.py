"""The trail of a whole process holds after a stop and after a kill, and tells what somebody changed in the file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.corridor.house import House, free_port, modern, running, write

CALLS = 30


@pytest.fixture
def own_house(tmp_path: Path) -> Iterator[House]:
    write(tmp_path, policy="p, role:user, *, self, demo/*, write, , allow\n", limits="", upstreams="")
    return House(tmp_path, free_port(), str(tmp_path / "var" / "ostiary.db"))


def call(house: House, key: str) -> None:
    with house.client(key) as client:
        for _ in range(CALLS):
            assert client.post("/mcp", **modern("tools/list")).status_code == 200


def test_a_trail_holds_over_a_kill_and_a_stop_and_a_changed_row_is_named(own_house: House):
    with running(own_house):
        call(own_house, own_house.add_user("ann@example.com", "user"))
        assert own_house.process is not None
        own_house.process.kill()
        own_house.process.wait(20)
    assert "entries hold together" in own_house.cli("audit", "verify")
    with running(own_house):
        call(own_house, own_house.add_user("bob@example.com", "user"))
        assert "entries hold together" in own_house.cli("audit", "verify")
    assert "entries hold together" in own_house.cli("audit", "verify")
    listed = [each for each in own_house.entries() if each.method == "tools/list"]
    by_bob = [each for each in listed if each.subject == "user:bob@example.com"]
    assert len(by_bob) == CALLS
    assert len({each.chain for each in listed}) == 2
    changed = by_bob[-1].id
    with closing(sqlite3.connect(own_house.store)) as database, database:
        database.execute("UPDATE audit SET body = replace(body, 'bob@', 'eve@') WHERE id = ?", (changed,))
    words = ["--config", str(own_house.folder / "config"), "audit", "verify"]
    told = CliRunner().invoke(main, words, env={"MONGODB_URI": None})
    assert told.exit_code == 1
    assert f"entry {changed}: changed" in told.stderr
