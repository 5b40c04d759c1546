"""What a server asks in the middle of a request reaches a client of its own era, and the answer the server."""

import json
from typing import Any

import pytest

from connectors.base import UpstreamError
from gateway.errors import Incapable, UpstreamFailed
from gateway.mcp.terms import CAPABILITIES_KEY, Era, Params
from tests.builders import ALL, AMY, SERVER_INFO, Door, call, text_of
from tests.fakes import (
    ANSWERS,
    ELICITATION,
    EVERYTHING,
    FORM,
    QUESTIONS,
    ROOTS,
    SAMPLE,
    SAMPLING,
    URL,
    Client,
    FakeConnector,
    asking,
    prompt,
    raising,
    requiring,
    resource,
    slack,
)
from tests.pipeline.bridging import ALL_AT_ONCE, NAME, again, answered, methods, post, refusal_of, told, use

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
