"""What of a condition does not fit a tool's schema, and that nothing is said where a schema leaves a doubt."""

import copy
import json

import jsonschema_rs
import pytest
from hypothesis import example as case
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.admitted import MAX_STEPS
from gateway.policy.conditions import parse
from gateway.policy.misfits import Kind, check, concerns, misfits
from gateway.policy.terms import Context, Effect, Tool
from tests.policy.condition_strategies import ANY_CONDITION, TEXTS, conditions, text_of
from tests.policy.test_possible import ANY_SCHEMA, LEAF_SCHEMAS, OBJECT_SCHEMAS

SEND = {
    "type": "object",
    "properties": {
        "channel": {"type": "string", "maxLength": 5, "minLength": 2},
        "level": {"enum": ["read", "write"]},
        "count": {"type": "integer", "minimum": 1, "exclusiveMaximum": 100},
        "ratio": {"type": ["number", "null"]},
        "to": {"type": "array", "items": {"type": "string"}},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}},
        "thread": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "force": {"type": "boolean"},
        "where": {"$ref": "#/$defs/place"},
        "fixed": {"const": 7},
        "wrapped": {"allOf": [{"$ref": "#/$defs/place"}], "description": "a place"},
        "free": {},
    },
    "required": ["channel", "where"],
    "$defs": {
        "place": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        }
    },
}


def of(text, schema=SEND, effect=Effect.ALLOW, tool=Tool()):  # noqa: B008 (frozen)
    return misfits(parse(text), tool, schema, effect)


@pytest.mark.parametrize(
    ("text", "kind", "column", "sentence"),
    [
        ("args.chanel == 'abc'", "unknown-field", 1, "there is no `args.chanel`; did you mean `args.channel`?"),
        ("not args.zzz", "unknown-field", 5, "there is no `args.zzz`, only `args.channel`, `args.level`"),
        ("args.where.town == 'x'", "unknown-field", 1, "there is no `args.where.town`, only `args.where.city`"),
        ("args.wrapped.sity == 'x'", "unknown-field", 1, "did you mean `args.wrapped.city`?"),
        ("has(args.where.x)", "unknown-field", 5, "there is no `args.where.x`"),
        ("some(args.lines, it.prize > 5)", "unknown-field", 18, "there is no `it.prize`; did you mean `it.price`?"),
        ("env.nwo > 5", "unknown-field", 1, "there is no `env.nwo`; did you mean `env.now`?"),
        ("args.channel.id == 'x'", "no-object", 1, "`args.channel` is a text, so that there is no `args.channel.id`"),
        ("args.thread.id == 'x'", "no-object", 1, "`args.thread` is null or a text"),
        ("every(args.channel, it == 'x')", "no-list", 7, "`args.channel` is a text; `every` and `some` are for lists"),
        ("some(args.where, it == 'x')", "no-list", 6, "`args.where` is an object"),
        ("args.count == '5'", "wrong-type", 1, "`args.count` is a whole number, and `'5'` is a text"),
        ("args.count", "wrong-type", 1, "`args.count` is a whole number, and `true` is a flag"),
        ("args.force > 5", "wrong-type", 1, "`args.force` is a flag, and `5` is a number"),
        ("args.to == 'x'", "wrong-type", 1, "`args.to` is a list, and `'x'` is a text"),
        ("every(args.to, it in ['a', 5])", "wrong-type", 16, "`it` is a text, and `5` is a number"),
        ("args.ratio < 'x'", "wrong-type", 1, "`args.ratio` is null or a number, and `'x'` is a text"),
        ("args.thread != 5", "wrong-type", 1, "`args.thread` is null or a text, and `5` is a number"),
        ("starts(args.count, '5')", "wrong-type", 8, "`args.count` is a whole number, and only a text starts with '5'"),
        ("tool.destructive == 'yes'", "wrong-type", 1, "`tool.destructive` is a flag, and `'yes'` is a text"),
        ("owner.roles == 'admin'", "wrong-type", 1, "`owner.roles` is a list, and `'admin'` is a text"),
        ("args.level == 'raed'", "impossible-constant", 1, "`args.level` is never `'raed'`: the schema lists other"),
        ("args.level == 'raed'", "impossible-constant", 1, "values; did you mean `'read'`?"),
        ("args.level in ['read', 'zzz']", "impossible-constant", 1, "other values: `'read'`, `'write'`"),
        ("args.fixed != 8", "impossible-constant", 1, "`args.fixed` is never `8`: the schema lists other values: `7`"),
        ("args.channel == 'sixsix'", "impossible-constant", 1, "its `maxLength` is 5"),
        ("args.channel == 'x'", "impossible-constant", 1, "its `minLength` is 2"),
        ("args.count == 0", "impossible-constant", 1, "its `minimum` is 1"),
        ("args.count in [5, 100]", "impossible-constant", 1, "never `100`: its `exclusiveMaximum` is 100"),
        ("args.count == 5.5", "impossible-constant", 1, "it is a whole number"),
        ("has(args.channel)", "always-there", 5, "`args.channel` is always there, so that `has(args.channel)` asks"),
        ("not has(args.where.city)", "never-true", 1, "never true there"),
        ("args.count > 500", "never-true", 1, "it is never true there, so the row allows nothing"),
        ("starts(args.level, 'x')", "never-true", 1, "it is never true there"),
        ("hours(env.now, '08:00', '09:00') and args.chanel", "unknown-field", 38, "there is no `args.chanel`"),
        ("(cidr(env.address, '::/0') or true) and args.chanel", "unknown-field", 41, "there is no `args.chanel`"),
    ],
)
def test_what_does_not_fit_is_told_with_its_column(text, kind, column, sentence):
    found = of(text)
    assert any((each.kind, each.column) == (kind, column) and sentence in each.sentence for each in found), found
    assert check(parse(text), Tool(), SEND) == [f"{each.sentence} (at character {each.column})" for each in found]


@pytest.mark.parametrize(
    "text",
    [
        "args.channel == 'abc' and args.level in ['read', 'write']",
        "args.count > 0 and args.count <= 100 and args.count != 5",
        "args.ratio == 1.5 or args.ratio == null or args.ratio != 1",
        "every(args.to, ends(it, '@x')) and some(args.lines, it.price > 5 and has(it.tax))",
        "args.thread == 'x' and args.thread != null and args.channel != null",
        "args.where.city == 'x' and args.wrapped.city == 'y' and starts(args.wrapped.city, 'y')",
        "args.free == 5 or args.free.deep.er == 'x' or some(args.free.list, it.x == 1)",
        "not has(args.bcc) and has(args.free.x)",
        "claims.amr == 'mfa' and client.id == 5 and connection.x.y",
        "some(owner.roles, it == 'admin') and tool.name == 'x' and env.now > 5 and env.address != ''",
        "args.force and args.fixed == 7.0",
        "true",
        "",
    ],
)
def test_what_fits_is_not_spoken_of(text):
    assert of(text, tool=Tool(name="x")) == []


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        [],
        {},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"properties": {"y": {}}, "additionalProperties": True},
        {"properties": {"y": {}}, "additionalProperties": {"type": "integer"}},
        {"properties": {"y": {}}, "patternProperties": {"x": {}}},
        {"properties": {"y": {}}, "anyOf": [{"properties": {"x": {}}}, {}]},
        {"properties": {"y": {}}, "if": {}, "then": {"properties": {"x": {}}}},
        {"anyOf": [{"properties": {"x": {"type": "string"}}}, {"properties": {"y": {}}}]},
        {"allOf": [{"properties": {"y": {}}}, {"properties": {"x": {}}}]},
        {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"y": {}}},
        {"properties": {"x": {"$ref": "https://elsewhere.example/x.json"}}},
        {"properties": {"x": {"anyOf": [{"$ref": "#"}, {"type": "string"}]}}},
        {"properties": {"x": {"anyOf": [{"$ref": "#/properties/x"}] * 3}}},
        {"properties": {"x": {"oneOf": []}}},
        {"properties": {"x": {"anyOf": 5}}},
        {"properties": {"x": {"type": ["string", "number"]}}},
        {"properties": {"x": {"type": "colour"}}},
        {"properties": {"x": {"enum": ["a", 5, [1], {"k": 1}]}}},
        {"properties": {"x": {"anyOf": [{"type": "number"}, {"type": "string", "maxLength": 0}]}}},
        {"properties": {"x": {"anyOf": [{"type": "number", "maximum": 1}, {"type": "number"}]}}},
        {"properties": {"x": {"type": "array", "prefixItems": [{"type": "string"}]}}},
        {"properties": {"x": {"type": "array", "items": False}}},
    ],
)
def test_where_a_schema_leaves_a_doubt_nothing_is_said(schema):
    for text in ("args.x == 5", "some(args.x, it == 5)", "args.x.k == 1", "has(args.x)"):
        surely = text in VALID and not valid(schema, VALID[text])
        assert surely or of(f"{text} or env.offset == 0", schema) == []


VALID = {"args.x == 5": {"x": 5}, "some(args.x, it == 5)": {"x": [5]}, "args.x.k == 1": {"x": {"k": 1}}}


def valid(schema, args):
    """Whether a validator admits the arguments; true as well where it cannot tell."""
    try:
        return jsonschema_rs.is_valid(schema, args)
    except (jsonschema_rs.ValidationError, ValueError, TypeError):
        return True


def test_members_that_are_false_or_left_out_are_not_there():
    closed = {"type": "object", "properties": {"x": False, "y": {}}, "additionalProperties": False}
    for text in ("args.x == 1", "args.z == 1", "has(args.z)"):
        assert [each.kind for each in of(text, closed)] == [Kind.UNKNOWN_FIELD]
    either = {"properties": {"x": {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/o"}]}}, "$defs": {
        "o": {"type": "object", "properties": {"k": {"type": "string"}}, "additionalProperties": False}}}  # fmt: skip
    assert of("args.x.k == 'a' or args.x != 'b'", either) == []
    assert [each.kind for each in of("args.x.j == 'a'", either)] == [Kind.UNKNOWN_FIELD]
    assert [each.kind for each in of("args.x == 5", either)] == [Kind.WRONG_TYPE]


def test_schemas_that_are_joined_are_read_as_far_as_they_surely_mean_the_same():
    text, number = {"type": "string"}, {"type": "number"}
    demands = {"type": "object", "properties": {"x": text}, "anyOf": [{"required": ["x"]}, {"required": ["y"]}]}
    assert [each.kind for each in of("args.x == 5", demands)] == [Kind.WRONG_TYPE]
    parts = [{"type": "object", "properties": {name: text}} for name in ("a", "b")]
    assert of("args.a == 'x' and args.b == 'x'", {"allOf": parts}) == []
    assert [each.kind for each in of("args.c == 'x'", {"allOf": parts})] == [Kind.UNKNOWN_FIELD]
    open_or_not = {"oneOf": [{"type": "object", "properties": {"k": text}}, {"type": "object"}]}
    assert of("args.x.k == 5", {"properties": {"x": open_or_not}}) == []
    (found,) = of("args.x == 'a'", {"properties": {"x": {"anyOf": [{"type": "integer"}, number]}}})
    assert found.sentence.startswith("`args.x` is a number, and")


def test_a_deny_is_told_when_the_schema_makes_it_bite_always_or_never():
    only = {"properties": {"level": {"enum": ["write"]}}, "required": ["level"]}
    assert [each.kind for each in of("args.level == 'write'", only, Effect.DENY)] == [Kind.NEVER_FALSE]
    assert [each.kind for each in of("starts(args.level, 'r')", only, Effect.DENY)] == [Kind.ALWAYS_FALSE]
    assert of("args.level == 'write'", {"properties": only["properties"]}, Effect.DENY)[0].kind == Kind.NEVER_FALSE
    assert of("args.level == 'write'", SEND, Effect.DENY) == []
    assert of("tool.destructive", SEND, Effect.DENY) == []
    assert of("args.count > 500", SEND, Effect.DENY) == []


def test_a_row_concerns_a_tool_unless_its_facts_rule_it_out():
    named = parse("tool.name == 'send' and args.x == 1")
    assert concerns(named, Tool(name="send"), Effect.ALLOW)
    assert not concerns(named, Tool(name="list"), Effect.ALLOW)
    assert not concerns(named, Tool(name="list"), Effect.DENY)
    assert not concerns(parse("args.x == 1 and args.x == 2"), Tool(), Effect.ALLOW)
    assert concerns(parse("args.x == 1 and args.x == 2"), Tool(), Effect.DENY)


def test_names_and_constants_of_a_foreign_schema_are_shown_safely_and_shortly():
    names = {f"name{at}\u202e\n": {"enum": ["x" * 500, *(f"v{n}" for n in range(50))]} for at in range(2_000)}
    (found,) = of("args.name == 'y'", {"type": "object", "properties": {**names, "z" * 5_000: {}}})
    assert found.sentence.isprintable()
    assert len(found.sentence) < 1_000
    (found,) = of("args.q == 'y'", {"properties": {"z" * 5_000: {}}})
    assert found.sentence == "there is no `args.q`"
    (found,) = of("args.a == 'y'", {"properties": {"a": next(iter(names.values()))}})
    assert "x" * 100 not in found.sentence
    assert found.sentence.endswith("`'v7'` and 42 more")


# --- no false alarm ------------------------------------------------------------------------------

PARTS = st.one_of(
    LEAF_SCHEMAS, OBJECT_SCHEMAS, st.fixed_dictionaries({"items": LEAF_SCHEMAS}, optional={"type": st.just("array")})
)
COMBINED = st.one_of(
    PARTS,
    st.fixed_dictionaries({}, optional={key: st.lists(PARTS, min_size=1, max_size=2) for key in ("anyOf", "oneOf", "allOf")}),
    st.builds(
        lambda part, key, parts: {**part, key: parts} if isinstance(part, dict) else part,
        PARTS,
        st.sampled_from(["anyOf", "oneOf", "allOf"]),
        st.lists(PARTS, min_size=1, max_size=2),
    ),
    st.just({"$ref": "#/$defs/part"}),
)  # fmt: skip
SCHEMAS = st.builds(
    lambda x, part, more: {"type": "object", "properties": {"x": x, **more}, "$defs": {"part": part}},
    COMBINED,
    PARTS,
    st.fixed_dictionaries({}, optional={"y": LEAF_SCHEMAS}),
)
INNER = [*TEXTS, "a", "", 0, -1, 0.5, 1, 1.5, 2, 3, True, False, None, {}, []]
VALUES = [
    *INNER,
    *({"k": each} for each in INNER),
    *({"j": each} for each in INNER),
    *([each] for each in INNER),
    ["b", 1],
]


@given(SCHEMAS, conditions([("args", "x"), ("args", "x", "k")], [("args", "x")], size=1))
@case(
    {"type": "object", "properties": {"x": {"anyOf": [{"enum": [1]}, {"type": "string"}]}}},
    ("cmp", ("args", "x"), "==", 1),
)
def test_what_is_said_to_be_impossible_is_impossible(schema, written):
    condition, valid = parse(text_of(written)), jsonschema_rs.validator_for(schema)
    found = misfits(condition, Tool(), schema)
    contexts = [Context(args=args) for args in ({}, *({"x": each} for each in VALUES)) if valid.is_valid(args)]
    outcomes = {condition.judge(ctx) for ctx in contexts}
    kinds = {each.kind for each in found}
    if written[0] not in ("every", "some"):
        if Kind.WRONG_TYPE in kinds and written[0] != "in":
            assert outcomes <= {None}
        if Kind.NO_OBJECT in kinds:
            assert outcomes <= {None, False}
        if Kind.IMPOSSIBLE_CONSTANT in kinds and written[0] == "cmp":
            assert (written[2] == "==") not in outcomes
        if Kind.ALWAYS_THERE in kinds:
            assert outcomes <= {True}
    if Kind.NO_LIST in kinds:
        assert outcomes <= {None}
    if Kind.NEVER_TRUE in kinds:
        assert True not in outcomes


@given(ANY_CONDITION, ANY_SCHEMA, st.sampled_from(Effect))
def test_a_schema_may_be_anything(written, schema, effect):
    before = copy.deepcopy(schema)
    condition = parse(text_of(written))
    for each in misfits(condition, Tool(), schema, effect):
        assert 1 <= each.column <= len(condition.text) + 1
        assert each.sentence.isprintable()
        assert not each.sentence.endswith(".")
    assert repr(schema) == repr(before)


def test_a_schema_that_branches_without_end_is_looked_at_so_often_and_no_more():
    class Counting(dict):
        looked = 0

        def __contains__(self, key):
            Counting.looked += 1
            return super().__contains__(key)

    loop = Counting({"anyOf": [{"$ref": "#/$defs/loop"}] * 50})
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/loop"}}, "$defs": {"loop": loop}}
    assert of("args.x == 5", schema) == []
    assert Counting.looked < 20 * MAX_STEPS
    deep = json.loads('{"anyOf": [' * 200 + '{"type": "string"}' + "]}" * 200)
    assert of("args.x == 5", {"properties": {"x": deep}}) == []
