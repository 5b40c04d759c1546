"""The gateway's own tools at the door: shown to whom some call could be allowed, and judged as what they do."""

import asyncio
import json
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.builtins.terms import Answer, Builtin, Could, Whose
from gateway.catalogue import Server
from gateway.errors import Denied, Fault, InvalidArguments, Limited, Refusal, Unavailable, Unknown
from gateway.manage.asking import Asker, Operation
from gateway.mcp.cursors import Bounds
from gateway.mcp.names import META_NAMES
from gateway.mcp.terms import Era, Params
from gateway.policy.terms import MAIN, SYSTEM
from tests.builders import AMY, BOB, ORIGIN, Door, call, refused, text_of
from tests.fakes import FakeConnector, prompt, tool

SCHEMA: Params = {
    "type": "object",
    "properties": {"email": {"type": "string"}, "role": {"type": "string"}},
    "additionalProperties": False,
}
PEOPLE = Could("gateway/users", "manage")
OWN_KEYS = Could("gateway/keys", "manage", Whose.OWN)
MANAGES = "p, user:*, main, *, gateway/users, manage, , allow"
RESETS = "p, user:*, main, self, gateway/keys, manage, , allow"


async def keep(asker: Asker, args: Params) -> Answer:
    """Asks about the account that is named, and does nothing more."""
    email, role = args.get("email", AMY), args.get("role", "user")
    owner = email if email == SYSTEM else f"user:{email}"
    asker.allow(Operation("users.update", "gateway/users", "manage", owner, {"roles": role.split()}))
    return Answer({"email": email}, f"kept {email}", ("ask again",))


def builtin(name: str = "keep-user", does: Any = keep, *could: Could, stays: bool = False) -> Builtin:
    return Builtin(name, f"Title of {name}", f"Does {name}.", SCHEMA, {}, could or (PEOPLE,), does, stays)


def asking(*operations: Operation, then: Callable[[], Answer] = lambda: Answer(None, "done")) -> Any:
    """A tool that asks these, one after the other."""

    async def does(asker: Asker, _: Params) -> Answer:
        for each in operations:
            asker.allow(each)
        return then()

    return does


def told(result: Params) -> Any:
    assert "isError" not in result, text_of(result)
    return json.loads(text_of(result))


# -- who sees them


async def test_they_stand_before_everything_else_in_order_of_name_and_on_the_main_server_alone():
    connector = FakeConnector("c", [tool("own")])
    door = Door(
        f"{MANAGES}\np, user:*, *, self, c/*, write, , allow",
        [connector],
        servers=[Server("side", ("c",))],
        builtins=[builtin("b-user"), builtin("a-user")],
    )
    assert await door.tools(AMY) == ["a-user", "b-user", "c__own"]
    assert await door.tools(AMY, domain="side") == ["c__own"]
    refusal = await refused(door, AMY, call("tools/call", domain="side", name="a-user", arguments={}))
    assert (type(refusal), refusal.text) == (Unknown, "unknown tool: `a-user`")


async def test_what_a_list_shows_of_them_is_what_clients_know_of_tools():
    door = Door(MANAGES, builtins=[builtin()])
    [shown] = (await door.ask(AMY, "tools/list"))["tools"]
    assert shown == {
        "name": "keep-user",
        "title": "Title of keep-user",
        "description": "Does keep-user.",
        "inputSchema": SCHEMA,
        "annotations": {},
    }


@pytest.mark.parametrize(
    ("could", "row", "seen"),
    [
        (PEOPLE, MANAGES, True),
        (PEOPLE, "", False),
        (PEOPLE, f"p, user:{BOB}, main, *, gateway/users, manage, , allow", False),
        (PEOPLE, MANAGES.replace("main", "*"), True),
        (PEOPLE, MANAGES.replace("manage", "inspect"), False),
        (PEOPLE, f"p, user:*, main, user:{BOB}, gateway/users, manage, , allow", True),
        (PEOPLE, "p, user:*, main, system, gateway/users, manage, , allow", True),
        (PEOPLE, "p, user:*, main, *, gateway/users, manage, every(args.roles, it in ['user']), allow", True),
        (PEOPLE, "p, user:*, main, *, gateway/users, manage, args.roles == 'a' and args.roles == 'b', allow", False),
        (PEOPLE, "p, user:*, main, *, gateway/users, manage, some(owner.roles, it == 'guest'), allow", True),
        (PEOPLE, f"{MANAGES}\np, user:*, *, *, gateway/*, manage, some(owner.roles, it == 'admin'), deny", True),
        (PEOPLE, f"{MANAGES}\np, user:*, *, *, gateway/*, manage, , deny", False),
        (OWN_KEYS, RESETS, True),
        (OWN_KEYS, RESETS.replace("self", "system"), False),
        (OWN_KEYS, RESETS.replace("self", "*"), True),
        (Could("custom/*", "manage"), f"p, user:*, main, user:{BOB}, custom/report, manage, , allow", True),
        (Could("custom/*", "manage"), "p, user:*, main, self, custom/prompt:*, manage, , allow", False),
        (Could("custom/prompt:*", "manage"), "p, user:*, main, self, custom/prompt:*, manage, , allow", True),
        (Could("custom/*", "share"), "p, user:*, main, self, custom/*, share, args.level == 'read', allow", True),
    ],
)
async def test_one_is_listed_and_can_be_called_by_whom_some_call_of_it_could_be_allowed(could, row, seen):
    door = Door(row, builtins=[builtin("it", asking(), could)])
    assert await door.tools(AMY) == (["it"] if seen else [])
    outcome = await refused(door, AMY, call("tools/call", name="it", arguments={}))
    assert isinstance(outcome, Fault if seen else Unknown), "what is seen was called, and did not ask"


async def test_what_every_question_of_a_tool_has_is_known_when_it_is_listed():
    row = f"p, user:*, main, user:{BOB}, custom/report, manage, args.operation == 'update', allow"
    tools = [
        builtin(f"{word}-tool", keep, Could("custom/*", "manage", known={"operation": word}))
        for word in ("add", "update", "delete")
    ]
    assert await Door(row, builtins=tools).tools(AMY) == ["update-tool"]


async def test_a_tool_that_could_ask_several_things_is_there_for_whom_one_of_them_could_be_allowed():
    door = Door(RESETS, builtins=[builtin("it", keep, PEOPLE, OWN_KEYS)])
    assert await door.tools(AMY) == ["it"]


async def test_they_and_the_meta_tools_are_paged_in_one_order_each_once():
    names = ["add-user", "create_d", "list_a", "list-users", "zz-last"]
    door = Door(
        f"{MANAGES}\np, user:*, main, self, c/*, write, , allow",
        [FakeConnector("c", [tool("t")]), FakeConnector("d")],
        meta=frozenset("c"),
        builtins=[builtin(name) for name in names],
        bounds=Bounds(items=4),
    )
    found: list[str] = []
    cursor: dict[str, Any] = {}
    for _ in range(6):
        listed = await door.ask(AMY, "tools/list", **cursor)
        found += [each["name"] for each in listed["tools"]]
        if "nextCursor" not in listed:
            break
        cursor = {"cursor": listed["nextCursor"]}
    assert found == sorted([*META_NAMES, *names])


# -- what a call of one does


@pytest.mark.parametrize("era", list(Era))
async def test_an_allowed_call_answers_one_text_and_leaves_one_entry_of_what_was_asked(era: Era):
    door = Door(MANAGES, builtins=[builtin()])
    result = await door.handle(AMY, call("tools/call", era=era, name="keep-user", arguments={"email": BOB}))
    assert [part["type"] for part in result["content"]] == ["text"]
    assert told(result) == {"result": {"email": BOB}, "message": f"kept {BOB}", "nextSteps": ["ask again"]}
    [entry] = door.entries
    assert (entry.method, entry.object, entry.action, entry.owner) == (
        "tools/call",
        "gateway/users",
        "manage",
        f"user:{BOB}",
    )
    assert (entry.allowed, entry.outcome, entry.subject) == (True, "ok", f"user:{AMY}")


async def test_what_is_denied_for_these_arguments_is_told_as_an_error_that_names_its_entry():
    row = "p, user:*, main, *, gateway/users, manage, every(args.roles, it == 'user'), allow"
    door = Door(row, builtins=[builtin()])
    result = await door.use(AMY, "keep-user", role="admin")
    assert result["isError"] is True
    assert text_of(result) == f"Error: denied by policy (reference {door.last.id})"
    assert (door.last.outcome, door.last.allowed, door.last.object) == ("denied", False, "gateway/users")
    assert told(await door.use(AMY, "keep-user", role="user"))["message"] == f"kept {AMY}"


async def test_arguments_that_do_not_fit_are_told_each_and_nothing_is_done():
    done: list[str] = []
    tool = builtin("it", asking(then=lambda: done.append("done") or Answer(None, "")))
    door = Door(MANAGES, builtins=[tool])
    result = await door.use(AMY, "it", emial=BOB)
    assert text_of(result).startswith("Error: `emial`: is not known (reference ")
    assert done == []


async def test_what_nobody_has_is_told_where_models_read():
    async def lost(asker: Asker, _: Params) -> Answer:
        assert asker.may(Operation("", "gateway/users", "manage", SYSTEM))
        raise Unknown("there is no user `x`")

    door = Door(MANAGES, builtins=[builtin("it", lost)])
    result = await door.use(AMY, "it")
    assert text_of(result) == f"Error: there is no user `x` (reference {door.last.id})"
    assert door.last.outcome == "unknown"


@pytest.mark.parametrize("refusal", [Limited("too often", retry_after=1), Unavailable("later")])
async def test_what_no_model_can_help_stays_an_error_of_the_protocol(refusal: Refusal):
    async def failing(asker: Asker, _: Params) -> Answer:
        raise refusal

    door = Door(MANAGES, builtins=[builtin("it", failing)])
    assert (await refused(door, AMY, call("tools/call", name="it", arguments={}))).text == refusal.text


async def test_a_tool_that_acts_without_asking_is_a_fault_and_tells_nothing():
    door = Door(MANAGES, builtins=[builtin("it", asking(then=lambda: Answer({"apiKey": "ost_secret"}, "ost_secret")))])
    outcome = await refused(door, AMY, call("tools/call", name="it", arguments={}))
    assert isinstance(outcome, Fault)
    assert "secret" not in outcome.text
    assert door.last.outcome == "fault"


async def test_it_acts_for_whom_it_was_asked_to_act_whoever_calls_meanwhile():
    """One asks, and while he waits the other one does."""
    gate, acted = asyncio.Event(), []

    async def act(asker: Asker, args: Params) -> Answer:
        asker.allow(Operation("keys.reset", "gateway/keys", "manage", asker.subject.name))
        if asker.subject.name == f"user:{AMY}":
            await gate.wait()
        acted.append(asker.subject.name)
        asker.allow(Operation("keys.reset", "gateway/keys", "manage", asker.subject.name))
        return Answer(asker.subject.name, "")

    door = Door(RESETS, builtins=[builtin("it", act, OWN_KEYS)])
    first = asyncio.create_task(door.use(AMY, "it"))
    await asyncio.sleep(0)
    assert told(await door.use(BOB, "it"))["result"] == f"user:{BOB}"
    gate.set()
    assert told(await first)["result"] == f"user:{AMY}"
    assert acted == [f"user:{BOB}", f"user:{AMY}"]
    assert sorted((entry.subject, entry.owner) for entry in door.entries) == [
        (f"user:{AMY}", f"user:{AMY}"),
        (f"user:{BOB}", f"user:{BOB}"),
    ]


async def test_it_is_judged_to_its_end_by_the_policy_by_which_it_began():
    async def act(asker: Asker, _: Params) -> Answer:
        asker.allow(Operation("a", "gateway/users", "manage", SYSTEM))
        door.apply("")
        asker.allow(Operation("b", "gateway/users", "manage", SYSTEM))
        return Answer(asker.policy.version, "")

    door = Door(MANAGES, builtins=[builtin("it", act)])
    assert told(await door.use(AMY, "it"))["result"] == "1.0"
    assert isinstance(await refused(door, AMY, call("tools/call", name="it", arguments={})), Unknown)


async def test_while_one_is_under_way_its_task_is_known_as_acting_and_no_longer():
    seen: list[bool] = []

    async def act(asker: Asker, _: Params) -> Answer:
        asker.allow(Operation("a", "gateway/users", "manage", SYSTEM))
        seen.append(door.pipeline.acts(asyncio.current_task()))
        return Answer(None, "")

    door = Door(MANAGES, builtins=[builtin("it", act)])
    task = asyncio.create_task(door.use(AMY, "it"))
    await task
    assert seen == [True]
    assert not door.pipeline.acts(task)


# -- what he hides


OFFERED = [tool("look", "read"), tool("send"), prompt("look")]
USES = "p, user:*, main, self, c/*, write, , allow"


async def test_what_he_hides_is_left_out_of_his_list_and_can_be_called_all_the_same():
    door = Door(f"{MANAGES}\n{USES}", [connector := FakeConnector("c", OFFERED)], builtins=[builtin()])
    door.hide(AMY, "c:look", "system:keep-user", "nobody:x")
    assert await door.tools(AMY) == ["c__send"]
    assert await door.tools(BOB) == ["keep-user", "c__look", "c__send"]
    assert [each["name"] for each in (await door.ask(AMY, "prompts/list"))["prompts"]] == ["c__look"]
    await door.use(AMY, "c__look")
    assert len(connector.sent) == 1
    assert told(await door.use(AMY, "keep-user"))["message"] == f"kept {AMY}"


async def test_what_stays_cannot_be_hidden():
    door = Door(MANAGES, builtins=[builtin("unhide-tool", stays=True)])
    door.hide(AMY, "system:unhide-tool")
    assert await door.tools(AMY) == ["unhide-tool"]


async def test_hidden_tools_take_no_room_on_a_page():
    door = Door(USES, [FakeConnector("c", [tool(f"t{number}") for number in range(9)])], bounds=Bounds(items=3))
    door.hide(AMY, *(f"c:t{number}" for number in range(1, 8)))
    listed = await door.ask(AMY, "tools/list")
    assert ([each["name"] for each in listed["tools"]], "nextCursor" in listed) == (["c__t0", "c__t8"], False)


async def test_meta_tools_can_be_hidden_like_any_others():
    door = Door(USES, [FakeConnector("c", OFFERED)], meta=frozenset("c"))
    door.hide(AMY, *(f"{SYSTEM}:{name}" for name in META_NAMES if name.endswith("_alloy")))
    assert await door.tools(AMY) == sorted(name for name in META_NAMES if not name.endswith("_alloy"))


# -- what a tool can ask about what its caller sees


async def seen_by(door: Door, email: str, seen: Sequence[Any]) -> list[Any]:
    """What the tool ``it`` of ``looking`` found."""
    await door.use(email, "it")
    return list(seen)


def looking(found: list[Any], kind: str = "visible_tools") -> Builtin:
    async def look(asker: Asker, _: Params) -> Answer:
        asker.allow(Operation("tools.list", "gateway/users", "manage", asker.subject.name))
        found[:] = await getattr(asker, kind)()
        return Answer(None, "")

    return builtin("it", look, PEOPLE, stays=True)


async def test_a_tool_can_ask_for_all_tools_that_its_caller_sees_the_hidden_ones_too():
    found: list[Any] = []
    door = Door(
        f"{MANAGES}\np, user:*, main, self, c/look, read, , allow",
        [FakeConnector("c", [tool("look", "read", title="Look", description="Looks."), tool("send")])],
        builtins=[looking(found)],
    )
    door.hide(AMY, "c:look", "system:it")
    own, look = await seen_by(door, AMY, found)
    assert (own.id, own.name, own.owner, own.object, own.always_visible, own.hidden) == (
        *("system:it", "it", "", "", True),
        False,
    )
    assert (look.id, look.name, look.title, look.description) == ("c:look", "c__look", "Look", "Looks.")
    assert (look.owner, look.object, look.action, look.always_visible, look.hidden) == (
        *("", "c/look", "read", False),
        True,
    )
    assert await door.tools(AMY) == ["it"]


async def test_a_tool_can_ask_for_all_prompts_that_its_caller_sees():
    found: list[Any] = []
    rows = f"{MANAGES}\np, user:*, main, self, c/prompt:ask, read, , allow"
    door = Door(
        rows, [FakeConnector("c", [prompt("ask", "of"), prompt("no")])], builtins=[looking(found, "visible_prompts")]
    )
    [shown] = await seen_by(door, AMY, found)
    assert (shown.id, shown.name, shown.owner, shown.arguments) == ("c:ask", "c__ask", "", ({"name": "of"},))


async def test_a_route_can_ask_the_same_as_a_tool():
    door = Door(f"{MANAGES}\n{USES}", [FakeConnector("c", OFFERED)], builtins=[builtin()])
    door.hide(AMY, "c:send")

    async def look(asker: Asker) -> list[tuple[str, bool]]:
        asker.allow(Operation("tools.list", "gateway/users", "manage", asker.subject.name))
        assert [each.id for each in await asker.visible_prompts()] == ["c:look"]
        return [(each.id, each.hidden) for each in await asker.visible_tools()]

    shown = await door.pipeline.administered("tools.list", door.person(AMY), ORIGIN, look)
    assert shown == [("system:keep-user", False), ("c:look", False), ("c:send", True)]


# -- listed exactly when callable

CID, GUEST = "cid@example.com", "guest@example.com"
LIMITS = "[[class]]\nname = 'default'\ncalls = 1000\nwindow_s = 60\n"
ROWS = st.lists(
    st.sampled_from(
        [
            MANAGES,
            "p, user:*, main, self, gateway/users, manage, , allow",
            f"p, user:*, main, user:{BOB}, gateway/*, manage, every(args.roles, it == 'admin'), allow",
            "p, user:*, main, *, gateway/users, manage, some(owner.roles, it == 'guest'), allow",
            "p, user:*, main, *, gateway/users, manage, every(args.roles, it == 'user'), allow",
            "p, user:*, *, *, gateway/users, manage, some(args.roles, it == 'user'), deny",
            "p, user:*, *, *, gateway/users, manage, some(owner.roles, it == 'guest'), deny",
            f"p, user:*, *, user:{BOB}, *, *, , deny",
            f"g, user:{BOB}, role:guest, *",
            f"g, user:{AMY}, role:guest, *",
        ]
    ),
    max_size=4,
    unique=True,
).map("\n".join)


@given(ROWS)
async def test_it_is_listed_exactly_when_some_call_of_it_is_allowed(rows: str):
    door = Door(f"{rows}\ng, user:{GUEST}, role:guest, *", builtins=[builtin()], limits=LIMITS)
    listed = await door.tools(AMY) != []
    allowed = False
    for email, role in product((AMY, BOB, CID, GUEST, SYSTEM), ("", "user", "admin", "user admin")):
        asked = call("tools/call", name="keep-user", arguments={"email": email, "role": role})
        try:
            allowed = allowed or "isError" not in await door.handle(AMY, asked)
        except Unknown:
            assert not listed
    assert listed is allowed


async def test_an_entry_tells_what_was_refused_and_for_what():
    door = Door(MANAGES, builtins=[builtin("it", asking(Operation("x", "gateway/keys", "manage", SYSTEM)))])
    assert (await door.use(AMY, "it"))["isError"] is True
    assert (door.last.outcome, door.last.error) == (Denied.kind, str(Denied.code))
    assert (await door.use(AMY, "it", wrong=1))["isError"] is True
    assert (door.last.outcome, door.last.object) == (InvalidArguments.kind, "it")
    assert door.last.domain == MAIN
