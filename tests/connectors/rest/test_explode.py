"""An argument whose members become parameters of the query: none escapes its place, none takes another's."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.definition.terms import Action, Parameter, Place, Risk, Style
from connectors.rest.request import drafted
from gateway.errors import InvalidArguments

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
ACTION = Action(
    id="get",
    title="Get",
    description="Get",
    risk=Risk.READ,
    method="GET",
    path="/items",
    parameters=(
        Parameter("query", Place.QUERY, {"type": "object"}, style=Style.EXPLODE),
        Parameter("page", Place.QUERY, {"type": "integer"}, wire="p"),
        Parameter("version", Place.QUERY, {}, hidden=True, default="2"),
    ),
)


def sent(**arguments):
    return parse_qsl(
        "&".join(f"{name}={value}" for name, value in drafted(ACTION, arguments).query), keep_blank_values=True
    )


@given(st.dictionaries(TEXTS.filter(lambda name: name not in ("", "p", "version")), TEXTS, max_size=5))
def test_what_arrives_is_exactly_what_was_given(query):
    assert sorted(sent(query=query)) == sorted([*query.items(), ("version", "2")])


def test_numbers_truth_values_and_lists_are_written_as_elsewhere():
    assert sent(query={"a": 1, "query": True, "c": ["x", "y"], "d": None}, page=3) == [
        ("a", "1"),
        ("query", "true"),
        ("c", "x"),
        ("c", "y"),
        ("p", "3"),
        ("version", "2"),
    ]


@pytest.mark.parametrize(
    "query", [{"version": "1"}, {"p": "1"}, {"": "x"}, {"a": {"b": 1}}, {"a": [[1]]}, ["a"], "a=b"]
)
def test_what_would_take_the_place_of_another_parameter_is_refused(query):
    with pytest.raises(InvalidArguments):
        sent(query=query)
