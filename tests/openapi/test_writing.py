"""What is written is read as it was, by our strict reader and by others."""

from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.openapi.writing import WIDTH, written
from gateway.plain_yaml import plain_json, read_tree

texts = st.text(max_size=30) | st.sampled_from(
    [
        "no",
        "on",
        "",
        " a",
        "a: b",
        "- a",
        "# x",
        "*a",
        "&a",
        "!t",
        "1.5",
        "0x1",
        "null",
        "~",
        "'",
        '"',
        "%",
        "@",
        "`",
        "{a",
        "[a",
        "x" * 200,
    ]
)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(-1e6, 1e6).map(lambda x: round(x, 4)) | texts
)
values: Any = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=20
)
WELL_FORMED = st.dictionaries(texts, values, min_size=1, max_size=6)


@given(WELL_FORMED)
@example({"a": {"b": [{"c": "x" * 130}, []], "d": {}}})
@example({"a": "\x7f\x85\xa0\u2028\ufeff\ufffe🎉\x00\t\n"})
@example({"a": 1e-07, "b": 1e300, "c": -0.0})
@example({"a": "\U000e0041\u202e\ud7ff\ue000"})
def test_values_come_back_as_they_went_and_nothing_is_hidden(value):
    text = written(value)
    assert all(line.isprintable() for line in text.split("\n"))
    assert plain_json(read_tree(text, depth=100)) == value
    assert yaml.safe_load(text) == value or any(each in text for each in ("e-", "e+"))  # YAML 1.1 knows no 1e-07


@given(
    st.dictionaries(
        st.text("ab", min_size=1, max_size=4),
        st.dictionaries(st.text("ab", min_size=1), st.text("abc ", max_size=80)),
        max_size=3,
    )
)
def test_a_mapping_stands_in_one_line_only_where_it_is_short(value):
    lines = written(value).splitlines()
    assert all(len(line) <= WIDTH + 1 for line in lines if "{" in line)
