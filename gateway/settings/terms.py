"""What an operator has set, as frozen values. No file, no environment, no default that hides a fault."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from connectors.base import Secret, UpstreamSpec
from connectors.http_calls.secrets import NamedSecret
from gateway.identity import KeyRing
from gateway.policy.signature import TrustedKey
from gateway.policy.terms import Problem


class SettingsError(Exception):
    """The settings cannot be used; ``problems`` names every fault with its file and line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class Mode(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class ServerMode(StrEnum):
    """How a server presents what it offers: one upstream as if it stood there itself, or many side by side."""

    UPSTREAM = "upstream"
    DIRECT = "direct"


class Names(StrEnum):
    """Whether clients see ``tool`` or ``upstream__tool``."""

    BARE = "bare"
    PREFIXED = "prefixed"


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One server that we offer under ``/mcp/ID``; with ``custom`` also what users made."""

    id: str
    upstreams: tuple[str, ...]
    mode: ServerMode
    names: Names
    instructions: str = ""
    custom: bool = False


class Tools(StrEnum):
    """Whether the actions of a connector are tools of their own, or reached through the meta tools alone."""

    DIRECT = "direct"
    META = "meta"


class Binding(StrEnum):
    """How it is proven that who finishes connecting an account is who began it."""

    SESSION = "session"
    CONFIRM = "confirm"
    SAME_BROWSER = "same_browser"


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """One definition put to use under an ``id`` of its own, which is the connector of policy rows.

    ``scopes`` are asked for instead of the definition's (``None``: the definition's). ``inputs`` are fixed for
    everybody. ``credential`` is the operator's own, by the names of the definition's secret inputs (empty: none).
    ``at`` puts other beginnings in place of those of the definition's URLs. ``private_hosts`` are exceptions to the
    address guard.
    """

    id: str
    definition: str
    tools: Tools = Tools.DIRECT
    client_id: str = ""
    client_secret: Secret | None = None
    scopes: tuple[str, ...] | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    credential: Mapping[str, Secret] = field(default_factory=dict)
    at: Mapping[str, str] = field(default_factory=dict)
    private_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The operator's own sign-in: an account's e-mail must be verified by ``issuer``."""

    issuer: str
    client_id: str
    client_secret: Secret | None = None
    name: str = ""
    private_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """An issuer whose signed tokens prove accounts, and groups under ``name``. Keys are those of ``jwks_url``, or
    (``""``) of where the issuer's metadata says. ``audiences`` (``()``: our own URLs) are who its tokens are meant for;
    ``algorithms`` is how alone they are signed. ``scopes`` a token needs, all of them. With ``create_users`` an account
    is made for who has none, without any role.
    """

    name: str
    issuer: str
    jwks_url: str = ""
    audiences: frozenset[str] = frozenset()
    algorithms: tuple[str, ...] = ("RS256",)
    email_claim: str = "email"
    verified_claim: str = "email_verified"
    groups_claim: str = "groups"
    scopes: tuple[str, ...] = ()
    create_users: bool = False
    private_hosts: tuple[str, ...] = ()


class Unsure(StrEnum):
    """What becomes of calls while it is unknown how often was called elsewhere."""

    ALLOW = "allow"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How many ``failures`` to prove who it is, and ``visits`` without proving it, one address has a minute."""

    failures: int = 20
    visits: int = 60
    unsure: Unsure = Unsure.ALLOW


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Where mails are handed in (SMTP); ``user`` is ``""`` where no sign-in is asked for. ``send_keys``: whether the
    mail that tells somebody of his API key holds it.
    """

    host: str
    port: int
    sender: str
    user: str = ""
    password: Secret | None = None
    starttls: bool = True
    send_keys: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """``redirects`` are the only places a browser is ever sent back to; ``webhook`` (``""``: none) is told of every
    change of a connection, signed with ``webhook_secret``.
    """

    binding: Binding = Binding.SESSION
    redirects: tuple[str, ...] = ()
    webhook: str = ""
    webhook_secret: Secret | None = None
    webhook_private_hosts: tuple[str, ...] = ()
    oidc: OidcSettings | None = None


NATIVE: Final = "native"
"""All groups of the gateway's own tools, where some are left out."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Requests of tools made at run time: ``private_hosts`` are exceptions to the address guard."""

    private_hosts: tuple[str, ...] = ()
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class HandlerSettings:
    """``omit`` names the handler packages, and the groups of the gateway's own tools, that are not offered."""

    omit: frozenset[str] = frozenset()
    timeout_s: float = 60.0

    def omits(self, group: str) -> bool:
        """Whether a group of the gateway's own tools is left out."""
        return group in self.omit or NATIVE in self.omit


@dataclass(frozen=True, slots=True)
class MasterSecret:
    """One of the secrets that keys are hashed with; the first in the list is the current one."""

    id: str
    value: Secret


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where records live: ``uri`` (MongoDB) when it is set, otherwise the file ``path`` (SQLite)."""

    path: Path
    uri: Secret | None
    database: str

    @property
    def target(self) -> Secret:
        """What ``open_store`` takes; a secret, because a URI may hold a password."""
        return self.uri or Secret(str(self.path))


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Where other nodes hand requests over: this one listens on ``bind``, and they reach it at ``address``; both are
    ``host:port``, or ``""``.
    """

    bind: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """``jsonl`` is ``""`` (off), ``stdout`` or the path of a file. ``on_failure`` is ``refuse`` or ``continue``: what
    becomes of calls that cannot be recorded.
    """

    jsonl: str
    retention_days: int
    on_failure: str = "refuse"


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Who may read the metrics: requests from ``allow``, and whoever brings ``token``."""

    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    token: Secret | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was set. Times are in seconds, sizes in bytes; every path is absolute."""

    folder: Path
    root: Path
    mode: Mode
    name: str
    host: str
    port: int
    public_url: str
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    secrets: tuple[MasterSecret, ...]
    accept_key_in_query: bool
    keepalive_s: float
    max_body_bytes: int
    page_items: int
    stale_after_s: float
    store: StoreSettings
    policy_folder: Path
    check_one_in: int
    trusted_keys: tuple[TrustedKey, ...]
    audit: AuditSettings
    admin_email: str
    upstreams: tuple[UpstreamSpec, ...]
    servers: tuple[ServerSpec, ...]
    connectors: tuple[ConnectorSettings, ...] = ()
    definition_folders: tuple[Path, ...] = ()
    connections: ConnectionSettings = field(default_factory=ConnectionSettings)
    mail: MailSettings | None = None
    http: HttpSettings = field(default_factory=HttpSettings)
    handlers: HandlerSettings = field(default_factory=HandlerSettings)
    named_secrets: tuple[NamedSecret, ...] = ()
    log_new_keys: bool = False
    issuers: tuple[IssuerSettings, ...] = ()
    limits: LimitSettings = field(default_factory=LimitSettings)
    workers: int = 1
    node: NodeSettings = field(default_factory=NodeSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    notes: tuple[str, ...] = ()
    """What the operator should hear at start, one sentence each."""

    def key_ring(self) -> KeyRing:
        """The ring over the operator's secrets."""
        return KeyRing([(secret.id, secret.value.reveal().encode()) for secret in self.secrets])

    @property
    def bind(self) -> str:
        """``host:port``, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
