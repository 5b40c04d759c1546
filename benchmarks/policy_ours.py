"""Our engine on one policy: run as a process of its own by ``benchmarks.policy``, prints one JSON object: of the
stalls alone with ``swaps``.

Times are of CPU, in microseconds unless the name says otherwise. Of the questions of a round the median is taken,
and of the rounds the least.
"""

import asyncio
import gc
import json
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from benchmarks.policy_data import CONDITIONS, NOW, TOOLS, needed
from connectors.base import Connector, Item
from gateway.catalogue.views import Offer
from gateway.follower import Follower
from gateway.identity import KeyRing
from gateway.mcp.terms import Kind
from gateway.pipeline.accounts import Account
from gateway.pipeline.judge import Judge
from gateway.policy.bundle import bundle_hash, decode, decoding
from gateway.policy.engine import Policy
from gateway.policy.engine_stock import Stock
from gateway.policy.shelves import Slices
from gateway.policy.terms import Access, Effect, Json, Link, Place, Rule, Subject, Tool
from gateway.records import PolicyHead
from gateway.store.opening import open_store

ROUNDS = 5
GRANTS = 10_000
STOCK_UP_TO = 10_000
AGREED = 200
LISTED = 1_000
SERVER = "srv-000"
LISTER = "user:lister@example.com"
HERE = Place("listing.csv")

T = TypeVar("T")


def resident_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def clock_cost() -> int:
    costs = []
    for _ in range(1_000):
        before = time.thread_time_ns()
        costs.append(time.thread_time_ns() - before)
    return int(statistics.median(costs))


CLOCK = clock_cost()


def each_us(asked: Iterable[Any], do: Callable[[Any], object]) -> float:
    """The median of the CPU time of ``do`` for each of ``asked``."""
    costs = []
    for each in asked:
        before = time.thread_time_ns()
        do(each)
        costs.append(time.thread_time_ns() - before - CLOCK)
    return statistics.median(costs) / 1000


def once_ms(do: Callable[[], object]) -> float:
    before = time.thread_time_ns()
    do()
    return (time.thread_time_ns() - before) / 1e6


def all_of(do: Callable[[T], object], asked: Iterable[T]) -> None:
    for each in asked:
        do(each)


def least_of(rounds: Iterable[float]) -> float:
    """Of several rounds the one that other processes disturbed least."""
    return min(rounds)


def fresh(policy: Policy) -> Policy:
    """The same policy, remembering nothing yet."""
    return policy.changed({}, (), policy.version)


def decisions(policy: Policy, asked: list[Access]) -> dict[str, float]:
    strangers = list({access.subject: access for access in asked}.values())
    found: dict[str, list[float]] = {"unseen": [], "known": [], "remembered": []}
    decide = policy.decide
    for chain in [(access,) for access in asked]:
        decide(chain)  # warms the caches of the processor
    for _ in range(ROUNDS):
        decide = fresh(policy).decide
        found["unseen"].append(each_us([(access,) for access in strangers], decide))
        decide = fresh(policy).decide
        for access in asked:
            decide((replace(access, object="other/thing"),))
        found["known"].append(each_us([(access,) for access in asked], decide))
        found["remembered"].append(each_us([(access,) for access in asked], decide))
    return {name: least_of(rounds) for name, rounds in found.items()}


class Itself:
    """As much of a connector as a listing asks about: one that needs no credential."""

    id = "itself"

    def owners(self, subject: str) -> tuple[str, ...]:
        return (subject,)

    def holds(self, owner: str) -> bool:  # noqa: ARG002 (no credential is needed)
        return True


def offers() -> list[Offer]:
    """A thousand tools: those of ``TOOLS`` five times over, each with its schema."""
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {"channel": {"type": "string"}, "amount": {"type": "number"}, "path": {"type": "string"}},
    }
    itself = cast("Connector", Itself())
    made = []
    for number in range(LISTED):
        object = TOOLS[number % len(TOOLS)]
        connector, _, name = object.partition("/")
        facts = Tool(connector, name, destructive="delete" in name)
        definition: dict[str, Json] = {"name": name, "inputSchema": {**schema, "description": f"tool {number}"}}
        item = Item(connector, Kind.TOOL, f"{name}{number}", definition, needed(object), facts)
        made.append(Offer(itself, item, f"{connector}__{name}{number}", f"{object}{number}"))
    return made


def listing(policy: Policy) -> dict[str, float]:
    """For somebody who has a row with a condition for every tool, and a deny with one."""
    shown = offers()
    whens = list(CONDITIONS)
    rows = [
        Rule(LISTER, SERVER, "self", offer.object, "write", whens[at % len(whens)], Effect.ALLOW, HERE)
        for at, offer in enumerate(shown)
    ]
    rows.append(
        Rule(LISTER, SERVER, "*", "*", "write", "args.amount > 1000 or not has(args.channel)", Effect.DENY, HERE)
    )
    policy = policy.with_grants(rows, "")
    env: dict[str, Json] = {"now": NOW, "offset": 0, "address": "192.0.2.1"}
    found: dict[str, list[float]] = {"cold": [], "warm": [], "chain": [], "plain": []}
    for _ in range(ROUNDS):
        policy = fresh(policy)
        judge = Judge(policy, Subject(LISTER), SERVER, env)
        chains = [(judge.chain(offer, Account(LISTER), None), offer.narrowing) for offer in shown]
        plain = [judge.chain(offer, Account(LISTER), {"channel": "#help", "amount": 5}) for offer in shown]
        found["cold"].append(once_ms(partial(all_of, judge.visible, shown)))
        found["warm"].append(once_ms(partial(all_of, judge.visible, shown)))
        found["chain"].append(once_ms(partial(list, starmap(policy.possible, chains))))
        all_of(policy.decide, plain)
        found["plain"].append(once_ms(partial(all_of, policy.decide, plain)))
    return {f"list_{name}_ms": least_of(rounds) for name, rounds in found.items()}


def solving(policy: Policy) -> float:
    """What a set of conditions costs that was never met before, in ms."""
    offer = offers()[0]
    costs = []
    for n in range(50):
        rows = [
            Rule(
                LISTER,
                SERVER,
                "self",
                offer.object,
                "write",
                f"args.channel in ['#a{n}', '#b'] and args.amount <= {n}",
                Effect.ALLOW,
                HERE,
            ),
            Rule(
                LISTER,
                SERVER,
                "self",
                offer.object,
                "write",
                f"starts(args.path, '/{n}/') and args.amount > {n}",
                Effect.ALLOW,
                HERE,
            ),
            Rule(
                LISTER,
                SERVER,
                "*",
                "*",
                "read",
                f"args.amount > {100 + n} or args.channel == '#a{n}'",
                Effect.DENY,
                HERE,
            ),
        ]
        judge = Judge(policy.with_grants(rows, ""), Subject(LISTER), SERVER, {"now": NOW, "offset": 0, "address": ""})
        costs.append(once_ms(partial(judge.visible, offer)))
    return statistics.median(costs)


def granting(policy: Policy, users: list[str]) -> float:
    """One grant more where there are ten thousand, in ms."""
    there = {f"g{n:06}": _grant(n, users) for n in range(GRANTS)}
    policy = policy.changed(there, (), "")
    costs = []
    for n in range(50):
        key, grant = f"h{n:06}", _grant(GRANTS + n, users)
        before = time.thread_time_ns()
        policy = policy.changed({key: grant}, (), "")
        costs.append((time.thread_time_ns() - before) / 1e6)
    return statistics.median(costs)


def _grant(n: int, users: list[str]) -> Rule | Link:
    user, place, ends = users[n % len(users)], Place(f"grant:{n}"), NOW + n
    if n % 2:
        return Link(user, f"role:r{n % 50:03}", SERVER, place, expires=ends)
    return Rule(user, "main", users[n % 97], TOOLS[n % 200], "read", "", Effect.ALLOW, place, expires=ends)


def longest_slice(body: bytes) -> float:
    """The longest that the building thread works between two pauses, in ms of CPU."""
    reading, bundle = longest_of(decoding(body))
    building, _ = longest_of(Policy.building(bundle, ""))
    return max(reading, building)


def longest_of(work: Slices[T]) -> tuple[float, T]:
    longest, found = 0, list[T]()
    while not found:
        before = time.thread_time_ns()
        try:
            next(work)
        except StopIteration as done:
            found.append(done.value)
        longest = max(longest, time.thread_time_ns() - before)
    return longest / 1e6, found[0]


async def stalls(body: bytes) -> dict[str, float]:
    """What the follower does to a ticking loop while it builds and swaps in a policy of this size, twice, and clears
    the first one away: the longest that the loop stood still (wall time, and the same without any of that), and the
    longest that it worked between two ticks (CPU).
    """
    worst = {"idle": 0.0, "swap": 0.0}
    work = {"idle": 0, "swap": 0}
    phase = "idle"

    async def tick() -> None:
        last, worked = time.perf_counter(), time.thread_time_ns()
        while True:
            await asyncio.sleep(0.001)
            now, cpu = time.perf_counter(), time.thread_time_ns()
            worst[phase] = max(worst[phase], (now - last) * 1000 - 1)
            work[phase] = max(work[phase], cpu - worked)
            last, worked = now, cpu

    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"{folder}/store.db")
        await store.open()
        follower = Follower(store, KeyRing([("a", b"a" * 32)]), poll_s=1.0)
        gc.collect()
        gc.freeze()  # as `ostiary serve` does
        ticking = asyncio.create_task(tick())
        await asyncio.sleep(1.0)
        for version, other in enumerate((body, body.replace(b'"model":"#', b'"model":"##', 1)), start=1):
            phase = "other"
            worst[phase], work[phase] = 0.0, 0
            await store.bundles.put(bundle_hash(other), other)
            head = PolicyHead(version=version, bundle=bundle_hash(other), author="b", at=1)
            await store.bundles.move_head(version - 1, head)
            await asyncio.sleep(0.05)
            phase = "swap"
            await follower.catch_up()
            await asyncio.sleep(1.5)
        ticking.cancel()
        await store.close()
        if not follower.current.policy.version.startswith("2."):
            raise RuntimeError("the second policy was not swapped in")
    return {
        "stall_idle_ms": worst["idle"],
        "stall_swap_ms": worst["swap"],
        "work_swap_ms": work["swap"] / 1e6,
        "longest_slice_ms": longest_slice(body),
    }


def agreement(policy: Policy, asked: list[Access], size: int) -> dict[str, Any]:
    answers = [policy.decide((access,)).allowed for access in asked[:AGREED]]
    plain = policy.plainly()
    found: dict[str, Any] = {"answers": answers}
    some = AGREED if size <= STOCK_UP_TO // 10 else 40 if size <= STOCK_UP_TO else 5
    found["plain_agrees"] = sum(
        plain.decide((each,)).allowed is answer for each, answer in zip(asked[:some], answers, strict=False)
    )
    found["plain_asked"] = some
    if size <= STOCK_UP_TO:
        stock, told = Stock(policy), []
        found["stock"] = each_us(asked[:some], lambda access: told.append(stock.decide(access)))
        found["stock_agrees"] = sum(one is other for one, other in zip(told, answers, strict=False))
    return found


def main() -> None:
    folder, size = Path(sys.argv[1]), int(sys.argv[2])
    swaps = sys.argv[3:] == ["swaps"]
    print(json.dumps(asyncio.run(stalls((folder / "bundle.json").read_bytes())) if swaps else figures(folder, size)))


def figures(folder: Path, size: int) -> dict[str, Any]:
    asked = list(pickle.loads((folder / "questions").read_bytes()))
    for access in asked:
        hash(access.subject)
    gc.collect()
    before, pass_before = resident_mb(), once_ms(gc.collect)
    body = (folder / "bundle.json").read_bytes()
    start = time.process_time()
    bundle = decode(body)
    read = time.process_time() - start
    policy = Policy.build(bundle, (), "1.0")
    built = time.process_time() - start - read
    del body
    gc.collect()
    found: dict[str, Any] = {"read_s": read, "build_s": built, "memory_mb": resident_mb() - before}
    found["gc_ms"] = least_of(once_ms(gc.collect) for _ in range(3)) - pass_before
    found |= decisions(policy, asked)
    found |= listing(policy)
    found["solve_ms"] = solving(policy)
    found["grant_ms"] = granting(policy, sorted({access.subject for access in asked}))
    found["explain_ms"] = each_us(asked[:200], policy.explain) / 1000
    found |= agreement(policy, asked, size)
    return found


if __name__ == "__main__":
    main()
