"""The recorder keeps every entry, the mask shows only what a condition reads."""

import asyncio
import io
import json
import logging
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import AuditEntry
from gateway.audit.masking import PIECES, POINTER, SHOWN, TARGET, keyed_hash, masked, masked_target
from gateway.audit.trail import BATCH, Audit, EntryIds
from tests.fakes import MemoryTrail

hashed = keyed_hash(b"k" * 32)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=4), below, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c.d", "a/b", "~"]) | st.text(max_size=4), JSON, max_size=5)
PATHS = st.frozensets(st.sampled_from(["a", "a.b", "a.b.c", "b", "c.d", "c", "d"]))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def entry(audit: Audit, now: int = 1_000, **facts: str) -> AuditEntry:
    return AuditEntry(id=audit.new_id(now), at=now, **facts)


# -- ids


@given(st.lists(st.integers(0, 2**44), min_size=2, max_size=200))
def test_ids_rise_even_when_the_clock_does_not(times: list[int]):
    ids = EntryIds()
    made = [ids.next(now) for now in times]
    assert made == sorted(set(made))
    assert {len(id) for id in made} == {32}


def test_ids_of_two_processes_sort_by_time_and_differ():
    one, other = EntryIds(), EntryIds()
    assert one.next(5) != other.next(5)
    assert one.next(1_000) < other.next(1_001) < one.next(1_002)


# -- the recorder


async def test_every_entry_reaches_the_store_in_batches_of_at_most_a_hundred():
    trail = MemoryTrail()
    audit = Audit(trail)
    audit.start()
    given = [entry(audit) for _ in range(3 * BATCH + 7)]
    for each in given:
        audit.record(each)
    assert await audit.stop() == 0
    assert [each.id for each in await trail.scan(limit=1_000)] == [each.id for each in given]
    assert max(trail.batches) == BATCH


async def test_a_lone_entry_is_written_without_a_second_one():
    trail = MemoryTrail()
    audit = Audit(trail)
    audit.start()
    audit.record(lone := entry(audit))
    await asyncio.wait_for(trail.appended.wait(), 5)
    assert [each.id for each in trail.kept.values()] == [lone.id]
    await audit.stop()


async def test_entries_recorded_while_others_are_written_are_not_lost():
    trail = MemoryTrail()
    audit = Audit(trail)
    audit.start()
    for _ in range(40):
        audit.record(entry(audit))
        await asyncio.sleep(0)
    await until(lambda: len(trail.kept) == 40)
    await audit.stop()


async def test_an_entry_survives_the_cancellation_of_the_request_that_left_it():
    trail = MemoryTrail()
    audit = Audit(trail)
    audit.start()

    async def request() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            audit.record(entry(audit, outcome="cancelled"))

    task = asyncio.create_task(request())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await audit.stop()
    assert [each.outcome for each in trail.kept.values()] == ["cancelled"]


async def test_while_the_store_is_down_entries_wait_and_follow_later():
    trail = MemoryTrail(down=True)
    audit = Audit(trail)
    audit.start()
    audit.record(late := entry(audit))
    await asyncio.wait_for(trail.tried.wait(), 5)
    assert trail.kept == {}
    assert not audit.full
    trail.down = False
    assert await audit.stop() == 0
    assert list(trail.kept) == [late.id]


async def test_a_long_outage_makes_the_recorder_full_and_is_told_once(caplog: pytest.LogCaptureFixture):
    trail = MemoryTrail(down=True)
    audit = Audit(trail, most=3, pauses=(0.0,) * 3)
    audit.start()
    for _ in range(2):
        audit.record(entry(audit))
    assert not audit.full
    audit.record(entry(audit))
    assert audit.full
    await until(lambda: "does not answer" in caplog.text)
    trail.down = False
    await until(lambda: not audit.full)
    assert await audit.stop() == 0
    assert len(trail.kept) == 3
    assert caplog.text.count("does not answer") == 1


async def test_memory_stays_bounded_and_what_is_lost_is_counted(caplog: pytest.LogCaptureFixture):
    audit = Audit(MemoryTrail(down=True), most=3)
    audit.start()
    for _ in range(10):
        audit.record(entry(audit))
    assert audit.lost == 4
    assert await audit.stop(within=0.01) == 10
    assert "10 entries could not be written" in caplog.text


async def test_with_continue_calls_go_on_and_the_loss_is_on_record(caplog: pytest.LogCaptureFixture):
    trail = MemoryTrail(down=True)
    audit = Audit(trail, most=3, pauses=(0.0,), refusing=False, clock=lambda: 7)
    audit.start()
    for _ in range(10):
        audit.record(entry(audit))
    assert not audit.full
    assert caplog.text.count("entries are lost") == 1
    trail.down = False
    await until(lambda: len(trail.kept) == 7)
    await audit.stop()
    (told,) = (each for each in trail.kept.values() if each.method == "audit.lost")
    assert told.arguments == {"/entries": "4"}
    assert [each.number for each in trail.kept.values()] == list(range(1, 8))


async def test_a_recorder_that_was_not_started_or_has_stopped_takes_no_new_work():
    audit = Audit(MemoryTrail())
    assert audit.full
    assert await audit.stop() == 0
    audit = Audit(MemoryTrail())
    audit.start()
    assert not audit.full
    await audit.stop()
    assert audit.full


async def test_a_writer_that_breaks_closes_the_door_aloud(caplog: pytest.LogCaptureFixture):
    audit = Audit(MemoryTrail(failure=RuntimeError("a bug in the store")))
    audit.start()
    audit.record(entry(audit))
    await until(lambda: audit.full)
    await until(lambda: "every call is refused" in caplog.text)
    assert caplog.records[-1].levelno == logging.CRITICAL
    assert await audit.stop() == 1


async def test_entries_are_also_written_as_json_lines():
    stream = io.BytesIO()
    audit = Audit(MemoryTrail(), stream=stream)
    audit.start()
    for subject in ("user:a", "user:b"):
        audit.record(entry(audit, subject=subject))
    await audit.stop()
    assert [json.loads(line)["subject"] for line in stream.getvalue().splitlines()] == ["user:a", "user:b"]


async def test_a_broken_stream_of_lines_is_given_up_and_the_store_goes_on(caplog: pytest.LogCaptureFixture):
    stream = io.BytesIO()
    stream.close()
    trail = MemoryTrail()
    audit = Audit(trail, stream=stream)
    audit.start()
    audit.record(entry(audit))
    await until(lambda: "given up" in caplog.text)
    audit.record(entry(audit))
    assert await audit.stop() == 0
    assert len(trail.kept) == 2


# -- the mask


def test_only_fields_that_a_condition_reads_are_shown():
    arguments = {"channel": "#help", "text": "hunter2", "card": {"number": "4111", "kind": "visa"}}
    shown, hidden = masked(arguments, frozenset({"channel", "card.kind"}), hashed)
    assert shown == {"/channel": '"#help"', "/card/kind": '"visa"'}
    assert set(hidden) == {"/text", "/card/number"}


def test_a_list_that_a_condition_reads_is_shown_whole_and_objects_in_it_field_by_field():
    arguments = {"to": ["a@x", "b@x"], "lines": [{"price": 1, "note": "s"}, 7, {}]}
    shown, hidden = masked(arguments, frozenset({"to", "lines.price"}), hashed)
    assert shown == {"/to": '["a@x","b@x"]', "/lines/0/price": "1"}
    assert set(hidden) == {"/lines/0/note", "/lines/1", "/lines/2"}


@pytest.mark.parametrize(
    ("arguments", "readable"),
    [
        ({"user": {"password": "hunter2"}}, {"user"}),  # `has(args.user)` reads no field of it
        ({"list": [{"password": "hunter2"}]}, {"list"}),
        ({"a.b": "hunter2"}, {"a.b"}),  # a key with a dot is not the path `a.b`
        ({"a": {"b.c": "hunter2"}}, {"a.b.c"}),
        ({"a.b": {"c": "hunter2"}}, {"a.b.c"}),
        ({"a": "hunter2"}, {"a.b"}),
        ({"a": "hunter2"}, set()),
    ],
)
def test_what_no_condition_reads_is_never_shown(arguments: dict, readable: set[str]):
    shown, hidden = masked(arguments, frozenset(readable), hashed)
    assert shown == {}
    assert len(hidden) == 1
    assert "hunter2" not in str(hidden)


def test_pointers_are_escaped():
    shown, _ = masked({"a/b~c": 1}, frozenset({"a/b~c"}), hashed)
    assert shown == {"/a~1b~0c": "1"}  # RFC 6901 §3


def test_equal_values_have_equal_hashes_under_one_key_only():
    value = {"password": "hunter2"}
    assert masked(value, frozenset(), hashed) == masked(dict(value), frozenset(), hashed)
    assert masked(value, frozenset(), hashed) != masked(value, frozenset(), keyed_hash(b"other"))


def test_large_arguments_are_bounded():
    many = {f"k{index}": index for index in range(PIECES + 1)}
    assert masked(many, frozenset(many), hashed)[0] == {}
    assert set(masked(many, frozenset(many), hashed)[1]) == {""}
    assert set(masked({"k" * POINTER: 1}, frozenset(), hashed)[1]) == {""}
    shown, hidden = masked({"text": "x" * SHOWN}, frozenset({"text"}), hashed)
    assert shown == {}
    assert set(hidden) == {"/text"}


@given(arguments=OBJECTS, readable=PATHS)
def test_masking_takes_any_arguments_and_shows_no_unread_text(arguments: dict, readable: frozenset[str]):
    before = json.dumps(arguments, sort_keys=True)
    shown, hidden = masked(arguments, readable, hashed)
    assert json.dumps(arguments, sort_keys=True) == before
    assert len(shown) + len(hidden) <= PIECES
    assert not shown.keys() & hidden.keys()
    for pointer, text in shown.items():
        path = ".".join(part for part in pointer.split("/")[1:] if not part.isdigit())
        assert path in readable
        assert isinstance(json.loads(text), str | int | float | bool | list | None)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("https://user:secret@host/a?token=secret#secret", "https://host/a"),
        ("web/resource:https://user:secret@host/a?token=secret", "web/resource:https://host/a"),
        ("file:///a/b", "file:///a/b"),
        ("x" * 5_000, "x" * TARGET),
    ],
)
def test_a_uri_is_recorded_without_what_may_hold_a_secret(target: str, shown: str):
    assert masked_target(target) == shown
