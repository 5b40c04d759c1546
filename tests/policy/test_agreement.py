"""One question, several judges: the reference, stock Casbin over all rows, and our engine in all its ways."""

import jsonschema_rs
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.terms import Effect, Subject
from tests.policy import reference
from tests.policy.pools import ARGUMENTS
from tests.policy.stock import stock
from tests.policy.worlds import OF_RATES, answer, cases, listings, loans, more

SPLITS = st.sampled_from((0, 1, 3, 20))


@given(cases(), SPLITS)
def test_the_reference_and_stock_casbin_and_the_engine_agree(case, split):
    world, asked = case
    policy = world.policy(split)
    for access in asked[::4]:
        decision, right = answer(policy, access), world.allows(access)
        assert decision.allowed == right == stock(world, access), access
        assert decision.version == "1.0"


@more(8)
@given(cases(), SPLITS)
def test_what_is_remembered_is_right_and_the_same_as_at_first(case, split):
    world, asked = case
    policy = world.policy(split)
    first = [answer(policy, access) for access in asked]
    for access, decision in zip(asked, first, strict=True):
        assert decision.allowed == world.allows(access), access
    for access, decision in zip(reversed(asked), reversed(first), strict=True):
        assert answer(policy, access) == decision


@given(cases(), SPLITS)
def test_casbins_own_loop_over_all_rows_gives_the_same_decisions(case, split):
    world, asked = case
    policy = world.policy(split)
    plain = policy.plainly()
    for access in asked:
        assert answer(plain, access) == answer(policy, access)
        assert plain.possible((access,)) == policy.possible((access,))


@given(cases(), SPLITS)
def test_a_chain_is_allowed_when_each_of_its_accesses_is(case, split):
    world, asked = case
    policy = world.policy(split)
    for at in range(len(asked)):
        for chain in (asked[at : at + 2], asked[at : at + 3]):
            decision = answer(policy, *chain)
            assert decision.allowed == world.allows_all(chain)
            decides = chain[0] if decision.allowed else next(each for each in chain if not world.allows(each))
            assert decision.access == decides


@given(cases(), SPLITS)
def test_the_deciding_rule_is_the_first_that_counts(case, split):
    world, asked = case
    policy = world.policy(split)
    for access in asked:
        decision, explained = answer(policy, access), policy.explain(access)
        assert explained.decision == decision
        counted = world.counting(access)
        applied = [each.rule for each in explained.spoke if each.applies and each.rule.place.file != "builtin"]
        assert sorted(map(repr, applied)) == sorted(map(repr, counted))
        denies = [rule for rule in counted if rule.effect is Effect.DENY]
        if reference.may_be(access):
            assert decision.rule == next(iter(denies or counted), None)
        else:
            assert decision.rule.place.file == "builtin"


@given(cases(), SPLITS)
def test_the_rules_that_match_are_those_of_the_reference_in_their_order(case, split):
    world, asked = case
    policy = world.policy(split)
    for access in asked:
        right = world.spoken(access)
        found = [rule for rule in policy.matching(access) if rule.place.file != "builtin"]
        assert sorted(map(repr, found)) == sorted(map(repr, right))
        assert [each.rule for each in policy.explain(access).spoke if each.rule.place.file != "builtin"] == sorted(
            right, key=lambda rule: rule.effect is Effect.ALLOW
        )


@given(cases(OF_RATES), SPLITS)
def test_the_rate_class_is_the_most_generous_that_is_allowed(case, split):
    world, asked = case
    policy = world.policy(split)
    for access in (*asked, *asked):
        context = access.context
        subject = Subject(access.subject, context.groups, context.claims)
        assert policy.rate_class(subject, access.domain, context.env) == world.class_of(access)


SCHEMAS = (
    None,
    {"properties": {"x": {"enum": [0, 1]}}},
    {"properties": {"x": {"const": 2}}, "required": ["x"]},
    {"properties": {"x": {"type": "integer"}, "y": {"type": "string"}}},
    {"properties": {"y": {"enum": ["q", "r"]}}, "required": ["y"]},
    {"properties": {"x": {"minimum": 2}, "z": {"type": "array"}}},
    {"properties": {"y": {}, "z": {}}, "additionalProperties": False},
)


def arguments_for(schema):
    return tuple(args for args in ARGUMENTS if schema is None or jsonschema_rs.is_valid(schema, args))


ADMITTED = tuple((schema, arguments_for(schema)) for schema in SCHEMAS)


@more(2)
@given(listings(), SPLITS, st.lists(st.sampled_from(ADMITTED), min_size=2, max_size=2))
def test_a_tool_is_listed_exactly_when_some_arguments_are_allowed(listing, split, admitted):
    world, asked = listing
    policy = world.policy(split)
    for access in asked:
        for schema, universe in admitted:
            right = world.allows_some_call((access,), universe)
            assert policy.possible((access,), schema) is right
            assert policy.possible((access,), schema) is right


@more(2)
@given(loans(), SPLITS)
def test_a_loan_is_listed_exactly_when_the_same_arguments_are_allowed_to_all(loan, split):
    world, chain = loan
    policy = world.policy(split)
    for schema, universe in ADMITTED:
        assert policy.possible(chain, schema) is world.allows_some_call(chain, universe)
