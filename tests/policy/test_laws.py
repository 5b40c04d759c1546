"""What holds of every policy, whatever it says."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.policy.bundle import Bundle, decode, encode
from gateway.policy.rules import read
from gateway.policy.terms import Effect, Link
from tests.policy import reference
from tests.policy.builders import ALICE, BOB, files
from tests.policy.pools import DEEP, END, GROUPS, LIMITS, LIMITS_TEXT, ROLES, SERVER
from tests.policy.worlds import World, answer, cases, row_values, rules, worlds

SPLITS = st.sampled_from((0, 1, 3, 20))


def unknown(access):
    return replace(access, context=replace(access.context, args=None))


def answers(policy, asked):
    return [(answer(policy, access).allowed, policy.possible((unknown(access),))) for access in asked]


@given(cases(), rules((Effect.DENY,)), SPLITS)
def test_one_more_deny_never_widens(case, deny, split):
    world, asked = case
    before, after = world.policy(split), World((*world.rules, deny), world.links).policy(split)
    for (was, listed), (now, still) in zip(answers(before, asked), answers(after, asked), strict=True):
        assert now <= was
        assert still <= listed


@given(cases(), rules((Effect.ALLOW,)), SPLITS)
def test_one_more_allow_never_narrows(case, allow, split):
    world, asked = case
    before, after = world.policy(split), World((*world.rules, allow), world.links).policy(split)
    for (was, listed), (now, still) in zip(answers(before, asked), answers(after, asked), strict=True):
        assert now >= was
        assert still >= listed


@given(cases(), st.randoms(use_true_random=False), SPLITS)
def test_neither_order_nor_repetition_of_rows_changes_an_answer(case, random, split):
    world, asked = case
    rows, links = list(world.rules) * 2, list(world.links) * 2
    random.shuffle(rows)
    random.shuffle(links)
    assert answers(World(tuple(rows), tuple(links)).policy(split), asked) == answers(world.policy(), asked)


RENAMED = {
    ALICE: "user:zoe@example.org",
    BOB: "user:adam@example.org",
    END: "end:t9/007",
    SERVER: "server:t9",
    "end:s1/*": "end:t9/*",
    "s1": "t9",
    "s2": "a-server",
    **{name: f"group:other/{at}" for at, name in enumerate(GROUPS)},
    **{name: f"role:{'x' * (20 - at)}" for at, name in enumerate((*ROLES, *DEEP))},
}
FIELDS = ("subject", "domain", "owner", "member", "role")


def renamed(value):
    names = {name: RENAMED.get(old, old) for name in FIELDS if (old := getattr(value, name, None)) is not None}
    return replace(value, **names)


def asked_by_another_name(access):
    groups = access.context.groups
    known = None if groups is None else frozenset(RENAMED[name] for name in groups)
    return renamed(replace(access, context=replace(access.context, groups=known)))


@given(cases(), SPLITS)
def test_other_names_for_everybody_change_no_answer(case, split):
    world, asked = case
    other = World(tuple(map(renamed, world.rules)), tuple(map(renamed, world.links)))
    assert answers(other.policy(split), map(asked_by_another_name, asked)) == answers(world.policy(split), asked)


@given(cases(), SPLITS)
def test_who_may_do_more_may_do_less_and_sees_what_he_may_do(case, split):
    world, asked = case
    policy = world.policy(split)
    for access in asked:
        for ladder in reference.LADDERS:
            steps = [replace(access, action=step) for step in ladder]
            allowed = [answer(policy, step).allowed for step in steps]
            listed = [policy.possible((unknown(step),)) for step in steps]
            assert allowed == sorted(allowed, reverse=True)
            assert listed == sorted(listed, reverse=True)
            assert all(shown >= may for shown, may in zip(listed, allowed, strict=True))


@given(cases(), SPLITS)
def test_the_rows_that_spoke_give_the_same_answer_alone(case, split):
    world, asked = case
    policy = world.policy(split)
    for access in asked[::5]:
        spoken = tuple(each.rule for each in policy.explain(access).spoke if each.rule.place.file != "builtin")
        alone = World(spoken, world.links).policy()
        assert answer(alone, access).allowed == answer(policy, access).allowed


@given(cases(), worlds(), SPLITS)
def test_going_back_restores_every_answer(case, other, split):
    world, asked = case
    first = world.policy(split)
    before = answers(first, asked)
    _, grants = world.cut(split)
    away = first.with_grants((*other.rules, *other.links), "1.1")
    answers(away, asked)
    assert answers(away.with_grants((*grants.rules, *grants.links), "1.2"), asked) == before
    assert answers(first, asked) == before


@given(cases())
def test_a_policy_that_was_stored_gives_the_same_answers(case):
    world, asked = case
    stored = decode(encode(world.bundle()))
    assert stored == world.bundle()
    assert answers(World(stored.rules, stored.links).policy(), asked) == answers(world.policy(), asked)


@given(cases(), SPLITS)
def test_what_was_asked_before_changes_no_answer(case, split):
    world, asked = case
    forwards, backwards = world.policy(split), world.policy(split)
    assert answers(forwards, asked) == answers(backwards, asked[::-1])[::-1]


# --- what is written


def line_of(row) -> str:
    return ", ".join(("g" if isinstance(row, Link) else "p", *row_values(row)))


def columns(row) -> tuple:
    return tuple(getattr(row, name) for name in row.__struct_fields__ if name not in ("place", "expires"))


@given(worlds())
def test_what_is_written_is_what_is_read(world):
    rows = [*world.for_files().rules, *world.links]
    found = read(files("\n".join(map(line_of, rows)), LIMITS_TEXT))
    assert isinstance(found, Bundle)
    assert found.limits == LIMITS
    read_rows = (*found.rules, *found.links)
    assert [columns(row) for row in read_rows] == [columns(row) for row in rows]
    assert [row.place.line for row in read_rows] == list(range(1, len(rows) + 1))


BAD_LINES = (
    "p",
    "p, oops",
    "q, a, b, c",
    f"p, {ALICE}, main, self, a/x, read, , Allow",
    f"p, {ALICE}, main, self, a/x, reads, , allow",
    f"p, {ALICE}, main, self, a/*x, read, , allow",
    f"p, {ALICE}, main, self, a/x, read, args.x ==, allow",
    f"p, {ALICE}, main, self, a/x, *, , allow",
    f"p, {ALICE}, !main, self, a/x, read, , deny",
    f"p, {ALICE}, main, *, a/x, read, , allow",
    f"g, {ALICE}, admin, main",
    "g, *, role:a, main",
    "# @expire 2027-01-31",
)


@given(worlds(), st.sampled_from(BAD_LINES), st.integers(0, 20))
def test_a_bundle_with_any_bad_line_is_no_bundle(world, bad, at):
    lines = [line_of(row) for row in (*world.for_files().rules, *world.links)]
    lines.insert(at % (len(lines) + 1), bad)
    found = read(files("\n".join(lines), LIMITS_TEXT))
    assert not isinstance(found, Bundle)
    assert {problem.place.line for problem in found} == {lines.index(bad) + 1}
