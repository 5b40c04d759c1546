"""A call of a modern client waits at a legacy server that asks, until the client comes back with the answers."""

import asyncio
from typing import Any

import pytest

from connectors.base import UpstreamError
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Notification, Params
from gateway.pipeline import parking
from tests.builders import ALL, Door, text_of
from tests.fakes import (
    ANSWERS,
    ELICITATION,
    EVERYTHING,
    FORM,
    ROOTS,
    SAMPLE,
    SAMPLING,
    URL,
    Client,
    asking,
    raising,
    said,
    slack,
)
from tests.pipeline.bridging import again, answered, methods, post, refusal_of, settled, told, use

# -- modern client, legacy server


async def test_a_call_that_asks_is_parked_and_goes_on_with_the_answer():
    door = Door(ALL, [chat := slack(answer=asking([(ELICITATION, {**FORM, "_meta": {"progressToken": 1}})]))])
    asked = await post(door)
    assert asked["resultType"] == "input_required"
    assert list(asked["inputRequests"].values()) == [{"method": ELICITATION, "params": FORM}]
    assert len(door.parking) == 1

    assert told(await post(door, **answered(asked))) == [ANSWERS[ELICITATION]]
    assert len(chat.sent) == 1
    assert len(door.parking) == 0
    assert [entry.outcome for entry in door.entries] == ["input_required", "ok"]


async def test_questions_at_once_are_one_request_for_input_and_further_ones_the_next():
    rounds = [[(SAMPLING, SAMPLE), (ELICITATION, FORM)], [(ROOTS, {})], [(ELICITATION, URL)]]
    door = Door(ALL, [slack(answer=asking(*rounds))])
    asked = await post(door)
    for each in rounds:
        assert methods(asked) == [method for method, _ in each]
        asked = await post(door, **answered(asked))
    assert told(asked) == [ANSWERS[each] for each in (SAMPLING, ELICITATION, ROOTS, ELICITATION)]


async def test_questions_that_follow_each_other_closely_are_one_request_for_input():
    async def answer(sent: Any) -> Params:
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(sent.caller.ask(ROOTS, {}))
                await asyncio.sleep(parking.GATHER_S / 5)
        return said("done")

    door = Door(ALL, [slack(answer=answer)])
    asked = await post(door)
    assert len(asked["inputRequests"]) == 4
    assert told(await post(door, **answered(asked))) == "done"


async def test_a_server_that_goes_on_asking_keeps_no_client_waiting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parking, "GATHER_S", 0.2)
    monkeypatch.setattr(parking, "GATHERINGS", 3)

    async def answer(sent: Any) -> Params:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(sent.caller.ask(ROOTS, {}))
                await asyncio.sleep(0.02)

    door = Door(ALL, [slack(answer=answer)])
    assert 3 <= len((await post(door))["inputRequests"]) < 64
    await door.parking.close()


async def test_what_was_not_answered_is_asked_again_and_nothing_else():
    door = Door(ALL, [slack(answer=asking([(SAMPLING, SAMPLE), (ROOTS, {})]))])
    asked = await post(door)
    first, second = asked["inputRequests"]
    left = await post(door, **again(asked, **{first: ANSWERS[SAMPLING], "stray": {}}))
    assert list(left["inputRequests"]) == [second]
    left = await post(door, requestState=left["requestState"])
    assert told(await post(door, **answered(left))) == [ANSWERS[SAMPLING], ANSWERS[ROOTS]]


async def test_a_declined_elicitation_reaches_the_server_as_such():
    door = Door(ALL, [slack(answer=asking([(ELICITATION, FORM)]))])
    asked = await post(door)
    assert told(await post(door, **answered(asked, {ELICITATION: {"action": "decline"}}))) == [{"action": "decline"}]


async def test_a_client_that_can_be_asked_for_nothing_is_served_without_parking():
    door = Door(ALL, [slack(answer=asking([(ROOTS, {})]))])
    assert told(await post(door, capabilities={})) == [{"error": -32601}]


async def test_progress_and_log_lines_go_to_the_post_that_waits_under_its_own_token():
    on = asyncio.Event()

    async def answer(sent: Any) -> Params:
        def speak(text: str) -> None:
            sent.caller.tell(Notification("notifications/progress", {"progressToken": "first", "message": text}))
            sent.caller.tell(Notification("notifications/message", {"level": "error", "data": text}))

        speak("before")
        asked = asyncio.create_task(sent.caller.ask(ELICITATION, FORM))
        await on.wait()
        speak("meanwhile")
        await asked
        speak("after")
        return said("done")

    door = Door(ALL, [slack(answer=answer)])
    logs = {"io.modelcontextprotocol/logLevel": "info"}
    first, second = Client(EVERYTHING), Client(EVERYTHING)
    asked = await post(door, client=first, _meta={"progressToken": "first", **logs})
    on.set()
    await settled()
    await post(door, client=second, **answered(asked), _meta={"progressToken": "second", **logs})
    assert [(each.params.get("progressToken"), each.params.get("message")) for each in first.heard[:1]] == [
        ("first", "before")
    ]
    assert [each.params.get("data") for each in first.heard[1:]] == ["before"]
    assert [(each.params.get("progressToken"), each.params.get("message")) for each in second.heard[:1]] == [
        ("second", "after")
    ]
    assert [each.params.get("data") for each in second.heard[1:]] == ["after"]


async def test_a_repetition_that_wants_no_progress_hears_none():
    async def answer(sent: Any) -> Params:
        await sent.caller.ask(ROOTS, {})
        sent.caller.tell(Notification("notifications/progress", {"progressToken": "first", "progress": 1}))
        return said("done")

    door = Door(ALL, [slack(answer=answer)])
    asked = await post(door, _meta={"progressToken": "first"})
    second = Client(EVERYTHING)
    await post(door, client=second, **answered(asked))
    assert second.heard == []


async def test_a_repetition_may_be_asked_only_what_it_declares_itself():
    door = Door(ALL, [slack(answer=asking([(ROOTS, {})], [(SAMPLING, SAMPLE)]))])
    asked = await post(door)
    result = await post(door, capabilities={"roots": {}}, **answered(asked))
    assert told(result) == [ANSWERS[ROOTS], {"error": -32601}]


async def test_a_client_that_leaves_while_it_waits_ends_the_call():
    ended = asyncio.Event()

    async def answer(sent: Any) -> Params:
        try:
            await sent.caller.ask(ROOTS, {})
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    door = Door(ALL, [slack(answer=answer)])
    asked = await post(door)
    waiting = asyncio.create_task(post(door, **answered(asked)))
    await settled()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await settled()
    assert ended.is_set()
    assert door.last.outcome == "cancelled"


async def test_a_failure_of_a_parked_call_is_told_to_whoever_comes_back():
    async def answer(sent: Any) -> Params:
        await sent.caller.ask(ROOTS, {})
        raise UpstreamFailed("the server died")

    door = Door(ALL, [slack(answer=answer)])
    result = await post(door, **answered(await post(door)))
    assert result["isError"] is True
    assert "the server died" in text_of(result)
    assert door.last.outcome == "upstream_failed"


async def test_a_call_that_ends_while_it_is_parked_keeps_its_result():
    withdrawn = asyncio.Event()

    async def answer(sent: Any) -> Params:
        question = asyncio.create_task(sent.caller.ask(ROOTS, {}))
        await withdrawn.wait()
        question.cancel()
        return said("without you")

    door = Door(ALL, [slack(answer=answer)])
    asked = await post(door)
    withdrawn.set()
    await settled()
    assert told(await post(door, **answered(asked))) == "without you"


async def test_a_question_that_is_withdrawn_at_once_is_not_asked():
    async def answer(sent: Any) -> Params:
        question = asyncio.create_task(sent.caller.ask(ROOTS, {}))
        await asyncio.sleep(0)
        question.cancel()
        return said("never mind")

    door = Door(ALL, [slack(answer=answer)])
    assert told(await post(door)) == "never mind"


async def test_a_legacy_server_may_not_ask_without_end():
    door = Door(ALL, [slack(answer=asking([(ROOTS, {})] * 70))])
    asked = await post(door)
    assert len(asked["inputRequests"]) == 64
    answers = told(await post(door, **answered(asked)))
    assert answers.count({"error": -32601}) == 6


async def test_a_server_that_is_first_met_for_a_client_learns_what_he_can_be_asked_for():
    door = Door(ALL, [chat := slack()])
    await post(door)
    assert chat.met == [EVERYTHING]


# -- by URL


DEMAND = {"elicitations": [{**URL, "elicitationId": "e1"}, {"message": "more", "url": "https://example.com/2"}]}


def once_signed_in(demands: int = 1) -> Any:
    """A legacy server that lets nobody call before he has opened a URL, so many times."""
    left = iter(range(demands))

    def answer(sent: Any) -> Params:
        if next(left, None) is not None:
            raise UpstreamError(-32042, "sign in first", DEMAND)
        return said("signed in")

    return answer


@pytest.mark.parametrize("capabilities", [EVERYTHING, {"elicitation": {"url": {}}}])
async def test_a_url_that_a_legacy_server_demands_is_asked_for_and_then_the_call_is_made_again(capabilities: Params):
    door = Door(ALL, [chat := slack(answer=once_signed_in(2))])
    asked = await post(door, capabilities=capabilities)
    for _ in range(2):
        assert asked["inputRequests"] == {
            "url-1": {"method": ELICITATION, "params": URL},
            "url-2": {
                "method": ELICITATION,
                "params": {"mode": "url", "message": "more", "url": "https://example.com/2"},
            },
        }
        assert door.last.outcome == "input_required"
        accepted = {key: {"action": "accept"} for key in asked["inputRequests"]}
        asked = await post(door, capabilities=capabilities, **again(asked, **accepted))
    assert told(asked) == "signed in"
    assert all("inputResponses" not in sent.params and "requestState" not in sent.params for sent in chat.sent)


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_url_that_was_not_accepted_makes_no_further_call(action: str):
    door = Door(ALL, [chat := slack(answer=once_signed_in())])
    asked = await post(door)
    result = await post(door, **again(asked, **{"url-1": {"action": "accept"}, "url-2": {"action": action}}))
    assert result["isError"] is True
    assert "not accepted" in text_of(result)
    assert len(chat.sent) == 1
    assert door.last.outcome == "unanswered"


async def test_a_url_that_was_accepted_makes_one_further_call():
    door = Door(ALL, [chat := slack(answer=once_signed_in())])
    asked = await post(door)
    accepted = again(asked, **{"url-1": {"action": "accept"}})  # what was not answered, the server asks for again
    assert told(await post(door, **accepted)) == "signed in"
    assert (await refusal_of(post(door, **accepted))).code == -32602
    assert len(chat.sent) == 2


async def test_a_url_is_not_asked_of_a_client_that_cannot_open_one():
    door = Door(ALL, [slack(answer=once_signed_in())])
    refusal = await refusal_of(post(door, capabilities={"elicitation": {}}))
    assert refusal.data == {"requiredCapabilities": {"elicitation": {"url": {}}}}


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"elicitations": []},
        {"elicitations": [1]},
        {"elicitations": [URL, {"url": "https://example.com"}]},
        {"elicitations": [{"mode": "form", "message": "m", "url": "u"}]},
        {"elicitations": [{**URL, "url": 1}]},
        {"elicitations": [URL] * 65},
    ],
)
async def test_a_demand_for_urls_that_cannot_be_read_is_an_error(data: Any):
    door = Door(ALL, [slack(answer=raising(UpstreamError(-32042, "sign in", data)))])
    with pytest.raises(UpstreamError, match="-32042"):
        await post(door)


async def test_a_legacy_client_gets_the_demand_for_a_url_as_it_is():
    door = Door(ALL, [slack(answer=once_signed_in())])
    with pytest.raises(UpstreamError) as caught:
        await use(door, Client(EVERYTHING))
    assert (caught.value.code, caught.value.data) == (-32042, DEMAND)
