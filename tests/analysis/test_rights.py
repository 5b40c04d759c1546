"""What somebody may do with something: how rows become a right, and how rights are told."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.analysis.reach import FOREVER
from gateway.analysis.rights import NO, YES, Rights, told
from gateway.policy.conditions import parse
from gateway.policy.meaning import permits
from gateway.policy.terms import Context, Effect, Place, Rule, Tool

GOOD = Tool("chat", "send", destructive=False, tags=("calm",))
BAD = Tool("chat", "wipe")


def rule(when: str = "", effect: Effect = Effect.ALLOW, expires: int | None = None) -> Rule:
    return Rule("user:a@example.com", "main", "self", "chat/*", "write", when, effect, Place("x"), expires=expires)


def right(*rules: Rule, tool: Tool = GOOD, lender=None):
    lent = None if lender is None else tuple((each, FOREVER) for each in lender)
    return Rights().of(tuple((each, FOREVER) for each in rules), tool, lent)


def deny(when: str = "") -> Rule:
    return rule(when, Effect.DENY)


def test_no_row_is_no_an_allow_is_yes_and_a_deny_wins():
    assert right() == right(deny("args.a == 1")) == right(rule(), deny()) == NO
    assert right(rule()) == right(rule(), rule("args.a == 1")) == YES
    assert told(NO) == "no"
    assert told(YES) == "yes"


def test_conditions_are_told_as_they_are_written():
    assert told(right(rule("args.a==1"))) == "if args.a==1"
    assert told(right(rule("args.b == 2"), rule("args.a == 1"))) == "if (args.a == 1) or (args.b == 2)"
    assert told(right(rule(), deny("args.c"))) == "unless args.c"
    assert (
        told(right(rule("args.a == 1"), deny("args.c"), deny("args.d"))) == "if args.a == 1 unless (args.c) or (args.d)"
    )


def test_what_is_known_of_the_tool_is_settled():
    assert right(rule(), deny("tool.destructive")) == YES
    assert right(rule(), deny("tool.destructive"), tool=BAD) == NO
    assert right(rule("not tool.destructive and args.a == 1")) == right(rule("args.a == 1"))
    assert right(rule("tool.destructive or args.a == 1")) == right(rule("args.a == 1"))
    assert right(rule("tool.destructive or args.a == 1"), tool=BAD) == YES
    assert right(rule("tool.destructive and args.a == 1")) == NO
    assert right(rule("tool.name == 'send' or tool.destructive")) == YES
    assert told(right(rule("not (tool.destructive or args.a == 1)"))) == "if not args.a == 1"
    assert told(right(rule("some(tool.tags, it > 5)"))) == "if some(tool.tags, it > 5)"  # nobody can tell


def test_an_end_is_part_of_the_condition():
    until = 1_893_456_000_000
    assert told(right(rule(expires=until))) == "if until 2030-01-01 00:00"
    assert told(right(rule("args.a == 1", expires=until))) == "if args.a == 1, until 2030-01-01 00:00"
    assert told(Rights().of(((rule(expires=until), until - 60_000),), GOOD)) == "if until 2029-12-31 23:59"
    later = right(rule(expires=until + 1))
    shown = Rights().difference(right(rule(expires=until)), later, GOOD, None).widened
    assert shown
    assert shown["env"]["now"] == until


def test_a_lender_must_have_it_himself_and_is_absent():
    assert right(rule(), lender=[rule()]) == YES
    assert right(rule(), lender=[]) == right(rule(), lender=[deny()]) == right(lender=[rule()]) == NO
    assert right(rule(), lender=[rule("claims.mfa")]) == NO
    assert right(rule(), lender=[rule(), deny("claims.mfa == false")]) == NO
    assert right(rule(), lender=[rule(), deny("has(claims.mfa)")]) == YES
    assert right(rule("args.a == 1"), lender=[rule()]) == right(rule("args.a == 1"))
    both = right(rule("args.a == 1"), lender=[rule("args.b == 2 and not claims.x"), rule("args.b == 3")])
    assert told(both) == "if args.a == 1; and the lender: if args.b == 3"
    assert right(rule("args.a == 1"), lender=[rule("args.a == 1")]) == right(rule("args.a == 1"))


ATOMS = (
    *("args.a == 1", "args.b", "has(claims.x)", "claims.x == 1", "tool.destructive", "tool.name == 'send'"),
    *("client.id == 'c'", "some(owner.roles, it == 'admin')", "some(tool.tags, it > 5)", "env.now > 1000"),
)
TEXTS = st.recursive(
    st.sampled_from(ATOMS),
    lambda below: st.one_of(
        below.map("not ({})".format),
        st.tuples(below, below).map(lambda both: "({}) and ({})".format(*both)),
        st.tuples(below, below).map(lambda both: "({}) or ({})".format(*both)),
    ),
    max_leaves=5,
)
CONTEXTS = st.builds(
    Context,
    args=st.sampled_from(({}, {"a": 1, "b": True}, {"a": 2, "b": False})),
    claims=st.sampled_from(({}, {"x": 1}, {"x": 2})),
    client=st.sampled_from(({}, {"id": "c"})),
    tool=st.sampled_from((GOOD, BAD)),
    env=st.sampled_from(({"now": 1, "offset": 0, "address": ""}, {"now": 2000, "offset": 0, "address": ""})),
    owner_roles=st.sampled_from((None, (), ("admin",))),
)


@given(st.lists(TEXTS, min_size=1, max_size=2), st.lists(TEXTS, max_size=1), CONTEXTS)
def test_a_right_permits_what_its_rows_do_and_a_lender_of_whom_nothing_is_known(allows, denies, context):
    rules = [*map(rule, allows), *map(deny, denies)]
    assert permits(right(*rules, tool=context.tool), context) is permitted(rules, context)
    unknown = Context(args=context.args, env=context.env, tool=context.tool)
    assert permits(right(rule(), tool=context.tool, lender=rules), context) is permitted(rules, unknown)


def permitted(rules, context) -> bool:
    judged = [(each.effect, parse(each.when)) for each in rules]
    allowed = any(condition.holds(context) for effect, condition in judged if effect is Effect.ALLOW)
    return allowed and not any(condition.bites(context) for effect, condition in judged if effect is Effect.DENY)


def test_what_can_never_be_permitted_is_not_possible():
    rights = Rights()
    never = right(rule("args.a > 5"), deny("args.a > 1"))
    assert not rights.possible(never, GOOD, None)
    assert not rights.possible(never, GOOD, None)
    assert rights.possible(right(rule("args.a > 5")), GOOD, None)
    assert not rights.possible(right(rule("args.a > 5")), GOOD, {"properties": {"a": {"type": "string"}}})
    assert rights.possible(YES, GOOD, None)
    assert not rights.possible(NO, GOOD, None)
