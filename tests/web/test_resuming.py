"""Streams that broke off: taken up again where they were, by their own session only, as long as that is kept."""

import asyncio
from typing import Any

import pytest

from connectors.base import Change, Event
from gateway.mcp.terms import Notification
from gateway.sessions import AWAY_MS, IDLE_MS, memory
from gateway.web import replies
from tests.builders import ALL, AMY, BOB, Door
from tests.fakes import Sent, echo, slack
from tests.web.plane import Exchange, Front, message, until
from tests.web.test_asking import EVERYTHING, FORM, asking, heard, question

NEWS = Notification("notifications/tools/list_changed")


class Talking:
    """A server whose calls report progress whenever the test says so, until the test lets them end."""

    def __init__(self) -> None:
        self.front = Front(Door(ALL, [slack(answer=self._answer)]))
        self._gates: list[asyncio.Event] = []

    async def _answer(self, sent: Sent) -> dict[str, Any]:
        gate = asyncio.Event()
        self._gates.append(gate)
        await gate.wait()
        return echo(sent)

    async def call(self, session: str, number: int = 0) -> Exchange:
        """Begin the call that is the ``number``th."""
        params = {"name": "slack__send", "arguments": {}, "_meta": {"progressToken": number}}
        running = self.front.post("tools/call", id=number, session=session, **params)
        await until(lambda: len(self._gates) > number)
        return running

    def say(self, progress: int, number: int = 0) -> None:
        caller = self.front.door.connectors[0].sent[number].caller
        caller.tell(Notification("notifications/progress", {"progressToken": number, "progress": progress}))

    def end(self, number: int = 0) -> None:
        self._gates[number].set()


def progress(exchange: Exchange) -> list[int]:
    return [each["params"]["progress"] for each in exchange.messages if each.get("method") == "notifications/progress"]


def ids(exchange: Exchange) -> list[str]:
    """The ids of the events that say something."""
    return [event.id for event in exchange.events if event.data]


def later(front: Front, by: int) -> None:
    """Let so many ms pass, and what is overdue end."""
    front.door.now += by
    front.door._swap(confirmed_at_ms=front.door.now)
    front.sessions.expire(front.door.now)


async def left(exchange: Exchange) -> None:
    """The client's connection breaks off, and the gateway has noticed."""
    exchange.leave()
    await until(lambda: exchange.incoming.empty())
    await asyncio.sleep(0)


@pytest.mark.parametrize(("version", "primed"), [("2025-03-26", False), ("2025-06-18", False), ("2025-11-25", True)])
async def test_a_stream_begins_with_an_event_that_says_how_to_take_it_up_for_clients_that_know_it(
    version: str, primed: bool
):
    house = Talking()
    session = await house.front.session(version)
    running = await house.call(session)
    house.say(1)
    await until(lambda: progress(running))
    if primed:
        assert running.text.startswith("retry: 1000\nid: ")
        assert running.text.split("\n\n")[0].endswith("\ndata: ")
    assert ("retry" in running.text) is primed
    news = house.front.resume(session)
    await until(lambda: len(news.sent) > 1)
    assert news.text.startswith("retry: 1000\nid: ") is primed
    house.end()
    await running.done()
    every = ids(running) + ids(news)
    assert len(set(every)) == len(every)
    assert all(every)
    news.leave()
    await news.done()


async def test_a_call_whose_connection_broke_off_goes_on_and_is_fetched_from_where_it_was():
    house = Talking()
    session = await house.front.session()
    running = await house.call(session)
    for step in (1, 2):
        house.say(step)
    await until(lambda: progress(running) == [1, 2])
    await left(running)
    house.say(3)
    resumed = house.front.resume(session, ids(running)[-2])
    await until(lambda: progress(resumed) == [2, 3])
    house.say(4)
    await until(lambda: progress(resumed) == [2, 3, 4])
    house.end()
    await resumed.done()
    assert resumed.messages[-1]["id"] == 0
    assert "result" in resumed.messages[-1]
    assert resumed.headers["mcp-session-id"] == session
    assert resumed.headers["ostiary-policy"] == house.front.door.entries[-1].policy
    assert progress(running) == [1, 2]
    again = await house.front.resume(session, ids(running)[0]).done()
    assert progress(again) == [2, 3, 4]
    assert again.messages[-1] == resumed.messages[-1]


async def test_the_first_event_is_enough_to_fetch_all_that_followed():
    house = Talking()
    session = await house.front.session()
    running = await house.call(session)
    house.say(1)
    await until(lambda: progress(running))
    first = running.text.partition("id: ")[2].partition("\n")[0]
    await left(running)
    house.end()
    resumed = await house.front.resume(session, first).done()
    assert progress(resumed) == [1]
    assert "result" in resumed.messages[-1]


async def test_a_question_that_the_client_missed_reaches_it_when_it_comes_back():
    gate = asyncio.Event()

    async def later(sent: Sent) -> dict[str, Any]:
        sent.caller.tell(Notification("notifications/progress", {"progressToken": 1, "progress": 1}))
        await gate.wait()
        return await asking(FORM)(sent)

    front = Front(Door(ALL, [slack(answer=later)]))
    session = await front.session(**EVERYTHING)
    params = {"name": "slack__send", "arguments": {}, "_meta": {"progressToken": 1}}
    running = front.post("tools/call", session=session, **params)
    await until(lambda: progress(running))
    await left(running)
    gate.set()
    resumed = front.resume(session, ids(running)[-1])
    put = await question(resumed)
    await front.answer(put["id"], session, result={"action": "accept"}).done()
    await resumed.done()
    assert heard(resumed) == [{"action": "accept"}]


async def test_nothing_of_another_stream_is_told_again():
    house = Talking()
    session = await house.front.session()
    first, second = await house.call(session, 0), await house.call(session, 1)
    house.say(1, 0)
    house.say(10, 1)
    await until(lambda: progress(first) and progress(second))
    await left(first)
    await left(second)
    house.say(2, 0)
    house.say(20, 1)
    house.end(0)
    house.end(1)
    resumed = await house.front.resume(session, ids(first)[-1]).done()
    assert progress(resumed) == [2]
    assert [each["id"] for each in resumed.messages if "result" in each] == [0]


async def test_events_of_another_session_and_made_up_ones_are_refused_alike():
    house = Talking()
    session, other = await house.front.session(), await house.front.session()
    foreign = await house.front.session(key=house.front.key(BOB))
    running, of_other = await house.call(session, 0), await house.call(other, 1)
    house.say(1, 0)
    house.say(1, 1)
    await until(lambda: progress(running) and progress(of_other))
    await left(running)
    await left(of_other)
    (last,) = ids(running)
    tag, stream, _ = last.split("-")
    made_up = ["x", "-", f"{tag}-99-1", f"{tag}-{stream}", f"{tag}-{stream}-x", f"{tag}-{stream}-²", f"{last}-1", "é"]
    told = set()
    for id, key, event in [
        (other, AMY, last),
        (foreign, BOB, last),
        *((session, AMY, each) for each in made_up),
    ]:
        refused = await house.front.resume(id, event, x_apikey=house.front.key(key)).done()
        assert refused.status == 400
        told.add(refused.told["error"]["message"])
    assert len(told) == 1
    assert "Last-Event-ID" in told.pop()
    beyond = await house.front.resume(session, f"{tag}-{stream}-2").done()
    assert beyond.status == 400
    assert (await house.front.resume(session, last, x_apikey=house.front.key(BOB)).done()).status == 404
    house.end()
    assert "result" in (await house.front.resume(session, last).done()).told


async def test_a_stream_goes_on_over_the_newest_connection_only():
    house = Talking()
    session = await house.front.session()
    running = await house.call(session)
    house.say(1)
    await until(lambda: progress(running))
    second = house.front.resume(session, ids(running)[-1])
    await until(lambda: second.sent)
    house.say(2)
    await until(lambda: progress(second) == [2])
    third = house.front.resume(session, ids(second)[-1])
    assert progress(await second.done()) == [2]
    house.say(3)
    house.end()
    await third.done()
    await running.done()
    assert progress(running) == [1]
    assert running.ended
    assert progress(third) == [3]
    assert "result" in third.messages[-1]


async def test_news_that_came_while_the_client_was_away_are_told_once_it_is_back():
    house = Talking()
    front = house.front
    session = await front.session()
    news = front.resume(session)
    await until(lambda: list(front.sessions.streams()))
    (stream,) = front.sessions.streams()
    await until(lambda: stream.connected)
    stream.offer(NEWS)
    await until(lambda: news.messages)
    await left(news)
    await news.done()
    assert not stream.connected
    for _ in range(5):
        stream.offer(NEWS)
        stream.offer(Notification("notifications/prompts/list_changed"))
    again = front.resume(session, ids(news)[-1])
    await until(lambda: len(again.messages) == 2)
    assert [each["method"].split("/")[1] for each in again.messages] == ["tools", "prompts"]
    stream.offer(NEWS)
    await until(lambda: len(again.messages) == 3)
    fresh = front.resume(session)
    await again.done()
    await until(lambda: fresh.sent)
    assert list(front.sessions.streams()) != [stream]
    fresh.leave()
    await fresh.done()
    ended = await front.resume(session, ids(again)[0]).done()
    assert len(ended.messages) == 2


async def test_changes_behind_us_reach_a_client_that_comes_back():
    front = Front()
    session = await front.session()
    news = front.resume(session)
    await until(lambda: len(news.sent) > 1)
    first = news.text.partition("id: ")[2].partition("\n")[0]
    await left(news)
    await news.done()
    for stream in front.sessions.streams():
        for told in await front.door.pipeline.changes(Change("slack", Event.TOOLS), stream.subject, stream.domain):
            stream.offer(told)
    again = front.resume(session, first)
    await until(lambda: again.messages)
    assert again.messages[0]["method"] == "notifications/tools/list_changed"
    again.leave()
    await again.done()


async def test_what_is_not_kept_any_more_is_refused_clearly(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "KEPT_BYTES", 1_000)
    house = Talking()
    session = await house.front.session()
    running = await house.call(session)
    for step in range(100):
        house.say(step)
        await until(lambda step=step: progress(running)[-1:] == [step])
    kept = house.front.sessions.find(session, None, transport="mcp", now=0).memory
    assert kept._size <= 1_000
    refused = await house.front.resume(session, ids(running)[0]).done()
    assert refused.status == 400
    assert "not kept any more" in refused.told["error"]["message"]
    resumed = house.front.resume(session, ids(running)[-2])
    await until(lambda: progress(resumed) == [99])
    house.end()
    await resumed.done()
    await running.done()


async def test_a_client_that_is_away_is_spared_words_but_never_the_answer():
    house = Talking()
    session = await house.front.session()
    running = await house.call(session)
    house.say(0)
    await until(lambda: progress(running))
    await left(running)
    for step in range(1, 10_000):
        house.say(step)
    house.end()
    resumed = await house.front.resume(session, ids(running)[0]).done()
    assert progress(resumed) == list(range(1, len(progress(resumed)) + 1))
    assert 400 < len(progress(resumed)) < 600
    assert "result" in resumed.messages[-1]


async def test_a_call_that_takes_long_becomes_a_stream_soon_where_that_helps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replies, "PRIMED_S", 0.001)
    house = Talking()
    running = await house.call(await house.front.session())
    await until(lambda: len(running.sent) > 1)
    assert running.headers["content-type"] == "text/event-stream"
    older = await house.call(await house.front.session("2025-06-18"), 1)
    house.end(0)
    house.end(1)
    await running.done()
    assert (await older.done()).headers["content-type"] == "application/json"


async def test_the_parts_of_a_batch_are_fetched_together():
    house = Talking()
    session = await house.front.session("2025-03-26")
    params = {"name": "slack__send", "arguments": {}}
    parts = [message("tools/call", id=n, **params, _meta={"progressToken": n}) for n in range(2)]
    running = house.front.open("POST", "/mcp", b"[" + b",".join(parts) + b"]", mcp_session_id=session)
    await until(lambda: len(house._gates) == 2)
    house.say(1)
    await until(lambda: progress(running))
    await left(running)
    house.end(0)
    house.end(1)
    resumed = await house.front.resume(session, ids(running)[-1]).done()
    assert {each["id"] for each in resumed.told} == {0, 1}
    assert resumed.headers["ostiary-policy"] == running.headers["ostiary-policy"]


async def test_an_answer_waits_for_its_client_for_a_while_and_not_for_ever():
    house = Talking()
    front = house.front
    session = await front.session()
    running = await house.call(session)
    house.say(1)
    await until(lambda: progress(running))
    await left(running)
    later(front, IDLE_MS + 1)  # a request that runs keeps its session
    house.end()
    await running.done()
    later(front, AWAY_MS)
    assert "result" in (await front.resume(session, ids(running)[0]).done()).told
    later(front, AWAY_MS + 1)
    assert (await front.resume(session, ids(running)[0]).done()).status == 400
    later(front, IDLE_MS + 1)
    assert (await front.resume(session, ids(running)[0]).done()).status == 404


async def test_a_session_whose_news_stream_broke_off_lives_on_until_its_client_can_be_back():
    front = Front()
    session = await front.session()
    news = front.resume(session)
    await until(lambda: len(news.sent) > 1)
    later(front, 2 * IDLE_MS)
    news.leave()
    await news.done()
    later(front, AWAY_MS)
    assert len(list(front.sessions.streams())) == 1
    later(front, 1)
    assert len(list(front.sessions.streams())) == 0
    assert len(front.sessions) == 1


async def test_whoever_lost_his_credential_takes_nothing_up_again():
    house = Talking()
    front = house.front
    session = await front.session()
    running = await house.call(session)
    house.say(1)
    await until(lambda: progress(running))
    await left(running)
    resumed = front.resume(session, ids(running)[0])
    await until(lambda: resumed.sent)
    key = front.key()
    front.door.dismiss(AMY)
    front.sessions.end_where(lambda *where: not front.still_valid(*where))
    await resumed.done()
    assert (await front.resume(session, ids(running)[0], x_apikey=key).done()).status == 401


async def test_a_batch_tells_the_policy_version_that_judged_it():
    house = Front()
    session = await house.session("2025-03-26")
    parts = [message("tools/list", id=n) for n in range(3)]
    batch = await house.open("POST", "/mcp", b"[" + b",".join(parts) + b"]", mcp_session_id=session).done()
    assert batch.headers["ostiary-policy"] == house.door.entries[-1].policy == "1.0"
