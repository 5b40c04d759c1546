"""What a snapshot says about one name or one thing: the same as reading all of it, and as fast beside many others."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.policy.floor import FLOOR
from gateway.policy.terms import MAIN, Effect, Link, Place, Rule
from tests.policy.builders import ALICE, BOB, policy
from tests.policy.pools import GROUPS, OWNERS, PATTERNS, ROLES, SUBJECTS
from tests.policy.test_agreement import SPLITS
from tests.policy.test_layers import STEPS
from tests.policy.worlds import cases

NAMES = (*SUBJECTS, *ROLES, *GROUPS, "*", "user:*", "end:s1/*", "user:nobody@example.com")


def for_whom(row):
    return row.subject if isinstance(row, Rule) else row.member


def as_it_is_read(rows):
    return sorted(map(repr, rows))


def all_of(found):
    return [row for row in (*found.rules, *found.links) if row.place.file != FLOOR]


def told_of_grants(found, owner):
    grants = [each.rule if hasattr(each, "rule") else each for each in found._layers[1].entries.values()]
    return [row for row in grants if isinstance(row, Rule) and row.owner == owner]


def agrees_with_a_scan(found):
    rows = all_of(found)
    for name in NAMES:
        assert as_it_is_read(found.naming(name)) == as_it_is_read(row for row in rows if for_whom(row) == name)
    for owner in SUBJECTS:
        assert as_it_is_read(found.owned_by(owner)) == as_it_is_read(told_of_grants(found, owner))
    for object in PATTERNS:
        for owner in (*OWNERS, "self", "*"):
            right = [row for row in rows if isinstance(row, Rule) and (row.object, row.owner) == (object, owner)]
            assert as_it_is_read(found.about(object, owner)) == as_it_is_read(right)


@given(cases(), SPLITS, STEPS)
def test_what_is_said_about_a_name_or_a_thing_is_what_reading_everything_finds(case, split, steps):
    snapshots = [case[0].policy(split)]
    for fresh, gone in steps:
        snapshots.append(snapshots[-1].changed(fresh, gone, "1.1"))
    for found in snapshots:
        agrees_with_a_scan(found)


def named_by(row):
    return {for_whom(row), *(owner for owner in SUBJECTS if isinstance(row, Rule) and row.owner == owner)}


@given(STEPS, st.sampled_from(NAMES))
def test_the_grants_that_name_somebody_are_told_by_their_ids(steps, name):
    found, kept = policy(""), {}
    for fresh, gone in steps:
        placed = {key: replace(row, place=Place(f"grant:{key}/1")) for key, row in fresh.items()}
        kept = {key: row for key, row in {**kept, **placed}.items() if key not in gone - fresh.keys()}
        found = found.changed(placed, gone - fresh.keys(), "1.1")
    assert found.grants_naming(name) == {f"{key}/1" for key, row in kept.items() if name in named_by(row)}
    assert found.changed({}, kept, "1.2")._layers[1].named == {}


def test_rules_come_in_the_order_of_the_files_then_the_roles_then_grants_by_their_keys():
    rows = f"p, {ALICE}, main, self, a/*, read, , deny\np, {ALICE}, s1, self, b/*, read, , allow\ng, {ALICE}, role:r, *"
    grants = {
        key: Rule(ALICE, MAIN, BOB, f"c/{key}", "read", "", Effect.ALLOW, Place(f"grant:{key}")) for key in ("2", "1")
    }
    found = policy(rows).changed(grants, (), "1.1")
    told = [str(each.place) for each in found.naming(ALICE)]
    assert told == ["policies/rules.csv:1", "policies/rules.csv:2", "policies/rules.csv:3", "grant:1", "grant:2"]
    assert [str(each.place) for each in found.owned_by(BOB)] == ["grant:1", "grant:2"]
    assert [str(each.place) for each in found.about("c/1", BOB)] == ["grant:1"]


def test_the_builtin_rows_are_nobodys():
    found = policy("p, *, main, *, gateway/*, manage, , deny")
    assert [str(each.place) for each in found.naming("*")] == ["policies/rules.csv:1"]
    assert [str(each.place) for each in found.about("gateway/*", "*")] == ["policies/rules.csv:1"]


def calls(ask):
    """How many functions are called."""
    count = 0

    def counted(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        ask()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "ask",
    [
        lambda found: found.naming(ALICE),
        lambda found: found.about("a/1", BOB),
        lambda found: found.about("a/*", BOB),
        lambda found: found.about("b/1", "self"),
        lambda found: found.owned_by(BOB),
        lambda found: found.grants_naming(ALICE),
    ],
)
def test_whoever_asks_about_one_does_not_look_at_all(ask):
    def among(others):
        rows = "\n".join(f"p, user:u{n}@e.com, main, self, t/{n}, read, , allow" for n in range(others))
        grants = {
            "1": Rule(ALICE, MAIN, BOB, "a/1", "read", "", Effect.ALLOW, Place("grant:1")),
            "2": Rule(ALICE, MAIN, BOB, "a/*", "read", "", Effect.DENY, Place("grant:2")),
            "3": Rule(BOB, MAIN, "self", "b/1", "read", "", Effect.ALLOW, Place("grant:3")),
        }
        for n in range(others):
            place = Place(f"grant:o{n}")
            grants[f"a{n}"] = Rule(
                f"user:u{n}@e.com", f"s{n}", f"user:o{n}@e.com", "a/*", "read", "", Effect.ALLOW, place
            )
            grants[f"b{n}"] = Link(f"user:u{n}@e.com", "role:r", f"s{n}", place)
        return policy(rows).changed(grants, (), "1.1")

    few, many = among(10), among(1_000)
    assert ask(few) == ask(many)
    assert ask(few)
    assert calls(lambda: ask(many)) == calls(lambda: ask(few))
