"""Pages: which comes next, when there is none, and several as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.definition.paths import found
from connectors.definition.terms import PageKind, Paging
from connectors.rest.paging import Further, beginning, joined, next_page, told
from tests.connectors.rest.building import action, query

CURSOR = Paging(PageKind.CURSOR, "cursor", "meta.next", "", "items", "limit", 2, 3)
URL = "https://api.example/things?page=1"


def after(paging, answer, *, at=None, link=""):
    return next_page(paging, answer, at=at, link=link, url=URL)


@pytest.mark.parametrize("cursor", ["abc", 7, 0])
def test_a_cursor_leads_on(cursor):
    assert after(CURSOR, {"items": [1], "meta": {"next": cursor}}) == Further({"cursor": cursor})


@pytest.mark.parametrize("cursor", ["", None, False, True, [], {"a": 1}, "same"])
def test_a_cursor_that_is_none_or_the_same_ends_it(cursor):
    assert after(CURSOR, {"items": [1], "meta": {"next": cursor}}, at="same") is None


@pytest.mark.parametrize(
    ("more", "goes_on"), [(True, True), (1, True), (False, False), (None, False), (0, False), ("", False)]
)
def test_the_answer_may_say_that_it_is_the_last(more, goes_on):
    paging = Paging(PageKind.CURSOR, "after", "items.-1.id", "more", "items")
    assert (after(paging, {"items": [{"id": "x"}], "more": more}) == Further({"after": "x"})) is goes_on


@pytest.mark.parametrize(
    ("header", "target"),
    [
        (
            '<https://api.example/things?page=2>; rel="next", <https://api.example/things?page=9>; rel="last"',
            "/things?page=2",
        ),
        ('<https://api.example/things?page=9>; rel="last", <https://api.example/a,b>; title="x, y"; rel=next', "/a,b"),
        ('</things?page=2>; rel="prev next"', "/things?page=2"),
        ('<?page=2>; REL="Next"', "/things?page=2"),
    ],
)
def test_a_link_leads_on(header, target):
    assert after(Paging(PageKind.LINK), [1], link=header) == Further(url=f"https://api.example{target}")


@pytest.mark.parametrize(
    "header",
    ["", "garbage", '<https://api.example/x>; rel="last"', '<https://api.example/x>; rel="nextish"', "<>; rel=next"],
)
def test_without_a_link_to_a_next_page_it_ends(header):
    assert after(Paging(PageKind.LINK), [1], link=header) is None


def test_a_link_may_stand_in_the_answer():
    paging = Paging(PageKind.LINK, next="@odata.nextLink")
    assert after(paging, {"@odata.nextLink": "https://api.example/n"}) == Further(url="https://api.example/n")
    assert after(paging, {}, link='<https://api.example/x>; rel="next"') is None


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "http://api.example/",
        "//evil.example",
        "https://a@api.example/",
        "https://api.example:8443/",
    ],
)
def test_a_link_to_another_origin_is_refused(target):
    with pytest.raises(ValueError):
        after(Paging(PageKind.LINK), [1], link=f'<{target}>; rel="next"')


@pytest.mark.parametrize(
    ("kind", "at", "count", "size", "next_"),
    [
        (PageKind.PAGE, None, 2, 2, 2),
        (PageKind.PAGE, 4, 2, 2, 5),
        (PageKind.PAGE, "4", 1, 0, 5),
        (PageKind.PAGE, "x", 2, 2, 2),
        (PageKind.OFFSET, None, 2, 2, 2),
        (PageKind.OFFSET, 10, 3, 2, 13),
        (PageKind.PAGE, None, 1, 2, None),
        (PageKind.PAGE, None, 0, 0, None),
        (PageKind.OFFSET, None, 0, 0, None),
    ],
)
def test_pages_and_offsets_are_counted_until_one_is_not_full(kind, at, count, size, next_):
    paging = Paging(kind, "p", items="items", size_param="limit" if size else "", size=size)
    expected = None if next_ is None else Further({"p": next_})
    assert after(paging, {"items": [0] * count}, at=at) == expected


def test_pages_of_what_is_no_list_end():
    assert after(Paging(PageKind.PAGE, "p", items="items"), {"items": {"a": 1}}) is None


@given(st.lists(st.lists(st.integers(), max_size=4), min_size=1, max_size=4))
def test_joined_pages_hold_every_item_once_in_order_and_the_last_cursor(pages):
    answers = [{"items": page, "meta": {"next": number}} for number, page in enumerate(pages)]
    whole = joined(CURSOR, answers)
    assert found(whole, "items") == [item for page in pages for item in page]
    assert found(whole, "meta.next") == len(pages) - 1
    assert joined(Paging(PageKind.LINK), pages) == [item for page in pages for item in page]


def test_the_size_is_asked_for_unless_the_caller_says_one():
    one = action("GET", "/x", query("many", wire="limit"), paging=CURSOR)
    assert beginning(one, {}) == {"limit": 2}
    assert beginning(one, {"many": 7}) == {}
    assert beginning(action(), {}) == {}
    assert beginning(action(paging=Paging(PageKind.LINK)), {}) == {}


def test_that_there_is_more_is_told_with_what_to_ask_for():
    shown = action("GET", "/x", query("after", wire="cursor"), paging=CURSOR)
    assert told(shown, Further({"cursor": "abc"}), 3) == "there is more: ask again with `after`: abc"
    hidden = action("GET", "/x", query("cursor", hidden=True, default="x"), paging=CURSOR)
    assert told(hidden, Further({"cursor": "abc"}), 3) == "there is more than these 3 pages; ask for something narrower"
    link = action("GET", "/x", query("page"), paging=Paging(PageKind.LINK, "page"))
    assert told(link, Further(url="https://x/y?page=4&z=1"), 1) == "there is more: ask again with `page`: 4"
    assert told(link, Further(url="https://x/y?z=1"), 1) == "there is more than this page; ask for something narrower"
    assert (
        told(action(paging=CURSOR), Further({"cursor": "a"}), 1)
        == "there is more than this page; ask for something narrower"
    )


ANSWERS = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["items", "meta", "next", "more"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(ANSWERS, st.sampled_from(list(PageKind)), st.text(max_size=40))
def test_no_answer_and_no_link_break_it(answer, kind, link):
    paging = Paging(kind, "p", "meta.next", "", "items")
    try:
        further = after(paging, answer, link=link)
    except ValueError:
        return
    assert further is None or further.more or further.url.startswith("https://api.example")
    joined(paging, [answer, answer])
