"""Changing the secret that credentials are sealed under, beside a gateway that runs."""

import pytest
from msgspec import structs

from gateway.assembly.held import vault_of
from gateway.connections.material import (
    Material,
    context_of_connection,
    context_of_flow,
    context_of_registration,
    pack,
    unpack,
)
from gateway.connections.resealing import refuse_missing_keys, reseal, survey
from gateway.identity import KeyRing
from gateway.records import Connected, Flow, Registration
from gateway.store.base import Unavailable
from tests.connections.renewal import ADA, Breaking
from tests.store.conftest import opened  # noqa: F401

A, B = ("a", b"a" * 32), ("b", b"b" * 32)
OLD, BOTH, NEW = (vault_of(KeyRing(masters)) for masters in ([A], [B, A], [B]))
PACKED = pack(Material({}, {"which": "canary"}))
NOBODY = lambda *_: None  # noqa: E731


@pytest.fixture
async def store(opened):  # noqa: F811
    return await opened()


def connected(number, vault=OLD):
    record = Connected(id=f"{number:024x}", owner=ADA, connector="slack")
    return structs.replace(record, sealed=vault.seal(PACKED, context_of_connection(record)))


async def fill(store, connections=3, vault=OLD):
    for number in range(connections):
        await store.connections.add(connected(number, vault))
    flow = Flow(id="f", owner=ADA, connector="slack", binding="session")
    await store.flows.add(structs.replace(flow, sealed=vault.seal(PACKED, context_of_flow(flow))))
    await store.flows.add(structs.replace(flow, id="empty"))
    known = Registration(id="r", issuer="https://i", client_id="c", redirect_uri="https://r")
    await store.registrations.add(structs.replace(known, sealed=vault.seal(PACKED, context_of_registration(known))))


async def opens(store, vault):
    """Everything, opened in its own place."""
    places = [(each.sealed, context_of_connection(each)) for each in await store.connections.page()]
    places += [(each.sealed, context_of_flow(each)) for each in await store.flows.page() if each.sealed]
    places += [(each.sealed, context_of_registration(each)) for each in await store.registrations.page()]
    return [unpack(vault.open(*place)).plain["which"] for place in places]


async def test_everything_is_wrapped_anew_and_opens_under_the_new_secret_alone(store, monkeypatch):
    monkeypatch.setattr("gateway.connections.resealing.PAGE", 2)
    await fill(store)
    heard = []
    tally = await reseal(store, BOTH, lambda *said: heard.append(said))
    assert (tally.rewrapped, dict(tally.keys), tally.unopened) == (5, {"b": 5}, [])
    assert heard == [(number, 5) for number in range(1, 6)]
    assert await opens(store, NEW) == ["canary"] * 5


async def test_what_is_sealed_under_the_current_secret_is_left_as_it_is(store):
    await fill(store, vault=NEW)
    before = (await store.heads()).changes
    tally = await reseal(store, BOTH, NOBODY)
    assert (tally.rewrapped, dict(tally.keys)) == (0, {"b": 5})
    assert (await store.heads()).changes == before


async def test_it_goes_on_where_it_was_interrupted(store):
    await fill(store)

    class Enough(Exception):
        pass

    def stop(done, _):
        if done == 2:
            raise Enough

    with pytest.raises(Enough):
        await reseal(store, BOTH, stop)
    assert dict((await survey(store, BOTH)).keys) == {"b": 2, "a": 3}
    assert len(await opens(store, BOTH)) == 5, "meanwhile everything opens"
    assert (await reseal(store, BOTH, NOBODY)).rewrapped == 3
    assert await opens(store, NEW) == ["canary"] * 5


async def test_what_changes_meanwhile_keeps_its_change(store):
    await fill(store, connections=1)
    records = Breaking(store.connections)

    async def used():
        record = await store.connections.get("0" * 24)
        await store.connections.replace(structs.replace(record, used_at=7))

    records.before_replace = used
    records.page = store.connections.page
    store.connections = records
    assert (await reseal(store, BOTH, NOBODY)).rewrapped == 3
    assert (await records.get("0" * 24)).used_at == 7
    assert len(await opens(store, NEW)) == 3


async def test_what_is_gone_meanwhile_is_not_brought_back(store):
    await fill(store, connections=1)
    records = Breaking(store.connections)
    records.before_replace = lambda: store_remove()
    records.page = store.connections.page
    inner = store.connections

    async def store_remove():
        await inner.remove("0" * 24)

    store.connections = records
    tally = await reseal(store, BOTH, NOBODY)
    assert (tally.rewrapped, dict(tally.keys)) == (2, {"b": 2})


async def test_what_another_gateway_seals_under_the_old_secret_meanwhile_is_found(store):
    await fill(store, connections=1)
    more = [connected(7), connected(8)]
    add = store.connections.add

    class Meanwhile:
        """Adds one more at the end of each round."""

        def __getattr__(self, name):
            return getattr(records, name)

        async def page(self, after="", limit=100):
            found = await records.page(after, limit)
            if after and not found and more:
                await add(more.pop())
            return found

    records = store.connections
    store.connections = Meanwhile()
    tally = await reseal(store, BOTH, NOBODY)
    assert (tally.rewrapped, dict(tally.keys)) == (5, {"b": 5})


async def test_what_does_not_open_is_named_and_keeps_nothing_from_being_done(store):
    await fill(store, connections=1)
    await store.connections.add(structs.replace(connected(8), sealed=b"garbled"))
    moved = structs.replace(connected(9), sealed=connected(7).sealed)
    await store.connections.add(moved)
    tally = await reseal(store, BOTH, NOBODY)
    assert tally.rewrapped == 3
    assert tally.unopened == [f"connections/{8:024x}", f"connections/{9:024x}"]
    assert dict(tally.keys) == {"b": 3, "a": 1}


async def test_a_store_that_is_down_ends_it(store):
    await fill(store)
    records = Breaking(store.connections)
    records.page, records.down = store.connections.page, True
    store.connections = records
    with pytest.raises(Unavailable):
        await reseal(store, BOTH, NOBODY)


async def test_a_missing_secret_is_refused_with_how_much_needs_it(store):
    await fill(store)
    await refuse_missing_keys(store, OLD)
    await refuse_missing_keys(store, BOTH)
    with pytest.raises(ValueError, match=r"sealed under secrets that are not set: `a` \(5\); put them back"):
        await refuse_missing_keys(store, NEW)


async def test_what_is_garbled_refuses_no_start(store):
    await store.connections.add(structs.replace(connected(8), sealed=b"garbled"))
    await refuse_missing_keys(store, NEW)
