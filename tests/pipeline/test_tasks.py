"""Tasks of both eras pass the gateway under ids of its own, bound to whoever made them and to what made them."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import UpstreamError
from gateway.catalogue import Server
from gateway.errors import Incapable, InvalidArguments, Malformed, Unknown, UpstreamFailed
from gateway.mcp import tasks as words
from gateway.mcp.questions import TASKS
from gateway.mcp.terms import CAPABILITIES_KEY, Era, Notification, Params, Request
from gateway.pipeline.task_steps import AT_ONCE, LISTED
from gateway.pipeline.tasks import LIVES_MS, PER_SUBJECT_BYTES, Tasks
from tests.builders import ALL, AMY, BOB, NOON, SERVER_INFO, Door, call, classified, refused
from tests.fakes import CAPABILITIES, FORM, Client, FakeConnector, Sent, tool

CORE: Params = {**CAPABILITIES, "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}}
EXTENSION: Params = {**CAPABILITIES, "extensions": {TASKS: {}}}
ABLE: Params = {"extensions": {TASKS: {}}, "elicitation": {"form": {}}}
ASKED: Params = {"message": "Who?", "requestedSchema": {}}
HELP_ONLY = "p, user:*, main, self, c/*, write, args.channel == '#help', allow"


def standing(id: str, status: str = "working", **more) -> Params:
    return {"taskId": id, "status": status, "createdAt": "2026-11-23T12:00:00Z", "ttl": 60_000, **more}


def older(sent: Sent) -> Params:
    """A server of 2025-11-25 with one task, ``theirs``."""
    related = {words.RELATED: {"taskId": "theirs"}}
    match sent.method:
        case "tools/call" if "task" in sent.params:
            return {"task": standing("theirs"), "_meta": {"io.modelcontextprotocol/model-immediate-response": "soon"}}
        case "tasks/get" | "tasks/cancel":
            assert sent.params["taskId"] == "theirs"
            return standing("theirs", "cancelled" if sent.method == "tasks/cancel" else "working")
        case "tasks/result":
            return {"content": [{"type": "text", "text": "done"}], "_meta": related}
    return {"content": []}


def newer(sent: Sent) -> Params:
    """A server with the extension and one task, ``theirs``, that asks for a name."""
    match sent.method:
        case "tools/call":
            return {**standing("theirs"), "resultType": "task"}
        case "tasks/get":
            question = {"method": "elicitation/create", "params": {**ASKED, "_meta": {"progressToken": 1}}}
            return {
                **standing("theirs", "input_required"),
                "resultType": "complete",
                "inputRequests": {"name": question},
            }
    return {"resultType": "complete"}


def over(answer, capabilities: Params, era: Era, *, rows: str = ALL, support: str = "optional") -> Door:
    offered = [tool("t", execution={"taskSupport": support})]
    return Door(rows, [FakeConnector("c", offered, answer, capabilities=capabilities, era=era)])


@pytest.fixture
def core():
    return over(older, CORE, Era.LEGACY)


@pytest.fixture
def extension():
    return over(newer, EXTENSION, Era.MODERN)


async def begun(door: Door, email: str = AMY, **arguments) -> str:
    made = await door.ask(email, "tools/call", name="c__t", arguments=arguments, task={"ttl": 60_000})
    return made["task"]["taskId"]


async def modern(door: Door, method: str, email: str = AMY, *, able: Params = ABLE, **params) -> Params:
    asked = call(method, era=Era.MODERN, _meta={CAPABILITIES_KEY: able}, **params)
    return await door.handle(email, asked, caller=Client(able))


# -- 2025-11-25


async def test_a_call_that_is_run_as_a_task_answers_at_once_under_an_id_of_ours(core):
    made = await core.ask(AMY, "tools/call", name="c__t", arguments={}, task={"ttl": 60_000})
    assert made["task"] == standing(made["task"]["taskId"])
    assert made["task"]["taskId"] != "theirs"
    assert made["_meta"] == {"io.modelcontextprotocol/model-immediate-response": "soon"}
    assert core.last.outcome == "task"
    (connector,) = core.connectors
    assert connector.sent[-1].params == {"name": "t", "arguments": {}, "task": {"ttl": 60_000}}


async def test_how_a_task_stands_its_result_and_its_end_are_told_under_that_id(core):
    id = await begun(core)
    assert await core.ask(AMY, "tasks/get", taskId=id) == standing(id)
    result = await core.ask(AMY, "tasks/result", taskId=id)
    assert result == {"content": [{"type": "text", "text": "done"}], "_meta": {words.RELATED: {"taskId": id}}}
    assert (await core.ask(AMY, "tasks/list"))["tasks"] == [standing(id)]
    assert await core.ask(AMY, "tasks/cancel", taskId=id) == standing(id, "cancelled")
    assert (core.last.object, core.last.allowed) == ("c/t", True)


async def test_what_a_task_says_and_asks_meanwhile_names_it_by_that_id_too(core):
    client = Client({"elicitation": {}})
    id = await begun(core)
    related = {words.RELATED: {"taskId": "theirs"}}

    async def asking(sent: Sent) -> Params:
        sent.caller.tell(Notification("notifications/message", {"level": "error", "data": 1, "_meta": related}))
        return await sent.caller.ask("elicitation/create", {**FORM, "_meta": related})

    core.connectors[0].answer = asking
    await core.handle(AMY, call("tasks/result", taskId=id), caller=client)
    told, asked = client.heard[0].params, client.asked[0][1]
    assert told["_meta"] == asked["_meta"] == {words.RELATED: {"taskId": id}}


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/cancel"])
async def test_a_task_of_another_answers_like_one_that_never_was(core, method):
    id = await begun(core)
    foreign = await refused(core, BOB, call(method, taskId=id))
    missing = await refused(core, BOB, call(method, taskId=id[::-1]))
    assert isinstance(foreign, Unknown)
    assert (foreign.code, foreign.text.replace(id, "X")) == (missing.code, missing.text.replace(id[::-1], "X"))
    assert (await core.ask(BOB, "tasks/list"))["tasks"] == []
    assert len(core.connectors[0].sent) == 1


async def test_a_task_belongs_to_the_server_on_which_it_was_made():
    offered = [tool("t", execution={"taskSupport": "optional"})]
    door = Door(ALL, [FakeConnector("c", offered, older, capabilities=CORE)], [Server("other", ("c",))])
    id = await begun(door)
    assert "unknown task" in (await refused(door, AMY, call("tasks/get", domain="other", taskId=id))).text
    assert (await door.ask(AMY, "tasks/get", taskId=id))["taskId"] == id


async def test_a_task_is_asked_about_only_while_its_very_call_is_allowed():
    door = over(older, CORE, Era.LEGACY, rows=HELP_ONLY)
    id = await begun(door, channel="#help")
    assert (await door.ask(AMY, "tasks/get", taskId=id))["status"] == "working"
    door.apply("p, user:*, main, self, c/*, write, args.channel == '#other', allow")
    reached = len(door.connectors[0].sent)
    for method in ("tasks/get", "tasks/result", "tasks/cancel"):
        refusal = await refused(door, AMY, call(method, taskId=id))
        assert "unknown task" in refusal.text
        assert door.last.allowed is False
    assert (await door.ask(AMY, "tasks/list"))["tasks"] == []
    assert len(door.connectors[0].sent) == reached


async def test_a_task_that_its_server_forgot_is_not_listed(core):
    await begun(core)
    answers = iter([UpstreamError(-32602, "no such task")])

    def gone(sent: Sent) -> Params:
        raise next(answers)

    core.connectors[0].answer = gone
    assert (await core.ask(AMY, "tasks/list"))["tasks"] == []


async def test_a_tool_that_cannot_be_a_task_says_so_and_is_not_called():
    door = over(older, CORE, Era.LEGACY, support="forbidden")
    asked = call("tools/call", name="c__t", arguments={}, task={})
    assert (await refused(door, AMY, asked)).code == -32601
    assert door.connectors[0].sent == []


async def test_where_nobody_offers_tasks_a_wish_for_one_is_ignored():
    door = over(older, CAPABILITIES, Era.LEGACY)
    assert await door.ask(AMY, "tools/call", name="c__t", arguments={}, task={"ttl": 5}) == {"content": []}
    assert "task" not in door.connectors[0].sent[-1].params


@pytest.mark.parametrize("task", [5, {"ttl": "long"}, {"ttl": -1}, {"ttl": True}])
async def test_a_wish_for_a_task_that_cannot_be_read_is_refused(core, task):
    result = await core.ask(AMY, "tools/call", name="c__t", arguments={}, task=task)
    assert result["isError"] is True
    assert "`task`: must be an object" in result["content"][0]["text"]
    assert core.last.outcome == InvalidArguments.kind


async def test_sessions_of_other_revisions_have_no_tasks(core):
    id = await begun(core)
    headers = {"mcp-protocol-version": "2025-06-18"}
    for method in ("tasks/get", "tasks/list"):
        asked = classified(Request(1, method, {"taskId": id}), headers=headers)
        assert (await refused(core, AMY, asked)).code == -32601
    wish = Request(2, "tools/call", {"name": "c__t", "arguments": {}, "task": {}})
    assert await core.handle(AMY, classified(wish, headers=headers)) == {"content": []}


async def test_a_list_tells_of_the_newest_tasks_and_asks_about_few_of_them_at_a_time(core):
    ids = [await begun(core) for _ in range(LISTED + 5)]
    under_way, most = 0, 0

    async def slowly(sent: Sent) -> Params:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return standing("theirs")

    core.connectors[0].answer = slowly
    assert [each["taskId"] for each in (await core.ask(AMY, "tasks/list"))["tasks"]] == ids[-LISTED:]
    assert most == AT_ONCE


async def test_tasks_of_the_other_era_leave_room_in_a_list():
    def both(sent: Sent) -> Params:
        return (newer if sent.method == "tools/call" and "task" not in sent.params else older)(sent)

    door = over(both, {**CORE, **EXTENSION}, Era.MODERN)
    id = await begun(door)
    for _ in range(LISTED):
        await modern(door, "tools/call", name="c__t", arguments={})
    assert (await door.ask(AMY, "tasks/list"))["tasks"] == [standing(id)]


@pytest.mark.parametrize("theirs", [None, 5, "", "x" * (words.MAX_ID + 1)])
async def test_a_task_that_nobody_could_ask_about_is_a_failure_of_its_server(core, extension, theirs):
    core.connectors[0].answer = lambda _: {"task": standing(theirs)}
    older_told = await core.ask(AMY, "tools/call", name="c__t", arguments={}, task={})
    extension.connectors[0].answer = lambda _: {**standing(theirs), "resultType": "task"}
    newer_told = await modern(extension, "tools/call", name="c__t", arguments={})
    for door, told in ((core, older_told), (extension, newer_told)):
        assert "does not name" in told["content"][0]["text"]
        assert not told.keys() & {"task", "taskId"}
        assert (told["isError"], door.last.outcome) == (True, UpstreamFailed.kind)
    assert newer_told["resultType"] == "complete"


async def test_a_task_may_have_the_longest_id(core):
    core.connectors[0].answer = lambda _: {"task": standing("x" * words.MAX_ID)}
    assert len(await begun(core)) == 32


async def test_a_list_of_tasks_has_one_page(core):
    assert "one page" in (await refused(core, AMY, call("tasks/list", cursor="x"))).text


# -- the extension


async def test_a_server_may_give_a_task_to_a_client_that_understands(extension):
    made = await modern(extension, "tools/call", name="c__t", arguments={})
    id = made["taskId"]
    assert made["resultType"] == "task"
    assert made["_meta"]["io.modelcontextprotocol/serverInfo"] == SERVER_INFO
    assert id != "theirs"
    stands = await modern(extension, "tasks/get", taskId=id)
    assert (stands["taskId"], stands["resultType"], stands["status"]) == (id, "complete", "input_required")
    assert stands["inputRequests"] == {"name": {"method": "elicitation/create", "params": ASKED}}
    answers = {"name": {"action": "accept", "content": {"name": "Ada"}}}
    assert (await modern(extension, "tasks/update", taskId=id, inputResponses=answers))["resultType"] == "complete"
    sent = extension.connectors[0].sent[-1]
    assert (sent.method, sent.params["taskId"], sent.params["inputResponses"]) == ("tasks/update", "theirs", answers)
    assert (await modern(extension, "tasks/cancel", taskId=id))["resultType"] == "complete"


@pytest.mark.parametrize("answers", [{"name": 5}, {str(n): {"action": "decline"} for n in range(257)}])
async def test_answers_to_what_a_task_asks_keep_the_bounds_of_all_answers(extension, answers):
    id = (await modern(extension, "tools/call", name="c__t", arguments={}))["taskId"]
    with pytest.raises(Malformed, match="`inputResponses`"):
        await modern(extension, "tasks/update", taskId=id, inputResponses=answers)
    assert len(extension.connectors[0].sent) == 1


async def test_a_client_is_told_what_it_lacks_when_a_task_asks_more_than_it_declared(extension):
    id = (await modern(extension, "tools/call", name="c__t", arguments={}))["taskId"]
    with pytest.raises(Incapable) as caught:
        await modern(extension, "tasks/get", able={"extensions": {TASKS: {}}}, taskId=id)
    assert caught.value.data == {"requiredCapabilities": {"elicitation": {"form": {}}}}


@pytest.mark.parametrize(("method", "more"), [("get", {}), ("cancel", {}), ("update", {"inputResponses": {}})])
async def test_a_client_without_the_extension_is_told_so_whether_there_is_such_a_task_or_not(extension, method, more):
    id = (await modern(extension, "tools/call", name="c__t", arguments={}))["taskId"]
    for each in (id, "never-was"):
        with pytest.raises(Incapable) as caught:
            await modern(extension, f"tasks/{method}", able={"extensions": {}}, taskId=each, **more)
        assert caught.value.data == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    assert [sent.method for sent in extension.connectors[0].sent] == ["tools/call"]


async def test_changes_of_tasks_are_not_announced_and_may_be_wished_for_with_the_extension_only(extension):
    wish = {"taskIds": ["any"], "toolsListChanged": True}
    assert "taskIds" not in await modern(extension, "subscriptions/listen", notifications=wish)
    with pytest.raises(Incapable) as caught:
        await modern(extension, "subscriptions/listen", able={}, notifications=wish)
    assert caught.value.data == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    assert await modern(extension, "subscriptions/listen", able={}, notifications={**wish, "taskIds": []}) == {
        "toolsListChanged": True
    }


async def test_a_task_belongs_to_the_era_in_which_it_was_made(extension, core):
    id = (await modern(extension, "tools/call", name="c__t", arguments={}))["taskId"]
    assert "unknown task" in (await refused(extension, AMY, call("tasks/get", taskId=id))).text
    older_id = await begun(core)
    with pytest.raises(Unknown, match="unknown task"):
        await modern(core, "tasks/get", taskId=older_id)


async def test_a_client_of_the_legacy_era_cannot_declare_the_extension(extension):
    client = Client(ABLE)
    await extension.handle(AMY, call("tasks/list"), caller=client)
    extension.connectors[0].answer = lambda sent: {"content": [], "resultType": "complete"}
    await extension.handle(AMY, call("tools/call", name="c__t", arguments={}), caller=client)
    assert "extensions" not in extension.connectors[0].sent[-1].caller.capabilities


async def test_each_era_is_offered_its_own_tasks(core, extension):
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}}
    assert (await core.ask(AMY, "initialize", **hello))["capabilities"]["tasks"] == CORE["tasks"]
    older_hello = {**hello, "protocolVersion": "2025-06-18"}
    assert "tasks" not in (await core.ask(AMY, "initialize", **older_hello))["capabilities"]
    assert "extensions" not in (await extension.ask(AMY, "initialize", **hello))["capabilities"]
    found = (await modern(extension, "server/discover"))["capabilities"]
    assert found["extensions"] == {TASKS: {}}
    assert "tasks" not in (await modern(core, "server/discover"))["capabilities"]


# -- whose they are


def kept(held: Tasks, who: str, now: int = NOON, **arguments) -> str:
    task = held.keep(
        principal=who,
        domain="main",
        connector="c",
        owner=who,
        credential="",
        tool="c__t",
        arguments=arguments,
        era=Era.LEGACY,
        theirs="x",
        now=now,
    )
    return task.id


def test_a_task_is_forgotten_after_a_day():
    held = Tasks()
    id = kept(held, "a")
    assert held.find(id, "a", "main", NOON + LIVES_MS - 1)
    assert held.find(id, "a", "main", NOON + LIVES_MS) is None
    assert held.of("a", "main", NOON) == []


def test_the_arguments_of_one_subjects_tasks_are_bounded_in_size_together():
    held = Tasks()
    other = kept(held, "b", x="x" * (PER_SUBJECT_BYTES // 2))
    first, second, third = (kept(held, "a", x="x" * (PER_SUBJECT_BYTES // 3)) for _ in range(3))
    assert held.find(first, "a", "main", NOON) is None
    assert [task.id for task in held.of("a", "main", NOON)] == [second, third]
    assert held.find(other, "b", "main", NOON)


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_however_many_are_made_each_has_his_newest_and_nobody_anothers(makers):
    held = Tasks(per_subject=3, most=7)
    made: dict[str, list[str]] = {}
    for who in makers:
        made.setdefault(who, []).append(kept(held, who))
    for who, other in itertools.product("abc", repeat=2):
        mine = [task.id for task in held.of(who, "main", NOON)]
        assert mine == made.get(who, [])[len(made.get(who, [])) - len(mine) :]
        assert len(mine) <= 3
        assert who == other or all(held.find(id, other, "main", NOON) is None for id in mine)
    assert sum(len(held.of(who, "main", NOON)) for who in "abc") == min(
        7, sum(min(3, len(each)) for each in made.values())
    )
