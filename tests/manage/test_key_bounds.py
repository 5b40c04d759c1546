"""What a key may make of another: no more than itself, and none that outlives it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidArguments
from gateway.identity import Identities, credential
from gateway.manage.key_bounds import DAY_MS, MOST_DAYS, MOST_NAME, check_maker, days_until, end_of, key_name
from gateway.policy.terms import Subject
from gateway.records import ApiKey, User
from tests.builders import RING

ANN = "ann@example.com"
SERVERS = st.lists(st.sampled_from(["main", "shop", "desk"]), unique=True, max_size=3).map(tuple)
ENDS = st.none() | st.integers(1, 50)
MAKERS = st.lists(st.tuples(SERVERS, ENDS), min_size=1, max_size=3)


class Proven:
    """One who is proven by all of ``keys`` together."""

    def __init__(self, keys):
        made = [
            ApiKey(id=f"{place:064}"[::-1], secret_id="k1", user=ANN, prefix="ost_", servers=servers, expires_at=ends)
            for place, (servers, ends) in enumerate(keys, start=1)
        ]
        first, *others = (credential(each.id) for each in made)
        self.identities = Identities.of(RING, [User(id=ANN)], made)
        self.subject = Subject(f"user:{ANN}", credential=first, rests_on=tuple(others))


def refuses(asker, servers, ends):
    try:
        check_maker(asker, servers, ends)
    except InvalidArguments:
        return True
    return False


@given(MAKERS, SERVERS, ENDS)
def test_a_confined_key_makes_only_what_counts_where_it_does_and_no_longer(makers, servers, ends):
    def within(maker_servers, maker_ends):
        everywhere = not maker_servers
        there = bool(servers) and all(each in maker_servers for each in servers)
        before = maker_ends is None or (ends is not None and ends <= maker_ends)
        return everywhere or (there and before)

    assert refuses(Proven(makers), servers, ends) == (not all(within(*each) for each in makers))


@given(SERVERS, ENDS, SERVERS, ENDS, SERVERS, ENDS)
def test_no_chain_of_keys_leads_out_of_the_first(first, first_ends, second, second_ends, third, third_ends):
    """What the child of a child may, the first may: going through another key gains nothing."""
    going = first and not refuses(Proven([(first, first_ends)]), second, second_ends)
    if going and not refuses(Proven([(second, second_ends)]), third, third_ends):
        assert not refuses(Proven([(first, first_ends)]), third, third_ends)


def test_who_is_proven_by_no_key_is_not_confined():
    asker = Proven([(("shop",), 1)])
    asker.subject = Subject(f"user:{ANN}", credential="web-1-abc")
    check_maker(asker, (), None)


@given(st.integers(-3, MOST_DAYS + 3), st.integers(0, 2**50))
def test_so_many_days_are_left_as_were_asked_for(days, now):
    if 1 <= days <= MOST_DAYS:
        assert days_until(end_of(days, now), now) == days
        assert days_until(end_of(days, now), now + 1) == days
        assert days_until(end_of(days, now), now + DAY_MS) == days - 1
    else:
        with pytest.raises(ValueError, match=f"1 to {MOST_DAYS} days"):
            end_of(days, now)
    assert (end_of(None, now), days_until(None, now)) == (None, None)


@pytest.mark.parametrize("text", ["x" * (MOST_NAME + 1), "two\nlines", "\u202eright to left", "bell\x07"])
def test_a_name_is_short_and_can_be_seen(text):
    with pytest.raises(ValueError, match="printable"):
        key_name(text)
    assert key_name(f"  {'x' * MOST_NAME} ") == "x" * MOST_NAME
