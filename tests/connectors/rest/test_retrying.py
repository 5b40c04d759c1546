"""When something is sent again: only what may be, and when the platform says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.definition.terms import Retry, Risk
from connectors.rest.retrying import pause, repeatable, told_pause
from tests.connectors.rest.building import action

NOW = 1_800_000_000_000
RETRY = Retry((429,), ("retry-after",), ("x-reset",))


@pytest.mark.parametrize(
    ("more", "may"),
    [
        ({}, True),
        ({"risk": Risk.WRITE}, False),
        ({"risk": Risk.DESTRUCTIVE}, False),
        ({"risk": Risk.WRITE, "idempotent": True}, True),
        ({"risk": Risk.WRITE, "idempotency_header": "Idempotency-Key"}, True),
    ],
)
def test_only_what_can_be_done_twice_is_sent_twice(more, may):
    assert repeatable(action(**more)) is may


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:10 GMT"}, 10),
        ({"retry-after": "Thu, 14 Jan 2027 08:00:10 GMT"}, 0),
        ({"x-reset": "1800000030"}, 30),
        ({"x-reset": "1800000030000"}, 30),
        ({"x-reset": "2027-01-15T08:00:05Z"}, 5),
        ({"x-reset": "2027-01-15T08:00:05"}, 5),
        ({"x-reset": "1700000000"}, 0),
        ({"retry-after": "3", "x-reset": "1800000030"}, 3),
        ({"retry-after": "soon", "x-reset": "1800000030"}, 30),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "nan"}, None),
        ({"x-reset": ""}, None),
        ({}, None),
    ],
)
def test_the_platform_says_when_to_ask_again(headers, seconds):
    assert told_pause(headers, RETRY, now=NOW) == seconds


def test_without_a_word_the_pauses_grow():
    assert [pause({}, RETRY, attempt=attempt, now=NOW) for attempt in (1, 2, 3)] == [1, 2, 4]
    assert pause({"retry-after": "9"}, RETRY, attempt=3, now=NOW) == 9


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_a_header_says_a_pause_is_a_number_that_is_not_negative(after, at):
    seconds = told_pause({"retry-after": after, "x-reset": at}, RETRY, now=NOW)
    assert seconds is None or seconds >= 0
