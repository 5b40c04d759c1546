"""Random small policies and questions.

Rows are made for a question and then miss it in a column or two; questions are made for a row, or are the last
question with one field changed: so what decides is often one column, and what was remembered is often wrong.
A row, a link or a question is made from one string of bytes, because a draw costs more than all else here.
"""

from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.rows import rule_sentences
from gateway.policy.terms import SYSTEM, Access, Chain, Context, Decision, Effect, Link, Place, Reason, Rule, Tool
from tests.policy import reference
from tests.policy.builders import ALICE, BOB, MODEL, NOW
from tests.policy.pools import (
    ACTIONS,
    ADDRESSES,
    AIMS,
    CLAIMS,
    CLIENTS,
    CONNECTIONS,
    DEEP,
    DOMAINS,
    END,
    EXPIRIES,
    GROUPS,
    KNOWN_GROUPS,
    LATER,
    LIMITS,
    LISTED_WHENS,
    MANY,
    MEANING,
    MOMENTS,
    OBJECTS,
    OWNER_ROLES,
    OWNERS,
    PATTERNS,
    ROLES,
    SUBJECTS,
    TOOLS,
    WHENS,
    Picks,
)


def cut(drawn: bytes, size: int) -> list[bytes]:
    return [drawn[at : at + size] for at in range(0, len(drawn), size)]


def drawn_bytes(size: int):
    return st.binary(min_size=size, max_size=size)


AIM, ROW, LINK, ASKED, TALK = 24, 12, 6, 20, 56
"""Bytes that make the aim of a world, a row, a link, a question, and a question with a dozen more like it."""

ROWS, LINKS, TALKS = 8, 6, 6
"""So many at most."""


def more(times: int):
    """For a property that has much to find: in CI so many times the examples that others have."""
    return settings(max_examples=max(60 * times, settings().max_examples))


class Raised(AssertionError):
    """Deciding failed, where all that is asked can be decided."""


def answer(policy: Policy, *chain: Access) -> Decision:
    decision = policy.decide(chain)
    if decision.reason is Reason.FAULT:
        raise Raised(chain)
    return decision


@dataclass(frozen=True)
class World:
    """What a policy says, and what that means."""

    rules: tuple[Rule, ...]
    links: tuple[Link, ...]
    groups: tuple = KNOWN_GROUPS
    """One of these are the groups of who asks."""

    def bundle(self) -> Bundle:
        return Bundle(MODEL, self.rules, self.links, LIMITS)

    def policy(self, split: int = 0, version: str = "1.0") -> Policy:
        """The last ``split`` rules and links are grants, the rest is the bundle."""
        here, there = self.cut(split)
        return Policy.build(here.bundle(), (*there.rules, *there.links), version)

    def for_files(self) -> "World":
        """Of its rows those that files and grants may hold; what the reader refuses is tested elsewhere."""
        rules = tuple(row for row in self.rules if not rule_sentences(row_values(row)))
        return World(rules, self.links, self.groups)

    def cut(self, split: int) -> tuple["World", "World"]:
        rules, links = max(0, len(self.rules) - split), max(0, len(self.links) - split)
        return World(self.rules[:rules], self.links[:links]), World(self.rules[rules:], self.links[links:])

    def allows(self, access: Access) -> bool:
        return reference.allowed(self.rules, self.links, access, MEANING)

    def allows_all(self, chain: Chain) -> bool:
        return reference.chain_allowed(self.rules, self.links, chain, MEANING)

    def allows_some_call(self, chain: Chain, universe) -> bool:
        return reference.some_call_allowed(self.rules, self.links, chain, universe, MEANING)

    def spoken(self, access: Access) -> list[Rule]:
        return reference.spoken(self.rules, self.links, access)

    def counting(self, access: Access) -> list[Rule]:
        return reference.counting(self.spoken(access), access.context, MEANING)

    def class_of(self, access: Access) -> str:
        """The rate class of who asks ``access``, where he asks it."""
        context = replace(access.context, args={}, tool=Tool(), client={}, connection={}, owner_roles=None)
        rates = (
            replace(access, owner=access.subject, object="*", action=f"rate:{each.name}", context=context)
            for each in LIMITS.classes
        )
        found = (each.action.removeprefix("rate:") for each in rates if self.allows(each))
        return next(found, "default")


def aim_of(pick, aims=AIMS) -> Access:
    """A question without a context."""
    subject = pick((ALICE, ALICE, ALICE, *SUBJECTS))
    objects, actions = pick(aims)
    return Access(
        subject,
        domain=pick(("main", "main", *DOMAINS)),
        owner=pick((subject, subject, subject, *OWNERS)),
        object=pick(objects),
        action=pick(actions),
    )


def row_values(row: Rule | Link) -> tuple[str, ...]:
    """The columns of a row, as a file writes them."""
    if isinstance(row, Link):
        return row.member, row.role, row.domain
    return row.subject, row.domain, row.owner, row.object, row.action, row.when, row.effect.value


def steps(action):
    return next((ladder for ladder in reference.LADDERS if action in ladder), (action,))


EFFECTS = (Effect.ALLOW, Effect.ALLOW, Effect.DENY)


def missing(pick, one_in):
    """A picker of columns: all but one take what fits; the one, if any, takes anything."""
    columns = ("subject", "domain", "owner", "object", "action", "groups", "now")
    missed = pick(("",) * (len(columns) * (one_in - 1)) + columns)
    return lambda name, fitting, others: pick(others if name == missed or not fitting else fitting)


class Kind(NamedTuple):
    """Which worlds are made: what they are about, their conditions, how many rows of one that misses, and how often
    no row has a condition.
    """

    aims: tuple = AIMS
    whens: tuple = WHENS
    one_in: int = 3
    plain: tuple = (False, False, True)


USUAL = Kind()
OF_RATES = Kind(aims=AIMS[2:], plain=(False, True))
OF_LISTINGS = Kind(aims=AIMS[:2], whens=LISTED_WHENS, one_in=9, plain=(False,))
OF_LOANS = Kind(aims=AIMS[:1], whens=LISTED_WHENS[: -len(MEANING)], one_in=30, plain=(False,))


class Theme(NamedTuple):
    """What the rows and links of one world have in common."""

    whens: tuple = WHENS
    expiries: tuple = EXPIRIES
    one_in: int = USUAL.one_in
    denied: tuple = ()


NO_THEME = Theme()


def rule_of(pick, about: Access, theme=NO_THEME, effects=EFFECTS) -> Rule:
    """A rule about a question, but for the column in which one of ``one_in`` misses."""
    effect, column = pick(effects), missing(pick, theme.one_in)
    asked = about.action
    crowds = {"user": ("*", "user:*"), "end": ("*", "end:s1/*"), "server": ("*",)}[about.subject.partition(":")[0]]
    named = (about.subject, about.subject, *ROLES, *GROUPS, *GROUPS, *crowds, *DEEP[-2:])
    named = (effect is Effect.DENY and theme.denied) or named
    domains = (about.domain, "*", "*", "*" if about.domain == "main" else "!main")
    owners = (about.owner, "self" if about.owner == about.subject else "*", "*")
    covering = tuple(each for each in PATTERNS if reference.object_matches(about.object, each, deny=effect == "deny"))
    return Rule(
        subject=column("subject", named, (*SUBJECTS, "end:s1/*", "user:*")),
        domain=column("domain", domains, (*DOMAINS, "!main")),
        owner=column("owner", owners, ("self", *OWNERS)),
        object=column("object", covering, PATTERNS),
        action=column("action", (asked, asked, *steps(asked), "*"), (*ACTIONS, "*")),
        when=pick(theme.whens),
        effect=effect,
        place=Place("rules.csv"),
        expires=pick(theme.expiries),
    )


def link_of(pick, members, roles=ROLES, expiries=EXPIRIES) -> Link:
    role, domain = pick(roles), pick(("*", "*", "main", "s1"))
    return Link(pick(members), role, domain, Place("roles.csv"), expires=pick(expiries))


def members_about(subject):
    return (subject, subject, subject, ROLES[0], *GROUPS, BOB)


def ladder_of_roles(top) -> tuple[Link, ...]:
    """Ten roles, each given to the one before: the last is one link too far."""
    return tuple(Link(a, b, "*", Place("deep.csv")) for a, b in zip((top, *DEEP), DEEP, strict=False))


def crowd_of_rows(rows) -> tuple[Rule, ...]:
    """So many more rows of one subject that they are kept in another way; no question is about their action."""
    first = rows[0]
    objects = dict.fromkeys((*PATTERNS, *OBJECTS, first.object))
    return tuple(replace(first, object=object, action="act-as", expires=None) for object in objects)


def world_of(drawn: bytes, kind=USUAL) -> World:
    """Rules and links that are all about one question, or about two, and that have a theme in common."""
    pick, rest = Picks(drawn[:AIM]), drawn[AIM:]
    first, second = aim_of(pick, kind.aims), aim_of(pick, kind.aims)
    whens = ("",) if pick(kind.plain) else ("", *[pick(kind.whens) for _ in range(4)])
    usual, strangers = members_about(first.subject), pick((False, False, True))
    expiries = (None, NOW, LATER) if strangers else pick((EXPIRIES, (None,)))
    theme = Theme(whens, expiries, kind.one_in, (*GROUPS, *ROLES) if strangers else ())
    made = tuple(
        rule_of(row, row((first, first, second)), theme)
        for at, row in enumerate(map(Picks, cut(rest[: ROWS * ROW], ROW)))
        if row((at == 0, True, True, True))
    )
    members = GROUPS if strangers else usual
    roles = tuple(row.subject for row in made if row.subject in ROLES) * 2 + ROLES
    given = map(Picks, cut(rest[ROWS * ROW :], LINK))
    links = tuple(link_of(each, members, roles, theme.expiries) for each in given if each((False, True, True, True)))
    deep = any(row.subject in DEEP for row in made)
    made = crowd_of_rows(made) + made if pick((False, False, True)) else made
    links += ladder_of_roles(pick((first.subject, *GROUPS))) if deep else ()
    return World(made, links, (None, None, *KNOWN_GROUPS[:2]) if strangers else KNOWN_GROUPS)


WORLD = AIM + ROWS * ROW + LINKS * LINK


def worlds():
    return st.builds(world_of, drawn_bytes(WORLD))


def rules(effects=tuple(Effect)):
    """A rule that a world may be given in addition."""
    return st.builds(
        lambda aim, row: rule_of(Picks(row), aim_of(Picks(aim)), effects=effects), drawn_bytes(AIM), drawn_bytes(ROW)
    )


def context_of(pick, arguments, groups=KNOWN_GROUPS, moments=MOMENTS) -> Context:
    return Context(
        args=pick(arguments),
        claims=pick(CLAIMS),
        groups=pick(groups),
        tool=pick(TOOLS),
        client=pick(CLIENTS),
        connection=pick(CONNECTIONS),
        owner_roles=pick(OWNER_ROLES),
        env=environment(pick(moments), pick(ADDRESSES)),
    )


def environment(now, address):
    return {"address": address, "offset": 0, **({} if now is None else {"now": now})}


def question_of(pick, world: World, arguments=MANY) -> Access:
    """A question that a rule of ``world`` was made for, but for the column in which it misses."""
    rows = world.rules + tuple(row for row in world.rules if row.effect is Effect.ALLOW)
    rule, column = pick(rows), missing(pick, one_in=4)
    crowds = {"*": (ALICE, *SUBJECTS), "user:*": (ALICE, BOB), "end:s1/*": (END,)}
    having = tuple(each.member for each in world.links if each.role == rule.subject and each.member in SUBJECTS)
    named = (rule.subject,) if rule.subject in SUBJECTS else having
    subject = column("subject", crowds.get(rule.subject, named), SUBJECTS)
    owners = {"*": (subject, ALICE, SYSTEM), "self": (subject,)}
    groups = tuple(each for each in world.groups if each and rule.subject in each) or world.groups
    before = tuple(each for each in MOMENTS if reference.lives(rule.expires, each, deny=rule.effect is Effect.DENY))
    return Access(
        subject,
        column("domain", {"*": DOMAINS, "!main": DOMAINS[1:]}.get(rule.domain, (rule.domain,)), DOMAINS),
        column("owner", owners.get(rule.owner, (rule.owner,)), (subject, *OWNERS)),
        column("object", tuple(each for each in OBJECTS if each.startswith(rule.object.removesuffix("*"))), OBJECTS),
        column("action", ACTIONS if rule.action == "*" else (rule.action, *steps(rule.action)), ACTIONS),
        context_of(pick, arguments, column("groups", (groups,), (KNOWN_GROUPS,)), column("now", (before,), (MOMENTS,))),
    )


CHANGES = {
    "args": MANY,
    "groups": KNOWN_GROUPS,
    "now": MOMENTS,
    "owner": OWNERS,
    "action": ACTIONS,
    "object": OBJECTS,
    "domain": DOMAINS,
    "subject": SUBJECTS,
    "claims": CLAIMS,
    "tool": TOOLS,
    "client": CLIENTS,
    "connection": CONNECTIONS,
    "owner_roles": OWNER_ROLES,
    "address": ADDRESSES,
}


def changed(pick, access: Access) -> Access:
    """``access`` with one field changed; arguments that are unknown stay so."""
    context = access.context
    listed = context.args is None
    name = pick(tuple(CHANGES)[1:] if listed else ("args", "groups", "now", "owner", *CHANGES))
    value = pick(CHANGES[name])
    if name in ("now", "address"):
        env = {"now": context.env.get("now"), "address": context.env["address"], name: value}
        return replace(access, context=replace(context, env=environment(**env)))
    if name in Access.__struct_fields__:
        return replace(access, **{name: value})
    return replace(access, context=replace(context, **{name: value}))


def talk_of(drawn: bytes, world: World, arguments=MANY) -> list[Access]:
    """A question and others with one field changed, or two."""
    pick = Picks(drawn)
    asked = [question_of(pick, world, arguments)]
    while pick.left > 2:
        asked.append(changed(pick, pick((asked[0], asked[-1]))))
    return asked


class Talk(list):
    """Many questions; when a test fails, its sentence shows the one that matters."""

    def __repr__(self):
        return f"<{len(self)} questions>"


def cases(kind=USUAL):
    """A world and questions about it."""

    def case(drawn):
        world = world_of(drawn[:WORLD], kind)
        return world, Talk(access for each in cut(drawn[WORLD:], TALK) for access in talk_of(each, world))

    return st.builds(case, drawn_bytes(WORLD + TALKS * TALK))


def listings():
    """A world whose conditions are mostly about arguments, and questions that leave the arguments open."""
    size = ASKED + 20

    def listing(drawn):
        world = world_of(drawn[:WORLD], OF_LISTINGS)
        return world, Talk(access for each in cut(drawn[WORLD:], size) for access in talk_of(each, world, (None,)))

    return st.builds(listing, drawn_bytes(WORLD + 2 * size))


def loans():
    """A world that is about two questions with the arguments left open, and the chain of these two."""

    def loan(drawn):
        pick, rows = Picks(drawn[: 2 * ASKED]), cut(drawn[2 * ASKED :], ROW)
        chain = tuple(replace(aim_of(pick, OF_LOANS.aims), context=context_of(pick, (None,))) for _ in range(2))
        theme = Theme(OF_LOANS.whens, (None,), OF_LOANS.one_in)
        rules = (rule_of(Picks(row), chain[at % 2], theme) for at, row in enumerate(rows))
        return World(tuple(rules), ()), chain

    return st.builds(loan, drawn_bytes(2 * ASKED + 6 * ROW))
