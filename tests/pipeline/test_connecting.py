"""A call that lacks a connection: whoever may connect an account is told where, in the way of his client's era."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.catalogue import Server
from gateway.errors import ConnectFirst, InvalidArguments, Malformed, NotConnected, Refusal
from gateway.mcp.terms import Era, Params
from gateway.pipeline import connecting
from gateway.policy.terms import SYSTEM
from tests.builders import AMY, BOB, Door, call, classified, refused, text_of
from tests.fakes import ELICITATION, REGISTERED, Client, FakeConnector, FakeLinker, prompt, resource, tool
from tests.pipeline.bridging import again, post, refusal_of, settled

USE = "p, user:*, main, self, c/*, write, , allow"
CONNECT = "p, user:*, main, self, c, connect, , allow"
BOTH = f"{USE}\n{CONNECT}"
OPENS: Params = {"elicitation": {"url": {}}}
FIRST = "https://gate.example.com/connect/flow-1.secret"


def personal(*items, **more) -> FakeConnector:
    return FakeConnector("c", items or [tool("t")], personal=True, **more)


def door_of(connector: FakeConnector, rows: str = BOTH, **more) -> Door:
    return Door(rows, [connector], linker=FakeLinker(), **more)


async def ask(door: Door, client: Client | None = None, email: str = AMY, **more: Any) -> Params:
    """A call of a legacy client that can be asked to open URLs."""
    return await door.handle(
        email, call("tools/call", name="c__t", arguments={}, **more), caller=client or Client(OPENS)
    )


async def modern(door: Door, email: str = AMY, **more: Any) -> Params:
    return await post(door, email, **{"capabilities": OPENS, "name": "c__t", **more})


def accepted(asked: Params, action: str = "accept") -> dict[str, Any]:
    return again(asked, connect={"action": action})


# -- MCP 2025-11-25


async def test_a_client_that_opens_urls_gets_the_error_that_names_one_and_hears_when_it_is_done():
    door, client = door_of(connector := personal()), Client(OPENS)
    with pytest.raises(ConnectFirst) as caught:
        await ask(door, client)
    assert caught.value.code == -32042
    [elicitation] = caught.value.data["elicitations"]
    assert (elicitation["mode"], elicitation["url"], elicitation["elicitationId"]) == ("url", FIRST, "flow-1")
    assert "no account of `c` is connected" in elicitation["message"]
    assert (door.last.outcome, door.last.error, door.last.allowed) == ("connect_first", "-32042", True)
    await settled()
    assert client.heard == []
    door.connect(connector, AMY, "amys")
    door.linker.finish("flow-1")
    await settled()
    assert [(each.method, each.params) for each in client.heard] == [
        ("notifications/elicitation/complete", {"elicitationId": "flow-1"})
    ]
    assert "tools/call t" in text_of(await ask(door, client))


async def test_the_link_is_made_for_the_caller_his_connector_and_his_place_to_go_back_to():
    door = door_of(personal(lapsed=frozenset({"old"})))
    with pytest.raises(ConnectFirst):
        await ask(door, email=BOB)
    [asked] = door.linker.links
    assert asked == {
        "connector": "c",
        "owner": f"user:{BOB}",
        "by": f"user:{BOB}",
        "back": "",
        "reconnects": "",
        "client": "test/1",
    }
    await door.pipeline.close()


async def test_a_connection_that_has_lapsed_is_made_anew_under_its_id():
    door = door_of(connector := personal(lapsed=frozenset({"old"})))
    door.connect(connector, AMY, "old")
    with pytest.raises(ConnectFirst, match="anew"):
        await ask(door)
    assert door.linker.links[0]["reconnects"] == "old"
    await door.pipeline.close()


@pytest.mark.parametrize("version", ["2025-06-18", "2025-03-26"])
async def test_older_revisions_know_no_urls_and_read_the_link_in_the_text(version: str):
    door = door_of(personal())
    request = call("tools/call", name="c__t", arguments={}).message
    result = await door.handle(
        AMY, classified(request, headers={"mcp-protocol-version": version}), caller=Client(OPENS)
    )
    assert result["isError"] is True
    assert FIRST in text_of(result)


@pytest.mark.parametrize("capabilities", [{}, {"elicitation": {}}, {"elicitation": {"form": {}}}, {"sampling": {}}])
async def test_a_client_that_opens_no_urls_reads_the_link_in_the_text(capabilities: Params):
    door = door_of(personal())
    result = await ask(door, Client(capabilities))
    assert result["isError"] is True
    assert FIRST in text_of(result)
    assert door.last.id in text_of(result)
    assert FIRST in text_of(await modern(door_of(personal()), capabilities=capabilities))


async def test_prompts_and_resources_ask_for_the_connection_too():
    door = door_of(personal(prompt("p"), resource("c://r")), f"{CONNECT}\n{USE.replace('write', 'read')}")
    for method, params in (("prompts/get", {"name": "c__p"}), ("resources/read", {"uri": "c://r"})):
        with pytest.raises(ConnectFirst):
            await door.handle(AMY, call(method, **params), caller=Client(OPENS))
    refusal = await refused(door, AMY, call("prompts/get", name="c__p"))
    assert (type(refusal), refusal.code) == (NotConnected, -31004)
    assert "flow-3.secret" in refusal.text
    with pytest.raises(NotConnected) as caught:
        await door.handle(AMY, call("resources/subscribe", uri="c://r"), caller=Client(OPENS))
    assert "flow-4.secret" in caught.value.text, "what asks no questions is told by text"
    await door.pipeline.close()


async def test_no_more_flows_are_waited_for_than_is_bearable(monkeypatch):
    monkeypatch.setattr(connecting, "WAITS", 5)
    door = door_of(personal())
    for email in (AMY, AMY, AMY, AMY, AMY, BOB, BOB):
        with pytest.raises(ConnectFirst):
            await ask(door, email=email)
    await settled()
    assert [owner for _, owner in door.linker.waited] == [f"user:{AMY}"] * 4 + [f"user:{BOB}"]
    await door.pipeline.close()
    assert not door.pipeline._connecting._waiting


async def test_a_client_is_told_in_time_or_not_at_all(monkeypatch):
    monkeypatch.setattr(connecting, "LOOK_S", 0.01)
    monkeypatch.setattr(connecting, "LIVES_S", 0.05)
    door, client = door_of(personal()), Client(OPENS)
    with pytest.raises(ConnectFirst):
        await ask(door, client)
    async with asyncio.timeout(5):
        while door.pipeline._connecting._waiting:
            await asyncio.sleep(0.01)
    assert client.heard == []
    assert len(door.linker.waited) > 1


# -- MCP 2026-07-28


async def test_a_modern_client_is_asked_to_open_the_url_and_the_very_same_request_works_then():
    door = door_of(connector := personal())
    asked = await modern(door)
    assert asked["resultType"] == "input_required"
    [question] = asked["inputRequests"].values()
    assert question["method"] == ELICITATION
    assert (question["params"]["mode"], question["params"]["url"]) == ("url", FIRST)
    assert "elicitationId" not in question["params"]
    assert (door.last.outcome, door.last.allowed) == ("input_required", True)
    door.connect(connector, AMY, "amys")
    door.linker.finish("flow-1")
    result = await modern(door, **accepted(asked))
    assert "tools/call t" in text_of(result)
    assert connector.named[-1] == "amys"
    assert all("requestState" not in sent.params and "inputResponses" not in sent.params for sent in connector.sent)


async def test_who_comes_back_before_he_is_done_is_waited_for():
    door = door_of(connector := personal())
    asked = await modern(door)
    running = asyncio.create_task(modern(door, **accepted(asked)))
    await settled()
    assert not running.done()
    assert door.linker.waited == [("flow-1", f"user:{AMY}")]
    door.connect(connector, AMY, "amys")
    door.linker.finish("flow-1")
    assert "isError" not in await running


async def test_who_comes_back_without_having_connected_is_asked_once_more():
    door = door_of(personal())
    asked = await modern(door)
    door.linker.finish("flow-1")
    once_more = await modern(door, **accepted(asked))
    assert once_more["inputRequests"]["connect"]["params"]["url"] == FIRST.replace("flow-1", "flow-2")
    assert (await refusal_of(modern(door, **accepted(asked)))).code == -32602, "a state counts once"


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_who_does_not_open_the_url_is_not_called_for(action: str):
    door = door_of(connector := personal())
    asked = await modern(door)
    result = await modern(door, **accepted(asked, action))
    assert result["isError"] is True
    assert "was not opened" in text_of(result)
    assert len(connector.opened) == 1
    assert door.linker.waited == []


async def test_the_state_is_good_for_nobody_else_and_for_no_other_request():
    door = door_of(personal(tool("t"), tool("u")))
    asked = await modern(door)
    for wrong in (
        modern(door, BOB, **accepted(asked)),
        modern(door, name="c__u", **accepted(asked)),
        modern(door, arguments={"x": 1}, **accepted(asked)),
    ):
        assert isinstance(await refusal_of(wrong), Malformed)
    assert len(door.linker.links) == 1


async def test_the_state_is_good_for_no_other_connection():
    door = door_of(connector := personal(lapsed=frozenset({"one", "two"})))
    for id in ("one", "two"):
        door.connect(connector, AMY, id)

    async def naming(id: str, **more: Any) -> Params:
        meta = {"io.modelcontextprotocol/clientCapabilities": OPENS}
        asked = call("tools/call", era=Era.MODERN, name="c__t", arguments={}, _meta=meta, **more)
        return await door.handle(AMY, replace(asked, credential=id), caller=Client(OPENS))

    asked = await naming("one")
    assert door.linker.links[0]["reconnects"] == "one"
    assert isinstance(await refusal_of(naming("two", **accepted(asked))), Malformed)
    door.linker.finish("flow-1")
    assert (await naming("one", **accepted(asked)))["resultType"] == "input_required"


async def test_the_state_outlives_that_another_account_serves_meanwhile():
    """The operator got a connection in the meantime; the call works with it."""
    door = door_of(connector := personal(lenders=("", SYSTEM)), f"{BOTH}\n{USE.replace('self', 'system')}")
    asked = await modern(door)
    door.connect(connector, SYSTEM, "operators")
    door.linker.finish("flow-1")
    assert "isError" not in await modern(door, **accepted(asked))
    assert connector.opened[-1] == (f"user:{AMY}", SYSTEM)


# -- who may


async def test_where_connecting_is_denied_no_link_is_made_and_that_is_said():
    for result in (await ask(door := door_of(personal(), USE)), await modern(other := door_of(personal(), USE))):
        assert result["isError"] is True
        assert "the policy does not allow it" in text_of(result)
    assert door.linker.links == other.linker.links == []
    assert door.last.outcome == "not_connected"


async def test_a_lenders_missing_connection_cannot_be_made_by_the_borrower():
    lent = f"p, user:{BOB}, main, user:{AMY}, c/*, write, , allow\np, user:{AMY}, main, self, c/*, write, , allow"
    door = door_of(personal(), f"{lent}\n{CONNECT}")
    result = await ask(door, email=BOB)
    assert "the policy does not allow it" in text_of(result)
    assert door.linker.links == []


async def test_the_operators_connection_is_made_by_whoever_may_connect_it():
    rows = f"p, user:*, main, system, c/*, write, , allow\np, user:{AMY}, main, system, c, connect, , allow"
    connector = personal(lenders=(SYSTEM,))
    door = door_of(connector, rows)
    with pytest.raises(ConnectFirst):
        await ask(door)
    assert (door.linker.links[0]["owner"], door.linker.links[0]["by"]) == (SYSTEM, f"user:{AMY}")
    assert "does not allow" in text_of(await ask(door, email=BOB))
    await door.pipeline.close()


async def test_connecting_is_asked_in_the_domain_of_the_call():
    connector = personal()
    rows = f"{USE}\n{CONNECT}".replace("main", "side")
    from_side = rows.replace("p, user:*, side, self, c/*", "p, user:*, *, self, c/*")
    door = door_of(connector, from_side, servers=[Server("side", ("c",), prefixed=True)])
    assert "does not allow" in text_of(await ask(door))
    assert door.linker.links == []
    with pytest.raises(ConnectFirst):
        await ask(door, domain="side")
    assert door.linker.links[0]["domain"] == "side"
    await door.pipeline.close()


async def test_where_connecting_would_not_help_the_refusal_stays_as_it_is():
    def full(_: Any) -> Params:
        raise NotConnected("the account is suspended")

    door = door_of(connector := personal(answer=full))
    door.connect(connector, AMY, "amys")
    assert "the account is suspended" in text_of(await ask(door))
    assert door.linker.links == []


async def test_a_call_that_is_denied_or_does_not_fit_makes_no_link():
    schema: Params = {"type": "object", "properties": {"n": {"type": "integer"}}}
    door = door_of(personal(tool("t", schema=schema)), BOTH.replace("write, ,", "write, args.n == 1,"))
    for n in (2, None):
        await door.handle(AMY, call("tools/call", name="c__t", arguments={"n": n}), caller=Client(OPENS))
        assert door.last.outcome == "denied"
    door.apply(BOTH)
    await door.handle(AMY, call("tools/call", name="c__t", arguments={"n": "x"}), caller=Client(OPENS))
    assert door.last.outcome == "invalid_arguments"
    assert door.linker.links == []


# -- where the browser goes back to


async def headed(door: Door, back: str) -> Params | Refusal:
    headers = {"mcp-protocol-version": "2025-11-25", "x-redirect-uri": back}
    message = call("tools/call", name="c__t", arguments={}).message
    return await door.handle(AMY, classified(message, headers=headers), caller=Client())


async def test_the_header_says_where_the_browser_goes_back_to_and_only_a_registered_place_will_do():
    door = door_of(personal())
    await headed(door, REGISTERED)
    assert door.linker.links[0]["back"] == REGISTERED
    result = await headed(door, f"{REGISTERED}/")
    assert result["isError"] is True
    assert len(door.linker.links) == 1
    assert door.last.outcome == InvalidArguments.kind


async def test_without_anybody_who_connects_accounts_the_refusal_is_told_as_it_is():
    door = Door(BOTH, [personal()])
    result = await ask(door)
    assert text_of(result).startswith("no account of `c` is connected (reference")
    assert text_of(await modern(door)).startswith("no account of `c` is connected (reference")


async def test_no_entry_and_no_log_line_holds_the_link(caplog: pytest.LogCaptureFixture):
    caplog.set_level(0)
    door = door_of(personal())
    await ask(door, Client())
    await modern(door)
    assert "secret" not in str(door.entries)
    assert "secret" not in caplog.text
    assert "secret" not in repr(await door.linker.link("user:x", "c", by="user:x"))
