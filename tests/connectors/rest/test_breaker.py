"""A host that does not answer is left alone, tried by one, and asked again."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connectors.rest.breaker import FAILURES, HOSTS, LONGEST_MS, OPEN_MS, Breaker

HOST = "api.example"


def opened(now: int = 0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.enter(HOST, now) == 0
        breaker.failed(HOST, now)
    return breaker


def test_a_host_is_left_alone_after_so_many_failures_in_a_row():
    breaker = opened()
    assert breaker.enter(HOST, 1) == OPEN_MS - 1
    assert breaker.enter("other.example", 1) == 0


def test_an_answer_in_between_counts_anew():
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(HOST, 0)
    breaker.answered(HOST)
    breaker.failed(HOST, 0)
    assert breaker.enter(HOST, 0) == 0


def test_after_a_while_one_request_tries_it_and_the_others_wait():
    breaker = opened()
    assert breaker.enter(HOST, OPEN_MS) == 0
    assert breaker.enter(HOST, OPEN_MS) > 0
    breaker.answered(HOST)
    assert breaker.enter(HOST, OPEN_MS) == 0
    assert breaker.enter(HOST, OPEN_MS) == 0


def test_a_try_that_fails_opens_it_for_longer_up_to_a_bound():
    breaker, now, waits = opened(), 0, []
    for _ in range(7):
        now += breaker.enter(HOST, now)
        assert breaker.enter(HOST, now) == 0
        breaker.failed(HOST, now)
        waits.append(breaker.enter(HOST, now))
    assert waits[:3] == [2 * OPEN_MS, 4 * OPEN_MS, 8 * OPEN_MS]
    assert waits[-1] == LONGEST_MS


def test_a_try_whose_caller_went_away_lets_another_try():
    breaker = opened()
    assert breaker.enter(HOST, OPEN_MS) == 0
    breaker.left(HOST)
    assert breaker.enter(HOST, OPEN_MS) == 0


def test_requests_that_were_under_way_when_it_opened_do_not_open_it_for_longer():
    breaker = opened()
    for _ in range(20):
        breaker.failed(HOST, 5)
    assert breaker.enter(HOST, 0) == OPEN_MS


def test_only_so_many_hosts_are_remembered():
    breaker = Breaker()
    for number in range(HOSTS + 50):
        breaker.failed(f"h{number}.example", 0)
    assert len(breaker._circuits) == HOSTS
    breaker.left("h0.example")
    assert breaker.enter("h0.example", 0) == 0


class Machine(RuleBasedStateMachine):
    """A host never stays closed to everybody: whatever happens, after the longest wait somebody may try."""

    def __init__(self):
        super().__init__()
        self.breaker, self.now, self.inside = Breaker(), 0, 0

    @rule()
    def enter(self):
        if self.breaker.enter(HOST, self.now) == 0:
            self.inside += 1

    @rule(how=st.sampled_from(["failed", "answered", "left"]))
    def end(self, how):
        if self.inside:
            self.inside -= 1
            if how == "answered":
                self.breaker.answered(HOST)
            elif how == "failed":
                self.breaker.failed(HOST, self.now)
            self.breaker.left(HOST)

    @rule(wait=st.integers(0, 2 * LONGEST_MS))
    def passing(self, wait):
        self.now += wait

    @invariant()
    def somebody_may_try_once_all_have_ended(self):
        if not self.inside:
            assert self.breaker.enter(HOST, self.now + LONGEST_MS) == 0
            self.breaker.left(HOST)


TestMachine = Machine.TestCase
