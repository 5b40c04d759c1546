"""A policy of any size, and questions about it, made from a seed: the data that ``make bench-policy`` measures on.

Of the rows 60 % are of roles, 30 % of users, 5 % lend a connection and 5 % deny; 5 % carry a condition. Of the
questions 70 % are made for a row that exists. It knows the values of the policy, and no engine.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from random import Random
from typing import TypeAlias

from gateway.policy.bundle import Bundle
from gateway.policy.terms import Access, Context, Effect, Json, Link, Place, Rule, Tool

MODEL = (Path(__file__).parent.parent / "policies" / "model.conf").read_text(encoding="utf-8")
NOW = 1_800_000_000_000
CONNECTORS = (
    *("slack", "github", "gitlab", "jira", "linear", "notion", "gmail", "calendar", "drive", "stripe"),
    *("hubspot", "zendesk", "sentry", "grafana", "pagerduty", "figma", "airtable", "asana", "dropbox", "twilio"),
)
VERBS = ("search", "list", "read", "get", "export", "create", "update", "send", "move", "delete")
TOOLS = tuple(f"{connector}/{verb}_item" for connector in CONNECTORS for verb in VERBS)
READING = 5
"""The first verbs of ``VERBS`` read, the others write."""

CONDITIONS = {
    **{f"args.channel in ['#team-{n}', '#help']": ("channel", n) for n in range(10)},
    **{f"args.amount > 0 and args.amount <= {limit}": ("amount", limit) for limit in (1, 10, 50, 100, 500)},
    **{f"starts(args.path, '/srv/{n}/')": ("path", n) for n in range(5)},
    "every(args.to, ends(it, '@example.com'))": ("to", 0),
    "hours(env.now, '00:00', '23:59')": ("hours", 0),
    "not tool.destructive": ("tool", 0),
}
"""Each with what it is about, for engines that write it otherwise."""
ARGUMENTS: dict[str, Json] = {"channel": "#help", "amount": 5, "path": "/srv/1/a", "to": ["a@example.com"]}
_WHENS = tuple(CONDITIONS)

_Members: TypeAlias = Mapping[tuple[str, str], Sequence[str]]
"""Who has a role in a domain."""


@dataclass(frozen=True, slots=True)
class Made:
    bundle: Bundle
    users: tuple[str, ...]
    servers: tuple[str, ...]
    accesses: tuple[Access, ...]


def make(rows: int, *, questions: int = 2_000, seed: int = 7) -> Made:
    """``rows`` rules with 0.6 links and 0.1 users each. For 100,000 of them there are 200 servers (never more) and 300
    roles, for fewer as many as leave a role on a server equally many rows.
    """
    random = Random(seed)
    users = tuple(f"user:u{n}@example.com" for n in range(max(rows // 10, 20)))
    servers = tuple(f"srv-{n:03}" for n in range(min(200, isqrt(rows * 2 // 5))))
    roles = tuple(f"role:r{n:03}" for n in range(isqrt(rows * 9 // 10)))
    rules = tuple(_rule(random, n, users, servers, roles) for n in range(rows))
    links = tuple(_links(random, int(rows * 0.6), users, servers, roles))
    members: dict[tuple[str, str], list[str]] = {}
    for link in links:
        members.setdefault((link.role, link.domain), []).append(link.member)
    accesses = tuple(_access(random, users, servers, rules, members) for _ in range(questions))
    return Made(Bundle(MODEL, rules, links), users, servers, accesses)


def question(subject: str, domain: str, owner: str, object: str, action: str) -> Access:
    env: dict[str, Json] = {"now": NOW, "offset": 0, "address": "192.0.2.1"}
    connector, _, name = object.partition("/")
    tool = Tool(connector, name, destructive="delete" in name)
    return Access(
        subject,
        domain,
        owner,
        object,
        action,
        Context(args=ARGUMENTS, claims={}, tool=tool, client={}, env=env, connection={}),
    )


def needed(tool: str) -> str:
    """The step that calling a tool needs."""
    return "read" if VERBS.index(tool.partition("/")[2].removesuffix("_item")) < READING else "write"


def _rule(random: Random, line: int, users: Sequence[str], servers: Sequence[str], roles: Sequence[str]) -> Rule:
    kind = random.random()
    domain = random.choice(servers) if random.random() < 0.9 else "*"
    object = random.choice(TOOLS) if random.random() < 0.8 else f"{random.choice(CONNECTORS)}/*"
    action = random.choice(("read", "write"))
    when = random.choice(_WHENS) if random.random() < 0.05 else ""
    place = Place("policies/rules.csv", line + 1)
    if kind < 0.60:
        return Rule(random.choice(roles), domain, "self", object, action, when, Effect.ALLOW, place)
    if kind < 0.90:
        return Rule(random.choice(users), domain, "self", object, action, when, Effect.ALLOW, place)
    if kind < 0.95:
        return Rule(random.choice(users), domain, random.choice(users), object, action, when, Effect.ALLOW, place)
    subject, domain = random.choice(
        ((random.choice(roles), domain), (random.choice(users), "*"), ("*", random.choice(servers)))
    )
    return Rule(subject, domain, "*", object, action, when, Effect.DENY, place)


def _links(
    random: Random, count: int, users: Sequence[str], servers: Sequence[str], roles: Sequence[str]
) -> Iterator[Link]:
    for line in range(count):
        place = Place("policies/roles.csv", line + 1)
        domain = random.choice(servers) if random.random() < 0.9 else "*"
        if random.random() < 0.005:
            low, high = sorted(random.sample(range(len(roles)), 2))
            yield Link(roles[high], roles[low], domain, place)
        else:
            yield Link(random.choice(users), random.choice(roles), domain, place)


def _access(
    random: Random, users: Sequence[str], servers: Sequence[str], rules: Sequence[Rule], members: _Members
) -> Access:
    if random.random() < 0.7:
        return _aimed(random, users, servers, rules, members)
    subject, object = random.choice(users), random.choice(TOOLS)
    return question(subject, random.choice(servers), subject, object, needed(object))


def _aimed(
    random: Random, users: Sequence[str], servers: Sequence[str], rules: Sequence[Rule], members: _Members
) -> Access:
    """A question that one rule is about, asked by somebody whom it finds."""
    while True:
        rule = random.choice(rules)
        domain = random.choice(servers) if rule.domain == "*" else rule.domain
        if rule.subject.startswith("role:"):
            found: Sequence[str] = members.get((rule.subject, domain)) or members.get((rule.subject, "*")) or ()
            found = tuple(each for each in found if each.startswith("user:"))
        else:
            found = users if rule.subject == "*" else (rule.subject,)
        if found:
            break
    subject = random.choice(found)
    owner = subject if rule.owner in ("self", "*") else rule.owner
    object = rule.object[:-1] + "read_item" if rule.object.endswith("*") else rule.object
    return question(subject, domain, owner, object, rule.action)
