"""Conditions as plain tuples, with a writer, an interpreter and generators that share nothing with the product.

("const", bool)  ("not", c)  ("and", [c, …])  ("or", [c, …])
("cmp", path, op, value)  ("in", path, [value, …])  ("has", path)  ("bare", path)
("starts", path, text)  ("ends", path, text)  ("every", path, c)  ("some", path, c)
("hours", minute, minute)  ("cidr", text)
"""

import ipaddress
import json
import math
import unicodedata
from itertools import combinations, product
from types import SimpleNamespace

from hypothesis import strategies as st

from gateway.policy.terms import Context, Tool

GONE, NOBODY_KNOWS = SimpleNamespace(), SimpleNamespace()

TEXTS = ["b", "c", "bb", "bc", "cb"]
NUMBERS = [-1, 0, 1, 1.5, 2]
CONSTANTS = [*TEXTS, *NUMBERS, 1.0, True, False, None]
ODD_VALUES = [
    math.nan,
    math.inf,
    "e\u0301",
    "\ud800",
    {"k": "b"},
    {},
    [],
    ["b", 1],
    [{"k": "b"}, {"k": 1}, {}],
    10**400,
]


# --- the reference interpreter -------------------------------------------------------------------


def lookup(scope, path):
    """``scope`` maps roots to values; the root ``args`` may be ``None`` (unknown)."""
    value = scope[path[0]]
    if path[0] == "args" and value is None:
        return NOBODY_KNOWS
    for key in path[1:]:
        if value is GONE or value is NOBODY_KNOWS:
            return value
        if not isinstance(value, dict):
            return NOBODY_KNOWS
        value = value.get(key, GONE)
    return value


def sort_of(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return "number"
    if isinstance(value, str):
        surrogate = any(0xD800 <= ord(sign) <= 0xDFFF for sign in value)
        return "text" if not surrogate and unicodedata.normalize("NFC", value) == value else "bad"
    return "other"


COMPARED = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def compared(actual, op, constant):
    if actual is GONE or actual is NOBODY_KNOWS:
        return None
    if constant is None:
        return (actual is None) == (op == "==")
    return COMPARED[op](actual, constant) if sort_of(actual) == sort_of(constant) else None


def kleene(answers, decisive):
    answers = list(answers)
    if decisive in answers:
        return decisive
    return None if None in answers else not decisive


def truth(c, scope):
    """True, False or None, straight from the definition."""
    kind, *rest = c
    if kind == "const":
        return rest[0]
    if kind == "not":
        inner = truth(rest[0], scope)
        return None if inner is None else not inner
    if kind in ("and", "or"):
        return kleene((truth(part, scope) for part in rest[0]), decisive=kind == "or")
    if kind == "hours":
        now, offset = scope["env"].get("now"), scope["env"].get("offset")
        if type(now) is not int or type(offset) is not int:
            return None
        minute, (start, end) = (now // 60_000 + offset) % 1440, rest
        return start <= minute < end if start < end else not end <= minute < start
    if kind == "cidr":
        try:
            return ipaddress.ip_address(scope["env"].get("address")) in ipaddress.ip_network(rest[0])
        except ValueError:
            return None
    actual = lookup(scope, rest[0])
    if kind == "has":
        return None if actual is NOBODY_KNOWS else actual is not GONE
    if kind == "bare":
        return compared(actual, "==", True)
    if kind == "cmp":
        return compared(actual, rest[1], rest[2])
    if kind == "in":
        same = [one for one in rest[1] if sort_of(one) == sort_of(actual)]
        return any(one == actual for one in same) if same else None
    if kind in ("starts", "ends"):
        if sort_of(actual) != "text":
            return None
        return actual[: len(rest[1])] == rest[1] if kind == "starts" else actual[-len(rest[1]) :] == rest[1]
    if not isinstance(actual, list | tuple):
        return None
    return kleene((truth(rest[1], {"it": element}) for element in actual), decisive=kind == "some")


def scope_of(ctx):
    return {
        "args": ctx.args,
        "claims": ctx.claims,
        "client": ctx.client,
        "connection": ctx.connection,
        "env": ctx.env,
        "owner": {"roles": NOBODY_KNOWS if ctx.owner_roles is None else list(ctx.owner_roles)},
        "tool": {"destructive": ctx.tool.destructive, "name": ctx.tool.name, "tags": list(ctx.tool.tags)},
    }


# --- the writer ----------------------------------------------------------------------------------


def literal(value):
    return json.dumps(value, ensure_ascii=True) if not isinstance(value, str) else f'"{value}"'


def text_of(c):
    kind, *rest = c
    if kind == "const":
        return literal(rest[0])
    if kind == "not":
        return f"not ({text_of(rest[0])})"
    if kind in ("and", "or"):
        return f" {kind} ".join(f"({text_of(part)})" for part in rest[0])
    if kind == "hours":
        return "hours(env.now, " + ", ".join(f"'{each // 60:02}:{each % 60:02}'" for each in rest) + ")"
    if kind == "cidr":
        return f"cidr(env.address, '{rest[0]}')"
    path = ".".join(rest[0])
    if kind == "bare":
        return path
    if kind == "cmp":
        return f"{path} {rest[1]} {literal(rest[2])}"
    if kind == "in":
        return f"{path} in [{', '.join(map(literal, rest[1]))}]"
    if kind == "has":
        return f"has({path})"
    return f"{kind}({path}, {text_of(rest[1]) if kind in ('every', 'some') else literal(rest[1])})"


# --- generators ----------------------------------------------------------------------------------


@st.composite
def atoms(draw, paths, lists):
    """One predicate on a field of ``paths``, or one that looks into a list of ``lists``."""
    if lists and draw(st.integers(0, 2)) == 0:
        body = conditions([("it",), ("it", "k")], [], size=2)
        return (draw(st.sampled_from(["every", "some"])), draw(st.sampled_from(lists)), draw(body))
    path = draw(st.sampled_from(paths))
    kind = draw(st.sampled_from(["cmp", "cmp", "in", "has", "bare", "starts", "ends"]))
    if kind == "cmp":
        constant = draw(st.sampled_from(CONSTANTS))
        ordered = isinstance(constant, str) or (isinstance(constant, int | float) and not isinstance(constant, bool))
        return (kind, path, draw(st.sampled_from(list(COMPARED) if ordered else ["==", "!="])), constant)
    if kind == "in":
        return (kind, path, draw(st.lists(st.sampled_from(CONSTANTS[:-1]), min_size=1, max_size=3)))
    return (kind, path, draw(st.sampled_from(TEXTS))) if kind in ("starts", "ends") else (kind, path)


def conditions(paths, lists=(), *, size=4, known=None):
    """Conditions of at most ``size`` leaves over the fields; ``known`` are further leaves."""
    leaves = atoms(paths, list(lists))
    if known is not None:
        leaves = st.one_of(leaves, known)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(st.just("not"), inner),
            st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
        ),
        max_leaves=size,
    )


KNOWN = st.one_of(
    st.sampled_from(
        [
            ("const", True),
            ("const", False),
            ("bare", ("tool", "destructive")),
            ("cmp", ("tool", "name"), "==", "b"),
            ("some", ("tool", "tags"), ("cmp", ("it",), "==", "b")),
            ("every", ("owner", "roles"), ("in", ("it",), ["b", "c"])),
            ("cidr", "10.0.0.0/8"),
            ("cidr", "2001:db8::/32"),
        ]
    ),
    st.tuples(st.just("hours"), st.integers(0, 700), st.integers(701, 1440)),
    st.tuples(st.just("hours"), st.integers(701, 1439), st.integers(0, 700)),
    atoms([("claims", "amr"), ("claims", "org", "k")], [("claims", "groups")]),
)

ANY_CONDITION = conditions(
    [("args", "x"), ("args", "y"), ("args", "y", "k")], [("args", "x"), ("args", "y", "l")], size=6, known=KNOWN
)

VALUES = st.recursive(
    st.sampled_from([*CONSTANTS, *ODD_VALUES]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["k", "l", "j"]), inner, max_size=3)
    ),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(st.sampled_from(["x", "y"]), VALUES, max_size=2)

CONTEXTS = st.builds(
    lambda args, claims, roles, destructive, name, tags, now, offset, address: Context(
        args=args,
        claims=claims,
        owner_roles=tuple(roles),
        tool=Tool(name=name, destructive=destructive, tags=tuple(tags)),
        env={"now": now, "offset": offset, "address": address},
    ),
    args=st.one_of(st.none(), ARGUMENTS),
    claims=st.dictionaries(st.sampled_from(["amr", "org", "groups"]), VALUES, max_size=2),
    roles=st.lists(st.sampled_from(["b", "c", "d"]), max_size=2),
    destructive=st.booleans(),
    name=st.sampled_from(["b", "c"]),
    tags=st.lists(st.sampled_from(["b", "c"]), max_size=2),
    now=st.integers(0, 2_000_000_000_000),
    offset=st.integers(-720, 840),
    address=st.sampled_from(["10.1.2.3", "11.0.0.1", "2001:db8::7", "::1", "010.0.0.1", "nonsense", ""]),
)


# --- a dense universe of arguments ---------------------------------------------------------------

DENSE_TEXTS = ["".join(signs) for length in range(6) for signs in product("abcd", repeat=length)]
"""Every text of at most five signs, the constants being made of at most two of `b` and `c`."""

DENSE_NUMBERS = [each / 4 for each in range(-8, 13)]
LEAVES = [None, True, False, *DENSE_NUMBERS, *DENSE_TEXTS, "e\u0301"]


def asked(c):
    """The predicates of a condition."""
    if c[0] == "not":
        return asked(c[1])
    if c[0] in ("and", "or"):
        return [one for part in c[1] for one in asked(part)]
    return [] if c[0] == "const" else [c]


def rooted(predicate, depth):
    """The predicate asked of the value that stands ``depth`` steps below the root of its field."""
    return (predicate[0], ("it", *predicate[1][depth:]), *predicate[2:])


def worlds(predicates, keys=(), tag=lambda value: ()):
    """Values that show every way in which some value can answer the predicates, whose root is ``it``.

    Objects have the members that predicates ask about and those of ``keys``; values with unequal ``tag`` are
    kept apart.
    """
    below, here = {key: [] for key in keys}, []
    for one in predicates:
        if len(one[1]) > 1:
            below.setdefault(one[1][1], []).append(rooted(one, 2))
        elif one[0] in ("every", "some"):
            here.append(one)
    members = [[(key, value) for value in (GONE, *worlds(inner, tag=tag))] for key, inner in below.items()]
    objects = [{key: value for key, value in chosen if value is not GONE} for chosen in product(*members)]
    elements = worlds([each for one in here for each in asked(one[2])], tag=tag) if here else []
    lists = [list(some) for size in range(min(len(here), 3) + 1) for some in combinations(elements, size)]
    seen = {}
    for at, value in enumerate(LEAVES):
        seen.setdefault((*(leaf_answers(one)[at] for one in predicates), *tag(value)), value)
    for value in [*objects, *lists]:
        seen.setdefault((*(truth(one, {"it": value}) for one in predicates), *tag(value)), value)
    return list(seen.values())


LEAF_ANSWERS = {}


def leaf_answers(predicate):
    """What each of ``LEAVES`` answers to a predicate; remembered, because few predicates are asked often."""
    key = repr(predicate)
    if key not in LEAF_ANSWERS:
        LEAF_ANSWERS[key] = [truth(predicate, {"it": value}) for value in LEAVES]
    return LEAF_ANSWERS[key]


def predicates_on(whole, name):
    """What the conditions ask of one argument, as asked of its value."""
    return [rooted(one, 2) for c in whole for one in asked(c) if one[1][1] == name]


def all_arguments(whole):
    """Arguments that show every way in which the conditions can be answered together."""
    names = sorted({one[1][1] for c in whole for one in asked(c)})
    columns = [[(name, value) for value in (GONE, *worlds(predicates_on(whole, name)))] for name in names]
    for chosen in product(*columns):
        yield {name: value for name, value in chosen if value is not GONE}
