"""One line to an upstream whose every word the test says: when it opens again, and when it must not."""

import asyncio

import pytest

from connectors.base import QUIET, Sharing, UpstreamSpec
from connectors.line import Pace
from connectors.transport import HttpAnswer, TransportBusy, TransportLost
from connectors.upstream import Upstream
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Era, Notification
from tests.connectors.scripted import Scripted
from tests.upstreams.starting import CLIENT

CAPABILITIES = {"tools": {"listChanged": True}, "resources": {"subscribe": True}}
LEGACY = {
    "initialize": {"protocolVersion": "2025-11-25", "capabilities": CAPABILITIES},
    "notifications/initialized": {},
    "tools/list": {"tools": []},
    "resources/list": {"resources": []},
    "resources/templates/list": {"resourceTemplates": []},
    "resources/subscribe": {},
    "resources/unsubscribe": {},
    "tools/call": {"fine": True},
}
CALL = {"name": "echo", "arguments": {}}
GONE = TransportLost("the server is gone", sent=False)


class Server:
    """Gives each session a transport of its own; ``answers`` are those of the sessions still to come."""

    def __init__(self, http=True, pace=None, **spec):
        pace = pace or Pace(first=0.001, most=0.001)
        self.http = http
        self.answers = LEGACY
        self.sessions = []
        given = {"id": "up", "transport": "http" if http else "stdio", "sharing": Sharing.ALL, "era": Era.LEGACY}
        self.upstream = Upstream(UpstreamSpec(**(given | spec)), None, client=CLIENT, transport=self.session, pace=pace)

    def session(self):
        self.sessions.append(Scripted(dict(self.answers), http=self.http))
        return self.sessions[-1]

    async def send(self, method, params):
        connection = await self.upstream.open("user:a", "user:a")
        return await connection.send(method, params, QUIET)

    async def subscribe(self, *uris):
        for uri in uris:
            assert await self.send("resources/subscribe", {"uri": uri}) == {}


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def asked(session, method):
    return [message.params for message in session.sent if getattr(message, "method", "") == method]


async def test_a_call_that_finds_no_room_fails_alone_and_ends_no_session():
    server = Server()
    await server.send("tools/call", CALL)
    server.sessions[0].answers["tools/call"] = TransportBusy("256 exchanges are under way")
    with pytest.raises(UpstreamFailed, match="as many calls under way as it may"):
        await server.send("tools/call", CALL)
    server.sessions[0].answers["tools/call"] = {"fine": True}
    assert await server.send("tools/call", CALL) == {"fine": True}
    assert len(server.sessions) == 1
    await server.upstream.close()


async def test_after_a_session_that_was_stable_the_waits_start_from_the_beginning():
    server = Server(pace=Pace(first=0.001, stable=0.0))
    line = server.upstream.line("")

    async def fail(times):
        server.answers = LEGACY | {"start": GONE}
        for _ in range(times):
            await until(lambda: asyncio.get_running_loop().time() >= line._retry_at)
            with pytest.raises(UpstreamFailed):
                await server.send("tools/call", CALL)
        return line._failures

    assert await fail(3) == 3
    server.answers = LEGACY
    await until(lambda: asyncio.get_running_loop().time() >= line._retry_at)
    await server.send("tools/call", CALL)
    server.sessions[-1].answers["tools/call"] = HttpAnswer(404)
    assert await fail(1) == 1
    assert await fail(1) == 2
    await server.upstream.close()


@pytest.mark.parametrize("http", [True, False])
async def test_a_subscription_brings_a_lost_session_back_although_nobody_calls(http):
    server = Server(http)
    await server.subscribe("a://1")
    server.answers = LEGACY | {"start": GONE}
    server.sessions[0].lost(TransportLost("it ended", sent=True))
    await until(lambda: len(server.sessions) >= 4)
    server.answers = LEGACY
    await until(lambda: asked(server.sessions[-1], "resources/subscribe") == [{"uri": "a://1"}])
    await until(lambda: server.upstream.line("").idle)
    count = len(server.sessions)
    await asyncio.sleep(0.01)
    assert len(server.sessions) == count
    await server.upstream.close()


@pytest.mark.parametrize("subscribed", [True, False])
async def test_only_a_line_that_nobody_waits_on_is_forgotten_for_another(subscribed, monkeypatch):
    monkeypatch.setattr("connectors.lines.MAX_LINES", 1)
    server = Server(sharing=Sharing.PRINCIPAL, pace=Pace(first=60.0))
    await server.subscribe(*["a://1"] * subscribed)
    await server.send("tools/call", CALL)
    server.sessions[0].lost(TransportLost("it ended", sent=True))
    if subscribed:
        with pytest.raises(UpstreamFailed, match="as many principals as it can"):
            server.upstream.line("user:b")
    else:
        assert server.upstream.line("user:b").principal == "user:b"
    await server.upstream.close()


async def test_without_a_subscription_nothing_is_opened_before_it_is_needed():
    server = Server()
    await server.send("tools/call", CALL)
    server.sessions[0].lost(TransportLost("it ended", sent=True))
    await asyncio.sleep(0.01)
    assert len(server.sessions) == 1
    await server.upstream.close()


async def test_all_subscriptions_are_made_again_at_once_whatever_else_is_ended_meanwhile():
    server = Server()
    await server.subscribe("a://1", "a://2", "a://3")
    server.answers = {method: answer for method, answer in LEGACY.items() if method != "resources/subscribe"}
    server.sessions[0].lost(TransportLost("it ended", sent=True))
    await until(lambda: len(server.sessions) >= 2)
    again = await server.sessions[1].until(3, "resources/subscribe")
    assert {each.params["uri"] for each in again} == {"a://1", "a://2", "a://3"}
    await server.upstream.line("").request("resources/unsubscribe", {"uri": "a://unknown"}, QUIET)
    for each in again:
        server.sessions[1].answer(each.id, {})
    assert await server.send("tools/call", CALL) == {"fine": True}
    assert len(server.sessions) == 2
    await server.upstream.close()


async def test_a_session_that_breaks_while_it_is_subscribed_again_does_not_serve():
    server = Server()
    await server.subscribe("a://1")
    server.answers = LEGACY | {"resources/subscribe": TransportLost("it ended", sent=True)}
    server.sessions[0].lost(TransportLost("it ended", sent=True))
    await until(lambda: len(server.sessions) >= 3)
    assert server.upstream.line("")._talk is None
    await server.upstream.close()


async def test_nothing_is_opened_after_the_end():
    server = Server(False)
    line = server.upstream.line("")
    await server.subscribe("a://1")
    (session,) = server.sessions
    said = []

    async def last_words():
        session.receive(Notification("notifications/tools/list_changed"))
        said.append(True)

    session.close = last_words
    await server.upstream.close()
    with pytest.raises(UpstreamFailed, match="is being closed"):
        await line.open()
    await asyncio.sleep(0.01)
    assert said
    assert len(server.sessions) == 1


async def test_a_list_read_long_ago_is_read_again_when_the_line_is_used():
    server = Server()
    await server.upstream.catalogue("user:a")
    server.upstream.line("")._shelf._stale_after = 0.0
    before = len(asked(server.sessions[0], "tools/list"))
    await asyncio.sleep(0.001)
    await server.send("tools/call", CALL)
    await until(lambda: len(asked(server.sessions[0], "tools/list")) > before)
    await server.upstream.close()
