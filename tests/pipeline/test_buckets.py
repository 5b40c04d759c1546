"""The counts of the limit step: exact for whoever calls, bounded for all together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Limited, Unavailable
from gateway.pipeline.buckets import LONGEST, Buckets, Reading, caller, name_of
from gateway.policy.limits import Limit, heard

TWO = Limit(calls=2, window_ms=1_000)


def test_each_key_is_counted_by_itself_and_a_refused_call_not_at_all():
    buckets = Buckets()
    for key in (("a", "main"), ("b", "main"), ("a", "side")):
        buckets.take(key, TWO, 0)
        buckets.take(key, TWO, 500)
        for now in (600, 700):
            with pytest.raises(Limited) as limited:
                buckets.take(key, TWO, now)
            assert limited.value.retry_after == 1  # whole seconds, never too early
        buckets.take(key, TWO, 1_000)


def test_counts_that_no_longer_matter_are_forgotten():
    buckets = Buckets()
    for number in range(100):
        buckets.take((str(number),), TWO, number * 20)
    assert len(buckets) <= 52


def test_there_are_never_more_counts_than_may_be_kept_and_the_idlest_go_first():
    buckets = Buckets(kept=3)
    for name in ("a", "b", "c", "a", "d"):
        buckets.take((name,), TWO, 0)
    assert len(buckets) == 3
    with pytest.raises(Limited):
        buckets.take(("a",), TWO, 0)
    buckets.take(("b",), TWO, 0)
    buckets.take(("b",), TWO, 0)


def test_a_call_takes_from_all_its_counts_or_from_none():
    buckets = Buckets()
    mine, ours = ("mine", ("a", "s"), TWO), ("server", ("server", "s"), Limit(calls=3, window_ms=1_000))
    assert buckets.take_all([mine, ours], 0) == Reading("mine", TWO, left=1, frees_ms=1_000)
    assert buckets.take_all([("theirs", ("b", "s"), TWO), ours], 100).left == 1
    last = buckets.take_all([mine, ours], 200)
    assert (last.name, last.left, last.frees_ms, last.wait_ms) == ("mine", 0, 800, 0)
    refused = buckets.take_all([("theirs", ("c", "s"), TWO), ours], 300)
    assert (refused.name, refused.left, refused.wait_ms) == ("server", 0, 700)
    assert buckets.look(("c", "s"), TWO, 300).left == 1, "one call more, and then one: nothing was taken"
    assert len(buckets) == 3, "and nothing is kept of who was refused"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("st"), st.integers(0, 400)), max_size=60),
    st.integers(1, 4),
    st.integers(1, 6),
)
def test_whoever_calls_where_passes_exactly_while_both_windows_have_room(calls, each, together):
    buckets, now = Buckets(), 0
    limits = Limit(each, 1_000), Limit(together, 1_000)
    passed: list[tuple[str, str, int]] = []
    for who, where, gap in calls:
        now += gap
        live = [past for past in passed if past[2] + 1_000 > now]
        room = (
            sum(past[:2] == (who, where) for past in live) < each and sum(past[1] == where for past in live) < together
        )
        claims = [("who", (who, where), limits[0]), ("where", ("server", where), limits[1])]
        reading = buckets.take_all(claims, now)
        if room and reading.wait_ms:  # calls of a hundredth of the window leave together
            assert any(now - past[2] - 1_000 in range(10) for past in passed)
        assert room or reading.wait_ms
        if not reading.wait_ms:
            passed.append((who, where, now))


def test_what_changed_is_told_once_and_by_names_that_tell_nobody_who_called():
    buckets = Buckets()
    buckets.take(("user:amy@example.com", "main"), TWO, 0)
    buckets.take(("user:bob@example.com", "main"), Limit(calls=10, window_ms=1_000), 1)
    told = {each.name: each for each in buckets.changed(0, 1)}
    assert len(told) == 2
    assert [each.tale for each in told.values() if each.tale] == [((0, 1),)]
    assert not any("amy" in name or "bob" in name for name in told)
    turn = buckets.turn
    buckets.take(("user:amy@example.com", "main"), TWO, 2)
    assert [(each.tale, each.until) for each in buckets.changed(turn, 2)] == [(((2, 2),), 1_002)]


def test_names_of_counts_differ_wherever_the_keys_do():
    keys = [("a", "b"), ("ab",), ("a', 'b",), ("a\0b",), ("a", "b", ""), ("\ud800",), ("\\ud800",)]
    assert len({name_of(key) for key in keys}) == len(keys)


def test_what_others_counted_is_taken_into_account_at_once_for_whom_they_name():
    buckets = Buckets()
    buckets.hear({name_of(("a",)): heard([((0, 1),)], 0)}, good_until=1_000)
    buckets.take(("a",), TWO, 0)
    buckets.take(("b",), TWO, 0)
    buckets.take(("b",), TWO, 0)
    with pytest.raises(Limited):
        buckets.take(("a",), TWO, 0)
    buckets.hear({}, good_until=1_000)
    buckets.take(("a",), TWO, 0)


def test_where_it_is_demanded_nothing_passes_while_it_is_unknown_what_others_counted():
    buckets = Buckets(demand_news=True)
    for _ in range(2):
        with pytest.raises(Unavailable):
            buckets.take(("a",), TWO, 500)
        buckets.hear({}, good_until=500)
    buckets.hear({}, good_until=501)
    buckets.take(("a",), TWO, 500)


def test_a_caller_is_counted_by_his_name_and_a_long_one_by_what_is_short():
    short, long = "end:s/" + "n" * (LONGEST - 6), "end:s/" + "n" * LONGEST
    assert caller(short) == short
    assert len(caller(long)) < len(short)
    assert caller(long) == caller(long) != caller(f"{long}n")
