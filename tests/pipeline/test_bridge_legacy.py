"""A legacy client is asked what its modern server requires, and the call repeated for it."""

import asyncio
from typing import Any

import pytest

from connectors.base import UpstreamError
from gateway.mcp.terms import Era, Params
from gateway.pipeline import bridge
from tests.builders import ALL, Door, text_of
from tests.fakes import (
    ANSWERS,
    ELICITATION,
    EVERYTHING,
    QUESTIONS,
    ROOTS,
    SAMPLING,
    URL,
    Client,
    requiring,
    slack,
)
from tests.pipeline.bridging import ALL_AT_ONCE, NAME, told, use

# -- legacy client, modern server


async def test_a_legacy_client_is_asked_what_its_modern_server_requires():
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring((ALL_AT_ONCE, "s1"), (NAME, "s2")))])
    client = Client(EVERYTHING)
    result = await use(door, client)
    assert told(result) == [{"name": ANSWERS[ELICITATION]}, "s2"]
    assert "resultType" not in result
    assert [method for method, _ in client.asked] == [SAMPLING, ELICITATION, ROOTS, ELICITATION]
    assert [sent.params.get("requestState") for sent in chat.sent] == [None, "s1", "s2"]
    assert [entry.outcome for entry in door.entries] == ["ok"]


async def test_a_legacy_client_is_told_an_id_of_each_url():
    by_url = {**URL, "_meta": {"progressToken": 1}}
    door = Door(ALL, [slack(era=Era.MODERN, answer=requiring(({"u": (ELICITATION, by_url)}, None)))])
    client = Client(EVERYTHING, lambda *_: {"action": "accept"})
    await use(door, client)
    ((_, params),) = client.asked
    assert params == {**URL, "elicitationId": params["elicitationId"]}
    assert len(params["elicitationId"]) >= 16


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_what_a_legacy_client_declines_the_server_learns(action: str):
    door = Door(ALL, [slack(era=Era.MODERN, answer=requiring((NAME, "s")))])
    result = await use(door, Client(EVERYTHING, lambda *_: {"action": action}))
    assert told(result)[0] == {"name": {"action": action}}


def failing(code: int) -> Any:
    def replies(method: str, params: Params) -> Params:
        raise UpstreamError(code, "the user looked away")

    return replies


async def test_an_elicitation_at_which_the_client_fails_counts_as_closed():
    door = Door(ALL, [slack(era=Era.MODERN, answer=requiring((NAME, "s")))])
    assert told(await use(door, Client(EVERYTHING, failing(-1))))[0] == {"name": {"action": "cancel"}}


@pytest.mark.parametrize(
    ("method", "code"), [(SAMPLING, -1), (ROOTS, -1), (ELICITATION, -32601), (ELICITATION, -32603)]
)
async def test_an_error_for_which_the_protocol_has_no_answer_ends_the_call(method: str, code: int):
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring(({"q": (method, QUESTIONS[method])}, "s")))])
    result = await use(door, Client(EVERYTHING, failing(code)))
    assert result["isError"] is True
    assert "the user looked away" in text_of(result)
    assert method in text_of(result)
    assert len(chat.sent) == 1
    assert (door.last.outcome, door.last.error) == ("unanswered", "-31007")


async def test_an_answer_of_the_wrong_shape_does_not_reach_the_server():
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring((NAME, "s")))])
    result = await use(door, Client(EVERYTHING, lambda *_: {"action": "perhaps"}))
    assert "`action`" in text_of(result)
    assert len(chat.sent) == 1


async def test_a_legacy_client_that_cannot_be_asked_gets_a_clear_error():
    door = Door(ALL, [slack(era=Era.MODERN, answer=requiring((ALL_AT_ONCE, "s")))])
    client = Client({"roots": {}})
    result = await use(door, client)
    assert result["isError"] is True
    assert "`elicitation`, `sampling`" in text_of(result)
    assert client.asked == []


async def test_a_legacy_client_that_never_answers_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch):
    async def never(*_: object) -> Params:
        await asyncio.Event().wait()
        return {}

    door = Door(ALL, [slack(era=Era.MODERN, answer=requiring((NAME, "s")))], patience_s=0.01)
    result = await use(door, Client(EVERYTHING, lambda *_: never()))
    assert "in time" in text_of(result)
    assert door.last.outcome == "unanswered"


async def test_a_server_that_asks_without_end_is_given_up_after_ten_rounds():
    answer = {"resultType": "input_required", "inputRequests": {"a": {"method": ROOTS}}}
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=lambda _: answer)])
    client = Client(EVERYTHING)
    result = await use(door, client)
    assert "10 times" in text_of(result)
    assert (len(chat.sent), door.last.outcome) == (11, "upstream_failed")


async def test_a_server_that_puts_a_legacy_client_off_is_called_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bridge, "PAUSE_S", 0.001)
    door = Door(ALL, [slack(era=Era.MODERN, answer=requiring(({}, "s1"), ({}, "s2")))])
    assert told(await use(door, Client())) == [{}, "s2"]
