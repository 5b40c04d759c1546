"""Replay: what changes, for whom, and what cannot be told."""

import pytest
from msgspec.structs import replace

from gateway.analysis.replay import NO_ROW, Group, Replay, Why
from gateway.policy.terms import SYSTEM, Effect, Link, Place, Rule
from tests.analysis.replay.recording import DIGESTS, entry
from tests.policy.builders import ALICE, BOB, access, context, policy

OLD = "p, user:*, main, self, a/*, write, , allow"
CLOSED = f"{OLD}\np, {BOB}, *, *, a/x, write, , deny"


def asked(object: str = "a/x", subject: str = ALICE, **arguments):
    return access(object, "write", subject=subject, ctx=context(**arguments))


def replayed(candidate, entries, versions=()):
    replay = Replay(candidate, DIGESTS)
    for each in entries:
        replay.take(each)
    known = dict(versions)
    for version in replay.doubted:
        replay.confirm(version, known.get(version))
    return replay.report()


def test_the_same_answers_are_counted_and_nothing_else():
    old = policy(OLD)
    report = replayed(old, [entry(old, asked(), id=str(i)) for i in range(5)])
    assert (report.entries, report.same, report.widened, report.narrowed, report.undecided) == (5, 5, 0, 0, ())


def test_changes_are_grouped_by_row_user_and_tool_with_examples():
    old = policy(OLD)
    calls = [asked("a/x", BOB)] * 5 + [asked("a/y", BOB), asked("a/x", ALICE)]
    entries = [entry(old, call, id=str(i)) for i, call in enumerate(calls)]
    report = replayed(policy(CLOSED), entries, {"1": old}.items())
    assert (report.entries, report.same, report.widened, report.narrowed) == (7, 2, 0, 5)
    rows = ("denied", "policies/rules.csv:2", "policies/rules.csv:1")
    assert report.rows == (Group(rows, 5, ("0", "1", "2")),)
    assert report.users == (Group(("denied", BOB), 5, ("0", "1", "2")),)
    assert report.tools == (Group(("denied", "a/x"), 5, ("0", "1", "2")),)


def test_what_opens_is_told_apart_from_what_closes_and_no_row_has_a_name():
    old = policy(f"p, {BOB}, main, self, a/*, write, , allow")
    entries = [entry(old, asked(subject=subject), id=subject) for subject in (ALICE, BOB)]
    new = policy(f"p, {ALICE}, main, self, a/*, write, , allow")
    report = replayed(new, entries, {"1": old}.items())
    assert (report.widened, report.narrowed) == (1, 1)
    assert [group.name for group in report.rows] == [
        ("allowed", "policies/rules.csv:1", NO_ROW),
        ("denied", NO_ROW, "policies/rules.csv:1"),
    ]
    assert [group.name for group in report.users] == [("allowed", ALICE), ("denied", BOB)]


def test_a_difference_that_todays_grants_explain_is_no_change():
    role = Link(ALICE, "role:user", "*", Place("grant:1"))
    rows = "p, role:user, main, self, a/*, write, , allow"
    before = policy(rows, grants=(role,))
    found = entry(before, asked())
    today = policy(rows)
    report = replayed(policy(rows), [found], {"1": today}.items())
    assert (report.same, report.narrowed) == (0, 0)
    assert report.undecided == (Group((Why.OTHER_GRANTS.value, ALICE), 1, ("1",)),)
    assert report.not_decided == 1


def test_a_difference_to_a_version_that_is_not_known_is_not_told_as_a_change():
    report = replayed(policy(CLOSED), [entry(policy(OLD), asked(subject=BOB))])
    assert [group.name for group in report.undecided] == [("unknown_version", "1")]


def test_the_candidate_is_asked_with_the_grants_that_it_is_given():
    lent = Rule(ALICE, "main", SYSTEM, "a/x", "write", "", Effect.ALLOW, Place("grant:7"))
    old = policy("", grants=(lent,))
    found = entry(old, access("a/x", "write", owner=SYSTEM, ctx=context()))
    assert found.rule == "grant:7"
    assert replayed(policy(CLOSED, grants=(lent,)), [found]).same == 1


def test_a_hidden_argument_is_named():
    old = policy(OLD)
    new = policy("p, user:*, main, self, a/*, write, args.amount <= 100, allow")
    report = replayed(new, [entry(old, asked(amount=7)), entry(old, asked(amount=100), id="2")])
    assert report.same == 1
    assert report.undecided == (Group(("hidden", "args.amount"), 1, ("1",)),)


def test_an_argument_that_the_old_policy_hides_too_is_named():
    old = policy("# @secret args.pin\np, user:*, main, self, a/*, write, args.pin > 3, allow")
    new = policy(f"p, {BOB}, main, self, a/*, write, , allow")
    report = replayed(new, [entry(old, asked(pin=7))], {"1": old}.items())
    assert report.undecided == (Group(("hidden", "args.pin"), 1, ("1",)),)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"allowed": None, "asked": None, "method": "tools/list"}, ("no_question", "tools/list")),
        ({"subject": "operator", "asked": None, "method": "policy.apply"}, ("no_question", "policy.apply")),
        ({"method": "completion/complete", "asked": None}, ("no_question", "completion/complete")),
        ({"reason": "stale_policy", "asked": None}, ("no_question", "tools/call")),
        ({"asked": None}, ("too_old", "tools/call")),
        ({"reason": "fault", "allowed": False}, ("fault", "tools/call")),
    ],
)
def test_what_is_no_question_to_be_asked_again_says_why(changed, name):
    report = replayed(policy(OLD), [entry(policy(OLD), asked(), **changed)])
    assert (report.entries, report.same, report.undecided) == (1, 0, (Group(name, 1, ("1",)),))


def test_what_no_gateway_has_written_is_counted_by_whichever_policy_reads_it():
    unread, reads = policy(OLD), policy("p, user:*, main, self, a/*, write, args.a == 1, allow")
    found = entry(unread, asked(), arguments={"/a": "{"})
    assert replayed(reads, [found]).undecided == (Group(("unreadable", "tools/call"), 1, ("1",)),)
    report = replayed(policy(CLOSED), [entry(unread, asked(subject=BOB), arguments={"/a": "{"})], {"1": reads}.items())
    assert report.undecided == (Group(("unreadable", "a/x"), 1, ("1",)),)


def test_an_object_that_was_cut_is_not_asked_about():
    uri = access("a/resource:https://host/path?key=1", ctx=context())
    found = entry(policy(OLD), uri)
    assert "key=1" not in str(found)
    assert replayed(policy(OLD), [found]).undecided == (Group(("cut", "tools/call"), 1, ("1",)),)


def test_a_line_that_could_not_be_read_is_counted():
    replay = Replay(policy(OLD), DIGESTS)
    replay.unreadable("line 3")
    assert replay.report().undecided == (Group(("unreadable", ""), 1, ("line 3",)),)


def test_the_connection_that_was_used_is_asked_about_again_for_everybody():
    loan = f"p, {BOB}, main, {ALICE}, a/*, read, connection.id == 'work', allow"
    alices = f"p, {ALICE}, main, self, a/*, read, connection.label == 'Acme', allow"
    old = policy(f"{loan}\n{alices}")
    ctx = replace(context(), connection={"id": "work", "account": "T1", "label": "Acme", "status": "active"})
    chain = (
        access("a/x", subject=BOB, owner=ALICE, ctx=ctx),
        access("a/x", subject=ALICE, ctx=replace(ctx, groups=None)),
    )
    recorded = entry(old, *chain)
    assert recorded.allowed
    assert replayed(old, [recorded]).same == 1
    for rows in (f"{loan.replace('work', 'other')}\n{alices}", f"{loan}\n{alices.replace('Acme', 'Other')}"):
        assert replayed(policy(rows), [recorded], {"1": old}.items()).narrowed == 1
