"""Ids tell us alone who made them: whatever else is brought names nobody."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.sealing import Seal
from gateway.workers.names import LONGEST, Names, new_name

KEY, OTHER = b"k" * 32, b"o" * 32
MINE = new_name("node", 0)
NAMES = Names(Seal([KEY]), MINE)


def test_an_id_names_its_worker_to_every_worker_of_the_ring():
    id = NAMES.mint()
    assert Names(Seal([KEY]), "another").owner(id) == MINE
    assert Names(Seal([OTHER, KEY]), "another").owner(id) == MINE
    assert id.replace("-", "").replace("_", "").isalnum()


def test_no_id_comes_twice_and_no_start_has_the_name_of_another():
    assert len({NAMES.mint() for _ in range(100)}) == 100
    assert len({new_name("node", 0) for _ in range(100)}) == 100


@given(st.text(max_size=200))
def test_a_made_up_id_names_nobody(text: str):
    assert NAMES.owner(text) == ""


@given(st.integers(0, 500), st.characters(codec="ascii"))
def test_an_altered_id_names_nobody(place: int, put: str):
    id = NAMES.mint()
    place %= len(id)
    altered = id[:place] + put + id[place + 1 :]
    assert altered == id or NAMES.owner(altered) == ""


def test_an_id_of_another_ring_and_one_that_is_too_long_name_nobody():
    assert NAMES.owner(Names(Seal([OTHER]), "them").mint()) == ""
    assert NAMES.owner(Names(Seal([KEY]), "x" * LONGEST).mint()) == ""
