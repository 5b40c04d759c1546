"""Questions of servers to clients: put where the client listens, answered once, by the one who was asked."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from connectors.base import UpstreamError
from gateway.catalogue import Server
from gateway.mcp.terms import Notification
from gateway.sessions.questions import OPEN
from gateway.web import callers
from tests.builders import ALL, AMY, BOB, Door
from tests.fakes import FakeConnector, Sent, slack
from tests.web.plane import MODERN, MODERN_META, Exchange, Front, message, until
from tests.web.test_plane import opened, outcomes

FORM = ("elicitation/create", {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}})
URL = ("elicitation/create", {"mode": "url", "message": "Go", "url": "https://example.com", "elicitationId": "e1"})
SAMPLE = ("sampling/createMessage", {"messages": [], "maxTokens": 5})
TOOLED = ("sampling/createMessage", {"messages": [], "maxTokens": 5, "tools": []})
ROOTS = ("roots/list", {})
EVERYTHING: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}
FAST = '[[class]]\nname = "fast"\ncalls = 100000\nwindow_s = 60\n'


def words(value: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": json.dumps(value)}]}


def asking(*asked: tuple[str, dict[str, Any]]) -> Callable[[Sent], Awaitable[dict[str, Any]]]:
    """A server that asks one question after the other and answers with what it was told, errors included."""

    async def answer(sent: Sent) -> dict[str, Any]:
        told: list[Any] = []
        for method, params in asked:
            try:
                told.append(await sent.caller.ask(method, params))
            except UpstreamError as error:
                told.append({"code": error.code, "message": error.message, "data": error.data})
        return words(told)

    return answer


def front(answer: Any, **more: Any) -> Front:
    return Front(Door(ALL, [slack(answer=answer)], **more))


def call(house: Front, session: str | None, id: Any = 1) -> Exchange:
    return house.post("tools/call", id=id, session=session, name="slack__send", arguments={})


def heard(exchange: Exchange) -> Any:
    """What the server says that it was told."""
    told = exchange.told
    return json.loads((told[0] if isinstance(told, list) else told)["result"]["content"][0]["text"])


async def question(exchange: Exchange, number: int = 0) -> Any:
    await until(lambda: exchange.asked(number))
    return exchange.asked(number)


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25"])
@pytest.mark.parametrize("asked", [FORM, URL, SAMPLE, TOOLED, ROOTS])
async def test_a_client_is_asked_on_the_stream_of_its_request_and_the_server_gets_its_answer(
    version: str, asked: tuple[str, dict[str, Any]]
):
    house = front(asking(asked))
    session = await house.session(version, **EVERYTHING)
    running = call(house, session)
    put = await question(running)
    assert (put["method"], put.get("params", {})) == asked
    answer = await house.answer(put["id"], session, result={"action": "accept", "own": [1, {"x": None}]}).done()
    assert (answer.status, answer.text) == (202, "")
    await running.done()
    assert heard(running) == [{"action": "accept", "own": [1, {"x": None}]}]
    assert outcomes(house) == ["ok"] * 3


async def test_several_questions_come_one_after_the_other_and_at_the_same_time():
    async def both(sent: Sent) -> dict[str, Any]:
        told = await asyncio.gather(sent.caller.ask(*FORM), sent.caller.ask(*ROOTS))
        return words([*told, await sent.caller.ask(*SAMPLE)])

    house = front(both)
    session = await house.session(**EVERYTHING)
    running = call(house, session)
    second, first = await question(running, 1), await question(running, 0)
    assert first["id"] != second["id"]
    await house.answer(second["id"], session, result={"roots": []}).done()
    await house.answer(first["id"], session, result={"action": "decline"}).done()
    await house.answer((await question(running, 2))["id"], session, result={"role": "assistant"}).done()
    await running.done()
    assert heard(running) == [{"action": "decline"}, {"roots": []}, {"role": "assistant"}]


@pytest.mark.parametrize(
    ("capabilities", "asked", "word"),
    [
        ({}, FORM, "elicitation.form"),
        ({"elicitation": {"url": {}}}, FORM, "elicitation.form"),
        ({"elicitation": {}}, URL, "elicitation.url"),
        ({"elicitation": {"form": {}, "url": True}}, URL, "elicitation.url"),
        ({"elicitation": True}, FORM, "elicitation.form"),
        ({"roots": {}}, SAMPLE, "sampling"),
        ({"sampling": {}}, TOOLED, "sampling.tools"),
        ({"sampling": {}}, ROOTS, "roots"),
        (EVERYTHING, ("elicitation/create", {"mode": "telepathy"}), "elicitation.telepathy"),
        (EVERYTHING, ("tools/call", {"name": "x"}), "tools/call"),
        (EVERYTHING, ("ping", {}), "ping"),
    ],
)
async def test_a_client_is_never_asked_what_it_did_not_declare(
    capabilities: dict[str, Any], asked: tuple[str, dict[str, Any]], word: str
):
    house = front(asking(asked))
    running = await call(house, await house.session(**capabilities)).done()
    (told,) = heard(running)
    assert told["code"] == -32601
    assert f"`{word}`" in told["message"]
    assert running.headers["content-type"] == "application/json"


async def test_the_server_is_told_the_errors_of_the_client():
    house = front(asking(FORM))
    session = await house.session(**EVERYTHING)
    running = call(house, session)
    error = {"code": -1, "message": "User rejected", "data": {"why": "no"}}
    await house.answer((await question(running))["id"], session, error=error).done()
    await running.done()
    assert heard(running) == [error]


async def test_over_an_event_stream_the_client_is_asked_on_it_and_answers_by_message():
    house = front(asking(FORM, SAMPLE))
    stream, id = await opened(house)
    path = f"/messages?sessionId={id}"
    hello = message(
        "initialize", id=0, protocolVersion="2024-11-05", capabilities={"sampling": {}}, clientInfo={"name": "t"}
    )
    await house.open("POST", path, hello).done()
    await until(lambda: len(stream.messages) == 1)
    await house.open("POST", path, message("tools/call", id=1, name="slack__send", arguments={})).done()
    put = await question(stream)
    assert put["method"] == "sampling/createMessage"
    answer = await house.answer(put["id"], None, path=path, result={"role": "assistant"}).done()
    assert answer.status == 202
    await until(lambda: len(stream.messages) == 3)
    undeclared, sampled = json.loads(stream.messages[-1]["result"]["content"][0]["text"])
    assert undeclared["code"] == -32601
    assert sampled == {"role": "assistant"}
    stream.leave()
    await stream.done()


async def test_in_a_batch_the_client_is_asked_on_the_stream_of_the_batch_and_may_answer_by_one():
    house = front(asking(FORM))
    session = await house.session("2025-03-26", **EVERYTHING)
    parts = [message("tools/call", id=n, name="slack__send", arguments={}) for n in (1, 2)]
    running = house.open("POST", "/mcp", b"[" + b",".join(parts) + b"]", mcp_session_id=session)
    puts = [await question(running, 0), await question(running, 1)]
    answers = [
        {"jsonrpc": "2.0", "id": put["id"], "result": {"action": "accept", "n": n}} for n, put in enumerate(puts)
    ]
    done = await house.open("POST", "/mcp", json.dumps(answers).encode(), mcp_session_id=session).done()
    assert (done.status, done.text) == (202, "")
    await running.done()
    told = {each["id"]: json.loads(each["result"]["content"][0]["text"])[0]["n"] for each in running.told}
    assert told == {1: 0, 2: 1}


async def test_a_client_of_the_modern_era_is_not_asked_while_its_request_runs():
    house = front(asking(FORM))
    meta = {**MODERN_META, "io.modelcontextprotocol/clientCapabilities": EVERYTHING}
    body = message("tools/call", name="slack__send", arguments={}, _meta=meta)
    done = await house.open("POST", "/mcp", body, **MODERN, mcp_method="tools/call", mcp_name="slack__send").done()
    assert "elicitation/create" not in [each.get("method") for each in done.messages]
    posted = await house.open("POST", "/mcp", b'{"jsonrpc":"2.0","id":"x","result":{}}', **MODERN).done()
    assert posted.status == 400


async def test_a_single_request_without_a_session_cannot_be_asked():
    connector = slack(answer=asking(FORM))
    door = Door(ALL, [connector], servers=(Server("side", ("slack",)),))
    house = Front(door)
    body = message("tools/call", name="slack__send", arguments={})
    done = await house.open("POST", "/mcp/side", body).done()
    (told,) = heard(done)
    assert told["code"] == -32601
    posted = await house.answer("x", None, path="/mcp/side", result={}).done()
    assert posted.status == 400


async def test_a_single_request_without_a_session_declares_nothing_whatever_it_says():
    door = Door(ALL, [connector := slack()], servers=(Server("side", ("slack",)),))
    house = Front(door)
    meta = {"io.modelcontextprotocol/clientCapabilities": EVERYTHING}
    body = message("tools/call", name="slack__send", arguments={}, capabilities=EVERYTHING, _meta=meta)
    await house.open("POST", "/mcp/side", body).done()
    assert [each.caller.capabilities for each in connector.sent] == [{}]
    assert connector.declared == [{}]


async def test_the_server_knows_what_the_client_declared_in_both_eras():
    house = Front()
    await call(house, await house.session(**EVERYTHING)).done()
    meta = {**MODERN_META, "io.modelcontextprotocol/clientCapabilities": {"roots": {}}}
    body = message("tools/call", name="slack__read", arguments={}, _meta=meta)
    await house.open("POST", "/mcp", body, **MODERN, mcp_method="tools/call", mcp_name="slack__read").done()
    assert house.door.connectors[0].sent[0].caller.capabilities == EVERYTHING


# -- answers that are none


async def test_only_the_session_that_was_asked_can_answer():
    house = front(asking(FORM))
    session, other = await house.session(**EVERYTHING), await house.session(**EVERYTHING)
    foreign = await house.session(key=house.key(BOB), **EVERYTHING)
    stream, event_stream = await opened(house)
    running = call(house, session)
    id = (await question(running))["id"]
    for answer, status in [
        (house.answer(id, other, result={"action": "accept"}), 202),
        (house.answer(id, foreign, key=house.key(BOB), result={"action": "accept"}), 202),
        (house.answer(id, session, key=house.key(BOB), result={"action": "accept"}), 404),
        (house.answer(id, None, path=f"/messages?sessionId={event_stream}", result={"action": "accept"}), 202),
        (house.answer(id, None, result={"action": "accept"}), 400),
        (house.answer(f"{id} ", session, result={"action": "accept"}), 202),
        (house.answer(1, session, result={"action": "accept"}), 202),
        (house.answer("1", session, result={"action": "accept"}), 202),
        (house.answer(None, session, error={"code": 1, "message": "x"}), 202),
    ]:
        assert (await answer.done()).status == status
    assert not running.ended
    await house.answer(id, session, result={"action": "cancel"}).done()
    await running.done()
    assert heard(running) == [{"action": "cancel"}]
    stream.leave()
    await stream.done()


async def test_the_first_answer_counts_and_later_ones_do_nothing():
    house = front(asking(FORM))
    session = await house.session(**EVERYTHING)
    running = call(house, session)
    id = (await question(running))["id"]
    first = house.answer(id, session, result={"action": "accept"})
    second = house.answer(id, session, result={"action": "decline"})
    assert [(await each.done()).status for each in (first, second)] == [202, 202]
    await running.done()
    assert heard(running) == [{"action": "accept"}]
    assert (await house.answer(id, session, result={"action": "decline"}).done()).status == 202
    assert len(house.door.connectors[0].sent) == 1


async def test_an_answer_of_somebody_whose_credential_has_ended_is_refused():
    house = front(asking(FORM))
    session = await house.session(**EVERYTHING)
    running = call(house, session)
    id = (await question(running))["id"]
    house.door.dismiss(AMY)
    assert (await house.answer(id, session, key=house.door.keys[AMY], result={"action": "accept"}).done()).status == 401
    assert not running.ended
    house.sessions.end_where(lambda *_: True)
    assert "error" in (await running.done()).told


async def test_an_answer_that_is_too_large_is_refused_and_the_question_stays_open():
    house = front(asking(FORM))
    session = await house.session(**EVERYTHING)
    running = call(house, session)
    id = (await question(running))["id"]
    assert (await house.answer(id, session, result={"text": "x" * 1_000_000}).done()).status == 413
    assert (await house.answer(id, session, result={"n": list(range(100_000))}).done()).status == 400
    await house.answer(id, session, result={"text": "x" * 900_000}).done()
    await running.done()
    assert len(heard(running)[0]["text"]) == 900_000


# -- questions that get no answer


async def test_a_client_that_never_answers_is_told_and_the_call_goes_on():
    house = front(asking(FORM))
    session = await house.session(**EVERYTHING)
    house.sessions.find(session, None, transport="mcp", now=0).questions.patience = 0.01
    running = await call(house, session).done()
    (told,) = heard(running)
    assert told["code"] == -32603
    assert "did not answer" in told["message"]
    asked, withdrawn = running.messages[:2]
    assert withdrawn["method"] == "notifications/cancelled"
    assert withdrawn["params"]["requestId"] == asked["id"]


async def test_a_request_that_is_cancelled_takes_its_question_back():
    house = front(asking(FORM))
    session = await house.session(**EVERYTHING)
    running = call(house, session)
    id = (await question(running))["id"]
    await house.post("notifications/cancelled", id=None, session=session, requestId=1).done()
    await running.done()
    assert running.messages[1]["method"] == "notifications/cancelled"
    assert running.messages[1]["params"]["requestId"] == id
    assert "cancelled" in running.told["error"]["message"]
    assert (await house.answer(id, session, result={"action": "accept"}).done()).status == 202
    assert outcomes(house)[-2:] == ["cancelled", "ok"]


async def test_a_question_ends_with_its_request_even_if_the_server_keeps_waiting_for_it():
    kept: list[asyncio.Task[Any]] = []

    async def careless(sent: Sent) -> dict[str, Any]:
        kept.append(asyncio.create_task(sent.caller.ask(*FORM)))
        await asyncio.sleep(0)
        return words("done")

    house = front(careless)
    session = await house.session(**EVERYTHING)
    running = await call(house, session).done()
    assert [each.get("method") for each in running.messages] == ["elicitation/create", "notifications/cancelled", None]
    with pytest.raises(UpstreamError, match="has ended"):
        await asyncio.wait_for(kept[0], 5)
    with pytest.raises(UpstreamError, match="has ended"):
        await house.door.connectors[0].sent[0].caller.ask(*FORM)


async def test_the_end_of_a_session_ends_its_questions():
    house = front(asking(FORM))
    session = await house.session(**EVERYTHING)
    running = call(house, session)
    id = (await question(running))["id"]
    await house.open("DELETE", "/mcp", mcp_session_id=session).done()
    assert "error" in (await running.done()).told
    assert (await house.answer(id, session, result={}).done()).status == 404


async def test_ten_thousand_questions_leave_a_bounded_number_open():
    async def flooding(sent: Sent) -> dict[str, Any]:
        told = await asyncio.gather(*(sent.caller.ask(*FORM) for _ in range(10_000)), return_exceptions=True)
        return words(sum(isinstance(each, UpstreamError) for each in told))

    house = front(flooding)
    session = await house.session(**EVERYTHING)
    running = call(house, session)
    await question(running, OPEN - 1)
    asked = {each["id"] for each in running.messages}
    assert len(asked) == OPEN
    for id in asked:
        await house.answer(id, session, result={"action": "accept"}).done()
    await running.done()
    assert heard(running) == 10_000 - OPEN


async def test_a_huge_question_is_not_put(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(callers, "QUESTION_BYTES", 1000)
    house = front(asking((FORM[0], {**FORM[1], "message": "x" * 1000}), FORM))
    session = await house.session(**EVERYTHING)
    running = call(house, session)
    await house.answer((await question(running))["id"], session, result={"action": "accept"}).done()
    await running.done()
    told, accepted = heard(running)
    assert "larger than 1000 bytes" in told["message"]
    assert accepted == {"action": "accept"}


async def test_a_client_that_does_not_read_is_not_asked_for_ever():
    async def repeated(sent: Sent) -> dict[str, Any]:
        for number in range(2_000):
            asked = asyncio.create_task(sent.caller.ask(*FORM))
            await asyncio.sleep(0)
            if asked.done():
                return words([number, str(asked.exception())])
            asked.cancel()
            await asyncio.wait([asked])
        return words("asked too often")

    house = front(repeated)
    session = await house.session(**EVERYTHING)
    body = message("tools/call", name="slack__send", arguments={})
    running = house.open("POST", "/mcp", body, reads=False, mcp_session_id=session)
    await until(lambda: len(outcomes(house)) == 2)
    running.reads.set()
    await running.done()
    number, why = heard(running)
    assert number < 500
    assert "behind" in why


# -- what is said beside


async def test_what_is_said_after_its_request_has_ended_comes_with_the_news():
    house = front(asking())
    session = await house.session(**EVERYTHING)
    await call(house, session).done()
    caller = house.door.connectors[0].sent[0].caller
    done = Notification("notifications/elicitation/complete", {"elicitationId": "e1"})
    caller.tell(done)  # nobody listens, and nothing happens
    news = house.resume(session)
    await until(lambda: news.sent)
    caller.tell(done)
    caller.tell(Notification("notifications/whatever"))
    await until(lambda: news.messages)
    assert [each["method"] for each in news.messages] == ["notifications/elicitation/complete"]
    news.leave()
    await news.done()


async def test_nothing_is_written_after_the_answer():
    connector: FakeConnector = slack()
    house = Front(Door(ALL, [connector], servers=(Server("side", ("slack",)),)))
    body = message("tools/call", name="slack__send", arguments={}, _meta={"progressToken": 1})
    await house.open("POST", "/mcp/side", body).done()
    await call(house, await house.session()).done()
    running = asyncio.all_tasks()
    for sent in connector.sent:
        sent.caller.tell(Notification("notifications/progress", {"progressToken": 1, "progress": 1}))
    assert asyncio.all_tasks() == running  # nobody was set to write it
