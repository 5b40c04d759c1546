"""Random faults between the store and its database, each run with a seed; the long ones are in `tests/faults/`."""

import secrets
from urllib.parse import urlsplit

import pytest

from tests.secantus import Secantus
from tests.store.chaos import Ledger, cut_and_delayed, killed, proxied, settled, written_until


@pytest.mark.parametrize("seed", range(2))
async def test_a_wire_that_drops_delays_and_cuts_loses_nothing_and_does_nothing_twice(secantus, seed):
    async with proxied(urlsplit(secantus).port) as (proxy, open_one):
        store = await open_one(f"x_{secrets.token_hex(6)}")
        ledger = Ledger(store, seed)
        await written_until(ledger, cut_and_delayed(proxy, ledger, seed, faults=5))
        assert proxy.cuts > 0, "nothing was cut: the test proves nothing"
        await settled(ledger, proxy)


@pytest.mark.parametrize("seed", [7])
async def test_a_database_killed_again_and_again_loses_nothing_that_was_acknowledged(seed):
    server = Secantus()
    server.start()
    try:
        async with proxied(server._port) as (proxy, open_one):
            store = await open_one("killed")
            ledger = Ledger(store, seed)
            await written_until(ledger, killed(server, ledger, times=2))
            await settled(ledger, proxy)
    finally:
        server.stop()


async def test_a_database_that_says_nothing_is_unavailable_within_the_timeout_and_then_works_again(secantus):
    async with proxied(urlsplit(secantus).port) as (proxy, open_one):
        store = await open_one(f"x_{secrets.token_hex(6)}")
        ledger = Ledger(store, 0)
        proxy.drop()
        for _ in range(2):
            await ledger.add("silent")
            await ledger.read()
        assert ledger.refused == 4
        await settled(ledger, proxy)


async def test_a_database_that_nobody_can_reach_is_unavailable_at_once_or_in_time(secantus):
    async with proxied(urlsplit(secantus).port) as (proxy, open_one):
        store = await open_one(f"x_{secrets.token_hex(6)}")
        ledger = Ledger(store, 0)
        proxy.down()
        await ledger.add("down")
        await ledger.read()
        assert ledger.refused == 2
        await settled(ledger, proxy)
