"""How long one waits for an answer: progress makes it longer, questions with the client make it stand still."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import QUIET
from connectors.waiting import STANDSTILL, Waiting
from gateway.mcp.terms import Response

PATIENCE = 1_000.0


class At:
    """One request, and what time it is for it; ``left`` is the seconds it still has."""

    def __init__(self, waiting, start):
        self.waiting = waiting
        self.start = self.now = start

    @property
    def left(self):
        return self.waiting.scope.when() - self.now

    def later(self, seconds):
        self.now += seconds

    def do(self, what):
        getattr(self.waiting, what)(self.now)


async def waited_for(work, *, patience=PATIENCE, most=10 * PATIENCE):
    loop = asyncio.get_running_loop()
    now = loop.time()
    waiting = Waiting(loop.create_future(), QUIET, None, patience, now + most, asyncio.current_task())
    async with asyncio.timeout(patience) as waiting.scope:
        if patience is not None:
            waiting.scope.reschedule(now + patience)
        work(At(waiting, now))
    return waiting


async def test_while_a_question_is_with_the_client_only_its_own_bound_counts():
    def work(at):
        at.later(400)
        at.do("stand_still")
        assert at.left == pytest.approx(PATIENCE - 400 + STANDSTILL)
        at.later(500)
        at.do("go_on")
        assert at.left == pytest.approx(PATIENCE - 400)

    await waited_for(work)


async def test_many_questions_at_once_stand_still_once():
    def work(at):
        at.do("stand_still")
        at.later(100)
        at.do("stand_still")
        at.later(100)
        at.do("go_on")
        at.later(100)
        assert at.left == pytest.approx(PATIENCE + STANDSTILL - 300)
        at.do("go_on")
        assert at.left == pytest.approx(PATIENCE)

    await waited_for(work)


async def test_progress_while_a_question_is_with_the_client_is_not_lost_and_takes_nothing_away():
    def work(at):
        at.later(900)
        at.do("stand_still")
        at.later(100)
        at.do("stretch")
        assert at.left == pytest.approx(PATIENCE + STANDSTILL - 100)
        at.do("go_on")
        assert at.left == pytest.approx(PATIENCE)

    await waited_for(work)


async def test_a_request_without_an_end_stands_still_and_goes_on_without_one():
    def work(at):
        for what in ("stand_still", "stretch", "go_on"):
            at.do(what)
        assert at.waiting.scope.when() is None

    await waited_for(work, patience=None)


@pytest.mark.parametrize("what", ["stand_still", "stretch", "go_on"])
async def test_an_answer_ends_all_waiting_at_once(what):
    def work(at):
        at.do("stand_still")
        at.waiting.settle(Response(1, {}), at.now)
        before = at.left
        at.later(10)
        at.do(what)
        assert at.left == before - 10 < 1

    await waited_for(work)


async def test_nothing_is_waited_for_any_more_once_the_request_is_over():
    waiting = await waited_for(lambda at: at.do("stand_still"))
    waiting.scope = None
    waiting.go_on(0.0)
    waiting.stand_still(0.0)
    waiting.stretch(0.0)
    assert waiting.asked == 1


steps = st.lists(
    st.tuples(st.floats(0, 400, allow_nan=False), st.sampled_from(["stand_still", "go_on", "stretch"])), max_size=12
)


@given(steps)
async def test_the_end_is_what_patience_progress_and_the_time_with_the_client_make_it(script):
    most = 3 * PATIENCE

    def work(at):
        stood = open_ = 0
        due = PATIENCE  # as a clock counts that stands still with the questions
        for seconds, what in script:
            at.later(seconds)
            if open_:
                stood = min(stood + seconds, STANDSTILL)
            if what == "go_on" and not open_:
                continue
            at.do(what)
            open_ += {"stand_still": 1, "go_on": -1, "stretch": 0}[what]
            if what == "stretch":
                due = min(at.now - at.start - stood + PATIENCE, most)
            assert at.waiting.scope.when() - at.start == pytest.approx(due + (STANDSTILL if open_ else stood))

    await waited_for(work, most=most)
