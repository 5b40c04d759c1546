"""What is listed, how often, and the grants made at run time."""

import gc
import tracemalloc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.engine import BadPolicy, grant_rows
from gateway.policy.possible import CAP
from gateway.policy.terms import MAIN, Effect, Link, Place, Rule, Subject
from gateway.records import Grant
from tests.policy.builders import ALICE, BOB, NOW, access, allowed, context, policy, unknown_arguments


def test_listing_shows_exactly_what_some_arguments_open():
    rows = f"p, {ALICE}, main, self, a/*, read, args.n > 1, allow\np, *, *, *, a/*, read, args.n > {{}}, deny"
    asked = access("a/x", ctx=unknown_arguments())
    assert policy(rows.format(5)).possible((asked,))
    assert not policy(rows.format(1)).possible((asked,))
    assert not policy("").possible((asked,))
    assert policy(f"p, {ALICE}, main, self, a/*, read, , allow").possible((asked,))
    assert not policy(f"p, {ALICE}, main, self, a/*, read, , allow\np, *, *, *, a/*, read, , deny").possible((asked,))


def test_denies_that_leave_no_arguments_hide_what_is_otherwise_open():
    rows = f"p, {ALICE}, main, self, a/*, read, , allow\np, *, *, *, a/*, read, args.n > 1, deny\n"
    asked = access("a/x", ctx=unknown_arguments())
    assert policy(rows).possible((asked,))
    assert not policy(rows + "p, *, *, *, a/*, read, not (args.n > 1), deny").possible((asked,))


def test_a_tools_schema_narrows_what_is_listed():
    found = policy(f"p, {ALICE}, main, self, a/*, read, args.n == 2, allow")
    asked = access("a/x", ctx=unknown_arguments())
    assert found.possible((asked,), {"properties": {"n": {"enum": [1, 2]}}})
    assert not found.possible((asked,), {"properties": {"n": {"enum": [1, 3]}}})


def test_listing_judges_a_chain_jointly():
    rows = f"p, {BOB}, main, {ALICE}, a/*, read, args.n == {{}}, allow\np, {ALICE}, main, self, a/*, read, args.n == 2, allow"
    chain = tuple(access("a/x", subject=s, owner=ALICE, ctx=unknown_arguments()) for s in (BOB, ALICE))
    assert policy(rows.format(2)).possible(chain)
    assert not policy(rows.format(3)).possible(chain)
    assert not policy(rows.format(2)).possible((*chain, access("b/x", ctx=unknown_arguments())))


def test_arguments_that_are_known_are_judged_as_they_are():
    found = policy(f"p, {ALICE}, main, self, a/*, read, args.n == 2, allow\np, *, *, *, a/*, read, args.m == 1, deny")
    known = {"right": context(n=2, m=0), "wrong": context(n=3, m=0), "denied": context(n=2, m=1), "none": context()}
    assert [name for name, ctx in known.items() if found.possible((access("a/x", ctx=ctx),))] == ["right"]


def test_what_cannot_be_found_out_in_bounded_time_is_shown():
    fields = " and ".join(f"args.a{n} == 1" for n in range(110))
    found = policy(f"p, {ALICE}, main, self, a/*, read, {fields} and args.b == 1 and args.b == 2, allow")
    assert found.possible((access("a/x", ctx=unknown_arguments()),))
    few = policy(f"p, {ALICE}, main, self, a/*, read, args.a == 1 and args.b == 1 and args.b == 2, allow")
    assert not few.possible((access("a/x", ctx=unknown_arguments()),))


BELOW = "fs/resource:file:///home/"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("p, {0}, main, self, fs/resource:*, read, , allow", True),
        ("p, {0}, main, self, fs/resource:file:///home/a, read, , allow", True),
        ("p, {0}, main, self, fs/resource:file:///home/a/*, read, , allow", True),
        ("p, {0}, main, self, fs/resource:file:///home/, read, , allow", True),
        ("p, {0}, main, self, fs/resource:file:///homes, read, , allow", False),
        ("p, user:*, main, self, fs/resource:file:///home/a, read, , allow", True),
        ("p, user:bob@example.com, main, self, fs/resource:file:///home/a, read, , allow", False),
        (
            "p, {0}, main, self, fs/resource:file:///home/a/*, read, , allow\np, *, *, *, fs/resource:file:///home/a/, read, , deny",
            True,
        ),
        ("p, {0}, main, self, fs/resource:file:///etc/*, read, , allow", False),
        (
            "p, {0}, main, self, fs/resource:*, read, , allow\np, *, *, *, fs/resource:file:///home/*, read, , deny",
            False,
        ),
        (
            "p, {0}, main, self, fs/resource:*, read, , allow\np, *, *, *, fs/resource:file:///home/a/*, read, , deny",
            True,
        ),
        (
            "p, {0}, main, self, fs/resource:file:///home/a, read, , allow\np, *, *, *, fs/resource:file:///home/a, read, , deny",
            False,
        ),
        (
            "p, {0}, main, self, fs/resource:file:///home/a/*, read, , allow\np, *, *, *, fs/resource:file:///home/a/b, read, , deny",
            True,
        ),
    ],
)
def test_a_template_is_listed_when_some_uri_below_its_prefix_could_be_read(rows, expected):
    assert policy(rows.format(ALICE)).possible_below((access(BELOW, ctx=unknown_arguments()),)) is expected


STEPS = ("a/", "a/b", "a/b/", "a/b/c", "a/b/d", "e", "a/b/*", "a/*", "*")


@given(
    st.lists(st.tuples(st.sampled_from((ALICE, BOB)), st.sampled_from(STEPS), st.sampled_from(Effect)), max_size=6),
    st.sampled_from(("", "a", "a/", "a/b", "a/b/")),
    st.booleans(),
)
def test_a_template_is_listed_exactly_when_some_uri_is_allowed(made, prefix, lent):
    begin = "fs/resource:x:"
    rows = [f"p, {each}, main, *, {begin}{step}, read, {{}}, {effect}" for each, step, effect in made]
    rows = [row.format("" if row.endswith("deny") else "args.n == 1 or not has(args.n)") for row in rows]
    found = policy("\n".join(row.replace("main, *", f"main, {ALICE}") for row in rows))
    names = {end for step in STEPS for end in (step.rstrip("*"), f"{step.rstrip('*')}z")}

    def chain(object):
        lender = access(object, subject=ALICE, owner=ALICE)
        return (access(object, subject=BOB, owner=ALICE), lender) if lent else (lender,)

    some = any(allowed(found, *chain(begin + name)) for name in names if name.startswith(prefix))
    assert found.possible_below(chain(begin + prefix)) is some


def test_a_template_with_too_many_rows_below_it_is_shown():
    rows = "\n".join(f"p, {ALICE}, main, self, {BELOW}{n}, read, args.x, allow" for n in range(CAP + 1))
    asked = (access(BELOW, ctx=context()),)
    assert policy(rows).possible_below(asked)
    assert not policy(rows).possible_below((access(BELOW, subject=BOB, ctx=context()),))
    assert not policy(rows.partition("\n")[2]).possible_below(asked)


def test_what_was_listed_before_changes_no_listing():
    rows = f"p, {ALICE}, main, self, a/*, read, args.n == 2, allow\np, {BOB}, main, self, a/*, read, args.n == 3, allow"
    found = policy(rows + f"\np, {BOB}, main, self, a/*, read, args.n == 4 and claims.mfa, allow")
    mfa = unknown_arguments(claims={"mfa": True})

    def listed(subject, ctx, n):
        return found.possible((access("a/x", subject=subject, ctx=ctx),), {"properties": {"n": {"const": n}}})

    plain = unknown_arguments()
    asked = [(subject, ctx, n) for n in (2, 3, 4) for subject in (ALICE, BOB) for ctx in (plain, mfa)]
    right = {(ALICE, 2, False), (ALICE, 2, True), (BOB, 3, False), (BOB, 3, True), (BOB, 4, True)}
    for subject, ctx, n in (*asked, *reversed(asked)):
        assert listed(subject, ctx, n) is ((subject, n, ctx is mfa) in right)


def test_schemas_are_not_kept_and_huge_ones_narrow_nothing():
    found = policy(f"p, {ALICE}, main, self, a/*, read, args.n == 2, allow")
    asked = (access("a/x", ctx=unknown_arguments()),)
    gc.collect()
    tracemalloc.start()
    try:
        for n in range(40):
            assert not found.possible(asked, {"description": f"{n}" + "x" * 100_000, "additionalProperties": False})
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
    assert found.possible(asked, {"description": "x" * 300_000, "additionalProperties": False})


RATES = "[[class]]\nname = 'low'\ncalls = 10\nwindow_s = 60\n[[class]]\nname = 'high'\ncalls = 1000\nwindow_s = 60\n"


@pytest.mark.parametrize("condition", ["", "hours(env.now, '00:00', '23:59')"])
def test_the_most_generous_class_that_is_allowed_counts(condition):
    rows = f"p, user:*, main, self, *, rate:low, , allow\np, role:vip, main, self, *, rate:high, {condition}, allow\ng, {ALICE}, role:vip, *"
    found = policy(rows, RATES)
    env = {"now": NOW, "offset": 0, "address": ""}
    for _ in range(2):
        assert found.rate_class(Subject(ALICE), MAIN, env) == "high"
        assert found.rate_class(Subject(BOB), MAIN, env) == "low"
        assert found.rate_class(Subject(BOB), "srv-1", env) == "default"
    assert [found.limits.of(each).calls for each in ("high", "low", "other")] == [1000, 10, 100]


def test_a_class_is_remembered_for_exactly_who_asked():
    rows = "p, group:corp/a, main, self, *, rate:high, , allow\np, group:corp/b, *, *, *, rate:high, , deny"
    found = policy(rows, RATES)
    for groups, expected in (
        ({"a"}, "high"),
        ((), "default"),
        ({"a", "b"}, "default"),
        (None, "default"),
        ({"a"}, "high"),
    ):
        known = None if groups is None else frozenset(f"group:corp/{each}" for each in groups)
        assert found.rate_class(Subject(ALICE, groups=known), MAIN, {}) == expected


@pytest.mark.parametrize(
    "row", ["p, *, *, *, *, *, not claims.paid, deny", "p, *, *, *, *, rate:high, not claims.paid, deny"]
)
def test_a_class_that_depends_on_claims_is_asked_each_time(row):
    found = policy(f"p, user:*, main, self, *, rate:high, , allow\n{row}", RATES)
    for paid, expected in ((True, "high"), (False, "default"), (None, "default"), (True, "high")):
        claims = {} if paid is None else {"paid": paid}
        assert found.rate_class(Subject(ALICE, claims=claims), MAIN, {}) == expected


def test_a_class_that_depends_on_the_time_is_asked_each_time():
    grant = Rule(ALICE, MAIN, "self", "*", "rate:high", "", Effect.ALLOW, Place("grant:1"), expires=NOW)
    found = policy("", RATES, grants=(grant,))
    classes = [found.rate_class(Subject(ALICE), MAIN, {"now": now}) for now in (NOW - 1, NOW)]
    assert classes == ["high", "default"]
    role = policy(
        "p, role:r, main, self, *, rate:high, , allow",
        RATES,
        grants=(Link(ALICE, "role:r", MAIN, Place("g"), expires=NOW),),
    )
    assert [role.rate_class(Subject(ALICE), MAIN, {"now": now}) for now in (NOW - 1, NOW)] == ["high", "default"]


def test_a_group_gives_a_class_and_a_deny_of_everything_takes_it():
    rows = "p, group:corp/a, main, self, *, rate:high, , allow\n"
    member = Subject(ALICE, groups=frozenset({"group:corp/a"}))
    assert policy(rows, RATES).rate_class(member, MAIN, {}) == "high"
    assert policy(rows, RATES).rate_class(Subject(ALICE), MAIN, {}) == "default"
    assert policy(rows + f"p, {ALICE}, *, *, *, *, , deny", RATES).rate_class(member, MAIN, {}) == "default"


def test_grants_replace_the_grants_before_them_and_carry_the_version():
    first = policy(f"p, {ALICE}, main, self, a/*, read, , allow")
    grant = grant_rows(Grant(id="7", kind="rule", row=(BOB, "main", "self", "b/*", "read", "", "allow"), made_by="x"))
    role = grant_rows(Grant(id="8", kind="role", row=(BOB, "role:r", "main"), made_by="x", expires_at=NOW))
    second = first.with_grants((grant, role), "1.1")
    third = second.with_grants((), "1.2")
    asked = access("b/x", subject=BOB)
    assert [allowed(each, asked) for each in (first, second, third)] == [False, True, False]
    assert second.decide((asked,)).rule.place == Place("grant:7")
    assert [each.version for each in (first, second, third)] == ["1.0", "1.1", "1.2"]
    assert role == Link(BOB, "role:r", "main", Place("grant:8"), expires=NOW)
    assert second.links == (role,)
    assert second.rules[-1] == grant
    assert all(allowed(each, access("a/x")) for each in (first, second, third))


@pytest.mark.parametrize(
    "row",
    [
        (BOB, "main", "self", "b/*", "read", "", "Allow"),
        (BOB, "boss", "main"),
        (BOB,),
        ("*", "main", "self", "b/*", "read", "x ==", "deny"),
    ],
)
def test_a_grant_that_is_no_row_is_refused(row):
    with pytest.raises(BadPolicy, match="grant:9: "):
        grant_rows(Grant(id="9", kind="rule", row=row, made_by="x"))


def test_a_rule_whose_condition_does_not_compile_is_refused_before_it_decides():
    bad = Rule(ALICE, MAIN, "self", "a/*", "read", "args.x ==", Effect.ALLOW, Place("grant:1"))
    with pytest.raises(BadPolicy, match="grant:1: condition"):
        policy("").with_grants((bad,), "1.1")


def test_a_dropped_snapshot_is_gone_without_the_garbage_collector():
    found = policy(f"p, role:r, main, self, a/*, read, args.x == 1, allow\ng, {ALICE}, role:r, *", RATES)
    found.decide((access("a/x"),))
    found.possible((access("a/x", ctx=unknown_arguments()),))
    found.rate_class(Subject(ALICE), MAIN, {})
    found.explain(access("a/x"))
    dropped = weakref.ref(found)
    gc.disable()
    try:
        del found
        assert dropped() is None
    finally:
        gc.enable()
