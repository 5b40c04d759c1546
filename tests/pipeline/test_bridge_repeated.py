"""What a client brings back when it repeats a call counts once, for this call, while the policy allows it."""

import asyncio
from typing import Any

import pytest

from gateway.errors import Malformed
from gateway.mcp.terms import Era, Params
from tests.builders import ALL, AMY, BOB, Door, call
from tests.fakes import (
    ANSWERS,
    ELICITATION,
    FORM,
    ROOTS,
    SEND,
    FakeConnector,
    asking,
    prompt,
    requiring,
    slack,
)
from tests.pipeline.bridging import NAME, again, answered, post, refusal_of, settled, told

# -- what a client brings back


@pytest.mark.parametrize(
    "answers",
    [
        {"name": 1},
        {"name": {"action": "perhaps"}},
        {"name": {"action": "accept", "content": 1}},
        {"name": {}},
        {str(n): {} for n in range(257)},
    ],
)
@pytest.mark.parametrize("server", list(Era))
async def test_answers_of_the_wrong_shape_are_refused_and_may_be_given_again(answers: Params, server: Era):
    answer = requiring((NAME, "s")) if server is Era.MODERN else asking([(ELICITATION, FORM)])
    door = Door(ALL, [chat := slack(era=server, answer=answer)])
    asked = await post(door)
    (key,) = asked["inputRequests"]
    renamed = {key if name == "name" else name: value for name, value in answers.items()}
    refusal = await refusal_of(post(door, **again(asked, **renamed)))
    assert isinstance(refusal, Malformed)
    assert (refusal.code, refusal.status) == (-32602, 400)
    assert "`inputResponses`" in refusal.text
    assert len(chat.sent) == 1
    assert (await post(door, **answered(asked)))["resultType"] == "complete"


@pytest.mark.parametrize("server", list(Era))
async def test_a_state_counts_for_its_own_request_alone_and_once(server: Era):
    answer = requiring((NAME, "s")) if server is Era.MODERN else asking([(ELICITATION, FORM)])
    things = [SEND, prompt("hi")]
    door = Door(ALL, [chat := FakeConnector("slack", things, era=server, answer=answer), slackish(server, answer)])
    asked = await post(door, arguments={"channel": "#help"})
    repeated = answered(asked)
    wrong: list[dict[str, Any]] = [
        {**repeated, "arguments": {"channel": "#other"}},
        {**repeated},
        {**repeated, "arguments": {"channel": "#help"}, "vendor": 1},
        {**repeated, "arguments": {"channel": "#help"}, "name": "chat__send"},
        {**repeated, "arguments": {"channel": "#help"}, "requestState": repeated["requestState"][:-1]},
        {**repeated, "arguments": {"channel": "#help"}, "requestState": ""},
        {**repeated, "arguments": {"channel": "#help"}, "requestState": "x" * (512 * 1024 + 1)},
    ]
    for params in wrong:
        assert (await refusal_of(post(door, **params))).code == -32602
        assert "requestState" in (await refusal_of(post(door, **params))).text
    foreign = await refusal_of(post(door, BOB, **repeated, arguments={"channel": "#help"}))
    assert "requestState" in foreign.text
    assert len(chat.sent) == 1
    assert (await post(door, arguments={"channel": "#help"}, **repeated))["resultType"] == "complete"
    used = await refusal_of(post(door, arguments={"channel": "#help"}, **repeated))
    assert used.text == foreign.text
    assert len(chat.sent) == (2 if server is Era.MODERN else 1)


def slackish(server: Era, answer: Any) -> FakeConnector:
    return FakeConnector("chat", [SEND], era=server, answer=answer)


async def test_a_state_of_a_modern_server_is_not_shown_to_a_legacy_one():
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring((NAME, "s")))])
    asked = await post(door)
    chat.era = Era.LEGACY
    assert (await refusal_of(post(door, **answered(asked)))).code == -32602
    assert len(chat.sent) == 1


@pytest.mark.parametrize("server", list(Era))
async def test_a_state_expires(server: Era):
    answer = requiring((NAME, "s")) if server is Era.MODERN else asking([(ELICITATION, FORM)])
    door = Door(ALL, [slack(era=server, answer=answer)])
    asked = await post(door)
    door.now += 10 * 60 * 1000 + 1000
    door._swap(confirmed_at_ms=door.now)
    assert (await refusal_of(post(door, **answered(asked)))).code == -32602
    await door.parking.close()


async def test_what_a_legacy_client_calls_a_state_is_nothing_to_anybody():
    door = Door(ALL, [chat := slack(era=Era.MODERN)])
    asked = call("tools/call", name="slack__send", arguments={}, requestState="x", inputResponses={"a": {}})
    await door.handle(AMY, asked)
    assert set(chat.sent[0].params) == {"name", "arguments"}


# -- the policy judges every repetition anew


@pytest.mark.parametrize(
    "rows", ["", "p, user:*, main, self, slack/send, write, args.channel == '#help', allow"], ids=["hidden", "denied"]
)
async def test_a_right_that_was_taken_away_refuses_the_repetition_and_ends_the_parked_call(rows: str):
    ended = asyncio.Event()

    async def answer(sent: Any) -> Params:
        try:
            return await sent.caller.ask(ROOTS, {})
        finally:
            ended.set()

    door = Door(ALL, [slack(answer=answer)])
    asked = await post(door)
    door.apply(rows)
    if rows:
        assert (await post(door, **answered(asked)))["isError"] is True
    else:
        assert (await refusal_of(post(door, **answered(asked)))).kind == "unknown"
    await asyncio.wait_for(ended.wait(), 5)
    assert door.last.outcome == ("denied" if rows else "unknown")
    door.apply(ALL, version="3.0")
    assert (await refusal_of(post(door, **answered(asked)))).code == -32602


async def test_a_right_that_was_taken_away_keeps_the_answers_from_a_modern_server():
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring((NAME, "s")))])
    asked = await post(door)
    door.apply("")
    await refusal_of(post(door, **answered(asked)))
    assert len(chat.sent) == 1


async def test_nobody_ends_a_call_of_another_by_being_refused():
    door = Door(ALL, [slack(answer=asking([(ROOTS, {})]))])
    asked = await post(door)
    door.apply(f"p, user:{AMY}, main, self, slack/send, write, , allow")
    assert (await refusal_of(post(door, BOB, **answered(asked)))).kind == "unknown"
    assert (await refusal_of(post(door, BOB, **answered(asked, ANSWERS) | {"requestState": "x"}))).kind == "unknown"
    assert told(await post(door, **answered(asked))) == [ANSWERS[ROOTS]]


async def test_a_repetition_counts_as_a_call():
    limits = '[[class]]\nname = "default"\ncalls = 1\nwindow_s = 60\n'
    door = Door(ALL, [slack(era=Era.MODERN, answer=requiring((NAME, "s")))], limits=limits)
    asked = await post(door)
    assert (await refusal_of(post(door, **answered(asked)))).kind == "limited"


# -- the end of what is parked


async def test_who_is_dismissed_ends_his_parked_calls_and_no_others():
    ended: list[str] = []

    async def answer(sent: Any) -> Params:
        try:
            return await sent.caller.ask(ROOTS, {})
        finally:
            ended.append(sent.principal)

    door = Door(ALL, [slack(answer=answer)])
    await post(door)
    asked = await post(door, BOB)
    door.dismiss(AMY)
    door.parking.end_where(lambda subject: subject.name == f"user:{AMY}")
    await settled()
    assert ended == [f"user:{AMY}"]
    assert (await post(door, BOB, **answered(asked)))["resultType"] == "complete"


async def test_closing_the_door_ends_every_parked_call_and_parks_no_other():
    ended: list[str] = []

    async def answer(sent: Any) -> Params:
        try:
            return await sent.caller.ask(ROOTS, {})
        finally:
            ended.append(sent.principal)

    door = Door(ALL, [slack(answer=answer)])
    await post(door)
    await door.parking.close()
    assert ended == [f"user:{AMY}"]
    assert (await refusal_of(post(door))).kind == "unavailable"
    await settled()
    assert ended == [f"user:{AMY}"] * 2
