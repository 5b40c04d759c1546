"""The counts of the limit step: exact for whoever calls, bounded for all together."""

import pytest

from gateway.errors import Limited
from gateway.pipeline.buckets import Buckets
from gateway.policy.limits import Limit

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
