"""Requests out, each answer back to whoever waits for it, whatever the server does."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import QUIET, Unasked, UpstreamError
from connectors.conversation import REPLIES
from connectors.outcomes import Unheard
from connectors.transport import HttpAnswer, TransportBusy, TransportLost
from connectors.waiting import STRETCH
from gateway.errors import UpstreamFailed
from gateway.mcp.questions import TASKS
from gateway.mcp.terms import Notification, Request, Response
from tests.connectors.asked import Client
from tests.connectors.scripted import LEGACY, MODERN, Scripted, error, talking

CALL = {"name": "echo", "arguments": {"a": 1}}


def begin(talk, params=None, caller=QUIET, method="tools/call"):
    return asyncio.create_task(talk.request(method, params or CALL, caller))


async def soon(task):
    async with asyncio.timeout(5):
        return await task


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("http", [False, True])
async def test_an_answer_reaches_the_request_it_answers(http):
    transport = Scripted(http=http)
    talk = await talking(transport)
    first, second = begin(talk), begin(talk)
    sent = await transport.until(2)
    transport.answer(sent[1].id, {"for": "second"})
    assert await soon(second) == {"for": "second"}
    assert not first.done()
    transport.answer(sent[0].id, {"for": "first"})
    assert await soon(first) == {"for": "first"}


@given(st.permutations(range(12)), st.data())
async def test_whatever_the_order_and_the_noise_everybody_gets_his_own_answer(order, data):
    transport = Scripted()
    talk = await talking(transport)
    tasks = [begin(talk, {"name": "echo", "arguments": {"n": n}}) for n in range(12)]
    sent = await transport.until(12)
    noise = st.one_of(st.none(), st.booleans(), st.integers(max_value=0), st.text(max_size=3), st.floats())
    for n in order:
        transport.receive(Response(data.draw(noise), {"for": "nobody"}))
        transport.answer(sent[n].id, {"for": n})
        transport.answer(sent[n].id, {"for": "too late"})
    assert [await soon(task) for task in tasks] == [{"for": n} for n in range(12)]


async def test_ids_are_our_own_and_never_used_twice():
    transport = Scripted({"tools/call": {}})
    talk = await talking(transport)
    for _ in range(5):
        await talk.request("tools/call", {"name": "x", "_meta": {"progressToken": 1}}, QUIET)
    ids = [message.id for message in transport.sent]
    assert len(set(ids)) == 5


async def test_an_error_answer_is_told_as_it_is():
    talk = await talking(Scripted({"tools/call": error(-32602, "unknown tool", {"uri": "x"})}))
    with pytest.raises(UpstreamError) as caught:
        await talk.request("tools/call", CALL, QUIET)
    assert (caught.value.code, caught.value.message, caught.value.data) == (-32602, "unknown tool", {"uri": "x"})


@pytest.mark.parametrize("result", [None, "text", [1], 5])
async def test_a_result_that_is_no_object_is_a_failure(result):
    talk = await talking(Scripted({"tools/call": Response(0, result)}))
    with pytest.raises(UpstreamFailed, match="without a result object"):
        await talk.request("tools/call", CALL, QUIET)


async def test_unknown_fields_of_a_result_survive():
    result = {"content": [{"type": "x", "x-y": 1}], "x-z": {"deep": [None]}, "_meta": {"v/k": 1}}
    assert await (await talking(Scripted({"tools/call": result}))).request("tools/call", CALL, QUIET) == result


async def test_the_modern_envelope_is_the_gateways_own():
    transport = Scripted({"tools/call": {}})
    talk = await talking(transport, MODERN)
    theirs = {
        "io.modelcontextprotocol/protocolVersion": "1999-01-01",
        "io.modelcontextprotocol/clientInfo": {"name": "evil"},
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}},
        "io.modelcontextprotocol/logLevel": "info",
        "traceparent": "00-1",
    }
    params = {**CALL, "_meta": theirs}
    await talk.request("tools/call", params, QUIET)
    assert transport.sent[0].params == {
        **CALL,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "ours"},
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/logLevel": "info",
            "traceparent": "00-1",
        },
    }
    assert transport.how[0] == {"version": "2026-07-28", "modern": True, "name": "echo"}
    assert params["_meta"] is theirs
    assert len(theirs) == 5


async def test_a_modern_server_is_told_with_each_request_what_can_be_relayed_to_its_caller():
    transport = Scripted({"tools/call": {}})
    talk = await talking(transport, MODERN)
    declared = {"roots": {"listChanged": True}, "sampling": {}, "experimental": {}, "extensions": {TASKS: {}, "x": {}}}
    for caller in (Client(capabilities=declared), QUIET):
        await talk.request("tools/call", CALL, caller)
    told = [message.params["_meta"]["io.modelcontextprotocol/clientCapabilities"] for message in transport.sent]
    assert told == [{"roots": {}, "sampling": {}, "extensions": {TASKS: {}}}, {}]


async def test_a_legacy_server_gets_no_envelope():
    transport = Scripted({"tools/call": {}})
    talk = await talking(transport)
    meta = {"io.modelcontextprotocol/clientInfo": {"name": "evil"}, "io.modelcontextprotocol/logLevel": "info"}
    await talk.request("tools/call", {**CALL, "_meta": meta}, QUIET)
    assert transport.sent[0].params == CALL
    assert transport.how[0] == {"version": "2025-11-25", "modern": False, "name": "echo"}


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [("resources/read", {"uri": "a:b"}, "a:b"), ("prompts/get", {"name": "p"}, "p"), ("tools/list", {"name": "x"}, "")],
)
async def test_what_is_asked_for_is_named_to_the_transport(method, params, name):
    transport = Scripted({method: {}})
    await (await talking(transport)).request(method, params, QUIET)
    assert transport.how[0]["name"] == name


async def test_two_clients_with_the_same_progress_token_hear_only_their_own_progress():
    transport = Scripted()
    talk = await talking(transport)
    heard = {"a": [], "b": []}
    params = {**CALL, "_meta": {"progressToken": "same"}}
    tasks = [begin(talk, params, Unasked(heard[who].append)) for who in "ab"]
    first, second = await transport.until(2)
    tokens = [message.params["_meta"]["progressToken"] for message in (first, second)]
    assert len({*tokens, "same"}) == 3
    for token, progress in ((tokens[1], 10), (tokens[0], 20), (tokens[1], 30)):
        told = {"progressToken": token, "progress": progress, "x-vendor": 1}
        transport.receive(Notification("notifications/progress", told))
    for message in (first, second):
        transport.answer(message.id, {})
    await soon(asyncio.gather(*tasks))
    assert [each.params["progress"] for each in heard["a"]] == [20]
    assert [each.params["progress"] for each in heard["b"]] == [10, 30]
    assert all(each.params["progressToken"] == "same" and each.params["x-vendor"] == 1 for each in heard["a"])


async def test_progress_that_nobody_asked_for_is_dropped():
    transport = Scripted()
    talk = await talking(transport)
    heard = []
    task = begin(talk, caller=Unasked(heard.append))
    (message,) = await transport.until(1)
    for token in (message.id, True, str(message.id), None, 10**9, [1]):
        transport.receive(Notification("notifications/progress", {"progressToken": token, "progress": 1}))
    transport.answer(message.id, {})
    await soon(task)
    assert heard == []


async def test_a_log_line_belongs_to_the_request_on_whose_stream_it_came():
    def log(request):
        transport.receive(Notification("notifications/message", {"data": request.params["arguments"]["n"]}))
        return {}

    transport = Scripted(http=True)
    talk = await talking(transport)
    other = []
    waiting = begin(talk, caller=Unasked(other.append))
    (message,) = await transport.until(1)
    transport.answers["tools/call"] = log
    mine = []
    await talk.request("tools/call", {"name": "x", "arguments": {"n": 7}}, Unasked(mine.append))
    transport.answer(message.id, {})
    await soon(waiting)
    assert [each.params["data"] for each in mine] == [7]
    assert other == []


@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_log_line_on_a_shared_stream_is_shown_only_where_all_requests_are_of_one_principal(exclusive):
    transport = Scripted()
    talk = await talking(transport, exclusive=exclusive)
    heard = []
    tasks = [begin(talk, caller=Unasked(heard.append)), begin(talk)]
    sent = await transport.until(2)
    transport.receive(Notification("notifications/message", {"data": "secret"}))
    for message in sent:
        transport.answer(message.id, {})
    await soon(asyncio.gather(*tasks))
    assert len(heard) == (1 if exclusive else 0)


async def test_other_notifications_are_told_to_the_owner():
    transport = Scripted()
    talk = await talking(transport)
    changed = Notification("notifications/tools/list_changed")
    transport.receive(changed)
    assert talk.test_told == [changed]


async def test_a_ping_of_the_server_is_answered_and_everything_else_is_refused():
    transport = Scripted()
    await talking(transport)
    for n, method in enumerate(["ping", "sampling/createMessage", "elicitation/create", "roots/list", "x"]):
        transport.receive(Request(n, method))
    answers = await transport.until(5)
    assert answers[0] == Response(0, result={})
    assert [(each.id, each.error["code"]) for each in answers[1:]] == [(n, -32601) for n in (1, 2, 3, 4)]


async def test_a_server_that_floods_us_with_requests_gets_few_answers():
    transport = Scripted()
    talk = await talking(transport)
    for n in range(1_000):
        transport.receive(Request(n, "ping"))
    await transport.until(REPLIES)
    await turns(50)
    assert len(transport.sent) == REPLIES
    await talk.close()


@pytest.mark.parametrize(
    ("terms", "http", "told"),
    [(LEGACY, False, True), (LEGACY, True, True), (MODERN, False, True), (MODERN, True, False)],
)
async def test_cancelling_reaches_the_server_in_the_way_of_its_era(terms, http, told):
    transport = Scripted(http=http)
    talk = await talking(transport, terms)
    task = begin(talk)
    (message,) = await transport.until(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    if told:
        cancelled = (await transport.until(2))[1]
        assert cancelled.method == "notifications/cancelled"
        assert cancelled.params["requestId"] == message.id
    await turns()
    assert len(transport.sent) == (2 if told else 1)
    assert transport.open_streams == 0
    transport.answer(message.id, {"too": "late"})
    assert talk.test_told == []


@pytest.mark.parametrize("http", [False, True])
async def test_a_request_without_an_answer_times_out_and_is_withdrawn(http):
    transport = Scripted(http=http)
    talk = await talking(transport, timeout=0.05)
    with pytest.raises(UpstreamFailed, match="did not answer in time"):
        await talk.request("tools/call", CALL, QUIET)
    assert (await transport.until(1, "notifications/cancelled"))[0].params["requestId"] == transport.sent[0].id
    assert transport.open_streams == 0


async def test_progress_keeps_a_request_alive_but_not_for_ever():
    transport = Scripted()
    talk = await talking(transport, timeout=5.0)
    loop = asyncio.get_running_loop()
    task = begin(talk, {**CALL, "_meta": {"progressToken": 0}})
    (message,) = await transport.until(1)
    waiting = talk._waiting[message.id]
    first = waiting.scope.when()
    assert waiting.latest - first == pytest.approx((STRETCH - 1) * 5.0, abs=0.5)
    told = Notification("notifications/progress", {"progressToken": message.params["_meta"]["progressToken"]})
    while loop.time() + 5.0 <= first:
        await asyncio.sleep(0)
    transport.receive(told)
    assert waiting.scope.when() > first
    waiting.latest = loop.time()  # as if it had gone on like this for long
    transport.receive(told)
    with pytest.raises(UpstreamFailed, match="in time"):
        await soon(task)


async def test_an_answer_counts_although_the_server_keeps_its_stream_open():
    transport = Scripted(http=True)
    talk = await talking(transport)
    task = begin(talk)
    (message,) = await transport.until(1)
    transport.receive(Response(message.id, {"fine": True}))
    assert await soon(task) == {"fine": True}
    assert transport.open_streams == 0
    assert len(transport.sent) == 1


@pytest.mark.parametrize("http", [False, True])
async def test_a_lost_transport_fails_all_that_wait(http):
    transport = Scripted(http=http)
    talk = await talking(transport)
    tasks = [begin(talk) for _ in range(3)]
    await transport.until(3)
    transport.lost(TransportLost("the child process ended with status 3", sent=True))
    for task in tasks:
        with pytest.raises(UpstreamFailed) as caught:
            await soon(task)
        assert not isinstance(caught.value, Unheard)
        assert "status 3" not in caught.value.text
        assert "status 3" in caught.value.detail
    assert talk.test_why == ["the child process ended with status 3"]
    with pytest.raises(Unheard):
        await talk.request("tools/call", CALL, QUIET)


async def test_closing_fails_all_that_wait_and_ends_the_transport():
    transport = Scripted(http=True)
    talk = await talking(transport)
    task = begin(talk)
    await transport.until(1)
    await talk.close()
    with pytest.raises(UpstreamFailed):
        await soon(task)
    assert transport.closed == 1
    assert talk.test_why == []


async def test_retiring_lets_those_who_wait_finish():
    transport = Scripted()
    talk = await talking(transport)
    task = begin(talk)
    (message,) = await transport.until(1)
    retiring = asyncio.create_task(talk.retire())
    await turns()
    assert transport.closed == 0
    transport.answer(message.id, {"fine": True})
    assert await soon(task) == {"fine": True}
    await soon(retiring)
    assert transport.closed == 1


@pytest.mark.parametrize(
    ("terms", "answer", "kind", "text"),
    [
        (LEGACY, HttpAnswer(404), Unheard, "forgotten the session"),
        (LEGACY, HttpAnswer(404, error(-32600, "x")), Unheard, "forgotten the session"),
        (LEGACY, HttpAnswer(400, error(-32000, "Bad Request: no valid Session ID")), Unheard, "forgotten"),
        (LEGACY, HttpAnswer(400, error(-32602, "bad")), UpstreamError, "bad"),
        (MODERN, HttpAnswer(404, error(-32601, "unknown")), UpstreamError, "unknown"),
        (MODERN, HttpAnswer(404), UpstreamFailed, "HTTP 404"),
        (LEGACY, HttpAnswer(401, error(-32000, "token abc")), UpstreamFailed, "refused the gateway's credential"),
        (MODERN, HttpAnswer(403), UpstreamFailed, "refused the gateway's credential"),
        (MODERN, HttpAnswer(502), UpstreamFailed, "HTTP 502"),
        (LEGACY, TransportLost("10.0.0.1 refused", sent=False), Unheard, "broke off"),
        (LEGACY, TransportLost("reset", sent=True), UpstreamFailed, "broke off"),
        (LEGACY, TransportBusy("10.0.0.1: 256 exchanges are under way"), UpstreamFailed, "try again later"),
    ],
)
async def test_each_http_answer_and_loss_has_its_own_meaning(terms, answer, kind, text):
    talk = await talking(Scripted({"tools/call": answer}, http=True), terms)
    with pytest.raises((UpstreamFailed, UpstreamError), match=text) as caught:
        await talk.request("tools/call", CALL, QUIET)
    assert type(caught.value) is kind
    assert "10.0.0.1" not in str(caught.value)
    assert "token abc" not in str(caught.value)


@pytest.mark.parametrize("code", [-32700, "x", None, True])
async def test_an_error_without_a_usable_code_is_garbage(code):
    talk = await talking(Scripted({"tools/call": Response(0, error={"code": code, "message": "m"})}))
    with pytest.raises(UpstreamFailed, match="garbage"):
        await talk.request("tools/call", CALL, QUIET)


WITH_TASKS = Client(capabilities={"extensions": {TASKS: {}}})


@pytest.mark.parametrize(
    ("method", "kind", "caller"),
    [
        ("tools/call", "input_required", QUIET),
        ("prompts/get", "input_required", QUIET),
        ("resources/read", "input_required", QUIET),
        ("tools/call", "task", WITH_TASKS),
    ],
)
async def test_what_a_modern_server_needs_first_comes_back_as_it_is(method, kind, caller):
    result = {"resultType": kind, "inputRequests": {"a": {"x-vendor": 1}}, "requestState": "s", "taskId": "t"}
    talk = await talking(Scripted({method: result}), MODERN)
    assert await talk.request(method, CALL, caller) == result


@pytest.mark.parametrize(
    ("method", "kind", "caller"),
    [
        ("tools/list", "input_required", QUIET),
        ("completion/complete", "input_required", QUIET),
        ("tools/call", "task", QUIET),
        ("prompts/get", "task", WITH_TASKS),
        ("tools/call", "other", QUIET),
        ("tools/call", 5, QUIET),
        ("tools/call", None, QUIET),
    ],
)
async def test_a_kind_of_result_that_nobody_asked_for_is_a_failure(method, kind, caller):
    talk = await talking(Scripted({method: {"resultType": kind, "content": []}}), MODERN)
    with pytest.raises(UpstreamFailed, match="nobody asked"):
        await talk.request(method, CALL, caller)


@pytest.mark.parametrize("kind", ["complete", "input_required", "task", 5])
async def test_a_legacy_server_has_one_kind_of_result_whatever_it_calls_it(kind):
    talk = await talking(Scripted({"tools/call": {"resultType": kind, "content": [], "requestState": "s"}}), LEGACY)
    assert await talk.request("tools/call", CALL, QUIET) == {"content": [], "requestState": "s"}


@pytest.mark.parametrize("result", [{"resultType": "complete"}, {"content": []}])
async def test_a_modern_result_without_a_kind_is_complete(result):
    assert await (await talking(Scripted({"tools/call": result}), MODERN)).request("tools/call", CALL, QUIET) == result


async def test_a_modern_server_may_end_a_request_by_cancelling_it():
    transport = Scripted()
    talk = await talking(transport, MODERN)
    task = begin(talk)
    (message,) = await transport.until(1)
    transport.receive(Notification("notifications/cancelled", {"requestId": message.id}))
    with pytest.raises(UpstreamError, match="ended the request"):
        await soon(task)


async def test_a_legacy_server_takes_back_only_requests_of_its_own():
    transport = Scripted()
    talk = await talking(transport)
    task = begin(talk)
    (message,) = await transport.until(1)
    transport.receive(Request(message.id, "roots/list"))
    transport.receive(Notification("notifications/cancelled", {"requestId": message.id}))
    transport.answer(message.id, {"fine": True})
    assert await soon(task) == {"fine": True}


async def test_every_cancellation_is_told_however_many_come_at_once():
    transport = Scripted()
    talk = await talking(transport)
    tasks = [begin(talk) for _ in range(3 * REPLIES)]
    sent = await transport.until(len(tasks))
    for task in tasks:
        task.cancel()
    told = await transport.until(len(tasks), "notifications/cancelled")
    assert {each.params["requestId"] for each in told} == {each.id for each in sent}


async def test_what_is_still_said_after_the_end_reaches_nobody():
    transport = Scripted()
    talk = await talking(transport)
    await talk.close()
    transport.receive(Notification("notifications/tools/list_changed"))
    transport.receive(Request(1, "ping"))
    await turns()
    assert talk.test_told == []
    assert transport.sent == []
