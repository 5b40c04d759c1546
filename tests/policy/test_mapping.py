"""Arguments made of arguments: how they are written, what comes out, and what a listing may conclude from them."""

import json
import pickle
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.policy.conditions import parse
from gateway.policy.mapping import DEEPEST, MOST, ArgumentMapping, read_mapping
from gateway.policy.possible import Demand, possible
from gateway.policy.terms import Context
from tests.policy import reference
from tests.policy.builders import BOB, access, policy, unknown_arguments
from tests.policy.condition_strategies import (
    CONSTANTS,
    DENSE_TEXTS,
    TEXTS,
    VALUES,
    asked,
    conditions,
    rooted,
    text_of,
    truth,
    worlds,
)
from tests.policy.pools import MEANING, MISSING
from tests.policy.test_agreement import SCHEMAS, SPLITS
from tests.policy.test_possible import demand, rows_of, valid
from tests.policy.worlds import loans, more


def mapping(templates, declared="xyz"):
    found = read_mapping(templates, declared)
    assert isinstance(found, ArgumentMapping), found
    return found


def filled(templates, args, declared="xyz"):
    return mapping(templates, declared).filled(args)


# --- reading --------------------------------------------------------------------------------------


def nested(depth, inner="b"):
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("templates", "sentence"),
    [
        ({"a": "{{w}}"}, "argMappings.a: `{{w}}` is no argument that the tool declares"),
        ({"body": {"text": "{{ x.k }}"}}, "argMappings.body.text: `{{x.k}}` is no argument that the tool declares"),
        ({"body": {"rows": [1, "{{x}} {{w}}"]}}, "argMappings.body.rows[1]: `{{w}}` is no argument"),
        ({"a": "{{}}"}, "argMappings.a: `{{}}` names no argument"),
        ({"a": "to {{  }}"}, "argMappings.a: `{{}}` names no argument"),
        ({"a": "{{x"}, "argMappings.a: the braces of `{{x` do not match"),
        ({"a": "x}}"}, "argMappings.a: the braces of `x}}` do not match"),
        ({"a": "{{x}} {{"}, "argMappings.a: the braces of"),
        ({"a": "}} {{x}}"}, "argMappings.a: the braces of"),
        ({"a": "{{{x}}}"}, "argMappings.a: the braces of"),
        ({"a": "{{x {{y}} }}"}, "argMappings.a: the braces of"),
        ({"a": "{{x}y}}"}, "argMappings.a: the braces of"),
        ({"a": {"{{x}}": 1}}, "argMappings.a.{{x}}: names are taken as they are"),
        ({"}}": 1}, "argMappings.}}: names are taken as they are"),
        ({"a": {1: 2}}, "argMappings.a.1: the name `1` is no text"),
        ({"a": [{"k": float("nan")}]}, "argMappings.a[0].k: is no value of JSON"),
        ({"a": (1, 2)}, "argMappings.a: is no value of JSON"),
        ({"a": nested(DEEPEST + 1)}, f"argMappings.a{'[0]' * DEEPEST}: stands in more than 20 objects and lists"),
        ({"a": nested(DEEPEST, {})}, f"argMappings.a{'[0]' * DEEPEST}: stands in more than 20 objects and lists"),
        ({"a": [*[1] * (MOST - 1)], "b": [], "c": {"k": "{{w}}"}}, "argMappings: holds more than 500 values"),
        ({"a": [[]] * 10_000}, "argMappings: holds more than 500 values"),
    ],
)
def test_what_is_wrong_with_a_template_is_said_with_its_place(templates, sentence):
    found = read_mapping(templates, "xyz")
    assert isinstance(found, list)
    assert len(found) == 1
    assert found[0].startswith(sentence)


def test_everything_that_is_wrong_is_said_at_once():
    found = read_mapping({"a": "{{v}} {{w}}", "b": ["{{x}}", "{{"]}, {"x"})
    assert [each.partition(":")[0] for each in found] == ["argMappings.a", "argMappings.a", "argMappings.b[1]"]


def test_as_much_as_is_allowed_is_read():
    assert filled({"a": nested(DEEPEST)}, {}) == {"a": nested(DEEPEST)}
    assert filled({"a": [1] * (MOST - 1), "b": []}, {}) == {"a": [1] * (MOST - 1), "b": []}


PIECES = st.sampled_from(["{{", "}}", "{", "}", "{{x}}", "{{ y }}", "{{w}}", "{{x.k}}", " ", "x", "b", "\ud800"])
TEMPLATES = st.dictionaries(
    st.sampled_from(["a", "b", "x", "{{x}}", "{"]),
    st.recursive(
        st.one_of(st.lists(PIECES, max_size=4).map("".join), st.sampled_from([*CONSTANTS, 10**400, -0.0])),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("kl"), inner, max_size=3)),
        max_leaves=6,
    ),
    max_size=3,
)
GIVEN = st.dictionaries(
    st.sampled_from("xyw"), st.one_of(VALUES, st.sampled_from(["{{x}}", "{{y}}", "}}", "\ud800"])), max_size=3
)


def expected(template, args):
    """What a template makes, by replacing in it; ``MISSING`` for nothing."""
    if isinstance(template, dict):
        made = {key: expected(each, args) for key, each in template.items()}
        return {key: value for key, value in made.items() if value is not MISSING}
    if isinstance(template, list):
        return [value for each in template if (value := expected(each, args)) is not MISSING]
    if not isinstance(template, str):
        return template
    template = template.replace("{{ y }}", "{{y}}")
    for name in "xy":
        if template == "{{" + name + "}}":
            return args.get(name, MISSING)
    cut = [each.partition("}}") for each in template.split("{{")]
    return cut[0][0] + "".join(as_text(args, name) + rest for name, _, rest in cut[1:])


def as_text(args, name):
    value = args.get(name, "")
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False).replace(", ", ",").replace(": ", ":")
    )


@given(TEMPLATES, GIVEN)
def test_what_is_read_is_filled_in_and_the_rest_is_refused(templates, args):
    before = repr(templates), repr(args)
    found = read_mapping(templates, ["x", "y"])
    if isinstance(found, list):
        assert found
        assert all(each.startswith("argMappings") for each in found)
    else:
        words = repr(templates).replace("{{ y }}", "{{y}}")
        assert found.names == {name for name in "xy" if "{{" + name + "}}" in words}
        assert found.passed == {"x", "y"} - found.names - templates.keys()
        handed_on = {name: value for name, value in args.items() if name in found.passed}
        assert repr(sorted(found.filled(args).items())) == repr(sorted((handed_on | expected(templates, args)).items()))
    assert (repr(templates), repr(args)) == before


def test_a_whole_argument_keeps_its_type_and_goes_when_it_is_absent():
    templates = {"a": "{{x}}", "b": {"k": "{{ x }}"}, "c": ["{{x}}", 1, "{{x}}"]}
    for value in (1, 1.5, True, None, "text", [1, {}], {"k": None}):
        assert filled(templates, {"x": value}) == {"a": value, "b": {"k": value}, "c": [value, 1, value]}
    assert filled(templates, {}) == {"b": {}, "c": [1]}


def test_a_made_text_holds_texts_as_they_are_and_other_values_as_compact_json():
    templates = {"a": "<{{x}}|{{y}}>"}
    assert filled(templates, {"x": "é {{y}}", "y": {"k": [1, None, "é"]}}) == {"a": '<é {{y}}|{"k":[1,null,"é"]}>'}
    assert filled(templates, {"y": True}) == {"a": "<|true>"}


def test_what_an_argument_says_is_never_read_as_a_template():
    assert filled({"a": "{{x}}", "b": "{{x}}{{y}}"}, {"x": "{{y}}", "y": "secret"}) == {
        "a": "{{y}}",
        "b": "{{y}}secret",
    }


def test_arguments_that_no_template_reads_or_sets_are_handed_on_and_what_is_not_declared_is_not():
    found = mapping({"y": "fixed", "a": "{{x}}"})
    assert (found.names, found.passed) == ({"x"}, {"z"})
    assert found.filled({"x": 1, "y": 2, "z": 3, "w": 4}) == {"a": 1, "y": "fixed", "z": 3}


def test_what_is_mapped_wins_even_when_it_is_absent():
    assert filled({"y": "{{x}}"}, {"y": "mine"}) == {}


def test_what_is_filled_shares_nothing_with_the_templates():
    templates = {"a": {"k": [1]}, "b": [], "c": {}}
    found = mapping(templates)
    for changed in (found.filled({}), templates):
        changed["a"]["k"].append(2)
        changed["b"].append(3)
        changed["c"]["k"] = 4
    assert found.filled({}) == {"a": {"k": [1]}, "b": [], "c": {}}


def test_mappings_are_equal_by_what_they_write():
    one, same = mapping({"a": 1, "b": "{{x}}"}), mapping({"b": "{{x}}", "a": 1})
    assert one == same
    assert hash(one) == hash(same)
    assert pickle.loads(pickle.dumps(one)) == one
    assert pickle.loads(pickle.dumps(one)).filled({"x": 2}) == one.filled({"x": 2})
    others = [mapping({"a": True, "b": "{{x}}"}), mapping({"a": "1", "b": "{{x}}"}), mapping({"a": 1, "b": "{{y}}"})]
    assert len({one, *others, mapping({"a": 1, "b": "{{x}}"}, "x")}) == 5


# --- listing --------------------------------------------------------------------------------------


VALUES_OF_ONE = (MISSING, 0, 1, 2, 3, "1", "p", "q", "pp", "r", [], ["p"], ["r"], ["p", "r"], [1, "p"], [1, "r"])
UNIVERSE = tuple(
    {key: value for key, value in zip("xyz", values, strict=True) if value is not MISSING}
    for values in product(VALUES_OF_ONE, repeat=3)
)
"""A representative of every class of arguments, whichever of them the conditions of the pools come to ask about."""

WHOLE = (
    "{{x}}",
    "{{y}}",
    "{{z}}",
    1,
    2,
    "p",
    "r",
    None,
    {"k": "{{x}}"},
    ["{{x}}", "{{y}}"],
    ["p", "{{z}}"],
    [],
    ["{{x}}"],
)
OF_TEXT = ("p{{x}}", "{{y}}{{x}}", "{{y}}q", "q {{z}}", ["{{x}}p"])


def mappings(values):
    one = st.dictionaries(st.sampled_from("xyz"), st.sampled_from(values), min_size=1, max_size=3).map(mapping)
    return st.lists(one, min_size=8, max_size=8)


def called(chain, made):
    """The chain of a tool that calls what the second access is about with arguments that it makes."""
    own, below = chain
    return own, replace(below, context=replace(below.context, mapping=made))


def some_call_is_allowed(world, chain, universe, mappings):
    """The same for each of the mappings."""
    (own, context), (below, further) = [(world.spoken(each), each.context) for each in chain]
    if not all(map(reference.may_be, chain)) or not any(row.effect == "allow" for row in below):
        return [False] * len(mappings)
    fine = [args for args in universe if reference.verdict(own, replace(context, args=args), MEANING)]
    return [
        any(reference.verdict(below, replace(further, args=made.filled(args)), MEANING) for args in fine)
        for made in mappings
    ]


@more(2)
@given(loans(), SPLITS, mappings(WHOLE), st.sampled_from((*SCHEMAS, *[None] * 10)))
def test_a_tool_that_calls_another_is_listed_exactly_when_some_call_is_allowed_to_both(loan, split, mappings, schema):
    world, chain = loan
    found = [world.policy(split).possible(called(chain, made), schema) for made in mappings]
    universe = UNIVERSE if schema is None else [args for args in UNIVERSE[::3] if valid(schema, args)]
    right = some_call_is_allowed(world, chain, universe, mappings)
    if schema is None:
        assert found == right
    else:
        assert all(found[at] for at, allowed in enumerate(right) if allowed)


@given(loans(), SPLITS, mappings((*WHOLE, *OF_TEXT, *OF_TEXT)))
def test_a_tool_that_makes_texts_is_never_hidden_when_some_call_is_allowed(loan, split, mappings):
    world, chain = loan
    for made, allowed in zip(mappings, some_call_is_allowed(world, chain, UNIVERSE[::7], mappings), strict=True):
        assert world.policy(split).possible(called(chain, made)) or not allowed


A = ("args", "a")
TREES_OF_A = (
    "{{x}}",
    {"k": "{{x}}"},
    {"k": {"k": "{{x}}"}},
    {"k": "b", "j": "{{x}}"},
    ["{{x}}"],
    ["{{x}}", "b"],
    ["{{x}}", "{{y}}"],
    [{"k": "{{x}}"}, {"k": "{{y}}"}],
    [["{{x}}"], {}],
    [],
    "b",
    1,
    None,
)
ROWS_OF_A = rows_of(conditions([A, (*A, "k")], [A, (*A, "k")], size=3), accesses=1)
ROWS_OF_X = rows_of(conditions([("args", "x"), ("args", "x", "k")], size=2), accesses=1)


def below(one):
    """A predicate as it may come to be asked of an argument that is the whole field, a part of it or an element."""
    rest = one[1][2:] if one[1][0] == "args" else one[1][1:]
    yield from (rooted((one[0], ("it", *rest[at:]), *one[2:]), 1) for at in range(len(rest) + 1))
    if one[0] in ("every", "some"):
        for inner in asked(one[2]):
            yield from below(inner)


def demands_of(rows, ctx=None):
    ctx = ctx or Context(args=None)
    return [
        demand(map(text_of, allows), map(text_of, denies), always=always, ctx=ctx) for allows, denies, always in rows
    ]


def met(rows, args):
    scope = {"args": args}
    return all(
        (always or any(truth(each, scope) is True for each in allows))
        and all(truth(each, scope) is False for each in denies)
        for allows, denies, always in rows
    )


def predicates(rows):
    return [one for allows, denies, _ in rows for c in (*allows, *denies) for one in asked(c)]


@given(ROWS_OF_X, ROWS_OF_A, st.sampled_from(TREES_OF_A))
def test_what_is_asked_of_parts_and_elements_is_asked_of_the_arguments_that_they_are(own, mapped, template):
    made = mapping({"a": template})
    of_x = {repr(one): one for whole in (*predicates(own), *predicates(mapped)) for one in below(whole)}.values()
    of_y = {repr(one): one for whole in predicates(mapped) for one in below(whole)}.values()
    assume(len(of_x) <= 9)
    right = any(
        met(own, args) and met(mapped, made.filled(args))
        for x, y in product((MISSING, *worlds(of_x)), (MISSING, *(worlds(of_y) if "y" in made.names else ())))
        for args in [{key: value for key, value in (("x", x), ("y", y)) if value is not MISSING}]
    )
    demands = demands_of(own) + demands_of(mapped, Context(args=None, mapping=made))
    assert (None not in demands and possible(demands, cap=1_000_000)) is right


@pytest.mark.parametrize(
    ("template", "allow", "deny", "own", "expected"),
    [
        ("b", "args.a == 'b'", "", "", True),
        ("b", "args.a == 'c'", "", "", False),
        ("{{x}}", "args.a == 'b'", "", "args.x == 'b'", True),
        ("{{x}}", "args.a == 'b'", "", "args.x == 'c'", False),
        ("{{x}}", "not has(args.a)", "", "not has(args.x)", True),
        ("{{x}}", "args.a.k == 1", "", "args.x.k > 0", True),
        ("{{x}}", "args.a.k == 1", "", "args.x.k > 1", False),
        ("b", "not has(args.a.k)", "", "", False),
        (["b"], "not has(args.a.k)", "", "", False),
        ("b {{x}}", "not has(args.a.k)", "", "", False),
        ({}, "not has(args.a.k.j)", "", "", True),
        ({"k": {"j": "{{x}}"}}, "args.a.k.j == 'b'", "", "args.x == 'b'", True),
        ({"k": "{{x}}"}, "args.a == null", "", "", False),
        ({"k": "{{x}}"}, "args.a != null", "", "", True),
        (["{{x}}"], "every(args.a, it == 'b')", "", "not has(args.x)", True),
        (["{{x}}"], "every(args.a, it == 'b')", "", "args.x == 'c'", False),
        (["{{x}}", "c"], "every(args.a, it == 'b')", "", "", False),
        (["{{x}}", "c"], "some(args.a, it == 'b')", "", "", True),
        (["{{x}}", "c"], "some(args.a, it == 'b')", "", "args.x == 'c'", False),
        (["{{x}}"], "some(args.a, not has(it.k))", "", "not has(args.x)", False),
        (["{{x}}"], "some(args.a, not has(it.k))", "", "args.x.j == 1", True),
        ([{"k": "{{x}}"}], "some(args.a, not has(it.k))", "", "not has(args.x)", True),
        ([["{{x}}"], []], "some(args.a, some(it, it == 'b'))", "", "args.x == 'b'", True),
        ([["{{x}}"], []], "some(args.a, some(it, it == 'b'))", "", "args.x == 'c'", False),
        (["{{x}}", "b"], "true", "every(args.a, it == 'b')", "args.x == 'c'", True),
        (["{{x}}", "b"], "true", "every(args.a, it == 'b')", "args.x == 'b'", False),
        (["{{x}}", "b"], "true", "every(args.a, it == 'b')", "not has(args.x)", False),
        (["{{x}}", "c"], "true", "some(args.a, it == 'b')", "args.x == 'c'", True),
        (["{{x}}", "c"], "true", "some(args.a, it == 'b')", "args.x == 'b'", False),
        ("b{{x}}b", "args.a == 'b'", "", "", False),
        ("b{{x}}b", "args.a == 'bb'", "", "", True),
        ("b{{x}}", "some(args.a, it == 'b')", "", "", False),
        ("e\u0301{{x}}", "args.a == 'b'", "", "", False),
        ("e\u0301{{x}}", "args.a != 'b'", "", "", False),
        ("e\u0301{{x}}", "has(args.a)", "", "", True),
        ("{{x}}e\u0301", "starts(args.a, 'b') or args.y == 'b'", "", "", True),
    ],
)
def test_what_is_asked_below_is_asked_of_the_arguments(template, allow, deny, own, expected):
    made = mapping({"a": template})
    demands = [
        demand([own], []),
        demand([allow], [deny] if deny else [], ctx=Context(args=None, mapping=mapping({"a": template}, "xyz"))),
    ]
    assert (None not in demands and possible(demands)) is expected
    for x in (*TEXTS, {"j": 1}, {"k": 1}, {"k": 2}, MISSING):
        args = {} if x is MISSING else {"x": x}
        called_with = Context(args=made.filled(args | {"y": "b"}))
        holds = parse(own).holds(Context(args=args)) and parse(allow).holds(called_with)
        assert expected or not holds or (deny and parse(deny).bites(called_with))


ROWS_OF_TEXT = rows_of(conditions([A], size=4), accesses=1)
ENDS = st.sampled_from(["", *TEXTS, "e\u0301", "\u0301"])


@given(ROWS_OF_TEXT, ENDS, ENDS)
def test_a_text_made_of_an_argument_that_nothing_else_asks_about_is_found_exactly(rows, begin, end):
    made = mapping({"a": begin + "{{x}}" + end})
    if not begin + end:
        made = mapping({"a": "{{x}}{{y}}"})
    right = any(met(rows, made.filled({"x": text})) for text in (*DENSE_TEXTS, "e\u0301", "\ud800"))
    demands = demands_of(rows, Context(args=None, mapping=made))
    assert (None not in demands and possible(demands)) is right


def test_two_made_texts_are_two_fields_and_the_same_one_twice_is_one():
    rows = [([("cmp", A, "==", "b c")], [], False)], [([("cmp", A, "==", "b d")], [], False)]

    def both(one, other):
        first, second = (Context(args=None, mapping=mapping({"a": each})) for each in (one, other))
        return possible([*demands_of(rows[0], first), *demands_of(rows[1], second)])

    assert both("b {{x}}", "b {{y}}") is True
    assert both("b {{x}}", "b {{x}}") is False


def test_a_listing_knows_what_the_tool_below_would_be_called_with():
    found = policy(
        "p, user:*, *, self, custom/*, write, , allow\n"
        "p, user:*, *, self, http/api.example.com, write, args.method == 'GET' and starts(args.url, 'https://api.example.com/v1/'), allow\n"
        "p, user:*, *, self, http/api.example.com, write, args.body.channel == 'general', deny"
    )

    def listed(templates, schema=None, name="custom/post"):
        below = replace(unknown_arguments(), mapping=mapping(templates, ["channel", "text"]))
        asked = access(name, "write", ctx=unknown_arguments()), access("http/api.example.com", "write", ctx=below)
        return found.possible(asked, schema)

    fine = {"method": "GET", "url": "https://api.example.com/v1/{{text}}", "body": {"channel": "{{channel}}"}}
    assert listed(fine)
    assert not listed({**fine, "method": "POST"})
    assert not listed({**fine, "url": "https://api.example.com/v2/{{text}}"})
    assert not listed({**fine, "body": {"channel": "general"}})
    assert not listed({**fine, "body": "{{channel}}"}, {"properties": {"channel": {"type": "string"}}})
    assert not listed(fine, {"properties": {"channel": {"const": "general"}}, "required": ["channel"]})
    assert listed(fine, {"properties": {"channel": {"enum": ["general", "random"]}}})
    assert not listed({**fine, "body": {}}), "a channel that is absent may be any"


def test_what_one_mapping_left_over_is_not_taken_for_another():
    found = policy("p, user:*, *, self, a/x, write, args.to == 'b', allow")

    def listed(made, subject=BOB):
        return found.possible(
            (access("a/x", "write", subject=subject, ctx=replace(unknown_arguments(), mapping=made)),)
        )

    for _ in range(2):
        assert listed(mapping({"to": "b"}))
        assert not listed(mapping({"to": "c"}))
        assert listed(mapping({"to": "{{x}}"}))
        assert listed(None)
        assert not listed(mapping({}))
        assert listed(mapping({}, ["to"]))


def test_where_arguments_are_known_they_are_those_that_were_made():
    found = policy("p, user:*, *, self, a/x, write, args.to == 'b', allow")
    made = mapping({"to": "c"})
    for args, allowed in (({"to": "b"}, True), ({"to": "c"}, False)):
        context = replace(unknown_arguments(), args=args, mapping=made)
        asked = access("a/x", "write", ctx=context)
        assert found.decide((asked,)).allowed is found.possible((asked,)) is allowed
    unknown = replace(unknown_arguments(), mapping=mapping({"to": "b"}))
    assert not found.decide((access("a/x", "write", ctx=unknown),)).allowed


def test_a_demand_that_was_translated_is_another():
    rows = [([("cmp", A, "==", "b")], [], False)]
    plain, mapped = demands_of(rows), demands_of(rows, Context(args=None, mapping=mapping({"a": "{{x}}"})))
    assert plain != mapped
    assert demands_of(rows, Context(args=None, mapping=mapping({"a": "b"}))) == [Demand(open=True)]
