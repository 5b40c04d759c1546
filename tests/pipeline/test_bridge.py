"""What a server asks in the middle of a request reaches the client in every pair of eras, and the answer the server."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from connectors.base import UpstreamError
from gateway.errors import Incapable, Malformed, Refusal, UpstreamFailed
from gateway.mcp.terms import CAPABILITIES_KEY, Era, Notification, Params
from gateway.pipeline import bridge, parking
from tests.builders import ALL, AMY, BOB, SERVER_INFO, Door, call, text_of
from tests.fakes import (
    ANSWERS,
    ELICITATION,
    EVERYTHING,
    FORM,
    QUESTIONS,
    ROOTS,
    SAMPLE,
    SAMPLING,
    SEND,
    URL,
    Client,
    FakeConnector,
    asking,
    prompt,
    raising,
    requiring,
    resource,
    said,
    slack,
)

NAME = {"name": (ELICITATION, FORM)}
ALL_AT_ONCE = {"a": (SAMPLING, SAMPLE), "b": (ELICITATION, FORM), "c": (ROOTS, {})}


async def post(
    door: Door, email: str = AMY, *, capabilities: Params = EVERYTHING, client: Client | None = None, **params: Any
) -> Params:
    """A POST of a modern client, by default of ``slack__send`` with no arguments."""
    client = client or Client(capabilities)
    meta = {CAPABILITIES_KEY: client.capabilities, **params.pop("_meta", {})}
    params = {"name": "slack__send", "arguments": {}, **params}
    asked = call("tools/call", era=Era.MODERN, _meta=meta, **params)
    return await door.handle(email, asked, caller=client)


async def use(door: Door, client: Client, email: str = AMY) -> Params:
    """The same of a legacy client."""
    return await door.handle(email, call("tools/call", name="slack__send", arguments={}), caller=client)


def again(asked: Params, **answers: Params) -> dict[str, Any]:
    """The parameters by which a client repeats what it was asked about."""
    return {"inputResponses": answers, "requestState": asked["requestState"]}


def answered(asked: Params, answers: Mapping[str, Params] = ANSWERS) -> dict[str, Any]:
    """Each question answered as its kind is."""
    return again(asked, **{key: answers[each["method"]] for key, each in asked["inputRequests"].items()})


def told(result: Params) -> Any:
    return json.loads(text_of(result))


def methods(asked: Params) -> list[str]:
    return [each["method"] for each in asked["inputRequests"].values()]


async def settled(work: "asyncio.Task[Any] | None" = None) -> None:
    """Let everything run that can run now."""
    for _ in range(20):
        await asyncio.sleep(0)


async def refusal_of(work: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await work
    return caught.value


# -- legacy client, legacy server


@pytest.mark.parametrize("method", [SAMPLING, ELICITATION, ROOTS])
async def test_a_legacy_client_is_asked_what_its_legacy_server_asks(method: str):
    client = Client(EVERYTHING)
    door = Door(ALL, [chat := slack(answer=asking([(method, QUESTIONS[method])]))])
    assert told(await use(door, client)) == [ANSWERS[method]]
    assert client.asked == [(method, QUESTIONS[method])]
    assert chat.declared == [EVERYTHING]
    assert door.last.outcome == "ok"


@pytest.mark.parametrize(
    ("method", "params", "capabilities"),
    [
        (SAMPLING, SAMPLE, {"elicitation": {}, "roots": {}}),
        (SAMPLING, {**SAMPLE, "tools": []}, {"sampling": {}}),
        (ELICITATION, URL, {"elicitation": {"form": {}}}),
        (ELICITATION, URL, {"elicitation": {}}),
        (ELICITATION, FORM, {"elicitation": {"url": {}}}),
        (ROOTS, {}, {"roots": True}),
        ("tools/list", {}, EVERYTHING),
        (SAMPLING, [], EVERYTHING),
    ],
)
@pytest.mark.parametrize("era", list(Era))
async def test_what_the_client_did_not_declare_is_never_asked_and_the_legacy_server_gets_an_error(
    method: str, params: Any, capabilities: Params, era: Era
):
    client = Client(capabilities)
    door = Door(ALL, [slack(answer=asking([(method, params)]))])
    result = await (use(door, client) if era is Era.LEGACY else post(door, client=client))
    assert told(result) == [{"error": -32601}]
    assert client.asked == []


# -- modern client, modern server


async def test_a_modern_server_asks_its_modern_client_and_gets_its_own_state_back():
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring((ALL_AT_ONCE, "the server's")))])
    asked = await post(door)
    assert asked["resultType"] == "input_required"
    assert asked["inputRequests"] == {
        key: {"method": method, "params": params} if params else {"method": method}
        for key, (method, params) in ALL_AT_ONCE.items()
    }
    assert asked["_meta"] == {"vendor/key": 1, "io.modelcontextprotocol/serverInfo": SERVER_INFO}
    assert "the server's" not in json.dumps(asked)
    assert door.last.outcome == "input_required"

    result = await post(door, **answered(asked))
    assert result["resultType"] == "complete"
    answers, state = told(result)
    assert state == "the server's"
    assert answers == {key: ANSWERS[method] for key, (method, _) in ALL_AT_ONCE.items()}
    assert [entry.outcome for entry in door.entries] == ["input_required", "ok"]
    assert [entry.allowed for entry in door.entries] == [True, True]
    assert chat.declared == [EVERYTHING, EVERYTHING]


async def test_a_modern_server_may_ask_round_after_round():
    rounds = [({f"step{n}": (ELICITATION, FORM)}, f"state {n}") for n in range(4)]
    door = Door(ALL, [slack(era=Era.MODERN, answer=requiring(*rounds))])
    asked, states = await post(door), set()
    for n in range(4):
        assert list(asked["inputRequests"]) == [f"step{n}"]
        states.add(asked["requestState"])
        asked = await post(door, **answered(asked))
    assert asked["resultType"] == "complete"
    assert len(states) == 4


async def test_a_server_without_a_state_of_its_own_gets_none():
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring((NAME, None)))])
    asked = await post(door)
    assert told(await post(door, **answered(asked))) == [{"name": ANSWERS[ELICITATION]}, None]
    assert "requestState" not in chat.sent[1].params


async def test_a_server_that_only_puts_a_call_off_is_called_again_with_its_state():
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring(({}, "later")))])
    asked = await post(door)
    assert "inputRequests" not in asked
    assert told(await post(door, requestState=asked["requestState"])) == [{}, "later"]
    assert "inputResponses" not in chat.sent[1].params


async def test_answers_that_nobody_asked_for_are_not_sent_on_and_missing_ones_are_asked_for_again():
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring((ALL_AT_ONCE, "s")))])
    asked = await post(door)
    again_asked = await post(door, **again(asked, a=ANSWERS[SAMPLING], stray=ANSWERS[ROOTS]))
    assert again_asked["resultType"] == "input_required"
    assert chat.sent[1].params["inputResponses"] == {"a": ANSWERS[SAMPLING]}
    assert (await post(door, **answered(again_asked)))["resultType"] == "complete"


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"name": ANSWERS[ELICITATION], "stray": {"x": 1}}, "complete"),
        ({"stray": ANSWERS[ELICITATION]}, "input_required"),
        ({}, "input_required"),
    ],
)
async def test_answers_in_advance_reach_the_server_only_once_it_has_asked_for_them(given: Params, outcome: str):
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring((NAME, "s")))])
    result = await post(door, inputResponses=given)
    assert result["resultType"] == outcome
    assert "inputResponses" not in chat.sent[0].params
    if outcome == "complete":
        assert told(result) == [{"name": ANSWERS[ELICITATION]}, "s"]


async def test_answers_in_advance_to_only_some_of_the_questions_do_not_reach_the_server():
    door = Door(ALL, [chat := slack(era=Era.MODERN, answer=requiring((ALL_AT_ONCE, "s")))])
    asked = await post(door, inputResponses={"a": ANSWERS[SAMPLING]})
    assert set(asked["inputRequests"]) == set(ALL_AT_ONCE)
    assert len(chat.sent) == 1


async def test_a_modern_client_that_is_asked_beyond_its_capabilities_learns_which_it_lacks():
    door = Door(ALL, [slack(era=Era.MODERN, answer=requiring(({**ALL_AT_ONCE, "d": (ELICITATION, URL)}, "s")))])
    refusal = await refusal_of(post(door, capabilities={"sampling": {}, "elicitation": {}}))
    assert isinstance(refusal, Incapable)
    assert (refusal.code, refusal.status) == (-32021, 400)
    assert refusal.data == {"requiredCapabilities": {"elicitation": {"url": {}}, "roots": {}}}
    assert "`elicitation`, `roots`" in refusal.text
    assert (door.last.outcome, door.last.error) == ("incapable", "-32021")


@pytest.mark.parametrize("era", list(Era))
async def test_a_capability_that_the_server_demands_is_named_to_the_client(era: Era):
    lacks = UpstreamError(-32021, "no", {"requiredCapabilities": {"sampling": {}}})
    door = Door(ALL, [slack(era=Era.MODERN, answer=raising(lacks))])
    if era is Era.MODERN:
        refusal = await refusal_of(post(door, capabilities={}))
        assert (refusal.code, refusal.data) == (-32021, {"requiredCapabilities": {"sampling": {}}})
    else:
        result = await use(door, Client())
        assert result["isError"] is True
        assert "`sampling`" in text_of(result)
        assert door.last.outcome == "unanswered"


@pytest.mark.parametrize("data", [None, {}, {"requiredCapabilities": {"vendor": {}}}, {"requiredCapabilities": 1}])
async def test_a_capability_that_no_client_could_declare_through_us_is_an_affair_of_our_hop(data: Any):
    door = Door(ALL, [slack(era=Era.MODERN, answer=raising(UpstreamError(-32021, "no", data)))])
    with pytest.raises(UpstreamError, match="refused the gateway's request"):
        await post(door)


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"inputRequests": []},
        {"inputRequests": {}, "requestState": None},
        {"requestState": 7},
        {"inputRequests": {"a": 1}},
        {"inputRequests": {"a": {"method": "tools/list"}}},
        {"inputRequests": {"a": {"method": ELICITATION, "params": []}}},
        {"inputRequests": {str(n): {"method": ROOTS} for n in range(65)}},
        {"inputRequests": {"k" * 257: {"method": ROOTS}}},
        {"requestState": "é" * (128 * 1024 + 1)},
    ],
)
@pytest.mark.parametrize("era", list(Era))
async def test_a_request_for_input_that_cannot_be_passed_on_fails_the_call(result: Params, era: Era):
    answer = {**result, "resultType": "input_required"}
    door = Door(ALL, [slack(era=Era.MODERN, answer=lambda _: answer)])
    client = Client(EVERYTHING)
    failed = await (use(door, client) if era is Era.LEGACY else post(door, client=client))
    assert failed["isError"] is True
    assert door.last.outcome == "upstream_failed"
    assert client.asked == []


@pytest.mark.parametrize(
    ("era", "method", "params"),
    [
        (Era.MODERN, "completion/complete", {"ref": {"type": "ref/prompt", "name": "slack__hi"}, "argument": {}}),
        (Era.LEGACY, "prompts/get", {"name": "slack__hi"}),
    ],
)
async def test_a_result_that_asks_where_none_may_is_no_answer(era: Era, method: str, params: Params):
    asked = {"resultType": "input_required", "requestState": "s"}
    door = Door(ALL, [FakeConnector("slack", [prompt("hi")], era=era, answer=lambda _: asked)])
    with pytest.raises(UpstreamFailed):
        await door.handle(AMY, call(method, era=Era.MODERN, **params), caller=Client(EVERYTHING))


@pytest.mark.parametrize("server", list(Era))
async def test_prompts_and_resources_may_ask_as_tools_do(server: Era):
    answer = requiring((NAME, "s")) if server is Era.MODERN else asking([(ELICITATION, FORM)])
    things = FakeConnector("slack", [prompt("hi"), resource("test://x")], era=server, answer=answer)
    door = Door(ALL, [things])
    for method, params in (("prompts/get", {"name": "slack__hi"}), ("resources/read", {"uri": "test://x"})):
        meta = {CAPABILITIES_KEY: EVERYTHING}
        asked = await door.handle(AMY, call(method, era=Era.MODERN, _meta=meta, **params), caller=Client(EVERYTHING))
        assert methods(asked) == [ELICITATION]
        assert "ttlMs" not in asked
        repeated = call(method, era=Era.MODERN, _meta=meta, **params, **answered(asked))
        assert (await door.handle(AMY, repeated, caller=Client(EVERYTHING)))["resultType"] == "complete"


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
    monkeypatch.setattr(parking, "GATHER_S", 0.01)
    monkeypatch.setattr(parking, "GATHERINGS", 3)

    async def answer(sent: Any) -> Params:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(sent.caller.ask(ROOTS, {}))
                await asyncio.sleep(0.002)

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
