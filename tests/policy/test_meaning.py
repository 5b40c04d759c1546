"""Conditions compared by meaning, held against trying everything with an interpreter of their own."""

from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import example as case
from hypothesis import strategies as st

from gateway.policy.conditions import parse
from gateway.policy.meaning import (
    Clauses,
    Difference,
    Want,
    always,
    can_judge,
    context_of,
    difference,
    disjoint,
    implied,
    never,
    permits,
    permits_some,
    satisfiable,
)
from gateway.policy.terms import Context, Tool
from tests.policy.condition_strategies import GONE, asked, conditions, rooted, scope_of, text_of, truth, worlds
from tests.policy.test_possible import PLAIN_SCHEMAS, valid_arguments

ENOUGH = 1_000_000
MINUTE, DAY = 60_000, 86_400_000
X, Y, CLAIM, CLIENT, LENT = ("args", "x"), ("args", "y"), ("claims", "x"), ("client", "x"), ("connection", "x")


# --- trying everything ---------------------------------------------------------------------------

NETWORKS = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.0.0.1/32", "255.255.255.255/32"]
NETWORKS_6 = ["::/0", "2001:db8::/32", "2001:db8:8000::/33", "::1/128", "::fffe:0:0/96"]
ADDRESSES = [
    "", "nonsense", "10.0.0.1", "::ffff:10.0.0.1", "::ffff:a00:1", "10.0.0.2", "10.127.255.255", "10.128.0.0", "11.0.0.0",
    "9.255.255.255", "0.0.0.0", "255.255.255.254", "255.255.255.255", "::", "::1", "0:0::1", "::2", "2001:db8::",
    "2001:db8:8000::", "2001:DB8:8000::", "2001:db9::", "::fffe:0:0", "::1:0:0:0", "ffff::", "e\u0301",
]  # fmt: skip
CLOCK = [0, 480, 720, 1080, 1439]
NOWS = sorted(
    {
        day * DAY + minute * MINUTE + more
        for day in (-1, 0, 1)
        for minute in (0, 1, 479, 480, 500, 719, 720, 800, 1079, 1080, 1100, 1438, 1439)
        for more in (-1, 0, 1)
    }
)
OFFSETS = [-1440, -720, -61, -60, -1, 0, 1, 2, 60, 61, 479, 480, 720, 1440]
ROLES = [None, *(list(roles) for size in range(3) for roles in product(["b", "c", "bb", "z", "e\u0301"], repeat=size))]
FACTS = [
    {"name": name, "destructive": destructive, "tags": tags}
    for name in ("", "b", "bb", "c", "z")
    for destructive in (True, False)
    for tags in ([], ["b"], ["c"], ["z"], ["b", "c"], ["b", "z"])
]


def root_of(predicate):
    return "env" if predicate[0] in ("hours", "cidr") else predicate[1][0]


def told_apart(predicates, root, values):
    """One of the values for each way in which they answer the predicates."""
    seen = {}
    for value in values:
        seen.setdefault(tuple(truth(one, {root: value}) for one in predicates), value)
    return list(seen.values())


def surroundings(predicates):
    clock = [one for one in predicates if one[0] == "hours" or (one[0] != "cidr" and one[1][1] != "address")]
    place = [one for one in predicates if one not in clock]
    moments = [{"now": now, "offset": offset} for now, offset in product(NOWS, OFFSETS)]
    moments = told_apart(clock, "env", moments if clock else moments[:1])
    addresses = told_apart(place, "env", [{"address": address} for address in ADDRESSES])
    return [{**moment, **address} for moment, address in product(moments, addresses)]


def objects(predicates):
    """Objects whose members answer in every way."""
    names = sorted({one[1][1] for one in predicates})
    columns = [
        [(name, v) for v in (GONE, *worlds([rooted(one, 2) for one in predicates if one[1][1] == name]))]
        for name in names
    ]
    return [{name: value for name, value in chosen if value is not GONE} for chosen in product(*columns)]


def everything(whole, tool=None, args=None):
    """Contexts that show every way in which the conditions can be answered together."""
    by_root = {}
    for one in (one for c in whole for one in asked(c)):
        by_root.setdefault(root_of(one), []).append(one)
    roots = {
        "args": lambda found: objects(found) if args is None else args,
        **dict.fromkeys(("claims", "client", "connection"), objects),
        "env": surroundings,
        "owner": lambda found: told_apart(found, "owner", [{"roles": roles} for roles in ROLES if roles is not None]),
        "tool": lambda found: told_apart(found, "tool", FACTS),
    }
    columns = [[(root, value) for value in roots[root](found)] for root, found in by_root.items()]
    for chosen in product(*columns):
        for known in (True, False) if "owner" in by_root else (True,):
            values = dict(chosen)
            facts, roles = values.pop("tool", {}), values.pop("owner", {}).get("roles")
            made = tool or Tool(**{**facts, "tags": tuple(facts.get("tags", ()))})
            yield Context(**values, tool=made, owner_roles=tuple(roles) if known and roles is not None else None)


def permitted(chain, ctx):
    scope = scope_of(ctx)
    return bool(chain) and all(
        any(truth(each, scope) is True for each in allows) and all(truth(each, scope) is False for each in denies)
        for allows, denies in chain
    )


def clauses_of(chain):
    return tuple(
        Clauses(*(frozenset(parse(text_of(each)) for each in effect) for effect in (allows, denies)))
        for allows, denies in chain
    )


def chains(condition, *, accesses=2, rows=2):
    effect = st.lists(condition, max_size=rows)
    return st.lists(st.tuples(effect, effect), min_size=1, max_size=accesses)


HOURS = st.tuples(st.just("hours"), st.sampled_from(CLOCK), st.sampled_from(CLOCK[1:])).filter(lambda c: c[1] != c[2])
CIDR = st.tuples(st.just("cidr"), st.sampled_from([*NETWORKS, *NETWORKS_6]))
MOMENT = st.one_of(
    st.tuples(
        st.just("cmp"),
        st.sampled_from([("env", "now"), ("env", "offset")]),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.sampled_from([0, 1, 60, 1.5, 480 * MINUTE, DAY]),
    ),
    st.sampled_from([("has", ("env", "now")), ("cmp", ("env", "offset"), "==", "b"), ("has", ("env", "elsewhere"))]),
)
ADDRESS = st.sampled_from(
    [
        *(
            ("cmp", ("env", "address"), op, value)
            for op in ("==", "!=")
            for value in ("", "10.0.0.1", "::1", "nonsense")
        ),
        ("in", ("env", "address"), ["10.0.0.1", "::ffff:10.0.0.1", "255.255.255.255"]),
    ]
)
OTHERS = st.sampled_from(
    [
        ("bare", ("tool", "destructive")),
        ("cmp", ("tool", "name"), "==", "b"),
        ("starts", ("tool", "name"), "b"),
        ("some", ("tool", "tags"), ("cmp", ("it",), "==", "b")),
        ("every", ("tool", "tags"), ("in", ("it",), ["b", "c"])),
        ("every", ("owner", "roles"), ("in", ("it",), ["b", "c"])),
        ("some", ("owner", "roles"), ("cmp", ("it",), "==", "b")),
        ("not", ("some", ("owner", "roles"), ("starts", ("it",), "b"))),
        ("has", ("owner", "roles")),
        ("const", True),
        ("const", False),
    ]
)
ROOTS = st.recursive(
    st.one_of(OTHERS, HOURS, CIDR, conditions([X, CLAIM], [], size=1), conditions([CLIENT, LENT], [], size=1)),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=2)),
    ),
    max_leaves=3,
)
SURROUNDINGS = st.recursive(
    st.one_of(HOURS, CIDR, MOMENT, ADDRESS),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=3,
)
WORLDS = {
    "one": chains(conditions([X], size=3), accesses=1),
    "two": chains(conditions([X, Y], size=2), accesses=2),
    "nested": chains(conditions([X, (*X, "k")], size=2), accesses=1),
    "lists": chains(conditions([X], [X], size=2), accesses=1),
    "deep-lists": chains(conditions([X, (*X, "k")], [X, (*X, "k")], size=1), accesses=1),
    "roots": chains(ROOTS, accesses=1, rows=1),
    "env": chains(SURROUNDINGS, accesses=2, rows=1),
}


def conditions_of(*sides):
    return [c for chain in sides for allows, denies in chain for c in (*allows, *denies)]


@pytest.mark.parametrize("world", WORLDS)
@given(data=st.data())
def test_a_difference_is_found_exactly_when_trying_everything_finds_one(world, data):
    old, new = data.draw(WORLDS[world]), data.draw(WORLDS[world])
    tool = data.draw(st.sampled_from([None, Tool(name="b", destructive=False, tags=("b",))]))
    found = difference(clauses_of(old), clauses_of(new), tool=tool, cap=ENOUGH)
    assert found.decided
    tried = [(permitted(old, ctx), permitted(new, ctx)) for ctx in everything(conditions_of(old, new), tool)]
    for witness, gains in ((found.widened, (False, True)), (found.narrowed, (True, False))):
        if witness is None:
            assert gains not in tried
        else:
            shown = context_of(witness, tool)
            assert (permitted(old, shown), permitted(new, shown)) == gains
    assert bool(found) is (found.widened is not None or found.narrowed is not None)


@pytest.mark.parametrize(
    "condition",
    [conditions([X], [X], size=3), conditions([X, (*X, "k")], [X, (*X, "k")], size=2), ROOTS, SURROUNDINGS],
    ids=["lists", "deep-lists", "roots", "env"],
)
@given(data=st.data(), want=st.sampled_from(Want))
def test_a_condition_can_judge_as_wanted_exactly_when_trying_everything_finds_it(condition, data, want):
    written = data.draw(condition)
    tried = {truth(written, scope_of(ctx)) for ctx in everything([written])}
    wanted = {"true": {True}, "false": {False}, "not true": {False, None}, "not false": {True, None}}[want.value]
    assert can_judge(parse(text_of(written)), want, tool=None, cap=ENOUGH) is bool(tried & wanted)


@given(data=st.data())
def test_the_answers_about_whole_conditions_are_those_of_trying_everything(data):
    a, b = (data.draw(conditions([X, CLAIM], [X], size=2)) for _ in range(2))
    one, other = parse(text_of(a)), parse(text_of(b))
    tried = [(truth(a, scope_of(ctx)), truth(b, scope_of(ctx))) for ctx in everything([a, b])]
    assert satisfiable(one, cap=ENOUGH) is any(left is True for left, _ in tried)
    assert never(one, cap=ENOUGH) is all(left is not True for left, _ in tried)
    assert always(one, cap=ENOUGH) is all(left is True for left, _ in tried)
    assert disjoint(one, other, cap=ENOUGH) is ((True, True) not in tried)
    allow, deny = frozenset((one,)), frozenset((other,))
    assert permits_some((Clauses(allow, deny),), cap=ENOUGH) is ((True, False) in tried)
    assert implied(Clauses(allow), Clauses(deny), cap=ENOUGH) is all(r is True for left, r in tried if left is True)


@given(data=st.data(), schema=PLAIN_SCHEMAS)
def test_with_a_schema_only_the_arguments_that_it_admits_make_a_difference(data, schema):
    written = conditions([X, (*X, "k")], [X], size=2)
    old, new = ([([data.draw(written)], data.draw(st.lists(written, max_size=1)))] for _ in range(2))
    arguments = valid_arguments([(*old[0], False), (*new[0], False)], schema)
    assume(arguments)
    found = difference(clauses_of(old), clauses_of(new), schema=schema, cap=ENOUGH)
    tried = [(permitted(old, ctx), permitted(new, ctx)) for ctx in (Context(args=args) for args in arguments)]
    assert (found.widened is not None) is ((False, True) in tried)
    assert (found.narrowed is not None) is ((True, False) in tried)


# --- laws ----------------------------------------------------------------------------------------

CHAINS = chains(conditions([X, CLAIM], [X], size=3))


@given(CHAINS, CHAINS, st.integers(0, 30))
def test_the_cap_only_ever_leaves_open(old, new, cap):
    old, new = clauses_of(old), clauses_of(new)
    little, much = difference(old, new, cap=cap), difference(old, new, cap=ENOUGH)
    assert much.decided
    assert (little == much) if little.decided else bool(little)
    for side in ("widened", "narrowed"):
        assert getattr(little, side) in (None, getattr(much, side))


@given(CHAINS, CHAINS)
def test_the_other_way_round_widened_is_narrowed(old, new):
    old, new = clauses_of(old), clauses_of(new)
    there, back = difference(old, new, cap=ENOUGH), difference(new, old, cap=ENOUGH)
    assert (there.widened, there.narrowed) == (back.narrowed, back.widened)
    assert difference(old, old) == Difference()


@given(CHAINS, conditions([X, CLAIM], [X], size=3))
def test_another_allow_never_narrows_and_another_deny_never_widens(chain, condition):
    old, extra = clauses_of(chain), parse(text_of(condition))
    first, rest = old[0], old[1:]
    allowed = (Clauses(first.allows | {extra}, first.denies), *rest)
    denied = (Clauses(first.allows, first.denies | {extra}), *rest)
    assert difference(old, allowed, cap=0).narrowed is None
    assert difference(old, denied, cap=0).widened is None


# --- worked examples -----------------------------------------------------------------------------


def chain(allows, denies=()):
    return (Clauses(frozenset(map(parse, allows)), frozenset(map(parse, denies))),)


SHORT = {"type": "string", "enum": ["a", "b"]}


@pytest.mark.parametrize(
    ("old", "new", "widened", "narrowed"),
    [
        (["args.x == 1"], ["args.x in [1, 2]"], {"args": {"x": 2}}, None),
        (["args.x > 1"], ["args.x >= 2"], None, {"args": {"x": 1.0000000000000002}}),
        (["args.x == 'a'"], ["args.x == 'a' or claims.y"], {"claims": {"y": True}, "args": {}}, None),
        (["args.x == 'a' or args.x != 'a'"], [""], {"args": {}}, None),
        ([""], ["hours(env.now, '08:00', '18:00')", "hours(env.now, '18:00', '08:00')"], None, None),
        ([""], ["hours(env.now, '18:30', '18:00')"], None, {"env": {"now": 18 * 60 * MINUTE, "offset": 0}}),
        (["cidr(env.address, '10.0.0.0/8')"], ["cidr(env.address, '10.0.0.0/9')", "cidr(env.address, '10.128.0.0/9')"], None, None),
        (
            ["cidr(env.address, '10.0.0.0/8')"],
            ["cidr(env.address, '10.0.0.0/9')"],
            None,
            {"env": {"address": "10.128.0.0"}},
        ),
        (["env.address == '10.0.0.1'"], ["cidr(env.address, '10.0.0.1/32')"], {"env": {"address": "::ffff:10.0.0.1"}}, None),
        (["cidr(env.address, '::/0')"], ["cidr(env.address, '::fffe:0:0/95')"], None, {"env": {"address": "::"}}),
        (["args.x.k == 1"], ["some(args.x, it == 1)"], {"args": {"x": [1]}}, {"args": {"x": {"k": 1}}}),
        ([""], ["some(args.x, it == 1) or not some(args.x, it == 1) or args.x.k == 1"], None, {"args": {}}),
        (["some(owner.roles, it == 'a') or not some(owner.roles, it == 'a')"], [""], {"owner": {}}, None),
        (["tool.name == 'b'"], ["tool.destructive"], {"tool": {"name": "", "destructive": True}}, {"tool": {"name": "b", "destructive": False}}),
    ],
)  # fmt: skip
def test_what_a_change_means_is_shown_by_a_context(old, new, widened, narrowed):
    assert difference(chain(old), chain(new), tool=None) == Difference(widened, narrowed)


def test_every_access_of_a_chain_has_to_permit():
    lent, kept = chain(["args.x in [1, 2]"]), chain(["args.x in [2, 3]"])
    assert difference((*lent, *kept), chain(["args.x == 2"])) == Difference()
    assert difference((*lent, *kept), lent).widened == {"args": {"x": 1}}
    assert difference((), lent).widened == {"args": {"x": 1}}
    assert difference(lent, ()).narrowed == {"args": {"x": 1}}
    assert difference((), ()) == Difference()
    assert not permits((), Context())
    assert permits_some(()) is False


def test_facts_of_a_given_tool_are_not_open():
    harmless = Tool(destructive=False)
    assert difference(chain([""]), chain([""], ["tool.destructive"]), tool=harmless) == Difference()
    assert difference(chain([""]), chain([""], ["tool.destructive"])).narrowed == {}
    assert always(parse("not tool.destructive"), tool=harmless) is True


def test_roles_of_an_owner_that_nobody_looked_up_are_unknown_and_not_missing():
    asked = parse("has(owner.roles)")
    assert [can_judge(asked, want) for want in (Want.TRUE, Want.FALSE, Want.NOT_TRUE)] == [True, False, True]


def test_nothing_stands_below_the_moment():
    assert [can_judge(parse("has(env.now.x)"), want) for want in (Want.TRUE, Want.FALSE, Want.NOT_TRUE)] == [
        False,
        False,
        True,
    ]


def test_a_schema_decides_what_can_be_asked_for():
    schema = {"type": "object", "properties": {"x": SHORT}, "required": ["x"]}
    assert always(parse("args.x in ['a', 'b']"), schema=schema) is True
    assert always(parse("args.x in ['a', 'b']")) is False
    assert never(parse("args.x == 'c'"), schema=schema) is True
    text = {"properties": {"x": {"type": "string"}}, "required": ["x"]}
    everything_but = difference(chain(["args.x == 'a' or args.x != 'a'"]), chain([""]), schema=text)
    assert everything_but.widened == {"args": {"x": "e\u0301"}}  # not in normal form: neither is nor is not 'a'


def test_how_an_address_is_spelled_within_a_network_is_not_decided():
    spelled = "starts(env.address, '10.') and not cidr(env.address, '10.0.0.0/8')"
    assert satisfiable(parse(spelled)) is None
    assert satisfiable(parse("env.address > 'a' and cidr(env.address, '10.0.0.0/8')")) is None
    assert satisfiable(parse("starts(env.address, '10.0.0.') and cidr(env.address, '10.0.0.0/8')")) is True
    assert satisfiable(parse("starts(env.address, '10.') and not starts(env.address, '10')")) is False


def test_beyond_the_cap_nothing_is_decided():
    many = " and ".join(f"args.x{i} == {i}" for i in range(30))
    other = parse(f"{many} and args.y != 1")
    assert difference(chain([f"{many} and args.z"]), chain([many]), cap=5) == Difference(decided=False)
    assert implied(Clauses(frozenset((other,))), Clauses(frozenset((parse(many),))), cap=5) is None
    assert (always(other, cap=5), never(other, cap=5), satisfiable(other, cap=5)) == (False, None, None)
    assert disjoint(other, parse("args.y == 1"), cap=5) is None
    assert bool(Difference(decided=False))


def test_a_witness_that_does_not_show_what_it_should_is_not_given():
    fickle = parse("has(args.x)")
    object.__setattr__(fickle.node, "judge", lambda _ctx: None)
    found = difference(chain(["args.y"]), (Clauses(frozenset((fickle,))),))
    assert (found.widened, found.decided) == (None, False)


@pytest.mark.parametrize(
    ("old", "new"), [(["args.x == 1"], ["args.x == 1"]), (["args.y", "args.x"], ["args.x", "args.y"])]
)
def test_what_is_the_same_takes_no_search(old, new):
    assert difference(chain(old), chain(new), cap=-1) == Difference()
    assert difference(chain(old), chain([*new, ""]), cap=-1).narrowed is None
    assert implied(*chain(old, ["args.z"]), *chain(new), cap=-1) is True
    assert implied(*chain(old, ["args.z", "args.w"]), *chain(new, ["args.w"]), cap=-1) is True
    one, other = chain(old), chain(["args.v"])
    assert difference((*one, *other), (*other, *one), cap=-1) == Difference()


@case("e\u0301")
@given(st.text(max_size=3))
def test_a_witness_is_a_context_with_what_was_asked_about(text):
    tool = context_of({"tool": {"name": text, "tags": ["a"]}, "owner": {"roles": ["b"]}, "args": {"x": text}}, None)
    assert tool == Context(args={"x": text}, tool=Tool(name=text, tags=("a",)), owner_roles=("b",))
