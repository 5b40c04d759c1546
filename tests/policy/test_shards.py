"""A large map that never changes is a map, whatever came and went."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.shards import SHARDS, Shards

KEYS = st.sampled_from([f"key {number}" for number in range(20)])
STEPS = st.lists(st.tuples(st.dictionaries(KEYS, st.integers()), st.lists(KEYS, max_size=8)), max_size=6)


@given(STEPS)
def test_each_map_holds_what_a_plain_one_would_and_goes_on_holding_it(steps):
    plain, there, former = {}, Shards(), []
    for put, drop in steps:
        for key in drop:
            plain.pop(key, None)
        plain.update(put)
        there = there.changed(put, drop)
        former.append((there, dict(plain)))
    for each, held in former:
        assert dict(each) == held
        assert len(each) == len(held)
        assert all((key in each) == (key in held) and each.get(key) == held.get(key) for key in map(str, (*held, "no")))


def test_the_next_map_shares_all_but_what_changed():
    first = Shards().changed({str(number): number for number in range(5_000)}, ())
    second = first.changed({"0": -1}, ())
    assert sum(mine is not theirs for mine, theirs in zip(first._parts, second._parts, strict=True)) == 1
    assert len(first._parts) == SHARDS
