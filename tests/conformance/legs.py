"""What is proven, as data: every run of the suite that ``make conformance`` makes. Runs nothing."""

from collections.abc import Mapping
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


PLAIN_VISITS: Mapping[str, tuple[str, ...]] = {
    "2025-11-25": (
        "initialize",
        "tools_call",
        "elicitation-sep1034-client-defaults",
        "sse-retry",
        "json-schema-2020-12-preservation",
    ),
    "2026-07-28": (
        "tools_call",
        "request-metadata",
        "sep-2322-client-request-state",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "json-schema-ref-no-deref",
        "json-schema-2020-12-preservation",
    ),
}
"""The client scenarios without OAuth, by what their server speaks."""

_BOTH = (
    *(f"metadata-{each}" for each in ("default", "var1", "var2", "var3")),
    "basic-cimd",
    *(f"scope-{each}" for each in ("from-www-authenticate", "from-scopes-supported", "omitted-when-undefined")),
    *("scope-step-up", "scope-retry-limit"),
    *(f"token-endpoint-auth-{each}" for each in ("basic", "post", "none")),
    "pre-registration",
)
_NEWER = (
    *("resource-mismatch", "offline-access-scope", "offline-access-not-supported", "authorization-server-migration"),
    *(f"iss-{each}" for each in ("supported", "not-advertised", "supported-missing", "wrong-issuer")),
    *("iss-unexpected", "iss-normalized", "metadata-issuer-mismatch"),
)
AUTH_VISITS: Mapping[str, tuple[str, ...]] = {
    "2025-03-26": ("2025-03-26-oauth-metadata-backcompat", "2025-03-26-oauth-endpoint-fallback"),
    "2025-06-18": tuple(f"token-endpoint-auth-{each}" for each in ("basic", "post", "none")),
    "2025-11-25": _BOTH,
    "2026-07-28": (*_BOTH, *_NEWER),
}
"""Those in which each user brings an account of his own (``auth/``)."""

VISITS = (
    *(Visit(revision, each) for revision, scenarios in PLAIN_VISITS.items() for each in scenarios),
    *(Visit(revision, f"auth/{each}") for revision, scenarios in AUTH_VISITS.items() for each in scenarios),
)
"""All client scenarios but those of extensions."""
