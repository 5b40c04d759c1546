"""What one policy in the place of another can concern: never less than what is answered otherwise."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.shelves import at_once
from gateway.policy.terms import MAIN, Access, Context, Effect, Link, Place, Rule, Subject
from gateway.policy.turn import MANY, Difference, Touched, Turn
from tests.policy.builders import ALICE, BOB, HARMLESS, MODEL, NOW

GROUP = "group:g/one"
SUBJECTS = (Subject(ALICE), Subject(ALICE, groups=frozenset((GROUP,))), Subject(BOB), Subject(BOB, groups=None))
OBJECTS = ("a/x", "a/y", "b/prompt:x", "b/resource:r://1")
PLACE = Place("grant:1")

RULES = st.builds(
    Rule,
    st.sampled_from((ALICE, BOB, "role:a", "role:b", GROUP, "user:*", "*")),
    st.sampled_from((MAIN, MAIN, "*", "s1", "!main")),
    st.sampled_from(("self", "*")),
    st.sampled_from(("a/x", "a/*", "b/*", "b/resource:r://*", "*")),
    st.sampled_from(("read", "write", "*", "rate:high", "connect")),
    st.sampled_from(("", "args.n == 1")),
    st.sampled_from(Effect),
    st.just(PLACE),
    expires=st.sampled_from((None, None, NOW, NOW + 1)),
)
LINKS = st.builds(
    Link,
    st.sampled_from((ALICE, BOB, "role:a", GROUP)),
    st.sampled_from(("role:a", "role:b")),
    st.sampled_from((MAIN, "*", "s1")),
    st.just(PLACE),
    expires=st.sampled_from((None, None, NOW)),
)
SAID = st.lists(RULES | LINKS, max_size=4)


def built(files, grants=()) -> Policy:
    rules = tuple(row for row in files if isinstance(row, Rule))
    links = tuple(row for row in files if isinstance(row, Link))
    return Policy.build(Bundle(MODEL, rules, links), grants, "1")


def difference(turn: Turn) -> Difference:
    return at_once(turn.compared())


def may(policy: Policy, subject: Subject, domain: str, object: str) -> tuple[bool, ...]:
    context = Context(args=None, groups=subject.groups, tool=HARMLESS, env={"now": NOW})
    asked = [Access(subject.name, domain, subject.name, object, act, context) for act in ("read", "write")]
    return (*(policy.possible((each,)) for each in asked), policy.possible_below((asked[0],)))


def rule(
    subject=ALICE, object="a/x", *, domain=MAIN, action="write", when="", effect=Effect.ALLOW, place=PLACE, **more
):
    return Rule(subject, domain, "self", object, action, when, effect, place, **more)


def link(member=ALICE, role="role:a", domain=MAIN, place=PLACE):
    return Link(member, role, domain, place)


@given(SAID, SAID, SAID, SAID, st.sampled_from((MAIN, "s1")))
@example([rule("role:b")], [rule("role:b")], [], [link(), link("role:a", "role:b")], MAIN)
@example([], [rule("group:g/one")], [], [], MAIN)
def test_nothing_is_answered_otherwise_that_is_not_touched(old, new, granted, now_granted, domain):
    before, after = built(old, granted), built(new, now_granted)
    grants = tuple(row for row in (*granted, *now_granted) if (row in granted) != (row in now_granted))
    what = difference(Turn(before, after, grants))
    for subject in SUBJECTS:
        touched = what.touches(subject, domain, NOW)
        for object in OBJECTS:
            if may(before, subject, domain, object) != may(after, subject, domain, object):
                assert touched.covers(object)


@given(SAID, SAID)
def test_a_policy_that_says_the_same_elsewhere_differs_in_nothing(files, grants):
    moved = [replace(row, place=Place("policies/moved.csv", at)) for at, row in enumerate(files)]
    what = difference(Turn(built(files, grants), built([*reversed(moved), *moved], grants)))
    assert what.rows == ()
    assert not any(what.touches(subject, MAIN, NOW) for subject in SUBJECTS)


def test_rows_that_came_and_rows_that_went_are_found_among_many():
    many = [rule(f"user:u{n}@example.com", f"a/{n}") for n in range(2_000)]
    before, after = built([*many, rule(object="a/old")]), built([rule(object="a/new"), *many, link(BOB)])
    what = difference(Turn(before, after))
    assert {getattr(row, "object", "link") for row in what.rows} == {"a/old", "a/new", "link"}
    assert what.touches(Subject(ALICE), MAIN, NOW).objects == {"a/old", "a/new"}
    assert what.touches(Subject(BOB), MAIN, NOW).everything
    assert not what.touches(Subject("user:u7@example.com"), MAIN, NOW)


def test_the_first_policy_and_the_last_one_differ_in_all_rows():
    policy = built([rule()])
    for turn in (Turn(Policy.build(None, (), "0"), policy), Turn(policy, Policy.build(None, (), "0"))):
        assert difference(turn).touches(Subject(ALICE), MAIN, NOW).covers("a/x")


def test_whom_very_many_rows_touch_is_touched_in_everything():
    many = [rule(object=f"a/{number}") for number in range(MANY + 1)]
    for rows, everything in ((many[:-1], False), (many, True), ([rule(object="*")], True)):
        touched = difference(Turn(built([]), built(rows))).touches(Subject(ALICE), MAIN, NOW)
        assert touched.everything is everything
        assert touched.covers("a/7")
        assert touched.covers("b/x") is everything


def test_turns_one_after_the_other_are_one():
    first, second, third = built([]), built([], [link()]), built([rule(BOB)], [])
    turn = Turn(first, second, (link(),)).then(Turn(second, third))
    what = difference(turn)
    assert (what.before, what.after) == (first, third)
    assert what.rows == (link(), rule(BOB))


@pytest.mark.parametrize(
    ("row", "touched"),
    [
        (rule(BOB), {BOB}),
        (rule("user:*"), {ALICE, BOB}),
        (rule("role:a"), {ALICE}),
        (rule("role:b"), set()),
        (rule(action="rate:high"), set()),
        (rule(action="connect"), set()),
        (rule(action="manage", object="gateway/users"), {ALICE}),
        (rule(BOB, action="share", object="custom/report"), {BOB}),
        (rule("user:*", action="*", effect=Effect.DENY), {ALICE, BOB}),
        (rule("user:*", domain="s1"), set()),
        (rule("user:*", domain="!main"), set()),
        (link(BOB), {BOB}),
        (link("role:a", "role:b"), {ALICE}),
        (link("role:b", "role:a"), set()),
        (link(GROUP), set()),
    ],
)
def test_a_grant_touches_those_that_it_is_for(row, touched):
    policy = built([link()])
    what = difference(Turn(policy, policy.with_grants((row,), "2"), (row,)))
    assert {name for name in (ALICE, BOB) if what.touches(Subject(name), MAIN, NOW)} == touched


def test_whose_groups_are_unknown_is_touched_by_what_a_group_has():
    policy = built([])
    absent = Subject(BOB, groups=None)
    for row, touched in ((rule(GROUP), True), (rule("role:a"), True), (rule(ALICE), False), (rule(BOB), True)):
        what = difference(Turn(policy, policy.with_grants((row,), "2"), (row,)))
        assert bool(what.touches(absent, MAIN, NOW)) is touched


@pytest.mark.parametrize(
    ("objects", "object", "covered"),
    [
        ((), "a/x", False),
        (("a/x",), "a/x", True),
        (("a/x",), "a/xy", False),
        (("a/*",), "a/x", True),
        (("*",), "gateway/users", True),
        (("b/*", "a/x"), "a/x", True),
        (("a/resource:t://1",), "a/resource:t://", True),
        (("a/resource:t://1",), "a/resource:u://", False),
    ],
)
def test_a_thing_is_covered_by_its_row_and_by_rows_below_it(objects, object, covered):
    assert Touched(frozenset(objects)).covers(object) is covered
    assert Touched(frozenset(objects), everything=True).covers(object)


def test_what_touches_two_is_both():
    both = Touched(frozenset(("a/x",))) | Touched(everything=True)
    assert (both.objects, both.everything) == ({"a/x"}, True)
