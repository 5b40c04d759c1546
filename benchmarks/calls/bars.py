"""What was meant to be reached, and whether it was: pure arithmetic over what the rounds found.

A ratio is the median of the ratios of the rounds, each of two rows of one round.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.calls.rounds import Sample, Size
from benchmarks.calls.rows import named

FAST: Final = ("uvicorn", "granian")
Samples = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, slots=True)
class Bar:
    """``most`` or ``least`` is the bar; ``value`` what was measured, in ``unit``."""

    name: str
    value: float
    most: float | None = None
    least: float | None = None
    unit: str = ""

    @property
    def met(self) -> bool:
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def asked(self) -> str:
        bound, sign = (self.most, "≤") if self.most is not None else (self.least, "≥")
        return f"{sign} {number(bound or 0.0)} {self.unit}".strip()

    @property
    def told(self) -> str:
        return f"{number(self.value)} {self.unit}".strip()


def number(value: float) -> str:
    """Three digits that count, and thousands."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def mid(samples: Samples, row: str, of: Callable[[Sample], float]) -> float:
    return median(of(each) for each in samples[row])


def ratio(samples: Samples, one: str, other: str, of: Callable[[Sample], float]) -> float:
    """How many times as much ``one`` has as ``other``."""
    return median(of(a) / of(b) for a, b in zip(samples[one], samples[other], strict=True))


def cost(sample: Sample) -> float:
    return sample.cpu_us


def rate(sample: Sample) -> float:
    return sample.rps


def p50(sample: Sample) -> float:
    return sample.p50_ms


def p99(sample: Sample) -> float:
    return sample.p99_ms


def bars(samples: Samples, sizes: Mapping[str, Size], packages: int) -> list[Bar]:
    """Those for which there are rows."""
    found = [*_own(samples), *_beside(samples), *_sizes(sizes)]
    return [*found, Bar("installed core packages", packages, most=50)]


def _own(samples: Samples) -> Iterator[Bar]:
    for server, here, there, off in (("hypercorn", 450, 750, 1.10), *((each, 120, 350, 1.25) for each in FAST)):
        if (near := named("in process", server)) not in samples:
            continue
        far = named("upstream", server)
        yield Bar(f"`tools/call`, in process, {server}", mid(samples, near, cost), most=here, unit="µs")
        yield Bar(f"`tools/call`, upstream over HTTP, {server}", mid(samples, far, cost), most=there, unit="µs")
        for row, said in ((near, "in process"), (far, "upstream")):
            without = named(f"{row.partition(',')[0]}, off", server)
            value = ratio(samples, row, without, cost)
            yield Bar(f"all governance on against off, {said}, {server}", value, most=off, unit="x CPU")
        denied = ratio(samples, named("denied", server), near, cost)
        yield Bar(f"a denied call against an allowed one, {server}", denied, most=1.0, unit="x CPU")
    if "list 1,000" in samples:
        yield Bar("`tools/list` of 1,000 tools, filtered", mid(samples, "list 1,000", cost) / 1000, most=3, unit="ms")
        each = ratio(samples, "list 1,000", "list 100", cost) / 10
        yield Bar("`tools/list` of 1,000 tools per tool, against 100", each, most=2, unit="x CPU")
    if "100,000 and 100,000" in samples:
        many = ratio(samples, "100,000 and 100,000", "10 and 10", cost)
        yield Bar("100,000 rules and users against 10 and 10", many, most=1.2, unit="x CPU")
    if "forwarder at one" in samples:
        for of, said, most in ((p50, "p50", 1.3), (p99, "p99", 2)):
            value = ratio(samples, "hop at one", "forwarder at one", of)
            yield Bar(f"{said} over the hop at one connection, against a bare forwarder", value, most=most, unit="x")
    if "two processes" in samples:
        two = ratio(samples, "two processes", "in process", rate)
        yield Bar("two processes against one", two, least=1.5, unit="x calls/s")


def _beside(samples: Samples) -> Iterator[Bar]:
    """Every peer against ours under each server that there is."""
    for server in ("hypercorn", *FAST):
        if named("in process", server) in samples:
            yield from _governing(samples, server)
            yield from _forwarding(samples, server)


def _governing(samples: Samples, server: str) -> Iterator[Bar]:
    mine = named("upstream", server)
    for peer in ("mcp-policy-gateway", "mcp-airlock"):
        if peer not in samples:
            continue
        yield Bar(f"{peer}: its CPU against ours, {server}", ratio(samples, peer, mine, cost), least=5, unit="x")
        yield Bar(f"{peer}: our calls/s against its, {server}", ratio(samples, mine, peer, rate), least=1, unit="x")
        for of, said in ((p50, "p50"), (p99, "p99")):
            value = ratio(samples, mine, peer, of)
            yield Bar(f"{peer}: our {said} against its, {server}", value, most=1, unit="x")
    if "ContextForge" in samples:
        value = ratio(samples, "ContextForge", mine, cost)
        yield Bar(f"ContextForge: its CPU against ours, {server}", value, least=60, unit="x")


def _forwarding(samples: Samples, server: str) -> Iterator[Bar]:
    mine = named("stdio", server)
    for peer in ("npm mcp-proxy", "PyPI mcp-proxy"):
        if peer in samples:
            value = ratio(samples, mine, peer, rate)
            yield Bar(f"{peer}: our calls/s against its, {server}", value, least=1, unit="x")
    if "SDK server" in samples:
        value = ratio(samples, "SDK server", named("in process", server), cost)
        least = 2 if server == "hypercorn" else 5
        yield Bar(f"SDK server: its CPU against ours, {server}", value, least=least, unit="x")


def _sizes(sizes: Mapping[str, Size]) -> Iterator[Bar]:
    if (mine := sizes.get("ours")) is None:
        return
    yield Bar("start to first answer", mine.first_s, most=1.5, unit="s")
    yield Bar("resident memory, idle", mine.idle_mb, most=110, unit="MB")
    yield Bar("resident memory under 32 connections", mine.loaded_mb, most=140, unit="MB")
    if (other := sizes.get("ContextForge")) is not None:
        yield Bar("our memory against ContextForge's", mine.loaded_mb / other.loaded_mb, most=0.5, unit="x")
        yield Bar("ContextForge's start against ours", other.first_s / mine.first_s, least=5, unit="x")
