"""How the text of two bundles differs: complete, without noise, by rows."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.analysis.changes import changes, row_words
from gateway.policy.bundle import Bundle
from gateway.policy.rules import read
from gateway.policy.terms import Place
from tests.policy.builders import MODEL, bundle
from tests.policy.worlds import World, worlds

ROWS = """\
p, role:user, main, self, git/*, read, , allow
# @id nothing-destructive
p, *, *, *, *, write, tool.destructive, deny
g, user:ann@example.com, role:user, *
"""


def lines(old: str, new: str, **more: str) -> list[str]:
    """A short form of what differs."""
    found = changes(bundle(old), bundle(new, **more))
    return [
        *(f"-{row.place.line} {row_words(row)}" for row in found.removed),
        *(f"+{row.place.line} {row_words(row)}" for row in found.added),
        *(f"{old.place.line}>{new.place.line} {row_words(old)} > {row_words(new)}" for old, new in found.changed),
        *found.texts,
    ]


def test_a_row_that_moved_is_no_difference():
    lifted = ROWS.splitlines(keepends=True)
    assert lines(ROWS, "".join(["# words\n", "\n", *lifted[1:], lifted[0]])) == []
    assert not changes(bundle(ROWS), bundle(ROWS))


def test_rows_come_and_go_with_file_and_line():
    more = ROWS + "p, role:user, *, self, time/*, read, , allow\n"
    assert lines(ROWS, more) == ["+5 p, role:user, *, self, time/*, read, , allow"]
    assert lines(more, ROWS) == ["-5 p, role:user, *, self, time/*, read, , allow"]


def test_of_equal_rows_as_many_go_as_there_are_too_many():
    row = "p, role:user, *, self, time/*, read, , allow\n"
    assert lines(row * 3, row) == [f"-{line} {row.strip()}" for line in (2, 3)]


def test_a_row_with_an_id_keeps_its_identity_whatever_it_says():
    changed = ROWS.replace("p, *, *, *, *, write, tool.destructive, deny", "p, user:*, main, *, shop/*, read, , deny")
    assert lines(ROWS, changed) == [
        (
            "3>3 p, *, *, *, *, write, tool.destructive, deny @id nothing-destructive"
            " > p, user:*, main, *, shop/*, read, , deny @id nothing-destructive"
        )
    ]


def test_a_row_about_the_same_is_changed_when_its_condition_or_its_notes_are():
    when = ROWS.replace("git/*, read, , allow", "git/*, read, args.a == 1, allow")
    assert lines(ROWS, when) == [
        "1>1 p, role:user, main, self, git/*, read, , allow > p, role:user, main, self, git/*, read, args.a == 1, allow"
    ]
    noted = "# @owner it\n# @ticket T-1\n# @expires 2027-01-31\n" + ROWS
    assert lines(ROWS, noted) == [
        (
            "1>4 p, role:user, main, self, git/*, read, , allow"
            " > p, role:user, main, self, git/*, read, , allow @owner it @ticket T-1 @expires 2027-01-31"
        )
    ]


def test_a_role_given_elsewhere_is_changed():
    elsewhere = ROWS.replace("role:user, *\n", "role:user, main\n")
    assert lines(ROWS, elsewhere) == [
        "4>4 g, user:ann@example.com, role:user, * > g, user:ann@example.com, role:user, main"
    ]


def test_another_effect_is_another_row():
    one, other = ("p, user:*, main, self, git/*, read, , allow\n", "p, user:*, main, self, git/*, read, , deny\n")
    assert [line[:2] for line in lines(one, other)] == ["-1", "+1"]


def test_limits_are_compared_by_what_they_say():
    limits = "[[class]]\nname = 'a'\ncalls = 1\nwindow_s = 1\n"
    spaced = "# words\n\n" + limits.replace(" = ", "   =   ")
    assert changes(bundle(ROWS, limits), bundle(ROWS, spaced)).texts == ()
    on_git = limits + "[[object]]\nmatch = 'git/*'\ncalls = 5\nwindow_s = 60\n"
    assert changes(bundle(ROWS), bundle(ROWS, on_git)).texts == (
        "--- limits.toml",
        "+++ limits.toml",
        "@@ -1 +1,3 @@",
        "+class a: 1 calls in 1 s",
        " class default: 100 calls in 60 s",
        "+object git/* for everybody: 5 calls in 60 s",
    )


def test_the_model_the_secrets_what_lint_may_find_and_the_tests_are_told_as_texts():
    def made(model: str, rows: str, tests: dict[str, str]) -> Bundle:
        found = read({"a/model.conf": model, "a/rules.csv": rows, **tests})
        assert isinstance(found, Bundle), found
        return found

    old = made(MODEL, ROWS, {"a/tests/one.yaml": "x: 1\n", "a/tests/gone.yaml": "y\n"})
    noted = "# @secret args.card\n# @lint-ok broad-allow\n" + ROWS
    new = made(f"# words\n{MODEL}", noted, {"b/tests/one.yaml": "x: 2\n"})
    told = changes(old, new).texts
    names = [line.removeprefix("--- ") for line in told if line.startswith("--- ")]
    assert names == ["model.conf", "@secret", "@lint-ok", "tests/gone.yaml", "tests/one.yaml"]
    for line in ("+# words", "+card", "-y", "-x: 1", "+x: 2"):
        assert line in told
    assert any(line.startswith("+broad-allow: p, role:user") for line in told)


def test_an_expiry_that_is_no_day_is_told_as_a_moment():
    (row,) = bundle("p, role:user, *, self, time/*, read, , allow\n").rules
    assert row_words(structs.replace(row, expires=1_800_000_000_000)).endswith("@expires 2027-01-15T08:00:00+00:00")


def plain(rows) -> Counter:
    return Counter(structs.replace(row, place=Place("")) for row in rows)


@given(worlds(), worlds(), st.randoms())
def test_the_changes_applied_to_the_old_give_the_new(one: World, other: World, random):
    old = Bundle(MODEL, one.rules, one.links)
    shared = [row for row in one.rules if random.random() < 0.5]
    rules = [*shared, *other.rules]
    random.shuffle(rules)
    new = Bundle(MODEL, tuple(rules), other.links)
    found = changes(old, new)
    befores, afters = zip(*found.changed, strict=True) if found.changed else ((), ())
    before, after = plain((*old.rules, *old.links)), plain((*new.rules, *new.links))
    assert before - plain((*found.removed, *befores)) + plain((*found.added, *afters)) == after
    assert not plain(found.removed) & plain(found.added)
    assert not changes(new, new)
