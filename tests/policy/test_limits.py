"""How often: the window and its file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.limits import (
    DEFAULT_LIMIT,
    GRAINS,
    Limit,
    LimitClass,
    Limits,
    ObjectLimit,
    Window,
    read_limits,
    take,
)


def passed(limit: Limit, times: list[int]) -> list[int]:
    window, through = Window(), []
    for now in times:
        window, wait = take(window, limit, now)
        through += [] if wait else [now]
    return through


def test_a_window_slides():
    limit = Limit(calls=2, window_ms=100)
    assert passed(limit, [0, 10, 20, 99, 100, 101, 109, 110]) == [0, 10, 100, 110]


def test_a_refusal_says_how_long_to_wait_and_counts_nothing():
    limit = Limit(calls=1, window_ms=100)
    window, wait = take(Window(), limit, 1_000)
    assert wait == 0
    refused, wait = take(window, limit, 1_030)
    assert (refused, wait) == (window, 70)
    assert take(refused, limit, 1_100)[1] == 0


def test_a_clock_that_goes_back_stands_still():
    limit = Limit(calls=2, window_ms=100)
    window, _ = take(Window(), limit, 1_000)
    window, _ = take(window, limit, 500)
    assert take(window, limit, 1_099)[1] == 1
    assert take(window, limit, 1_100)[1] == 0


def test_a_lowered_limit_waits_for_enough_calls_to_leave():
    window = Window()
    for now in (0, 10, 20):
        window, _ = take(window, Limit(calls=3, window_ms=100), now)
    assert take(window, Limit(calls=1, window_ms=100), 30)[1] == 90


def test_a_generous_window_stays_small():
    window = Window()
    for now in range(2_000):
        window, _ = take(window, Limit(calls=100_000, window_ms=1_000), now)
    assert len(window.grains) <= GRAINS + 1


@given(
    st.integers(1, 5),
    st.sampled_from((7, 100, 5_000)),
    st.lists(st.integers(0, 400), max_size=60),
)
def test_never_more_than_the_limit_in_any_window_and_never_much_less(calls, window_ms, gaps):
    times = [sum(gaps[: at + 1]) for at in range(len(gaps))]
    limit = Limit(calls, window_ms)
    through = passed(limit, times)
    for start in through:
        assert sum(start <= time < start + window_ms for time in through) <= calls
    grain = window_ms // GRAINS
    for time in set(times) - set(through):
        assert sum(time - window_ms - grain <= each <= time for each in through) >= calls


@given(st.integers(1, 3), st.lists(st.integers(0, 300), max_size=20))
def test_after_the_wait_that_was_told_a_call_passes(calls, gaps):
    limit, window, now = Limit(calls, 1_000), Window(), 0
    for gap in gaps:
        now += gap
        window, wait = take(window, limit, now)
        if wait:
            assert take(window, limit, now + wait)[1] == 0
            assert take(window, limit, now + wait - 1)[1] == 1


GOOD = """
[[class]] # the many
name = "low"
calls = 10
window_s = 60

[[class]]
name = "high"
calls = 10
window_s = 0.5

[[object]]
match = "slack/*"
calls = 1
window_s = 1

[[object]]
match = "git/git_log"
calls = 2
window_s = 1
class = "low"
"""


def test_a_file_gives_classes_most_generous_first_and_object_limits():
    found = read_limits(GOOD, "limits.toml")
    assert found == Limits(
        classes=(LimitClass("high", Limit(10, 500)), LimitClass("low", Limit(10, 60_000))),
        objects=(ObjectLimit("slack/*", Limit(1, 1_000)), ObjectLimit("git/git_log", Limit(2, 1_000), "low")),
        default=DEFAULT_LIMIT,
    )
    assert found.of("low") == Limit(10, 60_000)
    assert found.of("unheard-of") == Limit(100, 60_000)


def test_object_limits_apply_by_pattern_and_class():
    found = read_limits(GOOD, "limits.toml")
    assert [each.match for each in found.on("slack/x", "high")] == ["slack/*"]
    assert [each.match for each in found.on("git/git_log", "low")] == ["git/git_log"]
    assert found.on("git/git_log", "high") == ()
    everything = read_limits("[[object]]\nmatch = '*'\ncalls = 1\nwindow_s = 1", "limits.toml")
    assert len(everything.on("gateway/users", "x")) == 1


def test_the_default_class_can_be_set():
    found = read_limits("[[class]]\nname = 'default'\ncalls = 5\nwindow_s = 1", "limits.toml")
    assert (found.default, found.classes) == (Limit(5, 1_000), ())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[class]", "limits.toml:1: this is not TOML: "),
        ("x = 1", "limits.toml: `x` is not one of `class`, `object`"),
        ("class = 1", "limits.toml: `class` is not a table; write `[[class]]` above each"),
        ("class = [1]", "limits.toml: `class` is not a table"),
        ("\n[[class]]\ncalls = 1\nwindow_s = 1", "limits.toml:2: `name` is missing, not a word"),
        ("[[class]]\nname = 'A b'\ncalls = 1\nwindow_s = 1", "limits.toml:1: `name` is `A b`, not a word"),
        ("[[class]]\nname = 'a'\ncalls = 0\nwindow_s = 1", "limits.toml:1: `calls` is `0`, not a whole number from 1"),
        ("[[class]]\nname = 'a'\ncalls = true\nwindow_s = 1", "`calls` is `True`, not a whole number"),
        ("[[class]]\nname = 'a'\nwindow_s = 1", "`calls` is missing"),
        ("[[class]]\nname = 'a'\ncalls = 1\nwindow_s = 0", "`window_s` is `0`, not a number of seconds"),
        ("[[class]]\nname = 'a'\ncalls = 1\nwindow_s = nan", "`window_s` is `nan`, not a number of seconds"),
        ("[[class]]\nname = 'a'\ncalls = 1\nwindow_s = true", "`window_s` is `True`, not a number of seconds"),
        ("[[class]]\nname = 'a'\ncalls = 1\nwindow = 1", "`window` is not one of `name`, `calls`, `window_s`"),
        ("class = [{name = 'a', calls = 1}]", "limits.toml: `window_s` is missing"),
        (GOOD + "[[class]]\nname = 'low'\ncalls = 1\nwindow_s = 1", "limits.toml:22: class `low` comes twice"),
        ("[[object]]\ncalls = 1\nwindow_s = 1", "limits.toml:1: `match` is missing, not an object"),
        ("[[object]]\nmatch = 'slack*'\ncalls = 1\nwindow_s = 1", "limits.toml:1: `slack*` is not a pattern"),
        (
            "[[object]]\nmatch = 'a/*'\ncalls = 1\nwindow_s = 1\nclass = 'x'",
            "class `x` is not defined by any `[[class]]`",
        ),
        ("[[object]]\nmatch = 'a/*'\ncalls = 1\nwindow_s = 1\nclass = []", "class `[]` is not defined"),
    ],
)
def test_a_mistake_is_told_with_its_place(text, sentence):
    found = read_limits(text, "limits.toml")
    assert isinstance(found, list)
    assert any(sentence in str(problem) for problem in found), [str(problem) for problem in found]


def test_all_mistakes_are_told_at_once():
    found = read_limits("x = 1\n[[class]]\n[[object]]\n", "limits.toml")
    assert len(found) == 7
