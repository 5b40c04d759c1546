"""How long it takes to look at a large policy as a whole: plan, who-can and what-can, lint, replay.

`make bench-policy` prints it, after the engine's own numbers. The policies are built before: that is not counted.
Times are seconds of this process's CPU; each bar stands beside what was measured.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import median
from typing import Final, TypeVar

from benchmarks.policy_data import CONNECTORS, NOW, VERBS, Made, make, needed
from gateway.analysis.inventory import Inventory, Thing
from gateway.analysis.lint import lint
from gateway.analysis.plan import plan
from gateway.analysis.replay import Replay, Report
from gateway.analysis.who import Who
from gateway.audit import AuditEntry
from gateway.audit.masking import hashed_value, keyed_hash
from gateway.audit.question import key_mark
from gateway.mcp.terms import Kind
from gateway.pipeline.passage import Origin, Passage
from gateway.policy.bundle import Bundle
from gateway.policy.engine import Policy
from gateway.policy.terms import MAIN, Access, Effect, Link, Place, Rule, Subject, Tool

T = TypeVar("T")

ROWS: Final = 100_000
ASKED: Final = 200
DECISIONS: Final = 100_000
DIFFERENT: Final = 5_000
"""Of the recorded decisions: people and programs ask the same again and again."""
HASHED: Final = keyed_hash(b"k" * 32)
HERE: Final = Place("changed.csv", 1)
"""Where the rows of a change stand."""


@dataclass(frozen=True, slots=True)
class Change:
    name: str
    bar_s: float
    rules: tuple[Rule, ...] = ()
    links: tuple[Link, ...] = ()


def inventory(made: Made) -> Inventory:
    """The users, and every tool on every server."""
    things = tuple(_thing(connector, verb) for connector in CONNECTORS for verb in VERBS)
    return Inventory(tuple(map(Subject, made.users)), dict.fromkeys((MAIN, *made.servers), things))


def changes(made: Made) -> Iterator[Change]:
    user, server = made.users[17], made.servers[3]
    rules = tuple(_allow(f"role:r{n:03}", made.servers[n], f"{CONNECTORS[n % 20]}/*") for n in range(120))
    links = tuple(Link(made.users[n], f"role:r{n:03}", made.servers[n], HERE) for n in range(80))
    yield Change("a user gets a role on a server", 1, links=(Link(user, "role:r007", server, HERE),))
    yield Change("a row for a role", 1, (_allow("role:r008", server, "slack/*"),))
    yield Change("a role inherits a role", 1, links=(Link("role:r009", "role:r010", server, HERE),))
    yield Change("a connector's deleting is denied on a server", 1, (_deny(server),))
    yield Change("a user gets a role on every server", 10, links=(Link(user, "role:r007", "*", HERE),))
    yield Change("a commit of 200 rows", 10, rules, links)
    yield Change("a connector's deleting is denied everywhere", 20, (_deny("*"),))


def main() -> None:
    made = make(ROWS, questions=DIFFERENT)
    things, before = inventory(made), Policy.build(made.bundle, (), "before")
    print(
        f"{len(made.users):,} users, {len(made.servers)} servers, {len(VERBS) * len(CONNECTORS)} tools, {ROWS:,} rows"
    )
    for change in changes(made):
        bundle = Bundle(made.bundle.model, made.bundle.rules + change.rules, made.bundle.links + change.links)
        after = Policy.build(bundle, (), "after")
        took, found = _timed(partial(plan, before, after, things, NOW))
        cells = f"{found.widened:,} widened, {found.narrowed:,} narrowed, {len(found.groups)} groups"
        print(f"plan: {change.name:45} {took:6.2f} s (bar {change.bar_s:2} s)  {cells}")
    _reading(made, Who(before, things, NOW))
    took, linted = _timed(partial(lint, made.bundle, now=NOW, inventory=things))
    print(f"lint: {took:.2f} s (bar 15 s)  {len(linted.findings):,} findings")
    _replaying(made, before)


def _reading(made: Made, who: Who) -> None:
    random = Random(7)
    tools = [random.choice([thing.object for thing in inventory(made).things[MAIN]]) for _ in range(ASKED)]
    questions: dict[str, Callable[[str, str, str], object]] = {
        "who-can": lambda tool, server, _: who.can(tool, needed(tool), domain=server),
        "what-can": lambda _, server, user: who.may(user, domain=server),
    }
    for name, ask in questions.items():
        asked = [(tool, random.choice(made.servers), random.choice(made.users)) for tool in tools]
        times = sorted(_timed(partial(ask, *words))[0] * 1000 for words in asked)
        print(f"{name}: p50 {median(times):.2f} ms, p95 {times[-ASKED // 20]:.2f} ms (bar 20 ms)")


def _replaying(made: Made, policy: Policy) -> None:
    """What was recorded under ``policy`` is asked of one that takes a right away."""
    bundle = Bundle(made.bundle.model, (*made.bundle.rules, _deny("*")), made.bundle.links)
    replay = Replay(
        Policy.build(bundle, (), "candidate"), {key_mark(HASHED): lambda value: hashed_value(value, HASHED)}
    )
    entries = [
        _recorded(number, access, policy) for number, access in enumerate(made.accesses * (DECISIONS // DIFFERENT))
    ]

    def work() -> Report:
        for entry in entries:
            replay.take(entry)
        for version in replay.doubted:
            replay.confirm(version, policy)
        return replay.report()

    took, found = _timed(work)
    told = f"{found.same:,} the same, {found.narrowed} narrowed, {found.not_decided} not decided"
    print(f"replay of {len(entries):,} decisions, {DIFFERENT:,} different: {took:.2f} s (bar 5 s)  {told}")


def _recorded(number: int, access: Access, policy: Policy) -> AuditEntry:
    passage = Passage(f"{number:09}", NOW, Origin("127.0.0.1"), access.domain, "tools/call", Subject(access.subject))
    passage.policy, passage.readable, passage.readable_claims = policy.version, policy.readable, policy.readable_claims
    passage.object, passage.action, passage.owner = access.object, access.action, access.owner
    passage.kind, passage.arguments = Kind.TOOL, access.context.args or {}
    passage.judged(policy, (access,), policy.decide((access,)))
    return passage.entry(HASHED, "")


def _thing(connector: str, verb: str) -> Thing:
    object = f"{connector}/{verb}_item"
    return Thing(object, needed(object), Tool(connector, f"{verb}_item", destructive=verb == "delete"))


def _allow(subject: str, domain: str, object: str) -> Rule:
    return Rule(subject, domain, "self", object, "write", "", Effect.ALLOW, HERE)


def _deny(domain: str) -> Rule:
    return Rule("*", domain, "*", "github/delete_item", "write", "", Effect.DENY, HERE)


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
