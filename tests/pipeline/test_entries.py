"""Every call leaves exactly one audit entry, whatever becomes of it, and no secret in any."""

import asyncio
from contextlib import suppress

import pytest

from connectors.base import UpstreamError
from gateway.errors import (
    Fault,
    Malformed,
    NotConnected,
    Unauthenticated,
    Unavailable,
    Unknown,
    UpstreamFailed,
)
from gateway.mcp.terms import Call, Era, Kind, Notification, Params, Request, Response, Step
from gateway.policy.terms import MAIN
from tests.builders import (
    ALL,
    AMY,
    BOB,
    LEGACY_VERSION,
    NOON,
    ORIGIN,
    Door,
    call,
    classified,
    refused,
)
from tests.fakes import FakeConnector, Sent, prompt, raising, slack, template


@pytest.mark.parametrize(
    ("answer", "outcome", "error", "told"),
    [
        ({"content": []}, "ok", "", None),
        ({"content": [], "isError": True}, "tool_error", "", None),
        (raising(UpstreamFailed("the server hung", detail="secret detail")), "upstream_failed", "-31005", None),
        (raising(NotConnected("connect first")), "not_connected", "-31004", None),
        (raising(UpstreamError(-32011, "theirs", {"why": 1})), "upstream_error", "-32011", UpstreamError),
        (raising(RuntimeError("hunter2")), "fault", "-32603", Fault),
        ({"content": [], "resultType": "task"}, "upstream_failed", "-31005", None),
        (raising(asyncio.CancelledError()), "cancelled", "", asyncio.CancelledError),
    ],
)
async def test_each_call_leaves_one_entry_whatever_becomes_of_it(answer, outcome, error, told):
    door = Door(ALL, [slack(answer=answer if callable(answer) else lambda _: answer)])
    if told is None:
        await door.use(AMY, "slack__read")
    else:
        with pytest.raises(told):
            await door.use(AMY, "slack__read")
    assert [(entry.outcome, entry.error) for entry in door.entries] == [(outcome, error)]
    assert door.last.object == "slack/read"
    assert door.last.allowed is True


async def test_a_failure_that_several_calls_share_is_told_to_each_with_its_own_reference():
    door = Door(ALL, [FakeConnector("c", [prompt("p")], answer=raising(UpstreamFailed("the server hung")))])
    told = []
    for email in (AMY, BOB):
        refusal = await refused(door, email, call("prompts/get", name="c__p"))
        told.append(refusal.data)
    assert told == [{"reference": entry.id} for entry in door.entries]


async def test_a_running_call_that_is_cancelled_is_recorded_and_stays_cancelled():
    reached = asyncio.Event()

    async def forever(sent: Sent) -> Params:
        reached.set()
        await asyncio.Event().wait()
        return {}

    door = Door(ALL, [slack(answer=forever)])
    running = asyncio.create_task(door.use(AMY, "slack__read"))
    await asyncio.wait_for(reached.wait(), 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
    assert [entry.outcome for entry in door.entries] == ["cancelled"]


async def test_a_fault_of_ours_is_told_neutrally_and_logged_once(caplog: pytest.LogCaptureFixture):
    door = Door(ALL, [slack(answer=raising(RuntimeError("hunter2")))])
    fault = await refused(door, AMY, call("tools/call", name="slack__read"))
    assert fault.text == f"internal error (reference {door.last.id})"
    assert "hunter2" not in str(door.last)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert door.last.id in caplog.text
    assert "hunter2" in caplog.text


async def test_an_entry_says_who_did_what_and_why_it_was_decided_so():
    door = Door(f"# people write\n{ALL}", [slack()])
    amy = door.person(AMY)
    asked = call("tools/call", name="slack__send", arguments={"channel": "#help"}, session="a-session")
    await door.handle(AMY, asked)
    entry = door.last
    assert (entry.subject, entry.credential, entry.node) == (f"user:{AMY}", amy.credential, "node-1")
    assert (entry.address, entry.transport, entry.client) == ("203.0.113.7", "mcp", "test/1")
    assert (entry.domain, entry.method, entry.request_id) == ("main", "tools/call", str(asked.message.id))
    assert (entry.owner, entry.object, entry.action) == (f"user:{AMY}", "slack/send", "write")
    assert (entry.allowed, entry.reason, entry.rule, entry.policy) == (True, "allowed", "policies/rules.csv:2", "1.0")
    assert entry.at == NOON
    assert entry.took > 0


async def test_no_secret_gets_into_an_entry():
    rows = f"{ALL}\np, *, *, *, *, write, args.channel == '#closed', deny"
    reads = FakeConnector("web", [template("https://{x}")])
    door = Door(rows, [slack(), reads])
    secret = "hunter2-hunter2"
    session = "session-hunter2-hunter2"
    await door.handle(
        AMY, call("tools/call", name="slack__send", arguments={"channel": "#help", "text": secret}, session=session)
    )
    assert door.last.arguments == {"/channel": '"#help"'}
    assert list(door.last.hashed) == ["/text"]
    for uri in (f"https://u:{secret}@host/a?token={secret}", f"nowhere://?key={secret}"):
        with suppress(Unknown):
            await door.ask(AMY, "resources/read", uri=uri)
    await door.use(AMY, "slack__send", channel=secret, text=[secret])
    for entry in door.entries:
        shown = {**entry.arguments, "/channel": ""}
        assert secret not in str(entry).replace(str(entry.arguments), str(shown))


async def test_what_expects_no_answer_is_recorded_as_well():
    door = Door()
    assert await door.handle(AMY, classified(Notification("notifications/initialized"))) == {}
    assert await door.handle(AMY, classified(Response(7, result={}))) == {}
    assert [entry.method for entry in door.entries] == ["notifications/initialized", "response"]


async def test_nothing_is_begun_that_cannot_be_recorded():
    door = Door(ALL, [chat := slack()])
    door.ledger.full = True
    assert isinstance(await refused(door, AMY, call("tools/call", name="slack__read")), Unavailable)
    assert chat.opened == []
    assert [entry.outcome for entry in door.entries] == ["unavailable"]


async def test_a_refusal_before_the_call_leaves_one_entry_and_one_that_has_its_own_leaves_none():
    door = Door(ALL, [slack()])
    await door.pipeline.refuse(Malformed("no"), ORIGIN, domain=MAIN, subject=door.person(AMY), method="tools/call")
    assert (door.last.outcome, door.last.error, door.last.subject) == ("malformed", "-32600", f"user:{AMY}")
    await door.pipeline.refuse(Unauthenticated("no"), ORIGIN, domain="x" * 5_000)
    assert (door.last.subject, len(door.last.domain)) == ("", 200)
    told = await refused(door, AMY, call("tools/call", name="slack__nothing"))
    await door.pipeline.refuse(told, ORIGIN, domain=MAIN)
    assert len(door.entries) == 3


async def test_a_method_that_the_door_does_not_know_is_refused():
    door = Door(ALL, [slack()])
    asked = Call(
        Request(1, "tools/destroy"), Step.USE, Era.LEGACY, LEGACY_VERSION, MAIN, "mcp", Kind.TOOL, "slack__read"
    )
    unknown = await refused(door, AMY, asked)
    assert (type(unknown), unknown.code) == (Unknown, -32601)
    nameless = Call(Request(1, "tools/call"), Step.USE, Era.LEGACY, LEGACY_VERSION, MAIN, "mcp")
    assert isinstance(await refused(door, AMY, nameless), Unknown)


async def test_a_server_that_does_not_exist_is_unknown():
    door = Door(ALL, [slack()])
    assert (await refused(door, AMY, call("tools/list", domain="nowhere"))).status == 404
