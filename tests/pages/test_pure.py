"""The parts of the pages that are pure: where a page may lead, what a form brings back, what a query says."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.connections.listing import Listed
from gateway.errors import Malformed, Refusal, Unknown, UpstreamFailed
from gateway.records import Connected, Status
from gateway.web.pages.connections import DAY, HOUR, STANDS, row_of
from gateway.web.pages.forms import HOME, Forms, place
from gateway.web.pages.queries import MOST_BYTES, MOST_FIELDS, query_of
from gateway.web.pages.shell import prose, status_of

FORMS = Forms([b"n" * 32, b"o" * 32])
LINK = "/connect/" + "a1" * 12 + "." + "x-_Z" * 10 + "xyz"


def test_a_sign_in_leads_to_a_link_or_to_the_list():
    assert place(LINK) == LINK
    assert place(HOME) == HOME


@pytest.mark.parametrize(
    "wanted",
    [
        "", "/", "//evil.com", "///evil.com", "/\\evil.com", "\\\\evil.com", "https://evil.com", "http:evil.com",
        "javascript:alert(1)", "/connect/../sign-out", f"{LINK}/../..", f"{LINK}?x=1", f"{LINK}#x", f"{LINK}\n",
        f" {LINK}", f"https://evil.com{LINK}", f"//evil.com{LINK}", f"/evil.com{LINK}", "/connect/", "/connect//evil.com",
        LINK.replace("a1", "A1"), LINK + "/", "/connect/" + "a1" * 12, "/sign-out", "/connections/../x", "/%2f%2fevil.com",
    ],
)  # fmt: skip
def test_it_leads_nowhere_else_however_that_is_written(wanted):
    assert place(wanted) == HOME


@given(st.text(max_size=80))
def test_any_text_leads_to_one_of_our_pages(wanted):
    assert re.fullmatch(r"/connections|/connect/[0-9a-f]{24}\.[A-Za-z0-9_-]{16,100}", place(wanted))


# -- forms


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_form_comes_back_from_the_browser_that_it_was_shown_to(seed, other):
    assert FORMS.accepts(seed, FORMS.token(seed))
    assert FORMS.accepts(seed, Forms([b"o" * 32]).token(seed))
    assert not FORMS.accepts(seed, Forms([b"x" * 32]).token(seed))
    assert seed == other or not FORMS.accepts(other, FORMS.token(seed))
    assert not FORMS.accepts(seed, seed)


@given(st.text())
def test_a_browser_without_a_cookie_brings_no_form_back(brought):
    assert not FORMS.accepts("", brought)
    assert not FORMS.accepts("", FORMS.token(""))


# -- queries


def test_a_query_is_told_in_order_with_doubles_and_blanks():
    assert query_of(b"code=a%20b&state=&code=c+d&x=%C3%B6") == (
        ("code", "a b"),
        ("state", ""),
        ("code", "c d"),
        ("x", "ö"),
    )


@pytest.mark.parametrize(
    "raw", [b"code=\xff", b"a=%ff", b"x" * (MOST_BYTES + 1), b"a=1&" * (MOST_FIELDS + 1), b"\xc3\xb6=1"]
)
def test_a_query_that_cannot_be_read_is_refused(raw):
    with pytest.raises(Malformed):
        query_of(raw)


@given(st.binary(max_size=300))
def test_any_query_is_read_or_refused(raw):
    try:
        found = query_of(raw)
    except Malformed:
        return
    assert all(isinstance(each, str) for pair in found for each in pair)


# -- words


@given(st.text(max_size=200))
def test_our_sentences_hold_no_markup_but_code(text):
    shown = str(prose(text))
    assert "<" not in shown.replace("<code>", "").replace("</code>", "")
    if text.count("`") % 2 == 0:
        assert html.unescape(re.sub("</?code>", "`", shown)) == text[:1].upper() + text[1:]


def test_a_sentence_begins_with_a_capital_and_shows_code():
    assert prose("`same_browser` is off") == "<code>same_browser</code> is off"
    assert prose("it is <off>") == "It is &lt;off&gt;"


@pytest.mark.parametrize(
    ("refusal", "status"),
    [(Refusal("x"), 400), (Unknown("x"), 404), (UpstreamFailed("x"), 502), (Refusal("x", status=200), 403)],
)
def test_a_page_never_says_200_for_a_no(refusal, status):
    assert status_of(refusal) == status


NOW = 1_795_435_200_000
RECORD = Connected(id="a" * 24, owner="user:ann@example.com", connector="slack", sealed=b"s3cret", created_at=NOW)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (0, "within the last two hours"),
        (-HOUR, "within the last two hours"),
        (HOUR * 5, "5 hours ago"),
        (DAY * 9, "9 days ago"),
    ],
)
def test_when_a_connection_was_used_is_told_as_roughly_as_it_is_known(before, said):
    used = Connected(id="a", owner="o", connector="c", used_at=NOW - before)
    assert row_of(Listed(used, "C"), NOW).used == said
    assert row_of(Listed(RECORD, "Slack"), NOW).used == "never"


@pytest.mark.parametrize("status", Status)
def test_every_state_of_a_connection_has_its_words(status):
    row = row_of(Listed(Connected(id="a", owner="o", connector="c", status=status, reason="renewal_refused"), "C"), NOW)
    assert row.status == STANDS[status]
    assert row.works == (status is Status.ACTIVE)
    assert bool(row.reason) == (status is not Status.ACTIVE)
    assert "s3cret" not in repr(row_of(Listed(RECORD, "Slack"), NOW))
