"""Anything may be asked: the answer is a decision, never an exception, and who is nobody gets nothing."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.policy.terms import MAIN, Access, Context, Effect, Link, Place, Rule, Subject, Tool
from tests.policy.builders import ALICE, NOW
from tests.policy.condition_strategies import CONSTANTS, ODD_VALUES
from tests.policy.pools import END, GROUPS, KNOWN_GROUPS, MEANING, Picks
from tests.policy.worlds import ASKED, World, drawn_bytes, question_of

HERE = Place("wide.csv")


def wide() -> World:
    """As much as rows can allow, to everybody, with every condition and a few denies."""
    allows = [
        Rule("*", "*", ("self", "*")[at % 2], ("*", "a/*", "gateway/*")[at % 3], action, when, Effect.ALLOW, HERE)
        for at, when in enumerate(MEANING)
        for action in ("write", "manage", "connect")
    ]
    denies = [
        Rule(subject, "*", "*", "a/x", "*", when, Effect.DENY, HERE, expires=NOW)
        for subject, when in zip((GROUPS[0], "role:a", "end:s1/*") * 3, list(MEANING)[:9], strict=True)
    ]
    return World((*allows, *denies), (Link(GROUPS[1], "role:a", "*", HERE, expires=NOW),))


WIDE = wide()
POLICY = WIDE.policy(4)

ODD_TEXT = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(categories=["Cs", "Cf", "Cc", "Mn", "Zs"]), max_size=4),
    st.sampled_from(("", "*", "/", ":", "!main", "self", "gateway", "gateway/", "a/*", "a/x\0", "A/X", "x" * 2_000)),
)
NOBODY = st.one_of(
    st.sampled_from(
        ("", "*", "user:", "user:*", "end:s1/", "end:s1/*", "server:", "server:*", *GROUPS, "role:a", "self")
    ),
    st.builds(lambda kind, name: f"{kind}:{name}", st.sampled_from(("role", "group", "User", "", " user")), ODD_TEXT),
    st.builds(
        lambda kind, name, end: f"{kind}:{name}{end}",
        st.sampled_from(("user", "end")),
        ODD_TEXT,
        st.sampled_from("*:/"),
    ),
)
SOMEBODY = st.one_of(
    st.sampled_from((ALICE, END, "end:s1", "end:/", "user:*a", "server:x" + "y" * 2_000)),
    st.builds(lambda kind, name: f"{kind}:{name}.", st.sampled_from(("user", "end", "server")), ODD_TEXT),
)
VALUES = st.recursive(
    st.one_of(st.sampled_from([*CONSTANTS, *ODD_VALUES]), ODD_TEXT, st.integers(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(ODD_TEXT, inner, max_size=3)),
    max_leaves=4,
)
NOWS = st.one_of(st.sampled_from((NOW, NOW - 1, True, None, "1", float(NOW), -1, 10**40)), st.integers())


def roots(*names):
    return st.dictionaries(st.one_of(st.sampled_from(names), ODD_TEXT), VALUES, max_size=3)


CONTEXTS = st.builds(
    Context,
    args=roots("x", "y", "z"),
    claims=roots("mfa"),
    groups=st.one_of(st.sampled_from(KNOWN_GROUPS), st.frozensets(ODD_TEXT, max_size=3)),
    tool=st.builds(Tool, name=ODD_TEXT, destructive=st.booleans(), tags=st.tuples(ODD_TEXT)),
    client=roots("id"),
    env=st.fixed_dictionaries({"address": VALUES, "offset": VALUES, "now": NOWS}),
    connection=roots("scope"),
    owner_roles=st.one_of(st.none(), st.lists(ODD_TEXT, max_size=2).map(tuple)),
)


def accesses(subjects):
    asked = st.builds(
        Access,
        subject=subjects,
        domain=st.one_of(st.sampled_from((MAIN, "s1")), ODD_TEXT),
        owner=ODD_TEXT,
        object=st.one_of(st.sampled_from(("a/x", "a/y", "gateway/users")), ODD_TEXT),
        action=st.one_of(st.sampled_from(("read", "write", "manage")), ODD_TEXT),
        context=CONTEXTS,
    )
    return st.builds(lambda access, own: replace(access, owner=access.subject) if own else access, asked, st.booleans())


def listed(access: Access) -> tuple[bool, bool]:
    unknown = replace(access, context=replace(access.context, args=None))
    return POLICY.possible((unknown,)), POLICY.possible_below((unknown,))


@given(accesses(SOMEBODY))
def test_odd_questions_of_somebody_are_answered_as_the_reference_does(access):
    decision = POLICY.decide((access,))
    assert decision.allowed is WIDE.allows(access)
    assert POLICY.decide((access,)) == decision
    assert POLICY.explain(access).decision == decision
    assert POLICY.possible((access,)) is decision.allowed
    assert all(each >= decision.allowed for each in listed(access))


@given(accesses(NOBODY), drawn_bytes(ASKED))
def test_who_is_nobody_gets_nothing_and_is_shown_nothing(access, drawn):
    usual = replace(question_of(Picks(drawn), WIDE), subject=access.subject, owner=access.subject)
    for asked in (access, usual, replace(usual, object="a/y", action="read")):
        assert not POLICY.decide((asked,)).allowed
        assert not POLICY.explain(asked).decision.allowed
        assert listed(asked) == (False, False)
    groups = access.context.groups
    assert POLICY.rate_class(Subject(access.subject, groups), access.domain, access.context.env) == "default"


@pytest.mark.parametrize("part", ["/", ":", "x", "/a", "*"])
def test_a_long_question_takes_no_more_memory_than_a_few_copies_of_it(part):
    access = replace(question_of(Picks(bytes(ASKED)), WIDE), object="a/resource:" + part * (60_000 // len(part)))
    tracemalloc.start()
    try:
        for ask in (POLICY.decide, POLICY.possible, POLICY.possible_below, POLICY.plainly().decide):
            ask((access,))
        POLICY.explain(access)
        assert tracemalloc.get_traced_memory()[1] < 40 * len(access.object)
    finally:
        tracemalloc.stop()


WRONG = st.one_of(
    st.none(), st.integers(), st.binary(max_size=3), st.lists(st.integers(), max_size=1), st.just({"a": 1})
)


@given(accesses(SOMEBODY), WRONG, st.sampled_from(Access.__struct_fields__))
def test_a_value_of_a_wrong_type_is_answered_too(access, wrong, field):
    asked = replace(access, **{field: wrong})
    decision = POLICY.decide((asked,))
    assert not (decision.allowed and field in ("subject", "object", "action"))
    assert isinstance(POLICY.possible((asked,), wrong), bool)
    assert isinstance(POLICY.possible_below((asked,), wrong), bool)
    assert POLICY.explain(asked).decision.allowed is decision.allowed


@given(accesses(SOMEBODY), WRONG, st.sampled_from(Context.__struct_fields__))
def test_a_context_of_wrong_types_is_answered_too(access, wrong, field):
    asked = replace(access, context=replace(access.context, **{field: wrong}))
    assert isinstance(POLICY.decide((asked,)).allowed, bool)
    assert isinstance(POLICY.possible((asked,)), bool)
