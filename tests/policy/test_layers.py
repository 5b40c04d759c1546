"""Snapshots that follow one another: each is what would have been built anew, and the one before stays as it was."""

import gc
import weakref
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.engine import BadPolicy, Policy
from gateway.policy.layers import Facts, Layer
from gateway.policy.terms import MAIN, Effect, Link, Place, Rule, Subject
from tests.policy.builders import ALICE, BOB, NOW, access, allowed, bundle, context, policy, unknown_arguments
from tests.policy.worlds import LINK, Picks, World, answer, cases, drawn_bytes, link_of, rules


def links():
    return st.builds(lambda drawn: link_of(Picks(drawn), ALICE), drawn_bytes(LINK))


KEYS = st.sampled_from("abcd")
STEPS = st.lists(
    st.tuples(st.dictionaries(KEYS, st.one_of(rules(), links()), max_size=3), st.sets(KEYS, max_size=2)), max_size=4
)


def told(found: Policy, asked):
    context = asked[0].context
    subject = Subject(asked[0].subject, context.groups, context.claims)
    return (
        [answer(found, each) for each in asked],
        [found.possible((each,)) for each in asked],
        [found.explain(each) for each in asked[:3]],
        (found.rules, found.links, found.readable, found.readable_claims),
        found.rate_class(subject, asked[0].domain, context.env),
    )


@given(cases(), STEPS)
def test_grants_that_came_one_by_one_are_those_that_came_at_once(case, steps):
    world, asked = case
    snapshots = [world.policy()]
    grants = {}
    for fresh, gone in steps:
        grants = {key: row for key, row in {**grants, **fresh}.items() if key not in gone - fresh.keys()}
        snapshots.append(snapshots[-1].changed(fresh, gone - fresh.keys(), "1.0"))
        anew = Policy.build(world.bundle(), [row for _, row in sorted(grants.items())], "1.0")
        assert told(snapshots[-1], asked) == told(anew, asked)
    first = told(world.policy(), asked)
    assert told(snapshots[0], asked) == first, "who has the first snapshot keeps it"


@given(cases(), STEPS)
def test_facts_are_counted_back_to_nothing(case, steps):
    layer = Layer()
    for fresh, gone in steps:
        layer = layer.changed(fresh, gone)
    assert layer.changed({}, layer.entries.keys()).facts == Facts()
    assert layer.changed({}, layer.entries.keys()).conditions.keys() == {""}
    assert layer.changed({}, layer.entries.keys()).ends == []


def test_what_is_dropped_may_be_told_one_by_one():
    row = Rule(ALICE, MAIN, "self", "a/*", "read", "", Effect.ALLOW, Place("grant:1"))
    there = policy("").changed({"1": row, "2": row}, (), "1.1")
    gone = there.changed({}, (each for each in ("1", "2", "3")), "1.2")
    assert row not in gone.rules
    assert not gone._layers[1].entries
    assert not gone._layers[1].rows


def test_a_grant_sorts_nothing_that_ends_in_the_files():
    rows = "".join(
        f"# @expires 2027-01-{day:02}\np, {ALICE}, main, self, a/{day}, read, , allow\n" for day in (9, 3, 7)
    )
    first = policy(rows)
    ending = Rule(ALICE, MAIN, "self", "b/*", "read", "", Effect.ALLOW, Place("grant:1"), expires=NOW + 1)
    second = first.changed({"1": ending}, (), "1.1")
    days = first.files.ends
    assert list(days) == sorted(rule.expires for rule in first.rules if rule.expires is not None)
    assert len(days) == 3
    assert second._finder._eras._ends == [days, [NOW + 1]]
    assert second._finder._eras._ends[0] is days
    moments = sorted({each + step for each in (*days, NOW + 1) for step in (-1, 0, 1)})
    eras = [second._finder._eras.at(now) for now in moments]
    assert eras == [sum(end <= now for end in (*days, NOW + 1)) for now in moments]


def test_another_bundle_takes_the_grants_as_they_are():
    grant = Rule(BOB, MAIN, "self", "b/*", "read", "", Effect.ALLOW, Place("grant:1"))
    before = policy("p, *, main, self, a/*, read, , allow").changed({"1": grant}, (), "1.1")
    after = policy("p, *, main, self, c/*, read, , allow").with_grants_of(before, "2.1")
    assert [allowed(after, access(each, subject=BOB)) for each in ("a/x", "b/x", "c/x")] == [False, True, True]
    assert after.version == "2.1"
    assert after.changed({}, ("1",), "2.2").rules[-1].object == "c/*"


def test_snapshots_of_one_bundle_share_what_it_became():
    first = policy("p, *, main, self, a/*, read, , allow")
    second = first.changed({"1": Link(ALICE, "role:a", "*", Place("grant:1"))}, (), "1.1")
    assert second.files is first.files is first.plainly().files


def test_a_grant_that_does_not_compile_changes_nothing():
    found = policy("p, *, main, self, a/*, read, , allow")
    bad = Rule(ALICE, MAIN, "self", "a/*", "read", "args.x ==", Effect.DENY, Place("grant:1"))
    with pytest.raises(BadPolicy, match="grant:1: condition"):
        found.changed({"1": bad}, (), "1.1")
    assert allowed(found, access("a/x"))


def test_a_condition_lives_as_long_as_a_row_that_has_it():
    row = Rule(ALICE, MAIN, "self", "a/*", "read", "args.x == 1", Effect.ALLOW, Place("grant:1"))
    one = policy("").changed({"1": row, "2": row}, (), "1.1")
    two = one.changed({}, ("1",), "1.2")
    assert two.readable == {"x"}
    assert allowed(two, access("a/x", ctx=context(x=1)))
    three = two.changed({}, ("2",), "1.3")
    assert three.readable == frozenset()
    assert not allowed(three, access("a/x", ctx=context(x=1)))
    with pytest.raises(KeyError):
        three.condition("args.x == 1")


def test_rows_of_one_subject_are_found_few_or_many_and_by_every_pattern():
    objects = [f"a/{n}" for n in range(30)] + ["a/*", "a/b*", "b/resource:x:/*", "*"]
    many = tuple(Rule(ALICE, MAIN, "self", each, "read", "", Effect.ALLOW, Place(each)) for each in objects)
    for found in (policy("", grants=many), policy("").changed({each.object: each for each in many}, (), "1")):
        asked = {"a/3": {"a/3", "a/*", "*"}, "a/bc": {"a/b*", "a/*", "*"}, "a/*": {"a/*", "*"}}
        asked |= {"b/resource:x:/y/z": {"b/resource:x:/*", "*"}, "c": {"*"}, "*": {"*"}, "a/b*": {"a/b*", "a/*", "*"}}
        for object, expected in asked.items():
            matching = [str(rule.place) for rule in found.matching(access(object))]
            assert (set(matching), len(matching)) == (expected, len(expected))
        fewer = found.changed({}, ("a/*",), "1")
        assert len(fewer.matching(access("a/3"))) == len(found.matching(access("a/3"))) - (
            "a/*" in found._layers[1].entries
        )


def test_a_long_name_is_cut_no_longer_than_the_longest_pattern():
    found = policy(f"p, {ALICE}, main, self, fs/resource:file:///a/*, read, , allow")
    patterns = found.files.index.patterns.of("fs/resource:file:///a/" + "x/" * 10_000)
    assert len(patterns) <= len("fs/resource:file:///a/")
    assert allowed(found, access("fs/resource:file:///a/" + "x/" * 10_000))


def test_a_dropped_snapshot_is_gone_without_the_garbage_collector_whatever_it_was_asked():
    rows = f"p, role:r, main, self, a/*, read, args.x == 1 and claims.mfa, allow\ng, {ALICE}, role:r, *"
    first = policy(rows, "[[class]]\nname = 'high'\ncalls = 1\nwindow_s = 1\n")
    second = first.changed({"1": Link(BOB, "role:r", "*", Place("grant:1"))}, (), "1.1")
    snapshots = [first, second, second.plainly(), second.changed({}, ("1",), "1.2")]
    for found in snapshots:
        for ctx in (context(x=1), context(groups=None), unknown_arguments(), context(now=None)):
            found.decide((access("a/x", ctx=ctx),))
            found.possible((access("a/x", ctx=ctx),), {"properties": {"x": {"const": 1}}})
        found.matching(access("a/x"))
        found.explain(access("a/x"))
        found.rate_class(Subject(ALICE), MAIN, {})
        found.known_as(ALICE, MAIN)
    gone = [weakref.ref(each) for each in (*snapshots, first.files)]
    gc.disable()
    try:
        del first, second, found, snapshots
        assert [each() for each in gone] == [None] * 5
    finally:
        gc.enable()


def test_the_garbage_collector_has_nothing_to_look_into_however_many_rows_there_are():
    def tracked(size):
        rows = "\n".join(f"p, user:u{n % 97}@e.com, s{n % 7}, self, a/t{n % 50}, read, , allow" for n in range(size))
        given = "\n".join(f"g, user:u{n}@e.com, role:r{n % 9}, s{n % 7}" for n in range(size))
        made = bundle(f"{rows}\n{given}")
        gc.collect()
        before = len(gc.get_objects())
        found = Policy.build(made, (), "1.0")
        gc.collect()
        gc.collect()
        return len(gc.get_objects()) - before, found

    (small, _), (large, _) = tracked(50), tracked(2_000)
    assert large < small + 50


def test_building_pauses_often_and_gives_what_building_at_once_gives():
    rows = "\n".join(f"p, {ALICE}, main, self, a/t{n}, read, , allow" for n in range(3_000))
    work = Policy.building(bundle(rows), "1.0")
    pauses = 0
    while True:
        try:
            next(work)
        except StopIteration as done:
            found = done.value
            break
        pauses += 1
    assert pauses > 10
    assert found.rules == policy(rows).rules
    assert allowed(found, access("a/t2999"))


def test_every_step_of_a_history_can_be_asked_side_by_side():
    grants = [Rule(ALICE, MAIN, "self", f"a/{n}", "read", "", Effect.ALLOW, Place(f"grant:{n}")) for n in range(5)]
    history = [policy("")]
    for n, grant in enumerate(grants):
        history.append(history[-1].changed({str(n): grant}, (), f"1.{n}"))
    for size, (before, after) in enumerate(pairwise(history)):
        assert [allowed(before, access(f"a/{n}")) for n in range(5)] == [n < size for n in range(5)]
        assert [allowed(after, access(f"a/{n}")) for n in range(5)] == [n <= size for n in range(5)]


def test_a_role_or_row_that_ends_is_forgotten_at_its_end_whoever_was_asked_before():
    grants = {
        "1": Link(ALICE, "role:r", MAIN, Place("grant:1"), expires=NOW + 1),
        "2": Rule(ALICE, MAIN, "self", "b/*", "read", "", Effect.ALLOW, Place("grant:2"), expires=NOW + 2),
    }
    found = policy("p, role:r, main, self, a/*, read, , allow").changed(grants, (), "1.1")
    for now in (NOW, NOW + 1, NOW + 2, NOW, None, NOW + 1):
        right = [now is not None and now < NOW + n for n in (1, 2)]
        assert [allowed(found, access(each, ctx=context(now=now))) for each in ("a/x", "b/x")] == right


def test_a_world_without_rows_has_no_facts():
    assert World((), ()).policy().files.facts.groups == {}
