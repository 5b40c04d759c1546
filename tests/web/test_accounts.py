"""Whose account a call uses, over the wire: the two headers of every transport, and how a missing account is told."""

import json
from typing import Any

import pytest

from tests.builders import ALL, AMY, BOB, Door
from tests.fakes import REGISTERED, FakeConnector, FakeLinker, tool
from tests.web.plane import MODERN, MODERN_META, Exchange, Front, message, until

ROWS = f"{ALL}\np, user:*, main, self, c, connect, , allow"
CALL = {"name": "c__t", "arguments": {}}
OPENS = {"elicitation": {"url": {}}}


@pytest.fixture
def connector() -> FakeConnector:
    return FakeConnector("c", [tool("t")], personal=True)


@pytest.fixture
def front(connector: FakeConnector) -> Front:
    return Front(Door(ROWS, [connector], linker=FakeLinker()))


async def over_sse(front: Front, **headers: str) -> Any:
    """The answer to the call, as it comes over an event stream."""
    stream = front.open("GET", "/sse")
    await until(lambda: "sessionId=" in stream.text)
    id = stream.text.partition("sessionId=")[2].partition("\n")[0]
    posted = await front.open("POST", f"/messages?sessionId={id}", message("tools/call", **CALL), **headers).done()
    assert posted.status == 202
    await until(lambda: stream.messages)
    return stream.messages[-1]


async def over_mcp(front: Front, **headers: str) -> Any:
    session = await front.session()
    posted = front.open("POST", "/mcp", message("tools/call", **CALL), mcp_session_id=session, **headers)
    return (await posted.done()).told


async def without_a_session(front: Front, **headers: str) -> Any:
    body = message("tools/call", _meta=MODERN_META, **CALL)
    posted = front.open("POST", "/mcp", body, **MODERN, mcp_method="tools/call", mcp_name="c__t", **headers)
    return (await posted.done()).told


@pytest.mark.parametrize("ask", [over_sse, over_mcp, without_a_session])
async def test_the_header_names_the_connection_and_nobody_elses(front: Front, connector: FakeConnector, ask: Any):
    for email, id in ((AMY, "one"), (AMY, "three"), (BOB, "bobs")):
        front.door.connect(connector, email, id)
    assert "result" in await ask(front, x_credential_id="three")
    assert connector.named == ["three"]
    foreign, missing = [await ask(front, x_credential_id=id) for id in ("bobs", "none")]
    assert json.dumps(foreign).replace("bobs", "none") == json.dumps(missing)
    assert foreign["error"]["code"] == -32602
    assert "several connections" in (await ask(front))["result"]["content"][0]["text"]
    assert connector.named == ["three"]


@pytest.mark.parametrize("ask", [over_sse, over_mcp, without_a_session])
async def test_the_header_says_where_the_browser_goes_back_to(front: Front, ask: Any):
    told = await ask(front, x_redirect_uri=REGISTERED)
    assert "/connect/flow-1.secret" in told["result"]["content"][0]["text"]
    assert front.door.linker.links[0]["back"] == REGISTERED
    assert (await ask(front, x_redirect_uri="https://evil.example.com"))["result"]["isError"] is True
    assert len(front.door.linker.links) == 1


async def test_two_headers_of_one_name_name_no_connection(front: Front, connector: FakeConnector):
    front.door.connect(connector, AMY, "one")
    session = await front.session()
    exchange = front.open(
        "POST", "/mcp", message("tools/call", **CALL), mcp_session_id=session, x_credential_id="one, one"
    )
    assert (await exchange.done()).told["error"]["code"] == -32602
    assert connector.named == []


async def test_a_session_is_told_the_url_and_on_its_stream_that_it_is_done(front: Front, connector: FakeConnector):
    session = await front.session(**OPENS)
    news: Exchange = front.resume(session)
    await until(lambda: news.sent)
    told = (await front.post("tools/call", session=session, **CALL).done()).told
    assert told["error"]["code"] == -32042
    [elicitation] = told["error"]["data"]["elicitations"]
    assert elicitation["url"].endswith("/connect/flow-1.secret")
    front.door.connect(connector, AMY, "amys")
    front.door.linker.finish(elicitation["elicitationId"])
    await until(lambda: news.messages)
    assert news.messages[-1]["method"] == "notifications/elicitation/complete"
    assert news.messages[-1]["params"] == {"elicitationId": elicitation["elicitationId"]}
    assert "result" in (await front.post("tools/call", session=session, **CALL).done()).told
    await front.door.pipeline.close()


async def test_a_client_without_a_session_repeats_the_very_same_request(front: Front, connector: FakeConnector):
    meta = {**MODERN_META, "io.modelcontextprotocol/clientCapabilities": OPENS}

    async def ask(**more: Any) -> Any:
        body = message("tools/call", _meta=meta, **CALL, **more)
        posted = front.open("POST", "/mcp", body, **MODERN, mcp_method="tools/call", mcp_name="c__t")
        return (await posted.done()).told["result"]

    asked = await ask()
    assert asked["resultType"] == "input_required"
    front.door.connect(connector, AMY, "amys")
    front.door.linker.finish("flow-1")
    done = await ask(requestState=asked["requestState"], inputResponses={"connect": {"action": "accept"}})
    assert done["resultType"] == "complete"
    assert connector.named[-1] == "amys"
