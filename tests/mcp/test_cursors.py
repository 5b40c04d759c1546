"""Pages: every item on exactly one of them, whatever comes and goes between two of them."""

import base64
import json
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import InvalidArguments
from gateway.mcp.cursors import LARGEST, Bounds, Pages, page

PAGES = Pages(("user:amy@example.com", "main", "tool", "git", "time"))


@dataclass(frozen=True)
class Item:
    position: tuple[int, str]
    weight: int = 1
    hidden: bool = False


POSITIONS = st.tuples(st.integers(0, 3), st.text(st.characters(codec="utf-16", exclude_categories=()), max_size=4))
ITEMS = st.lists(
    st.builds(Item, POSITIONS, st.integers(0, 50), st.booleans()), max_size=30, unique_by=lambda item: item.position
).map(lambda items: sorted(items, key=lambda item: item.position))
BOUNDS = st.builds(Bounds, st.integers(1, 5), st.integers(1, 100))


def shown(item):
    return not item.hidden


def walk(lists, bounds):
    """The pages of a client that follows the cursors, while the list is another one at each page."""
    given_out, cursor = [], None
    for number in range(1_000):
        after = None if cursor is None else PAGES.position(cursor)
        items, last = page(lists[min(number, len(lists) - 1)], after, bounds, shown=shown)
        given_out.append(items)
        if last is None:
            return given_out
        cursor = PAGES.cursor(last)
    raise AssertionError("the pages have no end")


@given(ITEMS, BOUNDS)
def test_of_a_list_that_stays_every_shown_item_stands_on_one_page_in_order(items, bounds):
    pages = walk([items], bounds)
    assert [item for each in pages for item in each] == [item for item in items if shown(item)]


@given(ITEMS, BOUNDS)
def test_no_page_is_larger_than_its_bounds_nor_empty_unless_all_is(items, bounds):
    pages = walk([items], bounds)
    assert all(len(each) <= bounds.items for each in pages)
    assert all(sum(item.weight for item in each) <= bounds.bytes or len(each) == 1 for each in pages)
    assert all(pages) or len(pages) == 1


@given(st.lists(ITEMS, min_size=1, max_size=6), BOUNDS)
@example([[Item((0, "b")), Item((0, "c"))], [Item((0, "a")), Item((0, "c"))]], Bounds(1, 100))
def test_what_stays_while_others_come_and_go_is_neither_lost_nor_repeated(lists, bounds):
    pages = walk(lists, bounds)
    told = [item.position for each in pages for item in each]
    assert len(set(told)) == len(told)
    seen = [lists[min(number, len(lists) - 1)] for number in range(len(pages))]
    stayed = set.intersection(*({item.position for item in each if shown(item)} for each in seen))
    assert stayed <= set(told)


@given(POSITIONS)
def test_a_cursor_gives_its_position_back(position):
    cursor = PAGES.cursor(position)
    assert PAGES.position(cursor) == position
    assert cursor.isascii()
    assert PAGES.cursor(position) == cursor


@given(POSITIONS, st.integers(0, len(PAGES.words) - 1), st.text(max_size=3))
def test_a_cursor_of_another_list_or_account_is_refused(position, at, word):
    words = (*PAGES.words[:at], f"{PAGES.words[at]}{word}!", *PAGES.words[at + 1 :])
    with pytest.raises(InvalidArguments, match=r"`cursor`: of another list") as refused:
        PAGES.position(Pages(words).cursor(position))
    assert refused.value.code == -32602


def test_words_are_told_apart_wherever_they_are_cut():
    cursor = Pages(("a", "bc")).cursor((0, "x"))
    with pytest.raises(InvalidArguments):
        Pages(("ab", "c")).position(cursor)


JUNK = [
    *("page-2", "=", "é", "\ud800", "a" * (LARGEST + 1)),
    *(
        base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=")
        for each in ([], ["x", 0], ["x", "0", "a"], ["x", 0, 5], {"a": 1}, "text", [0, 0, "a"])
    ),
    base64.urlsafe_b64encode(b"[" * 30_000).decode(),
    base64.urlsafe_b64encode(b"\xff").decode(),
]


@given(st.text(max_size=30) | st.sampled_from(JUNK))
def test_any_other_text_is_no_cursor(text):
    with pytest.raises(InvalidArguments, match="`cursor`: no cursor of this server; ask without a cursor") as refused:
        PAGES.position(text)
    assert refused.value.code == -32602


def test_an_altered_cursor_opens_nothing_but_a_position():
    read = json.loads(base64.urlsafe_b64decode(PAGES.cursor((1, "push")) + "=="))
    read[2] = "zzz"
    forged = base64.urlsafe_b64encode(json.dumps(read).encode()).decode().rstrip("=")
    items, last = page([Item((1, "a")), Item((2, "b"), hidden=True)], PAGES.position(forged), Bounds(), shown=shown)
    assert (items, last) == ([], None)


def test_a_page_looks_at_no_more_items_than_it_needs():
    looked: list[str] = []
    items = [Item((0, f"{number:06}")) for number in range(10_000)]
    found, last = page(items, (0, "005000"), Bounds(3), shown=lambda item: not looked.append(item.position[1]))
    assert [item.position[1] for item in found] == ["005001", "005002", "005003"]
    assert last == (0, "005003")
    assert looked == ["005001", "005002", "005003", "005004"]
