"""What is proven, as data: every run of the suite that ``make conformance`` makes. Runs nothing."""

from dataclasses import dataclass

NEWEST, STABLE = "0.2.0-alpha.12", "0.1.16"
REQUIRED = ("2025-11-25", "2026-07-28")
"""Revisions for which the suite has a frozen set of requirements."""


@dataclass(frozen=True, order=True)
class Upstream:
    """The suite's server, as it stands behind the gateway."""

    transport: str  # "http" | "sse" | "stdio"
    era: str  # "legacy" | "modern" | "auto" speaks both, and the gateway takes the modern one

    @property
    def id(self) -> str:
        return f"{self.transport}-{self.era}"


@dataclass(frozen=True)
class Leg:
    """One run: the suite as a client of ``revision``, through the gateway, to one server."""

    revision: str
    upstream: Upstream
    suite: str = NEWEST
    direct: bool = False  # past the gateway: proves the server that all other legs rest on

    @property
    def behind(self) -> str:
        return "direct" if self.direct else self.upstream.id

    @property
    def name(self) -> str:
        return f"{self.suite} {self.revision} {self.behind}"

    @property
    def requires(self) -> bool:
        """Whether what the suite demands of this revision is run, besides what it does not score."""
        return self.suite == NEWEST and self.revision in REQUIRED

    @property
    def selection(self) -> tuple[str, ...]:
        """The words that tell the suite what to run."""
        if self.suite == STABLE:
            return ("--suite", "all")
        if self.requires:
            return ("--requirements", self.revision)
        return ("--suite", "all", "--spec-version", self.revision)


SSE = Upstream("sse", "legacy")  # HTTP+SSE is a transport of the legacy era
PLAIN = tuple(Upstream(transport, era) for transport in ("http", "stdio") for era in ("auto", "legacy", "modern"))
OLDER = (Upstream("http", "auto"), Upstream("http", "legacy"), Upstream("stdio", "legacy"), SSE)

LEGS = (
    *(Leg(revision, Upstream("http", "auto"), direct=True) for revision in REQUIRED),
    *(Leg(revision, upstream) for upstream in (*PLAIN, SSE) for revision in REQUIRED),
    *(Leg(revision, upstream) for upstream in OLDER for revision in ("2025-03-26", "2025-06-18")),
    *(Leg("2025-11-25", upstream, STABLE) for upstream in OLDER),
)
UPSTREAMS = tuple(sorted({leg.upstream for leg in LEGS}))


@dataclass(frozen=True)
class Visit:
    """One scenario of the suite's servers, with the gateway as their client."""

    revision: str
    scenario: str
    behind = "client"
    suite = NEWEST

    @property
    def name(self) -> str:
        return f"{self.suite} {self.revision} {self.behind} {self.scenario}"


VISITS = (
    *(
        Visit("2025-11-25", scenario)
        for scenario in (
            "initialize",
            "tools_call",
            "elicitation-sep1034-client-defaults",
            "sse-retry",
            "json-schema-2020-12-preservation",
        )
    ),
    *(
        Visit("2026-07-28", scenario)
        for scenario in (
            "tools_call",
            "request-metadata",
            "sep-2322-client-request-state",
            "http-standard-headers",
            "http-custom-headers",
            "http-invalid-tool-headers",
            "json-schema-ref-no-deref",
            "json-schema-2020-12-preservation",
        )
    ),
)
"""The client scenarios without OAuth."""
