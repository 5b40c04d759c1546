"""Restrictions bite alike wherever something is found, shown, done or connected: they agree with a small model."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings

from connectors.base import Unasked
from gateway.errors import Refusal
from gateway.mcp.terms import Params
from gateway.policy.terms import Subject
from gateway.records import Mode, Server, Token
from gateway.servers.known import token_proof
from tests.builders import ORIGIN, RING, Door, call, text_of
from tests.fakes import REGISTERED, FakeConnector, FakeLinker, tool
from tests.servers.forms import ACTIONS, FORMS, lets, restrictions_of

OWNER = "otto@example.com"
ID = "desk-a1b2c3d4"
ROWS = """
p, user:otto@example.com, main, self, *, write, , allow
p, user:otto@example.com, main, self, *, connect, , allow
p, *, *, self, *, revoke, , allow
"""
EVERY = [(connector, action) for connector, actions in ACTIONS.items() for action in actions]
NOTHING_SAID: dict[str, Any] = {"connectors": None, "actions": None, "users": None, "permissions": None}
TOKEN = Token(id=RING.hash("mcp_token_1"), secret_id="k1", prefix="mcp_token_1", created_at=1)


class Desk:
    """A server with restrictions, and one of its end users."""

    def __init__(self, form: dict[str, Any], mode: Mode) -> None:
        self.connectors = {id: FakeConnector(id, [tool(name) for name in names]) for id, names in ACTIONS.items()}
        self.door = Door(ROWS, [*self.connectors.values()], linker=FakeLinker())
        self.door.person(OWNER)
        restrictions = restrictions_of(form)
        known: dict[str, Any] = {"mode": mode, "upstream": "a" if mode is Mode.UPSTREAM else ""}
        self.door.offer(
            Server(id=ID, owner=f"user:{OWNER}", name="Desk", tokens=(TOKEN,), restrictions=restrictions, **known)
        )
        self.user = Subject(f"end:{ID}/u1", credential=token_proof(TOKEN))

    async def ask(self, method: str, **params: Any) -> Params:
        heard = Unasked(self.door.heard.append)
        return await self.door.pipeline.handle(call(method, domain=ID, **params), self.user, ORIGIN, heard)

    async def use(self, name: str, **arguments: Any) -> Params | None:
        """The result of a tool; ``None`` where it was refused."""
        try:
            result = await self.ask("tools/call", name=name, arguments=arguments)
        except Refusal:
            return None
        return None if result.get("isError") else result

    async def told(self, name: str, **arguments: Any) -> Any:
        result = await self.use(name, **arguments)
        return None if result is None else json.loads(text_of(result))

    async def listed(self) -> set[str]:
        return {each["name"] for each in (await self.ask("tools/list"))["tools"]}

    def reached(self) -> list[tuple[str, Any]]:
        return [(id, sent.params["name"]) for id, each in self.connectors.items() for sent in each.sent]


@given(FORMS)
@example(NOTHING_SAID)
@settings(max_examples=60)
async def test_in_direct_mode_what_is_listed_and_what_can_be_called_is_what_the_restrictions_let_through(form):
    desk = Desk(form, Mode.DIRECT)
    model = [(connector, action) for connector, action in EVERY if lets(form, "u1", connector, action)]
    assert await desk.listed() == {f"{connector}__{action}" for connector, action in model}
    for connector, action in EVERY:
        assert (await desk.use(f"{connector}__{action}") is not None) == ((connector, action) in model)
    assert sorted(desk.reached()) == sorted(model)


@given(FORMS)
@example(NOTHING_SAID)
@settings(max_examples=30)
async def test_of_one_server_under_its_own_names_the_same_is_let_through_and_nothing_of_the_others(form):
    desk = Desk(form, Mode.UPSTREAM)
    model = [action for action in ACTIONS["a"] if lets(form, "u1", "a", action)]
    assert await desk.listed() == {*model}
    for action in {*ACTIONS["a"], *ACTIONS["b"]}:
        assert (await desk.use(action) is not None) == (action in model)
    for connector, action in EVERY:
        assert await desk.use(f"{connector}__{action}") is None
        assert await desk.use("execute_action_alloy", connectorId=connector, actionId=action, parameters={}) is None
    assert sorted(desk.reached()) == sorted(("a", action) for action in model)


@given(FORMS)
@example(NOTHING_SAID)
@settings(max_examples=30)
async def test_in_connectivity_mode_every_stage_lets_through_what_the_restrictions_do(form):
    desk = Desk(form, Mode.CONNECTIVITY)
    model = [(connector, action) for connector, action in EVERY if lets(form, "u1", connector, action)]
    assert bool(await desk.listed()) == bool(model), "the meta tools are there for who could use something"
    if not model:
        assert await desk.told("list_connectors_alloy") is None
        return
    told = await desk.told("list_connectors_alloy")
    assert [each["id"] for each in told["connectors"]] == sorted({connector for connector, _ in model})
    for connector in ACTIONS:
        resources = await desk.told("get_connector_resources_alloy", connectorId=connector)
        shown = json.dumps(resources)
        assert {action for action in ACTIONS[connector] if f'"{action}"' in shown} == {
            action for id, action in model if id == connector
        }
    for connector, action in EVERY:
        which = {"connectorId": connector, "actionId": action}
        assert (await desk.use("get_action_details_alloy", **which) is not None) == ((connector, action) in model)
        done = await desk.use("execute_action_alloy", **which, parameters={})
        assert (done is not None) == ((connector, action) in model)
    assert sorted(desk.reached()) == sorted(model), "what was refused reached nobody"


@given(FORMS)
@example(NOTHING_SAID)
@settings(max_examples=30)
async def test_accounts_are_connected_and_shown_of_what_the_restrictions_let_through_and_of_nothing_else(form):
    desk = Desk(form, Mode.CONNECTIVITY)
    visible = {connector for connector, action in EVERY if lets(form, "u1", connector, action)}
    for connector in ACTIONS:
        wanted = {"connectorId": connector, "authenticationType": "oauth2", "redirectUri": REGISTERED}
        made = await desk.told("create_credential_alloy", **wanted)
        assert (made is not None) == (connector in visible and lets(form, "u1", connector, None))
        for name in ("get_credentials_alloy", "get_credential_metadata_alloy"):
            assert (await desk.told(name, connectorId=connector) is not None) == (connector in visible), name


@pytest.mark.parametrize("mode", Mode)
async def test_who_is_not_among_the_users_finds_nothing_at_all(mode):
    form = {**NOTHING_SAID, "users": {"mode": "allowlist", "allowedIds": ["u2"]}}
    desk = Desk(form, mode)
    assert await desk.listed() == set()
    assert await desk.use("execute_action_alloy", connectorId="a", actionId="x", parameters={}) is None
    assert await desk.use("a__x") is None
    assert await desk.use("x") is None
    assert desk.reached() == []
