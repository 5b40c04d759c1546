"""Any text may stand in a policy: it is read or refused with its place, in bounded work, and nothing of it runs."""

import ast
import copy
import re
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.policy import condition_nodes, condition_text, condition_values, conditions
from gateway.policy.bundle import Bundle
from gateway.policy.condition_text import MAX_DEPTH, MAX_TEXT, field_columns
from gateway.policy.conditions import ConditionError, parse
from gateway.policy.folder import read_folder
from gateway.policy.limits import Limit, LimitClass, Limits, ObjectLimit, read_limits
from gateway.policy.meaning import Clauses, difference
from gateway.policy.model import model_problems
from gateway.policy.rows import THINGS
from gateway.policy.rules import read, split
from gateway.policy.terms import Context, Effect, Link, Place, Problem, Rule
from tests.policy.builders import MODEL
from tests.policy.condition_strategies import ANY_CONDITION, CONTEXTS, text_of

WORDS = [
    "p", "g", ", ", ",", "\n", "\n", " ", "#", "# @id ", "# @expires ", "# @secret args.", "# @owner ", "2030-01-31", "a1",
    "user:a@example.com", "role:x", "group:g/one two", "*", "self", "system", "main", "slack/send", "slack/*", "gateway/users",
    "custom/prompt:x", "http/example.com", "read", "write", "manage", "rate:fast", "allow", "deny", "args.x == 'a'", "(", ")",
    "[", "]", "'", '"', "\\", "\ufeff", "\r", "\t", "\0", "é", "e\u0301", "\u202e", "\ud800", "0" * 50,
]  # fmt: skip
TOML = [
    "[[class]]\n", "[[object]]\n", "[class]\n", "name = ", "calls = ", "window_s = ", "match = ", "class = ", '"fast"', "'a/*'",
    "1", "60", "0.5", "nan", "inf", "-1", "true", "[", "]", "{", "}", "=", "\n", "#", "1979-05-27", "\0", "\ud800", "'''", '"""',
    "0x" + "F" * 5_000, "9" * 5_000,
]  # fmt: skip
MODELS = [
    *MODEL.splitlines(keepends=True),
    "[matchers]\n",
    "m = ",
    "p = ",
    "&&",
    "(",
    ")",
    "eval(p.when)",
    "\n",
    "=",
    "[",
    "\0",
]


def texts(words):
    return st.one_of(st.text(max_size=40), st.lists(st.sampled_from(words), max_size=30).map("".join))


FILES = st.fixed_dictionaries(
    {},
    optional={
        "policies/model.conf": st.one_of(st.just(MODEL), texts(MODELS)),
        "policies/a.csv": texts(WORDS),
        "policies/b.csv": texts(WORDS),
        "policies/limits.toml": texts(TOML),
        "policies/tests/a.yaml": st.text(max_size=9),
        "policies/other.txt": st.just(""),
    },
)


def has_its_place(problem, files):
    """Whether a problem stands in a file that is there, or tells that the model is missing; and is a sentence."""
    lines = files[problem.place.file].count("\n") + 1 if problem.place.file in files else 0
    assert problem.place.file in files or problem.place == Place("model.conf")
    assert problem.place.line is None or 1 <= problem.place.line <= lines
    return problem.sentence and not problem.sentence.endswith(".")


@given(FILES)
@example({"policies/model.conf": MODEL, "policies/limits.toml": "a = " + "[" * 5_000})
@example({"policies/model.conf": MODEL, "policies/limits.toml": "a = " + "{b=" * 3_000})
@example({"policies/model.conf": MODEL, "policies/limits.toml": "[[class]]\nname = 'a'\ncalls = 0x" + "F" * 5_000})
@example({"policies/model.conf": MODEL, "policies/limits.toml": "[[class]]\nname = [0x" + "F" * 5_000 + "]"})
def test_any_files_are_a_policy_or_problems_with_their_place(files):
    found = read(files)
    if isinstance(found, Bundle):
        again = read(printed(found))
        assert isinstance(again, Bundle)
        assert unplaced(again) == unplaced(found)
    else:
        assert found
        assert all(isinstance(each, Problem) and has_its_place(each, files) for each in found)


@given(texts(TOML))
def test_any_limits_are_read_or_refused(text):
    found = read_limits(text, "limits.toml")
    assert isinstance(found, Limits) or all(has_its_place(each, {"limits.toml": text}) for each in found)


@given(texts(MODELS))
def test_any_model_is_the_supported_one_or_refused(text):
    assert all(has_its_place(each, {"model.conf": text}) for each in model_problems(text, "model.conf"))


@given(
    st.dictionaries(
        st.sampled_from(["model.conf", "a.csv", "limits.toml", "x.txt", "README.md", "tests", "tests/a.yaml"]),
        st.one_of(st.binary(max_size=60), texts(WORDS).map(lambda text: text.encode("utf-8", "surrogatepass"))),
    )
)
def test_any_bytes_in_a_folder_are_a_policy_or_problems(files):
    with tempfile.TemporaryDirectory() as root:
        for name, body in files.items():
            path = Path(root) / name
            if not path.exists() and not path.parent.is_file():
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(body)
        found = read_folder(Path(root))
    assert isinstance(found, Bundle) or all(isinstance(each, Problem) and each.sentence for each in found)


# --- what is printed is read ---------------------------------------------------------------------


def printed(bundle):
    """The files of a bundle, written anew."""
    rows = [(row, "\n".join([*notes(row), columns(row)])) for row in (*bundle.rules, *bundle.links)]
    accepted = {str(row.place): " ".join(bundle.accepted.get(str(row.place), ())) for row, _ in rows}
    csv = [f"# @lint-ok {accepted[str(row.place)]}\n{text}" if accepted[str(row.place)] else text for row, text in rows]
    csv += [f"# @secret args.{path}" for path in bundle.secrets]
    classes = [LimitClass("default", bundle.limits.default), *bundle.limits.classes]
    limits = [
        *(f"[[class]]\nname = '{each.name}'\n{amount(each.limit)}" for each in classes),
        *(
            f"[[object]]\nmatch = '{each.match}'\n{amount(each.limit)}"
            + (f"class = '{each.klass}'\n" if each.klass else "")
            for each in bundle.limits.objects
        ),
    ]
    files = {
        "policies/model.conf": bundle.model,
        "policies/a.csv": "\n".join(csv),
        "policies/limits.toml": "".join(limits),
    }
    return {**files, **bundle.cases}


def notes(row):
    day = (
        ""
        if row.expires is None
        else f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=row.expires):%Y-%m-%d}"
    )
    named = {"id": row.id, "owner": row.responsible, "ticket": row.ticket, "expires": day}
    return [f"# @{name} {value}" for name, value in named.items() if value]


def columns(row):
    if isinstance(row, Link):
        return f"g, {row.member}, {row.role}, {row.domain}"
    return f"p, {row.subject}, {row.domain}, {row.owner}, {row.object}, {row.action}, {row.when}, {row.effect}"


def amount(limit):
    return f"calls = {limit.calls}\nwindow_s = {limit.window_ms / 1000}\n"


def unplaced(bundle):
    rows = [
        (columns(row), row.id, row.responsible, row.ticket, row.expires, bundle.accepted.get(str(row.place), ()))
        for row in (*bundle.rules, *bundle.links)
    ]
    return bundle.model, rows, bundle.limits, bundle.secrets, bundle.cases


DAYS = st.integers(0, 20_000).map(lambda day: day * 86_400_000)
NOTES = {
    "responsible": st.sampled_from(["", "team red", "a, b # c"]),
    "ticket": st.sampled_from(["", "T-1"]),
    "expires": st.one_of(st.none(), DAYS),
}
RULES = st.builds(
    Rule,
    subject=st.sampled_from(["*", "user:*", "user:ä@example.com", "role:a", "group:g/one two", "end:s/é 1", "server:s1"]),
    domain=st.sampled_from(["*", "main", "s1"]),
    owner=st.sampled_from(["self", "system", "user:b@example.com"]),
    object=st.sampled_from(["slack/*", "slack/send", "slack/prompt:*", "custom/x", "http/example.com", "slack/a%2Fb"]),
    action=st.sampled_from(["read", "write"]),
    when=ANY_CONDITION.map(lambda written: f"({parse(text_of(written))!s})").filter(lambda text: isinstance(split(text), list)),
    effect=st.sampled_from(Effect),
    place=st.just(Place("policies/a.csv")),
    **NOTES,
)  # fmt: skip
LINKS = st.builds(
    Link,
    member=st.sampled_from(["user:a@example.com", "role:a", "group:g/one two"]),
    role=st.sampled_from(["role:b", "role:c"]),
    domain=st.sampled_from(["*", "main", "s1"]),
    place=st.just(Place("policies/a.csv")),
    **NOTES,
)
AMOUNTS = st.builds(Limit, calls=st.integers(1, 1_000_000), window_ms=st.integers(1, 86_400_000))
LIMITS = st.builds(
    lambda classes, objects: Limits(
        classes=tuple(
            sorted(
                (LimitClass(name, limit) for name, limit in classes.items()),
                key=lambda each: (-each.limit.calls / each.limit.window_ms, -each.limit.calls),
            )
        ),
        objects=tuple(objects),
    ),
    st.dictionaries(st.sampled_from(["fast", "slow"]), AMOUNTS),
    st.lists(st.builds(ObjectLimit, match=st.sampled_from(["a/*", "*", f"gateway/{THINGS[0]}"]), limit=AMOUNTS), max_size=2),
)  # fmt: skip
BUNDLES = st.builds(
    Bundle,
    model=st.just(MODEL),
    rules=st.lists(RULES, max_size=3).map(tuple),
    links=st.lists(LINKS, max_size=2).map(tuple),
    limits=LIMITS,
    secrets=st.sets(st.sampled_from(["a", "card.number"])).map(frozenset),
    cases=st.dictionaries(st.just("policies/tests/a.yaml"), st.text(max_size=5)),
)


@given(BUNDLES)
def test_a_printed_policy_reads_back_as_itself(bundle):
    found = read(printed(bundle))
    assert isinstance(found, Bundle), [str(each) for each in found]
    assert unplaced(found) == unplaced(bundle)


# --- conditions are data -------------------------------------------------------------------------


@pytest.mark.parametrize("module", [condition_nodes, condition_text, condition_values, conditions])
def test_the_language_has_nothing_that_could_run_a_text(module):
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called.isdisjoint({"eval", "exec", "compile", "__import__", "open", "globals", "locals", "vars", "setattr"})


@given(ANY_CONDITION)
def test_every_field_of_a_condition_has_its_column(written):
    text = text_of(written)
    found = field_columns(text)
    assert all(text[column - 1 :].startswith(("args.", "claims.", "tool.", "owner.", "env.", "it")) for column in found)
    assert found == sorted(set(found))
    assert field_columns(str(parse(text))) != [] or not parse(text).fields


@given(st.text(max_size=40))
def test_what_is_no_condition_has_no_columns(text):
    refused = attempted(text)
    if isinstance(refused, ConditionError):
        with pytest.raises(ConditionError, match=re.escape(str(refused))):
            field_columns(text)
    else:
        assert len(field_columns(text)) >= len(refused.fields) - 1


@given(ANY_CONDITION, ANY_CONDITION, CONTEXTS)
def test_comparing_conditions_changes_nothing(one, other, ctx):
    first, second = parse(text_of(one)), parse(text_of(other))
    before, shown = copy.deepcopy((ctx.args, ctx.claims)), (str(first), str(second))
    difference((Clauses(frozenset((first,))),), (Clauses(frozenset((second,))),), cap=50)
    first.judge(ctx)
    assert repr((ctx.args, ctx.claims)) == repr(before)
    assert (str(first), str(second)) == shown


# --- bounded work --------------------------------------------------------------------------------


def work(question):
    """How many functions Python enters for a question."""
    count = 0

    def counted(_frame, event, _arg):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        question()
    finally:
        sys.setprofile(before)
    return count


def attempted(text):
    try:
        return parse(text)
    except ConditionError as error:
        return error


def long(part, between=" or "):
    return between.join([part] * ((MAX_TEXT - 100) // (len(part) + len(between))))


HOSTILE = [
    long("args.x == 1"),
    long("not args.x", " and "),
    long("some(args.x, it == 'a')"),
    long("("), long("'"), long("\\"), long("'\\", ""), long("not ", ""), long("a.", ""), long("args.x.", ""), long("1e", ""),
    "(" * MAX_DEPTH + long("args.x") + ")" * MAX_DEPTH,
    "args.x in [" + long("'a'", ", ") + "]",
    "args.x in [" + ", ".join(f"'{at}'" for at in range(1_000)) + "]",
    "some(args.x, " + "some(it, " * (MAX_DEPTH - 1) + "it == 1" + ")" * MAX_DEPTH,
    "every(args.x, " + long("some(it, it == 1)", " and ") + ")",
    "args" + "['" + "k" * 900 + "']" * 1,
    "args.x == '" + "\\u{1f512}" * 1_700 + "'",
    "args.x == '" + "e\u0301" * 8_000 + "'",
    "x" * 10_000_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_reading_a_condition_takes_work_in_the_measure_of_its_length(text):
    assert work(lambda: attempted(text)) <= 60 * min(len(text), MAX_TEXT) + 1_000


ELEMENTS = 50
NESTED: list[object] = [1]
for _ in range(500):
    NESTED = [NESTED]
VALUES = {
    "wide": [1] * ELEMENTS,
    "texts": ["e\u0301" * 5_000] * ELEMENTS,
    "lists": [[1] * 10] * (ELEMENTS // 10),
    "nested": NESTED,
    "long": "a" * 1_000_000,
    "members": {str(at): at for at in range(5_000)},
}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("text", [each for each in HOSTILE if not isinstance(attempted(each), ConditionError)])
def test_judging_takes_work_in_the_measure_of_condition_times_value(text, value):
    condition, ctx = parse(text), Context(args={"x": VALUES[value]})
    parts = 1 + sum(text.count(word) for word in ("args", "it", "not"))
    assert work(lambda: condition.judge(ctx)) <= 10 * parts * (1 + ELEMENTS)
