"""The files of a policy's own tests: what they say, and what is refused with its line and a sentence."""

import json
from itertools import product

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway import plain_yaml
from gateway.analysis.cases import Cases, read_cases
from gateway.analysis.cases import reading as cases_reading
from gateway.analysis.cases.form import MANY
from gateway.analysis.cases.terms import Case, Expect, Never, What, Who
from gateway.plain_yaml import DEPTH, LARGEST, Scalar, UnfitError, plain_json, read_tree
from gateway.policy.terms import Problem

FILE = "policies/tests/a.yaml"
CASE = "cases:\n  - {as: user:ann@example.com, do: read, on: git/git_log, expect: allow}\n"

EVERYTHING = """
now: 2027-01-15T10:00:00Z
subjects:
  user:ann@example.com: {roles: [user], groups: [corp/Platform Team], claims: {amr: mfa, age: 7}}
  user:bob@example.com:
    roles:
      main: [user, admin]
      git: [user]
  end:shop/42: {}
tools:
  chat/send: write
  git/git_reset: destructive
  git/prompt:release: read
  git/git_log: {level: read, open_world: false, tags: [code], schema: {type: object}}
cases:
  - name: support writes to its channels only
    as: [user:ann@example.com, role:support]
    do: [read, write]
    on: [chat/send, git/*]
    in: [main, git]
    with: [{channel: "#help"}, {channel: "#all"}]
    owner: user:bob@example.com
    expect: deny
    by: nothing-destructive
    now: 2027-01-15T12:00:00+02:00
    address: 192.0.2.1
    claims: {amr: pwd}
    client: {name: x}
    connection: {scope: z}
    via: custom/mine
  - {as: role:user, on: git/git_log, expect: listed}
who:
  - {name: root alone, do: write, on: git/git_commit, in: git, owner: system, are: [user:root@example.com, role:admin]}
  - {on: git/git_commit, are: []}
what:
  - {as: user:ann@example.com, in: git, owner: self, are: [time/*, git/git_log]}
never:
  - {who: role:contractor, do: write, on: stripe/*}
  - {name: nobody, who: ["*"], do: [read], on: [secret/x], in: main, owner: self}
"""


def cases(text: str) -> Cases:
    found = read_cases({FILE: text})
    assert isinstance(found, Cases), [str(problem) for problem in found]
    return found


def problems(text: str, **more: str) -> list[str]:
    found = read_cases({FILE: text, **more})
    assert not isinstance(found, Cases), "there is no problem"
    return [str(problem) for problem in found]


def only(text: str) -> str:
    (problem,) = problems(text)
    assert problem.startswith(FILE)
    return problem.removeprefix(FILE)


# -- what a file says


def test_everything_that_a_file_can_say_is_read():
    found = cases(EVERYTHING)
    ann, bob, end = found.subjects
    assert (ann.name, ann.roles, ann.groups, ann.claims) == (
        "user:ann@example.com",
        (("role:user", "*"),),
        {"group:corp/Platform Team"},
        {"amr": "mfa", "age": 7},
    )
    assert bob.roles == (("role:user", "main"), ("role:admin", "main"), ("role:user", "git"))
    assert (end.name, end.roles, end.place.line) == ("end:shop/42", (), 9)
    send, reset, prompt, log = found.things
    assert (send.action, send.tool.destructive, send.tool.open_world, send.schema) == ("write", False, True, None)
    assert (reset.action, reset.tool.destructive) == ("write", True)
    assert (prompt.action, prompt.tool.kind, prompt.tool.name, prompt.tool.destructive) == (
        *("read", "prompt", "release", False),
    )
    assert (log.action, log.tool.open_world, log.tool.tags, log.schema) == (
        "read",
        False,
        ("code",),
        {"type": "object"},
    )
    case, listed = found.cases
    assert (case.place.line, case.name, case.subjects) == (
        *(16, "support writes to its channels only"),
        ("user:ann@example.com", "role:support"),
    )
    assert (case.actions, case.objects, case.domains) == (("read", "write"), ("chat/send", "git/*"), ("main", "git"))
    assert case.args == ({"channel": "#help"}, {"channel": "#all"})
    assert (case.owner, case.expect, case.by) == ("user:bob@example.com", Expect.DENY, "nothing-destructive")
    facts = case.facts
    assert (facts.now, facts.address, facts.claims) == (1_800_007_200_000, "192.0.2.1", {"amr": "pwd"})
    assert (facts.client, facts.connection, facts.via) == ({"name": "x"}, {"scope": "z"}, "custom/mine")
    assert (listed.actions, listed.args, listed.facts.now, listed.facts.claims) == (
        ("",),
        (None,),
        1_800_007_200_000,
        None,
    )
    root, nobody = found.who
    assert (root.name, root.action, root.object, root.domain, root.owner) == (
        *("root alone", "write", "git/git_commit", "git", "system"),
    )
    assert (root.names, nobody.names, nobody.action) == (("user:root@example.com", "role:admin"), (), "")
    (what,) = found.what
    assert (what.subject, what.domain, what.owner, what.objects) == (
        *("user:ann@example.com", "git", "self"),
        ("time/*", "git/git_log"),
    )
    stripe, secret = found.never
    assert (stripe.subjects, stripe.actions, stripe.objects, stripe.domains, stripe.owner) == (
        *(("role:contractor",), ("write",), ("stripe/*",), ("*",), "*"),
    )
    assert (secret.subjects, secret.domains, secret.owner) == (("*",), ("main",), "self")
    assert found.size == 7


def test_every_test_has_a_name_that_people_can_find():
    found = cases(EVERYTHING)
    titles = [each.title for each in (*found.cases, *found.who, *found.what, *found.never)]
    assert titles == [
        "support writes to its channels only",
        "role:user use git/git_log listed",
        "root alone",
        "who may use git/git_commit",
        "what user:ann@example.com may use",
        "role:contractor write stripe/* never",
        "nobody",
    ]
    many = cases(CASE.replace("as: user:ann@example.com", "as: [user:ann@example.com, '*']"))
    assert many.cases[0].title == "user:ann@example.com … read git/git_log allow"


def test_subjects_and_tools_of_one_file_are_known_in_all():
    found = read_cases({"policies/tests/people.yaml": "subjects:\n  user:ann@example.com: {}\n", FILE: CASE})
    assert isinstance(found, Cases)
    assert (len(found.subjects), len(found.cases)) == (1, 1)


def test_no_files_are_no_tests():
    assert read_cases({}) == Cases()


@given(
    st.lists(st.sampled_from(["user:a@b.example", "role:a", "*"]), min_size=1, unique=True),
    st.lists(st.sampled_from(["read", "write"]), min_size=1, unique=True),
    st.lists(st.sampled_from(["a/x", "a/*", "b/y"]), min_size=1, unique=True),
    st.lists(st.sampled_from(["main", "s1"]), min_size=1, unique=True),
    st.lists(st.fixed_dictionaries({"n": st.integers(-5, 5)}), min_size=1, max_size=3),
)
def test_a_case_asks_every_combination_once_in_order(subjects, actions, objects, domains, args):
    row = {"as": subjects, "do": actions, "on": objects, "in": domains, "with": args, "expect": "deny"}
    (case,) = cases(json.dumps({"cases": [row]})).cases
    asked = [(each.subject, each.action, each.object, each.domain, each.args) for each in case.questions()]
    assert asked == list(product(subjects, actions, objects, domains, args))


# -- values: any JSON is read as it stands, what YAML reads in two ways is refused

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(-1e9, 1e9, allow_nan=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def unseen(value) -> bool:
    text = json.dumps(value, ensure_ascii=False)
    return all(sign.isprintable() for sign in text)


@given(st.dictionaries(st.text("abc", min_size=1), VALUES, max_size=4).filter(unseen))
def test_arguments_written_as_json_are_those_arguments(args):
    text = json.dumps(
        {"cases": [{"as": "*", "do": "read", "on": "a/x", "with": args, "expect": "deny"}]}, ensure_ascii=False
    )
    assert cases(text).cases[0].args == (args,)


@pytest.mark.parametrize(
    "word",
    [
        *("no", "No", "on", "Off", "yes", "y", "N", "~", "Null", "TRUE", "012", "0o17", "0x1f", "1_000", "1:30", "+5"),
        *(".5", "5.", "1e400", "9" * 41, ".inf", ".nan", "2027-01-15", "2027-01-15T10:00:00Z", "=", "<<"),
    ],
)
def test_a_value_that_reads_in_two_ways_is_refused(word):
    text = CASE.replace("expect", f"with: {{x: [{word}]}}, expect")
    assert only(text) == f":2: `{word}` means different things to different readers; put it in quotes"
    quoted = cases(text.replace(f"[{word}]", f"['{word}']"))
    assert quoted.cases[0].args == ({"x": [word]},)


@pytest.mark.parametrize("word", ["hello", "#help", "10.0.0.1", "1.5.2", "a@example.com", "09:00", "/srv/a", "none"])
def test_a_word_that_is_surely_text_needs_no_quotes(word):
    assert plain_json(Scalar(word, True, 1)) == word


@pytest.mark.parametrize(
    ("word", "value"), [("0", 0), ("-7", -7), ("1.5", 1.5), ("1e3", 1000.0), ("true", True), ("null", None)]
)
def test_numbers_and_words_of_json_are_values(word, value):
    found = plain_json(Scalar(word, True, 1))
    assert (found, type(found)) == (value, type(value))
    assert plain_json(Scalar(word, False, 1)) == word


def test_a_value_that_is_not_there_is_refused():
    text = "cases:\n  - as: '*'\n    do: read\n    on: a/x\n    expect: deny\n    with:\n      x:\n"
    assert only(text) == ":7: nothing stands here; write `null`, or `''` for an empty text"


# -- what is refused

REFUSED = [
    ("", ": the file is empty"),
    ("# nothing\n", ": the file is empty"),
    ("[]", ":1: a file of tests is a mapping; begin it with `cases:`"),
    ("now: 2027-01-15T10:00:00Z", ": there is no test here; write `cases`, `who`, `what` or `never`"),
    (CASE + "---\n" + CASE, ":3: a second document begins here; put it in a file of its own"),
    ("%YAML 1.2\n---\n" + CASE, ":1: a line that begins with `%` has no meaning here; remove it"),
    (CASE + "cases: []\n", ":3: `cases` stands twice in one mapping, first in line 1"),
    ("cases: &all []", ":1: `&all` names a value for repetition; remove it, or put it in quotes"),
    ("cases: *all", ":1: `*all` repeats another value; write the value, or put it in quotes"),
    ("cases: !!set {}", ":1: `tag:yaml.org,2002:set` is a tag, which has no meaning here; remove it, or put it in quotes"),
    ("cases: !x []", ":1: `!x` is a tag, which has no meaning here; remove it, or put it in quotes"),
    ("? [a]\n: b", ":1: a key is a text"),
    ("cases: {}", ":1: `cases` is a list; begin each of its members with `- `"),
    ("cases: [x]", ":1: a member of `cases` is a mapping; write `{KEY: VALUE}`"),
    ("subjects: []", ":1: `subjects` is a mapping of names; write `NAME: ...` below it"),
    ("tools:\n  a/x: [read]", ":2: `a/x` is a mapping; write `{KEY: VALUE}`"),
    ("tools:\n  a/x: {}", ":2: `level` is missing; it is one of `read`, `write`, `destructive`"),
    ("tools:\n  a/x: harmless", ":2: `harmless` is not one of `read`, `write`, `destructive`"),
    ("tools:\n  a/*: read", ":2: `a/*` is not one thing that is used; declare `CONNECTOR/TOOL`"),
    ("tools:\n  gateway/users: read", ":2: `gateway/users` is not one thing that is used; declare `CONNECTOR/TOOL`"),
    ("tools:\n  A/x: read", ":2: `A/x` does not begin with the name of a connector, `gateway`, `custom` or `http`"),
    ("tools:\n  a/prompt:x: write", ":2: a prompt only reads; write `read`"),
    ("tools:\n  a/x: {level: read, open_world: 1}", ":2: `open_world` is `true` or `false`"),
    ("tools:\n  a/x: {level: read, open_world: no}", ":2: `open_world` is `true` or `false`"),
    ("tools:\n  a/x: {level: read, colour: red}", ":2: `colour` is not one of `level`, `open_world`, `tags`, `schema`"),
    ("subjects:\n  role:x: {}", ":2: `role:x` is nobody in particular; declare a `user:EMAIL`, `end:SERVER/SUB` or `server:ID`"),
    ("subjects:\n  user:a@b.example: admin", ":2: `user:a@b.example` is a mapping; write `{roles: [NAME]}`, or `{}` for nothing"),
    ("subjects:\n  user:a@b.example: {roles: [a b]}", ":2: role `role:a b` is not `role:NAME`"),
    ("subjects:\n  user:a@b.example: {claims: [x]}", ":2: `claims` is a mapping such as `{NAME: VALUE}`"),
    (CASE.replace("expect: allow", "expect: maybe"), ":2: `maybe` is not one of `allow`, `deny`, `listed`, `hidden`"),
    (CASE.replace(", expect: allow", ""), ":2: `expect` is missing; it is one of `allow`, `deny`, `listed`, `hidden`"),
    (CASE.replace("as: user:ann@example.com, ", ""), ":2: `as` is missing; name a subject"),
    (CASE.replace("on: git/git_log, ", ""), ":2: `on` is missing; name an object"),
    (CASE.replace("do: read", "do: '*'"), ":2: action `*` is for a deny; name the action that is asked for"),
    (CASE.replace("do: read", "do: manage"), ":2: action `manage` does not fit object `git/git_log`: its connections are administered as a whole; write `git`"),
    (CASE.replace("do: read, on: git/git_log", "on: git/*"), ":2: `do` is missing; only for a single tool such as `git/git_log` its own level is asked"),
    (CASE.replace("do: read, on: git/git_log", "on: git*"), ":2: `git*` is not a pattern: one `*` may stand at the end, after `/` or `:`"),
    (CASE.replace("do: read", "do: read, in: '*'"), ":2: domain `*` is no server; name `main` or a server's id"),
    (CASE.replace("do: read", "do: read, owner: '*'"), ":2: owner `*` is nobody in particular; name `self`, `system` or a subject"),
    (CASE.replace("do: read", "do: read, owner: ann"), ":2: owner `ann` is none of `self`, `system`, `*` or one subject such as `user:EMAIL`"),
    (CASE.replace("do: read", "do: [read, read]"), ":2: `read` stands twice in `do`"),
    (CASE.replace("do: read", "do: []"), ":2: `do` is empty; leave it out, or name something"),
    (CASE.replace("do: read", "do: {a: b}"), ":2: `do` is a text, or a list of texts where it may be one"),
    (CASE.replace("do: read", "do: read, name: 5"), ":2: `5` is not a text; put it in quotes if it is meant to be one"),
    (CASE.replace("do: read", "do: read, name: ''"), ":2: `name` holds an empty text"),
    (CASE.replace("do: read", "do: read, now: 2027-01-15"), ":2: `2027-01-15` is not a time such as `2027-01-15T10:00:00Z`, with its offset"),
    (CASE.replace("do: read", "do: read, now: 2027-01-15T10:00:00"), ":2: `2027-01-15T10:00:00` is not a time such as `2027-01-15T10:00:00Z`, with its offset"),
    (CASE.replace("do: read", "do: read, now: 2027-13-15T10:00:00Z"), ":2: `2027-13-15T10:00:00Z` is not a time such as `2027-01-15T10:00:00Z`, with its offset"),
    (CASE.replace("do: read", "do: read, with: [1]"), ":2: `with` is a mapping such as `{NAME: VALUE}`"),
    (CASE.replace("allow", "listed, with: {a: 1}"), ":2: `listed` is about some call, whatever its arguments; remove `with`"),
    (CASE.replace("allow", "hidden, by: x"), ":2: `hidden` is about some call; no single row decides it, remove `by`"),
    (CASE.replace("do: read", "did: read, do: read"), ":2: `did` is not one of `expect`, `name`, `as`, `do`, `on`, `in`, `with`, `owner`, `by`, `now`, `address`, `claims`, `client`, `connection`, `via`"),
    ("cases: [{as: '*', do: read, on: a/x, expect: deny}, {as: '*', do: read, on: a/y, expect: deny}]", ":1: two members of `cases` stand in one line; give each its own"),
    ("who:\n  - {do: read, on: a/x}", ":2: `are` is missing; name whom or what, or write `[]`"),
    ("who:\n  - {do: read, are: []}", ":2: `on` is missing; name an object"),
    ("who:\n  - {do: read, on: a/x, in: '*', are: []}", ":2: domain `*` is no server; name `main` or a server's id"),
    ("what:\n  - {are: []}", ":2: `as` is missing; name a subject"),
    ("what:\n  - {as: role:a, in: a b, are: []}", ":2: domain `a b` is none of `main`, a server's id or `*`"),
    ("what:\n  - {as: role:a, are: [a*]}", ":2: `a*` is not a pattern: one `*` may stand at the end, after `/` or `:`"),
    ("never:\n  - {who: '*', on: a/x}", ":2: `do` is missing; name an action"),
    ("a: \x00", ": this is not YAML: control characters are not allowed"),
    ("cases:\n  - {as: '\ud800'}", ":2: the file holds a sign that is no Unicode"),
    ("cases:\n\t- x", ":2: this is not YAML: found character that cannot start any token"),
    ("who:\n  - {who: *}", ":2: this is not YAML: did not find expected alphabetic or numeric character; a text that begins with `*` or `&` stands in quotes"),
    ("x: " + "[" * (DEPTH + 1), f":1: nested deeper than {DEPTH}"),
    ("#" * (LARGEST + 1), f": the file has more than {LARGEST} characters; split it"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), REFUSED, ids=[sentence[:50] for _, sentence in REFUSED])
def test_a_mistake_is_refused_with_its_line(text, sentence):
    assert only(text) == sentence


def test_every_problem_of_every_file_is_told_in_order():
    wrong = CASE.replace("allow", "yes") + "nope: 1\n"
    told = problems(wrong, **{"policies/tests/b.yaml": "x: 1"})
    assert [each.partition(": ")[0] for each in told] == [
        f"{FILE}:2",
        f"{FILE}:3",
        "policies/tests/b.yaml",
        "policies/tests/b.yaml:1",
    ]


def test_a_subject_and_a_tool_are_declared_alike_wherever_they_are():
    text = "subjects:\n  user:a@b.example: {roles: [x]}\ntools:\n  a/x: read\n"
    other = text.replace("[x]", "[y]").replace("read", "write")
    again = read_cases({FILE: text, "policies/tests/b.yaml": text})
    assert isinstance(again, Cases)
    assert (len(again.subjects), len(again.things)) == (1, 1)
    assert problems(text, **{"policies/tests/b.yaml": other}) == [
        f"policies/tests/b.yaml:2: `user:a@b.example` is declared otherwise at {FILE}:2; tests of all files share their subjects",
        f"policies/tests/b.yaml:4: `a/x` is declared otherwise at {FILE}:4; tests of all files share their tools",
    ]


def test_lists_files_and_questions_are_bounded(monkeypatch):
    names = ", ".join(f"t{n}" for n in range(MANY + 1))
    assert only(f"tools:\n  a/x: {{level: read, tags: [{names}]}}") == f":2: `tags` has more than {MANY} members"
    monkeypatch.setattr(cases_reading, "QUESTIONS", 3)
    many = CASE.replace("do: read", "do: [read, write]").replace("on: git/git_log", "on: [a/x, a/y]")
    assert only(many) == ":2: all cases together ask more than 3 questions"
    monkeypatch.setattr(cases_reading, "FILES", 1)
    assert problems(CASE, **{"policies/tests/b.yaml": CASE}) == [
        "policies/tests/b.yaml: there are more than 1 files of tests"
    ]


# -- any text

LINES = EVERYTHING.splitlines(keepends=True)


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from([*LINES, "- ", "*x", "&y ", "{", "]", "\t", "? ", ": "])).map("".join)
)
def test_any_text_gives_cases_or_problems(text):
    for loader in (plain_yaml.LOADER, yaml.SafeLoader):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plain_yaml, "LOADER", loader)
            found = read_cases({FILE: text})
        if isinstance(found, Cases):
            kinds = (*found.cases, *found.who, *found.what, *found.never)
            assert all(isinstance(each, Case | Who | What | Never) for each in kinds)
        else:
            assert found
            assert all(isinstance(each, Problem) and each.place.file == FILE for each in found)


@given(st.recursive(st.text(max_size=9), lambda inner: st.lists(inner, max_size=3), max_leaves=8).filter(unseen))
def test_texts_in_quotes_are_read_as_they_stand(value):
    assert plain_json(read_tree(json.dumps(value, ensure_ascii=False))) == value


def test_both_readers_of_yaml_read_the_same(monkeypatch):
    fast = cases(EVERYTHING)
    monkeypatch.setattr(plain_yaml, "LOADER", yaml.SafeLoader)
    assert cases(EVERYTHING) == fast
    with pytest.raises(UnfitError, match="stands in quotes"):
        read_tree("who: [*]")
