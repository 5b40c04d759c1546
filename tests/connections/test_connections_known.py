"""The connections of one moment, and what this process wrote since."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.connections.known import Connections
from gateway.connections.latest import Latest
from gateway.follower import Follower
from gateway.records import Connected, Status
from tests.connections.renewal import ADA, RING, Clock, connection
from tests.store.conftest import opened  # noqa: F401

OWNERS, CONNECTORS = ("user:a", "user:b"), ("slack", "github")

PLACES = [(owner, connector) for owner in OWNERS for connector in CONNECTORS]

records = st.builds(
    Connected,
    id=st.sampled_from("abcdef"),
    owner=st.sampled_from(OWNERS),
    connector=st.sampled_from(CONNECTORS),
    created_at=st.integers(0, 3),
    rev=st.integers(1, 9),
)
steps = st.lists(st.tuples(st.lists(records, max_size=4), st.lists(st.sampled_from("abcdefg"), max_size=3)), max_size=8)


@given(steps)
def test_it_is_at_every_moment_what_a_dictionary_would_be(steps):
    known, model = Connections(), {}
    for put, gone in steps:
        before = {id: known.get(id) for id in "abcdefg"}
        following = known.changed(put, gone)
        assert {id: known.get(id) for id in "abcdefg"} == before, "no moment changes afterwards"
        known = following
        for id in gone:
            model.pop(id, None)
        model.update({each.id: each for each in put})
        assert {id: known.get(id) for id in "abcdefg" if known.get(id)} == model
        assert sorted(each.id for each in known) == sorted(model)
        assert len(known) == len(model)
        for owner in OWNERS:
            for connector in CONNECTORS:
                mine = [each for each in model.values() if (each.owner, each.connector) == (owner, connector)]
                assert list(known.of(owner, connector)) == sorted(mine, key=lambda each: (each.created_at, each.id))


@given(st.lists(records, max_size=6), st.lists(records, max_size=6), st.lists(st.sampled_from("abcdef"), max_size=3))
def test_what_moved_is_whose_connections_are_others_or_stand_elsewhere(first, then, gone):
    before = Connections().changed(first)
    after = before.changed(then, gone)
    said = {place: [(each.id, each.status) for each in before.of(*place)] for place in PLACES}
    says = {place: [(each.id, each.status) for each in after.of(*place)] for place in PLACES}
    assert after.moved(before).keys() == {place for place in PLACES if said[place] != says[place]}


def test_one_that_has_to_be_made_anew_has_moved_and_one_that_was_renewed_has_not():
    before = Connections().changed([connection()])
    assert before.changed([connection(expires_at=7)]).moved(before) == {}
    moved = {(ADA, "slack"): frozenset(["a" * 24])}
    assert before.changed([connection(status=Status.NEEDS_REAUTH)]).moved(before) == moved
    assert before.changed([connection(connected_at=7)]).moved(before) == moved
    assert before.changed([], ["a" * 24]).moved(before) == moved


def test_nothing_changed_is_the_same_moment():
    known = Connections().changed([connection()])
    assert known.changed([], ["nobody"]) is known


def test_a_hundred_thousand_are_taken_in_at_once():
    many = [Connected(id=str(number), owner=f"user:{number % 999}", connector="slack") for number in range(100_000)]
    began = time.process_time()
    known = Connections().changed(many)
    taken = time.process_time() - began
    began = time.process_time()
    known.changed([structs.replace(many[7], rev=2)])
    assert taken < 5
    assert time.process_time() - began < 1


def test_what_was_written_here_counts_until_the_snapshot_has_it():
    first = structs.replace(connection(), rev=1)
    known = [Connections().changed([first])]
    latest = Latest(lambda: known[0])
    second = structs.replace(first, label="second", rev=2)
    latest.wrote(second)
    assert latest.get(first.id) is second
    assert latest.of(ADA, "slack") == (second,)
    assert list(latest.all()) == [second]
    third = structs.replace(first, label="third", rev=3)
    known[0] = known[0].changed([third])
    assert latest.get(first.id) is third
    assert latest.of(ADA, "slack") == (third,)


def test_what_was_written_here_brings_back_nothing_that_was_removed():
    first = structs.replace(connection(), rev=1)
    known = [Connections().changed([first])]
    latest = Latest(lambda: known[0])
    latest.wrote(structs.replace(first, rev=2))
    known[0] = Connections()
    assert latest.get(first.id) is None
    assert latest.of(ADA, "slack") == ()
    assert list(latest.all()) == []


def test_what_was_written_here_is_forgotten_once_the_snapshot_has_it():
    some = [structs.replace(connection(f"{number:024x}"), rev=1) for number in range(50)]
    known = [Connections().changed(some)]
    latest = Latest(lambda: known[0])
    for each in some:
        written = structs.replace(each, rev=2)
        latest.wrote(written)
        known[0] = known[0].changed([written])
    assert len(latest._fresher) <= 1


# -- as the follower has them


@pytest.fixture
async def followed(opened):  # noqa: F811
    store = await opened()
    return store, Follower(store, RING, poll_s=1, clock=Clock(1_000))


async def test_the_snapshot_follows_connections(followed):
    store, follower = followed
    await follower.catch_up()
    assert len(follower.current.connections) == 0
    record = await store.connections.add(connection())
    await follower.catch_up()
    assert follower.current.connections.of(ADA, "slack") == (record,)
    record = await store.connections.replace(structs.replace(record, label="New"))
    await follower.catch_up()
    assert follower.current.connections.get(record.id) == record
    await store.connections.remove(record.id)
    await follower.catch_up()
    assert follower.current.connections.of(ADA, "slack") == ()


async def test_a_connection_changes_nobodys_rights_and_is_told(followed):
    store, follower = followed
    await follower.catch_up()
    policy, heard = follower.current.policy, []
    follower.on_swap(heard.append)
    await store.connections.add(connection())
    await follower.catch_up()
    await follower.catch_up()
    assert heard == [follower.current]
    assert len(follower.current.connections) == 1
    assert follower.current.policy is policy


async def test_connections_stay_when_something_else_changes(followed):
    store, follower = followed
    await store.connections.add(connection())
    await follower.catch_up()
    assert len(follower.current.connections) == 1
    follower.decide_plainly()
    assert len(follower.current.connections) == 1
