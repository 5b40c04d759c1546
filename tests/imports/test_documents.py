"""Documents of a dump: what each form of them says, and that nothing else than plain values comes out."""

import json
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import json_util
from hypothesis import given
from hypothesis import strategies as st

from gateway.imports.documents import DumpError, Unreadable, documents, of_bson, of_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NAMES = TEXTS.filter(lambda name: not name.startswith("$"))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
AT = datetime(2025, 7, 1, 12, 30, 15, 250_000, tzinfo=UTC)
AT_MS = 1_751_373_015_250


@given(st.lists(DOCUMENTS, max_size=4), st.sampled_from(["\n", "", "  \n\n"]), st.booleans())
def test_json_gives_the_documents_that_were_written(written: list[dict[str, Any]], between: str, array: bool):
    texts = [json.dumps(each) for each in written]
    body = f"[{','.join(texts)}]" if array else between.join(texts)
    assert list(of_json(body.encode())) == written


@given(st.lists(DOCUMENTS, max_size=4))
def test_bson_and_both_kinds_of_extended_json_give_the_same(written: list[dict[str, Any]]):
    dumped = b"".join(map(bson.encode, written))
    assert list(of_bson(dumped)) == written
    for options in (json_util.CANONICAL_JSON_OPTIONS, json_util.RELAXED_JSON_OPTIONS):
        assert list(of_json(json_util.dumps(written, json_options=options).encode())) == written


@given(st.binary(max_size=60))
def test_any_bytes_give_documents_or_one_sentence(body: bytes):
    for read in (of_json, of_bson):
        try:
            found = list(read(body))
        except DumpError:
            continue
        assert all(isinstance(each, dict | Unreadable) for each in found)


def test_ids_and_times_become_plain_values():
    id = bson.ObjectId("507f1f77bcf86cd799439011")
    kept = {"_id": id, "createdAt": AT, "n": bson.Int64(7)}
    plain = {"_id": "507f1f77bcf86cd799439011", "createdAt": AT_MS, "n": 7}
    assert list(of_bson(bson.encode(kept))) == [plain]
    assert list(of_json(json_util.dumps(kept).encode())) == [plain]
    ((_, found),) = ((type(each), each) for each in documents([kept]))
    assert {type(each) for each in found.values()} == {str, int}


def test_a_time_that_no_calendar_knows_is_a_number_all_the_same():
    body = b'{"at": {"$date": {"$numberLong": "-999999999999999"}}}'
    assert list(of_json(body)) == [{"at": -999999999999999}]


ODD = [
    '{"email": {"$ne": null}}',
    '{"$where": "1"}',
    '{"a": {"$code": "f()"}}',
    '{"a": {"$regularExpression": {"pattern": "a", "options": ""}}}',
    '{"a": {"$binary": {"base64": "AA==", "subType": "00"}}}',
    '{"a": {"$numberDecimal": "1"}}',
    '{"a": {"$numberDouble": "NaN"}}',
    '{"a": {"$date": "never"}}',
    '{"a": {"$oid": "short"}}',
    '{"a": {"$numberInt": "x"}}',
    '{"a": {"$minKey": 1}}',
    '{"a": {"$ref": "users", "$id": 1}}',
    r'{"a": "\ud800"}',
    '"a text"',
    "4",
    '{"a":' * 120 + "1" + "}" * 120,
]


@pytest.mark.parametrize("text", ODD)
def test_what_json_cannot_say_is_refused_and_its_neighbours_are_not(text: str):
    before, odd, after = of_json(f'{{"a": 1}}\n{text}\n{{"a": 2}}'.encode())
    assert (before, after) == ({"a": 1}, {"a": 2})
    assert isinstance(odd, Unreadable)
    assert odd.sentence


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"\xff", "is not UTF-8 text"),
        (b'{"a": 1}\n{"a": 1', "line 2: is not JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "not a number"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_dump_that_is_none_is_told_with_its_place(body: bytes, told: str):
    with pytest.raises(DumpError, match=told):
        list(of_json(body))


def test_a_torn_bson_file_is_told():
    with pytest.raises(DumpError, match="is not BSON"):
        list(of_bson(bson.encode({"a": 1}) + bson.encode({"a": 2})[:-3]))
