"""Everything about accounts on platforms behind us, put together from what was set: which platforms there are, who
holds what credential, and how one is connected.

Part of the composition root; builds, and decides nothing.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from connectors.base import Credentials
from connectors.definition.platform import Platform
from connectors.egress import Egress
from connectors.inviting import Inviting
from connectors.oauth.legs import Legs
from connectors.rest.connector import RestConnector
from gateway.assembly.held import Held, held, vault_of
from gateway.assembly.linked import Linked, linked
from gateway.assembly.servers import platform_connectors
from gateway.connections.known import Connections
from gateway.connections.upstreams import UpstreamPlatforms
from gateway.follower import Follower, now_ms
from gateway.identity import KeyRing
from gateway.platforms import Platforms
from gateway.settings import Settings
from gateway.snapshot import Snapshot
from gateway.store.base import Store
from gateway.vault import Vault


@dataclass(frozen=True, slots=True)
class Accounts:
    """``work`` runs beside the calls, by name, until cancelled; ``close`` comes after it."""

    vault: Vault = field(repr=False)
    legs: Legs
    upstreams: UpstreamPlatforms
    platform_of: Callable[[str], Awaitable[Platform]]
    connectors: tuple[RestConnector, ...]
    held: Held
    linked: Linked
    work: Mapping[str, Callable[[], Awaitable[None]]]

    def of_upstream(self, id: str) -> Credentials:
        """The credentials that users bring to an upstream."""
        return self.held.wallet.of(self.upstreams.sketches[id])

    def noticed(self, inviting: Iterable[Inviting]) -> Callable[[Snapshot], None]:
        """What is to hear of every snapshot, so that those learn of new and ended accounts who offer something else
        for them.
        """
        return Noticing({each.id: each for each in inviting})

    async def close(self) -> None:
        await self.linked.linking.close()
        await self.held.close()


@dataclass(slots=True)
class Noticing:
    """Compares each snapshot's connections with those of the one before."""

    inviting: Mapping[str, Inviting]
    known: Connections = field(default_factory=Connections)

    def __call__(self, snapshot: Snapshot) -> None:
        before, self.known = self.known, snapshot.connections
        if before is self.known:
            return
        for (owner, connector), ids in self.known.moved(before).items():
            if connector in self.inviting:
                self.inviting[connector].turned(owner, ids)


def accounts(settings: Settings, *, store: Store, ring: KeyRing, follower: Follower, egress: Egress) -> Accounts:
    """The platforms of the settings, over these parts."""
    vault, legs = vault_of(ring), Legs(egress, now_ms)
    platforms = Platforms(settings)
    upstreams = UpstreamPlatforms(
        settings.upstreams,
        egress,
        store.registrations,
        vault,
        name=settings.name,
        public_url=settings.public_url,
        clock=now_ms,
    )

    async def platform_of(id: str) -> Platform:
        return platforms.current[id] if id in platforms.current else await upstreams.of(id)

    purses = held(
        settings, store=store, vault=vault, follower=follower, platform_of=platform_of, egress=egress, legs=legs
    )
    flows = linked(
        settings,
        store=store,
        vault=vault,
        ring=ring,
        follower=follower,
        platform_of=platform_of,
        platforms=lambda: {**upstreams.sketches, **platforms.current},
        egress=egress,
        legs=legs,
        told=purses.told,
    )
    connectors = tuple(platform_connectors(platforms, egress, purses.wallet.of, now_ms))
    work = {"platforms": platforms.run, **purses.loops}
    return Accounts(vault, legs, upstreams, platform_of, connectors, purses, flows, work)
