"""What was planned, written into a real store, beside others who write there at the same moment."""

from pathlib import Path
from typing import Any

import pytest

from gateway.identity import KeyRing
from gateway.imports.documents import documents
from gateway.imports.planning import Given, plan
from gateway.imports.telling import Verdict
from gateway.imports.writing import Writing, Written, write
from gateway.manage.users import IssuedKey
from gateway.records import User
from gateway.store.base import Changes
from gateway.store.sqlite import SqliteStore

NOW = 1_800_000_000_000
RING = KeyRing([("k1", b"0" * 32)])
KEY = "6f1b0c9e-4f7e-4a57-9d9c-0d6f8b7f2a10"


async def written(store: SqliteStore, user: dict[str, Any], *, reset: bool = False) -> tuple[Written, list[IssuedKey]]:
    """What comes of a dump of one user who had no account when it was planned."""
    issued: list[IssuedKey] = []
    given = Given({"users": tuple(documents([user]))}, Changes(0), (), NOW)
    writing = Writing(store, RING, NOW, reset, issued.append, lambda _: None)
    return await write(plan(given), Changes(0), writing), issued


@pytest.mark.parametrize("reset", [False, True], ids=["old key", "new key"])
async def test_an_account_that_somebody_makes_meanwhile_gets_neither_roles_nor_a_key_of_the_dump(
    tmp_path: Path, reset: bool
):
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    try:
        await store.users.add(User(id="ann@example.com", name="Ann", created_at=1))
        dumped = {"email": "ann@example.com", "apiKey": KEY, "roles": ["admin"]}
        done, issued = await written(store, dumped, reset=reset)
        assert (done.users, done.keys, done.grants, issued) == (0, 0, 0, [])
        assert [each.what for each in done.remarks.all if each.verdict is Verdict.LEFT] == ["user ann@example.com"]
        assert (await store.grants.page(), await store.keys.page()) == ([], [])
    finally:
        await store.close()


async def test_a_new_account_has_its_roles_and_its_old_key(tmp_path: Path):
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    try:
        done, issued = await written(store, {"email": "ann@example.com", "apiKey": KEY, "roles": ["admin"]})
        assert (done.users, done.keys, done.grants, issued) == (1, 1, 1, [])
        assert [each.id for each in await store.keys.page()] == [RING.hash(KEY)]
    finally:
        await store.close()
