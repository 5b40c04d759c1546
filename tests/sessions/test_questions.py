"""A question ends once: answered, withdrawn, or given up."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Limited
from gateway.mcp.terms import Message, Notification, Request, Response
from gateway.sessions.questions import OPEN, Questions


class Asked:
    def __init__(self) -> None:
        self.questions = Questions()
        self.said: list[Message] = []

    def ask(self, **more: Any) -> "asyncio.Task[Response]":
        return asyncio.create_task(self.questions.ask("roots/list", {}, self.said.append, **more))

    async def asked(self) -> tuple["asyncio.Task[Response]", str]:
        waiting = self.ask()
        await asyncio.sleep(0)
        put = self.said[-1]
        assert isinstance(put, Request)
        return waiting, str(put.id)

    @property
    def withdrawn(self) -> list[Any]:
        return [each.params["requestId"] for each in self.said if isinstance(each, Notification)]


async def test_an_answer_settles_its_question_once():
    asked = Asked()
    waiting, id = await asked.asked()
    assert asked.questions.settle(Response(id, result={"n": 1}))
    assert not asked.questions.settle(Response(id, result={"n": 2}))
    assert (await waiting).result == {"n": 1}
    assert not asked.questions.settle(Response(id, result={"n": 3}))
    assert asked.withdrawn == []


@given(st.one_of(st.none(), st.integers(), st.text(max_size=40)))
async def test_nothing_but_its_own_id_settles_a_question(id: Any):
    asked = Asked()
    waiting, right = await asked.asked()
    assert not asked.questions.settle(Response(id, result={}))
    assert not waiting.done()
    assert asked.questions.settle(Response(right, error={"code": 1, "message": "no"}))
    assert (await waiting).error == {"code": 1, "message": "no"}


async def test_ids_are_never_used_twice_and_cannot_be_guessed():
    asked = Asked()
    ids = set()
    for _ in range(300):
        waiting, id = await asked.asked()
        ids.add(id)
        waiting.cancel()
        await asyncio.wait([waiting])
    assert len(ids) == 300
    assert min(map(len, ids)) >= 24


async def test_a_question_that_nobody_waits_for_any_longer_is_taken_back():
    asked = Asked()
    waiting, id = await asked.asked()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asked.withdrawn == [id]
    assert not asked.questions.settle(Response(id, result={}))


async def test_an_answer_that_comes_with_the_cancellation_takes_nothing_back():
    asked = Asked()
    waiting, id = await asked.asked()
    asked.questions.settle(Response(id, result={}))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asked.withdrawn == []


async def test_whoever_waits_for_a_question_that_is_withdrawn_is_told():
    asked = Asked()
    waiting, id = await asked.asked()
    asked.questions.withdraw(id, "the session has ended")
    asked.questions.withdraw(id, "again")
    answer = await waiting
    assert answer.error is not None
    assert "session has ended" in str(answer.error["message"])
    assert asked.withdrawn == [id]


async def test_patience_ends():
    asked = Asked()
    asked.questions.patience = 0.001
    waiting, id = await asked.asked()
    answer = await waiting
    assert answer.error is not None
    assert "in time" in str(answer.error["message"])
    assert asked.withdrawn == [id]


async def test_a_bounded_number_is_open_at_a_time():
    asked = Asked()
    waiting = [asked.ask() for _ in range(OPEN + 5)]
    await asyncio.sleep(0)
    beyond = [each for each in waiting if each.done()]
    assert len(beyond) == 5
    assert all(isinstance(each.exception(), Limited) for each in beyond)
    for put in asked.said[:OPEN]:
        assert isinstance(put, Request)
        asked.questions.withdraw(str(put.id), "enough")
    await asyncio.wait(waiting)
    again, id = await asked.asked()
    assert asked.questions.settle(Response(id, result={}))
    await again
