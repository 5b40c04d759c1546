"""The seam between the pipeline and whatever stands behind us.

A connector says what it offers (its catalogue) and opens a connection for one principal;
a connection sends one request and returns the answer. Nothing here knows policy or HTTP.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from gateway.mcp.terms import Era, Kind, Notification, Params
from gateway.policy.terms import Tool

NOT_ASKED: Final = -32601
"""The code by which a server learns that it cannot ask that (JSON-RPC: method not found)."""

NOTHING_ASKED: Final[Params] = {}
"""The capabilities of a client that can be asked for nothing."""


class Caller(Protocol):
    """The client of one request, as the server behind us meets it while that request runs."""

    @property
    def capabilities(self) -> Params:
        """What the client can be asked for (``roots``, ``sampling``, ``elicitation``), in its own words."""

    def tell(self, notification: Notification) -> None:
        """Take what the server says meanwhile: progress, log lines. Never raises."""

    async def ask(self, method: str, params: Params) -> Params:
        """The client's answer to a request of the server. Raises ``UpstreamError`` with the client's own error, or
        with ours where it cannot be asked. Cancelling takes the question back.
        """


@dataclass(frozen=True, slots=True)
class Unasked:
    """A caller who hears what is said, and can be asked for nothing."""

    tell: Callable[[Notification], None] = field(default=lambda _: None)

    @property
    def capabilities(self) -> Params:
        return {}

    async def ask(self, method: str, params: Params) -> Params:  # noqa: ARG002 (nothing at all)
        raise UpstreamError(NOT_ASKED, "the client of this request cannot be asked")


QUIET: Final = Unasked()
"""Nobody listens: for requests of our own."""


class Secret:
    """A value that prints as ``***``; ``reveal`` gives it to the one place that sends it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be copied out of the process")


class Sharing(StrEnum):
    PRINCIPAL = "principal"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Personal:
    """The credential that each user brings to an upstream himself: an account that he lets us in to (``oauth``), or a
    key that he types, called ``label``. It stands in ``header``, behind ``prefix``.

    ``client_id`` is what the operator registered us as (``""``: we find out), at ``issuer``: to nobody else does
    ``client_secret`` ever go, whatever the server says of itself. ``scopes`` are what to ask for (``None``: what the
    server says).
    """

    oauth: bool
    header: str = "Authorization"
    prefix: str = "Bearer "
    label: str = "API key"
    client_id: str = ""
    client_secret: Secret | None = None
    issuer: str = ""
    scopes: tuple[str, ...] | None = None

    @property
    def secret(self) -> str:
        """By which name a ``Credential`` holds it."""
        return "access_token" if self.oauth else "api_key"


@dataclass(frozen=True, slots=True)
class UpstreamSpec:
    """One server behind us, as the operator's file describes it. Times are in seconds.

    ``tools`` classifies tool names (exact, or with one trailing ``*``) as ``read``, ``write`` or
    ``destructive``; what it does not name counts as destructive, unless ``trust_hints`` lets the
    server's own annotations speak.
    """

    id: str
    transport: str  # "stdio" | "http" | "sse"
    command: tuple[str, ...] = ()
    env: Mapping[str, Secret] = field(default_factory=dict)
    cwd: str = ""
    url: str = ""
    headers: Mapping[str, Secret] = field(default_factory=dict)
    personal: Personal | None = None
    sharing: Sharing = Sharing.PRINCIPAL
    private_hosts: tuple[str, ...] = ()  # "127.0.0.1:9001", "10.0.0.0/8": the exceptions to the address guard
    tools: Mapping[str, str] = field(default_factory=dict)
    trust_hints: bool = False
    trust: bool = False  # whether its tools may change without anybody approving it
    open_world: bool = True
    tags: tuple[str, ...] = ()
    era: Era | None = None  # None = found out, and remembered once proven
    timeout: float = 60.0
    start_timeout: float = 20.0
    max_processes: int = 16
    idle_after: float = 300.0

    @property
    def owned_by_system(self) -> bool:
        """Whether the operator's own credential is used, and no other (``own`` is ``system``, otherwise ``self``)."""
        return self.personal is None and bool(self.headers or self.env)


@dataclass(frozen=True, slots=True)
class Item:
    """A tool, prompt, resource or resource template of one connector.

    ``name`` is the connector's own name for it (a URI for resources, a URI template for templates);
    ``definition`` is what the server sent, unknown fields included; ``level`` is ``read`` or ``write``;
    ``facts`` is what conditions may ask. ``platform`` is ``""``, but for an action of a platform that we have described
    ourselves: there it tells this description from any other one, and what is answered is content of text and JSON.
    """

    connector: str
    kind: Kind
    name: str
    definition: Params
    level: str
    facts: Tool
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that a connector offers to one principal, in the server's order. ``ttl`` is for how many seconds the
    server says that its lists hold, ``None`` where it does not say. ``title`` is its name for people, if it has one.
    """

    items: Mapping[Kind, tuple[Item, ...]]
    capabilities: Params = field(default_factory=dict)
    instructions: str = ""
    ttl: float | None = None
    title: str = ""


class Event(StrEnum):
    TOOLS = "tools"
    PROMPTS = "prompts"
    RESOURCES = "resources"
    UPDATED = "updated"


@dataclass(frozen=True, slots=True)
class Change:
    """Something behind us changed: a list, or (``UPDATED``) the resource ``uri``.
    ``principal`` is the one concerned, ``""`` for everybody."""

    connector: str
    event: Event
    principal: str = ""
    uri: str = ""


class UpstreamError(Exception):
    """The server answered with a JSON-RPC error: told to the client as it is (code, message, data)."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """What one connection puts on one request: ``secrets`` and ``plain`` (inputs, what the platform told about the
    account) by the names that a definition's templates use. ``id`` is the connection's, ``""`` where none is needed.
    """

    id: str = ""
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)


class Credentials(Protocol):
    """Whose connections to one platform there are, and what they put on a request."""

    def ids(self, owner: str) -> tuple[str, ...]:
        """The connections of ``owner``, the one made first in front, those that do not serve now included."""

    def owner(self, id: str) -> str:
        """Whose connection that is, ``""`` when there is none of this platform with that id."""

    async def open(self, owner: str, id: str = "") -> Credential:
        """The credential of ``owner``'s connection ``id``, or of his only one, fresh for one call. Raises
        ``NotConnected`` (none, several and none named, or one that does not serve) and ``UpstreamFailed``.
        """

    async def renew(self, used: Credential) -> Credential | None:
        """A newer credential after the platform refused ``used`` as expired; ``None`` where there is none to be had."""


class Connection(Protocol):
    """Open for one principal; closing and reopening is the connector's business."""

    async def send(self, method: str, params: Params, caller: Caller) -> Params:
        """The ``result`` object of one request, unknown fields included, in the era of ``Connection.era``.
        Cancelling the awaiting task cancels the request behind us. Raises ``UpstreamError``,
        ``UpstreamFailed``."""

    @property
    def era(self) -> Era: ...


class Connector(Protocol):
    @property
    def id(self) -> str: ...

    def owners(self, subject: str) -> tuple[str, ...]:
        """Whose connection could serve ``subject``, best first (``subject`` itself where no credential is needed)."""

    async def catalogue(self, principal: str, capabilities: Params = NOTHING_ASKED) -> Catalogue:
        """What it offers; remembered, refreshed when the server says so. ``capabilities`` is what the client can be
        asked for: a server that is first met for this may need to know. Raises ``UpstreamFailed``.
        """

    def holds(self, owner: str) -> bool:
        """Whether ``owner`` could lend a connection now; always true where no credential is needed."""

    def owner(self, credential: str) -> str:
        """Whose connection has that id, ``""`` when this connector knows none such."""

    async def open(
        self, principal: str, owner: str, capabilities: Params = NOTHING_ASKED, *, credential: str = ""
    ) -> Connection:
        """A connection for ``principal`` on ``owner``'s credential, the one named if any is. The server is told of
        ``capabilities`` as far as its questions can be brought to the caller they belong to. Raises
        ``UpstreamFailed``, ``NotConnected``.
        """

    def watch(self, listener: Callable[[Change], None]) -> None:
        """Call ``listener`` for every change from now on."""

    async def close(self) -> None:
        """End every session and child process; calls in flight fail with ``UpstreamFailed``."""
