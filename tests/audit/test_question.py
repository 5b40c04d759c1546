"""What an entry tells of a question beside its arguments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.masking import keyed_hash, kinds, masked
from gateway.audit.question import key_mark, question_of
from gateway.policy.condition_values import kind_of
from gateway.policy.terms import Access, Context, Tool

HASHED = keyed_hash(b"k" * 32)


def question(context: Context, *lenders: str, shown: str = "a/b", hidden=(), claims=frozenset()):
    chain = (Access("user:a", "main", "user:a", "a/b", "read", context),)
    chain += tuple(Access(each, "main", each, "a/b", "read", context) for each in lenders)
    return question_of(chain, shown=shown, hidden=hidden, readable_claims=claims, hashed=HASHED)


def test_claims_that_no_condition_reads_are_hashed():
    found = question(Context(claims={"amr": "mfa", "name": "Ann"}), claims=frozenset({"amr"}))
    assert found.claims == {"/amr": '"mfa"'}
    assert list(found.hashed_claims) == ["/name"]
    assert (found.claim_kinds, found.key) == ("t", key_mark(HASHED))
    assert "Ann" not in str(found)


@pytest.mark.parametrize("groups", [None, frozenset(), frozenset({"group:x/b", "group:x/a"})])
def test_groups_are_told_in_order_and_unknown_ones_as_unknown(groups):
    found = question(Context(groups=groups))
    assert found.groups == (None if groups is None else tuple(sorted(groups)))


def test_what_conditions_see_is_told():
    tool = Tool("c", "n", "tool", "custom/x", destructive=False, open_world=False, tags=("t",))
    found = question(Context(tool=tool, owner_roles=("admin",), env={"offset": 60}), "user:b", shown="a")
    assert (found.tool.via, found.tool.open_world, found.tool.tags) == ("custom/x", False, ("t",))
    assert (found.owner_roles, found.offset, found.lenders, found.cut) == (("admin",), 60, ("user:b",), True)


def test_what_a_users_tool_calls_is_told_apart_with_its_own_arguments_and_lenders():
    outer, inner = Context(args={"a": 1}), Context(args={"b": "hush", "c": 2}, tool=Tool("x", "y", via="custom/n"))
    chain = (
        Access("user:a", "main", "user:b", "custom/n", "write", outer),
        Access("user:b", "main", "user:b", "custom/n", "write", outer),
        Access("user:a", "main", "user:c", "x/y", "read", inner),
        Access("user:c", "main", "user:c", "x/y", "read", inner),
    )
    readable = frozenset({"a", "c"})
    found = question_of(
        chain, shown="custom/n", hidden=(), readable_claims=frozenset(), hashed=HASHED, readable=readable
    )
    calls = found.calls
    assert (found.lenders, found.cut, found.key) == (("user:b",), False, key_mark(HASHED))
    assert (calls.object, calls.owner, calls.action, calls.lenders) == ("x/y", "user:c", "read", ("user:c",))
    assert (calls.arguments, list(calls.hashed), calls.kinds) == ({"/c": "2"}, ["/b"], "t")
    assert (calls.tool.name, calls.tool.via, "hush" in str(found)) == ("y", "custom/n", False)


def test_a_key_is_told_from_another_and_not_told():
    other = keyed_hash(b"o" * 32)
    assert key_mark(HASHED) != key_mark(other)
    assert len(key_mark(HASHED)) == 8


def test_an_object_whose_names_are_numbers_is_hidden_as_a_whole():
    readable = frozenset({"a.b", "a.0"})
    assert list(masked({"a": {"0": 1, "b": 2}}, readable, HASHED)[1]) == ["/a"]
    shown, hidden = masked({"a": [{"b": 1}, {"1": 2}]}, readable, HASHED)
    assert (list(shown), list(hidden)) == (["/a/0/b"], ["/a/1"])


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab~/0", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("ab~/0", max_size=2), VALUES, max_size=4), st.sets(st.sampled_from(["a", "a.b", "b.a"])))
def test_every_hidden_value_has_the_letter_of_its_kind(arguments, readable):
    _, hidden = masked(arguments, frozenset(readable), HASHED)
    letters = kinds(arguments, hidden)
    assert len(letters) == len(hidden)
    named = {str: "t", float: "n", bool: "b", type(None): "z", None: "o"}
    for letter, pointer in zip(letters, hidden, strict=True):
        if pointer.count("/") == 1:
            assert letter == named[kind_of(arguments[pointer[1:].replace("~1", "/").replace("~0", "~")])]


def test_what_conditions_see_of_the_connection_is_told():
    facts = {"id": "5f", "account": "T1", "label": "Acme", "status": "active"}
    assert question(Context(connection=facts)).connection == facts
    assert question(Context()).connection == {}
