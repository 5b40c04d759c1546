"""The meta tools: they show what the policy makes visible, and do exactly what direct calls could."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Event
from gateway.catalogue import Server
from gateway.errors import Limited, Refusal, Unknown
from gateway.mcp.cursors import Bounds
from gateway.mcp.names import META, META_NAMES
from gateway.mcp.terms import Era, Params
from gateway.pipeline.connecting import Blank, Wants
from gateway.policy.shelves import at_once
from gateway.policy.terms import MAIN, SYSTEM
from gateway.policy.turn import Turn
from tests.builders import ALL, AMY, BOB, Door, call, refused, text_of
from tests.fakes import REGISTERED, Client, FakeConnector, FakeLinker, tool
from tests.pipeline.bridging import again, post, settled

NUMBER: Params = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
READS = "p, user:*, main, self, c/look, read, , allow"
CONNECT = "p, user:*, main, self, c, connect, , allow"
INSPECT = "p, user:*, main, self, c, inspect, , allow"
KEY = Wants("api_key", by_url=False, blanks=(Blank("api_key", "API key", secret=True, help="in your settings"),))


def actions(**more: Any) -> FakeConnector:
    offered = [
        tool("look", "read", schema=NUMBER, title="Look at it", description="Looks at messages."),
        tool("send", schema=NUMBER, description="Sends a message to a channel."),
        tool("purge", destructive=True),
    ]
    return FakeConnector("c", offered, **more)


def door_of(connector: FakeConnector, rows: str = ALL, *others: FakeConnector, **more: Any) -> Door:
    """A door whose main server reaches ``connector`` through the meta tools alone."""
    linker = more.pop("linker", None) or FakeLinker()
    return Door(rows, [connector, *others], linker=linker, meta=frozenset({connector.id}), **more)


async def meta(door: Door, name: str, email: str = AMY, **arguments: Any) -> Any:
    """What a meta tool tells, as JSON."""
    result = await door.use(email, name, **arguments)
    assert "isError" not in result, text_of(result)
    return json.loads(text_of(result))


async def execute(door: Door, action: str, email: str = AMY, connector: str = "c", **more: Any) -> Params:
    parameters = more.pop("parameters", {})
    return await door.use(
        email, "execute_action", connectorId=connector, actionId=action, parameters=parameters, **more
    )


# -- who sees them


async def test_a_server_with_such_a_connector_lists_the_eight_under_both_names_before_everything_else():
    door = door_of(actions(), ALL, FakeConnector("d", [tool("own")]))
    listed = await door.tools(AMY)
    assert listed == [*sorted(META_NAMES), "d__own"]
    assert len(META) == 8
    assert set(META_NAMES) == {*META, *(f"{name}_alloy" for name in META)}


async def test_they_are_there_for_whoever_could_use_some_action_behind_them_and_for_nobody_else():
    door = door_of(actions(), f"p, user:{AMY}, main, self, c/look, read, args.n == 3, allow")
    assert len(await door.tools(AMY)) == 16
    assert await door.tools(BOB) == []
    for name in META_NAMES:
        refusal = await refused(door, BOB, call("tools/call", name=name, arguments={}))
        assert refusal.text == f"unknown tool: `{name}`", "as on a server that has none"


async def test_a_server_without_such_a_connector_has_none_of_them():
    door = Door(ALL, [actions()])
    assert await door.tools(AMY) == ["c__look", "c__purge", "c__send"]
    for name in ("execute_action", "execute_action_alloy"):
        assert isinstance(await refused(door, AMY, call("tools/call", name=name, arguments={})), Unknown)


async def test_what_stands_behind_them_cannot_be_called_directly():
    door = door_of(connector := actions())
    for name in ("c__look", "c/look", "look"):
        assert isinstance(await refused(door, AMY, call("tools/call", name=name)), Unknown)
    assert connector.sent == []


async def test_a_bare_tool_of_a_server_never_stands_in_for_one_of_them():
    evil = FakeConnector("evil", [tool("execute_action"), tool("own")])
    bare = Server("side", ("c", "evil"), prefixed=False, meta=frozenset({"c"}))
    door = Door(ALL.replace("main", "*"), [connector := actions(), evil], servers=[bare])
    names = await door.tools(AMY, domain="side")
    assert [name for name in names if name not in META_NAMES] == [
        next(name for name in names if name.startswith("execute_action--")),
        "own",
    ]
    await door.use(AMY, "execute_action", domain="side", connectorId="c", actionId="look", parameters={})
    assert (len(connector.sent), len(evil.sent)) == (1, 0)


async def test_a_long_list_has_them_on_its_first_pages():
    door = door_of(actions(), ALL, FakeConnector("d", [tool("own")]), bounds=Bounds(items=10))
    found: list[str] = []
    cursor: dict[str, Any] = {}
    for _ in range(2):
        page = await door.ask(AMY, "tools/list", **cursor)
        found += [each["name"] for each in page["tools"]]
        cursor = {"cursor": page.get("nextCursor", "")}
    assert found == [*sorted(META_NAMES), "d__own"]
    assert "nextCursor" not in page


async def test_streams_hear_when_the_meta_tools_come_and_go():
    door = door_of(connector := actions(), "")
    before = door.follower.current.policy
    amy = door.person(AMY)
    door.apply(READS, version="2.0")
    turn = Turn(before, door.follower.current.policy, ())
    news = await door.pipeline.turned(at_once(turn.compared()), amy, MAIN)
    assert [each.method for each in news.told] == ["notifications/tools/list_changed"]
    told: list[Any] = []
    door.directory.watch(told.append)
    connector.change(Event.TOOLS)
    assert [each.method for each in await door.pipeline.changes(told[0], amy, MAIN)] == [
        "notifications/tools/list_changed"
    ]


# -- looking


async def test_connectors_are_listed_with_their_titles_and_categories_where_something_of_them_is_visible():
    tagged = [tool("x", tags=("chat", "mail"))]
    other = FakeConnector("d", tagged, title="The D")
    hidden = FakeConnector("e", [tool("x")])
    door = Door(
        "p, user:*, main, self, c/look, read, , allow\np, user:*, main, self, d/*, write, , allow",
        [actions(title="See"), other, hidden],
        meta=frozenset("cde"),
    )
    told = await meta(door, "list_connectors")
    assert told["connectors"] == [
        {"id": "c", "name": "See", "category": []},
        {"id": "d", "name": "The D", "category": ["chat", "mail"]},
    ]
    assert (told["count"], told["message"]) == (2, "2 connectors")
    assert [each["id"] for each in (await meta(door, "list_connectors_alloy", category="Mail"))["connectors"]] == ["d"]
    assert (await meta(door, "list_connectors", category="none"))["message"] == "0 connectors"


async def test_only_visible_actions_are_listed_and_described():
    door = door_of(actions(), READS)
    told = await meta(door, "get_connector_resources", connectorId="c")
    assert [each["actionId"] for each in told["actions"]] == ["look"]
    assert (told["connectorId"], told["name"], told["count"], told["resources"]) == ("c", "c", 1, [])
    details = await meta(door, "get_action_details", connectorId="c", actionId="look")
    assert (details["name"], details["description"]) == ("Look at it", "Looks at messages.")
    assert (details["changes"], details["destructive"]) == (False, False)
    assert details["optional"] == [{"name": "n", "type": "integer"}]
    assert (details["required"], details["sample"], details["inputSchema"]) == ([], {}, NUMBER)
    assert door.last.object == "c/look"
    hidden = text_of(await door.use(AMY, "get_action_details", connectorId="c", actionId="send"))
    missing = text_of(await door.use(AMY, "get_action_details", connectorId="c", actionId="nothing"))
    assert hidden.partition(" (")[0].replace("send", "nothing") == missing.partition(" (")[0]


async def test_a_connector_of_which_nothing_is_visible_is_like_one_that_does_not_exist():
    door = Door(READS, [actions(), FakeConnector("d", [tool("x")])], meta=frozenset("cd"), linker=FakeLinker())
    for name, more in (
        ("get_connector_resources", {}),
        ("get_credentials", {}),
        ("get_credential_metadata", {}),
        ("create_credential", {"authenticationType": "oauth2"}),
    ):
        texts = []
        for id in ("d", "x"):
            result = await door.use(AMY, name, connectorId=id, **more)
            assert result["isError"] is True
            assert door.last.outcome == "unknown"
            texts.append(text_of(result).partition(" (")[0].replace(f"`{id}`", "ID"))
        assert texts == ["unknown connector: ID"] * 2


async def test_actions_are_found_by_words_best_first_and_only_visible_ones():
    door = door_of(actions())
    told = await meta(door, "discover_action_path", goal="send a message to the channels")
    assert [each["actionId"] for each in told["actions"]] == ["send", "look"]
    assert told["actions"][0]["score"] > told["actions"][1]["score"]
    door.apply(READS)
    told = await meta(door, "discover_action_path_alloy", goal="send a message")
    assert [each["actionId"] for each in told["actions"]] == ["look"]
    assert (await meta(door, "discover_action_path", goal="fly to the moon"))["count"] == 0


async def test_no_more_actions_are_found_than_somebody_reads():
    many = FakeConnector("c", [tool(f"send{n:02}", description="send") for n in range(30)])
    assert (await meta(door_of(many), "discover_action_path", goal="send"))["count"] == 10


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("get_connector_resources", {}, "connectorId"),
        ("list_connectors", {"category": 1}, "category"),
        ("list_connectors", {"other": 1}, "other"),
        ("execute_action", {"connectorId": "c", "actionId": "look"}, "parameters"),
        ("execute_action", {"connectorId": "c", "actionId": "look", "parameters": []}, "parameters"),
        ("execute_action", {"connectorId": "c", "actionId": "look", "parameters": {}, "timeout": 0}, "timeout"),
        ("create_credential", {"connectorId": "c", "authenticationType": "x", "fields": {"a": 1}}, "fields.a"),
    ],
)
async def test_their_own_arguments_are_checked(name: str, arguments: Params, problem: str):
    door = door_of(connector := actions())
    result = await door.use(AMY, name, **arguments)
    assert result["isError"] is True
    assert f"`{problem}`" in text_of(result)
    assert door.last.outcome == "invalid_arguments"
    assert connector.opened == []


# -- calling


async def test_an_action_is_executed_under_its_own_name_and_judged_and_recorded_as_itself():
    door = door_of(connector := actions())
    result = await execute(door, "look", parameters={"n": 2})
    assert text_of(result) == f"user:{AMY} tools/call look"
    assert [(sent.method, sent.params) for sent in connector.sent] == [
        ("tools/call", {"name": "look", "arguments": {"n": 2}})
    ]
    entry = door.last
    assert (entry.method, entry.object, entry.action, entry.owner) == ("tools/call", "c/look", "read", f"user:{AMY}")
    assert (entry.allowed, entry.outcome) == (True, "ok")
    assert list(entry.hashed) == ["/n"], "the parameters are its arguments"


async def test_an_action_that_is_denied_or_does_not_fit_opens_nothing():
    door = door_of(connector := actions(), "p, user:*, main, self, c/send, write, args.n == 1, allow")
    assert (await execute(door, "send", parameters={"n": 2}))["isError"] is True
    assert (door.last.outcome, door.last.object, door.last.allowed) == ("denied", "c/send", False)
    door.apply(ALL)
    assert "`n`" in text_of(await execute(door, "send", parameters={"n": "x"}))
    assert door.last.outcome == "invalid_arguments"
    assert connector.opened == []


async def test_an_action_that_may_never_be_used_answers_like_one_that_does_not_exist_and_the_entry_tells_the_difference():
    door = door_of(connector := actions(), READS)
    hidden = text_of(await execute(door, "send"))
    told = door.last
    missing = text_of(await execute(door, "nothing"))
    assert hidden.partition(" (")[0].replace("send", "nothing") == missing.partition(" (")[0]
    assert (told.object, told.allowed, told.outcome) == ("c/send", False, "unknown")
    assert door.last.allowed is None
    assert connector.opened == []


async def test_the_connection_is_named_by_the_argument_or_by_the_header():
    connector = actions(personal=True)
    door = door_of(connector)
    door.connect(connector, AMY, "one", label="Work")
    door.connect(connector, AMY, "three", label="Home")
    door.connect(connector, BOB, "bobs")
    assert "name one as `credentialId`" in text_of(await execute(door, "look"))
    await execute(door, "look", credentialId="three")
    assert (connector.named, door.last.connection) == (["three"], "three")
    foreign, missing = [text_of(await execute(door, "look", credentialId=id)) for id in ("bobs", "nobodys")]
    assert foreign.partition(" (")[0].replace("bobs", "nobodys") == missing.partition(" (")[0]
    assert connector.named == ["three"]


async def test_an_action_that_takes_longer_than_was_granted_is_given_up():
    async def forever(_: Any) -> Params:
        await asyncio.Event().wait()
        return {}

    door = door_of(actions(answer=forever))
    result = await execute(door, "look", timeout=0.01)
    assert "did not end within 0.01 seconds" in text_of(result)
    assert door.last.outcome == "upstream_failed"


async def test_a_timeout_of_the_connector_itself_is_a_fault_and_not_taken_for_ours():
    def late(_: Any) -> Params:
        raise TimeoutError

    door = door_of(actions(answer=late))
    with pytest.raises(Refusal, match="internal error"):
        await execute(door, "look", timeout=5)


async def test_the_limit_of_an_object_counts_calls_through_them():
    limits = "[[object]]\nmatch = 'c/look'\ncalls = 1\nwindow_s = 60\n"
    door = door_of(actions(), limits=limits)
    await execute(door, "look")
    with pytest.raises(Limited):
        await execute(door, "look")


async def test_a_missing_connection_is_asked_for_and_the_very_same_call_works_then():
    connector = actions(personal=True)
    door = door_of(connector, f"{ALL}\n{CONNECT}")
    params = {"name": "execute_action", "arguments": {"connectorId": "c", "actionId": "look", "parameters": {}}}
    asked = await post(door, capabilities={"elicitation": {"url": {}}}, **params)
    assert asked["inputRequests"]["connect"]["params"]["url"].endswith("flow-1.secret")
    door.connect(connector, AMY, "amys")
    door.linker.finish("flow-1")
    result = await post(
        door, capabilities={"elicitation": {"url": {}}}, **params, **again(asked, connect={"action": "accept"})
    )
    assert "tools/call look" in text_of(result)


async def test_a_meta_tool_cannot_be_run_as_a_task():
    tasks = {"tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}}
    door = door_of(actions(), ALL, FakeConnector("d", [tool("x")], capabilities={"tools": {}, **tasks}))
    asked = call("tools/call", name="list_connectors", arguments={}, task={})
    assert (await refused(door, AMY, asked)).code == -32601
    plain = door_of(actions())
    assert "isError" not in await plain.handle(AMY, asked)


async def test_a_task_that_a_modern_server_made_of_an_action_is_found_again():
    def answer(sent: Any) -> Params:
        if sent.method == "tasks/get":
            return {"taskId": "theirs", "status": "working", "resultType": "complete"}
        return {"resultType": "task", "taskId": "theirs", "status": "working"}

    connector = actions(era=Era.MODERN, answer=answer, personal=True)
    door = door_of(connector)
    door.connect(connector, AMY, "one")
    door.connect(connector, AMY, "three")
    extended = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    arguments = {"connectorId": "c", "actionId": "look", "parameters": {}, "credentialId": "three"}
    made = await post(door, capabilities=extended, name="execute_action", arguments=arguments)
    assert made["resultType"] == "task"
    meta_ = {"io.modelcontextprotocol/clientCapabilities": extended}
    asked = call("tasks/get", era=Era.MODERN, taskId=made["taskId"], _meta=meta_)
    assert (await door.handle(AMY, asked, caller=Client(extended)))["status"] == "working"
    assert connector.named == ["three", "three"]
    door.apply("")
    assert isinstance(await refused_with(door, asked, Client(extended)), Unknown)


async def refused_with(door: Door, asked: Any, client: Client) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await door.handle(AMY, asked, caller=client)
    return caught.value


# -- connecting


async def test_an_account_is_connected_by_a_link_where_that_is_allowed():
    door = door_of(actions(personal=True), f"{ALL}\n{CONNECT}")
    told = await meta(door, "create_credential", connectorId="c", authenticationType="OAuth2", redirectUri=REGISTERED)
    assert told["oauthUrl"].endswith("/flow-1.secret")
    assert told["flowId"] == "flow-1"
    assert door.linker.links[0]["back"] == REGISTERED
    assert (door.linker.links[0]["owner"], door.linker.links[0]["by"]) == (f"user:{AMY}", f"user:{AMY}")
    entry = door.last
    assert (entry.object, entry.action, entry.owner, entry.allowed) == ("c", "connect", f"user:{AMY}", True)
    assert "secret" not in str(entry)


async def test_an_account_is_not_connected_where_that_is_denied():
    door = door_of(actions(personal=True), ALL)
    for more in ({"authenticationType": "oauth2"}, {"authenticationType": "oauth2", "fields": {"a": "b"}}):
        result = await door.use(AMY, "create_credential", connectorId="c", **more)
        assert "denied by policy" in text_of(result)
        assert (door.last.outcome, door.last.object, door.last.action) == ("denied", "c", "connect")
    assert door.linker.links == door.linker.deposited == []


async def test_what_is_typed_is_stored_at_once_and_stands_in_no_entry():
    linker = FakeLinker(ways={"c": KEY})
    door = door_of(actions(personal=True), f"{ALL}\n{CONNECT}", linker=linker)
    arguments = {"connectorId": "c", "authenticationType": "apiKey"}
    told = await meta(door, "create_credential", **arguments, fields={"api_key": "hunter2"})
    assert told["credentialId"] == "made-of-what-was-typed"
    assert linker.deposited == [(f"user:{AMY}", "c", {"api_key": "hunter2"})]
    assert "hunter2" not in str(door.entries)
    assert door.last.connection == "made-of-what-was-typed"
    assert (await meta(door, "create_credential", **arguments))["connectUrl"].endswith("/flow-1.secret")


@pytest.mark.parametrize(
    ("way", "given"), [(None, "x"), (KEY, "oauth2"), (KEY, ""), (FakeLinker().wants("c"), "basic")]
)
async def test_only_in_the_way_that_the_connector_wants(way: Wants | None, given: str):
    linker = FakeLinker(ways={"c": way})
    door = door_of(actions(personal=True), f"{ALL}\n{CONNECT}", linker=linker)
    assert "oauthUrl" in text_of(
        await door_of(actions(personal=True), f"{ALL}\n{CONNECT}").use(
            AMY, "create_credential", connectorId="c", authenticationType="oauth"
        )
    )
    result = await door.use(AMY, "create_credential", connectorId="c", authenticationType=given)
    assert result["isError"] is True
    assert linker.links == []


async def test_without_anybody_who_connects_accounts_none_is_connected():
    door = Door(f"{ALL}\n{CONNECT}", [actions()], meta=frozenset("c"))
    result = await door.use(AMY, "create_credential", connectorId="c", authenticationType="oauth2")
    assert "has no accounts to connect" in text_of(result)
    told = await meta(door, "get_credential_metadata", connectorId="c")
    assert (told["authenticationTypes"], told["fields"]) == ([], [])


async def test_how_an_account_is_connected_is_told_with_everything_that_has_to_be_typed():
    door = door_of(actions(personal=True), linker=FakeLinker(ways={"c": KEY}))
    told = await meta(door, "get_credential_metadata", connectorId="c")
    assert told == {
        "connectorId": "c",
        "authenticationTypes": ["api_key"],
        "fields": [
            {"name": "api_key", "label": "API key", "required": True, "secret": True, "help": "in your settings"}
        ],
    }


async def test_connections_are_listed_that_he_may_use_with_nothing_secret():
    connector = actions(personal=True, lenders=("", SYSTEM))
    lent = f"p, user:{BOB}, main, user:{AMY}, c/look, read, connection.id == 'work', allow"
    door = door_of(connector, f"{ALL}\n{INSPECT}\n{lent}")
    door.connect(connector, AMY, "work", label="Work")
    door.connect(connector, AMY, "private", label="Private")
    door.connect(connector, BOB, "bobs", label="Mine")
    told = await meta(door, "get_credentials", BOB, connectorId="c")
    assert told["credentials"] == [
        {"credentialId": "bobs", "name": "Mine", "type": "c-oauth2", "status": "active"},
        {"credentialId": "work", "name": "Work", "type": "c-oauth2", "status": "active", "owner": f"user:{AMY}"},
    ]
    assert (door.last.object, door.last.action) == ("c", "inspect")
    door.apply(f"{ALL}\n{lent}")
    assert "denied by policy" in text_of(await door.use(BOB, "get_credentials", connectorId="c"))


# -- laws

EMAILS = (AMY, BOB)
ROWS = st.lists(
    st.tuples(
        st.sampled_from((f"user:{AMY}", f"user:{BOB}", "user:*")),
        st.sampled_from(("self", f"user:{AMY}", f"user:{BOB}", "system")),
        st.sampled_from(("c/look", "c/send", "c/purge", "c/*", "d/x")),
        st.sampled_from(("read", "write")),
        st.sampled_from(("", "", "args.n == 1", "args.n == 2", "connection.id == 'a1'", "tool.destructive")),
        st.sampled_from(("allow", "allow", "allow", "deny")),
    ),
    max_size=6,
)
CALLS = st.tuples(
    st.sampled_from(EMAILS),
    st.sampled_from(("look", "send", "purge", "nothing")),
    st.sampled_from(({}, {"n": 1}, {"n": 2}, {"n": "x"})),
    st.sampled_from(("", "a1", "a2", "b1", "none")),
)
HELD = st.sets(st.sampled_from((("a1", AMY), ("a2", AMY), ("b1", BOB))))


def both_doors(rows: list[tuple[str, ...]], held: set[tuple[str, str]]) -> tuple[Door, Door]:
    """The same policy and connections, once behind the meta tools and once with the actions as tools."""
    text = "\n".join(f"p, {sub}, main, {own}, {obj}, {act}, {when}, {eft}" for sub, own, obj, act, when, eft in rows)
    doors = []
    for hidden in (True, False):
        connector = actions(personal=True, lenders=("", SYSTEM))
        door = door_of(connector, text) if hidden else Door(text, [connector], linker=FakeLinker())
        for id, email in sorted(held):
            door.connect(connector, email, id)
        doors.append(door)
    return doors[0], doors[1]


async def done(door: Door, work: Any) -> tuple[Any, ...]:
    """What became of a call: how it ended, what was decided, and what reached the connector."""
    try:
        result: Any = await work
        told = text_of(result).partition(" (reference")[0], result.get("isError", False)
    except Refusal as refusal:
        told = refusal.text, True
    entry, connector = door.last, door.directory.connectors(MAIN)[0]
    decided = (entry.outcome, entry.allowed, entry.reason, entry.rule, entry.owner, entry.connection, entry.action)
    reached = [
        (sent.principal, sent.owner, sent.params.get("name"), sent.params.get("arguments")) for sent in connector.sent
    ]
    return told, decided, reached, connector.named


@given(ROWS, HELD, CALLS)
def test_a_meta_tool_can_do_exactly_what_a_direct_call_could(rows, held, asked):
    email, action, parameters, credential = asked

    async def compare() -> None:
        hidden, direct = both_doors(rows, held)
        named = {"credentialId": credential} if credential else {}
        through = await done(hidden, execute(hidden, action, email, parameters=parameters, **named))
        plain = replace(call("tools/call", name=f"c__{action}", arguments=parameters), credential=credential)
        straight = await done(direct, direct.handle(email, plain))
        if through[0][0] == "unknown tool: `execute_action`":
            assert await direct.tools(email) == [], "nothing behind it can be used"
            assert straight[1][0] == "unknown"
            return
        (text, failed), (same, failed_too) = through[0], straight[0]
        assert (text, failed) == (same.replace(f"c__{action}", f"c/{action}"), failed_too)
        if action != "nothing":
            assert through[1:] == straight[1:]

    asyncio.run(compare())


@given(ROWS, HELD)
def test_what_the_meta_tools_list_is_what_a_list_would_show(rows, held):
    async def compare() -> None:
        hidden, direct = both_doors(rows, held)
        for email in EMAILS:
            shown = await direct.tools(email)
            assert bool(shown) == bool(await hidden.tools(email))
            if not shown:
                continue
            listed = await meta(hidden, "get_connector_resources", email, connectorId="c")
            assert [f"c__{each['actionId']}" for each in listed["actions"]] == shown
            found = await meta(hidden, "discover_action_path", email, goal="look send purge c")
            assert sorted(f"c__{each['actionId']}" for each in found["actions"]) == shown
            assert [each["id"] for each in (await meta(hidden, "list_connectors", email))["connectors"]] == ["c"]
            for action in ("look", "send", "purge"):
                result = await hidden.use(email, "get_action_details", connectorId="c", actionId=action)
                assert ("isError" not in result) == (f"c__{action}" in shown)

    asyncio.run(compare())


async def test_a_meta_connector_that_does_not_answer_hides_only_itself():
    door = door_of(actions(failure=RuntimeError("down")), ALL, FakeConnector("d", [tool("x")]))
    assert await door.tools(AMY) == ["d__x"]
    await settled()
