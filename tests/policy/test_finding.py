"""What a snapshot looks up and what it remembers."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy import finding, roles
from gateway.policy.answers import MOODS
from gateway.policy.bundle import Bundle
from gateway.policy.conditions import parse
from gateway.policy.engine import BadPolicy, Policy
from gateway.policy.index import JOINED, Filling, Row, rows_in
from gateway.policy.model import SUPERSET, USE, conjuncts, dom_match, domains_for, obj_match, patterns_for
from gateway.policy.schema import ANYTHING, LARGEST, Schema
from gateway.policy.shelves import at_once
from gateway.policy.terms import MAIN, Context, Effect, Json, Place, Reason, Rule, Subject
from tests.policy.builders import ALICE, BOB, MODEL, NOW, access, allowed, bundle, context, policy, unknown_arguments

NAMES = st.lists(st.sampled_from("ab/:*"), max_size=6).map("".join)
DOMAINS = ("main", "s1", "*", "!main", "")


@given(st.sampled_from(DOMAINS), st.sampled_from(DOMAINS))
def test_every_domain_that_matches_is_looked_up_once(asked, row):
    looked_up = domains_for(asked)
    assert looked_up.count(row) == dom_match(asked, row)
    assert len(set(looked_up)) == len(looked_up)


@given(NAMES, NAMES, st.sampled_from(Effect), st.integers(0, 2))
def test_every_object_that_can_match_is_looked_up_once(asked, row, effect, more):
    patterns = patterns_for(asked, len(row) + more, (len(row) - 1,))
    if obj_match(asked, row, effect):
        assert row in patterns
    assert len(set(patterns)) == len(patterns)


@given(st.lists(st.tuples(st.sampled_from(("x", "y")), st.sampled_from(DOMAINS), NAMES), max_size=30), NAMES)
def test_the_index_finds_a_superset_of_the_rows_that_match(made, asked):
    rows = [
        Row(Rule(subject, domain, "*", object, "read", "", Effect.DENY, Place("x")), parse(""), order)
        for order, (subject, domain, object) in enumerate(made)
    ]
    filling = Filling()
    for row in rows:
        filling.add(row)
    filled = at_once(filling.filled())
    for index in (
        filled,
        filled.changed((), rows[::2]).changed(rows[::2], ()),
        filled.changed((), ()).changed(rows, rows),
    ):
        for domain in ("main", "s1"):
            found = index.find(index.of(frozenset("x"), domain), asked)
            right = [row for row in rows if row.rule.subject == "x" and dom_match(domain, row.rule.domain)]
            matching = {row.order for row in right if obj_match(asked, row.rule.object, Effect.DENY)}
            assert matching <= {row.order for row in found}


@pytest.mark.parametrize(("roles", "joined"), [(0, True), ((JOINED - 1) // 2, True), (JOINED // 2, False)])
def test_the_rows_of_one_who_asks_are_put_by_their_objects_unless_they_are_many(roles, joined):
    rows = [f"p, role:r{n}, main, self, a/{n}, {action}, , allow" for n in range(roles) for action in USE]
    links = [f"g, {ALICE}, role:r{n}, *" for n in range(roles)]
    found = policy("\n".join((*rows, *links)))
    known = found._finder.known(ALICE, MAIN, frozenset(), NOW)
    assert all(isinstance(each, dict) for each in known.rows[0]) is joined
    assert sum(len(list(rows_in(each))) for each in known.rows[0]) == 2 * roles + 1, "one row of all is built in"
    for n in range(roles):
        assert [rule.object for rule in found.matching(access(f"a/{n}"))] == [f"a/{n}"] * 2


def test_what_rows_are_looked_up_by_is_part_of_the_matcher():
    matcher = MODEL.partition("m = ")[2]
    assert SUPERSET.keys() < {name for name, _ in conjuncts(matcher)}


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(finding, "REMEMBERED", 3)


def test_what_is_remembered_is_bounded_and_right_beyond_the_bound(little_memory):
    found = policy("p, user:*, main, self, a/*, read, args.x == 1, allow")
    for _ in range(2):
        for n in range(10):
            subject = f"user:u{n}@example.com"
            assert allowed(found, access("a/x", subject=subject, ctx=context(x=1)))
            assert not allowed(found, access("a/x", subject=subject, ctx=context(x=2)))
            assert found.possible((access(f"a/{n}", ctx=unknown_arguments()),), {"properties": {"x": {"enum": [1, n]}}})
            assert found.rate_class(Subject(subject), MAIN, {}) == "default"
    memories = (found._finder._known, found._finder._answers, found._finder._solutions, found._finder.classes)
    assert all(0 < len(memory) <= 3 for memory in memories)


def test_the_plain_loop_remembers_nothing_and_asks_casbin_each_time():
    found = policy(f"p, {ALICE}, main, self, a/*, read, args.x == 1, allow").plainly()
    for x, expected in ((1, True), (2, False), (1, True)):
        assert allowed(found, access("a/x", ctx=context(x=x))) is expected
    assert found.possible((access("a/x", ctx=unknown_arguments()),))
    assert found.rate_class(Subject(ALICE), MAIN, {}) == "default"
    assert found.decide((access("a/x", subject="role:a"),)).reason is Reason.FAULT
    assert found.decide((access("b/x", subject=BOB),)).reason is Reason.NO_RULE
    finder = found._finder
    found.decide((access("a/x", ctx=context(groups=None)),))
    memories = (finder._known, finder._absent, finder._answers, finder._demands, finder._solutions, finder.classes)
    assert not any(memories)
    without = finding.PlainFinder("", found._layers)
    assert without.answer(access("a/x")).rows == ()


def test_the_plain_loop_stays_plain_when_grants_change():
    plain = policy("").plainly()
    grant = Rule(ALICE, MAIN, "self", "a/*", "read", "", Effect.ALLOW, Place("grant:1"))
    after = plain.changed({"1": grant}, (), "1.1")
    assert allowed(after, access("a/x"))
    assert not after._finder._answers


def test_the_first_answer_is_casbins_and_the_next_ones_are_the_same(monkeypatch):
    asked = []
    judge = finding.Court.judge
    monkeypatch.setattr(finding.Court, "judge", lambda *given: asked.append(1) or judge(*given))
    rows = f"p, {ALICE}, main, self, a/*, read, args.x == 1, allow\np, {ALICE}, main, self, a/*, read, , allow\n"
    found = policy(rows + "p, *, *, *, a/*, read, args.x == 2, deny")
    found.matching(access("a/x"))
    found.possible((access("a/x", ctx=unknown_arguments()),))
    assert asked == [], "neither a listing nor an analysis is a decision"
    for x, line in ((1, 1), (3, 2), (2, 3), (1, 1)):
        assert found.decide((access("a/x", ctx=context(x=x)),)).rule.place.line == line
    assert len(asked) == 1
    assert found.decide((access("b/x"),)).reason is Reason.NO_RULE
    assert len(asked) == 1, "Casbin is never asked about no row at all"


def test_rows_behind_a_certain_one_are_not_asked_again(monkeypatch):
    rows = f"p, {ALICE}, main, self, a/*, read, , allow\np, {ALICE}, main, self, a/*, read, args.x == 1, allow\n"
    found = policy(rows)
    found.decide((access("a/x"),))
    answer = found._finder.answer(access("a/x"))
    assert (len(answer.rows), answer.denies, answer.allows) == (2, (), ())
    denied = policy(rows + "p, *, *, *, a/*, read, args.x == 2, deny\np, *, *, *, a/*, read, , deny\n")
    answer = denied._finder.answer(access("a/x"))
    assert ([row.rule.place.line for row in answer.denies], answer.allows) == ([3], ())


def test_a_listing_knows_every_mood_of_what_is_not_an_argument():
    when = "(args.x == 1 and claims.mfa) or hours(env.now, '00:00', '12:00') or tool.destructive"
    found = policy(f"p, {ALICE}, main, self, a/*, read, {when}, allow\np, *, *, *, a/*, read, not (args.x == 1), deny")
    noon = 12 * 3_600_000
    never = {"properties": {"x": {"const": 2}}}
    for _ in range(2):
        for claims, now, shown in (
            ({}, 0, True),
            ({"mfa": True}, noon, True),
            ({}, noon, False),
            ({"mfa": 1}, noon, False),
        ):
            asked = (access("a/x", ctx=unknown_arguments(claims=claims, now=now)),)
            assert found.possible(asked) is shown
            assert not found.possible(asked, never)


def test_moods_are_remembered_up_to_a_bound():
    when = " or ".join(f"(args.x == {n} and claims.c{n})" for n in range(7))
    found = policy(f"p, {ALICE}, main, self, a/*, read, {when}, allow")
    for mood in range(2**7):
        claims = {f"c{n}": bool(mood >> n & 1) for n in range(7)}
        assert found.possible((access("a/x", ctx=unknown_arguments(claims=claims)),)) is (mood > 0)
    answer = found._finder.answer(access("a/x", ctx=unknown_arguments()))
    assert len(answer._unsettled.known) == MOODS


def test_a_prepared_schema_says_what_the_schema_says():
    found = policy(f"p, {ALICE}, main, self, a/*, read, args.n == 2, allow")
    asked = (access("a/x", ctx=unknown_arguments()),)
    for schema, shown in (({"properties": {"n": {"const": 2}}}, True), ({"properties": {"n": {"const": 3}}}, False)):
        assert found.possible(asked, Schema(schema)) is found.possible(asked, schema) is shown
        assert found.possible_below(asked, Schema(schema)) is shown
    one, same, other = (Schema(each).narrowing for each in ({"a": 1}, {"a": 1}, {"a": 2}))
    assert one.digest == same.digest != other.digest
    assert Schema({"description": "x" * LARGEST}).narrowing == ANYTHING


def test_a_schema_that_cannot_be_read_shows_nothing_and_is_told():
    endless: dict[str, Json] = {}
    endless["items"] = endless
    told = []
    rows = f"p, {ALICE}, main, self, a/*, read, , allow\np, {ALICE}, main, self, b/*, read, args.n == 2, allow"
    found = Policy.build(bundle(rows), (), "1.0", told.append)
    for schema in (endless, {"title": "\ud800"}):
        for shown in (schema, Schema(schema)):
            for asked in ((access("a/x", ctx=unknown_arguments()),), (access("b/x", ctx=unknown_arguments()),)):
                told.clear()
                assert not found.possible(asked, shown)
                assert not found.possible_below(asked, shown)
                assert len(told) == 2


def test_whose_groups_are_unknown_is_denied_through_any_group_and_its_roles():
    rows = f"p, {ALICE}, main, self, a/*, read, , allow\np, role:out, *, *, a/*, read, , deny\ng, group:corp/x, role:out, main"
    found = policy(rows)
    for subject in (ALICE, BOB):
        decision = found.decide((access("a/x", subject=subject, ctx=context(groups=None)),))
        assert decision.reason is Reason.DENIED
    assert allowed(found, access("a/x"))


def test_a_remembered_answer_forgets_no_part_of_the_question():
    rows = (
        f"p, {ALICE}, main, self, a/*, read, , allow\np, {BOB}, main, {ALICE}, a/*, read, , allow\n"
        "p, group:g/in, *, *, a/x, read, , deny\np, *, s1, self, b/*, write, , allow\n"
    )
    ending = Rule(ALICE, MAIN, "self", "a/*", "connect", "", Effect.ALLOW, Place("grant:1"), expires=NOW)
    found = policy(rows, grants=(ending,))
    inside, unknown = frozenset({"group:g/in"}), None
    questions = [
        (access("a/x"), True),
        (access("a/x", ctx=context(groups=inside)), False),
        (access("a/x", ctx=context(groups=unknown)), False),
        (access("a/y", ctx=context(groups=inside)), True),
        (access("a/x", owner=BOB), False),
        (access("a/x", subject=BOB), False),
        (access("a/x", subject=BOB, owner=ALICE), True),
        (access("a/x", "write"), False),
        (access("a/x", domain="s1"), False),
        (access("b/x", "write", domain="s1"), True),
        (access("b/x", "write"), False),
        (access("a/x", "connect", ctx=context(now=NOW - 1)), True),
        (access("a/x", "connect", ctx=context(now=NOW)), False),
        (access("a/x", "connect", ctx=context(now=None)), False),
    ]
    for each, expected in (*questions, *questions, *reversed(questions)):
        assert allowed(found, each) is expected, each


def test_whose_groups_are_unknown_is_asked_about_in_any_number_of_domains(monkeypatch):
    monkeypatch.setattr(roles, "REMEMBERED", 2)
    found = policy("p, *, *, *, a/*, read, , deny\np, role:r, *, self, b/*, read, , deny\ng, group:corp/x, role:r, s3")
    for _ in range(2):
        for n in range(5):
            asked = access("b/x", domain=f"s{n}", ctx=context(groups=None))
            assert found.decide((asked,)).reason is (Reason.DENIED if n == 3 else Reason.NO_RULE)
    assert len(found._finder.roles._of_groups) <= 2


def test_of_many_whose_groups_are_unknown_little_is_remembered_however_many_groups_there_are():
    found = policy("\n".join(f"p, group:corp/g{n}, main, *, a/*, read, , deny" for n in range(1_000)))
    unknown = context(groups=None)
    tracemalloc.start()
    try:
        for n in range(4 * finding.ABSENT):
            asked = access("a/x", subject=f"user:u{n}@example.com", ctx=unknown)
            found._finder.known(asked.subject, asked.domain, None, NOW)
            if n == finding.ABSENT:
                filled = tracemalloc.get_traced_memory()[0]
        assert tracemalloc.get_traced_memory()[0] < filled * 1.05
    finally:
        tracemalloc.stop()
    assert len(found._finder._absent) == finding.ABSENT
    assert found.decide((asked,)).reason is Reason.DENIED


def test_a_fault_below_a_name_shows_nothing():
    class Broken(dict):
        def get(self, key, default=None):
            raise RuntimeError("secret-value")

    told = []
    found = Policy.build(bundle("p, *, main, self, a/*, read, , allow"), (), "1.0", told.append)
    assert not found.possible_below((access("a/", ctx=Context(env=Broken())),))
    assert len(told) == 1


def test_a_bundle_with_a_condition_that_does_not_compile_is_told_with_every_place():
    rules = tuple(
        Rule(ALICE, MAIN, "self", "a/*", "read", when, Effect.ALLOW, Place("rules.csv", line))
        for line, when in enumerate(("", "args.x ==", "args.x == 1", "nonsense("), start=1)
    )
    with pytest.raises(BadPolicy) as raised:
        Policy.build(Bundle(MODEL, rules), (), "1.0")
    assert [problem.place.line for problem in raised.value.problems] == [2, 4]


def test_what_came_first_is_forgotten_first():
    memory = finding.Memory(finding.REMEMBERED)
    for number in range(finding.REMEMBERED + 2):
        memory.put(number, str(number))
    assert len(memory) == finding.REMEMBERED
    assert 1 not in memory
    assert memory[2] == "2"
    memory.put(2, "again")
    assert len(memory) == finding.REMEMBERED
    assert memory[3] == "3"


def test_nothing_is_remembered_of_long_objects_because_clients_choose_them():
    judging = policy("p, user:*, main, self, docs/*, read, , allow")
    for length in (finding.LONGEST, finding.LONGEST + 1):
        asked = access("docs/" + "x" * (length - len("docs/")))
        for _ in range(2):
            assert judging.decide((asked,)).allowed
            assert judging.possible((asked,))
    assert len(judging._finder._answers) == 1


def test_nothing_is_remembered_of_who_has_a_long_name():
    found = policy("p, end:s1/*, s1, self, a/*, read, , allow")
    for letters, remembered in ((20, True), (finding.LONGEST, False)):
        subject = Subject(f"end:s1/{'n' * letters}")
        assert found.enters(subject, "s1", NOW)
        assert allowed(found, access("a/x", subject=subject.name, domain="s1"))
        finder = found._finder
        memories = (finder._known, finder._answers, finder._enters)
        assert [any(subject.name in key for key in memory) for memory in memories] == [remembered] * 3


@pytest.mark.parametrize(
    ("rows", "enters"),
    [
        ("", False),
        ("p, end:s1/*, s1, self, a/x, read, args.x == 1, allow", True),
        ("p, end:s1/*, s1, self, *, connect, , allow", True),
        ("p, end:s1/*, *, self, a/*, read, , allow", False),
        ("p, end:s2/*, s1, self, a/*, read, , allow", False),
        ("p, end:s1/*, s2, self, a/*, read, , allow", False),
        ("p, end:s1/*, s1, self, a/*, read, , deny", False),
        ("p, end:s1/*, s1, self, a/*, read, , allow\np, *, *, *, *, *, , deny", False),
        ("p, end:s1/*, s1, self, a/*, read, , allow\np, *, s1, *, *, read, , deny", False),
        ("p, end:s1/*, s1, self, a/*, read, , allow\np, *, s1, *, *, write, , deny", True),
        ("p, end:s1/*, s1, self, a/*, read, , allow\np, *, s1, *, a/*, read, , deny", True),
        ("p, end:s1/*, s1, self, a/*, read, , allow\np, *, s1, *, *, read, args.x == 1, deny", True),
        ("p, end:s1/*, s1, self, a/*, read, , allow\np, end:s2/*, s1, *, *, *, , deny", True),
    ],
)
def test_who_comes_in_is_said_by_rows_of_that_domain_and_denials_of_everything_keep_out(rows, enters):
    found = policy(rows)
    for _ in range(2):
        assert found.enters(Subject("end:s1/u"), "s1", NOW) is enters
