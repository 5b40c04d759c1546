"""Whatever bytes a server sends, over every transport: an answer or a typed error, in bounded time, and nothing else."""

import asyncio
import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors import stdio
from connectors.base import UpstreamError
from connectors.conversation import Conversation
from connectors.event_stream import EventStream
from connectors.stdio import StdioTransport
from connectors.streamable_http import StreamableHttp
from connectors.transport import HttpAnswer, TransportLost
from gateway.errors import Malformed, UpstreamFailed
from gateway.mcp.jsonrpc import parse
from gateway.mcp.questions import relayable
from gateway.mcp.terms import Notification, Request, Response
from tests.connectors.asked import EVERYTHING, Client
from tests.connectors.raw_http import http_spec
from tests.connectors.scripted import LEGACY, MODERN

ANSWER = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"h\xc3\xa9"}]}}'
PIECES = [
    *(
        ANSWER,
        b"\xef\xbb\xbf",
        b"[" + ANSWER + b"]",
        ANSWER.replace(b"1,", b"2,"),
        ANSWER.replace(b"1,", b'"1",'),
        b"{}",
    ),
    b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}',
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}',
    b'{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState":"x"}}',
    b'{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}',
    b'{"jsonrpc":"2.0","id":"q","method":"ping"}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
    b'{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":[1]}}',
    b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":5}}',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}',
    *(
        b"data: ",
        b"id: 5\n",
        b"retry: 0\n",
        b"retry: x\n",
        b"event: message\n",
        b"event: endpoint\n",
        b"data: /messages\n",
    ),
    *(b"\n", b"\n\n", b"\r\n\r\n", b"\r", b": quiet\n", b"\xc3", b"\xa9", b"\x00", b"x" * 3_000, b"<html>"),
]
EVENT = b"event: message\nid: 1\ndata: " + ANSWER + b"\n\n"
PRIMING = b"id: 1\nretry: 0\ndata: \n\n"
FINE = [(200, "text/event-stream", EVENT), (200, "application/json", ANSWER)]

blobs = st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=10).map(b"".join)
cuts = st.lists(st.integers(1, 60), max_size=20)
labels = st.sampled_from(
    [
        "application/json",
        "text/event-stream",
        "text/event-stream; charset=utf-8",
        "application/json; charset=utf-16",
        "",
        "text/html",
    ]
)
statuses = st.sampled_from([200, 200, 200, 201, 202, 204, 304, 400, 404, 500])


def pieces(blob, cuts):
    """``blob`` in pieces of these sizes, the rest at the end."""
    start = 0
    for size in cuts:
        yield blob[start : start + size]
        start += size
    yield blob[start:]


class Said:
    """One answer over HTTP; a stream that goes on says nothing more, for ever."""

    def __init__(self, status, label, blob, cuts, *, goes_on=False):
        self.status, self.headers = status, {"Content-Type": label}
        self.blob, self.cuts, self.goes_on = blob, cuts, goes_on

    async def chunks(self):
        for piece in pieces(self.blob, self.cuts):
            if piece:
                yield piece
            await asyncio.sleep(0)
        if self.goes_on:
            await asyncio.Event().wait()

    async def read(self, at_most=None):
        return self.blob


class Wire:
    """An ``Egress`` whose servers answer the first request of each method with what they are given, then refuse."""

    def __init__(self, **answers):
        self.answers = answers

    @contextlib.asynccontextmanager
    async def request(self, method, url, **given):
        await asyncio.sleep(0)
        yield self.answers.pop(method, None) or Said(405, "", b"", [])


async def outcome(talk):
    """What one call comes to; anything but a result or a typed error fails the test."""
    try:
        async with asyncio.timeout(5):
            result = await talk.request("tools/call", {"name": "x", "_meta": {"progressToken": 1}}, Client())
    except (UpstreamFailed, UpstreamError) as failure:
        return failure
    assert isinstance(result, dict)
    return result


@pytest.fixture(autouse=True, scope="module")
def hasty():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FIRST_PAUSE", "MOST_PAUSE"):
            patch.setattr(f"connectors.streamable_http.{name}", 0.0)
        yield


def conversation(transport, terms, *, http, exclusive=True, timeout=0.1):
    talk = Conversation(
        transport,
        name="up",
        client={"name": "ours"},
        timeout=timeout,
        http=http,
        exclusive=exclusive,
        declares=relayable(EVERYTHING),
        told=lambda _: None,
        ended=lambda _: None,
    )
    talk.terms = terms
    return talk


@given(st.sampled_from([LEGACY, MODERN]), statuses, labels, blobs, cuts, labels, blobs, st.booleans())
@example(LEGACY, 200, "text/event-stream", EVENT, [9, 1, 1], "", b"", True)
@example(LEGACY, 200, "text/event-stream", PRIMING, [], "text/event-stream", EVENT, False)
@example(MODERN, 200, "application/json", ANSWER, [], "", b"", False)
async def test_any_bytes_over_streamable_http_are_an_answer_or_a_typed_error(
    terms, status, label, blob, cuts, again, more, goes_on
):
    first = Said(status, label, blob, cuts, goes_on=goes_on and status == 200)
    wire = Wire(POST=first, GET=Said(200, again, more, [], goes_on=goes_on))
    talk = conversation(StreamableHttp(http_spec("http://127.0.0.1/mcp"), wire), terms, http=True)
    await talk.start()
    found = await outcome(talk)
    if (status, label, blob) in FINE or (blob == PRIMING and more == EVENT):
        assert found["content"] == [{"type": "text", "text": "hé"}]
    await talk.close()


@given(st.booleans(), blobs, cuts, st.booleans())
@example(True, EVENT, [1, 1, 1], True)
async def test_any_bytes_on_an_event_stream_are_an_answer_or_a_typed_error(named, blob, cuts, goes_on):
    begins = b"event: endpoint\ndata: /messages\n\n" if named else b""
    stream = Said(200, "text/event-stream", begins + blob, [len(begins), *cuts], goes_on=goes_on)
    transport = EventStream(
        http_spec("http://127.0.0.1/sse", start_timeout=0.05), Wire(GET=stream, POST=Said(202, "", b"", []))
    )
    talk = conversation(transport, LEGACY, http=False, timeout=0.02)
    with contextlib.suppress(TransportLost, HttpAnswer):
        async with asyncio.timeout(5):
            await talk.start()
        await outcome(talk)
    await talk.close()


@given(blobs, cuts)
@example(b"\xef\xbb\xbf" + ANSWER + b"\n" + ANSWER + b"\n", [1, 1, 1])
@example(ANSWER[:-10] + b"\n" + ANSWER, [70])
def test_any_bytes_of_a_child_are_messages_line_by_line_however_they_are_cut(blob, cuts):
    heard, transport = [], StdioTransport(("x",), env={})
    child = stdio._Child(max_line=2_000, said=lambda line: transport._hand_on(line, heard.append))
    for piece in pieces(blob, cuts):
        child.pipe_data_received(1, piece)
    assert all(isinstance(each, Request | Notification | Response) for each in heard)
    *lines, rest = blob.split(b"\n")
    if all(len(line) <= 2_000 for line in (*lines, rest)):
        assert not child.fault
        assert len([each for each in heard if not _is_refusal(each)]) == sum(_messages(line) for line in lines)
    else:
        assert "longer than 2000 bytes" in child.fault


def _is_refusal(message):
    return isinstance(message, Response) and message.error == {"code": -32700, "message": "malformed answer"}


def _messages(line):
    try:
        parsed = parse(line)
    except Malformed:
        return 0
    return len(parsed) if isinstance(parsed, list) else 1


class Pipe:
    """A child that answers every request with the same bytes."""

    def __init__(self, blob):
        self.blob = blob

    async def start(self, receive, lost):
        transport = StdioTransport(("x",), env={})
        self.child = stdio._Child(max_line=2_000, said=lambda line: transport._hand_on(line, receive))

    async def send(self, message, **given):
        if isinstance(message, Request):
            self.child.pipe_data_received(1, self.blob)

    async def close(self):
        pass


@given(st.sampled_from([LEGACY, MODERN]), blobs)
@example(LEGACY, ANSWER + b"\n")
async def test_any_lines_of_a_child_leave_every_call_answered_or_failed(terms, blob):
    talk = conversation(Pipe(blob), terms, http=False, timeout=0.02)
    await talk.start()
    found = await outcome(talk)
    if blob == ANSWER + b"\n":
        assert found["content"] == [{"type": "text", "text": "hé"}]
    await talk.close()
