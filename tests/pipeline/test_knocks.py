"""Who fails to prove who he is too often is refused, and nobody else is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Limited, Refusal, Unauthenticated
from gateway.pipeline import Arrival, Origin
from gateway.pipeline.knocks import MINUTE_MS, REMEMBERED, Knocks, Rates, place_of
from tests.builders import AMY, BOB, Door

HERE, THERE = "203.0.113.7", "203.0.113.8"


def house(failures: int = 3, visits: int = 3) -> Door:
    door = Door(knocks=Knocks(Rates(failures, visits)))
    door.person(AMY)
    door.person(BOB)
    return door


async def knock(door: Door, key: str | None, address: str = HERE) -> str:
    """What became of it."""
    try:
        return (await door.pipeline.arrive(Arrival(key, address=address))).name
    except Refusal as refusal:
        return type(refusal).__name__


async def test_an_address_that_failed_too_often_is_refused_until_a_minute_has_passed():
    door = house()
    assert [await knock(door, f"ost_wrong{n}") for n in range(5)] == ["Unauthenticated"] * 3 + ["Limited"] * 2
    with pytest.raises(Limited) as limited:
        await door.pipeline.arrive(Arrival("ost_wrong", address=HERE))
    assert (limited.value.status, limited.value.retry_after) == (429, 60)
    door.now += MINUTE_MS
    assert await knock(door, door.keys[AMY]) == f"user:{AMY}"


async def test_a_good_key_is_refused_as_well_so_that_nobody_learns_that_his_guess_was_right():
    door = house()
    for n in range(3):
        await knock(door, f"ost_wrong{n}")
    assert await knock(door, door.keys[AMY]) == "Limited"


async def test_a_key_that_was_good_there_before_goes_on_and_other_addresses_are_not_touched():
    door = house()
    assert await knock(door, door.keys[AMY]) == f"user:{AMY}"
    for n in range(4):
        await knock(door, f"ost_wrong{n}")
    assert await knock(door, door.keys[AMY]) == f"user:{AMY}"
    assert await knock(door, door.keys[BOB]) == "Limited"
    assert await knock(door, door.keys[BOB], THERE) == f"user:{BOB}"


async def test_a_key_that_was_good_and_ended_is_no_way_round():
    door = house()
    await knock(door, door.keys[AMY])
    door.dismiss(AMY)
    told = [await knock(door, door.keys[AMY]) for _ in range(5)]
    assert told == ["Unauthenticated"] * 3 + ["Limited"] * 2


async def test_tokens_of_urls_and_of_end_users_count_alike_and_what_brings_nothing_does_not():
    door = house()
    for arrival in (Arrival(token="x", address=HERE), Arrival(end_user="y", address=HERE)):
        with pytest.raises(Unauthenticated):
            await door.pipeline.arrive(arrival)
    assert [await knock(door, None) for _ in range(9)] == ["Unauthenticated"] * 9
    assert [await knock(door, "ost_wrong") for _ in range(2)] == ["Unauthenticated", "Limited"]


async def test_all_of_a_64_of_ipv6_is_one_address():
    door = house()
    for n in range(3):
        assert await knock(door, "ost_wrong", f"2001:db8:1:2:{n}::{n}") == "Unauthenticated"
    assert await knock(door, "ost_wrong", "2001:db8:1:2:ffff::1") == "Limited"
    assert await knock(door, "ost_wrong", "2001:db8:1:3::1") == "Unauthenticated"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
    ],
)
def test_an_address_has_one_place_however_it_is_written(address, place):
    assert place_of(address) == place


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_whoever_has_a_64_has_one_place(address, other):
    neighbour = type(address)(int(address) >> 64 << 64 | other)
    if address.ipv4_mapped is None and neighbour.ipv4_mapped is None:
        assert place_of(str(address)) == place_of(str(neighbour))


def test_what_is_remembered_has_its_bounds_and_the_newest_stay():
    knocks = Knocks(Rates(failures=1))
    first = Arrival("first", address=HERE)
    for arrival in (
        first,
        *(Arrival(f"k{n}", address=HERE) for n in range(REMEMBERED)),
        newest := Arrival("n", address=HERE),
    ):
        knocks.proved(arrival)
    knocks.failed(Arrival("wrong", address=HERE), 0)
    knocks.admit(newest, 0)
    with pytest.raises(Limited):
        knocks.admit(first, 0)


def test_what_comes_from_no_address_is_not_counted():
    knocks = Knocks(Rates(failures=1, visits=1))
    for _ in range(3):
        knocks.failed(Arrival("wrong"), 0)
        knocks.admit(Arrival("wrong"), 0)
        assert knocks.visited("", 0) is None


async def test_who_visits_without_proving_who_he_is_is_counted_by_his_address_and_others_by_themselves():
    door = house(visits=2)
    done: list[str] = []

    async def visit(address: str, **who: object) -> None:
        async def act(_: object) -> None:
            done.append(address)

        await door.pipeline.witness("sign_in", Origin(address), act, **who)

    await visit(HERE)
    await visit(HERE)
    with pytest.raises(Limited):
        await visit(HERE)
    assert done == [HERE, HERE], "nothing was done for who was refused"
    assert door.last.outcome == "limited"
    await visit(THERE)
    for _ in range(5):
        await visit(HERE, subject=door.person(AMY))
