"""How the streams on which servers speak unasked are kept open, and when they are given up."""

import asyncio

import pytest

from connectors import listening
from connectors.conversation import Terms
from connectors.transport import HttpAnswer, TransportLost
from gateway.errors import NotConnected, UpstreamFailed
from gateway.mcp.terms import Era
from tests.connectors.scripted import Scripted, error, talking

CAPABILITIES = {"tools": {"listChanged": True}, "resources": {"subscribe": True}}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(listening, "MOST_PAUSE", 0.01)


async def heard(era, transport, capabilities=CAPABILITIES, uris=()):
    """How often something may have been missed, once listening has come to its end."""
    talk = await talking(transport, Terms(era, "2026-07-28", capabilities))
    missed = []
    async with asyncio.timeout(5):
        await listening.listen(talk, uris, lambda: missed.append(1))
    return len(missed)


def turns(*answers):
    left = list(answers)
    return Scripted({"subscriptions/listen": lambda request: left.pop(0)}, http=True)


@pytest.mark.parametrize(
    "passing",
    [
        TransportLost("reset", sent=True),
        TransportLost("refused", sent=False),
        {},
        *(HttpAnswer(status) for status in (408, 429, 500, 502, 503, 504)),
    ],
)
async def test_a_modern_stream_that_ends_is_opened_again_and_what_was_missed_is_read(passing):
    transport = turns(passing, passing, HttpAnswer(404))
    assert await heard(Era.MODERN, transport) == 2
    assert len(transport.sent) == 3


@pytest.mark.parametrize("final", [HttpAnswer(400), HttpAnswer(401), HttpAnswer(404), HttpAnswer(501), error(-32601)])
async def test_a_modern_stream_that_is_refused_is_given_up(final):
    transport = turns(final)
    assert await heard(Era.MODERN, transport) == 0
    assert len(transport.sent) == 1


async def test_a_stream_for_which_there_is_no_account_any_more_is_given_up():
    transport = turns(UpstreamFailed("the access cannot be renewed now"), NotConnected("gone"))
    assert await heard(Era.MODERN, transport) == 1
    assert len(transport.sent) == 2


async def test_a_modern_server_is_asked_for_what_it_offers():
    transport = turns(HttpAnswer(404))
    await heard(Era.MODERN, transport, {"prompts": {"listChanged": True}, "tools": {"listChanged": "yes"}}, {"a://1"})
    assert transport.sent[0].params["notifications"] == {"promptsListChanged": True}
    transport = turns(HttpAnswer(404))
    await heard(Era.MODERN, transport, uris={"a://2", "a://1"})
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["a://1", "a://2"]}
    assert transport.sent[0].params["notifications"] == wanted


@pytest.mark.parametrize("era", Era)
async def test_a_server_that_offers_nothing_to_hear_is_not_listened_to(era):
    transport = Scripted()
    transport.listen = None  # would fail if it were called
    assert await heard(era, transport, {"tools": {}, "resources": {"subscribe": False}}) == 0
    assert transport.sent == []


@pytest.mark.parametrize(
    ("end", "missed"),
    [(None, 0), (HttpAnswer(404), 1), (TransportLost("no stream opens", sent=True), 1), (NotConnected("gone"), 1)],
)
async def test_when_a_legacy_stream_breaks_for_good_what_was_missed_is_read(end, missed):
    class Ending(Scripted):
        async def listen(self):
            if end is not None:
                raise end

    assert await heard(Era.LEGACY, Ending(http=True)) == missed
