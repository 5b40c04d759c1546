"""Every request that comes in leaves one answer and one audit entry, whatever its sender does."""

import asyncio
import json
import logging
from typing import Any

import pytest

from gateway.catalogue import Server
from gateway.errors import Malformed
from gateway.mcp.terms import Notification
from gateway.policy.terms import MAIN, Subject
from gateway.sessions import RUNNING, Stream
from gateway.web.asgi import Incoming, within
from gateway.web.meta import pages
from gateway.web.replies import Reply
from tests.builders import ALL, AMY, BOB, Door
from tests.fakes import Sent, echo, slack
from tests.web.plane import MODERN, MODERN_META, Exchange, Front, message, until


class Told:
    """What can be seen of a process that is, or is not, ready; by whom has leave to."""

    def __init__(self, *, ready: bool, watched: bool = False) -> None:
        self.ready, self.watched = ready, watched

    def details(self) -> dict[str, Any]:
        return {"ready": self.ready, "reasons": ["no policy was ever confirmed"]}

    def exposition(self, accept: str) -> tuple[bytes, str]:
        return b"", "text/plain"

    def may_watch(self, address: str, headers: Any, *, forwarded: bool) -> bool:
        return self.watched


NOT_READY = Told(ready=False)


def held(gate: asyncio.Event) -> Any:
    """A connector whose ``send`` waits at the gate; everything else answers at once."""

    async def answer(sent: Sent) -> dict[str, Any]:
        if sent.params.get("name") == "send":
            await gate.wait()
        return echo(sent)

    return slack(answer=answer)


def outcomes(front: Front) -> list[str]:
    return [entry.outcome for entry in front.door.entries]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "allow"),
    [
        ("PUT", "/mcp", {}, 405, "POST, GET, DELETE"),
        ("OPTIONS", "/mcp", {"x_apikey": None}, 405, "POST, GET, DELETE"),
        ("GET", "/mcp", MODERN, 405, "POST"),
        ("DELETE", "/mcp", MODERN, 405, "POST"),
        ("POST", "/sse", {}, 405, "GET"),
        ("GET", "/messages", {}, 405, "POST"),
        ("POST", "/mcp/main/token", {}, 401, ""),
        ("POST", "/mcp/../health", {}, 401, ""),
        ("POST", "/mcp/main/token/more", {}, 404, ""),
        ("GET", "/sse/main/token", {}, 401, ""),
        ("GET", "/sse/main/token/more", {}, 404, ""),
        ("POST", "/messages/more", {}, 404, ""),
        ("POST", "/mcp/nowhere", {}, 404, ""),
        ("GET", "/mcp", {"x_apikey": None}, 401, ""),
        ("POST", "/mcp", {"content_length": "3", "transfer_encoding": "chunked"}, 400, ""),
        ("GET", "/health", {"host": "evil.example"}, 421, ""),
        ("GET", "/health", {"content_length": "3", "transfer_encoding": "chunked"}, 400, ""),
    ],
)
async def test_what_is_refused_before_it_is_read_gets_one_json_answer_and_one_entry(
    method: str, path: str, headers: dict[str, Any], status: int, allow: str
):
    front = Front()
    answer = await front.open(method, path, **headers).done()
    assert answer.status == status
    assert answer.headers.get("allow", "") == allow
    assert answer.headers["content-type"] == "application/json"
    assert "error" in answer.told
    assert len(front.door.entries) == 1


async def test_a_connection_on_which_two_readers_could_disagree_is_closed():
    answer = await Front().open("POST", "/mcp", content_length="3", transfer_encoding="chunked").done()
    assert answer.headers["connection"] == "close"


async def test_a_path_or_name_of_the_sender_never_stands_as_transport():
    front = Front()
    await front.open("GET", "/mcp/secret-in-the-path", host="evil.example").done()
    await front.open("GET", "/a\nb/secret", host="evil.example").done()
    assert [entry.transport for entry in front.door.entries] == ["mcp", "http"]


async def test_a_page_is_answered_after_the_body_has_come_so_that_the_connection_can_be_used_again():
    exchange = Front(pages=pages(NOT_READY)).open("POST", "/nowhere", None, content_length="4")
    exchange.give(b"ha", more=True)
    for _ in range(50):
        await asyncio.sleep(0)
    assert not exchange.sent
    exchange.give(b"lf")
    assert (await exchange.done()).status == 404
    assert "connection" not in exchange.headers


async def test_a_page_whose_body_does_not_come_says_that_the_connection_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.web.asgi.LEAVE_S", 0.01)
    exchange = Front(pages=pages(NOT_READY)).open("POST", "/nowhere", None, content_length="4")
    assert (await exchange.done()).status == 404
    assert exchange.headers["connection"] == "close"


async def test_beside_the_main_server_single_legacy_requests_are_served_but_follow_nothing():
    front = Front(Door(ALL, [slack()], servers=(Server("side", ("slack",)),)))
    listed = await front.open("POST", "/mcp/side", message("tools/list")).done()
    assert listed.status == 200
    assert listed.told["result"]["tools"]
    followed = await front.open("POST", "/mcp/side", message("resources/subscribe", uri="slack://1")).done()
    assert followed.status == 400
    assert "No valid session ID" in followed.told["error"]["message"]


async def test_a_client_that_leaves_while_it_sends_is_on_record_and_told_nothing():
    front = Front()
    for path in ("/mcp", f"/messages?sessionId={(await opened(front))[1]}"):
        before = len(front.door.entries)
        sending = front.open("POST", path, None)
        sending.give(b'{"jsonrpc"', more=True)
        sending.leave()
        assert (await sending.done()).sent == []
        assert outcomes(front)[before:] == ["cut_off"]


async def test_a_body_that_takes_too_long_is_refused():
    exchange = Exchange()
    exchange.give(b"{", more=True)
    incoming = Incoming("POST", "/mcp", b"", (), "", exchange.incoming.get)
    with pytest.raises(Malformed) as caught:
        await incoming.body(100, seconds=0.01)
    assert caught.value.status == 408


async def test_a_client_that_does_not_read_is_given_up():
    front = Front(unread=0.01)
    unread = front.open("GET", "/mcp", reads=False, mcp_session_id=await front.session())
    await unread.done()
    assert not any(stream.connected for stream in front.sessions.streams())


async def test_a_fault_outside_the_pipeline_is_told_neutrally_and_is_on_record(caplog: pytest.LogCaptureFixture):
    async def broken(*_: Any) -> None:
        raise RuntimeError("the secret reason")

    front = Front(pages=broken)
    with caplog.at_level(logging.ERROR):
        answer = await front.open("GET", "/health").done()
    assert answer.status == 500
    assert "secret" not in answer.text
    (entry,) = front.door.entries
    assert entry.outcome == "fault"
    assert answer.told["error"]["data"] == {"reference": entry.id}
    assert "the secret reason" in caplog.text


# -- requests that run side by side


async def test_a_part_of_a_batch_that_is_refused_takes_nothing_from_the_others():
    gate = asyncio.Event()
    front = Front(Door(ALL, [held(gate)]))
    session = await front.session("2025-03-26")
    running = front.post("tools/call", id="busy", session=session, name="slack__send", arguments={})
    await until(lambda: front.door.connectors[0].sent)
    before = len(front.door.entries)
    parts = [
        message("tools/call", id="busy", name="slack__read", arguments={}),
        message("tools/call", id="other", name="slack__read", arguments={}),
        message("tools/destroy", id="unknown"),
        message("initialize", id="hello", protocolVersion="2025-03-26"),
        message("notifications/initialized", id=None),
        message("subscriptions/listen", id=None),
    ]
    body = b"[" + b",".join(parts) + b"]"
    batch = await front.open("POST", "/mcp", body, mcp_session_id=session).done()
    told = {each["id"]: each for each in batch.told}
    assert batch.status == 200
    assert set(told) == {"busy", "other", "unknown", "hello"}
    assert "result" in told["other"]
    assert {id for id, each in told.items() if "error" in each} == {"busy", "unknown", "hello"}
    assert len(front.door.entries) == before + len(parts)
    gate.set()
    assert "result" in (await running.done()).told


async def test_an_id_in_use_is_refused_and_the_running_request_still_gets_its_answer():
    gate = asyncio.Event()
    front = Front(Door(ALL, [held(gate)]))
    session = await front.session()
    running = front.post("tools/call", session=session, name="slack__send", arguments={})
    await until(lambda: front.door.connectors[0].sent)
    second = await front.post("tools/call", session=session, name="slack__read", arguments={}).done()
    assert second.status == 400
    assert second.told["id"] == 1
    gate.set()
    assert "result" in (await running.done()).told
    assert outcomes(front) == ["ok", "malformed", "ok"]


async def test_one_session_cannot_run_any_number_of_requests():
    gate = asyncio.Event()
    front = Front(Door("p, user:*, *, self, *, rate:fast, , allow\n" + ALL, [held(gate)], limits=FAST))
    session = await front.session()
    running = [
        front.post("tools/call", id=n, session=session, name="slack__send", arguments={}) for n in range(RUNNING)
    ]
    await until(lambda: len(front.door.connectors[0].sent) == RUNNING)
    beyond = await front.post("ping", id="beyond", session=session).done()
    assert beyond.status == 429
    assert beyond.headers["retry-after"] == "1"
    gate.set()
    for each in running:
        assert "result" in (await each.done()).told


FAST = '[[class]]\nname = "fast"\ncalls = 100000\nwindow_s = 60\n'


async def test_nobody_cancels_the_request_of_another_session():
    gate = asyncio.Event()
    front = Front(Door(ALL, [held(gate)]))
    mine, other = await front.session(), await front.session()
    running = front.post("tools/call", session=mine, name="slack__send", arguments={})
    await until(lambda: front.door.connectors[0].sent)
    for id in (1, True, 1.0, "1", None, [1]):
        await front.post("notifications/cancelled", id=None, session=other, requestId=id).done()
    for id in (True, 1.0, "1", None, [1]):
        await front.post("notifications/cancelled", id=None, session=mine, requestId=id).done()
    await front.open(
        "POST", "/mcp", message("notifications/cancelled", id=None, requestId=1), **MODERN, mcp_session_id=mine
    ).done()
    gate.set()
    assert "result" in (await running.done()).told


async def test_a_request_cancelled_twice_is_answered_once_and_leaves_its_task_unharmed():
    front = Front(Door(ALL, [held(asyncio.Event())]))
    session = await front.session()
    running = front.post("tools/call", session=session, name="slack__send", arguments={})
    await until(lambda: front.door.connectors[0].sent)
    living = front.sessions.find(session, None, transport="mcp", now=0)
    living.cancel(1)
    living.cancel(1)
    answer = await running.done()
    assert "cancelled" in answer.told["error"]["message"]
    assert answer.task is not None
    assert answer.task.cancelling() == 0
    assert not living.running
    assert not living.cancelled
    again = await front.post("tools/call", session=session, name="slack__read", arguments={}).done()
    assert "result" in again.told
    assert outcomes(front) == ["ok", "cancelled", "ok"]


async def test_a_cancellation_that_comes_after_the_answer_does_nothing():
    front = Front()
    session = await front.session()
    await front.post("tools/call", session=session, name="slack__read", arguments={}).done()
    await front.post("notifications/cancelled", id=None, session=session, requestId=1).done()
    again = await front.post("tools/call", session=session, name="slack__read", arguments={}).done()
    assert "result" in again.told


async def test_a_modern_client_that_leaves_cancels_its_call_and_leaves_one_entry():
    front = Front(Door(ALL, [held(asyncio.Event())]))
    running = front.modern("tools/call", name="slack__send", arguments={})
    await until(lambda: front.door.connectors[0].sent)
    running.leave()
    assert (await running.done()).sent == []
    assert outcomes(front) == ["cancelled"]


async def test_a_legacy_client_that_leaves_is_not_written_to_but_its_call_runs_on():
    gate = asyncio.Event()

    async def talking(sent: Sent) -> dict[str, Any]:
        sent.caller.tell(Notification("notifications/progress", {"progressToken": 1, "progress": 1}))
        await gate.wait()
        sent.caller.tell(Notification("notifications/progress", {"progressToken": 1, "progress": 2}))
        return echo(sent)

    front = Front(Door(ALL, [slack(answer=talking)]))
    params = {"name": "slack__send", "arguments": {}, "_meta": {"progressToken": 1}}
    running = front.post("tools/call", session=await front.session(), **params)
    await until(lambda: '"progress":1' in running.text)
    running.leave()
    await until(lambda: running.incoming.empty())
    gate.set()
    assert '"progress":2' not in (await running.done()).text
    assert outcomes(front) == ["ok", "ok"]


async def test_after_a_fault_nothing_more_is_written():
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    reply = Reply(send, stream=lambda: Stream(Subject(AMY), MAIN))
    with pytest.raises(Malformed):
        async with reply:
            raise Malformed("no")
    assert reply._timer.cancelled()
    assert sent == []


# -- identity over /messages


async def opened(front: Front, path: str = "/sse", **headers: str | None) -> tuple[Exchange, str]:
    """An event stream and its session id."""
    stream = front.open("GET", path, **headers)
    await until(lambda: "sessionId=" in stream.text)
    return stream, stream.text.partition("sessionId=")[2].partition("\n")[0]


async def test_a_session_id_of_one_transport_means_nothing_to_the_other():
    front = Front()
    _, event_stream = await opened(front)
    streamable = await front.session()
    assert (await front.post("ping", session=event_stream).done()).status == 404
    assert (await front.open("GET", "/mcp", mcp_session_id=event_stream).done()).status == 404
    assert (await front.open("DELETE", "/mcp", mcp_session_id=event_stream).done()).status == 404
    posted = await front.open("POST", f"/messages?sessionId={streamable}", message("ping")).done()
    assert posted.status == 404


async def test_the_id_is_the_credential_of_a_stream_opened_by_query_only_until_the_account_goes():
    front = Front()
    stream, id = await opened(front, f"/sse?apiKey={front.key()}", x_apikey=None)
    path = f"/messages?sessionId={id}"
    assert (await front.open("POST", path, message("ping"), x_apikey=None).done()).status == 202
    assert (await front.open("POST", path, message("ping"), x_apikey=front.key(BOB)).done()).status == 404
    assert (await front.open("POST", path, message("ping"), x_apikey="wrong").done()).status == 401
    assert (await front.open("POST", f"{path}&sessionId={id}", message("ping"), x_apikey=None).done()).status == 400
    await until(lambda: stream.text.count("data: ") == 2)
    front.door.dismiss(AMY)
    assert (await front.open("POST", path, message("ping"), x_apikey=None).done()).status == 401


async def test_every_message_of_an_event_stream_leaves_one_entry_and_one_answer():
    front = Front()
    stream, id = await opened(front)
    bodies = [
        message("ping", id=1),
        message("tools/call", id=2, name="slack__read", arguments={}),
        message("tools/call", id=3, name="slack__nothing", arguments={}),
        message("notifications/initialized", id=None),
        message("tools/destroy", id=4),
        b"no json",
        b"[]",
    ]
    for number, body in enumerate(bodies, 1):
        answer = await front.open("POST", f"/messages?sessionId={id}", body).done()
        assert answer.status == (202 if number < 6 else 400)
        await until(lambda number=number: len(front.door.entries) == number)
    await until(lambda: stream.text.count("event: message") == 4)
    ids = [json.loads(line[6:])["id"] for line in stream.text.splitlines() if line.startswith("data: {")]
    assert sorted(ids) == [1, 2, 3, 4]
    assert len(front.door.entries) == len(bodies)


async def test_a_client_that_leaves_before_it_is_told_that_its_message_was_taken_does_not_lose_it():
    front = Front(unread=0.01)
    stream, id = await opened(front)
    await front.open("POST", f"/messages?sessionId={id}", message("ping", id="p"), reads=False).done()
    await until(lambda: '"id":"p"' in stream.text)
    assert outcomes(front) == ["ok"]


async def test_what_the_client_calls_itself_and_asks_for_cannot_forge_a_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
):
    def failing(sent: Sent) -> dict[str, Any]:
        raise RuntimeError("broken")

    front = Front(Door(ALL, [slack(answer=failing)]))
    forged = "x\n2026-01-01 CRITICAL forged\x1b[31m"
    with caplog.at_level(logging.DEBUG):
        await front.open("POST", "/mcp", message(f"notifications/{forged}", id=None), **MODERN).done()
        await front.modern("tools/call", id=forged, name="slack__read", arguments={"a": forged}).done()
        await front.open("POST", "/mcp", message(forged), user_agent=forged).done()
    assert any("fault" in record.message for record in caplog.records)
    assert not [record for record in caplog.records if "forged" in record.message]


# -- the policy version


@pytest.mark.parametrize("begin", [Front.post, Front.modern])
async def test_an_answer_tells_the_policy_version_that_judged_it(begin):
    front = Front()
    session = await front.session() if begin is Front.post else None
    exchange = begin(front, "tools/list", **({} if session is None else {"session": session}))
    front.door.apply(ALL, version="5.9")  # after the request came in, before it is judged
    await exchange.done()
    assert exchange.headers["ostiary-policy"] == front.door.entries[-1].policy == "5.9"


async def test_a_stream_that_outlives_a_policy_tells_the_version_that_judged_its_call():
    gate = asyncio.Event()
    front = Front(Door(ALL, [held(gate)]))
    front.door.apply(ALL, version="4.1")
    exchange = front.modern("tools/call", name="slack__send", arguments={})
    await until(lambda: front.door.connectors[0].sent)
    front.door.apply(ALL, version="4.2")
    gate.set()
    await exchange.done()
    assert exchange.headers["ostiary-policy"] == front.door.entries[-1].policy == "4.1"


@pytest.mark.parametrize(("demand", "status"), [("2", 200), ("2.0", 200), ("3", 503), ("2.1", 503), ("soon", 400)])
async def test_a_request_may_demand_a_policy_version(demand: str, status: int):
    front = Front()
    front.door.apply(ALL, version="2.0")
    body = message("tools/list", _meta=MODERN_META)
    exchange = await front.open(
        "POST", "/mcp", body, **MODERN, mcp_method="tools/list", ostiary_policy_at_least=demand
    ).done()
    assert exchange.status == status
    if status != 200:
        assert demand in exchange.told["error"]["message"]
        assert len(front.door.entries) == 1


async def test_readiness_is_told_with_its_reasons_to_who_may_know():
    exchange = await Front(pages=pages(NOT_READY)).open("GET", "/ready", x_apikey=None).done()
    assert (exchange.status, exchange.told) == (503, {"ready": False})
    watched = Told(ready=False, watched=True)
    exchange = await Front(pages=pages(watched)).open("GET", "/ready", x_apikey=None).done()
    assert exchange.told == {"ready": False, "reasons": ["no policy was ever confirmed"]}
    assert (await Front(pages=pages(Told(ready=True))).open("GET", "/ready").done()).status == 200


async def test_a_message_of_an_older_client_may_demand_a_policy_version():
    front = Front()
    stream, id = await opened(front)
    note = message("notifications/cancelled", id=None, requestId=1)
    for demand, status in (("7", 503), ("1", 202)):
        posted = front.open("POST", f"/messages?sessionId={id}", note, ostiary_policy_at_least=demand)
        assert (await posted.done()).status == status
    stream.leave()
    await stream.done()


async def test_what_is_there_at_once_sets_no_clock(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.web.asgi.asyncio.timeout", None)

    async def ready() -> int:
        return 1

    assert await within(0.0, ready()) == 1


async def test_what_waits_is_gone_on_with_and_given_up_in_time():
    told: asyncio.Event = asyncio.Event()
    ended: list[str] = []

    async def waiting() -> str:
        try:
            await told.wait()
        finally:
            ended.append("ended")
        await asyncio.sleep(0)
        return "told"

    asyncio.get_running_loop().call_soon(told.set)
    assert await within(5.0, waiting()) == "told"
    told.clear()
    with pytest.raises(TimeoutError):
        await within(0.01, waiting())
    work = asyncio.create_task(within(5.0, waiting()))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert ended == ["ended"] * 3


async def test_a_fault_comes_from_where_it_was_raised():
    async def failing(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise ValueError(turns)

    for turns in range(3):
        with pytest.raises(ValueError, match=str(turns)):
            await within(5.0, failing(turns))
