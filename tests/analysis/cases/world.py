"""Short ways to run tests of a policy in a test, and the questions of a small world asked one by one."""

from collections.abc import Iterator
from itertools import product

from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.analysis.cases import Cases, Result, Results, read_cases, run
from gateway.analysis.inventory import Inventory
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.terms import MAIN, SYSTEM, Access, Chain, Context, Effect, Link, Place, Rule, Tool
from tests.policy.builders import ALICE, BOB, MODEL, NOW, policy

FILE = "tests/a.yaml"
END, SERVER = "end:s1/42", "server:s1"
ROLES = ("role:a", "role:b", "role:c")
GROUPS = ("group:g/one", "group:g/two")
CONDITIONS = (
    *("args.x == 1", "args.x > 1", "not (args.x > 1)", "args.x == 2 or args.y == 'p'", "args.y in ['p', 'q']"),
    *("claims.mfa", "args.x >= 1 and claims.mfa", "not tool.destructive"),
)
ARGUMENTS = [
    {key: value for key, value in (("x", x), ("y", y)) if value is not None}
    for x in (None, 0, 1, 2, 3, "1")
    for y in (None, "p", "q", "r", 1)
]
"""A representative of every class of arguments that the conditions can tell apart."""
CLAIMS = ({}, {"mfa": True}, {"mfa": False})
LENDING = ("read", "write", "connect")
STRANGERS = ("user:stranger@example.com", "end:s1/stranger", "end:s2/stranger", "server:stranger")
HOLDERS = {f"user:of-{role[5:]}@example.com": role for role in ROLES}
IN_GROUP = {f"user:in-{group[8:]}@example.com": group for group in GROUPS}


def cases(text: str) -> Cases:
    found = read_cases({FILE: text})
    assert isinstance(found, Cases), [str(problem) for problem in found]
    return found


def results(asked: str | Policy, text: str, inventory: Inventory | None = None, now: int = NOW) -> Results:
    return run(policy(asked) if isinstance(asked, str) else asked, cases(text), inventory or Inventory(), now=now)


def one(asked: str | Policy, text: str, inventory: Inventory | None = None, now: int = NOW) -> Result:
    (result,) = results(asked, text, inventory, now).results
    return result


def told(asked: str | Policy, text: str, inventory: Inventory | None = None, now: int = NOW) -> list[str]:
    """What the one test of ``text`` says; nothing when it passed."""
    result = one(asked, text, inventory, now)
    assert result.passed is not bool(result.failures)
    return [str(failure) for failure in result.failures]


def _rules():
    subjects = (ALICE, ALICE, BOB, END, SERVER, *ROLES, *ROLES, *GROUPS, "*", "user:*", "end:s1/*")
    return st.builds(
        lambda effect, action, owner, thing, **columns: Rule(
            owner="self" if owner == "*" and effect is Effect.ALLOW and action in LENDING else owner,
            object="custom/*" if action == "manage" else thing,
            action=action,
            effect=effect,
            **columns,
        ),
        subject=st.sampled_from(subjects),
        domain=st.sampled_from(("main", "s1", "*", "*")),
        owner=st.sampled_from(("self", "self", "self", "*", ALICE, SYSTEM)),
        thing=st.sampled_from(("a/x", "a/y", "a/*", "a/*", "*", "b/x")),
        action=st.sampled_from(("read", "write", "write", "manage")),
        when=st.sampled_from(("", "", "", *CONDITIONS)),
        effect=st.sampled_from((Effect.ALLOW, Effect.ALLOW, Effect.DENY)),
        place=st.just(Place("rules.csv")),
        expires=st.sampled_from((None, None, None, NOW)),
    )


def _links():
    return st.builds(
        Link,
        member=st.sampled_from((ALICE, BOB, SERVER, *ROLES, *GROUPS)),
        role=st.sampled_from(ROLES),
        domain=st.sampled_from(("main", "s1", "*", "*")),
        place=st.just(Place("roles.csv")),
        expires=st.sampled_from((None, None, NOW)),
    )


def worlds():
    """Small policies, the last row of each a grant; every row has a place of its own."""
    return st.builds(_world, st.lists(_rules(), min_size=2, max_size=7), st.lists(_links(), max_size=5))


def _world(rules: list[Rule], links: list[Link]) -> Policy:
    placed = [replace(rule, place=Place("rules.csv", line)) for line, rule in enumerate(rules, start=1)]
    grant = replace(placed[-1], place=Place("grant:1"))
    return Policy.build(Bundle(MODEL, tuple(placed[:-1]), tuple(links)), (grant,), "1.0")


def peopled(asked: Policy) -> Policy:
    """The policy with somebody new in each role of the small world."""
    links = [Link(name, role, "*", Place("test")) for name, role in HOLDERS.items()]
    return asked.with_grants(
        (*asked.rules[4 + len(asked.bundle.rules) :], *asked.links[len(asked.bundle.links) :], *links), ""
    )


def everybody(whom: str) -> list[str]:
    """Whom a name of the small world may cover: himself, or whoever is found under it."""
    if whom in (ALICE, BOB, END, SERVER):
        return [whom]
    return [ALICE, BOB, END, SERVER, *STRANGERS, *HOLDERS, *IN_GROUP]


def groups_of(name: str) -> frozenset[str]:
    return frozenset({IN_GROUP[name]} if name in IN_GROUP else ())


def calls(asked: str, domain: str, owner: str, object: str, action: str) -> Iterator[Chain]:
    """Every call that the conditions of the small world can tell apart, before and after rows end in it."""
    whose = asked if owner == "self" else owner
    for args, claims, destructive, now in product(ARGUMENTS, CLAIMS, (True, False), (NOW - 1, NOW + 1)):
        env = {"now": now, "offset": 0, "address": ""}
        tool = Tool(destructive=destructive)
        context = Context(args=args, claims=claims, groups=groups_of(asked), tool=tool, env=env, owner_roles=())
        first = Access(asked, domain, whose, object, action, context)
        if action not in LENDING or whose in (asked, SYSTEM):
            yield (first,)
        else:
            lender = Context(args=args, groups=None, tool=tool, env=env)
            yield first, Access(whose, MAIN, whose, object, action, lender)
