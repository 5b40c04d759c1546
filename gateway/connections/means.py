"""What flows and connections work with: handed in by the composition root, used by every step.

This file does nothing itself.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from connectors.base import Credential, Secret
from connectors.definition.platform import Platform
from connectors.oauth.terms import Client, Code, Tokens
from gateway.connections.known import Connections
from gateway.connections.redirects import callback_uri
from gateway.connections.slips import Slips
from gateway.records import Connected, Flow
from gateway.servers.known import Servers
from gateway.settings import ConnectionSettings
from gateway.store.base import Store
from gateway.vault import Vault


class Account(Protocol):
    """Whose account it is, as the platform says: its own ``id`` for it, and what people read."""

    @property
    def id(self) -> str: ...

    @property
    def label(self) -> str: ...


class Legs(Protocol):
    """The legs of OAuth that connecting needs (``connectors/oauth/legs.py``)."""

    async def exchange(
        self, platform: Platform, client: Client, code: Code, verifier: Secret | None, inputs: Mapping[str, str]
    ) -> Tokens: ...

    async def revoke(self, platform: Platform, client: Client, tokens: Tokens, inputs: Mapping[str, str]) -> bool: ...


@dataclass(frozen=True, slots=True)
class Means:
    """``platform_of`` raises ``Unknown`` and ``UpstreamFailed``. ``whose`` raises ``NotConnected``
    where the platform refuses the credential, and ``UpstreamFailed``.
    ``connections`` and ``servers`` are those known now, ``several_users`` whether there is more than one account.
    ``permits`` is asked
    whether the owner of a flow may still connect what it is about. ``told`` hears of every change of a connection,
    ``catch_up`` makes this process follow what was just written. ``clock`` tells ms since the epoch.
    """

    store: Store
    vault: Vault = field(repr=False)
    slips: Slips = field(repr=False)
    settings: ConnectionSettings = field(repr=False)
    public_url: str
    platform_of: Callable[[str], Awaitable[Platform]]
    legs: Legs
    whose: Callable[[Platform, Credential], Awaitable[Account]]
    connections: Callable[[], Connections]
    servers: Callable[[], Servers]
    several_users: Callable[[], bool]
    permits: Callable[[Flow], bool]
    told: Callable[[Connected], None]
    catch_up: Callable[[], Awaitable[None]]
    clock: Callable[[], int]

    def client(self, platform: Platform, tenant: str) -> Client:
        """What the platform knows us as, for a flow of that tenant."""
        return Client(platform.client_id, platform.client_secret, callback_uri(self.public_url, tenant, platform.id))
