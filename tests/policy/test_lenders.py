"""On whose connections somebody could be allowed something: found without looking at every row."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.engine import Policy
from gateway.policy.terms import Effect, Place, Rule, Subject
from tests.policy import reference
from tests.policy.builders import ALICE, BOB, NOW, access, bundle, context
from tests.policy.builders import policy as policy_of
from tests.policy.pools import DOMAINS, KNOWN_GROUPS, OBJECTS, OWNERS, SUBJECTS
from tests.policy.worlds import cases, worlds

EVE = "user:eve@example.com"
LOAN = f"p, {BOB}, main, {ALICE}, slack/*, read, , allow"


def lenders(policy: Policy, subject: str = BOB, connector: str = "slack", *, domain: str = "main", now: int = NOW):
    return policy.lenders(Subject(subject), domain, connector, now)


def by_looking_at_every_row(world, subject: Subject, domain: str, connector: str, now: int) -> set[tuple[str, str]]:
    """The owners whom an allow of use names that speaks for the subject about something of the connector, with its
    object.
    """
    objects = [object for object in OBJECTS if object.startswith(f"{connector}/")]
    asked = context(now=now, groups=subject.groups)
    return {
        (row.owner, row.object)
        for row in world.rules
        if row.effect is Effect.ALLOW and row.owner in OWNERS and row.owner not in ("system", subject.name)
        for object in objects
        for question in [access(object, subject=subject.name, domain=domain, owner=row.owner, ctx=asked)]
        if reference.speaks(row, world.rules, world.links, question)
    }


@given(
    worlds(),
    st.sampled_from(SUBJECTS),
    st.sampled_from(KNOWN_GROUPS),
    st.sampled_from(DOMAINS),
    st.sampled_from((NOW - 1, NOW, NOW + 1_000)),
    st.sampled_from((0, 1, 3, 20)),
)
def test_lenders_are_those_whom_some_row_names(world, name, groups, domain, now, split):
    subject = Subject(name, groups)
    policy = world.policy(split)
    for connector in ("a", "b"):
        brute = by_looking_at_every_row(world, subject, domain, connector, now)
        for each in (policy, policy.plainly()):
            lent = each.lent(subject, domain, connector, now)
            assert {(owner, object) for owner, objects in lent.items() for object in objects} == brute
            assert sum(map(len, lent.values())) == len(brute), "each is named once"
            assert each.lenders(subject, domain, connector, now) == tuple(sorted(lent)), "it is remembered"


@given(cases(), st.sampled_from((0, 3, 20)))
def test_whoever_lends_something_that_is_allowed_is_among_them(case, split):
    world, asked = case
    policy = world.for_files().policy(split)
    for each in asked:
        lent = each.owner not in ("system", each.subject) and each.action in ("read", "write")
        now = each.context.env.get("now")
        if lent and now is not None and policy.decide((each,)).allowed:
            subject = Subject(each.subject, each.context.groups)
            assert each.owner in policy.lenders(subject, each.domain, each.object.partition("/")[0], now)


@pytest.mark.parametrize(
    "row",
    [
        f"p, {BOB}, main, self, slack/*, read, , allow",
        f"p, {BOB}, main, system, slack/*, read, , allow",
        f"p, {BOB}, main, {BOB}, slack/*, read, , allow",
        f"p, {EVE}, main, {ALICE}, slack/*, read, , allow",
        f"p, {BOB}, side, {ALICE}, slack/*, read, , allow",
        f"p, {BOB}, main, {ALICE}, github/*, read, , allow",
        f"p, {BOB}, main, {ALICE}, slack-eu/*, read, , allow",
        f"p, {BOB}, main, {ALICE}, slack, connect, , allow",
        f"p, {BOB}, main, {ALICE}, slack/*, read, , deny",
    ],
)
def test_a_row_that_lends_nothing_of_the_connector_to_the_subject_names_nobody(row: str):
    assert lenders(policy_of(row)) == ()


def test_a_loan_reaches_whoever_has_the_role_or_belongs_to_the_crowd():
    for row in (f"p, role:team, main, {ALICE}, *, read, , allow\ng, {BOB}, role:team, main", LOAN.replace(BOB, "*")):
        assert lenders(policy_of(row)) == (ALICE,)
        assert lenders(policy_of(row), ALICE) == ()


def test_a_loan_comes_and_goes_with_its_grant_and_ends_with_its_time():
    def loan(owner: str, expires: int | None = None) -> Rule:
        return Rule(BOB, "main", owner, "slack/*", "read", "", Effect.ALLOW, Place("grant:1"), expires=expires)

    none = Policy.build(bundle(""), (), "1.0")
    one = none.changed({"1": loan(ALICE)}, (), "1.1")
    two = one.changed({"2": loan(EVE, NOW)}, (), "1.2")
    assert [lenders(each, now=NOW - 1) for each in (none, one, two)] == [(), (ALICE,), (ALICE, EVE)]
    assert lenders(two, now=NOW) == (ALICE,)
    assert lenders(two.changed({}, ("1",), "1.3"), now=NOW) == ()


def test_among_a_hundred_thousand_rows_lenders_are_found_at_once():
    """Bounded by the loans to whoever asks, not by the policy."""
    place = Place("rules.csv")
    crowd = tuple(
        Rule(f"user:u{n}@example.com", "main", "self", f"slack/t{n}", "read", "", Effect.ALLOW, place)
        for n in range(50_000)
    ) + tuple(
        Rule(f"user:u{n}@example.com", "main", ALICE, f"slack/t{n}", "read", "", Effect.ALLOW, place)
        for n in range(50_000)
    )
    policy = Policy.build(bundle(LOAN), crowd, "1.0")
    began = time.perf_counter()
    for n in range(1_000):
        assert lenders(policy, f"user:u{n}@example.com") == (ALICE,)
    assert time.perf_counter() - began < 1.0
