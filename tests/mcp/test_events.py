"""Event streams: any pieces give the same events, and no stream can fill the memory."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mcp.events import KEEPALIVE, EventParser, EventTooLong, ServerEvent, encode_event


def read(stream: bytes) -> list[ServerEvent]:
    return EventParser().feed(stream)


def by_the_book(stream: bytes) -> tuple[list[ServerEvent], str, int | None]:
    """WHATWG HTML 9.2.6, word by word, over the whole stream at once."""
    events, data, name, buffered, last, retry = [], [], "", "", "", None
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in text.split(b"\n")[:-1]:
        if line == b"":
            last = buffered
            if data:
                events.append(ServerEvent(b"\n".join(data), name or "message", last))
            data, name = [], ""
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if field == b"data" and line:
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
        elif field == b"id" and b"\0" not in value:
            buffered = value.decode(errors="replace")
        elif field == b"retry" and value.isdigit() and len(value) < 10:
            retry = int(value)
    return events, last, retry


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_all_three_line_ends(end):
    assert read(end.join([b"data: a", b"data:b", b"", b"data", b"", b""])) == [ServerEvent(b"a\nb"), ServerEvent(b"")]


def test_fields_comments_and_names():
    stream = b":hello\nevent: e\nid: 7\ndata:  x\nunknown: y\n\ndata: z\n\n"
    assert read(stream) == [ServerEvent(b" x", "e", "7"), ServerEvent(b"z", "message", "7")]


def test_an_event_without_data_is_none_but_keeps_its_id():
    parser = EventParser()
    assert parser.feed(b"event: e\nid: 1\n\n") == []
    assert parser.last_id == "1"
    assert parser.feed(b"data: x\n\n") == [ServerEvent(b"x", "message", "1")]


def test_an_unfinished_event_is_no_event_and_its_id_not_the_last():
    parser = EventParser()
    assert parser.feed(b"id: 1\ndata: x\n") == []
    assert parser.last_id == ""


def test_an_id_with_nul_is_ignored_and_an_empty_one_resets():
    assert read(b"id: a\0b\ndata: x\n\n") == [ServerEvent(b"x")]
    assert [event.id for event in read(b"id: 1\ndata: x\n\nid\ndata: y\n\n")] == ["1", ""]


@pytest.mark.parametrize(
    ("value", "expected"), [(b"250", 250), (b"2x", None), (b"", None), (b"\xb2", None), (b"9" * 10, None)]
)
def test_retry_is_plain_digits(value, expected):
    parser = EventParser()
    parser.feed(b"retry: " + value + b"\n")
    assert parser.retry_ms == expected


def test_a_byte_order_mark_counts_only_at_the_start():
    assert read(b"\xef\xbb\xbfdata: x\n\n\xef\xbb\xbfdata: y\n\n") == [ServerEvent(b"x")]


def test_a_line_end_cut_in_two_is_one():
    parser = EventParser()
    assert parser.feed(b"data: a\r") == []
    assert parser.feed(b"") == []
    assert parser.feed(b"\n") == []
    assert parser.feed(b"\r") == [ServerEvent(b"a")]
    assert parser.feed(b"\ndata: b\n\n") == [ServerEvent(b"b")]


lines = st.sampled_from(
    [
        b"data: x",
        b"data:",
        b"data",
        b"data:  \xc3\xa4",
        b"id: 1",
        b"id",
        b"id: \0",
        b"event: e",
        b"retry: 5",
        b": c",
        b"",
        b"",
        b"\xff: 1",
        b"\xef\xbb\xbfdata: q",
    ]
)
streams = st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r", b"\r\n"])).map(b"".join), max_size=12).map(
    b"".join
) | st.binary(max_size=40)


@given(streams, st.data())
@example(b"\xef\xbb\xbfdata: x\r\n\r\n", None)
def test_any_pieces_give_the_same_events(stream, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8))) if data else range(len(stream))
    parser = EventParser()
    events = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += parser.feed(stream[start:end])
    assert (events, parser.last_id, parser.retry_ms) == by_the_book(stream)


@given(
    st.binary(max_size=60), st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=5)
)
def test_what_is_encoded_is_read_again(data, word):
    events = read(KEEPALIVE + encode_event(data, event=word, id=word, retry_ms=5))
    expected = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert events == [ServerEvent(expected, word or "message", word)]


@pytest.mark.parametrize("word", ["a\nb", "a\rb", "a\0b", "\ud800"])
def test_names_and_ids_cannot_break_the_framing(word):
    for arguments in ({"event": word}, {"id": word}):
        with pytest.raises(ValueError):
            encode_event(b"x", **arguments)


def test_a_message_is_one_line_of_data():
    assert encode_event(b"{}", event="message", id="1") == b"id: 1\nevent: message\ndata: {}\n\n"
    assert encode_event(b"", id="0", retry_ms=10) == b"retry: 10\nid: 0\ndata: \n\n"


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 50, b"y" * 50, b"data: xxxxxxxxxx\n", b"data\n"])
def test_an_endless_event_ends_the_reading(chunk):
    with pytest.raises(EventTooLong):
        feed_again_and_again(EventParser(max_event=1000), chunk)


def feed_again_and_again(parser, chunk):
    for _ in range(2000):
        parser.feed(chunk)


def test_long_streams_of_short_events_are_no_problem():
    parser = EventParser(max_event=100)
    assert sum(len(parser.feed(b"data: " + b"x" * 80 + b"\n\n")) for _ in range(1000)) == 1000
