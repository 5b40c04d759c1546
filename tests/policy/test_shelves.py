"""What is built, changed and taken apart in slices."""

import gc
import weakref
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.shelves import FEW, SLICE, at_once, packed, put, reshelved, taken_apart

WORDS = st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"))


class Thing:
    def __init__(self, words):
        self.words = words


def words(thing):
    return thing.words


def shelf_of(things):
    shelf = {}
    for thing in things:
        put(shelf, thing.words, thing)
    return at_once(packed(shelf, tuple))


def same(shelf, other):
    filled = (
        {outer: {i: set(t) for i, t in inside.items()} for outer, inside in each.items() if inside}
        for each in (shelf, other)
    )
    return next(filled) == next(filled)


@given(st.lists(WORDS, max_size=40), st.lists(WORDS, max_size=5), st.data())
def test_a_changed_shelf_is_the_one_that_would_have_been_built(old, new, data):
    there, added = [Thing(each) for each in old], [Thing(each) for each in new]
    removed = [thing for thing in there if data.draw(st.booleans())]
    before = shelf_of(there)
    kept = [thing for thing in there if thing not in removed]
    after = reshelved(before, words, tuple, added=added, removed=removed)
    assert same(after, shelf_of([*kept, *added]))
    assert same(before, shelf_of(there)), "who has the former shelf keeps it"


def test_what_a_change_does_not_touch_is_shared():
    before = shelf_of([Thing(("a", "x")), Thing(("a", "y")), Thing(("b", "x"))])
    after = reshelved(before, words, tuple, added=[Thing(("a", "x"))], removed=[])
    assert after["b"] is before["b"]
    assert after["a"]["y"] is before["a"]["y"]


def test_items_stand_in_the_order_in_which_they_came_few_or_many():
    for size in (1, FEW, FEW + 1, 3 * FEW):
        things = [Thing(("a", "x")) for _ in range(size)]
        assert shelf_of(things) == {"a": {"x": tuple(things)}}


def test_a_large_shelf_is_packed_with_pauses():
    shelf = {}
    for n in range(SLICE * 4):
        put(shelf, ("a", str(n)), Thing(None))
    assert len(list(packed(shelf, tuple))) == 4


def test_the_garbage_collector_has_nothing_to_look_into_on_a_packed_shelf_of_few_things_each():
    shelf = {}
    for n in range(SLICE * 4):
        put(shelf, ("few", str(n)), "a thing")
    gc.collect(0)
    filled = at_once(packed(shelf, tuple))
    assert len(filled["few"]) == SLICE * 4
    assert not gc.is_tracked(filled["few"])


def test_what_is_taken_apart_is_freed_in_slices_and_nothing_of_it_stays():
    things = [Thing(("a", str(n))) for n in range(SLICE * 4)]
    alive = weakref.WeakSet(things)
    contents = [tuple(things), shelf_of(things), {"b": {"x": {"y": tuple(things[:5])}}}]
    del things
    left = [len(alive) for _ in taken_apart(contents)]
    assert len(alive) == 0
    assert max(a - b for a, b in pairwise(left)) <= SLICE
    assert len(left) >= 4
    assert contents == []


def test_nothing_is_taken_apart_at_once():
    assert list(taken_apart([])) == []
    assert list(taken_apart([{}, (), {"a": {}}])) == []
