"""What is counted and timed, and its exposition for Prometheus.

Labels are closed lists and ids of the operator's own files: never a subject, a tool, a session or an address. This file
decides nothing and knows no request.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.audit import AuditEntry
from gateway.observing.levels import Levels
from gateway.observing.times import Times
from gateway.policy.terms import Reason

BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
DECIDING_S: Final = (0.000_01, 0.000_025, 0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.01, 0.1)
MOST_VALUES: Final = 100
"""A label takes so many values; what comes beyond them counts as `other`."""

OTHER: Final = "other"

T = TypeVar("T")


class Children(dict[str, T]):
    """What is counted by one label, its children made once each."""

    def __init__(self, make: Callable[[str], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, value: str) -> T:
        if len(self) >= MOST_VALUES and value != OTHER:
            return self[OTHER]
        made = self[value] = self._make(value)
        return made


class Metrics:
    """One for a process, over a registry of its own. ``levels`` tells what stands at the moment it is asked."""

    def __init__(self, levels: Callable[[], Levels]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        registry = self._registry
        calls = Counter("ostiary_calls_total", "Calls by how they ended", ["outcome"], registry=registry)
        reasons = Counter("ostiary_decisions_total", "Decisions by their reason", ["reason"], registry=registry)
        whole = Histogram(
            "ostiary_call_seconds", "Whole calls, by transport", ["transport"], buckets=BUCKETS_S, registry=registry
        )
        behind = Histogram(
            "ostiary_upstream_seconds", "Upstream part of calls", ["connector"], buckets=BUCKETS_S, registry=registry
        )
        connecting = Histogram(
            "ostiary_connect_seconds", "Connecting to an upstream", ["connector"], buckets=BUCKETS_S, registry=registry
        )
        failures = Counter(
            "ostiary_upstream_failures_total", "Calls that an upstream failed", ["connector"], registry=registry
        )
        self._deciding = Histogram(
            "ostiary_decision_seconds", "The policy's part of calls", buckets=DECIDING_S, registry=registry
        )
        self._calls = Children(calls.labels)
        self._reasons = Children(reasons.labels)
        self._whole = Children(whole.labels)
        self._behind = Children(behind.labels)
        self._connecting = Children(connecting.labels)
        self._failures = Children(failures.labels)
        self._up: dict[str, bool] = {}
        for reason in Reason:
            self._reasons[reason.value]
        registry.register(_Standing(levels, self._up))

    def passed(self, entry: AuditEntry, times: Times) -> None:
        """Count one call by what is put on record of it."""
        self._calls[entry.outcome].inc()
        self._whole[entry.transport or OTHER].observe(entry.took / 1000)
        if entry.reason:
            self._reasons[entry.reason].inc()
        if times.decided:
            self._deciding.observe(times.decided)
        if times.upstream is not None:
            self._reached(times.connector, times.upstream, failed=times.failed)
        if times.connected is not None:
            self._connecting[times.connector].observe(times.connected)

    def _reached(self, connector: str, took: float, *, failed: bool) -> None:
        self._behind[connector].observe(took)
        if failed:
            self._failures[connector].inc()
        if connector in self._up or len(self._up) < MOST_VALUES:
            self._up[connector] = not failed

    @property
    def upstreams(self) -> dict[str, bool]:
        """Of each upstream that was asked, whether it answered last time."""
        return dict(self._up)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The body and its media type: OpenMetrics for who accepts that, else Prometheus's text."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind


@dataclass(frozen=True, slots=True, eq=False)
class _Standing(Collector):
    """What is not counted but stands as it is, read when somebody looks."""

    levels: Callable[[], Levels]
    up: dict[str, bool] = field(default_factory=dict)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        now = self.levels()
        yield InfoMetricFamily("ostiary_policy", "The policy in force", {"version": now.policy})
        if now.age_s is not None:
            yield _gauge("ostiary_policy_age_seconds", "Since the policy was confirmed last", now.age_s)
        yield _gauge("ostiary_ready", "Whether this process decides calls", now.ready)
        yield _gauge("ostiary_store_up", "Whether the store answered last time", now.store)
        yield _gauge("ostiary_audit_waiting", "Audit entries that wait for the store", now.waiting)
        yield CounterMetricFamily("ostiary_audit_lost_total", "Audit entries that could not be kept", value=now.lost)
        yield _gauge("ostiary_sessions", "Open sessions", now.sessions)
        yield _gauge("ostiary_streams", "Open streams", now.streams)
        up = GaugeMetricFamily("ostiary_upstream_up", "Whether an upstream answered last time", labels=["connector"])
        for connector, answered in self.up.copy().items():
            up.add_metric([connector], float(answered))
        yield up


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=float(value))
