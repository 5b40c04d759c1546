"""Random small policies and questions, from pools so small that rows and questions meet often."""

from dataclasses import dataclass

from hypothesis import strategies as st

from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.terms import SYSTEM, Access, Context, Effect, Link, Place, Rule, Tool
from tests.policy.builders import ALICE, BOB, MODEL, NOW

MISSING = object()


def number(value, judge):
    return judge(value) if isinstance(value, int) else None


def text(value, judge):
    return judge(value) if isinstance(value, str) else None


def both(one, other):
    return False if False in (one, other) else None if None in (one, other) else True


def either(one, other):
    return True if True in (one, other) else None if None in (one, other) else False


def negated(one):
    return None if one is None else not one


CONDITIONS = {
    "": lambda a, c, t: True,
    "args.x == 1": lambda a, c, t: None if a("x") is MISSING else number(a("x"), lambda x: x == 1),
    "args.x > 1": lambda a, c, t: number(a("x"), lambda x: x > 1),
    "not (args.x > 1)": lambda a, c, t: negated(number(a("x"), lambda x: x > 1)),
    "args.y in ['p', 'q']": lambda a, c, t: text(a("y"), lambda y: y in ("p", "q")),
    "args.x == 2 or args.y == 'p'": lambda a, c, t: either(
        number(a("x"), lambda x: x == 2), text(a("y"), lambda y: y == "p")
    ),
    "args.x >= 1 and claims.mfa": lambda a, c, t: both(number(a("x"), lambda x: x >= 1), c.get("mfa")),
    "claims.mfa": lambda a, c, t: c.get("mfa"),
    "not tool.destructive": lambda a, c, t: not t.destructive,
}
"""Each condition with what it means, written down a second time: from arguments, claims and tool."""

ARGUMENTS = [
    {key: value for key, value in (("x", x), ("y", y)) if value is not MISSING}
    for x in (MISSING, 0, 1, 2, 3, "1")
    for y in (MISSING, "p", "q", "r", 1)
]
"""A representative of every class of arguments that the conditions can tell apart."""

END, SERVER = "end:s1/42", "server:s1"
SUBJECTS = (ALICE, BOB, END, SERVER)
ROLES = ("role:a", "role:b", "role:c")
GROUPS = ("group:g/one", "group:g/two")
DOMAINS = ("main", "s1")
PATTERNS = ("a/x", "a/x", "a/y", "a/*", "a/*", "*", "*", "b/x", "gateway/users", "gateway/*", "custom/*")
OBJECTS = ("a/x", "a/y", "b/x", "gateway/users", "custom/x")
ACTIONS = ("read", "read", "write", "write", "inspect", "manage", "share", "connect", "rate:high")
LADDERS = (("read", "write"), ("inspect", "revoke", "manage"))
CLAIMS = ({"mfa": True}, {"mfa": True}, {"mfa": False}, {})


@dataclass(frozen=True)
class World:
    rules: tuple[Rule, ...]
    links: tuple[Link, ...]

    def policy(self, split: int = 0) -> Policy:
        """The policy with all links and the rules but the last ``split`` in the bundle, and the rest as grants."""
        cut = len(self.rules) - min(split, len(self.rules))
        return Policy.build(Bundle(MODEL, self.rules[:cut], self.links), self.rules[cut:], "1.0")


def rules(effects=(Effect.ALLOW, Effect.ALLOW, Effect.DENY)):
    return st.builds(
        lambda effect, action, **columns: Rule(
            action="read" if action == "*" and effect is Effect.ALLOW else action, effect=effect, **columns
        ),
        subject=st.sampled_from((ALICE, ALICE, END, *ROLES, *GROUPS, "*", "*", "user:*", "end:s1/*")),
        domain=st.sampled_from(("main", "s1", "*", "*")),
        owner=st.sampled_from(("self", "self", "*", "*", ALICE, SYSTEM)),
        object=st.sampled_from(PATTERNS),
        action=st.sampled_from((*ACTIONS, "revoke", "*")),
        when=st.sampled_from(("", "", "", *CONDITIONS)),
        effect=st.sampled_from(effects),
        place=st.just(Place("rules.csv")),
        expires=st.sampled_from((None, None, None, NOW)),
    )


def links():
    return st.builds(
        Link,
        member=st.sampled_from((ALICE, ALICE, BOB, *ROLES, *GROUPS)),
        role=st.sampled_from(ROLES),
        domain=st.sampled_from(("main", "s1", "*", "*")),
        place=st.just(Place("roles.csv")),
        expires=st.sampled_from((None, None, NOW)),
    )


def worlds():
    return st.builds(
        World,
        st.lists(rules(), min_size=3, max_size=7).map(tuple),
        st.lists(links(), min_size=2, max_size=6).map(tuple),
    )


@st.composite
def questions(draw, world: World, arguments) -> Access:
    """A question that one rule of ``world`` was made for, but for the columns in which it misses."""
    rule = draw(st.sampled_from(world.rules))
    missed = draw(st.sampled_from(("", "", "", "", "subject", "domain", "owner", "object", "action")))

    def column(name, fitting, others):
        return draw(st.sampled_from(others if name == missed or not fitting else fitting))

    crowds = {"*": (ALICE, END, SERVER), "user:*": (ALICE, BOB), "end:s1/*": (END,)}
    subject = column(
        "subject", crowds.get(rule.subject, (rule.subject,) if rule.subject in SUBJECTS else (ALICE, BOB)), SUBJECTS
    )
    domain = column("domain", DOMAINS if rule.domain == "*" else (rule.domain,), DOMAINS)
    owners = {"*": (subject, ALICE, SYSTEM), "self": (subject,)}
    owner = column("owner", owners.get(rule.owner, (rule.owner,)), (subject, ALICE, SYSTEM))
    begin = rule.object.removesuffix("*")
    object = column("object", tuple(each for each in OBJECTS if each.startswith(begin)), OBJECTS)
    steps = next((ladder for ladder in LADDERS if rule.action in ladder), (rule.action,))
    action = column("action", ACTIONS if rule.action == "*" else (rule.action, *steps), ACTIONS)
    return Access(subject, domain, owner, object, action, draw(contexts(arguments)))


def contexts(arguments):
    return st.builds(
        lambda args, claims, groups, destructive, now: Context(
            args=args,
            claims=claims,
            groups=groups,
            tool=Tool(destructive=destructive),
            env={} if now is None else {"now": now},
        ),
        arguments,
        st.sampled_from(CLAIMS),
        st.sampled_from((frozenset(), frozenset(GROUPS), None)),
        st.booleans(),
        st.sampled_from((NOW - 1, NOW, None)),
    )


@st.composite
def cases(draw) -> tuple[World, list[Access]]:
    """A world and questions about it."""
    world = draw(worlds())
    return world, draw(st.lists(questions(world, st.sampled_from(ARGUMENTS)), min_size=6, max_size=10))


@st.composite
def listings(draw) -> tuple[World, tuple[Access, ...]]:
    """A world and a chain of questions that share their unknown arguments."""
    world = draw(worlds())
    return world, tuple(draw(st.lists(questions(world, st.none()), min_size=1, max_size=2)))
