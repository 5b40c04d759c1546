"""The `when` language: what it reads, what it refuses, how it judges."""

import copy
import string
import sys
from types import MappingProxyType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.policy.condition_text import MAX_DEPTH, MAX_LIST, MAX_TEXT
from gateway.policy.condition_values import quoted
from gateway.policy.conditions import ConditionError, parse
from gateway.policy.terms import Context, Tool
from tests.policy.condition_strategies import ANY_CONDITION, CONTEXTS, scope_of, text_of, truth


def judge(text, args=MappingProxyType({}), **roots):
    return parse(text).judge(Context(args=args, **roots))


def read_or_refused(text):
    try:
        return parse(text)
    except ConditionError as error:
        return error


def refusal(text):
    with pytest.raises(ConditionError) as caught:
        parse(text)
    return caught.value


# --- properties ----------------------------------------------------------------------------------


@given(ANY_CONDITION, CONTEXTS)
def test_the_judge_agrees_with_the_definition(written, ctx):
    condition, expected = parse(text_of(written)), truth(written, scope_of(ctx))
    assert condition.judge(ctx) is expected
    assert condition.holds(ctx) is (expected is True)
    assert condition.bites(ctx) is (expected is not False)


@given(ANY_CONDITION, CONTEXTS)
def test_judging_changes_nothing(written, ctx):
    before = copy.deepcopy((ctx.args, ctx.claims, ctx.env))
    parse(text_of(written)).judge(ctx)
    assert repr((ctx.args, ctx.claims, ctx.env)) == repr(before)


@given(ANY_CONDITION)
def test_a_printed_condition_reads_back_as_itself(written):
    condition = parse(text_of(written))
    assert parse(str(condition)) == condition
    assert str(parse(str(condition))) == str(condition)
    assert parse(str(condition)).fields == condition.fields


WORDS = [
    "args", "claims", "tool", "env", "owner", "it", "has", "starts", "ends", "every", "some", "hours", "cidr", "in", "and",
    "or", "not", "true", "false", "null", "x", "roles", "now", "address", "destructive", "'08:00'", '"a"', "'10.0.0.0/8'",
    "1", "-2.5", "1e9", "==", "!=", "<", "<=", ">", ">=", "(", ")", "[", "]", ",", ".", " ", "\\", "'", '"', "é", "\u202e", "\0",
]  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)))
@example("args.x == '\\u{110000}'")
@example("args.x == '\\u{d800}'")
@example("args.x == " + "9" * 5000)
@example("cidr(env.address, 'fe80::1%eth0')")
@example("hours(env.now, '٠٨:٠٠', '09:00')")
@example("args.x == ٣")
def test_any_text_is_a_condition_or_refused_with_its_place(text):
    read = read_or_refused(text)
    if isinstance(read, ConditionError):
        assert 1 <= read.column <= len(text) + 1
        assert read.sentence
        assert not read.sentence.endswith(".")
        assert str(read) == f"column {read.column}: {read.sentence}"
    else:
        assert parse(str(read)) == read


@given(
    st.text(alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("'\"\\\n\u202e")), min_size=1)
)
def test_every_text_can_be_written_as_a_constant(text):
    condition = parse(f"args.x == {quoted(text)}")
    assert parse(str(condition)) == condition
    assert quoted(text).isprintable()


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "args.level == 'read' and args.days <= 90",
        "args.public == false",
        "every(args.roles, it in ['user'])",
        "some(owner.roles, it in ['admin', 'security'])",
        "not some(args.roles, it == 'security') and not some(owner.roles, it == 'security')",
        "args.channel in ['#support', '#help']",
        "every(args.to, ends(it, '@example.com'))",
        "args.amount > 0 and args.amount <= 100 and claims.amr == 'mfa'",
        "hours(env.now, '08:00', '18:00')",
        "tool.destructive",
        "tool.connector in ['slack'] and tool.name in ['a', 'b']",
        "every(args.rows, some(it.tags, starts(it, 'x')))",
        "args['weird-name'].in['it\\'s'] != null",
    ],
)
def test_the_examples_of_the_design_are_read(text):
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize("text", ["", "  ", "\t\n"])
def test_an_empty_condition_is_always_true(text):
    assert judge(text, None) is True
    assert parse(text) == parse("true")


def test_text_is_kept_as_written_beside_the_canonical_form():
    condition = parse('( args.x=="a" )')
    assert condition.text == '( args.x=="a" )'
    assert str(condition) == "args.x == 'a'"
    assert condition == parse("args.x == 'a'")


def test_true_and_one_are_different_conditions_and_one_and_one_point_zero_the_same():
    assert parse("args.x == true") != parse("args.x == 1")
    assert parse("args.x in [true]") != parse("args.x in [1]")
    assert parse("args.x == 1") == parse("args.x == 1.0")
    assert parse("args.x in ['a', 'b']") == parse("args.x in ['b', 'a', 'a']")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("args.a or args.b and args.c", "args.a or (args.b and args.c)"),
        ("not args.a and args.b", "(not args.a) and args.b"),
        ("not args.a == 1", "not (args.a == 1)"),
        ("(args.a and args.b) and args.c", "args.a and args.b and args.c"),
        ("args.a == true", "args.a"),
    ],
)
def test_not_binds_tighter_than_and_and_and_tighter_than_or(text, same):
    assert parse(text) == parse(same)


def test_fields_tell_what_is_read_and_elements_have_the_path_of_their_list():
    text = "args.a.b == 1 or some(args.lines, it.price > 5 and some(it.tags, it == 'x')) or not has(claims.amr)"
    assert parse(text).fields == {
        ("args", "a", "b"),
        ("args", "lines", "price"),
        ("args", "lines", "tags"),
        ("claims", "amr"),
    }
    assert parse("hours(env.now, '08:00', '09:00') and cidr(env.address, '::/0')").fields == {
        ("env", "now"),
        ("env", "offset"),
        ("env", "address"),
    }


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("args.a = 1", 8, "`==`"),
        ("args.a && args.b", 8, "`and`"),
        ("args.a-b", 7, "`['…']`"),
        ("args.a == args.b", 11, "compared with a constant"),
        ("args.a == b", 11, "quote a text"),
        ("'x' in args.l", 1, "some(args.list"),
        ("1 < args.a", 1, "on the right"),
        ("args.a < 1 < 2", 12, "found `<`"),
        ("args.a in []", 11, "empty list"),
        ("args.a in 'x'", 11, "expected `[`"),
        ("args.a in ['x' 'y']", 16, "expected `,`"),
        ("args.a in [null]", 12, "== null or"),
        ("args.a < null", 10, "no order"),
        ("args.a >= true", 11, "no order"),
        ("args", 1, "args.NAME"),
        ("arg.a", 1, "is not one of `args`"),
        ("__import__('os')", 1, "is not one of"),
        ("tool.destructve", 1, "`destructive`"),
        ("tool.name.x", 1, "has only"),
        ("owner.name", 1, "`roles`"),
        ("(args.a", 8, "expected `)`, found the end"),
        ("args.a)", 7, "found `)`"),
        ("args.a ==", 10, "found the end"),
        ("args.a and", 11, "found the end"),
        ("not", 4, "found the end"),
        ("args.", 6, "a name"),
        ("args[1]", 6, "a quoted name"),
        ("args['a'", 9, "expected `]`"),
        ("args.a == 'abc", 11, "has no end"),
        ("args.a == 'a\\t'", 13, "after `\\`"),
        ("args.a == 'a\u202eb'", 13, "\\u{202e}"),
        ("args.a ==\u00a01", 10, "\\xa0"),
        ("args.a == 1e999", 11, "too large"),
        ("args.a == 007", 12, "found `0`"),
        ("args.a == .5", 11, "found `.`"),
        ("starts(args.a, '')", 16, "empty one"),
        ("starts(args.a, 5)", 16, "quoted text"),
        ("starts(args.a, args.b)", 16, "quoted text"),
        ("has('a')", 5, "on the right"),
        ("it == 1", 1, "inside `every` and `some` only"),
        ("every(args.a, args.b)", 15, "out of the brackets"),
        ("every(args.a, true)", 15, "nothing is asked of `it`"),
        ("some(args.a, it == 1) and it == 2", 27, "inside `every` and `some` only"),
        ("hours(args.now, '08:00', '09:00')", 7, "`env.now`"),
        ("hours(env.now, '8:00', '09:00')", 16, "'08:00'"),
        ("hours(env.now, '24:00', '09:00')", 16, "time of day"),
        ("hours(env.now, '08:00', '25:00')", 25, "time of day"),
        ("hours(env.now, '08:00', '08:00')", 32, "window is empty"),
        ("cidr(env.now, '10.0.0.0/8')", 6, "`env.address`"),
        ("cidr(env.address, '10.0.0.1/8')", 19, "network"),
        ("cidr(env.address, '::ffff:10.0.0.0/104')", 19, "count as IPv4"),
        ("cidr(env.address, 'fe80::1%eth0/128')", 19, "zones"),
        ("args.a matches 'x'", 8, "expected `and`"),
    ],
)
def test_a_wrong_text_is_refused_at_its_column(text, column, part):
    error = refusal(text)
    assert part in error.sentence
    assert error.column == column


def test_texts_lists_numbers_paths_and_nesting_are_bounded():
    assert parse(f"args.x == '{'a' * (MAX_TEXT - 20)}'")
    assert "characters" in refusal(f"args.x == '{'a' * MAX_TEXT}'").sentence
    assert "characters" in refusal("args.x == '" + "\\'" * (MAX_TEXT // 2 + 1) + "'").sentence
    assert parse(f"args.x in [{', '.join(map(str, range(MAX_LIST)))}]")
    assert "members" in refusal(f"args.x in [{', '.join(map(str, range(MAX_LIST + 1)))}]").sentence
    assert parse("(" * MAX_DEPTH + "args.x" + ")" * MAX_DEPTH)
    assert "deeper" in refusal("(" * (MAX_DEPTH + 1) + "args.x" + ")" * (MAX_DEPTH + 1)).sentence
    assert "deeper" in refusal("not " * (MAX_DEPTH + 1) + "args.x").sentence
    assert "deeper" in refusal("some(args.x, " + "some(it, " * MAX_DEPTH + "it" + ")" * (MAX_DEPTH + 1)).sentence
    assert "names" in refusal("args" + ".a" * 17).sentence
    assert "at most 40" in refusal("args.x == 1" + "0" * 40).sentence


def test_a_condition_at_the_limit_of_length_still_reads_back():
    for text in (
        "args.x in [" + ",".join(["1e15"] * 900) + "]",
        "args.x==1e15 or " * 800 + "args.x",
        "args.x == '" + '"' * (MAX_TEXT - 20) + "'",
        'args.x == "' + "'" * (MAX_TEXT // 2 - 20) + '"',
        'args.x == "' + "'" * (MAX_TEXT - 20) + '"',
    ):
        read = read_or_refused(text)
        assert "characters" in read.sentence if isinstance(read, ConditionError) else parse(str(read)) == read


# --- how it judges -------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [["admin"], {"a": "admin"}, 1, True, None, float("nan"), b"admin"])
def test_a_value_of_another_kind_neither_earns_an_allow_nor_dodges_a_deny(value):
    for text in ("args.level == 'admin'", "args.level != 'admin'", "args.level in ['admin']", "args.level < 'b'"):
        assert judge(text, {"level": value}) is None


def test_a_missing_or_unknown_argument_is_unknown():
    for args in ({}, None):
        for text in ("args.x == 1", "args.x != 1", "args.x == null", "args.x in [1]", "starts(args.x, 'a')", "args.x"):
            assert judge(text, args) is None
            assert judge(f"not ({text})", args) is None


def test_an_unknown_part_does_not_decide_by_its_place():
    assert judge("args.x == 1 and false") is False
    assert judge("false and args.x == 1") is False
    assert judge("args.x == 1 or true") is True
    assert judge("true or args.x == 1") is True
    assert judge("args.x == 1 and true") is None


def test_equality_with_null_is_exact_for_whatever_is_there():
    assert judge("args.x == null", {"x": None}) is True
    for value in (0, "", [], {}, False, float("inf"), "e\u0301"):
        assert judge("args.x == null", {"x": value}) is False
        assert judge("args.x != null", {"x": value}) is True


def test_a_bool_is_no_number_and_one_is_one_point_zero():
    assert judge("args.x == 1", {"x": True}) is None
    assert judge("args.x in [0, 1]", {"x": True}) is None
    assert judge("args.x == true", {"x": 1}) is None
    assert judge("args.x == 1", {"x": 1.0}) is True
    assert judge("args.x in [1.0, 'a']", {"x": 1}) is True


def test_numbers_are_compared_exactly_and_without_limit():
    assert judge("args.x == 9007199254740993", {"x": 9007199254740993}) is True
    assert judge("args.x == 9007199254740993", {"x": 9007199254740992.0}) is False
    assert judge("args.x > 1.5", {"x": 10**400}) is True
    assert judge("args.x < -1.5", {"x": -(10**400)}) is True
    assert judge("args.x > 1", {"x": float("inf")}) is None


def test_a_list_of_mixed_kinds_is_judged_by_the_members_of_the_values_kind():
    assert judge("args.x in ['a', 1]", {"x": "a"}) is True
    assert judge("args.x in ['a', 1]", {"x": 2}) is False
    assert judge("args.x in ['a', 1]", {"x": None}) is None


def test_another_normal_form_of_a_text_neither_earns_an_allow_nor_dodges_a_deny():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for text in (f"args.x == '{composed}'", f"args.x == '{decomposed}'"):
        assert judge(text, {"x": composed}) is True
        assert judge(text, {"x": decomposed}) is None
    assert judge("starts(args.x, 'cafe')", {"x": decomposed}) is None
    assert judge(f"starts(args.x, '{decomposed}')", {"x": composed}) is True
    assert judge(f"args['{decomposed}'] == 1", {composed: 1}) is True
    assert judge("args.x != 'a'", {"x": "\ud800"}) is None


def test_has_is_about_presence_and_unknown_below_what_is_no_object():
    assert judge("has(args.bcc)", {"bcc": None}) is True
    assert judge("has(args.bcc)", {}) is False
    assert judge("has(args.bcc)", None) is None
    assert judge("has(args.to.bcc)", {}) is False
    assert judge("has(args.to.bcc)", {"to": {}}) is False
    for value in ([{"bcc": 1}], "bcc", None, 5):
        assert judge("has(args.to.bcc)", {"to": value}) is None


def test_every_and_some_look_at_all_elements_in_three_values():
    everyone, someone = "every(args.to, ends(it, '@x.org'))", "some(args.to, ends(it, '@x.org'))"
    assert (judge(everyone, {"to": []}), judge(someone, {"to": []})) == (True, False)
    assert (judge(everyone, {"to": ["a@x.org"]}), judge(someone, {"to": ["a@x.org"]})) == (True, True)
    assert (judge(everyone, {"to": ["a@x.org", "b"]}), judge(someone, {"to": ["a@x.org", "b"]})) == (False, True)
    assert (judge(everyone, {"to": ["a@x.org", 5]}), judge(someone, {"to": ["b", 5]})) == (None, None)
    for value in ("a@x.org", {"0": "a@x.org"}, None):
        assert (judge(everyone, {"to": value}), judge(someone, {"to": value})) == (None, None)
    assert judge("some(args.lines, it.price > 5)", {"lines": [{"price": 1}, {"price": 6}]}) is True
    assert judge("every(args.rows, some(it, it == 1))", {"rows": [[1, 2], [2]]}) is False


NINE = 9 * 3_600_000


@pytest.mark.parametrize(
    ("window", "now", "offset", "expected"),
    [
        ("'08:00', '18:00'", NINE, 0, True),
        ("'08:00', '09:00'", NINE, 0, False),
        ("'09:00', '09:01'", NINE + 59_999, 0, True),
        ("'09:00', '09:01'", NINE + 60_000, 0, False),
        ("'10:00', '11:00'", NINE, 60, True),
        ("'04:00', '05:00'", NINE, -300, True),
        ("'22:00', '06:00'", 23 * 3_600_000, 0, True),
        ("'22:00', '06:00'", 5 * 3_600_000, 0, True),
        ("'22:00', '06:00'", 6 * 3_600_000, 0, False),
        ("'22:00', '24:00'", 23 * 3_600_000, 0, True),
        ("'22:00', '00:00'", 23 * 3_600_000, 0, True),
        ("'22:00', '24:00'", 0, 0, False),
        ("'23:00', '24:00'", 0, -60, True),
        ("'08:00', '18:00'", None, 0, None),
        ("'08:00', '18:00'", NINE, None, None),
        ("'08:00', '18:00'", True, 0, None),
        ("'08:00', '18:00'", float(NINE), 0, None),
        ("'08:00', '18:00'", str(NINE), 0, None),
    ],
)
def test_hours_is_a_daily_window_of_local_time(window, now, offset, expected):
    assert judge(f"hours(env.now, {window})", env={"now": now, "offset": offset}) is expected


def test_hours_without_a_clock_is_unknown():
    assert judge("hours(env.now, '08:00', '18:00')") is None


@pytest.mark.parametrize(
    ("network", "address", "expected"),
    [
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("10.0.0.0/8", "::ffff:a00:1", True),
        ("::/0", "::ffff:10.0.0.1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.0/8", "2001:db8::1", False),
        ("10.0.0.0/8", "010.0.0.1", None),
        ("10.0.0.0/8", "10.0.0.1:443", None),
        ("10.0.0.0/8", "", None),
        ("10.0.0.0/8", "1" * 5_000, None),
        ("10.0.0.0/8", 167772161, None),
        ("10.0.0.0/8", None, None),
    ],
)
def test_cidr_knows_both_families_and_mapped_addresses(network, address, expected):
    assert judge(f"cidr(env.address, '{network}')", env={"address": address}) is expected


def test_the_facts_of_tool_and_owner_are_always_there():
    assert judge("tool.destructive and tool.open_world and tool.kind == 'tool' and tool.via == ''") is True
    assert judge("some(tool.tags, it == 'a')", tool=Tool(tags=("a",))) is True
    assert judge("every(owner.roles, it in ['user'])", owner_roles=("user", "admin")) is False
    assert judge("client.id == 'x' and connection.kind == 'y'", client={"id": "x"}, connection={"kind": "y"}) is True
    assert judge("claims.org.id == 1", claims=MappingProxyType({"org": MappingProxyType({"id": 1})})) is True


def test_neither_a_deep_nor_a_long_value_stops_the_judge():
    deep = current = {}
    for _ in range(sys.getrecursionlimit() * 2):
        current["x"] = current = {}
    assert judge("args.x.x.x == 1 or has(args.x.y)", deep) is None
    assert judge("every(args.l, it < 5)", {"l": [1] * 200_000}) is True
    assert judge("args.x == 'a'", {"x": "e\u0323\u0301" * 200_000}) is None
    assert judge("starts(args.x, 'a')", {"x": "a" + string.printable * 10_000}) is True
