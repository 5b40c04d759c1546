"""Calls of users' tools that take several rounds: questions, tasks, and what is changed meanwhile."""

import pytest

from gateway.errors import Malformed, Unknown
from gateway.mcp.terms import CAPABILITIES_KEY, Era
from tests.builders import AMY, BOB, Door, call, refused
from tests.fakes import ANSWERS, ELICITATION, FORM, Client, asking, requiring, tool
from tests.pipeline.bridging import NAME, answered, post, refusal_of, told
from tests.pipeline.making import schema, wrapper
from tests.pipeline.test_custom import MINE, SLACK, door_of, lent, slack
from tests.pipeline.test_tasks import ABLE, CORE, EXTENSION, modern, newer, older

MADE = {"name": "post", "arguments": {"text": "x"}}
RUNNABLE = tool("send", schema=schema("text", "channel"), execution={"taskSupport": "optional"})

CHANGES = {
    "another target": wrapper(calls="slack/tell", made=1, rev=2),
    "another fixed argument": wrapper(args={"channel": "#all"}, rev=2),
    "another argument that passes": wrapper(takes=schema("text", "channel"), rev=2),
    "a new tool of that name": wrapper(made=2, rev=1),
}


def over(answer, **more) -> Door:
    items = (RUNNABLE, tool("tell", schema=schema("text", "channel")))
    door = door_of(MINE, SLACK, connectors=[slack(*items, answer=answer, **more)])
    door.make(wrapper())
    return door


def sent(door: Door):
    return [each.params for each in door.directory.connectors("main")[0].sent]


@pytest.mark.parametrize("era", Era)
async def test_a_question_of_the_target_is_asked_and_its_answer_brought_back(era):
    answer = requiring((NAME, "s")) if era is Era.MODERN else asking(list(NAME.values()))
    door = over(answer, era=era)
    asked = await post(door, **MADE)
    assert door.last.outcome == "input_required"
    first = told(await post(door, **MADE, **answered(asked)))[0]
    assert (first["name"] if era is Era.MODERN else first) == ANSWERS[ELICITATION]
    assert all((each["name"], each["arguments"]) == ("send", {"text": "x"}) for each in sent(door))


async def test_a_legacy_client_is_asked_while_the_call_runs():
    door, client = over(asking([(ELICITATION, FORM)])), Client({"elicitation": {}})
    asked = call("tools/call", **MADE)
    assert told(await door.handle(AMY, asked, caller=client)) == [ANSWERS[ELICITATION]]
    assert [method for method, _ in client.asked] == [ELICITATION]


@pytest.mark.parametrize("era", Era)
@pytest.mark.parametrize("change", CHANGES)
async def test_answers_count_for_the_very_tool_that_was_called_and_for_none_that_took_its_name(change, era):
    answer = requiring((NAME, "s")) if era is Era.MODERN else asking(list(NAME.values()))
    door = over(answer, era=era)
    asked = await post(door, **MADE)
    door.make(CHANGES[change])
    assert isinstance(await refusal_of(post(door, **MADE, **answered(asked))), Malformed)
    assert len(sent(door)) == 1
    door.make(wrapper(description="other words", rev=3))
    assert told(await post(door, **MADE, **answered(asked)))


async def test_answers_do_not_count_for_anothers_tool_of_that_name():
    door = door_of(MINE, SLACK, lent(), connectors=[slack(answer=requiring((NAME, "s")), era=Era.MODERN)])
    door.make(wrapper())
    asked = await post(door, BOB, **MADE)
    door.make(wrapper(maker=BOB))
    assert isinstance(await refusal_of(post(door, BOB, **MADE, **answered(asked))), Malformed)


# -- tasks


async def begun(door: Door, email: str = AMY) -> str:
    return (await door.ask(email, "tools/call", **MADE, task={"ttl": 60_000}))["task"]["taskId"]


async def test_a_call_is_run_as_a_task_where_its_target_can_be():
    door = over(older, capabilities=CORE)
    id = await begun(door)
    assert door.last.outcome == "task"
    assert (await door.ask(AMY, "tasks/get", taskId=id))["status"] == "working"
    assert (door.last.object, door.last.asked.calls.object) == ("custom/post", "slack/send")
    assert (await door.ask(AMY, "tasks/result", taskId=id))["content"][0]["text"] == "done"
    assert [each["taskId"] for each in (await door.ask(AMY, "tasks/list"))["tasks"]] == [id]
    door.make(wrapper("told", calls="slack/tell"))
    unable = call("tools/call", name="told", arguments={"text": "x"}, task={})
    assert isinstance(await refused(door, AMY, unable), Unknown)


async def test_a_task_of_the_modern_era_is_made_and_asked_about():
    door = over(newer, capabilities=EXTENSION, era=Era.MODERN)
    made = await door.handle(
        AMY, call("tools/call", era=Era.MODERN, _meta={CAPABILITIES_KEY: ABLE}, **MADE), caller=Client(ABLE)
    )
    assert (await modern(door, "tasks/get", taskId=made["taskId"]))["status"] == "input_required"


@pytest.mark.parametrize("change", [*CHANGES, "the row for the tool", "the row for the target", "its record"])
async def test_a_task_is_unknown_when_the_call_that_made_it_could_not_be_made_any_more(change):
    door = over(older, capabilities=CORE)
    id = await begun(door)
    match change:
        case "the row for the tool":
            door.apply(SLACK)
        case "the row for the target":
            door.apply(MINE)
        case "its record":
            door.make(gone=[wrapper().id])
        case _:
            door.make(CHANGES[change])
    for method in ("tasks/get", "tasks/result", "tasks/cancel"):
        assert isinstance(await refused(door, AMY, call(method, taskId=id)), Unknown)
    assert (await door.ask(AMY, "tasks/list"))["tasks"] == []
    assert len(sent(door)) == 1
    if change not in ("the row for the tool", "the row for the target"):
        door.make(wrapper(description="other words", rev=3))
        assert (await door.ask(AMY, "tasks/get", taskId=id))["status"] == "working"


async def test_a_task_outlives_that_its_tool_is_called_otherwise_by_now():
    door = door_of(MINE, SLACK, lent(), connectors=[slack(RUNNABLE, answer=older, capabilities=CORE)])
    door.make(wrapper())
    id = await begun(door, BOB)
    door.make(wrapper(maker=BOB))
    assert (await door.ask(BOB, "tasks/get", taskId=id))["status"] == "working"
    assert door.last.owner == f"user:{AMY}"
