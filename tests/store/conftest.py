"""Both stores behind one face, and the guard on what goes over the wire."""

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient, monitoring

from gateway.store.base import Store
from gateway.store.mongo import MongoStore
from gateway.store.sqlite import SqliteStore
from tests.secantus import secantus  # noqa: F401
from tests.store.portable import Portable

GUARD = Portable()
monitoring.register(GUARD)  # for every client made from now on

Opener = Callable[..., Awaitable[Store]]


@pytest.fixture(autouse=True)
def only_portable_commands() -> Iterator[None]:
    GUARD.strays.clear()
    yield
    assert not GUARD.strays


REAL = os.environ.get("OSTIARY_TEST_MONGODB_URI", "")
"""A replica set of yours: the contract then holds on it as well. Databases of random names come and go there."""


async def drop(uri: str, database: str) -> None:
    """Leave nothing behind on a server that goes on living."""
    with GUARD.looking_away():
        async with AsyncMongoClient(uri) as client:
            await client.drop_database(database)


@pytest.fixture(params=["sqlite", "mongo", *(["real"] if REAL else [])])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens further store objects on one and the same database; all are closed at the end."""
    stores: list[Store] = []
    uri = request.getfixturevalue("secantus") if request.param == "mongo" else REAL if request.param == "real" else ""
    database = f"t_{secrets.token_hex(6)}"

    async def open_one(**options: Any) -> Store:
        if uri:
            store: Store = MongoStore(uri, database=database, **options)
        else:
            options.pop("settle_after", None)
            store = SqliteStore(tmp_path / "store" / "ostiary.db", **options)
        stores.append(store)
        await store.open()
        return store

    yield open_one
    for store in stores:
        await store.close()
    if request.param == "real":
        await drop(uri, database)


@pytest.fixture
async def store(opened: Opener) -> Store:
    return await opened()
