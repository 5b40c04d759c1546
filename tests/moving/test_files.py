"""A store as a file: what it says of itself, what is refused before anything is written, and back again."""

import hashlib
import json
import random

import msgspec
import pytest

from gateway.moving.files import HEADER, check, export, import_
from gateway.moving.sums import line_of, sums_of
from gateway.records import User
from gateway.store.base import Conflict
from gateway.store.sqlite import SqliteStore
from gateway.store.whole import AUDIT, MARKS, PARTS, RECORDS, Row
from tests.moving.contents import SAMPLES, everything


def quiet(done: int, step: str) -> None:
    """Nobody watches."""


@pytest.fixture
async def source(store):
    await everything(store)
    return store


@pytest.fixture
async def target(tmp_path):
    target = SqliteStore(tmp_path / "target" / "t.db", filling=True)
    await target.open()
    yield target
    await target.close()


@pytest.fixture
async def file(source, tmp_path):
    await export(source.contents, tmp_path / "out.jsonl", 7, quiet, audit=True)
    return tmp_path / "out.jsonl"


async def test_a_file_is_private_json_lines_whose_first_tells_what_follows(source, file):
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir() if "jsonl" in path.name] == ["out.jsonl"]
    first, _, rest = file.read_bytes().partition(b"\n")
    assert len(first) + 1 == HEADER
    rows = [json.loads(line) for line in rest.splitlines()]
    counts = {part: sum(row["part"] == part for row in rows) for part in PARTS}
    assert min(counts.values()) > 0
    assert json.loads(first) == {
        "format": "ostiary-store", "version": 1, "schema": 1, "made_at": 7, "audit": True, "counts": counts,
        "hash": hashlib.sha256(rest).hexdigest(),
    }  # fmt: skip


@pytest.mark.parametrize("audit", [True, False])
async def test_what_was_exported_comes_back(source, target, tmp_path, audit):
    await export(source.contents, tmp_path / "out", 7, quiet, audit=audit)
    await import_(target.contents, tmp_path / "out", quiet)
    assert bool(await target.audit.scan()) == bool(await target.checkpoints.page()) == audit
    for name in SAMPLES.keys() - {"checkpoints"}:
        assert await getattr(target, name).page() == await getattr(source, name).page() != []
    parts = PARTS if audit else [each for each in PARTS if each not in (AUDIT, RECORDS)]
    assert await sums_of(target.contents, parts, quiet) == await sums_of(source.contents, parts, quiet)


async def test_a_file_that_is_there_is_not_written_over(source, tmp_path):
    (tmp_path / "out").write_text("a letter")
    with pytest.raises(ValueError, match="is there already"):
        await export(source.contents, tmp_path / "out", 7, quiet, audit=True)
    assert (tmp_path / "out").read_text() == "a letter"


async def test_an_export_that_stops_half_way_leaves_no_file(source, tmp_path):
    def dying(done: int, step: str) -> None:
        raise KeyboardInterrupt

    (tmp_path / "to").mkdir()
    with pytest.raises(KeyboardInterrupt):
        await export(source.contents, tmp_path / "to" / "out", 7, dying, audit=True)
    assert list((tmp_path / "to").iterdir()) == []


async def test_who_follows_a_store_that_was_exported_while_it_changed_reads_all_of_it(source, target, tmp_path):
    before = (await source.heads()).changes

    class Changing:
        async def walk(self, part, after="", limit=100):
            if part == RECORDS and after == "":
                await source.users.add(User(id="zz"))
            return await source.contents.walk(part, after, limit)

    await export(Changing(), tmp_path / "out", 7, quiet, audit=False)
    await import_(target.contents, tmp_path / "out", quiet)
    for after in range(before + 2):
        assert (await target.changes(after)).whole
    assert (await target.users.get("zz")).id == "zz"


async def test_an_import_into_what_is_in_use_is_refused(source, file):
    before = await sums_of(source.contents, PARTS, quiet)
    with pytest.raises(Conflict, match="holds something already"):
        await import_(source.contents, file, quiet)
    assert await sums_of(source.contents, PARTS, quiet) == before


async def test_an_import_that_dies_opens_nowhere_and_goes_on(source, target, file, tmp_path):
    def dying(done: int, step: str) -> None:
        if step == "writing" and done > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await import_(target.contents, file, dying)
    opened = SqliteStore(tmp_path / "target" / "t.db")
    with pytest.raises(ValueError, match="did not end"):
        await opened.open()
    await import_(target.contents, file, quiet)
    assert await sums_of(target.contents, PARTS, quiet) == await sums_of(source.contents, PARTS, quiet)
    await opened.open()
    await opened.close()


# -- refused before the first write


def rows_of(file) -> list[Row]:
    return [msgspec.json.decode(line, type=Row) for line in file.read_bytes().splitlines()[1:]]


def write(file, rows: list[Row], **header) -> None:
    """A file of these rows whose sums are right."""
    body = b"".join(map(line_of, rows))
    told = json.loads(file.read_bytes().splitlines()[0])
    told |= {"counts": {part: sum(row.part == part for row in rows) for part in PARTS}}
    told |= {"hash": hashlib.sha256(body).hexdigest(), **header}
    file.write_bytes(json.dumps(told).encode() + b"\n" + body)


def changed(row: Row, part: str, **fields) -> Row:
    return msgspec.structs.replace(row, **fields) if row.part == part else row


def with_number(row: Row, place: int, number: int) -> tuple[int, ...]:
    return (*row.numbers[:place], number, *row.numbers[place + 1 :])


def without(rows: list[Row], part: str) -> list[Row]:
    return [row for row in rows if row.part != part]


def reversed_records(rows: list[Row]) -> list[Row]:
    records = [row for row in rows if row.part == RECORDS]
    return [*rows[: rows.index(records[0])], *records[::-1], *(row for row in rows if row.part in (AUDIT, MARKS))]


FAULTS = {
    "unknown kind": (lambda rows: [changed(row, RECORDS, key=f"z{row.key}") for row in rows], "is not a kind"),
    "unknown part": (lambda rows: [*rows, Row(part="more", key="x")], "not a part"),
    "order": (reversed_records, "out of order"),
    "twice": (lambda rows: [rows[0], *rows], "out of order"),
    "damaged bundle": (lambda rows: [changed(row, "bundles", data=b"x") for row in rows], "is damaged"),
    "no bundle": (lambda rows: without(rows, "bundles"), "is named and is not there"),
    "a head missing": (lambda rows: rows[1:], "is not version 1"),
    "no marks": (lambda rows: without(rows, MARKS), "newer than the last ticket"),
    "old marks": (lambda rows: [changed(row, MARKS, numbers=(1, 0)) for row in rows], "newer than the last ticket"),
    "odd marks": (lambda rows: [changed(row, MARKS, numbers=(90, 91)) for row in rows], "what was forgotten"),
    "same ticket": (
        lambda rows: [changed(row, RECORDS, numbers=with_number(row, 1, 1)) for row in rows],
        "has ticket 1",
    ),
    "other revision": (
        lambda rows: [changed(row, RECORDS, numbers=with_number(row, 0, 99)) for row in rows],
        "holds another record",
    ),
    "no text": (lambda rows: [changed(row, RECORDS, text=None) for row in rows], "neither there nor removed"),
    "unreadable": (lambda rows: [changed(row, RECORDS, text="{}") if row.text else row for row in rows], "cannot be read"),
    "numbers": (lambda rows: [changed(row, RECORDS, numbers=(1,)) for row in rows], "other numbers"),
    "large number": (lambda rows: [changed(row, MARKS, numbers=(2**64, 0)) for row in rows], "other numbers"),
    "large text": (lambda rows: [changed(row, AUDIT, text="x" * 1_000_001) for row in rows], "longer than"),
    "other entry": (lambda rows: [changed(row, AUDIT, key=f"9{row.key}") for row in rows], "holds another entry"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_rows_that_make_no_store_are_refused_before_the_first_write(file, target, name):
    fault, told = FAULTS[name]
    write(file, fault(rows_of(file)))
    with pytest.raises(ValueError, match=told) as refused:
        await import_(target.contents, file, quiet)
    assert str(refused.value).startswith("out.jsonl:")
    await assert_untouched(target)


async def test_a_file_rewritten_with_its_own_rows_is_taken(file, target):
    write(file, rows_of(file))
    await import_(target.contents, file, quiet)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"hash": "0" * 64}, "is not what its first line says"),
        ({"audit": False}, "is not what its first line says"),
        ({"version": 2}, "has version 2"),
        ({"schema": 2}, "schema 2"),
        ({"format": "other"}, "is not an export"),
        ({"counts": {}}, "is not an export"),
        ({"counts": dict.fromkeys(PARTS, 1)}, "is not what its first line says"),
    ],
)
async def test_a_file_that_is_not_what_its_first_line_says_is_refused(file, target, header, told):
    write(file, rows_of(file), **header)
    with pytest.raises(ValueError, match=told):
        await import_(target.contents, file, quiet)
    await assert_untouched(target)


@pytest.mark.parametrize("seed", range(40))
async def test_a_file_with_one_byte_changed_or_cut_off_anywhere_is_refused(file, seed):
    body, chance = bytearray(file.read_bytes()), random.Random(seed)
    place = chance.randrange(HEADER, len(body))
    if chance.random() < 0.5:
        body[place] ^= 1 << chance.randrange(8)
    else:
        del body[place:]
    file.write_bytes(body)
    with file.open("rb") as opened, pytest.raises(ValueError, match=r"^out\.jsonl:"):
        check(opened, file.name, quiet)


async def assert_untouched(store) -> None:
    again = SqliteStore(store._path)
    await again.open()
    assert (await again.heads()).changes == 0
    await again.close()
