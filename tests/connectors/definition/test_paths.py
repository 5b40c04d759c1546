"""Values of an answer are found by their paths, and put back at them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.definition.paths import found, placed, text_at

ANSWER = {
    "a": {"b": [{"c": 1}, {"c": None}]},
    "@odata.nextLink": "n",
    "x.y": {"z": 2},
    "x": {"y": {"z": 3, "q": 4}},
    "": 0,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", ANSWER),
        ("a.b.0.c", 1),
        ("a.b.-2.c", 1),
        ("a.b.1.c", None),
        ("a.b.2.c", None),
        ("a.b.-3", None),
        ("a.b.x", None),
        ("a.b.0.c.d", None),
        ("nothing", None),
        ("@odata.nextLink", "n"),
        ("@odata\\.nextLink", "n"),
        ("x.y.z", 2),
        ("x.y.q", 4),
        ("x\\.y.z", 2),
    ],
)
def test_a_path_leads_to_its_value(path, value):
    assert found(ANSWER, path) == value


@pytest.mark.parametrize(("path", "text"), [("a.b.0.c", "1"), ("x.y", ""), ("t", "true"), ("f", "1.5"), ("n", "")])
def test_only_plain_values_have_a_text(path, text):
    assert text_at({**ANSWER, "t": True, "f": 1.5, "n": None}, path) == text


@pytest.mark.parametrize("path", ["", "a", "a.b", "a.b.0", "a.b.-1", "@odata.nextLink", "x.y", "x.y.q"])
def test_what_is_placed_is_found_there_and_the_given_answer_stays(path):
    before = repr(ANSWER)
    assert found(placed(ANSWER, path, "new"), path) == "new"
    assert repr(ANSWER) == before


@pytest.mark.parametrize("path", ["nothing", "a.b.7", "a.b.x", "a.b.0.c.d"])
def test_where_nothing_is_nothing_is_placed(path):
    assert placed(ANSWER, path, "new") == ANSWER


JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, st.text("ab.01-\\", max_size=9))
def test_no_path_and_no_answer_raise(answer, path):
    value = found(answer, path)
    text_at(answer, path)
    if path:
        assert placed(answer, path, value) == answer
