"""Time in eras: whatever was asked before, the era of a moment is the count of the ends that are behind it."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.roles import Eras
from gateway.policy.terms import Context

ENDS = st.lists(st.integers(0, 30), max_size=5).map(sorted)


@given(st.lists(ENDS, max_size=3), st.lists(st.none() | st.integers(-2, 32), max_size=12))
def test_the_era_of_a_moment_does_not_depend_on_what_was_asked_before(ends, asked):
    eras = Eras(*ends)
    for now in asked:
        behind = sum(end <= now for each in ends for end in each) if now is not None else Eras.UNKNOWN
        expected = behind if any(ends) else 0
        assert eras.at(now) == expected
        assert eras.of(Context(env={} if now is None else {"now": now})) == expected
