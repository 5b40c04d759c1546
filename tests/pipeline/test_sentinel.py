"""Live decisions are checked against stock Casbin, and a node that was wrong goes on by the plain loop."""

import asyncio
import logging
from dataclasses import replace

import pytest

from gateway.pipeline.sentinel import SHARE, WAITING, Sentinel
from gateway.policy.engine import Policy
from gateway.policy.engine_stock import Stock
from gateway.policy.index import Index
from tests.builders import ALL, AMY, Door, call, refused
from tests.fakes import slack
from tests.policy.builders import ALICE, NOW, access, context, policy

DENIED = f"{ALL}\np, *, *, *, slack/send, write, args.channel == '#closed', deny"


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def watch(pauses):
    """Makes a sentinel that does not wait; ``watch.run(sentinel)`` has it check all that is noted."""

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    def made(every: int, alarm=lambda: None) -> Sentinel:
        return Sentinel(every, alarm, pause=pause)

    return made


async def checked(sentinel: Sentinel, count: int) -> None:
    task = asyncio.create_task(sentinel.run())
    try:
        async with asyncio.timeout(10):
            while sentinel.checked < count:
                await asyncio.sleep(0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_in_so_many_decisions_is_checked_and_right_ones_raise_no_alarm(watch, pauses):
    sentinel = watch(3, alarm=pytest.fail)
    judging = policy(DENIED)
    for at in range(9):
        question = (access("slack/send", "write", ctx=context(channel="#closed" if at % 2 else "#open")),)
        sentinel.see(judging, question, allowed=judging.decide(question).allowed)
    assert len(sentinel._waiting) == 3
    await checked(sentinel, 3)
    assert (sentinel.checked, sentinel.wrong) == (3, 0)


async def test_checks_take_no_more_than_their_share_of_a_core(watch, pauses, monkeypatch):
    clock = iter([10.0, 10.5])
    monkeypatch.setattr("gateway.pipeline.sentinel.time.thread_time", lambda: next(clock))
    sentinel = watch(1)
    judging, question = policy(ALL), (access("slack/send", "write"),)
    sentinel.see(judging, question, allowed=True)
    await checked(sentinel, 1)
    async with asyncio.timeout(5):
        while not pauses:
            await asyncio.sleep(0)
    assert pauses == [pytest.approx(0.5 / SHARE - 0.5)]


async def test_what_cannot_be_checked_in_time_is_dropped_and_no_former_policy_is_kept(watch):
    sentinel = watch(1)
    former, question = policy(ALL), (access("slack/send", "write"),)
    for _ in range(3 * WAITING):
        sentinel.see(former, question, allowed=True)
    await checked(sentinel, WAITING)
    assert sentinel.checked == WAITING
    sentinel.see(former, question, allowed=True)
    sentinel.see(policy(ALL), question, allowed=True)
    assert [seen.policy is former for seen in sentinel._waiting] == [False]


async def test_nothing_is_noted_when_it_is_off(watch):
    sentinel = watch(0)
    sentinel.see(policy(ALL), (access("slack/send", "write"),), allowed=False)
    await asyncio.wait_for(sentinel.run(), 5)
    assert (sentinel.checked, len(sentinel._waiting)) == (0, 0)


async def test_a_chain_is_checked_as_a_whole(watch):
    sentinel = watch(1)
    judging = policy(f"p, {ALICE}, main, self, a/*, write, , allow")
    chain = (access("a/x", "write"), access("a/x", "write", subject="user:bob@example.com"))
    sentinel.see(judging, chain, allowed=judging.decide(chain).allowed)
    await checked(sentinel, 1)
    assert sentinel.wrong == 0


class Follower:
    """A follower that stands still, and falls back when told."""

    door: Door
    fallen = 0

    def decide_plainly(self) -> None:
        self.fallen += 1
        current = self.door.follower.current
        self.door.follower.current = replace(current, policy=current.policy.plainly())


async def test_a_wrong_answer_is_found_told_and_the_next_decision_of_that_node_is_right(watch, monkeypatch, caplog):
    following = Follower()
    sentinel = watch(1, following.decide_plainly)
    following.door = door = Door(DENIED, [chat := slack()], sentinel=sentinel)
    forget_everybody(monkeypatch)
    secret = {"channel": "#closed", "text": "hunter2"}
    await door.use(AMY, "slack__send", **secret)
    assert len(chat.sent) == 1, "the seeded fault lets it through"
    with caplog.at_level(logging.CRITICAL):
        await checked(sentinel, 1)
    assert (sentinel.wrong, following.fallen) == (1, 1)
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert f"the engine allowed what Casbin denies: `user:{AMY}`, `main`, `user:{AMY}`, `slack/send`" in caplog.text
    assert "hunter2" not in caplog.text
    assert "closed" not in caplog.text
    await door.use(AMY, "slack__send", **secret)
    assert len(chat.sent) == 1
    assert door.last.outcome == "denied"
    assert door.last.rule == "policies/rules.csv:2"
    await door.use(AMY, "slack__send", channel="#open")
    assert len(chat.sent) == 2
    assert sentinel.checked == 1, "the alarm is raised once"


def forget_everybody(monkeypatch) -> None:
    """A seeded fault: the index does not look up the rows that are for everybody."""
    of = Index.of

    def without(self, names, domain):
        return of(self, names - {"*"}, domain)

    monkeypatch.setattr(Index, "of", without)


async def test_refusals_that_ask_the_policy_nothing_are_not_noted(watch):
    door = Door(ALL, [slack()], sentinel=(sentinel := watch(1)))
    await door.tools(AMY)
    await refused(door, AMY, call("tools/call", name="slack__nothing"))
    assert len(sentinel._waiting) == 0


def test_stock_casbin_answers_no_where_nobody_may_ask_and_where_there_is_no_policy():
    assert Stock(policy("p, *, *, self, a/*, write, , allow")).decide(access("a/x", subject="role:user")) is False
    assert Stock(Policy.build(None, (), "0")).decide(access("a/x")) is False


def test_stock_casbin_knows_what_has_ended():
    rows = f"# @expires 2027-01-15\np, {ALICE}, main, self, a/*, write, , allow"
    ended = policy(rows)
    (rule,) = (rule for rule in ended.rules if rule.expires is not None)
    assert Stock(ended).decide(access("a/x", ctx=context(now=rule.expires - 1)))
    assert not Stock(ended).decide(access("a/x", ctx=context(now=max(NOW, rule.expires))))
