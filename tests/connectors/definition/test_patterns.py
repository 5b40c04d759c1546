"""Patterns judge whole values in bounded time, or are refused."""

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.definition.patterns import LONGEST_PATTERN, LONGEST_VALUE, fits, unfit


@pytest.mark.parametrize(
    "pattern",
    [
        "^[a-z0-9-]{1,63}$",
        "^(?:eu|us)$",
        r"^\S+$",
        "^[^|^$]+$",
        r"^https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]{0,400})?$",
        "^([0-9a-f]{2}:){5}[0-9a-f]{2}$",
        r"^[^@\s]{1,64}@[a-z0-9.-]{1,190}$",
        "^a{2$",
        r"^\$\^\|$",
    ],
)
def test_a_plain_pattern_is_taken(pattern):
    assert unfit(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a$", "must begin with `^`"),
        ("^a", "must begin with `^`"),
        (r"^a\$", "must begin with `^`"),
        ("^a|b$", "outside of a group"),
        ("^a$b$", "outside of a group"),
        ("^[$", "is not a regular expression"),
        ("^(a+)+$", "for ever"),
        ("^(a*)*$", "for ever"),
        ("^(a|aa)+$", "for ever"),
        ("^(a?){20}$", "for ever"),
        ("^([a-z]{1,9}){1,9}$", "for ever"),
        ("^((a|b)c)*$", "for ever"),
        ("^(?=a)a$", "looks around or refers back"),
        ("^(?i:a)$", "looks around or refers back"),
        (r"^(a)\1$", "looks around or refers back"),
        ("^.*.*.*$", "too many ways"),
        ("^" + "a?" * 30 + "$", "too many ways"),
        ("^" + "a" * LONGEST_PATTERN + "$", "longer than"),
    ],
)
def test_a_pattern_that_judges_too_little_or_takes_too_long_is_refused(pattern, why):
    assert why in unfit(pattern)


def test_only_the_whole_of_a_value_fits():
    assert fits("^[a-z]{2}$", "eu")
    for value in ("eu\n", "eu ", "e", "", "eu\0", "\neu"):
        assert not fits("^[a-z]{2}$", value)
    assert not fits("^.*$", "a\nb")
    assert fits("^.*$", "a" * LONGEST_VALUE)
    assert not fits("^.*$", "a" * (LONGEST_VALUE + 1))


PARTS = st.sampled_from(
    ["a", "[ab]", "(", ")", "(?:", "|", "*", "+", "?", "{1,3}", "{2}", "{2,}", ".", "\\d", "$", "^"]
)


@given(st.lists(PARTS, max_size=12).map("".join), st.sampled_from(["a", "ab", "1", "aab"]))
def test_a_pattern_that_is_taken_never_takes_long(inner, piece):
    pattern = f"^{inner}$"
    if unfit(pattern):
        return
    value = piece * (60 // len(piece)) + "\x7f"
    began = time.process_time()
    re.fullmatch(pattern, value)
    assert time.process_time() - began < 2


@given(st.text(max_size=40))
@example("[[")  # Python warns that it may mean something else one day
def test_any_text_is_judged_without_an_exception(inner):
    assert isinstance(unfit(f"^{inner}$"), str)
