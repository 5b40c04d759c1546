"""The great table of rights by brute force: every cell asked of the reference model, in every context that counts.

It shares the list of cells with the product, and nothing else.
"""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.analysis.cells import OTHERS, SELF, Cells
from gateway.analysis.inventory import Inventory, Thing
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.terms import MAIN, SYSTEM, Access, Context, Effect, Link, Place, Rule, Subject, Tool
from tests.policy import reference
from tests.policy.builders import ALICE, BOB, MODEL, NOW

END, SERVER = "end:s1/42", "server:s1"
STRANGER, ELSE = "user:stranger@example.com", "user:else@example.com"
FRESH = {"user:*": STRANGER, "end:*": "end:far/1", "end:s1/*": "end:s1/stranger", "server:*": "server:far"}
ROLES = ("role:a", "role:b", "role:c")
GROUPS = ("group:g/one", "group:g/two")
LATER = NOW + 1_000
MOMENTS = (NOW, LATER)

X, Y, MFA = ("args", "x"), ("args", "y"), ("bare", ("claims", "mfa"))
MEANING = {
    "": ("const", True),
    "args.x == 1": ("cmp", X, "==", 1),
    "args.x > 1": ("cmp", X, ">", 1),
    "not (args.x > 1)": ("not", ("cmp", X, ">", 1)),
    "args.x >= 1 and args.y == 'p'": ("and", [("cmp", X, ">=", 1), ("cmp", Y, "==", "p")]),
    "claims.mfa": MFA,
    "not claims.mfa": ("not", MFA),
    "not tool.destructive": ("not", ("bare", ("tool", "destructive"))),
    "some(owner.roles, it == 'admin')": ("some", ("owner", "roles"), ("cmp", ("it",), "==", "admin")),
}
CONTEXTS = tuple(
    Context(args=args, claims=claims, owner_roles=roles)
    for args, claims, roles in product(
        [{**x, **y} for x in ({}, {"x": 0}, {"x": 1}, {"x": 2}) for y in ({}, {"y": "p"}, {"y": "r"})],
        ({}, {"mfa": True}, {"mfa": False}),
        (None, (), ("admin",)),
    )
)
"""One context for each that the conditions can tell apart."""

GOOD = Tool(connector="a", name="x", destructive=False)
THINGS = (Thing("a/x", "read", GOOD), Thing("a/y", "write", Tool("a", "y")), Thing("b/x", "write", GOOD))


def inventory(*groups) -> Inventory:
    """Alice, Bob and an end user, who come with these groups, and about the same things on two servers."""
    subjects = tuple(Subject(name, groups=each) for name, each in zip((ALICE, BOB, END), groups, strict=False))
    return Inventory(subjects, {MAIN: THINGS, "s1": THINGS[:2]})


class World(NamedTuple):
    rules: tuple[Rule, ...]
    links: tuple[Link, ...]

    def policy(self, version: str = "1.0") -> Policy:
        return Policy.build(Bundle(MODEL, self.rules, self.links), (), version)


def rules():
    columns = {
        "subject": (ALICE, ALICE, BOB, END, *ROLES, *ROLES, *GROUPS, "*", "user:*", "end:s1/*"),
        "domain": (MAIN, MAIN, "s1", "*", "*"),
        "owner": ("self", "self", "self", "*", ALICE, BOB, SYSTEM),
        "object": ("a/x", "a/*", "a/*", "*", "*", "b/x", "a", "gateway/users", "gateway/*", "custom/*", "custom/x"),
        "action": (
            "read",
            "write",
            "write",
            "write",
            "inspect",
            "manage",
            "share",
            "connect",
            "act-as",
            "rate:high",
            "*",
        ),
        "when": ("", "", "", *MEANING),
        "effect": (Effect.ALLOW, Effect.ALLOW, Effect.ALLOW, Effect.DENY),
        "expires": (None, None, None, None, LATER, NOW),
    }
    drawn = {name: st.sampled_from(values) for name, values in columns.items()}
    return st.builds(Rule, place=st.just(Place("rules.csv")), **drawn)


def links():
    return st.builds(
        Link,
        member=st.sampled_from((ALICE, ALICE, BOB, *ROLES, *GROUPS)),
        role=st.sampled_from(ROLES),
        domain=st.sampled_from((MAIN, "s1", "*", "*")),
        place=st.just(Place("roles.csv")),
        expires=st.sampled_from((None, None, None, LATER, NOW)),
    )


def worlds():
    return st.builds(
        World,
        st.lists(rules(), min_size=3, max_size=8).map(tuple),
        st.lists(links(), min_size=2, max_size=6).map(tuple),
    )


EDITS = {
    "drop": lambda row, other: (),
    "add": lambda row, other: (row, other),
    "reword": lambda row, other: (replace(row, when=other.when) if isinstance(row, Rule) else other,),
    "prolong": lambda row, other: (replace(row, expires=None if row.expires else LATER),),
    "turn": lambda row, other: (
        replace(row, effect=Effect.DENY if row.effect is Effect.ALLOW else Effect.ALLOW)
        if isinstance(row, Rule)
        else other,
    ),
}


@st.composite
def pairs(draw):
    """Two worlds, one after some edits of the other."""
    old = draw(worlds())
    sides = [list(old.rules), list(old.links)]
    for _ in range(draw(st.integers(1, 3))):
        which = draw(st.sampled_from((0, 0, 1)))
        rows, other = sides[which], draw((rules(), links())[which])
        if rows:
            at = draw(st.integers(0, len(rows) - 1))
            rows[at : at + 1] = EDITS[draw(st.sampled_from(sorted(EDITS)))](rows[at], other)
    return old, World(tuple(sides[0]), tuple(sides[1]))


def known_groups():
    some = (frozenset(), frozenset(), frozenset(GROUPS[:1]), frozenset(GROUPS), None)
    return st.tuples(*(st.sampled_from(some),) * 3)


@dataclass(frozen=True)
class Asker:
    """A party as the reference model knows it."""

    name: str
    groups: frozenset | None = frozenset()
    links: tuple[Link, ...] = ()

    @classmethod
    def of(cls, party: str, subjects: dict) -> "Asker":
        if party in FRESH:
            return cls(FRESH[party])
        if party.startswith("role:"):
            return cls(STRANGER, links=(Link(STRANGER, party, "*", Place("x")),))
        if party.startswith("group:"):
            return cls(STRANGER, groups=frozenset((party,)))
        return cls(party, subjects[party].groups if party in subjects else frozenset())


def table(worlds_, inventory: Inventory, parties, cells: Cells):
    """The outcome of every cell in each world: for each moment and context, yes or no."""
    subjects = {subject.name: subject for subject in inventory.subjects}
    askers = {party: Asker.of(party, subjects) for party in parties}
    for domain in cells.domains:
        for point in cells.points(domain):
            speaking = [[rule for rule in world.rules if matches(rule, domain, point)] for world in worlds_]
            if any(speaking):
                for owner in point.owners(rule.owner for rules in speaking for rule in rules):
                    for party, asker in askers.items():
                        if owner != party:
                            both = zip(worlds_, speaking, strict=True)
                            cell = (party, domain, owner, point.object, point.action)
                            yield cell, [outcomes(world, rules, asker, domain, point, owner) for world, rules in both]


def matches(rule, domain, point) -> bool:
    """Whether a rule speaks of a point at all."""
    deny = rule.effect == "deny"
    return (
        reference.lives(rule.expires, NOW, deny=deny)
        and reference.domain_matches(domain, rule.domain)
        and reference.object_matches(point.asked, rule.object, deny=deny)
        and reference.action_matches(point.action, rule.action, deny=deny)
    )


def outcomes(world: World, rules, asker: Asker, domain, point, owner: str) -> list[bool]:
    whose = {SELF: asker.name, OTHERS: ELSE}.get(owner, owner)
    links = (*world.links, *asker.links)
    chain = [Access(asker.name, domain, whose, point.asked, point.action, Context(groups=asker.groups))]
    if point.lends and owner not in (SELF, SYSTEM, OTHERS):
        chain.append(Access(owner, MAIN, owner, point.asked, point.action, Context(groups=None)))
    return [outcome for now in MOMENTS for outcome in at_moment(world, rules, links, chain, point.tool, now)]


def at_moment(world: World, rules, links, chain, tool, now):
    env = {"now": now, "offset": 0, "address": "192.0.2.1"}
    first, *lenders = (replace(each, context=replace(each.context, env=env, tool=tool)) for each in chain)
    own = reference.spoken([*rules, *groups_of(world)], links, first)
    lent = [reference.spoken(world.rules, links, each) for each in lenders]
    if not (own and all(lent) and reference.may_be(first)):
        return [False] * len(CONTEXTS)
    return [
        reference.verdict(own, his(first.context, context), MEANING)
        and all(
            reference.verdict(rows, replace(each.context, args=context.args), MEANING)
            for rows, each in zip(lent, lenders, strict=True)
        )
        for context in CONTEXTS
    ]


def his(known: Context, context: Context) -> Context:
    return replace(known, args=context.args, claims=context.claims, owner_roles=context.owner_roles)


def groups_of(world: World) -> list[Rule]:
    """Rows that never speak, so that the groups of all rows are known where only some are looked at."""
    named = {rule.subject for rule in world.rules if rule.subject.startswith("group:")}
    return [Rule(name, "nowhere", "self", "a/x", "read", "", Effect.ALLOW, Place("x")) for name in sorted(named)]
