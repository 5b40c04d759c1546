"""Asking a policy recorded questions of which some values are hidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.analysis.replay.hidden import Asking
from gateway.analysis.replay.recorded import Hidden, recorded
from gateway.audit.masking import PIECES
from gateway.policy.engine import Policy
from gateway.policy.terms import NOTHING, Access, Context, Tool
from tests.analysis.replay.recording import DIGESTS, OLDER, entry
from tests.policy.builders import ALICE, BOB, NOW, access, context, policy

SCALARS = st.sampled_from([None, True, False, 0, -0.0, 1, 1.0, 2, 1.5, 10**20, "", "a", "b", "#help", "é"])
ELEMENTS = st.one_of(SCALARS, st.dictionaries(st.sampled_from(["p", "q", "0"]), SCALARS, max_size=2))
ARGUMENTS = st.dictionaries(
    st.sampled_from(["x", "y", "list", "deep", "z/~1", "0"]),
    st.one_of(
        SCALARS,
        st.lists(ELEMENTS, max_size=3),
        st.dictionaries(st.sampled_from(["x", "y", "0", "1", "a.b"]), SCALARS, max_size=2),
    ),
    max_size=4,
)
CHECKS = st.sampled_from(
    [
        *("args.x == 1", "args.x != 1", "args.x == 'a'", "args.x in ['a', 'b']", "args.x in [1, 1.5, 'a']"),
        *("args.x == null", "args.x != null", "args.x == true", "args.x", "has(args.x)", "has(args.deep.x)"),
        *("args.x > 0 and args.x <= 1", "args.x > 0 and args.x <= 1.5", "starts(args.y, '#')", "ends(args.y, 'a')"),
        *("args.deep.x == 1", "args.deep == null", "args.deep['0'] == 1", "args['z/~1'] == 'a'", "args['0'] == 0"),
        *("every(args.list, it.p == 1)", "some(args.list, it.p == 1 or it.q == 'a')", "every(args.list, it == 'a')"),
        *("some(args.list, it in ['a', 'b'])", "every(args.list, has(it.p))", "claims.mfa", "claims.org.id == 'a'"),
        *("not tool.destructive", "hours(env.now, '08:00', '18:00')", "some(owner.roles, it == 'admin')"),
    ]
)


@st.composite
def conditions(draw) -> str:
    parts = draw(st.lists(CHECKS, max_size=3))
    words = [f"not ({part})" if draw(st.booleans()) else f"({part})" for part in parts]
    return draw(st.sampled_from([" and ", " or "])).join(words)


@st.composite
def policies(draw) -> Policy:
    rows = draw(st.lists(st.tuples(st.sampled_from(["allow", "allow", "deny"]), conditions()), max_size=4))
    subjects = [draw(st.sampled_from(["*", "user:*", ALICE, BOB, "group:g/one"])) for _ in rows]
    texts = [
        f"p, {subject}, *, {'self' if effect == 'allow' else '*'}, a/*, write, {when}, {effect}"
        for subject, (effect, when) in zip(subjects, rows, strict=True)
    ]
    secret = draw(st.sampled_from(["", "# @secret args.x\n", "# @secret args.deep\n", "# @secret args.list\n"]))
    return policy(secret + "\n".join(texts) if texts else "")


@st.composite
def chains(draw) -> tuple[Access, ...]:
    claims = draw(
        st.dictionaries(st.sampled_from(["mfa", "org"]), st.one_of(SCALARS, st.just({"id": "a"})), max_size=2)
    )
    groups = draw(st.sampled_from([None, frozenset(), frozenset({"group:g/one"})]))
    env = {"now": NOW, "offset": draw(st.sampled_from([0, 60])), "address": "192.0.2.1"}
    args, tool = draw(ARGUMENTS), Tool("a", "b", destructive=draw(st.booleans()))
    roles = draw(st.sampled_from([None, ("admin",)]))
    caller = Context(args=args, claims=claims, groups=groups, tool=tool, env=env, owner_roles=roles)
    first = Access(ALICE, "main", ALICE, "a/b", "write", caller)
    if draw(st.booleans()):
        return (first,)
    absent = Context(args=args, groups=None, tool=tool, env=env)
    return first, Access(BOB, "main", BOB, "a/b", "write", absent)


@given(policies(), policies(), chains())
def test_an_answer_to_a_recorded_question_is_the_answer_to_the_question(before, candidate, chain):
    found = entry(before, *chain)
    answer = Asking(candidate, DIGESTS).answer(recorded(found, found.asked))
    truth = candidate.decide(chain)
    assert answer.allowed in (None, truth.allowed)
    if answer.allowed is None:
        assert answer.hidden
    elif answer.allowed and len(chain) == 1:
        assert answer.rule is not None


@given(policies(), chains())
def test_what_hides_nothing_is_answered_as_it_was(candidate, chain):
    everything = frozenset(
        ("x", "y", "list", "deep", "z/~1", "0", "list.p", "list.q", "deep.x", "deep.y", "mfa", "org", "org.id")
    )
    found = entry(candidate, *chain, readable=everything, claims=everything)
    if not found.hashed and not found.asked.hashed_claims:
        answer = Asking(candidate, {}).answer(recorded(found, found.asked))
        assert answer.allowed is candidate.decide(chain).allowed


@given(policies(), policies(), chains())
def test_without_the_key_an_answer_still_never_lies(before, candidate, chain):
    found = entry(before, *chain)
    answer = Asking(candidate, {}).answer(recorded(found, found.asked))
    assert answer.allowed in (None, candidate.decide(chain).allowed)


UNREAD = policy("p, user:*, main, self, a/*, write, , allow")


def answer(rows: str, key=None, digests=DIGESTS, **arguments):
    """What the policy of ``rows`` answers to a call recorded when no condition read any argument."""
    chain = (access("a/b", "write", ctx=context(**arguments)),)
    found = entry(UNREAD, *chain, **({} if key is None else {"hashed": key}))
    assert set(found.arguments) == set()
    return Asking(policy(rows), digests).answer(recorded(found, found.asked))


def allowing(when: str) -> str:
    return f"p, user:*, main, self, a/*, write, {when}, allow"


def denying(when: str) -> str:
    return f"{allowing('')}\np, user:*, main, *, a/*, write, {when}, deny"


@pytest.mark.parametrize(
    ("rows", "arguments", "expected"),
    [
        (allowing("args.x == 'a'"), {"x": "a"}, True),
        (allowing("args.x == 'a'"), {"x": "b"}, False),
        (allowing("args.x == 'a'"), {}, False),
        (allowing("args.x in ['a', 'b']"), {"x": "b"}, True),
        (allowing("args.x in ['a', 'b']"), {"x": "c"}, False),
        (allowing("args.x == 1"), {"x": 1.0}, True),
        (allowing("args.x == 1.0"), {"x": 1}, True),
        (allowing("args.x == 0"), {"x": -0.0}, True),
        (allowing("args.x == 1.5"), {"x": 1.5}, True),
        (allowing("args.x <= 5"), {"x": 5}, True),
        (allowing("args.x <= 5"), {"x": 4}, None),
        (allowing("has(args.x)"), {"x": "secret"}, True),
        (allowing("has(args.x.y)"), {"x": "secret"}, False),
        (allowing("args.x != null"), {"x": "secret"}, True),
        (allowing("args.x == null"), {"x": None}, True),
        (allowing("args.x"), {"x": True}, True),
        (allowing("not args.x"), {"x": False}, True),
        (allowing("starts(args.x, 'a')"), {"x": "abc"}, None),
        (denying("args.x == 'a'"), {"x": "a"}, False),
        (denying("args.x == 'a'"), {"x": "b"}, True),
        (denying("args.x == 'a'"), {"x": 7}, False),
        (denying("args.x == 'a'"), {"x": "e\u0301"}, False),
        (denying("args.x == 'a'"), {"x": ["a"]}, False),
        (denying("args.x > 1"), {"x": 7}, None),
        (denying("args.x > 1"), {"x": "7"}, False),
        (allowing("args.x != 'a'"), {"x": "b"}, True),
        (allowing("args.x != 'a'"), {"x": None}, False),
        (allowing("not args.x in ['a', 1]"), {"x": 2}, True),
        (allowing("args.x == null"), {"x": 2}, False),
        (allowing("starts(args.x, 'a')"), {"x": 2}, False),
        (allowing("has(args.x.y)"), {"x": {"y": 1}}, None),
        (allowing("some(args.x, it == 'a')"), {"x": 1}, False),
        (denying("args.x != 'a'"), {"x": "b"}, False),
        (denying("args.x != 'a'"), {"x": "a"}, True),
        (denying("args.x == 'a' and args.y == 'b'"), {"x": "c", "y": "b"}, True),
        (denying("args.x > 1 and args.y == 'b'"), {"x": 7, "y": "b"}, None),
        (allowing("args.x == 'a' and args.y == 'b'"), {"x": "c", "y": "z"}, False),
        (allowing("args.x == 'a' or args.y == 'b'"), {"x": "c", "y": "b"}, True),
        (allowing("every(args.x, it == 'a')"), {"x": []}, True),
        (allowing("every(args.x, it == 'a')"), {"x": ["a"]}, None),
    ],
)
def test_a_hash_tells_what_equals_a_constant_and_what_does_not(rows, arguments, expected):
    found = answer(rows, **arguments)
    assert found.allowed is expected
    if expected is None:
        assert found.hidden[0] == "args.x"


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("some(args.list, it.p == 1 and it.q == 'b')", True),
        ("some(args.list, it.p == 2 and it.q == 'a')", False),
        ("every(args.list, it.p < 3 and it.q in ['a', 'b'])", True),
        ("every(args.list, it.p < 3 and it.q == 'a')", False),
        ("every(args.list, starts(it.q, 'z'))", None),
        ("some(args.list, it.p == 3 and starts(it.q, 'z'))", False),
        ("not some(args.list, it.p == 3)", True),
        ("not some(args.list, it.p == 1)", False),
        ("not every(args.list, it.p == 1)", True),
    ],
)
def test_a_list_of_which_parts_are_hidden_is_judged_element_by_element(when, expected):
    before = policy(allowing("every(args.list, it.p >= 0)"))
    lines = [{"p": 1, "q": "b"}, {"p": 2, "q": "b"}]
    found = entry(before, access("a/b", "write", ctx=context(list=lines)))
    assert (set(found.arguments), set(found.hashed)) == ({"/list/0/p", "/list/1/p"}, {"/list/0/q", "/list/1/q"})
    answer = Asking(policy(allowing(when)), DIGESTS).answer(recorded(found, found.asked))
    assert answer.allowed is expected
    if expected is None:
        assert answer.hidden == ("args.list.0.q", "args.list.1.q")


def test_a_deny_that_bites_whatever_is_hidden_and_no_allow_are_both_a_no():
    assert answer("p, user:*, main, *, a/*, write, args.x == 'a', deny", x="b").allowed is False
    assert (
        answer(f"{allowing('args.x > 1')}\np, user:*, main, *, a/*, write, tool.name == '', deny", x=1).allowed is False
    )


def test_the_row_that_decided_is_named_also_where_something_is_hidden():
    assert answer(denying("args.x == 'a'"), x="a").rule.place.line == 2
    assert answer(allowing("args.x == 'a'"), x="a").rule.place.line == 1
    assert answer(allowing("args.x == 'a'"), x="b").rule is None


def test_an_older_key_is_as_good_and_a_lost_one_hides_everything_but_that_a_value_is_there():
    assert answer(allowing("args.x == 'a'"), key=OLDER, x="a").allowed is True
    assert answer(allowing("args.x == 'a'"), digests={}, x="b").allowed is None
    assert answer(allowing("has(args.x)"), digests={}, x="b").allowed is True
    assert answer(allowing("args.x == 1"), digests={}, x="b").allowed is False
    assert answer(allowing("args.x"), digests={}, x=True).allowed is None
    assert answer(allowing("args.x == null"), digests={}, x=None).allowed is True


def test_a_lender_that_is_denied_denies_the_chain_though_the_caller_is_in_doubt():
    first = access("a/b", "write", owner=BOB, ctx=context(x="secret"))
    chain = (first, access("a/b", "write", subject=BOB, ctx=context(groups=None, x="secret")))
    found = entry(UNREAD, *chain)
    rows = f"p, {ALICE}, main, {BOB}, a/*, write, starts(args.x, 's'), allow"
    assert Asking(policy(rows), DIGESTS).answer(recorded(found, found.asked)).allowed is False
    lends = f"{rows}\np, {BOB}, main, self, a/*, write, , allow"
    answer = Asking(policy(lends), DIGESTS).answer(recorded(found, found.asked))
    assert (answer.allowed, answer.hidden) == (None, ("args.x",))


def test_arguments_hashed_as_a_whole_hide_all_that_is_read_and_nothing_else():
    chain = (access("a/b", "write", ctx=context(**{f"n{i}": i for i in range(PIECES + 1)})),)
    found = entry(UNREAD, *chain)
    question = recorded(found, found.asked)
    assert isinstance(question.chain[0].context.args["n1"], Hidden)
    assert Asking(UNREAD, DIGESTS).answer(question).allowed is True
    read = Asking(policy(allowing("args.n1 == 1")), DIGESTS).answer(question)
    assert (read.allowed, read.hidden) == (None, ("args",))


def test_what_is_recorded_is_put_together_again_as_it_was():
    arguments = {"a": [{"p": 1, "q": "x"}, 7, {"0": 1}], "~/": "y", "n": {"1": {"p": 2}}, "": 0}
    reads = policy(allowing("some(args.a, it.p == 1) and args['~/'] == 'y' and args.n['1'].p == 2"))
    chain = (access("a/b", "write", ctx=Context(args=arguments, env={"now": NOW, "offset": 0, "address": ""})),)
    found = entry(reads, *chain)
    args = recorded(found, found.asked).chain[0].context.args
    assert args["a"][0] == {"p": 1, "q": Hidden(found.hashed["/a/0/q"], "args.a.0.q", "t")}
    assert [type(each) for each in args["a"]] == [dict, Hidden, Hidden]
    assert args["~/"] == "y"
    assert type(args["n"]) is Hidden, "an object whose names are numbers would look like a list"
    assert type(args[""]) is Hidden


def test_text_that_no_gateway_writes_is_refused_when_it_is_read():
    reads = Asking(policy(allowing("args.a == 1")), DIGESTS)
    question = access("a/b", "write", ctx=context())
    for arguments in ({"/a": "1", "/a/b": "2"}, {"/a": "{"}):
        for hashes in ({}, {"/a/c": "0"}):
            found = structs.replace(entry(UNREAD, question), arguments=arguments, hashed=hashes)
            with pytest.raises(ValueError):
                reads.answer(recorded(found, found.asked))
            assert Asking(UNREAD, DIGESTS).answer(recorded(found, found.asked)).allowed is True


def test_what_is_recorded_reads_as_the_mapping_that_it_was():
    reads = policy(allowing("args.a == 1"))
    found = entry(reads, access("a/b", "write", ctx=context(a=1, b={"c": 2})))
    args = recorded(found, found.asked).args[0]
    assert (list(args), len(args), args["a"], args.get("missing")) == (["a", "b"], 2, 1, None)


def test_a_question_is_asked_again_at_its_own_time():
    night = policy(allowing("hours(env.now, '22:00', '23:00')"))
    at = NOW // 86_400_000 * 86_400_000 + 22 * 3_600_000
    for now, expected in ((at, True), (at + 3_600_000, False)):
        found = entry(UNREAD, access("a/b", "write", ctx=context(now=now)))
        assert Asking(night, DIGESTS).answer(recorded(found, found.asked)).allowed is expected


def test_unknown_groups_stay_unknown():
    rows = f"{allowing('')}\np, group:g/one, *, *, a/*, write, , deny"
    for groups, expected in ((None, False), (frozenset(), True), (frozenset({"group:g/one"}), False)):
        found = entry(UNREAD, access("a/b", "write", ctx=context(groups=groups)))
        assert Asking(policy(rows), DIGESTS).answer(recorded(found, found.asked)).allowed is expected


def test_an_absent_lender_has_no_claims_and_unknown_groups():
    first = access("a/b", "write", owner=BOB, ctx=context(groups=frozenset({"group:g/one"}), claims={"mfa": True}))
    found = entry(UNREAD, first, access("a/b", "write", subject=BOB, ctx=context(groups=None)))
    caller, lender = recorded(found, found.asked).chain
    assert (caller.subject, caller.owner, caller.context.groups) == (ALICE, BOB, frozenset({"group:g/one"}))
    assert (lender.subject, lender.owner, lender.domain) == (BOB, BOB, "main")
    assert (lender.context.groups, lender.context.claims) == (None, NOTHING)
