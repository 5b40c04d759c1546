"""Could some call be allowed? Compared with trying everything, in both directions."""

import copy
from itertools import pairwise, product

import jsonschema_rs
import pytest
from hypothesis import assume, given
from hypothesis import example as case
from hypothesis import strategies as st

from gateway.policy import regions
from gateway.policy.condition_nodes import reading
from gateway.policy.conditions import parse
from gateway.policy.goals import AllOf, Literal
from gateway.policy.possible import BeyondCapError, Demand, example, possible, residual
from gateway.policy.terms import Context, Effect
from tests.policy.condition_strategies import (
    ANY_CONDITION,
    ARGUMENTS,
    CONTEXTS,
    DENSE_NUMBERS,
    TEXTS,
    all_arguments,
    conditions,
    predicates_on,
    scope_of,
    text_of,
    truth,
    worlds,
)

UNKNOWN = Context(args=None)
ENOUGH = 1_000_000


def demand(allows, denies, *, always=False, ctx=UNKNOWN):
    """The demand of one access, or ``None`` when a deny bites whatever the arguments are."""
    left = [residual(parse(each), ctx, Effect.ALLOW) for each in allows]
    off = [residual(parse(each), ctx, Effect.DENY) for each in denies]
    if True in off:
        return None
    return Demand(
        tuple(each for each in left if not isinstance(each, bool)),
        tuple(each for each in off if not isinstance(each, bool)),
        always or True in left,
    )


def ask(*allows, denies=(), schema=None, cap=2_000):
    return possible([demand(allows, denies)], schema, cap)


def met(rows, args):
    """Whether the definition allows a call; ``rows`` are (allows, denies, open) of every access."""
    scope = {"args": args}
    return all(
        (always or any(truth(each, scope) is True for each in allows))
        and all(truth(each, scope) is False for each in denies)
        for allows, denies, always in rows
    )


def really_met(rows, args):
    """The same by the product's own judge."""
    ctx = Context(args=args)
    return all(
        (always or any(parse(text_of(each)).holds(ctx) for each in allows))
        and not any(parse(text_of(each)).bites(ctx) for each in denies)
        for allows, denies, always in rows
    )


def asked_of_product(rows, schema=None, cap=ENOUGH):
    demands = [demand(map(text_of, allows), map(text_of, denies), always=always) for allows, denies, always in rows]
    return None if None in demands else example(demands, schema, cap)


def rows_of(condition, *, accesses=2):
    row = st.tuples(st.lists(condition, max_size=2), st.lists(condition, max_size=2), st.booleans())
    return st.lists(row, min_size=1, max_size=accesses)


X, Y = ("args", "x"), ("args", "y")
ONE_FIELD = rows_of(conditions([X], size=3), accesses=1)
TWO_FIELDS = rows_of(conditions([X, Y], size=3))
NESTED = rows_of(conditions([X, (*X, "k"), (*X, "j")], size=3), accesses=1)
LISTS = rows_of(conditions([X], [X], size=3), accesses=1)
DEEP_LISTS = rows_of(conditions([X, (*X, "k")], [X, (*X, "k")], size=2), accesses=1)


@pytest.mark.parametrize(
    "rows", [ONE_FIELD, TWO_FIELDS, NESTED, LISTS, DEEP_LISTS], ids=["one", "two", "nested", "lists", "deep-lists"]
)
@given(data=st.data())
def test_a_call_is_possible_exactly_when_trying_everything_finds_one(rows, data):
    rows = data.draw(rows)
    found = asked_of_product(rows)
    tried = [c for allows, denies, _ in rows for c in (*allows, *denies)]
    if found is None:
        assert not any(met(rows, args) for args in all_arguments(tried))
    else:  # it may be larger than what is tried
        assert met(rows, found)
        assert really_met(rows, found)


def test_a_call_that_needs_a_list_of_four_is_found():
    x, it = ("args", "x"), ("it",)
    spoiled = [
        ("every", x, ("in", ("it", "k"), ["b"])),
        ("every", x, ("cmp", it, "==", "b")),
        ("every", x, ("has", ("it", "k"))),
    ]
    rows = [([("every", x, ("has", it))], [("or", spoiled), ("every", x, ("bare", it))], False)]
    found = asked_of_product(rows)
    assert len(found["x"]) == 4
    assert met(rows, found)
    assert really_met(rows, found)


@given(rows=TWO_FIELDS, cap=st.integers(0, 30))
def test_the_cap_only_ever_leaves_open(rows, cap):
    demands = [demand(map(text_of, allows), map(text_of, denies), always=always) for allows, denies, always in rows]
    if None not in demands:
        assert possible(demands, cap=cap) in (None, possible(demands, cap=ENOUGH))
        assert possible(demands, cap=ENOUGH) is not None


# --- what is left over ---------------------------------------------------------------------------


def reached(goal, args):
    if isinstance(goal, Literal):
        return goal.judge(reading(goal.path)(Context(args=args))) in goal.outcomes
    return (all if isinstance(goal, AllOf) else any)(reached(part, args) for part in goal.parts)


@given(ANY_CONDITION, CONTEXTS, ARGUMENTS, st.sampled_from(Effect))
def test_what_is_left_over_decides_as_the_condition_does(written, ctx, args, effect):
    condition = parse(text_of(written))
    left = residual(condition, ctx, effect)
    answer = truth(written, {**scope_of(ctx), "args": args})
    counts = answer is True if effect is Effect.ALLOW else answer is not False
    if isinstance(left, bool):
        assert left is counts
    else:
        assert reached(left.goal, args) is (counts if effect is Effect.ALLOW else not counts)


@given(ANY_CONDITION, CONTEXTS, st.sampled_from(Effect))
def test_equal_left_overs_are_equal_values(written, ctx, effect):
    first, second = (residual(parse(text_of(written)), ctx, effect) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


def test_left_overs_that_differ_only_in_the_kind_of_a_constant_differ():
    one, true = (residual(parse(f"args.x == {each}"), UNKNOWN, Effect.ALLOW) for each in ("1", "true"))
    assert one != true


def test_an_unknown_that_no_arguments_decide_closes_both_effects():
    condition = parse("claims.amr == 'mfa'")
    assert residual(condition, UNKNOWN, Effect.ALLOW) is False
    assert residual(condition, UNKNOWN, Effect.DENY) is True
    either = parse("claims.amr == 'mfa' or args.x == 1")
    assert residual(either, UNKNOWN, Effect.ALLOW) == residual(parse("args.x == 1"), UNKNOWN, Effect.ALLOW)
    assert residual(either, UNKNOWN, Effect.DENY) is True


def test_the_arguments_of_the_context_are_not_looked_at():
    condition = parse("args.x == 1")
    assert residual(condition, Context(args={"x": 2}), Effect.ALLOW) == residual(condition, UNKNOWN, Effect.ALLOW)


# --- worked examples -----------------------------------------------------------------------------


def test_no_demand_is_met_and_no_allow_is_not():
    assert possible([]) is True
    assert possible([Demand(open=True)]) is True
    assert possible([Demand()]) is False
    assert possible([Demand(open=True), Demand()]) is False


@pytest.mark.parametrize(
    ("allow", "denies", "expected"),
    [
        ("args.x == 'a'", ["args.x == 'a'"], False),
        ("args.x == 'a'", ["args.x == 'b'"], True),
        ("args.x in ['a', 'b']", ["args.x == 'a'", "args.x == 'b'"], False),
        ("args.x > 0 and args.x < 1", [], True),
        ("args.x >= 1", ["args.x > 1", "args.x == 1"], False),
        ("args.x > 9007199254740992 and args.x < 9007199254740994", [], True),
        ("args.x > 9007199254740992 and args.x < 9007199254740993", [], False),
        ("args.x > 0.1 and args.x < 0.10000000000000003", [], True),
        ("args.x > 0.1 and args.x < 0.10000000000000002", [], False),
        ("not has(args.x)", ["args.x == 1"], False),
        ("not has(args.x)", ["has(args.y)"], True),
        ("has(args.x.y) and has(args.x.z)", ["args.x.y == 1"], True),
        ("has(args.x.y) and args.x == null", [], False),
        ("not has(args.x.y) and args.x == null", [], False),
        ("not has(args.x.y) and has(args.x)", [], True),
        ("not has(args.x) and has(args.x.y)", [], False),
        ("starts(args.x, 'ab') and ends(args.x, 'bc')", ["args.x == 'abc'"], True),
        ("starts(args.x, 'ab') and ends(args.x, 'bc') and args.x < 'abb'", [], True),
        ("starts(args.x, 'b') and args.x < 'b'", [], False),
        ("starts(args.x, 'b') and args.x > 'c'", [], False),
        ("starts(args.x, 'b') and not starts(args.x, 'bb') and args.x > 'bc'", [], True),
        ("ends(args.x, 'c')", ["ends(args.x, 'bc')"], True),
        ("ends(args.x, 'bc')", ["ends(args.x, 'c')"], False),
        ("args.x > 'b' and args.x < 'b\\u{0}'", [], False),
        ("args.x > 'b' and args.x < 'b\\u{0}\\u{0}'", [], True),
        ("args.x > 'b' and args.x < 'b\\u{0}\\u{0}' and ends(args.x, 'c')", [], False),
        ("args.x > 'b' and args.x < 'b\\u{0}\\u{1}' and ends(args.x, 'c')", [], True),
        ("ends(args.x, 'b')", ["ends(args.x, 'xb')"], True),
        ("ends(args.x, '\u0307')", ["args.x == '\u0307'"], True),
        ("args.x < ''", [], False),
        ("args.x <= ''", [], True),
        ("starts(args.x, '\\u{10ffff}') and args.x > '\\u{10ffff}\\u{10ffff}' and ends(args.x, 'a')", [], True),
        ("not starts(args.x, '\\u{10ffff}') and args.x > '\\u{10ffff}'", [], False),
        ("not starts(args.x, '\ud7a3') and args.x > '\ud7a3' and args.x < '\\u{e000}'", [], True),
        ("not starts(args.x, '\\u{d7ff}') and args.x > '\\u{d7ff}' and args.x < '\\u{e000}'", [], False),
        ("not starts(args.x, 'e\u02ff') and args.x > 'e\u02ff' and args.x < 'e\u0305'", [], False),
        ("not starts(args.x, 'e\u02ff') and args.x > 'e\u02ff' and args.x < 'e\u0306'", [], True),
        ("starts(args.x, 'xyz0123456789') and ends(args.x, '\u0301') and not ends(args.x, 'e')", [], True),
        ("some(args.x, it == 1) and some(args.x, it == 2)", ["some(args.x, it == 3)"], True),
        ("some(args.x, it == 1) and every(args.x, it == 2)", [], False),
        ("every(args.x, it == 1) and every(args.x, it == 2)", [], True),
        ("every(args.x, it == 1) and every(args.x, it == 2) and some(args.x, it > 0)", [], False),
        ("some(args.x, starts(it, 'a') and ends(it, 'b'))", ["some(args.x, it == 'ab')"], True),
        ("some(args.x, some(it, it == 1) and some(it, it == 2))", ["some(args.x, some(it, it > 1))"], False),
        ("some(args.x, it.k == 1) and every(args.x, it.j == 2)", ["some(args.x, has(it.i))"], True),
        ("(every(args.x, it == 1) or has(args.y)) and some(args.x, it == 2)", [], True),
        ("every(args.x, it == 1) and has(args.x.k)", [], False),
        ("every(args.x, it == 1) and args.x == null", [], False),
    ],
)
def test_conditions_are_judged_jointly(allow, denies, expected):
    assert ask(allow, denies=denies) is expected


def test_all_accesses_of_a_chain_share_their_arguments():
    caller, lender = demand(["args.x in ['a', 'b']"], []), demand(["args.x in ['b', 'c']"], [])
    assert example([caller, lender]) == {"x": "b"}
    assert possible([caller, lender, demand(["true"], ["args.x == 'b'"])]) is False


def test_the_example_holds_only_what_is_asked_about():
    found = example([demand(["args.a.b.c == 1 and some(args.l, it.k == 2) and not has(args.z)"], [])])
    assert found == {"a": {"b": {"c": 1}}, "l": [{"k": 2}]}


def test_beyond_the_cap_nothing_is_decided():
    asked = [demand(["args.y == 1"], [f"args.x{i} == {i}" for i in range(50)])]
    assert possible(asked, cap=20) is None
    assert possible(asked) is True
    with pytest.raises(BeyondCapError):
        example(asked, cap=20)


def test_a_question_that_takes_too_many_judgements_is_not_decided():
    starts, ends = ([f"{side}(args.x, '{i}-')" for i in range(150)] for side in ("starts", "ends"))
    assert ask("args.x > ''", denies=starts[:20] + ends[:20]) is True
    assert ask("args.x > ''", denies=starts + ends) is None


def test_more_fields_than_the_search_may_touch_are_not_decided():
    assert ask(" and ".join(f"args.x{i} == 1" for i in range(100))) is True
    assert ask(" and ".join(f"args.x{i} == 1" for i in range(101))) is None
    nested = "some(args.x, " + "some(it, " * 30 + " and ".join(f"it.k{i}" for i in range(80)) + ")" * 31
    assert ask(nested) is None


# --- narrowed by the schema ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"enum": ["a", "b"]}, False),
        ({"enum": ["a", "#x"]}, True),
        ({"const": "a"}, False),
        ({"const": "#x"}, True),
        ({"type": "integer"}, False),
        ({"type": ["integer", "string"]}, True),
        ({"enum": ["a"] * 2_000}, False),
        ({"enum": ["a"] * 2_001}, True),
        ({"type": "string", "pattern": "^a$", "minLength": 100}, True),
        ({"anyOf": [{"type": "integer"}]}, True),
        ({"$ref": "#/$defs/colour"}, False),
        ({"$ref": "#/$defs/again"}, False),
        ({"$ref": "#/$defs/loop"}, True),
        ({"$ref": "#/$defs/nowhere"}, True),
        ({"$ref": "other.json", "enum": ["a"]}, True),
        ({"$id": "other.json", "enum": ["a"]}, True),
        (False, False),
        (True, True),
    ],
)
def test_a_field_is_narrowed_by_enum_const_type_and_references(schema, expected):
    definitions = {"colour": {"enum": ["red"]}, "again": {"$ref": "#/$defs/colour"}, "loop": {"$ref": "#/$defs/loop"}}
    whole = {"type": "object", "properties": {"x": schema}, "$defs": definitions}
    assert ask("starts(args.x, '#')", schema=whole) is expected


@pytest.mark.parametrize(
    ("allow", "schema", "expected"),
    [
        ("args.x > 0 and args.x < 1", {"properties": {"x": {"type": "integer"}}}, False),
        ("args.x > 0 and args.x < 1", {"properties": {"x": {"type": "number"}}}, True),
        ("args.x == 1", {"properties": {"x": {"type": "integer", "enum": [1.0]}}}, True),
        ("args.x == 1.5", {"properties": {"x": {"type": "integer", "enum": [1.5]}}}, False),
        ("args.x > 5", {"properties": {"x": {"maximum": 5}}}, False),
        ("args.x >= 5", {"properties": {"x": {"maximum": 5}}}, True),
        ("args.x >= 5", {"properties": {"x": {"exclusiveMaximum": 5}}}, False),
        ("args.x < 5", {"properties": {"x": {"exclusiveMinimum": 4, "type": "integer"}}}, False),
        ("args.x < 5", {"properties": {"x": {"exclusiveMinimum": 4}}}, True),
        ("args.x < 5", {"properties": {"x": {"minimum": 10**400}}}, False),
        ("args.x < 5", {"properties": {"x": {"minimum": 10**400, "maximum": 10**400 + 1}}}, False),
        ("not has(args.x)", {"required": ["x"]}, False),
        ("not has(args.x)", {"required": ["y"]}, True),
        ("has(args.x)", {"additionalProperties": False}, False),
        ("has(args.x)", {"additionalProperties": False, "properties": {"x": {}}}, True),
        ("has(args.x)", {"additionalProperties": False, "patternProperties": {"x": {}}}, True),
        ("not has(args.x)", {"additionalProperties": False, "required": ["x"]}, False),
        ("args.x.k == 1", {"properties": {"x": {"properties": {"k": {"type": "string"}}}}}, False),
        ("args.x.k == 1", {"properties": {"x": {"type": "string"}}}, False),
        ("not has(args.x.k) and has(args.x)", {"properties": {"x": {"required": ["k"]}}}, False),
        ("args.x.k == 1", {"properties": {"x": {"enum": [{"k": 2}, {"k": 1}]}}}, True),
        ("args.x.k == 3", {"properties": {"x": {"enum": [{"k": 2}, {"k": 1}]}}}, False),
        ("some(args.x, it == 1)", {"properties": {"x": {"items": {"type": "string"}}}}, False),
        ("every(args.x, it == 1)", {"properties": {"x": {"items": {"type": "string"}}}}, True),
        ("some(args.x, it == 1)", {"properties": {"x": {"items": {"enum": [1]}}}}, True),
        ("some(args.x, it == 1)", {"properties": {"x": {"items": False}}}, False),
        ("some(args.x, it == 1)", {"properties": {"x": {"items": {"type": "string"}, "prefixItems": [{}]}}}, True),
        ("some(args.x, it == 1)", {"properties": {"x": {"items": [{"type": "string"}]}}}, True),
        ("some(args.x, it == 1)", {"properties": {"x": {"enum": [[1], "a"]}}}, True),
        ("some(args.x, it == 1)", {"properties": {"x": {"enum": [[2], "a"]}}}, False),
        ("some(args.x, it == 1)", {"properties": {"x": {"type": "string"}}}, False),
        (
            "args.x == 2",
            {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"x": {"const": 1}}},
            True,
        ),
        (
            "args.x == 2",
            {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"x": {"const": 1}}},
            False,
        ),
        ("args.x == 2", {"$ref": "#/$defs/a", "properties": {"x": {"const": 1}}}, True),
    ],
)
def test_the_schema_narrows_what_it_surely_excludes_and_nothing_else(allow, schema, expected):
    assert ask(allow, schema=schema) is expected


SCALARS = st.sampled_from([*TEXTS, -1, 0, 1, 1.5, 2, True, None])
TYPES = st.sampled_from(["null", "boolean", "string", "number", "integer", "array", "object"])
LEAF_SCHEMAS = st.one_of(
    st.booleans(),
    st.fixed_dictionaries({}, optional={"enum": st.lists(SCALARS, min_size=1, max_size=4, unique_by=repr)}),
    st.fixed_dictionaries({}, optional={"const": SCALARS}),
    st.fixed_dictionaries(
        {}, optional={"type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=3, unique=True))}
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["integer", "number", ["integer", "string"]]),
            "minimum": st.sampled_from([-1, 0, 0.5, 1]),
            "maximum": st.sampled_from([0, 1, 1.25, 2]),
            "exclusiveMinimum": st.sampled_from([-1, 0, 1]),
            "exclusiveMaximum": st.sampled_from([0, 1, 2]),
        },
    ),
)


def valid(schema, value):
    return jsonschema_rs.validator_for(schema).is_valid(value)


def has_its_members(schema):
    return all(any(valid(schema, {key: each}) for each in FEW) for key in schema.get("required", []))


FEW = [*TEXTS, -1, 0, 0.25, 1, 1.5, 2, 3, True, None, [], {}]
OBJECT_SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["object", ["object", "string"]]),
        "properties": st.dictionaries(st.sampled_from(["k", "j"]), LEAF_SCHEMAS, max_size=2),
        "required": st.sampled_from([[], ["k"]]),
        "additionalProperties": st.sampled_from([True, False]),
    },
).filter(has_its_members)
LIST_SCHEMAS = st.fixed_dictionaries({"items": LEAF_SCHEMAS}, optional={"type": st.just("array")})
PLAIN_SCHEMAS = st.fixed_dictionaries(
    {"properties": st.dictionaries(st.just("x"), st.one_of(LEAF_SCHEMAS, OBJECT_SCHEMAS, LIST_SCHEMAS), max_size=1)},
    optional={
        "type": st.just("object"),
        "required": st.sampled_from([[], ["x"]]),
        "additionalProperties": st.booleans(),
    },
)
FURTHER = st.fixed_dictionaries(
    {},
    optional={
        "anyOf": st.lists(LEAF_SCHEMAS, min_size=1, max_size=2),
        "not": LEAF_SCHEMAS,
        "minLength": st.integers(0, 3),
        "multipleOf": st.just(0.5),
        "minItems": st.integers(0, 2),
        "maxProperties": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "propertyNames": st.booleans(),
    },
)
SCHEMA_ROWS = rows_of(conditions([X, (*X, "k")], [X], size=2), accesses=1)


def parts_of(schema):
    yield schema
    if isinstance(schema, dict):
        for part in (*schema.get("properties", {}).values(), schema.get("items", True)):
            yield from parts_of(part)


def valid_arguments(rows, schema):
    """Arguments that the schema lets in and that show every way in which the conditions can be answered."""
    parts = [jsonschema_rs.validator_for(part) for part in parts_of(schema)]
    asked = predicates_on([c for allows, denies, _ in rows for c in (*allows, *denies)], "x")
    values = worlds(asked, ["k", "j"], tag=lambda value: [part.is_valid(value) for part in parts])
    return [args for args in ({}, *({"x": value} for value in values)) if parts[0].is_valid(args)]


def without_required(schema):
    if isinstance(schema, dict):
        return {key: without_required(value) for key, value in schema.items() if key != "required"}
    return schema


@given(rows=SCHEMA_ROWS, schema=PLAIN_SCHEMAS)
def test_with_a_schema_a_call_is_possible_exactly_when_a_valid_one_is(rows, schema):
    arguments = valid_arguments(rows, schema)
    assume(arguments)
    before = copy.deepcopy(schema)
    found = asked_of_product(rows, schema)
    assert (found is not None) is any(met(rows, args) for args in arguments)
    assert found is None or (really_met(rows, found) and valid(without_required(schema), found))
    assert schema == before


@given(rows=SCHEMA_ROWS, schema=PLAIN_SCHEMAS, further=FURTHER, inner=FURTHER)
def test_keywords_that_are_not_read_never_hide_a_call(rows, schema, further, inner):
    schema = {**schema, **further}
    if isinstance(x := schema["properties"].get("x"), dict):
        schema["properties"] = {"x": {**x, **inner}}
    if any(met(rows, args) for args in valid_arguments(rows, schema)):
        assert asked_of_product(rows, schema) is not None


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
KEYWORDS = [
    "type", "enum", "const", "properties", "required", "items", "additionalProperties", "prefixItems", "minimum",
    "exclusiveMaximum", "$ref", "$id", "$schema", "x", "k",
]  # fmt: skip
ANY_SCHEMA = st.recursive(
    st.one_of(JSON, st.sampled_from(["#", "#/properties/x", "#/properties", "#/~1/~", "integer", ["x"]])),
    lambda inner: st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4),
    max_leaves=12,
)


@given(rows=SCHEMA_ROWS, schema=ANY_SCHEMA)
@case(rows=[([("cmp", X, "==", 1)], [], False)], schema={"properties": {"x": {"enum": [float("nan"), [1], {"a": 1}]}}})
def test_a_schema_may_be_anything(rows, schema):
    demands = [demand(map(text_of, allows), map(text_of, denies), always=always) for allows, denies, always in rows]
    if None not in demands:
        assert possible(demands, schema) in (True, False, None)


# --- regions -------------------------------------------------------------------------------------

PIECES = st.text(alphabet="\0\1bx\ue000\U0010ffff", min_size=1, max_size=3)
PIECE_SETS = st.sets(PIECES, max_size=2)
TRIED = ["".join(signs) for length in range(6) for signs in product("\0bx\uffff", repeat=length)]


@given(ordered=PIECE_SETS, prefixes=PIECE_SETS, suffixes=PIECE_SETS)
def test_every_text_has_a_representative_that_compares_alike(ordered, prefixes, suffixes):
    def answers(text):
        return (
            *((text < each, text == each) for each in sorted(ordered)),
            *(text.startswith(each) for each in sorted(prefixes)),
            *(text.endswith(each) for each in sorted(suffixes)),
        )

    shown = set(regions.texts(equal=set(ordered), ordered=set(ordered), prefixes=prefixes, suffixes=suffixes))
    alike = {answers(each) for each in shown}
    assert {answers(each) for each in TRIED} <= alike


@given(
    st.sets(
        st.one_of(st.integers(-3, 3), st.floats(-3, 3), st.sampled_from([10**400, 2**53, 2**53 + 1, 1e300])), max_size=4
    )
)
def test_every_number_has_a_representative_that_compares_alike(points):
    def answers(number):
        return tuple((number < each, number == each) for each in sorted(points))

    alike = {answers(each) for each in regions.numbers(points)}
    between = {low + (high - low) / 2 for low, high in pairwise(sorted(points)) if high < 10}
    assert {answers(each) for each in (*DENSE_NUMBERS, *points, *between, -(10**500), 10**500, 2**53 + 2)} <= alike
