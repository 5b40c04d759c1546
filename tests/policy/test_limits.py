"""How often: the window and its file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.limits import (
    DEFAULT_LIMIT,
    EMPTY,
    GRAINS,
    TENTH,
    Limit,
    LimitClass,
    Limits,
    ObjectLimit,
    Window,
    heard,
    read_limits,
    take,
    told,
)


def passed(limit: Limit, times: list[int]) -> list[int]:
    window, through = Window(), []
    for now in times:
        window, wait, *_ = take(window, limit, now)
        through += [] if wait else [now]
    return through


def test_a_window_slides():
    limit = Limit(calls=2, window_ms=100)
    assert passed(limit, [0, 10, 20, 99, 100, 101, 109, 110]) == [0, 10, 100, 110]


def test_a_refusal_says_how_long_to_wait_and_counts_nothing():
    limit = Limit(calls=1, window_ms=100)
    window, wait, *_ = take(Window(), limit, 1_000)
    assert wait == 0
    refused, wait, *_ = take(window, limit, 1_030)
    assert (refused, wait) == (window, 70)
    assert take(refused, limit, 1_100).wait_ms == 0


def test_a_clock_that_goes_back_stands_still():
    limit = Limit(calls=2, window_ms=100)
    window, _, *_ = take(Window(), limit, 1_000)
    window, _, *_ = take(window, limit, 500)
    assert take(window, limit, 1_099).wait_ms == 1
    assert take(window, limit, 1_100).wait_ms == 0


def test_a_lowered_limit_waits_for_enough_calls_to_leave():
    window = Window()
    for now in (0, 10, 20):
        window, _, *_ = take(window, Limit(calls=3, window_ms=100), now)
    assert take(window, Limit(calls=1, window_ms=100), 30).wait_ms == 90


def test_a_generous_window_stays_small():
    window = Window()
    for now in range(2_000):
        window, _, *_ = take(window, Limit(calls=100_000, window_ms=1_000), now)
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
        window, wait, *_ = take(window, limit, now)
        if wait:
            assert take(window, limit, now + wait).wait_ms == 0
            assert take(window, limit, now + wait - 1).wait_ms == 1


GAPS = st.lists(st.integers(0, 300), max_size=40)


def filled(limit: Limit, gaps: list[int], start: int = 0) -> tuple[Window, int]:
    """The window after calls with ``gaps`` between them, and the moment of the last."""
    window, now = EMPTY, start
    for gap in gaps:
        now += gap
        window, *_ = take(window, limit, now)
    return window, now


def test_what_was_counted_elsewhere_counts_here_and_leaves_like_ones_own():
    limit = Limit(calls=3, window_ms=1_000)
    elsewhere = heard([((100, 1),), ((400, 1),)], 500)
    first = take(EMPTY, limit, 500, elsewhere)
    assert (first.wait_ms, first.left, first.window.calls) == (0, 0, 1)
    second = take(first.window, limit, 600, elsewhere)
    assert (second.wait_ms, second.left, second.window) == (500, 0, first.window)
    assert take(first.window, limit, 1_100, elsewhere).wait_ms == 0


def test_what_may_still_be_called_is_told_with_every_call():
    limit = Limit(calls=3, window_ms=1_000)
    first = take(EMPTY, limit, 0)
    second = take(first.window, limit, 400)
    assert [(each.left, each.frees_ms) for each in (first, second)] == [(2, 1_000), (1, 600)]


def test_nothing_is_told_of_a_window_that_is_filled_up_to_a_tenth():
    limit = Limit(calls=20, window_ms=1_000)
    assert told(filled(limit, [1, 1])[0], limit, 2) == ()
    assert told(filled(limit, [1, 1, 1])[0], limit, 3) == ((3, 3),)
    assert told(filled(limit, [1, 1, 1])[0], limit, 2_000) == (), "what has left the window matters to nobody"


@given(st.integers(1, 40), st.sampled_from((10, 100, 5_000)), GAPS, st.integers(0, 6_000))
def test_what_is_told_is_short_and_never_less_than_what_was_counted(calls, window_ms, gaps, later):
    limit = Limit(calls, window_ms)
    window, now = filled(limit, gaps)
    tale = told(window, limit, now)
    assert len(tale) <= TENTH + 2
    if not tale:
        assert take(window, limit, now).left + 1 >= calls - calls // TENTH
        return
    there = heard([tale], now)
    ours, theirs = (take(EMPTY, limit, now + later, each) for each in (window, there))
    assert theirs.left <= ours.left, "calls of which was told last at least as long as they do"
    past = take(EMPTY, limit, now + later + window_ms // TENTH + 1, there)
    assert past.left >= ours.left, "and a tenth of the window longer at most"


@given(GAPS, st.integers(0, 100_000))
def test_a_clock_elsewhere_that_goes_before_ours_locks_nobody_out_for_longer_than_a_window(gaps, ahead):
    limit = Limit(calls=2, window_ms=1_000)
    window, now = filled(limit, gaps, start=ahead)
    there = heard([told(window, limit, now)], 0)
    assert take(EMPTY, limit, 1_000, there).wait_ms == 0


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
