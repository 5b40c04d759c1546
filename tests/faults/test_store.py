"""Long faults of the store: a minute without it, and many of the short ones in a row. ``make faults`` runs them."""

import asyncio
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.store.sqlite import SqliteStore
from tests.secantus import Secantus
from tests.store.chaos import Ledger, cut_and_delayed, killed, proxied, settled, written_until

OUTAGE = 60.0  # seconds
ROOT = Path(__file__).parents[2]


async def outage(server: Secantus, ledger: Ledger) -> None:
    await asyncio.to_thread(server.kill)
    began, refused, done = time.monotonic(), ledger.refused, ledger.done
    while time.monotonic() - began < OUTAGE:
        await asyncio.sleep(1)
    assert ledger.refused - refused > 20, "nobody asked: the test proves nothing"
    assert ledger.done - done <= 12, "what was acknowledged while there was no database?"
    await asyncio.to_thread(server.start)


async def test_a_minute_without_the_database_loses_nothing_and_hangs_nobody():
    server = Secantus()
    server.start()
    try:
        async with proxied(server._port) as (proxy, open_one):
            ledger = Ledger(await open_one("outage"), 1)
            await written_until(ledger, outage(server, ledger))
            await settled(ledger, proxy)
    finally:
        server.stop()


@pytest.mark.parametrize("seed", range(100, 106))
async def test_many_faults_of_the_wire_lose_nothing_and_do_nothing_twice(secantus, seed):
    async with proxied(urlsplit(secantus).port) as (proxy, open_one):
        ledger = Ledger(await open_one(f"x_{secrets.token_hex(6)}"), seed)
        await written_until(ledger, cut_and_delayed(proxy, ledger, seed, faults=30))
        assert proxy.cuts > 3, "hardly anything was cut: the test proves little"
        await settled(ledger, proxy)


@pytest.mark.parametrize("seed", [100, 101])
async def test_many_kills_of_the_database_lose_nothing_that_was_acknowledged(seed):
    server = Secantus()
    server.start()
    try:
        async with proxied(server._port) as (proxy, open_one):
            ledger = Ledger(await open_one("killed"), seed)
            await written_until(ledger, killed(server, ledger, times=8))
            await settled(ledger, proxy)
    finally:
        server.stop()


async def test_many_kills_of_processes_on_one_file_lose_nothing_that_was_acknowledged(tmp_path):
    path, users, entries = tmp_path / "store" / "ostiary.db", set(), set()
    for lines in (1, 10, 50, 100, 200, 400, 50, 10):
        words = [sys.executable, "-m", "tests.store.writing", str(path), "forever"]
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=60)
        told = [line.split() for line in [*said, *rest.splitlines()]]
        users |= {word for kind, word in told if kind == "user"}
        entries |= {word for kind, word in told if kind == "entry"}
    store = SqliteStore(path)
    await store.open()
    changes = await store.changes(0)
    assert len(users) > 200, "hardly anything was written: the test proves little"
    assert users <= {user.id for user in changes.users}
    assert changes.seq == len(changes.users), "tickets have a gap"
    assert entries <= {entry.id for entry in await store.audit.scan(limit=1_000_000)}
    head = await store.bundles.head()
    assert await store.bundles.get(head.bundle)
    await store.close()
